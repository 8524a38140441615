// SPDX-License-Identifier: BSD-3-Clause
/*
 * The guest's side of the UART: registers one by one, the steps by which a driver finds out
 * what it has, and two interrupt-driven guests that never poll, so that an edge which is
 * lost shows as a timeout.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "devices/uart.h"
#include "tests/unit/loop_step.h"

enum { THR, IER, FCR, LCR, MCR, LSR, MSR, SCR, RBR = THR, IIR = FCR };

static struct uart *uart;
static struct irq_line line;
static int host_in, host_out; /* the host's ends: what the guest reads, what it wrote */
static unsigned nr_failed;

static void on_failed(void *ctx __unused, const struct err *err __unused)
{
	nr_failed++;
}

static uint8_t in(unsigned reg)
{
	uint8_t v = 0xff;

	uart_bus_ops.read(uart, reg, &v, 1);
	return v;
}

static void out(unsigned reg, unsigned v)
{
	uint8_t b = (uint8_t)v;

	uart_bus_ops.write(uart, reg, &b, 1);
}

/** Pulses since the last call. */
static unsigned pulses(void)
{
	return (unsigned)fd_event_drain(line.fd);
}

static int make_stream(void **state __unused)
{
	struct chardev_config cfg = {
		.opt = "--serial", .path = "OUT", .failed = on_failed, .ctx = NULL
	};
	struct chardev *c;
	struct err err;
	int a[2], b[2];

	step_open();
	nr_failed = 0;
	line.fd = fd_event();
	if (pipe2(a, O_CLOEXEC) || pipe2(b, O_CLOEXEC))
		return -1;
	cfg.in_fd = a[0];
	host_in = a[1];
	cfg.out_fd = b[1];
	host_out = b[0];
	if (chardev_create(step.loop, &cfg, &c, &err))
		return -1;
	return uart_create(step.loop, c, &line, &uart, &err);
}

static int drop_stream(void **state __unused)
{
	uart_destroy(uart);
	uart = NULL;
	fd_close(&line.fd);
	fd_close(&host_in);
	fd_close(&host_out);
	step_close();
	return 0;
}

static void type(const char *text)
{
	size_t len = strlen(text);

	assert_int_equal(write(host_in, text, len), len);
	step_times(3);
}

static void assert_host_got(const char *text)
{
	char buf[256] = "";

	step_times(2);
	assert_int_equal(fcntl(host_out, F_SETFL, O_NONBLOCK), 0);
	(void)!read(host_out, buf, sizeof(buf) - 1);
	assert_string_equal(buf, text);
}

/* ---- registers ---- */

static void registers_are_born_as_the_data_sheet_says(void **state __unused)
{
	assert_int_equal(in(IER), 0);
	assert_int_equal(in(IIR), 0x01);
	assert_int_equal(in(LCR), 0);
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(in(MSR), 0xb0);
	assert_int_equal(in(RBR), 0);
	assert_int_equal(pulses(), 0);
}

static void the_divisor_hides_behind_dlab_and_is_not_zero(void **state __unused)
{
	out(LCR, 0x83);
	assert_int_equal(in(THR), 1);
	out(THR, 0x34);
	out(IER, 0x12);
	assert_int_equal(in(THR), 0x34);
	assert_int_equal(in(IER), 0x12);
	out(LCR, 0x03);
	assert_int_equal(in(LCR), 0x03);
	assert_int_equal(in(IER), 0);
	assert_host_got("");
}

static void other_widths_read_all_ones_and_write_nothing(void **state __unused)
{
	static const unsigned len[] = { 2, 4, 8 };

	for (unsigned i = 0; i < ARRAY_SIZE(len); i++) {
		uint64_t v = UINT64_MAX;

		uart_bus_ops.read(uart, 0, &v, len[i]);
		assert_true(v == UINT64_MAX);
		v = 0x4141414141414141;
		uart_bus_ops.write(uart, THR, &v, len[i]);
	}
	assert_host_got("");
}

