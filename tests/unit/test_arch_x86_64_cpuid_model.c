// SPDX-License-Identifier: BSD-3-Clause
/* The baseline model: the same CPUID whatever the host has beyond it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "arch/x86_64/cpuid.h"
#include "arch/x86_64/x86.h"
#include "hypervisor/fake/fake.h"

#define ONES 0xffffffffU

/* The host, and what the vCPU was given. */
static struct {
	struct x86_cpuid host, given;
	bool can_scale;
	unsigned long khz_asked; /* 0: nobody did */
} md;

static int md_ioctl(unsigned long req, void *arg)
{
	switch (req) {
	case KVM_GET_SUPPORTED_CPUID:
		memcpy(arg, &md.host, sizeof(md.host));
		return 0;
	case KVM_SET_TSC_KHZ:
		md.khz_asked = (unsigned long)arg;
		return 0;
	case KVM_GET_TSC_KHZ:
		return md.khz_asked ? (int)md.khz_asked : 2345678;
	case KVM_SET_CPUID2:
	case KVM_GET_CPUID2:
		if (req == KVM_SET_CPUID2)
			memcpy(&md.given, arg, sizeof(md.given));
		else
			memcpy(arg, &md.given, sizeof(md.given));
		return 0;
	default:
		fail_msg("ioctl 0x%lx", req);
		return -ENOTTY;
	}
}

static int md_cap(unsigned cap)
{
	return cap == KVM_CAP_TSC_CONTROL ? md.can_scale : 1;
}

static struct kvm_cpuid_entry2 *md_host(uint32_t leaf, uint32_t index)
{
	struct kvm_cpuid_entry2 *e =
		cpuid_need(&md.host, leaf, index, index ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0);

	assert_non_null(e);
	return e;
}

/** A host that has every bit there is, by a maker whose name begins so. */
static void md_host_with_all(const char *maker)
{
	static const uint32_t leaves[] = { 1, 2, 4, 5, 6, 7, 0xb, 0xd, 0x14, 0x15, 0x16, 0x19, 0x1f,
		0x40000001, 0x80000001, 0x80000002, 0x80000003, 0x80000004, 0x80000005, 0x80000006,
		0x80000007, 0x80000008, 0x8000000a, 0x80000019, 0x8000001d, 0x8000001e, 0x8000001f,
		0x80000021 };
	struct kvm_cpuid_entry2 *e;

	memset(&md, 0, sizeof(md));
	for (size_t i = 0; i < ARRAY_SIZE(leaves); i++) {
		e = md_host(leaves[i], 0);
		e->eax = e->ebx = e->ecx = e->edx = ONES;
	}
	md_host(4, 1)->eax = ONES;
	e = md_host(0, 0);
	e->eax = 0x20;
	e->ebx = le32_get(maker);
	e->edx = le32_get(maker + 4);
	e->ecx = le32_get(maker + 8);
	e = md_host(0x40000000, 0);
	e->eax = 0x40000001;
	e->ebx = 0x4b4d564b; /* "KVMKVMKVM" */
	e->ecx = 0x564b4d56;
	e->edx = 0x4d;
}

static int md_setup(void **state)
{
	(void)state;
	memset(&fake_hv, 0, sizeof(fake_hv));
	fake_hv.ioctl = md_ioctl;
	fake_hv.cap = md_cap;
	md_host_with_all("GenuineIntel");
	return 0;
}

#define MD_TEST(f) cmocka_unit_test_setup(f, md_setup)

static void md_give(unsigned id, unsigned nr_cpus)
{
	struct err err;

	if (x86_set_cpuid(NULL, NULL, id, nr_cpus, true, &err))
		fail_msg("%s", err.msg);
}

static const struct kvm_cpuid_entry2 *md_get(uint32_t leaf, uint32_t index)
{
	const struct kvm_cpuid_entry2 *e = cpuid_find(&md.given, leaf, index);

	if (!e)
		fail_msg("leaf 0x%x index %u is not there", leaf, index);
	return e;
}

