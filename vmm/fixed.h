/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a guest sees that would differ from run to run or from host to host, given fixed values:
 * --deterministic as the sum of --clock, --seed, --cpu-model and the ids of disks. Pure but for
 * the clock; any thread.
 */
#pragma once

#include "devices/rtc.h"
#include "vmm/config.h"

#define FIXED_SEED_LEN 64 /* bytes for the guest's generator */

/** Fills in what c->deterministic stands for where no option says it. Returns 0 or -errno. */
int __must_check fixed_complete(struct config *c, struct err *err);

/** FIXED_SEED_LEN bytes that follow from text (--seed) alone. */
void fixed_seed(const char *text, uint8_t ret[FIXED_SEED_LEN]);

/** The time of day where it begins at c->clock_s, now. */
void fixed_clock_start(struct rtc_clock *ret, uint64_t *start_ns, uint64_t clock_s);
