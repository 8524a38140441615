// SPDX-License-Identifier: BSD-3-Clause
/* What --deterministic and its single options make of a configuration. */
#include "vmm/fixed.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "vmm/options.h"

#define CLOCK_S 315532800ULL

struct fx {
	struct config c;
	struct err err;
};

static int fx_setup(void **state)
{
	struct fx *t = calloc(1, sizeof(*t));

	config_init(&t->c);
	t->c.kernel = strdup("vmlinux");
	*state = t;
	return 0;
}

static int fx_teardown(void **state)
{
	struct fx *t = *state;

	config_fini(&t->c);
	free(t);
	return 0;
}

#define FX_TEST(f) cmocka_unit_test_setup_teardown(f, fx_setup, fx_teardown)

static void fx_disk(struct fx *t, const char *path, const char *id)
{
	struct disk_config *d = &t->c.disk[t->c.nr_disks++];

	*d = (struct disk_config){ .path = strdup(path), .id = id ? strdup(id) : NULL };
}

static void fx_completes(struct fx *t)
{
	if (config_complete(&t->c, &t->err))
		fail_msg("%s", t->err.msg);
}

/** Parses options, three at most with their values, into a fresh configuration. */
static int fx_parse(void **state, const char *a, const char *b, const char *c)
{
	char buf[3][64], *argv[3];
	const char *word[] = { a, b, c };
	int argc = 0, rc;
	struct fx *t;

	fx_teardown(state);
	fx_setup(state);
	t = *state;
	for (int i = 0; i < 3 && word[i]; i++) {
		snprintf(buf[i], sizeof(buf[i]), "%s", word[i]);
		argv[argc++] = buf[i];
	}
	rc = optable_parse(&options_run, argc, argv, &t->c, &t->err);
	return MIN(rc, 0);
}

static void each_thing_has_an_option_of_its_own(void **state)
{
	struct fx *t;

	assert_int_equal(fx_parse(state, "--clock=0", "--seed=abc", "--cpu-model=baseline"), 0);
	t = *state;
	assert_true(t->c.clock_seen && t->c.cpu_model_seen);
	assert_int_equal(t->c.clock_s, 0);
	assert_string_equal(t->c.seed, "abc");
	assert_int_equal(t->c.cpu_model, CPU_MODEL_BASELINE);
	assert_false(t->c.deterministic || t->c.print_hash);
	assert_int_equal(
		fx_parse(state, "--clock=4294967295", "--cpu-model=host", "--deterministic"), 0);
	t = *state;
	assert_int_equal(t->c.clock_s, UINT32_MAX);
	assert_int_equal(t->c.cpu_model, CPU_MODEL_HOST);
	assert_true(t->c.cpu_model_seen && t->c.deterministic);
	assert_int_equal(fx_parse(state, "--print-hash", NULL, NULL), 0);
	t = *state;
	assert_true(t->c.print_hash);
}

