/* SPDX-License-Identifier: BSD-3-Clause */
/* The host's clock that never goes back (CLOCK_MONOTONIC), for how long things take. Any thread. */
#pragma once

#include <time.h>

#include "base/base.h"

#define CLOCK_NS_PER_S  1000000000ULL
#define CLOCK_NS_PER_MS 1000000ULL

/** Nanoseconds since some moment before the process began. */
static inline uint64_t clock_now_ns(void)
{
	struct timespec ts;

	BUG_ON(clock_gettime(CLOCK_MONOTONIC, &ts));
	return (uint64_t)ts.tv_sec * CLOCK_NS_PER_S + (uint64_t)ts.tv_nsec;
}

/** The same in milliseconds, signed, to be subtracted from limits. */
static inline int64_t clock_now_ms(void)
{
	return (int64_t)(clock_now_ns() / CLOCK_NS_PER_MS);
}
