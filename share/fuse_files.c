// SPDX-License-Identifier: BSD-3-Clause
/*
 * Open files. What a file is opened for, the host's kernel enforces: a read-only tree has no
 * descriptor that could be written to.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/iov.h"
#include "share/fuse_impl.h"

#define FUSE_MAX_COPY (64 * MIB) /* what one request copies: the guest asks again for the rest */

/* ---- opened and closed ---- */

/** What a guest that writes later opens: it reads what it fills up, and says itself where. */
static int fuse_open_flags(const struct fuse *f, uint32_t asked)
{
	int flags = (int)asked;

	if (f->flags & FUSE_WRITEBACK_CACHE) {
		flags &= ~O_APPEND;
		if ((flags & O_ACCMODE) == O_WRONLY)
			flags = (flags & ~O_ACCMODE) | O_RDWR;
	}
	return flags;
}

static uint32_t fuse_open_reply(const struct fuse *f)
{
	static const uint32_t flags[] = {
		[FUSE_CACHE_NEVER] = FOPEN_DIRECT_IO,
		[FUSE_CACHE_AUTO] = 0,
		[FUSE_CACHE_ALWAYS] = FOPEN_KEEP_CACHE,
	};

	return flags[f->cache];
}

int64_t fuse_open(struct fuse_call *c)
{
	const struct fuse_open_in *in = c->arg;
	struct fuse_open_out *out = fuse_body(c, sizeof(*out));
	int fd, rc;

	if (S_ISDIR(tree_type(c->node)))
		return -EISDIR;
	if (c->room < sizeof(*out))
		return -EIO;
	fd = tree_open(c->f->tree, c->node, fuse_open_flags(c->f, in->flags));
	if (fd < 0)
		return fd;
	rc = fuse_handle_new(c->f, fd, false, &out->fh);
	out->open_flags = fuse_open_reply(c->f);
	return rc ? rc : (int64_t)sizeof(*out);
}

/** Tells of a file that was made and opened. */
static int64_t fuse_reply_made(
	struct fuse_call *c, int fd, struct tree_node *n, const struct statx *st)
{
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} *out = fuse_body(c, sizeof(*out));
	int rc = fuse_handle_new(c->f, fd, false, &out->open.fh);

	if (!rc && c->room < sizeof(*out)) {
		fuse_handle_close(c->f, out->open.fh, false);
		rc = -EIO;
	}
	if (rc) {
		tree_forget(c->f->tree, n, 1);
		return rc;
	}
	fuse_fill_entry(c->f, n, st, &out->entry);
	out->open.open_flags = fuse_open_reply(c->f);
	return sizeof(*out);
}

int64_t fuse_make(struct fuse_call *c)
{
	const struct fuse_create_in *in = c->arg;
	const char *name = fuse_string(c);
	int flags = fuse_open_flags(c->f, in->flags), fd, rc;
	struct tree_node *n;
	struct statx st;

	if (!name)
		return -EINVAL;
	rc = tree_make(c->f->tree, c->node, name, flags, in->mode, in->umask, &fd, &n, &st);
	return rc ? rc : fuse_reply_made(c, fd, n, &st);
}

int64_t fuse_tmpfile(struct fuse_call *c)
{
	const struct fuse_create_in *in = c->arg;
	int flags = fuse_open_flags(c->f, in->flags), fd, rc;
	struct tree_node *n;
	struct statx st;

	rc = tree_tmpfile(c->f->tree, c->node, flags, in->mode, in->umask, &fd, &n, &st);
	return rc ? rc : fuse_reply_made(c, fd, n, &st);
}

int64_t fuse_release(struct fuse_call *c)
{
	const struct fuse_release_in *in = c->arg;

	fuse_handle_close(c->f, in->fh, false);
	return 0;
}

/* ---- contents ---- */