static void what_is_wrong_with_one_of_them_is_said(void **state)
{
	static const char *const c[][2] = {
		{ "--clock=4294967296", "--clock: '4294967296' is not a number of seconds" },
		{ "--clock=now", "--clock: 'now' is not a number of seconds" },
		{ "--cpu-model=max", "--cpu-model: 'max' is not host or baseline" },
		{ "--seed=", "--seed: is empty" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		struct fx *t;

		assert_int_equal(fx_parse(state, c[i][0], NULL, NULL), -EINVAL);
		t = *state;
		if (!strstr(t->err.msg, c[i][1]))
			fail_msg("\"%s\" does not say \"%s\"", t->err.msg, c[i][1]);
	}
}

static void without_a_word_everything_is_the_hosts(void **state)
{
	struct fx *t = *state;

	fx_disk(t, "d", NULL);
	fx_completes(t);
	assert_false(t->c.clock_seen || t->c.no_rng);
	assert_null(t->c.seed);
	assert_null(t->c.disk[0].id);
	assert_int_equal(t->c.cpu_model, CPU_MODEL_HOST);
}

static void deterministic_is_all_of_them(void **state)
{
	struct fx *t = *state;

	t->c.deterministic = true;
	fx_completes(t);
	assert_true(t->c.clock_seen && t->c.no_rng);
	assert_int_equal(t->c.clock_s, CLOCK_S);
	assert_string_equal(t->c.seed, "mayfly");
	assert_int_equal(t->c.cpu_model, CPU_MODEL_BASELINE);
}

static void what_is_said_stays_as_it_is_said(void **state)
{
	struct fx *t = *state;

	t->c.deterministic = true;
	t->c.clock_seen = true;
	t->c.clock_s = 5;
	t->c.seed = strdup("other");
	t->c.cpu_model_seen = true;
	fx_disk(t, "d", "mine");
	fx_completes(t);
	assert_int_equal(t->c.clock_s, 5);
	assert_string_equal(t->c.seed, "other");
	assert_int_equal(t->c.cpu_model, CPU_MODEL_HOST);
	assert_string_equal(t->c.disk[0].id, "mine");
}

static void ids_follow_from_name_and_number_but_not_from_paths(void **state)
{
	struct fx *t = *state;
	char first[21];

	t->c.deterministic = true;
	fx_disk(t, "/one/place", NULL);
	fx_disk(t, "/one/place", NULL);
	fx_completes(t);
	assert_int_equal(strlen(t->c.disk[0].id), 20);
	assert_string_not_equal(t->c.disk[0].id, t->c.disk[1].id);
	strcpy(first, t->c.disk[0].id);
	fx_teardown(state);

	fx_setup(state);
	t = *state;
	t->c.deterministic = true;
	fx_disk(t, "/another/place", NULL);
	fx_completes(t);
	assert_string_equal(t->c.disk[0].id, first);
	fx_teardown(state);

	fx_setup(state);
	t = *state;
	t->c.deterministic = true;
	t->c.name = strdup("web");
	fx_disk(t, "/one/place", NULL);
	fx_completes(t);
	assert_string_not_equal(t->c.disk[0].id, first);
}

static void a_seed_leaves_no_device_that_brings_other_entropy(void **state)
{
	struct fx *t = *state;

	t->c.seed = strdup("s");
	fx_completes(t);
	assert_true(t->c.no_rng);
	t->c.foreign[t->c.nr_foreign++] =
		(struct foreign_config){ .type = FOREIGN_CONSOLE, .socket = strdup("s") };
	assert_int_equal(fixed_complete(&t->c, &t->err), 0);
	t->c.foreign[t->c.nr_foreign++] =
		(struct foreign_config){ .type = FOREIGN_RNG, .socket = strdup("s") };
	assert_int_equal(fixed_complete(&t->c, &t->err), -EINVAL);
	assert_non_null(strstr(t->err.msg, "--seed: excludes --vhost-user type=rng"));
}

static void baseline_cpus_address_only_so_much(void **state)
{
	struct fx *t = *state;

	t->c.cpu_model = CPU_MODEL_BASELINE;
	t->c.mem_mib = MIN(arch_baseline_mem_mib, CONFIG_MAX_MEM_MIB);
	assert_int_equal(fixed_complete(&t->c, &t->err), 0);
	if (arch_baseline_mem_mib >= CONFIG_MAX_MEM_MIB)
		return;
	t->c.mem_mib++;
	assert_int_equal(fixed_complete(&t->c, &t->err), -EINVAL);
	assert_non_null(strstr(t->err.msg, "--mem: "));
	t->c.cpu_model = CPU_MODEL_HOST;
	assert_int_equal(fixed_complete(&t->c, &t->err), 0);
}

static void a_seed_is_the_same_for_the_same_text_alone(void **state)
{
	uint8_t a[FIXED_SEED_LEN], b[FIXED_SEED_LEN];

	(void)state;
	fixed_seed("mayfly", a);
	fixed_seed("mayfly", b);
	assert_memory_equal(a, b, sizeof(a));
	assert_memory_not_equal(a, a + FIXED_SEED_LEN / 2, FIXED_SEED_LEN / 2);
	fixed_seed("mayflies", b);
	assert_memory_not_equal(a, b, FIXED_SEED_LEN / 2);
	assert_memory_not_equal(a + FIXED_SEED_LEN / 2, b + FIXED_SEED_LEN / 2, FIXED_SEED_LEN / 2);
}

static void a_clock_begins_where_it_is_told_and_goes_on(void **state)
{
	struct timespec nap = { .tv_nsec = 2000000 };
	struct rtc_clock clock;
	uint64_t start_ns, first, second;

	(void)state;
	fixed_clock_start(&clock, &start_ns, CLOCK_S);
	first = clock.now_ns(clock.ctx);
	assert_true(first >= CLOCK_S * RTC_NS_PER_S);
	assert_true(first < (CLOCK_S + 60) * RTC_NS_PER_S);
	nanosleep(&nap, NULL);
	second = clock.now_ns(clock.ctx);
	assert_true(second - first >= 2000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FX_TEST(each_thing_has_an_option_of_its_own),
		FX_TEST(what_is_wrong_with_one_of_them_is_said),
		FX_TEST(without_a_word_everything_is_the_hosts),
		FX_TEST(deterministic_is_all_of_them),
		FX_TEST(what_is_said_stays_as_it_is_said),
		FX_TEST(ids_follow_from_name_and_number_but_not_from_paths),
		FX_TEST(a_seed_leaves_no_device_that_brings_other_entropy),
		FX_TEST(baseline_cpus_address_only_so_much),
		cmocka_unit_test(a_seed_is_the_same_for_the_same_text_alone),
		cmocka_unit_test(a_clock_begins_where_it_is_told_and_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
