// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio/blk.c: what the device says of itself, and requests good and bad.
 */
#include "tests/unit/blk_guest.h"

/* ---- what the device says ---- */

static struct virtio_blk_config config_of(const struct fixture *f)
{
	struct virtio_blk_config c = { 0 };

	memcpy(&c, f->b->config, MIN(f->b->config_len, sizeof(c)));
	return c;
}

static void a_writable_disk_offers_what_it_can(void **state __unused)
{
	struct fixture *f = setup((struct setup){ .nr_queues = 2, .block_size = 4096 });
	struct virtio_blk_config c = config_of(f);

	assert_true(f->b->features ==
		(VIRTIO_COMMON_FEATURES | BIT(VIRTIO_BLK_F_SEG_MAX) | BIT(VIRTIO_BLK_F_BLK_SIZE) |
			BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_MQ) | BIT(VIRTIO_BLK_F_DISCARD) |
			BIT(VIRTIO_BLK_F_WRITE_ZEROES)));
	assert_int_equal(f->b->device_id, 2);
	assert_int_equal(f->b->queue_size_max, QUEUE);
	assert_int_equal(f->b->nr_queues, 2);
	assert_int_equal(f->b->config_len, 60);
	assert_int_equal(c.capacity, SECTORS);
	assert_int_equal(c.seg_max, 254);
	assert_int_equal(c.blk_size, 4096);
	assert_int_equal(c.num_queues, 2);
	assert_int_equal(c.max_discard_sectors, 1 << 21);
	assert_int_equal(c.max_discard_seg, 16);
	assert_int_equal(c.discard_sector_alignment, 8);
	assert_int_equal(c.max_write_zeroes_sectors, 1 << 17);
	assert_int_equal(c.max_write_zeroes_seg, 1);
	assert_int_equal(c.write_zeroes_may_unmap, 1);
	teardown(f);
}

static void a_read_only_disk_offers_no_way_to_write(void **state __unused)
{
	struct fixture *f = setup((struct setup){ .ro = true });
	struct virtio_blk_config c = config_of(f);

	assert_true(f->b->features ==
		(VIRTIO_COMMON_FEATURES | BIT(VIRTIO_BLK_F_SEG_MAX) | BIT(VIRTIO_BLK_F_BLK_SIZE) |
			BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_RO)));
	assert_int_equal(c.max_discard_sectors | c.max_write_zeroes_sectors | c.num_queues, 0);
	teardown(f);
}

static void a_serial_of_20_bytes_is_answered_whole(void **state __unused)
{
	struct fixture *f = setup((struct setup){ .serial = "12345678901234567890" });
	uint32_t used;

	assert_int_equal(request(f, VIRTIO_BLK_T_GET_ID, 0, 20, true, &used), VIRTIO_BLK_S_OK);
	assert_int_equal(used, 21);
	assert_memory_equal(at(f, DATA), "12345678901234567890", 20);
	/* A buffer of another length: what fits, and no byte behind what is told. */
	memset(at(f, DATA), POISON, 64);
	assert_int_equal(request(f, VIRTIO_BLK_T_GET_ID, 0, 5, true, &used), VIRTIO_BLK_S_OK);
	assert_int_equal(used, 6);
	assert_memory_equal(at(f, DATA), "12345\xee", 6);
	assert_int_equal(request(f, VIRTIO_BLK_T_GET_ID, 0, 64, true, &used), VIRTIO_BLK_S_OK);
	assert_int_equal(used, 21);
	assert_memory_equal(at(f, DATA), "12345678901234567890\0\xee", 22);
	assert_int_equal(request(f, VIRTIO_BLK_T_GET_ID, 0, 20, false, &used), VIRTIO_BLK_S_IOERR);
	teardown(f);
}

static void a_short_serial_is_padded_with_zeroes(void **state __unused)
{
	struct fixture *f = setup((struct setup){ .serial = "root" });

	memset(at(f, DATA), POISON, 20);
	assert_int_equal(request(f, VIRTIO_BLK_T_GET_ID, 0, 20, true, NULL), VIRTIO_BLK_S_OK);
	assert_memory_equal(at(f, DATA), "root\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
	teardown(f);
}

static void a_serial_of_21_bytes_is_refused(void **state __unused)
{
	struct fixture *f = setup((struct setup){ 0 });
	struct setup s = { .serial = "123456789012345678901" };
	struct err err = { "" };

	f->b->ops->destroy(f->b);
	f->b = NULL;
	loop_destroy(f->rig.loop);
	assert_int_equal(try_create(f, &s, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "--block: "));
	assert_non_null(strstr(err.msg, "longer than 20 bytes"));
	f->b = NULL;
	teardown(f);
}

/* ---- data ---- */

static void sectors_go_both_ways(void **state __unused)
{
	struct fixture *f = setup((struct setup){ 0 });
	uint32_t used;

	assert_int_equal(request(f, VIRTIO_BLK_T_IN, 3, 8192, true, &used), VIRTIO_BLK_S_OK);
	assert_int_equal(used, 8193);
	assert_memory_equal(at(f, DATA), f->rig.shadow + 3 * 512, 8192);
	memset(at(f, DATA), 0x42, 1024);
	assert_int_equal(request(f, VIRTIO_BLK_T_OUT, 7, 1024, false, &used), VIRTIO_BLK_S_OK);
	assert_int_equal(used, 1);
	memset(f->rig.shadow + 7 * 512, 0x42, 1024);
	block_rig_assert_file(&f->rig);
	assert_int_equal(request(f, VIRTIO_BLK_T_FLUSH, 0, 0, false, &used), VIRTIO_BLK_S_OK);
	assert_int_equal(used, 1);
	/* No data at all is a multiple of 512 too. */
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, SECTORS, 0, true, &used), VIRTIO_BLK_S_OK);
	teardown(f);
}

