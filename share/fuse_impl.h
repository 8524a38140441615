/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the FUSE server share. */
#pragma once

#include <linux/fuse.h>

#include "share/fuse.h"

/** An open file or directory. */
struct fuse_handle {
	int fd; /* owned; -1: free */
	uint32_t gen;
	uint32_t next; /* of the free ones; 0: none */
	bool dir;
	int64_t pos; /* of a directory: where its next entries come from */
};

struct fuse {
	struct tree *tree; /* owned */
	enum fuse_cache cache;
	uint32_t timeout_s, negative_timeout_s;
	bool writeback, ro;

	bool ready;     /* INIT was answered */
	uint64_t flags; /* agreed: flags, and flags2 above them */

	struct fuse_handle *handles; /* owned; [0] is nobody */
	uint32_t max_handles, used_handles, free_handle;

	/* Of the request that is served. The byte after args is a zero, the last string's end. */
	__attribute__((aligned(8))) uint8_t args[FUSE_MAX_ARGS + 1];
	__attribute__((aligned(8))) uint8_t reply[FUSE_MAX_REPLY];
	__attribute__((aligned(8))) uint8_t dirents[16 * KIB];
	struct iovec data[FUSE_MAX_IOV];
};

/** A request, judged as far as all requests are alike. */
struct fuse_call {
	struct fuse *f;
	struct fuse_in_header h;
	struct tree_node *node; /* of h.nodeid; NULL where the request names none */
	const void *arg;        /* its struct, whole; after that what rest points to */
	const uint8_t *rest;
	size_t rest_len;
	const struct iovec *in, *out;
	unsigned nr_in, nr_out;
	uint64_t in_len;
	size_t room; /* bytes that the answer may have after its header */
};

/**
 * Serves a request. Returns the bytes of its answer, which are in f->reply, or in the guest's
 * buffers where the table says so; or a negative errno.
 */
typedef int64_t fuse_fn(struct fuse_call *c);

/* ---- fuse.c ---- */
/** The next string of rest, or NULL. */
const char *fuse_string(struct fuse_call *c);
/** The answer's body, zeroed. len is at most FUSE_MAX_REPLY. */
void *fuse_body(struct fuse_call *c, size_t len);

/* ---- fuse_attrs.c ---- */
void fuse_fill_attr(const struct statx *st, struct fuse_attr *ret);
/** An entry for a node to which the guest has one more reference now. */
void fuse_fill_entry(const struct fuse *f, const struct tree_node *n, const struct statx *st,
	struct fuse_entry_out *ret);
fuse_fn fuse_getattr, fuse_setattr, fuse_statfs, fuse_getxattr, fuse_setxattr, fuse_listxattr,
	fuse_removexattr;

/* ---- fuse_names.c ---- */
fuse_fn fuse_lookup, fuse_mkdir, fuse_mknod, fuse_symlink, fuse_link, fuse_unlink, fuse_rmdir,
	fuse_rename, fuse_rename2, fuse_readlink;

/* ---- fuse_handles.c ---- */
/** Takes fd over, also on failure. Returns 0 or -ENFILE. */
int __must_check fuse_handle_new(struct fuse *f, int fd, bool dir, uint64_t *ret_fh);
/** NULL: no such file is open. */
struct fuse_handle *fuse_handle_find(struct fuse *f, uint64_t fh, bool dir);
void fuse_handle_close(struct fuse *f, uint64_t fh, bool dir);
void fuse_handles_reset(struct fuse *f);

/* ---- fuse_files.c ---- */
fuse_fn fuse_open, fuse_make, fuse_tmpfile, fuse_read, fuse_write, fuse_release, fuse_fsync,
	fuse_fallocate, fuse_lseek, fuse_copy;

/* ---- fuse_dirs.c ---- */
fuse_fn fuse_opendir, fuse_readdir, fuse_readdirplus, fuse_releasedir, fuse_fsyncdir;
