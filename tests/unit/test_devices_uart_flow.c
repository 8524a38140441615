// SPDX-License-Identifier: BSD-3-Clause
/*
 * devices/uart.c: much data, slow ends, and two interrupt-driven guests that never poll, so
 * that an edge which is lost shows as a timeout.
 */
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>

#include "tests/unit/uart_guest.h"

/* ---- output ---- */

static void bytes_put_by_firmware_stand_in_order_with_the_guests(void **state __unused)
{
	char buf[16];

	out(THR, 'a');
	uart_put(uart, "bc", 2);
	out(LCR, 0x80); /* the divisor latch is open: no matter */
	uart_put(uart, "d\n", 2);
	host_got_now(buf, sizeof(buf));
	assert_string_equal(buf, "abcd\n");
}

/** More than the buffer holds, without a line's end: the loop hears of it in time. */
static void *put_much(void *arg __unused)
{
	static char much[3 * 16384];

	memset(much, 'x', sizeof(much));
	uart_put(uart, much, sizeof(much));
	return NULL;
}

static void more_than_the_buffer_is_put_without_waiting_for_ever(void **state __unused)
{
	static char buf[4 * 16384];
	size_t got = 0;
	pthread_t t;

	assert_int_equal(pthread_create(&t, NULL, put_much, NULL), 0);
	for (int i = 0; i < 10000 && got < 3 * 16384; i++) {
		size_t had = got;

		host_got_now(buf + got, sizeof(buf) - got);
		got += strlen(buf + got);
		if (got == had)
			usleep(1000);
	}
	pthread_join(t, NULL);
	assert_int_equal(got, 3 * 16384);
}

static void no_file_is_a_sink(void **state __unused)
{
	struct err err;

	drop_stream(NULL);
	step_open();
	line.fd = fd_event();
	assert_int_equal(uart_create(step.loop, NULL, &line, &uart, &err), 0);
	for (int i = 0; i < 100000; i++) {
		assert_int_equal(in(LSR), 0x60);
		out(THR, 'x');
	}
	uart_drain(uart);
	uart_destroy(NULL);
}

static void one_byte_reaches_the_file_by_itself(void **state __unused)
{
	out(THR, '1');
	assert_host_got("1");
	out(THR, '2');
	assert_host_got("2");
}

static void a_line_goes_out_when_it_ends(void **state __unused)
{
	char buf[16];

	out(THR, 'a');
	out(THR, '\n');
	host_got_now(buf, sizeof(buf));
	assert_string_equal(buf, "a\n");
}

static void many_bytes_go_out_before_their_line_ends(void **state __unused)
{
	char buf[2048];

	for (int i = 0; i < 1024; i++)
		out(THR, 'a');
	host_got_now(buf, sizeof(buf));
	assert_int_equal(strlen(buf), 1024);
}

static void drain_completes_what_was_written(void **state __unused)
{
	char buf[16] = "";

	for (const char *p = "last words"; *p; p++)
		out(THR, (unsigned)*p);
	uart_drain(uart);
	assert_int_equal(read(host_out, buf, sizeof(buf)), 10);
	assert_string_equal(buf, "last words");
}

/** Writes as a driver that looks at LSR; returns how many bytes until THRE stays clear. */
static size_t write_until_full(void)
{
	size_t n = 0;

	while (in(LSR)&0x20) {
		for (int i = 0; i < 16; i++, n++)
			out(THR, (unsigned)(n & 0xff));
		if (n % 4096 == 0)
			step_times(2);
		assert_true(n < MIB);
	}
	return n;
}

static void a_reader_that_sleeps_clears_thre_and_waking_raises_it(void **state __unused)
{
	uint8_t buf[4096];
	size_t n, got = 0;

	out(IER, 0x02);
	n = write_until_full();
	assert_int_equal(in(LSR), 0x00);
	assert_int_equal(in(IIR), 0x01); /* no cause while there is no room */
	pulses();
	out(IER, 0);
	out(IER, 0x02);
	assert_int_equal(in(IIR), 0x01);
	assert_int_equal(pulses(), 0);
	assert_true(step_is_idle());
	while (got < n) {
		ssize_t k = read(host_out, buf, sizeof(buf));

		assert_true(k > 0);
		for (ssize_t i = 0; i < k; i++)
			assert_int_equal(buf[i], (got + (size_t)i) & 0xff);
		got += (size_t)k;
		step_times(2);
	}
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(pulses(), 1);
	assert_int_equal(in(IIR), 0x02);
}

