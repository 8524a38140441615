// SPDX-License-Identifier: BSD-3-Clause
/*
 * Where in RAM something fits.
 *
 * Invariants:
 * 1. A run is a stretch of RAM without a hole, start < end, however many regions it spans.
 * 2. Inside a window lo < hi; sizes are compared with hi - lo, so nothing a file says is ever
 *    added to an address before it is known to fit.
 */
#include "loader/internal.h"

struct place_run {
	gpa_t start, end; /* end is exclusive */
};

/** A region may end at 2^64, which no gpa_t can say: its last page is left alone. */
static gpa_t place_region_end(const struct gm_region *r)
{
	gpa_t end;

	if (__builtin_add_overflow(r->base, r->len, &end))
		end = align_down_u64(UINT64_MAX, PAGE_SIZE_4K);
	return end;
}

/** The run that starts at region *i; moves *i past it. False when there are no more. */
static bool place_next_run(const struct guest_memory *gm, unsigned *i, struct place_run *ret)
{
	if (*i >= gm->nr_regions)
		return false;
	ret->start = gm->region[*i].base;
	ret->end = place_region_end(&gm->region[*i]);
	while (++*i < gm->nr_regions && gm->region[*i].base == ret->end)
		ret->end = place_region_end(&gm->region[*i]);
	return true;
}

/** What of the run lies in [from, limit), cut to multiples of align. False when nothing. */
static bool place_window(const struct place_run *run, gpa_t from, gpa_t limit, uint64_t align,
	gpa_t *ret_lo, gpa_t *ret_hi)
{
	*ret_hi = MIN(run->end, limit);
	return align_up_u64(MAX(run->start, from), align, ret_lo) && *ret_lo < *ret_hi;
}

uint64_t place_ram_from(const struct guest_memory *gm, gpa_t gpa)
{
	struct place_run run;

	for (unsigned i = 0; place_next_run(gm, &i, &run);)
		if (gpa >= run.start && gpa < run.end)
			return run.end - gpa;
	return 0;
}

bool place_lowest(const struct guest_memory *gm, gpa_t from, gpa_t limit, uint64_t align,
	uint64_t len, gpa_t *ret_gpa)
{
	struct place_run run;
	gpa_t lo, hi;

	for (unsigned i = 0; place_next_run(gm, &i, &run);) {
		if (!place_window(&run, from, limit, align, &lo, &hi) || len > hi - lo)
			continue;
		*ret_gpa = lo;
		return true;
	}
	return false;
}

bool place_highest(const struct guest_memory *gm, gpa_t from, gpa_t limit, uint64_t align,
	uint64_t len, gpa_t *ret_gpa)
{
	struct place_run run;
	bool found = false;
	gpa_t lo, hi;

	for (unsigned i = 0; place_next_run(gm, &i, &run);) {
		if (!place_window(&run, from, limit, align, &lo, &hi) || len > hi - lo)
			continue;
		/* Not below lo, which is a multiple of align itself. */
		*ret_gpa = align_down_u64(hi - len, align);
		found = true;
	}
	return found;
}

uint64_t place_largest(const struct guest_memory *gm, gpa_t from, gpa_t limit, uint64_t align)
{
	struct place_run run;
	uint64_t best = 0;
	gpa_t lo, hi;

	for (unsigned i = 0; place_next_run(gm, &i, &run);)
		if (place_window(&run, from, limit, align, &lo, &hi))
			best = MAX(best, hi - lo);
	return best;
}
