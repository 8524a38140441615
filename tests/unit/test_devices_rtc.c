// SPDX-License-Identifier: BSD-3-Clause
/* devices/rtc.c: guest time, the alarm, and the timer behind it. */
#include "devices/rtc_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "tests/unit/rtc_rig.h"

static struct rtc rtc;

/* The C library's, but for a host whose clock is set in between. */
static unsigned nr_cancels; /* calls that shall find so */
static int last_flags;

int timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old)
{
	int rc = (int)syscall(SYS_timerfd_settime, fd, flags, new, old);

	last_flags = flags;
	if (rc || !nr_cancels || fd != rtc.timer_fd)
		return rc;
	nr_cancels--;
	errno = ECANCELED;
	return -1;
}

static void make_with(const struct rtc_clock *clock, const struct irq_line *l)
{
	struct err err;

	assert_int_equal(rtc_init(&rtc, step.loop, clock, l, &err), 0);
}

static int make(void **state __unused)
{
	rig_open();
	make_with(&told_clock, &line);
	return 0;
}

static int drop(void **state __unused)
{
	rtc_fini(&rtc);
	rig_close();
	return 0;
}

static uint64_t now(void)
{
	uint64_t v;

	rtc_lock(&rtc);
	v = rtc_now(&rtc);
	rtc_unlock(&rtc);
	return v;
}

static void set_now(uint64_t ns)
{
	rtc_lock(&rtc);
	rtc_set_now(&rtc, ns);
	rtc_unlock(&rtc);
}

static void arm(uint64_t ns)
{
	rtc_lock(&rtc);
	rtc_arm(&rtc, ns);
	rtc_unlock(&rtc);
}

static void disarm(void)
{
	rtc_lock(&rtc);
	rtc_disarm(&rtc);
	rtc_unlock(&rtc);
}

static void enable(bool v)
{
	rtc_lock(&rtc);
	rtc_enable(&rtc, v);
	rtc_unlock(&rtc);
}

static void clear(void)
{
	rtc_lock(&rtc);
	rtc_clear(&rtc);
	rtc_unlock(&rtc);
}

/** As any register access does. */
static void look(void)
{
	rtc_lock(&rtc);
	rtc_unlock(&rtc);
}

/** What the timer has left to run; 0 when it does not. */
static uint64_t timer_left(void)
{
	struct itimerspec it;

	assert_int_equal(timerfd_gettime(rtc.timer_fd, &it), 0);
	return (uint64_t)it.it_value.tv_sec * S + (uint64_t)it.it_value.tv_nsec;
}

/** Neither running nor expired. */
static bool timer_is_off(void)
{
	struct pollfd p = { .fd = rtc.timer_fd, .events = POLLIN };

	return timer_left() == 0 && poll(&p, 1, 0) == 0;
}

static void assert_timer_runs(uint64_t ns)
{
	uint64_t left = timer_left();

	/* Some of it has passed; how much is the scheduler's choice. */
	assert_in_range(left, ns > 5 * S ? ns - 5 * S : 0, ns);
	assert_int_not_equal(left, 0);
}

static void guest_time_is_the_clocks_until_it_is_set(void **state __unused)
{
	assert_int_equal(now(), T0 * S);
	host_ns += 5;
	assert_int_equal(now(), T0 * S + 5);
	set_now(77);
	assert_int_equal(now(), 77);
	host_ns += 10 * S;
	assert_int_equal(now(), 77 + 10 * S);
	set_now(UINT64_MAX);
	assert_int_equal(now(), UINT64_MAX);
	host_ns += 3;
	assert_int_equal(now(), 2);
}

static void the_hosts_clock_is_the_wall_clock(void **state __unused)
{
	struct timespec a, b;
	uint64_t v;

	clock_gettime(CLOCK_REALTIME, &a);
	v = rtc_host_clock.now_ns(rtc_host_clock.ctx);
	clock_gettime(CLOCK_REALTIME, &b);
	assert_in_range(v, (uint64_t)a.tv_sec * S + (uint64_t)a.tv_nsec,
		(uint64_t)b.tv_sec * S + (uint64_t)b.tv_nsec);
}

