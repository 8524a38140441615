// SPDX-License-Identifier: BSD-3-Clause
/*
 * Attacks on the 9P device: requests that cannot be answered, and requests of any type, numbers and
 * lengths, all of which must be.
 */
#include "tests/guest/hostile/hostile.h"

#define P9_ROUNDS 1500
#define P9_ROOM   1024U
#define P9_LEN    4096U
#define P9_HEAD   7U

static const char *const p9_unanswerable[] = { "short-header", "no-room", "only-writable", NULL };

static const char *p9_broken(struct dev *d, unsigned q, unsigned variant)
{
	const char *why = dev_start(d);
	struct vring_desc *desc = d->ring[q].desc;

	if (why)
		return why;
	d->kind->chain(d, q, desc, &hostile_buf);
	if (variant == 0)
		desc[0].len = P9_HEAD - 1;
	else if (variant == 1)
		desc[1].len = P9_HEAD + 3;
	else
		desc_set(&desc[0], hostile_buf.gpa, 512, VRING_DESC_F_WRITE, 0);
	ring_post_and_kick(d, q, 0);
	return want_broken(d);
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
	const char *why = dev_start(d);
	struct vring_desc *desc = d->ring[q].desc;

	if (!why)
		why = d->kind->good(d);
	for (unsigned i = 0; !why && i < P9_ROUNDS; i++) {
		uint32_t head, len, in = p9_request(hostile_buf.p);

		desc_set(&desc[0], hostile_buf.gpa, in, VRING_DESC_F_NEXT, 1);
		desc_set(&desc[1], hostile_buf.gpa + P9_LEN, P9_ROOM, VRING_DESC_F_WRITE, 0);
		ring_post_and_kick(d, q, 0);
		why = ring_take(d, q, &head, &len);
		if (!why && (head || len > P9_ROOM || len < P9_HEAD))
			why = "a request returns with a wrong length";
	}
	return why ? why : want_unbroken(d);
}

const struct hostile_case p9_cases[] = {
	{ .name = "p9/unanswerable", .run = p9_broken, .variants = p9_unanswerable },
	{ .name = "p9/anything", .run = p9_anything },
	{ .name = NULL },
};
