// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/loader_images.h"

static void a_bzimage_is_loaded_where_it_prefers(void **state)
{
	struct li *t = *state;

	li_bzimage(t);
	li_loads(t);
	assert_int_equal(t->k.kind, KERNEL_BZIMAGE);
	assert_int_equal(t->k.start, LI_BZ_PREF);
	assert_int_equal(t->k.entry, LI_BZ_PREF + 0x200);
	assert_int_equal(t->k.end, LI_BZ_PREF + LI_BZ_INIT_SIZE);
	assert_int_equal(t->k.cmdline_max, 1000);
	assert_int_equal(t->k.initrd_max, 0x7fffffff);
	assert_memory_equal(t->ram1 + (LI_BZ_PREF - MIB), t->file + LI_BZ_SETUP, LI_BZ_CODE);
	assert_int_equal(t->ram1[LI_BZ_PREF - MIB - 1], 0);
	assert_int_equal(t->ram1[LI_BZ_PREF - MIB + LI_BZ_CODE], 0);
}

static void the_setup_header_is_kept_up_to_its_own_end(void **state)
{
	struct li *t = *state;

	li_bzimage(t);
	li_loads(t);
	assert_int_equal(t->k.setup_header_len, 0x26c - 0x1f1);
	assert_memory_equal(t->k.setup_header, t->file + 0x1f1, 0x26c - 0x1f1);
	assert_int_equal(t->k.setup_header[0x26c - 0x1f1], 0);
}

static void a_longer_setup_header_is_kept_as_far_as_there_is_room(void **state)
{
	struct li *t = *state;

	li_bzimage(t);
	t->file[0x201] = 0x7e;
	li_loads(t);
	assert_int_equal(t->k.setup_header_len, SETUP_HEADER_MAX);
	t->file[0x201] = 0xff;
	li_loads(t);
	assert_int_equal(t->k.setup_header_len, SETUP_HEADER_MAX);
}

static void a_setup_header_that_ends_before_init_size_is_refused(void **state)
{
	struct li *t = *state;

	li_bzimage(t);
	t->file[0x201] = 0x62;
	li_loads(t);
	t->file[0x201] = 0x61;
	li_refuses(t, EINVAL, "setup header that ends at 0x263");
}

static void a_bzimage_cut_short_anywhere_is_refused(void **state)
{
	struct li *t = *state;

	li_bzimage(t);
	memcpy(t->file, "MZ", 2);
	for (size_t len = 0; len < LI_BZ_LEN; len++) {
		t->len = len;
		li_refuses(t, len >= 0x206 || !len ? EINVAL : ENOEXEC, len > 1 ? "cut short" : "");
	}
	t->len = 1023;
	li_refuses(t, EINVAL, "setup code is 1024 bytes, the file has 1023");
	t->len = LI_BZ_LEN - 1;
	li_refuses(t, EINVAL, "a bzImage of 1552 bytes, the file has 1551");
	t->len = LI_BZ_LEN;
	li_loads(t);
}

static void bytes_after_the_image_are_left_alone(void **state)
{
	struct li *t = *state;

	li_bzimage(t);
	memset(t->file + LI_BZ_LEN, 0xee, 100);
	t->len += 100;
	li_loads(t);
	assert_int_equal(t->ram1[LI_BZ_PREF - MIB + LI_BZ_CODE], 0);
}

static void setup_sects_0_means_4(void **state)
{
	struct li *t = *state;

	li_bzimage(t);
	t->file[0x1f1] = 0;
	memset(t->file + 5 * 512, 0x77, LI_BZ_CODE);
	t->len = 5 * 512 + LI_BZ_CODE;
	li_loads(t);
	assert_int_equal(t->ram1[LI_BZ_PREF - MIB], 0x77);
	t->len--;
	li_refuses(t, EINVAL, "cut short");
}

static void a_syssize_far_beyond_the_file_is_refused(void **state)
{
	struct li *t = *state;

	li_bzimage(t);
	le32_put(t->file + 0x1f4, UINT32_MAX);
	li_refuses(t, EINVAL, "a bzImage of 68719477744 bytes, the file has 1552");
	/* Wraps to a small number in 32 bits. */
	le32_put(t->file + 0x1f4, 0x10000000 + LI_BZ_CODE / 16);
	li_refuses(t, EINVAL, "cut short");
}

static void a_bzimage_without_code_at_its_entry_is_refused(void **state)
{
	struct li *t = *state;

	li_bzimage(t);
	le32_put(t->file + 0x1f4, 0x20);
	li_refuses(t, EINVAL, "has 512 bytes of code");
	le32_put(t->file + 0x1f4, 0);
	li_refuses(t, EINVAL, "has 0 bytes of code");
}

static void a_wrong_boot_flag_is_refused(void **state)
{
	struct li *t = *state;

	li_bzimage(t);
	le16_put(t->file + 0x1fe, 0xaa54);
	li_refuses(t, ENOEXEC, "boot flag is 0xaa54");
}

