/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An aarch64 machine on a KVM that writes down what it is asked (kvm_log.h), with the
 * capabilities that a test gives the host.
 */
#pragma once

#include "tests/unit/kvm_log.h"

#include "arch/aarch64/aarch64.h"

#define AR_TARGET 5 /* what KVM calls its CPUs */
#define AR_V2     5 /* KVM_DEV_TYPE_ARM_VGIC_V2 */
#define AR_V3     7
#define AR_ADDR   0 /* KVM_DEV_ARM_VGIC_GRP_ADDR */

/* As in KVM's user interface, whose header for aarch64 other machines do not have. */
struct ar_init {
	uint32_t target, features[7];
};
#define AR_PREFERRED_TARGET _IOR(KVMIO, 0xaf, struct ar_init)
#define AR_VCPU_INIT        _IOW(KVMIO, 0xae, struct ar_init)

static struct ar {
	struct arch_vm *av; /* owned */
	struct err err;
	/* What the host has. */
	bool pmu, ptrauth_address, ptrauth_generic, sve;
	int bits; /* of an address */
} ar;

static inline int ar_cap(unsigned cap)
{
	switch (cap) {
	case KVM_CAP_ARM_PMU_V3:
		return ar.pmu;
	case KVM_CAP_ARM_PTRAUTH_ADDRESS:
		return ar.ptrauth_address;
	case KVM_CAP_ARM_PTRAUTH_GENERIC:
		return ar.ptrauth_generic;
	case KVM_CAP_ARM_SVE:
		return ar.sve;
	case KVM_CAP_ARM_VM_IPA_SIZE:
		return ar.bits;
	default:
		return 1;
	}
}

static inline int ar_other(struct kl_call *c, void *arg)
{
	struct ar_init *init = arg;

	switch (c->req) {
	case AR_PREFERRED_TARGET:
		memset(init, 0xff, sizeof(*init)); /* features, too: they are not the machine's */
		init->target = AR_TARGET;
		return 0;
	case AR_VCPU_INIT:
		c->attr = init->target;
		c->value = init->features[0];
		for (size_t i = 1; i < ARRAY_SIZE(init->features); i++)
			assert_int_equal(init->features[i], 0);
		return 0;
	case KVM_ARM_VCPU_FINALIZE:
		c->value = kl_word((uintptr_t)arg, sizeof(int));
		return 0;
	default:
		return 0;
	}
}

/** As KVM numbers CPUs: 16 in the lowest field, with a bit that is no affinity. */
static inline int ar_get(struct kl_call *c)
{
	unsigned n = (unsigned)c->cpu;

	c->value = BIT(31) | n / 16 << 8 | n % 16;
	return 0;
}

static inline int ar_setup(void **state __unused)
{
	memset(&fake_hv, 0, sizeof(fake_hv));
	memset(&ar, 0, sizeof(ar));
	memset(&kl, 0, sizeof(kl));
	fake_hv.ioctl = kl_ioctl;
	fake_hv.cap = ar_cap;
	ar.bits = 40;
	kl.wide_group = AR_ADDR;
	kl.other = ar_other;
	kl.get = ar_get;
	kl_start();
	return 0;
}

static inline int ar_teardown(void **state __unused)
{
	arch_vm_destroy(ar.av);
	return 0;
}

#define AR_TEST(f) cmocka_unit_test_setup_teardown(f, ar_setup, ar_teardown)

/** A machine, complete. */
static inline int ar_make(unsigned nr_cpus, unsigned nr_lines)
{
	struct arch_parts parts = { .nr_cpus = nr_cpus, .nr_lines = nr_lines };
	int rc;

	arch_vm_destroy(ar.av);
	ar.av = NULL;
	memset(&ar.err, 0, sizeof(ar.err));
	rc = arch_vm_create(&parts, &ar.av, &ar.err);
	for (unsigned i = 0; !rc && i < nr_cpus; i++)
		rc = arch_vcpu_init(ar.av, dr_vcpu(i), i, &ar.err);
	return rc ? rc : arch_vm_ready(ar.av, &ar.err);
}

static inline void ar_makes(unsigned nr_cpus, unsigned nr_lines)
{
	if (ar_make(nr_cpus, nr_lines))
		fail_msg("%s", ar.err.msg);
}

static inline void ar_says(int rc, int code, const char *says)
{
	assert_int_equal(rc, -code);
	assert_string_equal(ar.err.msg, says);
}
