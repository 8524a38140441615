// SPDX-License-Identifier: BSD-3-Clause
/* Compressed data that ends early, goes on, lies, or swells. */
#include "tests/unit/loader_packed.h"

#include <stdio.h>
#include <sys/resource.h>

static void a_stream_cut_anywhere_is_refused(void **state)
{
	struct li *t = *state;

	li_bzimage(t);
	for (size_t i = 0; i < ARRAY_SIZE(pk_all); i++) {
		struct pk p = pk_all[i].pack(t->file, t->len);
		size_t end = p.len;

		/* Down to the magic. Of the legacy format nothing at all is left then. */
		for (p.len = end - 1; p.len > 4; p.len--)
			pk_refuses(t, &p, EINVAL, "is cut short: its ");
		free(p.bytes);
	}
}

static void a_stream_of_its_magic_alone_is_refused(void **state)
{
	static const char *const magic[] = { "\x28\xb5\x2f\xfd", "\x04\x22\x4d\x18",
		"\x02\x21\x4c\x18" };
	static const char *const says[] = { "is cut short: its zstd data has no end",
		"is cut short: its lz4 data has no end", "unpacked (lz4): is empty" };
	struct pk p = pk_room(4);
	struct li *t = *state;

	for (size_t i = 0; i < ARRAY_SIZE(magic); i++) {
		memcpy(p.bytes, magic[i], 4);
		pk_refuses(t, &p, EINVAL, says[i]);
	}
	memcpy(p.bytes, "\x1f\x8b", 2);
	p.len = 2;
	pk_refuses(t, &p, EINVAL, "is cut short: its gzip data has no end");
	free(p.bytes);
}

static void anything_behind_the_end_is_refused(void **state)
{
	struct li *t = *state;

	li_bzimage(t);
	/* The first three; the legacy format's end is the file's. */
	for (size_t i = 0; i < 3; i++) {
		struct pk p = pk_all[i].pack(t->file, t->len), two = pk_room(2 * p.len);
		char says[64];

		memcpy(two.bytes, p.bytes, p.len);
		memcpy(two.bytes + p.len, p.bytes, p.len);
		snprintf(says, sizeof(says), "has %zu bytes behind the end of its %s data", p.len,
			pk_all[i].name);
		pk_refuses(t, &two, EINVAL, says);
		two.len = p.len + 1;
		snprintf(says, sizeof(says), "has 1 bytes behind the end of its %s data",
			pk_all[i].name);
		pk_refuses(t, &two, EINVAL, says);
		free(two.bytes);
		free(p.bytes);
	}
}

static void what_follows_far_behind_the_end_is_counted(void **state)
{
	size_t rest = 3 * UNPACK_CHUNK;
	struct li *t = *state;
	struct pk p, two;
	char says[64];

	li_bzimage(t);
	p = pk_gzip(t->file, t->len);
	two = pk_room(p.len + rest);
	memset(two.bytes, 0, two.len);
	memcpy(two.bytes, p.bytes, p.len);
	snprintf(says, sizeof(says), "has %zu bytes behind the end of its gzip data", rest);
	pk_refuses(t, &two, EINVAL, says);
	free(two.bytes);
	free(p.bytes);
}

static void anything_behind_a_short_legacy_block_is_refused(void **state)
{
	struct li *t = *state;
	struct pk p, more;

	li_bzimage(t);
	p = pk_lz4_legacy(t->file, t->len);
	more = pk_room(p.len + 4);
	memcpy(more.bytes, p.bytes, p.len);
	/* The uncompressed size, as some kernel builds append it. */
	le32_put(more.bytes + p.len, (uint32_t)t->len);
	pk_refuses(t, &more, EINVAL, "has 4 bytes behind the end of its lz4 data");
	free(more.bytes);
	free(p.bytes);
}

