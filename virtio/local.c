// SPDX-License-Identifier: BSD-3-Clause
/*
 * Runs a device model inside this process, on its loop: the near side of the seam that a
 * device process stands behind. Owns the device's queues and the watches on its kicks.
 *
 * Invariants:
 * 1. Everything but creation happens on the loop: the transport's calls are taken there by
 *    loop_call, so the model needs no lock.
 * 2. Kicks are watched exactly while the device is started and not broken: one that is not
 *    listened to costs nothing, however often the guest kicks.
 * 3. A queue that the guest did not set up, or of a device that is not started, has gm NULL:
 *    it gives no chains, raises nothing and hears of no kick.
 * 4. d->vq lives as long as the device, so a model may hold a pointer to a queue.
 *
 * Virtual I/O Device (VIRTIO) Version 1.2, sections 2.1, 2.3 and 3.1.
 */
#include "virtio/virtio.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fd.h"
#include "virtio/queue.h"

struct virtio_local_queue {
	struct watch kick; /* active: see invariant 2 */
	int kick_fd;       /* borrowed, -1 while the queue is not ready */
	int call_fd;       /* borrowed, likewise */
	uint16_t position; /* loop thread: of the queue when it was last cleared */
	struct virtio_local *local;
};

struct virtio_local {
	struct virtio_backend b;
	struct virtio_device *d;      /* owned */
	struct virtio_local_queue *q; /* owned, d->nr_queues */
	bool started;                 /* loop thread */
	bool broken;                  /* loop thread; until stop or the next start */
};

static struct virtio_local *virtio_local_of(struct virtio_backend *b)
{
	return container_of(b, struct virtio_local, b);
}

static void virtio_local_notify(struct virtio_local *l, unsigned i)
{
	if (!l->broken && l->d->vq[i].gm)
		l->d->cls->notify(l->d, i);
}

static void virtio_local_on_kick(struct watch *w, uint32_t events __unused)
{
	struct virtio_local_queue *lq = container_of(w, struct virtio_local_queue, kick);

	/* Before the queue is looked at: a kick that comes after this is not lost. */
	fd_event_drain(w->fd);
	virtio_local_notify(lq->local, (unsigned)(lq - lq->local->q));
}

static void virtio_local_unwatch(struct virtio_local *l)
{
	for (unsigned i = 0; i < l->d->nr_queues; i++)
		loop_del(l->d->loop, &l->q[i].kick);
}

/** Forgets what the guest set up. */
static void virtio_local_clear(struct virtio_local *l)
{
	virtio_local_unwatch(l);
	for (unsigned i = 0; i < l->d->nr_queues; i++) {
		l->q[i].position = l->d->vq[i].next_used;
		l->d->vq[i] = (struct vq){ 0 };
		l->q[i].kick_fd = l->q[i].call_fd = -1;
	}
	l->d->features = 0;
	l->started = false;
	l->broken = false;
}

static int virtio_local_start_queue(
	struct virtio_local *l, unsigned i, uint64_t features, const struct virtio_ring *r)
{
	struct virtio_device *d = l->d;
	struct virtio_local_queue *lq = &l->q[i];
	const struct virtio_queue_name of = { d->cls->name, i, d->cls->queue_size_max, &d->rl };
	int rc = vq_init_ring(&d->vq[i], d->gm, features, r, &of);

	if (rc)
		return rc;
	vq_resume(&d->vq[i], r->next);
	lq->kick_fd = r->kick_fd;
	lq->call_fd = r->call_fd;
	return loop_add(d->loop, &lq->kick, lq->kick_fd, EPOLLIN, virtio_local_on_kick);
}

struct virtio_local_start_call {
	struct virtio_local *l;
	uint64_t features;
	const struct virtio_ring *rings;
	int rc;
};

