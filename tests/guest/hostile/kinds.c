// SPDX-License-Identifier: BSD-3-Clause
/*
 * A row for each kind of device: its queues, what a good request is, and a good chain for attacks
 * to begin with.
 *
 * VIRTIO 1.2, sections 5.2, 5.3, 5.4, 5.10 and 5.11.
 */
#include "tests/guest/hostile/hostile.h"

#include <linux/fuse.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_vsock.h>
#include <stdio.h>

/* ---- block ---- */

#define BLK_GOOD_SECTOR 8

static unsigned kinds_blk_chain(
	struct dev *d __unused, unsigned q __unused, struct vring_desc *desc, const struct span *s)
{
	struct virtio_blk_outhdr h = { .type = VIRTIO_BLK_T_IN, .sector = BLK_GOOD_SECTOR };

	memcpy(s->p, &h, sizeof(h));
	desc_set(&desc[0], s->gpa, sizeof(h), VRING_DESC_F_NEXT, 1);
	desc_set(&desc[1], s->gpa + 512, 512, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 2);
	desc_set(&desc[2], s->gpa + 16, 1, VRING_DESC_F_WRITE, 0);
	return 3;
}

static const char *kinds_blk_transfer(struct dev *d, unsigned q, uint32_t type)
{
	struct vring_desc *desc = d->ring[q].desc;
	uint32_t head, len, wants = type == VIRTIO_BLK_T_IN ? 513 : 1;
	const char *why;

	kinds_blk_chain(d, q, desc, &d->good);
	le32_put(d->good.p, type);
	if (type == VIRTIO_BLK_T_OUT)
		desc[1].flags = VRING_DESC_F_NEXT;
	d->good.p[16] = 0xee;
	ring_post_and_kick(d, q, 0);
	why = ring_take(d, q, &head, &len);
	if (why)
		return why;
	if (head || len != wants)
		return "a good request returns with a wrong head or length";
	return d->good.p[16] == VIRTIO_BLK_S_OK ? NULL : "a good request fails";
}

/** What is written to a sector is read again. */
static const char *kinds_blk_good(struct dev *d)
{
	unsigned q = d->nr_good++ % d->kind->nr_queues;
	uint8_t *data = d->good.p + 512, wrote[512];
	const char *why;

	for (unsigned i = 0; i < sizeof(wrote); i++)
		wrote[i] = (uint8_t)next_random();
	memcpy(data, wrote, sizeof(wrote));
	why = kinds_blk_transfer(d, q, VIRTIO_BLK_T_OUT);
	if (why)
		return why;
	memset(data, 0, sizeof(wrote));
	why = kinds_blk_transfer(d, q, VIRTIO_BLK_T_IN);
	if (why)
		return why;
	return memcmp(data, wrote, sizeof(wrote)) ? "a sector reads otherwise than written" : NULL;
}

/* ---- console: queue 0 is the guest's input, 1 its output ---- */

/* The test counts the good ones among what comes out. */
#define CONSOLE_GOOD "a good line\n"
#define CONSOLE_LINE "an evil one\n"

_Static_assert(sizeof(CONSOLE_GOOD) == sizeof(CONSOLE_LINE), "one takes the other's place");

static unsigned kinds_console_chain(
	struct dev *d __unused, unsigned q, struct vring_desc *desc, const struct span *s)
{
	memcpy(s->p, CONSOLE_LINE, sizeof(CONSOLE_LINE) - 1);
	desc_set(&desc[0], s->gpa, sizeof(CONSOLE_LINE) - 1, q ? 0 : VRING_DESC_F_WRITE, 0);
	return 1;
}

/** A line goes out, and something comes in: the test's input never ends. */
static const char *kinds_console_good(struct dev *d)
{
	uint32_t head, len;
	const char *why;

	d->nr_good++;
	kinds_console_chain(d, 1, d->ring[1].desc, &d->good);
	memcpy(d->good.p, CONSOLE_GOOD, sizeof(CONSOLE_GOOD) - 1);
	ring_post_and_kick(d, 1, 0);
	why = ring_take(d, 1, &head, &len);
	if (why)
		return why;
	if (head || len)
		return "output returns with a wrong head or length";
	kinds_console_chain(d, 0, d->ring[0].desc, &d->good);
	memset(d->good.p, 0, sizeof(CONSOLE_LINE));
	ring_post_and_kick(d, 0, 0);
	why = ring_take(d, 0, &head, &len);
	if (why)
		return why;
	if (head || !len || len >= sizeof(CONSOLE_LINE))
		return "input returns with a wrong head or length";
	return d->good.p[len - 1] && !d->good.p[len] ? NULL : "input is not as long as it is said";
}

