/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The goldfish real-time clock: nanoseconds since 1970 in 64 bits, and one alarm. Sources: the
 * register comments in Linux include/clocksource/timer-goldfish.h, and what drivers and QEMU's
 * hw/rtc/goldfish_rtc.c make of them.
 *
 * A read of TIME_LOW latches TIME_HIGH. A write of either half sets that half of the clock at
 * once. A write of ALARM_LOW arms the alarm at ALARM_HIGH:ALARM_LOW; one that is past fires at
 * once. The interrupt is an edge; Linux's driver does not bind without one.
 *
 * Register accesses run on vCPU threads under the device's lock, the alarm on the loop thread.
 */
#pragma once

#include "base/base.h"
#include "base/err.h"
#include "base/loop.h"
#include "bus/bus.h"
#include "devices/rtc.h"

#define GOLDFISH_RTC_LEN 0x1000 /* registers are 32 bits wide, the last is at 0x1c */

struct goldfish_rtc;

/** The bus operations; ctx is the struct goldfish_rtc. */
extern const struct bus_ops goldfish_rtc_bus_ops;

/** clock and line are borrowed; line may be NULL: no interrupt. Returns 0 or -errno. */
int __must_check goldfish_rtc_create(struct loop *loop, const struct rtc_clock *clock,
	const struct irq_line *line, struct goldfish_rtc **ret, struct err *err);
/** NULL is fine. On the loop's thread, or when it does not run. */
void goldfish_rtc_destroy(struct goldfish_rtc *g);
