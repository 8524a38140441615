// SPDX-License-Identifier: BSD-3-Clause
/* Guest RAM: what is refused at set-up, and that no access leaves RAM. */
#include "memory/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <cmocka.h>
#include <unistd.h>

#define P PAGE_SIZE_4K

/* Regions [1P,3P) and [3P,4P) touch; [6P,7P) stands alone; the last ends at 2^64. */
#define TOP (UINT64_MAX - P + 1)

static uint8_t *host; /* 5 pages, one fence page on each side */

static const struct {
	gpa_t base;
	uint64_t len;
} layout[] = { { P, 2 * P }, { 3 * P, P }, { 6 * P, P }, { TOP, P } };

static int ram_setup(void **state)
{
	static struct guest_memory gm;
	uint8_t *at;

	gm = (struct guest_memory){ .nr_regions = 0 };
	host = mmap(NULL, 10 * P, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (host == MAP_FAILED)
		return -1;
	/* A fence after each region, so that an access past it faults. */
	at = host + P;
	for (size_t i = 0; i < ARRAY_SIZE(layout); i++) {
		if (mprotect(at, layout[i].len, PROT_READ | PROT_WRITE))
			return -1;
		if (gm_add_borrowed(&gm, layout[i].base, at, layout[i].len))
			return -1;
		for (uint64_t b = 0; b < layout[i].len; b++)
			at[b] = (uint8_t)((layout[i].base + b) * 7 >> 3);
		at += layout[i].len + P;
	}
	*state = &gm;
	return 0;
}

static int ram_teardown(void **state)
{
	gm_fini(*state);
	return munmap(host, 10 * P);
}

/** The slow truth: the host byte of gpa, or NULL. */
static uint8_t *ram_byte(const struct guest_memory *gm, gpa_t gpa)
{
	for (size_t i = 0; i < ARRAY_SIZE(layout); i++)
		for (uint64_t page = 0; page < layout[i].len; page += P)
			if (gpa / P == (layout[i].base + page) / P)
				return gm->region[i].host + page + gpa % P;
	return NULL;
}

/* A huge page of the host can be one of the guest's only when both start at the same place. */
static void ram_lies_in_huge_pages_as_the_guest_sees_it(void **state __unused)
{
	static const struct {
		gpa_t base;
		uint64_t len;
	} ram[] = { { 0, 64 * MIB }, { 0x100000, 3 * MIB }, { 4 * GIB, 2 * MIB } };

	for (size_t i = 0; i < ARRAY_SIZE(ram); i++) {
		struct guest_memory gm = { 0 };
		struct err err;

		assert_int_equal(gm_add_ram(&gm, ram[i].base, ram[i].len, &err), 0);
		assert_int_equal((uintptr_t)gm.region[0].host % (2 * MIB), ram[i].base % (2 * MIB));
		memset(gm.region[0].host, 1, ram[i].len);
		gm_fini(&gm);
	}
}

static void a_region_must_be_pages_in_ascending_order(void **state)
{
	static const struct {
		gpa_t base;
		uint64_t len;
		int rc;
	} cases[] = { { 0, 0, -EINVAL }, { 16 * P, 0, -EINVAL }, { 16 * P + 1, P, -EINVAL },
		{ 16 * P, P + 8, -EINVAL }, { 16 * P, P - 1, -EINVAL }, { TOP, 2 * P, -EINVAL },
		{ 16 * P, TOP, -EINVAL }, { 8 * P, P, -EEXIST }, { 9 * P, P, -EEXIST },
		{ 7 * P, P, -EEXIST }, { 7 * P, 4 * P, -EEXIST }, { 0, P, -EEXIST },
		{ 10 * P, P, 0 }, { 11 * P, P, 0 }, { TOP, P, 0 } };
	static uint8_t ram[P];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct guest_memory gm = { .nr_regions = 0 };

		assert_int_equal(gm_add_borrowed(&gm, 8 * P, ram, 2 * P), 0);
		assert_int_equal(
			gm_add_borrowed(&gm, cases[i].base, ram, cases[i].len), cases[i].rc);
		assert_int_equal(gm.nr_regions, cases[i].rc ? 1 : 2);
		gm_fini(&gm);
		assert_int_equal(gm.nr_regions, 0);
	}
}

