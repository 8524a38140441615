/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The guest's side of a UART between two pipes, for its tests.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "devices/uart.h"
#include "tests/unit/loop_step.h"

enum { THR, IER, FCR, LCR, MCR, LSR, MSR, SCR, RBR = THR, IIR = FCR };

static struct uart *uart;
static struct irq_line line;
static int host_in, host_out; /* the host's ends: what the guest reads, what it wrote */
static unsigned nr_failed;

static inline void on_failed(void *ctx __unused, const struct err *err __unused)
{
	nr_failed++;
}

static inline uint8_t in(unsigned reg)
{
	uint8_t v = 0xff;

	uart_bus_ops.read(uart, reg, &v, 1);
	return v;
}

static inline void out(unsigned reg, unsigned v)
{
	uint8_t b = (uint8_t)v;

	uart_bus_ops.write(uart, reg, &b, 1);
}

/** Pulses since the last call. */
static inline unsigned pulses(void)
{
	return (unsigned)fd_event_drain(line.fd);
}

static inline int make_stream(void **state __unused)
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

static inline int drop_stream(void **state __unused)
{
	uart_destroy(uart);
	uart = NULL;
	fd_close(&line.fd);
	fd_close(&host_in);
	fd_close(&host_out);
	step_close();
	return 0;
}

static inline void type(const char *text)
{
	size_t len = strlen(text);

	assert_int_equal(write(host_in, text, len), len);
	step_times(3);
}

/** What has come out by now. */
static inline void host_got_now(char *buf, size_t len)
{
	ssize_t n;

	step_times(2);
	assert_int_equal(fcntl(host_out, F_SETFL, O_NONBLOCK), 0);
	n = read(host_out, buf, len - 1);
	buf[n > 0 ? n : 0] = '\0';
}

/** All of text comes out, if need be after the while that a line without an end waits. */
static inline void assert_host_got(const char *text)
{
	char buf[256] = "";

	for (int i = 0; i < 1000 && strlen(buf) < strlen(text); i++) {
		size_t have = strlen(buf);

		usleep(i ? 1000 : 0);
		host_got_now(buf + have, sizeof(buf) - have);
	}
	assert_string_equal(buf, text);
}
