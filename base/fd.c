// SPDX-License-Identifier: BSD-3-Clause
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/parse.h"

void fd_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

/** The N of /proc/self/fd/N or /dev/fd/N, or -1. */
static int fd_number_of(const char *path)
{
	static const char *const prefix[] = { "/proc/self/fd/", "/dev/fd/" };
	uint64_t n;

	for (size_t i = 0; i < ARRAY_SIZE(prefix); i++) {
		size_t len = strlen(prefix[i]);

		if (!strncmp(path, prefix[i], len) && !parse_u64(path + len, 0, INT32_MAX, &n))
			return (int)n;
	}
	return -1;
}

static const char *fd_mode_name(int mode)
{
	return mode == O_RDONLY ? "reading" : mode == O_WRONLY ? "writing" : "reading and writing";
}

int fd_open(const char *opt, const char *path, int flags, struct err *err)
{
	int n = fd_number_of(path), fd, mode;

	if (n < 0) {
		fd = open(path, flags | O_CLOEXEC | O_NOCTTY, 0644);
		return fd >= 0 ? fd : err_errno(err, errno, "%s: %s", opt, path);
	}
	mode = fcntl(n, F_GETFL);
	if (mode < 0)
		return err_errno(err, errno, "%s: %s", opt, path);
	mode &= O_ACCMODE;
	if (mode != O_RDWR && mode != (flags & O_ACCMODE))
		return err_set(err, EACCES, "%s: %s: the descriptor was not opened for %s", opt,
			path, fd_mode_name(flags & O_ACCMODE));
	fd = fcntl(n, F_DUPFD_CLOEXEC, 3);
	return fd >= 0 ? fd : err_errno(err, errno, "%s: %s", opt, path);
}

ssize_t fd_pread_full(int fd, void *buf, size_t len, uint64_t off)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, (char *)buf + done, len - done, (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int fd_write_full(int fd, const void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = write(fd, (const char *)buf + done, len - done);

		if (n >= 0) {
			done += (size_t)n;
			continue;
		}
		if (errno == EAGAIN) {
			struct pollfd p = { .fd = fd, .events = POLLOUT };

			poll(&p, 1, -1);
			continue;
		}
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

int fd_size(int fd, uint64_t *ret_size)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISREG(st.st_mode)) {
		*ret_size = (uint64_t)st.st_size;
		return 0;
	}
	if (!S_ISBLK(st.st_mode))
		return -ENOTBLK;
	return ioctl(fd, BLKGETSIZE64, ret_size) < 0 ? -errno : 0;
}

int fd_event(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	return fd >= 0 ? fd : -errno;
}

void fd_event_signal(int fd)
{
	uint64_t one = 1;
	ssize_t n;

	do
		n = write(fd, &one, sizeof(one));
	while (n < 0 && errno == EINTR);
	/* An eventfd takes it or is full already; what a peer sent instead of one is its own loss.
	 */
}

uint64_t fd_event_drain(int fd)
{
	uint64_t count = 0;
	ssize_t n;

	do
		n = read(fd, &count, sizeof(count));
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(count) ? count : 0;
}

bool fd_is_event(int fd)
{
	const uint64_t never = UINT64_MAX, nothing = 0;

	/* An eventfd refuses the one and takes the other, without a change of its count. */
	if (write(fd, &never, sizeof(never)) >= 0 || errno != EINVAL)
		return false;
	return write(fd, &nothing, sizeof(nothing)) == (ssize_t)sizeof(nothing);
}

bool fd_is_stream(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}