/** Leaves a host with just what the model needs. */
static void md_host_with_least(void)
{
	struct kvm_cpuid_entry2 vendor = *md_host(0, 0), kvm = *md_host(0x40000000, 0);

	memset(&md.host, 0, sizeof(md.host));
	*md_host(0, 0) = vendor;
	md_host(0, 0)->eax = 0xd;
	*md_host(0x40000000, 0) = kvm;
	md_host(1, 0)->eax = 0x106a5;
	md_host(1, 0)->ecx = 0x00982201;
	md_host(1, 0)->edx = 0x078bfbfd;
	md_host(0x80000001, 0)->ecx = 1;
	md_host(0x80000001, 0)->edx = 0x20100800;
}

static void hosts_of_one_maker_give_the_same_bytes(void **state)
{
	static const char *const makers[] = { "GenuineIntel", "AuthenticAMD", "HygonGenuine" };
	struct x86_cpuid first;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(makers); i++) {
		md_host_with_all(makers[i]);
		md_give(1, 4);
		first = md.given;
		md_host_with_least();
		md_give(1, 4);
		assert_int_equal(md.given.head.nent, first.head.nent);
		assert_true(first.head.nent > 10);
		assert_memory_equal(
			md.given.entry, first.entry, first.head.nent * sizeof(first.entry[0]));
	}
}

static void features_are_those_of_x86_64_v2_and_no_more(void **state)
{
	(void)state;
	md_give(0, 1);
	/* And what every machine of mayfly has: x2APIC, deadline timer, hypervisor. */
	assert_int_equal(md_get(1, 0)->ecx, 0x00982201U | BIT(21) | BIT(24) | BIT(31));
	assert_int_equal(md_get(1, 0)->edx, 0x078bfbfd);
	assert_int_equal(md_get(0x80000001, 0)->edx, 0x20100800);
	assert_int_equal(md_get(0x80000001, 0)->ecx, 1);
	assert_null(cpuid_find(&md.given, 7, 0));
	assert_null(cpuid_find(&md.given, 0xd, 0));
	assert_null(cpuid_find(&md.given, 0x80000007, 0));
	assert_int_equal(md_get(0x80000008, 0)->eax, 48 << 8 | 39);
	/* Clock and no interrupt by paging, stolen time or what else a newer KVM has. */
	assert_int_equal(md_get(0x40000001, 0)->eax, 0x0100000b);
}

