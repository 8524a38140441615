// SPDX-License-Identifier: BSD-3-Clause
/* The bus: what bus_add refuses, and that no access leaves the range that takes it. */
#include "bus/bus.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* What a handler saw last. */
struct seen {
	unsigned nr_reads, nr_writes;
	uint64_t off, value;
	unsigned len;
	uint8_t fill; /* reads answer with this, unless silent */
	bool silent;
};

static void seen_read(void *ctx, uint64_t off, void *data, unsigned len)
{
	struct seen *s = ctx;

	s->nr_reads++;
	s->off = off;
	s->len = len;
	if (!s->silent)
		memset(data, s->fill, len);
}

static void seen_write(void *ctx, uint64_t off, const void *data, unsigned len)
{
	struct seen *s = ctx;

	s->nr_writes++;
	s->off = off;
	s->len = len;
	s->value = 0;
	memcpy(&s->value, data, len);
}

static const struct bus_ops seen_ops = { .read = seen_read, .write = seen_write };

static void bus_expect_invariant(const struct bus *b)
{
	for (unsigned i = 1; i < b->nr_ranges; i++) {
		assert_true(b->range[i].base > b->range[i - 1].base);
		assert_true(b->range[i].base - b->range[i - 1].base >= b->range[i - 1].len);
	}
}

static void an_empty_range_is_refused(void **state)
{
	struct bus b = { .nr_ranges = 0 };

	(void)state;
	assert_int_equal(bus_add(&b, 0, 0, &seen_ops, NULL), -EINVAL);
	assert_int_equal(bus_add(&b, 0x1000, 0, &seen_ops, NULL), -EINVAL);
	assert_int_equal(b.nr_ranges, 0);
}

static void a_range_that_wraps_is_refused(void **state)
{
	struct bus b = { .nr_ranges = 0 };

	(void)state;
	assert_int_equal(bus_add(&b, UINT64_MAX, 2, &seen_ops, NULL), -EINVAL);
	assert_int_equal(bus_add(&b, 1, UINT64_MAX, &seen_ops, NULL), 0);
	assert_int_equal(bus_add(&b, 2, UINT64_MAX, &seen_ops, NULL), -EINVAL);
	assert_int_equal(b.nr_ranges, 1);
}

static void the_last_byte_of_the_address_space_can_be_used(void **state)
{
	struct bus b = { .nr_ranges = 0 };
	struct seen s = { .fill = 0x5a };
	uint8_t byte;
	uint16_t word;

	(void)state;
	assert_int_equal(bus_add(&b, UINT64_MAX - 7, 8, &seen_ops, &s), 0);
	assert_true(bus_read(&b, UINT64_MAX, &byte, 1));
	assert_int_equal(byte, 0x5a);
	assert_int_equal(s.off, 7);
	assert_false(bus_read(&b, UINT64_MAX, &word, 2));
	assert_int_equal(word, 0xffff);
	assert_int_equal(s.nr_reads, 1);
}

static void overlapping_ranges_are_refused(void **state)
{
	static const struct {
		uint64_t base, len;
		int rc;
	} cases[] = {
		{ 0x1000, 0x100, -EEXIST }, /* the same */
		{ 0x1040, 0x10, -EEXIST },  /* inside */
		{ 0xf00, 0x1000, -EEXIST }, /* around */
		{ 0xfff, 2, -EEXIST },      /* over the first byte */
		{ 0x10ff, 1, -EEXIST },     /* over the last byte */
		{ 0, UINT64_MAX, -EEXIST }, /* all */
		{ 0xf00, 0x100, 0 },        /* just below */
		{ 0x1100, 0x100, 0 },       /* just above */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bus b = { .nr_ranges = 0 };

		assert_int_equal(bus_add(&b, 0x1000, 0x100, &seen_ops, NULL), 0);
		assert_int_equal(
			bus_add(&b, cases[i].base, cases[i].len, &seen_ops, NULL), cases[i].rc);
		assert_int_equal(b.nr_ranges, cases[i].rc ? 1 : 2);
		bus_expect_invariant(&b);
	}
}

static void ranges_added_in_any_order_find_their_own_handler(void **state)
{
	static const unsigned order[] = { 4, 1, 6, 0, 3, 7, 2, 5 };
	struct seen s[ARRAY_SIZE(order)] = { { .fill = 0 } };
	struct bus b = { .nr_ranges = 0 };
	uint32_t v;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		s[order[i]].fill = (uint8_t)order[i];
		assert_int_equal(bus_add(&b, 0x1000 * order[i], 0x10, &seen_ops, &s[order[i]]), 0);
		bus_expect_invariant(&b);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(order); i++) {
		assert_true(bus_read(&b, 0x1000 * i + 4, &v, 4));
		assert_int_equal(v, 0x01010101U * i);
		assert_int_equal(s[i].nr_reads, 1);
		assert_int_equal(s[i].off, 4);
		assert_int_equal(s[i].len, 4);
	}
}

