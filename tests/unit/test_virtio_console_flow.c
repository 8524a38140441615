// SPDX-License-Identifier: BSD-3-Clause
/* virtio/console.c: input waits for chains, the end waits for output, and much data both ways. */
#include <pthread.h>

#include "tests/unit/console_guest.h"

/* ---- receive ---- */

static void input_fills_chains_as_it_comes(void **state __unused)
{
	struct rd_buf buf[] = { { BUF, 2, true }, { BUF + 0x1000, 4, true } };
	uint16_t a, b;

	a = rd_add(&rd[RX], buf, 2);
	b = rd_add1(&rd[RX], BUF + 0x2000, 100, true);
	start();
	type("abcdefgh");
	step_times(3);
	assert_used(RX, a, 6);
	assert_used(RX, b, 2);
	assert_memory_equal(rd_at(&rd[RX], BUF, 2), "ab", 2);
	assert_memory_equal(rd_at(&rd[RX], BUF + 0x1000, 4), "cdef", 4);
	assert_memory_equal(rd_at(&rd[RX], BUF + 0x2000, 3), "gh", 3); /* and no more */
	assert_int_equal(rd_irqs(&rd[RX]), 1);
}

static void input_stays_within_its_chain(void **state __unused)
{
	struct rd_buf three[] = { { BUF, 1, true }, { BUF, 1, true }, { BUF + 0x5000, 9, true } };
	struct rd_buf mixed[] = { { BUF, 2, false }, { BUF + 0x1000, 4, true } };
	uint16_t a, b;

	a = rd_add(&rd[RX], three, 3);
	b = rd_add(&rd[RX], mixed, 2);
	start();
	type("12345678901");
	step_times(2);
	assert_used(RX, a, 11);
	type("abcdefgh");
	step_times(3);
	assert_used(RX, b, 4);
	assert_int_equal(waiting_in(host_in), 4);
	assert_memory_equal(rd_at(&rd[RX], BUF + 0x5000, 9), "345678901", 9);
}

static void a_fast_source_gives_the_loop_its_turns(void **state __unused)
{
	int in = memfd_create("scratch", MFD_CLOEXEC);
	unsigned nr = 0;

	assert_int_equal(ftruncate(in, MIB), 0);
	dev->ops->destroy(dev);
	make_device(in, -1);
	for (unsigned i = 0; i < SIZE; i++)
		rd_add1(&rd[RX], BUF, 0x3000, true);
	start();
	step_once();
	while (rd_pop_used(&rd[RX], NULL, NULL))
		nr++;
	assert_int_equal(nr, 6); /* the chain that reaches 64 KiB is the last */
	step_times(SIZE / 6 + 1);
	while (rd_pop_used(&rd[RX], NULL, NULL))
		nr++;
	assert_int_equal(nr, SIZE);
}

static void input_waits_for_a_chain(void **state __unused)
{
	uint16_t a;

	type("early");
	step_times(3); /* no driver yet */
	assert_int_equal(waiting_in(host_in), 5);
	start();
	step_times(3);
	assert_int_equal(waiting_in(host_in), 5); /* it waits in the pipe, not with us */
	assert_true(step_is_idle());
	a = rd_add1(&rd[RX], BUF, 3, true);
	rd_kick(&rd[RX]);
	step_times(3);
	assert_used(RX, a, 3);
	assert_int_equal(waiting_in(host_in), 2);
	a = rd_add1(&rd[RX], BUF, 3, true);
	rd_kick(&rd[RX]);
	step_times(3);
	assert_used(RX, a, 2);
}

static void a_chain_without_input_stays_the_guests(void **state __unused)
{
	start();
	rd_add1(&rd[RX], BUF, 100, true);
	rd_kick(&rd[RX]);
	step_times(3);
	assert_none_used(RX);
	fd_close(&host_in); /* the end of input is no byte */
	assert_true(step_is_idle());
	assert_none_used(RX);
	assert_int_equal(rd_irqs(&rd[RX]), 0);
}

static void input_stays_with_the_next_driver(void **state __unused)
{
	uint16_t a;

	start();
	rd_add1(&rd[RX], BUF, 100, true);
	rd_kick(&rd[RX]);
	step_times(2);
	dev->ops->stop(dev);
	rd_reset(&rd[RX]);
	type("abc");
	step_times(3);
	assert_int_equal(waiting_in(host_in), 3);
	a = rd_add1(&rd[RX], BUF, 100, true);
	start();
	step_times(3);
	assert_used(RX, a, 3);
}

/* ---- the end ---- */

