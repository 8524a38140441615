/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is of the architecture on aarch64: CPUs, PSCI, timer, PMU, GIC.
 *
 * Bindings: arm/cpus, arm/psci, timer/arm,arch_timer, arm/pmu, interrupt-controller/arm,gic
 * and arm,gic-v3. No state; any thread.
 */
#include <errno.h>

#include "fdt/parts.h"

#define DTB_GICV2_CPUS 8U
#define DTB_REDIST_LEN 0x20000ULL      /* of a CPU: RD and SGI frames of 64 KiB */
#define DTB_MPIDR_AFF  0xff00ffffffULL /* Aff3, Aff2 to Aff0; the rest says other things */
#define DTB_PPI        1U              /* first cell of an interrupt */
#define DTB_PPI_PMU    7U

static uint64_t dtb_affinity(const struct fdt_machine *m, unsigned cpu)
{
	return m->aarch64->mpidr[cpu] & DTB_MPIDR_AFF;
}

static int dtb_gic_check(const struct fdt_gic *gic, unsigned nr_cpus, struct err *err)
{
	int r;

	if (gic->version != 2 && gic->version != 3)
		return err_set(err, EINVAL, "FDT: GIC of version %u (2 or 3)", gic->version);
	r = dtb_check_range(&gic->dist, "GIC distributor", err);
	if (r == 0)
		r = dtb_check_range(&gic->cpu_or_redist,
			gic->version == 3 ? "GIC redistributors" : "GIC CPU interface", err);
	if (r < 0)
		return r;
	if (gic->version == 2 && nr_cpus > DTB_GICV2_CPUS)
		return err_set(err, EINVAL, "FDT: %u CPUs are more than a GICv2 serves (%u)",
			nr_cpus, DTB_GICV2_CPUS);
	if (gic->version == 3 && gic->cpu_or_redist.len < nr_cpus * DTB_REDIST_LEN)
		return err_set(err, EINVAL, "FDT: GIC redistributors of %u CPUs in 0x%llx bytes",
			nr_cpus, (unsigned long long)gic->cpu_or_redist.len);
	return 0;
}

int dtb_aarch64_check(const struct fdt_machine *m, struct err *err)
{
	if (!m->aarch64->mpidr)
		return err_set(err, EINVAL, "FDT: CPUs without MPIDRs");
	for (unsigned i = 0; i < m->nr_cpus; i++)
		for (unsigned k = 0; k < i; k++)
			if (dtb_affinity(m, i) == dtb_affinity(m, k))
				return err_set(
					err, EINVAL, "FDT: CPUs %u and %u have one MPIDR", k, i);
	return dtb_gic_check(&m->aarch64->gic, m->nr_cpus, err);
}

static void dtb_arm_cpus(struct dtb *d, const struct fdt_machine *m)
{
	dtb_begin(d, "cpus");
	dtb_u32(d, "#address-cells", 2); /* with Aff3 in the first */
	dtb_u32(d, "#size-cells", 0);
	for (unsigned i = 0; i < m->nr_cpus; i++) {
		dtb_begin_at(d, "cpu", dtb_affinity(m, i));
		dtb_str(d, "device_type", "cpu");
		dtb_str(d, "compatible", "arm,armv8");
		dtb_u64(d, "reg", dtb_affinity(m, i));
		dtb_str(d, "enable-method", "psci");
		dtb_end(d);
	}
	dtb_end(d);
}

/* The flags of a PPI. GICv2's say whose it is: all CPUs'. */
static uint32_t dtb_ppi_flags(const struct fdt_machine *m)
{
	uint32_t cpus = (uint32_t)BIT(m->nr_cpus % 32) - 1;

	return m->aarch64->gic.version == 2 ? cpus << 8 | DTB_IRQ_LEVEL_HIGH : DTB_IRQ_LEVEL_HIGH;
}

static void dtb_arm_ppis(struct dtb *d, const struct fdt_machine *m)
{
	static const char *const psci[] = { "arm,psci-1.0", "arm,psci-0.2" };
	uint32_t f = dtb_ppi_flags(m);
	/* Secure, non-secure, virtual, hypervisor. */
	const uint32_t timer[] = { DTB_PPI, 13, f, DTB_PPI, 14, f, DTB_PPI, 11, f, DTB_PPI, 10, f };
	const uint32_t pmu[] = { DTB_PPI, DTB_PPI_PMU, f };

	dtb_begin(d, "psci");
	dtb_strs(d, "compatible", psci, ARRAY_SIZE(psci));
	dtb_str(d, "method", "hvc");
	dtb_end(d);

	dtb_begin(d, "timer");
	dtb_str(d, "compatible", "arm,armv8-timer");
	dtb_cells(d, "interrupts", timer, ARRAY_SIZE(timer));
	dtb_flag(d, "always-on");
	dtb_end(d);

	if (!m->aarch64->pmu)
		return;
	dtb_begin(d, "pmu");
	dtb_str(d, "compatible", "arm,armv8-pmuv3");
	dtb_cells(d, "interrupts", pmu, ARRAY_SIZE(pmu));
	dtb_end(d);
}

static void dtb_gic(struct dtb *d, const struct fdt_gic *gic)
{
	const struct fdt_range reg[] = { gic->dist, gic->cpu_or_redist };

	dtb_begin_at(d, "interrupt-controller", gic->dist.base);
	dtb_str(d, "compatible", gic->version == 3 ? "arm,gic-v3" : "arm,cortex-a15-gic");
	dtb_reg(d, reg, ARRAY_SIZE(reg));
	dtb_flag(d, "interrupt-controller");
	dtb_u32(d, "#interrupt-cells", 3);
	dtb_u32(d, "#address-cells", 0);
	dtb_u32(d, "phandle", DTB_PHANDLE_IRQCHIP);
	dtb_end(d);
}

void dtb_aarch64_write(struct dtb *d, const struct fdt_machine *m)
{
	dtb_arm_cpus(d, m);
	dtb_arm_ppis(d, m);
	dtb_gic(d, &m->aarch64->gic);
}
