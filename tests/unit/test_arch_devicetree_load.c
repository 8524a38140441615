// SPDX-License-Identifier: BSD-3-Clause
/*
 * A payload and its tree in memory: where they lie, what the tree says, and what does not fit.
 */
#include "tests/unit/devicetree_rig.h"

#include "devices/power.h"

#define CHOSEN    "/chosen"
#define KERNEL_AT (DT_RAM) /* an Image without a text_offset, at a 2 MiB boundary */

/* ---- where the tree lies ---- */

static void the_tree_lies_where_the_payload_says_within_the_kernels_own(void **state)
{
	static const uint64_t sizes[] = { 0x300, 0xffff, 0x10000, 0x10001, 0x1fffff, 5 * MIB + 1 };
	struct dr *t = *state;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		dr_image(t, sizes[i]);
		dr_loads(t);
		assert_int_equal(t->payload.kernel.start, KERNEL_AT);
		assert_int_equal(t->entry.pc, KERNEL_AT);
		assert_int_equal(t->entry.kind, t->payload.kernel.kind);
		assert_int_equal(t->entry.arg, t->payload.tables);
		/* Behind BSS, on a page of its own whatever the size of pages. */
		assert_true(t->payload.tables >= KERNEL_AT + sizes[i]);
		assert_int_equal(t->payload.tables % 0x10000, 0);
		assert_int_equal(t->payload.kernel.end, t->payload.tables + DT_ROOM);
		assert_true(fdt_totalsize(dr_fdt(t)) <= DT_ROOM);
		assert_memory_equal(
			gm_slice(&t->gm, KERNEL_AT, t->file.len), t->file.file, t->file.len);
		assert_int_equal(t->payload.initrd_len, 0);
	}
}

static void the_largest_machine_has_room_for_its_tree(void **state)
{
	char line[2048];
	uint8_t seed[64] = { 0 };
	struct dr *t = *state;

	dr_devices(t, ARCH_MAX_UARTS, ARCH_MAX_VIRTIO);
	dr_machine(t, ARCH_MAX_CPUS);
	memset(line, 'x', sizeof(line));
	line[dt_kernel_target.cmdline_max] = '\0';
	t->boot.cmdline = line;
	t->boot.rng_seed = seed;
	t->boot.rng_seed_len = sizeof(seed);
	dr_loads(t);
	/* With room to spare: the next property must not be the one too many. */
	assert_true(fdt_totalsize(dr_fdt(t)) <= DT_ROOM / 4 * 3);
}

static void ram_that_ends_with_the_tree_is_enough_and_less_is_not(void **state)
{
	/* What the kernel needs, then 64 KiB aligned the tree. */
	static const uint64_t enough = 0x10000 + DT_ROOM;
	struct dr *t = *state;

	dr_image(t, 0x10000);
	dr_ram(t, enough);
	dr_loads(t);
	assert_int_equal(t->payload.kernel.end, DT_RAM + enough);
	dr_ram(t, enough - PAGE_SIZE_4K);
	dr_says(t, dr_load(t), ENOSPC, "KERNEL: Image: leaves no RAM for the device tree");
	/* RAM that ends before the place where the tree would begin. */
	dr_image(t, 0x11000);
	dr_ram(t, 0x18000);
	dr_says(t, dr_load(t), ENOSPC, "KERNEL: Image: leaves no RAM for the device tree");
	dr_ram(t, 0x20000);
	dr_says(t, dr_load(t), ENOSPC, "KERNEL: Image: leaves no RAM for the device tree");
}

/* ---- the initrd ---- */

/** An initrd of len bytes; all are fill, unless that is 0 and none is written. */
static void lt_initrd(struct dr *t, uint64_t len, uint8_t fill)
{
	uint8_t *bytes = calloc(1, len);

	if (fill)
		memset(bytes, fill, len);
	fd_close(&t->boot.initrd_fd);
	t->boot.initrd_fd = li_memfd(bytes, fill ? len : 0);
	assert_int_equal(ftruncate(t->boot.initrd_fd, (off_t)len), 0);
	free(bytes);
}

