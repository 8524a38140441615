// SPDX-License-Identifier: BSD-3-Clause
/*
 * A driver for virtio-mmio and split rings that does what it is told, right or wrong.
 *
 * Accesses to registers are functions that are not inlined: the compiler then makes each of them
 * one plain load or store, which is what hypervisors can emulate.
 *
 * VIRTIO 1.2, sections 2.7, 3.1 and 4.2.
 */
#include "tests/guest/hostile/hostile.h"

#include <time.h>

__attribute__((noinline)) uint32_t reg_get(const struct dev *d, unsigned off)
{
	return *(volatile uint32_t *)(d->page + off);
}

__attribute__((noinline)) void reg_set(const struct dev *d, unsigned off, uint32_t v)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	*(volatile uint32_t *)(d->page + off) = v;
}

__attribute__((noinline)) uint64_t reg_get_width(const struct dev *d, unsigned off, unsigned width)
{
	volatile uint8_t *p = d->page + off;

	switch (width) {
	case 1:
		return *p;
	case 2:
		return *(volatile uint16_t *)p;
	case 4:
		return *(volatile uint32_t *)p;
	default:
		return *(volatile uint64_t *)p;
	}
}

__attribute__((noinline)) void reg_set_width(
	const struct dev *d, unsigned off, unsigned width, uint64_t v)
{
	volatile uint8_t *p = d->page + off;

	switch (width) {
	case 1:
		*p = (uint8_t)v;
		break;
	case 2:
		*(volatile uint16_t *)p = (uint16_t)v;
		break;
	case 4:
		*(volatile uint32_t *)p = (uint32_t)v;
		break;
	default:
		*(volatile uint64_t *)p = v;
		break;
	}
}

uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void wait_a_moment(void)
{
	/* Asleep, so that the device has the processor where the host has only one. */
	nanosleep(&(struct timespec){ .tv_nsec = 20000 }, NULL);
}

uint32_t next_random(void)
{
	static _Thread_local uint32_t x = 2463534242;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x;
}

/*
 * ---- a device's life ----
 *
 * Each write is an exit, and devices are started some thousand times: what a reset leaves at 0
 * (selectors, upper halves of addresses) is not written again.
 */

const char *dev_reset(struct dev *d)
{
	uint64_t begin = now_ms();

	d->far = false;
	reg_set(d, VIRTIO_MMIO_STATUS, 0);
	while (reg_get(d, VIRTIO_MMIO_STATUS)) {
		if (now_ms() - begin > HOSTILE_WAIT_MS)
			return "a reset does not end";
		wait_a_moment();
	}
	return NULL;
}

static void dev_fresh_rings(struct dev *d)
{
	for (unsigned q = 0; q < d->kind->nr_queues; q++) {
		struct ring *r = &d->ring[q];

		if (!r->max) {
			reg_set(d, VIRTIO_MMIO_QUEUE_SEL, q);
			r->max = reg_get(d, VIRTIO_MMIO_QUEUE_NUM_MAX);
		}
		r->size = (uint16_t)MIN(r->max, (uint32_t)HOSTILE_MAX_SIZE);
		memset(r->desc, 0, r->size * sizeof(*r->desc));
		memset(r->avail, 0, sizeof(*r->avail) + (r->size + 1U) * sizeof(uint16_t));
		memset(r->used, 0,
			sizeof(*r->used) + r->size * sizeof(struct vring_used_elem) +
				sizeof(uint16_t));
		r->desc_gpa =
			d->ring[q].table.gpa - (uint64_t)(d->ring[q].table.p - (uint8_t *)r->desc);
		r->avail_gpa = r->desc_gpa + (uint64_t)((uint8_t *)r->avail - (uint8_t *)r->desc);
		r->used_gpa = r->desc_gpa + (uint64_t)((uint8_t *)r->used - (uint8_t *)r->desc);
		r->posted = r->seen = 0;
	}
}

