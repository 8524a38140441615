// SPDX-License-Identifier: BSD-3-Clause
/* devices/plic.c: gateways, priorities, contexts, and the bounds of its registers. */
#include "devices/plic.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/plic_rig.h"

/* ---- one source, one hart ---- */

static void it_is_born_with_all_zero_and_says_nothing(void **state __unused)
{
	for (uint64_t off = 0; off < ENABLE(HARTS); off += 4)
		assert_int_equal(in(off), 0);
	for (unsigned hart = 0; hart < HARTS; hart++) {
		assert_int_equal(in(THRESHOLD(hart)), 0);
		assert_int_equal(in(CLAIM(hart)), 0);
	}
	assert_int_equal(heard.nr_calls, 0);
}

static void a_pulse_raises_the_hart_and_its_claim_lowers_it(void **state __unused)
{
	open_for(5, 1, 1);
	assert_int_equal(heard.nr_calls, 0);
	plic_pulse(plic, 5);
	assert_true(is_pending(5));
	assert_true(heard.level[1]);
	assert_int_equal(heard.nr_calls, 1);
	assert_int_equal(in(CLAIM(1)), 5);
	assert_false(is_pending(5));
	assert_false(heard.level[1]);
	assert_int_equal(in(CLAIM(1)), 0);
	out(CLAIM(1), 5);
	assert_int_equal(in(CLAIM(1)), 0);
	assert_int_equal(heard.nr_calls, 2);
	plic_pulse(plic, 5);
	assert_int_equal(in(CLAIM(1)), 5);
	assert_int_equal(heard.nr_calls, 4);
}

static void pulses_of_a_pending_source_are_one(void **state __unused)
{
	open_for(5, 0, 1);
	plic_pulse(plic, 5);
	plic_pulse(plic, 5);
	plic_pulse(plic, 5);
	assert_int_equal(heard.nr_calls, 1);
	assert_int_equal(in(CLAIM(0)), 5);
	out(CLAIM(0), 5);
	assert_int_equal(in(CLAIM(0)), 0);
	assert_int_equal(heard.nr_calls, 2);
}

static void a_pulse_while_it_is_claimed_pends_upon_completion_once(void **state __unused)
{
	open_for(5, 0, 1);
	plic_pulse(plic, 5);
	assert_int_equal(in(CLAIM(0)), 5);
	plic_pulse(plic, 5);
	plic_pulse(plic, 5);
	assert_false(is_pending(5));
	assert_false(heard.level[0]);
	assert_int_equal(in(CLAIM(0)), 0);
	out(CLAIM(0), 5);
	assert_true(is_pending(5));
	assert_true(heard.level[0]);
	assert_int_equal(in(CLAIM(0)), 5);
	out(CLAIM(0), 5);
	assert_false(is_pending(5));
	assert_int_equal(in(CLAIM(0)), 0);
	assert_int_equal(heard.nr_calls, 4);
}

static void a_pulse_waits_until_it_is_enabled(void **state __unused)
{
	out(PRIORITY(40), 1);
	plic_pulse(plic, 40);
	assert_true(is_pending(40));
	assert_int_equal(in(CLAIM(0)), 0);
	assert_int_equal(heard.nr_calls, 0);
	open_for(40, 3, 1);
	assert_true(heard.level[3]);
	assert_int_equal(heard.nr_calls, 1);
	close_for(40, 3);
	assert_false(heard.level[3]);
	assert_true(is_pending(40));
	assert_int_equal(in(CLAIM(3)), 0);
}

/* As the driver of Linux masks: by priority. */
static void priority_zero_neither_interrupts_nor_can_be_claimed(void **state __unused)
{
	open_for(5, 0, 0);
	plic_pulse(plic, 5);
	assert_true(is_pending(5));
	assert_int_equal(heard.nr_calls, 0);
	assert_int_equal(in(CLAIM(0)), 0);
	assert_true(is_pending(5));
	out(PRIORITY(5), 1);
	assert_true(heard.level[0]);
	out(PRIORITY(5), 0);
	assert_false(heard.level[0]);
	out(PRIORITY(5), 1);
	assert_int_equal(in(CLAIM(0)), 5);
}

static void the_threshold_masks_what_is_not_above_it(void **state __unused)
{
	open_for(5, 0, 3);
	plic_pulse(plic, 5);
	for (unsigned t = 0; t <= 7; t++) {
		out(THRESHOLD(0), t);
		assert_int_equal(in(THRESHOLD(0)), t);
		assert_int_equal(heard.level[0], t < 3);
	}
	assert_int_equal(heard.nr_calls, 2);
	out(PRIORITY(5), 7);
	assert_false(heard.level[0]);
	out(THRESHOLD(0), 6);
	assert_true(heard.level[0]);
}

