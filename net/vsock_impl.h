/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of net/vsock share. Everything on the loop's thread. */
#pragma once

#include "net/vsock.h"

#define VSOCK_BUCKETS   1024U
#define VSOCK_LINE_MAX  32         /* "CONNECT 4294967295\n", and some blanks */
#define VSOCK_PORT_MIN  0x40000000 /* of the host's ends of CONNECTs */
#define VSOCK_WAIT_MS   10000      /* for a CONNECT line, and for the answer to it */
#define VSOCK_AHEAD     (64 * KIB) /* of one connection */
#define VSOCK_MAX_AHEAD 16         /* connections that have such a buffer */

enum vsock_state {
	VSOCK_LISTENED,  /* a client of the listener has not yet said which port; no port yet */
	VSOCK_REQUESTED, /* the guest is to answer a REQUEST */
	VSOCK_ASKED,     /* the guest's REQUEST waits for a socket */
	VSOCK_OPEN,
	VSOCK_RESET,  /* all that is left is a RST for the guest */
	VSOCK_LINGER, /* the guest knows nothing of it: bytes on their way to a socket */
};

/* What a connection has for the guest. */
#define VSOCK_PEND_REQUEST  1U
#define VSOCK_PEND_RESPONSE 2U
#define VSOCK_PEND_SHUTDOWN 4U
#define VSOCK_PEND_CREDIT   8U
#define VSOCK_PEND_DATA     16U /* the socket was readable, and is not watched for that now */
#define VSOCK_PEND_RST      32U

struct vsock_conn {
	struct vsock *v;
	struct vsock_conn *chain;       /* of its bucket */
	struct vsock_conn *prev, *next; /* of v->all */
	struct vsock_conn *later;       /* of v->ready, while `queued` */
	bool queued;
	enum vsock_state state;
	uint32_t guest_port, host_port;
	int fd; /* owned, -1 in VSOCK_ASKED and VSOCK_RESET */
	struct watch watch;
	bool handed;
	int64_t since_ms; /* of VSOCK_LISTENED and VSOCK_REQUESTED */
	unsigned pending; /* VSOCK_PEND_* */

	/* From the guest: a ring of VSOCK_BUF_ALLOC bytes, made when first needed. */
	uint8_t *buf;
	uint32_t buf_at, buf_len;
	uint32_t rx_cnt;     /* bytes that came, modulo 2^32 */
	uint32_t fwd_cnt;    /* of those, bytes that a socket took */
	uint32_t fwd_told;   /* fwd_cnt as the guest knows it */
	uint32_t guest_shut; /* VSOCK_SHUTDOWN_*, as the guest said */
	bool wr_shut;        /* our socket's write half is shut */

	/* To the guest. */
	uint32_t peer_alloc, peer_fwd, tx_cnt;
	/* Read together with what went before, within the guest's credit: VSOCK_AHEAD bytes, or
	 * NULL. */
	uint8_t *ahead;
	uint32_t ahead_at, ahead_len;
	bool streams;       /* its socket had more than there was room for */
	uint32_t host_shut; /* VSOCK_SHUTDOWN_*, told or to be told */
	bool eof;           /* nothing more comes from the socket */
};

struct vsock {
	struct vsock_config cfg;
	struct watch listener, answers, timer;
	bool listening;
	int timer_fd; /* owned: ticks while something waits that must not for ever */
	bool ticking;
	struct vsock_conn *bucket[VSOCK_BUCKETS];
	struct vsock_conn *all;
	struct vsock_conn *first_ready, *last_ready;
	unsigned nr_conns, nr_asked;
	bool in_event; /* of a socket: what is there for the guest is said at its end */
	uint64_t buffered;
	unsigned nr_ahead;
	uint32_t next_port;
	struct vsock_packet reply[VSOCK_MAX_REPLIES]; /* RSTs for connections that are none */
	unsigned reply_at, nr_replies;
};

/* ---- vsock.c: the connections ---- */

struct vsock_conn *vsock_find(struct vsock *v, uint32_t guest_port, uint32_t host_port);
/** A new connection without ports, or NULL: there are too many, or no memory. */
struct vsock_conn *vsock_conn_create(struct vsock *v, enum vsock_state state, int fd);
/** Gives it its ports, by which it is found. */
void vsock_conn_name(struct vsock_conn *c, uint32_t guest_port, uint32_t host_port);
void vsock_conn_destroy(struct vsock_conn *c);
/** What the guest has room for, as far as we know. Its words may be nonsense: then nothing. */
uint32_t vsock_credit(const struct vsock_conn *c);
/** Has something for the guest. */
void vsock_pend(struct vsock_conn *c, unsigned what);
/** The answer: a socket, which is taken over, or -errno. */
void vsock_connected(struct vsock *v, uint32_t port, int fd);
/** Ends it: the guest is told, the socket is closed. */
void vsock_conn_reset(struct vsock_conn *c);

/** There is something for the guest, and there was nothing. */
void vsock_tell(struct vsock *v);

/* ---- vsock_host.c: the sockets ---- */

int vsock_host_start(struct vsock *v, struct err *err);
void vsock_host_stop(struct vsock *v);
/** Watches the socket for what the connection can use now. */
void vsock_host_watch(struct vsock_conn *c);
/** Bytes of the guest: written, or kept for later. False when there is no room for them. */
bool vsock_host_send(struct vsock_conn *c, const struct iovec *iov, unsigned nr, uint32_t len);
/** Writes what was kept. False when the socket failed. */
bool vsock_host_flush(struct vsock_conn *c);
/** After a flush: what follows from an empty buffer. May destroy or reset c. */
void vsock_host_flushed(struct vsock_conn *c);
/**
 * Reads up to len bytes, within the guest's credit. Returns how many; 0 when none wait, or at the
 * end (then c->eof).
 */
uint32_t vsock_host_receive(
	struct vsock_conn *c, const struct iovec *iov, unsigned nr, uint32_t len);
/** Drops what was read ahead. */
void vsock_host_forget(struct vsock_conn *c);
/** Asks for a socket for a port; vsock_connected follows. False when nobody can be asked. */
bool vsock_host_ask(struct vsock *v, uint32_t port);
/** The guest accepted: tells the client. */
void vsock_host_accepted(struct vsock_conn *c);
/** Looks at the clock from now on, until nothing waits. */
void vsock_host_tick(struct vsock *v);
