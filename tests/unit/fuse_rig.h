/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A kernel's side of FUSE, for tests of share/fuse*.c: makes requests, in buffers cut up as a
 * driver may, and keeps the answer. Bytes of the answer's room that were not said to be written
 * must not have been.
 */
#pragma once

#include <errno.h>
#include <linux/fuse.h>

#include "share/fuse.h"
#include "tests/unit/share_rig.h"

#define FUSE_RIG_ROOM    (256U * KIB)
#define FUSE_RIG_HANDLES 8
#define FUSE_RIG_CANARY  0xa5

struct fuse_rig {
	struct share s;
	struct fuse *f;
	uint64_t unique;
	size_t cut;   /* bytes of each iovec; 0: one for all */
	uint32_t len; /* what header.len says; 0: the truth */
	size_t room;  /* for the answer, its header included */

	struct fuse_out_header h;   /* of the last answer */
	uint8_t out[FUSE_RIG_ROOM]; /* what came after it */
	size_t out_len;
};

static inline void fuse_rig_create(struct fuse_rig *r, const struct fuse_config *cfg)
{
	struct err err;

	fuse_destroy(r->f);
	r->f = NULL;
	if (fuse_create(cfg, &r->f, &err)) {
		fprintf(stderr, "%s\n", err.msg);
		abort();
	}
}

static inline struct fuse_config fuse_rig_config(const struct fuse_rig *r)
{
	return (struct fuse_config){
		.tree = share_config(&r->s),
		.cache = FUSE_CACHE_AUTO,
		.timeout_s = 5,
		.max_handles = FUSE_RIG_HANDLES,
	};
}

static inline struct fuse_rig *fuse_rig_open(void)
{
	struct fuse_rig *r = calloc(1, sizeof(*r));
	struct fuse_config cfg;

	BUG_ON(!r);
	share_open(&r->s);
	r->room = FUSE_RIG_ROOM;
	cfg = fuse_rig_config(r);
	fuse_rig_create(r, &cfg);
	return r;
}

static inline void fuse_rig_close(struct fuse_rig *r)
{
	fuse_destroy(r->f);
	share_close(&r->s);
	free(r);
}

static inline unsigned fuse_rig_cut(
	const struct fuse_rig *r, uint8_t *buf, size_t len, struct iovec *iov)
{
	size_t each = r->cut ? r->cut : MAX(len, 1U);
	unsigned nr = 0;

	for (size_t at = 0; at < len; at += each)
		iov[nr++] = (struct iovec){ buf + at, MIN(each, len - at) };
	return nr;
}

/** The whole of it: bytes in, bytes out. Returns what fuse_serve does. */
static inline int64_t fuse_rig_raw(struct fuse_rig *r, uint8_t *req, size_t len)
{
	static uint8_t room[FUSE_RIG_ROOM];
	struct iovec in[FUSE_MAX_IOV], out[FUSE_MAX_IOV];
	unsigned nr_in = fuse_rig_cut(r, req, len, in), nr_out;
	int64_t n;

	BUG_ON(r->room > sizeof(room));
	memset(room, FUSE_RIG_CANARY, r->room);
	nr_out = fuse_rig_cut(r, room, r->room, out);
	n = fuse_serve(r->f, in, nr_in, len, out, nr_out, r->room);
	BUG_ON(n > (int64_t)r->room);
	for (size_t i = n > 0 ? (size_t)n : 0; i < r->room; i++)
		BUG_ON(room[i] != FUSE_RIG_CANARY);
	r->out_len = 0;
	if (n > 0) {
		BUG_ON(n < (int64_t)sizeof(r->h));
		memcpy(&r->h, room, sizeof(r->h));
		r->out_len = (size_t)n - sizeof(r->h);
		memcpy(r->out, room + sizeof(r->h), r->out_len);
		BUG_ON(r->h.len != n || r->h.error > 0 || r->h.error < -4095);
		BUG_ON(r->h.error && r->out_len);
	}
	return n;
}