static void a_protocol_before_2_12_is_refused(void **state)
{
	struct li *t = *state;

	li_bzimage(t);
	le16_put(t->file + 0x206, 0x20c);
	li_loads(t);
	le16_put(t->file + 0x206, 0x20b);
	li_refuses(t, EINVAL, "boot protocol 2.11, at least 2.12");
}

static void a_zimage_is_refused(void **state)
{
	struct li *t = *state;

	li_bzimage(t);
	t->file[0x211] = 0xfe;
	li_refuses(t, EINVAL, "is a zImage");
}

static void a_32_bit_kernel_is_refused(void **state)
{
	struct li *t = *state;

	li_bzimage(t);
	le16_put(t->file + 0x236, 0xfffe);
	li_refuses(t, ENOEXEC, "32-bit kernel");
}

static void an_alignment_that_is_no_power_of_two_is_refused(void **state)
{
	static const uint32_t bad[] = { 0, 3, 0x1001, UINT32_MAX };
	struct li *t = *state;

	li_bzimage(t);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		le32_put(t->file + 0x230, bad[i]);
		li_refuses(t, EINVAL, "not a power of two");
	}
}

static void an_init_size_of_0_is_refused(void **state)
{
	struct li *t = *state;

	li_bzimage(t);
	le32_put(t->file + 0x260, 0);
	li_refuses(t, EINVAL, "init_size 0");
}

static void a_kernel_needs_at_least_its_own_bytes(void **state)
{
	struct li *t = *state;

	li_bzimage(t);
	le32_put(t->file + 0x260, 1);
	li_loads(t);
	assert_int_equal(t->k.end, t->k.start + LI_BZ_CODE);
	/* And they must fit, whatever init_size says. */
	le64_put(t->file + 0x258, 5 * MIB - 512);
	le32_put(t->file + 0x230, 512);
	li_refuses(t, ENOSPC, "needs 528 bytes");
}

static void init_size_must_fit_to_the_byte(void **state)
{
	struct li *t = *state;

	li_bzimage(t);
	le64_put(t->file + 0x258, 4 * MIB);
	le32_put(t->file + 0x260, MIB);
	li_loads(t);
	assert_int_equal(t->k.start, 4 * MIB);
	assert_int_equal(t->k.end, 5 * MIB);
	le32_put(t->file + 0x260, MIB + 1);
	li_refuses(t, ENOSPC, "needs 1048577 bytes of RAM");
	assert_non_null(strstr(t->err.msg, "there are 1048576"));
	le32_put(t->file + 0x260, UINT32_MAX);
	li_refuses(t, ENOSPC, "needs 4294967295 bytes of RAM");
}

static void a_relocatable_kernel_goes_to_the_next_place_that_fits(void **state)
{
	struct li *t = *state;

	li_bzimage(t);
	le64_put(t->file + 0x258, 3 * MIB - 64 * KIB);
	le32_put(t->file + 0x260, 128 * KIB);
	li_loads(t);
	assert_int_equal(t->k.start, 4 * MIB);
	assert_memory_equal(t->ram2, t->file + LI_BZ_SETUP, LI_BZ_CODE);
}

static void a_relocatable_kernel_is_aligned(void **state)
{
	struct li *t = *state;

	li_bzimage(t);
	le64_put(t->file + 0x258, LI_BZ_PREF + 1);
	li_loads(t);
	assert_int_equal(t->k.start, LI_BZ_PREF + 64 * KIB);
}

static void a_relocatable_kernel_is_never_below_its_preference(void **state)
{
	struct li *t = *state;

	/* It would fit at 1 MiB, but then would move itself up to where it does not. */
	li_bzimage(t);
	le64_put(t->file + 0x258, 4 * MIB + 512 * KIB);
	le32_put(t->file + 0x260, MIB);
	li_refuses(t, ENOSPC, "at or above 0x480000");
	assert_non_null(strstr(t->err.msg, "there are 524288"));
}

static void a_kernel_is_never_below_low(void **state)
{
	struct li *t = *state;
	int fd;

	li_bzimage(t);
	le64_put(t->file + 0x258, 0);
	li_loads(t);
	assert_int_equal(t->k.start, MIB);
	fd = li_memfd(t->file, t->len);
	assert_int_equal(kernel_load(&t->gm, fd, "k", t->target, MIB + 1, &t->k, &t->err), 0);
	assert_int_equal(t->k.start, MIB + 64 * KIB);
	close(fd);
}

static void a_wild_preference_is_refused(void **state)
{
	static const uint64_t bad[] = { 5 * MIB, 0x100000000, 0x7fffffffffffffff, UINT64_MAX,
		UINT64_MAX - 0xffff, UINT64_MAX - LI_BZ_INIT_SIZE + 1 };
	struct li *t = *state;

	li_bzimage(t);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		le64_put(t->file + 0x258, bad[i]);
		t->file[0x234] = 1;
		li_refuses(t, ENOSPC, "there are 0");
		t->file[0x234] = 0;
		li_refuses(t, ENOSPC, "there are 0");
	}
}

