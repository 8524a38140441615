// SPDX-License-Identifier: BSD-3-Clause
/* Names in directories: found, made, moved and taken away. */
#include <errno.h>
#include <fcntl.h>

#include "share/p9_impl.h"

#define P9_MAX_WALK 16U
#define P9_NO_FID   UINT32_MAX

/** One more reference to a node that there is. */
static int p9_again(struct p9 *p, const struct tree_node *n, struct tree_node **ret)
{
	*ret = tree_again(p->tree, n);
	return *ret ? 0 : -ENFILE;
}

int p9_attach(struct p9_call *c)
{
	uint32_t id = p9_u32(c), auth = p9_u32(c);
	struct tree_node *root = tree_root(c->p->tree), *n;
	struct statx st;
	int rc;

	p9_string(c); /* the user, and what is attached: there is one of each */
	p9_string(c);
	if (c->bad)
		return -EINVAL;
	if (auth != P9_NO_FID)
		return -EOPNOTSUPP;
	rc = tree_stat(c->p->tree, root, &st);
	if (!rc)
		rc = p9_again(c->p, root, &n);
	if (rc)
		return rc;
	if (!p9_fid_new(c->p, id, n))
		return -EBADF;
	p9_put_qid(c, &st);
	return 0;
}

/** Walks names from *n, whose reference it takes; it has that of the last one found. */
static int p9_walk_names(struct p9_call *c, unsigned nr, struct tree_node **n, unsigned *done)
{
	struct tree_node *next;
	struct statx st;
	int rc = 0;

	for (*done = 0; *done < nr; ++*done) {
		const char *name = p9_string(c);

		rc = c->bad ? -EINVAL : tree_lookup(c->p->tree, *n, name, &next, &st);
		if (rc)
			break;
		tree_forget(c->p->tree, *n, 1);
		*n = next;
		p9_put_qid(c, &st);
	}
	return rc;
}

int p9_walk(struct p9_call *c)
{
	struct p9_fid *f = p9_fid(c);
	uint32_t id = p9_u32(c);
	unsigned nr = p9_u16(c), done = 0;
	struct tree_node *n;
	int rc;

	if (c->bad || nr > P9_MAX_WALK)
		return -EINVAL;
	if (!f || f->attr || (id != f->id && p9_fid_find(c->p, id)) || (id == f->id && f->fd >= 0))
		return -EBADF;
	rc = p9_again(c->p, f->node, &n);
	if (rc)
		return rc;
	p9_put(c, 0, 2);
	rc = p9_walk_names(c, nr, &n, &done);
	/* The first name must be there; of the others the client is told how many were. */
	if (done < nr) {
		tree_forget(c->p->tree, n, 1);
		if (!done || rc == -EINVAL)
			return rc;
	} else if (id == f->id) {
		p9_fid_move(c->p, f, n);
	} else if (!p9_fid_new(c->p, id, n)) {
		return -ENFILE;
	}
	le16_put(c->p->reply, (uint16_t)done);
	return 0;
}

/** Answers with what a new name is, and forgets its node. */
static int p9_put_new(struct p9_call *c, int rc, struct tree_node *n, const struct statx *st)
{
	if (rc)
		return rc;
	p9_put_qid(c, st);
	tree_forget(c->p->tree, n, 1);
	return 0;
}

int p9_symlink(struct p9_call *c)
{
	struct p9_fid *f = p9_fid(c);
	const char *name = p9_string(c), *target = p9_string(c);
	struct tree_node *n = NULL;
	struct statx st;
	int rc;

	p9_u32(c); /* a group: files have the tree's */
	rc = p9_judge(c, f);
	if (rc)
		return rc;
	rc = tree_symlink(c->p->tree, f->node, name, target, 0, &n, &st);
	return p9_put_new(c, rc, n, &st);
}

int p9_mknod(struct p9_call *c)
{
	struct p9_fid *f = p9_fid(c);
	const char *name = p9_string(c);
	uint32_t mode = p9_u32(c);
	struct tree_node *n = NULL;
	struct statx st;
	int rc;

	p9_u64(c); /* the device's number, major and minor */
	p9_u32(c);
	rc = p9_judge(c, f);
	if (rc)
		return rc;
	rc = tree_mknod(c->p->tree, f->node, name, mode, 0, &n, &st);
	return p9_put_new(c, rc, n, &st);
}

int p9_mkdir(struct p9_call *c)
{
	struct p9_fid *f = p9_fid(c);
	const char *name = p9_string(c);
	uint32_t mode = p9_u32(c);
	struct tree_node *n = NULL;
	struct statx st;
	int rc;

	p9_u32(c);
	rc = p9_judge(c, f);
	if (rc)
		return rc;
	rc = tree_mkdir(c->p->tree, f->node, name, mode, 0, &n, &st);
	return p9_put_new(c, rc, n, &st);
}

int p9_link(struct p9_call *c)
{
	struct p9_fid *dir = p9_fid(c), *f = p9_fid(c);
	const char *name = p9_string(c);
	struct tree_node *n;
	struct statx st;
	int rc;

	if (c->bad || !f || !dir)
		return c->bad ? -EINVAL : -EBADF;
	rc = tree_link(c->p->tree, f->node, dir->node, name, &n, &st);
	if (!rc)
		tree_forget(c->p->tree, n, 1);
	return rc;
}

int p9_renameat(struct p9_call *c)
{
	struct p9_fid *from = p9_fid(c), *to;
	const char *name = p9_string(c), *new_name;

	to = p9_fid(c);
	new_name = p9_string(c);
	if (c->bad || !from || !to)
		return c->bad ? -EINVAL : -EBADF;
	return tree_rename(c->p->tree, from->node, name, to->node, new_name, 0);
}

int p9_unlinkat(struct p9_call *c)
{
	struct p9_fid *f = p9_fid(c);
	const char *name = p9_string(c);
	uint32_t flags = p9_u32(c);

	if (c->bad || !f || (flags & ~(uint32_t)AT_REMOVEDIR))
		return c->bad || f ? -EINVAL : -EBADF;
	return flags ? tree_rmdir(c->p->tree, f->node, name)
		     : tree_unlink(c->p->tree, f->node, name);
}

int p9_readlink(struct p9_call *c)
{
	struct p9_fid *f = p9_fid(c);
	ssize_t n;
	int rc;

	rc = p9_judge(c, f);
	if (rc)
		return rc;
	if (p9_room(c) < 2)
		return -EIO;
	n = tree_readlink(c->p->tree, f->node, (char *)c->put + 2, p9_room(c) - 2);
	if (n < 0)
		return (int)n;
	p9_put(c, (uint64_t)n, 2);
	c->put += n;
	return 0;
}
