/* SPDX-License-Identifier: BSD-3-Clause */
/* Harts, PLIC, APLIC and IMSICs of a riscv64 machine, property by property. */
#include "tests/unit/fdt_rig.h"

#define PLIC  "/interrupt-controller@c000000"
#define APLIC "/interrupt-controller@d000000"
#define IMSIC "/interrupt-controller@28000000"

static void harts_say_what_they_can_do(void **state)
{
	struct rig *r = rig_new(RIG_AIA, 18, 0);

	(void)state;
	r->rv.cbop_block = 128;
	rig_build(r);
	assert_cells(r, "/cpus", "#address-cells", 1);
	assert_cells(r, "/cpus", "#size-cells", 0);
	assert_cells(r, "/cpus", "timebase-frequency", 10000000);
	assert_cells(r, "/cpus/cpu@0", "reg", 0);
	assert_cells(r, "/cpus/cpu@11", "reg", 17);
	assert_strs(r, "/cpus/cpu@11", "device_type", "cpu");
	assert_strs(r, "/cpus/cpu@11", "compatible", "riscv");
	assert_strs(
		r, "/cpus/cpu@11", "riscv,isa", "rv64imafdc_zicbom_zicboz_zicsr_smaia_ssaia_sstc");
	assert_strs(r, "/cpus/cpu@11", "riscv,isa-base", "rv64i");
	assert_strs(r, "/cpus/cpu@11", "riscv,isa-extensions",
		"i\0m\0a\0f\0d\0c\0zicbom\0zicboz\0zicsr\0smaia\0ssaia\0sstc");
	assert_strs(r, "/cpus/cpu@11", "mmu-type", "riscv,sv48");
	assert_cells(r, "/cpus/cpu@11", "riscv,cbom-block-size", 64);
	assert_cells(r, "/cpus/cpu@11", "riscv,cboz-block-size", 64);
	assert_cells(r, "/cpus/cpu@11", "riscv,cbop-block-size", 128);
	rig_free(r);
}

static void harts_do_not_say_what_was_not_given(void **state)
{
	struct rig *r = rig_new(RIG_PLIC, 1, 0);

	(void)state;
	r->rv.isa = NULL;
	r->rv.mmu_type = NULL;
	r->rv.cbom_block = 0;
	r->rv.cboz_block = 0;
	rig_build(r);
	assert_false(rig_has(r, "/cpus/cpu@0", "riscv,isa"));
	assert_false(rig_has(r, "/cpus/cpu@0", "mmu-type"));
	assert_false(rig_has(r, "/cpus/cpu@0", "riscv,cbom-block-size"));
	assert_false(rig_has(r, "/cpus/cpu@0", "riscv,cboz-block-size"));
	assert_false(rig_has(r, "/cpus/cpu@0", "riscv,cbop-block-size"));
	assert_true(rig_has(r, "/cpus/cpu@0", "riscv,isa-extensions"));

	r->rv.isa = "rv64imac";
	r->rv.nr_isa_ext = 0;
	rig_build(r);
	assert_strs(r, "/cpus/cpu@0", "riscv,isa", "rv64imac");
	assert_false(rig_has(r, "/cpus/cpu@0", "riscv,isa-base"));
	assert_false(rig_has(r, "/cpus/cpu@0", "riscv,isa-extensions"));

	r->rv.isa = NULL;
	rig_refused(r, "instruction set");
}

static void each_hart_has_an_interrupt_controller(void **state)
{
	struct rig *r = rig_new(RIG_PLIC, 3, 0);
	const char *intc = "/cpus/cpu@2/interrupt-controller";

	(void)state;
	rig_build(r);
	assert_strs(r, intc, "compatible", "riscv,cpu-intc");
	assert_flag(r, intc, "interrupt-controller");
	assert_cells(r, intc, "#interrupt-cells", 1);
	assert_cells(r, intc, "#address-cells", 0);
	rig_free(r);
}

static void harts_without_time_are_refused(void **state)
{
	struct rig *r = rig_new(RIG_PLIC, 1, 0);

	(void)state;
	r->rv.timebase_hz = 0;
	rig_refused(r, "time");
}