const char *dev_begin(struct dev *d, uint64_t mask)
{
	const char *why = dev_reset(d);

	if (why)
		return why;
	reg_set(d, VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	reg_set(d, VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	d->features = 0;
	for (unsigned i = 0; i < 2; i++) {
		uint32_t half;

		if (i)
			reg_set(d, VIRTIO_MMIO_DEVICE_FEATURES_SEL, i);
		half = reg_get(d, VIRTIO_MMIO_DEVICE_FEATURES) & (uint32_t)(mask >> (32 * i));
		if (i)
			reg_set(d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, i);
		reg_set(d, VIRTIO_MMIO_DRIVER_FEATURES, half);
		d->features |= (uint64_t)half << (32 * i);
	}
	reg_set(d, VIRTIO_MMIO_STATUS,
		VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK);
	if (!(reg_get(d, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_FEATURES_OK))
		return "FEATURES_OK is refused";
	dev_fresh_rings(d);
	return NULL;
}

void dev_address(struct dev *d, unsigned off, uint64_t gpa)
{
	reg_set(d, off, (uint32_t)gpa);
	d->far |= gpa >> 32;
	if (d->far)
		reg_set(d, off + 4, (uint32_t)(gpa >> 32));
}

void dev_queue(struct dev *d, unsigned q)
{
	const struct ring *r = &d->ring[q];

	reg_set(d, VIRTIO_MMIO_QUEUE_SEL, q);
	reg_set(d, VIRTIO_MMIO_QUEUE_NUM, r->size);
	dev_address(d, VIRTIO_MMIO_QUEUE_DESC_LOW, r->desc_gpa);
	dev_address(d, VIRTIO_MMIO_QUEUE_AVAIL_LOW, r->avail_gpa);
	dev_address(d, VIRTIO_MMIO_QUEUE_USED_LOW, r->used_gpa);
	reg_set(d, VIRTIO_MMIO_QUEUE_READY, 1);
}

void dev_driver_ok(struct dev *d)
{
	reg_set(d, VIRTIO_MMIO_STATUS,
		VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK |
			VIRTIO_CONFIG_S_DRIVER_OK);
}

const char *dev_start_masked(struct dev *d, uint64_t mask)
{
	const char *why = dev_begin(d, mask);

	for (unsigned q = 0; !why && q < d->kind->nr_queues; q++)
		dev_queue(d, q);
	if (!why)
		dev_driver_ok(d);
	return why;
}

const char *dev_start(struct dev *d)
{
	return dev_start_masked(d, UINT64_MAX);
}

void dev_kick(const struct dev *d, unsigned q)
{
	reg_set(d, VIRTIO_MMIO_QUEUE_NOTIFY, q);
}

/* ---- what is wanted of a device ---- */

bool dev_broken(const struct dev *d)
{
	return reg_get(d, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

const char *want_broken(const struct dev *d)
{
	uint64_t begin = now_ms();

	/* Section 2.1.2: the driver hears of it by a configuration change. */
	while (!dev_broken(d) ||
		!(reg_get(d, VIRTIO_MMIO_INTERRUPT_STATUS) & VIRTIO_MMIO_INT_CONFIG)) {
		if (now_ms() - begin > HOSTILE_WAIT_MS)
			return dev_broken(d) ? "DEVICE_NEEDS_RESET without an interrupt"
					     : "the device does not ask for a reset";
		wait_a_moment();
	}
	return NULL;
}

const char *want_unbroken(const struct dev *d)
{
	uint64_t begin = now_ms();

	while (now_ms() - begin <= HOSTILE_LOOK_MS) {
		if (dev_broken(d))
			return "the device asks for a reset";
		wait_a_moment();
	}
	return NULL;
}

static uint16_t ring_used_idx(const struct ring *r)
{
	return __atomic_load_n(&r->used->idx, __ATOMIC_ACQUIRE);
}

const char *want_returned(struct dev *d, unsigned q)
{
	struct ring *r = &d->ring[q];
	uint64_t begin = now_ms();

	while (ring_used_idx(r) != r->posted) {
		if (dev_broken(d))
			return "the device asks for a reset";
		if (now_ms() - begin > HOSTILE_WAIT_MS)
			return "not all chains are returned";
		wait_a_moment();
	}
	r->seen = r->posted;
	return NULL;
}

/* ---- rings ---- */

void desc_set(struct vring_desc *desc, uint64_t gpa, uint32_t len, uint16_t flags, uint16_t next)
{
	*desc = (struct vring_desc){ .addr = gpa, .len = len, .flags = flags, .next = next };
}

void ring_post(struct ring *r, uint16_t head)
{
	r->avail->ring[r->posted % r->size] = head;
	__atomic_store_n(&r->avail->idx, ++r->posted, __ATOMIC_RELEASE);
}

void ring_post_and_kick(struct dev *d, unsigned q, uint16_t head)
{
	ring_post(&d->ring[q], head);
	dev_kick(d, q);
}

const char *ring_take(struct dev *d, unsigned q, uint32_t *ret_head, uint32_t *ret_len)
{
	struct ring *r = &d->ring[q];
	uint64_t begin = now_ms();

	while (ring_used_idx(r) == r->seen) {
		if (dev_broken(d))
			return "the device asks for a reset";
		if (now_ms() - begin > HOSTILE_WAIT_MS)
			return "a chain is not returned";
		wait_a_moment();
	}
	*ret_head = r->used->ring[r->seen % r->size].id;
	*ret_len = r->used->ring[r->seen % r->size].len;
	r->seen++;
	return NULL;
}

uint16_t way_flag(const struct dev *d, unsigned q)
{
	return d->kind->way[q] == WAY_IN ? VRING_DESC_F_WRITE : 0;
}

struct span span_part(const struct span *s, uint32_t off, uint32_t len)
{
	BUG_ON(off > s->len || len > s->len - off);
	return (struct span){ .p = s->p + off, .gpa = s->gpa + off, .len = len };
}
