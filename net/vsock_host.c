// SPDX-License-Identifier: BSD-3-Clause
/*
 * The sockets of vsock's connections, and the listener.
 *
 * Invariants:
 * 1. No call here waits, but in vsock_drain.
 * 2. A socket that fails is as one whose peer left: what it was to be sent is dropped, the guest
 *    hears that nobody receives any more, and what waits in it is still read.
 * 3. A socket is watched for reading only while its bytes have somewhere to go: so one that the
 *    guest does not read keeps nobody busy.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fdpass.h"
#include "base/iov.h"
#include "base/log.h"
#include "base/parse.h"
#include "net/vsock_impl.h"

#define VSOCK_DRAIN_MS 5000

/* ---- events ---- */

/**
 * The end of an event: what it left for the guest is taken at once where the guest has room for it.
 * Sockets whose bytes then still wait rest until it has.
 */
static void vsock_host_leave(struct vsock *v)
{
	v->in_event = false;
	if (vsock_has_rx(v))
		vsock_tell(v);
	for (struct vsock_conn *c = v->first_ready, *next; c; c = next) {
		next = c->later;
		vsock_host_watch(c);
	}
}

/* ---- guest to socket ---- */

/** Bytes left the buffer, or were dropped. */
static void vsock_forwarded(struct vsock_conn *c, uint32_t n)
{
	c->fwd_cnt += n;
	/*
	 * Half of its credit is unknown to it: before it has to stop, it is told. Linux sends no
	 * more than its own socket has room for, either.
	 */
	if (c->state == VSOCK_OPEN &&
		c->rx_cnt - c->fwd_told > MIN((uint32_t)VSOCK_BUF_ALLOC, c->peer_alloc) / 2)
		vsock_pend(c, VSOCK_PEND_CREDIT);
}

/** Nobody receives at the socket any more. */
static void vsock_host_lost(struct vsock_conn *c)
{
	c->v->buffered -= c->buf_len;
	vsock_forwarded(c, c->buf_len);
	c->buf_len = 0;
	c->wr_shut = true;
	c->host_shut |= VSOCK_SHUTDOWN_RCV;
	if (c->state == VSOCK_OPEN)
		vsock_pend(c, VSOCK_PEND_SHUTDOWN);
}

/** Returns bytes written, 0 when it takes none now, or -errno. */
static ssize_t vsock_host_write(struct vsock_conn *c, const struct iovec *iov, unsigned nr)
{
	struct msghdr m = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = nr };
	ssize_t n;

	do
		n = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	return n;
}

/** Keeps len bytes from off on. False when there is no room. */
static bool vsock_host_keep(
	struct vsock_conn *c, const struct iovec *iov, unsigned nr, uint32_t off, uint32_t len)
{
	if (len > VSOCK_BUF_ALLOC - c->buf_len || len > VSOCK_MAX_BUFFERED - c->v->buffered)
		return false;
	if (!c->buf)
		c->buf = malloc(VSOCK_BUF_ALLOC);
	if (!c->buf)
		return false;
	for (uint32_t done = 0; done < len;) {
		uint32_t at = (uint32_t)((c->buf_at + c->buf_len) % VSOCK_BUF_ALLOC);
		uint32_t part = (uint32_t)MIN((uint64_t)(len - done), VSOCK_BUF_ALLOC - at);

		if (iov_read(iov, nr, off + done, c->buf + at, part) != part)
			return false;
		done += part;
		c->buf_len += part;
		c->v->buffered += part;
	}
	return true;
}

bool vsock_host_send(struct vsock_conn *c, const struct iovec *iov, unsigned nr, uint32_t len)
{
	struct iovec part[VSOCK_MAX_IOV];
	uint32_t done = 0;

	BUG_ON(nr > VSOCK_MAX_IOV);
	c->rx_cnt += len;
	while (!c->buf_len && !c->wr_shut && done < len) {
		unsigned n = iov_slice(iov, nr, done, len - done, part);
		ssize_t rc = n ? vsock_host_write(c, part, n) : 0;

		if (rc < 0)
			vsock_host_lost(c);
		if (rc <= 0)
			break;
		done += (uint32_t)rc;
		vsock_forwarded(c, (uint32_t)rc);
	}
	if (c->wr_shut) { /* as a socket whose reader left */
		vsock_forwarded(c, len - done);
		return true;
	}
	return done == len || vsock_host_keep(c, iov, nr, done, len - done);
}

