// SPDX-License-Identifier: BSD-3-Clause
/* CPUID as guests see it, from what a made-up KVM supports. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "arch/x86_64/x86.h"
#include "hypervisor/fake/fake.h"

#define MAX_ENTRIES 256
#define ONES        0xffffffffU

/* What KVM supports, and what the vCPU was given. */
static struct {
	struct kvm_cpuid_entry2 in[MAX_ENTRIES], out[MAX_ENTRIES];
	unsigned nr_in, nr_out, room;
	int get_rc, set_rc, khz;
	bool deadline;
} cp;

static int cp_ioctl(unsigned long req, void *arg)
{
	struct kvm_cpuid2 *c = arg;

	switch (req) {
	case KVM_GET_SUPPORTED_CPUID:
		cp.room = c->nent;
		assert_true(cp.nr_in <= c->nent);
		memcpy(c->entries, cp.in, cp.nr_in * sizeof(cp.in[0]));
		c->nent = cp.nr_in;
		return cp.get_rc;
	case KVM_GET_TSC_KHZ:
		return cp.khz;
	case KVM_SET_CPUID2:
		assert_true(c->nent <= MAX_ENTRIES);
		cp.nr_out = c->nent;
		memcpy(cp.out, c->entries, c->nent * sizeof(c->entries[0]));
		return cp.set_rc;
	default:
		fail_msg("ioctl 0x%lx", req);
		return -ENOTTY;
	}
}

static int cp_cap(unsigned cap)
{
	return cap == KVM_CAP_TSC_DEADLINE_TIMER ? cp.deadline : 1;
}

static void cp_add(uint32_t leaf, uint32_t index, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	bool indexed = leaf == 4 || leaf == 0xb || leaf == 0x1f || leaf == 0x8000001d;

	assert_true(cp.nr_in < MAX_ENTRIES);
	cp.in[cp.nr_in++] = (struct kvm_cpuid_entry2){

		.function = leaf,
		.index = index,
		.flags = indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
		.eax = a,
		.ebx = b,
		.ecx = c,
		.edx = d
	};
}

static int cp_setup(void **state)
{
	(void)state;
	memset(&cp, 0, sizeof(cp));
	memset(&fake_hv, 0, sizeof(fake_hv));
	fake_hv.ioctl = cp_ioctl;
	fake_hv.cap = cp_cap;
	return 0;
}

#define CP_TEST(f) cmocka_unit_test_setup(f, cp_setup)

static void cp_set(unsigned id, unsigned nr_cpus)
{
	struct err err;

	if (x86_set_cpuid(NULL, NULL, id, nr_cpus, false, &err))
		fail_msg("%s", err.msg);
}

static const struct kvm_cpuid_entry2 *cp_find(uint32_t leaf, uint32_t index)
{
	for (unsigned i = 0; i < cp.nr_out; i++)
		if (cp.out[i].function == leaf && cp.out[i].index == index)
			return &cp.out[i];
	return NULL;
}

static const struct kvm_cpuid_entry2 *cp_get(uint32_t leaf, uint32_t index)
{
	const struct kvm_cpuid_entry2 *e = cp_find(leaf, index);

	if (!e)
		fail_msg("leaf 0x%x index %u is not there", leaf, index);
	return e;
}

static void leaf_1_says_who_and_how_many(void **state)
{
	(void)state;
	cp_add(1, 0, 0x12345, 0x99990877, 0, 0);
	cp_set(5, 64);
	assert_int_equal(cp_get(1, 0)->eax, 0x12345);
	assert_int_equal(cp_get(1, 0)->ebx, 5U << 24 | 64 << 16 | 0x0800);
	assert_true(cp_get(1, 0)->edx & BIT(28)); /* more than one logical CPU */
	cp_set(0, 1);
	assert_int_equal(cp_get(1, 0)->ebx, 1 << 16 | 0x0800);
	assert_false(cp_get(1, 0)->edx & BIT(28));
}

static void a_cache_line_is_said_where_kvm_does_not(void **state)
{
	(void)state;
	cp_add(1, 0, 0, 0, 0, 0);
	cp_set(0, 1);
	assert_int_equal(cp_get(1, 0)->ebx & 0xff00, 0x0800);
}

static void there_is_a_hypervisor_but_no_nested_one(void **state)
{
	(void)state;
	cp_add(1, 0, 0, 0, ONES, 0);
	cp_add(0x80000001, 0, 0, 0, ONES, ONES);
	cp_add(0x8000000a, 0, 1, 2, 3, 4);
	cp_set(0, 1);
	assert_int_equal(cp_get(1, 0)->ecx, ONES & ~(uint32_t)(BIT(5) | BIT(3))); /* VMX, MONITOR */
	assert_int_equal(cp_get(0x80000001, 0)->ecx, ONES & ~(uint32_t)BIT(2));   /* SVM */
	assert_int_equal(cp_get(0x80000001, 0)->edx, ONES);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal((&cp_get(0x8000000a, 0)->eax)[i], 0);
}

