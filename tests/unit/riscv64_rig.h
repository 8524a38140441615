/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A riscv64 machine on a KVM that writes down what it is asked (kvm_log.h), with the registers
 * that a test gives its CPUs. Numbers are those of KVM's user interface, written out: the tests
 * do not take them from the code.
 */
#pragma once

#include "tests/unit/kvm_log.h"
#include "tests/unit/loop_step.h"

#include "arch/riscv64/riscv64.h"

#define RR_REG(type, n) (0x8030000000000000ULL | (uint64_t)(type) << 24 | (n))
#define RR_CONFIG       1
#define RR_CORE         2
#define RR_TIMER        4
#define RR_ISA          7
#define RR_SBI          8
#define RR_NR           80 /* registers of a type that are looked at */

#define RR_AIA      11 /* type of the device; then its groups of attributes */
#define RR_A_CONFIG 0
#define RR_A_ADDR   1
#define RR_A_CTRL   2

static struct rr {
	struct arch_vm *av; /* owned */
	struct bus mmio;
	struct err err;
	/* What CPUs have: values, and what a KVM does not know (KVM answers ENOENT). */
	uint64_t reg[RR_SBI + 1][RR_NR];
	bool unknown[RR_SBI + 1][RR_NR];
	uint32_t ids; /* interrupt identities of an IMSIC file */
} rr;

static inline int rr_get(struct kl_call *c)
{
	unsigned type = c->attr >> 24 & 0xff, n = c->attr & 0xffffff;

	if (c->req == KVM_GET_DEVICE_ATTR) {
		assert_int_equal(c->group, RR_A_CONFIG);
		assert_int_equal(c->attr, 1);
		c->value = rr.ids;
		return 0;
	}
	assert_int_equal(c->attr, RR_REG(type, n));
	assert_true(type <= RR_SBI && n < RR_NR);
	c->value = rr.reg[type][n];
	return rr.unknown[type][n] ? -ENOENT : 0;
}

static inline int rr_other(struct kl_call *c, void *arg)
{
	if (c->req == KVM_INTERRUPT)
		c->value = ((const struct kvm_interrupt *)arg)->irq;
	if (c->req == KVM_IRQ_LINE) {
		c->attr = ((const struct kvm_irq_level *)arg)->irq;
		c->value = ((const struct kvm_irq_level *)arg)->level;
	}
	return 0;
}

static inline int rr_setup(void **state __unused)
{
	memset(&fake_hv, 0, sizeof(fake_hv));
	memset(&rr, 0, sizeof(rr));
	memset(&kl, 0, sizeof(kl));
	fake_hv.ioctl = kl_ioctl;
	kl.wide_group = RR_A_ADDR;
	kl.other = rr_other;
	kl.get = rr_get;
	rr.ids = 255;
	rr.reg[RR_TIMER][0] = 10000000;
	step_open();
	kl_start();
	return 0;
}

static inline int rr_teardown(void **state __unused)
{
	arch_vm_destroy(rr.av);
	step_close();
	return 0;
}

#define RR_TEST(f) cmocka_unit_test_setup_teardown(f, rr_setup, rr_teardown)

/** A machine, complete. */
static inline int rr_make(unsigned nr_cpus, unsigned nr_lines)
{
	struct arch_parts parts = {
		.mmio = &rr.mmio, .loop = step.loop, .nr_cpus = nr_cpus, .nr_lines = nr_lines
	};
	int rc;

	arch_vm_destroy(rr.av);
	rr.av = NULL;
	memset(&rr.mmio, 0, sizeof(rr.mmio));
	memset(&rr.err, 0, sizeof(rr.err));
	rc = arch_vm_create(&parts, &rr.av, &rr.err);
	for (unsigned i = 0; !rc && i < nr_cpus; i++)
		rc = arch_vcpu_init(rr.av, dr_vcpu(i), i, &rr.err);
	return rc ? rc : arch_vm_ready(rr.av, &rr.err);
}

static inline void rr_makes(unsigned nr_cpus, unsigned nr_lines)
{
	if (rr_make(nr_cpus, nr_lines))
		fail_msg("%s", rr.err.msg);
}

static inline void rr_says(int rc, int code, const char *says)
{
	assert_int_equal(rc, -code);
	assert_string_equal(rr.err.msg, says);
}