static void anything_behind_a_full_legacy_block_is_refused(void **state)
{
	uint8_t *zeroes = calloc(1, PK_LZ4_BLOCK);
	struct li *t = *state;
	struct pk p = pk_lz4_legacy(zeroes, PK_LZ4_BLOCK);
	size_t end = p.len;

	memset(p.bytes + end, 0xff, 5);
	for (p.len = end + 1; p.len < end + 4; p.len++)
		pk_refuses(t, &p, EINVAL, "is cut short: its lz4 data has no end");
	p.len = end + 4;
	pk_refuses(t, &p, EINVAL, "the length of a block, or something else behind it");
	/* The longest that a block may be, and one more. */
	le32_put(p.bytes + end, LZ4_COMPRESSBOUND(PK_LZ4_BLOCK));
	pk_refuses(t, &p, EINVAL, "is cut short: its lz4 data has no end");
	le32_put(p.bytes + end, LZ4_COMPRESSBOUND(PK_LZ4_BLOCK) + 1);
	pk_refuses(t, &p, EINVAL, "the length of a block, or something else behind it");
	free(p.bytes);
	free(zeroes);
}

static void bytes_that_were_changed_are_noticed(void **state)
{
	struct li *t = *state;

	li_bzimage(t);
	/* With their checksums; the legacy format has none. */
	for (size_t i = 0; i < 3; i++) {
		struct pk p = pk_all[i].pack(t->file, t->len);
		unsigned refused = 0;

		/* Behind the magic, and behind gzip's fields, which nobody needs. */
		for (size_t at = i ? 4 : 10; at < p.len; at++) {
			p.bytes[at] ^= 0x10;
			/* Some distances into a run of zeroes are as good as others. */
			if (!pk_load(t, &p, p.len))
				assert_memory_equal(t->ram1 + (LI_BZ_PREF - MIB),
					t->file + LI_BZ_SETUP, LI_BZ_CODE);
			else
				refused++;
			p.bytes[at] ^= 0x10;
		}
		assert_true(refused > p.len * 3 / 4);
		free(p.bytes);
	}
}

static void what_is_wrong_is_said_in_the_librarys_words(void **state)
{
	struct li *t = *state;
	struct pk p;

	li_bzimage(t);
	p = pk_gzip(t->file, t->len);
	p.bytes[2] = 9;
	pk_refuses(t, &p, EINVAL,
		"is corrupt: its gzip data cannot be unpacked (unknown compression method)");
	free(p.bytes);
	p = pk_gzip(t->file, t->len);
	p.bytes[p.len - 8] ^= 1;
	pk_refuses(t, &p, EINVAL, "(incorrect data check)");
	free(p.bytes);
	p = pk_zstd(t->file, t->len);
	p.bytes[p.len - 1] ^= 1;
	pk_refuses(t, &p, EINVAL,
		"is corrupt: its zstd data cannot be unpacked (Restored data doesn't match"
		" checksum)");
	free(p.bytes);
	p = pk_lz4(t->file, t->len);
	p.bytes[p.len - 1] ^= 1;
	pk_refuses(t, &p, EINVAL, "(ERROR_contentChecksum_invalid)");
	free(p.bytes);
	/* A literal run of more than the block has. */
	p = pk_lz4_legacy(t->file, t->len);
	le32_put(p.bytes + 4, 1);
	p.bytes[8] = 0xf0;
	p.len = 9;
	pk_refuses(t, &p, EINVAL, "its lz4 data cannot be unpacked (a block of lz4)");
	free(p.bytes);
}

static void a_window_of_gigabytes_is_refused(void **state)
{
	/* No checksum, no dictionary, no content size; a window of 2^31 bytes. */
	static const uint8_t head[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 1, 0, 0 };
	struct pk p = pk_room(sizeof(head));
	struct li *t = *state;

	memcpy(p.bytes, head, sizeof(head));
	pk_refuses(t, &p, EINVAL, "requires too much memory");
	free(p.bytes);
}

static void what_swells_beyond_ram_is_refused(void **state)
{
	struct li *t = *state;
	uint64_t ram = gm_total(&t->gm);
	uint8_t *zeroes = calloc(1, 24 * MIB);
	char says[96];

	snprintf(says, sizeof(says), "unpacks to more than the %llu bytes of RAM",
		(unsigned long long)ram);
	for (size_t i = 0; i < ARRAY_SIZE(pk_all); i++) {
		static const size_t over[] = { 1, UNPACK_CHUNK, 16 * MIB };
		struct pk p = pk_all[i].pack(zeroes, ram);

		pk_refuses(t, &p, ENOEXEC, "is not a kernel that x86_64 can boot");
		free(p.bytes);
		for (size_t j = 0; j < ARRAY_SIZE(over); j++) {
			p = pk_all[i].pack(zeroes, ram + over[j]);
			pk_refuses(t, &p, ENOSPC, says);
			free(p.bytes);
		}
	}
	free(zeroes);
}

