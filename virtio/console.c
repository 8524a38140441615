// SPDX-License-Identifier: BSD-3-Clause
/*
 * The console device: the guest's chains to a file and back, in place, without a buffer of
 * our own, so that nothing grows whatever the guest or the host sends.
 *
 * Invariants:
 * 1. tx_busy between two turns: one transmit chain is in flight, written up to tx_off, and the
 *    chardev has promised to call when it takes more. No further chain is popped until it is done:
 * a slow reader stops its guest's console and nothing else.
 * 2. Input is read only into a chain that is there for it. Without one the stream is not
 *    watched, and the next kick of the receive queue watches it again.
 * 3. One turn of either queue moves less than two VIRTIO_CONSOLE_SHARE bytes and at most as
 *    many chains as the queue has.
 * 4. Parts of a chain in the wrong direction are ignored, and the chain is returned.
 *
 * MULTIPORT, SIZE and EMERG_WRITE are not offered, so config space says nothing.
 *
 * Thread: the device's loop. VIRTIO 1.2, section 5.3.
 */
#include "virtio/console.h"

#include <errno.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>

#include "virtio/queue.h"

#define VIRTIO_CONSOLE_QUEUE_SIZE 64
#define VIRTIO_CONSOLE_SHARE      (64 * KIB)
/*
 * What a machine's end waits for: more than a driver puts into a whole ring, less than a
 * hostile one can describe (64 chains of 4 GiB each).
 */
#define VIRTIO_CONSOLE_DRAIN_MAX (4 * MIB)

enum virtio_console_queue { VIRTIO_CONSOLE_RX, VIRTIO_CONSOLE_TX, VIRTIO_CONSOLE_NR_QUEUES };

struct virtio_console {
	struct virtio_device d;
	struct chardev *cd; /* owned */

	/* Loop thread. */
	bool tx_busy; /* tx is valid */
	struct vq_chain tx;
	uint64_t tx_off;
	struct iovec tx_iov[VQ_IOV_MAX(VIRTIO_CONSOLE_QUEUE_SIZE)];
	struct iovec rx_iov[VQ_IOV_MAX(VIRTIO_CONSOLE_QUEUE_SIZE)];
};

/** As vq_pop; a broken ring breaks the device. */
static int virtio_console_pop(
	struct virtio_console *c, unsigned q, struct iovec *iov, unsigned max, struct vq_chain *ret)
{
	const char *why;
	int rc = vq_pop(&c->d.vq[q], iov, max, ret, &why);

	if (rc < 0)
		virtio_broken(&c->d, "%s", why);
	return rc;
}

/* ---- transmit ---- */

/** The chain to go on with, or the next one. False when there is none. */
static bool virtio_console_tx_next(struct virtio_console *c)
{
	if (!c->tx_busy &&
		virtio_console_pop(c, VIRTIO_CONSOLE_TX, c->tx_iov, ARRAY_SIZE(c->tx_iov), &c->tx) >
			0) {
		c->tx_busy = true;
		c->tx_off = 0;
	}
	return c->tx_busy;
}

static void virtio_console_tx_done(struct virtio_console *c)
{
	vq_push(&c->d.vq[VIRTIO_CONSOLE_TX], c->tx.head, 0);
	c->tx_busy = false;
}

/** Writes on with the chain, for this turn's share. Returns bytes written. */
static uint64_t virtio_console_tx_write(struct virtio_console *c)
{
	struct iovec iov[ARRAY_SIZE(c->tx_iov)];
	unsigned nr = iov_slice(c->tx.iov, c->tx.nr_out, c->tx_off, VIRTIO_CONSOLE_SHARE, iov);
	uint64_t done = 0;

	for (unsigned i = 0; i < nr; i++) {
		size_t n = chardev_write(c->cd, iov[i].iov_base, iov[i].iov_len);

		done += n;
		if (n < iov[i].iov_len)
			break;
	}
	c->tx_off += done;
	return done;
}

static void virtio_console_transmit(struct virtio_console *c)
{
	struct vq *q = &c->d.vq[VIRTIO_CONSOLE_TX];
	uint64_t done = 0;

	vq_disable_kick(q);
	for (unsigned nr = 0; nr < q->size && done < VIRTIO_CONSOLE_SHARE; nr++) {
		/* The second look is for a chain that came before the guest knew of kicks. */
		if (!virtio_console_tx_next(c) && !(vq_enable_kick(q) && virtio_console_tx_next(c)))
			goto out;
		done += virtio_console_tx_write(c);
		if (c->tx_off < c->tx.out_len) {
			chardev_want_output(c->cd); /* invariant 1 */
			goto out;
		}
		virtio_console_tx_done(c);
	}
	virtio_renotify(&c->d, VIRTIO_CONSOLE_TX);
out:
	virtio_raise(&c->d, VIRTIO_CONSOLE_TX);
}

static void virtio_console_writable(void *ctx)
{
	/* A promise may outlive a reset; then there is no ring and no chain. */
	virtio_console_transmit(ctx);
}

/* ---- receive ---- */

/** Fills a chain with what waits. Returns bytes read, 0 when nothing does. */
static uint32_t virtio_console_rx_fill(struct virtio_console *c, const struct vq_chain *chain)
{
	const struct iovec *iov = chain->iov + chain->nr_out;
	size_t done = 0;

	for (unsigned i = 0; i < chain->nr_in && done < VIRTIO_CONSOLE_SHARE; i++) {
		size_t len = MIN(iov[i].iov_len, VIRTIO_CONSOLE_SHARE - done);
		size_t n = chardev_read(c->cd, iov[i].iov_base, len);

		done += n;
		if (n < len)
			break;
	}
	return (uint32_t)done;
}

