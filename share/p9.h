/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A server of 9P2000.L on a tree, for a kernel that is not trusted: diod's protocol.md and Linux's
 * include/net/9p/9p.h. As share/fuse.h in all that is not of the protocol: one request, answered
 * before the call returns, contents without a copy of ours, everything bounded at the start (nodes
 * by the tree, fids by max_fids).
 *
 * Files belong to the tree's one owner; who attaches is not asked. Locks are the client's own: it
 * is told that it has them. Names are moved and removed by their directory only (Trenameat,
 * Tunlinkat), as Linux does; Trename and Tremove are EOPNOTSUPP.
 *
 * A server belongs to one thread.
 */
#pragma once

#include <sys/uio.h>

#include "base/base.h"
#include "base/err.h"
#include "share/tree.h"

#define P9_MAX_MSIZE (512 * KIB)
#define P9_MAX_ARGS  (TREE_MAX_XATTR + KIB) /* bytes of a request without a file's contents */
#define P9_MAX_IOV   1024U                  /* of a request, each way */

struct p9_config {
	struct tree_config tree;
	uint32_t max_fids;
};

struct p9;

/** Takes the descriptors of the tree over, also on failure. Returns 0 or -errno with err. */
int __must_check p9_create(const struct p9_config *cfg, struct p9 **ret, struct err *err);
/** NULL is fine. */
void p9_destroy(struct p9 *p);

/** Forgets the session. */
void p9_reset(struct p9 *p);

/**
 * Serves the request of in_len bytes in in[0..nr_in), at most P9_MAX_IOV each way. Returns how many
 * bytes of out were filled; or -EPROTO: no whole header, or no room to answer.
 */
int64_t __must_check p9_serve(struct p9 *p, const struct iovec *in, unsigned nr_in, uint64_t in_len,
	const struct iovec *out, unsigned nr_out, uint64_t out_len);
