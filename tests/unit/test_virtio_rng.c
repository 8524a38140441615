// SPDX-License-Identifier: BSD-3-Clause
/* virtio/rng.c: entropy arrives, its amount is bounded, bad requests break the device only. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "tests/unit/ring_driver.h"
#include "virtio/rng.h"

#define SIZE    64
#define RAM_LEN 0x80000
#define BUF     0x10000
#define MAX_LEN 0x10000 /* of one chain */

struct fixture {
	struct guest_memory gm;
	struct ring_driver rd;
	struct loop *loop;
	struct virtio_backend *b;
	unsigned nr_needs_reset;
};

static void on_needs_reset(void *ctx)
{
	((struct fixture *)ctx)->nr_needs_reset++;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err err;

	log_set_level(LOG_ERROR);
	rd_add_ram(&f->gm, 0, RAM_LEN);
	rd_init(&f->rd, &f->gm, 0x1000, SIZE);
	assert_int_equal(loop_create(&f->loop, &err), 0);
	assert_int_equal(virtio_rng_create(&f->gm, f->loop, &f->b, &err), 0);
	f->b->events = (struct virtio_events){ .needs_reset = on_needs_reset, .ctx = f };
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	f->b->ops->destroy(f->b);
	loop_destroy(f->loop);
	rd_fini(&f->rd);
	rd_free_ram(&f->gm);
	free(f);
	return 0;
}

/** What the guest added before is served by the start, without a running loop. */
static void start(struct fixture *f)
{
	struct virtio_ring ring = rd_ring(&f->rd);

	assert_int_equal(f->b->ops->start(f->b, RD_FEATURES, &ring), 0);
}

static bool all_zero(const uint8_t *p, size_t len)
{
	while (len && !*p) {
		p++;
		len--;
	}
	return !len;
}

static void it_is_an_entropy_device_of_one_queue(void **state)
{
	struct fixture *f = *state;

	assert_string_equal(f->b->name, "rng");
	assert_int_equal(f->b->device_id, 4);
	assert_int_equal(f->b->nr_queues, 1);
	assert_int_equal(f->b->config_len, 0);
	assert_int_equal(f->b->features, VIRTIO_COMMON_FEATURES);
}

static void a_buffer_is_filled_and_nothing_beside_it(void **state)
{
	struct fixture *f = *state;
	uint8_t *p = rd_at(&f->rd, BUF, 0x1000);
	uint32_t len;

	rd_add1(&f->rd, BUF + 64, 128, true);
	rd_add1(&f->rd, BUF + 256, 1, true);
	start(f);
	assert_true(rd_pop_used(&f->rd, NULL, &len));
	assert_int_equal(len, 128);
	assert_true(rd_pop_used(&f->rd, NULL, &len));
	assert_int_equal(len, 1);
	assert_true(all_zero(p, 64));
	/* 16 random bytes are not all zero, this side of 2^-128. */
	for (unsigned i = 64; i < 192; i += 16)
		assert_false(all_zero(p + i, 16));
	assert_true(all_zero(p + 192, 64));
	assert_true(all_zero(p + 257, 0x1000 - 257));
	assert_int_equal(rd_irqs(&f->rd), 1);
}

static void all_buffers_of_a_chain_are_filled(void **state)
{
	static const struct rd_buf buf[] = { { BUF, 16, true }, { BUF + 64, 16, true },
		{ BUF + 128, 16, true } };
	struct fixture *f = *state;
	uint32_t len;

	rd_add(&f->rd, buf, 3);
	start(f);
	assert_true(rd_pop_used(&f->rd, NULL, &len));
	assert_int_equal(len, 48);
	for (unsigned i = 0; i < 3; i++) {
		assert_false(all_zero(rd_at(&f->rd, buf[i].gpa, 16), 16));
		assert_true(all_zero(rd_at(&f->rd, buf[i].gpa + 16, 48), 48));
	}
}

static void a_request_is_served_up_to_64_kib(void **state)
{
	struct rd_buf buf[] = { { BUF, MAX_LEN - 16, true }, { BUF + MAX_LEN - 16, 64, true },
		{ BUF + 2 * MAX_LEN, 64, true } };
	struct fixture *f = *state;
	uint32_t len;

	rd_add(&f->rd, buf, 3);
	start(f);
	assert_true(rd_pop_used(&f->rd, NULL, &len));
	assert_int_equal(len, MAX_LEN);
	assert_false(all_zero(rd_at(&f->rd, BUF + MAX_LEN - 16, 16), 16));
	assert_true(all_zero(rd_at(&f->rd, BUF + MAX_LEN, 48), 48));
	assert_true(all_zero(rd_at(&f->rd, BUF + 2 * MAX_LEN, 64), 64));
}

