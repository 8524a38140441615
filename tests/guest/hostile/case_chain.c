// SPDX-License-Identifier: BSD-3-Clause
/*
 * Attacks on the shape of chains: links, indirect tables, buffers, directions.
 */
#include "tests/guest/hostile/hostile.h"

/**
 * Posts the chain at descriptor 0 of a started device, which must refuse it. Good chains around
 * it are returned or not; this one is not.
 */
static const char *chain_refused(struct dev *d, unsigned q)
{
	const char *why;

	ring_post_and_kick(d, q, 0);
	why = want_broken(d);
	if (!why && d->ring[q].used->idx)
		why = "a bad chain is returned";
	return why;
}

/* ---- links ---- */

static const char *const chain_links[] = { "to-itself", "between-two", "through-all", "to-size",
	"to-65535", NULL };

static const char *chain_link(struct dev *d, unsigned q, unsigned variant)
{
	const char *why = dev_start(d);
	struct ring *r = &d->ring[q];
	uint16_t flags = VRING_DESC_F_NEXT | way_flag(d, q);

	if (why)
		return why;
	for (uint16_t i = 0; i < r->size; i++)
		desc_set(&r->desc[i], hostile_buf.gpa + 64U * i, 64, flags,
			(uint16_t)((i + 1) % r->size));
	if (variant == 0)
		r->desc[0].next = 0;
	else if (variant == 1)
		r->desc[1].next = 0;
	else if (variant == 3)
		r->desc[1].next = r->size;
	else if (variant == 4)
		r->desc[1].next = 65535;
	return chain_refused(d, q);
}

/* ---- indirect tables ---- */

enum chain_table {
	TABLE_NOT_NEGOTIATED,
	TABLE_IN_TABLE,
	TABLE_LOOPS,
	TABLE_NEXT_OUTSIDE,
	TABLE_ODD,
	TABLE_EMPTY,
	TABLE_HUGE,
	TABLE_LONGER_THAN_QUEUE,
	TABLE_WITH_NEXT,
	TABLE_BEHIND_RAM,
	TABLE_ACROSS_RAM,
	TABLE_IN_REGISTERS,
	TABLE_WRAPS,
};

static const char *const chain_tables[] = { "not-negotiated", "in-a-table", "that-loops",
	"next-outside", "of-odd-length", "empty", "of-4-gib", "longer-than-the-queue", "with-next",
	"behind-ram", "across-the-end-of-ram", "in-registers", "that-wraps", NULL };

static const char *chain_table(struct dev *d, unsigned q, unsigned variant)
{
	uint64_t mask = variant == TABLE_NOT_NEGOTIATED ? ~BIT(VIRTIO_RING_F_INDIRECT_DESC)
							: UINT64_MAX;
	const char *why = dev_start_masked(d, mask);
	struct ring *r = &d->ring[q];
	struct vring_desc *table = (void *)r->table.p;
	uint16_t flags = VRING_DESC_F_NEXT | way_flag(d, q);

	if (why)
		return why;
	for (uint16_t i = 0; i < r->size + 1; i++)
		desc_set(&table[i], hostile_buf.gpa, 16, flags, (uint16_t)(i + 1));
	table[3].flags &= (uint16_t)~VRING_DESC_F_NEXT;
	desc_set(&r->desc[0], r->table.gpa, 64, VRING_DESC_F_INDIRECT, 0);
	switch ((enum chain_table)variant) {
	case TABLE_NOT_NEGOTIATED:
		break;
	case TABLE_IN_TABLE:
		desc_set(&table[1], r->table.gpa, 64, VRING_DESC_F_INDIRECT, 0);
		break;
	case TABLE_LOOPS:
		table[3].flags = flags;
		table[3].next = 0;
		break;
	case TABLE_NEXT_OUTSIDE:
		table[1].next = 4;
		break;
	case TABLE_ODD:
		r->desc[0].len = 72;
		break;
	case TABLE_EMPTY:
		r->desc[0].len = 0;
		break;
	case TABLE_HUGE:
		r->desc[0].len = 0xfffffff0;
		break;
	case TABLE_LONGER_THAN_QUEUE:
		r->desc[0].len = (r->size + 1U) * 16;
		break;
	case TABLE_WITH_NEXT:
		r->desc[0].flags |= VRING_DESC_F_NEXT;
		r->desc[0].next = 1;
		desc_set(&r->desc[1], hostile_buf.gpa, 16, way_flag(d, q), 0);
		break;
	case TABLE_BEHIND_RAM:
		r->desc[0].addr = hostile_ram_end;
		break;
	case TABLE_ACROSS_RAM:
		r->desc[0].addr = hostile_ram_end - 16;
		break;
	case TABLE_IN_REGISTERS:
		r->desc[0].addr = d->base;
		break;
	case TABLE_WRAPS:
		r->desc[0].addr = UINT64_MAX - 15;
		break;
	}
	return chain_refused(d, q);
}

