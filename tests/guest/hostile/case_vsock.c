// SPDX-License-Identifier: BSD-3-Clause
/*
 * Attacks on the socket device: packets that are none, packets of any words, and a guest that takes
 * no answers.
 */
#include "tests/guest/hostile/hostile.h"

#include <linux/virtio_vsock.h>

#define VSOCK_ROUNDS  1500
#define VSOCK_BUFFERS 16
#define VSOCK_ROOM    512U
#define VSOCK_NOTHING 100U /* packets without a connection; fewer than a queue has */
#define VSOCK_HEADER  ((uint32_t)sizeof(struct virtio_vsock_hdr))

enum { RX, TX };

static const char *const vsock_shorts[] = { "header", "body", "buffer", NULL };

static const char *vsock_short(struct dev *d, unsigned q __unused, unsigned variant)
{
	const char *why = dev_start(d);
	struct vring_desc *tx = d->ring[TX].desc;

	if (why)
		return why;
	d->kind->chain(d, TX, tx, &hostile_buf);
	if (variant == 0)
		tx[0].len = VSOCK_HEADER - 1;
	else if (variant == 1)
		le32_put(hostile_buf.p + offsetof(struct virtio_vsock_hdr, len), 1);
	/* It has an answer, and a buffer that takes none. */
	desc_set(&d->ring[RX].desc[0], hostile_buf.gpa + VSOCK_ROOM, VSOCK_HEADER,
		VRING_DESC_F_WRITE, 0);
	ring_post_and_kick(d, RX, 0);
	ring_post_and_kick(d, TX, 0);
	return want_broken(d);
}

static void vsock_post_buffer(struct dev *d, uint16_t i)
{
	desc_set(&d->ring[RX].desc[i], hostile_buf.gpa + VSOCK_ROOM * (i + 2U), VSOCK_ROOM,
		VRING_DESC_F_WRITE, 0);
	ring_post(&d->ring[RX], i);
}

/** Words and ports that may mean something together. Returns the packet's bytes. */
static uint32_t vsock_packet(uint8_t *p)
{
	uint32_t x = next_random(), len = x % 5 ? 0 : x % 300;
	struct virtio_vsock_hdr h = {
		.src_cid = x >> 8 & 15 ? HOSTILE_CID : next_random(),
		.dst_cid = x >> 12 & 15 ? 2 : next_random(),
		.src_port = x >> 16 & 3,
		.dst_port = x >> 18 & 15 ? x >> 18 & 3 : next_random(),
		.len = len,
		.type = x >> 22 & 15 ? 1 : (uint16_t)next_random(),
		.op = (uint16_t)(next_random() % 9),
		.flags = next_random() % 5,
		.buf_alloc = x >> 26 & 3 ? 65536 : next_random(),
		.fwd_cnt = x >> 28 & 3 ? 0 : next_random(),
	};

	memcpy(p, &h, sizeof(h));
	return VSOCK_HEADER + len;
}

/** Takes what it answered, and gives the buffers back. */
static const char *vsock_take_answers(struct dev *d)
{
	struct ring *r = &d->ring[RX];
	const char *why = NULL;

	while (!why && __atomic_load_n(&r->used->idx, __ATOMIC_ACQUIRE) != r->seen) {
		uint32_t head, len;

		why = ring_take(d, RX, &head, &len);
		if (!why && (head >= VSOCK_BUFFERS || len < VSOCK_HEADER || len > VSOCK_ROOM))
			why = "an answer has a wrong head or length";
		if (!why)
			vsock_post_buffer(d, (uint16_t)head);
	}
	dev_kick(d, RX);
	return why;
}

static const char *vsock_anything(struct dev *d, unsigned q __unused, unsigned v __unused)
{
	const char *why = dev_start(d);

	for (uint16_t i = 0; !why && i < VSOCK_BUFFERS; i++)
		vsock_post_buffer(d, i);
	for (unsigned i = 0; !why && i < VSOCK_ROUNDS; i++) {
		uint32_t head, len, out = vsock_packet(hostile_buf.p);

		desc_set(&d->ring[TX].desc[0], hostile_buf.gpa, out, 0, 0);
		ring_post_and_kick(d, TX, 0);
		why = vsock_take_answers(d);
		if (!why)
			why = ring_take(d, TX, &head, &len);
		if (!why && (head || len))
			why = "a packet returns with a wrong head or length";
	}
	return why ? why : want_unbroken(d);
}

/** Each packet makes an answer. Some are kept; then packets wait until answers are taken. */
static const char *vsock_no_room(struct dev *d, unsigned q __unused, unsigned v __unused)
{
	const char *why = dev_start(d);
	struct ring *tx = &d->ring[TX];
	uint16_t done = 0;

	if (why)
		return why;
	d->kind->chain(d, TX, &tx->desc[0], &hostile_buf);
	for (uint16_t i = 0; i < VSOCK_NOTHING; i++) {
		tx->desc[i] = tx->desc[0];
		ring_post(tx, i);
	}
	dev_kick(d, TX);
	for (unsigned i = 0; i < 100 && !(why = want_unbroken(d)); i++)
		done = __atomic_load_n(&tx->used->idx, __ATOMIC_ACQUIRE);
	if (!why && done == VSOCK_NOTHING)
		why = "answers that nobody takes are kept without a bound";
	for (uint16_t i = 0; !why && i < VSOCK_BUFFERS; i++)
		vsock_post_buffer(d, i);
	for (unsigned taken = 0; !why && taken < VSOCK_NOTHING; taken++) {
		uint32_t head, len;

		dev_kick(d, RX);
		why = ring_take(d, RX, &head, &len);
		if (!why && len != VSOCK_HEADER)
			why = "an answer has a wrong length";
		if (!why)
			vsock_post_buffer(d, (uint16_t)head);
	}
	return why ? why : want_returned(d, TX);
}

const struct hostile_case vsock_cases[] = {
	{ .name = "vsock/short", .run = vsock_short, .variants = vsock_shorts },
	{ .name = "vsock/anything", .run = vsock_anything },
	{ .name = "vsock/no-room", .run = vsock_no_room },
	{ .name = NULL },
};
