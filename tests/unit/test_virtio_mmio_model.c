// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio-mmio against a second, slow implementation of VIRTIO 1.2 section 4.2.2 that is
 * written from the specification as a plain struct and one switch. After every write the
 * whole page, every call to the backend and every eventfd must agree with it.
 */
#include "tests/unit/virtio_mmio_rig.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { ACK = 1, DRV = 2, DRV_OK = 4, FEAT_OK = 8, NEEDS_RESET = 0x40, FAILED = 0x80 };

struct model {
	uint32_t status, isr, dsel, fsel, qsel, generation;
	uint64_t features;
	struct {
		uint32_t num, half[6];
		bool ready;
	} q[RIG_QUEUES];
	uint8_t config[RIG_CONFIG_LEN];
	bool running, start_fails;
	unsigned starts, stops, config_writes, pulses, kicks[RIG_QUEUES];
};

static void model_page(const struct model *w, uint8_t page[VIRTIO_MMIO_PAGE])
{
	memset(page, 0, VIRTIO_MMIO_PAGE);
	le32_put(page + 0x00, 0x74726976);
	le32_put(page + 0x04, 2);
	le32_put(page + 0x08, RIG_DEVICE_ID);
	memcpy(page + 0x0c, "MYFL", 4);
	if (w->dsel == 0)
		le32_put(page + 0x10, (uint32_t)RIG_FEATURES);
	if (w->dsel == 1)
		le32_put(page + 0x10, (uint32_t)(RIG_FEATURES >> 32));
	if (w->qsel < RIG_QUEUES) {
		le32_put(page + 0x34, RIG_QUEUE_MAX);
		le32_put(page + 0x44, w->q[w->qsel].ready);
	}
	le32_put(page + 0x60, w->isr);
	le32_put(page + 0x70, w->status);
	memset(page + 0xb0, 0xff, 16);
	le32_put(page + 0xfc, w->generation);
	memcpy(page + 0x100, w->config, RIG_CONFIG_LEN);
}

static void model_config_interrupt(struct model *w)
{
	if (w->status)
		w->isr |= 2;
	if (w->status & DRV_OK)
		w->pulses++;
}

static void model_config_changed(struct model *w)
{
	w->generation += 2;
	model_config_interrupt(w);
}

static void model_needs_reset(struct model *w)
{
	if (!(w->status & DRV_OK))
		return;
	w->status |= NEEDS_RESET;
	model_config_interrupt(w);
}

static void model_reset(struct model *w)
{
	w->stops += w->running;
	w->running = false;
	w->status = w->isr = w->dsel = w->fsel = w->qsel = 0;
	w->features = 0;
	memset(w->q, 0, sizeof(w->q));
	memset(w->kicks, 0, sizeof(w->kicks));
}

static void model_status(struct model *w, uint32_t v)
{
	static const uint32_t bits[] = { ACK, DRV, FAILED, FEAT_OK, DRV_OK };
	uint32_t was = w->status & 0x8f;

	if (v == 0) {
		model_reset(w);
		return;
	}
	if ((v & was) != was)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(bits); i++) {
		if (!(v & bits[i]) || w->status & bits[i])
			continue;
		if (bits[i] == FEAT_OK &&
			((w->features | RIG_FEATURES) != RIG_FEATURES || !(w->features >> 32 & 1)))
			continue;
		if (bits[i] == DRV_OK && !(w->status & FEAT_OK))
			continue;
		w->status |= bits[i];
		if (bits[i] == DRV_OK) {
			w->starts++;
			w->pulses += w->isr >> 1;
			w->isr |= 1;
			w->running = !w->start_fails;
			if (w->start_fails)
				model_needs_reset(w);
		}
	}
}

static bool model_size_ok(uint32_t num)
{
	for (uint32_t s = 1; s <= RIG_QUEUE_MAX; s *= 2)
		if (s == num)
			return true;
	return false;
}

