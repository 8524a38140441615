// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/loader_images.h"

/** The host's side of an address. */
static uint8_t *image_at(const struct li *t, gpa_t gpa)
{
	return t->ram1 + (gpa - LI_IMAGE_RAM);
}

static void an_arm64_image_goes_to_the_first_2_mib_boundary(void **state)
{
	struct li *t = *state;

	li_arm64_image(t);
	li_loads(t);
	assert_int_equal(t->k.kind, KERNEL_IMAGE_ARM64);
	assert_int_equal(t->k.start, LI_IMAGE_BASE);
	assert_int_equal(t->k.entry, LI_IMAGE_BASE);
	assert_int_equal(t->k.end, LI_IMAGE_BASE + LI_IMAGE_SIZE);
	assert_int_equal(t->k.cmdline_max, 2047);
	assert_int_equal(t->k.setup_header_len, 0);
	assert_memory_equal(image_at(t, LI_IMAGE_BASE), t->file, LI_IMAGE_LEN);
	assert_int_equal(*image_at(t, LI_IMAGE_BASE + LI_IMAGE_LEN), 0);
	assert_int_equal(*image_at(t, LI_IMAGE_BASE - 1), 0);
}

static void a_riscv64_image_goes_2_mib_behind_the_boundary(void **state)
{
	struct li *t = *state;

	li_riscv64_image(t);
	li_loads(t);
	assert_int_equal(t->k.kind, KERNEL_IMAGE_RISCV64);
	assert_int_equal(t->k.start, LI_IMAGE_BASE + 2 * MIB);
	assert_int_equal(t->k.entry, t->k.start);
	assert_int_equal(t->k.end, t->k.start + LI_IMAGE_SIZE);
	assert_int_equal(t->k.cmdline_max, 1023);
	assert_int_equal(t->k.initrd_max, UINT64_MAX);
	assert_int_equal(t->k.page_size, 4 * KIB);
	assert_memory_equal(image_at(t, t->k.start), t->file, LI_IMAGE_LEN);
}

static void an_image_stays_at_or_above_low(void **state)
{
	struct li *t = *state;

	li_arm64_image(t);
	t->low = LI_IMAGE_BASE;
	li_loads(t);
	assert_int_equal(t->k.start, LI_IMAGE_BASE);
	t->low = LI_IMAGE_BASE + 1;
	li_loads(t);
	assert_int_equal(t->k.start, LI_IMAGE_BASE + 2 * MIB);
}

static void text_offset_is_honoured(void **state)
{
	struct li *t = *state;

	li_arm64_image(t);
	le64_put(t->file + 0x08, 0x80000);
	li_loads(t);
	assert_int_equal(t->k.start, LI_IMAGE_BASE + 0x80000);
	assert_int_equal(t->k.entry, t->k.start);
	assert_memory_equal(image_at(t, t->k.start), t->file, LI_IMAGE_LEN);
}

static void all_of_image_size_must_be_ram(void **state)
{
	uint64_t room = LI_IMAGE_RAML - MIB;
	struct li *t = *state;

	li_arm64_image(t);
	le64_put(t->file + 0x10, room);
	li_loads(t);
	assert_int_equal(t->k.end, LI_IMAGE_RAM + LI_IMAGE_RAML);
	le64_put(t->file + 0x10, room + 1);
	li_refuses(t, ENOSPC,
		"needs 24117249 bytes of RAM in one piece, from a 2 MiB boundary at or above"
		" 0x40100000 on, there are 24117248");
	/* text_offset takes its part. */
	le64_put(t->file + 0x10, room - 0x80000);
	le64_put(t->file + 0x08, 0x80000);
	li_loads(t);
	le64_put(t->file + 0x08, 0x80001);
	li_refuses(t, ENOSPC, "there are 24117248");
}

