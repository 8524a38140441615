// SPDX-License-Identifier: BSD-3-Clause
/*
 * The riscv64 machine: its CPUs, their first registers, what the tree is told.
 */
#include "tests/unit/riscv64_rig.h"

#include "devices/goldfish_rtc.h"

#define PC RR_REG(RR_CORE, 0)
#define A0 RR_REG(RR_CORE, 10)
#define A1 RR_REG(RR_CORE, 11)

static struct fdt_machine tree;
static struct dt_isa *isa; /* owned; mt_describe makes it */

static int mt_teardown(void **state)
{
	dt_isa_free(isa);
	isa = NULL;
	return rr_teardown(state);
}

#define MT_TEST(f) cmocka_unit_test_setup_teardown(f, rr_setup, mt_teardown)

static int mt_describe(void)
{
	dt_isa_free(isa);
	memset(&tree, 0, sizeof(tree));
	memset(&rr.err, 0, sizeof(rr.err));
	return dt_isa_describe(rr.av, &tree, &isa, &rr.err);
}

static const struct fdt_riscv64 *mt_described(void)
{
	if (!rr.av)
		rr_makes(2, 9);
	if (mt_describe())
		fail_msg("%s", rr.err.msg);
	assert_null(tree.aarch64);
	return tree.riscv64;
}

/* ---- CPUs ---- */

static void the_debug_console_is_turned_on_for_each_cpu(void **state __unused)
{
	int cpu = 0;

	rr_makes(3, 9);
	for (unsigned i = 0; i < kl.nr; i++)
		if (kl.call[i].req == KVM_SET_ONE_REG)
			kl_was(i, KVM_SET_ONE_REG, cpu++, 0, RR_REG(RR_SBI, 9), 1);
	assert_int_equal(cpu, 3);
}

static void a_host_without_a_debug_console_will_do(void **state __unused)
{
	rr_makes(1, 9);
	for (unsigned i = 0; i < kl.nr; i++)
		if (kl.call[i].req == KVM_SET_ONE_REG)
			kl.refuse_at = i;
	assert_int_not_equal(kl.refuse_at, KL_NONE);
	kl.nr = 0;
	kl.refusal = -ENOENT;
	rr_makes(1, 9);
}

static void linux_is_entered_with_the_tree_in_a1(void **state __unused)
{
	struct arch_entry entry = { .pc = 0x80200000, .arg = 0x81230000 };

	rr_makes(1, 9);
	kl_start();
	assert_int_equal(arch_vcpu_enter(rr.av, dr_vcpu(0), &entry, &rr.err), 0);
	assert_int_equal(kl.nr, 3);
	kl_was(0, KVM_SET_ONE_REG, 0, 0, PC, 0x80200000);
	kl_was(1, KVM_SET_ONE_REG, 0, 0, A0, 0);
	kl_was(2, KVM_SET_ONE_REG, 0, 0, A1, 0x81230000);
}

static void registers_that_kvm_refuses_are_said(void **state __unused)
{
	struct arch_entry entry = { .pc = 0x80200000 };

	rr_makes(1, 9);
	for (unsigned i = 0; i < 3; i++) {
		kl_start();
		kl.refuse_at = i;
		rr_says(arch_vcpu_enter(rr.av, dr_vcpu(0), &entry, &rr.err), EINVAL,
			"KVM: cannot set CPU registers: Invalid argument");
		assert_int_equal(kl.nr, i + 1);
	}
}

/* ---- the tree ---- */

static void the_tree_has_the_extensions_of_the_first_cpu(void **state __unused)
{
	const struct fdt_riscv64 *rv;

	rr.reg[RR_ISA][5] = rr.reg[RR_ISA][6] = rr.reg[RR_ISA][20] = 1;
	rv = mt_described();
	assert_string_equal(rv->isa, "rv64im_zicsr");
	assert_int_equal(rv->nr_isa_ext, 3);
	assert_string_equal(rv->isa_ext[2], "zicsr");
	for (unsigned i = 0; i < kl.nr; i++)
		assert_true(kl.call[i].req != KVM_GET_ONE_REG || kl.call[i].cpu == 0);
}

static void the_mmu_is_what_satp_can_be(void **state __unused)
{
	static const struct {
		uint64_t mode;
		const char *mmu;
	} c[] = { { 0, NULL }, { 7, NULL }, { 8, "riscv,sv39" }, { 9, "riscv,sv48" },
		{ 10, "riscv,sv57" }, { 11, NULL }, { UINT64_MAX, NULL } };

	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		const struct fdt_riscv64 *rv;

		rr.reg[RR_CONFIG][6] = c[i].mode;
		rv = mt_described();
		if (c[i].mmu)
			assert_string_equal(rv->mmu_type, c[i].mmu);
		else
			assert_null(rv->mmu_type);
	}
	rr.reg[RR_CONFIG][6] = 8;
	rr.unknown[RR_CONFIG][6] = true;
	assert_null(mt_described()->mmu_type);
}

