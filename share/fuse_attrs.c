// SPDX-License-Identifier: BSD-3-Clause
/* Attributes: what files are, and how it is told. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "share/fuse_impl.h"

void fuse_fill_attr(const struct statx *st, struct fuse_attr *ret)
{
	*ret = (struct fuse_attr){
		.ino = st->stx_ino,
		.size = st->stx_size,
		.blocks = st->stx_blocks,
		.atime = (uint64_t)st->stx_atime.tv_sec,
		.mtime = (uint64_t)st->stx_mtime.tv_sec,
		.ctime = (uint64_t)st->stx_ctime.tv_sec,
		.atimensec = st->stx_atime.tv_nsec,
		.mtimensec = st->stx_mtime.tv_nsec,
		.ctimensec = st->stx_ctime.tv_nsec,
		.mode = st->stx_mode,
		.nlink = st->stx_nlink,
		.uid = st->stx_uid,
		.gid = st->stx_gid,
		/* As the kernel takes it apart: 20 bits of minor around 12 of major. */
		.rdev = (st->stx_rdev_minor & 0xff) | (st->stx_rdev_major & 0xfff) << 8 |
			(st->stx_rdev_minor & ~0xffU) << 12,
		.blksize = st->stx_blksize,
	};
}

void fuse_fill_entry(const struct fuse *f, const struct tree_node *n, const struct statx *st,
	struct fuse_entry_out *ret)
{
	*ret = (struct fuse_entry_out){
		.nodeid = tree_id(f->tree, n),
		.entry_valid = f->timeout_s,
		.attr_valid = f->timeout_s,
	};
	fuse_fill_attr(st, &ret->attr);
}

static int64_t fuse_reply_attr(struct fuse_call *c)
{
	struct fuse_attr_out *out = fuse_body(c, sizeof(*out));
	struct statx st;
	int rc = tree_stat(c->f->tree, c->node, &st);

	if (rc)
		return rc;
	out->attr_valid = c->f->timeout_s;
	fuse_fill_attr(&st, &out->attr);
	return sizeof(*out);
}

int64_t fuse_getattr(struct fuse_call *c)
{
	return fuse_reply_attr(c);
}

/** What the guest asked to be changed. Nanoseconds are judged by the host. */
static struct tree_attr fuse_attr_asked(const struct fuse_setattr_in *in)
{
	static const struct {
		uint32_t fattr;
		unsigned set;
	} bits[] = {
		{ FATTR_MODE, TREE_SET_MODE },
		{ FATTR_UID, TREE_SET_UID },
		{ FATTR_GID, TREE_SET_GID },
		{ FATTR_SIZE, TREE_SET_SIZE },
		{ FATTR_ATIME, TREE_SET_ATIME },
		{ FATTR_MTIME, TREE_SET_MTIME },
		{ FATTR_KILL_SUIDGID, TREE_KILL_SUID },
	};
	struct tree_attr a = {
		.mode = in->mode,
		.uid = in->uid,
		.gid = in->gid,
		.size = in->size,
		.atime = { (time_t)in->atime, (long)in->atimensec },
		.mtime = { (time_t)in->mtime, (long)in->mtimensec },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
		if (in->valid & bits[i].fattr)
			a.set |= bits[i].set;
	if (in->valid & FATTR_ATIME_NOW)
		a.atime.tv_nsec = UTIME_NOW;
	if (in->valid & FATTR_MTIME_NOW)
		a.mtime.tv_nsec = UTIME_NOW;
	/* What has a new owner is not run as the old one (chown(2)). */
	if (a.set & (TREE_SET_UID | TREE_SET_GID))
		a.set |= TREE_KILL_SUID;
	return a;
}

int64_t fuse_setattr(struct fuse_call *c)
{
	const struct fuse_setattr_in *in = c->arg;
	struct tree_attr a = fuse_attr_asked(in);
	struct fuse_handle *h = NULL;
	int rc;

	if (in->valid & FATTR_FH) {
		h = fuse_handle_find(c->f, in->fh, false);
		if (!h)
			return -EBADF;
	}
	rc = tree_setattr(c->f->tree, c->node, h ? h->fd : -1, &a);
	return rc ? rc : fuse_reply_attr(c);
}

int64_t fuse_statfs(struct fuse_call *c)
{
	struct fuse_statfs_out *out = fuse_body(c, sizeof(*out));
	struct statfs st;
	int rc = tree_statfs(c->f->tree, c->node, &st);

	if (rc)
		return rc;
	out->st.blocks = (uint64_t)st.f_blocks;
	out->st.bfree = (uint64_t)st.f_bfree;
	out->st.bavail = (uint64_t)st.f_bavail;
	out->st.files = (uint64_t)st.f_files;
	out->st.ffree = (uint64_t)st.f_ffree;
	out->st.bsize = (uint32_t)st.f_bsize;
	out->st.namelen = (uint32_t)st.f_namelen;
	out->st.frsize = (uint32_t)st.f_frsize;
	return sizeof(*out);
}

/* ---- attributes with names ---- */

/** The answer to a question of size bytes that gave got bytes, or with size 0 would. */
static int64_t fuse_reply_xattr(struct fuse_call *c, uint32_t size, ssize_t got)
{
	struct fuse_getxattr_out *out;

	if (got < 0 || size)
		return got;
	out = fuse_body(c, sizeof(*out));
	out->size = (uint32_t)got;
	return sizeof(*out);
}

int64_t fuse_getxattr(struct fuse_call *c)
{
	const struct fuse_getxattr_in *in = c->arg;
	uint32_t size = (uint32_t)MIN(in->size, FUSE_MAX_REPLY);
	const char *name = fuse_string(c);

	if (!name)
		return -EINVAL;
	return fuse_reply_xattr(
		c, size, tree_getxattr(c->f->tree, c->node, name, c->f->reply, size));
}

int64_t fuse_listxattr(struct fuse_call *c)
{
	const struct fuse_getxattr_in *in = c->arg;
	uint32_t size = (uint32_t)MIN(in->size, FUSE_MAX_REPLY);

	return fuse_reply_xattr(
		c, size, tree_listxattr(c->f->tree, c->node, (char *)c->f->reply, size));
}

int64_t fuse_setxattr(struct fuse_call *c)
{
	/* The struct's second half is there when that was agreed. */
	struct fuse_setxattr_in in = { 0 };
	size_t more = c->f->flags & FUSE_SETXATTR_EXT ? sizeof(in) - FUSE_COMPAT_SETXATTR_IN_SIZE
						      : 0;
	const char *name;
	int rc;

	if (c->rest_len < more)
		return -EINVAL;
	memcpy(&in, c->arg, FUSE_COMPAT_SETXATTR_IN_SIZE);
	memcpy((uint8_t *)&in + FUSE_COMPAT_SETXATTR_IN_SIZE, c->rest, more);
	c->rest += more;
	c->rest_len -= more;
	name = fuse_string(c);
	if (!name || in.size > c->rest_len ||
		(in.flags & ~(uint32_t)(XATTR_CREATE | XATTR_REPLACE)))
		return -EINVAL;
	rc = tree_setxattr(c->f->tree, c->node, name, c->rest, in.size, (int)in.flags);
	if (!rc && (in.setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID))
		rc = tree_kill_sgid(c->f->tree, c->node);
	return rc;
}

int64_t fuse_removexattr(struct fuse_call *c)
{
	const char *name = fuse_string(c);

	return name ? tree_removexattr(c->f->tree, c->node, name) : -EINVAL;
}
