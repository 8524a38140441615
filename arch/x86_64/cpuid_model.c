// SPDX-License-Identifier: BSD-3-Clause
/*
 * The baseline model: one processor, whichever the host has. x86-64-v2 (System V ABI, AMD64
 * supplement, "Micro-architecture levels") with what a virtual machine needs beside it.
 *
 * Not there, since hosts differ in them: XSAVE and all that is saved by it, RDRAND and RDSEED,
 * AES, transactions, large address and protection keys, performance counters, the bits by which
 * processors say what mitigates their bugs.
 * Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E.
 */
#include <errno.h>

#include "arch/x86_64/cpuid.h"

/* FPU DE PSE TSC MSR PAE MCE CX8 APIC SEP MTRR PGE MCA CMOV PAT PSE36 CLFSH MMX FXSR SSE SSE2
 */
#define MODEL_1_EDX 0x078bfbfdU
/* SSE3, SSSE3, CMPXCHG16B, SSE4.1, SSE4.2, POPCNT */
#define MODEL_1_ECX 0x00982201U
#define MODEL_X_EDX 0x20100800U /* SYSCALL, NX, LM */
#define MODEL_X_ECX 0x00000001U /* LAHF in 64-bit mode */

#define MODEL_MAX_LEAF     0x15U
#define MODEL_MAX_EXTENDED 0x80000008U
#define MODEL_VIRTUAL_BITS 48U

/* CLOCKSOURCE, NOP_IO_DELAY, CLOCKSOURCE2, CLOCKSOURCE_STABLE: what a kernel's clock needs. */
#define MODEL_KVM_FEATURES 0x0100000bU

/* Caches of leaf 4: type and level, ways, sets; lines of 64 bytes. */
#define CACHE_1D(ways, sets) 0x121U, ((ways)-1) << 22 | 63, (sets)-1
#define CACHE_1I(ways, sets) 0x122U, ((ways)-1) << 22 | 63, (sets)-1
#define CACHE_2(ways, sets)  0x143U, ((ways)-1) << 22 | 63, (sets)-1
#define CACHE_3(ways, sets)  0x163U, ((ways)-1) << 22 | 63, (sets)-1

struct model_maker {
	uint32_t name_ebx; /* the first four letters, as leaf 0 has them */
	uint32_t signature;
};

static const struct model_maker model_amd = { 0x68747541, 0x00830f10 };   /* 17h, 31h, 0 */
static const struct model_maker model_hygon = { 0x6f677948, 0x00900f10 }; /* 18h, 1, 0 */
static const struct model_maker model_other = { 0, 0x000206c1 };          /* 6, 2ch, 1 */

static const struct model_maker *model_maker(const struct kvm_cpuid_entry2 *leaf0)
{
	if (leaf0->ebx == model_amd.name_ebx)
		return &model_amd;
	return leaf0->ebx == model_hygon.name_ebx ? &model_hygon : &model_other;
}

static void model_put(
	struct x86_cpuid *c, uint32_t leaf, uint32_t eax, uint32_t ebx, uint32_t ecx, uint32_t edx)
{
	struct kvm_cpuid_entry2 *e = cpuid_need(c, leaf, 0, 0);

	BUG_ON(!e); /* the table was emptied */
	e->eax = eax;
	e->ebx = ebx;
	e->ecx = ecx;
	e->edx = edx;
}

/** 32 KiB of each kind and 512 KiB for each CPU, 8 MiB for all, as either maker says it. */
static void model_caches(struct x86_cpuid *c, bool amd)
{
	static const uint32_t cache[][3] = {
		{ CACHE_1D(8U, 64U) },
		{ CACHE_1I(8U, 64U) },
		{ CACHE_2(8U, 1024U) },
		{ CACHE_3(16U, 8192U) },
	};

	if (amd) {
		model_put(c, 0x80000005, 0, 0, 0x20080140, 0x20080140);
		model_put(c, 0x80000006, 0, 0, 0x02006140, 0x00408140);
		return;
	}
	for (uint32_t i = 0; i < ARRAY_SIZE(cache); i++) {
		struct kvm_cpuid_entry2 *e = cpuid_need(c, 4, i, KVM_CPUID_FLAG_SIGNIFCANT_INDEX);

		BUG_ON(!e);
		e->eax = cache[i][0];
		e->ebx = cache[i][1];
		e->ecx = cache[i][2];
	}
}

static void model_brand(struct x86_cpuid *c)
{
	static const char brand[48] = "mayfly baseline (x86-64-v2)";

	for (uint32_t i = 0; i < 3; i++) {
		const char *p = brand + (size_t)i * 16;

		model_put(c, 0x80000002 + i, le32_get(p), le32_get(p + 4), le32_get(p + 8),
			le32_get(p + 12));
	}
}

/** Does the host have these bits of a leaf's ECX and EDX? */
static int model_has(
	struct x86_cpuid *c, uint32_t leaf, uint32_t ecx, uint32_t edx, struct err *err)
{
	static const struct kvm_cpuid_entry2 none;
	const struct kvm_cpuid_entry2 *e = cpuid_find(c, leaf, 0);

	if (!e)
		e = &none;
	if ((e->ecx & ecx) == ecx && (e->edx & edx) == edx)
		return 0;
	return err_set(err, ENOTSUP,
		"--cpu-model: baseline: this host's CPUID leaf 0x%x lacks ECX 0x%x, EDX 0x%x", leaf,
		ecx & ~e->ecx, edx & ~e->edx);
}

int cpuid_baseline(struct x86_cpuid *c, struct err *err)
{
	struct kvm_cpuid_entry2 leaf0 = { 0 }, kvm = { 0 }, *e;
	const struct model_maker *maker;
	bool amd;
	int rc = model_has(c, 1, MODEL_1_ECX, MODEL_1_EDX, err);

	if (!rc)
		rc = model_has(c, 0x80000001, MODEL_X_ECX, MODEL_X_EDX, err);
	if (rc)
		return rc;
	e = cpuid_find(c, 0, 0);
	if (e)
		leaf0 = *e;
	e = cpuid_find(c, CPUID_KVM, 0);
	if (e)
		kvm = *e;
	maker = model_maker(&leaf0);
	amd = maker != &model_other;

	c->head.nent = 0;
	model_put(c, 0, MODEL_MAX_LEAF, leaf0.ebx, leaf0.ecx, leaf0.edx);
	model_put(c, 1, maker->signature, 0, MODEL_1_ECX, MODEL_1_EDX);
	model_put(c, 0xb, 0, 0, 0, 0);
	cpuid_find(c, 0xb, 0)->flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
	if (kvm.ebx) {
		model_put(c, CPUID_KVM, CPUID_KVM + 1, kvm.ebx, kvm.ecx, kvm.edx);
		model_put(c, CPUID_KVM + 1, MODEL_KVM_FEATURES, 0, 0, 0);
	}
	model_put(c, 0x80000000, MODEL_MAX_EXTENDED, amd ? leaf0.ebx : 0, amd ? leaf0.ecx : 0,
		amd ? leaf0.edx : 0);
	model_put(c, 0x80000001, amd ? maker->signature : 0, 0, MODEL_X_ECX, MODEL_X_EDX);
	model_brand(c);
	model_caches(c, amd);
	model_put(c, 0x80000008, MODEL_VIRTUAL_BITS << 8 | CPUID_BASELINE_ADDRESS_BITS, 0, 0, 0);
	return 0;
}
