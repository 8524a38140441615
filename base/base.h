/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What every file of mayfly may use: a handful of macros, checked arithmetic and
 * little-endian access to unaligned bytes. No state, any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/** A guest physical address. Never a host pointer, never dereferenced. */
typedef uint64_t gpa_t;

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)     ((a) < (b) ? (a) : (b))
#define MAX(a, b)     ((a) > (b) ? (a) : (b))
#define BIT(n)        (1ULL << (n))
#define KIB           1024ULL
#define MIB           (1024ULL * KIB)
#define GIB           (1024ULL * MIB)
#define PAGE_SIZE_4K  4096ULL

#define __must_check   __attribute__((warn_unused_result))
#define __printf(f, a) __attribute__((format(printf, f, a)))
#define __cleanup(fn)  __attribute__((cleanup(fn)))
#define __noreturn     __attribute__((noreturn))
#define __unused       __attribute__((unused))

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/** Our own mistakes only: prints the place and aborts, in every build. */
#define BUG_ON(cond)                                                                               \
	do {                                                                                       \
		if (__builtin_expect(!!(cond), 0))                                                 \
			bug(__FILE__, __LINE__, #cond);                                            \
	} while (0)

__noreturn void bug(const char *file, int line, const char *cond);

/** Rounds v up to a multiple of align (a power of two). False when that overflows. */
static inline bool align_up_u64(uint64_t v, uint64_t align, uint64_t *ret)
{
	uint64_t sum;

	if (__builtin_add_overflow(v, align - 1, &sum))
		return false;
	*ret = sum & ~(align - 1);
	return true;
}

/** Rounds v down to a multiple of align (a power of two). */
static inline uint64_t align_down_u64(uint64_t v, uint64_t align)
{
	return v & ~(align - 1);
}

static inline bool is_power_of_2(uint64_t v)
{
	return v && !(v & (v - 1));
}

/** True when [addr, addr+len) lies inside [base, base+size): subtracts, never adds. */
static inline bool range_within(uint64_t addr, uint64_t len, uint64_t base, uint64_t size)
{
	return addr >= base && addr - base <= size && len <= size - (addr - base);
}

/* Little-endian values at any alignment. All supported machines are little-endian. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "mayfly runs on little-endian machines");

static inline uint16_t le16_get(const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t le32_get(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t le64_get(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void le16_put(void *p, uint16_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline void le32_put(void *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline void le64_put(void *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
}
