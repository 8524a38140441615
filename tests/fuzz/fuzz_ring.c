// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio/queue.c against any guest memory, and any changes to it between our steps.
 *
 * Input: a header (struct fuzz_head), then operations of one byte with their arguments, to
 * the end of the input. RAM is two adjacent regions, each an allocation of its own, so that
 * AddressSanitizer sees a step over either end.
 */
#include <errno.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>

#include "memory/memory.h"
#include "virtio/queue.h"

#define FUZZ_BASE  0x10000
#define FUZZ_LEN   0x4000 /* of each of the two regions */
#define FUZZ_STEPS 4096

struct fuzz_head {
	uint8_t size_shift;         /* the low 4 bits; the top bit makes it not a power of two */
	uint8_t features;           /* bit 0 INDIRECT_DESC, bit 1 EVENT_IDX */
	uint8_t max;                /* room for iovecs */
	uint8_t fill;               /* what RAM is filled with */
	uint16_t desc, avail, used; /* in units of 16, 2 and 4 bytes from FUZZ_BASE */
} __attribute__((packed));

struct fuzz {
	const uint8_t *data;
	size_t len;
	struct guest_memory gm;
	struct vq q;
	gpa_t desc, avail; /* as programmed, for mutations that aim */
	unsigned max;
	struct iovec iov[256];

	/* What the model would keep. */
	uint16_t head[VQ_MAX_SIZE];
	unsigned nr_heads;
	bool popped_last; /* the last step was a pop that gave head[nr_heads - 1] */
};

static void fuzz_take(struct fuzz *f, void *buf, size_t len)
{
	size_t part = MIN(len, f->len);

	memset(buf, 0, len);
	memcpy(buf, f->data, part);
	f->data += part;
	f->len -= part;
}

static uint8_t fuzz_u8(struct fuzz *f)
{
	uint8_t v;

	fuzz_take(f, &v, sizeof(v));
	return v;
}

static uint16_t fuzz_u16(struct fuzz *f)
{
	uint16_t v;

	fuzz_take(f, &v, sizeof(v));
	return v;
}

static bool fuzz_in_ram(const struct fuzz *f, const struct iovec *iov)
{
	for (unsigned i = 0; i < f->gm.nr_regions; i++)
		if (range_within((uintptr_t)iov->iov_base, iov->iov_len,
			    (uintptr_t)f->gm.region[i].host, f->gm.region[i].len))
			return true;
	return false;
}

/** What vq_pop promises of a chain. */
static void fuzz_check_chain(const struct fuzz *f, const struct vq_chain *c)
{
	uint64_t out = 0, in = 0;

	BUG_ON(c->head >= f->q.size);
	BUG_ON(c->nr_out + c->nr_in == 0 || c->nr_out + c->nr_in > f->max);
	/* A descriptor is at most as many iovecs as there are regions. */
	BUG_ON(c->nr_out + c->nr_in > 2U * f->q.size);
	for (unsigned i = 0; i < c->nr_out + c->nr_in; i++) {
		BUG_ON(!c->iov[i].iov_len || !fuzz_in_ram(f, &c->iov[i]));
		*(i < c->nr_out ? &out : &in) += c->iov[i].iov_len;
	}
	BUG_ON(out != c->out_len || in != c->in_len);
	BUG_ON(out > UINT32_MAX || in > UINT32_MAX);
	for (unsigned i = 0; i < f->nr_heads; i++)
		BUG_ON(f->head[i] == c->head);
}

/** Touches the ends of each buffer, as a device does with all of it. */
static void fuzz_use_chain(const struct vq_chain *c, uint8_t v)
{
	uint8_t buf[8];

	memset(buf, v, sizeof(buf));
	iov_read(c->iov, c->nr_out, 0, buf, sizeof(buf));
	if (c->out_len > sizeof(buf))
		iov_read(c->iov, c->nr_out, c->out_len - sizeof(buf), buf, sizeof(buf));
	iov_write(c->iov + c->nr_out, c->nr_in, 0, buf, sizeof(buf));
	if (c->in_len > sizeof(buf))
		iov_write(c->iov + c->nr_out, c->nr_in, c->in_len - sizeof(buf), buf, sizeof(buf));
}

static void fuzz_pop(struct fuzz *f)
{
	bool was_broken = f->q.broken;
	const char *why = NULL;
	struct vq_chain c;
	int rc = vq_pop(&f->q, f->iov, f->max, &c, &why);

	f->popped_last = rc == 1;
	BUG_ON(rc == 1 && was_broken);
	BUG_ON((rc == -EPROTO) != (why != NULL) || f->q.broken != (was_broken || rc < 0));
	if (rc != 1)
		return;
	fuzz_check_chain(f, &c);
	fuzz_use_chain(&c, (uint8_t)c.head);
	f->head[f->nr_heads++] = c.head;
	BUG_ON(f->nr_heads > f->q.size);
}

