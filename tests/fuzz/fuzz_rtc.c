// SPDX-License-Identifier: BSD-3-Clause
/*
 * A guest at the registers of either real-time clock, at every width, while the host's time
 * goes on, stands still or steps back. All registers, and the number of pulses, must agree with
 * a plain model after each step; the host's timer must take whatever alarm the guest made up.
 *
 * First byte: which clock. Then eight bytes each: kind, register, width, how far, and a value.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/fd.h"
#include "devices/goldfish_rtc.h"
#include "devices/pl031.h"

#define MAX_STEPS 256
#define STEP_LEN  8
#define S         1000000000ULL
/* A span that no host's clock leaves. */
#define HOST_MIN (1000000000 * S)
#define HOST_MAX (4000000000 * S)

enum kind { READ, WRITE, WRITE_NEAR, FORWARD, BACK, LOOP, NR_KINDS };

static struct {
	uint64_t host; /* nanoseconds */
	bool is_pl031;
	uint64_t guest;     /* at ... */
	uint64_t guest_set; /* ... this time of the host */
	bool armed, pending, enabled;
	uint64_t alarm; /* guest time */
	uint64_t pulses;
	uint32_t time_high, mr, lr;
	uint64_t alarm_reg;
	bool matching;
} m;

static struct {
	struct loop *loop;
	int step_fd;
	struct watch step;
	struct irq_line line;
	const struct bus_ops *ops;
	void *dev;
} f;

static uint64_t fuzz_now_ns(void *ctx __unused)
{
	return m.host;
}

/* ---- the model ---- */

static uint64_t model_now(void)
{
	return m.guest + (m.host - m.guest_set);
}

static void model_set_now(uint64_t ns)
{
	m.guest = ns;
	m.guest_set = m.host;
}

static void model_fires(void)
{
	if (!m.armed || model_now() < m.alarm)
		return;
	m.armed = false;
	if (!m.pending && m.enabled)
		m.pulses++;
	m.pending = true;
}

static void model_enable(bool v)
{
	if (v && !m.enabled && m.pending)
		m.pulses++;
	m.enabled = v;
}

/** The next second, this one included, whose low 32 bits are the match register's. */
static void model_match(void)
{
	uint64_t s = model_now() / S, turn = s >> 32;

	m.alarm = (turn << 32 | m.mr) * S;
	if ((turn << 32 | m.mr) < s)
		m.alarm += (S << 32);
	m.armed = true;
}

static uint32_t model_pl031(uint64_t off, const uint32_t *v)
{
	static const uint32_t id[] = { 0x31, 0x10, 0x04, 0, 0x0d, 0xf0, 0x05, 0xb1 };

	if (off == 0x04 && v) {
		m.mr = *v;
		m.matching = true;
		model_match();
	}
	if (off == 0x08 && v) {
		m.lr = *v;
		model_set_now((0x100000000 + (uint64_t)*v) * S);
		if (m.matching)
			model_match();
	}
	if (off == 0x10 && v)
		model_enable(*v & 1);
	if (off == 0x1c && v)
		m.pending &= !(*v & 1);
	if (off >= 0xfe0 && off % 4 == 0)
		return id[(off - 0xfe0) / 4];
	return off == 0x00    ? (uint32_t)(model_now() / S)
		: off == 0x04 ? m.mr
		: off == 0x08 ? m.lr
		: off == 0x0c ? 1
		: off == 0x10 ? m.enabled
		: off == 0x14 ? m.pending
		: off == 0x18 ? m.pending && m.enabled
			      : 0;
}

static uint32_t model_goldfish(uint64_t off, const uint32_t *v)
{
	uint64_t now = model_now();

	if (off == 0x00 && v)
		model_set_now(now >> 32 << 32 | *v);
	if (off == 0x04 && v)
		model_set_now((uint64_t)*v << 32 | now % (1ULL << 32));
	if (off == 0x08 && v) {
		m.alarm_reg = m.alarm = m.alarm_reg >> 32 << 32 | *v;
		m.armed = true;
	}
	if (off == 0x0c && v)
		m.alarm_reg = (uint64_t)*v << 32 | m.alarm_reg % (1ULL << 32);
	if (off == 0x10 && v)
		model_enable(*v & 1);
	if (off == 0x14 && v)
		m.armed = false;
	if (off == 0x1c && v)
		m.pending = false;
	if (off == 0x00 && !v)
		m.time_high = (uint32_t)(now >> 32);
	return off == 0x00    ? (uint32_t)now
		: off == 0x04 ? m.time_high
		: off == 0x08 ? (uint32_t)m.alarm_reg
		: off == 0x0c ? (uint32_t)(m.alarm_reg >> 32)
		: off == 0x10 ? m.enabled
		: off == 0x18 ? m.armed
			      : 0;
}

