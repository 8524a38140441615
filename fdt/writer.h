/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A writer of device tree blobs, for fdt/ only: libfdt's sequential functions on a buffer that
 * the caller owns and bounds. The first thing that does not fit is remembered, nothing is
 * written from then on, and dtb_finish says so: no call between needs a look at its result.
 *
 * Use: dtb_start, then within one root node (dtb_begin "") properties first, nodes after them
 * (Devicetree Specification 0.4, section 5.4.2), then dtb_finish. Pure; any thread.
 */
#pragma once

#include "base/base.h"
#include "base/err.h"

/** The most that arm64 takes (Documentation/arch/arm64/booting.rst of Linux, section 2). */
#define DTB_MAX_LEN (2 * MIB)

struct fdt_range;

struct dtb {
	uint8_t *buf; /* borrowed */
	size_t room;  /* bytes, at most DTB_MAX_LEN */
	int error;    /* 0, or libfdt's for the first call that failed */
};

void dtb_start(struct dtb *d, uint8_t *buf, size_t room);

/** Returns 0, or -ENOSPC with a sentence. */
int __must_check dtb_finish(struct dtb *d, size_t *ret_len, struct err *err);

/* Nodes: each begin is closed by one dtb_end. */
void dtb_begin(struct dtb *d, const char *name);
void dtb_begin_at(struct dtb *d, const char *name, uint64_t addr); /* "name@addr" */
void dtb_end(struct dtb *d);

/* Properties (section 2.2.4). */
void dtb_flag(struct dtb *d, const char *name); /* empty: it says by being there */
void dtb_bytes(struct dtb *d, const char *name, const void *p, size_t len);
void dtb_str(struct dtb *d, const char *name, const char *s);
void dtb_strs(struct dtb *d, const char *name, const char *const *s, size_t nr);
void dtb_u32(struct dtb *d, const char *name, uint32_t v);
void dtb_u64(struct dtb *d, const char *name, uint64_t v);
void dtb_cells(struct dtb *d, const char *name, const uint32_t *cell, size_t nr);
/** "reg" where #address-cells and #size-cells are 2. */
void dtb_reg(struct dtb *d, const struct fdt_range *range, size_t nr);
