/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RISC-V Platform-Level Interrupt Controller (RISC-V PLIC specification 1.0.0), at the offsets
 * of its memory map (chapter 3), for machines whose KVM has no interrupt controller of its own.
 *
 * One context per hart, that of S-mode, and its number is the hart's index. Priorities and
 * thresholds are 0 to 7. Every source is edge-triggered: a pulse makes it pending; pulses while
 * it is pending are one; a pulse while a hart handles it (between claim and completion) makes
 * it pending again upon completion.
 *
 * Any thread, under the lock of the struct.
 */
#pragma once

#include "base/base.h"
#include "base/err.h"
#include "bus/bus.h"

#define PLIC_LEN         0x4000000 /* registers are 32 bits wide */
#define PLIC_MAX_HARTS   64
#define PLIC_MAX_SOURCES 127 /* 1 to 127; 0 means "none" */

struct plic;

/**
 * The level of a hart's external interrupt. Called when it changes, never twice for the same
 * level; it is false at first. Called with the PLIC's lock held, by whichever thread caused the
 * change: must neither wait for another vCPU nor call back.
 */
typedef void (*plic_set_fn)(void *ctx, unsigned hart, bool level);

/** The bus operations; ctx is the struct plic. */
extern const struct bus_ops plic_bus_ops;

/**
 * nr_harts is 1 to PLIC_MAX_HARTS, nr_sources (riscv,ndev in a device tree) 1 to
 * PLIC_MAX_SOURCES: sources 1 to nr_sources exist. Returns 0 or -errno.
 */
int __must_check plic_create(unsigned nr_harts, unsigned nr_sources, plic_set_fn set, void *ctx,
	struct plic **ret, struct err *err);
/** NULL is fine. set is not called. */
void plic_destroy(struct plic *p);

/** An edge on a source, 1 to nr_sources. Any thread. */
void plic_pulse(struct plic *p, unsigned source);