static void a_full_table_takes_no_more(void **state)
{
	struct guest_memory gm = { .nr_regions = 0 };
	static uint8_t ram[P];

	(void)state;
	for (unsigned i = 0; i < GM_MAX_REGIONS; i++)
		assert_int_equal(gm_add_borrowed(&gm, 2 * P * i, ram, P), 0);
	assert_int_equal(gm_add_borrowed(&gm, 2 * P * GM_MAX_REGIONS, ram, P), -ENOSPC);
	assert_int_equal(gm_total(&gm), GM_MAX_REGIONS * P);
	gm_fini(&gm);
}

static void ram_of_our_own_is_zero_and_writable(void **state)
{
	static const uint8_t zero[P];
	struct guest_memory gm = { .nr_regions = 0 };
	uint32_t v = 0x12345678, back = 0;
	uint8_t page[P];
	struct err err;

	(void)state;
	assert_int_equal(gm_add_ram(&gm, 0, 3 * MIB, &err), 0);
	assert_int_equal(gm_add_ram(&gm, 4 * GIB, GIB, &err), 0); /* reserved, not touched */
	assert_true(gm_total(&gm) == GIB + 3 * MIB);
	assert_int_equal(gm_read(&gm, 5 * GIB - P, page, P), 0);
	assert_memory_equal(page, zero, P);
	assert_int_equal(gm_write(&gm, 3 * MIB - 4, &v, 4), 0);
	assert_int_equal(gm_read(&gm, 3 * MIB - 4, &back, 4), 0);
	assert_int_equal(back, v);
	gm_fini(&gm);
	gm_fini(&gm);
}

static void ram_that_cannot_be_is_refused_with_a_sentence(void **state)
{
	struct guest_memory gm = { .nr_regions = 0 };
	struct err err = { "" };

	(void)state;
	assert_int_equal(gm_add_ram(&gm, 0, 1ULL << 62, &err), -ENOMEM);
	assert_memory_equal(err.msg, "--mem: ", 7);
	err.msg[0] = '\0';
	assert_int_equal(gm_add_ram(&gm, 1, P, &err), -EINVAL);
	assert_memory_equal(err.msg, "--mem: ", 7);
	assert_true(gm_add_ram(&gm, 0, 0, &err) < 0);
	assert_int_equal(gm.nr_regions, 0);
}

/* Addresses and lengths where a check that adds instead of subtracting goes wrong. */
static const gpa_t edges[] = { 0, 1, P - 8, P - 1, P, P + 1, 2 * P, 3 * P - 1, 3 * P, 3 * P + 1,
	4 * P - 8, 4 * P - 1, 4 * P, 5 * P, 6 * P - 1, 6 * P, 7 * P - 1, 7 * P, 8 * P, 1ULL << 32,
	1ULL << 63, TOP - 1, TOP, TOP + 1, UINT64_MAX - 7, UINT64_MAX };
static const uint64_t lengths[] = { 0, 1, 2, 8, 9, P - 1, P, P + 1, 2 * P - 1, 2 * P, 2 * P + 1,
	3 * P - 1, 3 * P, 3 * P + 1, 6 * P, 1ULL << 32, 1ULL << 63, TOP, UINT64_MAX - P,
	UINT64_MAX };

/** Whether all of [gpa, gpa+len) is RAM, byte by byte; more than all RAM cannot be. */
static bool ram_holds(const struct guest_memory *gm, gpa_t gpa, uint64_t len)
{
	if (!len || len > gm_total(gm))
		return false;
	for (uint64_t i = 0; i < len; i++)
		if (i > UINT64_MAX - gpa || !ram_byte(gm, gpa + i))
			return false;
	return true;
}

static unsigned ram_region_of(gpa_t gpa)
{
	return gpa >= TOP ? 3 : gpa >= 6 * P ? 2 : gpa >= 3 * P ? 1 : 0;
}

static void a_slice_is_ram_of_one_region_or_nothing(void **state)
{
	const struct guest_memory *gm = *state;

	for (size_t i = 0; i < ARRAY_SIZE(edges); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(lengths); k++) {
			gpa_t gpa = edges[i];
			uint64_t len = lengths[k];
			bool good = ram_holds(gm, gpa, len) &&
				ram_region_of(gpa) == ram_region_of(gpa + len - 1);

			assert_ptr_equal(gm_slice(gm, gpa, len), good ? ram_byte(gm, gpa) : NULL);
		}
	}
}

