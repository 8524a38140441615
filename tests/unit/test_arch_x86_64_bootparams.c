// SPDX-License-Identifier: BSD-3-Clause
/* What a kernel finds in memory: the memory map, boot_params, PVH's start info, page tables. */
#include <asm/bootparam.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "arch/x86_64/layout.h"
#include "arch/x86_64/x86.h"

struct bp {
	struct guest_memory gm;
	struct arch_boot boot;
	struct x86_payload p;
	struct err err;
};

static void bp_ram(struct bp *t, uint64_t mib)
{
	gm_fini(&t->gm);
	if (arch_add_ram(&t->gm, mib * MIB, &t->err))
		fail_msg("%s", t->err.msg);
}

static int bp_setup(void **state)
{
	struct bp *t = calloc(1, sizeof(*t));

	t->p.cmdline = X86_CMDLINE;
	bp_ram(t, 128);
	*state = t;
	return 0;
}

static int bp_teardown(void **state)
{
	gm_fini(&((struct bp *)*state)->gm);
	free(*state);
	return 0;
}

#define BP_TEST(f) cmocka_unit_test_setup_teardown(f, bp_setup, bp_teardown)

/* ---- the memory map ---- */

struct want {
	uint64_t mib;
	unsigned nr;
	struct x86_range range[4];
};

static const struct want maps[] = {
	{ 128, 3, { { 0, 0xa0000, 1 }, { 0xe0000, 0x20000, 2 }, { 0x100000, 127 * MIB, 1 } } },
	{ 3328, 3, { { 0, 0xa0000, 1 }, { 0xe0000, 0x20000, 2 }, { 0x100000, 3327 * MIB, 1 } } },
	{ 3329, 4,
		{ { 0, 0xa0000, 1 }, { 0xe0000, 0x20000, 2 }, { 0x100000, 3327 * MIB, 1 },
			{ 4 * GIB, MIB, 1 } } },
	{ 5120, 4,
		{ { 0, 0xa0000, 1 }, { 0xe0000, 0x20000, 2 }, { 0x100000, 3327 * MIB, 1 },
			{ 4 * GIB, 1792 * MIB, 1 } } },
};

static void ram_leaves_the_hole_below_4_gib_free(void **state)
{
	struct bp *t = *state;

	for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
		const struct x86_range *last = &maps[i].range[maps[i].nr - 1];

		bp_ram(t, maps[i].mib);
		assert_int_equal(gm_total(&t->gm), maps[i].mib * MIB);
		assert_null(gm_slice(&t->gm, X86_LOW_RAM_END, 1));
		assert_null(gm_slice(&t->gm, X86_HIGH_RAM - 1, 1));
		assert_non_null(gm_slice(&t->gm, last->base + last->len - 1, 1));
		assert_null(gm_slice(&t->gm, last->base + last->len, 1));
	}
}

static void the_memory_map_names_ram_and_the_tables(void **state)
{
	struct bp *t = *state;

	for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
		struct x86_range out[X86_MAX_RANGES];

		bp_ram(t, maps[i].mib);
		assert_int_equal(x86_memory_map(&t->gm, out), maps[i].nr);
		for (unsigned n = 0; n < maps[i].nr; n++) {
			assert_int_equal(out[n].base, maps[i].range[n].base);
			assert_int_equal(out[n].len, maps[i].range[n].len);
			assert_int_equal(out[n].type, maps[i].range[n].type);
		}
	}
}

static void nothing_that_the_monitor_writes_lies_in_the_way_of_something_else(void **state)
{
	static const struct {
		uint64_t base, len;
	} place[] = { { X86_GDT, 40 }, { X86_ZERO_PAGE, sizeof(struct boot_params) },
		{ X86_PAGE_TABLES, 6 * PAGE_SIZE_4K }, { X86_CMDLINE, ARCH_CMDLINE_ROOM },
		{ X86_SETUP_DATA, 16 + 256 }, { X86_TABLES, X86_TABLES_LEN },
		{ X86_KERNEL_LOW, 1 } };

	(void)state;
	for (size_t i = 1; i < ARRAY_SIZE(place); i++)
		assert_true(place[i].base - place[i - 1].base >= place[i - 1].len);
}