static void virtio_local_start_on_loop(void *arg)
{
	struct virtio_local_start_call *call = arg;
	struct virtio_local *l = call->l;
	struct virtio_device *d = l->d;

	BUG_ON(l->started);
	/* A transport need not stop what never started: a config write may have broken it. */
	l->broken = false;
	call->rc = 0;
	for (unsigned i = 0; i < d->nr_queues && !call->rc; i++)
		if (call->rings[i].ready)
			call->rc = virtio_local_start_queue(l, i, call->features, &call->rings[i]);
	if (call->rc) {
		virtio_local_clear(l);
		return;
	}
	d->features = call->features;
	l->started = true;
	call->rc = d->cls->start(d);
	if (call->rc) {
		d->cls->stop(d);
		virtio_local_clear(l);
		return;
	}
	/* The guest may fill queues before DRIVER_OK; those kicks had nobody to hear them. */
	for (unsigned i = 0; i < d->nr_queues; i++)
		virtio_local_notify(l, i);
}

static int virtio_local_start(
	struct virtio_backend *b, uint64_t features, const struct virtio_ring *rings)
{
	struct virtio_local *l = virtio_local_of(b);
	struct virtio_local_start_call call = { .l = l, .features = features, .rings = rings };

	/* The transport has refused such features at FEATURES_OK; models rely on it. */
	if (features & ~b->features)
		return -EINVAL;
	loop_call(l->d->loop, virtio_local_start_on_loop, &call);
	return call.rc;
}

static void virtio_local_stop_on_loop(void *arg)
{
	struct virtio_local *l = arg;

	/* The queues stay until the model let go of them. */
	virtio_local_unwatch(l);
	if (l->started)
		l->d->cls->stop(l->d);
	virtio_local_clear(l);
}

static void virtio_local_stop(struct virtio_backend *b)
{
	struct virtio_local *l = virtio_local_of(b);

	loop_call(l->d->loop, virtio_local_stop_on_loop, l);
}

static uint16_t virtio_local_position(struct virtio_backend *b, unsigned q)
{
	BUG_ON(q >= b->nr_queues);
	return virtio_local_of(b)->q[q].position;
}

struct virtio_local_write_call {
	struct virtio_device *d;
	unsigned off, len;
	const void *data;
};

static void virtio_local_write_on_loop(void *arg)
{
	const struct virtio_local_write_call *call = arg;

	call->d->cls->config_write(call->d, call->off, call->data, call->len);
}

static void virtio_local_config_write(
	struct virtio_backend *b, unsigned off, const void *data, unsigned len)
{
	struct virtio_device *d = virtio_local_of(b)->d;
	struct virtio_local_write_call call = { .d = d, .off = off, .len = len, .data = data };

	/* The transport has checked this too; a model's config_write relies on it. */
	if (!len || !range_within(off, len, 0, d->config_len) || !d->cls->config_write)
		return;
	loop_call(d->loop, virtio_local_write_on_loop, &call);
}

static void virtio_local_drain_on_loop(void *arg)
{
	struct virtio_device *d = arg;

	d->cls->drain(d);
}

static void virtio_local_drain(struct virtio_backend *b)
{
	struct virtio_device *d = virtio_local_of(b)->d;

	if (d->cls->drain)
		loop_call(d->loop, virtio_local_drain_on_loop, d);
}

/** Frees a stopped device, and what was made of l, which may be NULL. */
static void virtio_local_free(struct virtio_local *l, struct virtio_device *d)
{
	struct vq *vq = d->vq;

	d->cls->destroy(d);
	free(vq);
	if (l)
		free(l->q);
	free(l);
}

static void virtio_local_destroy(struct virtio_backend *b)
{
	if (!b)
		return;
	virtio_local_stop(b);
	virtio_local_free(virtio_local_of(b), virtio_local_of(b)->d);
}

static const struct virtio_backend_ops virtio_local_ops = {
	.start = virtio_local_start,
	.stop = virtio_local_stop,
	.position = virtio_local_position,
	.config_write = virtio_local_config_write,
	.drain = virtio_local_drain,
	.destroy = virtio_local_destroy,
};

