// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio/local.c: what a guest can do wrong to a device, and how it gets well again.
 */
#include "tests/unit/virtio_toy.h"

static void bad_geometry_fails_the_start_and_leaves_nothing_behind(void **state)
{
	struct toy *t = *state;

	toy_run(t);
	for (unsigned i = 0; i < TOY_QUEUES; i++) {
		struct virtio_ring good = t->ring[i];

		t->ring[i].size = TOY_SIZE * 2;
		assert_int_equal(t->b->ops->start(t->b, RD_FEATURES, t->ring), -EINVAL);
		t->ring[i] = good;
		t->ring[i].desc = TOY_RAM;
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
	rd_add1(&t->rd[1], TOY_BUF, 8, true);
	for (unsigned i = 0; i < 100; i++)
		for (unsigned q = 0; q < TOY_QUEUES; q++)
			rd_kick(&t->rd[q]);
	toy_settle(t);
	assert_int_equal(t->nr_notify[1], seen);
	/* Nobody drains the kicks: they cost nothing. */
	assert_int_equal(fd_event_drain(t->rd[1].kick_fd), 100);
	assert_int_equal(rd_used_idx(&t->rd[1]), 0);
	assert_int_equal(t->nr_needs_reset, 1);

	t->b->ops->stop(t->b);
	for (unsigned q = 0; q < TOY_QUEUES; q++)
		rd_reset(&t->rd[q]);
	toy_start_ok(t);
	rd_add1(&t->rd[1], TOY_BUF, 8, true);
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
	rd_add1(&t->rd[1], TOY_BUF, 8, true);
	toy_start_ok(t);
	assert_int_equal(t->nr_needs_reset, 2);
	assert_int_equal(t->nr_notify[0], 1);
	assert_int_equal(t->nr_notify[1], 0);
}

static void a_config_write_may_break_a_device_that_is_not_started(void **state)
{
	struct toy *t = *state;

	t->break_in_write = true;
	t->b->ops->config_write(t->b, 0, "", 1);
	assert_int_equal(t->nr_needs_reset, 1);
	/* A start is a new life, whether the transport stopped it or not. */
	rd_add1(&t->rd[0], TOY_BUF, 8, true);
	toy_start_ok(t);
	assert_true(rd_pop_used(&t->rd[0], NULL, NULL));
	/* And so is a stop. */
	t->b->ops->config_write(t->b, 0, "", 1);
	t->b->ops->stop(t->b);
	t->b->ops->config_write(t->b, 0, "", 1);
	assert_int_equal(t->nr_needs_reset, 3);
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
	for (unsigned i = 0; i < TOY_SIZE; i++)
		rd_add1(&t->rd[0], TOY_BUF, 8, true);
	rd_add1(&t->rd[1], TOY_BUF, 8, true);
	rd_kick(&t->rd[0]);
	rd_kick(&t->rd[1]);
	assert_int_equal(loop_add(t->loop, &other.w, t->rd[2].call_fd, EPOLLIN, toy_on_other), 0);
	fd_event_signal(t->rd[2].call_fd);
	loop_run(t->loop);
	assert_true(rd_pop_used(&t->rd[1], NULL, NULL));
	assert_true(rd_pop_used(&t->rd[0], NULL, NULL));
	assert_true(rd_used_idx(&t->rd[0]) < TOY_SIZE);
	/* What renotify left is served in the end. */
	toy_run(t);
	for (unsigned i = 1; i < TOY_SIZE; i++)
		assert_true(rd_wait_used(&t->rd[0], NULL, NULL));
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, toy_setup, toy_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(bad_geometry_fails_the_start_and_leaves_nothing_behind),
		T(features_that_were_not_offered_are_refused),
		T(a_broken_device_says_so_once_and_hears_nothing_until_reset),
		T(a_device_broken_while_it_starts_is_not_notified),
		T(a_config_write_may_break_a_device_that_is_not_started),
		T(config_writes_out_of_bounds_are_dropped),
		T(a_storm_on_one_queue_does_not_starve_the_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