static void blocks_have_the_size_that_kvm_says(void **state __unused)
{
	rr.reg[RR_CONFIG][1] = 64;
	rr.reg[RR_CONFIG][5] = UINT32_MAX;
	assert_int_equal(mt_described()->cbom_block, 64);
	assert_int_equal(mt_described()->cboz_block, UINT32_MAX);
	assert_int_equal(mt_described()->cbop_block, 0);
	/* A size that no tree can say is none, as is one that KVM does not know. */
	rr.reg[RR_CONFIG][5] = UINT32_MAX + 65ULL;
	rr.unknown[RR_CONFIG][1] = true;
	assert_int_equal(mt_described()->cbom_block, 0);
	assert_int_equal(mt_described()->cboz_block, 0);
}

static void the_clock_runs_as_kvm_says(void **state __unused)
{
	assert_int_equal(mt_described()->timebase_hz, 10000000);
	rr.reg[RR_TIMER][0] = UINT32_MAX;
	assert_int_equal(mt_described()->timebase_hz, UINT32_MAX);
}

static void a_clock_of_unknown_speed_is_an_error(void **state __unused)
{
	static const uint64_t hz[] = { 0, UINT32_MAX + 1ULL, UINT32_MAX + 10000000ULL };

	rr_makes(1, 9);
	for (size_t i = 0; i < ARRAY_SIZE(hz); i++) {
		rr.reg[RR_TIMER][0] = hz[i];
		rr_says(mt_describe(), ERANGE,
			"KVM: cannot say how fast its clock is: Numerical result out of range");
		assert_null(tree.riscv64);
	}
	rr.reg[RR_TIMER][0] = 10000000;
	rr.unknown[RR_TIMER][0] = true;
	rr_says(mt_describe(), ENOENT,
		"KVM: cannot say how fast its clock is: No such file or directory");
}

/* ---- the rest ---- */

static void pages_are_not_read_where_the_guest_can_read_past_caches(void **state __unused)
{
	rr_makes(1, 9);
	assert_true(arch_pages_readable(rr.av));
	rr.reg[RR_ISA][7] = 1;
	assert_false(arch_pages_readable(rr.av));
	rr.unknown[RR_ISA][7] = true;
	assert_true(arch_pages_readable(rr.av));
}

static void a_page_is_cleaned_without_a_change(void **state __unused)
{
	uint8_t page[64], was[64];

	memset(page, 0x77, sizeof(page));
	memcpy(was, page, sizeof(page));
	arch_page_clean(page + 1, 7);
	assert_memory_equal(page, was, sizeof(page));
}

static void the_machine_is_of_the_default_type(void **state __unused)
{
	struct guest_memory gm = { 0 };
	unsigned long type = 1;

	assert_int_equal(arch_vm_type(NULL, &gm, &type, &rr.err), 0);
	assert_int_equal(type, 0);
}

static void the_machine_is_what_it_says(void **state __unused)
{
	assert_string_equal(arch_name, "riscv64");
	assert_int_equal(dt_rtc_kind, DEV_RTC_GOLDFISH);
	assert_int_equal(dt_rtc_len, GOLDFISH_RTC_LEN);
	assert_int_equal(dt_kernel_target.elf_machine, EM_RISCV);
	assert_int_equal(dt_kernel_target.formats, BIT(KERNEL_IMAGE_RISCV64) | BIT(KERNEL_ELF_FDT));
	assert_int_equal(dt_kernel_target.cmdline_max, 1023);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MT_TEST(the_debug_console_is_turned_on_for_each_cpu),
		MT_TEST(a_host_without_a_debug_console_will_do),
		MT_TEST(linux_is_entered_with_the_tree_in_a1),
		MT_TEST(registers_that_kvm_refuses_are_said),
		MT_TEST(the_tree_has_the_extensions_of_the_first_cpu),
		MT_TEST(the_mmu_is_what_satp_can_be),
		MT_TEST(blocks_have_the_size_that_kvm_says),
		MT_TEST(the_clock_runs_as_kvm_says),
		MT_TEST(a_clock_of_unknown_speed_is_an_error),
		MT_TEST(pages_are_not_read_where_the_guest_can_read_past_caches),
		MT_TEST(a_page_is_cleaned_without_a_change),
		MT_TEST(the_machine_is_of_the_default_type),
		MT_TEST(the_machine_is_what_it_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
