/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel's socket device (vhost-vsock) as a struct virtio_backend: the guest's context id is
 * one of this host, whose programs talk to it by AF_VSOCK, and no packet passes through here.
 *
 * The kernel serves the two queues of packets; the one of events has nothing to say to a guest that
 * is not moved. Linux's include/uapi/linux/vhost.h; VIRTIO 1.2, section 5.10.
 *
 * Threads: the backend's operations as virtio.h says; a broken ring is told on the loop.
 */
#pragma once

#include "base/err.h"
#include "base/loop.h"
#include "memory/memory.h"
#include "virtio/virtio.h"

struct vhost_vsock_config {
	int fd;                        /* taken over: the device */
	uint64_t guest_cid;            /* 3 to UINT32_MAX - 1 */
	const struct guest_memory *gm; /* borrowed; complete when the guest starts the device */
	struct loop *loop;             /* borrowed */
	/* ioctl(2), or what stands for it in a test. Returns -1 with errno. */
	int (*ioctl)(int fd, unsigned long request, void *arg);
};

/** ioctl(2). */
int vhost_ioctl(int fd, unsigned long request, void *arg);

/** Takes cfg->fd over, also on failure. Returns 0 or -errno with err. */
int __must_check vhost_vsock_create(
	const struct vhost_vsock_config *cfg, struct virtio_backend **ret, struct err *err);
