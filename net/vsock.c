// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns the connections, and what the packets say about them.
 *
 * Invariants:
 * 1. A connection is in its bucket exactly in the states that the guest knows of: not in
 *    VSOCK_LISTENED and VSOCK_LINGER.
 * 2. It is on the list of those that have something for the guest exactly while `queued`.
 * 3. buf_len == rx_cnt - fwd_cnt, at most VSOCK_BUF_ALLOC: a guest that sends more than that is
 *    one that was not given the credit, and its connection ends.
 * 4. A packet of the guest makes at most one reply, and is not looked at while there is no room
 *    for one: what a guest that takes no answers can make us keep is bounded.
 */
#include "net/vsock_impl.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/fd.h"

void vsock_decode(const uint8_t bytes[VSOCK_HEADER_LEN], struct vsock_packet *ret)
{
	*ret = (struct vsock_packet){
		.src_cid = le64_get(bytes),
		.dst_cid = le64_get(bytes + 8),
		.src_port = le32_get(bytes + 16),
		.dst_port = le32_get(bytes + 20),
		.len = le32_get(bytes + 24),
		.type = le16_get(bytes + 28),
		.op = le16_get(bytes + 30),
		.flags = le32_get(bytes + 32),
		.buf_alloc = le32_get(bytes + 36),
		.fwd_cnt = le32_get(bytes + 40),
	};
}

void vsock_encode(const struct vsock_packet *p, uint8_t ret[VSOCK_HEADER_LEN])
{
	le64_put(ret, p->src_cid);
	le64_put(ret + 8, p->dst_cid);
	le32_put(ret + 16, p->src_port);
	le32_put(ret + 20, p->dst_port);
	le32_put(ret + 24, p->len);
	le16_put(ret + 28, p->type);
	le16_put(ret + 30, p->op);
	le32_put(ret + 32, p->flags);
	le32_put(ret + 36, p->buf_alloc);
	le32_put(ret + 40, p->fwd_cnt);
}

/* ---- the table ---- */

static struct vsock_conn **vsock_bucket(struct vsock *v, uint32_t guest_port, uint32_t host_port)
{
	uint32_t key = guest_port * 2654435761U ^ host_port * 40503U;

	return &v->bucket[(key ^ key >> 16) % VSOCK_BUCKETS];
}

struct vsock_conn *vsock_find(struct vsock *v, uint32_t guest_port, uint32_t host_port)
{
	struct vsock_conn *c = *vsock_bucket(v, guest_port, host_port);

	while (c && (c->guest_port != guest_port || c->host_port != host_port))
		c = c->chain;
	return c;
}

struct vsock_conn *vsock_conn_create(struct vsock *v, enum vsock_state state, int fd)
{
	struct vsock_conn *c =
		v->nr_conns < VSOCK_MAX_CONNS ? (struct vsock_conn *)calloc(1, sizeof(*c)) : NULL;

	if (!c)
		return NULL;
	c->v = v;
	c->state = state;
	c->fd = fd;
	c->since_ms = clock_now_ms();
	c->next = v->all;
	if (c->next)
		c->next->prev = c;
	v->all = c;
	v->nr_conns++;
	return c;
}

void vsock_conn_name(struct vsock_conn *c, uint32_t guest_port, uint32_t host_port)
{
	struct vsock_conn **b = vsock_bucket(c->v, guest_port, host_port);

	c->guest_port = guest_port;
	c->host_port = host_port;
	c->chain = *b;
	*b = c;
}

static void vsock_conn_unname(struct vsock_conn *c)
{
	struct vsock_conn **at = vsock_bucket(c->v, c->guest_port, c->host_port);

	while (*at && *at != c)
		at = &(*at)->chain;
	if (*at)
		*at = c->chain;
}

static void vsock_unqueue(struct vsock_conn *c)
{
	struct vsock *v = c->v;
	struct vsock_conn *before = NULL;

	if (!c->queued)
		return;
	for (struct vsock_conn *at = v->first_ready; at != c; at = at->later)
		before = at;
	*(before ? &before->later : &v->first_ready) = c->later;
	if (v->last_ready == c)
		v->last_ready = before;
	c->later = NULL;
	c->queued = false;
}

