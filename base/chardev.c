// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns the two fds of a console's byte stream and their watches.
 *
 * Invariants:
 * 1. No read or write here blocks the loop (chardev_write_all is the one exception). An
 *    output that is a terminal or a pipe is opened anew through /proc, which gives a file
 *    description of our own that may be non-blocking; where that is refused, poll(2) is asked
 *    before each write and the write is small enough that it fits. Sockets have MSG_DONTWAIT.
 *    Regular files and /dev/null never block and cannot be polled.
 * 2. What cannot be polled is always ready: an eventfd that holds 1 and is never drained is
 *    watched in its place. The same eventfd stands for input that was read ahead.
 * 3. Watches are added at creation, so that no resource can run out later, and are paused
 *    while nobody wants them.
 * 4. A writable callback that was promised comes, also when the output fails in between.
 *
 * Loop thread.
 */
#include "base/chardev.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

/* One call's share of the loop, so that a fast sink does not starve the other watches. */
#define CHARDEV_BURST (64 * KIB)
/*
 * A pipe that polls writable has PIPE_BUF bytes of room. A terminal has some, and each byte
 * may become two on its way (ONLCR); its buffers grow in steps of 256.
 */
#define CHARDEV_PIPE_CHUNK 4096
#define CHARDEV_TTY_CHUNK  128
/* Enough that a hung guest's user reaches the escape key behind what was typed before. */
#define CHARDEV_AHEAD 256

enum chardev_way {
	CHARDEV_PLAIN,  /* never blocks: a file, or a description of our own */
	CHARDEV_SOCKET, /* a flag per call */
	CHARDEV_POLLED, /* ask first, then a small piece */
};

struct chardev {
	struct loop *loop;
	struct chardev_config cfg; /* in_fd, out_fd: owned; -1 when absent, out also when failed */
	struct chardev_user user;

	int in_soon_fd, out_soon_fd; /* owned; always readable */
	struct watch in, in_soon, out, out_soon;

	enum chardev_way in_way, out_way;
	size_t out_chunk;
	bool in_ended, want_input;
	bool out_promised; /* writable is to be called */

	uint8_t ahead[CHARDEV_AHEAD]; /* filtered input; used only with a filter */
	size_t ahead_len;
};

static bool chardev_poll(int fd, short events, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, timeout_ms) > 0;
}

/* ---- input ---- */

/** Resumes or pauses a watch (invariant 3). */
static void chardev_arm(struct chardev *c, struct watch *w, bool wanted, uint32_t events)
{
	if (w->active)
		loop_mod(c->loop, w, wanted ? events : 0);
}

/** Bytes of input past the filter, at most len; notes the end. */
static size_t chardev_fetch(struct chardev *c, uint8_t *buf, size_t len)
{
	ssize_t n;

	if (c->cfg.in_fd < 0 || c->in_ended || !len)
		return 0;
	if (c->in_way == CHARDEV_POLLED && !chardev_poll(c->cfg.in_fd, POLLIN, 0))
		return 0;
	if (c->in_way == CHARDEV_SOCKET)
		n = recv(c->cfg.in_fd, buf, len, MSG_DONTWAIT);
	else
		n = read(c->cfg.in_fd, buf, len);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) { /* the end; a terminal that hung up says EIO */
		c->in_ended = true;
		return 0;
	}
	return c->cfg.filter ? c->cfg.filter(c->cfg.ctx, buf, (size_t)n) : (size_t)n;
}

static void chardev_look_ahead(struct chardev *c)
{
	c->ahead_len += chardev_fetch(c, c->ahead + c->ahead_len, sizeof(c->ahead) - c->ahead_len);
}

/** Brings the two input watches in line with the state. */
static void chardev_arm_input(struct chardev *c)
{
	bool pollable = c->in.active;
	bool more = c->cfg.in_fd >= 0 && !c->in_ended;
	/* The filter must see its key although the guest takes no input: read ahead for it. */
	bool room = c->cfg.filter ? c->ahead_len < sizeof(c->ahead) : c->want_input;

	chardev_arm(c, &c->in, more && room, EPOLLIN);
	chardev_arm(
		c, &c->in_soon, c->want_input && (c->ahead_len || (more && !pollable)), EPOLLIN);
}

static void chardev_on_input(struct chardev *c)
{
	if (c->want_input && c->user.readable)
		c->user.readable(c->user.ctx);
	chardev_arm_input(c);
}

static void chardev_on_in(struct watch *w, uint32_t events __unused)
{
	struct chardev *c = container_of(w, struct chardev, in);

	if (c->cfg.filter)
		chardev_look_ahead(c);
	if (c->cfg.filter && !c->ahead_len)
		chardev_arm_input(c);
	else
		chardev_on_input(c);
}

