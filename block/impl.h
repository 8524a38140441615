/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside block/: the image, and a request as a sequence of steps.
 *
 * A step is one system call's worth of work. block_next_step says what it is, an executor
 * runs it, block_step_done judges its result and says whether the request has ended. So
 * short transfers and refused calls are handled once, for every executor.
 */
#pragma once

#include <sys/types.h>

#include "block/block.h"

/** How a range is zeroed, best first; each is tried when the one before is refused. */
enum block_zero_mode { BLOCK_ZERO_PUNCH, BLOCK_ZERO_RANGE, BLOCK_ZERO_WRITE };

/** iovecs kept for a transfer that goes on from its middle. */
#define BLOCK_WINDOW 16

struct block_exec {
	const char *name;
	void (*submit)(struct block *b, struct block_req *r);
	void (*flush)(struct block *b);
	void (*quiesce)(struct block *b);
};

struct block {
	int fd; /* owned */
	uint64_t size;
	uint32_t block_size;
	uint32_t granule;   /* of offsets and lengths */
	uint32_t mem_align; /* of buffers, with O_DIRECT */
	unsigned depth;
	bool ro, direct, sparse;
	bool bdev;             /* a block device, not a file */
	bool no_discard;       /* the file system or device refuses; loop thread after open */
	bool no_zero_range;    /* likewise */
	uint8_t *bounce;       /* owned; with O_DIRECT, BLOCK_BOUNCE bytes, aligned */
	unsigned nr_in_flight; /* loop thread */
	bool batch_open;       /* loop thread: done callbacks ran since the last batch_done */

	const struct block_exec *exec; /* loop thread: falls from io_uring to plain, once */
	struct block_uring *uring;     /* owned; NULL: plain from the start */

	struct loop *loop; /* set by attach */
	void (*batch_done)(void *ctx);
	void *ctx;
};

#define BLOCK_BOUNCE (128 * KIB)

enum block_step_kind { BLOCK_STEP_READ, BLOCK_STEP_WRITE, BLOCK_STEP_FALLOCATE, BLOCK_STEP_SYNC };

struct block_step {
	enum block_step_kind kind;
	const struct iovec *iov;
	unsigned nr_iov;
	int mode; /* FALLOCATE */
	uint64_t off, len;
};

/** window has room for BLOCK_WINDOW iovecs and lives until the step has started. */
void block_next_step(const struct block *b, const struct block_req *r, struct iovec *window,
	struct block_step *ret);
/** res: bytes or -errno. True when r has ended, *ret_res then is 0 or -errno. */
bool block_step_done(struct block *b, struct block_req *r, ssize_t res, int *ret_res);
/** True when the next step of r is only plain_run's: an ioctl, or through the bounce buffer. */
bool block_sync_only(const struct block *b, const struct block_req *r);
/** r has ended: tells its owner. */
void block_complete(struct block *b, struct block_req *r, int res);
/** Ends a run of block_complete. */
void block_end_batch(struct block *b);

/* plain.c */
extern const struct block_exec block_plain_exec;
/** Runs r to its end, from wherever it is. Returns 0 or -errno. */
int block_plain_run(struct block *b, struct block_req *r);

/* uring.c */
extern const struct block_exec block_uring_exec;
/**
 * Returns 0 or -errno. Sets b->uring and b->exec on success. A ring that must be restricted can
 * do what requests do, to b->fd, whoever writes into it: it is a hole in no jail.
 */
int __must_check block_uring_create(struct block *b, bool restricted);
void block_uring_destroy(struct block *b);
int __must_check block_uring_attach(struct block *b);
void block_uring_detach(struct block *b);
