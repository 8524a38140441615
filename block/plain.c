// SPDX-License-Identifier: BSD-3-Clause
/*
 * Requests as plain system calls, on the loop's thread, one after the other. Also the way
 * of what io_uring cannot take: ioctls, and O_DIRECT on buffers that are not aligned.
 *
 * Invariant: the bounce buffer holds data of one step only; there is one step at a time.
 */
#include "block/impl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

/** Copies between buf and [off, off+len) of r's iovecs. */
static void block_plain_copy(
	const struct block_req *r, uint64_t off, uint8_t *buf, size_t len, bool to_iov)
{
	for (unsigned i = 0; i < r->nr_iov && len; i++) {
		uint8_t *base = r->iov[i].iov_base;
		size_t n = r->iov[i].iov_len;

		if (off >= n) {
			off -= n;
			continue;
		}
		n = MIN(n - off, len);
		memcpy(to_iov ? base + off : buf, to_iov ? buf : base + off, n);
		buf += n;
		len -= n;
		off = 0;
	}
}

/**
 * One chunk through the bounce buffer. After a short transfer it starts at the aligned byte
 * before the progress: those bytes are moved twice, to where they already are.
 */
static ssize_t block_plain_bounce(struct block *b, struct block_req *r)
{
	uint64_t base = align_down_u64(r->progress, b->granule), skip = r->progress - base;
	size_t want = MIN(r->len - base, BLOCK_BOUNCE);
	off_t pos = (off_t)(r->off + base);
	ssize_t n;

	if (r->op == BLOCK_WRITE) {
		block_plain_copy(r, base, b->bounce, want, false);
		n = pwrite(b->fd, b->bounce, want, pos);
	} else {
		n = pread(b->fd, b->bounce, want, pos);
	}
	if (n < 0)
		return -errno;
	if ((uint64_t)n <= skip)
		return 0;
	n -= (ssize_t)skip;
	if (r->op == BLOCK_READ)
		block_plain_copy(r, r->progress, b->bounce + skip, (size_t)n, true);
	return n;
}

static ssize_t block_plain_step(struct block *b, struct block_req *r)
{
	struct iovec window[BLOCK_WINDOW];
	uint64_t range[2] = { r->off, r->len };
	struct block_step s;
	ssize_t n = 0;

	if (block_sync_only(b, r) && r->op != BLOCK_DISCARD)
		return block_plain_bounce(b, r);
	block_next_step(b, r, window, &s);
	switch (s.kind) {
	case BLOCK_STEP_READ:
		n = preadv(b->fd, s.iov, (int)s.nr_iov, (off_t)s.off);
		break;
	case BLOCK_STEP_WRITE:
		n = pwritev(b->fd, s.iov, (int)s.nr_iov, (off_t)s.off);
		break;
	case BLOCK_STEP_FALLOCATE:
		if (b->bdev && r->op == BLOCK_DISCARD)
			n = ioctl(b->fd, BLKDISCARD, range);
		else
			n = fallocate(b->fd, s.mode, (off_t)s.off, (off_t)s.len);
		break;
	case BLOCK_STEP_SYNC:
		n = fdatasync(b->fd);
		break;
	}
	return n < 0 ? -errno : n;
}

int block_plain_run(struct block *b, struct block_req *r)
{
	ssize_t n;
	int res;

	do {
		do
			n = block_plain_step(b, r);
		while (n == -EINTR);
	} while (!block_step_done(b, r, n, &res));
	return res;
}

static void block_plain_submit(struct block *b, struct block_req *r)
{
	block_complete(b, r, block_plain_run(b, r));
}

static void block_plain_quiesce(struct block *b)
{
	BUG_ON(b->nr_in_flight);
	block_end_batch(b);
}

const struct block_exec block_plain_exec = {
	.name = "plain",
	.submit = block_plain_submit,
	.flush = block_end_batch,
	.quiesce = block_plain_quiesce,
};
