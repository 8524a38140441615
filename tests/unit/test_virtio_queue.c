// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio/queue.c: geometry, the ordinary life of a chain, and who is told when. What a
 * hostile driver does to chains is in test_virtio_queue_hostile.c.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/ring_driver.h"

#define RAM_BASE 0x10000
#define RAM_LEN  0x40000
#define BUF      0x40000 /* in RAM, after every ring laid out here */

struct fixture {
	struct guest_memory gm;
	struct ring_driver rd;
	struct vq q;
	struct iovec iov[VQ_IOV_MAX(VQ_MAX_SIZE)];
	struct vq_chain c;
	const char *why;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	rd_add_ram(&f->gm, RAM_BASE, RAM_LEN);
	rd_init(&f->rd, &f->gm, RAM_BASE, 8);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	rd_fini(&f->rd);
	rd_free_ram(&f->gm);
	free(f);
	return 0;
}

static void start(struct fixture *f, uint64_t features)
{
	assert_int_equal(rd_vq_init(&f->rd, &f->q, features, &f->why), 0);
}

static int pop(struct fixture *f)
{
	return vq_pop(&f->q, f->iov, ARRAY_SIZE(f->iov), &f->c, &f->why);
}

static int geometry(struct fixture *f, unsigned size, gpa_t desc, gpa_t avail, gpa_t used)
{
	int rc = vq_init(&f->q, &f->gm, RD_FEATURES, (uint16_t)size, VQ_MAX_SIZE, desc, avail, used,
		&f->why);

	/* Ready when and only when accepted. */
	assert_int_equal(f->q.gm != NULL, rc == 0);
	return rc;
}

static int size_only(struct fixture *f, unsigned size)
{
	return geometry(f, size, RAM_BASE, RAM_BASE + 0x8000, RAM_BASE + 0x10000);
}

static void sizes_that_are_powers_of_two_up_to_the_limit_are_accepted(void **state)
{
	for (unsigned size = 1; size <= VQ_MAX_SIZE; size *= 2)
		assert_int_equal(size_only(*state, size), 0);
}

static void other_sizes_are_refused(void **state)
{
	static const unsigned bad[] = { 0, 3, 5, 1023, 1025, 2048, 32768, 65535 };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(size_only(*state, bad[i]), -EINVAL);
}

static void a_size_over_the_device_s_own_limit_is_refused(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(vq_init(&f->q, &f->gm, 0, 64, 32, RAM_BASE, RAM_BASE + 0x8000,
				 RAM_BASE + 0x10000, &f->why),
		-EINVAL);
	/* And a limit of 32768 does not lift ours. */
	assert_int_equal(vq_init(&f->q, &f->gm, 0, 2048, 32768, RAM_BASE, RAM_BASE + 0x8000,
				 RAM_BASE + 0x10000, &f->why),
		-EINVAL);
}

static void each_part_must_be_aligned(void **state)
{
	gpa_t d = RAM_BASE, a = RAM_BASE + 0x8000, u = RAM_BASE + 0x10000;

	for (unsigned off = 1; off < 16; off++) {
		assert_int_equal(geometry(*state, 8, d + off, a, u), -EINVAL);
		assert_int_equal(geometry(*state, 8, d, a + off, u), off % 2 ? -EINVAL : 0);
		assert_int_equal(geometry(*state, 8, d, a, u + off), off % 4 ? -EINVAL : 0);
	}
}

static void a_part_may_end_where_ram_ends_and_not_past_it(void **state)
{
	gpa_t end = RAM_BASE + RAM_LEN;
	gpa_t d = RAM_BASE, a = RAM_BASE + 0x8000, u = RAM_BASE + 0x10000;
	unsigned size = 8;

	assert_int_equal(geometry(*state, size, end - 16 * size, a, u), 0);
	assert_int_equal(geometry(*state, size, end - 16 * size + 16, a, u), -EINVAL);
	assert_int_equal(geometry(*state, size, d, end - (6 + 2 * size), u), 0);
	assert_int_equal(geometry(*state, size, d, end - (6 + 2 * size) + 2, u), -EINVAL);
	/* 6 + 8 * size is 2 modulo 4: the nearest aligned places before and after. */
	assert_int_equal(geometry(*state, size, d, a, end - (8 + 8 * size)), 0);
	assert_int_equal(geometry(*state, size, d, a, end - (4 + 8 * size)), -EINVAL);
}

