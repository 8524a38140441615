/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include "vmm/vm.h"

/**
 * Connects to the i-th --vhost-user back end, which may come up a few seconds later than we do.
 * Returns 0 or -errno with err.
 */
int __must_check foreign_connect(
	struct vm *vm, unsigned i, struct virtio_backend **ret, struct err *err);