/* ---- boot_params ---- */

static struct boot_params *bp_write(struct bp *t)
{
	if (x86_write_boot_params(&t->gm, &t->boot, &t->p, &t->err))
		fail_msg("%s", t->err.msg);
	return gm_slice(&t->gm, X86_ZERO_PAGE, sizeof(struct boot_params));
}

static void boot_params_hold_the_memory_map(void **state)
{
	struct bp *t = *state;

	for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
		const struct boot_params *bp;

		bp_ram(t, maps[i].mib);
		bp = bp_write(t);
		assert_int_equal(bp->e820_entries, maps[i].nr);
		for (unsigned n = 0; n < maps[i].nr; n++) {
			assert_int_equal(bp->e820_table[n].addr, maps[i].range[n].base);
			assert_int_equal(bp->e820_table[n].size, maps[i].range[n].len);
			assert_int_equal(bp->e820_table[n].type, maps[i].range[n].type);
		}
	}
}

static void boot_params_say_where_everything_is(void **state)
{
	struct bp *t = *state;
	const struct boot_params *bp;

	t->p.initrd = 0x1234567000;
	t->p.initrd_len = 0x1200000345;
	t->p.rsdp = 0xe0000;
	bp = bp_write(t);
	assert_int_equal(bp->hdr.cmd_line_ptr, X86_CMDLINE);
	assert_int_equal(bp->hdr.ramdisk_image, 0x34567000);
	assert_int_equal(bp->ext_ramdisk_image, 0x12);
	assert_int_equal(bp->hdr.ramdisk_size, 0x00000345);
	assert_int_equal(bp->ext_ramdisk_size, 0x12);
	assert_int_equal(bp->acpi_rsdp_addr, 0xe0000);
	assert_int_equal(bp->hdr.type_of_loader, 0xff);
}

static void an_elf_kernel_gets_a_header_made_for_it(void **state)
{
	const struct boot_params *bp = bp_write(*state);

	assert_int_equal(bp->hdr.boot_flag, 0xaa55);
	assert_memory_equal(&bp->hdr.header, "HdrS", 4);
	assert_true(bp->hdr.version >= 0x20c);
	assert_int_equal(bp->hdr.setup_data, 0);
	/* What nobody sets is zero: a kernel takes sentinel for a boot loader's garbage. */
	assert_int_equal(bp->sentinel, 0);
}

static void a_bzimages_header_is_kept_but_for_what_the_loader_owns(void **state)
{
	struct bp *t = *state;
	const struct boot_params *bp;
	const uint8_t *raw;

	memset(t->p.kernel.setup_header, 0xa5, SETUP_HEADER_MAX);
	t->p.kernel.setup_header_len = SETUP_HEADER_MAX;
	bp = bp_write(t);
	raw = (const uint8_t *)bp;
	assert_int_equal(bp->hdr.setup_sects, 0xa5);
	assert_int_equal(bp->hdr.version, 0xa5a5);
	assert_int_equal(bp->hdr.init_size, 0xa5a5a5a5);
	assert_int_equal(raw[SETUP_HEADER_OFFSET + SETUP_HEADER_MAX - 1], 0xa5);
	assert_int_equal(raw[SETUP_HEADER_OFFSET + SETUP_HEADER_MAX], 0);
	assert_int_equal(raw[SETUP_HEADER_OFFSET - 1], 0);
	assert_int_equal(bp->hdr.type_of_loader, 0xff);
	assert_int_equal(bp->hdr.cmd_line_ptr, X86_CMDLINE);
	assert_int_equal(bp->hdr.ramdisk_size, 0);
}

static void the_seed_is_a_node_that_boot_params_point_to(void **state)
{
	struct bp *t = *state;
	const struct boot_params *bp;
	const struct setup_data *node;
	uint8_t seed[256];

	for (unsigned i = 0; i < sizeof(seed); i++)
		seed[i] = (uint8_t)(i * 3 + 1);
	t->boot.rng_seed = seed;
	t->boot.rng_seed_len = sizeof(seed);
	bp = bp_write(t);
	assert_int_equal(bp->hdr.setup_data, X86_SETUP_DATA);
	node = gm_slice(&t->gm, X86_SETUP_DATA, sizeof(*node) + sizeof(seed) + 1);
	assert_int_equal(node->type, 9);
	assert_int_equal(node->next, 0);
	assert_int_equal(node->len, sizeof(seed));
	assert_memory_equal(node->data, seed, sizeof(seed));
	assert_int_equal(node->data[sizeof(seed)], 0);
}

