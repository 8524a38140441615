/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a stopped monitor costs: its memory, and what KVM and the kernel counted for it.
 * Each line printed is "KIND MARK KEY VALUE".
 */
#pragma once

#include <stdio.h>
#include <sys/types.h>

#define PROBE_MAX_PIDS 64

/** A monitor and all processes that descend from it. */
struct probe_tree {
	pid_t pid[PROBE_MAX_PIDS];
	int nr;
};

/** Finds them in /proc. A process that ends meanwhile is not there. */
void probe_find(pid_t root, struct probe_tree *ret);

/**
 * Sums the smaps of all of them. Mappings of guest_mib or more are the guest's RAM and are
 * kept apart. With maps, each mapping that costs something gets a line too.
 */
void probe_memory(
	const struct probe_tree *t, const char *mark, long guest_mib, int maps, FILE *out);

/** Starts to count system calls and exits to user space. Returns 0, or -1 without tracefs. */
int probe_trace_start(void);
/** KVM's counters, exits to user space by reason, system calls, context switches: so far. */
void probe_counts(const struct probe_tree *t, const char *mark, FILE *out);
void probe_trace_stop(void);
