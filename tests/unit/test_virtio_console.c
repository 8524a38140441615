// SPDX-License-Identifier: BSD-3-Clause
/* virtio/console.c, transmit: bytes pass, a slow reader stops its chain only, nothing grows. */
#include "tests/unit/console_guest.h"

/* ---- what it is ---- */

static void it_is_a_console_of_one_port(void **state __unused)
{
	assert_string_equal(dev->name, "console");
	assert_int_equal(dev->device_id, 3);
	assert_int_equal(dev->nr_queues, 2);
	assert_true(dev->features == VIRTIO_COMMON_FEATURES);
	start();
}

static void a_chain_is_written_in_order_and_returned(void **state __unused)
{
	struct rd_buf buf[] = { { BUF, 6, false }, { BUF + 0x1000, 5, false } };
	uint16_t a, b;

	put(BUF, "hello ");
	put(BUF + 0x1000, "world");
	a = rd_add(&rd[TX], buf, 2);
	start(); /* what was there before is served without a kick */
	assert_host_got("hello world");
	assert_used(TX, a, 0);
	assert_int_equal(rd_irqs(&rd[TX]), 1);
	b = rd_add_indirect(&rd[TX], BUF + 0x2000, buf, 2);
	rd_kick(&rd[TX]);
	step_once();
	assert_host_got("hello world");
	assert_used(TX, b, 0);
	assert_int_equal(nr_needs_reset, 0);
}

static void parts_in_the_wrong_direction_are_ignored(void **state __unused)
{
	struct rd_buf mixed[] = { { BUF, 2, false }, { BUF + 0x1000, 4, true } };
	uint16_t a, b, c, d;

	put(BUF, "ok");
	put(BUF + 0x1000, "####");
	start();
	a = rd_add(&rd[TX], mixed, 2);
	b = rd_add1(&rd[TX], BUF + 0x1000, 4, true);
	c = rd_add(&rd[RX], mixed, 2);
	d = rd_add1(&rd[RX], BUF, 2, false);
	rd_kick(&rd[TX]);
	rd_kick(&rd[RX]);
	step_once();
	assert_host_got("ok");
	assert_used(TX, a, 0);
	assert_used(TX, b, 0);
	assert_none_used(RX);
	type("inpu");
	step_times(3);
	assert_used(RX, c, 4);
	assert_memory_equal(rd_at(&rd[RX], BUF + 0x1000, 4), "inpu", 4);
	type("t");
	step_times(3);
	assert_used(RX, d, 0);
	assert_memory_equal(rd_at(&rd[RX], BUF, 2), "ok", 2);
	assert_int_equal(nr_needs_reset, 0);
}

static void a_slow_reader_stops_the_chain_and_not_the_loop(void **state __unused)
{
	size_t pipe_len = (size_t)fcntl(host_out, F_GETPIPE_SZ), len = BUF_LEN - 0x100000, got = 0;
	struct rd_buf buf[] = { { BUF, (uint32_t)len / 2, false },
		{ BUF + len / 2, (uint32_t)(len - len / 2), false } };
	uint16_t a, b;

	put_pattern(BUF, 0, len);
	put(RAM_LEN - 16, "end");
	start();
	a = rd_add(&rd[TX], buf, 2);
	b = rd_add1(&rd[TX], RAM_LEN - 16, 3, false);
	rd_kick(&rd[TX]);
	step_times(10);
	assert_int_equal(waiting_in(host_out), pipe_len);
	assert_none_used(TX);
	assert_true(step_is_idle());
	rd_kick(&rd[TX]); /* changes nothing */
	step_times(3);
	assert_none_used(TX);
	while (got < len + 3) {
		uint8_t chunk[10000];
		ssize_t n;

		step_once();
		n = read(host_out, chunk, sizeof(chunk));
		assert_true(n > 0);
		for (ssize_t i = 0; i < n && got + (size_t)i < len; i++)
			assert_int_equal(chunk[i], pattern(got + (size_t)i));
		got += (size_t)n;
	}
	step_once();
	assert_int_equal(got, len + 3);
	assert_used(TX, a, 0);
	assert_used(TX, b, 0);
	assert_true(rd_irqs(&rd[TX]) > 0);
}

static void a_later_part_does_not_overtake(void **state __unused)
{
	size_t first = 15 * 4096 + 100;
	struct rd_buf buf[] = { { BUF + first, 8192, false }, { BUF + first + 8192, 10, false } };
	uint8_t *all = malloc(first + 8202);
	uint16_t a, b;

	assert_int_equal(fcntl(host_out, F_SETPIPE_SZ, 16 * 4096), 16 * 4096);
	put_pattern(BUF, 0, first + 8202);
	start();
	a = rd_add1(&rd[TX], BUF, (uint32_t)first, false);
	b = rd_add(&rd[TX], buf, 2); /* pages do not fit any more, ten bytes would */
	rd_kick(&rd[TX]);
	step_once();
	assert_used(TX, a, 0);
	assert_int_equal(read(host_out, all, first), first);
	step_times(2);
	assert_used(TX, b, 0);
	assert_int_equal(read(host_out, all + first, 8202), 8202);
	for (size_t i = 0; i < first + 8202; i++)
		assert_int_equal(all[i], pattern(i));
	free(all);
}