int virtio_local_create(struct virtio_device *d, struct virtio_backend **ret, struct err *err)
{
	struct virtio_local *l = calloc(1, sizeof(*l));

	BUG_ON(!d->nr_queues || d->nr_queues > VIRTIO_MAX_QUEUES);
	BUG_ON(d->config_len > VIRTIO_MAX_CONFIG);
	BUG_ON(!is_power_of_2(d->cls->queue_size_max) || d->cls->queue_size_max > VQ_MAX_SIZE);
	d->vq = calloc(d->nr_queues, sizeof(*d->vq));
	if (l)
		l->q = calloc(d->nr_queues, sizeof(*l->q));
	if (!l || !l->q || !d->vq) {
		int rc = err_errno(err, ENOMEM, "%s", d->cls->name);

		virtio_local_free(l, d);
		return rc;
	}
	l->d = d;
	d->local = l;
	for (unsigned i = 0; i < d->nr_queues; i++) {
		l->q[i].local = l;
		l->q[i].kick_fd = l->q[i].call_fd = -1;
	}
	l->b.ops = &virtio_local_ops;
	l->b.name = d->cls->name;
	l->b.device_id = d->cls->device_id;
	l->b.features = d->features_offered | VIRTIO_COMMON_FEATURES;
	l->b.nr_queues = d->nr_queues;
	l->b.queue_size_max = d->cls->queue_size_max;
	memcpy(l->b.config, d->config, d->config_len);
	l->b.config_len = d->config_len;
	*ret = &l->b;
	return 0;
}

void virtio_raise(struct virtio_device *d, unsigned q)
{
	BUG_ON(q >= d->nr_queues);
	if (vq_should_raise(&d->vq[q]))
		fd_event_signal(d->local->q[q].call_fd);
}

void virtio_renotify(struct virtio_device *d, unsigned q)
{
	BUG_ON(q >= d->nr_queues);
	/* Through the kick's own watch: epoll serves the others that are ready before it. */
	if (d->vq[q].gm)
		fd_event_signal(d->local->q[q].kick_fd);
}

void virtio_serve(struct virtio_device *d, unsigned qi, uint64_t max,
	int (*one)(struct virtio_device *d, unsigned q, uint64_t *ret_len))
{
	struct vq *q = &d->vq[qi];
	unsigned nr = 0, looks = 0;
	uint64_t done = 0, len;
	bool more;

	vq_disable_kick(q);
	do {
		while ((more = nr < q->size && done < max) && one(d, qi, &len) > 0) {
			done += len;
			nr++;
		}
		/* A guest that flips avail.idx back and forth must not keep the loop here. */
	} while (more && vq_enable_kick(q) && ++looks < VQ_MAX_LOOKS);
	if (!more || looks == VQ_MAX_LOOKS)
		virtio_renotify(d, qi);
	virtio_raise(d, qi);
}

void virtio_config_changed(struct virtio_device *d)
{
	const struct virtio_events *ev = &d->local->b.events;

	if (ev->config_changed)
		ev->config_changed(ev->ctx, d->config, d->config_len);
}

void virtio_broken(struct virtio_device *d, const char *fmt, ...)
{
	struct virtio_local *l = d->local;
	char why[256];
	va_list ap;

	if (l->broken)
		return;
	l->broken = true;
	virtio_local_unwatch(l);
	for (unsigned i = 0; i < d->nr_queues; i++)
		d->vq[i].broken = true;
	if (ratelimit_ok(&d->rl)) {
		va_start(ap, fmt);
		vsnprintf(why, sizeof(why), fmt, ap);
		va_end(ap);
		log_warn("%s: stopped until the guest resets it: %s", d->cls->name, why);
	}
	if (l->b.events.needs_reset)
		l->b.events.needs_reset(l->b.events.ctx);
}
