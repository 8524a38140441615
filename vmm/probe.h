/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How fast this host runs guest kernels: for doctor, and for run where signs say that it may
 * crawl. Any thread.
 */
#pragma once

#include "base/err.h"

struct hv;

struct probe_speed {
	bool emulated;              /* each instruction is emulated */
	uint64_t guest_ns, host_ns; /* the same loop in a guest's kernel mode and here */
};

/** Runs a short loop in a throw-away machine and here, three times; at most about 0.1 s. */
int __must_check probe_speed(struct hv *hv, struct probe_speed *ret, struct err *err);
