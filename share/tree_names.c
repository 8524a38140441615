// SPDX-License-Identifier: BSD-3-Clause
/*
 * What changes names, and what opens files.
 *
 * Invariants:
 * 1. Each call on the host has a directory's descriptor and one judged name, whose last symlink it
 *    does not follow; so where a name leads cannot change between a check and its use.
 * 2. A file is opened for its contents after its type is known, through the descriptor whose type
 *    it is; only one that O_CREAT | O_EXCL made is opened by its name.
 */
#include "share/tree_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"

/* What of open(2)'s flags is the guest's to choose. */
#define TREE_OPEN_FLAGS (O_ACCMODE | O_APPEND | O_TRUNC | O_SYNC | O_DSYNC | O_DIRECTORY)

/** Checks what all changes have in common. */
static int tree_may_change(const struct tree *t, const struct tree_node *dir, const char *name)
{
	int rc = t->ro ? -EROFS : tree_judge_name(name);

	return !rc && dir->closed ? -EACCES : rc;
}

/** As that; the directory's descriptor, or -errno. */
static int tree_to_change(struct tree *t, const struct tree_node *dir, const char *name)
{
	int rc = tree_may_change(t, dir, name);

	return rc ? rc : tree_fd(t, dir);
}

/** The same descriptor again, with flags. */
static int tree_reopen(const struct tree *t, int fd, int flags)
{
	char self[TREE_SELF_NAME];
	int again;

	tree_self_name(fd, self);
	again = openat(t->self_fd, self, flags | O_CLOEXEC);
	return again < 0 ? -errno : again;
}

static bool tree_flags_write(int flags)
{
	return (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);
}

int tree_open(struct tree *t, const struct tree_node *n, int flags)
{
	int fd;

	if (n->closed || (!S_ISREG(n->type) && !S_ISDIR(n->type)))
		return n->closed ? -EACCES : -EPERM;
	if (t->ro && tree_flags_write(flags))
		return -EROFS;
	fd = tree_fd(t, n);
	if (fd < 0)
		return fd;
	/* O_NONBLOCK: nobody's lease on the host makes the device wait. */
	return tree_reopen(t, fd, (flags & TREE_OPEN_FLAGS) | O_NONBLOCK | O_NOCTTY);
}

/* ---- new files ---- */

/** Ends a call that made what name is now. */
static int tree_made(struct tree *t, const struct tree_node *dir, const char *name, int rc,
	struct tree_node **ret, struct statx *st)
{
	tree_back(t);
	return rc ? rc : tree_lookup(t, dir, name, ret, st);
}

int tree_mkdir(struct tree *t, const struct tree_node *dir, const char *name, mode_t mode,
	mode_t mask, struct tree_node **ret, struct statx *st)
{
	int at = tree_to_change(t, dir, name), rc;

	if (at < 0)
		return at;
	tree_as(t, mask);
	rc = mkdirat(at, name, mode & 07777) ? -errno : 0;
	return tree_made(t, dir, name, rc, ret, st);
}

int tree_mknod(struct tree *t, const struct tree_node *dir, const char *name, mode_t mode,
	mode_t mask, struct tree_node **ret, struct statx *st)
{
	int at = tree_to_change(t, dir, name), rc = MIN(at, 0);

	if (!rc && !S_ISREG(mode) && !S_ISFIFO(mode) && !S_ISSOCK(mode))
		rc = -EPERM;
	if (!rc && tree_is_dangerous(mode))
		rc = -EPERM;
	if (rc)
		return rc;
	tree_as(t, mask);
	rc = mknodat(at, name, mode & (S_IFMT | 07777), 0) ? -errno : 0;
	return tree_made(t, dir, name, rc, ret, st);
}

int tree_symlink(struct tree *t, const struct tree_node *dir, const char *name, const char *target,
	mode_t mask, struct tree_node **ret, struct statx *st)
{
	int at = tree_to_change(t, dir, name), rc;

	if (at < 0)
		return at;
	tree_as(t, mask);
	rc = symlinkat(target, at, name) ? -errno : 0;
	return tree_made(t, dir, name, rc, ret, st);
}

int tree_link(struct tree *t, const struct tree_node *n, const struct tree_node *dir,
	const char *name, struct tree_node **ret, struct statx *st)
{
	char self[TREE_SELF_NAME];
	int rc = tree_may_change(t, dir, name), fd[2];

	if (!rc)
		rc = tree_two_fds(t, n, dir, fd);
	if (rc)
		return rc;
	/* Follows the magic link and no other: what a symlink's descriptor is, is the symlink. */
	tree_self_name(fd[0], self);
	if (linkat(t->self_fd, self, fd[1], name, AT_SYMLINK_FOLLOW))
		return -errno;
	return tree_lookup(t, dir, name, ret, st);
}

/** Gives the node of a file that was just made, and of *fd what was opened. name NULL: no name. */
static int tree_made_file(struct tree *t, const struct tree_node *dir, const char *name, int *fd,
	int *ret_fd, struct tree_node **ret, struct statx *st)
{
	int path = tree_reopen(t, *fd, O_PATH), rc;

	if (path < 0)
		return path;
	rc = tree_intern(t, dir, name, path, ret, st);
	if (!rc)
		*ret_fd = fd_take(fd);
	return rc;
}

