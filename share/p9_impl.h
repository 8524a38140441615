/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the 9P server share. */
#pragma once

#include "share/p9.h"

#define P9_HEAD 7U /* size[4] type[1] tag[2] */

/* The requests; an answer's type is one more. Rlerror is 7. */
enum p9_type {
	P9_RLERROR = 7,
	P9_TSTATFS = 8,
	P9_TLOPEN = 12,
	P9_TLCREATE = 14,
	P9_TSYMLINK = 16,
	P9_TMKNOD = 18,
	P9_TREADLINK = 22,
	P9_TGETATTR = 24,
	P9_TSETATTR = 26,
	P9_TXATTRWALK = 30,
	P9_TXATTRCREATE = 32,
	P9_TREADDIR = 40,
	P9_TFSYNC = 50,
	P9_TLOCK = 52,
	P9_TGETLOCK = 54,
	P9_TLINK = 70,
	P9_TMKDIR = 72,
	P9_TRENAMEAT = 74,
	P9_TUNLINKAT = 76,
	P9_TVERSION = 100,
	P9_TATTACH = 104,
	P9_TFLUSH = 108,
	P9_TWALK = 110,
	P9_TREAD = 116,
	P9_TWRITE = 118,
	P9_TCLUNK = 120,
	P9_TREMOVE = 122,
};

/** What a client calls a number: a node, perhaps open; or a named attribute of one. */
struct p9_fid {
	uint32_t id;
	uint32_t next;          /* of its bucket, or of the free ones; 0: none */
	struct tree_node *node; /* a reference; NULL: free */
	int fd;                 /* owned; -1: not open */
	int64_t pos;   /* of a directory: where its next entries come from; -1: nobody knows */
	uint8_t *attr; /* owned: a value that is read, or written until Tclunk; NULL: none */
	uint32_t attr_len, attr_have;
	char *attr_name; /* owned: of the value that is written */
	int attr_flags;
};

struct p9 {
	struct tree *tree;   /* owned */
	uint32_t msize;      /* agreed; 0: no session */
	struct p9_fid *fids; /* owned; [0] is nobody */
	uint32_t max_fids, used_fids, free_fid, nr_attrs;
	uint32_t *bucket; /* owned */
	uint32_t mask;

	/* Of the request that is served. */
	uint8_t args[P9_MAX_ARGS];
	uint8_t reply[TREE_MAX_XATTR];
	__attribute__((aligned(8))) uint8_t dirents[16 * KIB];
	struct iovec data[P9_MAX_IOV];
};

/** A request. Its arguments are taken from at on; what is not there makes it bad. */
struct p9_call {
	struct p9 *p;
	uint8_t type;
	uint16_t tag;
	const uint8_t *at, *end;
	bool bad;
	bool full;    /* the answer has no room for all of it */
	uint8_t *put; /* the answer's body grows here, up to put_end */
	uint8_t *put_end;
	const struct iovec *in, *out;
	unsigned nr_in, nr_out;
	uint64_t in_len;
	uint32_t room; /* bytes that the answer may have after its header */
	uint32_t
		direct; /* of them, bytes that are in the guest's buffers already, after the body */
};

/** 0, with the body put; or a negative errno. */
typedef int p9_fn(struct p9_call *c);

/* ---- p9.c ---- */
uint32_t p9_u8(struct p9_call *c);
uint32_t p9_u16(struct p9_call *c);
uint32_t p9_u32(struct p9_call *c);
uint64_t p9_u64(struct p9_call *c);
/** A name, ended by a zero, that has none in it; TREE_MAX_XATTR at most. "" when it is bad. */
const char *p9_string(struct p9_call *c);
/** The fid that comes next, or NULL. */
struct p9_fid *p9_fid(struct p9_call *c);
/** After all arguments were taken: -EINVAL when one was not there, -EBADF without the fid, or 0. */
int p9_judge(const struct p9_call *c, const struct p9_fid *f);
/** Bytes that the body may still grow by. */
size_t p9_room(const struct p9_call *c);
void p9_put(struct p9_call *c, uint64_t v, unsigned bytes);
void p9_put_qid(struct p9_call *c, const struct statx *st);

/* ---- p9_fids.c ---- */
struct p9_fid *p9_fid_find(struct p9 *p, uint32_t id);
/** One that no client's fid has yet. NULL: it has, or there are too many. Takes the node over. */
struct p9_fid *p9_fid_new(struct p9 *p, uint32_t id, struct tree_node *node);
void p9_fid_free(struct p9 *p, struct p9_fid *f);
void p9_fids_reset(struct p9 *p);
/** Its fid means another node, whose reference it takes. */
void p9_fid_move(struct p9 *p, struct p9_fid *f, struct tree_node *node);

/* ---- p9_names.c ---- */
p9_fn p9_attach, p9_walk, p9_symlink, p9_mknod, p9_link, p9_mkdir, p9_renameat, p9_unlinkat,
	p9_readlink;

/* ---- p9_files.c ---- */
p9_fn p9_lopen, p9_lcreate, p9_read, p9_write, p9_readdir, p9_fsync, p9_clunk, p9_remove, p9_lock,
	p9_getlock;

/* ---- p9_attrs.c ---- */
p9_fn p9_getattr, p9_setattr, p9_statfs, p9_xattrwalk, p9_xattrcreate;
/** The value that was written is set. */
int __must_check p9_attr_commit(struct p9 *p, struct p9_fid *f);
