/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the tree share. */
#pragma once

#include "share/tree.h"

#define TREE_SELF_NAME 12 /* room for a descriptor's number as text */

struct tree_node {
	uint64_t ino, mnt;
	uint64_t refs;
	uint32_t dev_major, dev_minor;
	uint32_t gen;
	uint32_t next; /* index in its bucket, or of the next free one; 0: none */
	int fd;        /* owned, O_PATH; -1: free */
	uint32_t type; /* S_IFMT bits */
	bool closed;   /* a directory that is shown empty */
};

struct tree {
	int self_fd; /* owned */
	bool ro;
	uint32_t uid, gid;
	mode_t own_mask; /* while somebody else's is set */

	struct tree_node *nodes; /* owned; [0] is nobody, [1] is the root */
	uint32_t max;            /* nodes; indices end at max */
	uint32_t used;           /* indices from 1 to used were given out once */
	uint32_t free;           /* the first that came back */
	uint32_t nr;
	uint32_t *bucket; /* owned */
	uint32_t mask;
	char names[TREE_MAX_XATTR]; /* of attributes, before those that are not shown go */
	uint64_t key; /* a guest that chooses inodes does not know which share a bucket */
};

/** A name that means something in this directory itself. 0 or -errno. */
int __must_check tree_judge_name(const char *name);

/** The name of fd in self_fd. */
void tree_self_name(int fd, char name[TREE_SELF_NAME]);

/**
 * Makes a node of an O_PATH descriptor, which it takes over, or finds the one there is. dir is
 * where it was found, NULL for the root.
 */
int __must_check tree_intern(struct tree *t, const struct tree_node *dir, int fd,
	struct tree_node **ret, struct statx *st);

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
