// SPDX-License-Identifier: BSD-3-Clause
/*
 * The aarch64 machine: its address space, its CPUs and the order in which KVM hears of them, the
 * first registers, what the tree is told.
 */
#include "tests/unit/aarch64_rig.h"

/* Registers as the document of KVM's user interface spells them (4.68). */
#define X0    0x6030000000100000
#define PC    0x6030000000100040
#define MPIDR 0x603000000013c005

#define PSCI      BIT(2)
#define PMU       BIT(3)
#define SVE       BIT(4)
#define ADDRESS   BIT(5)
#define GENERIC   BIT(6)
#define POWER_OFF BIT(0)

/* ---- the address space ---- */

static int mt_type(uint64_t base, uint64_t len, int bits, unsigned long *ret)
{
	struct guest_memory gm = { .region = { { .base = base, .len = len } }, .nr_regions = 1 };

	ar.bits = bits;
	*ret = 0x5a;
	return arch_vm_type(NULL, &gm, ret, &ar.err);
}

static void the_address_space_is_as_large_as_ram_needs(void **state __unused)
{
	static const struct {
		uint64_t ram;
		unsigned long bits;
	} c[] = {
		{ MIB, 32 },
		{ 2 * GIB, 32 },
		{ 2 * GIB + MIB, 33 },
		{ 6 * GIB, 33 },
		{ 6 * GIB + MIB, 34 },
		{ 1022 * GIB, 40 },
		{ 1022 * GIB + MIB, 41 },
		{ 4094 * GIB, 42 },
	};
	unsigned long type;

	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		assert_int_equal(mt_type(DT_RAM, c[i].ram, 48, &type), 0);
		assert_int_equal(type, c[i].bits);
	}
	/* KVM takes no less than 32, wherever RAM ends. */
	assert_int_equal(mt_type(0, MIB, 48, &type), 0);
	assert_int_equal(type, 32);
}

static void a_host_that_cannot_be_told_gives_40_bits(void **state __unused)
{
	unsigned long type;

	assert_int_equal(mt_type(DT_RAM, 1022 * GIB, 0, &type), 0);
	assert_int_equal(type, 0);
	ar_says(mt_type(DT_RAM, 1022 * GIB + MIB, 0, &type), EINVAL,
		"--mem: 1046529 MiB need 41 address bits, this host's KVM gives machines 40");
}

static void more_ram_than_the_host_can_address_is_refused(void **state __unused)
{
	unsigned long type;

	assert_int_equal(mt_type(DT_RAM, 62 * GIB, 36, &type), 0);
	assert_int_equal(type, 36);
	ar_says(mt_type(DT_RAM, 62 * GIB + MIB, 36, &type), EINVAL,
		"--mem: 63489 MiB need 37 address bits, this host's KVM gives machines 36");
}

/* ---- CPUs ---- */

static uint64_t mt_features(unsigned cpu)
{
	for (unsigned i = 0; i < kl.nr; i++)
		if (kl.call[i].req == KVM_ARM_VCPU_INIT && kl.call[i].cpu == (int)cpu) {
			assert_int_equal(kl.call[i].attr, AR_TARGET);
			return kl.call[i].value;
		}
	fail_msg("CPU %u was not set up", cpu);
	return 0;
}

static void features_are_what_the_host_has(void **state __unused)
{
	static const struct {
		bool *has;
		uint64_t bit;
	} c[] = { { &ar.pmu, PMU }, { &ar.sve, SVE }, { &ar.ptrauth_address, ADDRESS },
		{ &ar.ptrauth_generic, GENERIC } };

	ar_makes(1, 9);
	assert_int_equal(mt_features(0), PSCI);
	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		kl_start();
		*c[i].has = true;
		ar_makes(1, 9);
		assert_int_equal(mt_features(0), PSCI | c[i].bit);
		*c[i].has = false;
	}
}

static void all_cpus_but_the_first_wait_to_be_started(void **state __unused)
{
	ar_makes(3, 9);
	assert_int_equal(mt_features(0), PSCI);
	assert_int_equal(mt_features(1), PSCI | POWER_OFF);
	assert_int_equal(mt_features(2), PSCI | POWER_OFF);
}

