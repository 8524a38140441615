// SPDX-License-Identifier: BSD-3-Clause
/* virtio/local.c: a toy model, driven through the backend as a transport drives it. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/ring_driver.h"

#define NR_QUEUES 3
#define QUEUE_MAX 16
#define RAM_LEN   0x40000
#define BUF       0x20000

/** Returns every chain with its own length; what else it does the test says. */
struct toy {
	struct virtio_device d;
	struct virtio_backend *b;
	struct loop *loop;
	struct guest_memory gm;
	struct ring_driver rd[NR_QUEUES];
	struct virtio_ring ring[NR_QUEUES];
	pthread_t thread;
	bool threaded;

	/* What the model does. */
	int start_rc;
	bool break_in_start, break_in_notify, push_in_stop, one_per_notify;

	/* What came. */
	unsigned nr_start, nr_stop, nr_drain, nr_destroy, nr_notify[NR_QUEUES];
	unsigned nr_config_changed, nr_needs_reset;
	unsigned write_off, write_len, nr_write;
	uint8_t config_seen[VIRTIO_MAX_CONFIG];
	pthread_t start_thread, notify_thread;
};

static struct toy *toy_of(struct virtio_device *d)
{
	return container_of(d, struct toy, d);
}

static int toy_start(struct virtio_device *d)
{
	struct toy *t = toy_of(d);

	t->nr_start++;
	t->start_thread = pthread_self();
	if (t->break_in_start)
		virtio_broken(d, "start");
	return t->start_rc;
}

static void toy_stop(struct virtio_device *d)
{
	struct toy *t = toy_of(d);

	t->nr_stop++;
	if (t->push_in_stop) {
		vq_push(&d->vq[0], 0, 77);
		virtio_raise(d, 0);
	}
}

