// SPDX-License-Identifier: BSD-3-Clause
/*
 * The entropy device: fills the guest's buffers with getrandom(2), in place.
 *
 * Invariants:
 * 1. A chain is served with at most VIRTIO_RNG_MAX bytes, whatever it has room for; the used
 *    length says how many. A request for gigabytes costs no memory and little time.
 * 2. A notify that has written VIRTIO_RNG_MAX bytes leaves the next chain for later, so that
 *    one guest's requests cannot hold the loop.
 *
 * Thread: the device's loop. VIRTIO 1.2, section 5.4.
 */
#include "virtio/rng.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <sys/random.h>

#include "virtio/queue.h"

#define VIRTIO_RNG_QUEUE_SIZE 64
#define VIRTIO_RNG_MAX        (64 * KIB)

struct virtio_rng {
	struct virtio_device d;
	struct iovec iov[VQ_IOV_MAX(VIRTIO_RNG_QUEUE_SIZE)]; /* loop thread: the chain served */
};

static int virtio_rng_start(struct virtio_device *d __unused)
{
	return 0;
}

static void virtio_rng_stop(struct virtio_device *d __unused)
{
	/* Nothing is ever in flight between two notifies. */
}

/** Fills len bytes. Returns how many were. */
static size_t virtio_rng_fill(uint8_t *p, size_t len)
{
	size_t done = 0;

	while (done < len) {
		/* Blocks only where the host has just booted and has no entropy itself. */
		ssize_t n = getrandom(p + done, len - done, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return done;
}

/** Fills the chain's buffers as far as the bound goes. Returns the bytes written. */
static uint32_t virtio_rng_serve(const struct vq_chain *c)
{
	size_t done = 0;

	for (unsigned i = 0; i < c->nr_in && done < VIRTIO_RNG_MAX; i++) {
		size_t part = MIN(c->iov[i].iov_len, VIRTIO_RNG_MAX - done);
		size_t n = virtio_rng_fill(c->iov[i].iov_base, part);

		done += n;
		if (n < part)
			break;
	}
	return (uint32_t)done;
}

/**
 * Serves one chain. Returns 1 with the bytes written, 0 when there was none, or -EPROTO.
 */
static int virtio_rng_one(struct virtio_device *d, unsigned qi, uint64_t *ret_len)
{
	struct virtio_rng *r = container_of(d, struct virtio_rng, d);
	struct vq *q = &d->vq[qi];
	struct vq_chain c;
	const char *why;
	uint32_t len;
	int rc = vq_pop(q, r->iov, ARRAY_SIZE(r->iov), &c, &why);

	if (rc < 0)
		virtio_broken(&r->d, "%s", why);
	if (rc <= 0)
		return rc;
	/*
	 * Section 5.4.6.1: the driver must not place driver-readable buffers here. Refusing
	 * them leaves every chain with room for the one byte that we must give at least.
	 */
	if (c.nr_out) {
		virtio_broken(&r->d, "a readable buffer in the entropy queue");
		return -EPROTO;
	}
	len = virtio_rng_serve(&c);
	vq_push(q, c.head, len);
	*ret_len = len;
	return 1;
}

static void virtio_rng_notify(struct virtio_device *d, unsigned qi)
{
	virtio_serve(d, qi, VIRTIO_RNG_MAX, virtio_rng_one);
}

static void virtio_rng_destroy(struct virtio_device *d)
{
	free(container_of(d, struct virtio_rng, d));
}

const struct virtio_class virtio_rng_class = {
	.name = "rng",
	.device_id = VIRTIO_ID_RNG,
	.queue_size_max = VIRTIO_RNG_QUEUE_SIZE,
	.start = virtio_rng_start,
	.stop = virtio_rng_stop,
	.notify = virtio_rng_notify,
	.destroy = virtio_rng_destroy,
};

int virtio_rng_create(const struct guest_memory *gm, struct loop *loop, struct virtio_backend **ret,
	struct err *err)
{
	struct virtio_rng *r = calloc(1, sizeof(*r));

	if (!r)
		return err_errno(err, ENOMEM, "%s", virtio_rng_class.name);
	r->d = (struct virtio_device){
		.cls = &virtio_rng_class,
		.gm = gm,
		.loop = loop,
		.nr_queues = 1,
	};
	return virtio_local_create(&r->d, ret, err);
}
