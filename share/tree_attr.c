// SPDX-License-Identifier: BSD-3-Clause
/*
 * What files are said to be: attributes, and attributes with names.
 *
 * To the guest all files belong to one owner. It may say that they shall belong to whom they belong
 * to, and nothing else: such a change is judged here, and not made.
 */
#include "share/tree_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"

int tree_stat(struct tree *t, const struct tree_node *n, struct statx *ret)
{
	int fd = tree_fd(t, n);

	return fd < 0 ? fd : tree_stat_fd(t, fd, ret);
}

int tree_statfs(struct tree *t, const struct tree_node *n, struct statfs *ret)
{
	int fd = tree_fd(t, n);

	if (fd < 0)
		return fd;
	return fstatfs(fd, ret) ? -errno : 0;
}

static int tree_set_mode(struct tree *t, const struct tree_node *n, mode_t mode)
{
	int fd = tree_fd(t, n);
	char self[TREE_SELF_NAME];

	if (fd < 0)
		return fd;
	if (S_ISLNK(n->type))
		return -EOPNOTSUPP;
	if (!S_ISDIR(n->type) && tree_is_dangerous(mode))
		return -EPERM;
	tree_self_name(fd, self);
	return fchmodat(t->self_fd, self, mode & 07777, 0) ? -errno : 0;
}

/** All files belong to the one owner, and so they shall, or it is refused. */
static int tree_judge_owner(const struct tree *t, const struct tree_attr *a)
{
	if ((a->set & TREE_SET_UID) && a->uid != t->uid)
		return -EPERM;
	return (a->set & TREE_SET_GID) && a->gid != t->gid ? -EPERM : 0;
}

/** What a change of owner, size or contents takes from a program's mode. */
static int tree_kill_suid(struct tree *t, const struct tree_node *n)
{
	struct statx st;
	mode_t mode;
	int rc = S_ISREG(n->type) ? tree_stat(t, n, &st) : -ENOENT;

	if (rc)
		return rc == -ENOENT ? 0 : rc;
	mode = st.stx_mode & ~(mode_t)(S_ISUID | S_ISGID);
	return mode == st.stx_mode ? 0 : tree_set_mode(t, n, mode);
}

int tree_kill_sgid(struct tree *t, const struct tree_node *n)
{
	struct statx st;
	int rc = tree_stat(t, n, &st);

	if (rc || !(st.stx_mode & S_ISGID))
		return rc;
	return tree_set_mode(t, n, st.stx_mode & ~(mode_t)S_ISGID);
}

static int tree_set_size(struct tree *t, const struct tree_node *n, int fd, uint64_t size)
{
	fd_auto int mine = -1;

	if (size > INT64_MAX)
		return -EINVAL;
	if (fd < 0) {
		mine = tree_open(t, n, O_WRONLY);
		fd = mine;
	}
	if (fd < 0)
		return fd;
	return ftruncate(fd, (off_t)size) ? -errno : 0;
}

static int tree_set_times(struct tree *t, const struct tree_node *n, const struct tree_attr *a)
{
	int fd = tree_fd(t, n);
	struct timespec ts[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_nsec = UTIME_OMIT } };
	char self[TREE_SELF_NAME];

	if (fd < 0)
		return fd;
	if (a->set & TREE_SET_ATIME)
		ts[0] = a->atime;
	if (a->set & TREE_SET_MTIME)
		ts[1] = a->mtime;
	tree_self_name(fd, self);
	return utimensat(t->self_fd, self, ts, 0) ? -errno : 0;
}

int tree_setattr(struct tree *t, const struct tree_node *n, int fd, const struct tree_attr *a)
{
	int rc = t->ro ? -EROFS : 0;

	if (!rc)
		rc = tree_judge_owner(t, a);
	if (!rc && (a->set & TREE_SET_SIZE))
		rc = tree_set_size(t, n, fd, a->size);
	if (!rc && (a->set & TREE_KILL_SUID))
		rc = tree_kill_suid(t, n);
	if (!rc && (a->set & TREE_SET_MODE))
		rc = tree_set_mode(t, n, a->mode);
	if (!rc && (a->set & (TREE_SET_ATIME | TREE_SET_MTIME)))
		rc = tree_set_times(t, n, a);
	return rc;
}

