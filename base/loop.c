// SPDX-License-Identifier: BSD-3-Clause
/*
 * Invariants:
 * 1. A batch of events from one epoll_wait is walked by index in `ready`; loop_del clears
 *    the entries of the watch it removes, so no callback comes after it.
 * 2. A paused watch (events 0) stays in the epoll set as EPOLLET: epoll reports errors and
 *    hang-ups whether asked or not, and level-triggered they would spin the loop. What it
 *    reports is dropped here; resuming looks at the fd again.
 * 3. Calls queue on a list under `lock`; `wake` is signalled for each.
 */
#include "base/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"

#define LOOP_BATCH 32

struct loop_pending {
	void (*fn)(void *arg);
	void *arg;
	bool done;
	struct loop_pending *next;
};

struct loop {
	int epoll_fd; /* owned */
	int wake_fd;  /* owned */
	struct watch wake;
	struct epoll_event ready[LOOP_BATCH];
	int nr_ready;

	pthread_mutex_t lock;
	pthread_cond_t finished;
	struct loop_pending *calls; /* guarded by lock */
	bool running;               /* guarded by lock */
	bool stopping;              /* guarded by lock */
	pthread_t owner;            /* guarded by lock, valid while running */
};

static void loop_on_wake(struct watch *w, uint32_t events __unused)
{
	fd_event_drain(w->fd);
}

int loop_create(struct loop **ret, struct err *err)
{
	struct loop *l = calloc(1, sizeof(*l));
	int rc;

	if (!l)
		return err_errno(err, ENOMEM, "event loop");
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->finished, NULL);
	l->wake_fd = -1;
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll_fd < 0) {
		rc = -errno;
		goto fail;
	}
	rc = l->wake_fd = fd_event();
	if (rc < 0)
		goto fail;
	rc = loop_add(l, &l->wake, l->wake_fd, EPOLLIN, loop_on_wake);
	if (rc)
		goto fail;
	*ret = l;
	return 0;
fail:
	loop_destroy(l);
	return err_errno(err, -rc, "event loop");
}

void loop_destroy(struct loop *l)
{
	if (!l)
		return;
	BUG_ON(l->running);
	fd_close(&l->wake_fd);
	fd_close(&l->epoll_fd);
	pthread_cond_destroy(&l->finished);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

static uint32_t loop_epoll_events(uint32_t events)
{
	return events ? events : EPOLLET;
}

int loop_add(struct loop *l, struct watch *w, int fd, uint32_t events, loop_fn fn)
{
	struct epoll_event ev = { .events = loop_epoll_events(events), .data.ptr = w };

	BUG_ON(w->active);
	if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
		return -errno;
	w->fd = fd;
	w->events = events;
	w->fn = fn;
	w->active = true;
	return 0;
}

void loop_mod(struct loop *l, struct watch *w, uint32_t events)
{
	struct epoll_event ev = { .events = loop_epoll_events(events), .data.ptr = w };

	BUG_ON(!w->active);
	if (w->events == events)
		return;
	w->events = events;
	BUG_ON(epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, w->fd, &ev) < 0);
}

void loop_del(struct loop *l, struct watch *w)
{
	if (!w->active)
		return;
	w->active = false;
	epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
	for (int i = 0; i < l->nr_ready; i++)
		if (l->ready[i].data.ptr == w)
			l->ready[i].data.ptr = NULL;
}

/** Runs what other threads asked for. Called with the lock held, returns with it held. */
static void loop_run_calls(struct loop *l)
{
	while (l->calls) {
		struct loop_pending *call = l->calls;

		l->calls = call->next;
		pthread_mutex_unlock(&l->lock);
		call->fn(call->arg);
		pthread_mutex_lock(&l->lock);
		call->done = true;
		pthread_cond_broadcast(&l->finished);
	}
}

void loop_run(struct loop *l)
{
	pthread_mutex_lock(&l->lock);
	BUG_ON(l->running);
	l->running = true;
	l->owner = pthread_self();
	pthread_cond_broadcast(&l->finished);
	for (;;) {
		loop_run_calls(l);
		if (l->stopping)
			break;
		pthread_mutex_unlock(&l->lock);
		l->nr_ready = epoll_wait(l->epoll_fd, l->ready, LOOP_BATCH, -1);
		BUG_ON(l->nr_ready < 0 && errno != EINTR);
		for (int i = 0; i < l->nr_ready; i++) {
			struct watch *w = l->ready[i].data.ptr;

			if (w && w->events)
				w->fn(w, l->ready[i].events);
		}
		l->nr_ready = 0;
		pthread_mutex_lock(&l->lock);
	}
	l->running = false;
	l->stopping = false;
	pthread_mutex_unlock(&l->lock);
}

void loop_wait_running(struct loop *l)
{
	pthread_mutex_lock(&l->lock);
	while (!l->running)
		pthread_cond_wait(&l->finished, &l->lock);
	pthread_mutex_unlock(&l->lock);
}

void loop_stop(struct loop *l)
{
	pthread_mutex_lock(&l->lock);
	l->stopping = true;
	pthread_mutex_unlock(&l->lock);
	fd_event_signal(l->wake_fd);
}

void loop_call(struct loop *l, void (*fn)(void *arg), void *arg)
{
	struct loop_pending call = { .fn = fn, .arg = arg }, **tail;

	pthread_mutex_lock(&l->lock);
	if (!l->running || pthread_equal(l->owner, pthread_self())) {
		pthread_mutex_unlock(&l->lock);
		fn(arg);
		return;
	}
	for (tail = &l->calls; *tail; tail = &(*tail)->next)
		;
	*tail = &call;
	fd_event_signal(l->wake_fd);
	while (!call.done)
		pthread_cond_wait(&l->finished, &l->lock);
	pthread_mutex_unlock(&l->lock);
}
