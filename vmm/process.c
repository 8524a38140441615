// SPDX-License-Identifier: BSD-3-Clause
/*
 * Both sides of the fork.
 *
 * Invariants:
 * 1. The child opens nothing after jail_lock, and serves nothing before it.
 * 2. Whatever the child does or says, it ends, at the latest, with its parent (PR_SET_PDEATHSIG)
 *    or with its connection.
 * 3. A word on the pipe is one write of a fixed size, so words are whole.
 */
#include "vmm/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/title.h"
#include "sandbox/jail.h"
#include "vhost-user/back.h"

#define PROCESS_READY_MS 60000 /* a slow machine may have a hundred to start */
#define PROCESS_DEATH_MS 1000  /* between the end of a connection and that of its process */

enum process_says { PROCESS_READY = 1, PROCESS_FAILED, PROCESS_ESCAPED };

struct process_word {
	uint32_t says;
	struct err err;
};

_Static_assert(sizeof(struct process_word) <= 4096, "one write of a pipe");

struct process {
	char label[128];         /* "--block disk.img" */
	struct jail_child child; /* pidfd owned */
	int sock;                /* owned until taken */
	int word_fd;             /* owned: what it says */
	int request_fd;          /* owned until taken, or -1 */
	struct watch word, death;
	struct loop *loop;
	struct process_events ev;
	atomic_bool let_go;

	/* Until it is started: what the child will have. */
	const struct config *cfg;
	const struct model *m;
	unsigned i;
	struct model_files files;      /* owned */
	int child_sock, child_word_fd; /* owned */
};

/* ---- the child ---- */

/** The child's own state: one device. */
struct process_job {
	const struct model *m;
	unsigned i;
	int word_fd;
	struct guest_memory gm;
	struct model_host host;
	struct vu_back *back;
	char label[128];
	int status;
};

static void process_say(
	const struct process_job *job, enum process_says says, const struct err *err)
{
	struct process_word w = { .says = says };

	if (err)
		w.err = *err;
	/* Without a monitor there is nobody to tell, and the end is near. */
	if (write(job->word_fd, &w, sizeof(w)) < 0)
		return;
}

static void process_on_failed(void *ctx, const struct err *err)
{
	process_say(ctx, PROCESS_FAILED, err);
}

static void process_on_escape(void *ctx)
{
	process_say(ctx, PROCESS_ESCAPED, NULL);
}

static void process_on_ended(void *ctx, const struct err *err)
{
	struct process_job *job = ctx;
	struct err mine;

	if (err) {
		(void)err_set(&mine, EPROTO, "%s: vhost-user: %s", job->label, err->msg);
		process_say(job, PROCESS_FAILED, &mine);
		job->status = 1;
	}
	loop_stop(job->host.loop);
}

/** Standard input and output lead nowhere: the numbers must not become anything else. */
static int process_hold_std_fds(struct err *err)
{
	for (int fd = 0; fd < STDERR_FILENO; fd++)
		if (open("/dev/null", O_RDWR | O_CLOEXEC) != fd)
			return err_errno(err, errno, "/dev/null");
	return 0;
}

static int process_build(struct process_job *job, const struct config *cfg,
	struct model_files *files, int sock, bool namespaces, struct err *err)
{
	int keep[2 + MODEL_MAX_FILES] = { sock, job->word_fd };
	struct vu_back_config bc = {
		.gm = &job->gm, .sock = sock, .ended = process_on_ended, .ctx = job
	};
	struct jail_needs needs = {
		.nofile = job->m->nofile ? job->m->nofile : JAIL_NOFILE,
		.beneath_fd = job->m->beneath ? files->fd[0] : -1,
	};
	unsigned nr = 2;
	char name[16];
	int rc;

	for (unsigned i = 0; i < MODEL_MAX_FILES; i++)
		if (files->fd[i] >= 0)
			keep[nr++] = files->fd[i];
	rc = jail_settle(keep, nr, err);
	if (!rc)
		rc = process_hold_std_fds(err);
	if (!rc)
		rc = loop_create(&job->host.loop, err);
	if (rc)
		return rc;
	snprintf(name, sizeof(name), "%.10s%u", job->m->cls->name, job->i % 1000);
	prctl(PR_SET_NAME, name);
	title_set("mayfly%s%s%s: %s", cfg->name ? "[" : "", cfg->name ? cfg->name : "",
		cfg->name ? "]" : "", job->label);
	job->host.cfg = cfg;
	job->host.gm = &job->gm;
	job->host.failed = process_on_failed;
	job->host.escaped = process_on_escape;
	job->host.ctx = job;
	job->host.jailed = true;
	bc.loop = job->host.loop;
	rc = job->m->make(&job->host, job->i, files, &bc.b, err);
	if (!rc)
		rc = vu_back_create(&bc, &job->back, err);
	return rc ? rc : jail_lock(namespaces, &needs, policy_find(job->m->cls->name), err);
}

