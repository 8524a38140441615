// SPDX-License-Identifier: BSD-3-Clause
/*
 * A raw image: opened, locked and measured; requests broken into steps.
 *
 * Invariants:
 * 1. A request's progress only grows. What was transferred is never transferred again: an
 *    iovec retried from its start after a short write corrupts the image.
 * 2. The caller's iovecs are never changed; a transfer that goes on from its middle gets a
 *    window of adjusted copies.
 * 3. Every step ends the request, adds to its progress, or falls to the next zero mode, so
 *    each request ends.
 * 4. The image is raw whatever its first bytes say: a guest can write any header there.
 */
#include "block/impl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"

#define BLOCK_OPT "--block"

/* One write of zeroes. In .bss and never written: all of it is the kernel's zero page. */
#define BLOCK_ZEROES (256 * KIB)
static uint8_t block_zeroes[BLOCK_ZEROES] __attribute__((aligned(4096)));
static const struct iovec block_zero_iov = { block_zeroes, BLOCK_ZEROES };

static int block_open_failed(const struct block_config *cfg, int code, struct err *err)
{
	if (code == EINVAL && cfg->direct)
		return err_set(err, EINVAL, "%s: %s: the file system does not support O_DIRECT",
			BLOCK_OPT, cfg->path);
	return err_errno(err, code, "%s: %s", BLOCK_OPT, cfg->path);
}

/* Opens without waiting for a fifo's other end; O_NONBLOCK does not stay. */
int block_open_file(const struct block_config *cfg, struct err *err)
{
	int flags = (cfg->ro ? O_RDONLY : O_RDWR) | (cfg->direct ? O_DIRECT : 0);
	fd_auto int fd = fd_open(BLOCK_OPT, cfg->path, flags | O_NONBLOCK, err);
	int have;

	if (fd == -EINVAL && cfg->direct)
		return block_open_failed(cfg, EINVAL, err);
	if (fd < 0)
		return fd;
	/*
	 * io_uring takes O_NONBLOCK as leave to fail with EAGAIN. A descriptor that was
	 * handed in may lack O_DIRECT.
	 */
	have = fcntl(fd, F_GETFL);
	if (have < 0 || fcntl(fd, F_SETFL, (have & ~O_NONBLOCK) | (flags & O_DIRECT)) < 0)
		return block_open_failed(cfg, errno, err);
	return fd_take(&fd);
}

static int block_lock(const struct block *b, const struct block_config *cfg, struct err *err)
{
	if (!flock(b->fd, (cfg->ro ? LOCK_SH : LOCK_EX) | LOCK_NB))
		return 0;
	if (errno == EWOULDBLOCK)
		return err_set(
			err, EBUSY, "%s: %s: is in use by another process", BLOCK_OPT, cfg->path);
	return err_errno(err, errno, "%s: %s: cannot lock", BLOCK_OPT, cfg->path);
}

static int block_measure(struct block *b, const struct block_config *cfg, struct err *err)
{
	struct stat st;
	int rc;

	if (fstat(b->fd, &st) < 0)
		return err_errno(err, errno, "%s: %s", BLOCK_OPT, cfg->path);
	b->bdev = S_ISBLK(st.st_mode);
	if (!b->bdev && !S_ISREG(st.st_mode))
		return err_set(err, ENOTBLK, "%s: %s: is neither a file nor a block device",
			BLOCK_OPT, cfg->path);
	rc = fd_size(b->fd, &b->size);
	if (rc)
		return err_errno(err, -rc, "%s: %s", BLOCK_OPT, cfg->path);
	if (!b->size)
		return err_set(err, EINVAL, "%s: %s: is empty", BLOCK_OPT, cfg->path);
	if (b->size % cfg->block_size)
		return err_set(err, EINVAL,
			"%s: %s: its size, %llu bytes, is not a multiple of the block size, %u",
			BLOCK_OPT, cfg->path, (unsigned long long)b->size, cfg->block_size);
	return 0;
}

/** What the kernel says O_DIRECT needs. False when it does not say. */
static bool block_ask_alignment(struct block *b)
{
#ifdef STATX_DIOALIGN
	struct statx stx;

	if (!statx(b->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) &&
		(stx.stx_mask & STATX_DIOALIGN) && stx.stx_dio_offset_align) {
		b->granule = MAX(stx.stx_dio_offset_align, 512u);
		b->mem_align = MAX(stx.stx_dio_mem_align, 1u);
		return true;
	}
#endif
	return false;
}

