/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The block device: a disk image as a virtio device (VIRTIO 1.2, section 5.2).
 */
#pragma once

#include "block/block.h"
#include "virtio/virtio.h"

#define VIRTIO_BLK_MAX_QUEUES 16

struct virtio_blk_options {
	const char *serial; /* what GET_ID answers, up to 20 bytes; NULL: empty. Copied. */
	unsigned nr_queues; /* 1..VIRTIO_BLK_MAX_QUEUES */
};

extern const struct virtio_class virtio_blk_class;

/**
 * Serves image on loop. At most the image's depth of requests are in flight over all queues.
 * Takes image over, also on failure. The loop does not run yet, or this is its thread.
 */
int __must_check virtio_blk_create(struct block *image, const struct virtio_blk_options *opt,
	const struct guest_memory *gm, struct loop *loop, struct virtio_backend **ret,
	struct err *err);
