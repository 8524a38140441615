// SPDX-License-Identifier: BSD-3-Clause
/*
 * Attacks on the 9P device: requests that cannot be answered, and requests of any type, numbers and
 * lengths, all of which must be.
 */
#include "tests/guest/hostile/hostile.h"

#define P9_HEAD 7U
/* Of an error, which every answer must have room for. */
#define P9_ERROR (P9_HEAD + 4)

static const char *p9_broken(struct dev *d, unsigned q, unsigned variant)
{
	return request_unanswerable(d, q, variant, P9_HEAD, P9_ERROR);
}

/** A header whose length is true, or is not; arguments that are anything, small numbers mostly. */
static uint32_t p9_request(uint8_t *p)
{
	/* version, attach, statfs, lopen and so on are even; all that there are lie between. */
	uint32_t x = next_random(), len = P9_HEAD + x % 300, type = 6 + 2 * (next_random() % 62);

	for (uint32_t i = 0; i < len; i++) {
		uint32_t v = next_random();

		p[i] = (uint8_t)(v % 3 ? v % 5 : v);
	}
	le32_put(p, x % 7 ? len : next_random());
	/* Without a session nothing gets further, so none begins anew but now and then. */
	p[4] = (uint8_t)(type == 100 && x % 16 ? 110 : type);
	return len;
}

static const char *p9_anything(struct dev *d, unsigned q, unsigned v __unused)
{
	return request_anything(d, q, p9_request, P9_HEAD, false);
}

const struct hostile_case p9_cases[] = {
	{ .name = "p9/unanswerable", .run = p9_broken, .variants = request_unanswerables },
	{ .name = "p9/anything", .run = p9_anything },
	{ .name = NULL },
};
