// SPDX-License-Identifier: BSD-3-Clause
/* Attributes, and attributes with names. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "share/p9_impl.h"

#define P9_STATS_BASIC 0x7ffU
#define P9_MAX_ATTRS   16U /* values that are read or written at one time */

static void p9_put_time(struct p9_call *c, const struct statx_timestamp *t)
{
	p9_put(c, (uint64_t)t->tv_sec, 8);
	p9_put(c, t->tv_nsec, 8);
}

int p9_getattr(struct p9_call *c)
{
	static const struct statx_timestamp never;
	struct p9_fid *f = p9_fid(c);
	struct statx st;
	int rc;

	p9_u64(c); /* what is wanted: it gets all there is */
	rc = p9_judge(c, f);
	if (rc)
		return rc;
	rc = tree_stat(c->p->tree, f->node, &st);
	if (rc)
		return rc;
	p9_put(c, P9_STATS_BASIC, 8);
	p9_put_qid(c, &st);
	p9_put(c, st.stx_mode, 4);
	p9_put(c, st.stx_uid, 4);
	p9_put(c, st.stx_gid, 4);
	p9_put(c, st.stx_nlink, 8);
	p9_put(c, 0, 8); /* devices are nobody's here */
	p9_put(c, st.stx_size, 8);
	p9_put(c, st.stx_blksize, 8);
	p9_put(c, st.stx_blocks, 8);
	p9_put_time(c, &st.stx_atime);
	p9_put_time(c, &st.stx_mtime);
	p9_put_time(c, &st.stx_ctime);
	p9_put_time(c, &never);
	p9_put(c, 0, 8); /* generation, version */
	p9_put(c, 0, 8);
	return 0;
}

int p9_setattr(struct p9_call *c)
{
	/* valid: mode, uid, gid, size, atime, mtime, ctime, and whether times are the client's */
	static const unsigned sets[] = { TREE_SET_MODE, TREE_SET_UID, TREE_SET_GID, TREE_SET_SIZE,
		TREE_SET_ATIME, TREE_SET_MTIME };
	struct p9_fid *f = p9_fid(c);
	uint32_t valid = p9_u32(c);
	struct tree_attr a = { .set = 0 };
	int rc;

	a.mode = p9_u32(c) & 07777;
	a.uid = p9_u32(c);
	a.gid = p9_u32(c);
	a.size = p9_u64(c);
	a.atime.tv_sec = (time_t)p9_u64(c);
	a.atime.tv_nsec = (long)p9_u64(c);
	a.mtime.tv_sec = (time_t)p9_u64(c);
	a.mtime.tv_nsec = (long)p9_u64(c);
	rc = p9_judge(c, f);
	if (rc)
		return rc;
	for (unsigned i = 0; i < ARRAY_SIZE(sets); i++)
		if (valid & 1U << i)
			a.set |= sets[i];
	if (!(valid & 1U << 7))
		a.atime.tv_nsec = UTIME_NOW;
	if (!(valid & 1U << 8))
		a.mtime.tv_nsec = UTIME_NOW;
	if (a.set & (TREE_SET_UID | TREE_SET_GID))
		a.set |= TREE_KILL_SUID;
	return tree_setattr(c->p->tree, f->node, f->fd, &a);
}

int p9_statfs(struct p9_call *c)
{
	struct p9_fid *f = p9_fid(c);
	struct statfs st;
	int rc;

	rc = p9_judge(c, f);
	if (rc)
		return rc;
	rc = tree_statfs(c->p->tree, f->node, &st);
	if (rc)
		return rc;
	p9_put(c, 0x01021997, 4); /* V9FS_MAGIC */
	p9_put(c, (uint64_t)st.f_bsize, 4);
	p9_put(c, (uint64_t)st.f_blocks, 8);
	p9_put(c, (uint64_t)st.f_bfree, 8);
	p9_put(c, (uint64_t)st.f_bavail, 8);
	p9_put(c, (uint64_t)st.f_files, 8);
	p9_put(c, (uint64_t)st.f_ffree, 8);
	p9_put(c, 0, 8); /* which host file system it is */
	p9_put(c, (uint64_t)st.f_namelen, 4);
	return 0;
}

/* ---- attributes with names: a fid is the value ---- */

static uint8_t *p9_attr_room(struct p9 *p, uint32_t len)
{
	return p->nr_attrs == P9_MAX_ATTRS ? NULL : malloc(MAX(len, 1U));
}

/** A new fid is the value of a name, or without a name the list of names. */
int p9_xattrwalk(struct p9_call *c)
{
	struct p9_fid *f = p9_fid(c), *attr;
	uint32_t id = p9_u32(c);
	const char *name = p9_string(c);
	struct tree_node *n;
	ssize_t len;

	if (c->bad || !f || p9_fid_find(c->p, id))
		return c->bad ? -EINVAL : -EBADF;
	len = *name
		? tree_getxattr(c->p->tree, f->node, name, c->p->dirents, sizeof(c->p->dirents))
		: tree_listxattr(c->p->tree, f->node, (char *)c->p->dirents, sizeof(c->p->dirents));
	if (len < 0)
		return (int)len;
	n = tree_again(c->p->tree, f->node);
	attr = n ? p9_fid_new(c->p, id, n) : NULL;
	if (!attr)
		return -ENFILE;
	attr->attr = p9_attr_room(c->p, (uint32_t)len);
	if (!attr->attr) {
		p9_fid_free(c->p, attr);
		return -ENFILE;
	}
	c->p->nr_attrs++;
	memcpy(attr->attr, c->p->dirents, (size_t)len);
	attr->attr_len = (uint32_t)len;
	p9_put(c, (uint64_t)len, 8);
	return 0;
}

/** The fid becomes a value that is written, and set when the fid is clunked. */
int p9_xattrcreate(struct p9_call *c)
{
	struct p9_fid *f = p9_fid(c);
	const char *name = p9_string(c);
	uint64_t len = p9_u64(c);
	uint32_t flags = p9_u32(c);

	if (c->bad || len > TREE_MAX_XATTR || (flags & ~(uint32_t)(XATTR_CREATE | XATTR_REPLACE)))
		return -EINVAL;
	if (!f || f->fd >= 0 || f->attr)
		return -EBADF;
	f->attr = p9_attr_room(c->p, (uint32_t)len);
	if (!f->attr)
		return -ENFILE;
	c->p->nr_attrs++;
	f->attr_name = strdup(name);
	if (!f->attr_name)
		return -ENOMEM;
	f->attr_len = (uint32_t)len;
	f->attr_have = 0;
	f->attr_flags = (int)flags;
	return 0;
}

int p9_attr_commit(struct p9 *p, struct p9_fid *f)
{
	if (f->attr_have != f->attr_len)
		return -EINVAL;
	/* As Linux's client says it: a value without bytes takes the name away. */
	if (!f->attr_len && !(f->attr_flags & XATTR_CREATE))
		return tree_removexattr(p->tree, f->node, f->attr_name);
	return tree_setxattr(p->tree, f->node, f->attr_name, f->attr, f->attr_len, f->attr_flags);
}
