// SPDX-License-Identifier: BSD-3-Clause
/* The event loop: who is called, who is not any more, and calls from other threads. */
#include "base/loop.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"

#define DEADLINE 60 /* seconds: a loop that hangs fails by alarm */

struct seen {
	struct watch w;
	unsigned nr;
	uint32_t events;
	struct seen *victim; /* deleted by the callback */
	struct seen *pause;  /* paused by the callback */
	bool stop_loop;
	bool keep; /* the eventfd stays readable */
};

static struct loop *loop;
static int stop_fd;
static struct watch stop_watch;

static void seen_fn(struct watch *w, uint32_t events)
{
	struct seen *s = container_of(w, struct seen, w);

	s->nr++;
	s->events = events;
	if (!s->keep)
		fd_event_drain(w->fd);
	if (s->victim)
		loop_del(loop, &s->victim->w);
	if (s->pause)
		loop_mod(loop, &s->pause->w, 0);
	if (s->stop_loop)
		loop_stop(loop);
}

static void stop_fn(struct watch *w, uint32_t events)
{
	(void)events;
	fd_event_drain(w->fd);
	loop_stop(loop);
}

static int loop_setup(void **state)
{
	struct err err;

	(void)state;
	alarm(DEADLINE);
	stop_fd = fd_event();
	stop_watch = (struct watch){ 0 };
	if (loop_create(&loop, &err))
		return -1;
	return loop_add(loop, &stop_watch, stop_fd, EPOLLIN, stop_fn);
}

static int loop_teardown(void **state)
{
	(void)state;
	loop_del(loop, &stop_watch);
	fd_close(&stop_fd);
	loop_destroy(loop);
	alarm(0);
	return 0;
}

/** Everything that is ready now is called, once. */
static void loop_once(void)
{
	fd_event_signal(stop_fd);
	loop_run(loop);
}

static void seen_open(struct seen *s)
{
	int fd = fd_event();

	assert_true(fd >= 0);
	assert_int_equal(loop_add(loop, &s->w, fd, EPOLLIN, seen_fn), 0);
}

static void seen_close(struct seen *s)
{
	loop_del(loop, &s->w);
	fd_close(&s->w.fd);
}

static void only_ready_watches_are_called(void **state)
{
	struct seen a = { 0 }, b = { 0 };

	(void)state;
	seen_open(&a);
	seen_open(&b);
	fd_event_signal(a.w.fd);
	loop_once();
	assert_int_equal(a.nr, 1);
	assert_int_equal(a.events, EPOLLIN);
	assert_int_equal(b.nr, 0);
	loop_once();
	assert_int_equal(a.nr, 1);
	seen_close(&a);
	seen_close(&b);
}

static void a_ready_watch_is_called_again_until_it_is_served(void **state)
{
	struct seen a = { .keep = true };

	(void)state;
	seen_open(&a);
	fd_event_signal(a.w.fd);
	for (unsigned i = 1; i < 5; i++) {
		loop_once();
		assert_int_equal(a.nr, i);
	}
	seen_close(&a);
}

/** Both are ready in one batch, whichever comes first deletes the other. */
static void no_callback_comes_after_loop_del(void **state)
{
	struct seen a = { 0 }, b = { .victim = &a };

	(void)state;
	a.victim = &b;
	seen_open(&a);
	seen_open(&b);
	fd_event_signal(a.w.fd);
	fd_event_signal(b.w.fd);
	loop_once();
	assert_int_equal(a.nr + b.nr, 1);
	assert_int_equal(a.w.active + b.w.active, 1);
	loop_once();
	assert_int_equal(a.nr + b.nr, 1);
	seen_close(&a);
	seen_close(&b);
}

static void a_watch_may_delete_itself_and_come_back(void **state)
{
	struct seen a = { .keep = true };
	int fd;

	(void)state;
	a.victim = &a;
	seen_open(&a);
	fd = a.w.fd;
	fd_event_signal(fd);
	loop_once();
	loop_once();
	assert_int_equal(a.nr, 1);
	loop_del(loop, &a.w); /* inactive: fine */
	assert_int_equal(loop_add(loop, &a.w, fd, EPOLLIN, seen_fn), 0);
	loop_once();
	assert_int_equal(a.nr, 2);
	seen_close(&a);
}

