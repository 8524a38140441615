// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns gateways, priorities and contexts of one PLIC.
 * RISC-V PLIC specification 1.0.0: priorities chapter 4, pending bits 5, enables 6,
 * thresholds 7, claim 8, completion 9.
 *
 * Invariants:
 * 1. A source is in one of four states: idle, pending, claimed, claimed and again (an edge came
 *    meanwhile). `again` only with `claimed`, `pending` never with it.
 * 2. Bits and priorities of source 0 and of sources that do not exist are zero, always.
 * 3. `level` is what `set` was told last, and between accesses it is what the registers say.
 * 4. Registers are 32 bits. Other widths, and offsets without a register, read as zero, which
 *    as a claim says "nothing", and write nothing.
 *
 * All state is guarded by `lock`: vCPU threads, and whoever pulses.
 */
#include "devices/plic.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define PLIC_PENDING          0x001000
#define PLIC_ENABLE           0x002000
#define PLIC_ENABLE_STRIDE    0x80
#define PLIC_CONTEXT          0x200000
#define PLIC_CONTEXT_STRIDE   0x1000
#define PLIC_CONTEXT_PRIORITY 0x0
#define PLIC_CONTEXT_CLAIM    0x4

#define PLIC_PRIORITY_MASK 7
#define PLIC_WORDS         (PLIC_MAX_SOURCES / 32 + 1)

struct plic {
	pthread_mutex_t lock;
	unsigned nr_harts, nr_sources; /* set before start, as the next two */
	plic_set_fn set;
	void *ctx;

	/* Guarded by lock, as all below. */
	uint8_t priority[PLIC_MAX_SOURCES + 1];
	uint32_t pending[PLIC_WORDS];
	uint32_t claimed[PLIC_WORDS];
	uint32_t again[PLIC_WORDS];
	struct {
		uint32_t enable[PLIC_WORDS];
		uint8_t threshold;
		bool level;
	} hart[PLIC_MAX_HARTS];
};

static bool plic_test(const uint32_t *set, unsigned source)
{
	return set[source / 32] & 1U << source % 32;
}

static void plic_assign(uint32_t *set, unsigned source, bool v)
{
	if (v)
		set[source / 32] |= 1U << source % 32;
	else
		set[source / 32] &= ~(1U << source % 32);
}

/** The bits of word n that stand for sources. */
static uint32_t plic_sources(const struct plic *p, unsigned n)
{
	uint32_t v = p->nr_sources / 32 > n ? UINT32_MAX : 0;

	if (p->nr_sources / 32 == n)
		v = (uint32_t)(BIT(p->nr_sources % 32 + 1) - 1);
	return n ? v : v & ~1U;
}

/* ---- what the state says; with the lock held ---- */

/** Of the sources pending and enabled for a hart that of highest priority, then lowest number. */
static unsigned plic_best(const struct plic *p, unsigned hart)
{
	unsigned best = 0; /* of priority 0: never better than another */

	for (unsigned n = 0; n < PLIC_WORDS; n++) {
		uint32_t left = p->pending[n] & p->hart[hart].enable[n];

		for (; left; left &= left - 1) {
			unsigned source = n * 32 + (unsigned)__builtin_ctz(left);

			if (p->priority[source] > p->priority[best])
				best = source;
		}
	}
	return best;
}

/** After each change. */
static void plic_update(struct plic *p)
{
	for (unsigned i = 0; i < p->nr_harts; i++) {
		bool level = p->priority[plic_best(p, i)] > p->hart[i].threshold;

		if (level == p->hart[i].level)
			continue;
		p->hart[i].level = level;
		p->set(p->ctx, i, level);
	}
}

/* ---- movements; with the lock held ---- */

/** The threshold does not count here (chapter 8): it masks the notification only. */
static unsigned plic_claim(struct plic *p, unsigned hart)
{
	unsigned source = plic_best(p, hart);

	if (!source)
		return 0;
	plic_assign(p->pending, source, false);
	plic_assign(p->claimed, source, true);
	plic_update(p);
	return source;
}

/** Any hart for which it is enabled may complete a source, whoever claimed it (chapter 9). */
static void plic_complete(struct plic *p, unsigned hart, uint32_t source)
{
	if (source > p->nr_sources || !plic_test(p->hart[hart].enable, source) ||
		!plic_test(p->claimed, source))
		return;
	plic_assign(p->claimed, source, false);
	plic_assign(p->pending, source, plic_test(p->again, source));
	plic_assign(p->again, source, false);
	plic_update(p);
}

void plic_pulse(struct plic *p, unsigned source)
{
	BUG_ON(!source || source > p->nr_sources);
	pthread_mutex_lock(&p->lock);
	plic_assign(plic_test(p->claimed, source) ? p->again : p->pending, source, true);
	plic_update(p);
	pthread_mutex_unlock(&p->lock);
}

