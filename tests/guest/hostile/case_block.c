// SPDX-License-Identifier: BSD-3-Clause
/*
 * Attacks on the block device by what requests say. VIRTIO 1.2, section 5.2.6.
 */
#include "tests/guest/hostile/hostile.h"

#include <linux/virtio_blk.h>

#define BLOCK_DATA   4096U /* where data is in the buffer, behind it canaries */
#define BLOCK_CANARY 0xc5
#define BLOCK_STATUS 64U

static uint64_t block_sectors(const struct dev *d)
{
	return reg_get(d, VIRTIO_MMIO_CONFIG) | (uint64_t)reg_get(d, VIRTIO_MMIO_CONFIG + 4) << 32;
}

struct block_request {
	uint32_t type;
	uint64_t sector;
	uint32_t header;  /* bytes of it; 0 means all */
	uint32_t out, in; /* bytes of data each way */
	const void *data; /* of out, or NULL */
};

/** Makes the request on queue 0 of a started device. Its status goes to *ret_status. */
static const char *block_do(
	struct dev *d, const struct block_request *b, uint8_t *ret_status, uint32_t *ret_len)
{
	struct virtio_blk_outhdr h = { .type = b->type, .sector = b->sector };
	struct vring_desc *desc = d->ring[0].desc;
	struct span *s = &hostile_buf;
	const char *why;
	uint32_t head;
	uint16_t n = 0;

	memset(s->p, BLOCK_CANARY, 65536);
	memcpy(s->p, &h, sizeof(h));
	if (b->data)
		memcpy(s->p + BLOCK_DATA, b->data, b->out);
	desc_set(&desc[n], s->gpa, b->header ? b->header : (uint32_t)sizeof(h), VRING_DESC_F_NEXT,
		(uint16_t)(n + 1));
	n++;
	if (b->out || b->in) {
		desc_set(&desc[n], s->gpa + BLOCK_DATA, b->out ? b->out : b->in,
			VRING_DESC_F_NEXT | (b->out ? 0 : VRING_DESC_F_WRITE), (uint16_t)(n + 1));
		n++;
	}
	desc_set(&desc[n], s->gpa + BLOCK_STATUS, 1, VRING_DESC_F_WRITE, 0);
	ring_post_and_kick(d, 0, 0);
	why = ring_take(d, 0, &head, ret_len);
	*ret_status = s->p[BLOCK_STATUS];
	if (why)
		return why;
	if (*ret_len > b->in + 1)
		return "more bytes are said to be written than there is room for";
	if (s->p[BLOCK_STATUS + 1] != BLOCK_CANARY ||
		s->p[BLOCK_DATA + MAX(b->in, b->out)] != BLOCK_CANARY)
		return "a byte behind the buffers is written";
	return NULL;
}

/** As block_do, and the device says that it will not. */
static const char *block_refused(struct dev *d, const struct block_request *b, uint8_t status)
{
	uint32_t len;
	uint8_t is;
	const char *why = block_do(d, b, &is, &len);

	if (why)
		return why;
	if (is != status)
		return is == VIRTIO_BLK_S_OK ? "a wrong request is carried out"
					     : "a request fails with another status";
	/* The byte that the used length counts for the status may be the data's first. */
	for (unsigned i = 1; i < b->in; i++)
		if (hostile_buf.p[BLOCK_DATA + i] != BLOCK_CANARY)
			return "a refused request writes data";
	return NULL;
}

static const char *block_headers(struct dev *d, unsigned q __unused, unsigned v __unused)
{
	const char *why = dev_start(d);

	for (uint32_t n = 1; !why && n < sizeof(struct virtio_blk_outhdr); n++)
		why = block_refused(d,
			&(struct block_request){ .type = VIRTIO_BLK_T_IN, .header = n, .in = 512 },
			VIRTIO_BLK_S_IOERR);
	return why;
}

/** A request that has nowhere for its status cannot be answered: that breaks the device. */
static const char *block_no_status(struct dev *d, unsigned q __unused, unsigned v __unused)
{
	const char *why = dev_start(d);

	if (why)
		return why;
	memset(hostile_buf.p, 0, 16);
	desc_set(&d->ring[0].desc[0], hostile_buf.gpa, 16, VRING_DESC_F_NEXT, 1);
	desc_set(&d->ring[0].desc[1], hostile_buf.gpa, 512, 0, 0);
	ring_post_and_kick(d, 0, 0);
	return want_broken(d);
}

/** No header at all, only room for data and status, down to the status alone. */
static const char *block_no_header(struct dev *d, unsigned q __unused, unsigned v __unused)
{
	const char *why = dev_start(d);

	for (uint32_t n = 1; !why && n < 1000; n += 111) {
		hostile_buf.p[n - 1] = BLOCK_CANARY;
		desc_set(&d->ring[0].desc[0], hostile_buf.gpa, n, VRING_DESC_F_WRITE, 0);
		ring_post_and_kick(d, 0, 0);
		why = want_returned(d, 0);
		if (!why && hostile_buf.p[n - 1] != VIRTIO_BLK_S_IOERR)
			why = "a request without a header does not fail";
	}
	return why;
}