bool vsock_host_flush(struct vsock_conn *c)
{
	while (c->buf_len) {
		uint32_t first = (uint32_t)MIN((uint64_t)c->buf_len, VSOCK_BUF_ALLOC - c->buf_at);
		struct iovec iov[2] = { { c->buf + c->buf_at, first },
			{ c->buf, c->buf_len - first } };
		ssize_t n = vsock_host_write(c, iov, c->buf_len > first ? 2 : 1);

		if (n < 0) {
			vsock_host_lost(c);
			return false;
		}
		if (!n)
			return true;
		c->buf_at = (uint32_t)((c->buf_at + (uint64_t)n) % VSOCK_BUF_ALLOC);
		c->buf_len -= (uint32_t)n;
		c->v->buffered -= (uint32_t)n;
		vsock_forwarded(c, (uint32_t)n);
	}
	return true;
}

void vsock_host_flushed(struct vsock_conn *c)
{
	if (c->state == VSOCK_LINGER) {
		vsock_conn_destroy(c);
		return;
	}
	if (c->guest_shut & VSOCK_SHUTDOWN_SEND && !c->wr_shut) {
		c->wr_shut = true;
		shutdown(c->fd, SHUT_WR);
	}
	/* Both ends of it, so it is over: section 5.10.6.5 wants the answer. */
	if (c->guest_shut == (VSOCK_SHUTDOWN_RCV | VSOCK_SHUTDOWN_SEND))
		vsock_conn_reset(c);
	else
		vsock_host_watch(c);
}

/* ---- socket to guest ---- */

void vsock_host_forget(struct vsock_conn *c)
{
	c->v->nr_ahead -= c->ahead != NULL;
	free(c->ahead);
	c->ahead = NULL;
	c->ahead_len = 0;
}

/**
 * Where bytes beyond len may go: a guest's buffers are of 4 KiB, and one call for each is most of
 * what a stream costs. Returns how many there may be.
 */
static uint32_t vsock_host_look_ahead(struct vsock_conn *c, uint32_t len)
{
	if (!c->streams)
		return 0;
	if (!c->ahead && c->v->nr_ahead < VSOCK_MAX_AHEAD) {
		c->ahead = malloc(VSOCK_AHEAD);
		c->v->nr_ahead += c->ahead != NULL;
	}
	return c->ahead ? (uint32_t)MIN(VSOCK_AHEAD, (uint64_t)(vsock_credit(c) - len)) : 0;
}

/** Takes of what was read ahead. */
static uint32_t vsock_host_take(
	struct vsock_conn *c, const struct iovec *iov, unsigned nr, uint32_t len)
{
	uint32_t n = MIN(len, c->ahead_len);

	n = (uint32_t)iov_write(iov, nr, 0, c->ahead + c->ahead_at, n);
	c->ahead_at += n;
	c->ahead_len -= n;
	return n;
}

uint32_t vsock_host_receive(
	struct vsock_conn *c, const struct iovec *iov, unsigned nr, uint32_t len)
{
	struct iovec part[VSOCK_MAX_IOV + 1];
	unsigned n = iov_slice(iov, MIN(nr, (unsigned)VSOCK_MAX_IOV), 0, len, part);
	struct msghdr m = { .msg_iov = part };
	struct pollfd p = { .fd = c->fd };
	uint32_t more;
	ssize_t got;

	if (!n)
		return 0;
	if (c->ahead_len)
		return vsock_host_take(c, iov, nr, len);
	more = vsock_host_look_ahead(c, len);
	if (more)
		part[n++] = (struct iovec){ c->ahead, more };
	m.msg_iovlen = n;
	do
		got = recvmsg(c->fd, &m, MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);
	c->streams = got == (ssize_t)((uint64_t)len + more);
	if (got > (ssize_t)len) {
		c->ahead_at = 0;
		c->ahead_len = (uint32_t)got - len;
		return len;
	}
	if (!c->streams)
		vsock_host_forget(c);
	if (got > 0)
		return (uint32_t)got;
	if (got < 0 && errno == EAGAIN)
		return 0;
	c->eof = true;
	c->host_shut |= VSOCK_SHUTDOWN_SEND;
	/* A peer that only stopped writing may still read. */
	if (poll(&p, 1, 0) == 1 && p.revents & (POLLHUP | POLLERR))
		c->host_shut |= VSOCK_SHUTDOWN_RCV;
	return 0;
}

