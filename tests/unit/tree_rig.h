/* SPDX-License-Identifier: BSD-3-Clause */
/* A tree on a directory of share_rig.h, for tests of share/tree*.c. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/share_rig.h"

struct fixture {
	struct share s;
	struct tree *t;
};

static inline struct fixture *fixture_create(void)
{
	struct fixture *f = calloc(1, sizeof(*f));

	BUG_ON(!f);
	share_open(&f->s);
	return f;
}

/** Puts another tree in the place of the one that there may be. */
static inline void fixture_tree(struct fixture *f, const struct tree_config *cfg)
{
	struct err err;

	tree_destroy(f->t);
	assert_int_equal(tree_create(cfg, &f->t, &err), 0);
}

static inline int fixture_destroy(void **state)
{
	struct fixture *f = *state;

	tree_destroy(f->t);
	share_close(&f->s);
	free(f);
	return 0;
}

static inline struct tree_node *root(struct fixture *f)
{
	return tree_root(f->t);
}

/** A node that must be there. */
static inline struct tree_node *find(
	struct fixture *f, const struct tree_node *dir, const char *name)
{
	struct tree_node *n = NULL;
	struct statx st;

	assert_int_equal(tree_lookup(f->t, dir, name, &n, &st), 0);
	return n;
}