static void the_largest_initrd_touches_neither_bss_nor_tree(void **state)
{
	static const uint64_t sizes[] = { LI_IMAGE_SIZE, 0x1fff1, 0x60000, 0x60001 };
	static const uint64_t len = MIB; /* of RAM: an emulated host takes its time for each page */
	struct dr *t = *state;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint64_t room;
		uint8_t *ram;

		dr_ram(t, len);
		dr_image(t, sizes[i]);
		dr_loads(t);
		room = DT_RAM + len - (t->payload.tables + DT_ROOM);
		lt_initrd(t, room + 1, 0);
		dr_says(t, dr_load(t), ENOSPC, "--initrd: initrd: needs ");
		lt_initrd(t, room, 0x69);
		dr_loads(t);
		assert_int_equal(t->payload.initrd, t->payload.tables + DT_ROOM);
		assert_int_equal(t->payload.initrd_len, room);
		assert_int_equal(dr_u64(t, CHOSEN, "linux,initrd-start"), t->payload.initrd);
		assert_int_equal(dr_u64(t, CHOSEN, "linux,initrd-end"), t->payload.initrd + room);
		/* The tree was written after it, and the kernel will clear its BSS. */
		memset(gm_slice(&t->gm, KERNEL_AT + t->file.len, sizes[i] - t->file.len), 0,
			sizes[i] - t->file.len);
		ram = gm_slice(&t->gm, t->payload.initrd, room);
		for (uint64_t b = 0; b < room; b++)
			if (ram[b] != 0x69)
				fail_msg("byte %llu is lost", (unsigned long long)b);
		fd_close(&t->boot.initrd_fd);
	}
}

static void an_initrd_lies_as_high_as_it_can(void **state)
{
	struct dr *t = *state;

	t->boot.initrd_fd = li_memfd("0707 initrd", 11);
	dr_loads(t);
	assert_true(t->payload.initrd >= DT_RAM + DR_RAM - 0x10000);
	assert_int_equal(t->payload.initrd % 0x1000, 0);
	assert_int_equal(dr_u64(t, CHOSEN, "linux,initrd-start"), t->payload.initrd);
	assert_int_equal(dr_u64(t, CHOSEN, "linux,initrd-end"), t->payload.initrd + 11);
	assert_memory_equal(gm_slice(&t->gm, t->payload.initrd, 11), "0707 initrd", 11);
}

/* ---- what the tree says ---- */

static void the_tree_has_the_command_line_and_no_initrd_where_there_is_none(void **state)
{
	struct dr *t = *state;
	const char *s;
	int len;

	/* A payload that was used before says nothing of the next. */
	memset(&t->payload, 0x5a, sizeof(t->payload));
	dr_loads(t);
	s = dr_prop(t, CHOSEN, "bootargs", &len);
	assert_non_null(s);
	assert_string_equal(s, "panic=-1 quiet");
	assert_int_equal(len, strlen(s) + 1);
	assert_null(dr_prop(t, CHOSEN, "linux,initrd-start", &len));
	assert_null(dr_prop(t, CHOSEN, "linux,initrd-end", &len));
}

static void a_seed_is_shared_by_the_kernels_place_and_its_generator(void **state)
{
	uint8_t seed[64];
	struct dr *t = *state;
	const void *p;
	int len;

	for (unsigned i = 0; i < sizeof(seed); i++)
		seed[i] = (uint8_t)(i + 1);
	t->boot.rng_seed = seed;
	t->boot.rng_seed_len = sizeof(seed);
	dr_loads(t);
	assert_int_equal(dr_u64(t, CHOSEN, "kaslr-seed"), 0x0807060504030201);
	p = dr_prop(t, CHOSEN, "rng-seed", &len);
	assert_non_null(p);
	assert_int_equal(len, 56);
	assert_memory_equal(p, seed + 8, 56);

	t->boot.rng_seed_len = 9;
	dr_loads(t);
	assert_non_null(dr_prop(t, CHOSEN, "kaslr-seed", &len));
	assert_non_null(dr_prop(t, CHOSEN, "rng-seed", &len));
	assert_int_equal(len, 1);
}

