// SPDX-License-Identifier: BSD-3-Clause
/*
 * Sessions, and from a request's bytes to its function.
 *
 * Invariants:
 * 1. Everything of a request but a file's contents is copied once and judged in the copy. A
 *    function takes all its arguments, and then looks whether they were there.
 * 2. An answer is at most the agreed size, and the room that the guest gave; each byte of it was
 *    written for this request.
 * 3. Nothing but Tversion is served before a session was agreed.
 */
#include "share/p9_impl.h"

#include <errno.h>
#include <stdlib.h>

#include "base/iov.h"

#define P9_VERSION   "9P2000.L"
#define P9_MIN_MSIZE 4096U

/* ---- arguments ---- */

static const uint8_t *p9_take(struct p9_call *c, size_t n)
{
	const uint8_t *at = c->at;

	if ((size_t)(c->end - at) < n) {
		c->bad = true;
		return NULL;
	}
	c->at += n;
	return at;
}

uint32_t p9_u8(struct p9_call *c)
{
	const uint8_t *at = p9_take(c, 1);

	return at ? *at : 0;
}

uint32_t p9_u16(struct p9_call *c)
{
	const uint8_t *at = p9_take(c, 2);

	return at ? le16_get(at) : 0;
}

uint32_t p9_u32(struct p9_call *c)
{
	const uint8_t *at = p9_take(c, 4);

	return at ? le32_get(at) : 0;
}

uint64_t p9_u64(struct p9_call *c)
{
	const uint8_t *at = p9_take(c, 8);

	return at ? le64_get(at) : 0;
}

const char *p9_string(struct p9_call *c)
{
	const uint8_t *at = p9_take(c, 2), *text;
	size_t len = at ? le16_get(at) : 0;

	text = p9_take(c, len);
	if (!at || !text || memchr(text, 0, len)) {
		c->bad = true;
		return "";
	}
	/* Where its length was there is room for it to begin earlier, and to end with a zero. */
	memmove((uint8_t *)(uintptr_t)at, text, len);
	((uint8_t *)(uintptr_t)at)[len] = 0;
	return (const char *)at;
}

struct p9_fid *p9_fid(struct p9_call *c)
{
	return p9_fid_find(c->p, p9_u32(c));
}

int p9_judge(const struct p9_call *c, const struct p9_fid *f)
{
	if (c->bad)
		return -EINVAL;
	return f ? 0 : -EBADF;
}

/* ---- answers ---- */

size_t p9_room(const struct p9_call *c)
{
	return (size_t)(c->put_end - c->put);
}

void p9_put(struct p9_call *c, uint64_t v, unsigned bytes)
{
	if (p9_room(c) < bytes) {
		c->full = true;
		return;
	}
	for (unsigned i = 0; i < bytes; i++)
		*c->put++ = (uint8_t)(v >> (8 * i));
}

void p9_put_qid(struct p9_call *c, const struct statx *st)
{
	unsigned type = S_ISDIR(st->stx_mode) ? 0x80 : S_ISLNK(st->stx_mode) ? 0x02 : 0;

	p9_put(c, type, 1);
	/* The client drops what it cached when this changes. */
	p9_put(c,
		(uint32_t)st->stx_mtime.tv_sec ^ st->stx_mtime.tv_nsec << 4 ^
			(uint32_t)st->stx_size << 20,
		4);
	/* Two mounts may have files of one number. */
	p9_put(c, st->stx_ino ^ st->stx_mnt_id << 44, 8);
}

/* ---- sessions ---- */

void p9_reset(struct p9 *p)
{
	p9_fids_reset(p);
	tree_reset(p->tree);
	p->msize = 0;
}

static int p9_version(struct p9_call *c)
{
	uint32_t msize = p9_u32(c);
	const char *version = p9_string(c);
	const char *ours = !strcmp(version, P9_VERSION) ? P9_VERSION : "unknown";

	if (c->bad || msize < P9_MIN_MSIZE)
		return -EINVAL;
	p9_reset(c->p);
	msize = MIN(msize, (uint32_t)P9_MAX_MSIZE);
	if (!strcmp(ours, P9_VERSION))
		c->p->msize = msize;
	p9_put(c, msize, 4);
	p9_put(c, strlen(ours), 2);
	for (const char *s = ours; *s; s++)
		p9_put(c, (uint8_t)*s, 1);
	return 0;
}

/** All requests are answered in their turn, so there is none to give up. */
static int p9_flush(struct p9_call *c __unused)
{
	return 0;
}

/* ---- the table ---- */

struct p9_op {
	p9_fn *fn;
	uint8_t head; /* bytes of arguments before a file's contents, which are not copied; 0: none
	               */
};