static void the_last_sector_can_be_reached_and_none_behind_it(void **state __unused)
{
	static const struct {
		uint64_t sector;
		uint32_t len;
		int status;
	} c[] = {
		{ SECTORS - 1, 512, VIRTIO_BLK_S_OK },
		{ 0, IMAGE, VIRTIO_BLK_S_OK },
		{ SECTORS, 512, VIRTIO_BLK_S_IOERR },
		{ SECTORS - 1, 1024, VIRTIO_BLK_S_IOERR },
		{ 1, IMAGE, VIRTIO_BLK_S_IOERR },
		{ SECTORS + 1, 0, VIRTIO_BLK_S_IOERR },
		{ UINT64_MAX, 512, VIRTIO_BLK_S_IOERR },
		{ UINT64_MAX / 512 + 1, 512, VIRTIO_BLK_S_IOERR }, /* wraps to sector 0 */
		{ 0, 511, VIRTIO_BLK_S_IOERR },
		{ 0, 513, VIRTIO_BLK_S_IOERR },
	};
	struct fixture *f = setup((struct setup){ 0 });

	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		uint32_t used;

		memset(at(f, DATA), POISON, DATA_LEN);
		assert_int_equal(request(f, VIRTIO_BLK_T_IN, c[i].sector, c[i].len, true, &used),
			c[i].status);
		assert_int_equal(used, c[i].status ? 1 : c[i].len + 1);
		if (c[i].status && c[i].len)
			assert_int_equal(*at(f, DATA + 1), POISON);
		if (c[i].status) /* must not reach the file, nor make it longer */
			assert_int_equal(
				request(f, VIRTIO_BLK_T_OUT, c[i].sector, c[i].len, false, NULL),
				c[i].status);
	}
	block_rig_assert_file(&f->rig);
	teardown(f);
}

static void a_disk_of_4096_byte_blocks_still_takes_single_sectors(void **state __unused)
{
	struct fixture *f = setup((struct setup){ .block_size = 4096 });

	assert_int_equal(request(f, VIRTIO_BLK_T_IN, 1, 512, true, NULL), VIRTIO_BLK_S_OK);
	assert_memory_equal(at(f, DATA), f->rig.shadow + 512, 512);
	teardown(f);
}

static void a_failed_read_tells_only_of_bytes_that_were_written(void **state __unused)
{
	static const enum block_executor executor[] = { BLOCK_EXEC_PLAIN, BLOCK_EXEC_AUTO };

	for (size_t i = 0; i < ARRAY_SIZE(executor); i++) {
		struct fixture *f = setup((struct setup){ .executor = executor[i] });
		uint32_t used;

		assert_int_equal(ftruncate(f->rig.fd, 1000), 0);
		memset(at(f, DATA), POISON, 4096);
		assert_int_equal(
			request(f, VIRTIO_BLK_T_IN, 0, 4096, true, &used), VIRTIO_BLK_S_IOERR);
		assert_int_equal(used, 1001);
		assert_memory_equal(at(f, DATA), f->rig.shadow, 1000);
		assert_int_equal(*at(f, DATA + 1000), 0);
		assert_int_equal(*at(f, DATA + 1001), POISON);
		teardown(f);
	}
}

static void a_read_only_disk_is_not_written_whatever_the_guest_agreed_to(void **state __unused)
{
	/* The driver ignores RO: class "read-only not enforced unless negotiated". */
	struct fixture *f = setup((struct setup){ .ro = true, .features = BIT(32) });
	struct virtio_blk_discard_write_zeroes seg = { .num_sectors = 8 };

	assert_int_equal(request(f, VIRTIO_BLK_T_OUT, 0, 512, false, NULL), VIRTIO_BLK_S_IOERR);
	assert_int_equal(segments(f, VIRTIO_BLK_T_DISCARD, &seg, 1), VIRTIO_BLK_S_IOERR);
	assert_int_equal(segments(f, VIRTIO_BLK_T_WRITE_ZEROES, &seg, 1), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(f, VIRTIO_BLK_T_FLUSH, 0, 0, false, NULL), VIRTIO_BLK_S_OK);
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, 0, 512, true, NULL), VIRTIO_BLK_S_OK);
	block_rig_assert_file(&f->rig);
	teardown(f);
}

