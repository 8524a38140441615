/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The console device: one port, a receive and a transmit queue, on a chardev.
 * Virtual I/O Device (VIRTIO) Version 1.2, section 5.3.
 */
#pragma once

#include "base/chardev.h"
#include "virtio/virtio.h"

extern const struct virtio_class virtio_console_class;

/**
 * Makes a console that lives on loop, with guest memory gm (both borrowed). Takes cd, a
 * stream on the same loop, over (also on failure). Returns 0, or -ENOMEM with err.
 */
int __must_check virtio_console_create(struct chardev *cd, const struct guest_memory *gm,
	struct loop *loop, struct virtio_backend **ret, struct err *err);
