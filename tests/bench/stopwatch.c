// SPDX-License-Identifier: BSD-3-Clause
/*
 * stopwatch [options] -- MONITOR [ARGS...]
 *
 * Runs a monitor and says when its guest prints what, in microseconds from just before the
 * exec. The monitor's stdin is a pipe on which nothing comes, its stdout a pipe that is read
 * as soon as something is in it, its stderr is ours.
 *   -m NAME=TEXT  a mark: the time when TEXT has been printed
 *   -s NAME       stop the monitor at this mark and read its memory
 *   -c NAME       stop the monitor at this mark and read counters; may be repeated
 *   -g MIB        RAM of the guest (256)
 *   -a            with -s: each mapping too
 *   -t SECONDS    then kill it (120)
 *   -o FILE       keep what it printed
 * Prints "time KEY VALUE" lines and those of probe.h. The status is the monitor's, 124 when
 * it had to be killed, 125 when it could not be run.
 *
 * Stopping spoils the times after it: measure time and cost in runs of their own.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/probe.h"

#define SW_MAX_MARKS 16

struct sw_mark {
	const char *name, *text;
	long long at; /* us, -1: not seen */
	int memory, counts;
};

struct sw {
	struct sw_mark mark[SW_MAX_MARKS];
	int nr_marks;
	long guest_mib;
	int maps, limit_s, keep_fd;
	pid_t pid;
	long long start, first;
	char buf[1 << 20];
	size_t len;
};

static long long sw_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

__attribute__((noreturn)) static void sw_die(const char *what)
{
	fprintf(stderr, "stopwatch: %s\n", what);
	exit(125);
}

static struct sw_mark *sw_find(struct sw *w, const char *name)
{
	for (int i = 0; i < w->nr_marks; i++)
		if (!strcmp(w->mark[i].name, name))
			return &w->mark[i];
	sw_die("-s or -c names a mark that no -m before it has");
}

static void sw_add_mark(struct sw *w, char *arg)
{
	char *eq = strchr(arg, '=');

	if (!eq || w->nr_marks == SW_MAX_MARKS)
		sw_die("-m: not NAME=TEXT, or too many");
	*eq = '\0';
	w->mark[w->nr_marks++] = (struct sw_mark){ .name = arg, .text = eq + 1, .at = -1 };
}

static void sw_options(struct sw *w, int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "+m:s:c:g:at:o:")) != -1) {
		switch (c) {
		case 'm':
			sw_add_mark(w, optarg);
			break;
		case 's':
			sw_find(w, optarg)->memory = 1;
			break;
		case 'c':
			sw_find(w, optarg)->counts = 1;
			break;
		case 'g':
			w->guest_mib = strtol(optarg, NULL, 10);
			break;
		case 'a':
			w->maps = 1;
			break;
		case 't':
			w->limit_s = (int)strtol(optarg, NULL, 10);
			break;
		case 'o':
			w->keep_fd = open(optarg, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
			break;
		default:
			sw_die("options: -m -s -c -g -a -t -o");
		}
	}
	if (optind >= argc)
		sw_die("no monitor to run");
}

/** Starts the monitor; returns the end of the pipe on which its guest's output comes. */
static int sw_start(struct sw *w, char **argv)
{
	struct sched_param first = { .sched_priority = 1 };
	int in[2], out[2];

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		sw_die("no pipe");
	/* On a busy processor the reader comes first, so that times are those of the writes. */
	sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &first);
	w->start = sw_now();
	w->pid = vfork();
	if (!w->pid) {
		if (dup2(in[0], 0) == 0 && dup2(out[1], 1) == 1)
			execvp(argv[0], argv);
		_exit(125);
	}
	if (w->pid < 0)
		sw_die("cannot fork");
	close(in[0]); /* in[1] stays open: the monitor sees no end of its input */
	close(out[1]);
	return out[0];
}

/** Freezes the monitor with all its processes, and probes it. */
static void sw_probe(struct sw *w, const struct sw_mark *m)
{
	struct probe_tree t;
	siginfo_t si;

	kill(w->pid, SIGSTOP);
	if (waitid(P_PID, (id_t)w->pid, &si, WSTOPPED | WEXITED | WNOWAIT) ||
		si.si_code != CLD_STOPPED)
		return;
	probe_find(w->pid, &t);
	for (int i = 1; i < t.nr; i++)
		kill(t.pid[i], SIGSTOP);
	if (m->counts)
		probe_counts(&t, m->name, stdout);
	if (m->memory)
		probe_memory(&t, m->name, w->guest_mib, w->maps, stdout);
	for (int i = t.nr; i-- > 0;)
		kill(t.pid[i], SIGCONT);
}

/** Whether the last n bytes end or hold a mark's text; what came before was searched then. */
static int sw_seen(const struct sw *w, const struct sw_mark *m, size_t n)
{
	size_t text_len = strlen(m->text), from = w->len - n;

	from -= from < text_len ? from : text_len;
	return memmem(w->buf + from, w->len - from, m->text, text_len) != NULL;
}

static void sw_take(struct sw *w, size_t n)
{
	long long t = sw_now() - w->start;

	if (w->first < 0)
		w->first = t;
	w->len += n;
	for (int i = 0; i < w->nr_marks; i++) {
		struct sw_mark *m = &w->mark[i];

		if (m->at >= 0 || !sw_seen(w, m, n))
			continue;
		m->at = t;
		if (m->memory || m->counts)
			sw_probe(w, m);
	}
}

/** Reads until the monitor closes its output. Returns 0, or -1 when it had to be killed. */
static int sw_read(struct sw *w, int fd)
{
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		long long left = w->limit_s * 1000LL - (sw_now() - w->start) / 1000;
		ssize_t n;

		if (left <= 0 || w->len == sizeof(w->buf) || poll(&p, 1, (int)left) == 0) {
			kill(w->pid, SIGKILL);
			return -1;
		}
		n = read(fd, w->buf + w->len, sizeof(w->buf) - w->len);
		if (n == 0 || (n < 0 && errno != EINTR))
			return 0;
		if (n > 0)
			sw_take(w, (size_t)n);
	}
}

int main(int argc, char **argv)
{
	static struct sw w = { .guest_mib = 256, .limit_s = 120, .keep_fd = -1, .first = -1 };
	int status, killed, counts = 0;
	long long end;
	struct rusage ru;

	sw_options(&w, argc, argv);
	for (int i = 0; i < w.nr_marks; i++)
		counts |= w.mark[i].counts;
	if (counts && probe_trace_start())
		fprintf(stderr, "stopwatch: no tracepoints here: exits are not told apart\n");
	killed = sw_read(&w, sw_start(&w, argv + optind));
	while (wait4(w.pid, &status, 0, &ru) < 0 && errno == EINTR)
		;
	end = sw_now() - w.start;
	if (counts)
		probe_trace_stop();
	if (w.keep_fd >= 0 && write(w.keep_fd, w.buf, w.len) < 0)
		perror("stopwatch: -o");
	printf("time first %lld\n", w.first);
	for (int i = 0; i < w.nr_marks; i++)
		printf("time %s %lld\n", w.mark[i].name, w.mark[i].at);
	printf("time exit %lld\n", end);
	printf("usage faults %ld\n", ru.ru_minflt);
	printf("usage bytes %zu\n", w.len);
	printf("usage status %d\n",
		WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	if (killed)
		return 124;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
