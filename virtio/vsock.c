// SPDX-License-Identifier: BSD-3-Clause
/*
 * The socket device's rings. What packets mean is net/vsock.c's business.
 *
 * Invariants:
 * 1. A header is copied once, and judged in the copy. Its length counts for nothing where the
 *    chain is shorter.
 * 2. A packet that cannot be dealt with, as the guest takes no answers, is put back, and the
 *    transmit queue rests until an answer was taken.
 * 3. One turn of either queue takes at most as many chains as it has, and moves less than two
 *    VIRTIO_VSOCK_SHARE bytes.
 *
 * The event queue is for transports that a guest can be moved by: nothing is said there.
 *
 * Thread: the device's loop. VIRTIO 1.2, section 5.10.
 */
#include "virtio/vsock.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_vsock.h>
#include <stdlib.h>

#include "virtio/queue.h"

#define VIRTIO_VSOCK_QUEUE_SIZE 128
#define VIRTIO_VSOCK_SHARE      (256 * KIB)

enum virtio_vsock_queue {
	VIRTIO_VSOCK_RX,
	VIRTIO_VSOCK_TX,
	VIRTIO_VSOCK_EVENT,
	VIRTIO_VSOCK_NR_QUEUES
};

_Static_assert(VQ_IOV_MAX(VIRTIO_VSOCK_QUEUE_SIZE) <= VSOCK_MAX_IOV, "a chain is one packet");
_Static_assert(sizeof(struct virtio_vsock_hdr) == VSOCK_HEADER_LEN, "section 5.10.6");

struct virtio_vsock {
	struct virtio_device d;
	struct vsock *v; /* owned */

	/* Loop thread. */
	bool tx_rests; /* invariant 2 */
	bool busy;     /* in the middle of a turn, which ends with what waits for the guest */
	struct iovec iov[VQ_IOV_MAX(VIRTIO_VSOCK_QUEUE_SIZE)];
	struct iovec body[VQ_IOV_MAX(VIRTIO_VSOCK_QUEUE_SIZE)];
};

/** The next chain of queue q, a second look included. False when there is none. */
static bool virtio_vsock_pop(struct virtio_vsock *s, unsigned qi, struct vq_chain *ret)
{
	struct vq *q = &s->d.vq[qi];
	const char *why;
	int rc = vq_pop(q, s->iov, ARRAY_SIZE(s->iov), ret, &why);

	if (!rc && vq_enable_kick(q))
		rc = vq_pop(q, s->iov, ARRAY_SIZE(s->iov), ret, &why);
	if (rc < 0)
		virtio_broken(&s->d, "%s", why);
	return rc > 0;
}

/* ---- to the guest ---- */

/** Returns bytes of payload moved, or -1 when there is no chain or no packet. */
static int64_t virtio_vsock_rx_one(struct virtio_vsock *s)
{
	struct vq *q = &s->d.vq[VIRTIO_VSOCK_RX];
	uint8_t header[VSOCK_HEADER_LEN];
	struct vsock_packet p;
	struct vq_chain c;
	unsigned nr;

	if (!vsock_has_rx(s->v) || !virtio_vsock_pop(s, VIRTIO_VSOCK_RX, &c))
		return -1;
	if (c.in_len <= VSOCK_HEADER_LEN) {
		virtio_broken(
			&s->d, "a receive buffer of %llu bytes", (unsigned long long)c.in_len);
		return -1;
	}
	nr = iov_slice(c.iov + c.nr_out, c.nr_in, VSOCK_HEADER_LEN, c.in_len, s->body);
	if (!vsock_rx(s->v, &p, s->body, nr, c.in_len - VSOCK_HEADER_LEN)) {
		vq_unpop(q);
		return -1;
	}
	vsock_encode(&p, header);
	iov_write(c.iov + c.nr_out, c.nr_in, 0, header, sizeof(header));
	vq_push(q, c.head, VSOCK_HEADER_LEN + p.len);
	return p.len;
}

static void virtio_vsock_receive(struct virtio_vsock *s)
{
	struct vq *q = &s->d.vq[VIRTIO_VSOCK_RX];
	uint64_t done = 0;
	unsigned nr = 0;
	int64_t n = 0;

	if (!q->gm)
		return; /* not yet, or not any more */
	s->busy = true;
	vq_disable_kick(q);
	while (nr < q->size && done < VIRTIO_VSOCK_SHARE) {
		n = virtio_vsock_rx_one(s);
		if (n < 0)
			break;
		done += (uint64_t)n;
		nr++;
	}
	s->busy = false;
	if (n >= 0)
		virtio_renotify(&s->d, VIRTIO_VSOCK_RX);
	virtio_raise(&s->d, VIRTIO_VSOCK_RX);
	if (nr && s->tx_rests) {
		s->tx_rests = false;
		virtio_renotify(&s->d, VIRTIO_VSOCK_TX);
	}
}

static void virtio_vsock_pending(void *ctx)
{
	struct virtio_vsock *s = ctx;

	if (s->busy || !s->d.vq)
		return;
	virtio_vsock_receive(s);
}

/* ---- from the guest ---- */

