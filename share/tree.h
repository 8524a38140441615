/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A directory of the host and what lies beneath it, for servers of file protocols. A guest names
 * what it means by a node and one name in it; nothing here takes a path. So a guest reaches what
 * openat2(2) finds beneath the one directory that was opened before the jail, and nothing else:
 * no "..", no symlink (the guest follows those itself), no magic link.
 *
 * What is beneath counts when it is looked up: a node that somebody on the host moves out of the
 * directory later stays as reachable as a file that a process had open. Mount points beneath are
 * crossed, as they are for every process of the host. Hard links are files like any other.
 *
 * A node is a file that some client has looked up, as long as there are references to it. It has a
 * descriptor (O_PATH), so it is the same file however it is renamed meanwhile. Where there are more
 * nodes than descriptors, those not used for longest have none, and are looked up again when they
 * are needed: one that somebody on the host moved or replaced meanwhile is ESTALE. The number of
 * nodes is bounded, too: at the bound a new one is ENFILE until another one is forgotten.
 *
 * Files are opened for what they contain only if they are regular, and directories. Devices,
 * sockets and pipes of the host are never opened; a guest that opens one has its own behind it.
 * Where a file system without files is mounted beneath (proc, sysfs, cgroups and their like), the
 * guest finds an empty directory that it may mount its own on.
 *
 * No program is made that runs as its owner (S_ISUID, S_ISGID): that would be whom this process
 * runs as, who also runs what the guest wrote.
 *
 * Whoever owns files on the host, to the guest all belong to one user and group, and what it may
 * do is what the host lets this process do.
 *
 * All errors are negative errnos. A tree belongs to one thread.
 */
#pragma once

#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/types.h>
#include <time.h>

#include "base/base.h"
#include "base/err.h"

#define TREE_MAX_NAME  255U
#define TREE_MAX_XATTR 65536U /* bytes of a value, or of the list of names (xattr(7)) */

struct tree;
struct tree_node;

struct tree_config {
	int root_fd;        /* taken over: O_PATH | O_DIRECTORY */
	int self_fd;        /* taken over: /proc/self/fd of a proc that knows this process */
	bool ro;            /* changes are EROFS, and no file is opened for writing */
	uint32_t max_nodes; /* the root included */
	uint32_t max_fds;   /* descriptors that nodes have, at least 4 */
	uint32_t uid, gid;  /* whom all files are shown to belong to */
	bool acl; /* access control lists are shown, where the root's file system has them */
};

/** Takes the descriptors over, also on failure. Returns 0 or -errno with err. */
int __must_check tree_create(const struct tree_config *cfg, struct tree **ret, struct err *err);
/** NULL is fine. */
void tree_destroy(struct tree *t);

/* ---- nodes ---- */

struct tree_node *tree_root(struct tree *t);
/** A number for the node that no other gets while somebody may remember this one; the root's is 1.
 */
uint64_t tree_id(const struct tree *t, const struct tree_node *n);
/** The node of that number, or NULL: none such, or not any more. */
struct tree_node *tree_find(struct tree *t, uint64_t id);
/** One more reference to it; NULL: there are too many. */
struct tree_node *tree_again(struct tree *t, const struct tree_node *n);
/** Drops nr references, or as many as there are. The root stays. */
void tree_forget(struct tree *t, struct tree_node *n, uint64_t nr);
/** Drops all references to all nodes. */
void tree_reset(struct tree *t);
/** The S_IFMT bits, which never change. */
mode_t tree_type(const struct tree_node *n);
/** Nodes that there are, the root included. */
uint32_t tree_nr_nodes(const struct tree *t);

/*
 * The following give one reference to *ret, and with st what tree_stat says. A name is judged: not
 * empty, no slash in it, not "." or "..", TREE_MAX_NAME bytes at most. mask is the umask of who
 * asks.
 */
int __must_check tree_lookup(struct tree *t, const struct tree_node *dir, const char *name,
	struct tree_node **ret, struct statx *st);
int __must_check tree_mkdir(struct tree *t, const struct tree_node *dir, const char *name,
	mode_t mode, mode_t mask, struct tree_node **ret, struct statx *st);
/** Regular files, pipes and sockets; devices are EPERM. */
int __must_check tree_mknod(struct tree *t, const struct tree_node *dir, const char *name,
	mode_t mode, mode_t mask, struct tree_node **ret, struct statx *st);