/** A good chain in a table at an odd address: it has no alignment to keep (2.7.5.3). */
static const char *chain_table_unaligned(struct dev *d, unsigned q, unsigned variant __unused)
{
	const char *why = dev_start(d);
	struct ring *r = &d->ring[q];
	struct vring_desc desc[8];
	unsigned n;

	if (why)
		return why;
	n = d->kind->chain(d, q, desc, &hostile_buf);
	memcpy(r->table.p + 7, desc, n * sizeof(desc[0]));
	desc_set(&r->desc[0], r->table.gpa + 7, n * (uint32_t)sizeof(desc[0]),
		VRING_DESC_F_INDIRECT, 0);
	ring_post_and_kick(d, q, 0);
	return want_returned(d, q);
}

/* ---- buffers ---- */

enum chain_buffer {
	BUFFER_EMPTY,
	BUFFER_4_GIB,
	BUFFER_BEHIND_RAM,
	BUFFER_ACROSS_RAM,
	BUFFER_NOWHERE,
	BUFFER_IN_REGISTERS,
	BUFFER_IN_OTHER_REGISTERS,
	BUFFER_INTO_REGISTERS,
	BUFFER_WRAPS,
	BUFFER_ENDS_AT_TOP,
};

static const char *const chain_buffers[] = { "empty", "of-4-gib", "behind-ram",
	"across-the-end-of-ram", "nowhere", "in-its-registers", "in-other-registers",
	"of-64-kib-up-to-its-registers", "that-wraps", "up-to-the-top", NULL };

static void chain_spoil(struct dev *d, unsigned variant, struct vring_desc *desc)
{
	switch ((enum chain_buffer)variant) {
	case BUFFER_EMPTY:
		desc->len = 0;
		break;
	case BUFFER_4_GIB:
		desc->len = UINT32_MAX;
		break;
	case BUFFER_BEHIND_RAM:
		desc->addr = hostile_ram_end;
		break;
	case BUFFER_ACROSS_RAM:
		desc->addr = hostile_ram_end - 8;
		desc->len = 16;
		break;
	case BUFFER_NOWHERE:
		desc->addr = HOSTILE_NOWHERE;
		break;
	case BUFFER_IN_REGISTERS:
		desc->addr = d->base + VIRTIO_MMIO_CONFIG;
		break;
	case BUFFER_IN_OTHER_REGISTERS:
		desc->addr = memory_other(d)->base;
		break;
	case BUFFER_INTO_REGISTERS:
		desc->addr = d->base - 65536 + 64;
		desc->len = 65536;
		break;
	case BUFFER_WRAPS:
		desc->addr = UINT64_MAX - 255;
		desc->len = 512;
		break;
	case BUFFER_ENDS_AT_TOP:
		desc->addr = UINT64_MAX - 15;
		desc->len = 16;
		break;
	}
}

