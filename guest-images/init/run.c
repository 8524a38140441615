/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command: who it runs as, its streams, and its end.
 *
 * Its streams are pipes, or a terminal, and not the sockets themselves: /dev/stdout and the like
 * can be opened then, as scripts do. What it wrote before it ended is passed on whole; what its
 * children write later is not waited for.
 */
#include "guest-images/init/init.h"

#include <asm/ioctls.h>
#include <linux/poll.h>
#include <linux/signal.h>
#include <linux/time_types.h>
#include <linux/wait.h>

#define PUMP_SIZE  65536U
#define SIGSET_LEN 8

/** Bytes on their way from one descriptor to another. */
struct pump {
	int in, out; /* -1: closed */
	unsigned from, to;
	char buf[PUMP_SIZE];
};

enum { PUMP_STDIN, PUMP_STDOUT, PUMP_STDERR, NR_PUMPS };
static struct pump pump[NR_PUMPS];
static int terminal = -1; /* the master's end */

static void close_fd(int *fd)
{
	if (*fd >= 0)
		sys1(__NR_close, *fd);
	*fd = -1;
}

static void set_nonblocking(int fd)
{
	long flags = sys3(__NR_fcntl, fd, F_GETFL, 0);

	sys3(__NR_fcntl, fd, F_SETFL, flags | O_NONBLOCK);
}

/* ---- pumps ---- */

/** Ends one; the other side sees an end of file. The terminal has two. */
static void pump_end(struct pump *p)
{
	if (p->in != terminal)
		close_fd(&p->in);
	if (p->out != terminal)
		close_fd(&p->out);
	p->in = p->out = -1;
	p->from = p->to = 0;
}

/** Moves what can be moved now. Returns 1 when something was. */
static int pump_once(struct pump *p)
{
	long n;

	if (p->from == p->to) {
		p->from = p->to = 0;
		if (p->in < 0)
			return 0;
		n = sys3(__NR_read, p->in, p->buf, PUMP_SIZE);
		if (n == -EAGAIN || n == -EINTR)
			return 0;
		if (n <= 0) {
			/* A terminal's end of file is a key. */
			if (terminal >= 0 && p->out == terminal)
				sys3(__NR_write, terminal, "\004", 1);
			pump_end(p);
			return 1;
		}
		p->to = (unsigned)n;
	}
	n = sys3(__NR_write, p->out, p->buf + p->from, p->to - p->from);
	if (n == -EAGAIN || n == -EINTR)
		return 0;
	if (n <= 0)
		pump_end(p);
	else
		p->from += (unsigned)n;
	return 1;
}

static void pump_watch(const struct pump *p, struct pollfd *in, struct pollfd *out)
{
	int full = p->from != p->to;

	*in = (struct pollfd){ full ? -1 : p->in, POLLIN, 0 };
	*out = (struct pollfd){ full ? p->out : -1, POLLOUT, 0 };
}

/** A control group of the command's, whose kernel counts what it killed there; or none. */
#define GROUP "/sys/fs/cgroup/command"

static void write_file(const char *path, const char *text)
{
	long fd = sys4(__NR_openat, AT_HERE, path, O_WRONLY | O_CLOEXEC, 0);

	if (fd < 0)
		return;
	write_all((int)fd, text, text_len(text));
	sys1(__NR_close, fd);
}

static void make_group(void)
{
	write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	make_dirs(GROUP);
}

/* ---- in the child ---- */

static char passwd[65536];

/** Field nr of the line of a file like /etc/passwd whose first or third field is what. */
static const char *find_field(const char *path, const char *what, unsigned nr)
{
	long number = text_number(what, ':');

	if (read_file(path, passwd, sizeof(passwd)) < 0)
		return NULL;
	for (const char *line = passwd; *line; line = *line ? line + 1 : line) {
		const char *end = text_find(line, '\n'), *field[7] = { line };
		unsigned n = 1;

		for (const char *c = line; c < end && n < 7; c++)
			if (*c == ':')
				field[n++] = c + 1;
		if (n > 3 &&
			((text_begins(line, what) && line[text_len(what)] == ':') ||
				(number >= 0 && text_number(field[2], ':') == number)) &&
			nr < n)
			return field[nr];
		line = end;
	}
	return NULL;
}

