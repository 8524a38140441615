// SPDX-License-Identifier: BSD-3-Clause
/*
 * The interrupt controller: which one, where, of what size, and what KVM may refuse of it.
 */
#include "tests/unit/aarch64_rig.h"

#define SET  KVM_SET_DEVICE_ATTR
#define ADDR KVM_DEV_ARM_VGIC_GRP_ADDR

static void a_gicv3_is_made_where_the_host_has_one(void **state __unused)
{
	ar_makes(2, 120);
	kl_was(0, KVM_CREATE_DEVICE, -1, AR_V3, 0, 0);
	kl_was(1, SET, -1, ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST, 0x4000000);
	kl_was(2, SET, -1, ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST, 0x4010000);
	kl_was(3, SET, -1, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, 160);
	for (unsigned i = 1; i < 4; i++)
		assert_int_equal(kl.call[i].device, kl.device_fd);
	kl_was(kl.nr - 1, SET, -1, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, 0);
	assert_int_equal(kl.call[kl.nr - 1].device, kl.device_fd);
}

static void a_gicv2_is_made_where_there_is_no_other(void **state __unused)
{
	kl.lacks[0] = AR_V3;
	ar_makes(8, 9);
	kl_was(0, KVM_CREATE_DEVICE, -1, AR_V3, 0, 0);
	kl_was(1, KVM_CREATE_DEVICE, -1, AR_V2, 0, 0);
	kl_was(2, SET, -1, ADDR, KVM_VGIC_V2_ADDR_TYPE_DIST, 0x4000000);
	kl_was(3, SET, -1, ADDR, KVM_VGIC_V2_ADDR_TYPE_CPU, 0x4010000);
	kl_was(4, SET, -1, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, 64);
	kl_was(kl.nr - 1, SET, -1, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, 0);
}

static void a_host_without_either_is_refused(void **state __unused)
{
	kl.lacks[0] = AR_V3;
	kl.lacks[1] = AR_V2;
	ar_says(ar_make(1, 9), ENODEV,
		"KVM: cannot create an interrupt controller: No such device");
	assert_null(ar.av);
}

static void more_cpus_than_a_gicv2_serves_are_refused_by_name(void **state __unused)
{
	kl.lacks[0] = AR_V3;
	ar_says(ar_make(9, 9), EINVAL, "--cpus: 9: this host has a GICv2, which serves at most 8");
	/* Not left open. */
	assert_null(ar.av);
	assert_false(kl_is_open(kl.device_fd));
	/* A GICv3 serves them. */
	kl.lacks[0] = 0;
	ar_makes(ARCH_MAX_CPUS, 9);
}

static void it_has_all_lines_and_a_size_that_kvm_takes(void **state __unused)
{
	for (unsigned lines = 0; lines <= DT_GSI_VIRTIO + ARCH_MAX_VIRTIO; lines++) {
		uint64_t nr;

		kl_start();
		ar_makes(1, lines);
		nr = kl_find(SET, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0)->value;
		/* From 64 to 1024, by 32; the first 32 are no lines. */
		assert_int_equal(nr % 32, 0);
		assert_true(nr >= 64 && nr <= 1024);
		assert_true(nr - 32 >= lines);
		assert_true(nr - 32 < lines + 32 || nr == 64);
	}
}

static void what_kvm_refuses_of_it_is_said(void **state __unused)
{
	for (unsigned version = 3; version >= 2; version--) {
		unsigned first = version == 3 ? 1 : 2;
		char says[64];

		kl.lacks[0] = version == 3 ? 0 : AR_V3;
		snprintf(says, sizeof(says), "KVM: GICv%u: No space left on device", version);
		for (unsigned i = 0; i < 3; i++) {
			kl_start();
			kl.refuse_at = first + i;
			kl.refusal = -ENOSPC;
			ar_says(ar_make(2, 9), ENOSPC, says);
			assert_int_equal(kl.nr, first + i + 1); /* and nothing is asked after it */
			assert_null(ar.av);
			assert_false(kl_is_open(kl.device_fd));
		}
		kl_start();
		kl.refuse_at = first + 3 + 2 * 2; /* completion, after two CPUs */
		kl.refusal = -ENOSPC;
		ar_says(ar_make(2, 9), ENOSPC, says);
		assert_int_equal(kl.call[kl.nr - 1].group, KVM_DEV_ARM_VGIC_GRP_CTRL);
	}
}

static void it_goes_with_the_machine(void **state __unused)
{
	ar_makes(1, 9);
	assert_true(kl_is_open(kl.device_fd));
	arch_vm_destroy(ar.av);
	ar.av = NULL;
	assert_false(kl_is_open(kl.device_fd));
	arch_vm_destroy(NULL);
}

static void the_tree_says_what_kvm_was_told(void **state __unused)
{
	struct fdt_gic gic;

	ar_makes(ARCH_MAX_CPUS, 120);
	gic = gic_describe(ar.av);
	assert_int_equal(gic.version, 3);
	assert_int_equal(gic.dist.base, kl_find(SET, ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST)->value);
	assert_int_equal(gic.dist.len, 0x10000);
	assert_int_equal(
		gic.cpu_or_redist.base, kl_find(SET, ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST)->value);
	assert_int_equal(gic.cpu_or_redist.len, ARCH_MAX_CPUS * 0x20000);
	assert_true(gic.dist.base + gic.dist.len <= gic.cpu_or_redist.base);
	assert_true(gic.cpu_or_redist.base + gic.cpu_or_redist.len <= DT_CHIP + 0x4000000);

	kl_start();
	kl.lacks[0] = AR_V3;
	ar_makes(2, 120);
	gic = gic_describe(ar.av);
	assert_int_equal(gic.version, 2);
	assert_int_equal(gic.dist.base, kl_find(SET, ADDR, KVM_VGIC_V2_ADDR_TYPE_DIST)->value);
	assert_int_equal(gic.dist.len, 0x1000);
	assert_int_equal(
		gic.cpu_or_redist.base, kl_find(SET, ADDR, KVM_VGIC_V2_ADDR_TYPE_CPU)->value);
	assert_int_equal(gic.cpu_or_redist.len, 0x2000);
	assert_true(gic.dist.base + gic.dist.len <= gic.cpu_or_redist.base);
}

static void a_line_is_an_irqfd_of_its_own_number(void **state __unused)
{
	ar_makes(1, 120);
	assert_int_equal(arch_irq_bind(ar.av, 119, 77), 0);
	assert_int_equal(fake_hv.nr_irqfds, 1);
	assert_int_equal(fake_hv.irqfd[0].gsi, 119);
	assert_int_equal(fake_hv.irqfd[0].fd, 77);
	fake_hv.nr_irqfds = FAKE_MAX;
	assert_int_equal(arch_irq_bind(ar.av, 1, 78), -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		AR_TEST(a_gicv3_is_made_where_the_host_has_one),
		AR_TEST(a_gicv2_is_made_where_there_is_no_other),
		AR_TEST(a_host_without_either_is_refused),
		AR_TEST(more_cpus_than_a_gicv2_serves_are_refused_by_name),
		AR_TEST(it_has_all_lines_and_a_size_that_kvm_takes),
		AR_TEST(what_kvm_refuses_of_it_is_said),
		AR_TEST(it_goes_with_the_machine),
		AR_TEST(the_tree_says_what_kvm_was_told),
		AR_TEST(a_line_is_an_irqfd_of_its_own_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