__noreturn static void process_child(struct process_job *job, const struct config *cfg,
	struct model_files *files, int sock, bool namespaces)
{
	struct err err;

	if (process_build(job, cfg, files, sock, namespaces, &err)) {
		process_say(job, PROCESS_FAILED, &err);
		_exit(1);
	}
	process_say(job, PROCESS_READY, NULL);
	loop_run(job->host.loop);
	/* The kernel takes back the rest faster. */
	_exit(job->status);
}

/* ---- the parent ---- */

/** The parent has no use for what is the child's. */
static void process_drop(struct process *p)
{
	model_files_close(&p->files);
	fd_close(&p->child_sock);
	fd_close(&p->child_word_fd);
}

static int process_open(struct process *p, struct err *err)
{
	int pipes[2], pair[2] = { -1, p->child_sock };

	if (pair[1] < 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(err, errno, "%s", p->label);
	p->sock = pair[0];
	p->child_sock = pair[1];
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return err_errno(err, errno, "%s", p->label);
	p->word_fd = pipes[0];
	p->child_word_fd = pipes[1];
	if (fcntl(p->word_fd, F_SETFL, O_NONBLOCK) < 0)
		return err_errno(err, errno, "%s", p->label);
	return 0;
}

int process_prepare(const struct config *cfg, const struct model *m, unsigned i,
	struct model_files *files, int sock, struct process **ret, struct err *err)
{
	struct process *p = calloc(1, sizeof(*p));
	int rc;

	if (!p) {
		model_files_close(files);
		fd_close(&sock);
		return err_errno(err, ENOMEM, "device process");
	}
	p->sock = p->word_fd = p->child.pidfd = p->child_word_fd = -1;
	p->child_sock = sock;
	p->request_fd = fd_take(&files->request_fd);
	p->files = *files;
	p->cfg = cfg;
	p->m = m;
	p->i = i;
	m->label(cfg, i, p->label, sizeof(p->label));
	rc = process_open(p, err);
	if (rc)
		process_destroy(p);
	else
		*ret = p;
	return rc;
}

struct process_batch {
	struct process *const *p;
	unsigned nr;
	int rc;
	struct err *err;
};

static void process_spawn(void *arg, bool namespaces)
{
	struct process_batch *b = arg;

	for (unsigned i = 0; i < b->nr && b->rc >= 0; i++) {
		struct process *p = b->p[i];

		b->rc = jail_spawn(&p->child, namespaces, b->err);
		if (!b->rc) {
			struct process_job job = {
				.m = p->m, .i = p->i, .word_fd = p->child_word_fd
			};

			memcpy(job.label, p->label, sizeof(job.label));
			process_child(&job, p->cfg, &p->files, p->child_sock, namespaces);
		}
	}
	if (!namespaces)
		log_warn(
			"this host gives no namespaces to device processes, which have Landlock and "
			"seccomp alone: mayfly doctor");
}

int process_start(struct process *const *p, unsigned nr, int *net, struct err *err)
{
	struct process_batch b = { .p = p, .nr = nr, .err = err };
	bool ids = false;
	int rc;

	/* Who serves files may be asked whom they belong to. */
	for (unsigned i = 0; i < nr; i++)
		ids = ids || p[i]->m->beneath;
	rc = nr ? jail_nursery(process_spawn, &b, ids, net, err) : 0;
	for (unsigned i = 0; i < nr; i++)
		process_drop(p[i]);
	return rc ? rc : MIN(b.rc, 0);
}

/** A word if there is one: 1, 0 when there is none, -EPIPE when there will be none. */
static int process_hear(const struct process *p, struct process_word *w)
{
	ssize_t n;

	do
		n = read(p->word_fd, w, sizeof(*w));
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n != (ssize_t)sizeof(*w))
		return -EPIPE;
	w->err.msg[sizeof(w->err.msg) - 1] = 0;
	return 1;
}

int process_ready(struct process *p, struct err *err)
{
	struct pollfd pfd = { .fd = p->word_fd, .events = POLLIN };
	struct process_word w;

	while (poll(&pfd, 1, PROCESS_READY_MS) < 0)
		BUG_ON(errno != EINTR);
	switch (process_hear(p, &w)) {
	case 0:
		return err_set(err, ETIMEDOUT, "%s: its process does not come up", p->label);
	case 1:
		if (w.says == PROCESS_READY)
			return 0;
		*err = w.err;
		return -EIO;
	}
	if (process_died(p, err))
		return -EIO;
	return err_set(err, EIO, "%s: its process closed its pipe", p->label);
}