static void __attribute__((noreturn)) child_refuse(int report, enum exec_refusal what, long err)
{
	unsigned code = (unsigned)-err | what;

	write_all(report, &code, sizeof(code));
	sys1(__NR_exit_group, 127);
	for (;;)
		;
}

/** "NAME", "UID", with ":GROUP" or ":GID". */
static void child_become(const char *user, int report)
{
	static char name[256];
	const char *colon = text_find(user, ':'), *field;
	unsigned long len = (unsigned long)(colon - user);
	long uid, gid = -1, err;

	if (len >= sizeof(name))
		child_refuse(report, EXEC_REFUSED_USER, -EINVAL);
	memcpy(name, user, len);
	name[len] = 0;
	field = find_field("/etc/passwd", name, 3);
	if (field)
		gid = text_number(field, ':');
	field = find_field("/etc/passwd", name, 2);
	uid = field ? text_number(field, ':') : text_number(name, 0);
	if (*colon) {
		field = find_field("/etc/group", colon + 1, 2);
		gid = field ? text_number(field, ':') : text_number(colon + 1, 0);
	} else if (gid < 0) {
		gid = uid;
	}
	if (uid < 0 || gid < 0)
		child_refuse(report, EXEC_REFUSED_USER, -ESRCH);
	err = sys2(__NR_setgroups, 0, NULL);
	if (!err)
		err = sys1(__NR_setgid, gid);
	if (!err)
		err = sys1(__NR_setuid, uid);
	if (err)
		child_refuse(report, EXEC_REFUSED_USER, err);
}

/** As execvp(3). Returns the error that says most. */
static long child_execute(const struct job *j)
{
	static char path[4352];
	const char *at = job_env(j, "PATH");
	long err = -ENOENT, worst = -ENOENT;

	if (*text_find(j->arg[0], '/'))
		return sys3(__NR_execve, j->arg[0], j->arg, j->env);
	for (at = at ? at : "/usr/bin:/bin"; *at; at = *at ? at + 1 : at) {
		const char *end = text_find(at, ':');
		unsigned long len = (unsigned long)(end - at), more = text_len(j->arg[0]);

		if (len && len + more + 2 <= sizeof(path)) {
			memcpy(path, at, len);
			path[len] = '/';
			memcpy(path + len + 1, j->arg[0], more + 1);
			err = sys3(__NR_execve, path, j->arg, j->env);
			if (err != -ENOENT && err != -ENOTDIR)
				worst = err;
		}
		at = end;
		if (!*at)
			break;
	}
	return worst;
}

static void __attribute__((noreturn)) child(const struct job *j, const int fds[3], int report)
{
	__u64 none = 0;
	long err;

	sys0(__NR_setsid);
	write_file(GROUP "/cgroup.procs", "0");
	for (int i = 0; i < 3; i++)
		if (sys3(__NR_dup3, fds[i], i, 0) < 0 && fds[i] != i)
			child_refuse(report, EXEC_REFUSED_COMMAND, -EBADF);
	if (j->tty)
		sys3(__NR_ioctl, 0, TIOCSCTTY, 0);
	sys4(__NR_rt_sigprocmask, SIG_SETMASK, &none, NULL, SIGSET_LEN);
	err = sys1(__NR_chdir, j->cwd);
	if (err)
		child_refuse(report, EXEC_REFUSED_CWD, err);
	if (j->user)
		child_become(j->user, report);
	child_refuse(report, EXEC_REFUSED_COMMAND, child_execute(j));
}

/* ---- in init ---- */

