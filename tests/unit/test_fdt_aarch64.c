/* SPDX-License-Identifier: BSD-3-Clause */
/* CPUs, PSCI, timer, PMU and GIC of an aarch64 machine, property by property. */
#include "tests/unit/fdt_rig.h"

#define GIC "/interrupt-controller@3fff0000"

static void cpus_are_named_by_their_affinity(void **state)
{
	struct rig *r = rig_new(RIG_GICV3, 3, 0);

	(void)state;
	r->mpidr[0] = 0x80000000;
	r->mpidr[1] = 0xffffff00ff7f0a03; /* all that is not affinity is set */
	r->mpidr[2] = 0x12c0010000;       /* uniprocessor and multithreaded, says the MPIDR */
	rig_build(r);
	assert_cells(r, "/cpus", "#address-cells", 2);
	assert_cells(r, "/cpus", "#size-cells", 0);
	assert_cells(r, "/cpus/cpu@0", "reg", 0, 0);
	assert_cells(r, "/cpus/cpu@7f0a03", "reg", 0, 0x7f0a03);
	assert_cells(r, "/cpus/cpu@1200010000", "reg", 0x12, 0x010000);
	assert_strs(r, "/cpus/cpu@0", "device_type", "cpu");
	assert_strs(r, "/cpus/cpu@0", "compatible", "arm,armv8");
	assert_strs(r, "/cpus/cpu@1200010000", "enable-method", "psci");
	rig_free(r);
}

static void two_cpus_of_one_affinity_are_refused(void **state)
{
	struct rig *r = rig_new(RIG_GICV3, 64, 0);

	(void)state;
	r->mpidr[63] = r->mpidr[17] ^ BIT(31);
	rig_refused(r, "17 and 63");
	r = rig_new(RIG_GICV3, 63, 0);
	r->mpidr[63] = r->mpidr[17]; /* is not in the machine */
	rig_accepted(r);
	r = rig_new(RIG_GICV3, 1, 0);
	r->arm.mpidr = NULL;
	rig_refused(r, "MPIDR");
}

static void psci_is_called_by_hvc(void **state)
{
	struct rig *r = rig_new(RIG_GICV2, 1, 0);

	(void)state;
	rig_build(r);
	assert_strs(r, "/psci", "compatible", "arm,psci-1.0\0arm,psci-0.2");
	assert_strs(r, "/psci", "method", "hvc");
	rig_free(r);
}

static void timer_and_pmu_have_their_ppis(void **state)
{
	struct rig *r = rig_new(RIG_GICV3, 12, 0);

	(void)state;
	rig_build(r);
	assert_strs(r, "/timer", "compatible", "arm,armv8-timer");
	assert_cells(r, "/timer", "interrupts", 1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4);
	assert_flag(r, "/timer", "always-on");
	assert_strs(r, "/pmu", "compatible", "arm,armv8-pmuv3");
	assert_cells(r, "/pmu", "interrupts", 1, 7, 4);
	r->arm.pmu = false;
	rig_build(r);
	assert_false(rig_has_node(r, "/pmu"));
	rig_free(r);
}

static void ppis_of_a_gicv2_say_whose_they_are(void **state)
{
	static const uint32_t mask[] = { 0x01, 0x03, 0x07, 0x0f, 0x1f, 0x3f, 0x7f, 0xff };

	(void)state;
	for (unsigned n = 1; n <= 8; n++) {
		struct rig *r = rig_new(RIG_GICV2, n, 0);
		uint32_t f = mask[n - 1] << 8 | 4;

		rig_build(r);
		assert_cells(r, "/timer", "interrupts", 1, 13, f, 1, 14, f, 1, 11, f, 1, 10, f);
		assert_cells(r, "/pmu", "interrupts", 1, 7, f);
		rig_free(r);
	}
}

static void the_gic_is_described_by_its_version(void **state)
{
	(void)state;
	for (unsigned kind = RIG_GICV3; kind <= RIG_GICV2; kind++) {
		struct rig *r = rig_new(kind, 2, 0);

		rig_build(r);
		assert_cells(r, GIC, "#interrupt-cells", 3);
		assert_cells(r, GIC, "#address-cells", 0);
		assert_flag(r, GIC, "interrupt-controller");
		if (kind == RIG_GICV3) {
			assert_strs(r, GIC, "compatible", "arm,gic-v3");
			assert_cells(r, GIC, "reg", 0, 0x3fff0000, 0, 0x10000, 0, 0x3bff0000, 0,
				0x4000000);
		} else {
			assert_strs(r, GIC, "compatible", "arm,cortex-a15-gic");
			assert_cells(
				r, GIC, "reg", 0, 0x3fff0000, 0, 0x1000, 0, 0x3ffe0000, 0, 0x2000);
		}
		rig_free(r);
	}
}

static struct rig *with_version(unsigned version)
{
	struct rig *r = rig_new(RIG_GICV3, 1, 0);

	r->arm.gic.version = version;
	return r;
}

static void a_gic_of_another_version_is_refused(void **state)
{
	(void)state;
	rig_accepted(with_version(2));
	rig_accepted(with_version(3));
	rig_refused(with_version(0), "version 0");
	rig_refused(with_version(1), "version 1");
	rig_refused(with_version(4), "version 4");
}

static struct rig *with_windows(
	unsigned nr_cpus, enum rig_kind kind, struct fdt_range dist, struct fdt_range other)
{
	struct rig *r = rig_new(kind, nr_cpus, 0);

	r->arm.gic.dist = dist;
	r->arm.gic.cpu_or_redist = other;
	return r;
}

static void a_gic_too_small_for_its_cpus_is_refused(void **state)
{
	const struct fdt_range dist = { 0x8000000, 0x10000 };
	const struct fdt_range none = { 0x8000000, 0 }, past = { UINT64_MAX - 1, 0x100000 };

	(void)state;
	rig_accepted(rig_new(RIG_GICV2, 8, 0));
	rig_refused(rig_new(RIG_GICV2, 9, 0), "9 CPUs");
	rig_accepted(with_windows(5, RIG_GICV3, dist, (struct fdt_range){ 0x9000000, 0xa0000 }));
	rig_refused(with_windows(5, RIG_GICV3, dist, (struct fdt_range){ 0x9000000, 0x9ffff }),
		"5 CPUs");
	rig_refused(with_windows(1, RIG_GICV3, none, dist), "GIC distributor");
	rig_refused(with_windows(1, RIG_GICV3, past, dist), "GIC distributor");
	rig_refused(with_windows(1, RIG_GICV3, dist, past), "redistributors");
	rig_refused(with_windows(1, RIG_GICV2, dist, past), "CPU interface");
	rig_refused(with_windows(1, RIG_GICV2, dist, none), "CPU interface");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cpus_are_named_by_their_affinity),
		cmocka_unit_test(two_cpus_of_one_affinity_are_refused),
		cmocka_unit_test(psci_is_called_by_hvc),
		cmocka_unit_test(timer_and_pmu_have_their_ppis),
		cmocka_unit_test(ppis_of_a_gicv2_say_whose_they_are),
		cmocka_unit_test(the_gic_is_described_by_its_version),
		cmocka_unit_test(a_gic_of_another_version_is_refused),
		cmocka_unit_test(a_gic_too_small_for_its_cpus_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
