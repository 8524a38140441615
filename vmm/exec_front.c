// SPDX-License-Identifier: BSD-3-Clause
/*
 * The front of `mayfly exec`: passes streams and signals on, hears how the command and the machine
 * ended, and says which of them it was.
 *
 * Invariants:
 * 1. Once the guest has said how the command ended, that stands, whatever becomes of the guest.
 * 2. The machine is let go (BYE) after its last byte was written to the caller's streams.
 * 3. Nothing that the guest says or does keeps this process from ending by a timeout or by the
 *    second signal of a kind.
 *
 * The caller's descriptors are shared with others, so they are not made non-blocking: a write is
 * never more than poll(2) promised room for.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "vmm/exec.h"

#define FRONT_BUF   65536U
#define FRONT_GRACE 5000 /* ms that a machine has that was let go or killed */

struct pump {
	int in, out;    /* -1: over */
	size_t room;    /* bytes of one write */
	bool to_socket; /* whose end is said by shutdown(2) */
	size_t from, to;
	char buf[FRONT_BUF];
};

struct front {
	const struct exec_config *c;
	struct exec_report *r;
	struct exec_machine m;
	struct exec_link link;
	int signal_fd, console_file;

	struct pump in, out, err;
	uint8_t *job; /* owned: what is to be said on control */
	size_t job_len, job_at;
	bool sent_bye;

	bool refused;
	uint32_t refusal;
	bool failed;      /* the guest's first program said why */
	bool ended;       /* the machine's word */
	uint32_t machine; /* enum status, when ended */
	bool gone;        /* its process */
	bool timed_out;
	int killed_by;     /* a signal that ended all, or 0 */
	uint64_t deadline; /* ns: of --timeout; 0: none */
	uint64_t limit;    /* ns: when what is left is given up; 0: never */
	uint32_t signals;  /* those that were passed on */

	struct termios saved;
	bool raw;
};

static uint64_t front_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void front_mark(struct front *f, enum exec_phase phase)
{
	if (!f->r->at[phase])
		f->r->at[phase] = front_now();
}

/* ---- pumps ---- */

static void pump_open(struct pump *p, int in, int out, bool to_socket)
{
	struct stat st;

	p->in = in;
	p->out = out;
	p->to_socket = to_socket;
	/* A pipe or a terminal that is ready has room for this much. */
	p->room = to_socket || (!fstat(out, &st) && S_ISREG(st.st_mode)) ? FRONT_BUF : PIPE_BUF;
}

static bool pump_over(const struct pump *p)
{
	return p->in < 0 && p->from == p->to;
}

/** No more comes in. */
static void pump_finish(struct pump *p)
{
	p->in = -1;
	if (p->to_socket && p->from == p->to && p->out >= 0) {
		shutdown(p->out, SHUT_WR);
		p->out = -1;
	}
}

/** Nobody takes it any more. Both ways: a writer that waits for room hears of nothing less. */
static void pump_break(struct pump *p)
{
	if (!p->to_socket && p->in >= 0)
		shutdown(p->in, SHUT_RDWR);
	p->in = -1;
	p->from = p->to = 0;
}

static void pump_read(struct pump *p)
{
	ssize_t n = read(p->in, p->buf, sizeof(p->buf));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	p->from = 0;
	p->to = n > 0 ? (size_t)n : 0;
	if (n <= 0)
		pump_finish(p);
}

static void pump_write(struct pump *p)
{
	size_t len = MIN(p->to - p->from, p->room);
	ssize_t n = p->to_socket ? send(p->out, p->buf + p->from, len, MSG_NOSIGNAL)
				 : write(p->out, p->buf + p->from, len);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		pump_break(p);
		return;
	}
	p->from += (size_t)n;
	if (p->from == p->to && p->in < 0)
		pump_finish(p);
}

/** Adds what it waits for to p[0] and p[1]. */
static void pump_poll(const struct pump *p, struct pollfd *at)
{
	bool full = p->from != p->to;

	at[0] = (struct pollfd){ .fd = full ? -1 : p->in, .events = POLLIN };
	at[1] = (struct pollfd){ .fd = full ? p->out : -1, .events = POLLOUT };
}

static void pump_serve(struct pump *p, const struct pollfd *at)
{
	if (at[0].revents)
		pump_read(p);
	if (at[1].revents)
		pump_write(p);
}

/* ---- the terminal ---- */

static void front_raw(struct front *f)
{
	struct termios t;

	if (!f->c->tty || tcgetattr(STDIN_FILENO, &f->saved))
		return;
	t = f->saved;
	cfmakeraw(&t);
	f->raw = !tcsetattr(STDIN_FILENO, TCSANOW, &t);
}