static void wild_numbers_do_not_wrap(void **state)
{
	static const uint64_t wild[][2] = { { UINT64_MAX, UINT64_MAX }, { 0, UINT64_MAX },
		{ UINT64_MAX - LI_IMAGE_SIZE + 1, LI_IMAGE_SIZE },
		{ UINT64_MAX & ~(2 * MIB - 1), 4 * MIB }, { BIT(63), BIT(63) } };
	struct li *t = *state;

	for (size_t i = 0; i < ARRAY_SIZE(wild); i++) {
		li_arm64_image(t);
		le64_put(t->file + 0x08, wild[i][0]);
		le64_put(t->file + 0x10, wild[i][1]);
		li_refuses(t, ENOSPC, "there are 24117248");
	}
	li_riscv64_image(t);
	le64_put(t->file + 0x08, UINT64_MAX & ~(2 * MIB - 1));
	le64_put(t->file + 0x10, 4 * MIB);
	li_refuses(t, ENOSPC, "there are 24117248");
}

static void no_image_goes_where_48_bits_do_not_reach(void **state)
{
	struct li *t = *state;
	uint8_t *high = calloc(1, 4 * MIB);

	li_arm64_image(t);
	t->low = BIT(48) - 2 * MIB;
	assert_int_equal(gm_add_borrowed(&t->gm, t->low, high, 4 * MIB), 0);
	le64_put(t->file + 0x10, 2 * MIB);
	li_loads(t);
	assert_int_equal(t->k.start, t->low);
	le64_put(t->file + 0x10, 2 * MIB + 1);
	li_refuses(t, ENOSPC, "there are 2097152");
	free(high);
}

static void a_file_longer_than_image_size_counts(void **state)
{
	struct li *t = *state;

	li_arm64_image(t);
	le64_put(t->file + 0x10, LI_IMAGE_LEN - 1);
	li_loads(t);
	assert_int_equal(t->k.end, LI_IMAGE_BASE + LI_IMAGE_LEN);
}

static void a_big_endian_image_is_refused(void **state)
{
	struct li *t = *state;

	li_arm64_image(t);
	t->file[0x18] |= 1;
	li_refuses(t, ENOEXEC, "is a big-endian kernel, this is aarch64");
	li_riscv64_image(t);
	t->file[0x18] |= 1;
	li_refuses(t, ENOEXEC, "is a big-endian kernel, this is riscv64");
}

static void the_page_size_of_an_arm64_image_is_told(void **state)
{
	static const uint64_t size[] = { 64 * KIB, 4 * KIB, 16 * KIB, 64 * KIB };
	struct li *t = *state;

	li_arm64_image(t);
	for (unsigned i = 0; i < ARRAY_SIZE(size); i++) {
		/* With and without bit 3. */
		for (unsigned bit3 = 0; bit3 <= 8; bit3 += 8) {
			t->file[0x18] = (uint8_t)(i << 1 | bit3);
			li_loads(t);
			assert_int_equal(t->k.page_size, size[i]);
			assert_int_equal(t->k.start, LI_IMAGE_BASE);
		}
	}
}

static void an_old_arm64_image_is_at_0x80000_with_room_behind_it(void **state)
{
	struct li *t = *state;

	li_arm64_image(t);
	le64_put(t->file + 0x10, 0);
	le64_put(t->file + 0x18, 0);
	/* Whatever it says. */
	le64_put(t->file + 0x08, UINT64_MAX);
	li_loads(t);
	assert_int_equal(t->k.start, LI_IMAGE_BASE + 0x80000);
	assert_int_equal(t->k.end, t->k.start + LI_IMAGE_LEN + 16 * MIB);
	assert_int_equal(t->k.page_size, 64 * KIB);
	/* In the kernel's byte order, which is thus told. */
	le64_put(t->file + 0x08, 0x0000080000000000);
	li_refuses(t, ENOEXEC, "is a big-endian kernel");
	/* Only there: a newer kernel's is always little-endian. */
	le64_put(t->file + 0x10, LI_IMAGE_SIZE);
	li_refuses(t, ENOSPC, "bytes of RAM");
}

static void a_riscv64_image_must_say_its_size(void **state)
{
	struct li *t = *state;

	li_riscv64_image(t);
	le64_put(t->file + 0x10, 0);
	li_refuses(t, EINVAL, "does not say how much memory it needs (image_size 0)");
}

static void a_riscv64_image_off_its_2_mib_is_refused(void **state)
{
	struct li *t = *state;

	li_riscv64_image(t);
	le64_put(t->file + 0x08, 0);
	li_loads(t);
	assert_int_equal(t->k.start, LI_IMAGE_BASE);
	le64_put(t->file + 0x08, 2 * MIB - 1);
	li_refuses(t, EINVAL, "has a text_offset of 0x1fffff, not a multiple of 2 MiB");
	le64_put(t->file + 0x08, MIB);
	li_refuses(t, EINVAL, "text_offset");
}