static void toy_notify(struct virtio_device *d, unsigned q)
{
	struct toy *t = toy_of(d);
	struct iovec iov[VQ_IOV_MAX(QUEUE_MAX)];
	struct vq_chain c;
	const char *why;
	int rc;

	t->nr_notify[q]++;
	t->notify_thread = pthread_self();
	if (t->break_in_notify) {
		virtio_broken(d, "notify of queue %u", q);
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

static void toy_config_write(struct virtio_device *d, unsigned off, const void *data, unsigned len)
{
	struct toy *t = toy_of(d);

	t->nr_write++;
	t->write_off = off;
	t->write_len = len;
	memcpy(d->config + off, data, len);
	virtio_config_changed(d);
}

static void toy_drain(struct virtio_device *d)
{
	toy_of(d)->nr_drain++;
}

static void toy_destroy(struct virtio_device *d)
{
	toy_of(d)->nr_destroy++;
}

static const struct virtio_class toy_class = {
	.name = "toy",
	.device_id = 4242,
	.queue_size_max = QUEUE_MAX,
	.start = toy_start,
	.stop = toy_stop,
	.notify = toy_notify,
	.config_write = toy_config_write,
	.drain = toy_drain,
	.destroy = toy_destroy,
};

static void toy_on_config_changed(void *ctx, const void *config, unsigned len)
{
	struct toy *t = ctx;

	t->nr_config_changed++;
	memcpy(t->config_seen, config, len);
}

static void toy_on_needs_reset(void *ctx)
{
	((struct toy *)ctx)->nr_needs_reset++;
}

static void *toy_thread(void *arg)
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

static void toy_on_running(struct watch *w, uint32_t events __unused)
{
	fd_event_drain(w->fd);
	fd_event_signal(container_of(w, struct toy_first, w)->running);
}

static void toy_unwatch(void *arg)
{
	struct toy_first *first = arg;

	loop_del(first->loop, &first->w);
}

/** Starts the loop's thread and waits until it runs: from then on loop_call goes there. */
static void toy_run(struct toy *t)
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

static void toy_nothing(void *arg __unused)
{
}

/** After the return the loop has looked at every fd that was ready before the call. */
static void toy_settle(struct toy *t)
{
	for (unsigned i = 0; i < 10; i++)
		loop_call(t->loop, toy_nothing, NULL);
}

static int setup(void **state)
{
	struct toy *t = calloc(1, sizeof(*t));
	struct err err;

	log_set_level(LOG_ERROR);
	assert_int_equal(loop_create(&t->loop, &err), 0);
	rd_add_ram(&t->gm, 0, RAM_LEN);
	for (unsigned i = 0; i < NR_QUEUES; i++) {
		rd_init(&t->rd[i], &t->gm, 0x1000 * (i + 1), QUEUE_MAX);
		t->ring[i] = rd_ring(&t->rd[i]);
	}
	t->d = (struct virtio_device){ .cls = &toy_class,
		.gm = &t->gm,
		.loop = t->loop,
		.features_offered = BIT(3),
		.nr_queues = NR_QUEUES,
		.config = { 1, 2, 3, 4, 5, 6 },
		.config_len = 6 };
	assert_int_equal(virtio_local_create(&t->d, &t->b, &err), 0);
	t->b->events = (struct virtio_events){ toy_on_config_changed, toy_on_needs_reset, t };
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct toy *t = *state;

	if (t->threaded) {
		loop_stop(t->loop);
		pthread_join(t->thread, NULL);
	}
	t->b->ops->destroy(t->b);
	assert_int_equal(t->nr_destroy, 1);
	loop_destroy(t->loop);
	for (unsigned i = 0; i < NR_QUEUES; i++)
		rd_fini(&t->rd[i]);
	rd_free_ram(&t->gm);
	free(t);
	return 0;
}

static void toy_start_ok(struct toy *t)
{
	assert_int_equal(t->b->ops->start(t->b, RD_FEATURES, t->ring), 0);
}

static void the_backend_says_what_the_model_is(void **state)
{
	struct toy *t = *state;

	assert_string_equal(t->b->name, "toy");
	assert_int_equal(t->b->device_id, 4242);
	assert_int_equal(t->b->features, BIT(3) | BIT(28) | BIT(29) | BIT(32));
	assert_int_equal(t->b->nr_queues, NR_QUEUES);
	assert_int_equal(t->b->queue_size_max, QUEUE_MAX);
	assert_int_equal(t->b->config_len, 6);
	assert_memory_equal(t->b->config, "\1\2\3\4\5\6", 6);
	assert_non_null(t->d.vq);
}

static void a_kick_reaches_the_model_and_the_guest_is_told(void **state)
{
	struct toy *t = *state;
	uint16_t head, added;
	uint32_t len;

	toy_run(t);
	toy_start_ok(t);
	added = rd_add1(&t->rd[1], BUF, 100, true);
	rd_kick(&t->rd[1]);
	assert_true(rd_wait_used(&t->rd[1], &head, &len));
	assert_int_equal(head, added);
	assert_int_equal(len, 100);
	toy_settle(t);
	/* All on the loop's thread, which is not this one. */
	assert_true(pthread_equal(t->start_thread, t->thread));
	assert_true(pthread_equal(t->notify_thread, t->thread));
	assert_int_equal(fd_event_drain(t->rd[1].kick_fd), 0);
}

static void interrupts_follow_the_guest_s_wish(void **state)
{
	struct toy *t = *state;

	toy_start_ok(t);
	rd_set_used_event(&t->rd[0], 1);
	rd_add1(&t->rd[0], BUF, 8, true);
	t->d.cls->notify(&t->d, 0);
	assert_int_equal(rd_irqs(&t->rd[0]), 0);
	rd_add1(&t->rd[0], BUF, 8, true);
	t->d.cls->notify(&t->d, 0);
	assert_int_equal(rd_irqs(&t->rd[0]), 1);
	assert_int_equal(rd_irqs(&t->rd[1]), 0);
}

static void kicks_that_came_before_the_start_are_served(void **state)
{
	struct toy *t = *state;

	for (unsigned i = 0; i < NR_QUEUES; i++)
		rd_add1(&t->rd[i], BUF, 8, true);
	t->ring[1].ready = false;
	toy_start_ok(t);
	assert_true(rd_pop_used(&t->rd[0], NULL, NULL));
	assert_false(rd_pop_used(&t->rd[1], NULL, NULL));
	assert_true(rd_pop_used(&t->rd[2], NULL, NULL));
	assert_int_equal(rd_irqs(&t->rd[0]), 1);
}

static void a_queue_that_is_not_ready_is_left_alone(void **state)
{
	struct toy *t = *state;
	struct vq_chain c;
	const char *why;
	struct iovec iov;

	/* Its addresses are not even looked at. */
	t->ring[1] = (struct virtio_ring){
		.desc = UINT64_MAX, .size = 7, .kick_fd = t->rd[1].kick_fd, .call_fd = -1
	};
	rd_add1(&t->rd[1], BUF, 8, true);
	toy_run(t);
	toy_start_ok(t);
	rd_kick(&t->rd[1]);
	toy_settle(t);
	assert_int_equal(t->nr_notify[1], 0);
	assert_int_equal(vq_pop(&t->d.vq[1], &iov, 1, &c, &why), 0);
	virtio_raise(&t->d, 1);
	virtio_renotify(&t->d, 1);
	assert_int_equal(fd_event_drain(t->rd[1].kick_fd), 1);
}

static void bad_geometry_fails_the_start_and_leaves_nothing_behind(void **state)
{
	struct toy *t = *state;

	toy_run(t);
	for (unsigned i = 0; i < NR_QUEUES; i++) {
		struct virtio_ring good = t->ring[i];

		t->ring[i].size = QUEUE_MAX * 2;
		assert_int_equal(t->b->ops->start(t->b, RD_FEATURES, t->ring), -EINVAL);
		t->ring[i] = good;
		t->ring[i].desc = RAM_LEN;
		assert_int_equal(t->b->ops->start(t->b, RD_FEATURES, t->ring), -EINVAL);
		t->ring[i] = good;
	}
	assert_int_equal(t->nr_start, 0);
	assert_int_equal(t->nr_stop, 0);
	rd_kick(&t->rd[0]);
	toy_settle(t);
	assert_int_equal(t->nr_notify[0], 0);
	assert_null(t->d.vq[0].gm);
	toy_start_ok(t);
}

static void features_that_were_not_offered_are_refused(void **state)
{
	struct toy *t = *state;

	assert_int_equal(t->b->ops->start(t->b, RD_FEATURES | BIT(4), t->ring), -EINVAL);
	assert_int_equal(t->nr_start, 0);
	assert_int_equal(t->b->ops->start(t->b, BIT(32) | BIT(3), t->ring), 0);
	assert_true(virtio_has(&t->d, 3));
	assert_false(t->d.vq[0].event_idx);
	assert_false(t->d.vq[0].indirect);
}

static void a_model_that_fails_to_start_is_stopped(void **state)
{
	struct toy *t = *state;

	t->start_rc = -EIO;
	toy_run(t);
	assert_int_equal(t->b->ops->start(t->b, RD_FEATURES, t->ring), -EIO);
	assert_int_equal(t->nr_stop, 1);
	rd_kick(&t->rd[0]);
	toy_settle(t);
	assert_int_equal(t->nr_notify[0], 0);
	t->b->ops->stop(t->b);
	assert_int_equal(t->nr_stop, 1);
	t->start_rc = 0;
	toy_start_ok(t);
}

static void after_stop_no_kick_and_no_memory_is_looked_at(void **state)
{
	struct toy *t = *state;
	unsigned before;

	toy_run(t);
	toy_start_ok(t);
	t->b->ops->stop(t->b);
	assert_int_equal(t->nr_stop, 1);
	before = t->nr_notify[0];
	rd_add1(&t->rd[0], BUF, 8, true);
	rd_kick(&t->rd[0]);
	toy_settle(t);
	assert_int_equal(t->nr_notify[0], before);
	assert_int_equal(fd_event_drain(t->rd[0].kick_fd), 1);
	assert_null(t->d.vq[0].gm);
	assert_int_equal(t->d.features, 0);
	assert_int_equal(rd_used_idx(&t->rd[0]), 0);
	/* Twice is fine, and so is another life. */
	t->b->ops->stop(t->b);
	assert_int_equal(t->nr_stop, 1);
	for (unsigned i = 0; i < 100; i++) {
		toy_start_ok(t);
		t->b->ops->stop(t->b);
	}
	assert_int_equal(t->nr_stop, 101);
}

static void a_stopping_model_may_still_return_its_chains(void **state)
{
	struct toy *t = *state;
	uint32_t len;

	t->push_in_stop = true;
	toy_start_ok(t);
	rd_add1(&t->rd[0], BUF, 8, true);
	t->d.cls->notify(&t->d, 0);
	t->b->ops->stop(t->b);
	assert_true(rd_pop_used(&t->rd[0], NULL, &len));
	assert_int_equal(len, 77);
	assert_int_equal(rd_irqs(&t->rd[0]), 1);
}

static void a_broken_device_says_so_once_and_hears_nothing_until_reset(void **state)
{
	struct toy *t = *state;
	unsigned seen;

	toy_run(t);
	toy_start_ok(t);
	rd_publish(&t->rd[0], 9999);
	rd_kick(&t->rd[0]);
	toy_settle(t);
	assert_int_equal(t->nr_needs_reset, 1);
	seen = t->nr_notify[1];
	rd_add1(&t->rd[1], BUF, 8, true);
	for (unsigned i = 0; i < 100; i++)
		for (unsigned q = 0; q < NR_QUEUES; q++)
			rd_kick(&t->rd[q]);
	toy_settle(t);
	assert_int_equal(t->nr_notify[1], seen);
	/* Nobody drains the kicks: they cost nothing. */
	assert_int_equal(fd_event_drain(t->rd[1].kick_fd), 100);
	assert_int_equal(rd_used_idx(&t->rd[1]), 0);
	assert_int_equal(t->nr_needs_reset, 1);

	t->b->ops->stop(t->b);
	for (unsigned q = 0; q < NR_QUEUES; q++)
		rd_reset(&t->rd[q]);
	toy_start_ok(t);
	rd_add1(&t->rd[1], BUF, 8, true);
	rd_kick(&t->rd[1]);
	assert_true(rd_wait_used(&t->rd[1], NULL, NULL));
}

static void a_device_broken_while_it_starts_is_not_notified(void **state)
{
	struct toy *t = *state;

	t->break_in_start = true;
	toy_start_ok(t);
	assert_int_equal(t->nr_needs_reset, 1);
	assert_int_equal(t->nr_notify[0], 0);
	/* Nor the next queues, when the first notify breaks it. */
	t->b->ops->stop(t->b);
	t->break_in_start = false;
	t->break_in_notify = true;
	toy_start_ok(t);
	assert_int_equal(t->nr_notify[0], 1);
	assert_int_equal(t->nr_notify[1], 0);
}

static void config_writes_in_bounds_reach_the_model(void **state)
{
	struct toy *t = *state;

	toy_run(t);
	t->b->ops->config_write(t->b, 4, "\x0a\x0b", 2);
	assert_int_equal(t->nr_write, 1);
	assert_int_equal(t->write_off, 4);
	assert_int_equal(t->write_len, 2);
	assert_int_equal(t->nr_config_changed, 1);
	assert_memory_equal(t->config_seen, "\1\2\3\4\x0a\x0b", 6);
}

static void config_writes_out_of_bounds_are_dropped(void **state)
{
	static const unsigned bad[][2] = { { 6, 1 }, { 5, 2 }, { 0, 7 }, { 256, 1 }, { 0, 0 },
		{ UINT32_MAX, 1 }, { UINT32_MAX, 2 }, { 2, UINT32_MAX }, { 1, UINT32_MAX - 1 } };
	struct toy *t = *state;
	uint8_t data[16] = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		t->b->ops->config_write(t->b, bad[i][0], data, bad[i][1]);
	assert_int_equal(t->nr_write, 0);
}

static void drain_reaches_the_model_started_or_not(void **state)
{
	struct toy *t = *state;

	t->b->ops->drain(t->b);
	toy_start_ok(t);
	t->b->ops->drain(t->b);
	assert_int_equal(t->nr_drain, 2);
}

static void destroy_stops_a_started_device(void **state)
{
	struct toy *t = *state;
	struct err err;

	toy_start_ok(t);
	t->b->ops->destroy(t->b);
	assert_int_equal(t->nr_stop, 1);
	assert_int_equal(t->nr_destroy, 1);
	/* For teardown. */
	t->nr_destroy = 0;
	assert_int_equal(virtio_local_create(&t->d, &t->b, &err), 0);
}

/** Another device on the loop, whose callback ends it. */
struct toy_other {
	struct watch w;
	struct loop *loop;
};

static void toy_on_other(struct watch *w, uint32_t events __unused)
{
	struct toy_other *other = container_of(w, struct toy_other, w);

	loop_stop(other->loop);
	loop_del(other->loop, w);
}

static void a_storm_on_one_queue_does_not_starve_the_others(void **state)
{
	struct toy *t = *state;
	struct toy_other other = { .loop = t->loop };

	/* Both queues wait; queue 0 always asks for more, one chain at a time. */
	toy_start_ok(t);
	t->one_per_notify = true;
	for (unsigned i = 0; i < QUEUE_MAX; i++)
		rd_add1(&t->rd[0], BUF, 8, true);
	rd_add1(&t->rd[1], BUF, 8, true);
	rd_kick(&t->rd[0]);
	rd_kick(&t->rd[1]);
	assert_int_equal(loop_add(t->loop, &other.w, t->rd[2].call_fd, EPOLLIN, toy_on_other), 0);
	fd_event_signal(t->rd[2].call_fd);
	loop_run(t->loop);
	assert_true(rd_pop_used(&t->rd[1], NULL, NULL));
	assert_true(rd_pop_used(&t->rd[0], NULL, NULL));
	assert_true(rd_used_idx(&t->rd[0]) < QUEUE_MAX);
	/* What renotify left is served in the end. */
	toy_run(t);
	for (unsigned i = 1; i < QUEUE_MAX; i++)
		assert_true(rd_wait_used(&t->rd[0], NULL, NULL));
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_backend_says_what_the_model_is),
		T(a_kick_reaches_the_model_and_the_guest_is_told),
		T(interrupts_follow_the_guest_s_wish),
		T(kicks_that_came_before_the_start_are_served),
		T(a_queue_that_is_not_ready_is_left_alone),
		T(bad_geometry_fails_the_start_and_leaves_nothing_behind),
		T(features_that_were_not_offered_are_refused),
		T(a_model_that_fails_to_start_is_stopped),
		T(after_stop_no_kick_and_no_memory_is_looked_at),
		T(a_stopping_model_may_still_return_its_chains),
		T(a_broken_device_says_so_once_and_hears_nothing_until_reset),
		T(a_device_broken_while_it_starts_is_not_notified),
		T(config_writes_in_bounds_reach_the_model),
		T(config_writes_out_of_bounds_are_dropped),
		T(drain_reaches_the_model_started_or_not),
		T(destroy_stops_a_started_device),
		T(a_storm_on_one_queue_does_not_starve_the_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
