// SPDX-License-Identifier: BSD-3-Clause
/* devices/pl031.c: its registers, what an AMBA bus reads of it, and the alarm as a driver sets it.
 */
#include "devices/pl031.h"

#include <pthread.h>
#include <sys/resource.h>

#include "tests/unit/rtc_rig.h"

enum {
	DR = 0x00,
	MR = 0x04,
	LR = 0x08,
	CR = 0x0c,
	IMSC = 0x10,
	RIS = 0x14,
	MIS = 0x18,
	ICR = 0x1c
};

static void make_with(const struct rtc_clock *clock, const struct irq_line *l)
{
	struct pl031 *p;
	struct err err;

	assert_int_equal(pl031_create(step.loop, clock, l, &p, &err), 0);
	dev = p;
	dev_ops = &pl031_bus_ops;
}

static int make(void **state __unused)
{
	rig_open();
	make_with(&told_clock, &line);
	return 0;
}

static int drop(void **state __unused)
{
	pl031_destroy(dev);
	rig_close();
	return 0;
}

static void an_amba_bus_finds_a_pl031_by_arm(void **state __unused)
{
	uint32_t pid = 0, cid = 0;

	for (unsigned i = 0; i < 4; i++) {
		pid |= (in(PL031_LEN - 0x20 + 4 * i) & 255) << (i * 8);
		cid |= (in(PL031_LEN - 0x10 + 4 * i) & 255) << (i * 8);
	}
	assert_int_equal(pid & 0xfffff, 0x41031);
	assert_int_equal(cid, 0xb105f00d);
}

static void it_is_born_running_with_the_hosts_time(void **state __unused)
{
	assert_int_equal(in(DR), T0);
	assert_int_equal(in(MR), 0);
	assert_int_equal(in(LR), 0);
	assert_int_equal(in(CR), 1);
	assert_int_equal(in(IMSC), 0);
	assert_int_equal(in(RIS), 0);
	assert_int_equal(in(MIS), 0);
	assert_int_equal(in(ICR), 0);
	host_ns += S - 1;
	assert_int_equal(in(DR), T0);
	host_ns += 1;
	assert_int_equal(in(DR), T0 + 1);
}

static void the_control_register_cannot_stop_it(void **state __unused)
{
	out(CR, 0);
	assert_int_equal(in(CR), 1);
	host_ns += 5 * S;
	assert_int_equal(in(DR), T0 + 5);
}

static void a_load_sets_the_counter_and_begins_a_second(void **state __unused)
{
	host_ns += S / 2;
	out(LR, 12345);
	assert_int_equal(in(LR), 12345);
	assert_int_equal(in(DR), 12345);
	host_ns += S - 1;
	assert_int_equal(in(DR), 12345);
	host_ns += 1;
	assert_int_equal(in(DR), 12346);
	assert_int_equal(in(LR), 12345);
	out(LR, 0xffffffff);
	assert_int_equal(in(DR), 0xffffffff);
	host_ns += 2 * S;
	assert_int_equal(in(DR), 1);
	out(DR, 99);
	assert_int_equal(in(DR), 1); /* read-only */
}

static void a_host_that_steps_back_takes_the_counter_with_it(void **state __unused)
{
	out(LR, 5);
	host_ns -= 10 * S;
	assert_int_equal(in(DR), 0xfffffffb);
	out(MR, 0);
	host_ns += 4 * S;
	assert_int_equal(in(RIS), 0);
	host_ns += S;
	assert_int_equal(in(RIS), 1);
}

static void a_match_is_raw_until_it_is_enabled(void **state __unused)
{
	out(MR, T0 + 10);
	assert_int_equal(in(MR), T0 + 10);
	host_ns += 10 * S - 1;
	assert_int_equal(in(RIS), 0);
	host_ns += 1;
	assert_int_equal(in(RIS), 1);
	assert_int_equal(in(MIS), 0);
	assert_int_equal(pulses(), 0);
	out(IMSC, 0xffffffff);
	assert_int_equal(in(IMSC), 1);
	assert_int_equal(in(MIS), 1);
	assert_int_equal(pulses(), 1);
	out(IMSC, 0xfffffffe);
	assert_int_equal(in(IMSC), 0);
	assert_int_equal(in(MIS), 0);
	assert_int_equal(in(RIS), 1);
}

static void a_match_is_acknowledged_by_the_one_bit(void **state __unused)
{
	out(IMSC, 1);
	out(MR, T0);
	assert_int_equal(in(MIS), 1);
	out(ICR, 0xfffffffe);
	out(RIS, 0);
	out(MIS, 0);
	assert_int_equal(in(MIS), 1);
	out(ICR, 1);
	assert_int_equal(in(RIS), 0);
	assert_int_equal(in(MIS), 0);
	host_ns += 100 * S;
	assert_int_equal(in(RIS), 0);
	assert_int_equal(pulses(), 1);
	out(RIS, 1);
	out(MIS, 1);
	assert_int_equal(in(RIS), 0);
}

static void a_match_in_a_second_that_nobody_looked_at_counts(void **state __unused)
{
	out(IMSC, 1);
	out(MR, T0 + 10);
	host_ns += 50 * S;
	assert_int_equal(in(MIS), 1);
	assert_int_equal(pulses(), 1);
}

static void a_match_in_the_past_comes_when_the_counter_comes_around(void **state __unused)
{
	out(MR, T0 - 1);
	assert_int_equal(in(RIS), 0);
	host_ns += (0xffffffffULL - 1) * S;
	assert_int_equal(in(RIS), 0);
	host_ns += S;
	assert_int_equal(in(DR), T0 - 1);
	assert_int_equal(in(RIS), 1);
}

