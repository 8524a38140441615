// SPDX-License-Identifier: BSD-3-Clause
/*
 * Registers of the goldfish clock on top of devices/rtc.c.
 *
 * Invariants:
 * 1. Registers are 32 bits. Other widths read as all ones and write nothing; offsets without a
 *    register read as zero.
 * 2. `alarm` is what the guest wrote, and reads back as such also when it has fired.
 */
#include "devices/goldfish_rtc.h"

#include <errno.h>
#include <stdlib.h>

#include "devices/rtc_impl.h"

#define TIME_LOW        0x00
#define TIME_HIGH       0x04
#define ALARM_LOW       0x08
#define ALARM_HIGH      0x0c
#define IRQ_ENABLED     0x10
#define CLEAR_ALARM     0x14
#define ALARM_STATUS    0x18
#define CLEAR_INTERRUPT 0x1c

struct goldfish_rtc {
	struct rtc rtc;
	/* Guarded by its lock. */
	uint32_t time_high; /* of the last read of TIME_LOW */
	uint64_t alarm;
};

static uint64_t goldfish_rtc_with_low(uint64_t old, uint32_t low)
{
	return (old & ~0xffffffffULL) | low;
}

static uint64_t goldfish_rtc_with_high(uint64_t old, uint32_t high)
{
	return (uint64_t)high << 32 | (uint32_t)old;
}

static uint32_t goldfish_rtc_read_time(struct goldfish_rtc *g)
{
	uint64_t now = rtc_now(&g->rtc);

	g->time_high = (uint32_t)(now >> 32);
	return (uint32_t)now;
}

static uint32_t goldfish_rtc_read_reg(struct goldfish_rtc *g, uint64_t off)
{
	switch (off) {
	case TIME_LOW:
		return goldfish_rtc_read_time(g);
	case TIME_HIGH:
		return g->time_high;
	case ALARM_LOW:
		return (uint32_t)g->alarm;
	case ALARM_HIGH:
		return (uint32_t)(g->alarm >> 32);
	case IRQ_ENABLED:
		return g->rtc.enabled;
	case ALARM_STATUS:
		return g->rtc.armed;
	default:
		return 0;
	}
}

static void goldfish_rtc_write_reg(struct goldfish_rtc *g, uint64_t off, uint32_t v)
{
	switch (off) {
	case TIME_LOW:
		rtc_set_now(&g->rtc, goldfish_rtc_with_low(rtc_now(&g->rtc), v));
		break;
	case TIME_HIGH:
		rtc_set_now(&g->rtc, goldfish_rtc_with_high(rtc_now(&g->rtc), v));
		break;
	case ALARM_LOW:
		g->alarm = goldfish_rtc_with_low(g->alarm, v);
		rtc_arm(&g->rtc, g->alarm);
		break;
	case ALARM_HIGH:
		g->alarm = goldfish_rtc_with_high(g->alarm, v);
		break;
	case IRQ_ENABLED:
		rtc_enable(&g->rtc, v & 1);
		break;
	case CLEAR_ALARM:
		rtc_disarm(&g->rtc);
		break;
	case CLEAR_INTERRUPT:
		rtc_clear(&g->rtc);
		break;
	default:
		break;
	}
}

static void goldfish_rtc_read(void *ctx, uint64_t off, void *data, unsigned len)
{
	struct goldfish_rtc *g = ctx;

	if (len != 4)
		return;
	rtc_lock(&g->rtc);
	le32_put(data, goldfish_rtc_read_reg(g, off));
	rtc_unlock(&g->rtc);
}

static void goldfish_rtc_write(void *ctx, uint64_t off, const void *data, unsigned len)
{
	struct goldfish_rtc *g = ctx;

	if (len != 4)
		return;
	rtc_lock(&g->rtc);
	goldfish_rtc_write_reg(g, off, le32_get(data));
	rtc_unlock(&g->rtc);
}

const struct bus_ops goldfish_rtc_bus_ops = { .read = goldfish_rtc_read,
	.write = goldfish_rtc_write };

int goldfish_rtc_create(struct loop *loop, const struct rtc_clock *clock,
	const struct irq_line *line, struct goldfish_rtc **ret, struct err *err)
{
	struct goldfish_rtc *g = calloc(1, sizeof(*g));
	int rc;

	if (!g)
		return err_errno(err, ENOMEM, "goldfish RTC");
	rc = rtc_init(&g->rtc, loop, clock, line, err);
	if (rc) {
		free(g);
		return err_prefix(err, rc, "goldfish RTC");
	}
	*ret = g;
	return 0;
}

void goldfish_rtc_destroy(struct goldfish_rtc *g)
{
	if (!g)
		return;
	rtc_fini(&g->rtc);
	free(g);
}
