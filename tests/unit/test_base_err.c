// SPDX-License-Identifier: BSD-3-Clause
/* Error sentences: one line, always terminated, with the cause at the end. */
#include "base/err.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void a_sentence_comes_with_a_negative_code(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(err_set(&err, EINVAL, "--cpus: %u is more than %u", 9, 8), -EINVAL);
	assert_string_equal(err.msg, "--cpus: 9 is more than 8");
}

static void an_errno_is_told_in_words(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(err_errno(&err, ENOENT, "--initrd: %s", "/x"), -ENOENT);
	assert_string_equal(err.msg, "--initrd: /x: No such file or directory");
	assert_int_equal(err_errno(&err, 99999, "x"), -99999);
	assert_string_equal(err.msg, "x: unknown error");
}

static void context_goes_in_front(void **state)
{
	struct err err;

	(void)state;
	err_set(&err, EIO, "short read");
	assert_int_equal(err_prefix(&err, -EIO, "--block %d", 3), -EIO);
	assert_int_equal(err_prefix(&err, -7, "machine"), -7);
	assert_string_equal(err.msg, "machine: --block 3: short read");
}

static void a_long_path_does_not_push_the_cause_out(void **state)
{
	static const char cause[] = ": No such file or directory";
	char path[1000];
	struct err err;

	(void)state;
	for (size_t len = 400; len < sizeof(path); len++) {
		memset(path, 'p', len);
		path[len] = '\0';
		memset(&err, 0x55, sizeof(err));
		err_errno(&err, ENOENT, "--initrd: %s", path);
		assert_true(strnlen(err.msg, sizeof(err.msg)) < sizeof(err.msg));
		assert_string_equal(err.msg + strlen(err.msg) - strlen(cause), cause);
		assert_memory_equal(err.msg, "--initrd: pp", 12);
		if (len > sizeof(err.msg))
			assert_non_null(strstr(err.msg, "..."));
	}
}

static void a_full_sentence_takes_a_prefix_and_stays_terminated(void **state)
{
	char text[600];
	struct err err;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	err_set(&err, EIO, "%s", text);
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
	for (unsigned i = 0; i < 5; i++) {
		err_prefix(&err, -EIO, "context");
		assert_int_equal(strnlen(err.msg, sizeof(err.msg)), sizeof(err.msg) - 1);
		assert_memory_equal(err.msg, "context: ", 9);
	}
	err_prefix(&err, -EIO, "%s", text);
	assert_int_equal(strnlen(err.msg, sizeof(err.msg)), sizeof(err.msg) - 1);
}

static void a_newline_in_a_name_does_not_make_two_lines(void **state)
{
	struct err err;

	(void)state;
	err_set(&err, EINVAL, "%s", "a\nmayfly: all is well\r\x1b[2J\x7f\xc3\xa9");
	assert_string_equal(err.msg, "a?mayfly: all is well??[2J?\xc3\xa9");
}

/** Runs fn in a child and says whether it aborted, with its words in out. */
static bool aborts(void (*fn)(void), char *out, size_t len)
{
	static const struct rlimit no_core = { 0, 0 };
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		signal(SIGABRT, SIG_DFL);
		setrlimit(RLIMIT_CORE, &no_core);
		dup2(fds[1], STDERR_FILENO);
		fn();
		_exit(0);
	}
	close(fds[1]);
	n = read(fds[0], out, len - 1);
	out[n > 0 ? n : 0] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void make_a_mistake(void)
{
	BUG_ON(1 + 1 == 2);
}

static void make_no_mistake(void)
{
	BUG_ON(1 + 1 == 3);
}

static void pass_a_negative_errno(void)
{
	struct err err;

	err_set(&err, -EINVAL, "x");
}

static void our_own_mistakes_abort_with_their_place(void **state)
{
	char out[256];

	(void)state;
	assert_true(aborts(make_a_mistake, out, sizeof(out)));
	assert_non_null(strstr(out, "bug at "));
	assert_non_null(strstr(out, "test_base_err.c:"));
	assert_non_null(strstr(out, "1 + 1 == 2"));
	assert_false(aborts(make_no_mistake, out, sizeof(out)));
	assert_true(aborts(pass_a_negative_errno, out, sizeof(out)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sentence_comes_with_a_negative_code),
		cmocka_unit_test(an_errno_is_told_in_words),
		cmocka_unit_test(context_goes_in_front),
		cmocka_unit_test(a_long_path_does_not_push_the_cause_out),
		cmocka_unit_test(a_full_sentence_takes_a_prefix_and_stays_terminated),
		cmocka_unit_test(a_newline_in_a_name_does_not_make_two_lines),
		cmocka_unit_test(our_own_mistakes_abort_with_their_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
