// SPDX-License-Identifier: BSD-3-Clause
/*
 * Devices that other programs serve: --vhost-user; or the kernel: --vsock device=.
 */
#include "vmm/foreign.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_console.h>
#include <linux/virtio_fs.h>
#include <linux/virtio_ids.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "vhost-user/front.h"
#include "vhost/vsock.h"

#define FOREIGN_TRIES    500 /* of FOREIGN_PAUSE_US: five seconds */
#define FOREIGN_PAUSE_US 10000
#define FOREIGN_END_MS   3000 /* less than a stopped machine has in all */

/* By enum foreign_type. What the protocol does not tell of a device. */
static const struct {
	const char *name;
	uint32_t device_id;
	uint16_t queue_size_max;
	unsigned nr_queues; /* where the back end does not say */
	unsigned config_len;
} foreign_types[] = {
	[FOREIGN_BLOCK] = { "block", VIRTIO_ID_BLOCK, 256, 0,
		offsetof(struct virtio_blk_config, unused1) },
	[FOREIGN_CONSOLE] = { "console", VIRTIO_ID_CONSOLE, 256, 2,
		sizeof(struct virtio_console_config) },
	[FOREIGN_RNG] = { "rng", VIRTIO_ID_RNG, 256, 1, 0 },
	[FOREIGN_FS] = { "fs", VIRTIO_ID_FS, 1024, 2, sizeof(struct virtio_fs_config) },
};

static void foreign_on_failed(void *ctx, const struct err *err)
{
	vm_end(ctx, STATUS_CRASH, "--vhost-user: %s", err->msg);
}

/** Returns the socket, or -errno with err. */
static int foreign_open(const char *path, struct err *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	fd_auto int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(sa.sun_path))
		return err_set(err, ENAMETOOLONG,
			"--vhost-user: socket: %s: is longer than %zu bytes", path,
			sizeof(sa.sun_path) - 1);
	memcpy(sa.sun_path, path, strlen(path));
	if (sock < 0)
		return err_errno(err, errno, "--vhost-user: socket: %s", path);
	for (unsigned i = 0; connect(sock, (struct sockaddr *)&sa, sizeof(sa)) < 0; i++) {
		/* Not there yet, or there and not listening yet. */
		if (i == FOREIGN_TRIES || (errno != ENOENT && errno != ECONNREFUSED))
			return err_errno(err, errno, "--vhost-user: socket: %s", path);
		usleep(FOREIGN_PAUSE_US);
	}
	return fd_take(&sock);
}

int foreign_connect(struct vm *vm, unsigned i, struct virtio_backend **ret, struct err *err)
{
	const struct foreign_config *c = &vm->cfg->foreign[i];
	struct virtio_fs_config fs = { .num_request_queues = 1 };
	struct vu_front_config fc = {
		.name = foreign_types[c->type].name,
		.device_id = foreign_types[c->type].device_id,
		.queue_size_max = foreign_types[c->type].queue_size_max,
		.nr_queues = foreign_types[c->type].nr_queues,
		.config_len = foreign_types[c->type].config_len,
		.gm = &vm->gm,
		.loop = vm->loop,
		.drain_ms = FOREIGN_END_MS,
		.hurry = &vm->ending,
		.failed = foreign_on_failed,
		.ctx = vm,
	};
	int rc;

	/* The tag is the front end's to say; back ends that know better were not told one. */
	if (c->tag) {
		memcpy(fs.tag, c->tag, strlen(c->tag));
		fc.config = &fs;
	}
	rc = fc.sock = foreign_open(c->socket, err);
	if (rc < 0)
		return rc;
	rc = vu_front_create(&fc, ret, err);
	return rc ? err_prefix(err, rc, "--vhost-user: %s", c->socket) : 0;
}

int foreign_open_vsock(struct vm *vm, struct virtio_backend **ret, struct err *err)
{
	const struct vsock_options *o = &vm->cfg->vsock;
	struct vhost_vsock_config vc = {
		.fd = fd_open("--vsock: device", o->device, O_RDWR | O_NONBLOCK, err),
		.guest_cid = o->cid,
		.gm = &vm->gm,
		.loop = vm->loop,
		.ioctl = vhost_ioctl,
	};
	int rc = vc.fd < 0 ? vc.fd : vhost_vsock_create(&vc, ret, err);

	return rc && vc.fd >= 0 ? err_prefix(err, rc, "--vsock: %s", o->device) : rc;
}
