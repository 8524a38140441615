// SPDX-License-Identifier: BSD-3-Clause
/*
 * The rings of both: a chain is a request, readable, and room for its answer. What it means is the
 * server's business.
 *
 * Invariants:
 * 1. A request is answered before the next is taken, so none is in flight between two notifies.
 * 2. A notify takes at most a queue's size of chains, and none after VIRTIO_FS_SHARE bytes; the
 *    rest is left for later, so that one queue cannot hold the loop, or the one for forgotten
 *    nodes wait.
 * 3. Only a chain that cannot be answered breaks the device; all others are answered.
 *
 * Thread: the device's loop.
 */
#include "virtio/fs.h"

#include <errno.h>
#include <linux/virtio_9p.h>
#include <linux/virtio_fs.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>

#include "virtio/queue.h"

#define VIRTIO_FS_QUEUE_SIZE                                                                       \
	512 /* a request of FUSE_MAX_IO in pages, its header, and its answer's */
#define VIRTIO_FS_SHARE     (4 * MIB)
#define VIRTIO_FS_NR_QUEUES 2 /* high priority, and requests */

#define VIRTIO_P9_CONFIG (2 + VIRTIO_FS_MAX_TAG)

_Static_assert(VQ_IOV_MAX(VIRTIO_FS_QUEUE_SIZE) <= FUSE_MAX_IOV, "a chain is one request");
_Static_assert(VQ_IOV_MAX(VIRTIO_FS_QUEUE_SIZE) <= P9_MAX_IOV, "likewise");
_Static_assert(sizeof(((struct virtio_fs_config *)0)->tag) == VIRTIO_FS_MAX_TAG, "section 5.11.4");

struct virtio_fs {
	struct virtio_device d;
	struct fuse *fuse;                                  /* owned; the one or */
	struct p9 *p9;                                      /* owned; the other */
	struct iovec iov[VQ_IOV_MAX(VIRTIO_FS_QUEUE_SIZE)]; /* loop thread: the chain served */
};

static int virtio_fs_start(struct virtio_device *d __unused)
{
	return 0;
}

/** A driver that resets the device starts a new session (section 5.11.5). */
static void virtio_fs_stop(struct virtio_device *d)
{
	struct virtio_fs *s = container_of(d, struct virtio_fs, d);

	if (s->fuse)
		fuse_reset(s->fuse);
	else
		p9_reset(s->p9);
}

/** Serves one chain. Returns 1 with its bytes, both ways, 0 when there was none, or -EPROTO. */
static int virtio_fs_one(struct virtio_device *d, unsigned qi, uint64_t *ret_len)
{
	struct virtio_fs *s = container_of(d, struct virtio_fs, d);
	struct vq *q = &d->vq[qi];
	struct vq_chain c;
	const char *why;
	int rc = vq_pop(q, s->iov, ARRAY_SIZE(s->iov), &c, &why);
	int64_t n;

	if (rc < 0)
		virtio_broken(&s->d, "%s", why);
	if (rc <= 0)
		return rc;
	if (s->fuse)
		n = fuse_serve(
			s->fuse, c.iov, c.nr_out, c.out_len, c.iov + c.nr_out, c.nr_in, c.in_len);
	else
		n = p9_serve(
			s->p9, c.iov, c.nr_out, c.out_len, c.iov + c.nr_out, c.nr_in, c.in_len);
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
	virtio_serve(d, qi, VIRTIO_FS_SHARE, virtio_fs_one);
}

static void virtio_fs_destroy(struct virtio_device *d)
{
	struct virtio_fs *s = container_of(d, struct virtio_fs, d);

	fuse_destroy(s->fuse);
	p9_destroy(s->p9);
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

const struct virtio_class virtio_p9_class = {
	.name = "p9",
	.device_id = VIRTIO_ID_9P,
	.queue_size_max = VIRTIO_FS_QUEUE_SIZE,
	.config_len = VIRTIO_P9_CONFIG,
	.start = virtio_fs_start,
	.stop = virtio_fs_stop,
	.notify = virtio_fs_notify,
	.destroy = virtio_fs_destroy,
};

/** Ends the making of one, or of what there is of one after rc. */
static int virtio_fs_finish(struct virtio_fs *s, int rc, const struct virtio_class *cls,
	const struct guest_memory *gm, struct loop *loop, struct virtio_backend **ret,
	struct err *err)
{
	if (rc) {
		free(s);
		return rc;
	}
	s->d.cls = cls;
	s->d.gm = gm;
	s->d.loop = loop;
	s->d.config_len = cls->config_len;
	return virtio_local_create(&s->d, ret, err);
}

int virtio_fs_create(const char *tag, const struct fuse_config *cfg, const struct guest_memory *gm,
	struct loop *loop, struct virtio_backend **ret, struct err *err)
{
	struct virtio_fs *s = calloc(1, sizeof(*s));

	BUG_ON(!s || !*tag || strlen(tag) > VIRTIO_FS_MAX_TAG);
	s->d.nr_queues = VIRTIO_FS_NR_QUEUES;
	memcpy(s->d.config, tag, strlen(tag));
	le32_put(s->d.config + offsetof(struct virtio_fs_config, num_request_queues), 1);
	return virtio_fs_finish(
		s, fuse_create(cfg, &s->fuse, err), &virtio_fs_class, gm, loop, ret, err);
}

int virtio_p9_create(const char *tag, const struct p9_config *cfg, const struct guest_memory *gm,
	struct loop *loop, struct virtio_backend **ret, struct err *err)
{
	struct virtio_fs *s = calloc(1, sizeof(*s));

	BUG_ON(!s || !*tag || strlen(tag) > VIRTIO_FS_MAX_TAG);
	s->d.nr_queues = 1;
	s->d.features_offered = BIT(VIRTIO_9P_MOUNT_TAG);
	le16_put(s->d.config, (uint16_t)strlen(tag));
	memcpy(s->d.config + 2, tag, strlen(tag));
	return virtio_fs_finish(
		s, p9_create(cfg, &s->p9, err), &virtio_p9_class, gm, loop, ret, err);
}
