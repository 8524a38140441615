// SPDX-License-Identifier: BSD-3-Clause
/*
 * Attacks on the file system device: requests that cannot be answered, and requests of any words,
 * nodes and lengths, all of which must be.
 */
#include "tests/guest/hostile/hostile.h"

#include <linux/fuse.h>

#define FS_ROUNDS 1500
#define FS_ROOM   1024U
#define FS_LEN    4096U

static const char *const fs_unanswerable[] = { "short-header", "no-room", "only-writable", NULL };

static const char *fs_broken(struct dev *d, unsigned q, unsigned variant)
{
	const char *why = dev_start(d);
	struct vring_desc *desc = d->ring[q].desc;

	if (why)
		return why;
	d->kind->chain(d, q, desc, &hostile_buf);
	if (variant == 0)
		desc[0].len = sizeof(struct fuse_in_header) - 1;
	else if (variant == 1)
		desc[1].len = sizeof(struct fuse_out_header) - 1;
	else
		desc_set(&desc[0], hostile_buf.gpa, 512, VRING_DESC_F_WRITE, 0);
	ring_post_and_kick(d, q, 0);
	return want_broken(d);
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
	const char *why = dev_start(d);
	struct vring_desc *desc = d->ring[q].desc;

	if (!why)
		why = d->kind->good(d);
	for (unsigned i = 0; !why && i < FS_ROUNDS; i++) {
		uint32_t head, len, in = fs_request(hostile_buf.p);

		desc_set(&desc[0], hostile_buf.gpa, in, VRING_DESC_F_NEXT, 1);
		desc_set(&desc[1], hostile_buf.gpa + FS_LEN, FS_ROOM, VRING_DESC_F_WRITE, 0);
		ring_post_and_kick(d, q, 0);
		why = ring_take(d, q, &head, &len);
		if (!why &&
			(head || len > FS_ROOM || (len && len < sizeof(struct fuse_out_header))))
			why = "a request returns with a wrong length";
	}
	return why ? why : want_unbroken(d);
}

const struct hostile_case fs_cases[] = {
	{ .name = "fs/unanswerable",
		.run = fs_broken,
		.variants = fs_unanswerable,
		.each_queue = true },
	{ .name = "fs/anything", .run = fs_anything, .each_queue = true },
	{ .name = NULL },
};
