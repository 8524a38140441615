/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A real-time clock whose host's time the test tells, its line, and a guest at its registers.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <stdlib.h>

#include "bus/bus.h"
#include "devices/rtc.h"
#include "tests/unit/loop_step.h"

#define S  RTC_NS_PER_S
#define MS (RTC_NS_PER_S / 1000)
#define T0 1700000000ULL /* the host's time in seconds when a test begins */

static uint64_t host_ns;
static uint64_t tick_ns; /* by which each look at the host's time moves it on */
static struct irq_line line;
static const struct bus_ops *dev_ops;
static void *dev;

static inline uint64_t told_now_ns(void *ctx __unused)
{
	host_ns += tick_ns;
	return host_ns;
}

static const struct rtc_clock told_clock = { .now_ns = told_now_ns };

/** The host's clock, less *ctx: one whose seconds begin when the test wants. */
static inline uint64_t shifted_now_ns(void *ctx)
{
	return rtc_host_clock.now_ns(NULL) - *(uint64_t *)ctx;
}

static inline void rig_open(void)
{
	step_open();
	host_ns = T0 * S;
	tick_ns = 0;
	line.fd = fd_event();
}

static inline void rig_close(void)
{
	fd_close(&line.fd);
	step_close();
}

/** Pulses since the last call. */
static inline unsigned pulses(void)
{
	return (unsigned)fd_event_drain(line.fd);
}

static inline uint64_t get(uint64_t off, unsigned len)
{
	/* From the heap, so that AddressSanitizer sees a byte too far. */
	uint8_t *data = malloc(len);
	uint64_t v = 0;

	memset(data, 0xff, len); /* as the bus hands it over */
	dev_ops->read(dev, off, data, len);
	memcpy(&v, data, len);
	free(data);
	return v;
}

static inline void put(uint64_t off, uint64_t v, unsigned len)
{
	uint8_t *data = malloc(len);

	memcpy(data, &v, len);
	dev_ops->write(dev, off, data, len);
	free(data);
}

static inline uint32_t in(uint64_t off)
{
	return (uint32_t)get(off, 4);
}

static inline void out(uint64_t off, uint64_t v)
{
	put(off, (uint32_t)v, 4);
}

static inline void *rig_run_loop(void *arg __unused)
{
	loop_run(step.loop);
	return NULL;
}

/** Whether the line is pulsed within five seconds. Another thread runs the loop. */
static inline bool line_is_pulsed(void)
{
	struct pollfd p = { .fd = line.fd, .events = POLLIN };

	return poll(&p, 1, 5000) == 1 && pulses() == 1;
}
