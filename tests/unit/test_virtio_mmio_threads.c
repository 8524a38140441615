// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio-mmio with its real threads: vCPUs that write and read at once, and a backend whose
 * start and stop wait for a loop on which its events arrive. alarm() turns a deadlock into a
 * failure. Run under ThreadSanitizer too: every access to the page must be atomic.
 */
#include "tests/unit/virtio_mmio_rig.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/loop.h"

#define ROUNDS   3000
#define DEADLINE 60 /* seconds, for a machine that is very busy */

struct threads {
	struct rig *r;
	struct loop *loop;
	pthread_t loop_thread;
	struct watch poke; /* makes the device speak up on its loop */
	int poke_fd;
	bool stop; /* atomic */
};

static struct threads t;

static void *threads_run_loop(void *arg)
{
	loop_run(arg);
	return NULL;
}

/** A device that breaks and changes its config, whatever the transport is doing. */
static void threads_speak_up(void *arg)
{
	struct rig *r = arg;

	r->b.events.needs_reset(r->b.events.ctx);
	r->config[0]++;
	r->b.events.config_changed(r->b.events.ctx, r->config, RIG_CONFIG_LEN);
}

static void threads_on_poke(struct watch *w, uint32_t events)
{
	(void)events;
	fd_event_drain(w->fd);
	threads_speak_up(t.r);
}

/** Start and stop wait for the loop, as a model's do, and hear it while they wait. */
static void threads_call_loop(struct rig *r)
{
	fd_event_signal(t.poke_fd);
	loop_call(t.loop, threads_speak_up, r);
}

static int threads_setup(void **state)
{
	struct err err;

	(void)state;
	alarm(DEADLINE);
	t = (struct threads){ .r = rig_new(), .poke_fd = fd_event() };
	t.r->in_start = t.r->in_stop = threads_call_loop;
	if (loop_create(&t.loop, &err) || rig_plug(t.r, NULL, -1))
		return -1;
	if (loop_add(t.loop, &t.poke, t.poke_fd, EPOLLIN, threads_on_poke))
		return -1;
	return pthread_create(&t.loop_thread, NULL, threads_run_loop, t.loop);
}

static int threads_teardown(void **state)
{
	(void)state;
	virtio_mmio_stop(t.r->m);
	loop_stop(t.loop);
	pthread_join(t.loop_thread, NULL);
	rig_free(t.r);
	loop_del(t.loop, &t.poke);
	loop_destroy(t.loop);
	fd_close(&t.poke_fd);
	alarm(0);
	return 0;
}

static void a_device_that_breaks_while_it_stops_does_not_deadlock(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		rig_boot(t.r);
		rig_write(t.r, VIRTIO_MMIO_STATUS, 0);
		assert_int_equal(rig_read(t.r, VIRTIO_MMIO_STATUS), 0);
	}
	assert_int_equal(t.r->nr_start, ROUNDS);
	assert_int_equal(t.r->nr_stop, ROUNDS);
	assert_false(t.r->out_of_turn);
}

static void *threads_hammer(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < ROUNDS; i++) {
		rig_boot(t.r);
		rig_write(t.r, VIRTIO_MMIO_QUEUE_NOTIFY, i % 8);
		rig_write(t.r, VIRTIO_MMIO_INTERRUPT_ACK, 3);
	}
	return NULL;
}

static void *threads_reset(void *arg)
{
	(void)arg;
	while (!__atomic_load_n(&t.stop, __ATOMIC_RELAXED))
		rig_write(t.r, VIRTIO_MMIO_STATUS, 0);
	return NULL;
}

/** As a guest reads: never held up, and never seeing a register that cannot be. */
static void *threads_watch(void *arg)
{
	uint64_t wide;

	(void)arg;
	while (!__atomic_load_n(&t.stop, __ATOMIC_RELAXED)) {
		BUG_ON(rig_read(t.r, VIRTIO_MMIO_MAGIC_VALUE) != 0x74726976);
		BUG_ON(rig_read(t.r, VIRTIO_MMIO_INTERRUPT_STATUS) & ~3U);
		BUG_ON(rig_read(t.r, VIRTIO_MMIO_STATUS) & ~0x4fU);
		BUG_ON(!bus_read(&t.r->bus, RIG_BASE + VIRTIO_MMIO_CONFIG + 1, &wide, 8));
	}
	return NULL;
}

static void resets_against_starts_of_another_vcpu_stay_in_turn(void **state)
{
	pthread_t boots[2], reset, watch;

	(void)state;
	assert_int_equal(pthread_create(&reset, NULL, threads_reset, NULL), 0);
	assert_int_equal(pthread_create(&watch, NULL, threads_watch, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(boots); i++)
		assert_int_equal(pthread_create(&boots[i], NULL, threads_hammer, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(boots); i++)
		pthread_join(boots[i], NULL);
	__atomic_store_n(&t.stop, true, __ATOMIC_RELAXED);
	pthread_join(reset, NULL);
	pthread_join(watch, NULL);
	rig_write(t.r, VIRTIO_MMIO_STATUS, 0);
	assert_false(t.r->out_of_turn);
	assert_int_equal(t.r->nr_start, t.r->nr_stop);
	assert_true(t.r->nr_start > 0);
	assert_int_equal(rig_read(t.r, VIRTIO_MMIO_STATUS), 0);
}

static void *threads_change_config(void *arg)
{
	struct rig *r = t.r;

	pthread_barrier_wait(arg);
	r->b.events.config_changed(r->b.events.ctx, r->config, RIG_CONFIG_LEN);
	return NULL;
}

/** Each side looks at the other's word after writing its own; one of them must pulse. */
static void a_config_change_that_meets_driver_ok_is_never_lost(void **state)
{
	pthread_barrier_t both;
	pthread_t thread;

	(void)state;
	t.r->in_start = t.r->in_stop = NULL;
	pthread_barrier_init(&both, NULL, 2);
	for (unsigned i = 0; i < ROUNDS; i++) {
		rig_write(t.r, VIRTIO_MMIO_STATUS, 0);
		rig_write(t.r, VIRTIO_MMIO_STATUS, 3);
		rig_accept(t.r, RIG_FEATURES);
		rig_write(t.r, VIRTIO_MMIO_STATUS, 0xb);
		fd_event_drain(t.r->line.fd);
		assert_int_equal(pthread_create(&thread, NULL, threads_change_config, &both), 0);
		pthread_barrier_wait(&both);
		rig_write(t.r, VIRTIO_MMIO_STATUS, 0xf);
		pthread_join(thread, NULL);
		assert_int_equal(rig_read(t.r, VIRTIO_MMIO_INTERRUPT_STATUS), 3);
		assert_int_not_equal(fd_event_drain(t.r->line.fd), 0);
	}
	pthread_barrier_destroy(&both);
}

#define WITH_LOOP(fn) cmocka_unit_test_setup_teardown(fn, threads_setup, threads_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_LOOP(a_device_that_breaks_while_it_stops_does_not_deadlock),
		WITH_LOOP(resets_against_starts_of_another_vcpu_stay_in_turn),
		WITH_LOOP(a_config_change_that_meets_driver_ok_is_never_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
