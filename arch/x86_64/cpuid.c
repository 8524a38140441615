// SPDX-License-Identifier: BSD-3-Clause
/*
 * CPUID: what KVM supports on this host, with the parts that depend on the machine put in:
 * APIC ids, topology, the TSC frequency, and no nested virtualization.
 * Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E; Linux
 * Documentation/virt/kvm/x86/cpuid.rst.
 *
 * The machine is one package of nr_cpus cores with one thread each.
 */
#include <errno.h>
#include <stdlib.h>

#include "arch/x86_64/cpuid.h"
#include "arch/x86_64/x86.h"

#define LEAF1_ECX_MONITOR      BIT(3)
#define LEAF1_ECX_VMX          BIT(5)
#define LEAF1_ECX_X2APIC       BIT(21)
#define LEAF1_ECX_TSC_DEADLINE BIT(24)
#define LEAF1_ECX_HYPERVISOR   BIT(31)
#define LEAF1_EDX_HTT          BIT(28)
#define LEAF80000001_ECX_SVM   BIT(2)

#define CPUID_KVM_TIMING 0x40000010U /* EAX: TSC kHz, EBX: local APIC bus kHz */
#define KVM_APIC_BUS_KHZ 1000000U

/** Bits of an APIC id that tell nr_cpus cores apart. */
static uint32_t cpuid_core_bits(unsigned nr_cpus)
{
	uint32_t bits = 0;

	while ((1U << bits) < nr_cpus)
		bits++;
	return bits;
}

struct kvm_cpuid_entry2 *cpuid_find(struct x86_cpuid *c, uint32_t leaf, uint32_t index)
{
	for (uint32_t i = 0; i < c->head.nent; i++)
		if (c->entry[i].function == leaf && c->entry[i].index == index)
			return &c->entry[i];
	return NULL;
}

struct kvm_cpuid_entry2 *cpuid_need(
	struct x86_cpuid *c, uint32_t leaf, uint32_t index, uint32_t flags)
{
	struct kvm_cpuid_entry2 *e = cpuid_find(c, leaf, index);

	if (e || c->head.nent == CPUID_MAX_ENTRIES)
		return e;
	e = &c->entry[c->head.nent++];
	*e = (struct kvm_cpuid_entry2){ .function = leaf, .index = index, .flags = flags };
	return e;
}

/** Extended topology: level 0 one thread, level 1 all cores. Leaves 0xb and 0x1f. */
static void cpuid_topology(struct x86_cpuid *c, uint32_t leaf, unsigned id, unsigned nr_cpus)
{
	for (uint32_t level = 0; level < 3; level++) {
		struct kvm_cpuid_entry2 *e =
			cpuid_need(c, leaf, level, KVM_CPUID_FLAG_SIGNIFCANT_INDEX);

		if (!e)
			return;
		e->eax = level == 1 ? cpuid_core_bits(nr_cpus) : 0;
		e->ebx = level == 0 ? 1 : level == 1 ? nr_cpus : 0;
		e->ecx = level | (level == 0 ? 1U << 8 : level == 1 ? 2U << 8 : 0);
		e->edx = id;
	}
}

/** Who shares a cache: the last level all cores, the others one. Leaves 4 and 0x8000001d. */
static void cpuid_cache(struct kvm_cpuid_entry2 *e, unsigned nr_cpus)
{
	uint32_t level = (e->eax >> 5) & 7, sharing = level >= 3 ? nr_cpus - 1 : 0;

	if (!(e->eax & 0x1f))
		return;
	e->eax = (e->eax & ~(0xfffU << 14)) | sharing << 14;
	if (e->function == 4)
		e->eax = (e->eax & 0x03ffffffU) | (nr_cpus - 1) << 26;
}

static void cpuid_leaf(struct kvm_cpuid_entry2 *e, unsigned id, unsigned nr_cpus, bool deadline)
{
	switch (e->function) {
	case 1:
		e->ebx = (e->ebx & 0xff00U) | nr_cpus << 16 | id << 24;
		if (!(e->ebx & 0xff00U))
			e->ebx |= 8U << 8; /* CLFLUSH line of 64 bytes */
		e->ecx &= ~(uint32_t)(LEAF1_ECX_MONITOR | LEAF1_ECX_VMX);
		e->ecx |= (uint32_t)(LEAF1_ECX_X2APIC | LEAF1_ECX_HYPERVISOR);
		if (deadline)
			e->ecx |= (uint32_t)LEAF1_ECX_TSC_DEADLINE;
		if (nr_cpus > 1)
			e->edx |= (uint32_t)LEAF1_EDX_HTT;
		break;
	case 4:
	case 0x8000001d:
		cpuid_cache(e, nr_cpus);
		break;
	case 0x80000001:
		e->ecx &= ~(uint32_t)LEAF80000001_ECX_SVM;
		break;
	case 0x80000008:
		e->ecx = (nr_cpus - 1) | cpuid_core_bits(nr_cpus) << 12;
		break;
	case 0x8000000a: /* SVM revision and features */
		e->eax = e->ebx = e->ecx = e->edx = 0;
		break;
	case 0x8000001e:
		e->eax = id;
		e->ebx = id & 0xff;
		e->ecx = 0;
		break;
	}
}