static void set_size(const struct exec_size *size)
{
	struct {
		unsigned short rows, cols, x, y;
	} w = { size->rows, size->cols, 0, 0 };

	if (terminal >= 0)
		sys3(__NR_ioctl, terminal, TIOCSWINSZ, &w);
}

/** The slave's end, and the master's in terminal. */
static int open_terminal(const struct exec_size *size)
{
	struct line name = { .len = 0 };
	int unlocked = 0;
	unsigned number = 0;
	long slave;

	terminal = (int)sys4(
		__NR_openat, AT_HERE, "/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK, 0);
	if (terminal < 0 || sys3(__NR_ioctl, terminal, TIOCSPTLCK, &unlocked) ||
		sys3(__NR_ioctl, terminal, TIOCGPTN, &number))
		fail("no terminal: the kernel needs CONFIG_UNIX98_PTYS=y", "", terminal);
	line_add(&name, "/dev/pts/");
	line_add_number(&name, number);
	slave = sys4(__NR_openat, AT_HERE, name.text, O_RDWR | O_NOCTTY | O_CLOEXEC, 0);
	if (slave < 0)
		fail("the terminal", "", slave);
	set_size(size);
	return (int)slave;
}

static int connect_stream(unsigned port)
{
	long fd = host_connect(port);

	if (fd < 0)
		fail("the streams of the command", "", fd);
	set_nonblocking((int)fd);
	return (int)fd;
}

/** The command's three descriptors, and the pumps at their other ends. */
static void open_streams(const struct job *j, int fds[3])
{
	int pipes[2];

	for (unsigned i = 0; i < NR_PUMPS; i++)
		pump[i].in = pump[i].out = -1;
	pump[PUMP_STDIN].in = connect_stream(EXEC_PORT_STDIN);
	pump[PUMP_STDOUT].out = connect_stream(EXEC_PORT_STDOUT);
	pump[PUMP_STDERR].out = connect_stream(EXEC_PORT_STDERR);
	if (j->tty) {
		fds[0] = fds[1] = fds[2] = open_terminal(&j->size);
		pump[PUMP_STDIN].out = pump[PUMP_STDOUT].in = terminal;
		pump_end(&pump[PUMP_STDERR]);
		return;
	}
	for (int i = 0; i < 3; i++) {
		long err = sys2(__NR_pipe2, pipes, O_CLOEXEC);

		if (err)
			fail("pipes", "", err);
		fds[i] = pipes[i == PUMP_STDIN ? 0 : 1];
		*(i == PUMP_STDIN ? &pump[i].out : &pump[i].in) = pipes[i == PUMP_STDIN ? 1 : 0];
		set_nonblocking(pipes[i == PUMP_STDIN ? 1 : 0]);
	}
}

/** Collects the dead. Returns 1 when the command was among them. */
static int reap(long pid, int *status)
{
	int over = 0, st;
	long dead;

	while ((dead = sys4(__NR_wait4, -1, &st, WNOHANG, NULL)) > 0) {
		if (dead == pid) {
			*status = st;
			over = 1;
		}
	}
	return over;
}

/** A word of the host while the command runs. */
static void obey(long pid)
{
	static char buf[64];
	struct exec_head head;
	unsigned number;
	struct exec_size size;

	/* Who ran it is gone: so is its machine. */
	if (control_receive(&head, buf, sizeof(buf)))
		fail("the host hung up", "", 0);
	if (head.type == EXEC_SIGNAL && head.len == sizeof(number)) {
		memcpy(&number, buf, sizeof(number));
		sys2(__NR_kill, -pid, number);
	} else if (head.type == EXEC_SIZE && head.len == sizeof(size)) {
		memcpy(&size, buf, sizeof(size));
		set_size(&size);
	}
}

/** Passes streams on until the command has ended. Returns its wait status. */
static int serve(long pid, int signals)
{
	struct pollfd p[2 + 2 * NR_PUMPS];
	char info[128];
	int status = 0;

	for (;;) {
		p[0] = (struct pollfd){ signals, POLLIN, 0 };
		p[1] = (struct pollfd){ control, POLLIN, 0 };
		for (unsigned i = 0; i < NR_PUMPS; i++)
			pump_watch(&pump[i], &p[2 + 2 * i], &p[3 + 2 * i]);
		sys5(__NR_ppoll, p, 2 + 2 * NR_PUMPS, NULL, NULL, 0);
		for (unsigned i = 0; i < NR_PUMPS; i++)
			if (p[2 + 2 * i].revents | p[3 + 2 * i].revents)
				pump_once(&pump[i]);
		if (p[1].revents)
			obey(pid);
		if (p[0].revents) {
			sys3(__NR_read, signals, info, sizeof(info));
			if (reap(pid, &status))
				return status;
		}
	}
}

/** What it wrote before it ended: until there is nothing more for now. */
static void drain(struct pump *p)
{
	struct pollfd out = { .events = POLLOUT };

	for (;;) {
		while (pump_once(p))
			;
		if (p->from == p->to)
			break;
		out.fd = p->out;
		sys5(__NR_ppoll, &out, 1, NULL, NULL, 0);
	}
	pump_end(p);
}

/** The number in a file's line "oom_kill N", or -1. */
static long oom_kills_in(const char *path)
{
	static char text[16384];
	const char *at = text;

	if (read_file(path, text, sizeof(text)) < 0)
		return -1;
	for (; *at; at = text_find(at, '\n'), at += *at != 0)
		if (text_begins(at, "oom_kill "))
			return text_number(at + 9, '\n');
	return -1;
}

static unsigned oom_kills(void)
{
	long n = oom_kills_in(GROUP "/memory.events");

	if (n < 0)
		n = oom_kills_in("/proc/vmstat");
	return n < 0 ? 0 : (unsigned)n;
}

/** Starts it, and tells the host whether it could be. Returns its process. */
static long start(const struct job *j, const int fds[3])
{
	int report[2];
	unsigned code;
	long pid, n;

	n = sys2(__NR_pipe2, report, O_CLOEXEC);
	if (n)
		fail("a pipe", "", n);
	pid = sys5(__NR_clone, SIGCHLD, 0, 0, 0, 0);
	if (!pid)
		child(j, fds, report[1]);
	if (pid < 0)
		fail("a process for the command", "", pid);
	sys1(__NR_close, report[1]);
	do
		n = sys3(__NR_read, report[0], &code, sizeof(code));
	while (n == -EINTR);
	sys1(__NR_close, report[0]);
	if (n == (long)sizeof(code))
		control_send(EXEC_REFUSED, &code, sizeof(code));
	else
		control_send(EXEC_STARTED, NULL, 0);
	return pid;
}

void run_command(const struct job *j, struct exec_exited *ret)
{
	__u64 child_ends = 1ULL << (SIGCHLD - 1), pipes_end = 1ULL << (SIGPIPE - 1);
	__u64 blocked = child_ends | pipes_end;
	int fds[3], status;
	long pid, signals;

	sys4(__NR_rt_sigprocmask, SIG_BLOCK, &blocked, NULL, SIGSET_LEN);
	signals = sys4(__NR_signalfd4, -1, &child_ends, SIGSET_LEN, O_CLOEXEC);
	make_group();
	open_streams(j, fds);
	pid = start(j, fds);
	for (int i = 0; i < (j->tty ? 1 : 3); i++)
		sys1(__NR_close, fds[i]);
	status = serve(pid, (int)signals);
	drain(&pump[PUMP_STDOUT]);
	drain(&pump[PUMP_STDERR]);
	pump_end(&pump[PUMP_STDIN]);
	ret->is_signal = (status & 0x7f) != 0;
	ret->value = ret->is_signal ? (unsigned)status & 0x7f : ((unsigned)status >> 8) & 0xff;
	ret->oom_kills = oom_kills();
}
