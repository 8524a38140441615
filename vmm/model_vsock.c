// SPDX-License-Identifier: BSD-3-Clause
/*
 * --vsock: the option, what is opened for it, and the device made of that.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/parse.h"
#include "base/unixsock.h"
#include "virtio/vsock.h"
#include "vmm/broker.h"
#include "vmm/models.h"
#include "vmm/options.h"

#define MODEL_VSOCK_BACKLOG 128

/* Of model_files. */
enum { MODEL_VSOCK_LISTENER, MODEL_VSOCK_ASK, MODEL_VSOCK_HANDED };

_Static_assert(MODEL_VSOCK_HANDED + VSOCK_MAX_HANDED <= MODEL_MAX_FILES, "handed sockets fit");

int option_vsock(const char *opt, const char *value, struct config *c, struct err *err)
{
	static const struct kv_key keys[] = {
		{ .name = "cid",
			.type = KV_U64,
			.min = 3,
			.max = UINT32_MAX - 1,
			.offset = offsetof(struct vsock_options, cid),
			.seen_offset = SIZE_MAX },
		{ .name = "socket",
			.type = KV_STR,
			.offset = offsetof(struct vsock_options, socket),
			.seen_offset = SIZE_MAX },
		{ .name = "device",
			.type = KV_STR,
			.offset = offsetof(struct vsock_options, device),
			.seen_offset = SIZE_MAX },
	};
	int rc = kv_parse(opt, value, keys, ARRAY_SIZE(keys), true, &c->vsock, err);

	if (rc)
		return rc;
	if (!c->vsock.cid)
		return err_set(err, EINVAL, "%s: cid: is needed", opt);
	if (!c->vsock.socket == !c->vsock.device)
		return err_set(err, EINVAL, "%s: socket or device: %s", opt,
			c->vsock.socket ? "not both" : "is needed");
	if (c->vsock.socket && strlen(c->vsock.socket) > BROKER_MAX_PATH)
		return err_set(err, EINVAL, "%s: socket: %s: is longer than %d bytes", opt,
			c->vsock.socket, BROKER_MAX_PATH);
	return 0;
}

unsigned model_nr_vsock(const struct config *cfg)
{
	return cfg->vsock.cid != 0 && !cfg->vsock.device;
}

int model_open_vsock(
	const struct config *cfg, unsigned i __unused, struct model_files *ret, struct err *err)
{
	const struct vsock_options *o = &cfg->vsock;
	int pair[2] = { -1, -1 }, rc = 0;

	model_files_init(ret);
	for (unsigned n = 0; n < o->nr_handed; n++)
		ret->fd[MODEL_VSOCK_HANDED + n] = o->handed[n].fd;
	if (!o->socket)
		return 0;
	ret->fd[MODEL_VSOCK_LISTENER] =
		unixsock_listen("--vsock", o->socket, MODEL_VSOCK_BACKLOG, SOCK_NONBLOCK, err);
	if (ret->fd[MODEL_VSOCK_LISTENER] < 0)
		rc = ret->fd[MODEL_VSOCK_LISTENER];
	if (!rc) {
		rc = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair);
		if (rc)
			rc = err_errno(err, errno, "--vsock");
	}
	if (rc) {
		model_files_close(ret);
		return rc;
	}
	ret->fd[MODEL_VSOCK_ASK] = pair[0];
	ret->request_fd = pair[1];
	return 0;
}

int model_make_vsock(struct model_host *h, unsigned i __unused, struct model_files *files,
	struct virtio_backend **ret, struct err *err)
{
	const struct vsock_options *o = &h->cfg->vsock;
	struct vsock_config vc = {
		.guest_cid = o->cid,
		.listen_fd = fd_take(&files->fd[MODEL_VSOCK_LISTENER]),
		.ask_fd = fd_take(&files->fd[MODEL_VSOCK_ASK]),
		.nr_handed = o->nr_handed,
	};

	for (unsigned n = 0; n < o->nr_handed; n++)
		vc.handed[n] = (struct vsock_handed){ .port = o->handed[n].port,
			.fd = fd_take(&files->fd[MODEL_VSOCK_HANDED + n]) };
	return virtio_vsock_create(&vc, h->gm, h->loop, ret, err);
}

void model_label_vsock(const struct config *cfg, unsigned i __unused, char *buf, size_t len)
{
	snprintf(buf, len, "--vsock cid=%llu", (unsigned long long)cfg->vsock.cid);
}