/** One that was there. */
static int tree_make_known(struct tree *t, const struct tree_node *dir, const char *name, int flags,
	int *ret_fd, struct tree_node **ret, struct statx *st)
{
	struct tree_node *n;
	int rc = tree_lookup(t, dir, name, &n, st), fd;

	if (rc)
		return rc;
	fd = S_ISDIR(n->type) ? -EISDIR : tree_open(t, n, flags);
	if (fd >= 0 && (flags & O_TRUNC))
		rc = tree_stat(t, n, st);
	if (fd < 0 || rc) {
		tree_forget(t, n, 1);
		if (fd >= 0)
			close(fd);
		return fd < 0 ? fd : rc;
	}
	*ret_fd = fd;
	*ret = n;
	return 0;
}

int tree_make(struct tree *t, const struct tree_node *dir, const char *name, int flags, mode_t mode,
	mode_t mask, int *ret_fd, struct tree_node **ret, struct statx *st)
{
	struct open_how how = {
		.flags = (unsigned)((flags & TREE_OPEN_FLAGS & ~O_DIRECTORY) | O_CREAT | O_EXCL |
			O_NOFOLLOW | O_CLOEXEC | O_NOCTTY),
		.mode = mode & 07777,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS,
	};
	int at = tree_to_change(t, dir, name), rc = MIN(at, 0);
	fd_auto int fd = -1;

	if (!rc && tree_is_dangerous(mode))
		rc = -EPERM;
	if (rc)
		return rc;
	tree_as(t, mask);
	fd = (int)syscall(SYS_openat2, at, name, &how, sizeof(how));
	rc = fd < 0 ? -errno : 0;
	tree_back(t);
	if (rc == -EEXIST && !(flags & O_EXCL))
		return tree_make_known(t, dir, name, flags, ret_fd, ret, st);
	return rc ? rc : tree_made_file(t, dir, name, &fd, ret_fd, ret, st);
}

int tree_tmpfile(struct tree *t, const struct tree_node *dir, int flags, mode_t mode, mode_t mask,
	int *ret_fd, struct tree_node **ret, struct statx *st)
{
	char self[TREE_SELF_NAME];
	fd_auto int fd = -1;
	int rc = t->ro ? -EROFS : 0, at;

	if (!rc && (!S_ISDIR(dir->type) || (flags & O_ACCMODE) == O_RDONLY))
		rc = -EINVAL;
	if (!rc && (dir->closed || tree_is_dangerous(mode)))
		rc = -EPERM;
	if (rc)
		return rc;
	at = tree_fd(t, dir);
	if (at < 0)
		return at;
	tree_as(t, mask);
	tree_self_name(at, self);
	fd = openat(t->self_fd, self,
		(flags & (TREE_OPEN_FLAGS & ~O_TRUNC)) | (flags & O_EXCL) | O_TMPFILE | O_CLOEXEC,
		mode & 07777);
	rc = fd < 0 ? -errno : 0;
	tree_back(t);
	return rc ? rc : tree_made_file(t, dir, NULL, &fd, ret_fd, ret, st);
}

/* ---- names of files that are there ---- */

/** The name means n no more, if it did. */
static void tree_gone(
	struct tree *t, struct tree_node *n, const struct tree_node *dir, const char *name)
{
	if (n && tree_is_named(t, n, dir, name))
		tree_unname(t, n);
}

static int tree_remove_name(
	struct tree *t, const struct tree_node *dir, const char *name, int flags)
{
	int at = tree_to_change(t, dir, name);
	struct tree_node *n;

	if (at < 0)
		return at;
	n = tree_named(t, at, name);
	at = tree_fd(t, dir);
	if (at < 0)
		return at;
	if (unlinkat(at, name, flags))
		return -errno;
	tree_gone(t, n, dir, name);
	return 0;
}

int tree_unlink(struct tree *t, const struct tree_node *dir, const char *name)
{
	return tree_remove_name(t, dir, name, 0);
}

int tree_rmdir(struct tree *t, const struct tree_node *dir, const char *name)
{
	return tree_remove_name(t, dir, name, AT_REMOVEDIR);
}

int tree_rename(struct tree *t, const struct tree_node *from, const char *name,
	const struct tree_node *to, const char *new_name, unsigned flags)
{
	struct tree_node *n, *other;
	int rc = tree_may_change(t, from, name), fd[2];

	if (!rc)
		rc = tree_may_change(t, to, new_name);
	if (!rc && (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE)))
		rc = -EINVAL;
	if (!rc)
		rc = tree_two_fds(t, from, to, fd);
	if (rc)
		return rc;
	n = tree_named(t, fd[0], name);
	other = tree_named(t, fd[1], new_name);
	rc = tree_two_fds(t, from, to, fd);
	if (rc)
		return rc;
	/* A host without renameat2(2) has no openat2(2) either. */
	if (syscall(SYS_renameat2, fd[0], name, fd[1], new_name, flags))
		return -errno;
	if (other && other != n && flags & RENAME_EXCHANGE)
		tree_name(t, other, from, name);
	else if (other != n)
		tree_gone(t, other, to, new_name);
	if (n)
		tree_name(t, n, to, new_name);
	return 0;
}

ssize_t tree_readlink(struct tree *t, const struct tree_node *n, char *buf, size_t len)
{
	int fd = S_ISLNK(n->type) ? tree_fd(t, n) : -EINVAL;
	ssize_t got;

	if (fd < 0)
		return fd;
	got = readlinkat(fd, "", buf, len);
	return got < 0 ? -errno : got;
}