/* ---- registers ---- */

enum plic_kind { REG_NONE, REG_PRIORITY, REG_PENDING, REG_ENABLE, REG_THRESHOLD, REG_CLAIM };

struct plic_reg {
	enum plic_kind kind;
	unsigned hart; /* below nr_harts */
	unsigned n;    /* a source that exists, or a word below PLIC_WORDS */
};

/** Which register that is. All that is out of range is none: nobody need look again. */
static struct plic_reg plic_find(const struct plic *p, uint64_t off, unsigned len)
{
	struct plic_reg r = { REG_NONE, 0, 0 };

	if (len != 4 || off % 4)
		return r;
	if (off < PLIC_PENDING) {
		r.n = (unsigned)off / 4;
		if (r.n && r.n <= p->nr_sources)
			r.kind = REG_PRIORITY;
	} else if (off < PLIC_ENABLE) {
		r.n = (unsigned)(off - PLIC_PENDING) / 4;
		if (r.n < PLIC_WORDS)
			r.kind = REG_PENDING;
	} else if (off < PLIC_CONTEXT) {
		r.hart = (unsigned)(off - PLIC_ENABLE) / PLIC_ENABLE_STRIDE;
		r.n = (unsigned)off % PLIC_ENABLE_STRIDE / 4;
		if (r.hart < p->nr_harts && r.n < PLIC_WORDS)
			r.kind = REG_ENABLE;
	} else {
		r.hart = (unsigned)(off - PLIC_CONTEXT) / PLIC_CONTEXT_STRIDE;
		if (r.hart >= p->nr_harts)
			return r;
		if (off % PLIC_CONTEXT_STRIDE == PLIC_CONTEXT_PRIORITY)
			r.kind = REG_THRESHOLD;
		else if (off % PLIC_CONTEXT_STRIDE == PLIC_CONTEXT_CLAIM)
			r.kind = REG_CLAIM;
	}
	return r;
}

static uint32_t plic_read_reg(struct plic *p, struct plic_reg r)
{
	switch (r.kind) {
	case REG_PRIORITY:
		return p->priority[r.n];
	case REG_PENDING:
		return p->pending[r.n];
	case REG_ENABLE:
		return p->hart[r.hart].enable[r.n];
	case REG_THRESHOLD:
		return p->hart[r.hart].threshold;
	case REG_CLAIM:
		return plic_claim(p, r.hart);
	default:
		return 0;
	}
}

static void plic_write_reg(struct plic *p, struct plic_reg r, uint32_t v)
{
	switch (r.kind) {
	case REG_PRIORITY:
		p->priority[r.n] = v & PLIC_PRIORITY_MASK;
		plic_update(p);
		break;
	case REG_ENABLE:
		p->hart[r.hart].enable[r.n] = v & plic_sources(p, r.n);
		plic_update(p);
		break;
	case REG_THRESHOLD:
		p->hart[r.hart].threshold = v & PLIC_PRIORITY_MASK;
		plic_update(p);
		break;
	case REG_CLAIM:
		plic_complete(p, r.hart, v);
		break;
	default: /* pending bits are the gateways' */
		break;
	}
}

static void plic_read(void *ctx, uint64_t off, void *data, unsigned len)
{
	struct plic *p = ctx;
	struct plic_reg r = plic_find(p, off, len);
	uint32_t v;

	memset(data, 0, len);
	if (r.kind == REG_NONE)
		return;
	pthread_mutex_lock(&p->lock);
	v = plic_read_reg(p, r);
	pthread_mutex_unlock(&p->lock);
	le32_put(data, v);
}

static void plic_write(void *ctx, uint64_t off, const void *data, unsigned len)
{
	struct plic *p = ctx;
	struct plic_reg r = plic_find(p, off, len);

	if (r.kind == REG_NONE)
		return;
	pthread_mutex_lock(&p->lock);
	plic_write_reg(p, r, le32_get(data));
	pthread_mutex_unlock(&p->lock);
}

const struct bus_ops plic_bus_ops = { .read = plic_read, .write = plic_write };

int plic_create(unsigned nr_harts, unsigned nr_sources, plic_set_fn set, void *ctx,
	struct plic **ret, struct err *err)
{
	struct plic *p = calloc(1, sizeof(*p));

	BUG_ON(!nr_harts || nr_harts > PLIC_MAX_HARTS);
	BUG_ON(!nr_sources || nr_sources > PLIC_MAX_SOURCES);
	if (!p)
		return err_errno(err, ENOMEM, "PLIC");
	pthread_mutex_init(&p->lock, NULL);
	p->nr_harts = nr_harts;
	p->nr_sources = nr_sources;
	p->set = set;
	p->ctx = ctx;
	*ret = p;
	return 0;
}

void plic_destroy(struct plic *p)
{
	if (!p)
		return;
	pthread_mutex_destroy(&p->lock);
	free(p);
}
