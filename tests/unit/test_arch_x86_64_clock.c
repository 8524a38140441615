// SPDX-License-Identifier: BSD-3-Clause
/* The time of day that a guest asks KVM for, when it is not the host's; words of a fixed seed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "arch/x86_64/layout.h"
#include "arch/x86_64/x86.h"
#include "hypervisor/fake/fake.h"

#define START  315532800
#define OLD    0x11
#define NEW    0x4b564d00
#define AT     0x5008
#define LENGTH 0x10000

static struct {
	bool has_filter, has_exits;
	struct kvm_enable_cap cap;
	struct kvm_msr_filter filter;
	uint8_t allowed[2]; /* of the first two ranges */
	unsigned nr;
	unsigned long refused;
	uint8_t ram[LENGTH];
	struct guest_memory gm;
} ck;

static int ck_ioctl(unsigned long req, void *arg)
{
	if (req == ck.refused)
		return -EPERM;
	if (req == KVM_ENABLE_CAP) {
		assert_int_equal(ck.nr++, 0); /* what is filtered must have somewhere to go */
		ck.cap = *(struct kvm_enable_cap *)arg;
	} else {
		assert_int_equal(req, KVM_X86_SET_MSR_FILTER);
		assert_int_equal(ck.nr++, 1);
		ck.filter = *(struct kvm_msr_filter *)arg;
		for (unsigned i = 0; i < 2; i++)
			ck.allowed[i] = ck.filter.ranges[i].bitmap[0];
	}
	return 0;
}

static int ck_cap(unsigned cap)
{
	if (cap == KVM_CAP_X86_MSR_FILTER)
		return ck.has_filter;
	return cap == KVM_CAP_X86_USER_SPACE_MSR ? ck.has_exits : 1;
}

static int ck_setup(void **state)
{
	(void)state;
	memset(&ck, 0, sizeof(ck));
	memset(&fake_hv, 0, sizeof(fake_hv));
	fake_hv.ioctl = ck_ioctl;
	fake_hv.cap = ck_cap;
	ck.has_filter = ck.has_exits = true;
	assert_int_equal(gm_add_borrowed(&ck.gm, 0, ck.ram, sizeof(ck.ram)), 0);
	return 0;
}

#define CK_TEST(f) cmocka_unit_test_setup(f, ck_setup)

static void kvm_hands_on_both_questions_and_nothing_else(void **state)
{
	static const uint32_t index[] = { OLD, NEW };
	struct err err;

	(void)state;
	assert_int_equal(x86_clock_take_over(NULL, NULL, &err), 0);
	assert_int_equal(ck.cap.cap, KVM_CAP_X86_USER_SPACE_MSR);
	assert_int_equal(ck.cap.args[0], KVM_MSR_EXIT_REASON_FILTER);
	assert_int_equal(ck.filter.flags, KVM_MSR_FILTER_DEFAULT_ALLOW);
	for (unsigned i = 0; i < KVM_MSR_FILTER_MAX_RANGES; i++) {
		const struct kvm_msr_filter_range *r = &ck.filter.ranges[i];

		assert_int_equal(r->nmsrs, i < 2 ? 1 : 0);
		if (i >= 2)
			continue;
		assert_int_equal(r->flags, KVM_MSR_FILTER_WRITE);
		assert_int_equal(r->base, index[i]);
		assert_int_equal(ck.allowed[i], 0);
	}
}

static void a_kvm_that_cannot_is_refused(void **state)
{
	struct err err;

	(void)state;
	ck.has_filter = false;
	assert_int_equal(x86_clock_take_over(NULL, NULL, &err), -ENOTSUP);
	assert_non_null(strstr(err.msg, "--clock: this host's KVM cannot"));
	ck.has_filter = true;
	ck.has_exits = false;
	assert_int_equal(x86_clock_take_over(NULL, NULL, &err), -ENOTSUP);
	ck.has_exits = true;
	ck.refused = KVM_X86_SET_MSR_FILTER;
	assert_int_equal(x86_clock_take_over(NULL, NULL, &err), -EPERM);
	ck.nr = 0;
	ck.refused = KVM_ENABLE_CAP;
	assert_int_equal(x86_clock_take_over(NULL, NULL, &err), -EPERM);
}

static bool ck_ask(uint32_t index, uint64_t gpa)
{
	struct hv_exit exit = { .kind = HV_EXIT_WRMSR, .wrmsr = { .index = index, .value = gpa } };

	return x86_clock_answer(&exit, &ck.gm, START);
}

static void a_question_is_answered_with_the_start_and_an_even_version(void **state)
{
	static const uint32_t version[][2] = { { 0, 2 }, { 1, 4 }, { 6, 8 }, { 7, 10 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(version); i++) {
		memset(ck.ram, 0xff, sizeof(ck.ram));
		le32_put(ck.ram + AT, version[i][0]);
		assert_true(ck_ask(i & 1 ? OLD : NEW, AT));
		assert_int_equal(le32_get(ck.ram + AT), version[i][1]);
		assert_int_equal(le32_get(ck.ram + AT + 4), START);
		assert_int_equal(le32_get(ck.ram + AT + 8), 0);
		assert_int_equal(ck.ram[AT - 1], 0xff);
		assert_int_equal(ck.ram[AT + 12], 0xff);
	}
}

static void an_address_that_is_no_ram_is_not_written_to(void **state)
{
	static const uint64_t gpa[] = { LENGTH, LENGTH - 3, LENGTH - 11, ~0ULL, ~0ULL - 11 };
	static uint8_t zeroes[LENGTH];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(gpa); i++)
		assert_true(ck_ask(NEW, gpa[i]));
	assert_memory_equal(ck.ram, zeroes, sizeof(zeroes));
}

