// SPDX-License-Identifier: BSD-3-Clause
/*
 * Attacks on the geometry of rings and on their indices.
 */
#include "tests/guest/hostile/hostile.h"

/* ---- sizes ---- */

static const char *const ring_sizes[] = { "0", "3", "twice-the-maximum", "65536", "all-ones",
	NULL };

/** QueueReady stays 0, and a device without that queue runs. */
static const char *ring_size(struct dev *d, unsigned q, unsigned variant)
{
	const char *why = dev_begin(d, UINT64_MAX);
	uint32_t max, size;

	if (why)
		return why;
	dev_queue(d, q);
	reg_set(d, VIRTIO_MMIO_QUEUE_READY, 0);
	max = reg_get(d, VIRTIO_MMIO_QUEUE_NUM_MAX);
	size = (const uint32_t[]){ 0, 3, 2 * max, 65536, UINT32_MAX }[variant];
	reg_set(d, VIRTIO_MMIO_QUEUE_NUM, size);
	reg_set(d, VIRTIO_MMIO_QUEUE_READY, 1);
	if (reg_get(d, VIRTIO_MMIO_QUEUE_READY))
		return "a queue of that size becomes ready";
	d->kind->chain(d, q, d->ring[q].desc, &hostile_buf);
	dev_driver_ok(d);
	ring_post_and_kick(d, q, 0);
	why = want_unbroken(d);
	if (!why && d->ring[q].used->idx)
		why = "a queue that is not ready is served";
	return why;
}

/* ---- where the parts lie ---- */

static const char *const ring_places[] = { "unaligned", "behind-ram", "across-the-end-of-ram",
	"in-its-registers", "in-other-registers", "wraps", "top", "nowhere", NULL };

static uint64_t ring_place(const struct dev *d, unsigned variant, uint64_t good)
{
	switch (variant) {
	case 0:
		return good + 1;
	case 1:
		return hostile_ram_end;
	case 2:
		return hostile_ram_end - 16;
	case 3:
		return d->base;
	case 4:
		return memory_other(d)->base;
	case 5:
		return UINT64_MAX - 15;
	case 6:
		return BIT(63);
	default:
		return HOSTILE_NOWHERE;
	}
}

static const char *ring_misplaced(struct dev *d, unsigned q, unsigned variant, uint64_t *part)
{
	const char *why = dev_begin(d, UINT64_MAX);

	if (why)
		return why;
	*part = ring_place(d, variant, *part);
	for (unsigned i = 0; i < d->kind->nr_queues; i++)
		dev_queue(d, i);
	d->kind->chain(d, q, d->ring[q].desc, &hostile_buf);
	ring_post(&d->ring[q], 0);
	dev_driver_ok(d);
	dev_kick(d, q);
	return want_broken(d);
}

static const char *ring_desc_place(struct dev *d, unsigned q, unsigned variant)
{
	return ring_misplaced(d, q, variant, &d->ring[q].desc_gpa);
}

static const char *ring_avail_place(struct dev *d, unsigned q, unsigned variant)
{
	return ring_misplaced(d, q, variant, &d->ring[q].avail_gpa);
}

static const char *ring_used_place(struct dev *d, unsigned q, unsigned variant)
{
	return ring_misplaced(d, q, variant, &d->ring[q].used_gpa);
}

static const char *const ring_overlaps[] = { "all", "used-on-descriptors", "used-on-avail",
	"avail-on-descriptors", NULL };

/** Whatever the device makes of it: it stays inside the rings, and a reset ends it. */
static const char *ring_overlap(struct dev *d, unsigned q, unsigned variant)
{
	const char *why = dev_begin(d, UINT64_MAX);
	struct ring *r = &d->ring[q];

	if (why)
		return why;
	for (uint16_t i = 0; i < r->size; i++)
		desc_set(&r->desc[i], hostile_buf.gpa, 16, VRING_DESC_F_NEXT | way_flag(d, q),
			(uint16_t)(i + 1));
	if (variant == 0 || variant == 3)
		r->avail_gpa = r->desc_gpa;
	if (variant == 0 || variant == 1)
		r->used_gpa = r->desc_gpa;
	if (variant == 2)
		r->used_gpa = r->avail_gpa;
	dev_queue(d, q);
	dev_driver_ok(d);
	for (uint16_t i = 0; i < 64; i++) {
		ring_post(r, (uint16_t)(i % r->size));
		((struct vring_avail *)(void *)r->desc)->idx = (uint16_t)(i + 1);
		dev_kick(d, q);
	}
	(void)want_unbroken(d);
	return NULL;
}

static const char *const ring_targets[] = { "descriptors", "avail", "used", NULL };

/** Buffers that are the rings themselves: the device writes where it reads. */
static const char *ring_buffer_on_ring(struct dev *d, unsigned q, unsigned variant)
{
	const char *why = dev_start(d);
	struct ring *r = &d->ring[q];
	uint64_t gpa = (const uint64_t[]){ r->desc_gpa, r->avail_gpa, r->used_gpa }[variant];
	unsigned last;

	if (why)
		return why;
	for (unsigned i = 0; i < 8; i++) {
		last = d->kind->chain(d, q, r->desc, &hostile_buf);
		if (last > 1)
			last--; /* what is before the status */
		r->desc[last - 1].addr = gpa;
		ring_post_and_kick(d, q, 0);
	}
	(void)want_unbroken(d);
	return NULL;
}

