// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio/blk.c: what the device says of itself, requests good and bad in any framing, and
 * resets with requests in flight. A guest's driver is in ring_driver.h.
 */
#include "tests/unit/block_rig.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#include "tests/unit/ring_driver.h"
#include "virtio/blk.h"

#define IMAGE    (1 * MIB)
#define SECTORS  (IMAGE / 512)
#define RAM      (4 * MIB)
#define HDR      0x100000ULL /* where requests have their parts */
#define STATUS   0x101000ULL
#define DATA     0x200000ULL
#define DATA_LEN 0x100000ULL
#define QUEUE    256

#define POISON 0xee

struct fixture {
	struct block_rig rig; /* file and shadow; the image is the device's */
	struct guest_memory gm;
	struct ring_driver rd[2];
	struct virtio_backend *b;
	struct watch irq;
	uint64_t nr_irqs;
	unsigned nr_broken;
};

struct setup {
	enum block_executor executor;
	bool ro, direct, tmpfs;
	unsigned depth, nr_queues;
	const char *serial;
	uint64_t features; /* 0: all that is offered */
	uint32_t block_size;
};

static void on_needs_reset(void *ctx)
{
	struct fixture *f = ctx;

	f->nr_broken++;
	loop_stop(f->rig.loop);
}

static int try_create(struct fixture *f, const struct setup *s, struct err *err)
{
	struct block_config cfg = { .path = f->rig.path,
		.ro = s->ro,
		.direct = s->direct,
		.sparse = true,
		.block_size = s->block_size ? s->block_size : 512,
		.executor = s->executor,
		.depth = s->depth ? s->depth : 64 };
	struct virtio_blk_options opt = { .serial = s->serial,
		.nr_queues = s->nr_queues ? s->nr_queues : 1 };
	struct block *image;

	assert_int_equal(loop_create(&f->rig.loop, err), 0);
	assert_int_equal(block_open(&cfg, &image, err), 0);
	return virtio_blk_create(image, &opt, &f->gm, f->rig.loop, &f->b, err);
}

static void start(struct fixture *f, uint64_t features)
{
	struct virtio_ring ring[VIRTIO_BLK_MAX_QUEUES] = { 0 };

	for (unsigned i = 0; i < MIN(f->b->nr_queues, ARRAY_SIZE(f->rd)); i++) {
		rd_reset(&f->rd[i]);
		ring[i] = rd_ring(&f->rd[i]);
	}
	assert_int_equal(
		f->b->ops->start(f->b, f->b->features & (features ? features : ~0ULL), ring), 0);
}

static struct fixture *setup(struct setup s)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err err = { "" };

	assert_non_null(f);
	block_rig_file(&f->rig, s.tmpfs, IMAGE);
	rd_add_ram(&f->gm, 0, RAM);
	rd_init(&f->rd[0], &f->gm, 0x1000, QUEUE);
	rd_init(&f->rd[1], &f->gm, 0x10000, QUEUE);
	if (try_create(f, &s, &err))
		fail_msg("%s", err.msg);
	f->b->events = (struct virtio_events){ .needs_reset = on_needs_reset, .ctx = f };
	start(f, s.features);
	return f;
}

static void teardown(struct fixture *f)
{
	if (f->b)
		f->b->ops->destroy(f->b);
	for (unsigned i = 0; i < ARRAY_SIZE(f->rd); i++)
		rd_fini(&f->rd[i]);
	rd_free_ram(&f->gm);
	block_rig_fini(&f->rig);
	free(f);
}

static uint8_t *at(struct fixture *f, gpa_t gpa)
{
	return rd_at(&f->rd[0], gpa, 1);
}

static void on_irq(struct watch *w, uint32_t events __unused)
{
	struct fixture *f = container_of(w, struct fixture, irq);

	f->nr_irqs += rd_irqs(&f->rd[0]);
	loop_stop(f->rig.loop);
}

/** Kicks queue 0 and runs the loop until it interrupts or breaks. */
static void serve(struct fixture *f)
{
	struct ring_driver *rd = &f->rd[0];

	rd_irqs(rd); /* of before */
	rd_set_used_event(rd, rd->last_used);
	rd_kick(rd);
	assert_int_equal(loop_add(f->rig.loop, &f->irq, rd->call_fd, EPOLLIN, on_irq), 0);
	alarm(20);
	loop_run(f->rig.loop);
	alarm(0);
	loop_del(f->rig.loop, &f->irq);
}

static void put_header(struct fixture *f, gpa_t gpa, uint32_t type, uint64_t sector)
{
	struct virtio_blk_outhdr h = { .type = type, .sector = sector };

	assert_int_equal(gm_write(&f->gm, gpa, &h, sizeof(h)), 0);
}

/**
 * One request in the usual framing, data of len bytes at DATA. Returns its status, POISON when
 * it got none, and the used length.
 */
static int request(struct fixture *f, uint32_t type, uint64_t sector, uint32_t len, bool to_guest,
	uint32_t *ret_used)
{
	struct rd_buf buf[3] = { { HDR, 16, false }, { DATA, len, to_guest }, { STATUS, 1, true } };
	uint32_t used = 0;
	uint16_t head, got;

	put_header(f, HDR, type, sector);
	*at(f, STATUS) = POISON;
	if (!len)
		buf[1] = buf[2];
	head = rd_add(&f->rd[0], buf, len ? 3 : 2);
	serve(f);
	if (rd_pop_used(&f->rd[0], &got, &used))
		assert_int_equal(got, head);
	if (ret_used)
		*ret_used = used;
	return *at(f, STATUS);
}

static int segments(struct fixture *f, uint32_t type,
	const struct virtio_blk_discard_write_zeroes *seg, unsigned n)
{
	memcpy(at(f, DATA), seg, n * sizeof(*seg));
	return request(f, type, 0, n * (uint32_t)sizeof(*seg), false, NULL);
}

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