static void a_host_with_everything_is_asked_in_this_order(void **state __unused)
{
	unsigned n = 4; /* the GIC's */

	ar.pmu = ar.sve = ar.ptrauth_address = ar.ptrauth_generic = true;
	ar_makes(2, 9);
	for (int cpu = 0; cpu < 2; cpu++) {
		uint64_t all = PSCI | PMU | SVE | ADDRESS | GENERIC;

		kl_was(n++, KVM_ARM_PREFERRED_TARGET, -1, 0, 0, 0);
		kl_was(n++, KVM_ARM_VCPU_INIT, cpu, 0, AR_TARGET, cpu ? all | POWER_OFF : all);
		kl_was(n++, KVM_ARM_VCPU_FINALIZE, cpu, 0, 0, KVM_ARM_VCPU_SVE);
	}
	/* The controller is completed when all CPUs are there, and only then are counters. */
	kl_was(n++, KVM_SET_DEVICE_ATTR, -1, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT,
		0);
	for (int cpu = 0; cpu < 2; cpu++) {
		kl_was(n++, KVM_SET_DEVICE_ATTR, cpu, KVM_ARM_VCPU_PMU_V3_CTRL,
			KVM_ARM_VCPU_PMU_V3_IRQ, 23);
		kl_was(n++, KVM_SET_DEVICE_ATTR, cpu, KVM_ARM_VCPU_PMU_V3_CTRL,
			KVM_ARM_VCPU_PMU_V3_INIT, 0);
	}
	assert_int_equal(kl.nr, n);
}

static void a_host_with_nothing_is_not_asked_for_it(void **state __unused)
{
	ar_makes(2, 9);
	/* The GIC, two requests a CPU, completion. */
	assert_int_equal(kl.nr, 4 + 2 * 2 + 1);
}

static void what_kvm_refuses_of_a_cpu_is_said(void **state __unused)
{
	static const char *const says[] = {
		"KVM: cannot say what its CPUs are: Invalid argument",
		"KVM: cannot set up the CPU: Invalid argument",
		"KVM: cannot set up the CPU: Invalid argument",
		"KVM: GICv3: Invalid argument",
		"KVM: performance counters of CPU 0: Invalid argument",
		"KVM: performance counters of CPU 0: Invalid argument",
	};

	ar.pmu = ar.sve = true;
	for (unsigned i = 0; i < ARRAY_SIZE(says); i++) {
		kl_start();
		kl.refuse_at = 4 + i;
		ar_says(ar_make(1, 9), EINVAL, says[i]);
		assert_int_equal(kl.nr, 4 + i + 1); /* nothing is asked after it */
	}
	/* The second of two is named. */
	kl_start();
	kl.refuse_at = 4 + 2 * 3 + 1 + 2;
	ar_says(ar_make(2, 9), EINVAL, "KVM: performance counters of CPU 1: Invalid argument");
}

static void linux_is_entered_with_the_tree_in_x0(void **state __unused)
{
	struct arch_entry entry = { .pc = 0x80200000, .arg = 0x81230000 };

	ar_makes(1, 9);
	kl_start();
	assert_int_equal(arch_vcpu_enter(ar.av, dr_vcpu(0), &entry, &ar.err), 0);
	assert_int_equal(kl.nr, 2);
	kl_was(0, KVM_SET_ONE_REG, 0, 0, PC, 0x80200000);
	kl_was(1, KVM_SET_ONE_REG, 0, 0, X0, 0x81230000);
}

static void registers_that_kvm_refuses_are_said(void **state __unused)
{
	struct arch_entry entry = { .pc = 0x80200000 };

	ar_makes(1, 9);
	for (unsigned i = 0; i < 2; i++) {
		kl_start();
		kl.refuse_at = i;
		ar_says(arch_vcpu_enter(ar.av, dr_vcpu(0), &entry, &ar.err), EINVAL,
			"KVM: cannot set CPU registers: Invalid argument");
		assert_int_equal(kl.nr, i + 1);
	}
}

/* ---- the tree ---- */

static void the_tree_has_the_cpus_and_counters_that_kvm_made(void **state __unused)
{
	struct fdt_machine m = { 0 };
	struct dt_isa *isa;

	for (unsigned pmu = 0; pmu < 2; pmu++) {
		ar.pmu = pmu;
		kl_start();
		ar_makes(18, 9);
		assert_int_equal(dt_isa_describe(ar.av, &m, &isa, &ar.err), 0);
		assert_non_null(m.aarch64);
		assert_null(m.riscv64);
		assert_int_equal(m.aarch64->pmu, pmu);
		assert_int_equal(m.aarch64->gic.version, 3);
		assert_int_equal(m.aarch64->mpidr[0], BIT(31));
		assert_int_equal(m.aarch64->mpidr[15], BIT(31) | 15);
		assert_int_equal(m.aarch64->mpidr[17], BIT(31) | 0x101);
		kl_was(kl.nr - 1, KVM_GET_ONE_REG, 17, 0, MPIDR, BIT(31) | 0x101);
		dt_isa_free(isa);
	}
	dt_isa_free(NULL);
}

