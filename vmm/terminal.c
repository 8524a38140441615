// SPDX-License-Identifier: BSD-3-Clause
/*
 * Invariant: `terminal_fd` is set only after `terminal_saved` is complete, so that a signal
 * handler that sees it can use it.
 */
#include "vmm/terminal.h"

#include <errno.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#define CTRL_A 0x01

static struct termios terminal_saved;
static volatile sig_atomic_t terminal_fd = -1;

void terminal_restore(void)
{
	int saved = errno;

	if (terminal_fd >= 0)
		tcsetattr(terminal_fd, TCSANOW, &terminal_saved);
	errno = saved;
}

/** A crash of the monitor: the shell must not be left raw. Then die as if unhandled. */
static void terminal_on_fatal(int sig)
{
	terminal_restore();
	signal(sig, SIG_DFL);
	raise(sig);
}

int terminal_raw(int fd, struct err *err)
{
	/* The last three until the machine runs and takes them itself. */
	static const int fatal[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGQUIT, SIGTERM,
		SIGINT, SIGHUP };
	struct sigaction sa = { .sa_handler = terminal_on_fatal, .sa_flags = (int)SA_RESETHAND };
	struct sigaction old;
	struct termios raw;

	if (!isatty(fd))
		return 0;
	if (tcgetattr(fd, &terminal_saved) < 0)
		return err_errno(err, errno, "--serial: terminal");
	terminal_fd = fd;
	for (size_t i = 0; i < ARRAY_SIZE(fatal); i++) {
		BUG_ON(sigaction(fatal[i], NULL, &old));
		if (old.sa_handler != SIG_IGN) /* nohup */
			BUG_ON(sigaction(fatal[i], &sa, NULL));
	}
	raw = terminal_saved;
	cfmakeraw(&raw);
	/* Output stays cooked: a guest's line feed starts a line, as it does into a file. */
	raw.c_oflag = terminal_saved.c_oflag;
	if (tcsetattr(fd, TCSANOW, &raw) < 0)
		return err_errno(err, errno, "--serial: terminal");
	return 0;
}

size_t terminal_filter(struct terminal_escape *e, uint8_t *buf, size_t len)
{
	size_t out = 0;

	for (size_t i = 0; i < len; i++) {
		uint8_t c = buf[i];

		if (!e->pending && c == CTRL_A) {
			e->pending = true;
			continue;
		}
		if (e->pending && c == 'x')
			e->end(e->ctx);
		/* Any other key after Ctrl-A is dropped with it. */
		if (!e->pending || c == CTRL_A)
			buf[out++] = c;
		e->pending = false;
	}
	return out;
}
