// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio/blk.c: requests in any framing, many at once, and resets with requests in flight.
 */
#include "tests/unit/blk_guest.h"

/* ---- framing ---- */

/** Adds a chain, serves it and returns the status at status. */
static int chain(
	struct fixture *f, const struct rd_buf *buf, unsigned n, gpa_t status, uint32_t *ret_used)
{
	*at(f, status) = POISON;
	*ret_used = 0;
	rd_add(&f->rd[0], buf, n);
	serve(f);
	rd_pop_used(&f->rd[0], NULL, ret_used);
	return *at(f, status);
}

static void a_header_in_16_descriptors_is_a_header(void **state __unused)
{
	struct fixture *f = setup((struct setup){ 0 });
	struct rd_buf buf[20];
	uint32_t used;

	put_header(f, HDR, VIRTIO_BLK_T_IN, 9);
	for (unsigned i = 0; i < 16; i++)
		buf[i] = (struct rd_buf){ HDR + i, 1, false };
	buf[16] = (struct rd_buf){ DATA, 1, true };
	buf[17] = (struct rd_buf){ DATA + 1, 511, true };
	buf[18] = (struct rd_buf){ STATUS, 1, true };
	assert_int_equal(chain(f, buf, 19, STATUS, &used), VIRTIO_BLK_S_OK);
	assert_int_equal(used, 513);
	assert_memory_equal(at(f, DATA), f->rig.shadow + 9 * 512, 512);
	teardown(f);
}

static void header_and_data_may_share_a_descriptor(void **state __unused)
{
	struct fixture *f = setup((struct setup){ 0 });
	struct rd_buf buf[3] = { { DATA, 5, false }, { DATA + 5, 11 + 512, false },
		{ STATUS, 1, true } };
	uint32_t used;

	put_header(f, DATA, VIRTIO_BLK_T_OUT, 4);
	memset(at(f, DATA + 16), 0x33, 512);
	assert_int_equal(chain(f, buf, 3, STATUS, &used), VIRTIO_BLK_S_OK);
	assert_int_equal(used, 1);
	memset(f->rig.shadow + 4 * 512, 0x33, 512);
	block_rig_assert_file(&f->rig);
	teardown(f);
}

static void the_status_is_the_last_writable_byte_wherever_it_lies(void **state __unused)
{
	struct fixture *f = setup((struct setup){ 0 });
	struct rd_buf buf[3] = { { HDR, 16, false }, { DATA, 513, true } };
	uint32_t used;

	put_header(f, HDR, VIRTIO_BLK_T_IN, 0);
	assert_int_equal(chain(f, buf, 2, DATA + 512, &used), VIRTIO_BLK_S_OK);
	assert_int_equal(used, 513);
	assert_memory_equal(at(f, DATA), f->rig.shadow, 512);
	buf[1] = (struct rd_buf){ DATA, 500, true };
	buf[2] = (struct rd_buf){ DATA + 4096, 13, true };
	assert_int_equal(chain(f, buf, 3, DATA + 4096 + 12, &used), VIRTIO_BLK_S_OK);
	assert_memory_equal(at(f, DATA + 4096), f->rig.shadow + 500, 12);
	teardown(f);
}

static void a_request_of_the_wrong_shape_gets_an_error(void **state __unused)
{
	struct fixture *f = setup((struct setup){ 0 });
	struct rd_buf none[1] = { { STATUS, 1, true } };
	struct rd_buf shortened[2] = { { HDR, 15, false }, { STATUS, 1, true } };
	struct rd_buf both[4] = { { HDR, 16, false }, { DATA, 512, false },
		{ DATA + 512, 512, true }, { STATUS, 1, true } };
	static const uint32_t type[] = { VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH,
		VIRTIO_BLK_T_GET_ID, VIRTIO_BLK_T_DISCARD };
	uint32_t used;

	put_header(f, HDR, VIRTIO_BLK_T_FLUSH, 0);
	assert_int_equal(chain(f, none, 1, STATUS, &used), VIRTIO_BLK_S_IOERR);
	assert_int_equal(used, 1);
	/* Not UNSUPP: a type is not judged before there is a whole header. */
	put_header(f, HDR, 99, 0);
	assert_int_equal(chain(f, shortened, 2, STATUS, &used), VIRTIO_BLK_S_IOERR);
	assert_int_equal(used, 1);
	for (size_t i = 0; i < ARRAY_SIZE(type); i++) {
		put_header(f, HDR, type[i], 0);
		assert_int_equal(chain(f, both, 4, STATUS, &used), VIRTIO_BLK_S_IOERR);
		assert_int_equal(used, 1);
	}
	assert_int_equal(f->nr_broken, 0);
	block_rig_assert_file(&f->rig);
	teardown(f);
}

