// SPDX-License-Identifier: BSD-3-Clause
/*
 * The file being loaded. Bytes go from the page cache straight into guest RAM: one copy, no
 * buffer, nothing allocated by the file's size.
 *
 * Invariant: no read starts unless all of it lies inside the size seen at the start. A file
 * that shrinks afterwards gives a short read, which is an error too.
 */
#include "loader/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/fd.h"

int lfile_init(struct lfile *f, int fd, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0) {
		err_errno(err, errno, "cannot be examined");
		return -EIO;
	}
	if (S_ISDIR(st.st_mode))
		return err_set(err, EINVAL, "is a directory");
	if (!S_ISREG(st.st_mode))
		return err_set(err, EINVAL, "is not a regular file");
	if (!st.st_size)
		return err_set(err, EINVAL, "is empty");
	f->fd = fd;
	f->size = (uint64_t)st.st_size;
	return 0;
}

int lfile_check(
	const struct lfile *f, uint64_t off, uint64_t len, const char *what, struct err *err)
{
	if (range_within(off, len, 0, f->size))
		return 0;
	return err_set(err, EINVAL,
		"is cut short or corrupt: its %" PRIu64 " bytes do not hold %s (%" PRIu64
		" bytes at offset %" PRIu64 ")",
		f->size, what, len, off);
}

static int lfile_pread(const struct lfile *f, uint64_t off, void *buf, size_t len, struct err *err)
{
	ssize_t n = fd_pread_full(f->fd, buf, len, off);

	if (n < 0) {
		err_errno(err, (int)-n, "cannot be read at offset %" PRIu64, off);
		return -EIO;
	}
	if ((size_t)n != len)
		return err_set(err, EIO, "shrank while it was read");
	return 0;
}

int lfile_read(const struct lfile *f, uint64_t off, void *buf, size_t len, const char *what,
	struct err *err)
{
	int rc = lfile_check(f, off, len, what, err);

	return rc ? rc : lfile_pread(f, off, buf, len, err);
}

/**
 * Has the pages of fresh RAM made in one go, which is a fifth cheaper than by the faults of a
 * copy. A kernel before 5.14 refuses, and then they fault.
 */
static void lfile_populate(const struct iovec *iov)
{
	size_t head = (uintptr_t)iov->iov_base & (PAGE_SIZE_4K - 1);

	madvise((char *)iov->iov_base - head, iov->iov_len + head, MADV_POPULATE_WRITE);
}

int lfile_to_ram(const struct lfile *f, uint64_t off, uint64_t len, const struct guest_memory *gm,
	gpa_t gpa, const char *what, struct err *err)
{
	struct iovec iov[GM_MAX_REGIONS];
	int n, rc = lfile_check(f, off, len, what, err);

	if (rc)
		return rc;
	n = gm_iovec(gm, gpa, len, iov, GM_MAX_REGIONS);
	BUG_ON(n < 0);
	for (int i = 0; i < n; i++) {
		lfile_populate(&iov[i]);
		rc = lfile_pread(f, off, iov[i].iov_base, iov[i].iov_len, err);
		if (rc)
			return rc;
		off += iov[i].iov_len;
	}
	return 0;
}