static void ram_that_does_not_hold_the_boot_data_is_refused(void **state)
{
	static const uint8_t seed[64];
	struct bp *t = *state;
	uint8_t *ram = aligned_alloc(PAGE_SIZE_4K, X86_SETUP_DATA);

	gm_fini(&t->gm);
	memset(ram, 0, X86_SETUP_DATA);
	assert_int_equal(gm_add_borrowed(&t->gm, 0, ram, X86_SETUP_DATA), 0);
	assert_int_equal(x86_write_boot_params(&t->gm, &t->boot, &t->p, &t->err), 0);
	t->boot.rng_seed = seed;
	t->boot.rng_seed_len = sizeof(seed);
	assert_int_equal(x86_write_boot_params(&t->gm, &t->boot, &t->p, &t->err), -ENOSPC);
	t->boot.rng_seed = NULL;
	gm_fini(&t->gm);
	assert_int_equal(gm_add_borrowed(&t->gm, 0, ram, X86_ZERO_PAGE), 0);
	assert_int_equal(x86_write_boot_params(&t->gm, &t->boot, &t->p, &t->err), -ENOSPC);
	assert_int_equal(x86_write_pvh_info(&t->gm, &t->p, &t->err), -ENOSPC);
	assert_int_equal(x86_write_tables(&t->gm, MIB, &t->err), -ENOSPC);
	gm_fini(&t->gm);
	assert_int_equal(gm_add_borrowed(&t->gm, PAGE_SIZE_4K, ram, X86_ZERO_PAGE * 4), 0);
	/* No first page: no place for the GDT. */
	assert_int_equal(x86_write_tables(&t->gm, MIB, &t->err), -ENOSPC);
	gm_fini(&t->gm);
	free(ram);
}

/* ---- PVH ---- */

static void pvh_start_info_says_where_everything_is(void **state)
{
	struct bp *t = *state;
	const uint8_t *info, *module;

	t->p.initrd = 0x7000000;
	t->p.initrd_len = 0x12345;
	t->p.rsdp = 0xe0010;
	if (x86_write_pvh_info(&t->gm, &t->p, &t->err))
		fail_msg("%s", t->err.msg);
	info = gm_slice(&t->gm, X86_PVH_INFO, 56);
	assert_int_equal(le32_get(info), 0x336ec578);
	assert_int_equal(le32_get(info + 4), 1); /* version, with a memory map */
	assert_int_equal(le32_get(info + 8), 0);
	assert_int_equal(le32_get(info + 12), 1);
	assert_int_equal(le64_get(info + 24), X86_CMDLINE);
	assert_int_equal(le64_get(info + 32), 0xe0010);
	module = gm_slice(&t->gm, le64_get(info + 16), 32);
	assert_non_null(module);
	assert_int_equal(le64_get(module), 0x7000000);
	assert_int_equal(le64_get(module + 8), 0x12345);
	assert_int_equal(le64_get(module + 16), 0);
}

static void pvh_without_an_initrd_has_no_module(void **state)
{
	struct bp *t = *state;
	const uint8_t *info;

	if (x86_write_pvh_info(&t->gm, &t->p, &t->err))
		fail_msg("%s", t->err.msg);
	info = gm_slice(&t->gm, X86_PVH_INFO, 56);
	assert_int_equal(le32_get(info + 12), 0);
	assert_int_equal(le64_get(info + 16), 0);
}

