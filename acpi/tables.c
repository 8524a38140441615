/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tables of a hardware-reduced machine (ACPI 6.5, sections 4.1 and 5.2): RSDP, XSDT, FADT,
 * MADT and DSDT, in this order in one blob, each 16-byte aligned.
 *
 * Invariants:
 * 1. The description is judged whole before the first byte is written; after that only the
 *    room in the blob can run out.
 * 2. The bytes depend on nothing but the description and the address: no time, no host.
 * 3. A checksum is made last, over a table that no longer changes.
 *
 * What is left out on purpose. No FACS: hardware-reduced machines need none (section 5.2.10).
 * No interrupt source overrides: lines are edge-triggered and described in _CRS.
 *
 * No state; any thread.
 */
#include "acpi/acpi.h"

#include <errno.h>
#include <stdlib.h>

#include "acpi/aml.h"
#include "acpi/dsdt.h"

#define ACPI_ALIGN       16U
#define ACPI_MAX_CPUS    255U
#define ACPI_OEM_ID      "MAYFLY"
#define ACPI_OEM_TABLE   "MICROVM "
#define ACPI_CREATOR     "MFLY"
#define ACPI_HEADER_LEN  36U
#define ACPI_HEADER_SUM  9U /* offset of the checksum, and of the length before it */
#define ACPI_HEADER_SIZE 4U
#define ACPI_RSDP_LEN    36U
#define ACPI_FADT_LEN    276U

/* The most that one of each adds to the blob; acpi_room() relies on it. */
#define ACPI_FIXED_ROOM 1024U
#define ACPI_CPU_ROOM   16U

/* Offsets in the FADT, table 5.9. Whatever is not named stays 0: absent. */
enum {
	FADT_IAPC_BOOT_ARCH = 109,
	FADT_FLAGS = 112,
	FADT_RESET_REG = 116,
	FADT_RESET_VALUE = 128,
	FADT_MINOR = 131,
	FADT_X_DSDT = 140,
	FADT_SLEEP_CONTROL = 244,
	FADT_SLEEP_STATUS = 256,
	FADT_HYPERVISOR = 268,
};

/* Fixed feature flags, table 5.10. */
enum {
	FADT_WBINVD = BIT(0),
	FADT_PROC_C1 = BIT(2),
	FADT_PWR_BUTTON = BIT(4), /* no fixed power button */
	FADT_SLP_BUTTON = BIT(5), /* no fixed sleep button */
	FADT_FIX_RTC = BIT(6),    /* no RTC wake status in fixed registers */
	FADT_RESET_REG_SUP = BIT(10),
	FADT_HW_REDUCED = BIT(20),
};

/*
 * IA-PC boot architecture flags, table 5.11. Bits 0 (legacy devices) and 1 (8042) stay 0:
 * Linux then leaves the keyboard controller alone.
 */
enum {
	FADT_VGA_NOT_PRESENT = BIT(2),
	FADT_NO_CMOS_RTC = BIT(5),
};

/* MADT entries, table 5.21. */
enum {
	MADT_LAPIC = 0,
	MADT_IOAPIC = 1,
	MADT_LAPIC_NMI = 4,
	MADT_X2APIC = 9,
	MADT_X2APIC_NMI = 10,
	MADT_ENABLED = 1,       /* processor flags */
	MADT_LINT1 = 1,         /* where NMIs arrive, by custom */
	MADT_ALL_LAPICS = 0xff, /* as a processor UID */
};

static const struct {
	const char *sig; /* NULL: no common header */
	const char *file;
	uint8_t revision;
} acpi_table_info[ACPI_NR_TABLES] = {
	[ACPI_RSDP] = { NULL, "rsdp.dat", 2 },
	[ACPI_XSDT] = { "XSDT", "xsdt.dat", 1 },
	[ACPI_FADT] = { "FACP", "facp.dat", 6 },
	[ACPI_MADT] = { "APIC", "apic.dat", 6 },
	[ACPI_DSDT] = { "DSDT", "dsdt.dat", 2 },
};