static void an_alarm_fires_when_its_time_has_come(void **state __unused)
{
	enable(true);
	arm(T0 * S + 10);
	assert_true(rtc.armed);
	host_ns += 9;
	look();
	assert_true(rtc.armed);
	assert_false(rtc.pending);
	assert_int_equal(pulses(), 0);
	host_ns += 1;
	look();
	assert_false(rtc.armed);
	assert_true(rtc.pending);
	assert_int_equal(pulses(), 1);
	host_ns += S;
	look();
	assert_int_equal(pulses(), 0);
	assert_true(timer_is_off());
}

static void an_alarm_that_is_past_fires_at_once(void **state __unused)
{
	enable(true);
	for (unsigned i = 0; i < 2; i++) {
		arm(i ? 0 : T0 * S);
		assert_false(rtc.armed);
		assert_true(rtc.pending);
		assert_int_equal(pulses(), 1);
		clear();
	}
}

static void the_line_is_pulsed_when_pending_meets_enabled(void **state __unused)
{
	arm(0);
	assert_true(rtc.pending);
	assert_int_equal(pulses(), 0);
	enable(true);
	assert_int_equal(pulses(), 1);
	enable(true);
	arm(0);
	assert_int_equal(pulses(), 0); /* pending already: no edge */
	enable(false);
	enable(true);
	assert_int_equal(pulses(), 1);
	clear();
	enable(false);
	enable(true);
	assert_int_equal(pulses(), 0);
	arm(0);
	assert_int_equal(pulses(), 1);
	clear();
	clear();
	assert_int_equal(pulses(), 0);
}

static void without_a_line_the_alarm_is_only_seen(void **state __unused)
{
	rtc_fini(&rtc);
	make_with(&told_clock, NULL);
	enable(true);
	arm(0);
	assert_true(rtc.pending);
}

static void the_timer_runs_until_the_alarm_and_stops_with_it(void **state __unused)
{
	assert_true(timer_is_off());
	arm(T0 * S + 3600 * S);
	assert_timer_runs(3600 * S);
	arm(T0 * S + 60 * S);
	assert_timer_runs(60 * S);
	disarm();
	assert_false(rtc.armed);
	assert_true(timer_is_off());
	disarm();
	arm(T0 * S + 60 * S);
	arm(0);
	assert_true(timer_is_off());
}

static void a_wild_alarm_runs_the_timer_for_a_day_at_most(void **state __unused)
{
	static const uint64_t wild[] = { UINT64_MAX, INT64_MAX, 1ULL << 63, UINT64_MAX - S,
		(T0 + 86401) * S };

	for (unsigned i = 0; i < ARRAY_SIZE(wild); i++) {
		arm(wild[i]);
		assert_true(rtc.armed);
		assert_timer_runs(86400 * S);
	}
	set_now(0);
	assert_timer_runs(86400 * S);
}

static void setting_the_time_moves_the_alarm_nearer_or_away(void **state __unused)
{
	enable(true);
	arm(T0 * S + 3600 * S);
	set_now(T0 * S + 3000 * S);
	assert_timer_runs(600 * S);
	set_now(T0 * S - 3600 * S);
	assert_timer_runs(7200 * S);
	set_now(T0 * S + 3600 * S);
	assert_int_equal(pulses(), 1);
	assert_false(rtc.armed);
	set_now(0);
	assert_false(rtc.armed);
	assert_true(timer_is_off());
}

static void a_time_that_comes_while_the_timer_is_set_is_not_slept_over(void **state __unused)
{
	enable(true);
	tick_ns = 10;
	arm(host_ns + 15); /* ahead when the alarm is set, past when the timer is */
	tick_ns = 0;
	assert_true(rtc.armed);
	assert_true(timer_left() < S);
	for (unsigned i = 0; i < 1000 && rtc.armed; i++) {
		usleep(1000);
		step_once();
	}
	assert_int_equal(pulses(), 1);
}