/* ---- rng ---- */

#define RNG_GOOD_LEN 64

static unsigned kinds_rng_chain(
	struct dev *d __unused, unsigned q __unused, struct vring_desc *desc, const struct span *s)
{
	desc_set(&desc[0], s->gpa, RNG_GOOD_LEN, VRING_DESC_F_WRITE, 0);
	return 1;
}

static const char *kinds_rng_good(struct dev *d)
{
	uint32_t head, len;
	const char *why;
	unsigned ones = 0;

	d->nr_good++;
	memset(d->good.p, 0, RNG_GOOD_LEN + 8);
	kinds_rng_chain(d, 0, d->ring[0].desc, &d->good);
	ring_post_and_kick(d, 0, 0);
	why = ring_take(d, 0, &head, &len);
	if (why)
		return why;
	if (head || len != RNG_GOOD_LEN)
		return "entropy returns with a wrong head or length";
	for (unsigned i = 0; i < RNG_GOOD_LEN; i++)
		ones += (unsigned)__builtin_popcount(d->good.p[i]);
	/* Of 512 fair bits, fewer than 128 or more than 384 do not happen. */
	if (ones < 128 || ones > 384)
		return "entropy is not random";
	return le64_get(d->good.p + RNG_GOOD_LEN) ? "entropy goes past its buffer" : NULL;
}

/* ---- fs: queue 0 is for forgotten nodes, 1 for requests; it answers all on both ---- */

static unsigned kinds_fs_chain(
	struct dev *d __unused, unsigned q __unused, struct vring_desc *desc, const struct span *s)
{
	struct {
		struct fuse_in_header h;
		uint32_t major, minor, max_readahead, flags;
	} init = { .h = { .len = sizeof(init), .opcode = FUSE_INIT, .unique = 0x1234 },
		.major = FUSE_KERNEL_VERSION,
		.minor = 31 };

	memcpy(s->p, &init, sizeof(init));
	desc_set(&desc[0], s->gpa, sizeof(init), VRING_DESC_F_NEXT, 1);
	desc_set(&desc[1], s->gpa + 512, 512, VRING_DESC_F_WRITE, 0);
	return 2;
}

/** A session begins, and the root is a directory. */
static const char *kinds_fs_good(struct dev *d)
{
	struct {
		struct fuse_in_header h;
		struct fuse_getattr_in in;
	} get = { .h = { .len = sizeof(get), .opcode = FUSE_GETATTR, .unique = 7, .nodeid = 1 } };
	struct fuse_out_header out;
	struct fuse_attr_out attr;
	uint32_t head, len;
	const char *why;

	d->nr_good++;
	kinds_fs_chain(d, 1, d->ring[1].desc, &d->good);
	ring_post_and_kick(d, 1, 0);
	why = ring_take(d, 1, &head, &len);
	if (why)
		return why;
	memcpy(&out, d->good.p + 512, sizeof(out));
	if (head || len != out.len || out.error || out.unique != 0x1234)
		return "a session does not begin";
	memcpy(d->good.p, &get, sizeof(get));
	desc_set(&d->ring[1].desc[0], d->good.gpa, sizeof(get), VRING_DESC_F_NEXT, 1);
	ring_post_and_kick(d, 1, 0);
	why = ring_take(d, 1, &head, &len);
	if (why)
		return why;
	memcpy(&out, d->good.p + 512, sizeof(out));
	memcpy(&attr, d->good.p + 512 + sizeof(out), sizeof(attr));
	if (len != sizeof(out) + sizeof(attr) || out.error || (attr.attr.mode & 0170000) != 0040000)
		return "the root is no directory";
	return NULL;
}

/* ---- p9 ---- */

static unsigned kinds_p9_chain(
	struct dev *d __unused, unsigned q __unused, struct vring_desc *desc, const struct span *s)
{
	/* Tversion: size, type, tag, msize, version. */
	static const uint8_t version[] = { 21, 0, 0, 0, 100, 0xff, 0xff, 0, 0x10, 0, 0, 8, 0, '9',
		'P', '2', '0', '0', '0', '.', 'L' };

	memcpy(s->p, version, sizeof(version));
	desc_set(&desc[0], s->gpa, sizeof(version), VRING_DESC_F_NEXT, 1);
	desc_set(&desc[1], s->gpa + 512, 512, VRING_DESC_F_WRITE, 0);
	return 2;
}

