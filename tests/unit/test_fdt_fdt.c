/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Trees as a whole, byte for byte against tests/unit/golden/fdt/ (run from the top of the
 * tree), room that runs out, and what all machines have. test_fdt_dtc.c has the golden ones
 * read by dtc.
 *
 * After a change that is meant: MAYFLY_GOLDEN_WRITE=1 writes the files anew; read the change
 * with `dtc -I dtb` before keeping it.
 */
#include "tests/unit/fdt_rig.h"

#define GOLDEN "tests/unit/golden/fdt"

static const char *const kind_name[] = { "gicv3", "gicv2", "aia", "plic" };

static void golden_check(const char *name, const uint8_t *tree, size_t len)
{
	char path[256];
	uint8_t *want;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), GOLDEN "/%s.dtb", name);
	if (getenv("MAYFLY_GOLDEN_WRITE")) {
		f = fopen(path, "w");
		assert_non_null(f);
		assert_int_equal(fwrite(tree, 1, len, f), len);
		assert_int_equal(fclose(f), 0);
		return;
	}
	f = fopen(path, "r");
	if (!f)
		fail_msg("%s: cannot be opened", path);
	want = malloc(len + 1);
	assert_non_null(want);
	n = fread(want, 1, len + 1, f);
	fclose(f);
	if (n != len || memcmp(want, tree, len) != 0)
		fail_msg("%s: differs from the tree that is built", path);
	free(want);
}

static void the_trees_are_the_golden_ones(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < RIG_NR_KINDS; kind++) {
		struct rig *r = rig_new(kind, 2, 2);

		rig_build(r);
		golden_check(kind_name[kind], r->buf, r->len);
		rig_free(r);
	}
}

static void the_same_description_gives_the_same_bytes(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < RIG_NR_KINDS; kind++) {
		struct rig *a = rig_new(kind, 8, 112), *b = rig_new(kind, 8, 112);
		size_t room = 64 * KIB; /* not rig_build's: places of strings must not matter */

		a->m.cmdline = b->m.cmdline = "a"; /* two bytes of padding */
		rig_build(a);
		memset(b->buf, 0xff, RIG_ROOM);
		assert_int_equal(rig_build_in(b, b->buf, room, &b->len), 0);
		assert_int_equal(a->len, b->len);
		assert_memory_equal(a->buf, b->buf, a->len);
		rig_free(a);
		rig_free(b);
	}
}

/* One room. The heap's red zones see a byte too many under a sanitizer, the canary elsewhere. */
static void room_check(struct rig *r, size_t room)
{
	uint8_t *exact = malloc(MAX(room, 1)), *buf = malloc(room + 64), canary[64];
	size_t len = 0;

	assert_non_null(exact);
	assert_non_null(buf);
	memset(canary, 0xc3, sizeof(canary));
	memcpy(buf + room, canary, sizeof(canary));
	assert_int_equal(rig_build_in(r, buf, room, &len), room < r->len ? -ENOSPC : 0);
	assert_memory_equal(buf + room, canary, sizeof(canary));
	assert_int_equal(rig_build_in(r, exact, room, &len), room < r->len ? -ENOSPC : 0);
	if (room >= r->len) {
		assert_int_equal(len, r->len);
		assert_memory_equal(buf, r->buf, len);
		assert_memory_equal(exact, r->buf, len);
	}
	free(exact);
	free(buf);
}

static void every_room_that_is_too_small_is_refused_and_not_passed(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < RIG_NR_KINDS; kind++) {
		struct rig *r = rig_new(kind, 2, 2);

		rig_build(r);
		for (size_t room = 0; room < r->len + 9; room++)
			room_check(r, room);
		rig_free(r);
	}
}