/* ---- attributes with names ---- */

static bool tree_xattr_shown(const struct tree *t, const char *name)
{
	return (!strncmp(name, "user.", 5) && name[5]) || tree_is_acl(t, name);
}

static int tree_judge_xattr(const struct tree *t, const char *name)
{
	if (strlen(name) > TREE_MAX_NAME)
		return -ERANGE;
	return tree_xattr_shown(t, name) ? 0 : -EOPNOTSUPP;
}

/** A descriptor that the calls for attributes take. */
static int tree_open_xattr(struct tree *t, const struct tree_node *n)
{
	int fd = S_ISREG(n->type) || S_ISDIR(n->type) ? tree_open(t, n, O_RDONLY) : -EOPNOTSUPP;

	/* One may change what one may write, readable or not. */
	if (fd == -EACCES && S_ISREG(n->type) && !t->ro)
		fd = tree_open(t, n, O_WRONLY);
	return fd;
}

ssize_t tree_getxattr(
	struct tree *t, const struct tree_node *n, const char *name, void *buf, size_t len)
{
	int rc = tree_judge_xattr(t, name);
	fd_auto int fd = rc ? rc : tree_open_xattr(t, n);
	ssize_t got;

	if (!rc && tree_is_acl(t, name))
		return fd < 0 ? -ENODATA : tree_acl_get(t, fd, name, buf, len);
	if (fd < 0)
		return fd;
	got = fgetxattr(fd, name, buf, len);
	return got < 0 ? -errno : got;
}

/** Takes the names out that are not shown. Returns the bytes left. */
static size_t tree_filter_names(const struct tree *t, char *buf, size_t len)
{
	size_t kept = 0;

	for (size_t at = 0; at < len;) {
		size_t n = strnlen(buf + at, len - at) + 1;

		if (n > len - at)
			break;
		if (tree_xattr_shown(t, buf + at)) {
			memmove(buf + kept, buf + at, n);
			kept += n;
		}
		at += n;
	}
	return kept;
}

ssize_t tree_listxattr(struct tree *t, const struct tree_node *n, char *buf, size_t len)
{
	fd_auto int fd = tree_open_xattr(t, n);
	ssize_t got;
	size_t kept;

	if (fd < 0)
		return fd == -EOPNOTSUPP ? 0 : fd;
	got = flistxattr(fd, t->names, sizeof(t->names));
	if (got < 0)
		return -errno;
	kept = tree_filter_names(t, t->names, (size_t)got);
	if (!len)
		return (ssize_t)kept;
	if (kept > len)
		return -ERANGE;
	memcpy(buf, t->names, kept);
	return (ssize_t)kept;
}

int tree_setxattr(struct tree *t, const struct tree_node *n, const char *name, const void *buf,
	size_t len, int flags)
{
	int rc = t->ro ? -EROFS : tree_judge_xattr(t, name);
	fd_auto int fd = rc ? rc : tree_open_xattr(t, n);

	if (fd < 0)
		return fd;
	if (tree_is_acl(t, name))
		return tree_acl_set(t, fd, name, buf, len, flags);
	return fsetxattr(fd, name, buf, len, flags) ? -errno : 0;
}

int tree_removexattr(struct tree *t, const struct tree_node *n, const char *name)
{
	int rc = t->ro ? -EROFS : tree_judge_xattr(t, name);
	fd_auto int fd = rc ? rc : tree_open_xattr(t, n);

	if (fd < 0)
		return fd;
	if (tree_is_acl(t, name))
		rc = tree_acl_may_change(t, fd, name);
	if (rc)
		return rc;
	return fremovexattr(fd, name) ? -errno : 0;
}