static void model_register(struct model *w, uint64_t off, uint32_t v)
{
	static const uint64_t halves[] = { 0x80, 0x84, 0x90, 0x94, 0xa0, 0xa4 };
	bool present = w->qsel < RIG_QUEUES, live = w->status & DRV_OK;
	bool open = present && !live && !w->q[w->qsel].ready;

	switch (off) {
	case 0x14:
		w->dsel = v;
		break;
	case 0x20:
		if (w->status & FEAT_OK)
			break;
		if (w->fsel == 0)
			w->features = (w->features & 0xffffffff00000000) | v;
		if (w->fsel == 1)
			w->features = (w->features & 0xffffffff) | (uint64_t)v << 32;
		break;
	case 0x24:
		w->fsel = v;
		break;
	case 0x30:
		w->qsel = v;
		break;
	case 0x38:
		if (open)
			w->q[w->qsel].num = v;
		break;
	case 0x44:
		if (open && v == 1 && model_size_ok(w->q[w->qsel].num))
			w->q[w->qsel].ready = true;
		if (present && !live && v == 0)
			w->q[w->qsel].ready = false;
		break;
	case 0x50:
		if (live && v < RIG_QUEUES)
			w->kicks[v]++;
		break;
	case 0x64:
		w->isr &= ~(v & 2);
		break;
	case 0x70:
		model_status(w, v);
		break;
	default:
		for (size_t i = 0; i < ARRAY_SIZE(halves); i++)
			if (off == halves[i] && open)
				w->q[w->qsel].half[i] = v;
	}
}

static void model_write(struct model *w, uint64_t off, uint64_t v, unsigned len)
{
	if (off + len > VIRTIO_MMIO_PAGE)
		return;
	if (off >= 0x100 && off + len <= 0x100 + RIG_CONFIG_LEN) {
		memcpy(w->config + (off - 0x100), &v, len);
		w->config_writes++;
		model_config_changed(w);
	}
	if (off < 0x100 && len == 4 && off % 4 == 0)
		model_register(w, off, (uint32_t)v);
}

/* ---- both together ---- */

struct pair {
	struct rig *r;
	struct model w;
};

static struct pair pair_new(void)
{
	struct pair p = { .r = rig_new() };

	p.r->answers_config = true;
	memcpy(p.w.config, p.r->config, RIG_CONFIG_LEN);
	assert_int_equal(rig_plug(p.r, NULL, -1), 0);
	return p;
}

/** All that can be seen from outside is the same. */
static void pair_compare(struct pair *p)
{
	static uint8_t page[VIRTIO_MMIO_PAGE];

	model_page(&p->w, page);
	assert_memory_equal(p->r->page, page, VIRTIO_MMIO_PAGE);
	assert_int_equal(p->r->nr_start, p->w.starts);
	assert_int_equal(p->r->nr_stop, p->w.stops);
	assert_int_equal(p->r->nr_config_write, p->w.config_writes);
	assert_false(p->r->out_of_turn);
	if (!p->w.starts)
		return;
	assert_int_equal(p->r->running, p->w.running);
}

/** eventfds count, so it is enough to look now and then. */
static void pair_compare_fds(struct pair *p)
{
	assert_int_equal(fd_event_drain(p->r->line.fd), p->w.pulses);
	p->w.pulses = 0;
	if (!p->w.starts)
		return;
	for (unsigned i = 0; i < RIG_QUEUES; i++) {
		assert_int_equal(fd_event_drain(p->r->ring[i].kick_fd), p->w.kicks[i]);
		p->w.kicks[i] = 0;
	}
}