/** O_DIRECT: the alignment it needs and the bounce buffer for what is not so aligned. */
static int block_prepare_direct(struct block *b, const struct block_config *cfg, struct err *err)
{
	void *p;
	int logical;

	if (posix_memalign(&p, PAGE_SIZE_4K, BLOCK_BOUNCE))
		return err_errno(err, ENOMEM, "%s: %s", BLOCK_OPT, cfg->path);
	b->bounce = p;
	if (!block_ask_alignment(b)) {
		if (b->bdev && !ioctl(b->fd, BLKSSZGET, &logical) && logical > 0)
			b->granule = (uint32_t)logical;
		else /* a file, and no word: the smallest read that works */
			while (b->granule < PAGE_SIZE_4K && pread(b->fd, p, b->granule, 0) < 0)
				b->granule *= 2;
		b->mem_align = b->granule;
	}
	if (b->granule > cfg->block_size)
		return err_set(err, EINVAL,
			"%s: %s: O_DIRECT needs a block size of %u bytes here, not %u", BLOCK_OPT,
			cfg->path, b->granule, cfg->block_size);
	return 0;
}

static int block_choose_executor(struct block *b, const struct block_config *cfg, struct err *err)
{
	int rc = 0;

	b->exec = &block_plain_exec;
	if (cfg->executor != BLOCK_EXEC_PLAIN)
		rc = block_uring_create(b, cfg->restricted);
	if (rc && cfg->executor == BLOCK_EXEC_URING)
		return err_errno(err, -rc, "%s: %s: io_uring", BLOCK_OPT, cfg->path);
	if (rc)
		log_debug("%s: %s: no io_uring (%s), using plain system calls", BLOCK_OPT,
			cfg->path, strerror(-rc));
	else
		log_debug("%s: %s: %s", BLOCK_OPT, cfg->path, b->exec->name);
	return 0;
}

int block_open(const struct block_config *cfg, struct block **ret, struct err *err)
{
	struct block *b;
	int rc;

	BUG_ON(!is_power_of_2(cfg->block_size) || cfg->block_size < 512);
	BUG_ON(!is_power_of_2(cfg->depth) || cfg->depth > 1024);
	b = calloc(1, sizeof(*b));
	if (!b) {
		int fd = cfg->opened ? cfg->fd : -1;

		fd_close(&fd);
		return err_errno(err, ENOMEM, "%s: %s", BLOCK_OPT, cfg->path);
	}
	b->ro = cfg->ro;
	b->direct = cfg->direct;
	b->sparse = cfg->sparse;
	b->block_size = cfg->block_size;
	b->granule = 512;
	b->depth = cfg->depth;
	rc = b->fd = cfg->opened ? cfg->fd : block_open_file(cfg, err);
	if (rc >= 0)
		rc = block_measure(b, cfg, err);
	if (!rc && cfg->lock)
		rc = block_lock(b, cfg, err);
	if (!rc && cfg->direct)
		rc = block_prepare_direct(b, cfg, err);
	if (!rc)
		rc = block_choose_executor(b, cfg, err);
	if (rc) {
		block_close(b);
		return rc;
	}
	/* A hole past the end changes nothing, and tells whether this file can have one. */
	if (!b->ro && !b->bdev)
		b->no_discard = fallocate(b->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					(off_t)b->size, PAGE_SIZE_4K) < 0;
	*ret = b;
	return 0;
}

void block_close(struct block *b)
{
	if (!b)
		return;
	BUG_ON(b->nr_in_flight);
	block_detach(b);
	block_uring_destroy(b);
	free(b->bounce);
	fd_close(&b->fd);
	free(b);
}

uint64_t block_size(const struct block *b)
{
	return b->size;
}

uint32_t block_granule(const struct block *b)
{
	return b->granule;
}

uint32_t block_logical_size(const struct block *b)
{
	return b->block_size;
}

bool block_readonly(const struct block *b)
{
	return b->ro;
}

bool block_can_discard(const struct block *b)
{
	return !b->ro && b->sparse && !b->no_discard;
}

unsigned block_depth(const struct block *b)
{
	return b->depth;
}

const char *block_executor_name(const struct block *b)
{
	return b->exec->name;
}

int block_attach(struct block *b, struct loop *loop, void (*batch_done)(void *ctx), void *ctx)
{
	BUG_ON(b->loop);
	b->loop = loop;
	b->batch_done = batch_done;
	b->ctx = ctx;
	return b->uring ? block_uring_attach(b) : 0;
}

void block_detach(struct block *b)
{
	BUG_ON(b->nr_in_flight);
	if (b->loop && b->uring)
		block_uring_detach(b);
	b->loop = NULL;
	b->batch_done = NULL;
}

void block_submit(struct block *b, struct block_req *r)
{
	BUG_ON(b->nr_in_flight == b->depth);
	BUG_ON(b->ro && r->op != BLOCK_READ && r->op != BLOCK_FLUSH);
	r->progress = 0;
	r->zero_mode = BLOCK_ZERO_PUNCH;
	if (!r->unmap || !b->sparse || b->no_discard)
		r->zero_mode = b->no_zero_range ? BLOCK_ZERO_WRITE : BLOCK_ZERO_RANGE;
	b->nr_in_flight++;
	b->exec->submit(b, r);
}

void block_flush_queue(struct block *b)
{
	b->exec->flush(b);
}

void block_quiesce(struct block *b)
{
	b->exec->quiesce(b);
}

void block_complete(struct block *b, struct block_req *r, int res)
{
	b->nr_in_flight--;
	b->batch_open = true;
	r->done(r, res);
}

