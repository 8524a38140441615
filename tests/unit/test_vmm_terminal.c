// SPDX-License-Identifier: BSD-3-Clause
/*
 * The escape key, and that the terminal comes back on every way out. What changes the
 * process's terminal or its signal handlers runs in a child on a pty of its own.
 */
#include "vmm/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- the escape key ---- */

struct esc {
	struct terminal_escape e;
	unsigned nr_ends;
	uint8_t out[64];
	size_t len;
};

static void esc_end(void *ctx)
{
	((struct esc *)ctx)->nr_ends++;
}

static void esc_init(struct esc *x)
{
	*x = (struct esc){ .e = { .end = esc_end, .ctx = x } };
}

/** What the guest gets of text, appended. */
static void esc_type(struct esc *x, const char *text)
{
	size_t len = strlen(text);
	uint8_t *buf = malloc(len ? len : 1);

	memcpy(buf, text, len);
	len = terminal_filter(&x->e, buf, len);
	assert_true(len <= sizeof(x->out) - x->len);
	memcpy(x->out + x->len, buf, len);
	x->len += len;
	free(buf);
}

static void esc_got(const struct esc *x, const char *want, unsigned nr_ends)
{
	assert_int_equal(x->len, strlen(want));
	assert_memory_equal(x->out, want, x->len);
	assert_int_equal(x->nr_ends, nr_ends);
}

static void plain_text_passes(void **state)
{
	struct esc x;

	(void)state;
	esc_init(&x);
	esc_type(&x, "xax\r\n\003\032\177\377");
	esc_got(&x, "xax\r\n\003\032\177\377", 0);
}

static void ctrl_a_x_ends_the_machine_and_is_not_input(void **state)
{
	struct esc x;

	(void)state;
	esc_init(&x);
	esc_type(&x, "a\001xb");
	esc_got(&x, "ab", 1);
}

static void ctrl_a_twice_is_one_ctrl_a(void **state)
{
	struct esc x;

	(void)state;
	esc_init(&x);
	esc_type(&x, "\001\001x");
	esc_got(&x, "\001x", 0);
	esc_type(&x, "\001\001\001\001");
	esc_got(&x, "\001x\001\001", 0);
}

static void another_key_after_ctrl_a_is_dropped(void **state)
{
	struct esc x;

	(void)state;
	esc_init(&x);
	esc_type(&x, "\001qz\001Xy");
	esc_got(&x, "zy", 0);
}

static void an_escape_may_come_in_two_pieces(void **state)
{
	struct esc x;

	(void)state;
	esc_init(&x);
	esc_type(&x, "a\001");
	esc_type(&x, "");
	esc_got(&x, "a", 0);
	esc_type(&x, "xx");
	esc_got(&x, "ax", 1);
}

/* ---- a terminal ---- */

struct pty {
	int master, slave;
	struct termios before;
};

