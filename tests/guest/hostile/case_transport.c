// SPDX-License-Identifier: BSD-3-Clause
/*
 * Attacks on the order of things: status, features, queues, kicks, interrupts and resets.
 */
#include "tests/guest/hostile/hostile.h"

/*
 * Of kicks and of acknowledgements, for all devices together: each is an exit, and one of ten
 * kicks wakes a device.
 */
#define TRANSPORT_KICKS  100000
#define TRANSPORT_ACKS   20000
#define TRANSPORT_RESETS 48
/* Any place where no queue is set up. */
#define TRANSPORT_ABSENT 60

/* ---- status ---- */

/** Each value there is, one after another, without a reset but that of 0. */
static const char *transport_status_values(struct dev *d, unsigned q __unused, unsigned v __unused)
{
	const char *why = dev_reset(d);

	for (uint32_t s = 256; !why && s-- > 0;) {
		uint32_t now;

		reg_set(d, VIRTIO_MMIO_STATUS, s);
		now = reg_get(d, VIRTIO_MMIO_STATUS);
		/* No VERSION_1 was agreed. */
		if (now & (VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK))
			why = "a status without features is accepted";
		else if (now & VIRTIO_CONFIG_S_NEEDS_RESET)
			why = "the driver sets DEVICE_NEEDS_RESET";
	}
	return why;
}

