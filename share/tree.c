// SPDX-License-Identifier: BSD-3-Clause
/*
 * Nodes: a table with an index by what the kernel calls the same file (mount, device, inode).
 *
 * Invariants:
 * 1. A node in use has a descriptor, so its inode's number is not given to another file, or it
 *    rests, and its file is judged before it has one again (tree_rest.c).
 * 2. A node's number has the index and how often that was given out, so a number that a guest
 *    remembers for too long finds nothing, or at worst, 2^32 uses later, another of its own nodes.
 * 3. The table has its full size from the start; memory that was never used costs nothing.
 *
 * Descriptors are opened again for reading and writing through /proc/self/fd, which is the one
 * way that is the same file for certain. It is a proc of this process alone where there is a jail
 * (sandbox/jail.h), and its descriptor is used with a number and nothing else.
 */
#include "share/tree_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"

#define TREE_ROOT 1U

/* Those that linux/magic.h does not have. */
#define TREE_CONFIGFS_MAGIC 0x62656570
#define TREE_FUSECTL_MAGIC  0x65735543
#define TREE_MQUEUE_MAGIC   0x19800202

/* ---- names and descriptors ---- */

int tree_judge_name(const char *name)
{
	if (!*name)
		return -ENOENT;
	if (!strcmp(name, ".") || !strcmp(name, "..") || strchr(name, '/'))
		return -EINVAL;
	return strlen(name) > TREE_MAX_NAME ? -ENAMETOOLONG : 0;
}

void tree_self_name(int fd, char name[TREE_SELF_NAME])
{
	snprintf(name, TREE_SELF_NAME, "%d", fd);
}

