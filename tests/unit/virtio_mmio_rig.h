/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One virtio-mmio device on a bus of its own, over a backend that only records what it is
 * told and does what a test wants of it. For the tests and the fuzzer of virtio-mmio.
 */
#pragma once

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/base.h"
#include "base/err.h"
#include "base/fd.h"
#include "bus/bus.h"
#include "virtio-mmio/mmio.h"
#include "virtio/virtio.h"

#define RIG_BASE       0xd0000000ULL
#define RIG_QUEUES     3
#define RIG_QUEUE_MAX  256
#define RIG_CONFIG_LEN 10 /* not a multiple of a word, on purpose */
#define RIG_FEATURES   (VIRTIO_COMMON_FEATURES | BIT(5) | BIT(40))
#define RIG_DEVICE_ID  2

struct rig {
	struct virtio_backend b;
	struct virtio_mmio *m;
	struct bus bus;
	struct irq_line line;
	uint8_t page[VIRTIO_MMIO_PAGE] __attribute__((aligned(VIRTIO_MMIO_PAGE)));

	/* What the backend was told. */
	unsigned nr_start, nr_stop, nr_config_write, nr_drain, nr_destroy;
	bool running, out_of_turn; /* started twice, or stopped while not running */
	uint64_t features;
	struct virtio_ring ring[VIRTIO_MAX_QUEUES];
	unsigned write_off, write_len;
	uint64_t write_value;

	/* What it does. */
	int start_rc;
	bool answers_config; /* applies config writes and says config_changed */
	uint8_t config[VIRTIO_MAX_CONFIG];
	void (*in_start)(struct rig *r);
	void (*in_stop)(struct rig *r);
	void (*clean)(const void *p, size_t len); /* of the page */
};

static inline struct rig *rig_of(struct virtio_backend *b)
{
	return container_of(b, struct rig, b);
}

static inline int rig_start(
	struct virtio_backend *b, uint64_t features, const struct virtio_ring *rings)
{
	struct rig *r = rig_of(b);

	r->nr_start++;
	r->out_of_turn |= r->running;
	r->features = features;
	memcpy(r->ring, rings, b->nr_queues * sizeof(*rings));
	if (r->in_start)
		r->in_start(r);
	r->running = !r->start_rc;
	return r->start_rc;
}

static inline void rig_stop(struct virtio_backend *b)
{
	struct rig *r = rig_of(b);

	r->nr_stop++;
	r->out_of_turn |= !r->running;
	if (r->in_stop)
		r->in_stop(r);
	r->running = false;
}

static inline void rig_config_write(
	struct virtio_backend *b, unsigned off, const void *data, unsigned len)
{
	struct rig *r = rig_of(b);

	r->nr_config_write++;
	r->write_off = off;
	r->write_len = len;
	r->write_value = 0;
	memcpy(&r->write_value, data, len);
	/* The transport promised to stay inside config_len; an overrun shows under ASan. */
	if (r->answers_config) {
		memcpy(r->config + off, data, len);
		b->events.config_changed(b->events.ctx, r->config, b->config_len);
	}
}

static inline void rig_drain(struct virtio_backend *b)
{
	rig_of(b)->nr_drain++;
}

static inline void rig_destroy(struct virtio_backend *b)
{
	rig_of(b)->nr_destroy++;
}

/** Fills the backend; a test may change it before rig_plug. */
static inline struct rig *rig_new(void)
{
	static const struct virtio_backend_ops ops = { .start = rig_start,
		.stop = rig_stop,
		.config_write = rig_config_write,
		.drain = rig_drain,
		.destroy = rig_destroy };
	struct rig *r = aligned_alloc(VIRTIO_MMIO_PAGE, sizeof(*r));

	if (!r)
		abort();
	memset(r, 0, sizeof(*r));
	r->b = (struct virtio_backend){ .ops = &ops,
		.name = "rig",
		.device_id = RIG_DEVICE_ID,
		.features = RIG_FEATURES,
		.nr_queues = RIG_QUEUES,
		.queue_size_max = RIG_QUEUE_MAX,
		.config_len = RIG_CONFIG_LEN };
	for (unsigned i = 0; i < RIG_CONFIG_LEN; i++)
		r->b.config[i] = r->config[i] = (uint8_t)(0xa0 + i);
	r->line = (struct irq_line){ .fd = fd_event(), .gsi = 5 };
	return r;
}

static inline int rig_plug(struct rig *r, const struct doorbell *db, int ack_fd)
{
	struct mmio_page page = { .bytes = r->page, .clean = r->clean };
	struct err err;

	return virtio_mmio_create(
		&r->b, &page, RIG_BASE, &r->line, db, ack_fd, &r->bus, &r->m, &err);
}

static inline void rig_free(struct rig *r)
{
	virtio_mmio_destroy(r->m);
	fd_close(&r->line.fd);
	free(r);
}

/* ---- what a driver does ---- */

static inline void rig_write(struct rig *r, unsigned off, uint32_t v)
{
	bus_write(&r->bus, RIG_BASE + off, &v, sizeof(v));
}

static inline uint32_t rig_read(struct rig *r, unsigned off)
{
	uint32_t v = 0;

	bus_read(&r->bus, RIG_BASE + off, &v, sizeof(v));
	return v;
}

static inline void rig_accept(struct rig *r, uint64_t features)
{
	rig_write(r, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	rig_write(r, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)features);
	rig_write(r, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	rig_write(r, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32));
}

static inline void rig_queue(struct rig *r, unsigned q, uint32_t size)
{
	rig_write(r, VIRTIO_MMIO_QUEUE_SEL, q);
	rig_write(r, VIRTIO_MMIO_QUEUE_NUM, size);
	rig_write(r, VIRTIO_MMIO_QUEUE_DESC_LOW, 0x1000 * (q + 1));
	rig_write(r, VIRTIO_MMIO_QUEUE_DESC_HIGH, 0x10 + q);
	rig_write(r, VIRTIO_MMIO_QUEUE_AVAIL_LOW, 0x2000 * (q + 1));
	rig_write(r, VIRTIO_MMIO_QUEUE_AVAIL_HIGH, 0x20 + q);
	rig_write(r, VIRTIO_MMIO_QUEUE_USED_LOW, 0x3000 * (q + 1));
	rig_write(r, VIRTIO_MMIO_QUEUE_USED_HIGH, 0x30 + q);
	rig_write(r, VIRTIO_MMIO_QUEUE_READY, 1);
}

/** The whole of section 3.1.1, with all features and queues. */
static inline void rig_boot(struct rig *r)
{
	rig_write(r, VIRTIO_MMIO_STATUS, 0);
	rig_write(r, VIRTIO_MMIO_STATUS, 1);
	rig_write(r, VIRTIO_MMIO_STATUS, 3);
	rig_accept(r, r->b.features);
	rig_write(r, VIRTIO_MMIO_STATUS, 0xb);
	for (unsigned q = 0; q < r->b.nr_queues; q++)
		rig_queue(r, q, r->b.queue_size_max);
	rig_write(r, VIRTIO_MMIO_STATUS, 0xf);
}