static void fuzz_push(struct fuzz *f)
{
	unsigned i = fuzz_u8(f);
	uint16_t head;

	f->popped_last = false;
	if (!f->nr_heads)
		return;
	i %= f->nr_heads;
	head = f->head[i];
	f->head[i] = f->head[--f->nr_heads];
	vq_push(&f->q, head, fuzz_u16(f));
}

/** Any bytes anywhere in RAM. */
static void fuzz_poke(struct fuzz *f)
{
	uint16_t off = fuzz_u16(f);
	uint8_t buf[16], len = fuzz_u8(f) % sizeof(buf);
	int rc;

	fuzz_take(f, buf, len);
	rc = gm_write(&f->gm, FUZZ_BASE + off % (2 * FUZZ_LEN), buf, len);
	BUG_ON(rc && rc != -EFAULT);
}

/** A descriptor that is near to a good one, and published. */
static void fuzz_offer(struct fuzz *f)
{
	uint16_t i = fuzz_u8(f), flags = fuzz_u8(f), next = fuzz_u8(f), idx = 0;
	struct vring_desc d = { .addr = FUZZ_BASE + fuzz_u16(f) % (2 * FUZZ_LEN),
		.len = fuzz_u16(f),
		.flags = flags & 7,
		.next = next };

	/* An address or a length of the other kind. */
	if (flags & 0x80)
		d.addr = ~d.addr;
	if (flags & 0x40)
		d.len = ~d.len;
	/* Indirect tables are multiples of 16. */
	if (flags & 0x20)
		d.len &= ~15U;
	if (gm_write(&f->gm, f->desc + 16ULL * i, &d, sizeof(d)) || flags & 0x10)
		return;
	if (gm_read(&f->gm, f->avail + 2, &idx, 2) ||
		gm_write(&f->gm, f->avail + 4 + 2ULL * (idx & (f->q.size - 1U)), &i, 2))
		return;
	idx++;
	BUG_ON(gm_write(&f->gm, f->avail + 2, &idx, 2));
}

static void fuzz_step(struct fuzz *f)
{
	switch (fuzz_u8(f) % 8) {
	case 0:
	case 1:
		fuzz_pop(f);
		break;
	case 2:
		fuzz_push(f);
		break;
	case 3:
		if (f->popped_last) {
			vq_unpop(&f->q);
			f->nr_heads--;
			f->popped_last = false;
		}
		break;
	case 4:
		vq_should_raise(&f->q);
		break;
	case 5:
		BUG_ON(vq_enable_kick(&f->q) && f->q.broken);
		vq_disable_kick(&f->q);
		break;
	case 6:
		fuzz_poke(f);
		break;
	case 7:
		fuzz_offer(f);
		break;
	}
	BUG_ON(f->q.in_flight != f->nr_heads || f->q.in_flight > f->q.size);
	BUG_ON((uint16_t)(f->q.next_avail - f->q.next_used) != f->q.in_flight && !f->q.broken);
}

static void fuzz_run(struct fuzz *f)
{
	struct fuzz_head h;
	const char *why;
	uint64_t features;
	uint16_t size;

	fuzz_take(f, &h, sizeof(h));
	for (unsigned i = 0; i < f->gm.nr_regions; i++)
		memset(f->gm.region[i].host, h.fill, FUZZ_LEN);
	size = (uint16_t)(1U << (h.size_shift & 15)) | (h.size_shift >> 7);
	features = (h.features & 1U ? BIT(VIRTIO_RING_F_INDIRECT_DESC) : 0) |
		(h.features & 2U ? BIT(VIRTIO_RING_F_EVENT_IDX) : 0);
	f->max = h.max;
	f->desc = FUZZ_BASE + 16ULL * h.desc;
	f->avail = FUZZ_BASE + 2ULL * h.avail;
	if (vq_init(&f->q, &f->gm, features, size, VQ_MAX_SIZE, f->desc, f->avail,
		    FUZZ_BASE + 4ULL * h.used, &why)) {
		BUG_ON(f->q.gm);
		return;
	}
	BUG_ON(!is_power_of_2(size) || size > VQ_MAX_SIZE);
	for (unsigned i = 0; i < FUZZ_STEPS && f->len; i++)
		fuzz_step(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz *f = calloc(1, sizeof(*f));

	f->data = data;
	f->len = len;
	for (unsigned i = 0; i < 2; i++) {
		void *host = aligned_alloc(PAGE_SIZE_4K, FUZZ_LEN);

		BUG_ON(!host || gm_add_borrowed(&f->gm, FUZZ_BASE + i * FUZZ_LEN, host, FUZZ_LEN));
	}
	fuzz_run(f);
	for (unsigned i = 0; i < 2; i++)
		free(f->gm.region[i].host);
	free(f);
	return 0;
}
