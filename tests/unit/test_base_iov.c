// SPDX-License-Identifier: BSD-3-Clause
/* base/iov.c: copies at any offset, clipped at the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/iov.h"

#define NR 4

/* 3 + 0 + 5 + 4 bytes, each iovec an allocation of its own for AddressSanitizer. */
static const size_t lens[NR] = { 3, 0, 5, 4 };

#define TOTAL 12

static int setup(void **state)
{
	struct iovec *iov = calloc(NR, sizeof(*iov));
	uint8_t v = 0;

	for (unsigned i = 0; i < NR; i++) {
		iov[i].iov_base = malloc(lens[i] ? lens[i] : 1);
		iov[i].iov_len = lens[i];
		for (size_t k = 0; k < lens[i]; k++)
			((uint8_t *)iov[i].iov_base)[k] = v++;
	}
	*state = iov;
	return 0;
}

static int teardown(void **state)
{
	struct iovec *iov = *state;

	for (unsigned i = 0; i < NR; i++)
		free(iov[i].iov_base);
	free(iov);
	return 0;
}

static size_t clipped(uint64_t off, size_t len)
{
	return off >= TOTAL ? 0 : MIN(len, TOTAL - (size_t)off);
}

static void reads_are_right_at_every_offset_and_length(void **state)
{
	for (unsigned off = 0; off <= TOTAL + 2; off++) {
		for (size_t len = 0; len <= TOTAL + 2; len++) {
			uint8_t *buf = malloc(len + 1);
			size_t n = iov_read(*state, NR, off, buf, len);

			assert_int_equal(n, clipped(off, len));
			for (size_t i = 0; i < n; i++)
				assert_int_equal(buf[i], off + i);
			free(buf);
		}
	}
}

static void writes_are_right_at_every_offset_and_length(void **state)
{
	uint8_t all[TOTAL];

	for (unsigned off = 0; off <= TOTAL + 2; off++) {
		for (size_t len = 0; len <= TOTAL + 2; len++) {
			uint8_t zero[TOTAL] = { 0 }, buf[TOTAL + 2];

			memset(buf, 0xaa, sizeof(buf));
			assert_int_equal(iov_write(*state, NR, 0, zero, TOTAL), TOTAL);
			assert_int_equal(iov_write(*state, NR, off, buf, len), clipped(off, len));
			assert_int_equal(iov_read(*state, NR, 0, all, TOTAL), TOTAL);
			for (size_t i = 0; i < TOTAL; i++)
				assert_int_equal(
					all[i], i >= off && i - off < clipped(off, len) ? 0xaa : 0);
		}
	}
}

static void slices_hold_the_same_bytes_as_reads(void **state)
{
	for (unsigned off = 0; off <= TOTAL + 2; off++) {
		for (size_t len = 0; len <= TOTAL + 2; len++) {
			struct iovec out[NR];
			uint8_t a[TOTAL + 2], b[TOTAL + 2];
			unsigned nr = iov_slice(*state, NR, off, len, out);
			size_t n = iov_read(*state, NR, off, a, len);

			assert_true(nr <= NR);
			assert_int_equal(iov_read(out, nr, 0, b, sizeof(b)), n);
			assert_memory_equal(a, b, n);
		}
	}
}

static void offsets_that_would_wrap_give_nothing(void **state)
{
	struct iovec out[NR];
	uint8_t b[4];

	assert_int_equal(iov_read(*state, NR, UINT64_MAX, b, 4), 0);
	assert_int_equal(iov_write(*state, NR, UINT64_MAX - 1, b, 4), 0);
	assert_int_equal(iov_slice(*state, NR, UINT64_MAX, UINT64_MAX, out), 0);
	assert_int_equal(iov_slice(*state, NR, 2, UINT64_MAX, out), 3);
	assert_int_equal(iov_read(*state, 0, 0, b, 4), 0);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(reads_are_right_at_every_offset_and_length),
		T(writes_are_right_at_every_offset_and_length),
		T(slices_hold_the_same_bytes_as_reads),
		T(offsets_that_would_wrap_give_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
