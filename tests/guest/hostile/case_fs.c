// SPDX-License-Identifier: BSD-3-Clause
/*
 * Attacks on the file system device: requests that cannot be answered, and requests of any words,
 * nodes and lengths, all of which must be.
 */
#include "tests/guest/hostile/hostile.h"

#include <linux/fuse.h>

static const char *fs_broken(struct dev *d, unsigned q, unsigned variant)
{
	return request_unanswerable(
		d, q, variant, sizeof(struct fuse_in_header), sizeof(struct fuse_out_header));
}

/** A header whose length is true, or is not; arguments that are anything. */
static uint32_t fs_request(uint8_t *p)
{
	uint32_t x = next_random(), len = (uint32_t)sizeof(struct fuse_in_header) + x % 600;
	struct fuse_in_header h = { .len = x % 7 ? len : next_random(),
		.opcode = next_random() % 53,
		.unique = next_random(),
		.nodeid = next_random() % 4 ? 1 : next_random() % 8 };

	/* What the guest's end of a session would be is left out: it would end all attacks. */
	if (h.opcode == FUSE_DESTROY)
		h.opcode = FUSE_INIT;
	for (uint32_t i = 0; i < len; i += 4) {
		uint32_t v = next_random();

		/* Small numbers get further. */
		v = v % 3 ? v % 5 : v;
		memcpy(p + i, &v, 4);
	}
	memcpy(p, &h, sizeof(h));
	return len;
}

static const char *fs_anything(struct dev *d, unsigned q, unsigned v __unused)
{
	/* Some have no answer. */
	return request_anything(d, q, fs_request, sizeof(struct fuse_out_header), true);
}

const struct hostile_case fs_cases[] = {
	{ .name = "fs/unanswerable",
		.run = fs_broken,
		.variants = request_unanswerables,
		.each_queue = true },
	{ .name = "fs/anything", .run = fs_anything, .each_queue = true },
	{ .name = NULL },
};
