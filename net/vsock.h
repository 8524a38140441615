/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stream connections between a guest's vsock ports and unix sockets of this host: the host's
 * half of VIRTIO 1.2, section 5.10, without its rings. Packets of the guest go in, packets for
 * the guest come out, and bytes move between the caller's iovecs and sockets.
 *
 * Guest to host: a port that was handed a socket gives it to the first who connects; for any
 * other whoever holds the other end of ask_fd is asked, since a jailed device can connect
 * nothing itself. Host to guest: who connects to the
 * listener says "CONNECT port\n", and reads "OK port\n" when the guest accepted (the convention
 * of Firecracker's docs/vsock.md).
 *
 * Memory: at most VSOCK_MAX_CONNS connections and VSOCK_MAX_BUFFERED bytes for all of them.
 * Everything on the loop's thread.
 */
#pragma once

#include <sys/uio.h>

#include "base/base.h"
#include "base/err.h"
#include "base/loop.h"

#define VSOCK_HOST_CID     2
#define VSOCK_HEADER_LEN   44         /* bytes of a header on the wire */
#define VSOCK_MAX_PAYLOAD  (64 * KIB) /* of one packet for the guest */
#define VSOCK_MAX_CONNS    2048
#define VSOCK_MAX_ASKED    64          /* questions without an answer */
#define VSOCK_BUF_ALLOC    (256 * KIB) /* what a guest may send before its reader takes it */
#define VSOCK_MAX_BUFFERED (64 * MIB)
#define VSOCK_MAX_HANDED   8
#define VSOCK_MAX_REPLIES  64
#define VSOCK_MAX_IOV      160 /* iovecs of one packet */

enum vsock_op {
	VSOCK_OP_INVALID,
	VSOCK_OP_REQUEST,
	VSOCK_OP_RESPONSE,
	VSOCK_OP_RST,
	VSOCK_OP_SHUTDOWN,
	VSOCK_OP_RW,
	VSOCK_OP_CREDIT_UPDATE,
	VSOCK_OP_CREDIT_REQUEST,
};

#define VSOCK_TYPE_STREAM   1
#define VSOCK_SHUTDOWN_RCV  1U
#define VSOCK_SHUTDOWN_SEND 2U

/** struct virtio_vsock_hdr (section 5.10.6), in this machine's byte order. */
struct vsock_packet {
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port;
	uint32_t len; /* bytes of payload */
	uint16_t type, op;
	uint32_t flags, buf_alloc, fwd_cnt;
};

void vsock_decode(const uint8_t bytes[VSOCK_HEADER_LEN], struct vsock_packet *ret);
void vsock_encode(const struct vsock_packet *p, uint8_t ret[VSOCK_HEADER_LEN]);

/** A socket that waits for the guest to connect to a port. */
struct vsock_handed {
	uint32_t port;
	int fd; /* owned by the vsock once it is created */
};

struct vsock_answer {
	uint32_t port;
	int32_t code; /* 0, or an errno instead of a socket */
};

struct vsock_config {
	struct loop *loop;
	uint64_t guest_cid;
	int listen_fd; /* taken over; -1: the host cannot connect */
	struct vsock_handed handed[VSOCK_MAX_HANDED];
	unsigned nr_handed;
	/*
	 * SOCK_SEQPACKET, taken over: a question is a port (4 bytes, of this machine's order), an
	 * answer is a struct vsock_answer with the socket beside it. -1: other ports are refused.
	 */
	int ask_fd;
	/*
	 * Packets for the guest wait. Comes from inside of vsock_tx and vsock_rx, and at the end
	 * of a socket's event; there vsock_rx may be called.
	 */
	void (*pending)(void *ctx);
	void *ctx;
};

struct vsock;

/** Closes what a configuration holds. */
void vsock_config_close(struct vsock_config *cfg);

/** Takes the descriptors over, also on failure. Returns 0 or -errno with err. */
int __must_check vsock_create(const struct vsock_config *cfg, struct vsock **ret, struct err *err);
void vsock_destroy(struct vsock *v);

/**
 * A packet of the guest's, its payload in nr iovecs, at least p->len bytes of them. Returns 0
 * when it was dealt with, whatever that came to, or -EAGAIN: the guest takes no answers, so the
 * packet must come again after vsock_rx gave one.
 */
int __must_check vsock_tx(
	struct vsock *v, const struct vsock_packet *p, const struct iovec *iov, unsigned nr);

/** Whether vsock_rx might have a packet. */
bool vsock_has_rx(const struct vsock *v);

/**
 * The next packet for the guest: fills *ret, and reads ret->len bytes of payload into the nr
 * iovecs, which have room for len bytes. False when there is none.
 */
bool vsock_rx(struct vsock *v, struct vsock_packet *ret, const struct iovec *iov, unsigned nr,
	size_t len);

/** The guest forgets all connections. What it sent before goes on its way. */
void vsock_reset(struct vsock *v);

/**
 * Waits until all that the guest sent has reached its sockets: as long as it takes for those
 * that were handed over, for others while the reader takes something every few seconds.
 */
void vsock_drain(struct vsock *v);
