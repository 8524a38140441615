/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables of CPUID leaves, for cpuid.c and cpuid_model.c. The building thread. */
#pragma once

#include <linux/kvm.h>

#include "base/base.h"
#include "base/err.h"

#define CPUID_MAX_ENTRIES 256
#define CPUID_KVM         0x40000000U

/* struct kvm_cpuid2 with its entries. */
struct x86_cpuid {
	struct {
		uint32_t nent, padding;
	} head;
	struct kvm_cpuid_entry2 entry[CPUID_MAX_ENTRIES];
};
_Static_assert(offsetof(struct x86_cpuid, entry) == sizeof(struct kvm_cpuid2), "as KVM reads it");

/** The entry of a leaf, or NULL. */
struct kvm_cpuid_entry2 *cpuid_find(struct x86_cpuid *c, uint32_t leaf, uint32_t index);
/** The entry of a leaf, added with zeroes where there is none. NULL when the table is full. */
struct kvm_cpuid_entry2 *cpuid_need(
	struct x86_cpuid *c, uint32_t leaf, uint32_t index, uint32_t flags);

/* ---- cpuid_model.c ---- */
#define CPUID_BASELINE_ADDRESS_BITS 39 /* no processor with KVM has fewer */
#define CPUID_BASELINE_TSC_KHZ      1000000UL

/**
 * Puts the baseline model in the place of what the host's KVM supports: x86-64-v2 and nothing
 * beyond. The maker's name stays the host's, because kernels choose their registers by it, with
 * one family, model and stepping for each. Returns 0, or -ENOTSUP with err where the host has
 * less.
 */
int __must_check cpuid_baseline(struct x86_cpuid *c, struct err *err);
