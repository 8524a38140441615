/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file system device: VIRTIO 1.2, section 5.11, on a FUSE server (share/fuse.h). Without
 * notification queue and shared memory.
 */
#pragma once

#include "share/fuse.h"
#include "virtio/virtio.h"

#define VIRTIO_FS_MAX_TAG 36 /* bytes */

extern const struct virtio_class virtio_fs_class;

/**
 * A device that the guest mounts as tag (1 to VIRTIO_FS_MAX_TAG bytes). Takes the descriptors of
 * cfg over, also on failure. Returns 0 or -errno with err.
 */
int __must_check virtio_fs_create(const char *tag, const struct fuse_config *cfg,
	const struct guest_memory *gm, struct loop *loop, struct virtio_backend **ret,
	struct err *err);