static void each_maker_has_one_processor(void **state)
{
	static const struct {
		const char *maker;
		uint32_t leaf1, extended;
	} c[] = { { "GenuineIntel", 0x206c1, 0 }, { "AuthenticAMD", 0x830f10, 0x830f10 },
		{ "HygonGenuine", 0x900f10, 0x900f10 }, { "CentaurHauls", 0x206c1, 0 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		md_host_with_all(c[i].maker);
		md_give(0, 1);
		assert_int_equal(md_get(1, 0)->eax, c[i].leaf1);
		assert_int_equal(md_get(0x80000001, 0)->eax, c[i].extended);
		assert_int_equal(md_get(0, 0)->ebx, le32_get(c[i].maker));
		assert_int_equal(md_get(0x80000002, 0)->eax, le32_get("mayf"));
	}
}

static void caches_have_a_size_in_each_makers_words(void **state)
{
	static const uint32_t size[] = { 32768, 32768, 524288, 8388608 };

	(void)state;
	md_give(0, 2);
	for (uint32_t i = 0; i < ARRAY_SIZE(size); i++) {
		const struct kvm_cpuid_entry2 *e = md_get(4, i);

		assert_int_equal((e->ebx >> 22) + 1, i == 3 ? 16 : 8);
		assert_int_equal(
			((e->ebx >> 22) + 1) * ((e->ebx & 0xfff) + 1) * (e->ecx + 1), size[i]);
		/* The last is shared. */
		assert_int_equal(e->eax >> 14 & 0xfff, i == 3 ? 1 : 0);
	}
	assert_null(cpuid_find(&md.given, 0x80000005, 0));
	md_host_with_all("AuthenticAMD");
	md_give(0, 2);
	assert_null(cpuid_find(&md.given, 4, 0));
	assert_int_equal(md_get(0x80000005, 0)->ecx >> 24, 32);
	assert_int_equal(md_get(0x80000006, 0)->ecx >> 16, 512);
	assert_int_equal(md_get(0x80000006, 0)->edx >> 18, 16); /* of 512 KiB */
}

static void cpus_differ_in_their_ids_alone(void **state)
{
	struct x86_cpuid zero;

	(void)state;
	md_give(0, 4);
	zero = md.given;
	md_give(3, 4);
	assert_int_equal(md_get(1, 0)->ebx >> 24, 3);
	for (uint32_t level = 0; level < 3; level++)
		assert_int_equal(md_get(0xb, level)->edx, 3);
	assert_int_equal(md_get(0xb, 1)->ebx, 4);
	for (uint32_t i = 0; i < zero.head.nent; i++) {
		struct kvm_cpuid_entry2 a = zero.entry[i], b = md.given.entry[i];

		if (a.function == 1)
			b.ebx -= 3U << 24;
		if (a.function == 0xb)
			b.edx -= 3;
		assert_memory_equal(&a, &b, sizeof(a));
	}
}

static void the_tsc_runs_at_1_ghz_where_it_can_be_scaled(void **state)
{
	(void)state;
	md.can_scale = true;
	md_give(0, 1);
	assert_int_equal(md.khz_asked, 1000000);
	assert_int_equal(md_get(0x15, 0)->ebx, 1000000);
	md_host_with_all("GenuineIntel");
	md_give(0, 1);
	assert_int_equal(md.khz_asked, 0);
	assert_int_equal(md_get(0x15, 0)->ebx, 2345678);
}

static void a_host_with_less_is_refused_with_what_it_lacks(void **state)
{
	struct err err;

	(void)state;
	md_host_with_least();
	md_host(1, 0)->ecx &= ~(uint32_t)BIT(23);
	assert_int_equal(x86_set_cpuid(NULL, NULL, 0, 1, true, &err), -ENOTSUP);
	assert_string_equal(err.msg,
		"--cpu-model: baseline: this host's CPUID leaf 0x1 lacks ECX 0x800000, EDX 0x0");
	md_host(1, 0)->ecx |= (uint32_t)BIT(23);
	md_host(1, 0)->edx &= ~1U;
	assert_int_equal(x86_set_cpuid(NULL, NULL, 0, 1, true, &err), -ENOTSUP);
	md_host(1, 0)->edx |= 1U;
	md_host(0x80000001, 0)->ecx = 0;
	assert_int_equal(x86_set_cpuid(NULL, NULL, 0, 1, true, &err), -ENOTSUP);
	memset(&md.host, 0, sizeof(md.host)); /* no leaf at all */
	assert_int_equal(x86_set_cpuid(NULL, NULL, 0, 1, true, &err), -ENOTSUP);
}

static void md_put(void *ctx, const char *name, const void *bytes, size_t len)
{
	assert_string_equal(name, "cpuid");
	assert_int_equal(len, md.given.head.nent * sizeof(md.given.entry[0]));
	assert_memory_equal(bytes, md.given.entry, len);
	++*(unsigned *)ctx;
}

static void a_cpu_is_measured_by_what_kvm_holds(void **state)
{
	unsigned nr = 0;
	struct err err;

	(void)state;
	md_give(0, 1);
	assert_int_equal(arch_vcpu_measure(NULL, NULL, md_put, &nr, &err), 0);
	assert_int_equal(nr, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MD_TEST(hosts_of_one_maker_give_the_same_bytes),
		MD_TEST(features_are_those_of_x86_64_v2_and_no_more),
		MD_TEST(each_maker_has_one_processor),
		MD_TEST(caches_have_a_size_in_each_makers_words),
		MD_TEST(cpus_differ_in_their_ids_alone),
		MD_TEST(the_tsc_runs_at_1_ghz_where_it_can_be_scaled),
		MD_TEST(a_host_with_less_is_refused_with_what_it_lacks),
		MD_TEST(a_cpu_is_measured_by_what_kvm_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