static void room_past_2_mib_is_not_used(void **state)
{
	struct rig *r = rig_new(RIG_AIA, 1, 1);
	uint8_t *buf = malloc(RIG_ROOM + 64), canary[64];
	size_t len;

	(void)state;
	assert_non_null(buf);
	memset(canary, 0xc3, sizeof(canary));
	memcpy(buf + RIG_ROOM, canary, sizeof(canary));
	rig_build(r);
	assert_int_equal(rig_build_in(r, buf, SIZE_MAX, &len), 0);
	assert_int_equal(len, r->len);
	assert_memory_equal(buf, r->buf, len);
	assert_memory_equal(buf + RIG_ROOM, canary, sizeof(canary));
	free(buf);
	rig_free(r);
}

static void a_property_longer_than_the_room_is_refused(void **state)
{
	static const unsigned lens[] = { RIG_ROOM, INT32_MAX - 2, INT32_MAX, 0x80000000,
		UINT32_MAX };
	struct rig *r = rig_new(RIG_GICV3, 1, 0);
	size_t len;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(lens); i++) {
		r->m.rng_seed_len = lens[i]; /* which is not there, and must not be read */
		assert_int_equal(rig_build_in(r, r->buf, RIG_ROOM, &len), -ENOSPC);
	}
	rig_free(r);
}

static void many_cpus_and_devices_have_a_node_each(void **state)
{
	static const unsigned nr_cpus[] = { 64, FDT_MAX_CPUS };
	char path[64];

	(void)state;
	for (unsigned kind = 0; kind < RIG_NR_KINDS; kind++)
		for (unsigned i = 0; i < ARRAY_SIZE(nr_cpus); i++) {
			unsigned cpus = kind == RIG_GICV2 ? 8 : nr_cpus[i];
			struct rig *r = rig_new(kind, cpus, 112);
			int node, cpu = 0, virtio = 0;

			rig_build(r);
			assert_true(cpus > 64 || r->len < 64 * KIB);
			fdt_for_each_subnode(node, r->buf, rig_node(r, "/cpus")) cpu++;
			assert_int_equal(cpu, cpus);
			for (unsigned k = 0; k < 112; k++) {
				snprintf(path, sizeof(path), "/virtio@%llx",
					0x20000000 + 0x1000ULL * k);
				virtio += rig_has_node(r, path);
			}
			assert_int_equal(virtio, 112);
			rig_free(r);
		}
}

static void the_root_says_what_machine_it_is(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < RIG_NR_KINDS; kind++) {
		struct rig *r = rig_new(kind, 1, 1);

		rig_build(r);
		assert_cells(r, "/", "#address-cells", 2);
		assert_cells(r, "/", "#size-cells", 2);
		assert_strs(r, "/", "compatible", "linux,dummy-virt");
		assert_strs(r, "/", "model", "mayfly,microvm");
		if (r->m.aarch64)
			rig_refers(r, "/", "interrupt-parent", 0, "/interrupt-controller@3fff0000");
		else
			assert_false(rig_has(r, "/", "interrupt-parent"));
		rig_free(r);
	}
}

static void memory_is_one_node_with_all_ranges(void **state)
{
	struct rig *r = rig_new(RIG_GICV3, 1, 0);

	(void)state;
	rig_build(r);
	assert_strs(r, "/memory@80000000", "device_type", "memory");
	assert_cells(
		r, "/memory@80000000", "reg", 0, 0x80000000, 0, 0x40000000, 1, 0, 2, 0x40000000);
	rig_free(r);
}

static void chosen_says_what_was_given(void **state)
{
	struct rig *r = rig_new(RIG_PLIC, 1, 0);

	(void)state;
	rig_build(r);
	assert_strs(r, "/chosen", "bootargs", "console=ttyS0 quiet");
	assert_strs(r, "/chosen", "stdout-path", "/serial@10000000");
	assert_cells(r, "/chosen", "linux,initrd-start", 0, 0x8c000000);
	assert_cells(r, "/chosen", "linux,initrd-end", 0, 0x8c012345);
	assert_cells(r, "/chosen", "kaslr-seed", 0x11223344, 0x55667788);
	rig_bytes(r, "/chosen", "rng-seed", rig_seed, sizeof(rig_seed));

	r->m.initrd_start = 0x1ffffffff;
	r->m.initrd_len = 2;
	r->m.cmdline = "";
	rig_build(r);
	assert_cells(r, "/chosen", "linux,initrd-start", 1, 0xffffffff);
	assert_cells(r, "/chosen", "linux,initrd-end", 2, 1);
	assert_strs(r, "/chosen", "bootargs", "");
	rig_free(r);
}

