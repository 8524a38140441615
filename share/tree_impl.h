/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the tree share. */
#pragma once

#include "share/tree.h"

#define TREE_SELF_NAME 12 /* room for a descriptor's number as text */

struct tree_node {
	uint64_t ino, mnt;
	uint64_t born; /* nanoseconds; 0 where the file system does not say */
	uint64_t refs; /* the guest's */
	uint32_t held; /* named nodes whose directory it is; it stays while it has either */
	uint32_t dev_major, dev_minor;
	uint32_t gen;
	uint32_t next; /* index in its bucket, or of the next free one; 0: none */
	int fd;        /* owned, O_PATH; -1: it rests */
	uint32_t type; /* S_IFMT bits; 0: free */
	bool closed;   /* a directory that is shown empty */

	/* Of tree_rest.c. */
	bool listed;
	char *name;      /* owned; in parent, when it was last seen; NULL: it does not rest */
	uint32_t parent; /* index */
	uint32_t newer, older, below;
};

struct tree {
	int self_fd; /* owned */
	bool ro;
	bool acl; /* lists are shown and set */
	uint32_t uid, gid;
	uint32_t own_uid, own_gid; /* this process's */
	mode_t own_mask;           /* while somebody else's is set */

	struct tree_node *nodes; /* owned; [0] is nobody and ends the list, [1] is the root */
	uint32_t max;            /* nodes; indices end at max */
	uint32_t used;           /* indices from 1 to used were given out once */
	uint32_t free;           /* the first that came back */
	uint32_t nr;
	uint32_t nr_fds, max_fds; /* nodes with a descriptor */
	uint32_t *bucket;         /* owned */
	uint32_t mask;
	char names[TREE_MAX_XATTR]; /* of attributes, before those that are not shown go */
	uint64_t key; /* a guest that chooses inodes does not know which share a bucket */
};

/** A name that means something in this directory itself. 0 or -errno. */
int __must_check tree_judge_name(const char *name);

static inline uint32_t tree_index(const struct tree *t, const struct tree_node *n)
{
	return (uint32_t)(n - t->nodes);
}

/** The same node, for who may change it. */
static inline struct tree_node *tree_mine(struct tree *t, const struct tree_node *n)
{
	return &t->nodes[tree_index(t, n)];
}

/** The name of fd in self_fd. */
void tree_self_name(int fd, char name[TREE_SELF_NAME]);

/** What the name is, a symlink too, without opening it. A descriptor or -errno. */
int __must_check tree_open_path(int dir, const char *name);

/** A node with what tells files apart, and no more. */
struct tree_node tree_node_like(const struct statx *st);
/** Whether n, which may rest, is of the file that like was made of. */
bool tree_is_of(const struct tree_node *n, const struct tree_node *like);

/**
 * Makes a node of an O_PATH descriptor, which it takes over, or finds the one there is. dir and
 * name are where it was found; NULL for the root; name NULL: it has none.
 */
int __must_check tree_intern(struct tree *t, const struct tree_node *dir, const char *name, int fd,
	struct tree_node **ret, struct statx *st);

/**
 * The node of what has that name now, if there is one, or NULL. It has a descriptor from here, for
 * it may lose the name.
 */
struct tree_node *tree_named(struct tree *t, int dir, const char *name);

/** A node lost a reference or something that it held: it goes when that was the last. */
void tree_let_go(struct tree *t, struct tree_node *n);

/* ---- tree_rest.c ---- */

/** The node's descriptor, which is the tree's; opened again when it rests. -errno; ESTALE. */
int __must_check tree_fd(struct tree *t, const struct tree_node *n);
/** Those of both, at once. 0 or -errno. */
int __must_check tree_two_fds(
	struct tree *t, const struct tree_node *a, const struct tree_node *b, int fd[2]);
/** It is found there from now on. */
void tree_name(struct tree *t, struct tree_node *n, const struct tree_node *dir, const char *name);
/** It has no name any more; whose directory that was lost what it held. */
void tree_unname(struct tree *t, struct tree_node *n);
bool tree_is_named(const struct tree *t, const struct tree_node *n, const struct tree_node *dir,
	const char *name);
/** One more node may have a descriptor afterwards. 0 or -ENFILE. */
int __must_check tree_make_room(struct tree *t);
/** One that rests has that descriptor of its file; takes it when it succeeds. 0 or -ENFILE. */
int __must_check tree_wake_with(struct tree *t, struct tree_node *n, int *fd);
/** Takes fd over. */
void tree_have_fd(struct tree *t, struct tree_node *n, int fd);
void tree_lose_fd(struct tree *t, struct tree_node *n);

/* ---- tree_acl.c: of one of its descriptors, as the calls of tree.h with the file's node ---- */

/** Whether that name is a list's, and lists are there. */
bool tree_is_acl(const struct tree *t, const char *name);
/** -ENODATA also where the file's file system has no lists. */
ssize_t __must_check tree_acl_get(struct tree *t, int fd, const char *name, void *buf, size_t len);
/** 0 or -errno; -EPERM: the guest does not see all of it. */
int __must_check tree_acl_may_change(struct tree *t, int fd, const char *name);
int __must_check tree_acl_set(
	struct tree *t, int fd, const char *name, const void *buf, size_t len, int flags);
/** Whether the root's file system has lists. */
bool tree_acl_probe(struct tree *t);

/** As tree_stat, of a descriptor. */
int __must_check tree_stat_fd(const struct tree *t, int fd, struct statx *ret);

/**
 * Whether a file of that mode would be run as its owner, whom the guest would so become on the
 * host.
 */
static inline bool tree_is_dangerous(mode_t mode)
{
	return mode & (S_ISUID | S_ISGID);
}

/** From here to tree_back files are made with that umask. */
void tree_as(struct tree *t, mode_t mask);
void tree_back(struct tree *t);