static void vsock_conn_close(struct vsock_conn *c)
{
	loop_del(c->v->cfg.loop, &c->watch);
	fd_close(&c->fd);
	c->v->buffered -= c->buf_len;
	c->buf_len = 0;
	free(c->buf);
	c->buf = NULL;
	vsock_host_forget(c);
}

void vsock_conn_destroy(struct vsock_conn *c)
{
	struct vsock *v = c->v;

	v->nr_asked -= c->state == VSOCK_ASKED;
	vsock_unqueue(c);
	vsock_conn_unname(c);
	vsock_conn_close(c);
	if (c->next)
		c->next->prev = c->prev;
	*(c->prev ? &c->prev->next : &v->all) = c->next;
	v->nr_conns--;
	free(c);
	if (v->listening)
		loop_mod(v->cfg.loop, &v->listener, EPOLLIN);
}

/** The guest knows nothing of it any more. What it sent goes on its way. */
static void vsock_conn_forget(struct vsock_conn *c)
{
	if (!c->buf_len) {
		vsock_conn_destroy(c);
		return;
	}
	vsock_unqueue(c);
	vsock_conn_unname(c);
	c->pending = 0;
	c->state = VSOCK_LINGER;
	vsock_host_watch(c);
}

/* ---- what the guest is to be told ---- */

bool vsock_has_rx(const struct vsock *v)
{
	return v->nr_replies || v->first_ready;
}

static void vsock_queue(struct vsock_conn *c)
{
	struct vsock *v = c->v;

	if (c->queued)
		return;
	c->queued = true;
	c->later = NULL;
	*(v->last_ready ? &v->last_ready->later : &v->first_ready) = c;
	v->last_ready = c;
}

void vsock_tell(struct vsock *v)
{
	if (!v->in_event)
		v->cfg.pending(v->cfg.ctx);
}

void vsock_pend(struct vsock_conn *c, unsigned what)
{
	bool first = !vsock_has_rx(c->v);

	c->pending |= what;
	vsock_queue(c);
	if (first)
		vsock_tell(c->v);
}

void vsock_conn_reset(struct vsock_conn *c)
{
	if (c->state == VSOCK_LISTENED || c->state == VSOCK_LINGER) {
		vsock_conn_destroy(c);
		return;
	}
	c->v->nr_asked -= c->state == VSOCK_ASKED;
	vsock_conn_close(c);
	c->state = VSOCK_RESET;
	c->pending = 0;
	vsock_pend(c, VSOCK_PEND_RST);
}

/** There is no such connection. */
static void vsock_reply_rst(struct vsock *v, const struct vsock_packet *p)
{
	bool first = !vsock_has_rx(v);

	if (p->op == VSOCK_OP_RST)
		return;
	BUG_ON(v->nr_replies == VSOCK_MAX_REPLIES);
	v->reply[(v->reply_at + v->nr_replies++) % VSOCK_MAX_REPLIES] = (struct vsock_packet){
		.src_cid = p->dst_cid,
		.dst_cid = v->cfg.guest_cid,
		.src_port = p->dst_port,
		.dst_port = p->src_port,
		.type = p->type,
		.op = VSOCK_OP_RST,
	};
	if (first)
		vsock_tell(v);
}

/* ---- packets for the guest ---- */

uint32_t vsock_credit(const struct vsock_conn *c)
{
	uint32_t used = c->tx_cnt - c->peer_fwd;

	return used < c->peer_alloc ? c->peer_alloc - used : 0;
}

static void vsock_fill(struct vsock_conn *c, struct vsock_packet *ret, enum vsock_op op)
{
	c->fwd_told = c->fwd_cnt;
	*ret = (struct vsock_packet){
		.src_cid = VSOCK_HOST_CID,
		.dst_cid = c->v->cfg.guest_cid,
		.src_port = c->host_port,
		.dst_port = c->guest_port,
		.type = VSOCK_TYPE_STREAM,
		.op = (uint16_t)op,
		.buf_alloc = VSOCK_BUF_ALLOC,
		.fwd_cnt = c->fwd_cnt,
	};
}