static void a_part_outside_ram_is_refused(void **state)
{
	static const gpa_t bad[] = { 0, RAM_BASE - 16, RAM_BASE + RAM_LEN, 0xfee00000,
		0x8000000000000000, UINT64_MAX - 15, UINT64_MAX & ~0xfffULL };
	gpa_t d = RAM_BASE, a = RAM_BASE + 0x8000, u = RAM_BASE + 0x10000;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		gpa_t at = bad[i] & ~15ULL;

		assert_int_equal(geometry(*state, 8, at, a, u), -EINVAL);
		assert_int_equal(geometry(*state, 8, d, at, u), -EINVAL);
		assert_int_equal(geometry(*state, 8, d, a, at), -EINVAL);
	}
}

static void a_part_across_two_regions_is_refused(void **state)
{
	struct fixture *f = *state;
	gpa_t border = RAM_BASE + RAM_LEN;

	rd_add_ram(&f->gm, border, 0x1000);
	assert_int_equal(geometry(f, 8, border - 16, RAM_BASE, RAM_BASE + 0x100), -EINVAL);
	assert_int_equal(geometry(f, 8, border, RAM_BASE, RAM_BASE + 0x100), 0);
}

static void parts_that_overlap_harm_only_the_guest(void **state)
{
	struct fixture *f = *state;
	uint8_t *host = f->gm.region[0].host;
	unsigned popped = 0;

	/* Everything in one place, all byte values there, our writes coming back as reads. */
	for (unsigned v = 0; v < 256; v++) {
		memset(host, (int)v, 0x1000);
		assert_int_equal(geometry(f, 8, RAM_BASE, RAM_BASE, RAM_BASE), 0);
		gm_store16(host + 2, 8);
		while (pop(f) == 1 && popped++ < 100000) {
			for (unsigned i = 0; i < f->c.nr_out + f->c.nr_in; i++)
				assert_true(range_within((uintptr_t)f->iov[i].iov_base,
					f->iov[i].iov_len, (uintptr_t)host, RAM_LEN));
			vq_push(&f->q, f->c.head, UINT32_MAX);
		}
		vq_should_raise(&f->q);
		vq_enable_kick(&f->q);
	}
}

static void a_queue_not_set_up_gives_nothing(void **state)
{
	struct fixture *f = *state;

	rd_add1(&f->rd, BUF, 16, false);
	assert_int_equal(pop(f), 0);
	assert_false(vq_should_raise(&f->q));
	assert_false(vq_enable_kick(&f->q));
	vq_disable_kick(&f->q);
}

static void a_chain_comes_with_its_buffers_in_order(void **state)
{
	static const struct rd_buf buf[] = { { BUF, 16, false }, { BUF + 0x1000, 512, false },
		{ BUF + 0x2000, 4096, true }, { BUF + 0x3000, 1, true } };
	struct fixture *f = *state;
	uint16_t head;
	uint32_t len;

	start(f, RD_FEATURES);
	assert_int_equal(pop(f), 0);
	for (unsigned round = 0; round < 2; round++) {
		uint16_t added = round ? rd_add_indirect(&f->rd, BUF + 0x4000, buf, 4)
				       : rd_add(&f->rd, buf, 4);

		assert_int_equal(pop(f), 1);
		assert_int_equal(f->c.head, added);
		assert_int_equal(f->c.nr_out, 2);
		assert_int_equal(f->c.nr_in, 2);
		assert_int_equal(f->c.out_len, 528);
		assert_int_equal(f->c.in_len, 4097);
		assert_ptr_equal(f->c.iov, f->iov);
		for (unsigned i = 0; i < 4; i++) {
			assert_ptr_equal(f->iov[i].iov_base, rd_at(&f->rd, buf[i].gpa, 1));
			assert_int_equal(f->iov[i].iov_len, buf[i].len);
		}
		assert_int_equal(f->q.in_flight, 1);
		vq_push(&f->q, f->c.head, 100 + round);
		assert_int_equal(f->q.in_flight, 0);
		assert_true(rd_pop_used(&f->rd, &head, &len));
		assert_int_equal(head, added);
		assert_int_equal(len, 100 + round);
		assert_int_equal(pop(f), 0);
	}
}

static void chains_may_be_returned_in_any_order(void **state)
{
	struct fixture *f = *state;
	uint16_t heads[8], head;

	start(f, RD_FEATURES);
	for (unsigned i = 0; i < 8; i++) {
		heads[i] = rd_add1(&f->rd, BUF + 64 * i, 64, true);
		assert_int_equal(pop(f), 1);
	}
	assert_int_equal(f->q.in_flight, 8);
	for (unsigned i = 8; i-- > 0;)
		vq_push(&f->q, heads[i], i);
	for (unsigned i = 8; i-- > 0;) {
		assert_true(rd_pop_used(&f->rd, &head, NULL));
		assert_int_equal(head, heads[i]);
	}
}