static void a_full_table_takes_no_more_and_still_serves_all(void **state)
{
	static struct bus b;
	struct seen s = { .fill = 1 };
	uint8_t byte;

	(void)state;
	b.nr_ranges = 0;
	for (unsigned i = 0; i < BUS_MAX_RANGES; i++)
		assert_int_equal(bus_add(&b, 16 * (uint64_t)(i + 1), 16, &seen_ops, &s), 0);
	assert_int_equal(bus_add(&b, 0, 16, &seen_ops, &s), -ENOSPC);
	assert_int_equal(bus_add(&b, 1 << 20, 16, &seen_ops, &s), -ENOSPC);
	assert_int_equal(bus_add(&b, 16, 16, &seen_ops, &s), -EEXIST);
	assert_int_equal(b.nr_ranges, BUS_MAX_RANGES);
	for (uint64_t a = 16; a < 16 * (BUS_MAX_RANGES + 1); a++)
		assert_true(bus_read(&b, a, &byte, 1));
	assert_false(bus_read(&b, 15, &byte, 1));
	assert_false(bus_read(&b, 16 * (BUS_MAX_RANGES + 1), &byte, 1));
}

/** Every width at every address around one range: only accesses wholly inside arrive. */
static void an_access_arrives_only_when_all_of_it_is_inside(void **state)
{
	struct bus b = { .nr_ranges = 0 };
	struct seen s = { .fill = 0x11 }, next = { .fill = 0x22 };
	uint8_t data[16];

	(void)state;
	assert_int_equal(bus_add(&b, 0x100, 13, &seen_ops, &s), 0);
	assert_int_equal(bus_add(&b, 0x10d, 1, &seen_ops, &next), 0);
	for (uint64_t a = 0xf0; a < 0x120; a++) {
		for (unsigned len = 1; len <= 8; len *= 2) {
			bool inside = a >= 0x100 && a + len <= 0x10d;
			bool in_next = a == 0x10d && len == 1;
			unsigned reads = s.nr_reads, writes = s.nr_writes;

			memset(data, 0, sizeof(data));
			assert_int_equal(bus_read(&b, a, data, len), inside || in_next);
			assert_int_equal(s.nr_reads - reads, inside);
			for (unsigned i = 0; i < len; i++)
				assert_int_equal(data[i], inside ? 0x11 : in_next ? 0x22 : 0xff);
			assert_int_equal(data[len], 0);
			assert_int_equal(bus_write(&b, a, data, len), inside || in_next);
			assert_int_equal(s.nr_writes - writes, inside);
			if (inside) {
				assert_int_equal(s.off, a - 0x100);
				assert_int_equal(s.len, len);
			}
		}
	}
}

static void odd_lengths_read_as_ones_and_write_nowhere(void **state)
{
	static const unsigned lengths[] = { 0, 3, 5, 6, 7, 9, 12, 16, 32 };
	struct bus b = { .nr_ranges = 0 };
	struct seen s = { .fill = 0 };
	uint8_t data[33];

	(void)state;
	assert_int_equal(bus_add(&b, 0, 0x1000, &seen_ops, &s), 0);
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		memset(data, 0, sizeof(data));
		assert_false(bus_write(&b, 0x10, data, lengths[i]));
		assert_false(bus_read(&b, 0x10, data, lengths[i]));
		for (unsigned k = 0; k < lengths[i]; k++)
			assert_int_equal(data[k], 0xff);
		assert_int_equal(data[lengths[i]], 0);
	}
	assert_int_equal(s.nr_reads + s.nr_writes, 0);
}

static void a_handler_that_answers_nothing_reads_as_ones(void **state)
{
	struct bus b = { .nr_ranges = 0 };
	struct seen s = { .silent = true };
	uint64_t v = 0;

	(void)state;
	assert_int_equal(bus_add(&b, 0, 0x10, &seen_ops, &s), 0);
	assert_true(bus_read(&b, 8, &v, 8));
	assert_true(v == UINT64_MAX);
}

static void an_empty_bus_answers_with_ones(void **state)
{
	struct bus b = { .nr_ranges = 0 };
	uint32_t v = 0;

	(void)state;
	assert_false(bus_read(&b, 0, &v, 4));
	assert_int_equal(v, UINT32_MAX);
	assert_false(bus_write(&b, UINT64_MAX, &v, 4));
}

static void a_write_arrives_with_its_bytes(void **state)
{
	struct bus b = { .nr_ranges = 0 };
	struct seen s = { .fill = 0 };
	uint64_t v = 0x1122334455667788;

	(void)state;
	assert_int_equal(bus_add(&b, 0x40, 0x40, &seen_ops, &s), 0);
	assert_true(bus_write(&b, 0x48, &v, 8));
	assert_true(s.value == v);
	assert_true(bus_write(&b, 0x49, &v, 2));
	assert_int_equal(s.value, 0x7788);
	assert_int_equal(s.off, 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_range_is_refused),
		cmocka_unit_test(a_range_that_wraps_is_refused),
		cmocka_unit_test(the_last_byte_of_the_address_space_can_be_used),
		cmocka_unit_test(overlapping_ranges_are_refused),
		cmocka_unit_test(ranges_added_in_any_order_find_their_own_handler),
		cmocka_unit_test(a_full_table_takes_no_more_and_still_serves_all),
		cmocka_unit_test(an_access_arrives_only_when_all_of_it_is_inside),
		cmocka_unit_test(odd_lengths_read_as_ones_and_write_nowhere),
		cmocka_unit_test(a_handler_that_answers_nothing_reads_as_ones),
		cmocka_unit_test(an_empty_bus_answers_with_ones),
		cmocka_unit_test(a_write_arrives_with_its_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
