// SPDX-License-Identifier: BSD-3-Clause
/* Open files and directories. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/iov.h"
#include "share/p9_impl.h"

#define P9_DIRENT_HEAD 24U  /* qid[13] offset[8] type[1] and the name's length */
#define P9_MIN_DIRENTS 280U /* the least room that surely holds an entry of the host */
#define P9_IOUNIT      0U   /* as much as fits a message */

/* Linux's generic numbers of open(2), which the protocol has, are those of the host, but some. */
static int p9_flags(uint32_t asked)
{
	static const struct {
		uint32_t theirs;
		int ours;
	} bits[] = {
		{ 01, O_WRONLY },
		{ 02, O_RDWR },
		{ 0200, O_EXCL },
		{ 01000, O_TRUNC },
		{ 02000, O_APPEND },
		{ 010000, O_DSYNC },
		{ 0200000, O_DIRECTORY },
		{ 04000000, O_SYNC },
	};
	int flags = 0;

	for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
		if (asked & bits[i].theirs)
			flags |= bits[i].ours;
	return flags;
}

/** A fid has a file that is open. */
static int p9_opened(struct p9_call *c, struct p9_fid *f, int fd, const struct statx *st)
{
	f->fd = fd;
	f->pos = 0;
	p9_put_qid(c, st);
	p9_put(c, P9_IOUNIT, 4);
	return 0;
}

int p9_lopen(struct p9_call *c)
{
	struct p9_fid *f = p9_fid(c);
	uint32_t flags = p9_u32(c);
	struct statx st;
	int rc, fd;

	if (c->bad || !f || f->fd >= 0 || f->attr)
		return c->bad ? -EINVAL : -EBADF;
	fd = tree_open(c->p->tree, f->node, p9_flags(flags));
	if (fd < 0)
		return fd;
	rc = tree_stat(c->p->tree, f->node, &st);
	if (rc) {
		close(fd);
		return rc;
	}
	return p9_opened(c, f, fd, &st);
}

/** The directory's fid becomes the file's. */
int p9_lcreate(struct p9_call *c)
{
	struct p9_fid *f = p9_fid(c);
	const char *name = p9_string(c);
	uint32_t flags = p9_u32(c), mode = p9_u32(c);
	struct tree_node *n;
	struct statx st;
	int rc, fd;

	p9_u32(c);
	if (c->bad || !f || f->fd >= 0 || f->attr)
		return c->bad ? -EINVAL : -EBADF;
	rc = tree_make(c->p->tree, f->node, name, p9_flags(flags), mode & 07777, 0, &fd, &n, &st);
	if (rc)
		return rc;
	p9_fid_move(c->p, f, n);
	return p9_opened(c, f, fd, &st);
}

int p9_clunk(struct p9_call *c)
{
	struct p9_fid *f = p9_fid(c);
	int rc = 0;

	rc = p9_judge(c, f);
	if (rc)
		return rc;
	if (f->attr_name)
		rc = p9_attr_commit(c->p, f);
	p9_fid_free(c->p, f);
	return rc;
}

/** The fid is gone whatever comes of it. Linux removes by Tunlinkat. */
int p9_remove(struct p9_call *c)
{
	struct p9_fid *f = p9_fid(c);
	int rc;

	rc = p9_judge(c, f);
	if (rc)
		return rc;
	p9_fid_free(c->p, f);
	return -EOPNOTSUPP;
}

/* ---- contents ---- */

static int p9_read_attr(struct p9_call *c, const struct p9_fid *f, uint64_t off, uint32_t count)
{
	uint32_t n = off >= f->attr_len ? 0 : MIN(count, (uint32_t)(f->attr_len - off));

	if (p9_room(c) < 4)
		return -EIO;
	n = MIN(n, (uint32_t)p9_room(c) - 4);
	p9_put(c, n, 4);
	memcpy(c->put, f->attr + (n ? off : 0), n);
	c->put += n;
	return 0;
}

int p9_read(struct p9_call *c)
{
	struct p9_fid *f = p9_fid(c);
	uint64_t off = p9_u64(c);
	uint32_t count = p9_u32(c);
	unsigned nr;
	ssize_t got;

	if (c->bad || off > INT64_MAX)
		return -EINVAL;
	if (f && f->attr && !f->attr_name)
		return p9_read_attr(c, f, off, count);
	if (!f || f->fd < 0 || S_ISDIR(tree_type(f->node)))
		return -EBADF;
	if (c->room < 4)
		return -EIO;
	nr = iov_slice(c->out, c->nr_out, P9_HEAD + 4, MIN(count, c->room - 4), c->p->data);
	got = preadv(f->fd, c->p->data, (int)nr, (off_t)off);
	if (got < 0)
		return -errno;
	p9_put(c, (uint64_t)got, 4);
	c->direct = (uint32_t)got;
	return 0;
}

static int p9_write_attr(struct p9_call *c, struct p9_fid *f, uint64_t off, uint32_t count)
{
	if (off != f->attr_have || count > f->attr_len - f->attr_have)
		return -EINVAL;
	iov_read(c->in, c->nr_in, P9_HEAD + 16, f->attr + off, count);
	f->attr_have += count;
	p9_put(c, count, 4);
	return 0;
}