static void chardev_on_in_soon(struct watch *w, uint32_t events __unused)
{
	chardev_on_input(container_of(w, struct chardev, in_soon));
}

void chardev_want_input(struct chardev *c, bool want)
{
	c->want_input = want;
	chardev_arm_input(c);
}

size_t chardev_read(struct chardev *c, void *buf, size_t len)
{
	size_t n;

	if (!c->cfg.filter) {
		n = chardev_fetch(c, buf, len);
	} else {
		if (!c->ahead_len)
			chardev_look_ahead(c);
		n = MIN(len, c->ahead_len);
		memcpy(buf, c->ahead, n);
		c->ahead_len -= n;
		memmove(c->ahead, c->ahead + n, c->ahead_len);
	}
	chardev_arm_input(c);
	return n;
}

/* ---- output ---- */

/** Brings the two output watches in line with the state. */
static void chardev_arm_output(struct chardev *c)
{
	bool pollable = c->out.active;

	chardev_arm(c, &c->out, c->out_promised, EPOLLOUT);
	chardev_arm(c, &c->out_soon, c->out_promised && !pollable, EPOLLIN);
}

void chardev_want_output(struct chardev *c)
{
	c->out_promised = true;
	chardev_arm_output(c);
}

static void chardev_on_output(struct chardev *c)
{
	bool promised = c->out_promised;

	c->out_promised = false;
	chardev_arm_output(c);
	if (promised && c->user.writable)
		c->user.writable(c->user.ctx);
}

static void chardev_on_out(struct watch *w, uint32_t events __unused)
{
	chardev_on_output(container_of(w, struct chardev, out));
}

static void chardev_on_out_soon(struct watch *w, uint32_t events __unused)
{
	chardev_on_output(container_of(w, struct chardev, out_soon));
}

/** The output is gone for good: says so once and drops what comes after. */
static void chardev_fail(struct chardev *c, int code)
{
	struct err err;

	loop_del(c->loop, &c->out);
	fd_close(&c->cfg.out_fd);
	chardev_arm_output(c);
	(void)err_errno(&err, code, "%s: %s", c->cfg.opt, c->cfg.path);
	if (c->cfg.failed)
		c->cfg.failed(c->cfg.ctx, &err);
}