/**
 * A request of arg_len bytes of arg and then rest_len of rest. Returns the answer's error, or what
 * fuse_serve did where it is negative; 0 also when there is no answer.
 */
static inline int fuse_rig_call(struct fuse_rig *r, uint32_t opcode, uint64_t node, const void *arg,
	size_t arg_len, const void *rest, size_t rest_len)
{
	static uint8_t req[sizeof(struct fuse_in_header) + 2 * MIB];
	struct fuse_in_header h = { .len = (uint32_t)(sizeof(h) + arg_len + rest_len),
		.opcode = opcode,
		.unique = ++r->unique,
		.nodeid = node };
	int64_t n;

	BUG_ON(sizeof(h) + arg_len + rest_len > sizeof(req));
	if (r->len)
		h.len = r->len;
	memcpy(req, &h, sizeof(h));
	if (arg_len)
		memcpy(req + sizeof(h), arg, arg_len);
	if (rest_len)
		memcpy(req + sizeof(h) + arg_len, rest, rest_len);
	n = fuse_rig_raw(r, req, sizeof(h) + arg_len + rest_len);
	if (n <= 0)
		return (int)n;
	BUG_ON(r->h.unique != r->unique);
	return r->h.error;
}

static inline int fuse_rig_init(struct fuse_rig *r, uint32_t flags)
{
	struct fuse_init_in in = { .major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_readahead = 4096,
		.flags = flags };

	return fuse_rig_call(r, FUSE_INIT, 0, &in, sizeof(in), NULL, 0);
}

/** A request that is a name. */
static inline int fuse_rig_name(
	struct fuse_rig *r, uint32_t opcode, uint64_t node, const char *name)
{
	return fuse_rig_call(r, opcode, node, NULL, 0, name, strlen(name) + 1);
}

/** The answer, as a struct that it must be at least as long as. */
#define FUSE_RIG_OUT(r, type)                                                                      \
	({                                                                                         \
		BUG_ON((r)->out_len < sizeof(type));                                               \
		(const type *)(const void *)(r)->out;                                              \
	})

/** The node of a name that is there. */
static inline uint64_t fuse_rig_find(struct fuse_rig *r, uint64_t dir, const char *name)
{
	BUG_ON(fuse_rig_name(r, FUSE_LOOKUP, dir, name));
	return FUSE_RIG_OUT(r, struct fuse_entry_out)->nodeid;
}

/** The number of an open file, or an error. */
static inline int fuse_rig_open_file(
	struct fuse_rig *r, uint32_t opcode, uint64_t node, uint32_t flags, uint64_t *ret)
{
	struct fuse_open_in in = { .flags = flags };
	int rc = fuse_rig_call(r, opcode, node, &in, sizeof(in), NULL, 0);

	if (!rc)
		*ret = FUSE_RIG_OUT(r, struct fuse_open_out)->fh;
	return rc;
}

static inline int fuse_rig_read(
	struct fuse_rig *r, uint32_t opcode, uint64_t node, uint64_t fh, uint64_t off, uint32_t len)
{
	struct fuse_read_in in = { .fh = fh, .offset = off, .size = len };

	return fuse_rig_call(r, opcode, node, &in, sizeof(in), NULL, 0);
}

static inline int fuse_rig_write(struct fuse_rig *r, uint64_t node, uint64_t fh, uint64_t off,
	uint32_t size, const void *data, size_t len)
{
	struct fuse_write_in in = { .fh = fh, .offset = off, .size = size };

	return fuse_rig_call(r, FUSE_WRITE, node, &in, sizeof(in), data, len);
}

/* For tests that need a directory and a session. */
static inline int fuse_rig_setup(void **state)
{
	struct fuse_rig *r = fuse_rig_open();

	*state = r;
	return fuse_rig_init(r, 0);
}

static inline int fuse_rig_teardown(void **state)
{
	fuse_rig_close(*state);
	return 0;
}
