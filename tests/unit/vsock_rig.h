/* SPDX-License-Identifier: BSD-3-Clause */
/* A guest's packets by hand, and real sockets at the host's side, for tests of net/vsock.c. */
#pragma once

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "base/fdpass.h"
#include "base/log.h"
#include "base/unixsock.h"
#include "net/vsock.h"
#include "tests/unit/loop_step.h"

#define CID    7
#define HANDED 9U /* a port that has a socket */
#define GUEST  1000U
#define BODY   (64 * KIB)

static struct vsock *v;
static int host;   /* the other end of what was handed */
static int broker; /* the other end of ask_fd */
static unsigned nr_pending;
static char path[64];
static uint8_t body[BODY];
static struct vsock_packet got;

static inline void on_pending(void *ctx __unused)
{
	nr_pending++;
}

static inline int make(void **state __unused)
{
	struct vsock_config cfg = { .guest_cid = CID, .pending = on_pending, .nr_handed = 1 };
	int pair[2], ask[2];
	struct err err;

	log_set_level(LOG_ERROR);
	step_open();
	nr_pending = 0;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ask), 0);
	snprintf(path, sizeof(path), "/tmp/mayfly-vsock.%d", (int)getpid());
	cfg.loop = step.loop;
	cfg.listen_fd = unixsock_listen("--vsock", path, 8, SOCK_NONBLOCK, &err);
	assert_true(cfg.listen_fd >= 0);
	cfg.ask_fd = ask[0];
	cfg.handed[0] = (struct vsock_handed){ .port = HANDED, .fd = pair[0] };
	host = pair[1];
	broker = ask[1];
	assert_int_equal(vsock_create(&cfg, &v, &err), 0);
	return 0;
}

static inline int drop(void **state __unused)
{
	vsock_destroy(v);
	fd_close(&host);
	fd_close(&broker);
	unlink(path);
	step_close();
	return 0;
}

/* ---- the guest ---- */

static inline struct vsock_packet packet(enum vsock_op op, uint32_t port, uint32_t len)
{
	return (struct vsock_packet){ .src_cid = CID,
		.dst_cid = VSOCK_HOST_CID,
		.src_port = GUEST,
		.dst_port = port,
		.len = len,
		.type = VSOCK_TYPE_STREAM,
		.op = (uint16_t)op,
		.buf_alloc = 256 * KIB };
}

static inline int send_packet(const struct vsock_packet *p, const void *bytes)
{
	struct iovec iov = { (void *)(uintptr_t)bytes, p->len };

	return vsock_tx(v, p, &iov, p->len ? 1 : 0);
}

static inline void say(enum vsock_op op, uint32_t port)
{
	struct vsock_packet p = packet(op, port, 0);

	assert_int_equal(send_packet(&p, NULL), 0);
}

static inline void send_bytes(uint32_t port, const void *bytes, uint32_t len)
{
	struct vsock_packet p = packet(VSOCK_OP_RW, port, len);

	assert_int_equal(send_packet(&p, bytes), 0);
}

/** The next packet for the guest, its payload in `body`. */
static inline bool hears(void)
{
	struct iovec iov = { body, sizeof(body) };

	return vsock_rx(v, &got, &iov, 1, sizeof(body));
}

static inline void hears_op(enum vsock_op op, uint32_t port)
{
	assert_true(hears());
	assert_int_equal(got.op, op);
	assert_int_equal(got.src_cid, VSOCK_HOST_CID);
	assert_int_equal(got.dst_cid, CID);
	assert_int_equal(got.src_port, port);
	assert_int_equal(got.dst_port, GUEST);
}

static inline void hears_nothing(void)
{
	assert_false(hears());
	assert_false(vsock_has_rx(v));
}

static inline void open_handed(void)
{
	say(VSOCK_OP_REQUEST, HANDED);
	hears_op(VSOCK_OP_RESPONSE, HANDED);
	assert_int_equal(got.buf_alloc, VSOCK_BUF_ALLOC);
	hears_nothing();
}

static inline void host_reads(const char *text)
{
	char buf[256] = "";

	assert_int_equal(recv(host, buf, sizeof(buf) - 1, MSG_DONTWAIT), strlen(text));
	assert_string_equal(buf, text);
}

static inline void host_hears_the_end(void)
{
	char c;
	ssize_t n = recv(host, &c, 1, MSG_DONTWAIT);

	/* Bytes that were not read make it a reset. */
	assert_true(!n || (n < 0 && errno == ECONNRESET));
}

static inline void host_writes(const char *text)
{
	assert_int_equal(write(host, text, strlen(text)), strlen(text));
	step_once();
}