/** Returns bytes written, 0 when it would block, or -errno. */
static ssize_t chardev_write_some(struct chardev *c, const uint8_t *buf, size_t len)
{
	ssize_t n;

	if (c->out_way == CHARDEV_POLLED && !chardev_poll(c->cfg.out_fd, POLLOUT, 0))
		return 0;
	len = MIN(len, c->out_chunk);
	if (c->out_way == CHARDEV_SOCKET)
		n = send(c->cfg.out_fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	else
		n = write(c->cfg.out_fd, buf, len);
	if (n > 0)
		return n;
	if (n == 0)
		return -EIO; /* a device that takes nothing: do not spin on it */
	return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

size_t chardev_write(struct chardev *c, const void *buf, size_t len)
{
	size_t limit = MIN(len, CHARDEV_BURST), done = 0;

	while (c->cfg.out_fd >= 0 && done < limit) {
		ssize_t n = chardev_write_some(c, (const uint8_t *)buf + done, limit - done);

		if (n < 0)
			chardev_fail(c, (int)-n);
		else if (n == 0)
			break;
		else
			done += (size_t)n;
	}
	if (c->cfg.out_fd < 0)
		return len;
	if (done < len)
		chardev_want_output(c);
	return done;
}

void chardev_write_all(struct chardev *c, const void *buf, size_t len)
{
	const uint8_t *p = buf;

	while (c->cfg.out_fd >= 0 && len) {
		ssize_t n = chardev_write_some(c, p, len);

		if (n < 0) {
			chardev_fail(c, (int)-n);
		} else if (n == 0) {
			chardev_poll(c->cfg.out_fd, POLLOUT, -1);
		} else {
			p += n;
			len -= (size_t)n;
		}
	}
}

/* ---- creation ---- */

/**
 * A non-blocking file description of our own for the terminal or pipe behind fd, or -1:
 * O_NONBLOCK set on the given one would reach the shell that shares it.
 */
static int chardev_reopen(int fd, const struct stat *st)
{
	fd_auto int own = -1;
	struct stat st_own;
	unsigned pty;
	char path[32];
	int flags = fcntl(fd, F_GETFL);

	if (!S_ISFIFO(st->st_mode) && !isatty(fd))
		return -1;
	if (flags < 0 || ioctl(fd, TIOCGPTN, &pty) == 0)
		return -1; /* a pty's master: opening it again makes another pty */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = open(path, (flags & O_ACCMODE) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (own < 0 || fstat(own, &st_own) < 0 || st_own.st_dev != st->st_dev ||
		st_own.st_ino != st->st_ino || st_own.st_rdev != st->st_rdev)
		return -1;
	return fd_take(&own);
}

/** Adds a paused watch. Inactive afterwards: epoll refuses a file that is always ready. */
static int chardev_watch(struct chardev *c, struct watch *w, int fd, loop_fn fn)
{
	int rc = loop_add(c->loop, w, fd, 0, fn);

	return rc == -EPERM ? 0 : rc;
}

static int chardev_open_input(struct chardev *c)
{
	struct stat st;
	int rc;

	if (c->cfg.in_fd < 0)
		return 0;
	if (fstat(c->cfg.in_fd, &st) < 0)
		return -errno;
	rc = chardev_watch(c, &c->in, c->cfg.in_fd, chardev_on_in);
	if (S_ISSOCK(st.st_mode))
		c->in_way = CHARDEV_SOCKET;
	else
		c->in_way = c->in.active ? CHARDEV_POLLED : CHARDEV_PLAIN;
	return rc;
}

static int chardev_open_output(struct chardev *c)
{
	bool own = false;
	struct stat st;
	int rc, fd;

	if (c->cfg.out_fd < 0)
		return 0;
	if (fstat(c->cfg.out_fd, &st) < 0)
		return -errno;
	fd = chardev_reopen(c->cfg.out_fd, &st);
	if (fd >= 0) {
		fd_close(&c->cfg.out_fd);
		c->cfg.out_fd = fd;
		own = true;
	}
	rc = chardev_watch(c, &c->out, c->cfg.out_fd, chardev_on_out);
	c->out_chunk = CHARDEV_BURST;
	if (S_ISSOCK(st.st_mode)) {
		c->out_way = CHARDEV_SOCKET;
	} else if (own || !c->out.active) {
		c->out_way = CHARDEV_PLAIN;
	} else {
		c->out_way = CHARDEV_POLLED;
		c->out_chunk = isatty(c->cfg.out_fd) ? CHARDEV_TTY_CHUNK : CHARDEV_PIPE_CHUNK;
	}
	return rc;
}

/** An eventfd that stays readable, with its watch paused. */
static int chardev_open_soon(struct chardev *c, int *ret_fd, struct watch *w, loop_fn fn)
{
	*ret_fd = fd_event();
	if (*ret_fd < 0)
		return *ret_fd;
	fd_event_signal(*ret_fd);
	return loop_add(c->loop, w, *ret_fd, 0, fn);
}

static int chardev_open(struct chardev *c)
{
	int rc;

	/* One fd both ways: an epoll set holds a number once. */
	if (c->cfg.in_fd >= 0 && c->cfg.in_fd == c->cfg.out_fd) {
		c->cfg.out_fd = fcntl(c->cfg.in_fd, F_DUPFD_CLOEXEC, 0);
		if (c->cfg.out_fd < 0)
			return -errno;
	}
	rc = chardev_open_soon(c, &c->in_soon_fd, &c->in_soon, chardev_on_in_soon);
	if (rc)
		return rc;
	rc = chardev_open_soon(c, &c->out_soon_fd, &c->out_soon, chardev_on_out_soon);
	if (rc)
		return rc;
	rc = chardev_open_input(c);
	return rc ? rc : chardev_open_output(c);
}

int chardev_create(
	struct loop *loop, const struct chardev_config *cfg, struct chardev **ret, struct err *err)
{
	struct chardev *c = calloc(1, sizeof(*c));
	int rc;

	if (!c) {
		int in_fd = cfg->in_fd, out_fd = cfg->out_fd == in_fd ? -1 : cfg->out_fd;

		fd_close(&in_fd);
		fd_close(&out_fd);
		return err_errno(err, ENOMEM, "%s: %s", cfg->opt, cfg->path);
	}
	c->loop = loop;
	c->cfg = *cfg;
	c->in_soon_fd = c->out_soon_fd = -1;
	rc = chardev_open(c);
	if (rc) {
		chardev_destroy(c);
		return err_errno(err, -rc, "%s: %s", cfg->opt, cfg->path);
	}
	chardev_arm_input(c);
	*ret = c;
	return 0;
}

void chardev_destroy(struct chardev *c)
{
	if (!c)
		return;
	loop_del(c->loop, &c->in);
	loop_del(c->loop, &c->in_soon);
	loop_del(c->loop, &c->out);
	loop_del(c->loop, &c->out_soon);
	fd_close(&c->cfg.in_fd);
	fd_close(&c->cfg.out_fd);
	fd_close(&c->in_soon_fd);
	fd_close(&c->out_soon_fd);
	free(c);
}

void chardev_set_user(struct chardev *c, const struct chardev_user *user)
{
	c->user = *user;
}
