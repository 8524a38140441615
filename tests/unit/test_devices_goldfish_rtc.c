// SPDX-License-Identifier: BSD-3-Clause
/* devices/goldfish_rtc.c: its registers, and the alarm as a driver sets it. */
#include "devices/goldfish_rtc.h"

#include <pthread.h>
#include <sys/resource.h>

#include "tests/unit/rtc_rig.h"

enum {
	TIME_LOW = 0x00,
	TIME_HIGH = 0x04,
	ALARM_LOW = 0x08,
	ALARM_HIGH = 0x0c,
	IRQ_ENABLED = 0x10,
	CLEAR_ALARM = 0x14,
	ALARM_STATUS = 0x18,
	CLEAR_INTERRUPT = 0x1c,
};

static void make_with(const struct rtc_clock *clock, const struct irq_line *l)
{
	struct goldfish_rtc *g;
	struct err err;

	assert_int_equal(goldfish_rtc_create(step.loop, clock, l, &g, &err), 0);
	dev = g;
	dev_ops = &goldfish_rtc_bus_ops;
}

static int make(void **state __unused)
{
	rig_open();
	make_with(&told_clock, &line);
	return 0;
}

static int drop(void **state __unused)
{
	goldfish_rtc_destroy(dev);
	rig_close();
	return 0;
}

/* The order of Linux's driver in all of these: low first to read, high first to write. */

static uint64_t read_time(void)
{
	uint64_t low = in(TIME_LOW);

	return (uint64_t)in(TIME_HIGH) << 32 | low;
}

static uint64_t read_alarm(void)
{
	return (uint64_t)in(ALARM_HIGH) << 32 | in(ALARM_LOW);
}

static void set_time(uint64_t ns)
{
	out(TIME_HIGH, ns >> 32);
	out(TIME_LOW, ns);
}

static void set_alarm(uint64_t ns)
{
	out(ALARM_HIGH, ns >> 32);
	out(ALARM_LOW, ns);
}

static void it_is_born_with_the_hosts_time_and_no_alarm(void **state __unused)
{
	assert_int_equal(in(TIME_HIGH), 0); /* nothing latched */
	assert_int_equal(read_time(), T0 * S);
	assert_int_equal(read_alarm(), 0);
	assert_int_equal(in(IRQ_ENABLED), 0);
	assert_int_equal(in(CLEAR_ALARM), 0);
	assert_int_equal(in(ALARM_STATUS), 0);
	assert_int_equal(in(CLEAR_INTERRUPT), 0);
	host_ns += 123456789;
	assert_int_equal(read_time(), T0 * S + 123456789);
}

static void reading_the_low_half_latches_the_high_half(void **state __unused)
{
	host_ns = 0x12ffffffffULL;
	assert_int_equal(in(TIME_LOW), 0xffffffff);
	host_ns += 1;
	assert_int_equal(in(TIME_HIGH), 0x12);
	assert_int_equal(in(TIME_LOW), 0);
	assert_int_equal(in(TIME_HIGH), 0x13);
}

static void the_time_is_set_in_halves_and_goes_on(void **state __unused)
{
	set_time(0x1122334455667788);
	assert_int_equal(read_time(), 0x1122334455667788);
	host_ns += 5 * S;
	assert_int_equal(read_time(), 0x1122334455667788 + 5 * S);
	out(TIME_HIGH, 0);
	assert_int_equal(read_time(), (uint32_t)(0x1122334455667788 + 5 * S));
	out(TIME_LOW, 0);
	assert_int_equal(read_time(), 0);
}

static void an_alarm_is_armed_by_its_low_half(void **state __unused)
{
	uint64_t at = T0 * S + 10 * S;

	out(IRQ_ENABLED, 1);
	out(ALARM_HIGH, at >> 32);
	assert_int_equal(in(ALARM_STATUS), 0);
	out(ALARM_LOW, at);
	assert_int_equal(read_alarm(), at);
	assert_int_equal(in(ALARM_STATUS), 1);
	host_ns += 10 * S - 1;
	assert_int_equal(in(ALARM_STATUS), 1);
	assert_int_equal(pulses(), 0);
	host_ns += 1;
	assert_int_equal(in(ALARM_STATUS), 0);
	assert_int_equal(read_alarm(), at);
	assert_int_equal(pulses(), 1);
	host_ns += 10 * S;
	assert_int_equal(in(ALARM_STATUS), 0);
	assert_int_equal(pulses(), 0);
}

static void an_alarm_that_is_past_fires_at_once(void **state __unused)
{
	out(IRQ_ENABLED, 1);
	set_alarm(T0 * S);
	assert_int_equal(in(ALARM_STATUS), 0);
	assert_int_equal(pulses(), 1);
}

static void an_alarm_that_is_cleared_does_not_fire(void **state __unused)
{
	out(IRQ_ENABLED, 1);
	set_alarm(T0 * S + S);
	out(CLEAR_ALARM, 0); /* any value */
	assert_int_equal(in(ALARM_STATUS), 0);
	host_ns += 2 * S;
	assert_int_equal(in(ALARM_STATUS), 0);
	assert_int_equal(pulses(), 0);
}

