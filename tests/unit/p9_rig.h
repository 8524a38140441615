/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client of 9P2000.L, for tests of share/p9*.c: puts a request together, and takes its answer
 * apart. Bytes of the answer's room that were not said to be written must not have been.
 */
#pragma once

#include <errno.h>

#include "share/p9_impl.h"
#include "tests/unit/share_rig.h"

#define P9_RIG_ROOM   (64U * KIB)
#define P9_RIG_FIDS   8
#define P9_RIG_CANARY 0xa5
#define P9_RIG_NOFID  UINT32_MAX

struct p9_rig {
	struct share s;
	struct p9 *p;
	uint16_t tag;
	size_t room;

	uint8_t req[P9_RIG_ROOM];
	size_t len;
	uint8_t out[P9_RIG_ROOM]; /* the answer's body */
	size_t out_len, at;
};

static inline void p9_rig_create(struct p9_rig *r, bool ro)
{
	struct p9_config cfg = { .tree = share_config(&r->s), .max_fids = P9_RIG_FIDS };
	struct err err;

	cfg.tree.ro = ro;
	p9_destroy(r->p);
	BUG_ON(p9_create(&cfg, &r->p, &err));
}

static inline struct p9_rig *p9_rig_open(void)
{
	struct p9_rig *r = calloc(1, sizeof(*r));

	BUG_ON(!r);
	share_open(&r->s);
	r->room = P9_RIG_ROOM;
	p9_rig_create(r, false);
	return r;
}

static inline void p9_rig_close(struct p9_rig *r)
{
	p9_destroy(r->p);
	share_close(&r->s);
	free(r);
}

/* ---- a request ---- */

static inline void p9_rig_put(struct p9_rig *r, uint64_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		r->req[r->len++] = (uint8_t)(v >> (8 * i));
}

static inline void p9_rig_begin(struct p9_rig *r, unsigned type)
{
	r->len = 0;
	p9_rig_put(r, 0, 4);
	p9_rig_put(r, type, 1);
	p9_rig_put(r, ++r->tag, 2);
}

static inline void p9_rig_text(struct p9_rig *r, const char *s)
{
	size_t n = strlen(s);

	p9_rig_put(r, n, 2);
	memcpy(r->req + r->len, s, n);
	r->len += n;
}

/** Bytes in, bytes out, as they are. Returns what p9_serve does. */
static inline int64_t p9_rig_raw(struct p9_rig *r)
{
	static uint8_t room[P9_RIG_ROOM];
	/* Cut where a driver cuts: after the header, and somewhere. */
	struct iovec in[2] = { { r->req, MIN(r->len, P9_HEAD) },
		{ r->req + P9_HEAD, r->len - MIN(r->len, P9_HEAD) } };
	struct iovec out[2] = { { room, MIN(r->room, 11) },
		{ room + 11, r->room - MIN(r->room, 11) } };
	int64_t n;

	memset(room, P9_RIG_CANARY, sizeof(room));
	n = p9_serve(r->p, in, 2, r->len, out, 2, r->room);
	BUG_ON(n > (int64_t)r->room);
	for (size_t i = n > 0 ? (size_t)n : 0; i < sizeof(room); i++)
		BUG_ON(room[i] != P9_RIG_CANARY);
	r->at = r->out_len = 0;
	if (n <= 0)
		return n;
	BUG_ON(n < P9_HEAD || le32_get(room) != n || le16_get(room + 5) != le16_get(r->req + 5));
	BUG_ON(room[4] != P9_RLERROR && room[4] != r->req[4] + 1);
	r->out_len = (size_t)n - P9_HEAD;
	memcpy(r->out, room + P9_HEAD, r->out_len);
	if (room[4] == P9_RLERROR) {
		BUG_ON(r->out_len != 4 || !le32_get(r->out) || le32_get(r->out) > 4095);
		return -(int64_t)le32_get(r->out);
	}
	return n;
}

/** Sends it. Returns 0, or the error of the answer. */
static inline int p9_rig_send(struct p9_rig *r)
{
	int64_t n;

	le32_put(r->req, (uint32_t)r->len);
	n = p9_rig_raw(r);
	return n < 0 ? (int)n : 0;
}

/** The next number of the answer. */
static inline uint64_t p9_rig_get(struct p9_rig *r, unsigned bytes)
{
	uint64_t v = 0;

	BUG_ON(r->out_len - r->at < bytes);
	for (unsigned i = 0; i < bytes; i++)
		v |= (uint64_t)r->out[r->at++] << (8 * i);
	return v;
}

/* ---- what every client does ---- */

static inline int p9_rig_version(struct p9_rig *r, uint32_t msize, const char *version)
{
	p9_rig_begin(r, P9_TVERSION);
	p9_rig_put(r, msize, 4);
	p9_rig_text(r, version);
	return p9_rig_send(r);
}

static inline int p9_rig_attach(struct p9_rig *r, uint32_t fid)
{
	p9_rig_begin(r, P9_TATTACH);
	p9_rig_put(r, fid, 4);
	p9_rig_put(r, P9_RIG_NOFID, 4);
	p9_rig_text(r, "user");
	p9_rig_text(r, "");
	p9_rig_put(r, 0, 4);
	return p9_rig_send(r);
}

/** One name; NULL: none, so that the new fid is the old one's node. */
static inline int p9_rig_walk(struct p9_rig *r, uint32_t fid, uint32_t to, const char *name)
{
	p9_rig_begin(r, P9_TWALK);
	p9_rig_put(r, fid, 4);
	p9_rig_put(r, to, 4);
	p9_rig_put(r, name != NULL, 2);
	if (name)
		p9_rig_text(r, name);
	return p9_rig_send(r);
}

/** A request that is a fid and a number of that many bytes. */
static inline int p9_rig_fid(
	struct p9_rig *r, unsigned type, uint32_t fid, uint64_t v, unsigned bytes)
{
	p9_rig_begin(r, type);
	p9_rig_put(r, fid, 4);
	p9_rig_put(r, v, bytes);
	return p9_rig_send(r);
}

/** A request that is a fid, an offset and a count. */
static inline int p9_rig_io(
	struct p9_rig *r, unsigned type, uint32_t fid, uint64_t off, uint32_t count)
{
	p9_rig_begin(r, type);
	p9_rig_put(r, fid, 4);
	p9_rig_put(r, off, 8);
	p9_rig_put(r, count, 4);
	return p9_rig_send(r);
}