static void a_cpu_that_does_not_say_who_it_is_is_an_error(void **state __unused)
{
	struct fdt_machine m = { 0 };
	struct dt_isa *isa;

	ar_makes(3, 9);
	kl_start();
	kl.refuse_at = 2;
	ar_says(dt_isa_describe(ar.av, &m, &isa, &ar.err), EINVAL,
		"KVM: cannot read CPU registers: Invalid argument");
	assert_null(m.aarch64);
	dt_isa_free(isa);
}

/* ---- the rest ---- */

static void mt_put(void *ctx __unused, const void *buf __unused, size_t len __unused)
{
	fail_msg("there is no console");
}

static void a_firmware_call_of_another_architecture_is_left_alone(void **state __unused)
{
	uint64_t ret[2] = { (uint64_t)-2, 0 };
	struct hv_exit exit = { .kind = HV_EXIT_SBI, .sbi = { .ext = 1, .ret = ret } };

	ar_makes(1, 9);
	arch_on_sbi(ar.av, &exit, NULL, mt_put, NULL);
	assert_int_equal(ret[0], (uint64_t)-2);
}

static void a_page_may_be_read_and_is_cleaned_without_a_change(void **state __unused)
{
	uint8_t page[4096 + 1], was[sizeof(page)];

	ar_makes(1, 9);
	assert_true(arch_pages_readable(ar.av));
	memset(page, 0x77, sizeof(page));
	memcpy(was, page, sizeof(page));
	arch_page_clean(page + 1, 4096);
	arch_page_clean(page + 17, 1);
	arch_page_clean(page, 0);
	assert_memory_equal(page, was, sizeof(page));
}

static void a_probe_sets_its_cpu_up_once(void **state __unused)
{
	assert_int_equal(arch_probe_enter(NULL, dr_vcpu(0), true, &ar.err), 0);
	kl_was(0, KVM_ARM_PREFERRED_TARGET, -1, 0, 0, 0);
	assert_int_equal(kl.call[1].req, KVM_ARM_VCPU_INIT);
	kl_was(2, KVM_SET_ONE_REG, 0, 0, PC, DT_RAM);
	assert_int_equal(arch_probe_enter(NULL, dr_vcpu(0), false, &ar.err), 0);
	kl_was(3, KVM_SET_ONE_REG, 0, 0, PC, DT_RAM);
	assert_int_equal(kl.nr, 4);
	for (unsigned i = 0; i < 3; i++) {
		kl_start();
		kl.refuse_at = i;
		ar_says(arch_probe_enter(NULL, dr_vcpu(0), true, &ar.err), EINVAL,
			"KVM: probe registers: Invalid argument");
		assert_int_equal(kl.nr, i + 1);
	}
}

static void the_machine_is_what_it_says(void **state __unused)
{
	assert_string_equal(arch_name, "aarch64");
	assert_int_equal(dt_rtc_kind, DEV_RTC_PL031);
	assert_int_equal(dt_kernel_target.elf_machine, EM_AARCH64);
	assert_int_equal(dt_kernel_target.formats, BIT(KERNEL_IMAGE_ARM64) | BIT(KERNEL_ELF_FDT));
	assert_int_equal(dt_kernel_target.cmdline_max, 2047);
	assert_int_equal(dt_kernel_target.initrd_window, 32 * GIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		AR_TEST(the_address_space_is_as_large_as_ram_needs),
		AR_TEST(a_host_that_cannot_be_told_gives_40_bits),
		AR_TEST(more_ram_than_the_host_can_address_is_refused),
		AR_TEST(features_are_what_the_host_has),
		AR_TEST(all_cpus_but_the_first_wait_to_be_started),
		AR_TEST(a_host_with_everything_is_asked_in_this_order),
		AR_TEST(a_host_with_nothing_is_not_asked_for_it),
		AR_TEST(what_kvm_refuses_of_a_cpu_is_said),
		AR_TEST(linux_is_entered_with_the_tree_in_x0),
		AR_TEST(registers_that_kvm_refuses_are_said),
		AR_TEST(the_tree_has_the_cpus_and_counters_that_kvm_made),
		AR_TEST(a_cpu_that_does_not_say_who_it_is_is_an_error),
		AR_TEST(a_firmware_call_of_another_architecture_is_left_alone),
		AR_TEST(a_page_may_be_read_and_is_cleaned_without_a_change),
		AR_TEST(a_probe_sets_its_cpu_up_once),
		AR_TEST(the_machine_is_what_it_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
