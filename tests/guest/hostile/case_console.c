// SPDX-License-Identifier: BSD-3-Clause
/*
 * Attacks on the console: floods, buffers of the wrong direction, queues that it does not have.
 */
#include "tests/guest/hostile/hostile.h"

/** The control queues belong to a feature that is not offered. */
static const char *console_no_control(struct dev *d, unsigned q __unused, unsigned v __unused)
{
	const char *why = dev_start(d);

	for (uint32_t i = 2; !why && i < 6; i++) {
		reg_set(d, VIRTIO_MMIO_QUEUE_SEL, i);
		if (reg_get(d, VIRTIO_MMIO_QUEUE_NUM_MAX))
			why = "there is a control queue";
		dev_kick(d, i);
	}
	return why ? why : d->kind->good(d);
}

/** A whole ring of chains, each len bytes, all of the same memory, several times. */
static const char *console_flood(struct dev *d, unsigned q, uint32_t len, unsigned rounds)
{
	const char *why = dev_start(d);
	struct ring *r = &d->ring[q];

	for (uint16_t i = 0; !why && i < r->size; i++)
		desc_set(&r->desc[i], hostile_buf.gpa, len, way_flag(d, q), 0);
	for (unsigned n = 0; !why && n < rounds; n++) {
		for (uint16_t i = 0; i < r->size; i++)
			ring_post(r, i);
		dev_kick(d, q);
		why = want_returned(d, q);
	}
	return why;
}

static const char *console_tiny(struct dev *d, unsigned q, unsigned v __unused)
{
	return console_flood(d, q, 1, 20);
}

static const char *console_large(struct dev *d, unsigned q, unsigned v __unused)
{
	return console_flood(d, q, 65536, 1);
}

/** Input into what can only be read, output from what can only be written: nothing moves. */
static const char *console_wrong_way(struct dev *d, unsigned q, unsigned v __unused)
{
	const char *why = dev_start(d);
	uint32_t head, len;

	if (why)
		return why;
	memset(hostile_buf.p, 0xc5, 64);
	desc_set(&d->ring[q].desc[0], hostile_buf.gpa, 64, way_flag(d, q) ^ VRING_DESC_F_WRITE, 0);
	ring_post_and_kick(d, q, 0);
	why = ring_take(d, q, &head, &len);
	if (!why && len)
		why = "bytes are written where there is nothing to write to";
	for (unsigned i = 0; !why && i < 64; i++)
		if (hostile_buf.p[i] != 0xc5)
			why = "a buffer of the wrong direction is written";
	return why;
}

const struct hostile_case console_cases[] = {
	{ .name = "console/control-queue", .run = console_no_control },
	{ .name = "console/many-tiny-buffers", .run = console_tiny, .each_queue = true },
	{ .name = "console/large-buffers", .run = console_large, .each_queue = true },
	{ .name = "console/wrong-way", .run = console_wrong_way, .each_queue = true },
	{ .name = NULL },
};