static void pvhs_memory_map_is_the_same(void **state)
{
	struct bp *t = *state;

	for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
		const uint8_t *info, *map;

		bp_ram(t, maps[i].mib);
		assert_int_equal(x86_write_pvh_info(&t->gm, &t->p, &t->err), 0);
		info = gm_slice(&t->gm, X86_PVH_INFO, 56);
		assert_int_equal(le32_get(info + 48), maps[i].nr);
		map = gm_slice(&t->gm, le64_get(info + 40), 24ULL * maps[i].nr);
		assert_non_null(map);
		for (unsigned n = 0; n < maps[i].nr; n++) {
			assert_int_equal(le64_get(map + 24 * n), maps[i].range[n].base);
			assert_int_equal(le64_get(map + 24 * n + 8), maps[i].range[n].len);
			assert_int_equal(le32_get(map + 24 * n + 16), maps[i].range[n].type);
			assert_int_equal(le32_get(map + 24 * n + 20), 0);
		}
	}
}

/* ---- page tables and GDT ---- */

/** Walks as the processor does; UINT64_MAX where an entry is missing. */
static uint64_t bp_walk(const struct bp *t, uint64_t va)
{
	gpa_t table = X86_PAGE_TABLES;
	uint64_t e = 0;

	for (unsigned shift = 39; shift >= 21; shift -= 9) {
		const uint8_t *p = gm_slice(&t->gm, table + ((va >> shift) & 511) * 8, 8);

		assert_non_null(p);
		e = le64_get(p);
		if (!(e & BIT(0)))
			return UINT64_MAX;
		assert_true(e & BIT(1));
		table = e & 0x000ffffffffff000;
	}
	assert_true(e & BIT(7));
	return table + (va & (2 * MIB - 1));
}

static void memory_up_to_the_kernels_end_is_mapped_to_itself(void **state)
{
	static const struct {
		uint64_t end, mapped;
	} ends[] = { { 0, GIB }, { MIB, GIB }, { GIB, GIB }, { GIB + 1, 2 * GIB },
		{ 3 * GIB + 5, 4 * GIB }, { 4 * GIB, 4 * GIB }, { 64 * GIB, 4 * GIB } };
	struct bp *t = *state;

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		bp_ram(t, 128);
		assert_int_equal(x86_write_tables(&t->gm, ends[i].end, &t->err), 0);
		for (uint64_t va = 0; va < ends[i].mapped; va += 2 * MIB)
			assert_int_equal(bp_walk(t, va), va);
		assert_int_equal(bp_walk(t, ends[i].mapped - 1), ends[i].mapped - 1);
		assert_int_equal(bp_walk(t, ends[i].mapped), UINT64_MAX);
		assert_int_equal(bp_walk(t, 512 * GIB), UINT64_MAX);
	}
}

static void the_gdt_has_linuxs_boot_selectors(void **state)
{
	struct bp *t = *state;
	const uint8_t *gdt;

	assert_int_equal(x86_write_tables(&t->gm, MIB, &t->err), 0);
	gdt = gm_slice(&t->gm, X86_GDT, 40);
	assert_int_equal(le64_get(gdt), 0);
	assert_int_equal(le64_get(gdt + 0x10), 0x00af9b000000ffff); /* __BOOT_CS: 64-bit */
	assert_int_equal(le64_get(gdt + 0x18), 0x00cf93000000ffff); /* __BOOT_DS */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BP_TEST(ram_leaves_the_hole_below_4_gib_free),
		BP_TEST(the_memory_map_names_ram_and_the_tables),
		BP_TEST(nothing_that_the_monitor_writes_lies_in_the_way_of_something_else),
		BP_TEST(boot_params_hold_the_memory_map),
		BP_TEST(boot_params_say_where_everything_is),
		BP_TEST(an_elf_kernel_gets_a_header_made_for_it),
		BP_TEST(a_bzimages_header_is_kept_but_for_what_the_loader_owns),
		BP_TEST(the_seed_is_a_node_that_boot_params_point_to),
		BP_TEST(ram_that_does_not_hold_the_boot_data_is_refused),
		BP_TEST(pvh_start_info_says_where_everything_is),
		BP_TEST(pvh_without_an_initrd_has_no_module),
		BP_TEST(pvhs_memory_map_is_the_same),
		BP_TEST(memory_up_to_the_kernels_end_is_mapped_to_itself),
		BP_TEST(the_gdt_has_linuxs_boot_selectors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
