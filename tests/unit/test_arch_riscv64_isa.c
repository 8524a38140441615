// SPDX-License-Identifier: BSD-3-Clause
/*
 * What CPUs can do, from KVM's answers to the string and the list of the tree.
 */
#include "tests/unit/riscv64_rig.h"

static struct riscv_isa isa;

/** A CPU with just these extensions, by KVM's numbers. */
static void it_read(const unsigned *ext, unsigned nr)
{
	memset(rr.reg[RR_ISA], 0, sizeof(rr.reg[RR_ISA]));
	for (unsigned i = 0; i < nr; i++)
		rr.reg[RR_ISA][ext[i]] = 1;
	memset(&isa, 0x5a, sizeof(isa));
	kl_start();
	riscv_isa_read(dr_vcpu(3), &isa);
}

/** The list says what the string says. */
static void it_is(const char *want)
{
	char joined[RISCV_ISA_LEN] = "rv64";
	size_t len = strlen(joined);

	assert_string_equal(isa.isa, want);
	assert_true(isa.nr_ext <= RISCV_MAX_EXT);
	for (unsigned i = 0; i < isa.nr_ext; i++)
		len += (size_t)snprintf(joined + len, sizeof(joined) - len, "%s%s",
			strlen(isa.ext[i]) > 1 ? "_" : "", isa.ext[i]);
	assert_string_equal(joined, want);
}

static void a_plain_cpu_is_spelled_in_canonical_order(void **state __unused)
{
	static const unsigned ext[] = { 0, 1, 2, 3, 5, 6, 8, 19, 20, 21, 22 };

	it_read(ext, ARRAY_SIZE(ext));
	it_is("rv64imafdc_zicntr_zicsr_zifencei_zihpm_sstc");
	assert_int_equal(isa.nr_ext, ARRAY_SIZE(ext));
	assert_string_equal(isa.ext[0], "i");
	assert_string_equal(isa.ext[10], "sstc");
	for (unsigned i = 0; i < kl.nr; i++)
		assert_int_equal(kl.call[i].cpu, 3);
}

static void numbers_are_kvms(void **state __unused)
{
	static const struct {
		unsigned n;
		const char *isa;
	} c[] = { { 0, "rv64a" }, { 4, "rv64h" }, { 5, "rv64i" }, { 6, "rv64m" },
		{ 7, "rv64_svpbmt" }, { 8, "rv64_sstc" }, { 9, "rv64_svinval" },
		{ 10, "rv64_zihintpause" }, { 11, "rv64_zicbom" }, { 12, "rv64_zicboz" },
		{ 14, "rv64_ssaia" }, { 15, "rv64v" }, { 20, "rv64_zicsr" },
		{ 23, "rv64_smstateen" }, { 24, "rv64_zicond" }, { 35, "rv64_zkt" },
		{ 36, "rv64_zvbb" }, { 46, "rv64_zfh" }, { 53, "rv64_zacas" },
		{ 54, "rv64_sscofpmf" }, { 61, "rv64_zawrs" } };

	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		it_read(&c[i].n, 1);
		it_is(c[i].isa);
	}
}

static void all_that_is_known_has_room_and_an_order(void **state __unused)
{
	unsigned all[RR_NR];

	for (unsigned i = 0; i < RR_NR; i++)
		all[i] = i;
	it_read(all, RR_NR);
	it_is("rv64imafdcvh"
	      "_zicbom_zicboz_zicntr_zicond_zicsr_zifencei_zihintntl_zihintpause_zihpm_zimop"
	      "_zacas_zawrs_zfa_zfh_zfhmin_zca_zcb_zcd_zcf_zcmop"
	      "_zba_zbb_zbc_zbkb_zbkc_zbkx_zbs_zknd_zkne_zknh_zkr_zksed_zksh_zkt_ztso"
	      "_zvbb_zvbc_zvfh_zvfhmin_zvkb_zvkg_zvkned_zvknha_zvknhb_zvksed_zvksh_zvkt"
	      "_smstateen_ssaia_sscofpmf_sstc_svinval_svnapot_svpbmt");
}

static void what_kvm_does_not_give_or_not_know_is_left_out(void **state __unused)
{
	static const unsigned ext[] = { 0, 1, 5, 6, 11 };

	it_read(ext, ARRAY_SIZE(ext));
	it_is("rv64imac_zicbom");
	/* An older KVM: it has no such number, whatever it wrote. */
	rr.unknown[RR_ISA][1] = rr.unknown[RR_ISA][11] = true;
	it_read(ext, ARRAY_SIZE(ext));
	it_is("rv64ima");
	it_read(NULL, 0);
	it_is("rv64");
	assert_int_equal(isa.nr_ext, 0);
}

