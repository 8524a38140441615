/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The entropy device: the host kernel's random bytes, for the guest's pool.
 * Virtual I/O Device (VIRTIO) Version 1.2, section 5.4.
 */
#pragma once

#include "virtio/virtio.h"

extern const struct virtio_class virtio_rng_class;

/**
 * Makes an entropy device that lives on loop, with guest memory gm (both borrowed).
 * Returns 0, or -ENOMEM with err. Needs getrandom(2) in the device's jail, and no fd.
 */
int __must_check virtio_rng_create(const struct guest_memory *gm, struct loop *loop,
	struct virtio_backend **ret, struct err *err);