/** Header, data and status in descriptors of one byte each. */
static const char *block_split(struct dev *d, unsigned q __unused, unsigned v __unused)
{
	const unsigned header = sizeof(struct virtio_blk_outhdr),
		       n = header + VIRTIO_BLK_ID_BYTES + 1;
	const char *why = dev_start(d);
	struct virtio_blk_outhdr h = { .type = VIRTIO_BLK_T_GET_ID };
	struct vring_desc *desc = d->ring[0].desc;

	if (why)
		return why;
	memcpy(hostile_buf.p, &h, sizeof(h));
	for (unsigned i = 0; i < n; i++)
		desc_set(&desc[i], hostile_buf.gpa + i, 1,
			VRING_DESC_F_NEXT | (i < header ? 0 : VRING_DESC_F_WRITE),
			(uint16_t)(i + 1));
	desc[n - 1].flags = VRING_DESC_F_WRITE;
	hostile_buf.p[n - 1] = BLOCK_CANARY;
	ring_post_and_kick(d, 0, 0);
	why = want_returned(d, 0);
	return why || hostile_buf.p[n - 1] == VIRTIO_BLK_S_OK ? why : "a split request fails";
}

static const char *const block_ways[] = { "read", "write", NULL };

static const char *block_wild_sectors(struct dev *d, unsigned q __unused, unsigned write)
{
	const char *why = dev_start(d);
	uint64_t end = block_sectors(d);
	const uint64_t wild[] = { end, end + 1, UINT32_MAX, BIT(32), BIT(54), BIT(55) - 1, BIT(55),
		BIT(55) + 8, BIT(56) - 1, BIT(63), UINT64_MAX / 512, UINT64_MAX - 1, UINT64_MAX };
	uint32_t type = write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN;

	for (unsigned i = 0; !why && i < ARRAY_SIZE(wild) * 3; i++) {
		uint32_t len = (const uint32_t[]){ 512, 4096, 32768 }[i % 3];

		why = block_refused(d,
			&(struct block_request){ .type = type,
				.sector = wild[i / 3],
				.out = write ? len : 0,
				.in = write ? 0 : len },
			VIRTIO_BLK_S_IOERR);
	}
	/* From the last sector on, further than the disk goes. */
	if (!why)
		why = block_refused(d,
			&(struct block_request){ .type = type,
				.sector = end - 1,
				.out = write ? 1024 : 0,
				.in = write ? 0 : 1024 },
			VIRTIO_BLK_S_IOERR);
	return why;
}

static const char *block_odd_lengths(struct dev *d, unsigned q __unused, unsigned write)
{
	static const uint32_t odd[] = { 1, 511, 513, 1023, 4097, 16385 };
	const char *why = dev_start(d);

	for (unsigned i = 0; !why && i < ARRAY_SIZE(odd); i++)
		why = block_refused(d,
			&(struct block_request){ .type = write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN,
				.out = write ? odd[i] : 0,
				.in = write ? 0 : odd[i] },
			VIRTIO_BLK_S_IOERR);
	return why;
}

static const char *block_wrong_way(struct dev *d, unsigned q __unused, unsigned v __unused)
{
	const char *why = dev_start(d);

	if (!why)
		why = block_refused(d,
			&(struct block_request){ .type = VIRTIO_BLK_T_IN, .out = 512 },
			VIRTIO_BLK_S_IOERR);
	if (!why)
		why = block_refused(d,
			&(struct block_request){ .type = VIRTIO_BLK_T_OUT, .in = 512 },
			VIRTIO_BLK_S_IOERR);
	if (!why)
		why = block_refused(d,
			&(struct block_request){ .type = VIRTIO_BLK_T_FLUSH, .in = 512 },
			VIRTIO_BLK_S_IOERR);
	return why;
}

static const char *block_unknown_types(struct dev *d, unsigned q __unused, unsigned v __unused)
{
	static const uint32_t wild[] = { 0xff, 0x100, 0x8000, 0x10000, 0x7fffffff, 0x80000000,
		0x80000001, UINT32_MAX };
	const char *why = dev_start(d);

	for (uint32_t t = 2; !why && t < 48 + ARRAY_SIZE(wild); t++) {
		uint32_t type = t < 48 ? t : wild[t - 48];

		if (type == VIRTIO_BLK_T_FLUSH || type == VIRTIO_BLK_T_GET_ID ||
			type == VIRTIO_BLK_T_DISCARD || type == VIRTIO_BLK_T_WRITE_ZEROES)
			continue;
		why = block_refused(
			d, &(struct block_request){ .type = type, .in = 512 }, VIRTIO_BLK_S_UNSUPP);
	}
	return why;
}

