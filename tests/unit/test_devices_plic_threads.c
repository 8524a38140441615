// SPDX-License-Identifier: BSD-3-Clause
/*
 * devices/plic.c with its threads: devices that leave work and pulse, harts that wait for their
 * interrupt, claim, take all the work there is, and complete. An edge that gets lost leaves work
 * behind that nobody is called for. One hart does not wait, so that it is always in the way.
 */
#include "devices/plic.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#define NR_HARTS   3U
#define NR_SOURCES 5U
#define NR_DEVICES 2U
#define ROUNDS     3000U

#define ENABLE(hart) (0x2000ULL + 0x80ULL * (hart))
#define CLAIM(hart)  (0x200004ULL + 0x1000ULL * (hart))
#define PRIORITY(i)  (4ULL * (i))

static struct plic *plic;

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool level[NR_HARTS]; /* guarded by lock, as all below */
	bool twice;
	bool end;
} wires = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static unsigned left[NR_SOURCES + 1]; /* atomic: work that devices left */
static unsigned nr_done;              /* atomic */
static bool lost;                     /* atomic: work lies about and nobody comes */

static void on_set(void *ctx __unused, unsigned hart, bool level)
{
	pthread_mutex_lock(&wires.lock);
	wires.twice |= wires.level[hart] == level;
	wires.level[hart] = level;
	pthread_cond_broadcast(&wires.changed);
	pthread_mutex_unlock(&wires.lock);
}

static uint32_t in(uint64_t off)
{
	uint32_t v;

	plic_bus_ops.read(plic, off, &v, 4);
	return v;
}

static void out(uint64_t off, uint32_t v)
{
	plic_bus_ops.write(plic, off, &v, 4);
}

static bool hart_waits(unsigned hart)
{
	bool end;

	pthread_mutex_lock(&wires.lock);
	while (hart && !wires.level[hart] && !wires.end)
		pthread_cond_wait(&wires.changed, &wires.lock);
	end = wires.end;
	pthread_mutex_unlock(&wires.lock);
	return !end;
}

static void *hart_runs(void *arg)
{
	unsigned hart = (unsigned)(uintptr_t)arg;

	while (hart_waits(hart)) {
		uint32_t source = in(CLAIM(hart));

		if (!source)
			continue; /* another hart was faster */
		__atomic_add_fetch(&nr_done,
			__atomic_exchange_n(&left[source], 0, __ATOMIC_ACQ_REL), __ATOMIC_ACQ_REL);
		out(CLAIM(hart), source);
	}
	return NULL;
}

/** Lets harts take the work, so that they are at it all the time. Not for ever. */
static void device_waits(unsigned source)
{
	struct timespec t = { .tv_sec = 0 };
	time_t end;

	clock_gettime(CLOCK_MONOTONIC, &t);
	end = t.tv_sec + 60; /* an emulated machine is slow */
	while (__atomic_load_n(&left[source], __ATOMIC_ACQUIRE) && t.tv_sec < end) {
		sched_yield();
		clock_gettime(CLOCK_MONOTONIC, &t);
	}
	if (t.tv_sec >= end)
		__atomic_store_n(&lost, true, __ATOMIC_RELEASE);
}

static void *device_runs(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;

	for (unsigned i = 0; i < ROUNDS && !__atomic_load_n(&lost, __ATOMIC_ACQUIRE); i++) {
		unsigned source = (i * 7 + seed) % NR_SOURCES + 1;

		__atomic_add_fetch(&left[source], 1, __ATOMIC_ACQ_REL);
		plic_pulse(plic, source);
		if (i % 2)
			device_waits(source);
	}
	return NULL;
}

/**
 * A hart that came for an earlier edge may have taken the work before its own edge came: that
 * edge may be waiting still when the harts have gone home. It stands for no work.
 */
static void take_what_calls_for_nothing(unsigned hart)
{
	for (unsigned i = 0; i < NR_SOURCES; i++) {
		uint32_t source = in(CLAIM(hart));

		if (!source)
			break;
		assert_in_range(source, 1, NR_SOURCES);
		assert_int_equal(left[source], 0);
		out(CLAIM(hart), source);
	}
	assert_int_equal(in(CLAIM(hart)), 0);
}

static void no_edge_is_lost_between_devices_and_harts(void **state __unused)
{
	pthread_t hart[NR_HARTS], device[NR_DEVICES];
	struct err err;

	assert_int_equal(plic_create(NR_HARTS, NR_SOURCES, on_set, NULL, &plic, &err), 0);
	for (unsigned i = 1; i <= NR_SOURCES; i++)
		out(PRIORITY(i), i % 3 + 1);
	for (unsigned i = 0; i < NR_HARTS; i++) {
		out(ENABLE(i), i ? 0x38 : 0x06); /* 1 and 2 for the first, the others for two */
		assert_int_equal(
			pthread_create(&hart[i], NULL, hart_runs, (void *)(uintptr_t)i), 0);
	}
	for (unsigned i = 0; i < NR_DEVICES; i++)
		assert_int_equal(
			pthread_create(&device[i], NULL, device_runs, (void *)(uintptr_t)i), 0);
	for (unsigned i = 0; i < NR_DEVICES; i++)
		pthread_join(device[i], NULL);
	for (unsigned i = 1; i <= NR_SOURCES; i++)
		device_waits(i);
	assert_false(lost);
	pthread_mutex_lock(&wires.lock);
	wires.end = true;
	pthread_cond_broadcast(&wires.changed);
	pthread_mutex_unlock(&wires.lock);
	for (unsigned i = 0; i < NR_HARTS; i++)
		pthread_join(hart[i], NULL);
	for (unsigned i = 0; i < NR_HARTS; i++)
		take_what_calls_for_nothing(i);
	assert_int_equal(nr_done, NR_DEVICES * ROUNDS);
	for (unsigned i = 0; i < NR_HARTS; i++)
		assert_false(wires.level[i]);
	assert_false(wires.twice);
	plic_destroy(plic);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_edge_is_lost_between_devices_and_harts),
	};

	alarm(600);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