static uint32_t acpi_apic_id(const struct acpi_machine *m, unsigned cpu)
{
	return m->apic_id ? m->apic_id[cpu] : cpu;
}

static int acpi_check(
	const struct acpi_machine *m, uint64_t base, uint32_t max_len, struct err *err)
{
	const struct acpi_reg *reg[] = { &m->reset, &m->sleep_control, &m->sleep_status };

	if (m->nr_cpus < 1 || m->nr_cpus > ACPI_MAX_CPUS)
		return err_set(err, EINVAL, "ACPI: %u CPUs (1 to %u)", m->nr_cpus, ACPI_MAX_CPUS);
	for (unsigned i = 0; i < m->nr_cpus; i++)
		if (acpi_apic_id(m, i) == UINT32_MAX)
			return err_set(err, EINVAL, "ACPI: CPU %u has the broadcast APIC id", i);
	for (unsigned i = 0; i < ARRAY_SIZE(reg); i++)
		if (reg[i]->is_port && reg[i]->addr > UINT16_MAX)
			return err_set(err, EINVAL, "ACPI: register at port 0x%llx",
				(unsigned long long)reg[i]->addr);
	if (m->s5_type > 7)
		return err_set(err, EINVAL, "ACPI: sleep type %u (0 to 7)", m->s5_type);
	if (base % ACPI_ALIGN != 0 || max_len > UINT64_MAX - base)
		return err_set(err, EINVAL, "ACPI: no place for tables at 0x%llx",
			(unsigned long long)base);
	return dsdt_check(m->dev, m->nr_devs, err);
}

/* Starts a table at the next 16-byte boundary, with its header where it has the common one. */
static void acpi_table_begin(struct acpi_tables *t, struct aml *a, unsigned which)
{
	aml_zeros(a, (ACPI_ALIGN - a->len % ACPI_ALIGN) % ACPI_ALIGN);
	t->table[which].name = acpi_table_info[which].file;
	t->table[which].off = (uint32_t)a->len;
	if (!acpi_table_info[which].sig)
		return;
	aml_bytes(a, acpi_table_info[which].sig, 4);
	aml_u32(a, 0); /* length: acpi_table_end */
	aml_u8(a, acpi_table_info[which].revision);
	aml_u8(a, 0); /* checksum: acpi_table_end */
	aml_bytes(a, ACPI_OEM_ID, 6);
	aml_bytes(a, ACPI_OEM_TABLE, 8);
	aml_u32(a, 1); /* OEM revision */
	aml_bytes(a, ACPI_CREATOR, 4);
	aml_u32(a, 1); /* creator revision */
}

static uint8_t acpi_checksum(const uint8_t *p, size_t len)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + p[i]);
	return (uint8_t)-sum;
}

static void acpi_table_end(struct acpi_tables *t, struct aml *a, unsigned which)
{
	uint32_t len = (uint32_t)a->len - t->table[which].off;
	uint8_t *p = a->buf + t->table[which].off;

	t->table[which].len = len;
	if (a->full || !acpi_table_info[which].sig)
		return;
	le32_put(p + ACPI_HEADER_SIZE, len);
	p[ACPI_HEADER_SUM] = acpi_checksum(p, len);
}

/* Root pointer, section 5.2.5.3: two checksums, the first over what ACPI 1.0 knew. */
static void acpi_rsdp(struct acpi_tables *t, struct aml *a, uint64_t xsdt)
{
	uint8_t p[ACPI_RSDP_LEN] = { 0 };

	memcpy(p, "RSD PTR ", 8);
	memcpy(p + 9, ACPI_OEM_ID, 6);
	p[15] = acpi_table_info[ACPI_RSDP].revision;
	le32_put(p + 20, ACPI_RSDP_LEN);
	le64_put(p + 24, xsdt);
	p[8] = acpi_checksum(p, 20);
	p[32] = acpi_checksum(p, ACPI_RSDP_LEN);
	acpi_table_begin(t, a, ACPI_RSDP);
	aml_bytes(a, p, sizeof(p));
	acpi_table_end(t, a, ACPI_RSDP);
}

