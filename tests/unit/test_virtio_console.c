// SPDX-License-Identifier: BSD-3-Clause
/* virtio/console.c: bytes pass both ways, slow ends stop their own side only, nothing grows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/loop_step.h"
#include "tests/unit/ring_driver.h"
#include "virtio/console.h"

#define SIZE    64
#define RAM_LEN 0x200000
#define RX_RING 0x1000
#define TX_RING 0x4000
#define BUF     0x10000
#define BUF_LEN (RAM_LEN - BUF)

enum { RX, TX };

static struct guest_memory gm;
static struct ring_driver rd[2];
static struct virtio_backend *dev;
static int host_in, host_out; /* the host's ends: what the guest reads, what it wrote */
static unsigned nr_needs_reset, nr_failed;

static void on_needs_reset(void *ctx __unused)
{
	nr_needs_reset++;
}

static void on_failed(void *ctx __unused, const struct err *err __unused)
{
	nr_failed++;
}

static void make_device(int in_fd, int out_fd)
{
	struct chardev_config cfg = { .in_fd = in_fd,
		.out_fd = out_fd,
		.opt = "--console",
		.path = "OUT",
		.failed = on_failed };
	struct chardev *c;
	struct err err;

	assert_int_equal(chardev_create(step.loop, &cfg, &c, &err), 0);
	assert_int_equal(virtio_console_create(c, &gm, step.loop, &dev, &err), 0);
	dev->events = (struct virtio_events){ .needs_reset = on_needs_reset };
}

static int setup(void **state __unused)
{
	int a[2], b[2];

	log_set_level(LOG_ERROR);
	step_open();
	nr_needs_reset = nr_failed = 0;
	gm = (struct guest_memory){ 0 };
	rd_add_ram(&gm, 0, RAM_LEN);
	rd_init(&rd[RX], &gm, RX_RING, SIZE);
	rd_init(&rd[TX], &gm, TX_RING, SIZE);
	if (pipe2(a, O_CLOEXEC) || pipe2(b, O_CLOEXEC))
		return -1;
	host_in = a[1];
	host_out = b[0];
	make_device(a[0], b[1]);
	return 0;
}

static int teardown(void **state __unused)
{
	dev->ops->destroy(dev);
	rd_fini(&rd[RX]);
	rd_fini(&rd[TX]);
	rd_free_ram(&gm);
	fd_close(&host_in);
	fd_close(&host_out);
	step_close();
	return 0;
}

/** As setup, with an output of the test's choice. */
static void replace_output(int out_fd)
{
	int a[2];

	dev->ops->destroy(dev);
	fd_close(&host_in);
	fd_close(&host_out);
	assert_int_equal(pipe2(a, O_CLOEXEC), 0);
	host_in = a[1];
	make_device(a[0], out_fd);
}

static void start(void)
{
	struct virtio_ring rings[2] = { rd_ring(&rd[RX]), rd_ring(&rd[TX]) };

	assert_int_equal(dev->ops->start(dev, RD_FEATURES, rings), 0);
}

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i * 7 + i / 4096);
}

static void put(gpa_t at, const char *text)
{
	memcpy(rd_at(&rd[TX], at, strlen(text)), text, strlen(text));
}

static void put_pattern(gpa_t at, size_t from, size_t len)
{
	uint8_t *p = rd_at(&rd[TX], at, len);

	for (size_t i = 0; i < len; i++)
		p[i] = pattern(from + i);
}

static size_t waiting_in(int fd)
{
	int n = 0;

	assert_int_equal(ioctl(fd, FIONREAD, &n), 0);
	return (size_t)n;
}

static void assert_host_got(const char *text)
{
	char buf[256] = "";
	size_t len = waiting_in(host_out);

	assert_true(len < sizeof(buf));
	if (len)
		assert_int_equal(read(host_out, buf, len), len);
	assert_string_equal(buf, text);
}

static void type(const char *text)
{
	assert_int_equal(write(host_in, text, strlen(text)), strlen(text));
}

static void assert_used(unsigned q, uint16_t head, uint32_t len)
{
	uint16_t used_head = 0xffff;
	uint32_t used_len = 0xffffffff;

	assert_true(rd_pop_used(&rd[q], &used_head, &used_len));
	assert_int_equal(used_head, head);
	assert_int_equal(used_len, len);
}

static void assert_none_used(unsigned q)
{
	assert_false(rd_pop_used(&rd[q], NULL, NULL));
}

/* ---- what it is ---- */

static void it_is_a_console_of_one_port(void **state __unused)
{
	assert_string_equal(dev->name, "console");
	assert_int_equal(dev->device_id, 3);
	assert_int_equal(dev->nr_queues, 2);
	assert_true(dev->features == VIRTIO_COMMON_FEATURES);
	start();
}

/* ---- transmit ---- */

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
	alarm(120); /* a write that blocks is a failure, not a hang */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
