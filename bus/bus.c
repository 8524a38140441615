// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns the table of ranges, not what is behind them.
 *
 * Invariants:
 * 1. Ranges ascend, do not overlap, are not empty, and their last byte does not wrap.
 * 2. A handler sees only accesses that lie wholly inside its range, of 1, 2, 4 or 8 bytes:
 *    it may index by off without looking again. An access across a boundary belongs to
 *    nobody; splitting it would make widths that no driver asked for.
 *
 * Filled by one thread before start, then read by every vCPU without a lock.
 */
#include "bus/bus.h"

#include <errno.h>

/** Number of ranges that start at or below addr: the last of them is the only candidate. */
static unsigned bus_upper(const struct bus *b, uint64_t addr)
{
	unsigned low = 0, high = b->nr_ranges;

	while (low < high) {
		unsigned mid = low + (high - low) / 2;

		if (b->range[mid].base <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

int bus_add(struct bus *b, uint64_t base, uint64_t len, const struct bus_ops *ops, void *ctx)
{
	unsigned at;

	if (!len || len - 1 > UINT64_MAX - base)
		return -EINVAL;
	at = bus_upper(b, base);
	if (at && base - b->range[at - 1].base < b->range[at - 1].len)
		return -EEXIST;
	if (at < b->nr_ranges && b->range[at].base - base < len)
		return -EEXIST;
	if (b->nr_ranges == BUS_MAX_RANGES)
		return -ENOSPC;
	memmove(&b->range[at + 1], &b->range[at], (b->nr_ranges - at) * sizeof(b->range[0]));
	b->range[at] = (struct bus_range){ .base = base, .len = len, .ops = ops, .ctx = ctx };
	b->nr_ranges++;
	return 0;
}

/** The range that holds all of the access, or NULL. */
static const struct bus_range *bus_find(const struct bus *b, uint64_t addr, unsigned len)
{
	const struct bus_range *r;
	unsigned n;

	if (len > 8 || !is_power_of_2(len))
		return NULL;
	n = bus_upper(b, addr);
	if (!n)
		return NULL;
	r = &b->range[n - 1];
	return range_within(addr, len, r->base, r->len) ? r : NULL;
}

bool bus_read(const struct bus *b, uint64_t addr, void *data, unsigned len)
{
	const struct bus_range *r = bus_find(b, addr, len);

	/* Before the handler too: what it leaves alone must not be the monitor's old bytes. */
	memset(data, 0xff, len);
	if (!r)
		return false;
	r->ops->read(r->ctx, addr - r->base, data, len);
	return true;
}

bool bus_write(const struct bus *b, uint64_t addr, const void *data, unsigned len)
{
	const struct bus_range *r = bus_find(b, addr, len);

	if (!r)
		return false;
	r->ops->write(r->ctx, addr - r->base, data, len);
	return true;
}