int tree_open_path(int dir, const char *name)
{
	struct open_how how = {
		.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS,
	};
	int fd = (int)syscall(SYS_openat2, dir, name, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

int tree_stat_fd(const struct tree *t, int fd, struct statx *ret)
{
	if (statx(fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_STATX_SYNC_AS_STAT,
		    STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID, ret))
		return -errno;
	ret->stx_uid = t->uid;
	ret->stx_gid = t->gid;
	return 0;
}

/* ---- the table ---- */

static uint32_t *tree_bucket(const struct tree *t, const struct tree_node *n)
{
	uint64_t h = n->ino ^ t->key;

	/* Multiplications that spread; the key does not let a guest see how. */
	h = (h ^ (h >> 32)) * 0x9e3779b97f4a7c15ULL;
	h ^= (uint64_t)n->dev_major << 40 ^ (uint64_t)n->dev_minor << 20 ^ n->mnt;
	h = (h ^ (h >> 29)) * 0xbf58476d1ce4e5b9ULL;
	return &t->bucket[(h >> 32) & t->mask];
}

static bool tree_same_mount(const struct tree_node *a, const struct tree_node *b)
{
	return a->mnt == b->mnt && a->dev_major == b->dev_major && a->dev_minor == b->dev_minor;
}

static bool tree_same(const struct tree_node *a, const struct tree_node *b)
{
	return a->ino == b->ino && tree_same_mount(a, b);
}

bool tree_is_of(const struct tree_node *n, const struct tree_node *like)
{
	/* A descriptor keeps the inode's number; without one another file may have it by now. */
	return tree_same(n, like) &&
		(n->fd >= 0 || (n->type == like->type && n->born == like->born));
}

/** Whether what is mounted there has no files: the kernel's own views of itself. */
static bool tree_is_view(int fd)
{
	static const uint64_t views[] = { BPF_FS_MAGIC, CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC,
		DEBUGFS_MAGIC, DEVPTS_SUPER_MAGIC, EFIVARFS_MAGIC, NSFS_MAGIC, PROC_SUPER_MAGIC,
		PSTOREFS_MAGIC, SECURITYFS_MAGIC, SELINUX_MAGIC, SYSFS_MAGIC, TRACEFS_MAGIC,
		BINFMTFS_MAGIC, TREE_CONFIGFS_MAGIC, TREE_FUSECTL_MAGIC, TREE_MQUEUE_MAGIC };
	struct statfs st;

	if (fstatfs(fd, &st))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(views); i++)
		if ((uint32_t)st.f_type == views[i])
			return true;
	return false;
}

static struct tree_node *tree_known(const struct tree *t, const struct tree_node *like)
{
	for (uint32_t i = *tree_bucket(t, like); i; i = t->nodes[i].next)
		if (tree_same(&t->nodes[i], like))
			return &t->nodes[i];
	return NULL;
}

/** A free index, or 0. */
static uint32_t tree_take_index(struct tree *t)
{
	uint32_t i = t->free;

	if (i)
		t->free = t->nodes[i].next;
	else if (t->used < t->max)
		i = ++t->used;
	return i;
}

static void tree_hash_add(struct tree *t, struct tree_node *n)
{
	uint32_t *bucket = tree_bucket(t, n);

	n->next = *bucket;
	*bucket = tree_index(t, n);
}

static void tree_hash_remove(struct tree *t, const struct tree_node *n)
{
	uint32_t *at = tree_bucket(t, n);

	while (*at != tree_index(t, n))
		at = &t->nodes[*at].next;
	*at = n->next;
}

static void tree_insert(struct tree *t, uint32_t i, const struct tree_node *like)
{
	struct tree_node *n = &t->nodes[i];
	uint32_t gen = n->gen;

	*n = *like;
	n->gen = gen;
	tree_hash_add(t, n);
	t->nr++;
}

static void tree_remove(struct tree *t, struct tree_node *n)
{
	tree_hash_remove(t, n);
	tree_lose_fd(t, n);
	n->refs = 0;
	n->type = 0;
	n->gen++;
	n->next = t->free;
	t->free = tree_index(t, n);
	t->nr--;
}

/** Its file was found to be gone, and its inode's number is another's: nothing finds it again. */
static void tree_bury(struct tree *t, struct tree_node *n)
{
	struct tree_node *parent = &t->nodes[n->parent];

	tree_hash_remove(t, n);
	n->mnt = UINT64_MAX;
	tree_hash_add(t, n);
	tree_unname(t, n);
	tree_let_go(t, parent);
}

void tree_let_go(struct tree *t, struct tree_node *n)
{
	while (n != tree_root(t) && !n->refs && !n->held) {
		struct tree_node *parent = n->name ? &t->nodes[n->parent] : tree_root(t);

		tree_unname(t, n);
		tree_remove(t, n);
		n = parent;
	}
}

struct tree_node tree_node_like(const struct statx *st)
{
	return (struct tree_node){
		.ino = st->stx_ino,
		.mnt = st->stx_mask & STATX_MNT_ID ? st->stx_mnt_id : 0,
		.born = st->stx_mask & STATX_BTIME
			? (uint64_t)st->stx_btime.tv_sec * 1000000000 + st->stx_btime.tv_nsec
			: 0,
		.dev_major = st->stx_dev_major,
		.dev_minor = st->stx_dev_minor,
		.fd = -1,
		.type = st->stx_mode & S_IFMT,
	};
}

struct tree_node *tree_named(struct tree *t, int dir, const char *name)
{
	fd_auto int fd = tree_open_path(dir, name);
	struct tree_node like, *n;
	struct statx st;

	if (fd < 0 || tree_stat_fd(t, fd, &st))
		return NULL;
	like = tree_node_like(&st);
	n = tree_known(t, &like);
	if (n && n->fd < 0 && (!tree_is_of(n, &like) || tree_wake_with(t, n, &fd)))
		n = NULL;
	return n;
}

/** A node of a file that has none yet; takes *fd when it succeeds. */
static int tree_add(struct tree *t, const struct tree_node *dir, struct tree_node *like, int *fd,
	struct tree_node **ret)
{
	int rc = tree_make_room(t);
	uint32_t i = rc ? 0 : tree_take_index(t);

	if (!i)
		return -ENFILE;
	like->closed = dir && !tree_same_mount(dir, like) && tree_is_view(*fd);
	tree_insert(t, i, like);
	*ret = &t->nodes[i];
	tree_have_fd(t, *ret, fd_take(fd));
	return 0;
}

int tree_intern(struct tree *t, const struct tree_node *dir, const char *name, int fd,
	struct tree_node **ret, struct statx *st)
{
	struct tree_node like, *n;
	fd_auto int mine = fd;
	int rc = tree_stat_fd(t, fd, st);

	if (rc)
		return rc;
	like = tree_node_like(st);
	n = tree_known(t, &like);
	if (n && !tree_is_of(n, &like)) {
		tree_bury(t, n);
		n = NULL;
	}
	if (!n)
		rc = tree_add(t, dir, &like, &mine, &n);
	else if (n->fd < 0)
		rc = tree_wake_with(t, n, &mine);
	if (rc)
		return rc;
	n->refs++;
	if (name)
		tree_name(t, n, dir, name);
	*ret = n;
	return 0;
}

struct tree_node *tree_root(struct tree *t)
{
	return &t->nodes[TREE_ROOT];
}

uint64_t tree_id(const struct tree *t, const struct tree_node *n)
{
	return (uint64_t)n->gen << 32 | tree_index(t, n);
}

struct tree_node *tree_find(struct tree *t, uint64_t id)
{
	uint32_t i = (uint32_t)id;
	struct tree_node *n;

	if (!i || i > t->used)
		return NULL;
	n = &t->nodes[i];
	return n->refs && n->gen == id >> 32 ? n : NULL;
}

struct tree_node *tree_again(struct tree *t, const struct tree_node *n)
{
	struct tree_node *mine = tree_mine(t, n);

	if (mine->refs == UINT64_MAX)
		return NULL;
	mine->refs++;
	return mine;
}

void tree_forget(struct tree *t, struct tree_node *n, uint64_t nr)
{
	if (n == tree_root(t))
		return;
	n->refs -= MIN(nr, n->refs);
	tree_let_go(t, n);
}

void tree_reset(struct tree *t)
{
	/* Two turns, for whose directory is whose may be a circle (tree_wake). */
	for (uint32_t i = TREE_ROOT + 1; i <= t->used; i++)
		tree_unname(t, &t->nodes[i]);
	for (uint32_t i = TREE_ROOT + 1; i <= t->used; i++)
		if (t->nodes[i].type)
			tree_remove(t, &t->nodes[i]);
}

mode_t tree_type(const struct tree_node *n)
{
	return n->type;
}

uint32_t tree_nr_nodes(const struct tree *t)
{
	return t->nr;
}

int tree_lookup(struct tree *t, const struct tree_node *dir, const char *name,
	struct tree_node **ret, struct statx *st)
{
	int rc = tree_judge_name(name), at, fd;

	if (!rc && dir->closed)
		rc = -ENOENT;
	if (rc)
		return rc;
	at = tree_fd(t, dir);
	if (at < 0)
		return at;
	fd = tree_open_path(at, name);
	return fd < 0 ? fd : tree_intern(t, dir, name, fd, ret, st);
}

/* ---- how files are made ---- */

/* Of this process, which for a device without a jail is the monitor: it makes no files meanwhile.
 */
void tree_as(struct tree *t, mode_t mask)
{
	t->own_mask = umask(mask & 0777);
}

void tree_back(struct tree *t)
{
	umask(t->own_mask);
}

/* ---- the whole ---- */

static int tree_alloc(struct tree *t, uint32_t max)
{
	uint32_t buckets = 1;

	while (buckets < max)
		buckets *= 2;
	t->max = max;
	t->mask = buckets - 1;
	/* The kernel hands out zeroes, and pages when they are used. */
	t->nodes = calloc((size_t)max + 1, sizeof(*t->nodes));
	t->bucket = calloc(buckets, sizeof(*t->bucket));
	return t->nodes && t->bucket ? 0 : -ENOMEM;
}

static int tree_prepare(struct tree *t, const struct tree_config *cfg, int *root)
{
	struct tree_node *n;
	struct statx st;
	int rc = tree_alloc(t, cfg->max_nodes), probe;

	if (rc)
		return rc;
	if (getrandom(&t->key, sizeof(t->key), 0) != sizeof(t->key))
		return -EIO;
	/* A host without openat2(2) is told now. */
	probe = tree_open_path(*root, ".");
	if (probe < 0)
		return probe;
	fd_close(&probe);
	rc = tree_intern(t, NULL, NULL, fd_take(root), &n, &st);
	if (!rc && !S_ISDIR(st.stx_mode))
		rc = -ENOTDIR;
	BUG_ON(!rc && n != tree_root(t));
	return rc;
}

int tree_create(const struct tree_config *cfg, struct tree **ret, struct err *err)
{
	struct tree *t = calloc(1, sizeof(*t));
	fd_auto int root = cfg->root_fd;
	fd_auto int self = cfg->self_fd;
	int rc;

	BUG_ON(!cfg->max_nodes || cfg->max_nodes == UINT32_MAX || cfg->max_fds < 4);
	if (!t)
		return err_errno(err, ENOMEM, "shared directory");
	t->self_fd = fd_take(&self);
	t->ro = cfg->ro;
	t->max_fds = cfg->max_fds;
	t->uid = cfg->uid;
	t->gid = cfg->gid;
	t->own_uid = geteuid();
	t->own_gid = getegid();
	rc = tree_prepare(t, cfg, &root);
	if (rc) {
		tree_destroy(t);
		return err_errno(err, -rc, "shared directory");
	}
	t->acl = cfg->acl && tree_acl_probe(t);
	*ret = t;
	return 0;
}

bool tree_has_acl(const struct tree *t)
{
	return t->acl;
}

void tree_destroy(struct tree *t)
{
	if (!t)
		return;
	for (uint32_t i = TREE_ROOT; i <= t->used; i++) {
		fd_close(&t->nodes[i].fd);
		free(t->nodes[i].name);
	}
	free(t->nodes);
	free(t->bucket);
	fd_close(&t->self_fd);
	free(t);
}
