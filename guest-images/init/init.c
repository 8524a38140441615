/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The first program of a guest that runs one command (`mayfly exec`): connects to the host, is told
 * what to do, mounts, runs it, says how it ended, and powers off. protocol.h has the words.
 *
 * The host is trusted; still nothing that it says overruns a buffer here.
 */
#include "guest-images/init/init.h"

#include <linux/if.h>
#include <linux/reboot.h>
#include <linux/socket.h>
#include <linux/sockios.h>
#include <linux/time_types.h>
#include <linux/vm_sockets.h>

#define SOCK_STREAM_CLOEXEC (1 | O_CLOEXEC)
#define SOCK_DGRAM_CLOEXEC  (2 | O_CLOEXEC)
#define CLOCK_REALTIME      0
#define CONSOLE             1

int control = -1;
static struct job job;
static char arena[EXEC_MAX_JOB];
static unsigned long arena_used;

static void __attribute__((noreturn)) power_off(void)
{
	for (;;)
		sys3(__NR_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
			LINUX_REBOOT_CMD_POWER_OFF);
}

/* ---- the host ---- */

long host_connect(unsigned port)
{
	struct sockaddr_vm sa = {
		.svm_family = AF_VSOCK, .svm_port = port, .svm_cid = VMADDR_CID_HOST
	};
	long fd = sys3(__NR_socket, AF_VSOCK, SOCK_STREAM_CLOEXEC, 0), err;

	if (fd < 0)
		return fd;
	err = sys3(__NR_connect, fd, &sa, sizeof(sa));
	return err < 0 ? err : fd;
}

void control_send(enum exec_type type, const void *data, unsigned len)
{
	struct exec_head head = { type, len };

	if (!write_all(control, &head, sizeof(head)))
		write_all(control, data, len);
}

static int control_read(void *buf, unsigned long len)
{
	char *at = buf;

	while (len) {
		long n = sys3(__NR_read, control, at, len);

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return -1;
		at += n;
		len -= (unsigned long)n;
	}
	return 0;
}

int control_receive(struct exec_head *head, char *buf, unsigned max)
{
	if (control_read(head, sizeof(*head)))
		return -1;
	if (head->len > max)
		fail("a message of the host is too long", "", 0);
	return control_read(buf, head->len);
}

/** Until the host says that it has everything, or is gone. */
static void wait_for_bye(void)
{
	static char skipped[EXEC_MAX_STRING];
	struct exec_head head;

	do {
		if (control_receive(&head, skipped, sizeof(skipped)))
			return;
	} while (head.type != EXEC_BYE);
}

void fail(const char *what, const char *which, long err)
{
	struct line l = { .len = 0 };

	line_add(&l, what);
	line_add(&l, which);
	if (err) {
		line_add(&l, ": error ");
		line_add_number(&l, (unsigned long)-err);
	}
	if (control >= 0) {
		control_send(EXEC_FAILED, l.text, (unsigned)l.len);
		wait_for_bye();
	} else {
		line_add(&l, "\n");
		write_all(CONSOLE, "mayfly init: ", 13);
		write_all(CONSOLE, l.text, l.len);
	}
	power_off();
}

/* ---- the job ---- */

/** Keeps a message's bytes as a string. */
static char *keep(unsigned len)
{
	char *s = arena + arena_used;

	if (len >= sizeof(arena) - arena_used)
		fail("the job is too long", "", 0);
	if (control_read(s, len))
		power_off();
	s[len] = 0;
	arena_used += len + 1;
	return s;
}

static void keep_word(char **words, unsigned *nr, unsigned len)
{
	if (*nr == EXEC_MAX_WORDS)
		fail("the command has too many words", "", 0);
	words[(*nr)++] = keep(len);
}

/** One piece of it whose head was read. */
static void job_piece(const struct exec_head *head)
{
	struct {
		unsigned type;
		const char **where;
	} strings[] = {
		{ EXEC_CWD, &job.cwd },
		{ EXEC_USER, &job.user },
		{ EXEC_HOSTNAME, &job.hostname },
		{ EXEC_ROOT, &job.root },
	};

	if (head->type == EXEC_ARG) {
		keep_word(job.arg, &job.nr_args, head->len);
	} else if (head->type == EXEC_ENV) {
		keep_word(job.env, &job.nr_envs, head->len);
	} else if (head->type == EXEC_MOUNT && job.nr_mounts < EXEC_MAX_MOUNTS) {
		job.mount[job.nr_mounts++] = keep(head->len);
	} else if (head->type == EXEC_CLOCK && head->len == sizeof(job.clock)) {
		job.has_clock = !control_read(&job.clock, sizeof(job.clock));
	} else if (head->type == EXEC_TTY && head->len == sizeof(job.size)) {
		job.tty = !control_read(&job.size, sizeof(job.size));
	} else {
		for (unsigned i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
			if (strings[i].type == head->type) {
				*strings[i].where = keep(head->len);
				return;
			}
		}
		fail("a piece of the job is not known", "", 0);
	}
}

static void job_receive(void)
{
	struct exec_head head;

	for (;;) {
		if (control_read(&head, sizeof(head)))
			power_off();
		if (head.type == EXEC_RUN)
			break;
		job_piece(&head);
	}
	if (!job.nr_args || !job.root || !job.cwd)
		fail("the job has no command, root or directory", "", 0);
}

const char *job_env(const struct job *j, const char *name)
{
	unsigned long len = text_len(name);

	for (unsigned i = 0; i < j->nr_envs; i++)
		if (text_begins(j->env[i], name) && j->env[i][len] == '=')
			return j->env[i] + len + 1;
	return NULL;
}

/* ---- what a machine needs ---- */

static void set_clock(void)
{
	struct __kernel_timespec ts = { (long)job.clock.sec, job.clock.nsec };

	if (job.has_clock)
		sys2(__NR_clock_settime, CLOCK_REALTIME, &ts);
}

/** The loopback interface; a kernel may have no network. */
static void set_loopback(void)
{
	struct ifreq r = { .ifr_name = "lo" };
	long fd = sys3(__NR_socket, AF_INET, SOCK_DGRAM_CLOEXEC, 0);

	if (fd < 0)
		return;
	if (!sys3(__NR_ioctl, fd, SIOCGIFFLAGS, &r)) {
		r.ifr_flags |= IFF_UP;
		sys3(__NR_ioctl, fd, SIOCSIFFLAGS, &r);
	}
	sys1(__NR_close, fd);
}

__attribute__((noreturn, used)) void init_main(const long *stack);
void init_main(const long *stack __attribute__((unused)))
{
	struct exec_exited how = { .pad = 0 };
	long fd = host_connect(EXEC_PORT_CONTROL);

	if (fd == -EAFNOSUPPORT)
		fail("this kernel has no vsock: it needs CONFIG_VIRTIO_VSOCKETS=y", "", 0);
	if (fd < 0)
		fail("the host does not answer", "", fd);
	control = (int)fd;
	control_send(EXEC_UP, NULL, 0);
	job_receive();
	set_clock();
	if (job.hostname)
		sys2(__NR_sethostname, job.hostname, text_len(job.hostname));
	set_loopback();
	mount_all(&job);
	run_command(&job, &how);
	sys0(__NR_sync);
	control_send(EXEC_EXITED, &how, sizeof(how));
	wait_for_bye();
	power_off();
}