int process_take_requests(struct process *p)
{
	return fd_take(&p->request_fd);
}

int process_take_socket(struct process *p)
{
	return fd_take(&p->sock);
}

/** Whether it has ended; *si says how. Does not reap. */
static bool process_ended(const struct process *p, siginfo_t *si)
{
	*si = (siginfo_t){ 0 };
	return !waitid(P_PIDFD, (id_t)p->child.pidfd, si, WEXITED | WNOHANG | WNOWAIT) &&
		si->si_pid;
}

static void process_describe(const struct process *p, const siginfo_t *si, struct err *err)
{
	if (si->si_code == CLD_EXITED)
		(void)err_set(
			err, EIO, "%s: its process ended with status %d", p->label, si->si_status);
	else if (si->si_status == SIGSYS)
		(void)err_set(err, EIO,
			"%s: its process was killed for a system call that its policy does not "
			"allow",
			p->label);
	else
		(void)err_set(err, EIO, "%s: its process was killed by signal %d (%s)", p->label,
			si->si_status, sigdescr_np(si->si_status));
}

bool process_died(struct process *p, struct err *err)
{
	struct pollfd pfd = { .fd = p->child.pidfd, .events = POLLIN };
	siginfo_t si;

	while (poll(&pfd, 1, PROCESS_DEATH_MS) < 0)
		BUG_ON(errno != EINTR);
	if (!process_ended(p, &si))
		return false;
	process_describe(p, &si, err);
	return true;
}

static void process_on_word(struct watch *w, uint32_t events __unused)
{
	struct process *p = container_of(w, struct process, word);
	struct process_word word;
	int rc = process_hear(p, &word);

	if (rc < 0)
		loop_del(p->loop, w); /* its death says more */
	if (rc <= 0)
		return;
	if (word.says == PROCESS_FAILED)
		p->ev.failed(p->ev.ctx, &word.err);
	else if (word.says == PROCESS_ESCAPED)
		p->ev.escaped(p->ev.ctx);
}

static void process_on_death(struct watch *w, uint32_t events __unused)
{
	struct process *p = container_of(w, struct process, death);
	struct process_word last;
	struct err err;

	loop_del(p->loop, w);
	/* A last word explains more than a status. */
	while (process_hear(p, &last) > 0)
		if (last.says == PROCESS_FAILED)
			p->ev.failed(p->ev.ctx, &last.err);
	if (!atomic_load(&p->let_go) && process_died(p, &err))
		p->ev.died(p->ev.ctx, &err);
}

int process_watch(
	struct process *p, struct loop *loop, const struct process_events *ev, struct err *err)
{
	int rc;

	p->loop = loop;
	p->ev = *ev;
	rc = loop_add(loop, &p->word, p->word_fd, EPOLLIN, process_on_word);
	if (!rc)
		rc = loop_add(loop, &p->death, p->child.pidfd, EPOLLIN, process_on_death);
	return rc ? err_errno(err, -rc, "%s", p->label) : 0;
}

void process_let_go(struct process *p)
{
	atomic_store(&p->let_go, true);
}

int process_wait(struct process *p, int timeout_ms, struct err *err)
{
	struct pollfd pfd = { .fd = p->child.pidfd, .events = POLLIN };
	struct process_word w;
	siginfo_t si;

	while (poll(&pfd, 1, timeout_ms) < 0)
		BUG_ON(errno != EINTR);
	if (!process_ended(p, &si))
		return err_set(err, ETIMEDOUT, "%s: its process does not end", p->label);
	process_describe(p, &si, err);
	while (process_hear(p, &w) > 0) {
		if (w.says != PROCESS_FAILED)
			continue;
		*err = w.err;
		if (p->ev.failed)
			p->ev.failed(p->ev.ctx, &w.err);
	}
	return si.si_code == CLD_EXITED && !si.si_status ? 0 : -EIO;
}

void process_destroy(struct process *p)
{
	siginfo_t si;

	if (!p)
		return;
	if (p->loop) {
		loop_del(p->loop, &p->word);
		loop_del(p->loop, &p->death);
	}
	if (p->child.pidfd >= 0) {
		syscall(SYS_pidfd_send_signal, p->child.pidfd, SIGKILL, NULL, 0);
		while (waitid(P_PIDFD, (id_t)p->child.pidfd, &si, WEXITED) < 0 && errno == EINTR)
			;
	}
	process_drop(p);
	fd_close(&p->child.pidfd);
	fd_close(&p->sock);
	fd_close(&p->word_fd);
	fd_close(&p->request_fd);
	free(p);
}