static void the_hypervisor_bit_and_x2apic_are_always_there(void **state)
{
	(void)state;
	cp_add(1, 0, 0, 0, 0, 0);
	cp_set(0, 1);
	assert_int_equal(cp_get(1, 0)->ecx, (uint32_t)(BIT(31) | BIT(21)));
}

static void the_deadline_timer_is_there_where_kvm_has_it(void **state)
{
	(void)state;
	cp_add(1, 0, 0, 0, 0, 0);
	cp.deadline = true;
	cp_set(0, 1);
	assert_true(cp_get(1, 0)->ecx & BIT(24));
}

static void cores_are_all_of_one_package(void **state)
{
	static const struct {
		unsigned cpus, bits;
	} sizes[] = { { 1, 0 }, { 2, 1 }, { 3, 2 }, { 4, 2 }, { 5, 3 }, { 63, 6 }, { 64, 6 } };
	static const uint32_t leaves[] = { 0xb, 0x1f };

	(void)state;
	cp_add(0xb, 0, ONES, ONES, ONES, ONES);
	cp_add(0x1f, 0, ONES, ONES, ONES, ONES);
	cp_add(0x1f, 1, ONES, ONES, ONES, ONES);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		unsigned id = sizes[i].cpus - 1;

		cp_set(id, sizes[i].cpus);
		for (size_t l = 0; l < ARRAY_SIZE(leaves); l++) {
			const struct kvm_cpuid_entry2 *thread = cp_get(leaves[l], 0),
						      *core = cp_get(leaves[l], 1),
						      *end = cp_get(leaves[l], 2);

			assert_int_equal(thread->eax, 0);
			assert_int_equal(thread->ebx, 1);
			assert_int_equal(thread->ecx, 0x100);
			assert_int_equal(core->eax, sizes[i].bits);
			assert_int_equal(core->ebx, sizes[i].cpus);
			assert_int_equal(core->ecx, 0x201);
			assert_int_equal(core->flags, KVM_CPUID_FLAG_SIGNIFCANT_INDEX);
			assert_int_equal(end->ebx, 0);
			assert_int_equal(end->ecx, 2);
			assert_int_equal(thread->edx, id);
			assert_int_equal(core->edx, id);
			assert_int_equal(end->edx, id);
		}
		assert_int_equal(cp.nr_out, 6);
	}
}

static void topology_that_the_processor_lacks_is_not_invented(void **state)
{
	(void)state;
	cp_add(0, 0, 0xa, 0, 0, 0);
	cp_set(0, 4);
	assert_null(cp_find(0xb, 0));
	assert_null(cp_find(0x1f, 0));
}

static void amds_leaves_say_the_same(void **state)
{
	(void)state;
	cp_add(0x80000008, 0, 0x3030, 7, ONES, 9);
	cp_add(0x8000001e, 0, ONES, ONES, ONES, 9);
	cp_set(3, 6);
	assert_int_equal(cp_get(0x80000008, 0)->eax, 0x3030);
	assert_int_equal(cp_get(0x80000008, 0)->ebx, 7);
	assert_int_equal(cp_get(0x80000008, 0)->ecx, 5 | 3 << 12);
	assert_int_equal(cp_get(0x8000001e, 0)->eax, 3);
	assert_int_equal(cp_get(0x8000001e, 0)->ebx, 3);
	assert_int_equal(cp_get(0x8000001e, 0)->ecx, 0);
}

static void only_the_last_cache_is_shared(void **state)
{
	static const uint32_t leaves[] = { 4, 0x8000001d };

	(void)state;
	for (size_t l = 0; l < ARRAY_SIZE(leaves); l++)
		for (uint32_t level = 1; level <= 4; level++) /* 0: the end of the list */
			cp_add(leaves[l], level, level == 4 ? 0 : 0x03ffc001 | level << 5, 7, 8, 9);
	cp_set(0, 8);
	for (size_t l = 0; l < ARRAY_SIZE(leaves); l++) {
		uint32_t cores = leaves[l] == 4 ? 7U << 26 : 0;

		assert_int_equal(cp_get(leaves[l], 1)->eax, cores | 0x21);
		assert_int_equal(cp_get(leaves[l], 2)->eax, cores | 0x41);
		assert_int_equal(cp_get(leaves[l], 3)->eax, cores | 7 << 14 | 0x61);
		assert_int_equal(cp_get(leaves[l], 4)->eax, 0);
		assert_int_equal(cp_get(leaves[l], 3)->ebx, 7);
	}
}