static void a_claim_does_not_heed_the_threshold(void **state __unused)
{
	open_for(5, 0, 1);
	out(THRESHOLD(0), 7);
	plic_pulse(plic, 5);
	assert_int_equal(heard.nr_calls, 0);
	assert_int_equal(in(CLAIM(0)), 5);
	assert_int_equal(heard.nr_calls, 0);
}

static void the_highest_priority_comes_first_and_then_the_lowest_number(void **state __unused)
{
	static const struct {
		unsigned source, priority;
	} s[] = { { 3, 1 }, { 31, 2 }, { 32, 7 }, { 33, 2 }, { 64, 7 }, { 96, 1 }, { 100, 3 } };
	static const unsigned order[] = { 32, 64, 100, 31, 33, 3, 96 };

	for (unsigned i = ARRAY_SIZE(s); i--;) {
		open_for(s[i].source, 2, s[i].priority);
		plic_pulse(plic, s[i].source);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(order); i++) {
		assert_true(heard.level[2]);
		assert_int_equal(in(CLAIM(2)), order[i]);
	}
	assert_false(heard.level[2]);
	assert_int_equal(in(CLAIM(2)), 0);
	assert_int_equal(heard.nr_calls, 2);
}

/* ---- completion ---- */

static void a_completion_of_what_is_not_claimed_changes_nothing(void **state __unused)
{
	open_for(5, 0, 1);
	open_for(6, 0, 1);
	out(CLAIM(0), 5);
	assert_int_equal(in(CLAIM(0)), 0);
	plic_pulse(plic, 5);
	out(CLAIM(0), 5);
	assert_true(is_pending(5)); /* pending is not claimed */
	assert_int_equal(in(CLAIM(0)), 5);
	out(CLAIM(0), 6);
	plic_pulse(plic, 5);
	assert_false(is_pending(5)); /* still claimed */
}

static void a_completion_of_a_source_that_does_not_exist_changes_nothing(void **state __unused)
{
	static const uint32_t wild[] = { 0, SOURCES + 1, 127, 128, 160, 1023, 0x10005, 0x80000005,
		0xffffffff };

	open_for(5, 0, 1);
	plic_pulse(plic, 5);
	assert_int_equal(in(CLAIM(0)), 5);
	for (unsigned i = 0; i < ARRAY_SIZE(wild); i++)
		out(CLAIM(0), wild[i]);
	plic_pulse(plic, 5);
	assert_false(is_pending(5));
	assert_int_equal(heard.nr_calls, 2);
}

/* Chapter 9; the driver of Linux enables a source that was masked meanwhile to complete it. */
static void a_completion_counts_only_where_it_is_enabled(void **state __unused)
{
	open_for(5, 0, 1);
	plic_pulse(plic, 5);
	assert_int_equal(in(CLAIM(0)), 5);
	plic_pulse(plic, 5);
	close_for(5, 0);
	out(CLAIM(0), 5);
	assert_false(is_pending(5));
	out(CLAIM(1), 5);
	assert_false(is_pending(5));
	open_for(5, 0, 1);
	out(CLAIM(0), 5);
	assert_true(is_pending(5));
}

static void another_hart_may_complete_what_is_enabled_for_it(void **state __unused)
{
	open_for(5, 0, 1);
	open_for(5, 1, 1);
	plic_pulse(plic, 5);
	assert_int_equal(in(CLAIM(0)), 5);
	plic_pulse(plic, 5);
	out(CLAIM(1), 5);
	assert_true(is_pending(5));
}

static void of_two_harts_that_are_raised_one_claims(void **state __unused)
{
	open_for(5, 0, 1);
	open_for(5, 3, 1);
	plic_pulse(plic, 5);
	assert_true(heard.level[0] && heard.level[3]);
	assert_int_equal(heard.nr_calls, 2);
	assert_int_equal(in(CLAIM(3)), 5);
	assert_false(heard.level[0] || heard.level[3]);
	assert_int_equal(in(CLAIM(0)), 0);
	assert_int_equal(heard.nr_calls, 4);
}

/* ---- bounds ---- */

