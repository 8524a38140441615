// SPDX-License-Identifier: BSD-3-Clause
/* The monitor's words on stderr, read back through a pipe. */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static int pipe_out = -1, real_stderr = -1;

static int capture(void **state)
{
	int fds[2];

	(void)state;
	if (pipe2(fds, O_NONBLOCK | O_CLOEXEC))
		return -1;
	real_stderr = dup(STDERR_FILENO);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	pipe_out = fds[0];
	return 0;
}

static int release(void **state)
{
	(void)state;
	log_set_level(LOG_WARN);
	log_set_name(NULL);
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	close(pipe_out);
	return 0;
}

/** What was written to stderr since the last call. */
static const char *said(void)
{
	static char text[8192];
	ssize_t n = read(pipe_out, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void only_warnings_and_errors_are_printed_unless_asked(void **state)
{
	(void)state;
	log_error("e");
	log_warn("w %d", 1);
	log_info("i");
	log_debug("d");
	assert_string_equal(said(), "mayfly: e\nmayfly: w 1\n");
	log_set_level(LOG_DEBUG);
	log_info("i");
	log_debug("d");
	assert_string_equal(said(), "mayfly: i\nmayfly: d\n");
	log_set_level(LOG_ERROR);
	log_warn("w");
	assert_string_equal(said(), "");
}

static void a_named_machine_says_its_name(void **state)
{
	(void)state;
	log_set_name("web");
	log_error("x");
	assert_string_equal(said(), "mayfly[web]: x\n");
	log_set_name(NULL);
	log_error("x");
	assert_string_equal(said(), "mayfly: x\n");
}

static void a_long_line_is_cut_and_ends_with_a_newline(void **state)
{
	char text[3000];

	(void)state;
	for (size_t len = 1000; len < sizeof(text); len++) {
		const char *line;
		size_t got;

		memset(text, 'x', len);
		text[len] = '\0';
		log_error("%s", text);
		line = said();
		got = strlen(line);
		assert_true(got > 900 && got <= 1024);
		assert_true(line[got - 1] == '\n' && line[got - 2] == 'x');
		if (len == 1000)
			assert_int_equal(got, strlen("mayfly: ") + 1000 + 1);
		if (len > 1010 && len % 50)
			len += 40;
	}
}

static void a_very_long_name_leaves_room_for_words(void **state)
{
	char name[500];

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	log_set_name(name);
	log_error("words");
	assert_non_null(strstr(said(), "words\n"));
}

static void text_from_outside_cannot_fake_a_line(void **state)
{
	(void)state;
	log_warn("%s", "bad\nmayfly: fine\x1b[0m\r");
	assert_string_equal(said(), "mayfly: bad?mayfly: fine?[0m?\n");
}

static void sleep_ms(long ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

/** The window is a second, so a burst that takes less than that is counted exactly. */
static void five_lines_pass_at_once_then_one_each_second(void **state)
{
	struct ratelimit rl = { 0 };
	unsigned passed = 0;

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		passed += ratelimit_ok(&rl);
	assert_int_equal(passed, 5);
	assert_string_equal(said(), "");
	sleep_ms(1010);
	passed = 0;
	for (unsigned i = 0; i < 1000; i++)
		passed += ratelimit_ok(&rl);
	assert_int_equal(passed, 1);
	assert_string_equal(said(), "mayfly: 995 more lines like the next were suppressed\n");
}

#define CAPTURED(fn) cmocka_unit_test_setup_teardown(fn, capture, release)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CAPTURED(only_warnings_and_errors_are_printed_unless_asked),
		CAPTURED(a_named_machine_says_its_name),
		CAPTURED(a_long_line_is_cut_and_ends_with_a_newline),
		CAPTURED(a_very_long_name_leaves_room_for_words),
		CAPTURED(text_from_outside_cannot_fake_a_line),
		CAPTURED(five_lines_pass_at_once_then_one_each_second),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