/* The steps of the autoconfiguration of Linux, and the answers of a 16550A. */
static void a_driver_takes_it_for_a_16550a(void **state __unused)
{
	uint8_t mcr = in(MCR), a, b;

	out(IER, 0);
	assert_int_equal(in(IER), 0);
	out(IER, 0xff);
	assert_int_equal(in(IER), 0x0f); /* no more than four bits */
	out(IER, 0);
	out(MCR, 0x10 | 0x0a);
	assert_int_equal(in(MSR)&0xf0, 0x90); /* OUT2 and RTS looped to DCD and CTS */
	out(MCR, mcr);
	out(LCR, 0xbf);
	out(FCR, 0); /* would be EFR of a 16650 */
	out(LCR, 0);
	out(FCR, 0x01);
	assert_int_equal(in(IIR) >> 6, 3); /* FIFOs that work */
	out(LCR, 0x80);
	assert_int_not_equal(in(FCR), 0); /* no EFR: not a 16C850 */
	out(LCR, 0xbf);
	assert_int_not_equal(in(FCR), 0); /* nor a 16650V2 */
	out(LCR, 0);
	a = in(MCR);
	out(LCR, 0xe0);
	b = in(FCR);
	assert_int_equal((a ^ b) & 0x10, 0); /* EXCR2 of a National chip may be there ... */
	out(LCR, 0);
	out(MCR, a ^ 0x10);
	out(LCR, 0xe0);
	b = in(FCR);
	out(LCR, 0);
	out(MCR, a);
	assert_int_equal((a ^ b) & 0x10, 0); /* ... and is not */
	out(FCR, 0x01);
	a = in(IIR) >> 5;
	out(FCR, 0x01);
	out(LCR, 0x80);
	out(FCR, 0x21);
	out(LCR, 0);
	b = in(IIR) >> 5;
	assert_int_equal(a, 6);
	assert_int_equal(b, 6); /* no 64-byte FIFO: not a 16750 */
	out(SCR, 0x5a);
	assert_int_equal(in(SCR), 0x5a);
	out(FCR, 0);
	assert_int_equal(in(IIR), 0x01);
}

/* Linux, at the start of the port: OUT2 is down, and the cause must come back each time. */
static void the_transmitter_test_of_a_driver_finds_no_bug(void **state __unused)
{
	out(MCR, 0x01);
	pulses();
	out(IER, 0x02);
	assert_int_equal(in(IIR)&0x0f, 0x02);
	out(IER, 0);
	out(IER, 0x02);
	assert_int_equal(in(IIR)&0x0f, 0x02);
	out(IER, 0);
	assert_int_equal(pulses(), 0); /* or another vCPU would read IIR in between */
	out(MCR, 0x09);
	out(IER, 0x02);
	assert_int_equal(in(LSR)&0x60, 0x60);
	assert_int_equal(in(IIR)&0x0f, 0x02);
	out(IER, 0);
	assert_int_equal(pulses(), 1);
}

/* ---- interrupts ---- */

static void enabling_the_transmitter_interrupt_pulses_each_time(void **state __unused)
{
	out(IER, 0x02);
	assert_int_equal(pulses(), 1);
	assert_int_equal(in(IIR), 0x02);
	assert_int_equal(in(IIR), 0x01); /* reading it took it away */
	assert_int_equal(pulses(), 0);
	out(IER, 0x02); /* enabled already */
	assert_int_equal(in(IIR), 0x01);
	assert_int_equal(pulses(), 0);
	out(IER, 0);
	out(IER, 0x02);
	assert_int_equal(pulses(), 1);
	assert_int_equal(in(IIR), 0x02);
}

static void a_burst_of_writes_pulses_once_for_a_guest_that_reads_iir(void **state __unused)
{
	out(IER, 0x02);
	assert_int_equal(in(IIR), 0x02);
	pulses();
	for (int i = 0; i < 16; i++)
		out(THR, 'x');
	assert_int_equal(pulses(), 1);
	assert_int_equal(in(IIR), 0x02);
	assert_host_got("xxxxxxxxxxxxxxxx");
}

static void each_write_pulses_for_a_guest_that_does_not_read_iir(void **state __unused)
{
	out(IER, 0x02);
	pulses();
	for (int i = 0; i < 4; i++) {
		out(THR, 'x');
		assert_int_equal(pulses(), 1);
	}
}

static void input_pulses_when_it_arrives_or_when_it_is_enabled(void **state __unused)
{
	type("a");
	assert_int_equal(pulses(), 0);
	out(IER, 0x01);
	assert_int_equal(pulses(), 1);
	assert_int_equal(in(IIR), 0x04);
	assert_int_equal(in(LSR), 0x61);
	assert_int_equal(in(RBR), 'a');
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(in(IIR), 0x01);
	pulses();
	type("b");
	assert_int_equal(pulses(), 1);
	assert_int_equal(in(RBR), 'b');
}