/** A session begins, and its root is a directory. */
static const char *kinds_p9_good(struct dev *d)
{
	/* Tattach: size, type, tag, fid, afid, uname, aname, n_uname. */
	static const uint8_t attach[] = { 23, 0, 0, 0, 104, 1, 0, 5, 0, 0, 0, 0xff, 0xff, 0xff,
		0xff, 0, 0, 0, 0, 0, 0, 0, 0 };
	const uint8_t *out = d->good.p + 512;
	uint32_t head, len;
	const char *why;

	d->nr_good++;
	kinds_p9_chain(d, 0, d->ring[0].desc, &d->good);
	ring_post_and_kick(d, 0, 0);
	why = ring_take(d, 0, &head, &len);
	if (why)
		return why;
	if (head || len != 21 || out[4] != 101)
		return "a session does not begin";
	memcpy(d->good.p, attach, sizeof(attach));
	desc_set(&d->ring[0].desc[0], d->good.gpa, sizeof(attach), VRING_DESC_F_NEXT, 1);
	ring_post_and_kick(d, 0, 0);
	why = ring_take(d, 0, &head, &len);
	if (why)
		return why;
	return len == 20 && out[4] == 105 && out[7] == 0x80 ? NULL : "the root is no directory";
}

/* ---- vsock: queue 0 is for packets to the guest, 1 for packets of the guest ---- */

static unsigned kinds_vsock_chain(
	struct dev *d __unused, unsigned q, struct vring_desc *desc, const struct span *s)
{
	/* Bytes for a connection that is none: the answer to that is a reset. */
	struct virtio_vsock_hdr h = { .src_cid = HOSTILE_CID,
		.dst_cid = 2,
		.src_port = 77,
		.dst_port = 88,
		.type = 1,
		.op = VIRTIO_VSOCK_OP_RW };

	memcpy(s->p, &h, sizeof(h));
	if (q)
		desc_set(&desc[0], s->gpa, sizeof(h), 0, 0);
	else
		desc_set(&desc[0], s->gpa + 512, 512, VRING_DESC_F_WRITE, 0);
	return 1;
}

static const char *kinds_vsock_good(struct dev *d)
{
	struct virtio_vsock_hdr h;
	uint32_t head, len;
	const char *why;

	d->nr_good++;
	kinds_vsock_chain(d, 0, d->ring[0].desc, &d->good);
	ring_post_and_kick(d, 0, 0);
	kinds_vsock_chain(d, 1, d->ring[1].desc, &d->good);
	ring_post_and_kick(d, 1, 0);
	why = ring_take(d, 1, &head, &len);
	if (why)
		return why;
	if (head || len)
		return "a packet returns with a wrong head or length";
	why = ring_take(d, 0, &head, &len);
	if (why)
		return why;
	memcpy(&h, d->good.p + 512, sizeof(h));
	if (head || len != sizeof(h) || h.op != VIRTIO_VSOCK_OP_RST || h.dst_port != 77)
		return "bytes for nobody are not answered by a reset";
	return NULL;
}

const struct kind hostile_kinds[] = {
	{
		.id = VIRTIO_ID_BLOCK,
		.name = "block",
		.nr_queues = 2,
		.way = { WAY_REQUEST, WAY_REQUEST },
		.good = kinds_blk_good,
		.chain = kinds_blk_chain,
		.cases = blk_cases,
	},
	{
		.id = VIRTIO_ID_CONSOLE,
		.name = "console",
		.nr_queues = 2,
		.way = { WAY_IN, WAY_OUT },
		.good = kinds_console_good,
		.chain = kinds_console_chain,
		.cases = console_cases,
	},
	{
		.id = VIRTIO_ID_RNG,
		.name = "rng",
		.nr_queues = 1,
		.way = { WAY_IN },
		.good = kinds_rng_good,
		.chain = kinds_rng_chain,
		.cases = rng_cases,
	},
	{
		.id = VIRTIO_ID_FS,
		.name = "fs",
		.nr_queues = 2,
		.way = { WAY_REQUEST, WAY_REQUEST },
		.brief = true,
		.good = kinds_fs_good,
		.chain = kinds_fs_chain,
		.cases = fs_cases,
	},
	{
		.id = VIRTIO_ID_9P,
		.name = "p9",
		.nr_queues = 1,
		.way = { WAY_REQUEST },
		.brief = true,
		.good = kinds_p9_good,
		.chain = kinds_p9_chain,
		.cases = p9_cases,
	},
	{
		.id = VIRTIO_ID_VSOCK,
		.name = "vsock",
		.nr_queues = 2,
		.first = 1,
		.way = { WAY_IN, WAY_OUT },
		.brief = true,
		.good = kinds_vsock_good,
		.chain = kinds_vsock_chain,
		.cases = vsock_cases,
	},
	{ .name = NULL },
};
