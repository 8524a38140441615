/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Guest RAM and the only ways to touch it. A guest physical range is good only if it lies
 * wholly in RAM: MMIO and holes are refused, so a device can never be pointed at another
 * device's registers.
 *
 * Regions are fixed before the machine starts and never move, so host pointers stay good
 * for the machine's life. Lookups: any thread. Contents are shared with running vCPUs:
 * load shared words once, copy before judging.
 */
#pragma once

#include <sys/uio.h>

#include "base/base.h"
#include "base/err.h"

#define GM_MAX_REGIONS 8

struct gm_region {
	gpa_t base;
	uint64_t len;  /* bytes, page multiple */
	uint8_t *host; /* owned unless borrowed */
	bool borrowed;
	int fd;          /* borrowed: the file it is shared from, at fd_off; -1: private */
	uint64_t fd_off; /* bytes */
};

struct guest_memory {
	struct gm_region region[GM_MAX_REGIONS]; /* set before start, ascending, disjoint */
	unsigned nr_regions;
	/* Set by gm_share, before the first region. */
	bool shared;
	int share_fd;                  /* owned, valid while shared */
	uint64_t share_len, share_off; /* of share_fd; what regions took of it */
};

/**
 * From here on RAM comes from one file that device processes can map: fd (taken over, also on
 * failure), len bytes long; or with fd -1 a memfd, sealed so that nobody can change its size.
 * Before the first region, once. Returns 0 or -errno with err.
 */
int __must_check gm_share(struct guest_memory *gm, uint64_t len, int fd, struct err *err);

/**
 * Adds len bytes of zeroed RAM at base (both page multiples), in ascending order: private and
 * anonymous, or after gm_share the next part of its file, which has room for it. Memory is
 * reserved, not touched. Returns 0 or -errno with err.
 */
int __must_check gm_add_ram(struct guest_memory *gm, gpa_t base, uint64_t len, struct err *err);

/** Adds RAM in the caller's storage, which stays the caller's. For tests and fuzzers. */
int __must_check gm_add_borrowed(struct guest_memory *gm, gpa_t base, void *host, uint64_t len);

/** Unmaps what it owns. Zeroed storage is fine. */
void gm_fini(struct guest_memory *gm);

/** Bytes of RAM in all regions. */
uint64_t gm_total(const struct guest_memory *gm);

/**
 * The host address of [gpa, gpa+len), or NULL unless all of it is RAM of one region.
 * len 0 gives NULL.
 */
void *gm_slice(const struct guest_memory *gm, gpa_t gpa, uint64_t len);

/**
 * As many iovecs as [gpa, gpa+len) needs (more than one where it crosses adjacent
 * regions). Returns how many were filled, or -EFAULT (not all RAM, or len 0) or -E2BIG
 * (more than max).
 */
int __must_check gm_iovec(
	const struct guest_memory *gm, gpa_t gpa, uint64_t len, struct iovec *iov, unsigned max);

/** Copies out of or into RAM. Returns 0 or -EFAULT with nothing copied. */
int __must_check gm_read(const struct guest_memory *gm, gpa_t gpa, void *buf, uint64_t len);
int __must_check gm_write(const struct guest_memory *gm, gpa_t gpa, const void *buf, uint64_t len);
/** Zeroes a range of RAM. Returns 0 or -EFAULT. */
int __must_check gm_zero(const struct guest_memory *gm, gpa_t gpa, uint64_t len);

/*
 * Words shared with running vCPUs, through a pointer that gm_slice gave. One load or one
 * store each: the compiler may not split, repeat or drop it.
 */
static inline uint16_t gm_load16(const void *p)
{
	return __atomic_load_n((const uint16_t *)p, __ATOMIC_RELAXED);
}

static inline uint16_t gm_load16_acquire(const void *p)
{
	return __atomic_load_n((const uint16_t *)p, __ATOMIC_ACQUIRE);
}

static inline void gm_store16(void *p, uint16_t v)
{
	__atomic_store_n((uint16_t *)p, v, __ATOMIC_RELAXED);
}

static inline void gm_store16_release(void *p, uint16_t v)
{
	__atomic_store_n((uint16_t *)p, v, __ATOMIC_RELEASE);
}
