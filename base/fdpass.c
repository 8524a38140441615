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

int fdpass_send_all(int sock, const struct fdpass_piece *pieces, unsigned nr, int timeout_ms)
{
	_Alignas(struct cmsghdr) char control[FDPASS_BATCH][FDPASS_SPACE] = { 0 };
	struct mmsghdr m[FDPASS_BATCH] = { 0 };
	struct iovec iov[FDPASS_BATCH];
	size_t part;
	int sent, rc = 0;

	BUG_ON(nr > FDPASS_BATCH);
	for (unsigned i = 0; i < nr; i++) {
		const struct fdpass_piece *p = &pieces[i];

		BUG_ON(p->nr_fds > FDPASS_MAX || !p->len);
		iov[i] = (struct iovec){ (char *)(uintptr_t)p->buf, p->len };
		m[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i], .msg_iovlen = 1 };
		if (p->nr_fds)
			fdpass_attach(&m[i].msg_hdr, control[i], p->fds, p->nr_fds);
	}
	/* What does not leave at once leaves one after the other, and so is waited for. */
	sent = sendmmsg(sock, m, nr, MSG_NOSIGNAL | MSG_DONTWAIT);
	for (unsigned i = 0; i < nr && !rc; i++) {
		const struct fdpass_piece *p = &pieces[i];

		part = (int)i < sent ? m[i].msg_len : 0;
		if (part < p->len)
			rc = fdpass_send(sock, (const char *)p->buf + part, p->len - part, p->fds,
				part ? 0 : p->nr_fds, timeout_ms);
	}
	return rc;
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