static void front_cooked(struct front *f)
{
	if (f->raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &f->saved);
	f->raw = false;
}

/* ---- words ---- */

/** Appends a message for the guest. */
static void front_tell(struct front *f, enum exec_type type, const void *data, size_t len)
{
	uint8_t bytes[64], *more;
	size_t n = exec_link_message(type, data, len, bytes);

	more = realloc(f->job, f->job_len + n);
	if (!more)
		return; /* a signal that is not passed on: the second one ends it */
	memcpy(more + f->job_len, bytes, n);
	f->job = more;
	f->job_len += n;
}

static void front_tell_size(struct front *f)
{
	struct winsize w = { .ws_row = 24, .ws_col = 80 };
	uint8_t size[sizeof(struct exec_size)];

	if (!f->c->tty)
		return;
	(void)!ioctl(STDIN_FILENO, TIOCGWINSZ, &w);
	le16_put(size, w.ws_row);
	le16_put(size + 2, w.ws_col);
	front_tell(f, EXEC_SIZE, size, sizeof(size));
}

static void front_event(struct front *f, const struct exec_event *e)
{
	struct exec_report *r = f->r;

	switch (e->type) {
	case EXEC_UP:
		front_mark(f, EXEC_AT_UP);
		if (exec_link_job(f->c, &f->job, &f->job_len, &r->why))
			f->failed = true;
		break;
	case EXEC_REFUSED:
		f->refused = true;
		f->refusal = e->code;
		__attribute__((fallthrough));
	case EXEC_STARTED:
		front_mark(f, EXEC_AT_STARTED);
		front_tell_size(f);
		break;
	case EXEC_EXITED:
		front_mark(f, EXEC_AT_EXITED);
		r->has_exited = true;
		r->exited = e->exited;
		break;
	default:
		f->failed = true;
		err_set(&r->why, EPROTO, "the guest could not run the command: %s", e->text);
		break;
	}
}

static void front_kill(struct front *f)
{
	kill(f->m.pid, SIGKILL);
	if (!f->limit)
		f->limit = front_now() + FRONT_GRACE * 1000000ULL;
}

static void front_listen(struct front *f)
{
	uint8_t buf[4096];
	ssize_t n = recv(f->m.sock[EXEC_PORT_CONTROL], buf, sizeof(buf), 0);
	size_t left = n > 0 ? (size_t)n : 0;
	struct exec_event e;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		fd_close(&f->m.sock[EXEC_PORT_CONTROL]);
		return;
	}
	while (left) {
		int rc = exec_link_feed(&f->link, buf + ((size_t)n - left), &left, &e);

		if (rc > 0)
			front_event(f, &e);
		if (rc < 0 && !f->r->has_exited) {
			err_set(&f->r->why, EPROTO, "the guest's first program broke the protocol");
			f->failed = true;
		}
		if (rc < 0 || (f->failed && !f->r->has_exited)) {
			front_kill(f);
			fd_close(&f->m.sock[EXEC_PORT_CONTROL]);
			return;
		}
	}
}

static void front_speak(struct front *f)
{
	ssize_t n = send(f->m.sock[EXEC_PORT_CONTROL], f->job + f->job_at, f->job_len - f->job_at,
		MSG_NOSIGNAL);

	if (n > 0)
		f->job_at += (size_t)n;
	else if (errno != EAGAIN && errno != EINTR)
		fd_close(&f->m.sock[EXEC_PORT_CONTROL]);
}

static void front_machine_word(struct front *f)
{
	struct exec_word w;
	ssize_t n = read(f->m.word_fd, &w, sizeof(w));

	if (n != (ssize_t)sizeof(w)) {
		fd_close(&f->m.word_fd);
		return;
	}
	if (w.kind == EXEC_WORD_RUNS) {
		front_mark(f, EXEC_AT_RUN);
		return;
	}
	f->ended = true;
	f->machine = w.status;
	if (!f->failed && !f->r->has_exited && !f->timed_out && !f->killed_by)
		f->r->why = w.why;
}

static void front_console(struct front *f)
{
	char buf[4096];
	ssize_t n = read(f->m.console_fd, buf, sizeof(buf));

	if (n <= 0) {
		fd_close(&f->m.console_fd);
		return;
	}
	exec_report_console(f->r, buf, (size_t)n);
	/* A full disk is told at the end. */
	if (f->console_file >= 0 && fd_write_full(f->console_file, buf, (size_t)n))
		fd_close(&f->console_file);
}