/** Each length: no byte past the buffer, and no more than the name. */
static const char *block_short_id(struct dev *d, unsigned q __unused, unsigned v __unused)
{
	static const uint32_t lens[] = { 0, 1, 19, 20, 21, 512, 4096 };
	const char *why = dev_start(d);

	for (unsigned i = 0; !why && i < ARRAY_SIZE(lens); i++) {
		uint32_t len = 0;
		uint8_t status = 0xff;

		why = block_do(d,
			&(struct block_request){ .type = VIRTIO_BLK_T_GET_ID, .in = lens[i] },
			&status, &len);
		if (!why && status != VIRTIO_BLK_S_OK)
			why = "the name is not told";
		for (unsigned j = VIRTIO_BLK_ID_BYTES + 1; !why && j < lens[i]; j++)
			if (hostile_buf.p[BLOCK_DATA + j] != BLOCK_CANARY)
				why = "bytes behind the name are written";
	}
	return why;
}

/* ---- discard and write zeroes ---- */

static const char *const block_clears[] = { "discard", "write-zeroes", NULL };

static const char *block_wild_segments(struct dev *d, unsigned q __unused, unsigned zeroes)
{
	const char *why = dev_start(d);
	uint64_t end = block_sectors(d);
	const struct virtio_blk_discard_write_zeroes wild[] = {
		{ .sector = end, .num_sectors = 8 },
		{ .sector = end - 8, .num_sectors = 16 },
		{ .sector = UINT64_MAX, .num_sectors = 1 },
		{ .sector = UINT64_MAX - 7, .num_sectors = 8 },
		{ .sector = BIT(55), .num_sectors = 8 },
		{ .sector = BIT(55) - 8, .num_sectors = 16 },
		{ .sector = 0, .num_sectors = UINT32_MAX },
		{ .sector = 8, .num_sectors = 0x80000000 },
		{ .sector = UINT64_MAX, .num_sectors = UINT32_MAX },
	};

	for (unsigned i = 0; !why && i < ARRAY_SIZE(wild); i++)
		why = block_refused(d,
			&(struct block_request){
				.type = zeroes ? VIRTIO_BLK_T_WRITE_ZEROES : VIRTIO_BLK_T_DISCARD,
				.out = sizeof(wild[i]),
				.data = &wild[i] },
			VIRTIO_BLK_S_IOERR);
	return why;
}

static const char *block_segment_flags(struct dev *d, unsigned q __unused, unsigned zeroes)
{
	const char *why = dev_start(d);

	for (unsigned bit = zeroes ? 1 : 0; !why && bit < 32; bit++) {
		struct virtio_blk_discard_write_zeroes seg = {
			.sector = 16, .num_sectors = 8, .flags = 1U << bit
		};

		why = block_refused(d,
			&(struct block_request){
				.type = zeroes ? VIRTIO_BLK_T_WRITE_ZEROES : VIRTIO_BLK_T_DISCARD,
				.out = sizeof(seg),
				.data = &seg },
			VIRTIO_BLK_S_UNSUPP);
	}
	return why;
}

/** None, parts of one, and more of them than a request may have. */
static const char *block_segment_lengths(struct dev *d, unsigned q __unused, unsigned zeroes)
{
	static const uint32_t lens[] = { 0, 1, 15, 17, 31, 16 * 17, 16 * 256 };
	static const uint8_t data[16 * 256];
	const char *why = dev_start(d);

	for (unsigned i = 0; !why && i < ARRAY_SIZE(lens); i++)
		why = block_refused(d,
			&(struct block_request){
				.type = zeroes ? VIRTIO_BLK_T_WRITE_ZEROES : VIRTIO_BLK_T_DISCARD,
				.out = lens[i],
				.data = data },
			VIRTIO_BLK_S_IOERR);
	return why;
}

const struct hostile_case blk_cases[] = {
	{ .name = "request/short-header", .run = block_headers },
	{ .name = "request/without-status", .run = block_no_status },
	{ .name = "request/without-header", .run = block_no_header },
	{ .name = "request/in-single-bytes", .run = block_split },
	{ .name = "request/wild-sector", .run = block_wild_sectors, .variants = block_ways },
	{ .name = "request/odd-length", .run = block_odd_lengths, .variants = block_ways },
	{ .name = "request/wrong-way", .run = block_wrong_way },
	{ .name = "request/unknown-type", .run = block_unknown_types },
	{ .name = "request/short-name", .run = block_short_id },
	{ .name = "request/wild-segment", .run = block_wild_segments, .variants = block_clears },
	{ .name = "request/segment-flags", .run = block_segment_flags, .variants = block_clears },
	{ .name = "request/segment-length",
		.run = block_segment_lengths,
		.variants = block_clears },
	{ .name = NULL },
};
