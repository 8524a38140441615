/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A block device over a file with a shadow copy, and the guest's side of its requests: shared
 * by the tests of virtio/blk.c. A guest's driver is in ring_driver.h.
 */
#pragma once

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

__unused static void on_needs_reset(void *ctx)
{
	struct fixture *f = ctx;

	f->nr_broken++;
	loop_stop(f->rig.loop);
}

__unused static int try_create(struct fixture *f, const struct setup *s, struct err *err)
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

__unused static void start(struct fixture *f, uint64_t features)
{
	struct virtio_ring ring[VIRTIO_BLK_MAX_QUEUES] = { 0 };

	for (unsigned i = 0; i < MIN(f->b->nr_queues, ARRAY_SIZE(f->rd)); i++) {
		rd_reset(&f->rd[i]);
		ring[i] = rd_ring(&f->rd[i]);
	}
	assert_int_equal(
		f->b->ops->start(f->b, f->b->features & (features ? features : ~0ULL), ring), 0);
}

__unused static struct fixture *setup(struct setup s)
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

__unused static void teardown(struct fixture *f)
{
	if (f->b)
		f->b->ops->destroy(f->b);
	for (unsigned i = 0; i < ARRAY_SIZE(f->rd); i++)
		rd_fini(&f->rd[i]);
	rd_free_ram(&f->gm);
	block_rig_fini(&f->rig);
	free(f);
}

__unused static uint8_t *at(struct fixture *f, gpa_t gpa)
{
	return rd_at(&f->rd[0], gpa, 1);
}

__unused static void on_irq(struct watch *w, uint32_t events __unused)
{
	struct fixture *f = container_of(w, struct fixture, irq);

	f->nr_irqs += rd_irqs(&f->rd[0]);
	loop_stop(f->rig.loop);
}

/** Kicks queue 0 and runs the loop until it interrupts or breaks. */
__unused static void serve(struct fixture *f)
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

__unused static void put_header(struct fixture *f, gpa_t gpa, uint32_t type, uint64_t sector)
{
	struct virtio_blk_outhdr h = { .type = type, .sector = sector };

	assert_int_equal(gm_write(&f->gm, gpa, &h, sizeof(h)), 0);
}

/**
 * One request in the usual framing, data of len bytes at DATA. Returns its status, POISON when
 * it got none, and the used length.
 */
__unused static int request(struct fixture *f, uint32_t type, uint64_t sector, uint32_t len,
	bool to_guest, uint32_t *ret_used)
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

__unused static int segments(struct fixture *f, uint32_t type,
	const struct virtio_blk_discard_write_zeroes *seg, unsigned n)
{
	memcpy(at(f, DATA), seg, n * sizeof(*seg));
	return request(f, type, 0, n * (uint32_t)sizeof(*seg), false, NULL);
}