/* The DSDT is not in it: the FADT names that one (section 5.2.8). */
static void acpi_xsdt(struct acpi_tables *t, struct aml *a, uint64_t fadt, uint64_t madt)
{
	acpi_table_begin(t, a, ACPI_XSDT);
	aml_u64(a, fadt);
	aml_u64(a, madt);
	acpi_table_end(t, a, ACPI_XSDT);
}

/* Generic address structure, section 5.2.3.2: one byte, byte access; all zero when absent. */
static void acpi_gas(uint8_t p[12], const struct acpi_reg *reg)
{
	if (reg->addr == 0)
		return;
	p[0] = reg->is_port ? 1 : 0; /* address space */
	p[1] = 8;                    /* bits */
	p[3] = 1;                    /* access size */
	le64_put(p + 4, reg->addr);
}

/* Section 5.2.9. No register block of the PC's fixed hardware, no PM timer, no SCI. */
static void acpi_fadt(
	struct acpi_tables *t, struct aml *a, const struct acpi_machine *m, uint64_t dsdt)
{
	uint8_t f[ACPI_FADT_LEN] = { 0 };
	uint32_t flags = FADT_WBINVD | FADT_PROC_C1 | FADT_PWR_BUTTON | FADT_SLP_BUTTON |
		FADT_FIX_RTC | FADT_HW_REDUCED;

	if (m->reset.addr != 0)
		flags |= FADT_RESET_REG_SUP;
	le16_put(f + FADT_IAPC_BOOT_ARCH, FADT_VGA_NOT_PRESENT | FADT_NO_CMOS_RTC);
	le32_put(f + FADT_FLAGS, flags);
	acpi_gas(f + FADT_RESET_REG, &m->reset);
	f[FADT_RESET_VALUE] = m->reset_value;
	f[FADT_MINOR] = 5;
	le64_put(f + FADT_X_DSDT, dsdt);
	acpi_gas(f + FADT_SLEEP_CONTROL, &m->sleep_control);
	acpi_gas(f + FADT_SLEEP_STATUS, &m->sleep_status);
	memcpy(f + FADT_HYPERVISOR, "MAYFLY  ", 8);
	acpi_table_begin(t, a, ACPI_FADT);
	aml_bytes(a, f + ACPI_HEADER_LEN, sizeof(f) - ACPI_HEADER_LEN);
	acpi_table_end(t, a, ACPI_FADT);
}

/* Sections 5.2.12.2 and 5.2.12.12. Id 255 is the broadcast of an xAPIC: from there x2APIC. */
static void acpi_madt_cpu(struct aml *a, unsigned cpu, uint32_t apic_id)
{
	if (apic_id < 0xff) {
		aml_u8(a, MADT_LAPIC);
		aml_u8(a, 8);
		aml_u8(a, (uint8_t)cpu); /* processor UID */
		aml_u8(a, (uint8_t)apic_id);
		aml_u32(a, MADT_ENABLED);
	} else {
		aml_u8(a, MADT_X2APIC);
		aml_u8(a, 16);
		aml_u16(a, 0);
		aml_u32(a, apic_id);
		aml_u32(a, MADT_ENABLED);
		aml_u32(a, cpu);
	}
}

