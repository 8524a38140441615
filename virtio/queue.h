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
#include "base/iov.h"
#include "memory/memory.h"

#define VQ_MAX_SIZE  1024
#define VQ_MAX_LOOKS 3 /* see vq_enable_kick */

/**
 * Iovecs that every honest chain of a queue of that size fits in: one for each descriptor,
 * and one more for each border of two adjacent RAM regions that a buffer crosses.
 */
#define VQ_IOV_MAX(size) ((size) + GM_MAX_REGIONS)

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

	uint16_t next_avail;             /* our own count of chains popped */
	uint16_t next_used;              /* our own count of chains pushed */
	uint16_t last_raise;             /* next_used when vq_should_raise last judged */
	uint16_t in_flight;              /* popped and not pushed */
	uint16_t last_head;              /* of the last vq_pop, for vq_unpop */
	uint64_t busy[VQ_MAX_SIZE / 64]; /* bit per head that is in flight */
};

/**
 * Sets a queue up from what the guest programmed. features are the agreed ones.
 * Returns 0, or -EINVAL with *why a constant sentence and the queue not ready: size 0, not a
 * power of two, over size_max or VQ_MAX_SIZE; a part unaligned (16, 2, 4 bytes) or not wholly
 * RAM of one region. Parts that overlap are accepted: they harm nobody but the guest.
 */
int __must_check vq_init(struct vq *q, const struct guest_memory *gm, uint64_t features,
	uint16_t size, uint16_t size_max, gpa_t desc, gpa_t avail, gpa_t used, const char **why);

/** After vq_init: goes on at index next of both rings, not at their beginning. */
void vq_resume(struct vq *q, uint16_t next);

/**
 * Takes the next available chain. iov has room for max iovecs.
 * Returns 1 with *ret filled, 0 when none is available (or the queue is not ready, or
 * broken), or -EPROTO with *why a constant sentence (the queue is then broken): more than
 * size new entries, a head or next out of range, a head that is in flight already, a loop or
 * more than size descriptors, an indirect table that was not negotiated, is nested, chained
 * on, empty, not a multiple of 16 bytes, longer than size entries or not RAM of one region, a
 * zero-length descriptor, a buffer that is not RAM, readable after writable, more iovecs than
 * max, more than UINT32_MAX bytes each way.
 * So the heads in flight are distinct and below size: a model may index by them.
 */
int __must_check vq_pop(
	struct vq *q, struct iovec *iov, unsigned max, struct vq_chain *ret, const char **why);

/**
 * Undoes the last vq_pop, whose chain was not pushed: for back-pressure. The next vq_pop
 * takes the chain again and judges it anew, it may have changed.
 */
void vq_unpop(struct vq *q);

/**
 * Returns chain head, which is in flight, to the guest; the first written bytes of its
 * writable part were filled. On a broken queue the guest is not told.
 */
void vq_push(struct vq *q, uint16_t head, uint32_t written);

/**
 * Whether the guest wants an interrupt for what was pushed since the last call (sections
 * 2.7.7 and 2.7.10). Includes the memory barrier.
 */
bool vq_should_raise(struct vq *q);

/**
 * Asks for a notification of the next available chain and says whether one is already
 * there (then the caller pops again). Use at the end of a drain: while (vq_enable_kick(q)).
 * A guest that adds while the device drains keeps such a loop going, and one that flips
 * avail.idx back and forth does so without a chain: count both, and after size chains or
 * VQ_MAX_LOOKS empty rounds leave the rest to virtio_renotify().
 */
bool vq_enable_kick(struct vq *q);
/** Asks for no notifications while the device drains the queue. A hint. */
void vq_disable_kick(struct vq *q);
