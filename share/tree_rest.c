// SPDX-License-Identifier: BSD-3-Clause
/*
 * Nodes without descriptors. A host lets a process have so many and no more, and a guest's cache
 * may remember more files than that. Of those that have a name, the one that was not used for
 * longest rests then: its descriptor is closed, and opened again from its directory when it is
 * needed.
 *
 * Invariants:
 * 1. A node that rests has a name and a directory, or its file is known to be gone. It holds the
 *    directory, which so stays in the table, be it forgotten by the guest or not.
 * 2. What is found under the name again is the node's file, by mount, device, inode, type and time
 *    of birth, or the answer is ESTALE: the host moved it meanwhile. (What the guest moves takes
 * its new name along, and what it removes has a descriptor first and keeps it.)
 * 3. The list has all nodes with a descriptor and a name, the last used first; the root, which has
 *    no name, never rests.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/fd.h"
#include "share/tree_impl.h"

/* ---- the list; its ends are those of nobody, [0] ---- */

static void tree_unlist(struct tree *t, struct tree_node *n)
{
	if (!n->listed)
		return;
	t->nodes[n->newer].older = n->older;
	t->nodes[n->older].newer = n->newer;
	n->listed = false;
}

static void tree_list(struct tree *t, struct tree_node *n)
{
	struct tree_node *head = &t->nodes[0];

	tree_unlist(t, n);
	if (n->fd < 0 || !n->name)
		return;
	n->newer = 0;
	n->older = head->older;
	t->nodes[head->older].newer = tree_index(t, n);
	head->older = tree_index(t, n);
	n->listed = true;
}

/* ---- names ---- */

void tree_unname(struct tree *t, struct tree_node *n)
{
	if (!n->name)
		return;
	tree_unlist(t, n);
	free(n->name);
	n->name = NULL;
	t->nodes[n->parent].held--;
}

bool tree_is_named(const struct tree *t, const struct tree_node *n, const struct tree_node *dir,
	const char *name)
{
	return n->name && &t->nodes[n->parent] == dir && !strcmp(n->name, name);
}

void tree_name(struct tree *t, struct tree_node *n, const struct tree_node *dir, const char *name)
{
	struct tree_node *old = &t->nodes[n->parent], *parent = tree_mine(t, dir);
	char *copy;

	if (n == tree_root(t) || tree_is_named(t, n, dir, name))
		return;
	copy = strdup(name); /* without it the node does not rest */
	if (copy)
		parent->held++;
	if (n->name) {
		tree_unname(t, n);
		tree_let_go(t, old);
	}
	n->parent = copy ? tree_index(t, parent) : 0;
	n->name = copy;
	tree_list(t, n);
}

/* ---- rest ---- */

int tree_make_room(struct tree *t)
{
	struct tree_node *n = &t->nodes[t->nodes[0].newer];

	if (t->nr_fds < t->max_fds)
		return 0;
	if (n == &t->nodes[0])
		return -ENFILE;
	tree_lose_fd(t, n);
	return 0;
}

int tree_wake_with(struct tree *t, struct tree_node *n, int *fd)
{
	int rc = tree_make_room(t);

	if (!rc)
		tree_have_fd(t, n, fd_take(fd));
	return rc;
}

void tree_have_fd(struct tree *t, struct tree_node *n, int fd)
{
	n->fd = fd;
	t->nr_fds++;
	tree_list(t, n);
}

void tree_lose_fd(struct tree *t, struct tree_node *n)
{
	tree_unlist(t, n);
	if (n->fd >= 0)
		t->nr_fds--;
	fd_close(&n->fd);
}

/** Opens one whose directory has a descriptor. */
static int tree_wake_one(struct tree *t, struct tree_node *n)
{
	fd_auto int fd = tree_open_path(t->nodes[n->parent].fd, n->name);
	struct tree_node is;
	struct statx st;
	int rc;

	if (fd < 0)
		return fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM ? fd : -ESTALE;
	rc = tree_stat_fd(t, fd, &st);
	if (rc)
		return rc;
	is = tree_node_like(&st);
	if (!tree_is_of(n, &is))
		return -ESTALE;
	return tree_wake_with(t, n, &fd);
}

/**
 * From the nearest directory above that is awake, one by one: a tree may be deep. There is none
 * where the host moved directories so that what they were called makes a circle.
 */
static int tree_wake(struct tree *t, struct tree_node *n)
{
	struct tree_node *at = n;

	for (uint32_t i = 0; at->fd < 0; i++) {
		if (!at->name || i == t->nr)
			return -ESTALE;
		t->nodes[at->parent].below = tree_index(t, at);
		at = &t->nodes[at->parent];
	}
	while (at != n) {
		int rc;

		tree_list(t, at);
		at = &t->nodes[at->below];
		rc = tree_wake_one(t, at);
		if (rc)
			return rc;
	}
	return 0;
}

int tree_fd(struct tree *t, const struct tree_node *n)
{
	struct tree_node *mine = tree_mine(t, n);
	int rc = 0;

	if (mine->fd < 0)
		rc = tree_wake(t, mine);
	else if (mine->listed)
		tree_list(t, mine);
	return rc ? rc : mine->fd;
}

int tree_two_fds(struct tree *t, const struct tree_node *a, const struct tree_node *b, int fd[2])
{
	fd[0] = tree_fd(t, a);
	if (fd[0] < 0)
		return fd[0];
	fd[1] = tree_fd(t, b);
	if (fd[1] < 0)
		return fd[1];
	/* A deep tree's other directories may have taken all the room. */
	return a->fd == fd[0] ? 0 : -ENFILE;
}