static void front_signal(struct front *f)
{
	struct signalfd_siginfo si;
	uint8_t number[4];

	if (read(f->signal_fd, &si, sizeof(si)) != (ssize_t)sizeof(si) || si.ssi_signo == SIGCHLD)
		return;
	if (si.ssi_signo == SIGWINCH) {
		if (f->r->at[EXEC_AT_STARTED])
			front_tell_size(f);
		return;
	}
	/* The command's, once there is one; the second of a kind ends all. */
	if (f->r->at[EXEC_AT_STARTED] && !f->r->has_exited && !(f->signals & 1U << si.ssi_signo)) {
		f->signals |= 1U << si.ssi_signo;
		le32_put(number, si.ssi_signo);
		front_tell(f, EXEC_SIGNAL, number, sizeof(number));
		return;
	}
	if (!f->r->has_exited)
		f->killed_by = (int)si.ssi_signo;
	front_kill(f);
}

static void front_gone(struct front *f)
{
	struct rusage ru;
	int st;

	if (wait4(f->m.pid, &st, WNOHANG, &ru) != f->m.pid)
		return;
	f->gone = true;
	f->m.pid = -1;
	f->r->peak_bytes = (uint64_t)ru.ru_maxrss * KIB;
	fd_close(&f->m.pidfd);
	/* What it had still to say is there to be read. */
	if (!f->limit && (f->timed_out || f->killed_by))
		f->limit = front_now() + FRONT_GRACE * 1000000ULL;
}

/* ---- the loop ---- */

/** Whether all that the command wrote has gone to the caller. */
static bool front_streams_over(const struct front *f)
{
	return pump_over(&f->out) && pump_over(&f->err);
}

static bool front_over(const struct front *f)
{
	return f->gone && front_streams_over(f) && f->m.word_fd < 0 && f->m.console_fd < 0;
}

/** Milliseconds until something is due, or -1. */
static int front_wait_ms(struct front *f)
{
	uint64_t now = front_now(), next = f->limit;

	if (f->deadline && !f->timed_out && !f->r->has_exited && (!next || f->deadline < next))
		next = f->deadline;
	if (!next)
		return -1;
	return next <= now ? 0 : (int)MIN((next - now) / 1000000 + 1, (uint64_t)INT_MAX);
}

static void front_due(struct front *f)
{
	uint64_t now = front_now();

	if (f->deadline && now >= f->deadline && !f->timed_out && !f->r->has_exited && !f->gone) {
		f->timed_out = true;
		front_kill(f);
	}
	if (f->r->has_exited && !f->sent_bye && front_streams_over(f)) {
		f->sent_bye = true;
		front_tell(f, EXEC_BYE, NULL, 0);
		f->limit = now + FRONT_GRACE * 1000000ULL;
	}
}

static void front_loop(struct front *f)
{
	enum { SIGNALS, GONE, WORD, CONSOLE, CONTROL, PUMPS, NR = PUMPS + 6 };
	struct pollfd p[NR];

	while (!front_over(f) && !(f->limit && front_now() >= f->limit)) {
		struct pump *const pumps[] = { &f->in, &f->out, &f->err };
		bool more = f->job_at < f->job_len;

		p[SIGNALS] = (struct pollfd){ .fd = f->signal_fd, .events = POLLIN };
		p[GONE] = (struct pollfd){ .fd = f->m.pidfd, .events = POLLIN };
		p[WORD] = (struct pollfd){ .fd = f->m.word_fd, .events = POLLIN };
		p[CONSOLE] = (struct pollfd){ .fd = f->m.console_fd, .events = POLLIN };
		p[CONTROL] = (struct pollfd){ .fd = f->m.sock[EXEC_PORT_CONTROL],
			.events = more ? POLLIN | POLLOUT : POLLIN };
		for (unsigned i = 0; i < ARRAY_SIZE(pumps); i++)
			pump_poll(pumps[i], &p[PUMPS + 2 * i]);
		if (poll(p, NR, front_wait_ms(f)) < 0 && errno != EINTR)
			break;
		for (unsigned i = 0; i < ARRAY_SIZE(pumps); i++)
			pump_serve(pumps[i], &p[PUMPS + 2 * i]);
		if (p[CONTROL].revents & (POLLIN | POLLHUP | POLLERR))
			front_listen(f);
		if (p[CONTROL].revents & POLLOUT && f->m.sock[EXEC_PORT_CONTROL] >= 0)
			front_speak(f);
		if (p[CONSOLE].revents)
			front_console(f);
		if (p[WORD].revents)
			front_machine_word(f);
		if (p[GONE].revents)
			front_gone(f);
		if (p[SIGNALS].revents)
			front_signal(f);
		front_due(f);
	}
}

/* ---- the verdict ---- */

static void front_verdict(struct exec_report *r, int status, const char *cause)
{
	r->status = status;
	r->cause = cause;
}

