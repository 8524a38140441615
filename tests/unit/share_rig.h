/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A directory to share, for tests, beside one that must not be reached:
 *
 *	TOP/in/         what is shared
 *	TOP/in/file     "inside"
 *	TOP/in/dir/f    "inside"
 *	TOP/in/out      a symlink to TOP/outside
 *	TOP/outside/f   "OUTSIDE"
 */
#pragma once

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "share/tree.h"

#define SHARE_NODES 64
#define SHARE_FDS   8 /* so that some rest */

struct share {
	char top[64];
	int top_fd; /* owned */
};

static inline int share_remove_one(
	const char *path, const struct stat *st __unused, int type __unused, struct FTW *w __unused)
{
	return remove(path);
}

static inline void share_put(const struct share *s, const char *name, const char *text)
{
	int fd = openat(s->top_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	BUG_ON(fd < 0 || fd_write_full(fd, text, strlen(text)));
	close(fd);
}

static inline void share_open(struct share *s)
{
	char out[96];

	snprintf(s->top, sizeof(s->top), "/tmp/mayfly-share.XXXXXX");
	BUG_ON(!mkdtemp(s->top));
	s->top_fd = open(s->top, O_PATH | O_DIRECTORY | O_CLOEXEC);
	BUG_ON(s->top_fd < 0);
	BUG_ON(mkdirat(s->top_fd, "in", 0755) || mkdirat(s->top_fd, "outside", 0755) ||
		mkdirat(s->top_fd, "in/dir", 0755));
	share_put(s, "in/file", "inside");
	share_put(s, "in/dir/f", "inside");
	share_put(s, "outside/f", "OUTSIDE");
	snprintf(out, sizeof(out), "%s/outside", s->top);
	BUG_ON(symlinkat(out, s->top_fd, "in/out"));
}

static inline void share_close(struct share *s)
{
	fd_close(&s->top_fd);
	nftw(s->top, share_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/** What a tree of TOP/in is made of. */
static inline struct tree_config share_config(const struct share *s)
{
	return (struct tree_config){
		.root_fd = openat(s->top_fd, "in", O_PATH | O_DIRECTORY | O_CLOEXEC),
		.self_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC),
		.max_nodes = SHARE_NODES,
		.max_fds = SHARE_FDS,
		.acl = true,
	};
}

/** Whether TOP/NAME has just this text. */
static inline bool share_has(const struct share *s, const char *name, const char *text)
{
	fd_auto int fd = openat(s->top_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char buf[256];
	ssize_t n = fd < 0 ? -1 : fd_pread_full(fd, buf, sizeof(buf), 0);

	return n == (ssize_t)strlen(text) && !memcmp(buf, text, (size_t)n);
}