static void a_kernel_is_not_put_above_4_gib(void **state)
{
	struct li *t = *state;
	uint8_t *high = calloc(1, MIB);

	assert_int_equal(gm_add_borrowed(&t->gm, 4 * GIB - 512 * KIB, high, MIB), 0);
	li_bzimage(t);
	le64_put(t->file + 0x258, 4 * GIB - 512 * KIB);
	le32_put(t->file + 0x260, 512 * KIB);
	li_loads(t);
	t->file[0x234] = 0;
	li_loads(t);
	le32_put(t->file + 0x260, 512 * KIB + 1);
	li_refuses(t, ENOSPC, "there are 524288");
	t->file[0x234] = 1;
	li_refuses(t, ENOSPC, "there are 524288");
	le64_put(t->file + 0x258, 4 * GIB);
	le32_put(t->file + 0x260, 4096);
	li_refuses(t, ENOSPC, "there are 0");
	t->file[0x234] = 0;
	li_refuses(t, ENOSPC, "there are 0");
	le64_put(t->file + 0x258, 4 * GIB + 64 * KIB);
	li_refuses(t, ENOSPC, "there are 0");
	free(high);
}

static void a_fixed_kernel_is_loaded_at_its_address_or_not_at_all(void **state)
{
	struct li *t = *state;

	li_bzimage(t);
	t->file[0x234] = 0;
	/* Its alignment is that of moving, which it does not do. */
	le64_put(t->file + 0x258, 3 * MIB - LI_BZ_INIT_SIZE - 4096);
	li_loads(t);
	assert_int_equal(t->k.start, 3 * MIB - LI_BZ_INIT_SIZE - 4096);
	le64_put(t->file + 0x258, 3 * MIB - LI_BZ_INIT_SIZE + 4096);
	li_refuses(t, ENOSPC, "needs 65536 bytes of RAM there, there are 61440");
	le64_put(t->file + 0x258, 3 * MIB);
	li_refuses(t, ENOSPC, "there are 0");
}

static void a_fixed_kernel_below_low_is_refused(void **state)
{
	struct li *t = *state;
	int fd;

	li_bzimage(t);
	t->file[0x234] = 0;
	le64_put(t->file + 0x258, MIB);
	li_loads(t);
	fd = li_memfd(t->file, t->len);
	assert_int_equal(
		kernel_load(&t->gm, fd, "k", t->target, MIB + 4096, &t->k, &t->err), -ENOSPC);
	assert_non_null(strstr(t->err.msg, "must run at 0x100000, but RAM is free from 0x101000"));
	close(fd);
}

static void a_kernel_that_does_not_say_takes_2047_bytes_of_command_line(void **state)
{
	struct li *t = *state;

	li_bzimage(t);
	le32_put(t->file + 0x238, 0);
	li_loads(t);
	assert_int_equal(t->k.cmdline_max, 2047);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LI_TEST(a_bzimage_is_loaded_where_it_prefers),
		LI_TEST(the_setup_header_is_kept_up_to_its_own_end),
		LI_TEST(a_longer_setup_header_is_kept_as_far_as_there_is_room),
		LI_TEST(a_setup_header_that_ends_before_init_size_is_refused),
		LI_TEST(a_bzimage_cut_short_anywhere_is_refused),
		LI_TEST(bytes_after_the_image_are_left_alone),
		LI_TEST(setup_sects_0_means_4),
		LI_TEST(a_syssize_far_beyond_the_file_is_refused),
		LI_TEST(a_bzimage_without_code_at_its_entry_is_refused),
		LI_TEST(a_wrong_boot_flag_is_refused),
		LI_TEST(a_protocol_before_2_12_is_refused),
		LI_TEST(a_zimage_is_refused),
		LI_TEST(a_32_bit_kernel_is_refused),
		LI_TEST(an_alignment_that_is_no_power_of_two_is_refused),
		LI_TEST(an_init_size_of_0_is_refused),
		LI_TEST(a_kernel_needs_at_least_its_own_bytes),
		LI_TEST(init_size_must_fit_to_the_byte),
		LI_TEST(a_relocatable_kernel_goes_to_the_next_place_that_fits),
		LI_TEST(a_relocatable_kernel_is_aligned),
		LI_TEST(a_relocatable_kernel_is_never_below_its_preference),
		LI_TEST(a_kernel_is_never_below_low),
		LI_TEST(a_wild_preference_is_refused),
		LI_TEST(a_kernel_is_not_put_above_4_gib),
		LI_TEST(a_fixed_kernel_is_loaded_at_its_address_or_not_at_all),
		LI_TEST(a_fixed_kernel_below_low_is_refused),
		LI_TEST(a_kernel_that_does_not_say_takes_2047_bytes_of_command_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