/* ---- indices ---- */

static const char *const ring_jumps[] = { "size+1", "32768", "65535", NULL };

static const char *ring_jump(struct dev *d, unsigned q, unsigned variant)
{
	const char *why = dev_start(d);
	struct ring *r = &d->ring[q];

	if (why)
		return why;
	d->kind->chain(d, q, r->desc, &hostile_buf);
	r->avail->idx = (const uint16_t[]){ (uint16_t)(r->size + 1), 32768, 65535 }[variant];
	dev_kick(d, q);
	why = want_broken(d);
	if (!why && r->used->idx)
		why = "a chain is served nevertheless";
	return why;
}

static const char *ring_backwards(struct dev *d, unsigned q, unsigned variant __unused)
{
	const char *why = dev_start(d);
	struct ring *r = &d->ring[q];

	if (why)
		return why;
	d->kind->chain(d, q, r->desc, &hostile_buf);
	ring_post_and_kick(d, q, 0);
	why = want_returned(d, q);
	if (why)
		return why;
	__atomic_store_n(&r->avail->idx, 0, __ATOMIC_RELEASE);
	dev_kick(d, q);
	return want_broken(d);
}

static const char *const ring_heads[] = { "size", "65535", NULL };

static const char *ring_head(struct dev *d, unsigned q, unsigned variant)
{
	const char *why = dev_start(d);

	if (why)
		return why;
	ring_post_and_kick(d, q, variant ? 65535 : d->ring[q].size);
	return want_broken(d);
}

/** The same head in all entries of the ring. */
static const char *ring_same_head(struct dev *d, unsigned q, unsigned variant __unused)
{
	const char *why = dev_start(d);
	struct ring *r = &d->ring[q];

	if (why)
		return why;
	d->kind->chain(d, q, r->desc, &hostile_buf);
	for (unsigned i = 0; i < r->size; i++)
		ring_post(r, 0);
	dev_kick(d, q);
	for (unsigned i = 0; i < 20 && !dev_broken(d); i++)
		wait_a_moment();
	/* Served one after another, or refused: never more often than it was asked. */
	return (uint16_t)(r->used->idx) > r->size ? "more chains are returned than were posted"
						  : NULL;
}

/** The used index is the device's: what the guest writes there is not looked at. */
static const char *ring_used_index(struct dev *d, unsigned q, unsigned variant __unused)
{
	const char *why = dev_start(d);
	struct ring *r = &d->ring[q];

	if (why)
		return why;
	d->kind->chain(d, q, r->desc, &hostile_buf);
	for (unsigned i = 0; i < 4; i++) {
		memset(r->used, 0xa5, 4);
		ring_post_and_kick(d, q, 0);
		why = want_returned(d, q);
		if (why)
			return why;
		if (r->used->ring[i].id)
			return "a used entry is not in its place";
	}
	return NULL;
}

static const char *const ring_events[] = { "behind", "far-ahead", "all-ones", NULL };

/** With EVENT_IDX the guest says when it wants interrupts: that decides nothing else. */
static const char *ring_event(struct dev *d, unsigned q, unsigned variant)
{
	const char *why = dev_start(d);
	struct ring *r = &d->ring[q];

	if (why)
		return why;
	d->kind->chain(d, q, r->desc, &hostile_buf);
	for (unsigned i = 0; !why && i < 16; i++) {
		r->avail->ring[r->size] = (uint16_t)(variant == 0 ? r->posted - 1U
				: variant == 1                    ? r->posted + 0x8000U
								  : 0xffffU);
		le16_put(&r->used->ring[r->size], 0xffff);
		ring_post_and_kick(d, q, 0);
		why = want_returned(d, q);
	}
	return why;
}

const struct hostile_case ring_cases[] = {
	{ .name = "ring/size", .run = ring_size, .variants = ring_sizes, .each_queue = true },
	{ .name = "ring/descriptors",
		.run = ring_desc_place,
		.variants = ring_places,
		.each_queue = true },
	{ .name = "ring/avail",
		.run = ring_avail_place,
		.variants = ring_places,
		.each_queue = true },
	{ .name = "ring/used",
		.run = ring_used_place,
		.variants = ring_places,
		.each_queue = true },
	{ .name = "ring/overlap",
		.run = ring_overlap,
		.variants = ring_overlaps,
		.each_queue = true },
	{ .name = "ring/buffer-on",
		.run = ring_buffer_on_ring,
		.variants = ring_targets,
		.each_queue = true },
	{ .name = "ring/index-jumps",
		.run = ring_jump,
		.variants = ring_jumps,
		.each_queue = true },
	{ .name = "ring/index-backwards", .run = ring_backwards, .each_queue = true },
	{ .name = "ring/head", .run = ring_head, .variants = ring_heads, .each_queue = true },
	{ .name = "ring/same-head", .run = ring_same_head, .each_queue = true },
	{ .name = "ring/used-index", .run = ring_used_index, .each_queue = true },
	{ .name = "ring/event-index",
		.run = ring_event,
		.variants = ring_events,
		.each_queue = true },
	{ .name = NULL },
};