static void an_interrupt_waits_for_its_enable_bit_and_its_acknowledgement(void **state __unused)
{
	set_alarm(T0 * S);
	assert_int_equal(pulses(), 0);
	out(IRQ_ENABLED, 0xffffffff);
	assert_int_equal(in(IRQ_ENABLED), 1);
	assert_int_equal(pulses(), 1);
	set_alarm(T0 * S);
	assert_int_equal(pulses(), 0); /* not acknowledged yet */
	out(CLEAR_ALARM, 1);           /* which this does not do either */
	set_alarm(T0 * S);
	assert_int_equal(pulses(), 0);
	out(CLEAR_INTERRUPT, 0); /* any value */
	set_alarm(T0 * S);
	assert_int_equal(pulses(), 1);
	out(IRQ_ENABLED, 0xfffffffe);
	assert_int_equal(in(IRQ_ENABLED), 0);
	out(CLEAR_INTERRUPT, 1);
	out(IRQ_ENABLED, 1);
	assert_int_equal(pulses(), 0);
}

static void setting_the_time_to_the_alarm_fires_it(void **state __unused)
{
	out(IRQ_ENABLED, 1);
	set_alarm(T0 * S + 3600 * S);
	set_time(T0 * S + 3600 * S - 1);
	assert_int_equal(in(ALARM_STATUS), 1);
	assert_int_equal(pulses(), 0);
	set_time(T0 * S + 3600 * S);
	assert_int_equal(in(ALARM_STATUS), 0);
	assert_int_equal(pulses(), 1);
}

static void the_wildest_alarm_is_armed_and_waits(void **state __unused)
{
	set_alarm(UINT64_MAX);
	assert_int_equal(in(ALARM_STATUS), 1);
	assert_true(step_is_idle());
	set_time(UINT64_MAX - 5);
	host_ns += 4;
	assert_int_equal(in(ALARM_STATUS), 1);
	host_ns += 1;
	assert_int_equal(in(ALARM_STATUS), 0);
}

static void other_widths_read_all_ones_and_write_nothing(void **state __unused)
{
	static const unsigned len[] = { 1, 2, 8 };

	for (unsigned i = 0; i < ARRAY_SIZE(len); i++) {
		assert_true(get(TIME_LOW, len[i]) == UINT64_MAX >> (64 - 8 * len[i]));
		for (unsigned off = 0; off <= 0x18; off += 8)
			put(off, 0x0101010101010101, len[i]);
	}
	assert_int_equal(in(TIME_HIGH), 0); /* not latched */
	assert_int_equal(read_alarm(), 0);
	assert_int_equal(in(IRQ_ENABLED), 0);
	assert_int_equal(read_time(), T0 * S);
}

static void offsets_without_a_register_read_zero_and_take_nothing(void **state __unused)
{
	for (uint64_t off = 0; off <= GOLDFISH_RTC_LEN - 4; off++) {
		if (off % 4 == 0 && off <= CLEAR_INTERRUPT)
			continue;
		out(off, 0xffffffff);
		assert_int_equal(in(off), 0);
	}
	out(ALARM_STATUS, 0xffffffff); /* read-only */
	assert_int_equal(in(ALARM_STATUS), 0);
	assert_int_equal(read_alarm(), 0);
	assert_int_equal(in(IRQ_ENABLED), 0);
	assert_int_equal(read_time(), T0 * S);
}

static void without_a_line_it_tells_the_time_all_the_same(void **state __unused)
{
	goldfish_rtc_destroy(dev);
	make_with(&told_clock, NULL);
	out(IRQ_ENABLED, 1);
	set_alarm(T0 * S);
	assert_int_equal(read_time(), T0 * S);
}

/* As rtc-goldfish of Linux: alarm first, then the enable bit; its handler only acknowledges. */
static void a_driver_that_sleeps_is_woken_by_the_loop(void **state __unused)
{
	pthread_t loop;

	goldfish_rtc_destroy(dev);
	make_with(&rtc_host_clock, &line);
	assert_int_equal(pthread_create(&loop, NULL, rig_run_loop, NULL), 0);
	loop_wait_running(step.loop);
	for (unsigned i = 0; i < 10; i++) {
		uint64_t at = read_time() + i * MS;

		set_alarm(at);
		out(IRQ_ENABLED, 1);
		assert_true(line_is_pulsed());
		out(CLEAR_INTERRUPT, 1);
		assert_true(read_time() >= at);
		out(IRQ_ENABLED, 0);
	}
	loop_stop(step.loop);
	pthread_join(loop, NULL);
}

static void failure_leaves_nothing_behind_and_destroying_nothing_is_fine(void **state __unused)
{
	struct rlimit was, none;
	struct goldfish_rtc *g;
	struct err err;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = was.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_true(goldfish_rtc_create(step.loop, &told_clock, &line, &g, &err) < 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_non_null(strstr(err.msg, "goldfish RTC: "));
	goldfish_rtc_destroy(NULL);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, make, drop)
	const struct CMUnitTest tests[] = {
		T(it_is_born_with_the_hosts_time_and_no_alarm),
		T(reading_the_low_half_latches_the_high_half),
		T(the_time_is_set_in_halves_and_goes_on),
		T(an_alarm_is_armed_by_its_low_half),
		T(an_alarm_that_is_past_fires_at_once),
		T(an_alarm_that_is_cleared_does_not_fire),
		T(an_interrupt_waits_for_its_enable_bit_and_its_acknowledgement),
		T(setting_the_time_to_the_alarm_fires_it),
		T(the_wildest_alarm_is_armed_and_waits),
		T(other_widths_read_all_ones_and_write_nothing),
		T(offsets_without_a_register_read_zero_and_take_nothing),
		T(without_a_line_it_tells_the_time_all_the_same),
		T(a_driver_that_sleeps_is_woken_by_the_loop),
		T(failure_leaves_nothing_behind_and_destroying_nothing_is_fine),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
