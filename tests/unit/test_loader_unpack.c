// SPDX-License-Identifier: BSD-3-Clause
/* Compressed kernels that are good, and what is said of what was in them. */
#include "tests/unit/loader_packed.h"

#include <dirent.h>
#include <stdio.h>

static unsigned unpack_open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void unpack_check_bzimage(const struct li *t)
{
	assert_int_equal(t->k.kind, KERNEL_BZIMAGE);
	assert_int_equal(t->k.start, LI_BZ_PREF);
	assert_memory_equal(t->ram1 + (LI_BZ_PREF - MIB), t->file + LI_BZ_SETUP, LI_BZ_CODE);
	assert_memory_equal(t->k.setup_header, t->file + SETUP_HEADER_OFFSET, 16);
}

static void a_kernel_in_each_compression_is_loaded(void **state)
{
	unsigned fds = unpack_open_fds();
	struct li *t = *state;

	li_bzimage(t);
	for (size_t i = 0; i < ARRAY_SIZE(pk_all); i++) {
		struct pk p = pk_all[i].pack(t->file, t->len);

		memset(t->ram1, 0, LI_RAM1);
		pk_loads(t, &p);
		unpack_check_bzimage(t);
		free(p.bytes);
	}
	assert_int_equal(unpack_open_fds(), fds);
}

static void a_kernel_in_each_kind_of_zboot_is_loaded(void **state)
{
	struct li *t = *state;

	li_bzimage(t);
	for (size_t i = 0; i < ARRAY_SIZE(pk_all); i++) {
		struct pk p = pk_all[i].pack(t->file, t->len);
		struct pk z = pk_zboot(&p, pk_all[i].name, 100);

		memset(t->ram1, 0, LI_RAM1);
		pk_loads(t, &z);
		unpack_check_bzimage(t);
		free(p.bytes);
		free(z.bytes);
	}
}

static void images_and_vmlinux_are_loaded_too(void **state)
{
	void (*const make[])(struct li * t) = { li_arm64_image, li_riscv64_image };
	struct li *t = *state;

	for (size_t i = 0; i < ARRAY_SIZE(make); i++) {
		struct pk p;

		make[i](t);
		p = pk_zstd(t->file, t->len);
		pk_loads(t, &p);
		assert_memory_equal(t->ram1 + (t->k.start - LI_IMAGE_RAM), t->file, LI_IMAGE_LEN);
		free(p.bytes);
	}
}

/** Bytes that hardly compress, so that input and output both take several turns. */
static void unpack_noise(uint8_t *bytes, size_t len)
{
	uint32_t x = 1;

	for (size_t i = 0; i < len; i++) {
		x = x * 1664525 + 1013904223;
		bytes[i] = (uint8_t)(x >> 24);
	}
}

static void a_kernel_of_many_buffers_arrives_whole(void **state)
{
	size_t len = PK_LZ4_BLOCK + 3 * UNPACK_CHUNK + 1;
	struct li *t = *state;
	uint8_t *kernel = calloc(1, len);

	li_arm64_image(t);
	/* Noise, then zeroes for a MiB, then noise. */
	unpack_noise(kernel, len);
	memset(kernel + MIB, 0, MIB);
	memcpy(kernel, t->file, IMAGE_HEADER_LEN);
	for (size_t i = 0; i < ARRAY_SIZE(pk_all); i++) {
		struct pk p = pk_all[i].pack(kernel, len);

		memset(t->ram1, 0, LI_IMAGE_RAML);
		pk_loads(t, &p);
		assert_memory_equal(t->ram1 + MIB, kernel, len);
		free(p.bytes);
	}
	free(kernel);
}

static void a_kernel_of_whole_legacy_blocks_is_loaded(void **state)
{
	struct li *t = *state;
	uint8_t *kernel = calloc(1, 2 * PK_LZ4_BLOCK);
	struct pk p;

	li_arm64_image(t);
	memcpy(kernel, t->file, t->len);
	kernel[2 * PK_LZ4_BLOCK - 1] = 0x99;
	p = pk_lz4_legacy(kernel, 2 * PK_LZ4_BLOCK);
	pk_loads(t, &p);
	assert_int_equal(t->k.end, LI_IMAGE_BASE + 2 * PK_LZ4_BLOCK);
	assert_int_equal(t->ram1[MIB + 2 * PK_LZ4_BLOCK - 1], 0x99);
	free(p.bytes);
	free(kernel);
}

static void what_was_in_it_is_named(void **state)
{
	struct li *t = *state;
	char says[128];

	for (size_t i = 0; i < ARRAY_SIZE(pk_all); i++) {
		struct pk text = pk_all[i].pack("hello, world\n", 13), arm, z;

		snprintf(says, sizeof(says), "KERNEL: vmlinuz: unpacked (%s): is a text file, not",
			pk_all[i].name);
		pk_refuses(t, &text, ENOEXEC, says);
		li_arm64_image(t);
		t->target = &li_x86;
		arm = pk_all[i].pack(t->file, t->len);
		snprintf(says, sizeof(says), "unpacked (%s): is an arm64 Image, this is x86_64",
			pk_all[i].name);
		pk_refuses(t, &arm, ENOEXEC, says);
		z = pk_zboot(&arm, pk_all[i].name, 0);
		pk_refuses(
			t, &z, ENOEXEC, "unpacked (EFI zboot): is an arm64 Image, this is x86_64");
		free(text.bytes);
		free(arm.bytes);
		free(z.bytes);
	}
}

static void what_is_compressed_twice_is_refused(void **state)
{
	struct li *t = *state;
	struct pk once, z, twice;

	li_bzimage(t);
	once = pk_zstd(t->file, t->len);
	twice = pk_gzip(once.bytes, once.len);
	pk_refuses(t, &twice, ENOEXEC, "unpacked (gzip): is compressed again (zstd)");
	free(twice.bytes);
	z = pk_zboot(&once, "zstd", 0);
	twice = pk_lz4(z.bytes, z.len);
	pk_refuses(t, &twice, ENOEXEC, "unpacked (lz4): is compressed again (EFI zboot)");
	free(twice.bytes);
	free(z.bytes);
	free(once.bytes);
}

static void what_is_empty_inside_is_refused(void **state)
{
	struct li *t = *state;

	for (size_t i = 0; i < ARRAY_SIZE(pk_all); i++) {
		struct pk p = pk_all[i].pack("", 0);

		pk_refuses(t, &p, EINVAL, "): is empty");
		free(p.bytes);
	}
}

static void a_kernel_whose_first_bytes_look_compressed_is_a_kernel(void **state)
{
	struct li *t = *state;

	/* An arm64 branch whose offset happens to be gzip's magic. */
	li_arm64_image(t);
	le32_put(t->file, 0x14008b1f);
	li_loads(t);
	/* And another machine's is still named. */
	t->target = &li_x86;
	li_refuses(t, ENOEXEC, "is an arm64 Image, this is x86_64");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LI_TEST(a_kernel_in_each_compression_is_loaded),
		LI_TEST(a_kernel_in_each_kind_of_zboot_is_loaded),
		LI_IMAGE_TEST(images_and_vmlinux_are_loaded_too),
		LI_IMAGE_TEST(a_kernel_of_many_buffers_arrives_whole),
		LI_IMAGE_TEST(a_kernel_of_whole_legacy_blocks_is_loaded),
		LI_TEST(what_was_in_it_is_named),
		LI_TEST(what_is_compressed_twice_is_refused),
		LI_TEST(what_is_empty_inside_is_refused),
		LI_IMAGE_TEST(a_kernel_whose_first_bytes_look_compressed_is_a_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