static void a_riscv64_header_of_another_major_version_is_refused(void **state)
{
	struct li *t = *state;

	li_riscv64_image(t);
	le32_put(t->file + 0x20, 0xffff);
	li_loads(t);
	le32_put(t->file + 0x20, 0x10003);
	li_refuses(t, EINVAL, "has an Image header of version 1.3, not 0.x");
}

static void an_image_shorter_than_its_header_is_refused(void **state)
{
	struct li *t = *state;

	li_arm64_image(t);
	for (t->len = 0x3c; t->len < 0x40; t->len++)
		li_refuses(t, EINVAL, "is cut short: an Image header has 64 bytes, the file 6");
	li_loads(t);
	t->len = 0x3b;
	li_refuses(t, ENOEXEC, "is not a kernel, or is cut short: it has 59 bytes");
}

#define IMAGE_PE 0x60 /* where its headers are put; the table is behind 8 bytes more */

/** An EFI stub of two sections, of which the second ends with the file. */
static void image_with_efi(struct li *t)
{
	uint8_t *pe = t->file + IMAGE_PE, *section = pe + 24 + 8;

	li_arm64_image(t);
	le32_put(t->file + 0x3c, IMAGE_PE);
	memset(pe, 0, 24 + 8 + 3 * 40);
	memcpy(pe, "PE\0\0", 4);
	le16_put(pe + 6, 2);
	le16_put(pe + 20, 8);
	le32_put(section + 16, 0x80);
	le32_put(section + 20, 0x100);
	le32_put(section + 40 + 16, LI_IMAGE_LEN - 0x180);
	le32_put(section + 40 + 20, 0x180);
}

static void an_image_shorter_than_its_sections_is_refused(void **state)
{
	struct li *t = *state;
	uint8_t *section = t->file + IMAGE_PE + 24 + 8;

	image_with_efi(t);
	li_loads(t);
	for (t->len = 0x40; t->len < LI_IMAGE_LEN; t->len++)
		li_refuses(t, EINVAL, "is cut short or corrupt: its ");
	t->len = LI_IMAGE_LEN - 1;
	li_refuses(t, EINVAL, "its 767 bytes do not hold one of its sections (384 bytes at");
	/* The first one counts as well, and sums do not wrap. */
	t->len = LI_IMAGE_LEN;
	le32_put(section + 20, 0xffffffff);
	li_refuses(t, EINVAL, "(128 bytes at offset 4294967295)");
	le32_put(section + 20, 0xffffff80);
	li_refuses(t, EINVAL, "(128 bytes at offset 4294967168)");
	image_with_efi(t);
	le32_put(t->file + 0x3c, 0xffffffff);
	li_refuses(t, EINVAL, "do not hold its EFI headers (24 bytes at offset 4294967295)");
	image_with_efi(t);
	le16_put(t->file + IMAGE_PE + 20, 0xffff);
	li_refuses(t, EINVAL, "do not hold its EFI headers (40 bytes at offset 65655)");
}

static void an_image_without_efi_headers_may_have_any_length(void **state)
{
	struct li *t = *state;

	image_with_efi(t);
	le32_put(t->file + 0x3c, 0);
	t->len = 0x100;
	li_loads(t);
	image_with_efi(t);
	t->file[IMAGE_PE] = 'p';
	t->len = 0x100;
	li_loads(t);
}

static void only_so_many_sections_are_looked_at(void **state)
{
	struct li *t = *state;
	uint8_t *section = t->file + IMAGE_PE + 24 + 8;

	image_with_efi(t);
	le16_put(t->file + IMAGE_PE + 6, 0xffff);
	t->len = sizeof(t->file);
	memset(section, 0, sizeof(t->file) - IMAGE_PE - 32);
	le32_put(section + 16 * 40 + 16, 0xffffffff);
	li_loads(t);
	le32_put(section + 15 * 40 + 16, 0xffffffff);
	li_refuses(t, EINVAL, "do not hold one of its sections");
}