static void a_request_of_gigabytes_costs_no_memory(void **state)
{
	struct fixture *f = *state;
	struct guest_memory gm = { 0 };
	uint64_t touched = 0;
	uint8_t vec[256];
	uint32_t len;
	struct err err;

	f->b->ops->destroy(f->b);
	assert_int_equal(gm_add_ram(&gm, 0, 4 * GIB, &err), 0);
	assert_int_equal(virtio_rng_create(&gm, f->loop, &f->b, &err), 0);
	/* Page by page, or one byte would count for as much as the host's huge pages hold. */
	madvise(gm_slice(&gm, 0, 4 * GIB), 4 * GIB, MADV_NOHUGEPAGE);
	rd_fini(&f->rd);
	rd_init(&f->rd, &gm, 0x1000, SIZE);
	rd_add1(&f->rd, MIB, UINT32_MAX - 2 * (uint32_t)MIB, true);
	start(f);
	assert_true(rd_pop_used(&f->rd, NULL, &len));
	assert_int_equal(len, MAX_LEN);
	assert_int_equal(mincore((uint8_t *)rd_at(&f->rd, MIB, MIB), MIB, vec), 0);
	for (unsigned i = 0; i < 256; i++)
		touched += vec[i] & 1;
	assert_int_equal(touched, MAX_LEN / 4096);
	f->b->ops->stop(f->b);
	gm_fini(&gm);
	f->rd.gm = &f->gm;
}

static void a_storm_of_large_requests_lets_others_run(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < SIZE; i++)
		rd_add1(&f->rd, BUF, MAX_LEN, true);
	start(f);
	/* One notify: one chain of that size. The rest waits for a signalled kick. */
	assert_int_equal(rd_used_idx(&f->rd), 1);
	assert_int_equal(rd_irqs(&f->rd), 1);
	assert_int_equal(fd_event_drain(f->rd.kick_fd), 1);
}

static void a_notify_serves_as_many_chains_as_the_queue_holds(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < SIZE; i++)
		rd_add1(&f->rd, BUF, 1, true);
	start(f);
	/* Did the guest add more meanwhile? That is for the next one. */
	assert_int_equal(rd_used_idx(&f->rd), SIZE);
	assert_int_equal(fd_event_drain(f->rd.kick_fd), 1);
}

/** Watches the interrupt, whose fd stays readable: called in each round of the loop. */
struct until_empty {
	struct watch w;
	struct fixture *f;
};

static void stop_when_empty(struct watch *w, uint32_t events __unused)
{
	struct fixture *f = container_of(w, struct until_empty, w)->f;

	/* All served, and a notification of the next one asked for. */
	if (rd_used_idx(&f->rd) != SIZE || rd_avail_event(&f->rd) != SIZE)
		return;
	loop_stop(f->loop);
	loop_del(f->loop, w);
}

static void what_a_notify_left_is_served_later(void **state)
{
	struct fixture *f = *state;
	struct until_empty me = { .f = f };
	uint32_t len;

	for (unsigned i = 0; i < SIZE; i++)
		rd_add1(&f->rd, BUF, i % 2 ? MAX_LEN : 16, true);
	start(f);
	assert_int_equal(loop_add(f->loop, &me.w, f->rd.call_fd, EPOLLIN, stop_when_empty), 0);
	loop_run(f->loop);
	for (unsigned i = 0; i < SIZE; i++) {
		assert_true(rd_pop_used(&f->rd, NULL, &len));
		assert_int_equal(len, i % 2 ? MAX_LEN : 16);
	}
	assert_int_equal(f->nr_needs_reset, 0);
}

static void a_readable_buffer_breaks_the_device(void **state)
{
	static const struct rd_buf both[] = { { BUF, 16, false }, { BUF + 64, 16, true } };
	struct fixture *f = *state;

	for (unsigned n = 1; n <= 2; n++) {
		rd_reset(&f->rd);
		rd_add(&f->rd, both, n);
		start(f);
		assert_int_equal(f->nr_needs_reset, n);
		assert_int_equal(rd_used_idx(&f->rd), 0);
		assert_true(all_zero(rd_at(&f->rd, BUF, 128), 128));
		f->b->ops->stop(f->b);
	}
}

static void a_bad_chain_breaks_the_device_until_reset(void **state)
{
	struct fixture *f = *state;

	rd_add1(&f->rd, BUF, 16, true);
	rd_add1(&f->rd, RAM_LEN, 16, true);
	start(f);
	assert_int_equal(f->nr_needs_reset, 1);
	/* The good one before it was served and the guest hears of it. */
	assert_true(rd_pop_used(&f->rd, NULL, NULL));
	f->b->ops->stop(f->b);
	rd_reset(&f->rd);
	rd_add1(&f->rd, BUF, 16, true);
	start(f);
	assert_true(rd_pop_used(&f->rd, NULL, NULL));
	assert_int_equal(f->nr_needs_reset, 1);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(it_is_an_entropy_device_of_one_queue),
		T(a_buffer_is_filled_and_nothing_beside_it),
		T(all_buffers_of_a_chain_are_filled),
		T(a_request_is_served_up_to_64_kib),
		T(a_request_of_gigabytes_costs_no_memory),
		T(a_storm_of_large_requests_lets_others_run),
		T(a_notify_serves_as_many_chains_as_the_queue_holds),
		T(what_a_notify_left_is_served_later),
		T(a_readable_buffer_breaks_the_device),
		T(a_bad_chain_breaks_the_device_until_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