static void a_handler_that_leaves_input_is_called_again(void **state __unused)
{
	out(FCR, 0x01);
	out(IER, 0x01);
	type("abc");
	assert_true(pulses() > 0);
	assert_int_equal(in(RBR), 'a'); /* without a look at IIR */
	assert_int_equal(pulses(), 1);
	assert_int_equal(in(IIR), 0xc4);
	assert_int_equal(pulses(), 1); /* it may take nothing after this look */
	assert_int_equal(in(RBR), 'b');
	assert_int_equal(in(IIR), 0xc4);
	assert_int_equal(pulses(), 1);
	assert_int_equal(in(RBR), 'c');
	assert_int_equal(in(IIR), 0xc1);
	assert_int_equal(pulses(), 0);
}

static void a_handler_that_sees_one_cause_of_two_is_called_again(void **state __unused)
{
	out(IER, 0x03);
	type("a");
	pulses();
	assert_int_equal(in(IIR), 0x04); /* input comes first */
	assert_int_equal(pulses(), 1);
	assert_int_equal(in(RBR), 'a');
	assert_int_equal(in(IIR), 0x02);
	assert_int_equal(in(IIR), 0x01);
	assert_int_equal(pulses(), 0);
}

static void no_interrupt_leaves_while_out2_is_down(void **state __unused)
{
	out(MCR, 0x03);
	out(IER, 0x03);
	type("a");
	assert_int_equal(pulses(), 0);
	assert_int_equal(in(IIR), 0x04);
	out(MCR, 0x0b);
	assert_int_equal(pulses(), 1);
}

static void the_trigger_tells_much_input_from_little(void **state __unused)
{
	static const struct {
		uint8_t fcr, level;
	} t[] = { { 0x01, 1 }, { 0x41, 4 }, { 0x81, 8 }, { 0xc1, 14 } };

	for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
		out(FCR, t[i].fcr);
		out(IER, 0x01);
		for (unsigned n = 1; n <= 16; n++) {
			type("x");
			assert_int_equal(in(IIR), n >= t[i].level ? 0xc4 : 0xcc);
		}
		out(FCR, t[i].fcr | 0x02);
		assert_int_equal(in(LSR)&1, 0);
		out(IER, 0);
	}
}

static void without_fifos_there_is_one_byte_and_the_rest_waits(void **state __unused)
{
	type("ab");
	assert_int_equal(in(LSR), 0x61);
	assert_int_equal(in(RBR), 'a');
	assert_int_equal(in(LSR), 0x61);
	assert_int_equal(in(RBR), 'b');
	assert_int_equal(in(LSR), 0x60);
	out(FCR, 0x01);
	type("cde");
	assert_int_equal(in(LSR), 0x61);
	out(FCR, 0); /* the change of mode empties it */
	assert_int_equal(in(LSR), 0x60);
}

static void a_driver_that_resets_before_it_raises_rts_loses_nothing(void **state __unused)
{
	out(MCR, 0);
	type("abcdefghijklmnopqrstuvwxyz");
	out(FCR, 0x01);
	out(FCR, 0x07);
	out(FCR, 0);
	assert_int_equal(in(LSR), 0x60);
	in(RBR);
	out(MCR, 0x08);
	out(IER, 0x01);
	out(FCR, 0x81);
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(pulses(), 0);
	out(MCR, 0x0b);
	assert_true(pulses() > 0);
	for (int c = 'a'; c <= 'z'; c++) {
		assert_int_equal(in(LSR), 0x61);
		assert_int_equal(in(RBR), c);
	}
	assert_int_equal(in(LSR), 0x60);
}

/* ---- loopback ---- */

static void loopback_echoes_and_the_file_sees_nothing(void **state __unused)
{
	out(FCR, 0x01);
	out(MCR, 0x1b);
	type("host");
	for (int c = 'a'; c < 'a' + 16; c++)
		out(THR, (unsigned)c);
	assert_int_equal(in(LSR), 0x61);
	for (int c = 'a'; c < 'a' + 16; c++)
		assert_int_equal(in(RBR), c);
	assert_int_equal(in(LSR), 0x60);
	assert_host_got("");
	out(MCR, 0x0b);
	for (const char *p = "host"; *p; p++) {
		assert_int_equal(in(LSR), 0x61);
		assert_int_equal(in(RBR), *p);
	}
}

static void loopback_that_overruns_says_so_once(void **state __unused)
{
	out(FCR, 0x01);
	out(MCR, 0x1b);
	out(IER, 0x04);
	for (int c = 'a'; c < 'a' + 16; c++)
		out(THR, (unsigned)c);
	assert_int_equal(pulses(), 0);
	out(THR, '!');
	assert_int_equal(pulses(), 1);
	assert_int_equal(in(IIR), 0xc6);
	assert_int_equal(in(LSR), 0x63);
	assert_int_equal(in(LSR), 0x61);
	assert_int_equal(in(IIR), 0xc1);
	for (int c = 'a'; c < 'a' + 16; c++)
		assert_int_equal(in(RBR), c);
	assert_int_equal(in(LSR), 0x60);
}