int64_t fuse_read(struct fuse_call *c)
{
	const struct fuse_read_in *in = c->arg;
	const struct fuse_handle *h = fuse_handle_find(c->f, in->fh, false);
	size_t size = MIN(MIN(in->size, c->room), FUSE_MAX_IO);
	unsigned nr;
	ssize_t got;

	if (!h)
		return -EBADF;
	if (in->offset > INT64_MAX)
		return -EINVAL;
	nr = iov_slice(c->out, c->nr_out, sizeof(struct fuse_out_header), size, c->f->data);
	got = preadv(h->fd, c->f->data, (int)nr, (off_t)in->offset);
	return got < 0 ? -errno : got;
}

int64_t fuse_write(struct fuse_call *c)
{
	const struct fuse_write_in *in = c->arg;
	const struct fuse_handle *h = fuse_handle_find(c->f, in->fh, false);
	struct fuse_write_out *out = fuse_body(c, sizeof(*out));
	const size_t head = sizeof(c->h) + sizeof(*in);
	unsigned nr;
	ssize_t put;

	if (!h)
		return -EBADF;
	if (in->offset > INT64_MAX || in->size > FUSE_MAX_IO || in->size > c->in_len - head)
		return -EINVAL;
	nr = iov_slice(c->in, c->nr_in, head, in->size, c->f->data);
	put = pwritev(h->fd, c->f->data, (int)nr, (off_t)in->offset);
	if (put < 0)
		return -errno;
	out->size = (uint32_t)put;
	return sizeof(*out);
}

int64_t fuse_fsync(struct fuse_call *c)
{
	const struct fuse_fsync_in *in = c->arg;
	const struct fuse_handle *h = fuse_handle_find(c->f, in->fh, false);

	if (!h)
		return -EBADF;
	return (in->fsync_flags & FUSE_FSYNC_FDATASYNC ? fdatasync(h->fd) : fsync(h->fd)) ? -errno
											  : 0;
}

int64_t fuse_fallocate(struct fuse_call *c)
{
	const struct fuse_fallocate_in *in = c->arg;
	const struct fuse_handle *h = fuse_handle_find(c->f, in->fh, false);
	const uint32_t modes = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;

	if (!h)
		return -EBADF;
	if (in->mode & ~modes)
		return -EOPNOTSUPP;
	if (in->offset > INT64_MAX || in->length > INT64_MAX)
		return -EINVAL;
	return fallocate(h->fd, (int)in->mode, (off_t)in->offset, (off_t)in->length) ? -errno : 0;
}

int64_t fuse_lseek(struct fuse_call *c)
{
	const struct fuse_lseek_in *in = c->arg;
	const struct fuse_handle *h = fuse_handle_find(c->f, in->fh, false);
	struct fuse_lseek_out *out = fuse_body(c, sizeof(*out));
	off_t at;

	if (!h)
		return -EBADF;
	/* The others need no server. This one's own position is nobody's. */
	if (in->offset > INT64_MAX || (in->whence != SEEK_DATA && in->whence != SEEK_HOLE))
		return -EINVAL;
	at = lseek(h->fd, (off_t)in->offset, (int)in->whence);
	if (at < 0)
		return -errno;
	out->offset = (uint64_t)at;
	return sizeof(*out);
}

int64_t fuse_copy(struct fuse_call *c)
{
	const struct fuse_copy_file_range_in *in = c->arg;
	const struct fuse_handle *from = fuse_handle_find(c->f, in->fh_in, false);
	const struct fuse_handle *to = fuse_handle_find(c->f, in->fh_out, false);
	struct fuse_write_out *out = fuse_body(c, sizeof(*out));
	off_t off_in = (off_t)in->off_in, off_out = (off_t)in->off_out;
	ssize_t n;

	if (!from || !to)
		return -EBADF;
	if (in->off_in > INT64_MAX || in->off_out > INT64_MAX || in->flags)
		return -EINVAL;
	n = copy_file_range(
		from->fd, &off_in, to->fd, &off_out, (size_t)MIN(in->len, FUSE_MAX_COPY), 0);
	if (n < 0)
		return -errno;
	out->size = (uint32_t)n;
	return sizeof(*out);
}
