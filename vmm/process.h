/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Device processes: one jailed process for each virtio device, which serves it by vhost-user.
 * A process is a fork of this one, made before there is anything in it but the configuration;
 * beside its socket it has a pipe on which it says that it is ready, that output was lost, or
 * that the user ended the machine. That is all it can say, and it is believed no more than a
 * guest.
 *
 * Main thread, but for the events.
 */
#pragma once

#include "vmm/models.h"

struct process;

/** On the loop's thread. */
struct process_events {
	void (*failed)(void *ctx, const struct err *err);
	void (*escaped)(void *ctx);
	/* It is gone, although nobody let it go: a sentence that names it. */
	void (*died)(void *ctx, const struct err *err);
	void *ctx;
};

/**
 * Prepares a process for the i-th device of m, with its opened files (taken over, also on
 * failure). sock is the connection that it serves (taken over too), or -1: then one is made.
 * Returns 0 or -errno with err.
 */
int __must_check process_prepare(const struct config *cfg, const struct model *m, unsigned i,
	struct model_files *files, int sock, struct process **ret, struct err *err);

/**
 * Starts the nr processes of p, while this process has one thread. net is jail_nursery's.
 * Returns 0 or -errno with err.
 */
int __must_check process_start(struct process *const *p, unsigned nr, int *net, struct err *err);

/** Waits until it is jailed and serves. Returns 0, or -errno with what it said. */
int __must_check process_ready(struct process *p, struct err *err);

/** Hands over the end at which its device asks the monitor, or -1. */
int process_take_requests(struct process *p);

/** Hands over the monitor's side of its socket. */
int process_take_socket(struct process *p);

/** From here on the loop tells of it. The loop does not run yet. */
int __must_check process_watch(
	struct process *p, struct loop *loop, const struct process_events *ev, struct err *err);

/**
 * How it ended, in err; waits a moment for its end, since its connection may end first. False
 * when it still lives. Any thread.
 */
bool process_died(struct process *p, struct err *err);

/** Its end is no event any more: it is about to be told to end. */
void process_let_go(struct process *p);

/**
 * After its connection was closed: waits for its end, at most timeout_ms (-1: as long as it
 * takes), and hears what it still had to say. Returns 0, or -errno with err when that was no
 * good end.
 */
int __must_check process_wait(struct process *p, int timeout_ms, struct err *err);

/** Ends it by force, if need be. NULL is fine. The loop does not run. */
void process_destroy(struct process *p);