static const char *transport_status_orders(struct dev *d, unsigned q __unused, unsigned v __unused)
{
	static const uint32_t bits[] = { VIRTIO_CONFIG_S_DRIVER_OK, VIRTIO_CONFIG_S_FEATURES_OK,
		VIRTIO_CONFIG_S_DRIVER, VIRTIO_CONFIG_S_ACKNOWLEDGE, VIRTIO_CONFIG_S_FAILED };

	for (unsigned i = 0; i < 1U << ARRAY_SIZE(bits); i++) {
		const char *why = dev_begin(d, UINT64_MAX);
		uint32_t status = 0;

		if (!why)
			why = dev_reset(d);
		if (why)
			return why;
		for (unsigned b = 0; b < ARRAY_SIZE(bits); b++) {
			status |= i & 1U << b ? bits[b] : 0;
			if (status)
				reg_set(d, VIRTIO_MMIO_STATUS, status);
		}
		if (reg_get(d, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_DRIVER_OK)
			return "DRIVER_OK without FEATURES_OK";
	}
	return NULL;
}

/** Bits that go away again: all but a reset is ignored (2.1.1). */
static const char *transport_status_cleared(struct dev *d, unsigned q __unused, unsigned v __unused)
{
	const char *why = dev_start(d);
	uint32_t status = reg_get(d, VIRTIO_MMIO_STATUS);

	for (uint32_t s = 1; !why && s < 256; s++) {
		if (!(status & ~s & 0xff))
			continue; /* that one only adds FAILED, or nothing */
		reg_set(d, VIRTIO_MMIO_STATUS, s);
		if (reg_get(d, VIRTIO_MMIO_STATUS) != status)
			why = "the status loses bits without a reset";
	}
	return why ? why : d->kind->good(d);
}

/** DRIVER_OK again and again starts nothing twice. */
static const char *transport_driver_ok_again(
	struct dev *d, unsigned q __unused, unsigned v __unused)
{
	const char *why = dev_start(d);

	for (unsigned i = 0; !why && i < 100; i++)
		dev_driver_ok(d);
	return why ? why : d->kind->good(d);
}

/* ---- features ---- */

/** Each feature that is not offered, alone with what a driver must have. */
static const char *transport_features_foreign(
	struct dev *d, unsigned q __unused, unsigned v __unused)
{
	const char *why = dev_begin(d, UINT64_MAX);
	uint64_t offered = d->features;

	for (unsigned bit = 0; !why && bit < 64; bit++) {
		uint64_t f = BIT(bit) | BIT(VIRTIO_F_VERSION_1);

		if (offered & BIT(bit))
			continue;
		why = dev_reset(d);
		for (unsigned i = 0; i < 2; i++) {
			reg_set(d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, i);
			reg_set(d, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(f >> (32 * i)));
		}
		reg_set(d, VIRTIO_MMIO_STATUS, 1 | 2 | VIRTIO_CONFIG_S_FEATURES_OK);
		if (reg_get(d, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_FEATURES_OK)
			why = "a feature that is not offered is accepted";
	}
	return why;
}

static const char *transport_features_none(struct dev *d, unsigned q __unused, unsigned v __unused)
{
	const char *why = dev_begin(d, ~BIT(VIRTIO_F_VERSION_1));

	return why ? NULL : "a driver without VERSION_1 is accepted";
}

/** Features that change after FEATURES_OK: indirect tables are still agreed. */
static const char *transport_features_late(struct dev *d, unsigned q, unsigned v __unused)
{
	const char *why = dev_begin(d, UINT64_MAX);
	struct ring *r = &d->ring[q];
	unsigned n;

	if (why)
		return why;
	for (unsigned i = 0; i < 4; i++) {
		reg_set(d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, i);
		reg_set(d, VIRTIO_MMIO_DRIVER_FEATURES, i == 1 ? UINT32_MAX : 0);
	}
	dev_queue(d, q);
	dev_driver_ok(d);
	n = d->kind->chain(d, q, (void *)r->table.p, &hostile_buf);
	desc_set(&r->desc[0], r->table.gpa, n * 16, VRING_DESC_F_INDIRECT, 0);
	ring_post_and_kick(d, q, 0);
	return want_returned(d, q);
}

static const char *transport_features_select(
	struct dev *d, unsigned q __unused, unsigned v __unused)
{
	static const uint32_t wild[] = { 2, 3, 32, 33, 64, 0x80000000, UINT32_MAX };
	const char *why = dev_begin(d, UINT64_MAX);

	for (unsigned i = 0; !why && i < ARRAY_SIZE(wild); i++) {
		reg_set(d, VIRTIO_MMIO_DEVICE_FEATURES_SEL, wild[i]);
		if (reg_get(d, VIRTIO_MMIO_DEVICE_FEATURES))
			why = "there are features in a word that does not exist";
		reg_set(d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, wild[i]);
		reg_set(d, VIRTIO_MMIO_DRIVER_FEATURES, UINT32_MAX);
	}
	for (unsigned q2 = 0; !why && q2 < d->kind->nr_queues; q2++)
		dev_queue(d, q2);
	if (why)
		return why;
	dev_driver_ok(d);
	return d->kind->good(d);
}

/* ---- queues ---- */

static const char *transport_queue_absent(struct dev *d, unsigned q __unused, unsigned v __unused)
{
	static const uint32_t wild[] = { TRANSPORT_ABSENT, 64, 65, 0xffff, 0x10000, 0x80000000,
		UINT32_MAX };
	const char *why = dev_begin(d, UINT64_MAX);

	for (unsigned i = 0; !why && i < ARRAY_SIZE(wild); i++) {
		reg_set(d, VIRTIO_MMIO_QUEUE_SEL, wild[i]);
		if (reg_get(d, VIRTIO_MMIO_QUEUE_NUM_MAX))
			why = "a queue that does not exist has a size";
		reg_set(d, VIRTIO_MMIO_QUEUE_NUM, 16);
		dev_address(d, VIRTIO_MMIO_QUEUE_DESC_LOW, hostile_buf.gpa);
		dev_address(d, VIRTIO_MMIO_QUEUE_AVAIL_LOW, hostile_buf.gpa);
		dev_address(d, VIRTIO_MMIO_QUEUE_USED_LOW, hostile_buf.gpa);
		reg_set(d, VIRTIO_MMIO_QUEUE_READY, 1);
		if (reg_get(d, VIRTIO_MMIO_QUEUE_READY))
			why = "a queue that does not exist becomes ready";
	}
	if (why)
		return why;
	for (unsigned i = 0; i < d->kind->nr_queues; i++)
		dev_queue(d, i);
	dev_driver_ok(d);
	return d->kind->good(d);
}

static const char *const transport_moves[] = { "ready", "running", NULL };

/** Rings are where they were when QueueReady was set, and none is taken back while it runs. */
static const char *transport_queue_moves(struct dev *d, unsigned q, unsigned variant)
{
	const char *why = dev_begin(d, UINT64_MAX);

	for (unsigned i = 0; !why && i < d->kind->nr_queues; i++)
		dev_queue(d, i);
	if (why)
		return why;
	if (variant)
		dev_driver_ok(d);
	reg_set(d, VIRTIO_MMIO_QUEUE_SEL, q);
	reg_set(d, VIRTIO_MMIO_QUEUE_NUM, 2);
	dev_address(d, VIRTIO_MMIO_QUEUE_DESC_LOW, hostile_ram_end);
	dev_address(d, VIRTIO_MMIO_QUEUE_AVAIL_LOW, d->base);
	dev_address(d, VIRTIO_MMIO_QUEUE_USED_LOW, UINT64_MAX - 15);
	reg_set(d, VIRTIO_MMIO_QUEUE_READY, 1);
	reg_set(d, VIRTIO_MMIO_QUEUE_READY, 2);
	reg_set(d, VIRTIO_MMIO_QUEUE_READY, UINT32_MAX);
	if (variant)
		reg_set(d, VIRTIO_MMIO_QUEUE_READY, 0);
	else
		dev_driver_ok(d);
	return d->kind->good(d);
}

/** Taken back before DRIVER_OK, a queue is not served. */
static const char *transport_queue_back(struct dev *d, unsigned q, unsigned v __unused)
{
	const char *why = dev_begin(d, UINT64_MAX);

	if (why)
		return why;
	dev_queue(d, q);
	reg_set(d, VIRTIO_MMIO_QUEUE_READY, 0);
	d->kind->chain(d, q, d->ring[q].desc, &hostile_buf);
	dev_driver_ok(d);
	ring_post_and_kick(d, q, 0);
	why = want_unbroken(d);
	return why || !d->ring[q].used->idx ? why : "a queue that was taken back is served";
}

/* ---- kicks and interrupts ---- */

/** A kick before DRIVER_OK does nothing; what lies in the ring then is served at DRIVER_OK. */
static const char *transport_kick_early(struct dev *d, unsigned q, unsigned v __unused)
{
	const char *why = dev_begin(d, UINT64_MAX);

	if (why)
		return why;
	dev_queue(d, q);
	d->kind->chain(d, q, d->ring[q].desc, &hostile_buf);
	for (unsigned i = 0; i < 100; i++)
		dev_kick(d, q);
	ring_post_and_kick(d, q, 0);
	why = want_unbroken(d);
	if (!why && d->ring[q].used->idx)
		why = "a queue is served before DRIVER_OK";
	if (why)
		return why;
	dev_driver_ok(d);
	return want_returned(d, q);
}

static const char *transport_kick_absent(struct dev *d, unsigned q __unused, unsigned v __unused)
{
	static const uint32_t wild[] = { TRANSPORT_ABSENT, 63, 64, 65, 0xff, 0xffff, 0x10000,
		0x80000000, UINT32_MAX };
	const char *why = dev_start(d);

	for (unsigned i = 0; !why && i < ARRAY_SIZE(wild) * 20; i++)
		dev_kick(d, wild[i % ARRAY_SIZE(wild)]);
	return why ? why : d->kind->good(d);
}

static const char *const transport_storms[] = { "running", "before-driver-ok", NULL };

static const char *transport_kick_storm(struct dev *d, unsigned q __unused, unsigned variant)
{
	unsigned n = TRANSPORT_KICKS / 10 * (variant ? 9U : 1U) / hostile_nr_devs;
	const char *why = variant ? dev_begin(d, UINT64_MAX) : dev_start(d);

	for (unsigned i = 0; variant && !why && i < d->kind->nr_queues; i++)
		dev_queue(d, i);
	for (unsigned i = 0; !why && i < n; i++)
		dev_kick(d, i % d->kind->nr_queues);
	if (why)
		return why;
	if (variant)
		dev_driver_ok(d);
	return d->kind->good(d);
}

static const char *transport_kick_broken(struct dev *d, unsigned q, unsigned v __unused)
{
	const char *why = dev_start(d);

	if (why)
		return why;
	ring_post_and_kick(d, q, 65535);
	why = want_broken(d);
	for (unsigned i = 0; !why && i < 1000; i++)
		dev_kick(d, i % d->kind->nr_queues);
	if (!why && d->ring[q].used->idx)
		why = "a broken device serves a queue";
	return why;
}

static const char *const transport_acks[] = { "used-buffers", "everything", NULL };

static const char *transport_ack_storm(struct dev *d, unsigned q __unused, unsigned variant)
{
	static const uint32_t wild[] = { 2, 3, 0, 4, 0xfffffffc, UINT32_MAX };
	unsigned n = TRANSPORT_ACKS / hostile_nr_devs;
	const char *why = dev_start(d);

	for (unsigned i = 0; !why && i < n; i++)
		reg_set(d, VIRTIO_MMIO_INTERRUPT_ACK, variant ? wild[i % ARRAY_SIZE(wild)] : 1);
	if (!why && reg_get(d, VIRTIO_MMIO_INTERRUPT_STATUS) & ~3U)
		why = "InterruptStatus has bits that do not exist";
	return why ? why : d->kind->good(d);
}

/* ---- resets ---- */

/** As many requests as the queue holds, and a reset at once; nothing is written after it. */
static const char *transport_reset_in_flight(struct dev *d, unsigned q, unsigned v __unused)
{
	struct ring *r = &d->ring[q];
	struct span s = span_part(&hostile_buf, 0, 32768);

	for (unsigned i = 0; i < TRANSPORT_RESETS; i++) {
		const char *why = dev_start(d);
		unsigned n = 0;

		if (why)
			return why;
		for (unsigned at = 0; at + 4 <= r->size && at < 32; at += 4, n++) {
			struct span part = span_part(&s, n * 1024, 1024);
			unsigned k = d->kind->chain(d, q, &r->desc[at], &part);

			for (unsigned j = 0; j < k; j++)
				r->desc[at + j].next = (uint16_t)(r->desc[at + j].next + at);
			ring_post(r, (uint16_t)at);
			if (i & 1)
				dev_kick(d, q);
		}
		dev_kick(d, q);
		why = dev_reset(d);
		if (why)
			return why;
		memset(s.p, 0x5a, s.len);
		memset(r->used, 0x5a, sizeof(*r->used));
		if (i % 16 == 0) {
			(void)want_unbroken(d);
			for (unsigned j = 0; j < s.len; j++)
				if (s.p[j] != 0x5a)
					return "a buffer is written to after the reset";
			if (r->used->idx != 0x5a5a)
				return "a ring is written to after the reset";
		}
	}
	return NULL;
}

static const char *transport_reset_storm(struct dev *d, unsigned q __unused, unsigned v __unused)
{
	const char *why = dev_start(d);

	for (unsigned i = 0; !why && i < 300; i++)
		reg_set(d, VIRTIO_MMIO_STATUS, 0);
	return why;
}

const struct hostile_case transport_cases[] = {
	{ .name = "status/values", .run = transport_status_values },
	{ .name = "status/orders", .run = transport_status_orders },
	{ .name = "status/cleared", .run = transport_status_cleared },
	{ .name = "status/driver-ok-again", .run = transport_driver_ok_again },
	{ .name = "features/not-offered", .run = transport_features_foreign },
	{ .name = "features/without-version-1", .run = transport_features_none },
	{ .name = "features/late", .run = transport_features_late, .each_queue = true },
	{ .name = "features/selectors", .run = transport_features_select },
	{ .name = "queue/absent", .run = transport_queue_absent },
	{ .name = "queue/moves-while",
		.run = transport_queue_moves,
		.variants = transport_moves,
		.each_queue = true },
	{ .name = "queue/taken-back", .run = transport_queue_back, .each_queue = true },
	{ .name = "kick/early", .run = transport_kick_early, .each_queue = true },
	{ .name = "kick/absent-queue", .run = transport_kick_absent },
	{ .name = "kick/storm", .run = transport_kick_storm, .variants = transport_storms },
	{ .name = "kick/broken-device", .run = transport_kick_broken, .each_queue = true },
	{ .name = "ack/storm", .run = transport_ack_storm, .variants = transport_acks },
	{ .name = "reset/in-flight", .run = transport_reset_in_flight, .each_queue = true },
	{ .name = "reset/storm", .run = transport_reset_storm },
	{ .name = NULL },
};