int p9_write(struct p9_call *c)
{
	struct p9_fid *f = p9_fid(c);
	uint64_t off = p9_u64(c);
	uint32_t count = p9_u32(c);
	unsigned nr;
	ssize_t put;

	if (c->bad || off > INT64_MAX || count > c->in_len - P9_HEAD - 16)
		return -EINVAL;
	if (f && f->attr_name)
		return p9_write_attr(c, f, off, count);
	if (!f || f->fd < 0 || S_ISDIR(tree_type(f->node)))
		return -EBADF;
	nr = iov_slice(c->in, c->nr_in, P9_HEAD + 16, count, c->p->data);
	put = pwritev(f->fd, c->p->data, (int)nr, (off_t)off);
	if (put < 0)
		return -errno;
	p9_put(c, (uint64_t)put, 4);
	return 0;
}

int p9_fsync(struct p9_call *c)
{
	struct p9_fid *f = p9_fid(c);
	uint32_t data_only = p9_u32(c);

	if (c->bad || !f || f->fd < 0)
		return c->bad ? -EINVAL : -EBADF;
	return (data_only ? fdatasync(f->fd) : fsync(f->fd)) ? -errno : 0;
}

/* ---- directories ---- */

/** Puts one entry. False when it does not fit before end. */
static bool p9_put_dirent(struct p9_call *c, const struct dirent64 *d, const uint8_t *end)
{
	size_t name = strlen(d->d_name);
	/* What it is is asked again by who wants to know: a number and a type are enough. */
	struct statx st = { .stx_ino = d->d_ino,
		.stx_mode = (uint16_t)(d->d_type == DT_DIR ? S_IFDIR
				: d->d_type == DT_LNK      ? S_IFLNK
							   : S_IFREG) };

	if ((size_t)(end - c->put) < P9_DIRENT_HEAD + name)
		return false;
	p9_put_qid(c, &st);
	p9_put(c, (uint64_t)d->d_off, 8);
	p9_put(c, d->d_type, 1);
	p9_put(c, name, 2);
	memcpy(c->put, d->d_name, name);
	c->put += name;
	return true;
}

int p9_readdir(struct p9_call *c)
{
	struct p9_fid *f = p9_fid(c);
	uint64_t off = p9_u64(c);
	uint32_t count = p9_u32(c);
	const uint8_t *end;
	uint8_t *body;
	ssize_t got;

	if (c->bad || off > INT64_MAX)
		return -EINVAL;
	if (!f || f->fd < 0 || !S_ISDIR(tree_type(f->node)))
		return -EBADF;
	if (p9_room(c) < 4)
		return -EIO;
	if (f->pos != (int64_t)off && lseek(f->fd, (off_t)off, SEEK_SET) < 0)
		return -errno;
	f->pos = -1;
	count = MIN(count, (uint32_t)p9_room(c) - 4);
	/* An entry here is longer than the host's by 4 at most, of the shortest's 24. */
	got = getdents64(f->fd, c->p->dirents,
		MAX(MIN((size_t)count / 28 * 24, sizeof(c->p->dirents)), P9_MIN_DIRENTS));
	if (got < 0)
		return -errno;
	p9_put(c, 0, 4);
	body = c->put;
	end = body + count;
	for (ssize_t at = 0; at < got;) {
		const struct dirent64 *d = (const void *)(c->p->dirents + at);

		if (!p9_put_dirent(c, d, end)) {
			f->pos = -1;
			break;
		}
		f->pos = d->d_off;
		at += d->d_reclen;
	}
	/* Nothing at all would say that this is the end. */
	if (got && c->put == body)
		return -EINVAL;
	le32_put(body - 4, (uint32_t)(c->put - body));
	return 0;
}

/* ---- locks: the client has asked itself already ---- */

int p9_lock(struct p9_call *c)
{
	struct p9_fid *f = p9_fid(c);

	p9_u8(c); /* type, flags, start, length, process, client */
	p9_u32(c);
	p9_u64(c);
	p9_u64(c);
	p9_u32(c);
	p9_string(c);
	if (c->bad || !f || f->fd < 0)
		return c->bad ? -EINVAL : -EBADF;
	p9_put(c, 0, 1); /* it has the lock */
	return 0;
}

int p9_getlock(struct p9_call *c)
{
	struct p9_fid *f = p9_fid(c);
	uint64_t start, len;
	uint32_t pid;

	p9_u8(c);
	start = p9_u64(c);
	len = p9_u64(c);
	pid = p9_u32(c);
	p9_string(c);
	if (c->bad || !f || f->fd < 0)
		return c->bad ? -EINVAL : -EBADF;
	p9_put(c, 2, 1); /* nobody has it */
	p9_put(c, start, 8);
	p9_put(c, len, 8);
	p9_put(c, pid, 4);
	p9_put(c, 0, 2);
	return 0;
}
