/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of arch/x86_64 share. */
#pragma once

#include "arch/arch.h"
#include "loader/loader.h"

/* struct arch_entry.kind */
enum { X86_ENTRY_LINUX64, X86_ENTRY_PVH };

/* ---- ioapic.c ---- */
struct ioapic;
#define IOAPIC_LEN      0x20 /* bytes of registers that are decoded */
#define IOAPIC_MAX_PINS 128

extern const struct bus_ops ioapic_bus_ops;
/** nr_pins 1..IOAPIC_MAX_PINS, all masked. vm is borrowed. */
int __must_check ioapic_create(
	struct hv_vm *vm, unsigned nr_pins, struct ioapic **ret, struct err *err);
void ioapic_destroy(struct ioapic *ioapic);

/* ---- cpuid.c ---- */
/** Gives a vCPU the CPUID that guests see: the host's, or the baseline model's. */
int __must_check x86_set_cpuid(struct hv *hv, struct hv_vcpu *cpu, unsigned id, unsigned nr_cpus,
	bool baseline, struct err *err);

/* ---- clock.c ---- */
/** From here on the guest's question for the time of day exits. Returns 0 or -errno with err. */
int __must_check x86_clock_take_over(struct hv *hv, struct hv_vm *vm, struct err *err);
/**
 * Was the write the guest's question? Then it is answered: the machine began start_s seconds
 * after 1970.
 */
bool x86_clock_answer(const struct hv_exit *exit, const struct guest_memory *gm, uint32_t start_s);

/* ---- regs.c ---- */
/** First registers of CPU 0. */
int __must_check x86_set_entry(
	struct hv_vcpu *cpu, const struct arch_entry *entry, struct err *err);
/** Registers that all CPUs need set before they run. */
int __must_check x86_set_msrs(struct hv_vcpu *cpu, struct err *err);
/** Writes the GDT and the page tables of the 64-bit entry, identity up to at least end. */
int __must_check x86_write_tables(const struct guest_memory *gm, gpa_t end, struct err *err);

/* ---- firmware.c ---- */
struct x86_firmware {
	gpa_t rsdp; /* 0: no ACPI */
};
/** Writes ACPI tables, or the MP table where boot->no_acpi. */
int __must_check x86_write_firmware(const struct guest_memory *gm, const struct arch_boot *boot,
	struct x86_firmware *ret, struct err *err);

/* ---- mptable.c ---- */
/** The MP table for nr_cpus and lines 0..nr_lines into buf; its length, or -ENOSPC. */
int __must_check mptable_build(
	unsigned nr_cpus, unsigned nr_lines, uint32_t base, uint8_t *buf, size_t room);

/* ---- e820 ---- */
struct x86_range {
	uint64_t base, len;
	uint32_t type; /* 1 RAM, 2 reserved: the same numbers in e820 and PVH */
};
#define X86_MAX_RANGES 8
unsigned x86_memory_map(const struct guest_memory *gm, struct x86_range *out);

/* ---- bootparams.c ---- */
struct x86_payload {
	struct kernel_image kernel;
	gpa_t initrd, cmdline;
	uint64_t initrd_len;
	gpa_t rsdp;
};
int __must_check x86_write_boot_params(const struct guest_memory *gm, const struct arch_boot *boot,
	const struct x86_payload *p, struct err *err);
int __must_check x86_write_pvh_info(
	const struct guest_memory *gm, const struct x86_payload *p, struct err *err);
