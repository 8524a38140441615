/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A server of the FUSE protocol (linux/fuse.h, version 7) on a tree, for a kernel that is not
 * trusted. One request comes as iovecs and is answered before the call returns, in iovecs; file
 * contents go between them and the file without a copy of ours.
 *
 * Its memory and descriptors are bounded at the start: nodes by the tree, open files by
 * max_handles (ENFILE), a request's arguments by FUSE_MAX_ARGS.
 *
 * Requests that it does not know are ENOSYS, which a kernel remembers: among them are locks, which
 * the guest's kernel then keeps for itself, and FLUSH, ACCESS, IOCTL, POLL and SYNCFS.
 *
 * A server belongs to one thread.
 */
#pragma once

#include <sys/uio.h>

#include "base/base.h"
#include "base/err.h"
#include "share/tree.h"

#define FUSE_MAX_ARGS  (TREE_MAX_XATTR + KIB) /* bytes of a request without a file's contents */
#define FUSE_MAX_REPLY TREE_MAX_XATTR         /* likewise */
#define FUSE_MAX_IO    MIB                    /* bytes of a file that a request moves */
#define FUSE_MAX_IOV   1024U                  /* of a request, each way */

enum fuse_cache {
	FUSE_CACHE_NEVER,  /* the guest reads from the host each time */
	FUSE_CACHE_AUTO,   /* it drops what it has when a file was changed */
	FUSE_CACHE_ALWAYS, /* it keeps what it has: nobody else changes files */
};

struct fuse_config {
	struct tree_config tree;
	enum fuse_cache cache;
	uint32_t timeout_s;          /* how long names and attributes hold */
	uint32_t negative_timeout_s; /* and that there is no such name */
	bool writeback;              /* the guest writes later */
	uint32_t max_handles;
};

struct fuse;

/** Takes the descriptors of the tree over, also on failure. Returns 0 or -errno with err. */
int __must_check fuse_create(const struct fuse_config *cfg, struct fuse **ret, struct err *err);
/** NULL is fine. */
void fuse_destroy(struct fuse *f);

/** Forgets the session: open files, nodes, what was agreed. */
void fuse_reset(struct fuse *f);

/**
 * Serves the request of in_len bytes in in[0..nr_in), at most FUSE_MAX_IOV each way. Returns how
 * many bytes of out were filled, 0 for a request that has no answer; or -EPROTO: no whole header,
 * or no room to answer.
 */
int64_t __must_check fuse_serve(struct fuse *f, const struct iovec *in, unsigned nr_in,
	uint64_t in_len, const struct iovec *out, unsigned nr_out, uint64_t out_len);