static void vsock_host_event(struct watch *w, uint32_t events)
{
	struct vsock_conn *c = container_of(w, struct vsock_conn, watch);
	struct vsock *v = c->v;
	bool flushed = false;

	v->in_event = true;
	if (c->buf_len && events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) {
		vsock_host_flush(c);
		flushed = !c->buf_len;
	}
	if (flushed)
		vsock_host_flushed(c); /* it may be gone; a level-triggered watch calls again */
	else if (w->events & EPOLLIN && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		vsock_pend(c, VSOCK_PEND_DATA);
	else
		vsock_host_watch(c);
	vsock_host_leave(v);
}

void vsock_host_watch(struct vsock_conn *c)
{
	uint32_t events = c->buf_len ? EPOLLOUT : 0;

	if (c->fd < 0)
		return;
	if (c->state == VSOCK_OPEN && !c->eof && !(c->pending & VSOCK_PEND_DATA) &&
		!(c->guest_shut & VSOCK_SHUTDOWN_RCV) && vsock_credit(c)) {
		if (c->ahead_len)
			vsock_pend(c, VSOCK_PEND_DATA);
		else
			events |= EPOLLIN;
	}
	if (c->watch.active)
		loop_mod(c->v->cfg.loop, &c->watch, events);
	else if (loop_add(c->v->cfg.loop, &c->watch, c->fd, events, vsock_host_event))
		vsock_conn_reset(c); /* not a socket */
}

/* ---- host to guest: CONNECT ---- */

/** A port of ours that no connection of that guest port has. */
static uint32_t vsock_host_port(struct vsock *v, uint32_t guest_port)
{
	do {
		v->next_port = v->next_port == UINT32_MAX ? VSOCK_PORT_MIN : v->next_port + 1;
	} while (vsock_find(v, guest_port, v->next_port));
	return v->next_port;
}

/** "CONNECT 1234\n" in what waits. 1: *port, 0: not yet whole, -1: something else. */
static int vsock_host_line(int fd, uint32_t *port)
{
	char line[VSOCK_LINE_MAX + 1], *end;
	uint64_t n;
	ssize_t len = recv(fd, line, VSOCK_LINE_MAX, MSG_PEEK | MSG_DONTWAIT);

	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (len <= 0)
		return -1;
	line[len] = 0;
	end = memchr(line, '\n', (size_t)len);
	if (!end)
		return len < VSOCK_LINE_MAX ? 0 : -1;
	*end = 0;
	len = end - line + 1;
	if (end > line && end[-1] == '\r')
		end[-1] = 0;
	if (strncmp(line, "CONNECT ", 8) || parse_u64(line + 8, 0, UINT32_MAX - 1, &n))
		return -1;
	*port = (uint32_t)n;
	/* What follows it is the guest's. */
	return recv(fd, line, (size_t)len, MSG_DONTWAIT) == len ? 1 : -1;
}

static void vsock_host_greeted(struct watch *w, uint32_t events __unused)
{
	struct vsock_conn *c = container_of(w, struct vsock_conn, watch);
	struct vsock *v = c->v;
	uint32_t port;
	int rc = vsock_host_line(c->fd, &port);

	if (rc < 0)
		vsock_conn_destroy(c);
	if (rc <= 0)
		return;
	loop_del(v->cfg.loop, &c->watch); /* until the guest answers */
	vsock_conn_name(c, port, vsock_host_port(v, port));
	c->state = VSOCK_REQUESTED;
	c->since_ms = clock_now_ms();
	v->in_event = true;
	vsock_pend(c, VSOCK_PEND_REQUEST);
	vsock_host_leave(v);
}

void vsock_host_accepted(struct vsock_conn *c)
{
	char line[32];
	int len = snprintf(line, sizeof(line), "OK %u\n", c->host_port);
	const struct iovec iov = { line, (size_t)len };

	/* An empty socket takes that much, unless its peer left. */
	if (vsock_host_write(c, &iov, 1) != len)
		vsock_conn_reset(c);
	else
		vsock_host_watch(c);
}

static void vsock_host_incoming(struct watch *w, uint32_t events __unused)
{
	struct vsock *v = container_of(w, struct vsock, listener);
	struct vsock_conn *c;
	int fd, rc;

	fd = v->nr_conns < VSOCK_MAX_CONNS
		? accept4(v->cfg.listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)
		: -EMFILE;
	if (fd == -EMFILE || (fd < 0 && (errno == EMFILE || errno == ENFILE)))
		loop_mod(v->cfg.loop, w, 0); /* who connects waits until a connection is gone */
	if (fd < 0)
		return;
	c = vsock_conn_create(v, VSOCK_LISTENED, fd);
	if (!c) {
		fd_close(&fd);
		return;
	}
	/* Half a line stays where it is: only more of it is a reason to look again. */
	rc = loop_add(v->cfg.loop, &c->watch, fd, EPOLLIN | EPOLLET, vsock_host_greeted);
	if (rc)
		vsock_conn_destroy(c);
	else
		vsock_host_tick(v);
}

/* ---- guest to host: asked for ---- */

bool vsock_host_ask(struct vsock *v, uint32_t port)
{
	return v->answers.active && !fdpass_send(v->cfg.ask_fd, &port, sizeof(port), NULL, 0, 0);
}

/** Nobody answers any more. */
static void vsock_host_unanswered(struct vsock *v)
{
	loop_del(v->cfg.loop, &v->answers);
	for (struct vsock_conn *c = v->all; c; c = c->next)
		if (c->state == VSOCK_ASKED)
			vsock_conn_reset(c);
}

static void vsock_host_answered(struct watch *w, uint32_t events __unused)
{
	struct vsock *v = container_of(w, struct vsock, answers);
	int fds[FDPASS_MAX] = { -1 };
	struct vsock_answer a;
	unsigned nr = 0;
	ssize_t n = fdpass_recv(v->cfg.ask_fd, &a, sizeof(a), fds, &nr);

	if (n == -EAGAIN)
		return;
	while (nr > (n == (ssize_t)sizeof(a) ? 1U : 0U))
		fd_close(&fds[--nr]);
	v->in_event = true;
	if (n != (ssize_t)sizeof(a))
		vsock_host_unanswered(v);
	else
		vsock_connected(v, a.port, nr ? fds[0] : -ECONNREFUSED);
	vsock_host_leave(v);
}

/* ---- time ---- */

static void vsock_host_set_timer(struct vsock *v, bool on)
{
	struct itimerspec t = { .it_value.tv_sec = on, .it_interval.tv_sec = on };

	v->ticking = on;
	BUG_ON(timerfd_settime(v->timer_fd, 0, &t, NULL));
}

void vsock_host_tick(struct vsock *v)
{
	if (!v->ticking)
		vsock_host_set_timer(v, true);
}

static void vsock_host_ticked(struct watch *w, uint32_t events __unused)
{
	struct vsock *v = container_of(w, struct vsock, timer);
	int64_t now = clock_now_ms();
	struct vsock_conn *next;
	bool more = false;

	(void)fd_event_drain(v->timer_fd);
	v->in_event = true;
	for (struct vsock_conn *c = v->all; c; c = next) {
		next = c->next;
		if (c->state != VSOCK_LISTENED && c->state != VSOCK_REQUESTED)
			continue;
		if (now - c->since_ms < VSOCK_WAIT_MS)
			more = true;
		else
			vsock_conn_reset(c);
	}
	if (!more)
		vsock_host_set_timer(v, false);
	vsock_host_leave(v);
}

/* ---- the whole ---- */

int vsock_host_start(struct vsock *v, struct err *err)
{
	int rc = 0;

	v->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (v->timer_fd < 0)
		return err_errno(err, errno, "vsock");
	rc = loop_add(v->cfg.loop, &v->timer, v->timer_fd, EPOLLIN, vsock_host_ticked);
	if (!rc && v->cfg.ask_fd >= 0)
		rc = loop_add(
			v->cfg.loop, &v->answers, v->cfg.ask_fd, EPOLLIN, vsock_host_answered);
	if (!rc && v->cfg.listen_fd >= 0) {
		rc = loop_add(
			v->cfg.loop, &v->listener, v->cfg.listen_fd, EPOLLIN, vsock_host_incoming);
		v->listening = !rc;
	}
	return rc ? err_errno(err, -rc, "vsock") : 0;
}

void vsock_host_stop(struct vsock *v)
{
	loop_del(v->cfg.loop, &v->listener);
	loop_del(v->cfg.loop, &v->answers);
	loop_del(v->cfg.loop, &v->timer);
	fd_close(&v->timer_fd);
}

void vsock_drain(struct vsock *v)
{
	v->in_event = true; /* one that does not end: the guest takes nothing any more */
	for (struct vsock_conn *c = v->all; c; c = c->next) {
		while (c->buf_len) {
			struct pollfd p = { .fd = c->fd, .events = POLLOUT };
			int n = poll(&p, 1, c->handed ? -1 : VSOCK_DRAIN_MS);

			if (!n) {
				log_warn("vsock: nobody reads what the guest sent to port %u: %u "
					 "bytes are lost",
					c->host_port, c->buf_len);
				break;
			}
			if (n > 0)
				vsock_host_flush(c);
		}
	}
}
