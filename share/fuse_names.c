// SPDX-License-Identifier: BSD-3-Clause
/* Names in directories: found, made, moved and taken away. */
#include <errno.h>

#include "share/fuse_impl.h"

/** Tells of a node that has one reference more, or of why there is none. */
static int64_t fuse_reply_entry(
	struct fuse_call *c, int rc, struct tree_node *n, const struct statx *st)
{
	struct fuse_entry_out *out = fuse_body(c, sizeof(*out));

	if (rc)
		return rc;
	if (c->room < sizeof(*out)) {
		/* The guest will not hear of it, and so not forget it. */
		tree_forget(c->f->tree, n, 1);
		return -EIO;
	}
	fuse_fill_entry(c->f, n, st, out);
	return sizeof(*out);
}

int64_t fuse_lookup(struct fuse_call *c)
{
	const char *name = fuse_string(c);
	struct tree_node *n = NULL;
	struct statx st;
	int rc = name ? tree_lookup(c->f->tree, c->node, name, &n, &st) : -EINVAL;

	if (rc == -ENOENT && c->f->negative_timeout_s) {
		struct fuse_entry_out *out = fuse_body(c, sizeof(*out));

		out->entry_valid = c->f->negative_timeout_s;
		return sizeof(*out);
	}
	return fuse_reply_entry(c, rc, n, &st);
}

int64_t fuse_mkdir(struct fuse_call *c)
{
	const struct fuse_mkdir_in *in = c->arg;
	const char *name = fuse_string(c);
	struct tree_node *n = NULL;
	struct statx st;
	int rc = name ? tree_mkdir(c->f->tree, c->node, name, in->mode, in->umask, &n, &st)
		      : -EINVAL;

	return fuse_reply_entry(c, rc, n, &st);
}

int64_t fuse_mknod(struct fuse_call *c)
{
	const struct fuse_mknod_in *in = c->arg;
	const char *name = fuse_string(c);
	struct tree_node *n = NULL;
	struct statx st;
	int rc = name ? tree_mknod(c->f->tree, c->node, name, in->mode, in->umask, &n, &st)
		      : -EINVAL;

	return fuse_reply_entry(c, rc, n, &st);
}

int64_t fuse_symlink(struct fuse_call *c)
{
	const char *name = fuse_string(c), *target = name ? fuse_string(c) : NULL;
	struct tree_node *n = NULL;
	struct statx st;
	int rc = -EINVAL;

	if (target)
		rc = tree_symlink(c->f->tree, c->node, name, target, 0, &n, &st);
	return fuse_reply_entry(c, rc, n, &st);
}

int64_t fuse_link(struct fuse_call *c)
{
	const struct fuse_link_in *in = c->arg;
	const struct tree_node *old = tree_find(c->f->tree, in->oldnodeid);
	const char *name = fuse_string(c);
	struct tree_node *n = NULL;
	struct statx st;
	int rc;

	if (!old)
		return -ESTALE;
	rc = name ? tree_link(c->f->tree, old, c->node, name, &n, &st) : -EINVAL;
	return fuse_reply_entry(c, rc, n, &st);
}

int64_t fuse_unlink(struct fuse_call *c)
{
	const char *name = fuse_string(c);

	return name ? tree_unlink(c->f->tree, c->node, name) : -EINVAL;
}

int64_t fuse_rmdir(struct fuse_call *c)
{
	const char *name = fuse_string(c);

	return name ? tree_rmdir(c->f->tree, c->node, name) : -EINVAL;
}

static int64_t fuse_move(struct fuse_call *c, uint64_t newdir, uint32_t flags)
{
	const struct tree_node *to = tree_find(c->f->tree, newdir);
	const char *name = fuse_string(c), *new_name = name ? fuse_string(c) : NULL;

	if (!to)
		return -ESTALE;
	return new_name ? tree_rename(c->f->tree, c->node, name, to, new_name, flags) : -EINVAL;
}

int64_t fuse_rename(struct fuse_call *c)
{
	const struct fuse_rename_in *in = c->arg;

	return fuse_move(c, in->newdir, 0);
}

int64_t fuse_rename2(struct fuse_call *c)
{
	const struct fuse_rename2_in *in = c->arg;

	return fuse_move(c, in->newdir, in->flags);
}

int64_t fuse_readlink(struct fuse_call *c)
{
	return tree_readlink(
		c->f->tree, c->node, (char *)c->f->reply, MIN(c->room, FUSE_MAX_REPLY));
}