static void a_reader_that_leaves_does_not_stop_the_guest(void **state __unused)
{
	fd_close(&host_out);
	for (int i = 0; i < 65536; i++) {
		out(THR, 'x');
		if (i % 4096 == 0)
			step_times(2);
	}
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(nr_failed, 1);
}

/* ---- threads: the loop, the guest, the host ---- */

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i * 7);
}

static void *run_loop(void *arg __unused)
{
	loop_run(step.loop);
	return NULL;
}

static void *write_regardless(void *arg)
{
	size_t n = *(size_t *)arg;

	for (size_t i = 0; i < n; i++)
		out(THR, pattern(i));
	return NULL;
}

struct host {
	size_t len;
	unsigned sleep_every;
	bool good;
};

static void *host_reads(void *arg)
{
	struct host *h = arg;
	uint8_t buf[8192];
	size_t got = 0;
	unsigned rounds = 0;

	h->good = true;
	while (got < h->len) {
		ssize_t n = read(host_out, buf, sizeof(buf));

		if (n <= 0)
			break;
		for (ssize_t i = 0; i < n; i++)
			h->good &= buf[i] == pattern(got + (size_t)i);
		got += (size_t)n;
		if (h->sleep_every && ++rounds % h->sleep_every == 0)
			usleep(2000);
	}
	h->good &= got == h->len;
	return NULL;
}

static void *write_a_lot(void *arg)
{
	write_regardless(arg);
	__atomic_store_n((size_t *)arg, 0, __ATOMIC_RELEASE);
	return NULL;
}

static void a_guest_that_writes_regardless_waits_until_it_is_let_go(void **state __unused)
{
	int in_pipe = 0, before = -1;
	struct host h = { 0 };
	size_t left = MIB;
	pthread_t guest, host;

	assert_int_equal(pthread_create(&guest, NULL, write_a_lot, &left), 0);
	/*
	 * Until all that can be written is, however slow this machine is. How much a pipe holds
	 * depends on the sizes of the writes.
	 */
	for (int calm = 0; calm < 50; calm++, before = in_pipe) {
		step_once();
		usleep(1000);
		assert_int_equal(ioctl(host_out, FIONREAD, &in_pipe), 0);
		if (in_pipe != before || in(LSR)&0x20)
			calm = 0;
	}
	assert_int_equal(__atomic_load_n(&left, __ATOMIC_ACQUIRE), MIB); /* it waits */
	assert_int_equal(in(LSR), 0x00); /* and holds nothing that we need */
	uart_release(uart);
	pthread_join(guest, NULL);
	assert_int_equal(left, 0);
	/* What it wrote until then is kept in order, and what it wrote after is bounded. */
	h.len = (size_t)in_pipe + 16384 + 512;
	assert_int_equal(pthread_create(&host, NULL, host_reads, &h), 0);
	uart_drain(uart);
	pthread_join(host, NULL);
	assert_true(h.good);
	assert_host_got("");
}

static void *host_writes(void *arg)
{
	struct host *h = arg;
	uint8_t buf[8192];

	for (size_t at = 0; at < h->len;) {
		size_t n = MIN(sizeof(buf), h->len - at);

		for (size_t i = 0; i < n; i++)
			buf[i] = pattern(at + i);
		if (fd_write_full(host_in, buf, n))
			return NULL;
		at += n;
	}
	return NULL;
}

static void megabytes_pass_out_to_a_slow_reader(void **state __unused)
{
	struct host h = { .len = 2 * MIB, .sleep_every = 64 };
	pthread_t loop, host;

	assert_int_equal(pthread_create(&loop, NULL, run_loop, NULL), 0);
	loop_wait_running(step.loop);
	assert_int_equal(pthread_create(&host, NULL, host_reads, &h), 0);
	write_regardless(&h.len);
	uart_drain(uart); /* through the running loop */
	pthread_join(host, NULL);
	assert_true(h.good);
	loop_stop(step.loop);
	pthread_join(loop, NULL);
}