static void a_seed_too_short_for_both_is_not_used(void **state)
{
	/* From the heap, so that AddressSanitizer sees a byte too far. */
	uint8_t *seed = calloc(1, 8);
	struct dr *t = *state;
	int len;

	for (unsigned n = 0; n <= 8; n += 8) {
		t->boot.rng_seed = n ? seed : NULL;
		t->boot.rng_seed_len = n;
		dr_loads(t);
		assert_null(dr_prop(t, CHOSEN, "kaslr-seed", &len));
		assert_null(dr_prop(t, CHOSEN, "rng-seed", &len));
	}
	free(seed);
}

static void the_tree_has_all_ram(void **state)
{
	struct dr *t = *state;
	const uint8_t *reg;
	int len;

	dr_loads(t);
	reg = dr_prop(t, "/memory@80000000", "reg", &len);
	assert_non_null(reg);
	assert_int_equal(len, 16);
	assert_int_equal(fdt64_ld((const fdt64_t *)(const void *)reg), DT_RAM);
	assert_int_equal(fdt64_ld((const fdt64_t *)(const void *)(reg + 8)), DR_RAM);
}

/** The names of the root's children that are devices, in the order of the tree. */
static unsigned lt_names(struct dr *t, char ret[][40])
{
	static const char *const kinds[] = { "serial@", "rtc@", "pvpanic@", "virtio@" };
	const uint8_t *fdt = dr_fdt(t);
	unsigned n = 0;
	int node;

	fdt_for_each_subnode(node, fdt, 0)
	{
		const char *name = fdt_get_name(fdt, node, NULL);

		for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
			if (!strncmp(name, kinds[i], strlen(kinds[i])))
				snprintf(ret[n++], sizeof(ret[0]), "%s", name);
	}
	return n;
}

static void the_tree_has_the_devices_in_their_order(void **state)
{
	static const char *const want[] = { "serial@20000000", "serial@20001000", "rtc@20010000",
		"pvpanic@20020000", "virtio@21003000", "virtio@21000000", "virtio@21001000" };
	static const unsigned order[] = { 3, 0, 1 };
	char names[DR_MAX_DEVS][40];
	struct dr *t = *state;
	const fdt32_t *irq;
	unsigned nr;
	int len;

	dr_devices(t, 2, 0);
	/* No tree has a word for it: it is left out, and what follows is not. */
	dr_add(t, &(struct dev_desc){ .kind = DEV_SLEEP, .base = 0x600, .len = POWER_LEN });
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		struct dev_desc d = dr_virtio(order[i]);

		dr_add(t, &d);
	}
	dr_loads(t);
	nr = lt_names(t, names);
	assert_int_equal(nr, ARRAY_SIZE(want));
	for (unsigned i = 0; i < nr; i++)
		assert_string_equal(names[i], want[i]);
	/* With their line. A GIC's specifier has three words, an APLIC's two, a PLIC's one. */
	irq = dr_prop(t, "/virtio@21003000", "interrupts", &len);
	assert_non_null(irq);
	assert_int_equal(fdt32_ld(irq + (len == 12)), arch_virtio_gsi(3));
	assert_null(dr_prop(t, "/pvpanic@20020000", "interrupts", &len));
}

static void the_tree_has_the_cpus_of_the_machine(void **state)
{
	struct dr *t = *state;
	unsigned n = 0;
	const uint8_t *fdt;
	int node;

	dr_machine(t, 3);
	dr_loads(t);
	fdt = dr_fdt(t);
	fdt_for_each_subnode(node, fdt, fdt_path_offset(fdt, "/cpus")) n++;
	assert_int_equal(n, 3);
}