static void an_idle_device_asks_for_kicks(void **state __unused)
{
	struct virtio_ring rings[2] = { rd_ring(&rd[RX]), rd_ring(&rd[TX]) };

	start();
	rd_add1(&rd[TX], BUF, 1, false);
	rd_add1(&rd[TX], BUF, 1, false);
	rd_add1(&rd[RX], BUF, 1, true);
	rd_kick(&rd[TX]);
	rd_kick(&rd[RX]);
	type("ab");
	step_times(4);
	assert_int_equal(rd_avail_event(&rd[TX]), 2);
	assert_int_equal(rd_avail_event(&rd[RX]), 1);
	dev->ops->stop(dev);
	rd_reset(&rd[TX]);
	rd_reset(&rd[RX]);
	assert_int_equal(dev->ops->start(dev, RD_FEATURES_PLAIN, rings), 0);
	rd_add1(&rd[TX], BUF, 1, false);
	rd_kick(&rd[TX]);
	step_times(3);
	assert_int_equal(rd_used_flags(&rd[TX]), 0);
	assert_int_equal(rd_used_flags(&rd[RX]), 0);
}

static void a_reader_that_leaves_lets_the_guest_go_on(void **state __unused)
{
	uint16_t a, b;

	start();
	a = rd_add1(&rd[TX], BUF, BUF_LEN, false);
	b = rd_add1(&rd[TX], BUF, BUF_LEN, false);
	rd_kick(&rd[TX]);
	step_once();
	assert_none_used(TX);
	fd_close(&host_out);
	step_times(80);
	assert_used(TX, a, 0);
	assert_used(TX, b, 0);
	assert_int_equal(nr_failed, 1);
}

static void a_full_disk_lets_the_guest_go_on(void **state __unused)
{
	uint16_t a;

	replace_output(open("/dev/full", O_WRONLY | O_CLOEXEC));
	start();
	a = rd_add1(&rd[TX], BUF, 100, false);
	rd_kick(&rd[TX]);
	step_once();
	assert_used(TX, a, 0);
	assert_int_equal(nr_failed, 1);
}

static void a_fast_sink_gives_the_loop_its_turns(void **state __unused)
{
	struct rd_buf buf[SIZE];
	unsigned turns = 0;
	uint16_t a;

	replace_output(open("/dev/null", O_WRONLY | O_CLOEXEC));
	for (unsigned i = 0; i < SIZE; i++)
		buf[i] = (struct rd_buf){ BUF, 0x10000, false };
	start();
	a = rd_add(&rd[TX], buf, SIZE);
	rd_kick(&rd[TX]);
	while (rd_used_idx(&rd[TX]) == 0) {
		step_once();
		assert_true(++turns < 1000);
	}
	assert_used(TX, a, 0);
	assert_true(turns >= SIZE); /* 4 MiB, a share each */
	/* Many chains of a little less than half a share. */
	for (unsigned i = 0; i < SIZE; i++)
		rd_add1(&rd[TX], BUF, 30000, false);
	rd_kick(&rd[TX]);
	for (turns = 0; rd_used_idx(&rd[TX]) != SIZE + 1; turns++) {
		step_once();
		assert_true(turns < 1000);
	}
	assert_true(turns >= SIZE / 4);
}

static void a_reset_forgets_the_chain_and_the_next_driver_starts_anew(void **state __unused)
{
	size_t pipe_len = (size_t)fcntl(host_out, F_GETPIPE_SZ);
	uint8_t *all = malloc(pipe_len);
	uint16_t a;

	start();
	rd_add1(&rd[TX], BUF, BUF_LEN, false);
	rd_kick(&rd[TX]);
	step_times(3);
	dev->ops->stop(dev);
	rd_reset(&rd[TX]);
	rd_reset(&rd[RX]);
	assert_int_equal(read(host_out, all, pipe_len), pipe_len);
	free(all);
	step_times(3); /* the promise comes, and finds no chain */
	assert_host_got("");
	dev->ops->drain(dev); /* without a queue */
	start();
	put(BUF, "again");
	a = rd_add1(&rd[TX], BUF, 5, false);
	rd_kick(&rd[TX]);
	step_once();
	assert_used(TX, a, 0);
	assert_host_got("again");
}

static void a_bad_ring_breaks_the_device_only(void **state __unused)
{
	start();
	rd_add1(&rd[TX], RAM_LEN, 100, false);
	rd_kick(&rd[TX]);
	step_once();
	assert_int_equal(nr_needs_reset, 1);
	assert_host_got("");
	type("x");
	assert_true(step_is_idle());
	dev->ops->drain(dev);
}

static void a_bad_receive_ring_breaks_the_device_too(void **state __unused)
{
	start();
	rd_add1(&rd[RX], RAM_LEN - 10, 100, true);
	rd_kick(&rd[RX]);
	type("x");
	step_times(3);
	assert_int_equal(nr_needs_reset, 1);
	assert_true(step_is_idle());
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(it_is_a_console_of_one_port),
		T(a_chain_is_written_in_order_and_returned),
		T(parts_in_the_wrong_direction_are_ignored),
		T(a_slow_reader_stops_the_chain_and_not_the_loop),
		T(a_later_part_does_not_overtake),
		T(an_idle_device_asks_for_kicks),
		T(a_reader_that_leaves_lets_the_guest_go_on),
		T(a_full_disk_lets_the_guest_go_on),
		T(a_fast_sink_gives_the_loop_its_turns),
		T(a_reset_forgets_the_chain_and_the_next_driver_starts_anew),
		T(a_bad_ring_breaks_the_device_only),
		T(a_bad_receive_ring_breaks_the_device_too),
	};

	signal(SIGPIPE, SIG_IGN);
	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