static bool virtio_console_rx_next(struct virtio_console *c, struct vq_chain *ret)
{
	return virtio_console_pop(c, VIRTIO_CONSOLE_RX, c->rx_iov, ARRAY_SIZE(c->rx_iov), ret) > 0;
}

/** Serves one chain. Returns bytes moved, 0 for a useless chain, or -1: no chain or no input. */
static int64_t virtio_console_rx_one(struct virtio_console *c)
{
	struct vq *q = &c->d.vq[VIRTIO_CONSOLE_RX];
	struct vq_chain chain;
	uint32_t len;

	if (!virtio_console_rx_next(c, &chain) &&
		!(vq_enable_kick(q) && virtio_console_rx_next(c, &chain))) {
		chardev_want_input(c->cd, false); /* invariant 2 */
		return -1;
	}
	len = virtio_console_rx_fill(c, &chain);
	if (!len && chain.nr_in) {
		vq_unpop(q);
		return -1;
	}
	vq_push(q, chain.head, len);
	return len;
}

static void virtio_console_receive(struct virtio_console *c)
{
	struct vq *q = &c->d.vq[VIRTIO_CONSOLE_RX];
	uint64_t done = 0;

	/* Input that is left after this share calls again: its watch is level-triggered. */
	for (unsigned nr = 0; nr < q->size && done < VIRTIO_CONSOLE_SHARE; nr++) {
		int64_t n = virtio_console_rx_one(c);

		if (n < 0)
			break;
		done += (uint64_t)n;
	}
	virtio_raise(&c->d, VIRTIO_CONSOLE_RX);
}

static void virtio_console_readable(void *ctx)
{
	virtio_console_receive(ctx);
}

/* ---- the class ---- */

static int virtio_console_start(struct virtio_device *d __unused)
{
	return 0; /* the queues' first notifies do the rest */
}

static void virtio_console_stop(struct virtio_device *d)
{
	struct virtio_console *c = container_of(d, struct virtio_console, d);

	c->tx_busy = false; /* the rest of it goes with the ring */
	chardev_want_input(c->cd, false);
}

static void virtio_console_notify(struct virtio_device *d, unsigned q)
{
	struct virtio_console *c = container_of(d, struct virtio_console, d);

	if (q == VIRTIO_CONSOLE_RX) {
		vq_disable_kick(&d->vq[q]);
		chardev_want_input(c->cd, true); /* finds out itself when there is no chain */
	} else {
		virtio_console_transmit(c);
	}
}

/** What is left of the chain, at most budget bytes. Returns bytes written. */
static uint64_t virtio_console_drain_chain(struct virtio_console *c, uint64_t budget)
{
	struct iovec iov[ARRAY_SIZE(c->tx_iov)];
	unsigned n = iov_slice(c->tx.iov, c->tx.nr_out, c->tx_off, budget, iov);
	uint64_t done = 0;

	for (unsigned i = 0; i < n; i++) {
		chardev_write_all(c->cd, iov[i].iov_base, iov[i].iov_len);
		done += iov[i].iov_len;
	}
	return done;
}

static void virtio_console_drain(struct virtio_device *d)
{
	struct virtio_console *c = container_of(d, struct virtio_console, d);
	struct vq *q = &d->vq[VIRTIO_CONSOLE_TX];
	uint64_t budget = VIRTIO_CONSOLE_DRAIN_MAX;

	for (unsigned nr = 0; nr <= q->size && budget && virtio_console_tx_next(c); nr++) {
		budget -= virtio_console_drain_chain(c, budget);
		virtio_console_tx_done(c);
	}
}

static void virtio_console_destroy(struct virtio_device *d)
{
	struct virtio_console *c = container_of(d, struct virtio_console, d);

	chardev_destroy(c->cd);
	free(c);
}

const struct virtio_class virtio_console_class = {
	.name = "console",
	.device_id = VIRTIO_ID_CONSOLE,
	.queue_size_max = VIRTIO_CONSOLE_QUEUE_SIZE,
	.config_len = sizeof(struct virtio_console_config),
	.start = virtio_console_start,
	.stop = virtio_console_stop,
	.notify = virtio_console_notify,
	.drain = virtio_console_drain,
	.destroy = virtio_console_destroy,
};

int virtio_console_create(struct chardev *cd, const struct guest_memory *gm, struct loop *loop,
	struct virtio_backend **ret, struct err *err)
{
	struct virtio_console *c = calloc(1, sizeof(*c));

	if (!c) {
		chardev_destroy(cd);
		return err_errno(err, ENOMEM, "%s", virtio_console_class.name);
	}
	c->cd = cd;
	chardev_set_user(cd,
		&(struct chardev_user){ .readable = virtio_console_readable,
			.writable = virtio_console_writable,
			.ctx = c });
	c->d = (struct virtio_device){
		.cls = &virtio_console_class,
		.gm = gm,
		.loop = loop,
		.nr_queues = VIRTIO_CONSOLE_NR_QUEUES,
		.config_len = virtio_console_class.config_len,
	};
	return virtio_local_create(&c->d, ret, err);
}
