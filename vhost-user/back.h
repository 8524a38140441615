/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The back end of vhost-user: puts a device of this process behind a socket, for one front end.
 * To the device it is a transport like virtio-mmio: it drives a struct virtio_backend.
 *
 * Offered protocol features: MQ, REPLY_ACK, BACKEND_REQ (configuration changes), CONFIG,
 * RESET_DEVICE, CONFIGURE_MEM_SLOTS, STATUS. Kick must be an eventfd, call and err an eventfd,
 * a pipe or a socket. A device whose guest breaks the rules signals its err descriptors and shows
 * DEVICE_NEEDS_RESET in its status.
 *
 * QEMU's docs/interop/vhost-user.rst. Loop thread, except creation and destruction.
 */
#pragma once

#include "base/err.h"
#include "base/loop.h"
#include "memory/memory.h"
#include "virtio/virtio.h"

struct vu_back;

struct vu_back_config {
	struct virtio_backend *b; /* owned; lives on loop with memory gm */
	struct guest_memory *gm;  /* borrowed, empty; its contents are ours from here on */
	struct loop *loop;        /* borrowed */
	int sock;                 /* owned: a connected unix stream socket */
	/*
	 * The front end is done. err is NULL when it closed the connection, or at least its
	 * direction, between two messages: output that the guest handed over has been drained
	 * then. Otherwise it broke the protocol and err says how. Nothing is served any more.
	 */
	void (*ended)(void *ctx, const struct err *err);
	void *ctx;
};

/** Takes b and sock over, also on failure. */
int __must_check vu_back_create(
	const struct vu_back_config *cfg, struct vu_back **ret, struct err *err);
/** NULL is fine. Stops and destroys the device. */
void vu_back_destroy(struct vu_back *k);