/** A read when v is NULL. */
static uint32_t model_access(uint64_t off, const uint32_t *v)
{
	uint32_t ret;

	model_fires();
	ret = m.is_pl031 ? model_pl031(off, v) : model_goldfish(off, v);
	model_fires();
	return ret;
}

/* ---- the guest ---- */

static void fuzz_read(uint64_t off, unsigned len)
{
	uint64_t got = 0, want = UINT64_MAX >> (64 - 8 * len);
	uint8_t *buf = malloc(len);

	if (len == 4)
		want = model_access(off, NULL);
	memset(buf, 0xff, len);
	f.ops->read(f.dev, off, buf, len);
	memcpy(&got, buf, len);
	free(buf);
	BUG_ON(got != want);
}

static void fuzz_write(uint64_t off, unsigned len, uint32_t v)
{
	uint64_t wide = (uint64_t)v << 32 | v;
	uint8_t *buf = malloc(len);

	if (len == 4)
		model_access(off, &v);
	memcpy(buf, &wide, len);
	f.ops->write(f.dev, off, buf, len);
	free(buf);
}

static void fuzz_on_step(struct watch *w, uint32_t events __unused)
{
	fd_event_drain(w->fd);
	loop_stop(f.loop);
}

static void fuzz_loop(void)
{
	fd_event_signal(f.step_fd);
	loop_run(f.loop);
}

/** By nanoseconds, milliseconds, seconds, or months. */
static uint64_t fuzz_span(uint8_t unit, uint32_t v)
{
	static const uint64_t ns[] = { 1, S / 1000, S, 3000000 * S };

	return v % 1000 * ns[unit % ARRAY_SIZE(ns)];
}

static void fuzz_step(const uint8_t *step)
{
	unsigned len = step[2] & 0x30 ? 4 : 1U << (step[2] & 3);
	uint64_t off = step[2] & 0x80 ? le16_get(step + 1) % PL031_LEN : step[1] % 9 * 4U;
	uint32_t v = le32_get(step + 4);
	uint64_t span = fuzz_span(step[3], v);

	off = MIN(off, PL031_LEN - len); /* all of it inside, as the bus sees to */
	switch ((enum kind)(step[0] % NR_KINDS)) {
	case READ:
		fuzz_read(off, len);
		break;
	case WRITE:
		fuzz_write(off, len, v);
		break;
	case WRITE_NEAR: /* a value that something will come of soon */
		span += model_now();
		v = m.is_pl031    ? (uint32_t)(span / S)
			: off & 4 ? (uint32_t)(span >> 32)
				  : (uint32_t)span;
		fuzz_write(off, len, v);
		break;
	case FORWARD:
		m.host += MIN(span, HOST_MAX - m.host);
		break;
	case BACK:
		m.host -= MIN(span, m.host - HOST_MIN);
		break;
	default:
		fuzz_loop();
		break;
	}
}

static void fuzz_check(void)
{
	for (uint64_t off = 0; off <= 0x20; off += 4)
		fuzz_read(off, 4);
	BUG_ON(fd_event_drain(f.line.fd) != m.pulses);
	m.pulses = 0;
}

static void fuzz_open(bool is_pl031)
{
	static const struct rtc_clock clock = { .now_ns = fuzz_now_ns };
	struct goldfish_rtc *g;
	struct pl031 *p;
	struct err err;

	memset(&m, 0, sizeof(m));
	memset(&f, 0, sizeof(f));
	m.is_pl031 = is_pl031;
	m.host = 1700000000 * S;
	model_set_now(m.host);
	BUG_ON(loop_create(&f.loop, &err));
	f.step_fd = fd_event();
	f.line.fd = fd_event();
	BUG_ON(loop_add(f.loop, &f.step, f.step_fd, EPOLLIN, fuzz_on_step));
	if (is_pl031) {
		BUG_ON(pl031_create(f.loop, &clock, &f.line, &p, &err));
		f.ops = &pl031_bus_ops;
		f.dev = p;
	} else {
		BUG_ON(goldfish_rtc_create(f.loop, &clock, &f.line, &g, &err));
		f.ops = &goldfish_rtc_bus_ops;
		f.dev = g;
	}
}

static void fuzz_close(void)
{
	if (m.is_pl031)
		pl031_destroy(f.dev);
	else
		goldfish_rtc_destroy(f.dev);
	loop_del(f.loop, &f.step);
	fd_close(&f.step_fd);
	fd_close(&f.line.fd);
	loop_destroy(f.loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < 1)
		return 0;
	fuzz_open(data[0] & 1);
	for (size_t i = 1; len - i >= STEP_LEN && i < 1 + MAX_STEPS * STEP_LEN; i += STEP_LEN) {
		fuzz_step(data + i);
		fuzz_check();
	}
	fuzz_close();
	return 0;
}
