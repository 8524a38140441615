// SPDX-License-Identifier: BSD-3-Clause
/*
 * Firmware calls: what the guest says is hostile, and what is not served stays "not supported".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "arch/riscv64/riscv64.h"

/* RISC-V Supervisor Binary Interface Specification 2.0. */
#define DBCN          0x4442434e
#define NOT_SUPPORTED ((uint64_t)-2)
#define INVALID_PARAM ((uint64_t)-3)

#define ST_RAM 0x2000 /* bytes, at DT_RAM */
#define ST_MAX 1024   /* bytes that a call takes */

struct st {
	struct guest_memory gm;
	uint8_t *ram; /* owned; from the heap, so that AddressSanitizer sees a byte too far */
	struct hv_exit exit;
	uint64_t ret[2];
	/* What the console was given. */
	char said[2 * ST_MAX];
	size_t len;
	unsigned nr_puts;
};

static int st_setup(void **state)
{
	struct st *t = calloc(1, sizeof(*t));

	t->ram = malloc(ST_RAM);
	for (unsigned i = 0; i < ST_RAM; i++)
		t->ram[i] = (uint8_t)(i % 251);
	assert_int_equal(gm_add_borrowed(&t->gm, DT_RAM, t->ram, ST_RAM), 0);
	*state = t;
	return 0;
}

static int st_teardown(void **state)
{
	struct st *t = *state;

	gm_fini(&t->gm);
	free(t->ram);
	free(t);
	return 0;
}

#define ST_TEST(f) cmocka_unit_test_setup_teardown(f, st_setup, st_teardown)

static void st_put(void *ctx, const void *buf, size_t len)
{
	struct st *t = ctx;

	assert_true(len <= sizeof(t->said) - t->len);
	memcpy(t->said + t->len, buf, len);
	t->len += len;
	t->nr_puts++;
}

/** Makes the call; the console forgets what it was given before. */
static void st_call(
	struct st *t, uint64_t ext, uint64_t func, uint64_t a0, uint64_t a1, uint64_t a2)
{
	t->len = t->nr_puts = 0;
	t->ret[0] = NOT_SUPPORTED;
	t->ret[1] = 0;
	t->exit = (struct hv_exit){
		.kind = HV_EXIT_SBI,
		.sbi = { .ext = ext, .func = func, .arg = { a0, a1, a2 }, .ret = t->ret },
	};
	arch_on_sbi(NULL, &t->exit, &t->gm, st_put, t);
}

static void st_answers(const struct st *t, uint64_t error, uint64_t value)
{
	assert_int_equal(t->ret[0], error);
	assert_int_equal(t->ret[1], value);
}

/* ---- the debug console ---- */

static void a_write_is_said_and_counted(void **state)
{
	struct st *t = *state;

	memcpy(t->ram + 0x123, "hello", 5);
	st_call(t, DBCN, 0, 5, DT_RAM + 0x123, 0);
	st_answers(t, 0, 5);
	assert_int_equal(t->len, 5);
	assert_memory_equal(t->said, "hello", 5);
	/* To the last byte of RAM. */
	st_call(t, DBCN, 0, 7, DT_RAM + ST_RAM - 7, 0);
	st_answers(t, 0, 7);
	assert_memory_equal(t->said, t->ram + ST_RAM - 7, 7);
}

static void a_write_of_nothing_is_fine_wherever_it_is(void **state)
{
	struct st *t = *state;

	st_call(t, DBCN, 0, 0, 0, 0);
	st_answers(t, 0, 0);
	assert_int_equal(t->len, 0);
}

static void a_long_write_is_taken_in_part(void **state)
{
	static const uint64_t len[] = { ST_MAX, ST_MAX + 1, ST_RAM, UINT64_MAX };
	struct st *t = *state;

	for (size_t i = 0; i < ARRAY_SIZE(len); i++) {
		st_call(t, DBCN, 0, len[i], DT_RAM, 0);
		st_answers(t, 0, ST_MAX);
		assert_int_equal(t->len, ST_MAX);
		assert_memory_equal(t->said, t->ram, ST_MAX);
	}
	st_call(t, DBCN, 0, ST_MAX - 1, DT_RAM, 0);
	st_answers(t, 0, ST_MAX - 1);
}