/** A good chain with each of its descriptors spoilt in turn. */
static const char *chain_buffer(struct dev *d, unsigned q, unsigned variant)
{
	unsigned n = 1;

	for (unsigned i = 0; i < n; i++) {
		const char *why = dev_start(d);

		if (why)
			return why;
		n = d->kind->chain(d, q, d->ring[q].desc, &hostile_buf);
		chain_spoil(d, variant, &d->ring[q].desc[i]);
		why = chain_refused(d, q);
		if (why)
			return why;
	}
	return NULL;
}

/* Less than the guest has, and a queue of 64 has room for 4 GiB of it. */
#define CHAIN_PIECE (128U << 20)

/** Buffers that are RAM, each of them, and 4 GiB together. */
static const char *chain_sum(struct dev *d, unsigned q, unsigned variant __unused)
{
	const char *why = dev_start(d);
	struct ring *r = &d->ring[q];
	uint64_t sum = 0;
	uint16_t i = 0;

	if (why)
		return why;
	while (sum <= UINT32_MAX && i < r->size) {
		desc_set(&r->desc[i], hostile_ram_end - CHAIN_PIECE, CHAIN_PIECE,
			VRING_DESC_F_NEXT | way_flag(d, q), (uint16_t)(i + 1));
		sum += CHAIN_PIECE;
		i++;
	}
	if (i == r->size)
		return "the queue is too short for this";
	desc_set(&r->desc[i], hostile_buf.gpa, 16, way_flag(d, q), 0);
	return chain_refused(d, q);
}

static const char *chain_write_before_read(struct dev *d, unsigned q, unsigned variant __unused)
{
	const char *why = dev_start(d);
	struct vring_desc *desc = d->ring[q].desc;

	if (why)
		return why;
	desc_set(&desc[0], hostile_buf.gpa, 64, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 1);
	desc_set(&desc[1], hostile_buf.gpa + 64, 64, 0, 0);
	return chain_refused(d, q);
}

/** Flags that do not exist are no reason to do anything else. */
static const char *chain_unknown_flags(struct dev *d, unsigned q, unsigned variant __unused)
{
	const char *why = dev_start(d);
	struct vring_desc *desc = d->ring[q].desc;
	unsigned n;

	if (why)
		return why;
	n = d->kind->chain(d, q, desc, &hostile_buf);
	for (unsigned i = 0; i < n; i++)
		desc[i].flags |= 0xfff8;
	ring_post_and_kick(d, q, 0);
	return want_returned(d, q);
}

/** As many descriptors as the queue has, one byte each but the last, which answers may need. */
static const char *chain_longest(struct dev *d, unsigned q, unsigned variant __unused)
{
	const char *why = dev_start(d);
	struct ring *r = &d->ring[q];
	uint16_t flags = way_flag(d, q);

	if (why)
		return why;
	memset(hostile_buf.p, 0, r->size);
	for (uint16_t i = 0; i < r->size; i++)
		desc_set(&r->desc[i], hostile_buf.gpa + i, 1, VRING_DESC_F_NEXT | flags,
			(uint16_t)(i + 1));
	desc_set(&r->desc[r->size - 1], hostile_buf.gpa + r->size, 16,
		d->kind->way[q] == WAY_OUT ? 0 : VRING_DESC_F_WRITE, 0);
	ring_post_and_kick(d, q, 0);
	return want_returned(d, q);
}

const struct hostile_case chain_cases[] = {
	{ .name = "chain/links", .run = chain_link, .variants = chain_links, .each_queue = true },
	{ .name = "chain/table", .run = chain_table, .variants = chain_tables, .each_queue = true },
	{ .name = "chain/table-at-an-odd-address",
		.run = chain_table_unaligned,
		.each_queue = true },
	{ .name = "chain/buffer",
		.run = chain_buffer,
		.variants = chain_buffers,
		.each_queue = true },
	{ .name = "chain/buffers-of-4-gib-together", .run = chain_sum, .each_queue = true },
	{ .name = "chain/write-before-read", .run = chain_write_before_read, .each_queue = true },
	{ .name = "chain/unknown-flags", .run = chain_unknown_flags, .each_queue = true },
	{ .name = "chain/longest", .run = chain_longest, .each_queue = true },
	{ .name = NULL },
};