static void loopback_turns_the_modem_lines_round(void **state __unused)
{
	static const struct {
		uint8_t mcr, msr;
	} t[] = { { 0x10, 0x00 }, { 0x11, 0x20 }, { 0x12, 0x10 }, { 0x14, 0x40 }, { 0x18, 0x80 },
		{ 0x1f, 0xf0 } };

	for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
		out(MCR, t[i].mcr);
		assert_int_equal(in(MSR)&0xf0, t[i].msr);
		assert_int_equal(in(MSR), t[i].msr); /* the deltas were read */
	}
	out(MCR, 0x14);
	in(MSR);
	out(IER, 0x08);
	out(MCR, 0x1a); /* ring ends, CTS and DCD rise */
	assert_int_equal(pulses(), 1);
	assert_int_equal(in(IIR), 0x00);
	assert_int_equal(in(MSR), 0x9d);
	assert_int_equal(in(IIR), 0x01);
	out(MCR, 0x0b);
	assert_int_equal(in(MSR), 0xb2);
}

/* ---- output ---- */

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
	struct host h = { 0 };
	size_t left = MIB;
	pthread_t guest, host;

	assert_int_equal(pthread_create(&guest, NULL, write_a_lot, &left), 0);
	for (int i = 0; i < 50; i++) {
		step_once();
		usleep(1000);
	}
	assert_int_equal(__atomic_load_n(&left, __ATOMIC_ACQUIRE), MIB); /* it waits */
	assert_int_equal(in(LSR), 0x00); /* and holds nothing that we need */
	uart_release(uart);
	pthread_join(guest, NULL);
	assert_int_equal(left, 0);
	/* What it wrote until then is kept in order, and what it wrote after is bounded. */
	h.len = (size_t)fcntl(host_out, F_GETPIPE_SZ) + 16384 + 512;
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

static void ten_megabytes_pass_out_to_a_slow_reader(void **state __unused)
{
	struct host h = { .len = 10 * MIB, .sleep_every = 64 };
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

static void ten_megabytes_pass_in_to_a_polling_guest(void **state __unused)
{
	struct host h = { .len = 10 * MIB };
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
	struct host h = { .len = MIB, .sleep_every = 8 };
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
		T(registers_are_born_as_the_data_sheet_says),
		T(the_divisor_hides_behind_dlab_and_is_not_zero),
		T(other_widths_read_all_ones_and_write_nothing),
		T(a_driver_takes_it_for_a_16550a),
		T(the_transmitter_test_of_a_driver_finds_no_bug),
		T(enabling_the_transmitter_interrupt_pulses_each_time),
		T(a_burst_of_writes_pulses_once_for_a_guest_that_reads_iir),
		T(each_write_pulses_for_a_guest_that_does_not_read_iir),
		T(input_pulses_when_it_arrives_or_when_it_is_enabled),
		T(a_handler_that_leaves_input_is_called_again),
		T(a_handler_that_sees_one_cause_of_two_is_called_again),
		T(no_interrupt_leaves_while_out2_is_down),
		T(the_trigger_tells_much_input_from_little),
		T(without_fifos_there_is_one_byte_and_the_rest_waits),
		T(a_driver_that_resets_before_it_raises_rts_loses_nothing),
		T(loopback_echoes_and_the_file_sees_nothing),
		T(loopback_that_overruns_says_so_once),
		T(loopback_turns_the_modem_lines_round),
		T(no_file_is_a_sink),
		T(one_byte_reaches_the_file_by_itself),
		T(drain_completes_what_was_written),
		T(a_reader_that_sleeps_clears_thre_and_waking_raises_it),
		T(a_reader_that_leaves_does_not_stop_the_guest),
		T(a_guest_that_writes_regardless_waits_until_it_is_let_go),
		T(ten_megabytes_pass_out_to_a_slow_reader),
		T(ten_megabytes_pass_in_to_a_polling_guest),
		T(no_edge_is_lost_for_a_handler_that_looks_once),
		T(no_edge_is_lost_for_a_handler_without_iir),
	};

	signal(SIGPIPE, SIG_IGN);
	alarm(120); /* a guest that waits for ever is a failure, not a hang */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