static void the_initrd_lies_within_32_gib_of_an_arm64_kernel(void **state)
{
	struct kernel_target near = li_arm64;
	struct li *t = *state;

	li_arm64_image(t);
	li_loads(t);
	assert_int_equal(t->k.initrd_max, 33 * GIB - 1);
	/* A machine that has another limit too. */
	near.initrd_max = 2 * GIB;
	t->target = &near;
	li_loads(t);
	assert_int_equal(t->k.initrd_max, 2 * GIB);
}

static void the_initrd_is_on_a_page_of_the_kernels(void **state)
{
	struct li *t = *state;
	gpa_t start, limit = LI_IMAGE_RAM + LI_IMAGE_RAML - 4 * KIB;
	uint64_t len;
	int fd = li_memfd("x", 1);

	li_arm64_image(t);
	t->file[0x18] = 3 << 1;
	li_loads(t);
	assert_int_equal(initrd_load(&t->gm, fd, "i", &t->k, limit, &start, &len, &t->err), 0);
	/* Neither its first nor its last page is shared with what starts at limit. */
	assert_int_equal(start, LI_IMAGE_RAM + LI_IMAGE_RAML - 128 * KIB);
	t->file[0x18] = 1 << 1;
	li_loads(t);
	assert_int_equal(initrd_load(&t->gm, fd, "i", &t->k, limit, &start, &len, &t->err), 0);
	assert_int_equal(start, LI_IMAGE_RAM + LI_IMAGE_RAML - 8 * KIB);
	close(fd);
}

static void a_large_initrd_is_not_put_into_bss(void **state)
{
	struct li *t = *state;
	uint64_t room = LI_IMAGE_RAML - 3 * MIB, len;
	int fd = li_memfd("", 0);
	gpa_t start;

	li_riscv64_image(t);
	le64_put(t->file + 0x10, 8 * MIB);
	li_loads(t);
	room -= 8 * MIB;
	assert_int_equal(ftruncate(fd, (off_t)room), 0);
	assert_int_equal(initrd_load(&t->gm, fd, "i", &t->k, UINT64_MAX, &start, &len, &t->err), 0);
	assert_int_equal(start, t->k.end);
	assert_int_equal(ftruncate(fd, (off_t)room + 1), 0);
	assert_int_equal(
		initrd_load(&t->gm, fd, "i", &t->k, UINT64_MAX, &start, &len, &t->err), -ENOSPC);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LI_IMAGE_TEST(an_arm64_image_goes_to_the_first_2_mib_boundary),
		LI_IMAGE_TEST(a_riscv64_image_goes_2_mib_behind_the_boundary),
		LI_IMAGE_TEST(an_image_stays_at_or_above_low),
		LI_IMAGE_TEST(text_offset_is_honoured),
		LI_IMAGE_TEST(all_of_image_size_must_be_ram),
		LI_IMAGE_TEST(wild_numbers_do_not_wrap),
		LI_IMAGE_TEST(no_image_goes_where_48_bits_do_not_reach),
		LI_IMAGE_TEST(a_file_longer_than_image_size_counts),
		LI_IMAGE_TEST(a_big_endian_image_is_refused),
		LI_IMAGE_TEST(the_page_size_of_an_arm64_image_is_told),
		LI_IMAGE_TEST(an_old_arm64_image_is_at_0x80000_with_room_behind_it),
		LI_IMAGE_TEST(a_riscv64_image_must_say_its_size),
		LI_IMAGE_TEST(a_riscv64_image_off_its_2_mib_is_refused),
		LI_IMAGE_TEST(a_riscv64_header_of_another_major_version_is_refused),
		LI_IMAGE_TEST(an_image_shorter_than_its_header_is_refused),
		LI_IMAGE_TEST(an_image_shorter_than_its_sections_is_refused),
		LI_IMAGE_TEST(an_image_without_efi_headers_may_have_any_length),
		LI_IMAGE_TEST(only_so_many_sections_are_looked_at),
		LI_IMAGE_TEST(the_initrd_lies_within_32_gib_of_an_arm64_kernel),
		LI_IMAGE_TEST(the_initrd_is_on_a_page_of_the_kernels),
		LI_IMAGE_TEST(a_large_initrd_is_not_put_into_bss),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
