/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A PLIC, what it said to its harts, and a guest at its registers.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "devices/plic.h"

#define PENDING          0x1000ULL
#define ENABLE(hart)     (0x2000ULL + 0x80ULL * (hart))
#define THRESHOLD(hart)  (0x200000ULL + 0x1000ULL * (hart))
#define CLAIM(hart)      (THRESHOLD(hart) + 4)
#define PRIORITY(source) (4ULL * (source))
#define HARTS            4U
#define SOURCES          100U

static struct plic *plic;
/* What plic_set_fn heard: the level of each hart, and how often it was called. */
static struct {
	bool level[PLIC_MAX_HARTS];
	unsigned nr_calls;
	bool twice; /* the same level */
} heard;

static inline void on_set(void *ctx, unsigned hart, bool level)
{
	assert_ptr_equal(ctx, &heard);
	assert_true(hart < PLIC_MAX_HARTS);
	heard.twice |= heard.level[hart] == level;
	heard.level[hart] = level;
	heard.nr_calls++;
}

static inline void make_of(unsigned nr_harts, unsigned nr_sources)
{
	struct err err;

	memset(&heard, 0, sizeof(heard));
	assert_int_equal(plic_create(nr_harts, nr_sources, on_set, &heard, &plic, &err), 0);
}

static inline int make(void **state __unused)
{
	make_of(HARTS, SOURCES);
	return 0;
}

static inline int drop(void **state __unused)
{
	plic_destroy(plic);
	assert_false(heard.twice);
	return 0;
}

static inline uint64_t get(uint64_t off, unsigned len)
{
	/* From the heap, so that AddressSanitizer sees a byte too far. */
	uint8_t *data = malloc(len);
	uint64_t v = 0;

	memset(data, 0xff, len); /* as the bus hands it over */
	plic_bus_ops.read(plic, off, data, len);
	memcpy(&v, data, len);
	free(data);
	return v;
}

static inline void put(uint64_t off, uint64_t v, unsigned len)
{
	uint8_t *data = malloc(len);

	memcpy(data, &v, len);
	plic_bus_ops.write(plic, off, data, len);
	free(data);
}

static inline uint32_t in(uint64_t off)
{
	return (uint32_t)get(off, 4);
}

static inline void out(uint64_t off, uint32_t v)
{
	put(off, v, 4);
}

/** Lets a source through to a hart, as a driver does. */
static inline void open_for(unsigned source, unsigned hart, unsigned priority)
{
	uint64_t off = ENABLE(hart) + source / 32 * 4;

	out(PRIORITY(source), priority);
	out(off, in(off) | 1U << source % 32);
}

static inline void close_for(unsigned source, unsigned hart)
{
	uint64_t off = ENABLE(hart) + source / 32 * 4;

	out(off, in(off) & ~(1U << source % 32));
}

static inline bool is_pending(unsigned source)
{
	return in(PENDING + source / 32 * 4) >> source % 32 & 1;
}