static bool vsock_rx_data(struct vsock_conn *c, struct vsock_packet *ret, const struct iovec *iov,
	unsigned nr, size_t len)
{
	uint32_t max = (uint32_t)MIN(MIN(len, VSOCK_MAX_PAYLOAD), (size_t)vsock_credit(c));
	uint32_t n = max ? vsock_host_receive(c, iov, nr, max) : 0;

	if (n) {
		vsock_fill(c, ret, VSOCK_OP_RW);
		ret->len = n;
		c->tx_cnt += n;
		return true;
	}
	c->pending &= ~VSOCK_PEND_DATA;
	if (c->eof)
		c->pending |= VSOCK_PEND_SHUTDOWN;
	else
		vsock_host_watch(c);
	return false;
}

/** One packet of c's, if it has one. */
static bool vsock_rx_conn(struct vsock_conn *c, struct vsock_packet *ret, const struct iovec *iov,
	unsigned nr, size_t len)
{
	static const struct {
		unsigned what;
		enum vsock_op op;
	} words[] = {
		{ VSOCK_PEND_REQUEST, VSOCK_OP_REQUEST },
		{ VSOCK_PEND_RESPONSE, VSOCK_OP_RESPONSE },
		{ VSOCK_PEND_CREDIT, VSOCK_OP_CREDIT_UPDATE },
		{ VSOCK_PEND_SHUTDOWN, VSOCK_OP_SHUTDOWN },
		{ VSOCK_PEND_RST, VSOCK_OP_RST },
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		/* The end of the stream comes after its bytes. */
		if (words[i].what == VSOCK_PEND_SHUTDOWN && c->pending & VSOCK_PEND_DATA &&
			vsock_rx_data(c, ret, iov, nr, len))
			return true;
		if (!(c->pending & words[i].what))
			continue;
		c->pending &= ~words[i].what;
		vsock_fill(c, ret, words[i].op);
		if (words[i].op == VSOCK_OP_SHUTDOWN)
			ret->flags = c->host_shut;
		return true;
	}
	return false;
}

bool vsock_rx(
	struct vsock *v, struct vsock_packet *ret, const struct iovec *iov, unsigned nr, size_t len)
{
	if (v->nr_replies) {
		*ret = v->reply[v->reply_at];
		v->reply_at = (v->reply_at + 1) % VSOCK_MAX_REPLIES;
		v->nr_replies--;
		return true;
	}
	while (v->first_ready) {
		struct vsock_conn *c = v->first_ready;
		bool found;

		vsock_unqueue(c);
		found = vsock_rx_conn(c, ret, iov, nr, len);
		if (found && ret->op == VSOCK_OP_RST)
			vsock_conn_destroy(c);
		else if (c->pending)
			vsock_queue(c); /* behind the others */
		if (found)
			return true;
	}
	return false;
}

/* ---- packets of the guest ---- */

/** The guest connects to a port of the host's. */
static void vsock_open(struct vsock *v, const struct vsock_packet *p)
{
	struct vsock_handed *h = NULL;
	struct vsock_conn *c = NULL;

	for (unsigned i = 0; i < v->cfg.nr_handed && !h; i++)
		if (v->cfg.handed[i].port == p->dst_port)
			h = &v->cfg.handed[i];
	if (h ? h->fd >= 0 : v->cfg.ask_fd >= 0 && v->nr_asked < VSOCK_MAX_ASKED)
		c = vsock_conn_create(v, h ? VSOCK_OPEN : VSOCK_ASKED, -1);
	if (!c) {
		vsock_reply_rst(v, p);
		return;
	}
	vsock_conn_name(c, p->src_port, p->dst_port);
	c->peer_alloc = p->buf_alloc;
	c->peer_fwd = p->fwd_cnt;
	if (h) {
		c->fd = fd_take(&h->fd);
		c->handed = true;
		vsock_pend(c, VSOCK_PEND_RESPONSE);
		vsock_host_watch(c);
		return;
	}
	v->nr_asked++;
	if (!vsock_host_ask(v, p->dst_port))
		vsock_conn_reset(c);
}

void vsock_connected(struct vsock *v, uint32_t port, int fd)
{
	struct vsock_conn *c = v->all;

	while (c && (c->state != VSOCK_ASKED || c->host_port != port))
		c = c->next;
	if (!c) { /* the guest did not wait */
		if (fd >= 0)
			fd_close(&fd);
		return;
	}
	if (fd < 0) {
		vsock_conn_reset(c);
		return;
	}
	v->nr_asked--;
	c->fd = fd;
	c->state = VSOCK_OPEN;
	vsock_pend(c, VSOCK_PEND_RESPONSE);
	vsock_host_watch(c);
}

