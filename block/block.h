/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A disk image: positions, iovecs and fds, never a guest address. Raw files and block
 * devices. Requests run on io_uring, or where the host refuses it on plain system calls;
 * both complete through the same callback.
 *
 * A block image belongs to the thread of its loop, except open and close.
 */
#pragma once

#include <sys/uio.h>

#include "base/base.h"
#include "base/err.h"
#include "base/loop.h"

struct block;

enum block_executor { BLOCK_EXEC_AUTO, BLOCK_EXEC_URING, BLOCK_EXEC_PLAIN };

struct block_config {
	const char *path; /* /proc/self/fd/N is accepted */
	bool ro;
	bool direct;         /* O_DIRECT */
	bool sparse;         /* discard and write-zeroes punch holes */
	bool lock;           /* flock: shared when ro, exclusive otherwise */
	uint32_t block_size; /* logical block size told to the guest: 512..4096, power of two */
	enum block_executor executor;
	unsigned depth; /* requests in flight at once, power of two, 1..1024 */
	/*
	 * For an image that is opened before it is served: fd is the image (owned), as
	 * block_open_file gave it, and path only its name.
	 */
	bool opened;
	int fd;
	bool restricted; /* use no ring but one that the kernel keeps to what requests need */
};

enum block_op { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_DISCARD, BLOCK_WRITE_ZEROES };

/** One request: the caller's storage, untouched by the caller until done. */
struct block_req {
	enum block_op op;
	bool unmap;              /* WRITE_ZEROES may punch a hole */
	const struct iovec *iov; /* READ, WRITE: lives until done, never changed; len bytes */
	unsigned nr_iov;
	uint64_t off, len; /* bytes, multiples of block_granule, inside the image */
	/*
	 * res is 0 or -errno. Loop thread, also from inside block_submit. May submit again,
	 * the same request too.
	 */
	void (*done)(struct block_req *r, int res);

	uint64_t progress; /* set by block/: bytes done, from the start; also of a failed one */

	/* private to block/ */
	uint8_t zero_mode;
	void *priv;
};

/** Opens the image's file and nothing more. Returns the fd, or -errno with err. */
int __must_check block_open_file(const struct block_config *cfg, struct err *err);

/**
 * Opens and locks the image. Errors name "--block: path: cause": missing, not permitted,
 * locked by another, neither file nor block device, size 0 or not a multiple of block_size,
 * O_DIRECT refused or in need of a larger block_size, io_uring asked for and refused.
 * Takes cfg->fd over, also on failure.
 */
int __must_check block_open(const struct block_config *cfg, struct block **ret, struct err *err);
/** NULL is fine. Nothing may be in flight. */
void block_close(struct block *b);

uint64_t block_size(const struct block *b); /* bytes */
/** What off and len are multiples of: 512, more only where O_DIRECT wants it. */
uint32_t block_granule(const struct block *b);
/** The logical block size of the config. */
uint32_t block_logical_size(const struct block *b);
bool block_readonly(const struct block *b);
bool block_can_discard(const struct block *b);
unsigned block_depth(const struct block *b);
/** "io_uring" or "plain", for the log. */
const char *block_executor_name(const struct block *b);

/**
 * Binds to the loop that completions come on. Once. batch_done(ctx), NULL for none, follows
 * each run of done callbacks, on the loop thread: the place to tell a guest once. It must
 * not submit. Returns 0 or -errno.
 */
int __must_check block_attach(
	struct block *b, struct loop *loop, void (*batch_done)(void *ctx), void *ctx);
/** Nothing may be in flight. */
void block_detach(struct block *b);

/** Queues r. At most depth may be in flight; it is the caller's to keep count. */
void block_submit(struct block *b, struct block_req *r);
/**
 * Starts all that was queued: one system call per batch. What has completed by then is
 * delivered from inside. Not from a callback: what those submit is started anyway.
 */
void block_flush_queue(struct block *b);
/**
 * Returns when nothing is in flight; done callbacks have run. Loop thread, or any while no
 * thread runs the loop.
 */
void block_quiesce(struct block *b);