static void a_request_without_room_for_a_status_breaks_the_device(void **state __unused)
{
	struct fixture *f = setup((struct setup){ 0 });

	put_header(f, HDR, VIRTIO_BLK_T_FLUSH, 0);
	rd_add1(&f->rd[0], HDR, 16, false);
	serve(f);
	assert_int_equal(f->nr_broken, 1);
	assert_false(rd_pop_used(&f->rd[0], NULL, NULL));
	/* A reset mends it. */
	f->b->ops->stop(f->b);
	start(f, 0);
	assert_int_equal(request(f, VIRTIO_BLK_T_FLUSH, 0, 0, false, NULL), VIRTIO_BLK_S_OK);
	teardown(f);
}

static void the_largest_chain_is_served_direct_or_indirect(void **state __unused)
{
	struct fixture *f = setup((struct setup){ 0 });
	struct rd_buf buf[QUEUE] = { { HDR, 16, false } };
	uint32_t used;

	put_header(f, HDR, VIRTIO_BLK_T_IN, 0);
	for (unsigned i = 1; i < QUEUE - 1; i++)
		buf[i] = (struct rd_buf){ DATA + i * 4096, 512, true };
	buf[QUEUE - 1] = (struct rd_buf){ STATUS, 1, true };
	assert_int_equal(chain(f, buf, QUEUE, STATUS, &used), VIRTIO_BLK_S_OK);
	assert_int_equal(used, 254 * 512 + 1);
	for (unsigned i = 1; i < QUEUE - 1; i++)
		assert_memory_equal(at(f, DATA + i * 4096), f->rig.shadow + (i - 1) * 512, 512);
	memset(at(f, DATA), 0, DATA_LEN);
	*at(f, STATUS) = POISON;
	rd_add_indirect(&f->rd[0], 0x80000, buf, QUEUE);
	serve(f);
	assert_int_equal(*at(f, STATUS), VIRTIO_BLK_S_OK);
	assert_memory_equal(at(f, DATA + 254 * 4096), f->rig.shadow + 253 * 512, 512);
	teardown(f);
}

/* ---- many at once ---- */

/** Makes a read of one page available on queue q; header, status and data by number. */
static void add_read(struct fixture *f, unsigned q, unsigned i)
{
	struct rd_buf buf[3] = { { HDR + 0x2000 + i * 32, 16, false },
		{ DATA + i * 4096, 4096, true }, { HDR + 0x2000 + i * 32 + 16, 1, true } };

	put_header(f, buf[0].gpa, VIRTIO_BLK_T_IN, i * 8);
	*at(f, buf[2].gpa) = POISON;
	rd_add(&f->rd[q], buf, 3);
}

static bool read_is_good(struct fixture *f, unsigned i)
{
	return *at(f, HDR + 0x2000 + i * 32 + 16) == VIRTIO_BLK_S_OK &&
		!memcmp(at(f, DATA + i * 4096), f->rig.shadow + i * 4096, 4096);
}

static void *run_loop(void *arg)
{
	loop_run(arg);
	return NULL;
}