static void a_host_that_cannot_write_gives_an_error(void **state __unused)
{
	struct fixture *f = setup((struct setup){ .executor = BLOCK_EXEC_PLAIN });
	struct rlimit old, limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, SIG_IGN);
	limit = (struct rlimit){ 4096, old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(request(f, VIRTIO_BLK_T_OUT, 7, 8192, false, NULL), VIRTIO_BLK_S_IOERR);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(f->nr_broken, 0);
	teardown(f);
}

/* ---- discard and write zeroes ---- */

static void several_segments_are_discarded_in_one_request(void **state __unused)
{
	static const enum block_executor executor[] = { BLOCK_EXEC_PLAIN, BLOCK_EXEC_AUTO };

	for (size_t i = 0; i < ARRAY_SIZE(executor); i++) {
		struct fixture *f = setup((struct setup){ .executor = executor[i] });
		struct virtio_blk_discard_write_zeroes seg[17];

		for (unsigned k = 0; k < 17; k++)
			seg[k] = (struct virtio_blk_discard_write_zeroes){ .sector = k * 100,
				.num_sectors = k % 4 ? k : 0 };
		assert_int_equal(segments(f, VIRTIO_BLK_T_DISCARD, seg, 17), VIRTIO_BLK_S_IOERR);
		block_rig_assert_file(&f->rig);
		assert_int_equal(segments(f, VIRTIO_BLK_T_DISCARD, seg, 16), VIRTIO_BLK_S_OK);
		for (unsigned k = 0; k < 16; k++)
			memset(f->rig.shadow + k * 51200, 0, k % 4 ? k * 512 : 0);
		block_rig_assert_file(&f->rig);
		teardown(f);
	}
}

static void zeroes_are_written(void **state __unused)
{
	struct fixture *f = setup((struct setup){ 0 });
	struct virtio_blk_discard_write_zeroes seg[2] = { { .sector = 5, .num_sectors = 77 },
		{ .sector = 100, .num_sectors = 1, .flags = VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP } };

	assert_int_equal(segments(f, VIRTIO_BLK_T_WRITE_ZEROES, &seg[0], 1), VIRTIO_BLK_S_OK);
	memset(f->rig.shadow + 5 * 512, 0, 77 * 512);
	block_rig_assert_file(&f->rig);
	assert_int_equal(segments(f, VIRTIO_BLK_T_WRITE_ZEROES, &seg[1], 1), VIRTIO_BLK_S_OK);
	memset(f->rig.shadow + 100 * 512, 0, 512);
	block_rig_assert_file(&f->rig);
	/* max_write_zeroes_seg is 1 */
	seg[0].sector = 200;
	assert_int_equal(segments(f, VIRTIO_BLK_T_WRITE_ZEROES, seg, 2), VIRTIO_BLK_S_IOERR);
	block_rig_assert_file(&f->rig);
	teardown(f);
}

static void bad_segments_are_refused_before_any_is_carried_out(void **state __unused)
{
	static const struct {
		uint32_t type;
		struct virtio_blk_discard_write_zeroes seg;
		int status;
	} c[] = {
		{ VIRTIO_BLK_T_DISCARD, { 0, 1, 1 }, VIRTIO_BLK_S_UNSUPP },
		{ VIRTIO_BLK_T_DISCARD, { 0, 1, 2 }, VIRTIO_BLK_S_UNSUPP },
		{ VIRTIO_BLK_T_DISCARD, { SECTORS, 1, 0 }, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_DISCARD, { SECTORS - 1, 2, 0 }, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_DISCARD, { UINT64_MAX, 1, 0 }, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_DISCARD, { UINT64_MAX / 512 + 1, 1, 0 }, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_DISCARD, { 0, UINT32_MAX, 0 }, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_WRITE_ZEROES, { 0, 1, 2 }, VIRTIO_BLK_S_UNSUPP },
		{ VIRTIO_BLK_T_WRITE_ZEROES, { 0, 1, 1U << 31 }, VIRTIO_BLK_S_UNSUPP },
		{ VIRTIO_BLK_T_WRITE_ZEROES, { SECTORS, 1, 0 }, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_WRITE_ZEROES, { 1, SECTORS, 0 }, VIRTIO_BLK_S_IOERR },
	};
	struct fixture *f = setup((struct setup){ 0 });

	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		struct virtio_blk_discard_write_zeroes seg[2] = { { 0, 8, 0 }, c[i].seg };
		bool zeroes = c[i].type == VIRTIO_BLK_T_WRITE_ZEROES;

		assert_int_equal(segments(f, c[i].type, seg + zeroes, zeroes ? 1 : 2), c[i].status);
	}
	/* Not whole segments, and none. */
	assert_int_equal(request(f, VIRTIO_BLK_T_DISCARD, 0, 17, false, NULL), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(f, VIRTIO_BLK_T_DISCARD, 0, 15, false, NULL), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(f, VIRTIO_BLK_T_DISCARD, 0, 0, false, NULL), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(f, VIRTIO_BLK_T_DISCARD, 0, 16, true, NULL), VIRTIO_BLK_S_IOERR);
	block_rig_assert_file(&f->rig);
	assert_int_equal(f->nr_broken, 0);
	teardown(f);
}