static void a_clock_that_stands_still_does_not_spin_the_loop(void **state __unused)
{
	enable(true);
	arm(T0 * S + 1);
	assert_true(step_is_idle());
	assert_true(rtc.armed);
	assert_int_equal(pulses(), 0);
	/* It looks again; here once more, should this thread have been away for so long. */
	for (unsigned i = 0; i < 50 && !timer_left(); i++)
		step_once();
	assert_timer_runs(S / 10);
}

static void an_expiry_of_an_alarm_that_was_moved_does_no_harm(void **state __unused)
{
	enable(true);
	arm(T0 * S + MS);
	usleep(5000);
	arm(T0 * S + 3600 * S);
	step_times(2);
	assert_true(rtc.armed);
	assert_timer_runs(3600 * S);
	arm(T0 * S + MS);
	usleep(5000);
	disarm();
	step_times(2);
	assert_true(timer_is_off());
	assert_int_equal(pulses(), 0);
}

/* The host's clock was set back, say: the timer is as it was, the alarm is not due. */
static void an_expiry_before_the_time_sleeps_until_the_time(void **state __unused)
{
	enable(true);
	arm(T0 * S + MS);
	host_ns -= 3600 * S;
	usleep(5000);
	step_times(2);
	assert_int_equal(pulses(), 0);
	assert_timer_runs(3600 * S + MS);
}

static void the_timer_heeds_steps_of_the_hosts_clock(void **state __unused)
{
	arm(T0 * S + 60 * S);
	assert_int_equal(last_flags, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET);
	nr_cancels = 2;
	arm(T0 * S + 3600 * S);
	assert_int_equal(nr_cancels, 0);
	assert_timer_runs(3600 * S);
}

static void the_loop_fires_an_alarm_without_an_access(void **state __unused)
{
	pthread_t loop;

	rtc_fini(&rtc);
	make_with(&rtc_host_clock, &line);
	enable(true);
	assert_int_equal(pthread_create(&loop, NULL, rig_run_loop, NULL), 0);
	loop_wait_running(step.loop);
	for (unsigned i = 0; i < 20; i++) {
		uint64_t at = now() + i * MS / 2;

		arm(at);
		assert_true(line_is_pulsed());
		assert_true(now() >= at);
		clear();
	}
	loop_stop(step.loop);
	pthread_join(loop, NULL);
	assert_int_equal(pulses(), 0);
	assert_true(timer_is_off());
}

static void its_timer_is_closed_in_the_end(void **state __unused)
{
	int fd = rtc.timer_fd;

	arm(T0 * S + MS);
	rtc_fini(&rtc);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	usleep(5000);
	step_times(2);
	make_with(&told_clock, &line);
}

static void a_host_without_fds_is_an_error_with_a_sentence(void **state __unused)
{
	struct rlimit was, none;
	struct err err;
	struct rtc r;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = was.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(rtc_init(&r, step.loop, &told_clock, &line, &err), -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_non_null(strstr(err.msg, "real-time clock: "));
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, make, drop)
	const struct CMUnitTest tests[] = {
		T(guest_time_is_the_clocks_until_it_is_set),
		T(the_hosts_clock_is_the_wall_clock),
		T(an_alarm_fires_when_its_time_has_come),
		T(an_alarm_that_is_past_fires_at_once),
		T(the_line_is_pulsed_when_pending_meets_enabled),
		T(without_a_line_the_alarm_is_only_seen),
		T(the_timer_runs_until_the_alarm_and_stops_with_it),
		T(a_wild_alarm_runs_the_timer_for_a_day_at_most),
		T(setting_the_time_moves_the_alarm_nearer_or_away),
		T(a_time_that_comes_while_the_timer_is_set_is_not_slept_over),
		T(a_clock_that_stands_still_does_not_spin_the_loop),
		T(an_expiry_of_an_alarm_that_was_moved_does_no_harm),
		T(an_expiry_before_the_time_sleeps_until_the_time),
		T(the_timer_heeds_steps_of_the_hosts_clock),
		T(the_loop_fires_an_alarm_without_an_access),
		T(its_timer_is_closed_in_the_end),
		T(a_host_without_fds_is_an_error_with_a_sentence),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
