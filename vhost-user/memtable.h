/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Guest memory as a front end shows it: regions of files, mapped here. Everything in a region's
 * description is hostile, and so is its file: it must be as long as the region, but only a seal
 * (F_SEAL_SHRINK) keeps it so. Where a front end without that seal cuts its file, the first
 * touch of what is gone ends this process by SIGBUS, and nothing else: the file was the front
 * end's own.
 *
 * QEMU's docs/interop/vhost-user.rst, "Memory regions description". One thread.
 */
#pragma once

#include "memory/memory.h"
#include "vhost-user/message.h"

struct vu_mapping {
	struct vu_region r;
	uint8_t *host; /* owned: r.len bytes */
};

struct vu_memtable {
	struct vu_mapping map[VU_MAX_REGIONS]; /* ascending and disjoint by r.gpa */
	unsigned nr;
};

/**
 * Maps r of the file fd (borrowed) and adds it. Returns 0 or -errno with *why a constant
 * sentence and nothing changed: not page multiples, empty, wrapping, overlapping another by
 * guest or by user addresses, past the end of the file, no memory, more than VU_MAX_REGIONS.
 */
int __must_check vu_memtable_add(
	struct vu_memtable *t, const struct vu_region *r, int fd, const char **why);

/** Unmaps the region with the same addresses and length; -ENOENT when there is none. */
int __must_check vu_memtable_remove(struct vu_memtable *t, const struct vu_region *r);

/** Unmaps all. Zeroed storage is fine. */
void vu_memtable_clear(struct vu_memtable *t);

/** Makes gm show t. No queue may be live on gm. */
void vu_memtable_show(const struct vu_memtable *t, struct guest_memory *gm);

/** The guest address of user address uaddr. False when no region has it. */
bool vu_memtable_translate(const struct vu_memtable *t, uint64_t uaddr, gpa_t *ret);