static void no_more_is_written_than_is_allowed(void **state)
{
	struct li *t = *state;
	struct unpack u = { .out_max = 10 };

	u.out_fd = li_memfd("", 0);
	assert_int_equal(unpack_put(&u, "123456", 6, &t->err), 0);
	assert_int_equal(unpack_put(&u, "12345", 5, &t->err), -ENOSPC);
	assert_int_equal(unpack_put(&u, "1234", 4, &t->err), 0);
	assert_int_equal(unpack_put(&u, "", 0, &t->err), 0);
	assert_int_equal(unpack_put(&u, "1", 1, &t->err), -ENOSPC);
	assert_int_equal(lseek(u.out_fd, 0, SEEK_END), 10);
	close(u.out_fd);
	u.out_len = 0;
	u.out_fd = -1;
	assert_int_equal(unpack_put(&u, "1", 1, &t->err), -EIO);
	assert_non_null(strstr(t->err.msg, "cannot be unpacked: "));
}

static void zboot_that_points_outside_is_refused(void **state)
{
	static const uint32_t wild[][2] = { { 0xffffffff, 1 }, { PK_ZBOOT_HEAD, 0xffffffff },
		{ PK_ZBOOT_HEAD + 1, 0 }, { 0xfffffff0, 0x20 } };
	struct li *t = *state;
	struct pk p, z;

	li_bzimage(t);
	p = pk_zstd(t->file, t->len);
	z = pk_zboot(&p, "zstd", 0);
	for (size_t i = 0; i < ARRAY_SIZE(wild); i++) {
		le32_put(z.bytes + 8, wild[i][0]);
		le32_put(z.bytes + 12, wild[i][1] ? wild[i][1] : (uint32_t)p.len);
		pk_refuses(t, &z, EINVAL, "do not hold the compressed kernel");
	}
	free(p.bytes);
	free(z.bytes);
}

static void only_the_payload_of_zboot_is_unpacked(void **state)
{
	struct li *t = *state;
	struct pk p, z;

	li_bzimage(t);
	p = pk_gzip(t->file, t->len);
	z = pk_zboot(&p, "gzip", 8);
	pk_loads(t, &z);
	le32_put(z.bytes + 12, (uint32_t)p.len - 1);
	pk_refuses(t, &z, EINVAL, "is cut short: its gzip data has no end");
	le32_put(z.bytes + 12, (uint32_t)p.len + 8);
	pk_refuses(t, &z, EINVAL, "has 8 bytes behind the end of its gzip data");
	/* Too short even for a magic. */
	for (uint32_t len = 0; len < 2; len++) {
		le32_put(z.bytes + 12, len);
		pk_refuses(t, &z, ENOEXEC, "compressed as \"gzip\"");
	}
	free(p.bytes);
	free(z.bytes);
}

static void zboot_in_an_unknown_compression_names_it(void **state)
{
	static const struct {
		const char *method, *says;
	} f[] = {
		{ "xzkern",
			"is an EFI zboot image whose kernel is compressed as \"xzkern\": gzip,"
			" lz4 and zstd can be unpacked" },
		{ "lzma", "\"lzma\"" },
		{ "a\nb\x7f\x1b", "\"a?b\?\?\"" },
		{ "", "\"\"" },
		/* As many as there is room for, without a NUL. */
		{ "0123456789abcdef0123456789abcdef", "\"0123456789abcdef0123456789abcdef\"" },
	};
	struct li *t = *state;
	struct pk p = pk_room(16);

	memset(p.bytes, 0xfd, p.len);
	for (size_t i = 0; i < ARRAY_SIZE(f); i++) {
		struct pk z = pk_zboot(&p, f[i].method, 0);

		memcpy(z.bytes + 56, "behind", 6);
		pk_refuses(t, &z, ENOEXEC, f[i].says);
		free(z.bytes);
	}
	free(p.bytes);
}

