// SPDX-License-Identifier: BSD-3-Clause
/* A client's numbers, which it chooses: a table of full size, and an index by number. */
#include <stdlib.h>

#include "base/fd.h"
#include "share/p9_impl.h"

static uint32_t *p9_bucket(const struct p9 *p, uint32_t id)
{
	/* Clients count up; one that chooses worse waits for itself. */
	return &p->bucket[id & p->mask];
}

struct p9_fid *p9_fid_find(struct p9 *p, uint32_t id)
{
	for (uint32_t i = *p9_bucket(p, id); i; i = p->fids[i].next)
		if (p->fids[i].id == id)
			return &p->fids[i];
	return NULL;
}

struct p9_fid *p9_fid_new(struct p9 *p, uint32_t id, struct tree_node *node)
{
	uint32_t i = p->free_fid, *bucket = p9_bucket(p, id);
	struct p9_fid *f;

	if (p9_fid_find(p, id) || (!i && p->used_fids == p->max_fids)) {
		tree_forget(p->tree, node, 1);
		return NULL;
	}
	if (i)
		p->free_fid = p->fids[i].next;
	else
		i = ++p->used_fids;
	f = &p->fids[i];
	*f = (struct p9_fid){ .id = id, .next = *bucket, .node = node, .fd = -1 };
	*bucket = i;
	return f;
}

void p9_fid_move(struct p9 *p, struct p9_fid *f, struct tree_node *node)
{
	tree_forget(p->tree, f->node, 1);
	f->node = node;
}

void p9_fid_free(struct p9 *p, struct p9_fid *f)
{
	uint32_t i = (uint32_t)(f - p->fids), *at = p9_bucket(p, f->id);

	while (*at != i)
		at = &p->fids[*at].next;
	*at = f->next;
	fd_close(&f->fd);
	tree_forget(p->tree, f->node, 1);
	p->nr_attrs -= f->attr != NULL;
	free(f->attr);
	free(f->attr_name);
	*f = (struct p9_fid){ .next = p->free_fid, .fd = -1 };
	p->free_fid = i;
}

void p9_fids_reset(struct p9 *p)
{
	for (uint32_t i = 1; i <= p->used_fids; i++)
		if (p->fids[i].node)
			p9_fid_free(p, &p->fids[i]);
}