/* Context i of the PLIC, or file i of the IMSICs, is S-mode of hart i. */
static void check_hart_irqs(struct rig *r, const char *path)
{
	char intc[64];

	for (unsigned i = 0; i < r->m.nr_cpus; i++) {
		const fdt32_t *cell;
		int len;

		snprintf(intc, sizeof(intc), "/cpus/cpu@%x/interrupt-controller", i);
		rig_refers(r, path, "interrupts-extended", 2 * i, intc);
		cell = fdt_getprop(r->buf, rig_node(r, path), "interrupts-extended", &len);
		assert_non_null(cell);
		assert_int_equal(len, 8 * r->m.nr_cpus);
		assert_int_equal(fdt32_ld(cell + 2 * i + 1), 9);
	}
}

static void the_plic_has_one_context_a_hart(void **state)
{
	struct rig *r = rig_new(RIG_PLIC, 64, 0);

	(void)state;
	rig_build(r);
	assert_strs(r, PLIC, "compatible", "sifive,plic-1.0.0\0riscv,plic0");
	assert_cells(r, PLIC, "reg", 0, 0x0c000000, 0, 0x4000000);
	assert_flag(r, PLIC, "interrupt-controller");
	assert_cells(r, PLIC, "#interrupt-cells", 1);
	assert_cells(r, PLIC, "#address-cells", 0);
	assert_cells(r, PLIC, "riscv,ndev", 127);
	check_hart_irqs(r, PLIC);
	assert_false(rig_has_node(r, APLIC));
	assert_false(rig_has_node(r, IMSIC));
	rig_free(r);
}

static void the_aplic_sends_to_the_imsics(void **state)
{
	struct rig *r = rig_new(RIG_AIA, 64, 0);

	(void)state;
	rig_build(r);
	assert_strs(r, APLIC, "compatible", "qemu,aplic\0riscv,aplic");
	assert_cells(r, APLIC, "reg", 0, 0x0d000000, 0, 0x8000);
	rig_refers(r, APLIC, "msi-parent", 0, IMSIC);
	assert_flag(r, APLIC, "interrupt-controller");
	assert_cells(r, APLIC, "#interrupt-cells", 2);
	assert_cells(r, APLIC, "#address-cells", 0);
	assert_cells(r, APLIC, "riscv,num-sources", 127);
	assert_false(rig_has(r, APLIC, "interrupts-extended"));

	assert_strs(r, IMSIC, "compatible", "qemu,imsics\0riscv,imsics");
	assert_cells(r, IMSIC, "reg", 0, 0x28000000, 0, 0x200000);
	assert_flag(r, IMSIC, "interrupt-controller");
	assert_cells(r, IMSIC, "#interrupt-cells", 0);
	assert_cells(r, IMSIC, "#address-cells", 0);
	assert_flag(r, IMSIC, "msi-controller");
	assert_cells(r, IMSIC, "#msi-cells", 0);
	assert_cells(r, IMSIC, "riscv,num-ids", 255);
	assert_false(rig_has(r, IMSIC, "riscv,guest-index-bits"));
	check_hart_irqs(r, IMSIC);
	assert_false(rig_has_node(r, PLIC));

	r->m.nr_cpus = 1;
	r->rv.imsic_guest_bits = 3;
	rig_build(r);
	assert_cells(r, IMSIC, "riscv,guest-index-bits", 3);
	rig_free(r);
}

static struct rig *with_plic(unsigned nr_cpus, uint64_t base, uint64_t len)
{
	struct rig *r = rig_new(RIG_PLIC, nr_cpus, 0);

	r->rv.plic = (struct fdt_range){ base, len };
	return r;
}

static void a_plic_too_small_for_its_harts_is_refused(void **state)
{
	(void)state;
	rig_accepted(with_plic(3, 0xc000000, 0x203000));
	rig_refused(with_plic(3, 0xc000000, 0x202fff), "3 CPUs");
	rig_refused(with_plic(1, 0xc000000, 0), "PLIC");
	rig_refused(with_plic(1, UINT64_MAX - 0x200000, 0x400000), "PLIC");
}

