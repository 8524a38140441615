/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Flattened device trees (Devicetree Specification 0.4, chapter 5): the description of an
 * aarch64 or riscv64 machine in, a blob out. Pure: no files, no guest memory, the same bytes
 * for the same description. What each node holds is said by its binding, in
 * Documentation/devicetree/bindings of Linux 6.12. Any thread.
 *
 * fdt_ is libfdt's prefix, too; nothing here may be called what libfdt calls its own. Inside
 * this folder functions are therefore called dtb_*.
 *
 * All of these are children of the root; the unit address is the first window's:
 *
 *   aliases, chosen, memory@, cpus, and a node for each device
 *   aarch64: psci, timer, pmu, interrupt-controller@ (GIC), apb-pclk (clock of a PL031)
 *   riscv64: interrupt-controller@ (PLIC; or IMSICs and APLIC)
 */
#pragma once

#include "base/base.h"
#include "base/err.h"

#define FDT_MAX_CPUS 512U

/** A window of registers, or RAM: at least one byte, and none past 64 bits. */
struct fdt_range {
	uint64_t base, len; /* bytes */
};

enum fdt_dev_kind {
	FDT_DEV_UART,         /* ns16550a with byte registers side by side */
	FDT_DEV_VIRTIO_MMIO,  /* virtio,mmio */
	FDT_DEV_PVPANIC,      /* qemu,pvpanic-mmio */
	FDT_DEV_RTC_PL031,    /* arm,pl031 */
	FDT_DEV_RTC_GOLDFISH, /* google,goldfish-rtc */
};

/**
 * A device. No two of a kind have the same base. Linux drives no uart, virtio device or
 * goldfish clock without an interrupt: those must have one.
 */
struct fdt_dev {
	enum fdt_dev_kind kind;
	uint64_t base, len; /* bytes */
	bool has_irq;
	/*
	 * Edge-triggered, rising. GIC: the SPI, 0..987 (interrupt id 32 + irq). APLIC and PLIC:
	 * the source, 1..nr_sources. A PLIC's specifier has no room to say which edge.
	 */
	uint32_t irq;
};

/** The interrupt controller, in KVM; no ITS. Version 2 serves up to 8 CPUs. */
struct fdt_gic {
	unsigned version; /* 2 or 3 */
	struct fdt_range dist;
	/* Version 2: the CPU interface. 3: one region of redistributors, 128 KiB a CPU. */
	struct fdt_range cpu_or_redist;
};

/** PSCI 1.0 by HVC; architected timer on PPIs 13, 14, 11 and 10, level, active high. */
struct fdt_aarch64 {
	struct fdt_gic gic;
	const uint64_t *mpidr; /* MPIDR_EL1 of each CPU; only Aff0 to Aff3 are looked at */
	bool pmu;              /* PMUv3 of all CPUs on PPI 7 */
};

/** The hart id of CPU i is i. At least one of isa and isa_ext is given. */
struct fdt_riscv64 {
	const char *isa;            /* "rv64imafdc_zicsr_..."; NULL: not said */
	const char *const *isa_ext; /* "i", "m", "zicsr", ...; also says riscv,isa-base rv64i */
	unsigned nr_isa_ext;
	const char *mmu_type;                        /* "riscv,sv48"; NULL: not said */
	uint32_t timebase_hz;                        /* of the time CSR */
	uint32_t cbom_block, cboz_block, cbop_block; /* bytes; 0: absent */
	unsigned nr_sources;                         /* of the APLIC or PLIC: 1..1023 */
	bool aia;                                    /* APLIC and IMSICs, else a PLIC */
	/*
	 * !aia. One context a hart, of S-mode, and its number is the hart's: there is no M-mode
	 * in the guest, and no context for it.
	 */
	struct fdt_range plic;
	struct fdt_range aplic; /* aia: the only domain, of S-mode; sends MSIs to the IMSICs */
	/*
	 * aia: interrupt files of all harts, a block of 4 KiB << imsic_guest_bits each, that of
	 * S-mode first. Aligned to the blocks of nr_cpus, rounded up to a power of two.
	 */
	struct fdt_range imsic;
	unsigned imsic_nr_ids;     /* of an S-mode file: 63, 127, ... 2047 */
	unsigned imsic_guest_bits; /* 0..7 */
};

struct fdt_machine {
	const struct fdt_range *ram; /* one at least; the first names the node */
	unsigned nr_ram;
	unsigned nr_cpus; /* 1..FDT_MAX_CPUS */
	const struct fdt_dev *dev;
	unsigned nr_devs;
	const char *cmdline;               /* NULL: not said */
	uint64_t initrd_start, initrd_len; /* bytes; len 0: none */
	const uint8_t *rng_seed;
	unsigned rng_seed_len; /* bytes; 0: none */
	bool has_kaslr_seed;
	uint64_t kaslr_seed;
	/* Exactly one of the two. */
	const struct fdt_aarch64 *aarch64;
	const struct fdt_riscv64 *riscv64;
};

/**
 * Builds the tree in buf, which is aligned to 8 bytes. The first uart is stdout, and uarts
 * are serial0, serial1, ... in their order. Scratches all of the room; *ret_len bytes of it
 * are the tree. Of 64 CPUs and 112 devices, that is less than 80 KiB; room past 2 MiB is not
 * used. Returns 0; -EINVAL for a description that cannot be said, before anything is written;
 * -ENOSPC.
 */
int __must_check fdt_build(
	const struct fdt_machine *m, uint8_t *buf, size_t room, size_t *ret_len, struct err *err);