static void front_judge_refusal(const struct front *f)
{
	int code = (int)(f->refusal & 0xffff);
	const char *what = f->c->argv[0];

	if ((f->refusal & ~0xffffU) == EXEC_REFUSED_CWD)
		what = f->c->cwd;
	else if ((f->refusal & ~0xffffU) == EXEC_REFUSED_USER)
		what = f->c->user ? f->c->user : "root";
	err_errno(&f->r->why, code, "exec: %s", what);
	front_verdict(f->r, code == ENOENT ? 127 : 126, "not-executed");
}

/** A machine that ended before the command did. */
static void front_judge_machine(const struct front *f)
{
	static const struct {
		enum status status;
		const char *cause;
	} causes[] = {
		{ STATUS_PANIC, "panic" },
		{ STATUS_RESET, "reset" },
		{ STATUS_CRASH, "crash" },
		{ STATUS_OK, "init" },
	};
	struct exec_report *r = f->r;

	front_verdict(r, 125, "monitor");
	for (size_t i = 0; i < ARRAY_SIZE(causes) && f->ended; i++)
		if (f->machine == causes[i].status)
			r->cause = causes[i].cause;
	if (f->ended && f->machine == STATUS_OK)
		err_set(&r->why, EPROTO,
			r->at[EXEC_AT_STARTED] ? "the guest ended before the command did"
					       : "the guest ended before it ran the command");
	else if (!f->ended)
		err_set(&r->why, EPROTO, "the machine's process was killed");
}

/** Killed for want of memory: itself, or, as a shell says it, what it waited for. */
static bool front_was_starved(const struct exec_exited *e)
{
	return e->oom_kills && (e->is_signal || e->value == 128 + SIGKILL);
}

static void front_judge(struct front *f)
{
	struct exec_report *r = f->r;

	if (r->has_exited && f->refused) {
		front_judge_refusal(f);
	} else if (r->has_exited && front_was_starved(&r->exited)) {
		front_verdict(r, 125, "out-of-memory");
		err_set(&r->why, ENOMEM,
			"out of memory in the guest: its kernel killed %u processes; --memory-limit",
			r->exited.oom_kills);
	} else if (r->has_exited && r->exited.is_signal) {
		front_verdict(r, 128 + (int)r->exited.value, "signal");
	} else if (r->has_exited) {
		front_verdict(r, (int)r->exited.value, "exited");
	} else if (f->timed_out) {
		front_verdict(r, 124, "timeout");
		err_set(&r->why, ETIMEDOUT, "--timeout: the command still ran after %llu s",
			(unsigned long long)f->c->timeout_s);
	} else if (f->killed_by) {
		front_verdict(r, 128 + f->killed_by, "interrupted");
		err_set(&r->why, EINTR, "stopped by signal %d (%s)", f->killed_by,
			sigdescr_np(f->killed_by));
	} else if (f->failed) {
		front_verdict(r, 125, "init");
	} else {
		front_judge_machine(f);
	}
}

static int front_signals(void)
{
	static const int all[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH,
		SIGCHLD };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		sigaddset(&set, all[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int front_open(struct front *f, struct err *err)
{
	f->console_file = f->signal_fd = -1;
	if (f->c->console) {
		f->console_file = open(
			f->c->console, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0644);
		if (f->console_file < 0)
			return err_errno(err, errno, "--console: %s", f->c->console);
	}
	front_mark(f, EXEC_AT_START);
	f->signal_fd = front_signals();
	if (f->signal_fd < 0)
		return err_errno(err, errno, "exec");
	if (f->c->timeout_s)
		f->deadline = front_now() + f->c->timeout_s * 1000000000;
	return exec_machine_start(f->c, &f->m, err);
}

void exec_front(const struct exec_config *c, struct exec_report *r)
{
	struct front *f = calloc(1, sizeof(*f));

	BUG_ON(!f);
	f->c = c;
	f->r = r;
	front_verdict(r, 125, "monitor");
	if (!front_open(f, &r->why)) {
		pump_open(&f->in, STDIN_FILENO, f->m.sock[EXEC_PORT_STDIN], true);
		pump_open(&f->out, f->m.sock[EXEC_PORT_STDOUT], STDOUT_FILENO, false);
		pump_open(&f->err, f->m.sock[EXEC_PORT_STDERR], STDERR_FILENO, false);
		front_raw(f);
		front_loop(f);
		front_cooked(f);
		exec_machine_end(&f->m);
		front_judge(f);
	}
	front_mark(f, EXEC_AT_END);
	fd_close(&f->signal_fd);
	fd_close(&f->console_file);
	free(f->job);
	free(f);
}
