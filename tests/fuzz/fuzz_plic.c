// SPDX-License-Identifier: BSD-3-Clause
/*
 * A guest at the PLIC's registers, at every width, with pulses in between, beside a model that
 * is slow and obvious: it finds registers by comparing addresses, and the best source by
 * looking at all. Reads, and the levels that harts were told, must agree after each step.
 *
 * First two bytes: harts and sources. Then eight bytes each: kind, hart, source or word, width,
 * and a value or an offset.
 */
#include <stdint.h>
#include <stdlib.h>

#include "devices/plic.h"

#define MAX_STEPS 256
#define STEP_LEN  8

enum kind { PULSE, PRIORITY, PENDING, ENABLE, THRESHOLD, CLAIM, COMPLETE, ANYWHERE, NR_KINDS };
enum state { IDLE, WAITS, TAKEN, TAKEN_AND_WAITS };

static struct {
	unsigned nr_harts, nr_sources;
	unsigned priority[PLIC_MAX_SOURCES + 1], threshold[PLIC_MAX_HARTS];
	enum state source[PLIC_MAX_SOURCES + 1];
	bool enabled[PLIC_MAX_HARTS][PLIC_MAX_SOURCES + 1];
	bool level[PLIC_MAX_HARTS]; /* what the PLIC said */
	unsigned last;              /* source claimed */
} m;

static void fuzz_set(void *ctx __unused, unsigned hart, bool level)
{
	BUG_ON(hart >= m.nr_harts || m.level[hart] == level);
	m.level[hart] = level;
}

/* ---- the model ---- */

static unsigned model_best(unsigned hart)
{
	unsigned best = 0;

	for (unsigned s = 1; s <= m.nr_sources; s++)
		if (m.source[s] == WAITS && m.enabled[hart][s] && m.priority[s] > m.priority[best])
			best = s;
	return best;
}

static void model_pulse(unsigned s)
{
	m.source[s] = m.source[s] == IDLE || m.source[s] == WAITS ? WAITS : TAKEN_AND_WAITS;
}

static unsigned model_claim(unsigned hart)
{
	unsigned s = model_best(hart);

	if (s)
		m.source[s] = TAKEN;
	return s;
}

static void model_complete(unsigned hart, uint32_t v)
{
	for (unsigned s = 1; s <= m.nr_sources; s++) {
		if (s != v || !m.enabled[hart][s])
			continue;
		if (m.source[s] == TAKEN)
			m.source[s] = IDLE;
		else if (m.source[s] == TAKEN_AND_WAITS)
			m.source[s] = WAITS;
	}
}

/** One access of 32 bits to an aligned offset; a read when v is NULL. */
static uint32_t model_access(uint64_t off, const uint32_t *v)
{
	uint32_t ret = 0;

	for (unsigned s = 1; s <= m.nr_sources; s++) {
		if (off == 4ULL * s) {
			ret = m.priority[s];
			if (v)
				m.priority[s] = *v % 8;
		}
		if (off == 0x1000 + s / 32 * 4ULL && m.source[s] == WAITS)
			ret |= 1U << s % 32;
	}
	for (unsigned h = 0; h < m.nr_harts; h++) {
		for (unsigned s = 1; s <= m.nr_sources && off / 0x80 == 0x2000 / 0x80 + h; s++) {
			if (off % 0x80 != s / 32 * 4ULL)
				continue;
			ret |= m.enabled[h][s] ? 1U << s % 32 : 0;
			if (v)
				m.enabled[h][s] = *v & 1U << s % 32;
		}
		if (off == 0x200000 + 0x1000ULL * h) {
			ret = m.threshold[h];
			if (v)
				m.threshold[h] = *v % 8;
		}
		if (off == 0x200004 + 0x1000ULL * h) {
			if (v)
				model_complete(h, *v);
			else
				ret = model_claim(h);
		}
	}
	return ret;
}

static void model_check(void)
{
	for (unsigned h = 0; h < m.nr_harts; h++)
		BUG_ON(m.level[h] != (m.priority[model_best(h)] > m.threshold[h]));
}

/* ---- the guest ---- */

static void fuzz_read(struct plic *p, uint64_t off, unsigned len)
{
	uint64_t got = UINT64_MAX;
	uint32_t want = len == 4 && off % 4 == 0 ? model_access(off, NULL) : 0;
	uint8_t *buf = malloc(len);

	memset(buf, 0xff, len);
	plic_bus_ops.read(p, off, buf, len);
	got = 0;
	memcpy(&got, buf, len);
	free(buf);
	BUG_ON(got != want);
	if (want && off >= 0x200000 && off % 0x1000 == 4)
		m.last = want;
}

static void fuzz_write(struct plic *p, uint64_t off, unsigned len, uint32_t v)
{
	uint64_t wide = (uint64_t)v << 32 | v;
	uint8_t *buf = malloc(len);

	if (len == 4 && off % 4 == 0)
		model_access(off, &v);
	memcpy(buf, &wide, len);
	plic_bus_ops.write(p, off, buf, len);
	free(buf);
}

/** Most of it where registers are, and one hart, source and word beyond. */
static void fuzz_step(struct plic *p, const uint8_t *step)
{
	enum kind kind = step[0] % NR_KINDS;
	uint32_t v = le32_get(step + 4);
	unsigned hart = step[1] % (m.nr_harts + 1), n = step[2], len = 4;
	uint64_t off = 0;

	switch (kind) {
	case PULSE:
		plic_pulse(p, n % m.nr_sources + 1);
		model_pulse(n % m.nr_sources + 1);
		return;
	case PRIORITY:
		off = 4ULL * (n % (m.nr_sources + 2));
		break;
	case PENDING:
		off = 0x1000 + 4ULL * (n % 6);
		break;
	case ENABLE:
		off = 0x2000 + 0x80ULL * hart + 4ULL * (n % 6);
		break;
	case THRESHOLD:
		off = 0x200000 + 0x1000ULL * hart;
		break;
	case COMPLETE:
		v = m.last;
		off = 0x200004 + 0x1000ULL * hart;
		break;
	case CLAIM:
		off = 0x200004 + 0x1000ULL * hart;
		break;
	default:
		len = 1U << (step[3] & 3);
		off = le32_get(step + 4) % (PLIC_LEN - len + 1);
		break;
	}
	if (kind == COMPLETE || (kind != CLAIM && step[3] & 0x80) || (kind == CLAIM && n >= 0xf0))
		fuzz_write(p, off, len, v);
	else
		fuzz_read(p, off, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct plic *p;
	struct err err;

	if (len < 2)
		return 0;
	memset(&m, 0, sizeof(m));
	/* Few in most inputs: the model is slow. */
	m.nr_harts = data[0] < 0xff ? data[0] % 8 + 1 : PLIC_MAX_HARTS;
	m.nr_sources = data[1] % PLIC_MAX_SOURCES + 1;
	BUG_ON(plic_create(m.nr_harts, m.nr_sources, fuzz_set, NULL, &p, &err));
	for (size_t i = 2; len - i >= STEP_LEN && i < 2 + MAX_STEPS * STEP_LEN; i += STEP_LEN) {
		fuzz_step(p, data + i);
		model_check();
	}
	plic_destroy(p);
	return 0;
}