static void a_hart_hears_only_of_changes(void **state __unused)
{
	open_for(5, 0, 1);
	open_for(6, 0, 1);
	plic_pulse(plic, 5);
	plic_pulse(plic, 6);
	out(PRIORITY(5), 7);
	out(PRIORITY(6), 2);
	out(THRESHOLD(0), 1);
	out(ENABLE(0), in(ENABLE(0)));
	assert_int_equal(in(CLAIM(0)), 5);
	out(CLAIM(0), 5);
	assert_int_equal(heard.nr_calls, 1);
	assert_int_equal(in(CLAIM(0)), 6);
	out(CLAIM(0), 6);
	assert_int_equal(heard.nr_calls, 2);
}

static void priorities_and_thresholds_have_three_bits(void **state __unused)
{
	out(PRIORITY(1), 0xffffffff);
	assert_int_equal(in(PRIORITY(1)), 7);
	out(PRIORITY(1), 0xfffffffa);
	assert_int_equal(in(PRIORITY(1)), 2);
	out(THRESHOLD(1), 0xffffffff);
	assert_int_equal(in(THRESHOLD(1)), 7);
	out(THRESHOLD(1), 0xfffffff8);
	assert_int_equal(in(THRESHOLD(1)), 0);
}

static void pending_bits_cannot_be_written(void **state __unused)
{
	plic_pulse(plic, 5);
	for (uint64_t off = 0; off < 16; off += 4)
		out(PENDING + off, 0xffffffff);
	assert_int_equal(in(PENDING), 1U << 5);
	out(PENDING, 0);
	assert_int_equal(in(PENDING), 1U << 5);
	for (uint64_t off = 4; off < 16; off += 4)
		assert_int_equal(in(PENDING + off), 0);
}

static void only_sources_that_exist_have_bits_and_priorities(void **state __unused)
{
	static const unsigned counts[] = { 1, 30, 31, 32, 33, 63, 64, 95, 96, 126, 127 };

	for (unsigned i = 0; i < ARRAY_SIZE(counts); i++) {
		unsigned n = counts[i];

		plic_destroy(plic);
		make_of(1, n);
		for (unsigned s = 0; s < 1024; s++) {
			out(PRIORITY(s), 7);
			assert_int_equal(in(PRIORITY(s)), s && s <= n ? 7 : 0);
		}
		for (unsigned s = 0; s < 1024; s += 32)
			out(ENABLE(0) + s / 8, 0xffffffff);
		for (unsigned s = 0; s < 1024; s++)
			assert_int_equal(
				in(ENABLE(0) + s / 32 * 4) >> s % 32 & 1, s && s <= n ? 1 : 0);
		assert_int_equal(in(THRESHOLD(0)), 0);
		plic_pulse(plic, n);
		assert_int_equal(in(CLAIM(0)), n);
	}
}

static void all_sources_reach_all_harts_of_the_largest_machine(void **state __unused)
{
	plic_destroy(plic);
	make_of(PLIC_MAX_HARTS, PLIC_MAX_SOURCES);
	for (unsigned s = 1; s <= PLIC_MAX_SOURCES; s++) {
		unsigned hart = (s * 37 + 63) % PLIC_MAX_HARTS;

		open_for(s, hart, 1);
		plic_pulse(plic, s);
		assert_true(heard.level[hart]);
		assert_int_equal(heard.nr_calls, 1);
		assert_int_equal(in(CLAIM(hart)), s);
		out(CLAIM(hart), s);
		assert_false(heard.level[hart]);
		heard.nr_calls = 0;
	}
}

static void harts_that_are_not_there_have_no_registers(void **state __unused)
{
	for (unsigned hart = HARTS; hart < 15872; hart++) {
		if (ENABLE(hart) < THRESHOLD(0)) {
			out(ENABLE(hart), 0xffffffff);
			assert_int_equal(in(ENABLE(hart)), 0);
		}
		out(PRIORITY(5), 1);
		out(THRESHOLD(hart), 7);
		assert_int_equal(in(THRESHOLD(hart)), 0);
		assert_int_equal(in(CLAIM(hart)), 0);
		out(CLAIM(hart), 5);
	}
	plic_pulse(plic, 5);
	assert_int_equal(heard.nr_calls, 0);
}

static void other_widths_read_zero_and_write_nothing(void **state __unused)
{
	static const unsigned len[] = { 1, 2, 8 };

	open_for(5, 0, 1);
	plic_pulse(plic, 5);
	for (unsigned i = 0; i < ARRAY_SIZE(len); i++) {
		static const uint64_t off[] = { PRIORITY(4), PRIORITY(5), PENDING, ENABLE(0),
			THRESHOLD(0), CLAIM(0) };

		for (unsigned n = 0; n < ARRAY_SIZE(off); n++) {
			assert_int_equal(get(off[n], len[i]), 0);
			put(off[n], UINT64_MAX, len[i]);
		}
	}
	assert_int_equal(in(PRIORITY(4)), 0);
	assert_int_equal(in(PRIORITY(5)), 1);
	assert_int_equal(in(ENABLE(0)), 1U << 5);
	assert_int_equal(in(THRESHOLD(0)), 0);
	assert_int_equal(in(CLAIM(0)), 5);
}

