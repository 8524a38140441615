/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ACPI tables: a description in, table bytes out. Pure: no files, no guest memory, the same
 * bytes for the same description. Hardware-reduced (ACPI 6.5, section 4.1): RSDP, XSDT,
 * FADT, MADT, DSDT. Any thread.
 */
#pragma once

#include "base/base.h"
#include "base/err.h"

/** A register in I/O or memory space (ACPI 6.5, section 5.2.3.2). */
struct acpi_reg {
	bool is_port;
	uint64_t addr; /* 0: absent */
};

enum acpi_dev_kind {
	ACPI_DEV_UART,        /* PNP0501, 16550 */
	ACPI_DEV_VIRTIO_MMIO, /* LNRO0005 */
	ACPI_DEV_PVPANIC,     /* QEMU0001 */
};

struct acpi_dev {
	enum acpi_dev_kind kind;
	bool is_port;       /* window in I/O space */
	uint64_t base, len; /* bytes; ports fit 16 bits, MMIO 32 bits */
	bool has_irq;
	uint32_t gsi;   /* edge-triggered, active high, exclusive */
	unsigned index; /* unique among its kind: names (COM0, V000) and _UID */
};

struct acpi_machine {
	unsigned nr_cpus; /* 1..255; APIC ids are apic_id[i], or i when NULL */
	const uint32_t *apic_id;
	uint32_t lapic_base;  /* 0xfee00000 */
	uint32_t ioapic_base; /* 0xfec00000 */
	uint8_t ioapic_id;
	struct acpi_reg reset, sleep_control, sleep_status;
	uint8_t reset_value; /* written to reset */
	uint8_t s5_type;     /* SLP_TYP of power off, 0..7 */
	const struct acpi_dev *dev;
	unsigned nr_devs;
};

enum { ACPI_RSDP, ACPI_XSDT, ACPI_FADT, ACPI_MADT, ACPI_DSDT, ACPI_NR_TABLES };

/** Where each table lies in the blob, and its file name for a dump ("dsdt.dat"). */
struct acpi_table_place {
	const char *name;
	uint32_t off, len; /* bytes from the start of the blob */
};

struct acpi_tables {
	uint8_t *blob; /* owned: free with acpi_fini */
	uint32_t len;
	struct acpi_table_place table[ACPI_NR_TABLES];
};

/**
 * Builds all tables to lie at guest address base (16-byte aligned), RSDP first, each
 * table 16-byte aligned. Returns 0; -EINVAL for a description that cannot be said (a port
 * over 16 bits, an MMIO window over 32 bits, no CPU); -ENOSPC when they need more than
 * max_len bytes; -ENOMEM.
 */
int __must_check acpi_build(const struct acpi_machine *m, uint64_t base, uint32_t max_len,
	struct acpi_tables *ret, struct err *err);

/** Zeroed storage is fine. */
void acpi_fini(struct acpi_tables *t);
