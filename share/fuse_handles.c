// SPDX-License-Identifier: BSD-3-Clause
/*
 * Open files by number: the index, and how often that was given out above it, so that a number
 * that was closed does not mean another file.
 */
#include <errno.h>
#include <unistd.h>

#include "base/fd.h"
#include "share/fuse_impl.h"

int fuse_handle_new(struct fuse *f, int fd, bool dir, uint64_t *ret_fh)
{
	uint32_t i = f->free_handle;
	struct fuse_handle *h;

	if (!i && f->used_handles == f->max_handles) {
		close(fd);
		return -ENFILE;
	}
	if (i)
		f->free_handle = f->handles[i].next;
	else
		i = ++f->used_handles;
	h = &f->handles[i];
	h->fd = fd;
	h->dir = dir;
	h->pos = 0;
	*ret_fh = (uint64_t)h->gen << 32 | i;
	return 0;
}

struct fuse_handle *fuse_handle_find(struct fuse *f, uint64_t fh, bool dir)
{
	uint32_t i = (uint32_t)fh;
	struct fuse_handle *h;

	if (!i || i > f->used_handles)
		return NULL;
	h = &f->handles[i];
	return h->fd >= 0 && h->gen == fh >> 32 && h->dir == dir ? h : NULL;
}

static void fuse_handle_free(struct fuse *f, struct fuse_handle *h)
{
	fd_close(&h->fd);
	h->gen++;
	h->next = f->free_handle;
	f->free_handle = (uint32_t)(h - f->handles);
}

void fuse_handle_close(struct fuse *f, uint64_t fh, bool dir)
{
	struct fuse_handle *h = fuse_handle_find(f, fh, dir);

	if (h)
		fuse_handle_free(f, h);
}

void fuse_handles_reset(struct fuse *f)
{
	for (uint32_t i = 1; i <= f->used_handles; i++)
		if (f->handles[i].fd >= 0)
			fuse_handle_free(f, &f->handles[i]);
}
