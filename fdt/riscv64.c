/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is of the architecture on riscv64: harts, and IMSICs with an APLIC or a PLIC. Timer,
 * reset and CPU start are the SBI's, which needs no node.
 *
 * Bindings: riscv/cpus, interrupt-controller/riscv,cpu-intc, riscv,imsics, riscv,aplic and
 * sifive,plic-1.0.0. The interrupt controllers are called what QEMU's are: it is what their
 * bindings allow to a part that no chip maker made. Each says #address-cells 0, though not
 * every binding lists it: dtc 1.6 warns where it is missing.
 *
 * No state; any thread.
 */
#include <errno.h>

#include "fdt/parts.h"

#define DTB_MAX_SOURCES    1023U
#define DTB_IMSIC_PAGE     4096ULL
#define DTB_IMSIC_MAX_IDS  2047U
#define DTB_IMSIC_MAX_BITS 7U
#define DTB_S_EXTERNAL     9U /* a hart's interrupt */

/* A PLIC's contexts: where threshold and claim registers begin, and how far apart they are. */
#define DTB_PLIC_CONTEXTS 0x200000ULL
#define DTB_PLIC_CONTEXT  0x1000ULL

static int dtb_plic_check(const struct fdt_riscv64 *rv, unsigned nr_cpus, struct err *err)
{
	int r = dtb_check_range(&rv->plic, "PLIC", err);

	if (r < 0)
		return r;
	if (rv->plic.len < DTB_PLIC_CONTEXTS + nr_cpus * DTB_PLIC_CONTEXT)
		return err_set(err, EINVAL, "FDT: PLIC contexts of %u CPUs in 0x%llx bytes",
			nr_cpus, (unsigned long long)rv->plic.len);
	return 0;
}

static int dtb_imsic_check(const struct fdt_riscv64 *rv, unsigned nr_cpus, struct err *err)
{
	uint64_t block, blocks = 1;
	unsigned ids = rv->imsic_nr_ids;
	int r = dtb_check_range(&rv->imsic, "IMSICs", err);

	if (r < 0)
		return r;
	if (rv->imsic_guest_bits > DTB_IMSIC_MAX_BITS)
		return err_set(err, EINVAL, "FDT: IMSICs with %u guest bits (0 to %u)",
			rv->imsic_guest_bits, DTB_IMSIC_MAX_BITS);
	/* AIA specification 1.0, section 3.1: one less than a multiple of 64. */
	if (ids % 64 != 63 || ids > DTB_IMSIC_MAX_IDS)
		return err_set(err, EINVAL, "FDT: IMSICs of %u identities (63, 127, ... %u)", ids,
			DTB_IMSIC_MAX_IDS);
	/* Section 3.6: the hart's number is bits of the address of its file. */
	block = DTB_IMSIC_PAGE << rv->imsic_guest_bits;
	while (blocks < nr_cpus)
		blocks *= 2;
	if (rv->imsic.base % (block * blocks) != 0)
		return err_set(err, EINVAL, "FDT: IMSICs of %u CPUs are not aligned at 0x%llx",
			nr_cpus, (unsigned long long)rv->imsic.base);
	if (rv->imsic.len < block * nr_cpus)
		return err_set(err, EINVAL, "FDT: IMSICs of %u CPUs in 0x%llx bytes", nr_cpus,
			(unsigned long long)rv->imsic.len);
	return 0;
}

int dtb_riscv64_check(const struct fdt_machine *m, struct err *err)
{
	const struct fdt_riscv64 *rv = m->riscv64;
	int r;

	if (!rv->isa && rv->nr_isa_ext == 0)
		return err_set(err, EINVAL, "FDT: CPUs without an instruction set");
	if (rv->timebase_hz == 0)
		return err_set(err, EINVAL, "FDT: CPUs whose time stands still");
	if (rv->nr_sources < 1 || rv->nr_sources > DTB_MAX_SOURCES)
		return err_set(err, EINVAL, "FDT: %u interrupt sources (1 to %u)", rv->nr_sources,
			DTB_MAX_SOURCES);
	if (!rv->aia)
		return dtb_plic_check(rv, m->nr_cpus, err);
	r = dtb_check_range(&rv->aplic, "APLIC", err);
	if (r == 0)
		r = dtb_imsic_check(rv, m->nr_cpus, err);
	if (r == 0 && rv->aplic.base == rv->imsic.base)
		r = err_set(err, EINVAL, "FDT: APLIC and IMSICs are both at 0x%llx",
			(unsigned long long)rv->aplic.base);
	return r;
}