static void other_registers_are_not_ours(void **state)
{
	(void)state;
	assert_false(ck_ask(OLD + 1, AT));
	assert_false(ck_ask(NEW + 1, AT));
	assert_int_equal(le32_get(ck.ram + AT + 4), 0);
}

/* ---- through the machine ---- */

static int ck_any(unsigned long req, void *arg)
{
	if (req == KVM_X86_SET_MSR_FILTER)
		ck.nr++;
	(void)arg;
	return 0;
}

static void only_a_machine_with_a_clock_of_its_own_takes_the_question(void **state)
{
	struct bus mmio = { .nr_ranges = 0 };
	struct arch_parts parts = { .mmio = &mmio, .nr_cpus = 1, .nr_lines = 9, .clock_s = START };
	uint8_t error;
	struct hv_exit exit = { .kind = HV_EXIT_WRMSR,
		.wrmsr = { .index = NEW, .value = AT, .error = &error } };
	struct arch_vm *av;
	struct err err;

	(void)state;
	fake_hv.ioctl = ck_any;
	for (unsigned fixed = 0; fixed < 2; fixed++) {
		memset(&mmio, 0, sizeof(mmio));
		parts.fixed_clock = fixed;
		assert_int_equal(arch_vm_create(&parts, &av, &err), 0);
		assert_int_equal(ck.nr, fixed);
		error = 1;
		arch_on_wrmsr(av, &exit, &ck.gm);
		assert_int_equal(error, !fixed);
		assert_int_equal(le32_get(ck.ram + AT + 4), fixed ? START : 0);
		arch_vm_destroy(av);
	}
}

static void a_host_without_filters_makes_no_machine_with_a_clock(void **state)
{
	struct bus mmio = { .nr_ranges = 0 };
	struct arch_parts parts = {
		.mmio = &mmio, .nr_cpus = 1, .nr_lines = 9, .fixed_clock = true
	};
	struct arch_vm *av;
	struct err err;

	(void)state;
	fake_hv.ioctl = ck_any;
	ck.has_filter = false;
	assert_int_equal(arch_vm_create(&parts, &av, &err), -ENOTSUP);
	parts.fixed_clock = false;
	assert_int_equal(arch_vm_create(&parts, &av, &err), 0);
	arch_vm_destroy(av);
}

static void a_fixed_seed_keeps_the_kernel_in_its_place(void **state)
{
	struct arch_boot boot = { .nr_cpus = 1 };
	char buf[64];

	(void)state;
	arch_cmdline_words(&boot, buf, sizeof(buf));
	assert_string_equal(buf, "");
	boot.fixed_seed = true;
	arch_cmdline_words(&boot, buf, sizeof(buf));
	assert_string_equal(buf, "nokaslr ");
}

static void two_machines_of_one_seed_have_the_same_bytes(void **state)
{
	static const uint8_t seed[] = { 1, 2, 3 };
	struct arch_payload payload = { .kernel = { .kind = KERNEL_ELF_LINUX,
						.entry = 0x100000,
						.start = 0x100000,
						.end = 0x200000,
						.cmdline_max = 100,
						.page_size = PAGE_SIZE_4K } };
	struct dev_desc dev[ARCH_MAX_FIXED + 1];
	unsigned nr = arch_fixed_devs(dev);
	struct arch_boot boot = { .nr_cpus = 2,
		.dev = dev,
		.nr_devs = nr + 1,
		.initrd_fd = -1,
		.cmdline = "panic=-1",
		.rng_seed = seed,
		.rng_seed_len = sizeof(seed) };
	struct guest_memory gm[2] = { 0 };
	struct arch_entry entry[2];
	struct err err;

	(void)state;
	arch_uart_desc(0, &dev[nr]);
	for (unsigned no_acpi = 0; no_acpi < 2; no_acpi++) {
		boot.no_acpi = no_acpi;
		for (unsigned i = 0; i < 2; i++) {
			memset(&gm[i], 0, sizeof(gm[i]));
			assert_int_equal(arch_add_ram(&gm[i], 16 * MIB, &err), 0);
			assert_int_equal(arch_load(&gm[i], &boot, &payload, &entry[i], &err), 0);
		}
		assert_memory_equal(gm[0].region[0].host, gm[1].region[0].host, 16 * MIB);
		assert_memory_equal(&entry[0], &entry[1], sizeof(entry[0]));
		gm_fini(&gm[0]);
		gm_fini(&gm[1]);
	}
}

static void ck_put(void *ctx, const char *name, const void *bytes, size_t len)
{
	assert_string_equal(name, "tables");
	assert_ptr_equal(bytes, ctx);
	assert_int_equal(len, X86_KERNEL_LOW);
}

static void all_below_the_kernel_is_measured(void **state)
{
	struct guest_memory gm = { .nr_regions = 0 };
	struct err err;

	(void)state;
	assert_int_equal(arch_add_ram(&gm, 16 * MIB, &err), 0);
	arch_measure(&gm, NULL, ck_put, gm.region[0].host);
	gm_fini(&gm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CK_TEST(kvm_hands_on_both_questions_and_nothing_else),
		CK_TEST(a_kvm_that_cannot_is_refused),
		CK_TEST(a_question_is_answered_with_the_start_and_an_even_version),
		CK_TEST(an_address_that_is_no_ram_is_not_written_to),
		CK_TEST(other_registers_are_not_ours),
		CK_TEST(only_a_machine_with_a_clock_of_its_own_takes_the_question),
		CK_TEST(a_host_without_filters_makes_no_machine_with_a_clock),
		CK_TEST(a_fixed_seed_keeps_the_kernel_in_its_place),
		CK_TEST(two_machines_of_one_seed_have_the_same_bytes),
		CK_TEST(all_below_the_kernel_is_measured),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