void block_end_batch(struct block *b)
{
	if (!b->batch_open)
		return;
	b->batch_open = false;
	if (b->batch_done)
		b->batch_done(b->ctx);
}

/** As many iovecs of r as fit, from its progress on. Returns how many. */
static unsigned block_fill_window(const struct block_req *r, struct iovec *window)
{
	uint64_t skip = r->progress;
	unsigned n = 0;

	for (unsigned i = 0; i < r->nr_iov && n < BLOCK_WINDOW; i++) {
		size_t len = r->iov[i].iov_len;

		if (skip >= len) {
			skip -= len;
			continue;
		}
		window[n].iov_base = (uint8_t *)r->iov[i].iov_base + skip;
		window[n++].iov_len = len - skip;
		skip = 0;
	}
	return n;
}

static void block_transfer_step(
	const struct block_req *r, struct iovec *window, struct block_step *s)
{
	s->iov = r->iov;
	s->nr_iov = r->nr_iov;
	if (!r->progress && r->nr_iov <= IOV_MAX)
		return;
	s->nr_iov = block_fill_window(r, window);
	s->iov = window;
}

static void block_zero_step(const struct block_req *r, struct iovec *window, struct block_step *s)
{
	s->kind = BLOCK_STEP_FALLOCATE;
	s->mode = FALLOC_FL_KEEP_SIZE |
		(r->zero_mode == BLOCK_ZERO_PUNCH ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);
	if (r->zero_mode != BLOCK_ZERO_WRITE)
		return;
	s->kind = BLOCK_STEP_WRITE;
	*window = block_zero_iov;
	window->iov_len = MIN(s->len, window->iov_len);
	s->iov = window;
	s->nr_iov = 1;
}

void block_next_step(const struct block *b __unused, const struct block_req *r,
	struct iovec *window, struct block_step *ret)
{
	*ret = (struct block_step){ .off = r->off + r->progress, .len = r->len - r->progress };
	switch (r->op) {
	case BLOCK_READ:
	case BLOCK_WRITE:
		ret->kind = r->op == BLOCK_READ ? BLOCK_STEP_READ : BLOCK_STEP_WRITE;
		block_transfer_step(r, window, ret);
		break;
	case BLOCK_FLUSH:
		ret->kind = BLOCK_STEP_SYNC;
		break;
	case BLOCK_DISCARD:
		ret->kind = BLOCK_STEP_FALLOCATE;
		ret->mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
		break;
	case BLOCK_WRITE_ZEROES:
		block_zero_step(r, window, ret);
		break;
	}
}

/** Bytes moved: true at the end, or when there will be no more. */
static bool block_transferred(struct block_req *r, ssize_t res, int *ret_res)
{
	if (res > 0)
		r->progress += MIN((uint64_t)res, r->len - r->progress);
	*ret_res = 0;
	if (res < 0)
		*ret_res = (int)res;
	else if (res == 0 && r->progress < r->len)
		*ret_res = -EIO; /* the file shrank under us */
	return *ret_res || r->progress == r->len;
}

/** How a call says that it will not work here, as opposed to that it failed. */
static bool block_refused(ssize_t res)
{
	return res == -EOPNOTSUPP || res == -EINVAL || res == -ENOSYS;
}

static bool block_zeroed(struct block *b, struct block_req *r, ssize_t res, int *ret_res)
{
	if (r->zero_mode == BLOCK_ZERO_WRITE)
		return block_transferred(r, res, ret_res);
	if (!block_refused(res)) {
		*ret_res = (int)res;
		return true;
	}
	if (r->zero_mode == BLOCK_ZERO_RANGE && res != -EINVAL)
		b->no_zero_range = true;
	r->zero_mode++;
	return false;
}

bool block_step_done(struct block *b, struct block_req *r, ssize_t res, int *ret_res)
{
	if (r->op == BLOCK_READ || r->op == BLOCK_WRITE)
		return block_transferred(r, res, ret_res);
	if (r->op == BLOCK_WRITE_ZEROES)
		return block_zeroed(b, r, res, ret_res);
	*ret_res = (int)res;
	/* To discard is advice: a host that cannot follow it has done all it could. */
	if (r->op == BLOCK_DISCARD && block_refused(res))
		*ret_res = 0;
	return true;
}

/** True when O_DIRECT would not take r as it is. */
static bool block_unaligned(const struct block *b, const struct block_req *r)
{
	if (r->progress % b->granule)
		return true;
	for (unsigned i = 0; i < r->nr_iov; i++)
		if ((uintptr_t)r->iov[i].iov_base % b->mem_align || r->iov[i].iov_len % b->granule)
			return true;
	return false;
}

bool block_sync_only(const struct block *b, const struct block_req *r)
{
	if (r->op == BLOCK_DISCARD)
		return b->bdev;
	if (!b->direct || (r->op != BLOCK_READ && r->op != BLOCK_WRITE))
		return false;
	return block_unaligned(b, r);
}