static void copies_take_ram_whole_or_copy_nothing(void **state)
{
	const struct guest_memory *gm = *state;
	static uint8_t buf[16 * P], ones[16 * P];

	memset(ones, 0xee, sizeof(ones));
	for (size_t i = 0; i < ARRAY_SIZE(edges); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(lengths); k++) {
			gpa_t gpa = edges[i];
			uint64_t len = lengths[k];
			int rc = ram_holds(gm, gpa, len) ? 0 : -EFAULT;

			memset(buf, 0xee, sizeof(buf));
			assert_int_equal(gm_read(gm, gpa, buf, len), rc);
			if (rc) {
				assert_memory_equal(buf, ones, sizeof(buf));
				assert_int_equal(gm_write(gm, gpa, buf, len), rc);
				assert_int_equal(gm_zero(gm, gpa, len), rc);
				continue;
			}
			for (uint64_t b = 0; b < len; b++)
				assert_int_equal(buf[b], *ram_byte(gm, gpa + b));
			assert_int_equal(buf[len], 0xee);
			assert_int_equal(gm_zero(gm, gpa, len), 0);
			for (uint64_t b = 0; b < len; b++)
				assert_int_equal(*ram_byte(gm, gpa + b), 0);
			assert_int_equal(gm_write(gm, gpa, buf, len), 0);
			for (uint64_t b = 0; b < len; b++)
				assert_int_equal(*ram_byte(gm, gpa + b), buf[b]);
		}
	}
}

static void a_write_changes_only_its_bytes(void **state)
{
	const struct guest_memory *gm = *state;
	uint8_t before = *ram_byte(gm, 3 * P - 3), after = *ram_byte(gm, 3 * P + 2);

	assert_int_equal(gm_zero(gm, 3 * P - 2, 4), 0);
	assert_int_equal(*ram_byte(gm, 3 * P - 3), before);
	assert_int_equal(*ram_byte(gm, 3 * P + 2), after);
}

static void iovecs_split_where_regions_touch(void **state)
{
	const struct guest_memory *gm = *state;
	struct iovec iov[3] = { { NULL, 77 }, { NULL, 77 }, { NULL, 77 } };

	assert_int_equal(gm_iovec(gm, 2 * P, P, iov, 1), 1);
	assert_ptr_equal(iov[0].iov_base, ram_byte(gm, 2 * P));
	assert_int_equal(iov[0].iov_len, P);
	assert_int_equal(gm_iovec(gm, 3 * P - 8, 16, iov, 2), 2);
	assert_ptr_equal(iov[0].iov_base, ram_byte(gm, 3 * P - 8));
	assert_int_equal(iov[0].iov_len, 8);
	assert_ptr_equal(iov[1].iov_base, ram_byte(gm, 3 * P));
	assert_int_equal(iov[1].iov_len, 8);
	assert_int_equal(iov[2].iov_len, 77);
}

static void iovecs_never_exceed_their_room(void **state)
{
	const struct guest_memory *gm = *state;
	struct iovec iov[3] = { { NULL, 77 }, { NULL, 77 }, { NULL, 77 } };

	assert_int_equal(gm_iovec(gm, P, 8, iov, 0), -E2BIG);
	assert_int_equal(iov[0].iov_len, 77);
	assert_int_equal(gm_iovec(gm, 3 * P - 8, 16, iov, 1), -E2BIG);
	assert_int_equal(iov[1].iov_len, 77);
}

static void iovecs_of_what_is_not_ram_are_refused(void **state)
{
	const struct guest_memory *gm = *state;

	for (size_t i = 0; i < ARRAY_SIZE(edges); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(lengths); k++) {
			struct iovec iov[GM_MAX_REGIONS];
			uint64_t sum = 0;
			int n = gm_iovec(gm, edges[i], lengths[k], iov, GM_MAX_REGIONS);

			if (!ram_holds(gm, edges[i], lengths[k])) {
				assert_int_equal(n, -EFAULT);
				continue;
			}
			assert_in_range(n, 1, 2);
			for (int j = 0; j < n; j++)
				sum += iov[j].iov_len;
			assert_true(sum == lengths[k]);
		}
	}
}