static void a_write_from_where_no_ram_is_is_refused(void **state)
{
	static const struct {
		uint64_t len, addr;
	} c[] = {
		{ 1, 0 },
		{ 1, DT_RAM - 1 },
		{ 2, DT_RAM - 1 },
		{ 1, DT_RAM + ST_RAM },
		{ 2, DT_RAM + ST_RAM - 1 },
		{ ST_MAX, DT_RAM + ST_RAM - ST_MAX + 1 },
		{ 2, UINT64_MAX },
		{ UINT64_MAX, UINT64_MAX - 10 },
		{ 4, DT_UART },
	};
	struct st *t = *state;

	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		st_call(t, DBCN, 0, c[i].len, c[i].addr, 0);
		st_answers(t, INVALID_PARAM, 0);
		assert_int_equal(t->nr_puts, 0);
	}
}

static void an_address_of_more_than_64_bits_is_refused(void **state)
{
	struct st *t = *state;

	st_call(t, DBCN, 0, 5, DT_RAM, 1);
	st_answers(t, INVALID_PARAM, 0);
	st_call(t, DBCN, 0, 5, DT_RAM, BIT(63));
	st_answers(t, INVALID_PARAM, 0);
	assert_int_equal(t->nr_puts, 0);
}

static void a_byte_is_said(void **state)
{
	struct st *t = *state;

	/* All but the lowest byte of the word is not looked at. */
	st_call(t, DBCN, 2, 0xffffff00 | 'x', UINT64_MAX, UINT64_MAX);
	st_answers(t, 0, 0);
	assert_int_equal(t->len, 1);
	assert_int_equal(t->said[0], 'x');
}

static void a_read_finds_nothing(void **state)
{
	uint8_t was[ST_RAM];
	struct st *t = *state;

	memcpy(was, t->ram, sizeof(was));
	st_call(t, DBCN, 1, 5, DT_RAM, 0);
	st_answers(t, 0, 0);
	assert_int_equal(t->nr_puts, 0);
	assert_memory_equal(t->ram, was, sizeof(was));
}

static void an_unknown_function_is_not_supported(void **state)
{
	static const uint64_t func[] = { 3, 4, UINT32_MAX, BIT(32), UINT64_MAX };
	struct st *t = *state;

	for (size_t i = 0; i < ARRAY_SIZE(func); i++) {
		st_call(t, DBCN, func[i], 5, DT_RAM, 0);
		st_answers(t, NOT_SUPPORTED, 0);
		assert_int_equal(t->nr_puts, 0);
	}
}

/* ---- the rest ---- */

static void the_legacy_console_says_a_byte_whatever_its_function(void **state)
{
	struct st *t = *state;

	st_call(t, 1, 0, 0x100 | 'y', 0, 0);
	st_answers(t, 0, 0);
	assert_int_equal(t->len, 1);
	assert_int_equal(t->said[0], 'y');
	/* Its calls have no function: what the register holds is left over. */
	st_call(t, 1, 17, 'z', 0, 0);
	st_answers(t, 0, 0);
	assert_int_equal(t->said[0], 'z');
}

static void the_legacy_console_has_no_input(void **state)
{
	struct st *t = *state;

	st_call(t, 2, 0, 0, 0, 0);
	st_answers(t, (uint64_t)-1, 0);
	assert_int_equal(t->nr_puts, 0);
}

static void an_unknown_extension_is_not_supported(void **state)
{
	static const uint64_t ext[] = { 0, 3, 8, 0x10, DBCN + 1, DBCN | BIT(32), UINT64_MAX };
	struct st *t = *state;

	for (size_t i = 0; i < ARRAY_SIZE(ext); i++)
		for (uint64_t func = 0; func < 4; func++) {
			st_call(t, ext[i], func, 5, DT_RAM, 0);
			st_answers(t, NOT_SUPPORTED, 0);
			assert_int_equal(t->nr_puts, 0);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ST_TEST(a_write_is_said_and_counted),
		ST_TEST(a_write_of_nothing_is_fine_wherever_it_is),
		ST_TEST(a_long_write_is_taken_in_part),
		ST_TEST(a_write_from_where_no_ram_is_is_refused),
		ST_TEST(an_address_of_more_than_64_bits_is_refused),
		ST_TEST(a_byte_is_said),
		ST_TEST(a_read_finds_nothing),
		ST_TEST(an_unknown_function_is_not_supported),
		ST_TEST(the_legacy_console_says_a_byte_whatever_its_function),
		ST_TEST(the_legacy_console_has_no_input),
		ST_TEST(an_unknown_extension_is_not_supported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
