/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Directories of the host in the guest: the file system device (VIRTIO 1.2, section 5.11, without
 * notification queue and shared memory) on a FUSE server (share/fuse.h), and the 9P transport
 * (linux/virtio_9p.h, device 9 of section 5) on a 9P server (share/p9.h).
 */
#pragma once

#include "share/fuse.h"
#include "share/p9.h"
#include "virtio/virtio.h"

#define VIRTIO_FS_MAX_TAG 36 /* bytes, of both */

extern const struct virtio_class virtio_fs_class, virtio_p9_class;

/**
 * A device that the guest mounts as tag (1 to VIRTIO_FS_MAX_TAG bytes). Takes the descriptors of
 * cfg over, also on failure. Returns 0 or -errno with err.
 */
int __must_check virtio_fs_create(const char *tag, const struct fuse_config *cfg,
	const struct guest_memory *gm, struct loop *loop, struct virtio_backend **ret,
	struct err *err);
int __must_check virtio_p9_create(const char *tag, const struct p9_config *cfg,
	const struct guest_memory *gm, struct loop *loop, struct virtio_backend **ret,
	struct err *err);