static void a_paused_watch_is_silent_until_resumed(void **state)
{
	struct seen a = { .keep = true };

	(void)state;
	seen_open(&a);
	fd_event_signal(a.w.fd);
	loop_mod(loop, &a.w, 0);
	loop_once();
	assert_int_equal(a.nr, 0);
	loop_mod(loop, &a.w, EPOLLIN);
	loop_once();
	assert_int_equal(a.nr, 1);
	seen_close(&a);
}

static void a_watch_paused_in_the_same_batch_is_not_called(void **state)
{
	struct seen a = { .keep = true }, b = { .keep = true, .pause = &a };

	(void)state;
	a.pause = &b;
	seen_open(&a);
	seen_open(&b);
	fd_event_signal(a.w.fd);
	fd_event_signal(b.w.fd);
	loop_once();
	assert_int_equal(a.nr + b.nr, 1);
	seen_close(&a);
	seen_close(&b);
}

/** Runs the loop for ms of waiting and returns the CPU time that took, in ms. */
static long loop_cpu_ms(long ms)
{
	struct itimerspec it = { .it_value.tv_nsec = ms * 1000000 };
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	struct watch timer = { 0 };
	struct timespec a, b;

	assert_int_equal(timerfd_settime(fd, 0, &it, NULL), 0);
	assert_int_equal(loop_add(loop, &timer, fd, EPOLLIN, stop_fn), 0);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
	loop_run(loop);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	loop_del(loop, &timer);
	fd_close(&fd);
	return (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000;
}

/** epoll reports hang-ups unasked; a paused watch of a dead peer must not spin the loop. */
static void a_paused_watch_hears_no_hang_up_and_does_not_spin(void **state)
{
	struct seen a = { .keep = true };
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(loop_add(loop, &a.w, pair[0], 0, seen_fn), 0);
	fd_close(&pair[1]);
	for (unsigned i = 0; i < 3; i++)
		loop_once();
	assert_int_equal(a.nr, 0);
	assert_true(loop_cpu_ms(300) < 100);
	loop_mod(loop, &a.w, EPOLLIN);
	loop_once();
	assert_int_equal(a.nr, 1);
	assert_true(a.events & EPOLLHUP);
	loop_del(loop, &a.w);
	fd_close(&pair[0]);
}

static void a_regular_file_cannot_be_watched(void **state)
{
	int fd = memfd_create("test", MFD_CLOEXEC);
	struct watch w = { 0 };

	(void)state;
	assert_int_equal(loop_add(loop, &w, fd, EPOLLIN, stop_fn), -EPERM);
	assert_false(w.active);
	loop_del(loop, &w);
	fd_close(&fd);
	assert_int_equal(loop_add(loop, &w, -1, EPOLLIN, stop_fn), -EBADF);
}

static void more_watches_than_a_batch_are_all_served(void **state)
{
	static struct seen many[100];

	(void)state;
	memset(many, 0, sizeof(many));
	for (size_t i = 0; i < ARRAY_SIZE(many); i++) {
		seen_open(&many[i]);
		fd_event_signal(many[i].w.fd);
	}
	for (unsigned i = 0; i < 20; i++)
		loop_once();
	for (size_t i = 0; i < ARRAY_SIZE(many); i++) {
		assert_int_equal(many[i].nr, 1);
		seen_close(&many[i]);
	}
}

/* ---- other threads ---- */

static void *loop_thread(void *arg)
{
	loop_run(arg);
	return NULL;
}

struct call {
	pthread_t ran_on;
	unsigned nr;
	bool nested;
};

static void call_fn(void *arg)
{
	struct call *c = arg;

	c->ran_on = pthread_self();
	c->nr++;
	if (c->nested) {
		c->nested = false;
		loop_call(loop, call_fn, c);
	}
}

static void a_call_while_nobody_runs_the_loop_is_a_plain_call(void **state)
{
	struct call c = { 0 };

	(void)state;
	loop_call(loop, call_fn, &c);
	assert_int_equal(c.nr, 1);
	assert_true(pthread_equal(c.ran_on, pthread_self()));
}

static void wait_until_running(pthread_t thread)
{
	struct call c = { 0 };

	/* Until the loop runs, calls are plain. */
	do {
		loop_call(loop, call_fn, &c);
		usleep(100);
	} while (!pthread_equal(c.ran_on, thread));
}

static void a_call_runs_on_the_loop_and_returns_when_done(void **state)
{
	struct call c = { 0 };
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, loop_thread, loop), 0);
	wait_until_running(thread);
	for (unsigned i = 1; i <= 1000; i++) {
		loop_call(loop, call_fn, &c);
		assert_int_equal(c.nr, i);
		assert_true(pthread_equal(c.ran_on, thread));
	}
	/* From the loop's own thread it would wait for itself. */
	c.nested = true;
	loop_call(loop, call_fn, &c);
	assert_int_equal(c.nr, 1002);
	loop_stop(loop);
	pthread_join(thread, NULL);
}

