/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The guest's side of a split virtqueue, for tests of rings and device models: lays a queue
 * out in guest memory, makes chains available, kicks, takes used ones back. It can also be
 * told to break the rules (rd_set_desc, rd_publish, rd_set_avail_idx).
 *
 * A test of a device model:
 *
 *	struct guest_memory gm = { 0 };
 *	struct ring_driver rd;
 *
 *	rd_add_ram(&gm, 0, 0x10000);
 *	rd_init(&rd, &gm, 0x1000, 16);
 *	struct virtio_ring ring = rd_ring(&rd);
 *	... b->ops->start(b, RD_FEATURES, &ring) ...
 *	rd_add1(&rd, 0x8000, 512, true);
 *	rd_kick(&rd);
 *	... run the loop, or rd_wait_used where another thread runs it ...
 *	assert_true(rd_pop_used(&rd, &head, &len));
 *	... rd_fini(&rd); rd_free_ram(&gm);
 */
#pragma once

#include <linux/virtio_ring.h>
#include <poll.h>
#include <stdlib.h>

#include "base/fd.h"
#include "memory/memory.h"
#include "virtio/queue.h"
#include "virtio/virtio.h"

/* What a modern driver agrees to; without EVENT_IDX the flags of the rings count. */
#define RD_FEATURES       (BIT(32) | BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX))
#define RD_FEATURES_PLAIN BIT(32)

#define RD_MAX_SIZE 1024

struct ring_driver {
	struct guest_memory *gm;
	uint16_t size;
	gpa_t desc, avail, used;
	gpa_t end;            /* first byte after the parts */
	int kick_fd, call_fd; /* owned */

	uint16_t next_avail; /* chains made available */
	uint16_t last_used;  /* chains taken back */
	uint16_t nr_free;
	uint16_t free[RD_MAX_SIZE];  /* stack of free descriptors */
	uint16_t count[RD_MAX_SIZE]; /* by head: descriptors of its chain */
	uint16_t link[RD_MAX_SIZE];  /* the driver's own copy of next */
};

/** One buffer of a chain. */
struct rd_buf {
	gpa_t gpa;
	uint32_t len;
	bool writable;
};

/** RAM from the heap, where AddressSanitizer sees an access past either end. */
static inline void rd_add_ram(struct guest_memory *gm, gpa_t base, uint64_t len)
{
	void *host = aligned_alloc(PAGE_SIZE_4K, len);

	BUG_ON(!host);
	memset(host, 0, len);
	BUG_ON(gm_add_borrowed(gm, base, host, len));
}

static inline void rd_free_ram(struct guest_memory *gm)
{
	for (unsigned i = 0; i < gm->nr_regions; i++)
		free(gm->region[i].host);
	gm_fini(gm);
}

/** The host address of len bytes of guest RAM. */
static inline void *rd_at(const struct ring_driver *rd, gpa_t gpa, uint64_t len)
{
	void *p = gm_slice(rd->gm, gpa, len);

	BUG_ON(!p);
	return p;
}

static inline uint16_t rd_load16(const struct ring_driver *rd, gpa_t gpa)
{
	return gm_load16_acquire(rd_at(rd, gpa, 2));
}

static inline void rd_store16(struct ring_driver *rd, gpa_t gpa, uint16_t v)
{
	gm_store16_release(rd_at(rd, gpa, 2), v);
}

/** Forgets everything and zeroes the parts, as a driver does before DRIVER_OK. */
static inline void rd_reset(struct ring_driver *rd)
{
	BUG_ON(gm_zero(rd->gm, rd->desc, 16ULL * rd->size));
	BUG_ON(gm_zero(rd->gm, rd->avail, 6 + 2ULL * rd->size));
	BUG_ON(gm_zero(rd->gm, rd->used, 6 + 8ULL * rd->size));
	rd->next_avail = rd->last_used = 0;
	rd->nr_free = 0;
	for (unsigned i = rd->size; i-- > 0;)
		rd->free[rd->nr_free++] = (uint16_t)i; /* descriptor 0 is taken first */
}

