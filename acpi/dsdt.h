/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The contents of the DSDT, for acpi/tables.c only: \_S5 and the devices under \_SB.
 * Pure; any thread.
 */
#pragma once

#include "acpi/acpi.h"
#include "acpi/aml.h"

/** The most bytes that one device adds; tables.c sizes its buffer by it. */
#define DSDT_DEV_ROOM 96U

/** Returns 0, or -EINVAL with a sentence for a device that the tables cannot say. */
int __must_check dsdt_check(const struct acpi_dev *dev, unsigned nr_devs, struct err *err);

/** Writes what follows the table's header. The devices have been checked. */
void dsdt_write(struct aml *a, const struct acpi_machine *m);