static void dtb_hart(struct dtb *d, const struct fdt_riscv64 *rv, unsigned hart)
{
	const struct {
		const char *name;
		uint32_t len;
	} block[] = {
		{ "riscv,cbom-block-size", rv->cbom_block },
		{ "riscv,cboz-block-size", rv->cboz_block },
		{ "riscv,cbop-block-size", rv->cbop_block },
	};

	dtb_begin_at(d, "cpu", hart);
	dtb_str(d, "device_type", "cpu");
	dtb_str(d, "compatible", "riscv");
	dtb_u32(d, "reg", hart);
	if (rv->isa)
		dtb_str(d, "riscv,isa", rv->isa);
	if (rv->nr_isa_ext != 0) {
		dtb_str(d, "riscv,isa-base", "rv64i");
		dtb_strs(d, "riscv,isa-extensions", rv->isa_ext, rv->nr_isa_ext);
	}
	if (rv->mmu_type)
		dtb_str(d, "mmu-type", rv->mmu_type);
	for (unsigned i = 0; i < ARRAY_SIZE(block); i++)
		if (block[i].len != 0)
			dtb_u32(d, block[i].name, block[i].len);

	dtb_begin(d, "interrupt-controller");
	dtb_str(d, "compatible", "riscv,cpu-intc");
	dtb_flag(d, "interrupt-controller");
	dtb_u32(d, "#interrupt-cells", 1);
	dtb_u32(d, "#address-cells", 0);
	dtb_u32(d, "phandle", DTB_PHANDLE_HART + hart);
	dtb_end(d);
	dtb_end(d);
}

static void dtb_harts(struct dtb *d, const struct fdt_machine *m)
{
	dtb_begin(d, "cpus");
	dtb_u32(d, "#address-cells", 1);
	dtb_u32(d, "#size-cells", 0);
	dtb_u32(d, "timebase-frequency", m->riscv64->timebase_hz);
	for (unsigned i = 0; i < m->nr_cpus; i++)
		dtb_hart(d, m->riscv64, i);
	dtb_end(d);
}

/* "interrupts-extended": the S-mode external interrupt of each hart, in order. */
static void dtb_hart_irqs(struct dtb *d, unsigned nr_cpus)
{
	uint32_t cell[FDT_MAX_CPUS][2];

	for (unsigned i = 0; i < nr_cpus; i++) {
		cell[i][0] = DTB_PHANDLE_HART + i;
		cell[i][1] = DTB_S_EXTERNAL;
	}
	dtb_cells(d, "interrupts-extended", &cell[0][0], 2 * (size_t)nr_cpus);
}

static void dtb_plic(struct dtb *d, const struct fdt_machine *m)
{
	static const char *const compatible[] = { "sifive,plic-1.0.0", "riscv,plic0" };
	const struct fdt_riscv64 *rv = m->riscv64;

	dtb_begin_at(d, "interrupt-controller", rv->plic.base);
	dtb_strs(d, "compatible", compatible, ARRAY_SIZE(compatible));
	dtb_reg(d, &rv->plic, 1);
	dtb_hart_irqs(d, m->nr_cpus);
	dtb_flag(d, "interrupt-controller");
	dtb_u32(d, "#interrupt-cells", 1);
	dtb_u32(d, "#address-cells", 0);
	dtb_u32(d, "riscv,ndev", rv->nr_sources);
	dtb_u32(d, "phandle", DTB_PHANDLE_IRQCHIP);
	dtb_end(d);
}

static void dtb_imsics(struct dtb *d, const struct fdt_machine *m)
{
	static const char *const compatible[] = { "qemu,imsics", "riscv,imsics" };
	const struct fdt_riscv64 *rv = m->riscv64;

	dtb_begin_at(d, "interrupt-controller", rv->imsic.base);
	dtb_strs(d, "compatible", compatible, ARRAY_SIZE(compatible));
	dtb_reg(d, &rv->imsic, 1);
	dtb_hart_irqs(d, m->nr_cpus);
	dtb_flag(d, "interrupt-controller");
	dtb_u32(d, "#interrupt-cells", 0);
	dtb_u32(d, "#address-cells", 0);
	dtb_flag(d, "msi-controller");
	dtb_u32(d, "#msi-cells", 0);
	dtb_u32(d, "riscv,num-ids", rv->imsic_nr_ids);
	if (rv->imsic_guest_bits != 0)
		dtb_u32(d, "riscv,guest-index-bits", rv->imsic_guest_bits);
	dtb_u32(d, "phandle", DTB_PHANDLE_IMSIC);
	dtb_end(d);
}

static void dtb_aplic(struct dtb *d, const struct fdt_machine *m)
{
	static const char *const compatible[] = { "qemu,aplic", "riscv,aplic" };
	const struct fdt_riscv64 *rv = m->riscv64;

	dtb_begin_at(d, "interrupt-controller", rv->aplic.base);
	dtb_strs(d, "compatible", compatible, ARRAY_SIZE(compatible));
	dtb_reg(d, &rv->aplic, 1);
	dtb_u32(d, "msi-parent", DTB_PHANDLE_IMSIC);
	dtb_flag(d, "interrupt-controller");
	dtb_u32(d, "#interrupt-cells", 2);
	dtb_u32(d, "#address-cells", 0);
	dtb_u32(d, "riscv,num-sources", rv->nr_sources);
	dtb_u32(d, "phandle", DTB_PHANDLE_IRQCHIP);
	dtb_end(d);
}

void dtb_riscv64_write(struct dtb *d, const struct fdt_machine *m)
{
	dtb_harts(d, m);
	if (m->riscv64->aia) {
		dtb_imsics(d, m);
		dtb_aplic(d, m);
	} else {
		dtb_plic(d, m);
	}
}
