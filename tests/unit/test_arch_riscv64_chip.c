// SPDX-License-Identifier: BSD-3-Clause
/*
 * The interrupt controller that KVM has, AIA: how it is configured, and what can be refused.
 */
#include "tests/unit/riscv64_rig.h"

#define SET KVM_SET_DEVICE_ATTR
#define GET KVM_GET_DEVICE_ATTR

#define APLIC 0x4000000ULL
#define IMSIC 0x6000000ULL

/** Where the configuration begins: after the device's creation and a request for each CPU. */
static unsigned ct_first(unsigned nr_cpus)
{
	return 1 + nr_cpus;
}

static void aia_is_configured_when_all_cpus_are_there(void **state __unused)
{
	unsigned n = ct_first(3);

	rr_makes(3, 31);
	kl_was(0, KVM_CREATE_DEVICE, -1, RR_AIA, 0, 0);
	kl_was(n++, GET, -1, RR_A_CONFIG, 1, 255);
	kl_was(n++, SET, -1, RR_A_CONFIG, 2, 30); /* line 0 is none */
	kl_was(n++, SET, -1, RR_A_CONFIG, 5, 2);
	kl_was(n++, SET, -1, RR_A_ADDR, 0, APLIC);
	kl_was(n++, SET, -1, RR_A_ADDR, 1, IMSIC);
	kl_was(n++, SET, -1, RR_A_ADDR, 2, IMSIC + 0x1000);
	kl_was(n++, SET, -1, RR_A_ADDR, 3, IMSIC + 0x2000);
	kl_was(n++, SET, -1, RR_A_CTRL, 0, 0);
	assert_int_equal(kl.nr, n);
	for (unsigned i = ct_first(3); i < n; i++)
		assert_int_equal(kl.call[i].device, kl.device_fd);
	/* Nothing of it is here. */
	assert_int_equal(rr.mmio.nr_ranges, 0);
}

static void the_cpus_number_has_as_many_bits_as_it_needs(void **state __unused)
{
	static const struct {
		unsigned nr_cpus, bits;
	} c[] = { { 1, 0 }, { 2, 1 }, { 3, 2 }, { 4, 2 }, { 5, 3 }, { 8, 3 }, { 9, 4 }, { 33, 6 },
		{ 64, 6 } };

	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		kl_start();
		rr_makes(c[i].nr_cpus, 31);
		assert_int_equal(kl_find(SET, RR_A_CONFIG, 5)->value, c[i].bits);
		assert_int_equal(kl_find(SET, RR_A_ADDR, c[i].nr_cpus)->value,
			IMSIC + (c[i].nr_cpus - 1) * 0x1000ULL);
		/* Completed once, last. */
		kl_was(kl.nr - 1, SET, -1, RR_A_CTRL, 0, 0);
	}
}

static void a_machine_without_lines_has_a_source_nevertheless(void **state __unused)
{
	for (unsigned lines = 0; lines <= 2; lines++) {
		kl_start();
		rr_makes(1, lines);
		assert_int_equal(kl_find(SET, RR_A_CONFIG, 2)->value, 1);
	}
}

static void fewer_identities_than_sources_are_an_error(void **state __unused)
{
	rr.ids = 30;
	rr_makes(1, 31);
	rr.ids = 29;
	kl_start();
	rr_says(rr_make(1, 31), ENOSPC, "KVM: interrupt controller (AIA): No space left on device");
	assert_int_equal(kl.nr, ct_first(1) + 1);
}

/** KVM's interrupt file in software could not tell more apart: see RISCV_AIA_SOURCES. */
static void more_sources_get_a_plic(void **state __unused)
{
	struct fdt_riscv64 rv = { 0 };

	rr.ids = 2047;
	rr_makes(1, 32);
	for (unsigned i = 0; i < kl.nr; i++)
		assert_int_not_equal(kl.call[i].req, KVM_CREATE_DEVICE);
	chip_describe(rr.av, &rv);
	assert_false(rv.aia);
	assert_int_equal(rv.nr_sources, 31);
	assert_int_equal(rr.mmio.nr_ranges, 1);
}

static void what_kvm_refuses_of_it_is_said(void **state __unused)
{
	for (unsigned i = 0; i < 7; i++) {
		kl_start();
		kl.refuse_at = ct_first(2) + i;
		rr_says(rr_make(2, 31), EINVAL,
			"KVM: interrupt controller (AIA): Invalid argument");
		assert_int_equal(kl.nr, ct_first(2) + i + 1); /* nothing is asked after it */
	}
	kl_start();
	kl.refuse_at = ct_first(2) + 7;
	rr_makes(2, 31); /* there was no eighth */
	assert_int_equal(kl.nr, ct_first(2) + 7);
}

static void the_tree_says_what_kvm_was_told(void **state __unused)
{
	struct fdt_riscv64 rv = { 0 };

	rr.ids = 2047;
	rr_makes(ARCH_MAX_CPUS, 31);
	chip_describe(rr.av, &rv);
	assert_true(rv.aia);
	assert_int_equal(rv.nr_sources, 30);
	assert_int_equal(rv.imsic_nr_ids, 2047);
	assert_int_equal(rv.aplic.base, kl_find(SET, RR_A_ADDR, 0)->value);
	assert_int_equal(rv.aplic.len, 0x8000);
	assert_int_equal(rv.imsic.base, kl_find(SET, RR_A_ADDR, 1)->value);
	assert_int_equal(rv.imsic.len, ARCH_MAX_CPUS * 0x1000);
	assert_true(rv.aplic.base + rv.aplic.len <= rv.imsic.base);
	assert_true(rv.imsic.base + rv.imsic.len <= DT_CHIP + 0x4000000);
}

static void each_event_of_a_line_is_an_edge_of_its_source(void **state __unused)
{
	fd_auto int fd = fd_event();

	rr_makes(1, 31);
	assert_int_equal(arch_irq_bind(rr.av, 30, fd), 0);
	kl_start();
	for (unsigned i = 0; i < 3; i++) {
		fd_event_signal(fd);
		assert_int_equal(kl.nr, 2 * i); /* not before the loop has it */
		step_times(3);
		assert_int_equal(kl.nr, 2 * i + 2);
		kl_was(2 * i, KVM_IRQ_LINE, -1, 0, 30, 1);
		kl_was(2 * i + 1, KVM_IRQ_LINE, -1, 0, 30, 0);
	}
	/* KVM would see no second edge on one. */
	assert_int_equal(fake_hv.nr_irqfds, 0);
	arch_vm_destroy(rr.av);
	rr.av = NULL;
}

static void it_goes_with_the_machine(void **state __unused)
{
	rr_makes(1, 31);
	assert_true(kl_is_open(kl.device_fd));
	arch_vm_destroy(rr.av);
	rr.av = NULL;
	assert_false(kl_is_open(kl.device_fd));
	arch_vm_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RR_TEST(aia_is_configured_when_all_cpus_are_there),
		RR_TEST(the_cpus_number_has_as_many_bits_as_it_needs),
		RR_TEST(a_machine_without_lines_has_a_source_nevertheless),
		RR_TEST(fewer_identities_than_sources_are_an_error),
		RR_TEST(more_sources_get_a_plic),
		RR_TEST(what_kvm_refuses_of_it_is_said),
		RR_TEST(the_tree_says_what_kvm_was_told),
		RR_TEST(each_event_of_a_line_is_an_edge_of_its_source),
		RR_TEST(it_goes_with_the_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
