// SPDX-License-Identifier: BSD-3-Clause
/* vmm/exec_report.c: what is told of a command that is over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "vmm/exec.h"

static struct exec_report r;
static char *text;
static size_t text_len;

static int setup(void **state __unused)
{
	memset(&r, 0, sizeof(r));
	r.cause = "exited";
	return 0;
}

static int teardown(void **state __unused)
{
	free(text);
	text = NULL;
	return 0;
}

static const char *put(void (*fn)(const struct exec_report *r, FILE *f))
{
	FILE *f = open_memstream(&text, &text_len);

	fn(&r, f);
	fclose(f);
	return text;
}

static void has(const char *part)
{
	if (!strstr(text, part))
		fail_msg("no '%s' in: %s", part, text);
}

static void the_tail_is_what_came_last(void **state __unused)
{
	char buf[EXEC_TAIL], chunk[1000];
	size_t n;

	assert_int_equal(exec_report_tail(&r, buf), 0);
	exec_report_console(&r, "abc", 3);
	n = exec_report_tail(&r, buf);
	assert_int_equal(n, 3);
	assert_memory_equal(buf, "abc", 3);
	for (unsigned i = 0; i < 20; i++) {
		memset(chunk, 'a' + (int)i, sizeof(chunk));
		exec_report_console(&r, chunk, sizeof(chunk));
	}
	n = exec_report_tail(&r, buf);
	assert_int_equal(n, EXEC_TAIL);
	assert_int_equal(buf[EXEC_TAIL - 1], 'a' + 19);
	assert_int_equal(buf[EXEC_TAIL - 1000], 'a' + 19);
	assert_int_equal(buf[EXEC_TAIL - 1001], 'a' + 18);
	assert_int_equal(buf[0], 'a' + 11);
}

static void strings_are_json(void **state __unused)
{
	r.status = 125;
	r.cause = "panic";
	err_set(&r.why, 1, "a \"quote\" and a \\");
	exec_report_console(&r, "x\r\n\033[0m\xff\0", 9);
	put(exec_report_json);
	has("\"status\": 125,");
	has("\"cause\": \"panic\",");
	has("\"message\": \"a \\\"quote\\\" and a \\\\\",");
	has("\"console_tail\": \"x\\u000d\\n\\u001b[0m\\u00ff\\u0000\"\n}");
	assert_null(strstr(text, "exit_status"));
}

static void phases_are_told_as_far_as_they_were_seen(void **state __unused)
{
	for (unsigned i = 0; i < EXEC_NR_TIMES; i++)
		r.at[i] = 1000000000ULL + i * i * 1000000ULL;
	r.has_exited = true;
	r.exited = (struct exec_exited){ .value = 7, .oom_kills = 2 };
	r.peak_bytes = 12345;
	put(exec_report_json);
	has("\"exit_status\": 7,");
	has("\"oom_kills\": 2,");
	has("\"peak_memory_bytes\": 12345,");
	has("\"seconds\": {\"monitor\": 0.001000, \"kernel\": 0.003000, \"init\": 0.005000, "
	    "\"command\": 0.007000, \"power-off\": 0.009000},");
	teardown(NULL);
	put(exec_report_timings);
	has("mayfly: kernel          3.000 ms\n");
	has("mayfly: all            25.000 ms\n");
	teardown(NULL);
	r.exited.is_signal = 1;
	r.at[EXEC_AT_STARTED] = r.at[EXEC_AT_EXITED] = 0;
	put(exec_report_json);
	has("\"signal\": 7,");
	has("\"seconds\": {\"monitor\": 0.001000, \"kernel\": 0.003000},");
}

static void the_picture_has_a_bar_for_each_phase(void **state __unused)
{
	unsigned bars = 0;

	for (unsigned i = 0; i < EXEC_NR_TIMES; i++)
		r.at[i] = 5 + i * 1000000ULL;
	put(exec_report_timeline);
	for (const char *at = text; (at = strstr(at, "height=\"20\"")); at++)
		bars++;
	assert_int_equal(bars, 5);
	has("<svg xmlns=");
	has("</svg>\n");
	has(">power-off 1.000 ms</text>");
	teardown(NULL);
	/* Nothing was seen at all. */
	memset(r.at, 0, sizeof(r.at));
	put(exec_report_timeline);
	assert_null(strstr(text, "nan"));
	assert_null(strstr(text, "height=\"20\""));
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_tail_is_what_came_last),
		T(strings_are_json),
		T(phases_are_told_as_far_as_they_were_seen),
		T(the_picture_has_a_bar_for_each_phase),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