static void pair_write(struct pair *p, uint64_t off, uint64_t v, unsigned len)
{
	unsigned starts = p->w.starts;

	p->r->start_rc = p->w.start_fails ? -EINVAL : 0;
	bus_write(&p->r->bus, RIG_BASE + off, &v, len);
	model_write(&p->w, off, v, len);
	if (p->w.starts == starts)
		return;
	assert_int_equal(p->r->nr_start, p->w.starts);
	assert_true(p->r->features == p->w.features);
	for (unsigned i = 0; i < RIG_QUEUES; i++) {
		const struct virtio_ring *ring = &p->r->ring[i];
		const uint32_t *half = p->w.q[i].half;

		assert_int_equal(ring->ready, p->w.q[i].ready);
		assert_int_equal(ring->size, p->w.q[i].ready ? p->w.q[i].num : 0);
		assert_true(ring->desc == ((uint64_t)half[1] << 32 | half[0]));
		assert_true(ring->avail == ((uint64_t)half[3] << 32 | half[2]));
		assert_true(ring->used == ((uint64_t)half[5] << 32 | half[4]));
	}
}

static void pair_reg(struct pair *p, uint64_t off, uint32_t v)
{
	pair_write(p, off, v, 4);
}

enum stage { AT_RESET, AT_ACK, AT_DRV, AT_FEAT_OK, AT_DRV_OK, AT_NEEDS_RESET, AT_FAILED, STAGE_NR };

/** Takes a driver as far as stage, with queue 0 ready, queue 1 filled in, queue 2 not. */
static void pair_stage(struct pair *p, enum stage stage)
{
	p->w.start_fails = false;
	pair_reg(p, 0x70, 0);
	if (stage >= AT_ACK)
		pair_reg(p, 0x70, ACK);
	if (stage >= AT_DRV)
		pair_reg(p, 0x70, ACK | DRV);
	pair_reg(p, 0x24, 1);
	pair_reg(p, 0x20, 1);
	if (stage >= AT_FEAT_OK)
		pair_reg(p, 0x70, ACK | DRV | FEAT_OK);
	for (unsigned i = 0; i < 2; i++) {
		pair_reg(p, 0x30, i);
		pair_reg(p, 0x38, 64U << i);
		for (uint64_t off = 0x80; off < 0xb0; off += 4)
			pair_reg(p, off, (uint32_t)(0x11000 * (i + 1) + off));
		pair_reg(p, 0x44, !i);
	}
	if (stage >= AT_DRV_OK)
		pair_reg(p, 0x70, ACK | DRV | FEAT_OK | DRV_OK);
	if (stage == AT_NEEDS_RESET) {
		p->r->b.events.needs_reset(p->r->b.events.ctx);
		model_needs_reset(&p->w);
	}
	if (stage == AT_FAILED)
		pair_reg(p, 0x70, p->w.status | FAILED);
}

/** Goes on to DRIVER_OK, so that what the transport remembers but does not show is seen. */
static void pair_reveal(struct pair *p)
{
	pair_reg(p, 0x30, 2);
	pair_reg(p, 0x38, 8);
	pair_reg(p, 0x44, 1);
	for (unsigned i = 0; i < 2; i++) {
		pair_reg(p, 0x30, i);
		pair_compare(p);
		pair_reg(p, 0x44, 1);
	}
	pair_reg(p, 0x70, p->w.status | ACK | DRV | FEAT_OK | DRV_OK);
	pair_compare(p);
}

static const uint32_t values[] = { 0, 1, 2, 3, 4, 5, 7, 8, 0xb, 0xf, 0x10, 0x20, 0x30, 0x40, 0x4f,
	0x80, 0x8b, 0x8f, 0xcf, 0xff, 0x100, 0x101, 0x10f, 0x3fff, 0x4000, 0x10000, 0x10001,
	0x10040, 0x20000020, 0x30000020, 0x80000000, 0x80000001, 0xfffffff0, UINT32_MAX };

static void every_register_write_in_every_state_does_what_the_model_says(void **state)
{
	struct pair p = pair_new();

	(void)state;
	for (enum stage s = AT_RESET; s < STAGE_NR; s++) {
		for (uint64_t off = 0; off < 0x100; off += 4) {
			for (size_t i = 0; i < 2 * ARRAY_SIZE(values); i++) {
				uint32_t sel = i & 1 ? 0 : 2; /* a ready and an open queue */

				pair_stage(&p, s);
				pair_reg(&p, 0x30, sel);
				pair_reg(&p, 0x24, sel);
				p.w.start_fails = values[i / 2] & 4 && i & 1;
				pair_reg(&p, off, values[i / 2]);
				pair_compare(&p);
				pair_reveal(&p);
			}
			pair_compare_fds(&p);
		}
	}
	rig_free(p.r);
}