static void vsock_guest_data(
	struct vsock_conn *c, const struct vsock_packet *p, const struct iovec *iov, unsigned nr)
{
	/* More than it has credit for, or after it said that there is no more. */
	if (p->len > VSOCK_BUF_ALLOC - c->buf_len || c->guest_shut & VSOCK_SHUTDOWN_SEND ||
		!vsock_host_send(c, iov, nr, p->len)) {
		vsock_conn_reset(c);
		return;
	}
	vsock_host_watch(c);
}

static void vsock_guest_open(
	struct vsock_conn *c, const struct vsock_packet *p, const struct iovec *iov, unsigned nr)
{
	switch (p->op) {
	case VSOCK_OP_RW:
		vsock_guest_data(c, p, iov, nr);
		return;
	case VSOCK_OP_SHUTDOWN:
		c->guest_shut |= p->flags & (VSOCK_SHUTDOWN_RCV | VSOCK_SHUTDOWN_SEND);
		if (c->buf_len)
			vsock_host_watch(c);
		else
			vsock_host_flushed(c);
		return;
	case VSOCK_OP_CREDIT_UPDATE:
		vsock_host_watch(c);
		return;
	case VSOCK_OP_CREDIT_REQUEST:
		vsock_pend(c, VSOCK_PEND_CREDIT);
		return;
	default:
		vsock_conn_reset(c);
	}
}

int vsock_tx(struct vsock *v, const struct vsock_packet *p, const struct iovec *iov, unsigned nr)
{
	struct vsock_conn *c;

	if (v->nr_replies == VSOCK_MAX_REPLIES)
		return -EAGAIN;
	if (p->src_cid != v->cfg.guest_cid)
		return 0; /* there is nobody to answer to */
	c = p->dst_cid == VSOCK_HOST_CID && p->type == VSOCK_TYPE_STREAM
		? vsock_find(v, p->src_port, p->dst_port)
		: NULL;
	if (!c) {
		if (p->op == VSOCK_OP_REQUEST && p->dst_cid == VSOCK_HOST_CID &&
			p->type == VSOCK_TYPE_STREAM)
			vsock_open(v, p);
		else
			vsock_reply_rst(v, p);
		return 0;
	}
	if (c->state == VSOCK_RESET)
		return 0; /* it will hear of it */
	c->peer_alloc = p->buf_alloc;
	c->peer_fwd = p->fwd_cnt;
	if (p->op == VSOCK_OP_RST) {
		vsock_conn_forget(c);
	} else if (c->state == VSOCK_OPEN) {
		vsock_guest_open(c, p, iov, nr);
	} else if (c->state == VSOCK_REQUESTED && p->op == VSOCK_OP_RESPONSE) {
		c->state = VSOCK_OPEN;
		vsock_host_accepted(c);
	} else {
		vsock_conn_reset(c);
	}
	return 0;
}

/* ---- the whole ---- */

void vsock_reset(struct vsock *v)
{
	struct vsock_conn *next;

	v->nr_replies = 0;
	for (struct vsock_conn *c = v->all; c; c = next) {
		next = c->next;
		if (c->state != VSOCK_LISTENED && c->state != VSOCK_LINGER)
			vsock_conn_forget(c);
	}
}

void vsock_config_close(struct vsock_config *cfg)
{
	fd_close(&cfg->listen_fd);
	fd_close(&cfg->ask_fd);
	for (unsigned i = 0; i < cfg->nr_handed; i++)
		fd_close(&cfg->handed[i].fd);
}

int vsock_create(const struct vsock_config *cfg, struct vsock **ret, struct err *err)
{
	struct vsock *v = calloc(1, sizeof(*v));
	int rc;

	if (!v) {
		struct vsock_config copy = *cfg;

		vsock_config_close(&copy);
		return err_errno(err, ENOMEM, "vsock");
	}
	v->cfg = *cfg;
	v->timer_fd = -1;
	v->next_port = VSOCK_PORT_MIN;
	rc = vsock_host_start(v, err);
	if (rc)
		vsock_destroy(v);
	else
		*ret = v;
	return rc;
}

void vsock_destroy(struct vsock *v)
{
	if (!v)
		return;
	while (v->all)
		vsock_conn_destroy(v->all);
	vsock_host_stop(v);
	vsock_config_close(&v->cfg);
	free(v);
}
