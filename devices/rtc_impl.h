/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the models of real-time clocks share, for them only: a time that the guest can set, one
 * alarm, and an interrupt with an enable bit. A model embeds a struct rtc and adds registers.
 *
 * Guest time is unsigned nanoseconds and wraps (in 2554, unless the guest sets it).
 */
#pragma once

#include <pthread.h>

#include "base/base.h"
#include "base/err.h"
#include "base/loop.h"
#include "bus/bus.h"
#include "devices/rtc.h"

struct rtc {
	struct loop *loop;             /* borrowed; set before start, as all down to lock */
	const struct rtc_clock *clock; /* borrowed */
	const struct irq_line *line;   /* borrowed; NULL: not wired */
	int timer_fd;                  /* owned; wakes the loop for the alarm */
	struct watch timer;

	pthread_mutex_t lock;
	/* Guarded by lock, as all below. */
	uint64_t offset_ns; /* guest time less the clock's */
	uint64_t alarm_ns;  /* guest time; meaningful while armed */
	bool armed;
	bool pending; /* the alarm fired and was not acknowledged */
	bool enabled; /* pending may interrupt */
	bool raised;  /* both, when last looked at: the line was pulsed */
};

/**
 * The caller's storage. clock and line are borrowed until rtc_fini; line may be NULL. The guest
 * has the clock's time, no alarm, the interrupt disabled. Returns 0 or -errno; after an error
 * there is nothing to fini.
 */
int __must_check rtc_init(struct rtc *r, struct loop *loop, const struct rtc_clock *clock,
	const struct irq_line *line, struct err *err);
/** On the loop's thread, or when it does not run. */
void rtc_fini(struct rtc *r);

/**
 * Around each register access; everything below wants the lock. Locking fires an alarm whose
 * time has come, so that registers never say less than the clock does. Any thread.
 */
void rtc_lock(struct rtc *r);
void rtc_unlock(struct rtc *r);

uint64_t rtc_now(const struct rtc *r);
/** Sets the guest's clock. An alarm stays at its guest time, and fires now when that is past. */
void rtc_set_now(struct rtc *r, uint64_t ns);

/**
 * Sets the alarm to a guest time: once that is reached (at once when it is past) it is no
 * longer armed but pending. Any value is fine.
 */
void rtc_arm(struct rtc *r, uint64_t alarm_ns);
void rtc_disarm(struct rtc *r);

/** The interrupt's enable bit. Enabled and pending: the line is pulsed when that becomes true. */
void rtc_enable(struct rtc *r, bool enabled);
/** Acknowledges: no longer pending. */
void rtc_clear(struct rtc *r);
