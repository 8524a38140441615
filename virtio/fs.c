// SPDX-License-Identifier: BSD-3-Clause
/*
 * The file system device's rings: a chain is a request, readable, and room for its answer. What it
 * means is share/fuse.c's business.
 *
 * Invariants:
 * 1. A request is answered before the next is taken, so none is in flight between two notifies.
 * 2. A notify takes at most a queue's size of chains, and none after VIRTIO_FS_SHARE bytes; the
 *    rest is left for later, so that one queue cannot hold the loop, or the one for forgotten
 *    nodes wait.
 * 3. Only a chain that cannot be answered breaks the device; all others are answered.
 *
 * Thread: the device's loop. VIRTIO 1.2, section 5.11.
 */
#include "virtio/fs.h"

#include <errno.h>
#include <linux/virtio_fs.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>

#include "virtio/queue.h"

#define VIRTIO_FS_QUEUE_SIZE                                                                       \
	512 /* a request of FUSE_MAX_IO in pages, its header, and its answer's */
#define VIRTIO_FS_SHARE     (4 * MIB)
#define VIRTIO_FS_NR_QUEUES 2 /* high priority, and requests */

_Static_assert(VQ_IOV_MAX(VIRTIO_FS_QUEUE_SIZE) <= FUSE_MAX_IOV, "a chain is one request");
_Static_assert(sizeof(((struct virtio_fs_config *)0)->tag) == VIRTIO_FS_MAX_TAG, "section 5.11.4");

struct virtio_fs {
	struct virtio_device d;
	struct fuse *fuse;                                  /* owned */
	struct iovec iov[VQ_IOV_MAX(VIRTIO_FS_QUEUE_SIZE)]; /* loop thread: the chain served */
};

static int virtio_fs_start(struct virtio_device *d __unused)
{
	return 0;
}

/** A driver that resets the device starts a new session (section 5.11.5). */
static void virtio_fs_stop(struct virtio_device *d)
{
	fuse_reset(container_of(d, struct virtio_fs, d)->fuse);
}

/** Serves one chain. Returns 1 with its bytes, both ways, 0 when there was none, or -EPROTO. */
static int virtio_fs_one(struct virtio_fs *s, unsigned qi, uint64_t *ret_len)
{
	struct vq *q = &s->d.vq[qi];
	struct vq_chain c;
	const char *why;
	int rc = vq_pop(q, s->iov, ARRAY_SIZE(s->iov), &c, &why);
	int64_t n;

	if (rc < 0)
		virtio_broken(&s->d, "%s", why);
	if (rc <= 0)
		return rc;
	n = fuse_serve(s->fuse, c.iov, c.nr_out, c.out_len, c.iov + c.nr_out, c.nr_in, c.in_len);
	if (n < 0) {
		virtio_broken(&s->d, "a request without a header or room for an answer");
		return (int)n;
	}
	vq_push(q, c.head, (uint32_t)n);
	*ret_len = c.out_len + (uint64_t)n;
	return 1;
}

static void virtio_fs_notify(struct virtio_device *d, unsigned qi)
{
	struct virtio_fs *s = container_of(d, struct virtio_fs, d);
	struct vq *q = &d->vq[qi];
	unsigned nr = 0, looks = 0;
	uint64_t done = 0, len = 0;
	bool more;

	vq_disable_kick(q);
	do {
		while ((more = nr < q->size && done < VIRTIO_FS_SHARE) &&
			virtio_fs_one(s, qi, &len) > 0) {
			done += len;
			nr++;
		}
		/* A guest that flips avail.idx back and forth must not keep the loop here. */
	} while (more && vq_enable_kick(q) && ++looks < VQ_MAX_LOOKS);
	if (!more || looks == VQ_MAX_LOOKS)
		virtio_renotify(d, qi);
	virtio_raise(d, qi);
}

static void virtio_fs_destroy(struct virtio_device *d)
{
	struct virtio_fs *s = container_of(d, struct virtio_fs, d);

	fuse_destroy(s->fuse);
	free(s);
}

const struct virtio_class virtio_fs_class = {
	.name = "fs",
	.device_id = VIRTIO_ID_FS,
	.queue_size_max = VIRTIO_FS_QUEUE_SIZE,
	.config_len = sizeof(struct virtio_fs_config),
	.start = virtio_fs_start,
	.stop = virtio_fs_stop,
	.notify = virtio_fs_notify,
	.destroy = virtio_fs_destroy,
};

int virtio_fs_create(const char *tag, const struct fuse_config *cfg, const struct guest_memory *gm,
	struct loop *loop, struct virtio_backend **ret, struct err *err)
{
	struct virtio_fs *s = calloc(1, sizeof(*s));
	struct fuse *fuse;
	int rc = fuse_create(cfg, &fuse, err);

	BUG_ON(!*tag || strlen(tag) > VIRTIO_FS_MAX_TAG);
	if (rc || !s) {
		if (!rc) {
			fuse_destroy(fuse);
			rc = err_errno(err, ENOMEM, "%s", virtio_fs_class.name);
		}
		free(s);
		return rc;
	}
	s->fuse = fuse;
	s->d = (struct virtio_device){
		.cls = &virtio_fs_class,
		.gm = gm,
		.loop = loop,
		.nr_queues = VIRTIO_FS_NR_QUEUES,
		.config_len = virtio_fs_class.config_len,
	};
	memcpy(s->d.config, tag, strlen(tag));
	le32_put(s->d.config + offsetof(struct virtio_fs_config, num_request_queues), 1);
	return virtio_local_create(&s->d, ret, err);
}