/* ---- what is refused ---- */

static void a_kernel_that_does_not_load_is_refused(void **state)
{
	struct dr *t = *state;

	t->file.len = 32;
	dr_says(t, dr_load(t), ENOEXEC, "KERNEL: Image: ");
	dr_image(t, DR_RAM + 1);
	dr_says(t, dr_load(t), ENOSPC, "KERNEL: Image: ");
	/* Of another machine. An initrd that would load does not make it better. */
	li_elf(&t->file);
	t->boot.initrd_fd = li_memfd("0707 initrd", 11);
	dr_says(t, dr_load(t), ENOEXEC, "KERNEL: Image: ");
}

static void an_initrd_that_does_not_load_is_refused(void **state)
{
	struct dr *t = *state;

	t->boot.initrd_fd = li_memfd("", 0);
	dr_says(t, dr_load(t), EINVAL, "--initrd: initrd: ");
	fd_close(&t->boot.initrd_fd);
	lt_initrd(t, DR_RAM, 0);
	dr_says(t, dr_load(t), ENOSPC, "--initrd: initrd: ");
}

static void a_command_line_that_the_kernel_would_cut_is_refused(void **state)
{
	char line[4096], says[128];
	struct arch_entry untouched;
	struct dr *t = *state;

	memset(line, 'x', sizeof(line));
	line[dt_kernel_target.cmdline_max] = '\0';
	t->boot.cmdline = line;
	dr_loads(t);
	line[dt_kernel_target.cmdline_max] = 'x';
	line[dt_kernel_target.cmdline_max + 1] = '\0';
	snprintf(says, sizeof(says),
		"--params: the command line has %llu bytes, the kernel takes at most %llu",
		(unsigned long long)dt_kernel_target.cmdline_max + 1,
		(unsigned long long)dt_kernel_target.cmdline_max);
	dr_says(t, dr_load(t), E2BIG, says);
	memset(&untouched, 0x5a, sizeof(untouched));
	assert_memory_equal(&t->entry, &untouched, sizeof(untouched));
}

static int lt_no_registers(unsigned long req, void *arg)
{
	return req == KVM_GET_ONE_REG ? -EIO : dr_ioctl(req, arg);
}

static void cpus_that_cannot_be_described_are_said(void **state)
{
	struct dr *t = *state;

	fake_hv.ioctl = lt_no_registers;
	dr_says(t, dr_load(t), EIO, "KVM: cannot ");
}

static void a_machine_that_a_tree_cannot_say_is_refused(void **state)
{
	struct dr *t = *state;
	struct dev_desc d = dr_virtio(0);

	dr_add(t, &d); /* again */
	dr_says(t, dr_load(t), EINVAL, "FDT: two devices are virtio@21000000");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DR_TEST(the_tree_lies_where_the_payload_says_within_the_kernels_own),
		DR_TEST(the_largest_machine_has_room_for_its_tree),
		DR_TEST(ram_that_ends_with_the_tree_is_enough_and_less_is_not),
		DR_TEST(the_largest_initrd_touches_neither_bss_nor_tree),
		DR_TEST(an_initrd_lies_as_high_as_it_can),
		DR_TEST(the_tree_has_the_command_line_and_no_initrd_where_there_is_none),
		DR_TEST(a_seed_is_shared_by_the_kernels_place_and_its_generator),
		DR_TEST(a_seed_too_short_for_both_is_not_used),
		DR_TEST(the_tree_has_all_ram),
		DR_TEST(the_tree_has_the_devices_in_their_order),
		DR_TEST(the_tree_has_the_cpus_of_the_machine),
		DR_TEST(a_kernel_that_does_not_load_is_refused),
		DR_TEST(an_initrd_that_does_not_load_is_refused),
		DR_TEST(a_command_line_that_the_kernel_would_cut_is_refused),
		DR_TEST(cpus_that_cannot_be_described_are_said),
		DR_TEST(a_machine_that_a_tree_cannot_say_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