static void zboot_cut_short_is_refused(void **state)
{
	struct li *t = *state;
	struct pk p, z;

	li_bzimage(t);
	p = pk_zstd(t->file, t->len);
	z = pk_zboot(&p, "zstd", 0);
	for (z.len = PK_ZBOOT_HEAD + p.len - 1; z.len > 16; z.len -= 7)
		pk_refuses(t, &z, EINVAL, "is cut short");
	z.len = 8;
	pk_refuses(t, &z, ENOEXEC, "compressed as \"\"");
	free(p.bytes);
	free(z.bytes);
}

/** The address space of this process, in bytes. */
static rlim_t hostile_vm_size(void)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%lu", &pages), 1);
	fclose(f);
	return pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

/** Loads fd while this process may have only so many bytes more. */
static int hostile_load_within(struct li *t, int fd, rlim_t more)
{
	struct rlimit old, less;
	int rc;

	assert_int_equal(getrlimit(RLIMIT_AS, &old), 0);
	less = (struct rlimit){ hostile_vm_size() + more, old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_AS, &less), 0);
	rc = kernel_load(&t->gm, fd, "k", t->target, t->low, &t->k, &t->err);
	assert_int_equal(setrlimit(RLIMIT_AS, &old), 0);
	return rc;
}

static void without_memory_nothing_is_unpacked(void **state)
{
	static const char says[] = "KERNEL: k: cannot be unpacked: Cannot allocate memory";
	struct li *t = *state;
	struct pk gzip, lz4;
	int fd;

	li_bzimage(t);
	gzip = pk_gzip(t->file, t->len);
	fd = li_memfd(gzip.bytes, gzip.len);
	assert_int_equal(hostile_load_within(t, fd, 0), -ENOMEM);
	assert_string_equal(t->err.msg, says);
	close(fd);
	/* The legacy blocks of lz4 take more than the buffers do. */
	lz4 = pk_lz4_legacy(t->file, t->len);
	fd = li_memfd(lz4.bytes, lz4.len);
	assert_int_equal(hostile_load_within(t, fd, 4 * MIB), -ENOMEM);
	assert_string_equal(t->err.msg, says);
	assert_int_equal(hostile_load_within(t, fd, 64 * MIB), 0);
	close(fd);
	free(gzip.bytes);
	free(lz4.bytes);
}

static void without_descriptors_nothing_is_unpacked(void **state)
{
	struct rlimit old, less;
	struct li *t = *state;
	struct pk p;
	int fd, rc;

	li_bzimage(t);
	p = pk_gzip(t->file, t->len);
	fd = li_memfd(p.bytes, p.len);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	less = (struct rlimit){ 0, old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &less), 0);
	rc = kernel_load(&t->gm, fd, "k", t->target, t->low, &t->k, &t->err);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(rc, -EIO);
	assert_string_equal(t->err.msg, "KERNEL: k: cannot be unpacked: Too many open files");
	close(fd);
	free(p.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LI_TEST(a_stream_cut_anywhere_is_refused),
		LI_TEST(a_stream_of_its_magic_alone_is_refused),
		LI_TEST(anything_behind_the_end_is_refused),
		LI_TEST(what_follows_far_behind_the_end_is_counted),
		LI_TEST(anything_behind_a_short_legacy_block_is_refused),
		LI_IMAGE_TEST(anything_behind_a_full_legacy_block_is_refused),
		LI_TEST(bytes_that_were_changed_are_noticed),
		LI_TEST(what_is_wrong_is_said_in_the_librarys_words),
		LI_TEST(a_window_of_gigabytes_is_refused),
		LI_TEST(what_swells_beyond_ram_is_refused),
		LI_TEST(no_more_is_written_than_is_allowed),
		LI_TEST(without_memory_nothing_is_unpacked),
		LI_TEST(without_descriptors_nothing_is_unpacked),
		LI_TEST(zboot_that_points_outside_is_refused),
		LI_TEST(only_the_payload_of_zboot_is_unpacked),
		LI_TEST(zboot_in_an_unknown_compression_names_it),
		LI_TEST(zboot_cut_short_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