static void an_extension_is_asked_for_by_its_number(void **state __unused)
{
	static const unsigned svpbmt = 7;

	assert_int_equal(RISCV_ISA_SVPBMT, svpbmt);
	it_read(&svpbmt, 1);
	assert_true(riscv_isa_has(dr_vcpu(0), RISCV_ISA_SVPBMT));
	assert_false(riscv_isa_has(dr_vcpu(0), RISCV_ISA_SVPBMT + 1));
	rr.unknown[RR_ISA][svpbmt] = true;
	assert_false(riscv_isa_has(dr_vcpu(0), RISCV_ISA_SVPBMT));
}

/** The value that the CPU was last given for an extension or register; -1: none. */
static int it_set(unsigned type, unsigned n)
{
	int v = -1;

	for (unsigned i = 0; i < kl.nr; i++)
		if (kl.call[i].req == KVM_SET_ONE_REG && kl.call[i].attr == RR_REG(type, n))
			v = (int)kl.call[i].value;
	return v;
}

static void a_baseline_cpu_keeps_rv64gc_its_timer_and_its_controller(void **state __unused)
{
	static const unsigned kept[] = { 0, 1, 2, 3, 5, 6, 8, 14, 19, 20, 21, 22 };
	struct arch_parts parts = { .mmio = &rr.mmio,
		.loop = step.loop,
		.nr_cpus = 1,
		.nr_lines = 9,
		.baseline_cpu = true };

	for (unsigned i = 0; i < 62; i++)
		rr.reg[RR_ISA][i] = i != 40; /* what it has not is not asked to go */
	assert_int_equal(arch_vm_create(&parts, &rr.av, &rr.err), 0);
	assert_int_equal(arch_vcpu_init(rr.av, dr_vcpu(0), 0, &rr.err), 0);
	for (unsigned i = 0; i < 62; i++) {
		bool keep = i == 40;

		for (size_t k = 0; k < ARRAY_SIZE(kept); k++)
			keep |= kept[k] == i;
		assert_int_equal(it_set(RR_ISA, i), keep ? -1 : 0);
	}
	for (unsigned n = 2; n <= 4; n++)
		assert_int_equal(it_set(RR_CONFIG, n), 0);
}

static void a_hosts_cpu_keeps_all(void **state __unused)
{
	for (unsigned i = 0; i < 62; i++)
		rr.reg[RR_ISA][i] = 1;
	rr_makes(1, 9);
	for (unsigned i = 0; i < 62; i++)
		assert_int_equal(it_set(RR_ISA, i), -1);
	assert_int_equal(it_set(RR_CONFIG, 2), -1);
}

static void it_put(void *ctx, const char *name, const void *bytes, size_t len)
{
	static const uint64_t ids[] = { 7, 8, 9 };
	unsigned *nr = ctx;

	if (!(*nr)++) {
		assert_string_equal(name, "ids");
		assert_int_equal(len, sizeof(ids));
		assert_memory_equal(bytes, ids, len);
		return;
	}
	assert_string_equal(name, "isa");
	assert_int_equal(len, strlen("rv64im"));
	assert_memory_equal(bytes, "rv64im", len);
}

static void a_cpu_is_measured_by_its_maker_and_its_isa(void **state __unused)
{
	unsigned nr = 0;

	rr.reg[RR_ISA][5] = rr.reg[RR_ISA][6] = 1;
	for (unsigned n = 2; n <= 4; n++)
		rr.reg[RR_CONFIG][n] = n + 5;
	assert_int_equal(arch_vcpu_measure(NULL, dr_vcpu(0), it_put, &nr, &rr.err), 0);
	assert_int_equal(nr, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RR_TEST(a_plain_cpu_is_spelled_in_canonical_order),
		RR_TEST(numbers_are_kvms),
		RR_TEST(all_that_is_known_has_room_and_an_order),
		RR_TEST(what_kvm_does_not_give_or_not_know_is_left_out),
		RR_TEST(an_extension_is_asked_for_by_its_number),
		RR_TEST(a_baseline_cpu_keeps_rv64gc_its_timer_and_its_controller),
		RR_TEST(a_hosts_cpu_keeps_all),
		RR_TEST(a_cpu_is_measured_by_its_maker_and_its_isa),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