/** Returns bytes of payload, or -1 when there is no chain, or it has to wait. */
static int64_t virtio_vsock_tx_one(struct virtio_vsock *s)
{
	struct vq *q = &s->d.vq[VIRTIO_VSOCK_TX];
	uint8_t header[VSOCK_HEADER_LEN];
	struct vsock_packet p;
	struct vq_chain c;
	unsigned nr;

	if (!virtio_vsock_pop(s, VIRTIO_VSOCK_TX, &c))
		return -1;
	if (c.out_len < VSOCK_HEADER_LEN) {
		virtio_broken(&s->d, "a packet of %llu bytes", (unsigned long long)c.out_len);
		return -1;
	}
	iov_read(c.iov, c.nr_out, 0, header, sizeof(header));
	vsock_decode(header, &p);
	if (p.len > c.out_len - VSOCK_HEADER_LEN) {
		virtio_broken(&s->d, "a packet of %u bytes in a buffer of %llu", p.len,
			(unsigned long long)c.out_len);
		return -1;
	}
	nr = iov_slice(c.iov, c.nr_out, VSOCK_HEADER_LEN, p.len, s->body);
	if (vsock_tx(s->v, &p, s->body, nr)) {
		s->tx_rests = true;
		vq_unpop(q);
		return -1;
	}
	vq_push(q, c.head, 0);
	return p.len;
}

static void virtio_vsock_transmit(struct virtio_vsock *s)
{
	struct vq *q = &s->d.vq[VIRTIO_VSOCK_TX];
	uint64_t done = 0;
	unsigned nr = 0;
	int64_t n = 0;

	vq_disable_kick(q);
	while (nr < q->size && done < VIRTIO_VSOCK_SHARE) {
		n = virtio_vsock_tx_one(s);
		if (n < 0)
			break;
		done += (uint64_t)n;
		nr++;
	}
	if (n >= 0)
		virtio_renotify(&s->d, VIRTIO_VSOCK_TX);
	virtio_raise(&s->d, VIRTIO_VSOCK_TX);
}

/* ---- the class ---- */

static int virtio_vsock_start(struct virtio_device *d)
{
	struct virtio_vsock *s = container_of(d, struct virtio_vsock, d);

	s->tx_rests = false;
	return 0; /* the queues' first notifies do the rest */
}

static void virtio_vsock_stop(struct virtio_device *d)
{
	vsock_reset(container_of(d, struct virtio_vsock, d)->v);
}

static void virtio_vsock_notify(struct virtio_device *d, unsigned q)
{
	struct virtio_vsock *s = container_of(d, struct virtio_vsock, d);

	s->busy = true;
	if (q == VIRTIO_VSOCK_TX && !s->tx_rests)
		virtio_vsock_transmit(s);
	s->busy = false;
	/* What the guest asked for, and answers. */
	if (q == VIRTIO_VSOCK_RX || vsock_has_rx(s->v))
		virtio_vsock_receive(s);
}

static void virtio_vsock_drain(struct virtio_device *d)
{
	struct virtio_vsock *s = container_of(d, struct virtio_vsock, d);

	s->busy = true; /* the guest takes nothing any more */
	/* While it is started, the ring may have what the guest said last. */
	for (unsigned nr = 0; d->vq && nr < VIRTIO_VSOCK_QUEUE_SIZE; nr++) {
		if (virtio_vsock_tx_one(s) < 0)
			break;
		vsock_drain(s->v);
	}
	vsock_drain(s->v);
}

static void virtio_vsock_destroy(struct virtio_device *d)
{
	struct virtio_vsock *s = container_of(d, struct virtio_vsock, d);

	vsock_destroy(s->v);
	free(s);
}

const struct virtio_class virtio_vsock_class = {
	.name = "vsock",
	.device_id = VIRTIO_ID_VSOCK,
	.queue_size_max = VIRTIO_VSOCK_QUEUE_SIZE,
	.config_len = sizeof(struct virtio_vsock_config),
	.start = virtio_vsock_start,
	.stop = virtio_vsock_stop,
	.notify = virtio_vsock_notify,
	.drain = virtio_vsock_drain,
	.destroy = virtio_vsock_destroy,
};

int virtio_vsock_create(const struct vsock_config *cfg, const struct guest_memory *gm,
	struct loop *loop, struct virtio_backend **ret, struct err *err)
{
	struct virtio_vsock *s = calloc(1, sizeof(*s));
	struct vsock_config vc = *cfg;
	int rc;

	if (!s) {
		vsock_config_close(&vc);
		return err_errno(err, ENOMEM, "%s", virtio_vsock_class.name);
	}
	vc.loop = loop;
	vc.pending = virtio_vsock_pending;
	vc.ctx = s;
	rc = vsock_create(&vc, &s->v, err);
	if (rc) {
		free(s);
		return rc;
	}
	s->d = (struct virtio_device){
		.cls = &virtio_vsock_class,
		.gm = gm,
		.loop = loop,
		.nr_queues = VIRTIO_VSOCK_NR_QUEUES,
		.config_len = virtio_vsock_class.config_len,
	};
	le64_put(s->d.config + offsetof(struct virtio_vsock_config, guest_cid), cfg->guest_cid);
	return virtio_local_create(&s->d, ret, err);
}
