/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs a loop by hand, for tests of what lives on one: one round of what is ready now, or
 * for a while.
 */
#pragma once

#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/loop.h"

struct step {
	struct loop *loop;
	int now_fd, timer_fd; /* owned */
	struct watch now, timer;
	unsigned nr_now;
};

/* One per test program: the callbacks of watches carry no context. */
static struct step step;

static inline void step_on_now(struct watch *w, uint32_t events __unused)
{
	fd_event_drain(w->fd);
	step.nr_now++;
	loop_stop(step.loop);
}

static inline void step_on_timer(struct watch *w, uint32_t events __unused)
{
	uint64_t n;

	if (read(w->fd, &n, sizeof(n)) == (ssize_t)sizeof(n))
		loop_stop(step.loop);
}

static inline void step_open(void)
{
	struct err err;

	step = (struct step){ 0 };
	BUG_ON(loop_create(&step.loop, &err));
	step.now_fd = fd_event();
	step.timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	BUG_ON(loop_add(step.loop, &step.now, step.now_fd, EPOLLIN, step_on_now));
	BUG_ON(loop_add(step.loop, &step.timer, step.timer_fd, EPOLLIN, step_on_timer));
}

static inline void step_close(void)
{
	loop_del(step.loop, &step.now);
	loop_del(step.loop, &step.timer);
	fd_close(&step.now_fd);
	fd_close(&step.timer_fd);
	loop_destroy(step.loop);
	step.loop = NULL;
}

/** One round of everything that is ready. */
static inline void step_once(void)
{
	fd_event_signal(step.now_fd);
	loop_run(step.loop);
}

static inline void step_times(unsigned n)
{
	while (n--)
		step_once();
}

/** Runs the loop for ms and returns the CPU time that took, in ms: a spinning loop shows. */
static inline unsigned step_cpu_ms(unsigned ms)
{
	struct itimerspec it = { .it_value.tv_nsec = (long)ms * 1000000 };
	struct timespec a, b;

	BUG_ON(timerfd_settime(step.timer_fd, 0, &it, NULL));
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
	loop_run(step.loop);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	return (unsigned)((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000);
}

/**
 * Whether the loop rests when nothing happens. One that spins takes at least a tenth of a CPU,
 * each time; one that rests may be charged for what the machine did meanwhile, but not always.
 */
static inline bool step_is_idle(void)
{
	for (unsigned tries = 0; tries < 8; tries++)
		if (step_cpu_ms(60) < 5)
			return true;
	return false;
}