/* Sections 5.2.12.7 and 5.2.12.13: NMIs arrive at LINT1 of every processor. */
static void acpi_madt_nmi(struct aml *a, bool lapic, bool x2apic)
{
	if (lapic) {
		aml_u8(a, MADT_LAPIC_NMI);
		aml_u8(a, 6);
		aml_u8(a, MADT_ALL_LAPICS);
		aml_u16(a, 0); /* polarity and trigger as the bus has them */
		aml_u8(a, MADT_LINT1);
	}
	if (x2apic) {
		aml_u8(a, MADT_X2APIC_NMI);
		aml_u8(a, 12);
		aml_u16(a, 0);
		aml_u32(a, UINT32_MAX);
		aml_u8(a, MADT_LINT1);
		aml_zeros(a, 3);
	}
}

/* Section 5.2.12. Without PCAT_COMPAT: there are no 8259s to mask. */
static void acpi_madt(struct acpi_tables *t, struct aml *a, const struct acpi_machine *m)
{
	bool lapic = false, x2apic = false;

	acpi_table_begin(t, a, ACPI_MADT);
	aml_u32(a, m->lapic_base);
	aml_u32(a, 0); /* flags */
	for (unsigned i = 0; i < m->nr_cpus; i++) {
		acpi_madt_cpu(a, i, acpi_apic_id(m, i));
		if (acpi_apic_id(m, i) < 0xff)
			lapic = true;
		else
			x2apic = true;
	}
	aml_u8(a, MADT_IOAPIC);
	aml_u8(a, 12);
	aml_u8(a, m->ioapic_id);
	aml_u8(a, 0);
	aml_u32(a, m->ioapic_base);
	aml_u32(a, 0); /* first GSI */
	acpi_madt_nmi(a, lapic, x2apic);
	acpi_table_end(t, a, ACPI_MADT);
}

/* An upper bound of the blob, so that a generous max_len costs no memory. */
static uint32_t acpi_room(const struct acpi_machine *m)
{
	return ACPI_FIXED_ROOM + m->nr_cpus * ACPI_CPU_ROOM + m->nr_devs * DSDT_DEV_ROOM;
}

static uint64_t acpi_place(uint64_t base, const struct acpi_tables *t, unsigned which)
{
	return base + t->table[which].off;
}

/* Tables name each other's addresses, so a first pass finds the places, a second fills them. */
static void acpi_write(
	struct acpi_tables *t, struct aml *a, const struct acpi_machine *m, uint64_t base)
{
	acpi_rsdp(t, a, acpi_place(base, t, ACPI_XSDT));
	acpi_xsdt(t, a, acpi_place(base, t, ACPI_FADT), acpi_place(base, t, ACPI_MADT));
	acpi_fadt(t, a, m, acpi_place(base, t, ACPI_DSDT));
	acpi_madt(t, a, m);
	acpi_table_begin(t, a, ACPI_DSDT);
	dsdt_write(a, m);
	acpi_table_end(t, a, ACPI_DSDT);
}

int acpi_build(const struct acpi_machine *m, uint64_t base, uint32_t max_len,
	struct acpi_tables *ret, struct err *err)
{
	struct acpi_tables t = { 0 };
	struct aml a;
	uint32_t cap;
	int r;

	r = acpi_check(m, base, max_len, err);
	if (r < 0)
		return r;
	cap = MIN(max_len, acpi_room(m));
	t.blob = malloc(MAX(cap, 1));
	if (!t.blob)
		return err_set(err, ENOMEM, "ACPI: no memory for %u bytes of tables", cap);
	for (unsigned pass = 0; pass < 2; pass++) {
		aml_init(&a, t.blob, cap);
		acpi_write(&t, &a, m, base);
	}
	if (a.full) {
		BUG_ON(cap < max_len);
		free(t.blob);
		return err_set(err, ENOSPC,
			"ACPI: tables of %u CPUs and %u devices need more than %u bytes",
			m->nr_cpus, m->nr_devs, max_len);
	}
	t.len = (uint32_t)a.len;
	*ret = t;
	return 0;
}

void acpi_fini(struct acpi_tables *t)
{
	if (!t)
		return;
	free(t->blob);
	*t = (struct acpi_tables){ 0 };
}
