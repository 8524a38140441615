/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ARM PrimeCell Real Time Clock PL031 (ARM DDI 0224, chapter 3): seconds since 1970 in 32 bits,
 * counting from the start, and one alarm.
 *
 * The alarm is a match with the counter: one that is past fires when the counter comes around
 * again, in 136 years. Matching begins with the guest's first write of RTCMR. The interrupt is
 * an edge, so the device tree must say so; Linux's driver does without one, if need be, but then
 * has no alarm.
 *
 * Register accesses run on vCPU threads under the device's lock, the alarm on the loop thread.
 */
#pragma once

#include "base/base.h"
#include "base/err.h"
#include "base/loop.h"
#include "bus/bus.h"
#include "devices/rtc.h"

#define PL031_LEN 0x1000 /* registers are 32 bits wide */

struct pl031;

/** The bus operations; ctx is the struct pl031. */
extern const struct bus_ops pl031_bus_ops;

/** clock and line are borrowed; line may be NULL: no interrupt. Returns 0 or -errno. */
int __must_check pl031_create(struct loop *loop, const struct rtc_clock *clock,
	const struct irq_line *line, struct pl031 **ret, struct err *err);
/** NULL is fine. On the loop's thread, or when it does not run. */
void pl031_destroy(struct pl031 *p);