static void a_chain_put_back_is_popped_again(void **state)
{
	struct fixture *f = *state;

	start(f, RD_FEATURES);
	rd_add1(&f->rd, BUF, 16, false);
	rd_add1(&f->rd, BUF + 64, 32, false);
	assert_int_equal(pop(f), 1);
	assert_int_equal(pop(f), 1);
	vq_unpop(&f->q);
	assert_int_equal(f->q.in_flight, 1);
	assert_true(vq_enable_kick(&f->q));
	assert_int_equal(pop(f), 1);
	assert_int_equal(f->c.out_len, 32);
	assert_int_equal(pop(f), 0);
}

static void queues_of_size_1_and_1024_work_past_the_wrap_of_their_indices(void **state)
{
	static const uint16_t sizes[] = { 1, 1024 };
	struct fixture *f = *state;
	uint16_t head;

	for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
		rd_fini(&f->rd);
		rd_init(&f->rd, &f->gm, RAM_BASE, sizes[s]);
		start(f, RD_FEATURES);
		for (unsigned i = 0; i < 70000; i++) {
			uint16_t added = rd_add1(&f->rd, BUF + i % 4096, 8, i & 1);

			assert_int_equal(pop(f), 1);
			assert_int_equal(f->c.head, added);
			vq_push(&f->q, added, 0);
			assert_true(rd_pop_used(&f->rd, &head, NULL));
			assert_int_equal(head, added);
		}
		assert_int_equal(pop(f), 0);
	}
}

static void a_full_queue_of_1024_is_taken_whole(void **state)
{
	struct fixture *f = *state;

	rd_fini(&f->rd);
	rd_init(&f->rd, &f->gm, RAM_BASE, 1024);
	start(f, RD_FEATURES);
	for (unsigned i = 0; i < 1024; i++)
		rd_add1(&f->rd, BUF, 8, true);
	for (unsigned i = 0; i < 1024; i++)
		assert_int_equal(pop(f), 1);
	assert_int_equal(pop(f), 0);
	assert_int_equal(f->q.in_flight, 1024);
}

static void used_idx_is_ours_whatever_the_guest_writes_there(void **state)
{
	struct fixture *f = *state;

	start(f, RD_FEATURES);
	for (uint16_t i = 0; i < 4; i++) {
		rd_store16(&f->rd, f->rd.used + 2, 0x7777);
		rd_add1(&f->rd, BUF, 8, true);
		assert_int_equal(pop(f), 1);
		vq_push(&f->q, f->c.head, i);
		assert_int_equal(rd_used_idx(&f->rd), i + 1);
		assert_int_equal(le32_get(rd_at(&f->rd, f->rd.used + 8 + 8ULL * i, 4)), i);
	}
}

/** Puts one chain through the queue. */
static void pass_one(struct fixture *f)
{
	rd_add1(&f->rd, BUF, 8, true);
	assert_int_equal(pop(f), 1);
	vq_push(&f->q, f->c.head, 0);
	assert_true(rd_pop_used(&f->rd, NULL, NULL));
}

static void nothing_pushed_raises_nothing(void **state)
{
	struct fixture *f = *state;

	start(f, RD_FEATURES_PLAIN);
	assert_false(vq_should_raise(&f->q));
	pass_one(f);
	assert_true(vq_should_raise(&f->q));
	assert_false(vq_should_raise(&f->q));
	start(f, RD_FEATURES);
	assert_false(vq_should_raise(&f->q));
}

static void no_interrupt_counts_without_event_idx_only(void **state)
{
	struct fixture *f = *state;

	start(f, RD_FEATURES_PLAIN);
	rd_set_avail_flags(&f->rd, VRING_AVAIL_F_NO_INTERRUPT);
	pass_one(f);
	assert_false(vq_should_raise(&f->q));
	rd_set_avail_flags(&f->rd, 0);
	pass_one(f);
	assert_true(vq_should_raise(&f->q));
	/* used_event, which nobody agreed to, is not looked at. */
	rd_set_used_event(&f->rd, 0x4000);
	pass_one(f);
	assert_true(vq_should_raise(&f->q));

	rd_reset(&f->rd);
	start(f, RD_FEATURES);
	rd_set_avail_flags(&f->rd, VRING_AVAIL_F_NO_INTERRUPT);
	pass_one(f);
	assert_true(vq_should_raise(&f->q));
}

