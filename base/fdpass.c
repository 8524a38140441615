// SPDX-License-Identifier: BSD-3-Clause
#include "base/fdpass.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/clock.h"
#include "base/fd.h"

/* The kernel hands over as many as fit, so there is room for more than anybody may send. */
#define FDPASS_SPACE CMSG_SPACE(sizeof(int) * (FDPASS_MAX + 1))

static void fdpass_attach(struct msghdr *mh, void *control, const int *fds, unsigned nr)
{
	struct cmsghdr *c;

	mh->msg_control = control;
	mh->msg_controllen = CMSG_SPACE(sizeof(int) * nr);
	c = CMSG_FIRSTHDR(mh);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * nr);
	memcpy(CMSG_DATA(c), fds, sizeof(int) * nr);
}

int fdpass_send(int sock, const void *buf, size_t len, const int *fds, unsigned nr, int timeout_ms)
{
	_Alignas(struct cmsghdr) char control[FDPASS_SPACE] = { 0 };
	int64_t end = clock_now_ms() + timeout_ms;
	size_t done = 0;

	BUG_ON(nr > FDPASS_MAX || !len);
	while (done < len) {
		struct iovec iov = { (char *)(uintptr_t)buf + done, len - done };
		struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
		struct pollfd p = { .fd = sock, .events = POLLOUT };
		int64_t left;
		ssize_t n;

		if (nr && !done)
			fdpass_attach(&mh, control, fds, nr);
		n = sendmsg(sock, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0)
			done += (size_t)n;
		if (n >= 0 || errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -errno;
		left = end - clock_now_ms();
		if (left <= 0)
			return -ETIMEDOUT;
		poll(&p, 1, (int)left);
	}
	return 0;
}

/** Takes the descriptors of one cmsg; those without a place are closed. False: there were. */
static bool fdpass_take(const struct cmsghdr *c, int *fds, unsigned *nr_fds)
{
	size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	bool fit = true;

	for (size_t i = 0; i < n; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
		if (*nr_fds < FDPASS_MAX) {
			fds[(*nr_fds)++] = fd;
		} else {
			fd_close(&fd);
			fit = false;
		}
	}
	return fit;
}

ssize_t fdpass_recv(int sock, void *buf, size_t len, int *fds, unsigned *nr_fds)
{
	_Alignas(struct cmsghdr) char control[FDPASS_SPACE];
	struct iovec iov = { buf, len };
	struct msghdr mh = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control) };
	unsigned before = *nr_fds;
	bool fit;
	ssize_t n;

	do
		n = recvmsg(sock, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	fit = !(mh.msg_flags & MSG_CTRUNC);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&mh); c; c = CMSG_NXTHDR(&mh, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			fit = fdpass_take(c, fds, nr_fds) && fit;
	if (fit)
		return n;
	while (*nr_fds > before)
		fd_close(&fds[--*nr_fds]);
	return -EMFILE;
}