static void the_tsc_frequency_is_where_kernels_look(void **state)
{
	const struct kvm_cpuid_entry2 *e;

	(void)state;
	cp_add(0, 0, 0x16, 0, 0, 0);
	cp_add(0x40000000, 0, 0x40000001, 0, 0, 0);
	cp.khz = 2100000;
	cp_set(0, 1);
	e = cp_get(0x15, 0);
	assert_true(e->eax);
	/* Hz: crystal * numerator / denominator, without a rounding error. */
	assert_int_equal((uint64_t)e->ecx * e->ebx / e->eax, 2100000000ULL);
	assert_int_equal((uint64_t)e->ecx * e->ebx % e->eax, 0);
	e = cp_get(0x40000010, 0);
	assert_int_equal(e->eax, 2100000);
	assert_int_equal(e->ebx, 1000000);
	assert_int_equal(cp_get(0x40000000, 0)->eax, 0x40000010);
}

static void a_processor_without_leaf_15_does_not_get_one(void **state)
{
	(void)state;
	cp_add(0, 0, 0xd, 0, 0, 0);
	cp_add(0x40000000, 0, 0x40000011, 0, 0, 0);
	cp.khz = 3000000;
	cp_set(0, 1);
	assert_null(cp_find(0x15, 0));
	assert_int_equal(cp_get(0x40000010, 0)->eax, 3000000);
	assert_int_equal(cp_get(0x40000000, 0)->eax, 0x40000011);
}

static void an_unknown_tsc_frequency_is_not_said(void **state)
{
	static const int khz[] = { 0, -EIO };

	(void)state;
	cp_add(0, 0, 0x16, 0, 0, 0);
	cp_add(0x40000000, 0, 0x40000001, 0, 0, 0);
	for (size_t i = 0; i < ARRAY_SIZE(khz); i++) {
		cp.khz = khz[i];
		cp_set(0, 1);
		assert_int_equal(cp.nr_out, 2);
		assert_int_equal(cp_get(0x40000000, 0)->eax, 0x40000001);
	}
}

static void leaves_that_nobody_touches_pass(void **state)
{
	(void)state;
	cp_add(7, 0, 1, 2, 3, 4);
	cp_add(0xd, 2, 5, 6, 7, 8);
	cp.in[1].flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
	cp_set(0, 1);
	assert_int_equal(cp.nr_out, 2);
	assert_memory_equal(cp.out, cp.in, 2 * sizeof(cp.in[0]));
}

static void a_full_table_is_not_written_past(void **state)
{
	(void)state;
	/* What must be there comes last, and nothing can be added. */
	for (uint32_t i = 0; i < MAX_ENTRIES - 4; i++)
		cp_add(0x1000 + i, 0, 0, 0, 0, 0);
	cp_add(0, 0, 0x1f, 0, 0, 0);
	cp_add(0x40000000, 0, 0, 0, 0, 0);
	cp_add(0xb, 0, 0, 0, 0, 0);
	cp_add(0x1f, 0, 0, 0, 0, 0);
	cp.khz = 1000000;
	cp_set(1, 2);
	assert_int_equal(cp.room, MAX_ENTRIES);
	assert_int_equal(cp.nr_out, MAX_ENTRIES);
	assert_int_equal(cp_get(0x1f, 0)->edx, 1);
	assert_null(cp_find(0x40000010, 0));
}

static void what_kvm_refuses_is_said(void **state)
{
	struct err err;

	(void)state;
	cp.get_rc = -E2BIG;
	assert_int_equal(x86_set_cpuid(NULL, NULL, 0, 1, false, &err), -E2BIG);
	assert_non_null(strstr(err.msg, "cannot read the CPUID"));
	cp.get_rc = 0;
	cp.set_rc = -EINVAL;
	assert_int_equal(x86_set_cpuid(NULL, NULL, 0, 1, false, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "cannot set CPUID"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CP_TEST(leaf_1_says_who_and_how_many),
		CP_TEST(a_cache_line_is_said_where_kvm_does_not),
		CP_TEST(there_is_a_hypervisor_but_no_nested_one),
		CP_TEST(the_hypervisor_bit_and_x2apic_are_always_there),
		CP_TEST(the_deadline_timer_is_there_where_kvm_has_it),
		CP_TEST(cores_are_all_of_one_package),
		CP_TEST(topology_that_the_processor_lacks_is_not_invented),
		CP_TEST(amds_leaves_say_the_same),
		CP_TEST(only_the_last_cache_is_shared),
		CP_TEST(the_tsc_frequency_is_where_kernels_look),
		CP_TEST(a_processor_without_leaf_15_does_not_get_one),
		CP_TEST(an_unknown_tsc_frequency_is_not_said),
		CP_TEST(leaves_that_nobody_touches_pass),
		CP_TEST(a_full_table_is_not_written_past),
		CP_TEST(what_kvm_refuses_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