static void writes_of_any_width_and_offset_in_every_state_do_what_the_model_says(void **state)
{
	static const uint64_t wide[] = { 0, 1, 0x0f0f0f0f0f0f0f0f, 0x0000000100000001, 0x8040201008,
		UINT64_MAX };
	struct pair p = pair_new();

	(void)state;
	for (enum stage s = AT_RESET; s < STAGE_NR; s++) {
		for (uint64_t off = 0; off < VIRTIO_MMIO_PAGE; off++) {
			for (unsigned len = 1; len <= 8; len *= 2) {
				/* Past the config space no write may act, so one set-up serves. */
				if (off <= 0x110 || off % 256 == 0)
					pair_stage(&p, s);
				for (size_t i = 0; i < ARRAY_SIZE(wide); i++)
					pair_write(&p, off, wide[i], len);
				pair_compare(&p);
				if (off <= 0x110)
					pair_reveal(&p);
			}
			pair_compare_fds(&p);
		}
	}
	rig_free(p.r);
}

static uint32_t lcg(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(*seed >> 33);
}

/** Mostly what a driver might do: a walk of pure noise hardly ever gets a device started. */
static void walk_bias(struct pair *p, uint64_t off, uint32_t *v, uint64_t *seed)
{
	if (lcg(seed) % 8 == 0)
		return;
	switch (off) {
	case 0x20:
		*v = p->w.fsel == 1 ? 1 : 0x20;
		break;
	case 0x14:
	case 0x24:
	case 0x44:
		*v &= 1;
		break;
	case 0x30:
	case 0x50:
		*v &= 3;
		break;
	case 0x38:
		*v = 1U << *v % 10;
		break;
	case 0x70:
		*v = lcg(seed) % 16 ? p->w.status | (*v & 0x8f) : 0;
		break;
	}
}

/** Long walks find what no single write shows: leftovers of one life in the next. */
static void a_long_random_walk_never_leaves_the_model(void **state)
{
	static const uint64_t offs[] = { 0x14, 0x20, 0x24, 0x30, 0x38, 0x44, 0x50, 0x64, 0x70, 0x70,
		0x70, 0x80, 0x84, 0x90, 0x94, 0xa0, 0xa4, 0x100, 0x108 };
	struct pair p = pair_new();
	uint64_t seed = 1;

	(void)state;
	for (unsigned i = 0; i < 300000; i++) {
		uint64_t off = offs[lcg(&seed) % ARRAY_SIZE(offs)];
		uint32_t v = values[lcg(&seed) % ARRAY_SIZE(values)];

		walk_bias(&p, off, &v, &seed);
		p.w.start_fails = lcg(&seed) % 8 == 0;
		if (lcg(&seed) % 16)
			pair_write(&p, off, v, 4);
		else
			pair_write(&p, off ^ (lcg(&seed) & 7), v, 1U << lcg(&seed) % 4);
		if (lcg(&seed) % 64 == 0) {
			p.r->b.events.needs_reset(p.r->b.events.ctx);
			model_needs_reset(&p.w);
		}
		if (lcg(&seed) % 64 == 0) {
			p.r->b.events.config_changed(
				p.r->b.events.ctx, p.r->config, RIG_CONFIG_LEN);
			model_config_changed(&p.w);
		}
		pair_compare(&p);
		if (i % 64 == 0)
			pair_compare_fds(&p);
	}
	/* The walk went somewhere. */
	rig_free(p.r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_register_write_in_every_state_does_what_the_model_says),
		cmocka_unit_test(
			writes_of_any_width_and_offset_in_every_state_do_what_the_model_says),
		cmocka_unit_test(a_long_random_walk_never_leaves_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