static int pty_setup(void **state)
{
	struct pty *p = calloc(1, sizeof(*p));

	p->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(p->master >= 0);
	assert_int_equal(grantpt(p->master), 0);
	assert_int_equal(unlockpt(p->master), 0);
	p->slave = open(ptsname(p->master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(p->slave >= 0);
	assert_int_equal(tcgetattr(p->slave, &p->before), 0);
	*state = p;
	return 0;
}

static int pty_teardown(void **state)
{
	struct pty *p = *state;

	close(p->slave);
	close(p->master);
	free(p);
	return 0;
}

/** The settings are those of before. Read from the master: they are the pty's, not an fd's. */
static bool pty_is_as_before(const struct pty *p)
{
	struct termios now;

	assert_int_equal(tcgetattr(p->master, &now), 0);
	return now.c_iflag == p->before.c_iflag && now.c_oflag == p->before.c_oflag &&
		now.c_lflag == p->before.c_lflag && now.c_cflag == p->before.c_cflag &&
		!memcmp(now.c_cc, p->before.c_cc, sizeof(now.c_cc));
}

/** Runs fn in a child; returns its wait status. The child's exit status 0 is success. */
static int pty_child(struct pty *p, void (*fn)(struct pty *p, int arg), int arg)
{
	static const struct rlimit no_core = { 0, 0 };
	pid_t pid = fork();
	int st;

	assert_true(pid >= 0);
	if (!pid) {
		setrlimit(RLIMIT_CORE, &no_core);
		/* cmocka and sanitizers have handlers of their own. */
		for (int sig = 1; sig < 32; sig++)
			signal(sig, SIG_DFL);
		fn(p, arg);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &st, 0), pid);
	return st;
}

/* A child's checks: assertions of cmocka would run the rest of the tests there. */
#define CHILD(cond)                                                                                \
	do {                                                                                       \
		if (!(cond))                                                                       \
			_exit(__LINE__ & 0x7f ? __LINE__ & 0x7f : 1);                              \
	} while (0)

static void pty_raw_and_back(struct pty *p, int arg __unused)
{
	struct termios now;
	struct err err;

	CHILD(!terminal_raw(p->slave, &err));
	CHILD(!tcgetattr(p->slave, &now));
	CHILD(!(now.c_lflag & (ICANON | ECHO | ISIG | IEXTEN)));
	CHILD(!(now.c_iflag & (ICRNL | IXON)));
	/* Output stays cooked. */
	CHILD(now.c_oflag == p->before.c_oflag);
	terminal_restore();
	CHILD(pty_is_as_before(p));
	terminal_restore();
	CHILD(pty_is_as_before(p));
}

static void a_terminal_is_raw_and_comes_back(void **state)
{
	assert_int_equal(pty_child(*state, pty_raw_and_back, 0), 0);
}

static void pty_restore_alone(struct pty *p, int arg __unused)
{
	errno = 77;
	terminal_restore();
	CHILD(errno == 77);
	CHILD(pty_is_as_before(p));
}

static void a_restore_without_raw_does_nothing(void **state)
{
	assert_int_equal(pty_child(*state, pty_restore_alone, 0), 0);
}

static void pty_not_a_terminal(struct pty *p, int arg __unused)
{
	struct sigaction sa;
	struct err err;
	int fd[2];

	CHILD(!pipe(fd));
	CHILD(!terminal_raw(fd[0], &err));
	CHILD(!terminal_raw(-1, &err));
	CHILD(!sigaction(SIGSEGV, NULL, &sa) && sa.sa_handler == SIG_DFL);
	terminal_restore();
	CHILD(pty_is_as_before(p));
}

static void what_is_no_terminal_is_left_alone(void **state)
{
	assert_int_equal(pty_child(*state, pty_not_a_terminal, 0), 0);
}

static void pty_errno_is_kept(struct pty *p, int arg __unused)
{
	struct err err;

	CHILD(!terminal_raw(p->slave, &err));
	close(p->slave); /* the restore will fail */
	errno = 77;
	terminal_restore();
	CHILD(errno == 77);
}

static void a_restore_keeps_errno(void **state)
{
	assert_int_equal(pty_child(*state, pty_errno_is_kept, 0), 0);
}

static void pty_die_raw(struct pty *p, int sig)
{
	struct err err;

	CHILD(!terminal_raw(p->slave, &err));
	CHILD(!pty_is_as_before(p));
	raise(sig);
	CHILD(false);
}

static void a_fatal_signal_restores_the_terminal_and_still_kills(void **state)
{
	static const int sigs[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGQUIT, SIGTERM,
		SIGINT, SIGHUP };
	struct pty *p = *state;

	for (size_t i = 0; i < ARRAY_SIZE(sigs); i++) {
		int st = pty_child(p, pty_die_raw, sigs[i]);

		if (!WIFSIGNALED(st) || WTERMSIG(st) != sigs[i])
			fail_msg("signal %d: wait status 0x%x", sigs[i], st);
		if (!pty_is_as_before(p))
			fail_msg("signal %d leaves the terminal raw", sigs[i]);
	}
}

static void pty_ignored(struct pty *p, int sig)
{
	struct err err;

	signal(sig, SIG_IGN);
	CHILD(!terminal_raw(p->slave, &err));
	raise(sig);
	CHILD(!pty_is_as_before(p)); /* still raw, still alive */
	terminal_restore();
}

static void a_signal_that_was_ignored_stays_ignored(void **state)
{
	assert_int_equal(pty_child(*state, pty_ignored, SIGHUP), 0);
	assert_int_equal(pty_child(*state, pty_ignored, SIGINT), 0);
}

#define PTY_TEST(f) cmocka_unit_test_setup_teardown(f, pty_setup, pty_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_text_passes),
		cmocka_unit_test(ctrl_a_x_ends_the_machine_and_is_not_input),
		cmocka_unit_test(ctrl_a_twice_is_one_ctrl_a),
		cmocka_unit_test(another_key_after_ctrl_a_is_dropped),
		cmocka_unit_test(an_escape_may_come_in_two_pieces),
		PTY_TEST(a_terminal_is_raw_and_comes_back),
		PTY_TEST(a_restore_without_raw_does_nothing),
		PTY_TEST(what_is_no_terminal_is_left_alone),
		PTY_TEST(a_restore_keeps_errno),
		PTY_TEST(a_fatal_signal_restores_the_terminal_and_still_kills),
		PTY_TEST(a_signal_that_was_ignored_stays_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
