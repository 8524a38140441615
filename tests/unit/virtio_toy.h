/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A toy device model and the transport's side of it, for the tests of virtio/local.c.
 */
#pragma once

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/ring_driver.h"

#define TOY_QUEUES 3
#define TOY_SIZE   16
#define TOY_RAM    0x40000
#define TOY_BUF    0x20000

/** Returns every chain with its own length; what else it does the test says. */
struct toy {
	struct virtio_device d;
	struct virtio_backend *b;
	struct loop *loop;
	struct guest_memory gm;
	struct ring_driver rd[TOY_QUEUES];
	struct virtio_ring ring[TOY_QUEUES];
	pthread_t thread;
	bool threaded;

	/* What the model does. */
	int start_rc;
	bool break_in_start, break_in_notify, break_in_write, push_in_stop, one_per_notify;

	/* What came. */
	unsigned nr_start, nr_stop, nr_drain, nr_destroy, nr_notify[TOY_QUEUES];
	unsigned nr_config_changed, nr_needs_reset;
	unsigned write_off, write_len, nr_write;
	uint8_t config_seen[VIRTIO_MAX_CONFIG];
	pthread_t start_thread, notify_thread;
};

static inline struct toy *toy_of(struct virtio_device *d)
{
	return container_of(d, struct toy, d);
}

static inline int toy_start(struct virtio_device *d)
{
	struct toy *t = toy_of(d);

	t->nr_start++;
	t->start_thread = pthread_self();
	if (t->break_in_start)
		virtio_broken(d, "start");
	return t->start_rc;
}

static inline void toy_stop(struct virtio_device *d)
{
	struct toy *t = toy_of(d);

	t->nr_stop++;
	if (t->push_in_stop) {
		vq_push(&d->vq[0], 0, 77);
		virtio_raise(d, 0);
	}
}

static inline void toy_notify(struct virtio_device *d, unsigned q)
{
	struct toy *t = toy_of(d);
	struct iovec iov[VQ_IOV_MAX(TOY_SIZE)];
	struct vq_chain c;
	const char *why;
	int rc;

	t->nr_notify[q]++;
	t->notify_thread = pthread_self();
	if (t->break_in_notify) {
		virtio_broken(d, "notify of queue %u", q);
		virtio_broken(d, "and again");
		/* What waits there is not for us any more. */
		assert_int_equal(vq_pop(&d->vq[1], iov, ARRAY_SIZE(iov), &c, &why), 0);
		return;
	}
	while ((rc = vq_pop(&d->vq[q], iov, ARRAY_SIZE(iov), &c, &why)) > 0) {
		if (t->push_in_stop)
			return;
		vq_push(&d->vq[q], c.head, (uint32_t)c.in_len);
		if (t->one_per_notify) {
			virtio_renotify(d, q);
			break;
		}
	}
	if (rc < 0)
		virtio_broken(d, "%s", why);
	virtio_raise(d, q);
}

static inline void toy_config_write(
	struct virtio_device *d, unsigned off, const void *data, unsigned len)
{
	struct toy *t = toy_of(d);

	t->nr_write++;
	t->write_off = off;
	t->write_len = len;
	memcpy(d->config + off, data, len);
	if (t->break_in_write)
		virtio_broken(d, "config");
	virtio_config_changed(d);
}

static inline void toy_drain(struct virtio_device *d)
{
	toy_of(d)->nr_drain++;
}

static inline void toy_destroy(struct virtio_device *d)
{
	toy_of(d)->nr_destroy++;
}

static const struct virtio_class toy_class = {
	.name = "toy",
	.device_id = 4242,
	.queue_size_max = TOY_SIZE,
	.start = toy_start,
	.stop = toy_stop,
	.notify = toy_notify,
	.config_write = toy_config_write,
	.drain = toy_drain,
	.destroy = toy_destroy,
};

static inline void toy_on_config_changed(void *ctx, const void *config, unsigned len)
{
	struct toy *t = ctx;

	t->nr_config_changed++;
	memcpy(t->config_seen, config, len);
}

static inline void toy_on_needs_reset(void *ctx)
{
	((struct toy *)ctx)->nr_needs_reset++;
}

static inline void *toy_thread(void *arg)
{
	loop_run(((struct toy *)arg)->loop);
	return NULL;
}

/** A watch that says that the loop runs. */
struct toy_first {
	struct watch w;
	struct loop *loop;
	int running;
};

static inline void toy_on_running(struct watch *w, uint32_t events __unused)
{
	fd_event_drain(w->fd);
	fd_event_signal(container_of(w, struct toy_first, w)->running);
}

static inline void toy_unwatch(void *arg)
{
	struct toy_first *first = arg;

	loop_del(first->loop, &first->w);
}

/** Starts the loop's thread and waits until it runs: from then on loop_call goes there. */
static inline void toy_run(struct toy *t)
{
	struct toy_first first = { .loop = t->loop, .running = fd_event() };
	struct pollfd p = { .fd = first.running, .events = POLLIN };
	int go = fd_event();

	assert_int_equal(loop_add(t->loop, &first.w, go, EPOLLIN, toy_on_running), 0);
	fd_event_signal(go);
	assert_int_equal(pthread_create(&t->thread, NULL, toy_thread, t), 0);
	t->threaded = true;
	assert_int_equal(poll(&p, 1, 10000), 1);
	loop_call(t->loop, toy_unwatch, &first);
	fd_close(&go);
	fd_close(&first.running);
}

static inline void toy_nothing(void *arg __unused)
{
}

/** After the return the loop has looked at every fd that was ready before the call. */
static inline void toy_settle(struct toy *t)
{
	for (unsigned i = 0; i < 10; i++)
		loop_call(t->loop, toy_nothing, NULL);
}

static inline int toy_setup(void **state)
{
	struct toy *t = calloc(1, sizeof(*t));
	struct err err;

	log_set_level(LOG_ERROR);
	assert_int_equal(loop_create(&t->loop, &err), 0);
	rd_add_ram(&t->gm, 0, TOY_RAM);
	for (unsigned i = 0; i < TOY_QUEUES; i++) {
		rd_init(&t->rd[i], &t->gm, 0x1000 * (i + 1), TOY_SIZE);
		t->ring[i] = rd_ring(&t->rd[i]);
	}
	t->d = (struct virtio_device){ .cls = &toy_class,
		.gm = &t->gm,
		.loop = t->loop,
		.features_offered = BIT(3),
		.nr_queues = TOY_QUEUES,
		.config = { 1, 2, 3, 4, 5, 6 },
		.config_len = 6 };
	assert_int_equal(virtio_local_create(&t->d, &t->b, &err), 0);
	t->b->events = (struct virtio_events){ toy_on_config_changed, toy_on_needs_reset, t };
	*state = t;
	return 0;
}

static inline int toy_teardown(void **state)
{
	struct toy *t = *state;

	if (t->threaded) {
		loop_stop(t->loop);
		pthread_join(t->thread, NULL);
	}
	t->b->ops->destroy(t->b);
	assert_int_equal(t->nr_destroy, 1);
	loop_destroy(t->loop);
	for (unsigned i = 0; i < TOY_QUEUES; i++)
		rd_fini(&t->rd[i]);
	rd_free_ram(&t->gm);
	free(t);
	return 0;
}

static inline void toy_start_ok(struct toy *t)
{
	assert_int_equal(t->b->ops->start(t->b, RD_FEATURES, t->ring), 0);
}