static void *slow_reader(void *arg)
{
	size_t *ret = arg;
	uint8_t buf[20000];
	ssize_t n;

	do {
		usleep(500);
		n = read(host_out, buf, sizeof(buf));
		for (ssize_t i = 0; i < n; i++)
			if (buf[i] != pattern(*ret + (size_t)i))
				return NULL;
		*ret += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	return NULL;
}

static void drain_waits_for_all_that_was_handed_over(void **state __unused)
{
	size_t got = 0, len = 0x100000;
	pthread_t t;

	put_pattern(BUF, 0, len);
	start();
	rd_add1(&rd[TX], BUF, 0x80000, false);
	rd_kick(&rd[TX]);
	step_times(3); /* one is half written, one was not looked at */
	rd_add1(&rd[TX], BUF + 0x80000, 0x80000, false);
	assert_int_equal(pthread_create(&t, NULL, slow_reader, &got), 0);
	dev->ops->drain(dev);
	dev->ops->destroy(dev); /* the reader sees the end */
	pthread_join(t, NULL);
	assert_int_equal(got, len);
	make_device(-1, -1);
}

static void drain_has_an_end_whatever_the_guest_describes(void **state __unused)
{
	struct rd_buf buf[SIZE];
	int out = memfd_create("scratch", MFD_CLOEXEC), seen = dup(out);

	assert_true(out >= 0);
	replace_output(out);
	start();
	for (unsigned i = 0; i < SIZE; i++)
		buf[i] = (struct rd_buf){ BUF, 0x100000, false };
	rd_add(&rd[TX], buf, SIZE); /* 64 MiB */
	dev->ops->drain(dev);
	assert_int_equal(lseek(seen, 0, SEEK_END), 4 * MIB);
	close(seen);
}

/** As a driver that wants an interrupt for the next used chain, and only that. */
static bool wait_used(unsigned q, uint16_t *ret_head, uint32_t *ret_len)
{
	rd_set_used_event(&rd[q], rd[q].last_used);
	return rd_wait_used(&rd[q], ret_head, ret_len);
}

/* ---- threads: the loop, the guest, the host ---- */

static void *run_loop(void *arg __unused)
{
	loop_run(step.loop);
	return NULL;
}

static void *host_writes(void *arg)
{
	size_t len = *(size_t *)arg;
	uint8_t buf[8192];

	for (size_t at = 0; at < len;) {
		size_t n = MIN(sizeof(buf), len - at);

		for (size_t i = 0; i < n; i++)
			buf[i] = pattern(at + i);
		if (fd_write_full(host_in, buf, n))
			return NULL;
		at += n;
	}
	return NULL;
}

static void ten_megabytes_pass_out(void **state __unused)
{
	size_t len = 10 * MIB, sent = 0, got = 0;
	pthread_t loop, reader;
	uint16_t head;

	assert_int_equal(pthread_create(&loop, NULL, run_loop, NULL), 0);
	loop_wait_running(step.loop);
	assert_int_equal(pthread_create(&reader, NULL, slow_reader, &got), 0);
	start();
	for (unsigned i = 0; sent < len; i++) {
		/* Sixteen buffers go round, of changing lengths. */
		gpa_t at = BUF + (i % 16) * 0x10000;
		uint32_t n = (uint32_t)MIN(1 + i * 977 % 0x8000, len - sent);

		if (i >= 16)
			assert_true(wait_used(TX, &head, NULL));
		put_pattern(at, sent, n);
		sent += n;
		rd_add1(&rd[TX], at, n, false);
		rd_kick(&rd[TX]);
	}
	dev->ops->drain(dev);
	loop_stop(step.loop);
	pthread_join(loop, NULL);
	dev->ops->destroy(dev); /* the reader sees the end */
	pthread_join(reader, NULL);
	assert_int_equal(got, len);
	make_device(-1, -1);
}

static void ten_megabytes_pass_in(void **state __unused)
{
	size_t len = 10 * MIB, got = 0;
	pthread_t loop, writer;
	gpa_t at[SIZE];
	bool good = true;

	assert_int_equal(pthread_create(&loop, NULL, run_loop, NULL), 0);
	loop_wait_running(step.loop);
	assert_int_equal(pthread_create(&writer, NULL, host_writes, &len), 0);
	start();
	for (unsigned i = 0; i < 8; i++) {
		gpa_t a = BUF + i * 0x1000;

		at[rd_add1(&rd[RX], a, 1000, true)] = a;
	}
	rd_kick(&rd[RX]);
	while (got < len) {
		uint16_t head;
		uint32_t n;
		const uint8_t *p;

		assert_true(wait_used(RX, &head, &n));
		assert_true(n > 0 && n <= 1000);
		p = rd_at(&rd[RX], at[head], n);
		for (uint32_t i = 0; i < n; i++)
			good &= p[i] == pattern(got + i);
		got += n;
		at[rd_add1(&rd[RX], at[head], 1000, true)] = at[head];
		rd_kick(&rd[RX]);
	}
	assert_true(good);
	pthread_join(writer, NULL);
	dev->ops->stop(dev);
	loop_stop(step.loop);
	pthread_join(loop, NULL);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(input_fills_chains_as_it_comes),
		T(input_stays_within_its_chain),
		T(a_fast_source_gives_the_loop_its_turns),
		T(input_waits_for_a_chain),
		T(a_chain_without_input_stays_the_guests),
		T(input_stays_with_the_next_driver),
		T(drain_waits_for_all_that_was_handed_over),
		T(drain_has_an_end_whatever_the_guest_describes),
		T(ten_megabytes_pass_out),
		T(ten_megabytes_pass_in),
	};

	signal(SIGPIPE, SIG_IGN);
	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
