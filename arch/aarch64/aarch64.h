/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of arch/aarch64 share. */
#pragma once

#include "arch/devicetree/devicetree.h"

/*
 * The interrupt controller's registers, from DT_CHIP on: the distributor; 64 KiB on the CPU
 * interface of a GICv2, or the redistributors of a GICv3, 128 KiB a CPU.
 */
#define GIC_DIST         DT_CHIP
#define GIC_V2_DIST_LEN  0x1000ULL
#define GIC_V2_CPU       (DT_CHIP + 0x10000)
#define GIC_V2_CPU_LEN   0x2000ULL
#define GIC_V2_MAX_CPUS  8
#define GIC_V3_DIST_LEN  0x10000ULL
#define GIC_V3_REDIST    (DT_CHIP + 0x10000)
#define GIC_V3_CPU_LEN   0x20000ULL
#define GIC_PRIVATE_IRQS 32 /* interrupt ids before the first SPI */
#define GIC_PMU_IRQ      23 /* PPI 7 */

struct arch_vm {
	struct hv *hv;
	struct hv_vm *vm;
	struct hv_vcpu *cpu[ARCH_MAX_CPUS]; /* borrowed, nr_cpus of them once ready */
	unsigned nr_cpus;
	int gic_fd; /* owned */
	unsigned gic_version;
	bool pmu, baseline_cpu;
};

/* ---- cpu.c ---- */
#define CPU_REG_MPIDR ARM64_SYS_REG(3, 0, 0, 0, 5)
/** Registers of a CPU that does not run. Returns 0 or -errno. */
int __must_check cpu_set(struct hv_vcpu *cpu, uint64_t id, uint64_t value);
int __must_check cpu_get(struct hv_vcpu *cpu, uint64_t id, uint64_t *ret);
/** Takes from what the CPU says of itself all that KVM lets go and Armv8.0 does not have. */
void cpu_hide(struct hv_vcpu *cpu);

/* ---- gic.c ---- */
/** The newest GIC that the host's KVM has, with room for nr_lines SPIs. */
int __must_check gic_create(struct arch_vm *av, unsigned nr_lines, struct err *err);
/** All CPUs are there. */
int __must_check gic_ready(struct arch_vm *av, struct err *err);
/** What the tree says of it. */
struct fdt_gic gic_describe(const struct arch_vm *av);
