/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices that somebody else serves: other programs (--vhost-user), and the kernel. */
#pragma once

#include "vmm/vm.h"

/**
 * Connects to the i-th --vhost-user back end, which may come up a few seconds later than we do.
 * Returns 0 or -errno with err.
 */
int __must_check foreign_connect(
	struct vm *vm, unsigned i, struct virtio_backend **ret, struct err *err);

/** Opens the kernel's socket device for --vsock device=. Returns 0 or -errno with err. */
int __must_check foreign_open_vsock(struct vm *vm, struct virtio_backend **ret, struct err *err);
