// SPDX-License-Identifier: BSD-3-Clause
/*
 * A terminal with somebody at it, for tests of what programs do with one:
 *
 *	terminal ROWS COLUMNS PROGRAM [ARGS...]
 *
 * runs PROGRAM on a new pseudoterminal and does what the lines of standard input say:
 *
 *	wait TEXT          until the program has shown it, since the last wait
 *	type TEXT          \n is the return key, \C is control-C
 *	size ROWS COLUMNS  of the window, from now on
 *
 * Everything the program shows goes to standard output. Last comes a line "terminal: modes are the
 * same" or "... are not", compared with before the program. Status: the program's, or 98 when it
 *did not show what was waited for within WAIT_S seconds, 99 for anything else.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define WAIT_S 120

static int pty;
static char shown[1 << 16]; /* since the last wait, as much as fits */
static size_t nr_shown;

static void die(const char *what)
{
	fprintf(stderr, "terminal: %s: %s\n", what, strerror(errno));
	exit(99);
}

/** What there is within ms. 0 when the program has closed its end. */
static int look(int ms)
{
	struct pollfd p = { .fd = pty, .events = POLLIN };
	char buf[4096];
	ssize_t n;

	if (poll(&p, 1, ms) <= 0)
		return 1;
	n = read(pty, buf, sizeof(buf));
	if (n <= 0)
		return 0; /* EIO: nobody has the other end */
	if (write(STDOUT_FILENO, buf, (size_t)n) != n)
		die("standard output");
	if (nr_shown + (size_t)n >= sizeof(shown))
		nr_shown = 0;
	memcpy(shown + nr_shown, buf, (size_t)n);
	nr_shown += (size_t)n;
	return 1;
}

static void wait_for(const char *text)
{
	for (int i = 0; i < WAIT_S * 20; i++) {
		char *at = memmem(shown, nr_shown, text, strlen(text));

		if (at) {
			at += strlen(text);
			nr_shown -= (size_t)(at - shown);
			memmove(shown, at, nr_shown);
			return;
		}
		if (!look(50))
			break;
	}
	fprintf(stderr, "terminal: '%s' was not shown\n", text);
	exit(98);
}

static void type(const char *text)
{
	for (; *text; text++) {
		char c = *text;

		if (c == '\\' && text[1]) {
			c = *++text;
			if (c == 'n')
				c = '\r';
			else if (c == 'C')
				c = 3;
		}
		if (write(pty, &c, 1) != 1)
			die("typing");
	}
}

static void set_size(const char *text)
{
	struct winsize ws = { 0 };
	unsigned rows, columns;

	if (sscanf(text, "%u %u", &rows, &columns) != 2)
		die("size");
	ws.ws_row = (unsigned short)rows;
	ws.ws_col = (unsigned short)columns;
	if (ioctl(pty, TIOCSWINSZ, &ws))
		die("size");
}

static pid_t start(char **argv, const char *name)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid)
		return pid;
	setsid();
	for (int fd = 0, tty = open(name, O_RDWR); fd < 3; fd++)
		if (tty < 0 || dup2(tty, fd) < 0)
			_exit(99);
	ioctl(0, TIOCSCTTY, 0);
	close(pty);
	execvp(argv[0], argv);
	_exit(99);
}

static int same_modes(const struct termios *a, const struct termios *b)
{
	return a->c_iflag == b->c_iflag && a->c_oflag == b->c_oflag && a->c_cflag == b->c_cflag &&
		a->c_lflag == b->c_lflag && !memcmp(a->c_cc, b->c_cc, sizeof(a->c_cc));
}

int main(int argc, char **argv)
{
	struct termios before, after;
	char line[512], size[64];
	int tty, status;
	pid_t pid;

	if (argc < 4)
		die("terminal ROWS COLUMNS PROGRAM [ARGS...]");
	pty = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (pty < 0 || grantpt(pty) || unlockpt(pty))
		die("pseudoterminal");
	/* Held open, so that its modes can be asked for at the end. */
	tty = open(ptsname(pty), O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (tty < 0 || tcgetattr(tty, &before))
		die("pseudoterminal");
	snprintf(size, sizeof(size), "%s %s", argv[1], argv[2]);
	set_size(size);
	pid = start(argv + 3, ptsname(pty));
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = 0;
		if (!strncmp(line, "wait ", 5))
			wait_for(line + 5);
		else if (!strncmp(line, "type ", 5))
			type(line + 5);
		else if (!strncmp(line, "size ", 5))
			set_size(line + 5);
	}
	for (int i = 0; i < WAIT_S * 20 && waitpid(pid, &status, WNOHANG) != pid; i++)
		if (i == WAIT_S * 20 - 1 || !look(50))
			die("the program does not end");
	while (nr_shown = 0, look(0) && nr_shown)
		;
	if (tcgetattr(tty, &after))
		die("pseudoterminal");
	printf("\nterminal: modes are %s\n", same_modes(&before, &after) ? "the same" : "not");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