/* Chains wait in the ring for a slot, and each gets one, without another kick. */
static void more_requests_than_slots_are_all_served(void **state __unused)
{
	static const struct setup s[] = {
		{ .depth = 1 },
		{ .depth = 4, .nr_queues = 2 },
		{ .depth = 4, .nr_queues = 2, .direct = true },
		{ .depth = 2, .nr_queues = 2, .executor = BLOCK_EXEC_PLAIN },
	};

	for (size_t k = 0; k < ARRAY_SIZE(s); k++) {
		struct fixture *f = setup(s[k]);
		pthread_t t;

		for (unsigned i = 0; i < 80; i++)
			add_read(f, s[k].nr_queues == 2 ? i & 1 : 0, i);
		assert_int_equal(pthread_create(&t, NULL, run_loop, f->rig.loop), 0);
		rd_kick(&f->rd[0]);
		rd_kick(&f->rd[1]);
		for (unsigned i = 0; i < 80; i++)
			assert_true(
				rd_wait_used(&f->rd[s[k].nr_queues == 2 ? i & 1 : 0], NULL, NULL));
		for (unsigned i = 0; i < 80; i++)
			assert_true(read_is_good(f, i));
		loop_stop(f->rig.loop);
		pthread_join(t, NULL);
		teardown(f);
	}
}

static void a_batch_of_requests_gives_one_interrupt(void **state __unused)
{
	struct fixture *f = setup((struct setup){ .executor = BLOCK_EXEC_PLAIN });

	for (unsigned i = 0; i < 40; i++)
		add_read(f, 0, i);
	serve(f);
	assert_int_equal(rd_used_idx(&f->rd[0]), 40);
	assert_int_equal(f->nr_irqs, 1);
	teardown(f);
}

static void a_reset_with_requests_in_flight_leaves_guest_memory_alone(void **state __unused)
{
	static const struct setup s[] = { { .direct = true }, { .depth = 4 }, { 0 } };

	for (size_t k = 0; k < ARRAY_SIZE(s); k++) {
		struct fixture *f = setup(s[k]);
		pthread_t t;

		assert_int_equal(pthread_create(&t, NULL, run_loop, f->rig.loop), 0);
		for (unsigned round = 0; round < 50; round++) {
			for (unsigned i = 0; i < 80; i++)
				add_read(f, 0, i);
			rd_kick(&f->rd[0]);
			if (round & 1)
				usleep(100 * (round % 8));
			f->b->ops->stop(f->b);
			memset(f->gm.region[0].host, POISON, RAM);
			usleep(500);
			for (size_t i = 0; i < RAM; i += 64)
				assert_int_equal(*at(f, i), POISON);
			start(f, 0);
		}
		loop_stop(f->rig.loop);
		pthread_join(t, NULL);
		assert_int_equal(request(f, VIRTIO_BLK_T_FLUSH, 0, 0, false, NULL), 0);
		/* And the end of the machine, with more of them. */
		for (unsigned i = 0; i < 80; i++)
			add_read(f, 0, i);
		rd_kick(&f->rd[0]);
		teardown(f);
	}
}

static void a_drain_writes_what_the_guest_handed_over(void **state __unused)
{
	static const struct setup s[] = { { .depth = 1 }, { .executor = BLOCK_EXEC_PLAIN } };

	for (size_t k = 0; k < ARRAY_SIZE(s); k++) {
		struct fixture *f = setup(s[k]);

		/* Nobody runs the loop and nobody kicks. */
		for (unsigned i = 0; i < 80; i++)
			add_read(f, 0, i);
		for (unsigned i = 0; i < 5; i++) {
			struct rd_buf buf[3] = { { HDR + i * 64, 16, false },
				{ DATA + 0x80000 + i * 4096, 4096, false },
				{ HDR + i * 64 + 16, 1, true } };

			put_header(f, buf[0].gpa, VIRTIO_BLK_T_OUT, i * 8);
			memset(at(f, buf[1].gpa), (int)i + 1, 4096);
			memset(f->rig.shadow + i * 4096, (int)i + 1, 4096);
			rd_add(&f->rd[0], buf, 3);
		}
		f->b->ops->drain(f->b);
		block_rig_assert_file(&f->rig);
		assert_int_equal(rd_used_idx(&f->rd[0]), 85);
		teardown(f);
	}
}