/** Lays a queue of size (a power of two) out from at (16-byte aligned) and opens its eventfds. */
static inline void rd_init(struct ring_driver *rd, struct guest_memory *gm, gpa_t at, uint16_t size)
{
	BUG_ON(size > RD_MAX_SIZE);
	*rd = (struct ring_driver){ .gm = gm, .size = size, .desc = at };
	rd->avail = rd->desc + 16ULL * size;
	BUG_ON(!align_up_u64(rd->avail + 6 + 2ULL * size, 4, &rd->used));
	BUG_ON(!align_up_u64(rd->used + 6 + 8ULL * size, 16, &rd->end));
	rd->kick_fd = fd_event();
	rd->call_fd = fd_event();
	BUG_ON(rd->kick_fd < 0 || rd->call_fd < 0);
	rd_reset(rd);
}

static inline void rd_fini(struct ring_driver *rd)
{
	fd_close(&rd->kick_fd);
	fd_close(&rd->call_fd);
}

/** What a transport hands to a backend's start. */
static inline struct virtio_ring rd_ring(const struct ring_driver *rd)
{
	return (struct virtio_ring){ .ready = true,
		.size = rd->size,
		.desc = rd->desc,
		.avail = rd->avail,
		.used = rd->used,
		.kick_fd = rd->kick_fd,
		.call_fd = rd->call_fd };
}

/** vq_init with the driver's own geometry. */
static inline int rd_vq_init(
	const struct ring_driver *rd, struct vq *q, uint64_t features, const char **why)
{
	return vq_init(
		q, rd->gm, features, rd->size, VQ_MAX_SIZE, rd->desc, rd->avail, rd->used, why);
}

/** Writes entry i of a descriptor table anywhere in RAM. */
static inline void rd_write_desc(struct ring_driver *rd, gpa_t table, unsigned i, gpa_t gpa,
	uint32_t len, uint16_t flags, uint16_t next)
{
	struct vring_desc d = { .addr = gpa, .len = len, .flags = flags, .next = next };

	BUG_ON(gm_write(rd->gm, table + 16ULL * i, &d, sizeof(d)));
}

/** Writes entry i of the queue's own table, any values. */
static inline void rd_set_desc(
	struct ring_driver *rd, unsigned i, gpa_t gpa, uint32_t len, uint16_t flags, uint16_t next)
{
	rd_write_desc(rd, rd->desc, i, gpa, len, flags, next);
}

static inline void rd_set_avail_idx(struct ring_driver *rd, uint16_t idx)
{
	rd_store16(rd, rd->avail + 2, idx);
}

/** Puts head, any value, into the avail ring and moves the index on. */
static inline void rd_publish(struct ring_driver *rd, uint16_t head)
{
	rd_store16(rd, rd->avail + 4 + 2ULL * (rd->next_avail & (rd->size - 1)), head);
	rd_set_avail_idx(rd, ++rd->next_avail);
}

static inline uint16_t rd_take_desc(struct ring_driver *rd)
{
	BUG_ON(!rd->nr_free);
	return rd->free[--rd->nr_free];
}

/** Makes a chain of n buffers available, readable ones first. Returns its head. */
static inline uint16_t rd_add(struct ring_driver *rd, const struct rd_buf *buf, unsigned n)
{
	uint16_t head, i;

	BUG_ON(!n);
	head = i = rd_take_desc(rd);
	for (unsigned k = 0; k < n; k++) {
		bool last = k + 1 == n;
		uint16_t flags = buf[k].writable ? VRING_DESC_F_WRITE : 0;
		uint16_t next = last ? 0 : rd_take_desc(rd);

		if (!last)
			flags |= VRING_DESC_F_NEXT;
		rd_set_desc(rd, i, buf[k].gpa, buf[k].len, flags, next);
		rd->link[i] = next;
		i = next;
	}
	rd->count[head] = (uint16_t)n;
	rd_publish(rd, head);
	return head;
}

