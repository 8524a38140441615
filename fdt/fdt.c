/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tree as a whole, and the nodes that all machines have: /chosen, /memory@.
 *
 * Invariants:
 * 1. The description is judged whole before the first byte is written; after that only the
 *    room can run out.
 * 2. The bytes depend on nothing but the description: phandles are fixed numbers.
 *
 * What is left out on purpose. No memory reservations: kernel, initrd and tree keep themselves.
 * No "interrupt-parent" in the root of a riscv64 machine: Linux takes it for the parent of the
 * harts' own controllers as well, and then finds none to begin with. No "status": absent means
 * okay.
 *
 * No state; any thread.
 */
#include "fdt/fdt.h"

#include <errno.h>

#include "fdt/parts.h"
#include "fdt/writer.h"

int dtb_check_range(const struct fdt_range *range, const char *what, struct err *err)
{
	if (range->len == 0 || !range_within(range->base, range->len, 0, UINT64_MAX))
		return err_set(err, EINVAL, "FDT: %s: 0x%llx+0x%llx is not in 64 bits", what,
			(unsigned long long)range->base, (unsigned long long)range->len);
	return 0;
}

static int dtb_check(const struct fdt_machine *m, struct err *err)
{
	struct fdt_range initrd = { m->initrd_start, m->initrd_len };
	int r;

	if (!m->aarch64 == !m->riscv64)
		return err_set(err, EINVAL, "FDT: the machine is not of one architecture");
	if (m->nr_cpus < 1 || m->nr_cpus > FDT_MAX_CPUS)
		return err_set(err, EINVAL, "FDT: %u CPUs (1 to %u)", m->nr_cpus, FDT_MAX_CPUS);
	if (m->nr_ram < 1)
		return err_set(err, EINVAL, "FDT: no RAM");
	for (unsigned i = 0; i < m->nr_ram; i++) {
		r = dtb_check_range(&m->ram[i], "RAM", err);
		if (r < 0)
			return r;
	}
	if (initrd.len != 0) {
		r = dtb_check_range(&initrd, "initrd", err);
		if (r < 0)
			return r;
	}
	r = m->aarch64 ? dtb_aarch64_check(m, err) : dtb_riscv64_check(m, err);
	if (r < 0)
		return r;
	return dtb_devs_check(m, err);
}

/* Section 3.6, and the chosen node's schema beside the specification's for what Linux adds. */
static void dtb_chosen(struct dtb *d, const struct fdt_machine *m)
{
	dtb_begin(d, "chosen");
	if (m->cmdline)
		dtb_str(d, "bootargs", m->cmdline);
	dtb_stdout_write(d, m);
	if (m->initrd_len != 0) {
		dtb_u64(d, "linux,initrd-start", m->initrd_start);
		dtb_u64(d, "linux,initrd-end", m->initrd_start + m->initrd_len);
	}
	if (m->has_kaslr_seed)
		dtb_u64(d, "kaslr-seed", m->kaslr_seed);
	if (m->rng_seed_len != 0)
		dtb_bytes(d, "rng-seed", m->rng_seed, m->rng_seed_len);
	dtb_end(d);
}

/* Section 3.4. One node; its address is that of the first range. */
static void dtb_memory(struct dtb *d, const struct fdt_machine *m)
{
	dtb_begin_at(d, "memory", m->ram[0].base);
	dtb_str(d, "device_type", "memory");
	dtb_reg(d, m->ram, m->nr_ram);
	dtb_end(d);
}

int fdt_build(
	const struct fdt_machine *m, uint8_t *buf, size_t room, size_t *ret_len, struct err *err)
{
	struct dtb d;
	int r;

	r = dtb_check(m, err);
	if (r < 0)
		return r;
	dtb_start(&d, buf, room);
	dtb_begin(&d, "");
	dtb_u32(&d, "#address-cells", 2);
	dtb_u32(&d, "#size-cells", 2);
	dtb_str(&d, "compatible", "linux,dummy-virt");
	dtb_str(&d, "model", "mayfly,microvm");
	if (m->aarch64)
		dtb_u32(&d, "interrupt-parent", DTB_PHANDLE_IRQCHIP);
	dtb_aliases_write(&d, m);
	dtb_chosen(&d, m);
	dtb_memory(&d, m);
	if (m->aarch64)
		dtb_aarch64_write(&d, m);
	else
		dtb_riscv64_write(&d, m);
	dtb_devs_write(&d, m);
	dtb_end(&d);
	return dtb_finish(&d, ret_len, err);
}
