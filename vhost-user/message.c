// SPDX-License-Identifier: BSD-3-Clause
/*
 * Invariant: at most sizeof(header) + the size that a judged header names is ever received into
 * a message, and a header is judged before the first byte of its payload is read.
 */
#include "vhost-user/message.h"

#include <errno.h>

#include "base/fd.h"

_Static_assert(offsetof(struct vu_message, payload) == sizeof(struct vu_header), "one piece");
_Static_assert(sizeof(struct vu_mem_table) <= sizeof(((struct vu_message *)0)->payload), "fits");
_Static_assert(sizeof(struct vu_config) <= sizeof(((struct vu_message *)0)->payload), "fits");

static int vu_judge_header(const struct vu_message *m, const char **why)
{
	*why = "a message of another version";
	if ((m->h.flags & VU_VERSION_MASK) != VU_VERSION)
		return -EPROTO;
	*why = "a message longer than any";
	return m->h.size <= sizeof(m->payload) ? 0 : -EPROTO;
}

/** Bytes of the message as far as is known: first the header's. */
static size_t vu_wanted(const struct vu_inbox *in)
{
	return sizeof(in->m.h) + (in->have < sizeof(in->m.h) ? 0 : in->m.h.size);
}

int vu_receive(int sock, struct vu_inbox *in, const char **why)
{
	size_t want;

	while ((want = vu_wanted(in)) > in->have) {
		/* An array of its own: members of a packed struct have no address to give. */
		int fds[FDPASS_MAX];
		unsigned nr = in->m.nr_fds;
		ssize_t n;

		memcpy(fds, in->m.fd, sizeof(fds));
		n = fdpass_recv(sock, (char *)&in->m + in->have, want - in->have, fds, &nr);
		memcpy(in->m.fd, fds, sizeof(fds));
		in->m.nr_fds = nr;
		if (n == -EAGAIN)
			return 0;
		*why = n == -EMFILE ? "more descriptors than any message has"
				    : "the connection broke";
		if (n < 0)
			return n == -EMFILE ? -EPROTO : (int)n;
		*why = in->have ? "the connection ended inside a message" : "the connection ended";
		if (!n)
			return -EPIPE;
		in->have += (size_t)n;
		if (in->have == sizeof(in->m.h) && vu_judge_header(&in->m, why))
			return -EPROTO;
	}
	return 1;
}

void vu_inbox_clear(struct vu_inbox *in)
{
	for (unsigned i = 0; i < in->m.nr_fds; i++) {
		int fd = vu_take_fd(&in->m, i);

		fd_close(&fd);
	}
	in->m.nr_fds = 0;
	in->have = 0;
}

int vu_take_fd(struct vu_message *m, unsigned i)
{
	int fd = -1;

	if (i < m->nr_fds) {
		fd = m->fd[i];
		m->fd[i] = -1;
	}
	return fd;
}

int vu_send(int sock, struct vu_message *m, uint32_t flags, int timeout_ms)
{
	int fds[FDPASS_MAX];

	memcpy(fds, m->fd, sizeof(fds));
	m->h.flags = VU_VERSION | flags;
	return fdpass_send(sock, m, sizeof(m->h) + m->h.size, fds, m->nr_fds, timeout_ms);
}

int vu_send_all(int sock, struct vu_message *m, unsigned nr, int timeout_ms)
{
	struct fdpass_piece piece[FDPASS_BATCH];
	int fds[FDPASS_BATCH][FDPASS_MAX];
	char buf[FDPASS_BATCH * offsetof(struct vu_message, fd)], *end = buf;
	unsigned n = 0;

	BUG_ON(nr > FDPASS_BATCH);
	for (unsigned i = 0; i < nr; i++) {
		size_t len = sizeof(m[i].h) + m[i].h.size;

		m[i].h.flags |= VU_VERSION;
		memcpy(end, &m[i], len);
		/* Descriptors come with a piece's first byte, and so begin one. */
		if (!n || m[i].nr_fds) {
			memcpy(fds[n], m[i].fd, sizeof(fds[n]));
			piece[n] = (struct fdpass_piece){ end, len, fds[n], m[i].nr_fds };
			n++;
		} else {
			piece[n - 1].len += len;
		}
		end += len;
	}
	return fdpass_send_all(sock, piece, n, timeout_ms);
}
