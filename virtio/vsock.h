/* SPDX-License-Identifier: BSD-3-Clause */
/* The socket device on unix sockets: VIRTIO 1.2, section 5.10. */
#pragma once

#include "net/vsock.h"
#include "virtio/virtio.h"

extern const struct virtio_class virtio_vsock_class;

/**
 * Makes a socket device of cfg, whose loop and pending are filled in here. The descriptors are
 * taken over, also on failure. Returns 0 or -errno with err.
 */
int __must_check virtio_vsock_create(const struct vsock_config *cfg, const struct guest_memory *gm,
	struct loop *loop, struct virtio_backend **ret, struct err *err);