int __must_check tree_symlink(struct tree *t, const struct tree_node *dir, const char *name,
	const char *target, mode_t mask, struct tree_node **ret, struct statx *st);
int __must_check tree_link(struct tree *t, const struct tree_node *n, const struct tree_node *dir,
	const char *name, struct tree_node **ret, struct statx *st);
/**
 * Makes and opens a file, or without O_EXCL opens the one that is there. flags as for tree_open.
 * *ret_fd is the caller's.
 */
int __must_check tree_make(struct tree *t, const struct tree_node *dir, const char *name, int flags,
	mode_t mode, mode_t mask, int *ret_fd, struct tree_node **ret, struct statx *st);
/** A file without a name, O_TMPFILE: tree_link may give it one. */
int __must_check tree_tmpfile(struct tree *t, const struct tree_node *dir, int flags, mode_t mode,
	mode_t mask, int *ret_fd, struct tree_node **ret, struct statx *st);

/* ---- names ---- */

int __must_check tree_unlink(struct tree *t, const struct tree_node *dir, const char *name);
int __must_check tree_rmdir(struct tree *t, const struct tree_node *dir, const char *name);
/** flags: RENAME_NOREPLACE or RENAME_EXCHANGE (renameat2(2)), others are EINVAL. */
int __must_check tree_rename(struct tree *t, const struct tree_node *from, const char *name,
	const struct tree_node *to, const char *new_name, unsigned flags);
/** Bytes of the target, without a zero at their end. */
ssize_t __must_check tree_readlink(
	struct tree *t, const struct tree_node *n, char *buf, size_t len);

/* ---- contents ---- */

/**
 * A descriptor of the caller's. Of flags O_ACCMODE, O_APPEND, O_TRUNC, O_DSYNC, O_SYNC and
 * O_DIRECTORY count. What is neither a regular file nor a directory is EPERM.
 */
int __must_check tree_open(struct tree *t, const struct tree_node *n, int flags);

/* ---- attributes ---- */

#define TREE_SET_MODE  BIT(0)
#define TREE_SET_UID   BIT(1)
#define TREE_SET_GID   BIT(2)
#define TREE_SET_SIZE  BIT(3)
#define TREE_SET_ATIME BIT(4)
#define TREE_SET_MTIME BIT(5)
#define TREE_KILL_SUID BIT(6) /* S_ISUID and S_ISGID go */

struct tree_attr {
	unsigned set; /* TREE_SET_* */
	mode_t mode;
	uint32_t uid, gid; /* the guest's */
	uint64_t size;
	struct timespec atime, mtime; /* tv_nsec UTIME_NOW: now */
};

/** STATX_BASIC_STATS and STATX_BTIME, with the owner that all files have. */
int __must_check tree_stat(struct tree *t, const struct tree_node *n, struct statx *ret);
/** fd: one of its descriptors that is open for writing, or -1. */
int __must_check tree_setattr(
	struct tree *t, const struct tree_node *n, int fd, const struct tree_attr *a);
int __must_check tree_statfs(struct tree *t, const struct tree_node *n, struct statfs *ret);

/** Whether there are POSIX access control lists here: asked for, and the root has them. */
bool tree_has_acl(const struct tree *t);
/** S_ISGID goes, as when a list is set by who is not in the file's group (acl(5)). */
int __must_check tree_kill_sgid(struct tree *t, const struct tree_node *n);

/*
 * Extended attributes of files and directories: those of user., and where tree_has_acl says so
 * system.posix_acl_access and system.posix_acl_default (tree_acl.c says whom they name); others are
 * EOPNOTSUPP. As getxattr(2) and its like: len 0 asks for the size. What has no list, or cannot be
 * asked, is ENODATA.
 */
ssize_t __must_check tree_getxattr(
	struct tree *t, const struct tree_node *n, const char *name, void *buf, size_t len);
ssize_t __must_check tree_listxattr(
	struct tree *t, const struct tree_node *n, char *buf, size_t len);
int __must_check tree_setxattr(struct tree *t, const struct tree_node *n, const char *name,
	const void *buf, size_t len, int flags);
int __must_check tree_removexattr(struct tree *t, const struct tree_node *n, const char *name);