static unsigned shared_count; /* loop thread */

static void count_fn(void *arg)
{
	(*(unsigned *)arg)++;
	shared_count++;
}

static void *caller_thread(void *arg)
{
	unsigned mine = 0;

	(void)arg;
	for (unsigned i = 0; i < 2000; i++)
		loop_call(loop, count_fn, &mine);
	return (void *)(uintptr_t)mine;
}

static void calls_of_many_threads_all_run_alone(void **state)
{
	pthread_t thread, caller[4];

	(void)state;
	shared_count = 0;
	assert_int_equal(pthread_create(&thread, NULL, loop_thread, loop), 0);
	wait_until_running(thread);
	for (size_t i = 0; i < ARRAY_SIZE(caller); i++)
		assert_int_equal(pthread_create(&caller[i], NULL, caller_thread, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(caller); i++) {
		void *mine;

		pthread_join(caller[i], &mine);
		assert_int_equal((uintptr_t)mine, 2000);
	}
	assert_int_equal(shared_count, 8000);
	loop_stop(loop);
	pthread_join(thread, NULL);
}

/** A call that meets loop_stop runs on the loop or plainly; it is never left waiting. */
static void a_call_that_meets_a_stop_is_not_lost(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 500; i++) {
		struct call c = { 0 };
		pthread_t thread;

		assert_int_equal(pthread_create(&thread, NULL, loop_thread, loop), 0);
		wait_until_running(thread);
		loop_stop(loop);
		loop_call(loop, call_fn, &c);
		assert_int_equal(c.nr, 1);
		pthread_join(thread, NULL);
	}
}

static void a_stop_before_the_run_ends_it_at_once(void **state)
{
	(void)state;
	loop_stop(loop);
	loop_run(loop);
	loop_once(); /* and is used up */
}

static void destroying_nothing_is_fine(void **state)
{
	(void)state;
	loop_destroy(NULL);
}

#define ON_LOOP(fn) cmocka_unit_test_setup_teardown(fn, loop_setup, loop_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_LOOP(only_ready_watches_are_called),
		ON_LOOP(a_ready_watch_is_called_again_until_it_is_served),
		ON_LOOP(no_callback_comes_after_loop_del),
		ON_LOOP(a_watch_may_delete_itself_and_come_back),
		ON_LOOP(a_paused_watch_is_silent_until_resumed),
		ON_LOOP(a_watch_paused_in_the_same_batch_is_not_called),
		ON_LOOP(a_paused_watch_hears_no_hang_up_and_does_not_spin),
		ON_LOOP(a_regular_file_cannot_be_watched),
		ON_LOOP(more_watches_than_a_batch_are_all_served),
		ON_LOOP(a_call_while_nobody_runs_the_loop_is_a_plain_call),
		ON_LOOP(a_call_runs_on_the_loop_and_returns_when_done),
		ON_LOOP(calls_of_many_threads_all_run_alone),
		ON_LOOP(a_call_that_meets_a_stop_is_not_lost),
		ON_LOOP(a_stop_before_the_run_ends_it_at_once),
		cmocka_unit_test(destroying_nothing_is_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