static void offsets_without_a_register_read_zero_and_take_nothing(void **state __unused)
{
	open_for(5, 0, 1);
	plic_pulse(plic, 5);
	for (uint64_t off = 0; off <= 0x201000; off++) {
		bool aligned = off % 4 == 0;

		if (aligned && (off < 0x1010 || off == THRESHOLD(0) || off == CLAIM(0)))
			continue;
		if (aligned && off >= ENABLE(0) && off < ENABLE(HARTS) && off % 0x80 < 0x10)
			continue;
		if (off == THRESHOLD(1))
			continue;
		out(off, 0xffffffff);
		assert_int_equal(in(off), 0);
	}
	out(PLIC_LEN - 4, 0xffffffff);
	assert_int_equal(in(PLIC_LEN - 4), 0);
	assert_int_equal(in(PRIORITY(5)), 1);
	assert_int_equal(in(ENABLE(0)), 1U << 5);
	assert_int_equal(in(THRESHOLD(0)), 0);
	assert_int_equal(in(CLAIM(0)), 5);
	assert_int_equal(heard.nr_calls, 2);
}

/** Whether fn aborts, in a child. */
static bool aborts(void (*fn)(void))
{
	static const struct rlimit no_core = { 0, 0 };
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		signal(SIGABRT, SIG_DFL);
		setrlimit(RLIMIT_CORE, &no_core);
		close(STDERR_FILENO);
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void pulse_none(void)
{
	plic_pulse(plic, 0);
}

static void pulse_too_high(void)
{
	plic_pulse(plic, SOURCES + 1);
}

static void make_without_harts(void)
{
	make_of(0, 1);
}

static void make_with_too_many_harts(void)
{
	make_of(PLIC_MAX_HARTS + 1, 1);
}

static void make_without_sources(void)
{
	make_of(1, 0);
}

static void make_with_too_many_sources(void)
{
	make_of(1, PLIC_MAX_SOURCES + 1);
}

static void what_the_monitor_must_not_ask_for_is_a_bug(void **state __unused)
{
	assert_true(aborts(pulse_none));
	assert_true(aborts(pulse_too_high));
	assert_true(aborts(make_without_harts));
	assert_true(aborts(make_with_too_many_harts));
	assert_true(aborts(make_without_sources));
	assert_true(aborts(make_with_too_many_sources));
}

static void destroying_says_nothing_and_destroying_nothing_is_fine(void **state __unused)
{
	open_for(5, 0, 1);
	plic_pulse(plic, 5);
	plic_destroy(plic);
	assert_int_equal(heard.nr_calls, 1);
	plic = NULL;
	plic_destroy(NULL);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, make, drop)
	const struct CMUnitTest tests[] = {
		T(it_is_born_with_all_zero_and_says_nothing),
		T(a_pulse_raises_the_hart_and_its_claim_lowers_it),
		T(pulses_of_a_pending_source_are_one),
		T(a_pulse_while_it_is_claimed_pends_upon_completion_once),
		T(a_pulse_waits_until_it_is_enabled),
		T(priority_zero_neither_interrupts_nor_can_be_claimed),
		T(the_threshold_masks_what_is_not_above_it),
		T(a_claim_does_not_heed_the_threshold),
		T(the_highest_priority_comes_first_and_then_the_lowest_number),
		T(a_completion_of_what_is_not_claimed_changes_nothing),
		T(a_completion_of_a_source_that_does_not_exist_changes_nothing),
		T(a_completion_counts_only_where_it_is_enabled),
		T(another_hart_may_complete_what_is_enabled_for_it),
		T(of_two_harts_that_are_raised_one_claims),
		T(a_hart_hears_only_of_changes),
		T(priorities_and_thresholds_have_three_bits),
		T(pending_bits_cannot_be_written),
		T(only_sources_that_exist_have_bits_and_priorities),
		T(all_sources_reach_all_harts_of_the_largest_machine),
		T(harts_that_are_not_there_have_no_registers),
		T(other_widths_read_zero_and_write_nothing),
		T(offsets_without_a_register_read_zero_and_take_nothing),
		T(what_the_monitor_must_not_ask_for_is_a_bug),
		T(destroying_says_nothing_and_destroying_nothing_is_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
