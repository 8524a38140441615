// SPDX-License-Identifier: BSD-3-Clause
/*
 * Directories read. The guest says with each request where it goes on: a position that the host's
 * file system made, and judges.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "share/fuse_impl.h"

/* The least room that surely holds an entry of the host (getdents64(2)). */
#define FUSE_MIN_DIRENTS 280U

int64_t fuse_opendir(struct fuse_call *c)
{
	struct fuse_open_out *out = fuse_body(c, sizeof(*out));
	int fd, rc;

	if (!S_ISDIR(tree_type(c->node)))
		return -ENOTDIR;
	if (c->room < sizeof(*out))
		return -EIO;
	fd = tree_open(c->f->tree, c->node, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return fd;
	rc = fuse_handle_new(c->f, fd, true, &out->fh);
	if (c->f->cache == FUSE_CACHE_ALWAYS)
		out->open_flags = FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR;
	return rc ? rc : (int64_t)sizeof(*out);
}

int64_t fuse_releasedir(struct fuse_call *c)
{
	const struct fuse_release_in *in = c->arg;

	fuse_handle_close(c->f, in->fh, true);
	return 0;
}

int64_t fuse_fsyncdir(struct fuse_call *c)
{
	const struct fuse_fsync_in *in = c->arg;
	const struct fuse_handle *h = fuse_handle_find(c->f, in->fh, true);

	if (!h)
		return -EBADF;
	return fsync(h->fd) ? -errno : 0;
}

static bool fuse_is_dots(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

/** What the shared directory's own parent is, is none of the guest's business. */
static uint64_t fuse_dirent_ino(struct fuse_call *c, const struct dirent64 *d)
{
	struct statx st;

	if (c->node != tree_root(c->f->tree) || strcmp(d->d_name, ".."))
		return d->d_ino;
	return tree_stat(c->f->tree, c->node, &st) ? d->d_ino : st.stx_ino;
}

/**
 * Writes one entry at out, which has room for len bytes. Returns its bytes, or 0 when it does not
 * fit.
 */
static size_t fuse_put_dirent(
	struct fuse_call *c, const struct dirent64 *d, bool plus, uint8_t *out, size_t len)
{
	size_t head = plus ? FUSE_NAME_OFFSET_DIRENTPLUS : FUSE_NAME_OFFSET;
	size_t name = strlen(d->d_name), all = FUSE_DIRENT_ALIGN(head + name);
	struct fuse_dirent *e = (struct fuse_dirent *)(void *)(out + head - FUSE_NAME_OFFSET);
	struct tree_node *n;
	struct statx st;

	if (all > len)
		return 0;
	memset(out, 0, all);
	e->ino = fuse_dirent_ino(c, d);
	e->off = (uint64_t)d->d_off;
	e->namelen = (uint32_t)name;
	e->type = d->d_type;
	memcpy(e->name, d->d_name, name);
	/* Without a node the guest has the name, and looks it up when it wants more. */
	if (plus && !fuse_is_dots(d->d_name) &&
		!tree_lookup(c->f->tree, c->node, d->d_name, &n, &st))
		fuse_fill_entry(c->f, n, &st, (struct fuse_entry_out *)(void *)out);
	return all;
}

/**
 * How much to read so that all of it fits into left bytes: an entry here is larger than the
 * host's by at most 160 to 24 bytes, or 32 to 24, which are those of the shortest name.
 */
static size_t fuse_dirents_for(const struct fuse *f, size_t left, bool plus)
{
	return MIN(plus ? left * 24 / 160 : left * 24 / 32, sizeof(f->dirents));
}

/** Entries of one read. Returns bytes put at out, or -errno; *end: there are no more, or no room.
 */
static int64_t fuse_put_dirents(
	struct fuse_call *c, struct fuse_handle *h, bool plus, uint8_t *out, size_t left, bool *end)
{
	size_t want = MAX(fuse_dirents_for(c->f, left, plus), FUSE_MIN_DIRENTS), done = 0;
	ssize_t got = getdents64(h->fd, c->f->dirents, want);

	if (got < 0)
		return -errno;
	*end = !got;
	for (ssize_t at = 0; at < got;) {
		const struct dirent64 *d = (const void *)(c->f->dirents + at);
		size_t n = fuse_put_dirent(c, d, plus, out + done, left - done);

		if (!n) {
			/* The next request goes back to it. */
			*end = true;
			h->pos = -1;
			return (int64_t)done;
		}
		h->pos = d->d_off;
		done += n;
		at += d->d_reclen;
	}
	return (int64_t)done;
}

static int64_t fuse_read_dir(struct fuse_call *c, bool plus)
{
	const struct fuse_read_in *in = c->arg;
	struct fuse_handle *h = fuse_handle_find(c->f, in->fh, true);
	size_t size = MIN(MIN(in->size, c->room), FUSE_MAX_REPLY), done = 0;
	bool end = false;

	if (!h)
		return -EBADF;
	if (in->offset > INT64_MAX)
		return -EINVAL;
	if (h->pos != (int64_t)in->offset && lseek(h->fd, (off_t)in->offset, SEEK_SET) < 0)
		return -errno;
	h->pos = (int64_t)in->offset;
	do {
		int64_t n = fuse_put_dirents(c, h, plus, c->f->reply + done, size - done, &end);

		if (n < 0 && !done)
			return n;
		if (n > 0)
			done += (size_t)n;
		end |= n <= 0;
	} while (!end && fuse_dirents_for(c->f, size - done, plus) >= FUSE_MIN_DIRENTS);
	/* Nothing at all would say that this is the end. */
	return !done && h->pos < 0 ? -EINVAL : (int64_t)done;
}

int64_t fuse_readdir(struct fuse_call *c)
{
	return fuse_read_dir(c, false);
}

int64_t fuse_readdirplus(struct fuse_call *c)
{
	return fuse_read_dir(c, true);
}
