/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The event loop: file descriptors in, callbacks out (epoll). A loop belongs to the
 * thread that runs it. loop_call() and loop_stop() may come from any other thread,
 * everything else only from the owning thread or before it runs.
 */
#pragma once

#include <sys/epoll.h>

#include "base/base.h"
#include "base/err.h"

struct loop;
struct watch;

/** Called on the loop's thread with the EPOLL* bits that are ready. */
typedef void (*loop_fn)(struct watch *w, uint32_t events);

/**
 * A file descriptor being watched; the caller's storage, which must live until loop_del
 * returns. The fd is borrowed. Find the owner with container_of.
 */
struct watch {
	int fd;
	uint32_t events;
	loop_fn fn;
	bool active;
};

int __must_check loop_create(struct loop **ret, struct err *err);
/** NULL is fine. The loop must not be running. */
void loop_destroy(struct loop *l);

/**
 * Starts watching fd for events (level-triggered unless EPOLLET is given).
 * Returns 0 or -errno; -EPERM for a regular file, which is always ready.
 */
int __must_check loop_add(struct loop *l, struct watch *w, int fd, uint32_t events, loop_fn fn);
/** Changes the events of an active watch; 0 pauses it. */
void loop_mod(struct loop *l, struct watch *w, uint32_t events);
/** Stops watching; no callback comes after it returns. An inactive watch is fine. */
void loop_del(struct loop *l, struct watch *w);

/** Runs callbacks until loop_stop. */
void loop_run(struct loop *l);
/**
 * Waits until another thread runs the loop: before that, loop_call is a plain call, and who
 * starts a thread for the loop cannot know which of the two he would get.
 */
void loop_wait_running(struct loop *l);
void loop_stop(struct loop *l);

/**
 * Runs fn(arg) on the loop's thread and waits for it to return. From the loop's own
 * thread, or while no thread runs the loop, it is a plain call.
 */
void loop_call(struct loop *l, void (*fn)(void *arg), void *arg);