static void megabytes_pass_in_to_a_polling_guest(void **state __unused)
{
	struct host h = { .len = 2 * MIB };
	pthread_t loop, host;
	bool good = true;

	assert_int_equal(pthread_create(&loop, NULL, run_loop, NULL), 0);
	loop_wait_running(step.loop);
	assert_int_equal(pthread_create(&host, NULL, host_writes, &h), 0);
	out(FCR, 0x01);
	for (size_t i = 0; i < h.len;) {
		uint8_t lsr = in(LSR);

		good &= !(lsr & 0x02);
		if (lsr & 0x01)
			good &= in(RBR) == pattern(i++);
		else
			sched_yield();
	}
	assert_true(good);
	pthread_join(host, NULL);
	loop_stop(step.loop);
	pthread_join(loop, NULL);
}

/** What an interrupt-driven guest has done so far. */
struct guest {
	size_t want, sent, got;
	bool good, reads_iir;
	unsigned nr_irqs;
};

static void guest_receives(struct guest *g, unsigned max)
{
	while (max-- && (in(LSR)&0x01))
		g->good &= in(RBR) == pattern(g->got++);
}

/** Fills the transmitter, and turns its interrupt off when all is said. */
static void guest_sends(struct guest *g)
{
	for (int i = 0; i < 16 && g->sent < g->want; i++)
		out(THR, pattern(g->sent++));
	if (g->sent == g->want && (in(IER)&0x02))
		out(IER, 0x01);
}

/** One interrupt of a handler that looks at IIR once and at one cause only. */
static void guest_looks_once(struct guest *g)
{
	switch (in(IIR)&0x0f) {
	case 0x04:
	case 0x0c:
		guest_receives(g, 5);
		break;
	case 0x02:
		guest_sends(g);
		break;
	default:
		break;
	}
}

/** One interrupt of a handler that knows LSR only. */
static void guest_never_looks(struct guest *g)
{
	guest_receives(g, 5);
	if (in(LSR)&0x20)
		guest_sends(g);
}

static void run_guest(bool reads_iir)
{
	struct host h = { .len = 256 * KIB, .sleep_every = 8 };
	struct guest g = { .want = h.len, .good = true };
	pthread_t loop, reader, writer;
	struct pollfd p = { .fd = line.fd, .events = POLLIN };

	assert_int_equal(pthread_create(&loop, NULL, run_loop, NULL), 0);
	loop_wait_running(step.loop);
	assert_int_equal(pthread_create(&reader, NULL, host_reads, &h), 0);
	assert_int_equal(pthread_create(&writer, NULL, host_writes, &h), 0);
	out(FCR, 0x81);
	out(IER, 0x03);
	while (g.sent < g.want || g.got < g.want) {
		assert_int_equal(poll(&p, 1, 5000), 1); /* or an edge was lost */
		fd_event_drain(line.fd);
		if (reads_iir)
			guest_looks_once(&g);
		else
			guest_never_looks(&g);
		assert_true(g.good);
	}
	uart_drain(uart);
	pthread_join(reader, NULL);
	pthread_join(writer, NULL);
	assert_true(h.good);
	loop_stop(step.loop);
	pthread_join(loop, NULL);
}

static void no_edge_is_lost_for_a_handler_that_looks_once(void **state __unused)
{
	run_guest(true);
}

static void no_edge_is_lost_for_a_handler_without_iir(void **state __unused)
{
	run_guest(false);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, make_stream, drop_stream)
	const struct CMUnitTest tests[] = {
		T(bytes_put_by_firmware_stand_in_order_with_the_guests),
		T(more_than_the_buffer_is_put_without_waiting_for_ever),
		T(no_file_is_a_sink),
		T(a_line_goes_out_when_it_ends),
		T(many_bytes_go_out_before_their_line_ends),
		T(one_byte_reaches_the_file_by_itself),
		T(drain_completes_what_was_written),
		T(a_reader_that_sleeps_clears_thre_and_waking_raises_it),
		T(a_reader_that_leaves_does_not_stop_the_guest),
		T(a_guest_that_writes_regardless_waits_until_it_is_let_go),
		T(megabytes_pass_out_to_a_slow_reader),
		T(megabytes_pass_in_to_a_polling_guest),
		T(no_edge_is_lost_for_a_handler_that_looks_once),
		T(no_edge_is_lost_for_a_handler_without_iir),
	};

	signal(SIGPIPE, SIG_IGN);
	alarm(600); /* an emulated machine is slow */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