/** Makes a chain of one buffer available. */
static inline uint16_t rd_add1(struct ring_driver *rd, gpa_t gpa, uint32_t len, bool writable)
{
	struct rd_buf buf = { gpa, len, writable };

	return rd_add(rd, &buf, 1);
}

/** As rd_add, through an indirect table that is written at table. */
static inline uint16_t rd_add_indirect(
	struct ring_driver *rd, gpa_t table, const struct rd_buf *buf, unsigned n)
{
	uint16_t head = rd_take_desc(rd);

	for (unsigned k = 0; k < n; k++) {
		bool last = k + 1 == n;
		unsigned flags = buf[k].writable ? VRING_DESC_F_WRITE : 0U;

		if (!last)
			flags |= VRING_DESC_F_NEXT;
		rd_write_desc(rd, table, k, buf[k].gpa, buf[k].len, (uint16_t)flags,
			(uint16_t)(last ? 0 : k + 1));
	}
	rd_set_desc(rd, head, table, 16U * n, VRING_DESC_F_INDIRECT, 0);
	rd->count[head] = 1;
	rd_publish(rd, head);
	return head;
}

static inline void rd_kick(struct ring_driver *rd)
{
	fd_event_signal(rd->kick_fd);
}

static inline uint16_t rd_used_idx(const struct ring_driver *rd)
{
	return rd_load16(rd, rd->used + 2);
}

/** Takes the next used chain back and frees its descriptors. False when there is none. */
static inline bool rd_pop_used(struct ring_driver *rd, uint16_t *ret_head, uint32_t *ret_len)
{
	const uint8_t *elem;
	uint32_t id;
	uint16_t i;

	if (rd_used_idx(rd) == rd->last_used)
		return false;
	elem = rd_at(rd, rd->used + 4 + 8ULL * (rd->last_used & (rd->size - 1)), 8);
	rd->last_used++;
	id = le32_get(elem);
	BUG_ON(id >= rd->size);
	i = (uint16_t)id;
	for (unsigned n = rd->count[id]; n; n--) {
		uint16_t next = rd->link[i];

		rd->free[rd->nr_free++] = i;
		i = next;
	}
	rd->count[id] = 0;
	if (ret_head)
		*ret_head = (uint16_t)id;
	if (ret_len)
		*ret_len = le32_get(elem + 4);
	return true;
}

/** Interrupts since the last call; 0 when there was none. */
static inline uint64_t rd_irqs(struct ring_driver *rd)
{
	return fd_event_drain(rd->call_fd);
}

/** Waits for the next used chain, which another thread's device pushes. False after 10 s. */
static inline bool rd_wait_used(struct ring_driver *rd, uint16_t *ret_head, uint32_t *ret_len)
{
	for (unsigned tries = 0; tries < 1000; tries++) {
		struct pollfd p = { .fd = rd->call_fd, .events = POLLIN };

		if (rd_pop_used(rd, ret_head, ret_len))
			return true;
		/* Also looks without an interrupt: tests suppress them. */
		poll(&p, 1, 10);
		rd_irqs(rd);
	}
	return false;
}

/** With EVENT_IDX: interrupt me when used.idx goes past event. */
static inline void rd_set_used_event(struct ring_driver *rd, uint16_t event)
{
	rd_store16(rd, rd->avail + 4 + 2ULL * rd->size, event);
}

/** Without EVENT_IDX: VRING_AVAIL_F_NO_INTERRUPT. */
static inline void rd_set_avail_flags(struct ring_driver *rd, uint16_t flags)
{
	rd_store16(rd, rd->avail, flags);
}

/** With EVENT_IDX: the device wants a kick when avail.idx goes past this. */
static inline uint16_t rd_avail_event(const struct ring_driver *rd)
{
	return rd_load16(rd, rd->used + 4 + 8ULL * rd->size);
}

/** Without EVENT_IDX: VRING_USED_F_NO_NOTIFY. */
static inline uint16_t rd_used_flags(const struct ring_driver *rd)
{
	return rd_load16(rd, rd->used);
}
