/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of arch/riscv64 share, and the numbers of KVM's user interface that headers
 * older than the hosts do not have (Linux 6.12, arch/riscv/include/uapi/asm/kvm.h).
 */
#pragma once

#include "arch/devicetree/devicetree.h"
#include "base/loop.h"
#include "devices/plic.h"

/* The interrupt controller's registers: a PLIC, or an APLIC and an IMSIC page for each CPU. */
#define RISCV_PLIC      DT_CHIP
#define RISCV_APLIC     DT_CHIP
#define RISCV_APLIC_LEN 0x8000ULL
#define RISCV_IMSIC     (DT_CHIP + 0x2000000)
#define RISCV_IMSIC_LEN 0x1000ULL

/* Registers of KVM_GET_ONE_REG, 64 bits each: their type in bits 24 to 31. */
#define RISCV_REG(type, n)   (KVM_REG_RISCV | KVM_REG_SIZE_U64 | (uint64_t)(type) << 24 | (n))
#define RISCV_REG_CONFIG(n)  RISCV_REG(1, n)
#define RISCV_REG_CORE(n)    RISCV_REG(2, n)
#define RISCV_REG_TIMER(n)   RISCV_REG(4, n)
#define RISCV_REG_ISA_EXT(n) RISCV_REG(7, n)
#define RISCV_REG_SBI_EXT(n) RISCV_REG(8, n)

#define RISCV_CONFIG_CBOM   1 /* bytes */
#define RISCV_CONFIG_VENDOR 2 /* mvendorid, marchid and mimpid */
#define RISCV_CONFIG_ARCH   3
#define RISCV_CONFIG_IMP    4
#define RISCV_CONFIG_CBOZ   5
#define RISCV_CONFIG_SATP   6
#define RISCV_CORE_PC       0
#define RISCV_CORE_A0       10
#define RISCV_CORE_A1       11
#define RISCV_TIMER_HZ      0
#define RISCV_SBI_DBCN      9

/*
 * Sources that AIA serves: each takes an identity of the CPU's interrupt file, and identity 1 is
 * Linux's own. Where KVM has that file in software it cannot enable the upper half of each 64
 * identities: imsic_mrif_atomic_rmw in arch/riscv/kvm/aia_imsic.c changes 32 bits (Linux 6.12).
 */
#define RISCV_AIA_SOURCES     30
#define RISCV_DEV_AIA         11 /* KVM_DEV_TYPE_RISCV_AIA */
#define RISCV_AIA_CONFIG      0
#define RISCV_AIA_CONFIG_IDS  1
#define RISCV_AIA_CONFIG_SRCS 2
#define RISCV_AIA_CONFIG_HART 5
#define RISCV_AIA_ADDR        1
#define RISCV_AIA_ADDR_APLIC  0
#define RISCV_AIA_ADDR_IMSIC  1 /* and the CPU's index */
#define RISCV_AIA_CTRL        2
#define RISCV_AIA_CTRL_INIT   0

struct arch_vm;

/** A line from a device: an eventfd on the loop. */
struct riscv_line {
	struct watch watch; /* active once bound */
	struct arch_vm *av;
	uint32_t source;
};

struct arch_vm {
	struct hv *hv;
	struct hv_vm *vm;
	struct loop *loop;
	struct hv_vcpu *cpu[ARCH_MAX_CPUS]; /* borrowed, nr_cpus of them once ready */
	unsigned nr_cpus, nr_sources;
	bool baseline_cpu;
	int aia_fd;                                   /* owned; -1: a PLIC in this process */
	uint32_t aia_ids;                             /* interrupt identities of an IMSIC file */
	struct plic *plic;                            /* owned; NULL: AIA in KVM */
	struct riscv_line line[PLIC_MAX_SOURCES + 1]; /* loop thread once it runs */
};

/** Registers of a CPU that is not running. Returns 0 or -errno. */
int __must_check riscv_get(struct hv_vcpu *cpu, uint64_t id, uint64_t *ret);
int __must_check riscv_set(struct hv_vcpu *cpu, uint64_t id, uint64_t value);

/* ---- isa.c ---- */
/** KVM's numbers of extensions, as far as this code asks for one by name. */
#define RISCV_ISA_SVPBMT 7
#define RISCV_MAX_EXT    64
#define RISCV_ISA_LEN    768 /* bytes, more than all names together */

struct riscv_isa {
	const char *ext[RISCV_MAX_EXT]; /* "i", "m", ... in canonical order */
	unsigned nr_ext;
	char isa[RISCV_ISA_LEN]; /* "rv64imac_zicsr..." */
};
/** What KVM gives the CPU. */
void riscv_isa_read(struct hv_vcpu *cpu, struct riscv_isa *ret);
/** Takes from it all that KVM lets go, but for what the baseline model has. */
void riscv_isa_hide(struct hv_vcpu *cpu);
/** Does KVM give the CPU extension number n? */
bool riscv_isa_has(struct hv_vcpu *cpu, unsigned n);

/* ---- chip.c ---- */
/** AIA in KVM where the host has it, otherwise a PLIC at its place on mmio. */
int __must_check chip_create(struct arch_vm *av, struct bus *mmio, struct err *err);
/** All CPUs are there. */
int __must_check chip_ready(struct arch_vm *av, struct err *err);
void chip_destroy(struct arch_vm *av);
/** Fills in what the tree says of it. */
void chip_describe(const struct arch_vm *av, struct fdt_riscv64 *ret);
