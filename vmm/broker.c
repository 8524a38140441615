// SPDX-License-Identifier: BSD-3-Clause
/*
 * Invariants:
 * 1. A turn deals with one request, without waiting: connecting to a socket of the unix domain
 *    succeeds or fails at once, and an answer that the device does not take is dropped.
 * 2. A request that is not four bytes ends the service: the device is not ours any more.
 */
#include "vmm/broker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/fdpass.h"
#include "base/log.h"
#include "base/unixsock.h"
#include "net/vsock.h"

struct broker {
	struct loop *loop;
	struct watch watch;
	int fd; /* owned */
	const char *path;
};

static void broker_serve(struct broker *b, uint32_t port)
{
	struct vsock_answer w = { .port = port };
	char path[UNIXSOCK_MAX_PATH + 1];
	int sock, rc;

	snprintf(path, sizeof(path), "%s_%u", b->path, port);
	sock = unixsock_connect(path);
	if (sock < 0) {
		w.code = -sock;
		log_debug("--vsock: %s: %s", path, strerrordesc_np(-sock));
	}
	rc = fdpass_send(b->fd, &w, sizeof(w), &sock, sock >= 0, 0);
	if (rc)
		log_debug("--vsock: the device takes no answer: %s", strerrordesc_np(-rc));
	fd_close(&sock);
}

static void broker_on_request(struct watch *w, uint32_t events __unused)
{
	struct broker *b = container_of(w, struct broker, watch);
	int fds[FDPASS_MAX];
	uint8_t bytes[8];
	unsigned nr = 0;
	ssize_t n = fdpass_recv(b->fd, bytes, sizeof(bytes), fds, &nr);

	while (nr)
		fd_close(&fds[--nr]);
	if (n == -EAGAIN)
		return;
	if (n == 4)
		broker_serve(b, le32_get(bytes));
	else
		loop_del(b->loop, w);
}

int broker_create(struct loop *loop, int fd, const char *path, struct broker **ret, struct err *err)
{
	struct broker *b = calloc(1, sizeof(*b));
	int rc;

	if (!b) {
		fd_close(&fd);
		return err_errno(err, ENOMEM, "--vsock");
	}
	*b = (struct broker){ .loop = loop, .fd = fd, .path = path };
	rc = loop_add(loop, &b->watch, fd, EPOLLIN, broker_on_request);
	if (rc) {
		broker_destroy(b);
		return err_errno(err, -rc, "--vsock");
	}
	*ret = b;
	return 0;
}

void broker_destroy(struct broker *b)
{
	if (!b)
		return;
	loop_del(b->loop, &b->watch);
	fd_close(&b->fd);
	free(b);
}
