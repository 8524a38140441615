// SPDX-License-Identifier: BSD-3-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "devices/power.h"

static int last; /* the event, or -1 */

static void on_event(void *ctx, enum power_event ev)
{
	assert_ptr_equal(ctx, &last);
	assert_int_equal(last, -1); /* one event per write */
	last = (int)ev;
}

static struct power power = { .event = on_event, .ctx = &last };

static int write_len(const struct bus_ops *ops, uint64_t off, uint64_t v, unsigned len)
{
	last = -1;
	ops->write(&power, off, &v, len);
	return last;
}

static int write1(const struct bus_ops *ops, uint64_t off, uint8_t v)
{
	return write_len(ops, off, v, 1);
}

static uint64_t read_len(const struct bus_ops *ops, uint64_t off, unsigned len)
{
	uint64_t v = UINT64_MAX;

	last = -1;
	ops->read(&power, off, &v, len);
	assert_int_equal(last, -1);
	return v;
}

static uint8_t read1(const struct bus_ops *ops, uint64_t off)
{
	return (uint8_t)read_len(ops, off, 1);
}

static void only_the_s5_type_with_the_enable_bit_powers_off(void **state __unused)
{
	for (unsigned v = 0; v < 256; v++) {
		bool off = (v & 0x20) && ((v >> 2) & 7) == 5;

		assert_int_equal(write1(&power_bus_ops, POWER_SLEEP_CONTROL, (uint8_t)v),
			off ? (int)POWER_OFF : -1);
	}
}

static void only_the_reset_value_resets(void **state __unused)
{
	for (unsigned v = 0; v < 256; v++)
		assert_int_equal(write1(&power_bus_ops, POWER_RESET_REG, (uint8_t)v),
			v == POWER_RESET_VALUE ? (int)POWER_RESET : -1);
}

static void sleep_status_takes_writes_and_reads_zero(void **state __unused)
{
	for (unsigned v = 0; v < 256; v++)
		assert_int_equal(write1(&power_bus_ops, POWER_SLEEP_STATUS, (uint8_t)v), -1);
	for (unsigned off = 0; off < POWER_LEN; off++)
		assert_int_equal(read1(&power_bus_ops, off), 0);
}

static void pvpanic_offers_both_events(void **state __unused)
{
	assert_int_equal(read1(&pvpanic_bus_ops, 0), 3);
	assert_int_equal(write1(&pvpanic_bus_ops, 0, 1), POWER_PANIC);
	assert_int_equal(write1(&pvpanic_bus_ops, 0, 2), POWER_CRASH_LOADED);
	assert_int_equal(write1(&pvpanic_bus_ops, 0, 3), POWER_PANIC);
	assert_int_equal(write1(&pvpanic_bus_ops, 0, 0), -1);
	assert_int_equal(write1(&pvpanic_bus_ops, 0, 0xfc), -1);
}

static void the_keyboard_controller_resets_and_is_not_there(void **state __unused)
{
	for (unsigned v = 0; v < 256; v++)
		assert_int_equal(
			write1(&i8042_reset_ops, 0, (uint8_t)v), v == 0xfe ? (int)POWER_RESET : -1);
	assert_int_equal(read1(&i8042_reset_ops, 0), 0xff);
}

static void other_widths_do_nothing(void **state __unused)
{
	static const unsigned len[] = { 2, 4, 8 };

	for (unsigned i = 0; i < ARRAY_SIZE(len); i++) {
		assert_int_equal(write_len(&power_bus_ops, 0, 0x34, len[i]), -1);
		assert_int_equal(write_len(&power_bus_ops, 2, POWER_RESET_VALUE, len[i]), -1);
		assert_int_equal(write_len(&pvpanic_bus_ops, 0, 1, len[i]), -1);
		assert_int_equal(write_len(&i8042_reset_ops, 0, 0xfe, len[i]), -1);
		assert_true(read_len(&power_bus_ops, 0, len[i]) == UINT64_MAX);
		assert_true(read_len(&pvpanic_bus_ops, 0, len[i]) == UINT64_MAX);
		assert_true(read_len(&i8042_reset_ops, 0, len[i]) == UINT64_MAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_s5_type_with_the_enable_bit_powers_off),
		cmocka_unit_test(only_the_reset_value_resets),
		cmocka_unit_test(sleep_status_takes_writes_and_reads_zero),
		cmocka_unit_test(pvpanic_offers_both_events),
		cmocka_unit_test(the_keyboard_controller_resets_and_is_not_there),
		cmocka_unit_test(other_widths_do_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