/** The TSC frequency where each kind of kernel looks for it, so that none calibrates. */
static void cpuid_timing(struct x86_cpuid *c, uint32_t tsc_khz)
{
	struct kvm_cpuid_entry2 *e = cpuid_find(c, 0, 0), *kvm = cpuid_find(c, CPUID_KVM, 0);

	if (!tsc_khz)
		return;
	if (e && e->eax >= 0x15) {
		e = cpuid_need(c, 0x15, 0, 0);
		if (e) { /* TSC Hz = crystal (ECX) * EBX / EAX; the crystal is KVM's APIC clock */
			e->eax = KVM_APIC_BUS_KHZ;
			e->ebx = tsc_khz;
			e->ecx = KVM_APIC_BUS_KHZ * 1000;
			e->edx = 0;
		}
	}
	e = cpuid_need(c, CPUID_KVM_TIMING, 0, 0);
	if (e && kvm) {
		kvm->eax = MAX(kvm->eax, CPUID_KVM_TIMING);
		e->eax = tsc_khz;
		e->ebx = KVM_APIC_BUS_KHZ;
	}
}

static void cpuid_free(struct x86_cpuid **c)
{
	free(*c);
}

int x86_set_cpuid(struct hv *hv, struct hv_vcpu *cpu, unsigned id, unsigned nr_cpus, bool baseline,
	struct err *err)
{
	__cleanup(cpuid_free) struct x86_cpuid *c = calloc(1, sizeof(*c));
	bool deadline = hv_cap(hv, KVM_CAP_TSC_DEADLINE_TIMER) > 0;
	int rc, khz;

	if (!c)
		return err_errno(err, ENOMEM, "CPUID");
	c->head.nent = CPUID_MAX_ENTRIES;
	rc = hv_ioctl(hv, KVM_GET_SUPPORTED_CPUID, c);
	if (rc)
		return err_errno(err, -rc, "KVM: cannot read the CPUID it supports");
	if (baseline) {
		rc = cpuid_baseline(c, err);
		if (rc)
			return rc;
		/* Where the processor can scale its counter; elsewhere it is the host's. */
		if (hv_cap(hv, KVM_CAP_TSC_CONTROL))
			(void)!hv_vcpu_ioctl(cpu, KVM_SET_TSC_KHZ, (void *)CPUID_BASELINE_TSC_KHZ);
	}
	for (uint32_t i = 0; i < c->head.nent; i++)
		cpuid_leaf(&c->entry[i], id, nr_cpus, deadline);
	if (cpuid_find(c, 0xb, 0))
		cpuid_topology(c, 0xb, id, nr_cpus);
	if (cpuid_find(c, 0x1f, 0))
		cpuid_topology(c, 0x1f, id, nr_cpus);
	khz = hv_vcpu_ioctl(cpu, KVM_GET_TSC_KHZ, NULL);
	cpuid_timing(c, khz > 0 ? (uint32_t)khz : 0);
	rc = hv_vcpu_ioctl(cpu, KVM_SET_CPUID2, c);
	return rc ? err_errno(err, -rc, "KVM: cannot set CPUID") : 0;
}

int arch_vcpu_measure(struct arch_vm *av __unused, struct hv_vcpu *cpu, arch_measure_fn put,
	void *ctx, struct err *err)
{
	__cleanup(cpuid_free) struct x86_cpuid *c = calloc(1, sizeof(*c));
	int rc;

	if (!c)
		return err_errno(err, ENOMEM, "CPUID");
	c->head.nent = CPUID_MAX_ENTRIES;
	rc = hv_vcpu_ioctl(cpu, KVM_GET_CPUID2, c);
	if (rc)
		return err_errno(err, -rc, "KVM: cannot read CPUID");
	put(ctx, "cpuid", c->entry, MIN(c->head.nent, CPUID_MAX_ENTRIES) * sizeof(c->entry[0]));
	return 0;
}
