/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Split virtqueues, the device's side (VIRTIO 1.2, section 2.7), with INDIRECT_DESC and
 * EVENT_IDX. Everything in guest memory is hostile: each shared word is loaded once,
 * descriptors are copied and then judged, our indices are never read back from the guest,
 * every walk is bounded by the queue size.
 *
 * A queue belongs to its device's loop thread.
 */
#pragma once

#include "base/base.h"
#include "memory/memory.h"

#define VQ_MAX_SIZE 1024

/** One popped chain: what the device may read, then what it may write. */
struct vq_chain {
	uint16_t head;
	unsigned nr_out, nr_in;   /* iovecs: iov[0 .. nr_out) readable, then nr_in writable */
	uint64_t out_len, in_len; /* bytes of each */
	struct iovec *iov;        /* the storage given to vq_pop */
};

struct vq {
	const struct guest_memory *gm; /* NULL: not set up, not ready */
	uint16_t size;                 /* power of two */
	bool event_idx, indirect;
	bool broken; /* the guest broke the rules; nothing is popped until vq_init */

	/* Host addresses of the parts, checked once by vq_init; regions do not move. */
	const uint8_t *desc;
	const uint8_t *avail;
	uint8_t *used;

	uint16_t next_avail; /* our own count of chains popped */
	uint16_t next_used;  /* our own count of chains pushed */
	uint16_t last_raise; /* next_used when the guest was last told */
	uint16_t in_flight;  /* popped and not pushed */
};

/**
 * Sets a queue up from what the guest programmed. features are the agreed ones.
 * Returns 0, or -EINVAL with *why a constant sentence: size 0, not a power of two or over
 * size_max; a part unaligned (16, 2, 4 bytes) or not wholly RAM of one region.
 */
int __must_check vq_init(struct vq *q, const struct guest_memory *gm, uint64_t features,
	uint16_t size, uint16_t size_max, gpa_t desc, gpa_t avail, gpa_t used, const char **why);

/**
 * Takes the next available chain. iov has room for max iovecs.
 * Returns 1 with *ret filled, 0 when none is available, or -EPROTO with *why a constant
 * sentence (the queue is then broken): more than size new entries, a head or next out of
 * range, a loop, an indirect table that is nested, empty, not a multiple of 16 bytes or too
 * long, a zero-length descriptor, a buffer that is not RAM, readable after writable, more
 * iovecs than max, more than UINT32_MAX bytes each way, more chains in flight than size.
 */
int __must_check vq_pop(
	struct vq *q, struct iovec *iov, unsigned max, struct vq_chain *ret, const char **why);

/** Undoes the last vq_pop, which must be the only one not pushed since: for back-pressure. */
void vq_unpop(struct vq *q);

/** Returns chain head to the guest with written bytes in its writable part. */
void vq_push(struct vq *q, uint16_t head, uint32_t written);

/**
 * Whether the guest wants an interrupt for what was pushed since the last call that
 * returned true (section 2.7.7). Includes the memory barrier.
 */
bool vq_should_raise(struct vq *q);

/**
 * Asks for a notification of the next available chain and says whether one is already
 * there (then the caller pops again). Use at the end of a drain: while (vq_enable_kick(q)).
 */
bool vq_enable_kick(struct vq *q);
/** Asks for no notifications while the device drains the queue. A hint. */
void vq_disable_kick(struct vq *q);

/*
 * iovec helpers for chains: they advance through iov[0..n) and never past it.
 */
/** Copies up to len bytes at byte offset off of the iovecs into buf; returns bytes copied. */
size_t iov_read(const struct iovec *iov, unsigned n, uint64_t off, void *buf, size_t len);
/** Copies up to len bytes of buf to byte offset off; returns bytes copied. */
size_t iov_write(const struct iovec *iov, unsigned n, uint64_t off, const void *buf, size_t len);
/**
 * The part [off, off+len) of iov as iovecs in out (room for n). Returns how many, clipped
 * at the end of iov.
 */
unsigned iov_slice(
	const struct iovec *iov, unsigned n, uint64_t off, uint64_t len, struct iovec *out);