static void chosen_does_not_say_what_was_not_given(void **state)
{
	struct rig *r = rig_new(RIG_PLIC, 1, 0);
	int prop, nr = 0;

	(void)state;
	r->m.cmdline = NULL;
	r->m.initrd_len = 0;
	r->m.rng_seed_len = 0;
	r->m.has_kaslr_seed = false;
	r->m.nr_devs = 0;
	rig_build(r);
	fdt_for_each_property_offset(prop, r->buf, rig_node(r, "/chosen")) nr++;
	assert_int_equal(nr, 0);
	rig_free(r);
}

static struct rig *with_ram(uint64_t base, uint64_t len)
{
	struct rig *r = rig_new(RIG_AIA, 1, 0);

	r->ram[1] = (struct fdt_range){ base, len };
	return r;
}

static struct rig *with_initrd(uint64_t base, uint64_t len)
{
	struct rig *r = rig_new(RIG_AIA, 1, 0);

	r->m.initrd_start = base;
	r->m.initrd_len = len;
	return r;
}

static void ram_and_initrd_past_64_bits_are_refused(void **state)
{
	struct rig *r = rig_new(RIG_GICV3, 1, 0);

	(void)state;
	r->m.nr_ram = 0;
	rig_refused(r, "no RAM");
	rig_accepted(with_ram(UINT64_MAX - 0xfff, 0xfff));
	rig_refused(with_ram(UINT64_MAX - 0xfff, 0x1000), "RAM");
	rig_refused(with_ram(0x100000000, UINT64_MAX), "RAM");
	rig_refused(with_ram(0x100000000, 0), "RAM");
	rig_accepted(with_initrd(UINT64_MAX - 1, 1));
	rig_refused(with_initrd(UINT64_MAX - 1, 2), "initrd");
	rig_refused(with_initrd(2, UINT64_MAX), "initrd");
}

static void a_machine_without_cpus_or_with_too_many_is_refused(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < RIG_NR_KINDS; kind++)
		rig_refused(rig_new(kind, 0, 0), "0 CPUs");
	rig_accepted(rig_new(RIG_GICV3, FDT_MAX_CPUS, 0));
	rig_refused(rig_new(RIG_GICV3, FDT_MAX_CPUS + 1, 0), "513 CPUs (1 to 512)");
	rig_refused(rig_new(RIG_AIA, UINT32_MAX, 0), "(1 to 512)");
}

static void a_machine_is_of_one_architecture(void **state)
{
	struct rig *r = rig_new(RIG_GICV3, 1, 0);

	(void)state;
	r->m.aarch64 = NULL;
	rig_refused(r, "one architecture");
	r = rig_new(RIG_GICV3, 1, 0);
	r->m.riscv64 = &r->rv;
	rig_refused(r, "one architecture");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_trees_are_the_golden_ones),
		cmocka_unit_test(the_same_description_gives_the_same_bytes),
		cmocka_unit_test(every_room_that_is_too_small_is_refused_and_not_passed),
		cmocka_unit_test(room_past_2_mib_is_not_used),
		cmocka_unit_test(a_property_longer_than_the_room_is_refused),
		cmocka_unit_test(many_cpus_and_devices_have_a_node_each),
		cmocka_unit_test(the_root_says_what_machine_it_is),
		cmocka_unit_test(memory_is_one_node_with_all_ranges),
		cmocka_unit_test(chosen_says_what_was_given),
		cmocka_unit_test(chosen_does_not_say_what_was_not_given),
		cmocka_unit_test(ram_and_initrd_past_64_bits_are_refused),
		cmocka_unit_test(a_machine_without_cpus_or_with_too_many_is_refused),
		cmocka_unit_test(a_machine_is_of_one_architecture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