static void a_match_behind_the_end_of_the_counter_comes(void **state __unused)
{
	out(LR, 0xfffffff0);
	out(MR, 5);
	host_ns += 0x14 * S;
	assert_int_equal(in(RIS), 0);
	host_ns += S;
	assert_int_equal(in(RIS), 1);
}

static void nothing_matches_before_the_match_register_is_written(void **state __unused)
{
	out(IMSC, 1);
	out(LR, 0);
	assert_int_equal(in(RIS), 0);
	out(LR, 0xffffffff);
	host_ns += S;
	assert_int_equal(in(DR), 0);
	assert_int_equal(in(RIS), 0);
	assert_int_equal(pulses(), 0);
}

static void a_load_moves_the_counter_to_or_over_the_match(void **state __unused)
{
	out(IMSC, 1);
	out(MR, T0 + 100);
	out(LR, T0 + 101); /* over */
	assert_int_equal(in(RIS), 0);
	out(LR, T0 + 99); /* before */
	assert_int_equal(in(RIS), 0);
	host_ns += S;
	assert_int_equal(in(RIS), 1);
	out(ICR, 1);
	out(LR, T0 + 90); /* and again */
	assert_int_equal(in(RIS), 0);
	host_ns += 10 * S;
	assert_int_equal(in(RIS), 1);
	out(ICR, 1);
	assert_int_equal(in(RIS), 0);
	out(LR, T0 + 100); /* to */
	assert_int_equal(in(RIS), 1);
	assert_int_equal(pulses(), 3);
}

static void other_widths_read_all_ones_and_write_nothing(void **state __unused)
{
	static const unsigned len[] = { 1, 2, 8 };

	for (unsigned i = 0; i < ARRAY_SIZE(len); i++) {
		assert_true(get(DR, len[i]) == UINT64_MAX >> (64 - 8 * len[i]));
		put(MR, 0x0101010101010101, len[i]);
		put(LR, 0x0101010101010101, len[i]);
		put(IMSC, 0x0101010101010101, len[i]);
	}
	assert_int_equal(in(MR), 0);
	assert_int_equal(in(LR), 0);
	assert_int_equal(in(IMSC), 0);
	assert_int_equal(in(DR), T0);
}

static void offsets_without_a_register_read_zero_and_take_nothing(void **state __unused)
{
	for (uint64_t off = 0; off <= PL031_LEN - 4; off++) {
		if (off % 4 == 0 && (off <= ICR || off >= 0xfe0))
			continue;
		out(off, 0xffffffff);
		assert_int_equal(in(off), 0);
	}
	for (uint64_t off = 0xfe0; off <= PL031_LEN - 4; off += 4) {
		uint32_t v = in(off);

		out(off, ~v);
		assert_int_equal(in(off), v);
	}
	assert_int_equal(in(DR), T0);
	assert_int_equal(in(MR), 0);
	assert_int_equal(in(IMSC), 0);
}

static void without_a_line_it_tells_the_time_all_the_same(void **state __unused)
{
	pl031_destroy(dev);
	make_with(&told_clock, NULL);
	out(IMSC, 1);
	out(MR, T0);
	assert_int_equal(in(MIS), 1);
	assert_int_equal(in(DR), T0);
}

/* As rtc-pl031 of Linux: it sets the match, clears, enables; its handler looks at RTCMIS. */
static void a_driver_that_sleeps_is_woken_by_the_loop(void **state __unused)
{
	uint64_t shift = rtc_host_clock.now_ns(NULL) % S + S / 50; /* 20 ms to the next second */
	struct rtc_clock clock = { .now_ns = shifted_now_ns, .ctx = &shift };
	pthread_t loop;
	uint32_t at;

	pl031_destroy(dev);
	make_with(&clock, &line);
	assert_int_equal(pthread_create(&loop, NULL, rig_run_loop, NULL), 0);
	loop_wait_running(step.loop);
	out(CR, in(CR) | 1);
	at = in(DR) + 1;
	out(MR, at);
	out(ICR, 1);
	out(IMSC, in(IMSC) | 1);
	assert_true(line_is_pulsed());
	assert_int_equal(in(MIS), 1);
	out(ICR, 1);
	assert_int_equal(in(MIS), 0);
	assert_true(in(DR) >= at);
	loop_stop(step.loop);
	pthread_join(loop, NULL);
}

static void failure_leaves_nothing_behind_and_destroying_nothing_is_fine(void **state __unused)
{
	struct rlimit was, none;
	struct pl031 *p;
	struct err err;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = was.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_true(pl031_create(step.loop, &told_clock, &line, &p, &err) < 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_non_null(strstr(err.msg, "PL031: "));
	pl031_destroy(NULL);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, make, drop)
	const struct CMUnitTest tests[] = {
		T(an_amba_bus_finds_a_pl031_by_arm),
		T(it_is_born_running_with_the_hosts_time),
		T(the_control_register_cannot_stop_it),
		T(a_load_sets_the_counter_and_begins_a_second),
		T(a_host_that_steps_back_takes_the_counter_with_it),
		T(a_match_is_raw_until_it_is_enabled),
		T(a_match_is_acknowledged_by_the_one_bit),
		T(a_match_in_a_second_that_nobody_looked_at_counts),
		T(a_match_in_the_past_comes_when_the_counter_comes_around),
		T(a_match_behind_the_end_of_the_counter_comes),
		T(nothing_matches_before_the_match_register_is_written),
		T(a_load_moves_the_counter_to_or_over_the_match),
		T(other_widths_read_all_ones_and_write_nothing),
		T(offsets_without_a_register_read_zero_and_take_nothing),
		T(without_a_line_it_tells_the_time_all_the_same),
		T(a_driver_that_sleeps_is_woken_by_the_loop),
		T(failure_leaves_nothing_behind_and_destroying_nothing_is_fine),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