static void with_event_idx_the_guest_is_told_when_its_event_is_passed(void **state)
{
	struct fixture *f = *state;

	start(f, RD_FEATURES);
	rd_set_used_event(&f->rd, 2);
	for (unsigned i = 0; i < 10; i++) {
		pass_one(f);
		assert_int_equal(vq_should_raise(&f->q), i == 2);
	}
	/* An event in the middle of a batch counts as well, one just past it does not. */
	rd_set_used_event(&f->rd, 11);
	pass_one(f);
	pass_one(f);
	pass_one(f);
	assert_true(vq_should_raise(&f->q));
	rd_set_used_event(&f->rd, 14);
	pass_one(f);
	assert_false(vq_should_raise(&f->q));
}

static void events_are_exact_at_every_place_of_the_wrap(void **state)
{
	static const uint16_t event[] = { 0, 1, 0x7fff, 0x8000, 65534, 65535 };
	struct fixture *f = *state;

	for (size_t e = 0; e < ARRAY_SIZE(event); e++) {
		rd_reset(&f->rd);
		start(f, RD_FEATURES);
		rd_set_used_event(&f->rd, event[e]);
		for (unsigned i = 0; i < 2 * 65536 + 2; i++) {
			pass_one(f);
			assert_int_equal(vq_should_raise(&f->q), (uint16_t)i == event[e]);
		}
	}
}

static void a_batch_as_long_as_the_index_is_still_raised(void **state)
{
	struct fixture *f = *state;

	start(f, RD_FEATURES);
	rd_set_used_event(&f->rd, 100);
	for (unsigned i = 0; i < 65536 + 50; i++)
		pass_one(f);
	assert_true(vq_should_raise(&f->q));
	start(f, RD_FEATURES_PLAIN);
	rd_reset(&f->rd);
	for (unsigned i = 0; i < 65536; i++)
		pass_one(f);
	assert_true(vq_should_raise(&f->q));
}

static void enable_kick_publishes_the_event_and_sees_what_is_there(void **state)
{
	struct fixture *f = *state;

	start(f, RD_FEATURES);
	for (unsigned i = 0; i < 65540; i++) {
		assert_false(vq_enable_kick(&f->q));
		assert_int_equal(rd_avail_event(&f->rd), (uint16_t)i);
		rd_add1(&f->rd, BUF, 8, true);
		assert_true(vq_enable_kick(&f->q));
		assert_int_equal(pop(f), 1);
		vq_push(&f->q, f->c.head, 0);
		rd_pop_used(&f->rd, NULL, NULL);
	}
	/* The flags of the used ring stay 0: they are ignored with EVENT_IDX. */
	vq_disable_kick(&f->q);
	assert_int_equal(rd_used_flags(&f->rd), 0);
}

static void without_event_idx_kicks_go_by_the_used_flags(void **state)
{
	struct fixture *f = *state;

	start(f, RD_FEATURES_PLAIN);
	vq_disable_kick(&f->q);
	assert_int_equal(rd_used_flags(&f->rd), VRING_USED_F_NO_NOTIFY);
	rd_add1(&f->rd, BUF, 8, true);
	assert_true(vq_enable_kick(&f->q));
	assert_int_equal(rd_used_flags(&f->rd), 0);
	assert_int_equal(rd_avail_event(&f->rd), 0);
	assert_int_equal(pop(f), 1);
	assert_false(vq_enable_kick(&f->q));
	assert_int_equal(rd_avail_event(&f->rd), 0);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(sizes_that_are_powers_of_two_up_to_the_limit_are_accepted),
		T(other_sizes_are_refused),
		T(a_size_over_the_device_s_own_limit_is_refused),
		T(each_part_must_be_aligned),
		T(a_part_may_end_where_ram_ends_and_not_past_it),
		T(a_part_outside_ram_is_refused),
		T(a_part_across_two_regions_is_refused),
		T(parts_that_overlap_harm_only_the_guest),
		T(a_queue_not_set_up_gives_nothing),
		T(a_chain_comes_with_its_buffers_in_order),
		T(chains_may_be_returned_in_any_order),
		T(a_chain_put_back_is_popped_again),
		T(queues_of_size_1_and_1024_work_past_the_wrap_of_their_indices),
		T(a_full_queue_of_1024_is_taken_whole),
		T(used_idx_is_ours_whatever_the_guest_writes_there),
		T(nothing_pushed_raises_nothing),
		T(no_interrupt_counts_without_event_idx_only),
		T(with_event_idx_the_guest_is_told_when_its_event_is_passed),
		T(events_are_exact_at_every_place_of_the_wrap),
		T(a_batch_as_long_as_the_index_is_still_raised),
		T(enable_kick_publishes_the_event_and_sees_what_is_there),
		T(without_event_idx_kicks_go_by_the_used_flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
