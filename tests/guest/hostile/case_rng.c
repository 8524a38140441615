// SPDX-License-Identifier: BSD-3-Clause
/*
 * Attacks on the entropy device: what must not be there, and more than anybody needs.
 */
#include "tests/guest/hostile/hostile.h"

/** Section 5.4.6.1: nothing in this queue is for reading. */
static const char *rng_readable(struct dev *d, unsigned q __unused, unsigned variant)
{
	const char *why = dev_start(d);
	struct vring_desc *desc = d->ring[0].desc;

	if (why)
		return why;
	desc_set(&desc[0], hostile_buf.gpa, 64, variant ? VRING_DESC_F_NEXT : 0, 1);
	desc_set(&desc[1], hostile_buf.gpa + 64, 64, VRING_DESC_F_WRITE, 0);
	memset(hostile_buf.p, 0xc5, 64);
	ring_post_and_kick(d, 0, 0);
	why = want_broken(d);
	for (unsigned i = 0; !why && i < 64; i++)
		if (hostile_buf.p[i] != 0xc5)
			why = "a readable buffer is written";
	return why;
}

static const char *const rng_reads[] = { "alone", "before-writable", NULL };

/** A ring of chains of as many megabytes as descriptors: each is returned, with what it got. */
static const char *rng_large(struct dev *d, unsigned q __unused, unsigned v __unused)
{
	const char *why = dev_start(d);
	struct ring *r = &d->ring[0];
	struct vring_desc *table = (void *)r->table.p;
	uint32_t part = MIN(hostile_buf.len, 256U << 10);

	if (why)
		return why;
	for (uint16_t i = 0; i < r->size; i++) {
		desc_set(&table[i], hostile_buf.gpa, part,
			VRING_DESC_F_WRITE | (i + 1 < r->size ? VRING_DESC_F_NEXT : 0),
			(uint16_t)(i + 1));
		desc_set(&r->desc[i], r->table.gpa, r->size * 16U, VRING_DESC_F_INDIRECT, 0);
		ring_post(r, i);
	}
	dev_kick(d, 0);
	for (unsigned i = 0; !why && i < r->size; i++) {
		uint32_t head, len;

		why = ring_take(d, 0, &head, &len);
		if (!why && (!len || len > (uint64_t)part * r->size))
			why = "a request returns with a wrong length";
	}
	return why;
}

const struct hostile_case rng_cases[] = {
	{ .name = "rng/readable", .run = rng_readable, .variants = rng_reads },
	{ .name = "rng/large", .run = rng_large },
	{ .name = NULL },
};
