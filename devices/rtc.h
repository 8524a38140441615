/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where a real-time clock takes its time from. Guests may set their clock; what they set is
 * kept as a distance to this one, in the device, and never reaches the host.
 */
#pragma once

#include "base/base.h"

#define RTC_NS_PER_S 1000000000ULL

struct rtc_clock {
	/*
	 * Nanoseconds since 1970-01-01 00:00 UTC. Called on vCPU threads and the loop thread,
	 * with a device's lock held: must not wait. May stand still or step back; an alarm
	 * waits until it says that its time has come.
	 */
	uint64_t (*now_ns)(void *ctx);
	void *ctx;
};

/** The host's wall clock (CLOCK_REALTIME). */
extern const struct rtc_clock rtc_host_clock;