/* A range inside of a disk of any size, but more than one request may ask for. */
static void a_segment_over_the_limit_is_refused_on_a_large_disk(void **state __unused)
{
	struct fixture *f = setup((struct setup){ 0 });
	struct virtio_blk_discard_write_zeroes seg = { .num_sectors = (1U << 17) + 1 };
	struct err err;
	struct setup s = { 0 };

	f->b->ops->destroy(f->b);
	loop_destroy(f->rig.loop);
	assert_int_equal(ftruncate(f->rig.fd, 2 * (off_t)GIB), 0);
	assert_int_equal(try_create(f, &s, &err), 0);
	start(f, 0);
	assert_int_equal(segments(f, VIRTIO_BLK_T_WRITE_ZEROES, &seg, 1), VIRTIO_BLK_S_IOERR);
	seg.num_sectors = (1U << 21) + 1;
	assert_int_equal(segments(f, VIRTIO_BLK_T_DISCARD, &seg, 1), VIRTIO_BLK_S_IOERR);
	block_rig_assert_file(&f->rig);
	teardown(f);
}

static void what_was_not_agreed_on_is_unsupported(void **state __unused)
{
	struct fixture *f = setup((struct setup){ .features = BIT(32) });
	struct virtio_blk_discard_write_zeroes seg = { .num_sectors = 8 };

	assert_int_equal(segments(f, VIRTIO_BLK_T_DISCARD, &seg, 1), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(segments(f, VIRTIO_BLK_T_WRITE_ZEROES, &seg, 1), VIRTIO_BLK_S_UNSUPP);
	/* Without FLUSH a write is stable when it is done: the way through its second step. */
	memset(at(f, DATA), 1, 512);
	assert_int_equal(request(f, VIRTIO_BLK_T_OUT, 0, 512, false, NULL), VIRTIO_BLK_S_OK);
	memset(f->rig.shadow, 1, 512);
	block_rig_assert_file(&f->rig);
	teardown(f);
}

static void an_unknown_type_is_unsupported(void **state __unused)
{
	static const uint32_t type[] = { 2, 3, 5, 14, 15, 0x80000001, UINT32_MAX };
	struct fixture *f = setup((struct setup){ 0 });

	for (size_t i = 0; i < ARRAY_SIZE(type); i++) {
		uint32_t used;

		assert_int_equal(request(f, type[i], 0, 512, true, &used), VIRTIO_BLK_S_UNSUPP);
		assert_int_equal(used, 1);
	}
	block_rig_assert_file(&f->rig);
	teardown(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_writable_disk_offers_what_it_can),
		cmocka_unit_test(a_read_only_disk_offers_no_way_to_write),
		cmocka_unit_test(a_serial_of_20_bytes_is_answered_whole),
		cmocka_unit_test(a_short_serial_is_padded_with_zeroes),
		cmocka_unit_test(a_serial_of_21_bytes_is_refused),
		cmocka_unit_test(sectors_go_both_ways),
		cmocka_unit_test(the_last_sector_can_be_reached_and_none_behind_it),
		cmocka_unit_test(a_disk_of_4096_byte_blocks_still_takes_single_sectors),
		cmocka_unit_test(a_failed_read_tells_only_of_bytes_that_were_written),
		cmocka_unit_test(a_read_only_disk_is_not_written_whatever_the_guest_agreed_to),
		cmocka_unit_test(a_host_that_cannot_write_gives_an_error),
		cmocka_unit_test(several_segments_are_discarded_in_one_request),
		cmocka_unit_test(zeroes_are_written),
		cmocka_unit_test(bad_segments_are_refused_before_any_is_carried_out),
		cmocka_unit_test(a_segment_over_the_limit_is_refused_on_a_large_disk),
		cmocka_unit_test(what_was_not_agreed_on_is_unsupported),
		cmocka_unit_test(an_unknown_type_is_unsupported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