static void a_range_does_not_go_on_from_the_top_to_zero(void **state)
{
	struct guest_memory gm = { .nr_regions = 0 };
	static uint8_t low[P], high[P];
	struct iovec iov[GM_MAX_REGIONS];
	uint8_t buf[16];

	(void)state;
	assert_int_equal(gm_add_borrowed(&gm, 0, low, P), 0);
	assert_int_equal(gm_add_borrowed(&gm, TOP, high, P), 0);
	assert_int_equal(gm_iovec(&gm, UINT64_MAX - 7, 8, iov, GM_MAX_REGIONS), 1);
	assert_int_equal(gm_iovec(&gm, UINT64_MAX - 7, 16, iov, GM_MAX_REGIONS), -EFAULT);
	assert_int_equal(gm_read(&gm, UINT64_MAX - 7, buf, 16), -EFAULT);
	assert_null(gm_slice(&gm, UINT64_MAX - 7, 16));
}

static void shared_words_keep_their_bytes(void **state)
{
	uint16_t *word = gm_slice(*state, P, 2);

	gm_store16(word, 0x1234);
	assert_int_equal(gm_load16(word), 0x1234);
	gm_store16_release(word, 0xabcd);
	assert_int_equal(gm_load16_acquire(word), 0xabcd);
	assert_int_equal(*word, 0xabcd);
}

static void shared_ram_is_parts_of_one_sealed_file(void **state)
{
	struct guest_memory gm = { 0 };
	struct err err;
	uint8_t byte = 0x5a;
	int fd;

	(void)state;
	assert_int_equal(gm_share(&gm, 8 * P, -1, &err), 0);
	assert_int_equal(gm_add_ram(&gm, 0, 2 * P, &err), 0);
	assert_int_equal(gm_add_ram(&gm, 16 * P, 6 * P, &err), 0);
	fd = gm.region[0].fd;
	assert_int_equal(gm.region[0].fd_off, 0);
	assert_int_equal(gm.region[1].fd, fd);
	assert_int_equal(gm.region[1].fd_off, 2 * P);
	assert_int_equal(gm_write(&gm, 17 * P, &byte, 1), 0);
	byte = 0;
	assert_int_equal(pread(fd, &byte, 1, 3 * P), 1);
	assert_int_equal(byte, 0x5a);
	/* Nobody who has it can make another process's access to it fail. */
	assert_int_equal(fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	gm_fini(&gm);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void shared_ram_too_large_for_this_host_is_an_error(void **state)
{
	struct guest_memory gm = { 0 };
	struct err err;

	(void)state;
	assert_true(gm_share(&gm, 1ULL << 63, -1, &err) < 0);
	assert_non_null(strstr(err.msg, "--mem"));
	assert_false(gm.shared);
	assert_int_equal(gm_add_ram(&gm, 0, P, &err), 0);
	assert_int_equal(gm.region[0].fd, -1);
	gm_fini(&gm);
}

#define ON_RAM(fn) cmocka_unit_test_setup_teardown(fn, ram_setup, ram_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ram_lies_in_huge_pages_as_the_guest_sees_it),
		cmocka_unit_test(a_region_must_be_pages_in_ascending_order),
		cmocka_unit_test(a_full_table_takes_no_more),
		cmocka_unit_test(ram_of_our_own_is_zero_and_writable),
		cmocka_unit_test(ram_that_cannot_be_is_refused_with_a_sentence),
		cmocka_unit_test(shared_ram_is_parts_of_one_sealed_file),
		cmocka_unit_test(shared_ram_too_large_for_this_host_is_an_error),
		ON_RAM(a_slice_is_ram_of_one_region_or_nothing),
		ON_RAM(copies_take_ram_whole_or_copy_nothing),
		ON_RAM(a_write_changes_only_its_bytes),
		ON_RAM(iovecs_split_where_regions_touch),
		ON_RAM(iovecs_never_exceed_their_room),
		ON_RAM(iovecs_of_what_is_not_ram_are_refused),
		cmocka_unit_test(a_range_does_not_go_on_from_the_top_to_zero),
		ON_RAM(shared_words_keep_their_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
