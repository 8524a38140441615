// SPDX-License-Identifier: BSD-3-Clause
/*
 * Attacks in time: another processor of the guest changes what the device reads, between its
 * looks, while requests go on. How often is bounded by counts, not by a clock.
 */
#include "tests/guest/hostile/hostile.h"

#include <pthread.h>

#define RACE_ROUNDS 128
#define RACE_TURNS  16

struct race {
	struct dev *d;
	unsigned q;
	void (*turn)(struct race *r);
	bool stop; /* atomic */
	uint32_t x;
	struct vring_desc good[8];
	unsigned nr_good;
};

/** As next_random, for the other thread. */
static uint32_t race_random(struct race *r)
{
	r->x ^= r->x << 13;
	r->x ^= r->x >> 17;
	r->x ^= r->x << 5;
	return r->x;
}

static void *race_thread(void *arg)
{
	struct race *r = arg;

	/*
	 * Some turns, and asleep: where the host has one processor, it changes things when it wakes
	 * in the middle of what the device does, and not while the device waits for it.
	 */
	for (unsigned i = 1; !__atomic_load_n(&r->stop, __ATOMIC_RELAXED); i++) {
		r->turn(r);
		if (i % RACE_TURNS == 0)
			wait_a_moment();
	}
	return NULL;
}

/** A field of a descriptor, right or wrong; never a place in RAM that is not ours. */
static void race_turn_descriptor(struct race *r)
{
	unsigned i = race_random(r) % r->nr_good;
	struct vring_desc *desc = &r->d->ring[r->q].desc[i];
	uint32_t x = race_random(r);

	switch (x % 8) {
	case 0:
		__atomic_store_n(&desc->addr, hostile_ram_end - 8, __ATOMIC_RELAXED);
		break;
	case 1:
		__atomic_store_n(&desc->addr, UINT64_MAX - x % 64, __ATOMIC_RELAXED);
		break;
	case 2:
		__atomic_store_n(&desc->len, x % 3 ? x % 4096 : UINT32_MAX, __ATOMIC_RELAXED);
		break;
	case 3:
		__atomic_store_n(&desc->flags, (uint16_t)(x >> 8 & 7), __ATOMIC_RELAXED);
		break;
	case 4:
		__atomic_store_n(&desc->next, (uint16_t)(x >> 8), __ATOMIC_RELAXED);
		break;
	default:
		__atomic_store_n(&desc->addr, r->good[i].addr, __ATOMIC_RELAXED);
		__atomic_store_n(&desc->len, r->good[i].len, __ATOMIC_RELAXED);
		__atomic_store_n(&desc->flags, r->good[i].flags, __ATOMIC_RELAXED);
		__atomic_store_n(&desc->next, r->good[i].next, __ATOMIC_RELAXED);
		break;
	}
}

static void race_turn_index(struct race *r)
{
	struct ring *ring = &r->d->ring[r->q];
	uint32_t x = race_random(r);

	switch (x % 4) {
	case 0:
		__atomic_fetch_add(&ring->avail->idx, (uint16_t)(x >> 8 & 1), __ATOMIC_RELAXED);
		break;
	case 1:
		__atomic_fetch_sub(&ring->avail->idx, (uint16_t)(x >> 8 & 1), __ATOMIC_RELAXED);
		break;
	case 2:
		__atomic_store_n(&ring->avail->ring[(x >> 8) % ring->size],
			(uint16_t)(x % 5 ? 0 : x >> 16), __ATOMIC_RELAXED);
		break;
	default:
		__atomic_store_n(&ring->avail->flags, (uint16_t)(x >> 8), __ATOMIC_RELAXED);
		__atomic_store_n(&ring->used->idx, (uint16_t)(x >> 16), __ATOMIC_RELAXED);
		break;
	}
}

/** The first bytes of the request: types and sectors, good ones and wild ones. */
static void race_turn_contents(struct race *r)
{
	uint32_t x = race_random(r);
	uint32_t *word = (uint32_t *)(void *)hostile_buf.p;

	__atomic_store_n(&word[0], x % 4 ? x % 16 : x, __ATOMIC_RELAXED);
	__atomic_store_n(&word[2], x >> 8 & 1 ? 8 : x, __ATOMIC_RELAXED);
	__atomic_store_n(&word[3], x >> 9 & 1 ? 0 : x, __ATOMIC_RELAXED);
}

static void race_turn_registers(struct race *r)
{
	register_write_nonsense(r->d);
}

static const char *const races[] = { "descriptors", "indices", "contents", "registers", NULL };

static const char *race_run(struct dev *d, unsigned q, unsigned variant)
{
	static void (*const turns[])(struct race *) = { race_turn_descriptor, race_turn_index,
		race_turn_contents, race_turn_registers };
	struct race r = { .d = d, .q = q, .turn = turns[variant], .x = 88172645 + variant };
	const char *why = dev_start(d);
	pthread_t thread;

	if (why)
		return why;
	r.nr_good = d->kind->chain(d, q, r.good, &hostile_buf);
	memcpy(d->ring[q].desc, r.good, r.nr_good * sizeof(r.good[0]));
	if (pthread_create(&thread, NULL, race_thread, &r))
		return "there is no second thread";
	for (unsigned i = 0; !why && i < RACE_ROUNDS; i++) {
		if (i % 64 == 0 || dev_broken(d)) {
			/* With registers that change meanwhile, features may be refused. */
			why = dev_start(d);
			if (variant == 3)
				why = NULL;
			d->kind->chain(d, q, d->ring[q].desc, &hostile_buf);
		}
		ring_post_and_kick(d, q, 0);
		if (i % 8 == 0)
			wait_a_moment();
	}
	__atomic_store_n(&r.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	return why;
}

const struct hostile_case race_cases[] = {
	{ .name = "race/changing", .run = race_run, .variants = races, .each_queue = true },
	{ .name = NULL },
};
