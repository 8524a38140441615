// SPDX-License-Identifier: BSD-3-Clause
/* virtio/local.c: a toy model, driven through the backend as a transport drives it. */
#include "tests/unit/virtio_toy.h"

static void the_backend_says_what_the_model_is(void **state)
{
	struct toy *t = *state;

	assert_string_equal(t->b->name, "toy");
	assert_int_equal(t->b->device_id, 4242);
	assert_int_equal(t->b->features, BIT(3) | BIT(28) | BIT(29) | BIT(32));
	assert_int_equal(t->b->nr_queues, TOY_QUEUES);
	assert_int_equal(t->b->queue_size_max, TOY_SIZE);
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
	added = rd_add1(&t->rd[1], TOY_BUF, 100, true);
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
	rd_add1(&t->rd[0], TOY_BUF, 8, true);
	t->d.cls->notify(&t->d, 0);
	assert_int_equal(rd_irqs(&t->rd[0]), 0);
	rd_add1(&t->rd[0], TOY_BUF, 8, true);
	t->d.cls->notify(&t->d, 0);
	assert_int_equal(rd_irqs(&t->rd[0]), 1);
	assert_int_equal(rd_irqs(&t->rd[1]), 0);
}

static void kicks_that_came_before_the_start_are_served(void **state)
{
	struct toy *t = *state;

	for (unsigned i = 0; i < TOY_QUEUES; i++)
		rd_add1(&t->rd[i], TOY_BUF, 8, true);
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
	rd_add1(&t->rd[1], TOY_BUF, 8, true);
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
	rd_add1(&t->rd[0], TOY_BUF, 8, true);
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
	rd_add1(&t->rd[0], TOY_BUF, 8, true);
	t->d.cls->notify(&t->d, 0);
	t->b->ops->stop(t->b);
	assert_true(rd_pop_used(&t->rd[0], NULL, &len));
	assert_int_equal(len, 77);
	assert_int_equal(rd_irqs(&t->rd[0]), 1);
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

#define T(fn) cmocka_unit_test_setup_teardown(fn, toy_setup, toy_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_backend_says_what_the_model_is),
		T(a_kick_reaches_the_model_and_the_guest_is_told),
		T(interrupts_follow_the_guest_s_wish),
		T(kicks_that_came_before_the_start_are_served),
		T(a_queue_that_is_not_ready_is_left_alone),
		T(a_model_that_fails_to_start_is_stopped),
		T(after_stop_no_kick_and_no_memory_is_looked_at),
		T(a_stopping_model_may_still_return_its_chains),
		T(config_writes_in_bounds_reach_the_model),
		T(drain_reaches_the_model_started_or_not),
		T(destroy_stops_a_started_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
