/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The registers by which a guest says how it ends: ACPI sleep control and status (ACPI 6.5,
 * sections 4.8.3.7 and 4.8.3.8), the reset register, the keyboard controller's reset line
 * for kernels without ACPI, and pvpanic (QEMU docs/specs/pvpanic).
 *
 * No state but the callback; vCPU threads.
 */
#pragma once

#include "base/base.h"
#include "bus/bus.h"

enum power_event { POWER_OFF, POWER_RESET, POWER_PANIC, POWER_CRASH_LOADED };

#define POWER_S5_TYPE       5    /* SLP_TYP of power off, also in the DSDT's _S5 */
#define POWER_RESET_VALUE   0x06 /* what the FADT tells the guest to write */
#define POWER_LEN           3    /* sleep control, sleep status, reset: one byte each */
#define POWER_SLEEP_CONTROL 0
#define POWER_SLEEP_STATUS  1
#define POWER_RESET_REG     2
#define PVPANIC_LEN         1

struct power {
	/* The guest asked for an end (or reported a loaded crash kernel). vCPU thread. */
	void (*event)(void *ctx, enum power_event ev);
	void *ctx;
};

/** ctx of all of them is a struct power. */
extern const struct bus_ops power_bus_ops;   /* POWER_LEN bytes */
extern const struct bus_ops pvpanic_bus_ops; /* PVPANIC_LEN byte */
extern const struct bus_ops i8042_reset_ops; /* 1 byte: port 0x64 */
