// SPDX-License-Identifier: BSD-3-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/base.h"
#include "base/title.h"

/* As the kernel lays them out: "mayfly" "run" "k" and "A=1" "B=22", and what is not theirs. */
static const char layout[] = "mayfly\0run\0k\0A=1\0B=22\0next";
#define ARGS   13 /* bytes of the arguments */
#define AREA   22 /* and of the environment */
#define BEHIND "next"

struct area {
	char bytes[sizeof(layout)];
	char *argv[4], *envp[3];
	char **environ_before;
};

static int setup(void **state)
{
	struct area *a = calloc(1, sizeof(*a));

	memcpy(a->bytes, layout, sizeof(layout));
	a->argv[0] = a->bytes;
	a->argv[1] = a->bytes + 7;
	a->argv[2] = a->bytes + 11;
	a->envp[0] = a->bytes + ARGS;
	a->envp[1] = a->bytes + ARGS + 4;
	a->environ_before = environ;
	environ = a->envp;
	*state = a;
	return 0;
}

static int teardown(void **state)
{
	struct area *a = *state;

	environ = a->environ_before;
	title_init(0, NULL);
	free(a);
	return 0;
}

static void expect_zeroes(const struct area *a, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		assert_int_equal(a->bytes[i], 0);
	assert_string_equal(a->bytes + AREA, BEHIND);
}

static void a_short_line_leaves_zeroes_behind_it(void **state)
{
	struct area *a = *state;

	title_init(3, a->argv);
	title_set("rng%u", 0);
	assert_string_equal(a->bytes, "rng0");
	expect_zeroes(a, 4, AREA);
}

static void a_long_line_goes_on_where_the_environment_was(void **state)
{
	struct area *a = *state;

	title_init(3, a->argv);
	assert_string_equal(getenv("B"), "22");
	title_set("%s", "0123456789abcdefg");
	assert_string_equal(a->bytes, "0123456789abcdefg");
	expect_zeroes(a, 17, AREA);
	assert_null(getenv("B"));
}

static void a_line_that_is_too_long_is_cut(void **state)
{
	struct area *a = *state;

	title_init(3, a->argv);
	title_set("%s", "0123456789abcdefghijklmnopqrstuvwxyz");
	assert_string_equal(a->bytes, "0123456789abcdefghijk");
	assert_string_equal(a->bytes + AREA, BEHIND);
	/* One byte less than all is all that fits. */
	title_set("%s", "0123456789ABCDEFGHIJK");
	assert_string_equal(a->bytes, "0123456789ABCDEFGHIJK");
	assert_string_equal(a->bytes + AREA, BEHIND);
}

static void an_environment_that_lies_elsewhere_is_not_written_to(void **state)
{
	struct area *a = *state;
	char other[] = "C=3";
	char *envp[] = { other, NULL };

	environ = envp;
	title_init(3, a->argv);
	title_set("%s", "0123456789abcdefg");
	assert_string_equal(a->bytes, "0123456789ab");
	assert_memory_equal(a->bytes + ARGS, layout + ARGS, sizeof(layout) - ARGS);
	assert_string_equal(other, "C=3");
}

static void without_arguments_nothing_happens(void **state)
{
	struct area *a = *state;

	title_set("%s", "before");
	title_init(0, a->argv + 3);
	title_set("%s", "none");
	assert_memory_equal(a->bytes, layout, sizeof(layout));
	assert_string_equal(getenv("A"), "1");
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_short_line_leaves_zeroes_behind_it),
		T(a_long_line_goes_on_where_the_environment_was),
		T(a_line_that_is_too_long_is_cut),
		T(an_environment_that_lies_elsewhere_is_not_written_to),
		T(without_arguments_nothing_happens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