static const struct p9_op p9_ops[] = {
	[P9_TSTATFS] = { p9_statfs, 0 },
	[P9_TLOPEN] = { p9_lopen, 0 },
	[P9_TLCREATE] = { p9_lcreate, 0 },
	[P9_TSYMLINK] = { p9_symlink, 0 },
	[P9_TMKNOD] = { p9_mknod, 0 },
	[P9_TREADLINK] = { p9_readlink, 0 },
	[P9_TGETATTR] = { p9_getattr, 0 },
	[P9_TSETATTR] = { p9_setattr, 0 },
	[P9_TXATTRWALK] = { p9_xattrwalk, 0 },
	[P9_TXATTRCREATE] = { p9_xattrcreate, 0 },
	[P9_TREADDIR] = { p9_readdir, 0 },
	[P9_TFSYNC] = { p9_fsync, 0 },
	[P9_TLOCK] = { p9_lock, 0 },
	[P9_TGETLOCK] = { p9_getlock, 0 },
	[P9_TLINK] = { p9_link, 0 },
	[P9_TMKDIR] = { p9_mkdir, 0 },
	[P9_TRENAMEAT] = { p9_renameat, 0 },
	[P9_TUNLINKAT] = { p9_unlinkat, 0 },
	[P9_TVERSION] = { p9_version, 0 },
	[P9_TATTACH] = { p9_attach, 0 },
	[P9_TFLUSH] = { p9_flush, 0 },
	[P9_TWALK] = { p9_walk, 0 },
	[P9_TREAD] = { p9_read, 0 },
	[P9_TWRITE] = { p9_write, 16 },
	[P9_TCLUNK] = { p9_clunk, 0 },
	[P9_TREMOVE] = { p9_remove, 0 },
};

static int p9_call_op(struct p9_call *c, uint32_t size)
{
	const struct p9_op *op = c->type < ARRAY_SIZE(p9_ops) ? &p9_ops[c->type] : NULL;
	struct p9 *p = c->p;
	uint64_t len = c->in_len - P9_HEAD;
	int rc;

	if (!op || !op->fn)
		return -EOPNOTSUPP;
	if (size != c->in_len || (p->msize && size > p->msize))
		return -EINVAL;
	if (!p->msize && op->fn != p9_version)
		return -EIO;
	if (op->head)
		len = MIN(len, op->head);
	if (len > sizeof(p->args))
		return -E2BIG;
	iov_read(c->in, c->nr_in, P9_HEAD, p->args, len);
	c->at = p->args;
	c->end = p->args + len;
	c->put = p->reply;
	c->put_end = p->reply + MIN(c->room, sizeof(p->reply));
	rc = op->fn(c);
	/* The client said what it wants, but has no room for it. */
	return !rc && c->full ? -EIO : rc;
}

int64_t p9_serve(struct p9 *p, const struct iovec *in, unsigned nr_in, uint64_t in_len,
	const struct iovec *out, unsigned nr_out, uint64_t out_len)
{
	struct p9_call c = {
		.p = p, .in = in, .nr_in = nr_in, .in_len = in_len, .out = out, .nr_out = nr_out
	};
	uint8_t head[P9_HEAD];
	uint64_t all;
	int rc;

	if (in_len < P9_HEAD || out_len < P9_HEAD + 4 || nr_in > P9_MAX_IOV || nr_out > P9_MAX_IOV)
		return -EPROTO;
	iov_read(in, nr_in, 0, head, sizeof(head));
	c.type = head[4];
	c.tag = le16_get(head + 5);
	c.room = (uint32_t)(MIN(out_len, p->msize ? p->msize : P9_MIN_MSIZE) - P9_HEAD);
	c.put = p->reply;
	rc = p9_call_op(&c, le32_get(head));
	if (rc) {
		c.put = p->reply;
		c.put_end = p->reply + 4;
		c.direct = 0;
		p9_put(&c, (uint64_t)-rc, 4);
	}
	all = P9_HEAD + (uint64_t)(c.put - p->reply) + c.direct;
	le32_put(head, (uint32_t)all);
	head[4] = rc ? P9_RLERROR : (uint8_t)(c.type + 1);
	iov_write(out, nr_out, 0, head, sizeof(head));
	iov_write(out, nr_out, P9_HEAD, p->reply, (size_t)(c.put - p->reply));
	return (int64_t)all;
}

/* ---- the server ---- */

int p9_create(const struct p9_config *cfg, struct p9 **ret, struct err *err)
{
	struct p9 *p = calloc(1, sizeof(*p));
	uint32_t buckets = 1;
	struct tree *tree;
	int rc = tree_create(&cfg->tree, &tree, err);

	if (rc) {
		free(p);
		return rc;
	}
	BUG_ON(!cfg->max_fids || cfg->max_fids == UINT32_MAX);
	while (buckets < cfg->max_fids)
		buckets *= 2;
	if (p) {
		p->fids = calloc((size_t)cfg->max_fids + 1, sizeof(*p->fids));
		p->bucket = calloc(buckets, sizeof(*p->bucket));
	}
	if (!p || !p->fids || !p->bucket) {
		tree_destroy(tree);
		if (p) {
			free(p->fids);
			free(p->bucket);
		}
		free(p);
		return err_errno(err, ENOMEM, "shared directory");
	}
	p->tree = tree;
	p->max_fids = cfg->max_fids;
	p->mask = buckets - 1;
	*ret = p;
	return 0;
}

void p9_destroy(struct p9 *p)
{
	if (!p)
		return;
	p9_fids_reset(p);
	tree_destroy(p->tree);
	free(p->fids);
	free(p->bucket);
	free(p);
}