/** One random request in a random framing; the shadow says what must come of it. */
static void random_request(struct fixture *f)
{
	struct block_rig *r = &f->rig;
	static const uint32_t types[] = { VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT,
		VIRTIO_BLK_T_WRITE_ZEROES };
	/* A flush is slow on a real disk: few of those. */
	uint32_t type = block_rig_rand(r, 100) ? types[block_rig_rand(r, ARRAY_SIZE(types))]
					       : VIRTIO_BLK_T_FLUSH;
	uint64_t sector = block_rig_rand(r, SECTORS + 2);
	uint32_t len = 512 * (1 + block_rig_rand(r, 40)), out = 16, in = 1, nr = 0, off = 0;
	bool fits = sector <= SECTORS && len / 512 <= SECTORS - sector;
	struct virtio_blk_discard_write_zeroes seg = { sector, len / 512, block_rig_rand(r, 2) };
	struct rd_buf buf[64];
	int status;
	uint32_t used;

	out += type == VIRTIO_BLK_T_OUT ? len : type == VIRTIO_BLK_T_WRITE_ZEROES ? 16 : 0;
	in += type == VIRTIO_BLK_T_IN ? len : 0;
	put_header(f, DATA, type, sector);
	for (uint32_t i = 16; i < out; i++)
		*at(f, DATA + i) = (uint8_t)block_rig_rand(r, 256);
	if (type == VIRTIO_BLK_T_WRITE_ZEROES)
		memcpy(at(f, DATA + 16), &seg, sizeof(seg));
	for (off = 0; off < out + in;) {
		uint32_t end = off < out ? out : out + in, n = 1 + block_rig_rand(r, 3000);

		n = MIN(n, end - off);
		buf[nr++] = (struct rd_buf){ DATA + off, n, off >= out };
		off += n;
	}
	status = chain(f, buf, nr, DATA + out + in - 1, &used);
	if (type != VIRTIO_BLK_T_FLUSH && !fits) {
		assert_int_equal(status, VIRTIO_BLK_S_IOERR);
		assert_int_equal(used, 1);
		return;
	}
	assert_int_equal(status, VIRTIO_BLK_S_OK);
	assert_int_equal(used, in);
	if (type == VIRTIO_BLK_T_IN)
		assert_memory_equal(at(f, DATA + out), r->shadow + sector * 512, len);
	else if (type == VIRTIO_BLK_T_OUT)
		memcpy(r->shadow + sector * 512, at(f, DATA + 16), len);
	else if (type == VIRTIO_BLK_T_WRITE_ZEROES)
		memset(r->shadow + sector * 512, 0, len);
}

static void ten_thousand_random_requests_agree_with_a_copy(void **state __unused)
{
	static const struct setup s[] = {
		{ .executor = BLOCK_EXEC_PLAIN, .tmpfs = true },
		{ .executor = BLOCK_EXEC_AUTO, .tmpfs = true },
		{ .executor = BLOCK_EXEC_AUTO, .direct = true },
	};

	for (size_t k = 0; k < ARRAY_SIZE(s); k++) {
		struct fixture *f = setup(s[k]);

		for (unsigned i = 0; i < (s[k].direct ? 1000 : 10000); i++)
			random_request(f);
		block_rig_assert_file(&f->rig);
		assert_int_equal(f->nr_broken, 0);
		teardown(f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_header_in_16_descriptors_is_a_header),
		cmocka_unit_test(header_and_data_may_share_a_descriptor),
		cmocka_unit_test(the_status_is_the_last_writable_byte_wherever_it_lies),
		cmocka_unit_test(a_request_of_the_wrong_shape_gets_an_error),
		cmocka_unit_test(a_request_without_room_for_a_status_breaks_the_device),
		cmocka_unit_test(the_largest_chain_is_served_direct_or_indirect),
		cmocka_unit_test(more_requests_than_slots_are_all_served),
		cmocka_unit_test(a_batch_of_requests_gives_one_interrupt),
		cmocka_unit_test(a_reset_with_requests_in_flight_leaves_guest_memory_alone),
		cmocka_unit_test(a_drain_writes_what_the_guest_handed_over),
		cmocka_unit_test(ten_thousand_random_requests_agree_with_a_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