static struct rig *with_imsic(unsigned nr_cpus, uint64_t base, uint64_t len, unsigned guest_bits)
{
	struct rig *r = rig_new(RIG_AIA, nr_cpus, 0);

	r->rv.imsic = (struct fdt_range){ base, len };
	r->rv.imsic_guest_bits = guest_bits;
	return r;
}

static void imsics_too_small_or_askew_are_refused(void **state)
{
	(void)state;
	rig_accepted(with_imsic(3, 0x28000000, 0x3000, 0));
	rig_refused(with_imsic(3, 0x28000000, 0x2fff, 0), "3 CPUs in");
	rig_accepted(with_imsic(3, 0x28000000, 0xc000, 2));
	rig_refused(with_imsic(3, 0x28000000, 0xbfff, 2), "3 CPUs in");
	rig_accepted(with_imsic(1, 0x28001000, 0x1000, 0));
	rig_refused(with_imsic(1, 0x28000800, 0x1000, 0), "aligned");
	rig_accepted(with_imsic(4, 0x28004000, 0x4000, 0));
	rig_refused(with_imsic(4, 0x28002000, 0x4000, 0), "aligned");
	rig_accepted(with_imsic(5, 0x28008000, 0x8000, 0));
	rig_refused(with_imsic(5, 0x28004000, 0x8000, 0), "aligned");
	rig_refused(with_imsic(4, 0x28004000, 0x8000, 1), "aligned");
	rig_accepted(with_imsic(1, 0x28080000, 0x80000, 7));
	rig_refused(with_imsic(1, 0x28000000, 0x1000000, 8), "guest bits");
	rig_refused(with_imsic(1, 0x28000000, 0x1000000, 64), "guest bits");
	rig_refused(with_imsic(1, 0x28000000, 0, 0), "IMSICs");
	rig_refused(with_imsic(1, 0xfffffffffffff000, 0x2000, 0), "IMSICs");
}

static struct rig *with_numbers(unsigned nr_sources, unsigned nr_ids)
{
	struct rig *r = rig_new(RIG_AIA, 1, 0);

	r->m.nr_devs = 0;
	r->rv.nr_sources = nr_sources;
	r->rv.imsic_nr_ids = nr_ids;
	return r;
}

static void sources_and_identities_have_bounds(void **state)
{
	struct rig *r = rig_new(RIG_PLIC, 1, 0);

	(void)state;
	rig_accepted(with_numbers(1, 63));
	rig_accepted(with_numbers(1023, 2047));
	rig_refused(with_numbers(0, 63), "sources");
	rig_refused(with_numbers(1024, 63), "sources");
	rig_refused(with_numbers(1, 0), "identities");
	rig_refused(with_numbers(1, 62), "identities");
	rig_refused(with_numbers(1, 64), "identities");
	rig_refused(with_numbers(1, 2048), "identities");
	rig_refused(with_numbers(1, 2111), "identities");
	r->rv.imsic_nr_ids = 0; /* not looked at without IMSICs */
	rig_accepted(r);
}

static void an_aplic_that_is_nowhere_is_refused(void **state)
{
	struct rig *r = rig_new(RIG_AIA, 1, 0);

	(void)state;
	r->rv.aplic.len = 0;
	rig_refused(r, "APLIC");
	r = rig_new(RIG_AIA, 1, 0);
	r->rv.aplic.base = UINT64_MAX;
	rig_refused(r, "APLIC");
	r = rig_new(RIG_AIA, 1, 0);
	r->rv.aplic.base = r->rv.imsic.base;
	rig_refused(r, "both at");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(harts_say_what_they_can_do),
		cmocka_unit_test(harts_do_not_say_what_was_not_given),
		cmocka_unit_test(each_hart_has_an_interrupt_controller),
		cmocka_unit_test(harts_without_time_are_refused),
		cmocka_unit_test(the_plic_has_one_context_a_hart),
		cmocka_unit_test(the_aplic_sends_to_the_imsics),
		cmocka_unit_test(a_plic_too_small_for_its_harts_is_refused),
		cmocka_unit_test(imsics_too_small_or_askew_are_refused),
		cmocka_unit_test(sources_and_identities_have_bounds),
		cmocka_unit_test(an_aplic_that_is_nowhere_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
