// SPDX-License-Identifier: BSD-3-Clause
/*
 * What baseline CPUs hide, on a KVM that lets all, some or none of it go. Register numbers are
 * KVM's, written out.
 */
#include "tests/unit/aarch64_rig.h"

/* KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM64_SYSREG, op0 3, op1 0, crn 0 */
#define ID(crm, op2) (0x603000000013c000ULL | (crm) << 3 | (op2))
#define MIDR         ID(0, 0)
#define PFR0         ID(4, 0)
#define ISAR0        ID(6, 0)
#define MMFR0        ID(7, 0)

#define ALL 0x1111111111111111ULL /* one in each field */

static struct {
	uint64_t fixed; /* fields of ISAR0 that KVM keeps */
	bool stubborn;  /* it takes nothing at all */
	bool unknown;   /* it has no such registers */
	uint64_t isar0, pfr0;
} cu;

static int cu_get(struct kl_call *c)
{
	if (cu.unknown)
		return -ENOENT;
	c->value = c->attr == ISAR0 ? cu.isar0 : c->attr == PFR0 ? cu.pfr0 : ALL;
	return 0;
}

/** Before kl_ioctl, because a refusal depends on the value. */
static int cu_ioctl(unsigned long req, void *arg)
{
	const struct kvm_one_reg *r = arg;
	int rc = kl_ioctl(req, arg);
	uint64_t v;

	if (req != KVM_SET_ONE_REG || rc)
		return rc;
	memcpy(&v, (const void *)(uintptr_t)r->addr, sizeof(v));
	assert_true(r->id != MIDR && r->id != MMFR0);
	if (cu.stubborn)
		return -EINVAL;
	if (r->id == ISAR0) {
		if ((v ^ ALL) & cu.fixed)
			return -EINVAL;
		cu.isar0 = v;
	}
	if (r->id == PFR0)
		cu.pfr0 = v;
	return 0;
}

static int cu_setup(void **state)
{
	ar_setup(state);
	memset(&cu, 0, sizeof(cu));
	cu.isar0 = cu.pfr0 = ALL;
	kl.get = cu_get;
	fake_hv.ioctl = cu_ioctl;
	return 0;
}

#define CU_TEST(f) cmocka_unit_test_setup_teardown(f, cu_setup, ar_teardown)

static void what_kvm_lets_go_is_hidden(void **state __unused)
{
	cpu_hide(dr_vcpu(1));
	assert_int_equal(cu.isar0, 0);
	/* Exception levels, floating point and the GIC stay. */
	assert_int_equal(cu.pfr0, ALL & 0x0fffffff);
	for (unsigned i = 0; i < kl.nr; i++)
		assert_int_equal(kl.call[i].cpu, 1);
}

static void a_field_that_kvm_keeps_does_not_keep_the_others(void **state __unused)
{
	cu.fixed = 0xf0f0ULL;
	cpu_hide(dr_vcpu(0));
	assert_int_equal(cu.isar0, ALL & cu.fixed);
}

static void an_older_kvm_keeps_all_and_that_is_no_error(void **state __unused)
{
	cu.stubborn = true;
	cpu_hide(dr_vcpu(0));
	assert_int_equal(cu.isar0, ALL);
	cu.unknown = true;
	kl_start();
	cpu_hide(dr_vcpu(0));
	for (unsigned i = 0; i < kl.nr; i++)
		assert_int_equal(kl.call[i].req, KVM_GET_ONE_REG);
}

static void a_baseline_machine_has_no_optional_part(void **state __unused)
{
	struct arch_parts parts = { .nr_cpus = 1, .nr_lines = 9, .baseline_cpu = true };
	const struct kl_call *init = NULL;

	ar.pmu = ar.sve = ar.ptrauth_address = ar.ptrauth_generic = true;
	assert_int_equal(arch_vm_create(&parts, &ar.av, &ar.err), 0);
	assert_false(ar.av->pmu);
	assert_int_equal(arch_vcpu_init(ar.av, dr_vcpu(0), 0, &ar.err), 0);
	for (unsigned i = 0; i < kl.nr; i++) {
		if (kl.call[i].req == KVM_ARM_VCPU_INIT)
			init = &kl.call[i];
		assert_true(kl.call[i].req != KVM_ARM_VCPU_FINALIZE);
	}
	assert_non_null(init);
	assert_int_equal(init->value, 1U << KVM_ARM_VCPU_PSCI_0_2);
	assert_int_equal(cu.isar0, 0);
}

static void a_hosts_cpus_hide_nothing(void **state __unused)
{
	ar_makes(1, 9);
	assert_int_equal(cu.isar0, ALL);
	assert_int_equal(cu.pfr0, ALL);
}

static void cu_put(void *ctx, const char *name, const void *bytes, size_t len)
{
	const uint64_t *v = bytes;

	assert_string_equal(name, "ids");
	assert_int_equal(len, 10 * sizeof(*v));
	assert_int_equal(v[0], ALL);     /* MIDR_EL1 */
	assert_int_equal(v[1], 0x12345); /* ID_AA64PFR0_EL1 */
	assert_int_equal(v[4], 0x54321); /* ID_AA64ISAR0_EL1 */
	++*(unsigned *)ctx;
}

static void a_cpu_is_measured_by_its_registers(void **state __unused)
{
	unsigned nr = 0;

	cu.pfr0 = 0x12345;
	cu.isar0 = 0x54321;
	assert_int_equal(arch_vcpu_measure(NULL, dr_vcpu(0), cu_put, &nr, &ar.err), 0);
	assert_int_equal(nr, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CU_TEST(what_kvm_lets_go_is_hidden),
		CU_TEST(a_field_that_kvm_keeps_does_not_keep_the_others),
		CU_TEST(an_older_kvm_keeps_all_and_that_is_no_error),
		CU_TEST(a_baseline_machine_has_no_optional_part),
		CU_TEST(a_hosts_cpus_hide_nothing),
		CU_TEST(a_cpu_is_measured_by_its_registers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
