// SPDX-License-Identifier: BSD-3-Clause
/*
 * Where the devices of a device-tree machine sit, and which lines they have.
 */
#include "tests/unit/devicetree_rig.h"

#include "devices/power.h"

struct span {
	const char *what;
	uint64_t start, len;
};

/** All that can be in one machine, and the room that is kept for the interrupt controller. */
static unsigned mt_spans(struct span ret[DR_MAX_DEVS + 2])
{
	struct dev_desc fixed[ARCH_MAX_FIXED], d;
	unsigned nr_fixed = arch_fixed_devs(fixed), n = 0;

	ret[n++] = (struct span){ "interrupt controller", DT_CHIP, 0x4000000 };
	ret[n++] = (struct span){ "RAM", DT_RAM, UINT64_MAX - DT_RAM };
	for (unsigned i = 0; i < ARCH_MAX_UARTS; i++) {
		arch_uart_desc(i, &d);
		ret[n++] = (struct span){ "uart", d.base, d.len };
	}
	for (unsigned i = 0; i < nr_fixed; i++)
		ret[n++] = (struct span){ "fixed device", fixed[i].base, fixed[i].len };
	for (unsigned i = 0; i < ARCH_MAX_VIRTIO; i++)
		ret[n++] = (struct span){ "virtio", dr_virtio(i).base, ARCH_VIRTIO_STEP };
	return n;
}

static void nothing_overlaps_in_the_memory_map(void **state __unused)
{
	struct span s[DR_MAX_DEVS + 2];
	unsigned n = mt_spans(s);

	assert_int_equal(n, 2 + ARCH_MAX_UARTS + 2 + ARCH_MAX_VIRTIO);
	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < i; k++)
			if (s[i].start - s[k].start < s[k].len ||
				s[k].start - s[i].start < s[i].len)
				fail_msg("%s at %llx and %s at %llx", s[i].what,
					(unsigned long long)s[i].start, s[k].what,
					(unsigned long long)s[k].start);
}

static void all_that_the_machine_puts_on_the_bus_lies_in_its_own_room(void **state)
{
	struct span s[DR_MAX_DEVS + 2];
	unsigned n = mt_spans(s);
	struct dr *t = *state;

	/* A controller in this process is on the bus by now. */
	dr_machine(t, ARCH_MAX_CPUS);
	for (unsigned i = 0; i < t->mmio.nr_ranges; i++)
		assert_true(range_within(
			t->mmio.range[i].base, t->mmio.range[i].len, s[0].start, s[0].len));
	for (unsigned i = 1; i < n; i++)
		if (s[i].start < DT_RAM)
			assert_int_equal(
				bus_add(&t->mmio, s[i].start, s[i].len, &pvpanic_bus_ops, NULL), 0);
}

static void each_device_has_a_line_of_its_own(void **state __unused)
{
	bool taken[DT_GSI_VIRTIO + ARCH_MAX_VIRTIO] = { [0] = true }; /* 0 is "none" */
	struct dev_desc fixed[ARCH_MAX_FIXED], d;
	unsigned nr_fixed = arch_fixed_devs(fixed);
	uint32_t gsi[DR_MAX_DEVS];
	unsigned n = 0;

	for (unsigned i = 0; i < ARCH_MAX_UARTS; i++) {
		arch_uart_desc(i, &d);
		assert_true(d.has_irq);
		gsi[n++] = d.gsi;
	}
	for (unsigned i = 0; i < nr_fixed; i++)
		if (fixed[i].has_irq)
			gsi[n++] = fixed[i].gsi;
	for (unsigned i = 0; i < ARCH_MAX_VIRTIO; i++)
		gsi[n++] = arch_virtio_gsi(i);
	for (unsigned i = 0; i < n; i++) {
		assert_true(gsi[i] < ARRAY_SIZE(taken));
		assert_false(taken[gsi[i]]);
		taken[gsi[i]] = true;
	}
}

static void devices_have_the_places_and_lines_that_are_documented(void **state __unused)
{
	struct dev_desc fixed[ARCH_MAX_FIXED], d;

	for (unsigned i = 0; i < ARCH_MAX_UARTS; i++) {
		arch_uart_desc(i, &d);
		assert_int_equal(d.kind, DEV_UART);
		assert_int_equal(d.base, 0x20000000 + i * 0x1000);
		assert_int_equal(d.len, 8);
		assert_int_equal(d.gsi, 1 + i);
		assert_int_equal(d.index, i);
		assert_false(d.is_port);
	}
	assert_int_equal(arch_fixed_devs(fixed), 2);
	assert_int_equal(fixed[0].kind, dt_rtc_kind);
	assert_int_equal(fixed[0].base, 0x20010000);
	assert_int_equal(fixed[0].len, dt_rtc_len);
	assert_int_equal(fixed[0].gsi, 5);
	assert_true(fixed[0].has_irq);
	assert_int_equal(fixed[1].kind, DEV_PVPANIC);
	assert_int_equal(fixed[1].base, 0x20020000);
	assert_int_equal(fixed[1].len, 1);
	assert_false(fixed[1].has_irq);
	assert_int_equal(arch_virtio_base(), 0x21000000);
	assert_int_equal(arch_virtio_gsi(0), 8);
	assert_int_equal(arch_virtio_gsi(ARCH_MAX_VIRTIO - 1), 119);
}

static void ram_is_one_piece_from_2_gib_on(void **state __unused)
{
	struct guest_memory gm = { 0 };
	struct err err;

	assert_int_equal(arch_add_ram(&gm, 4 * GIB, &err), 0);
	assert_int_equal(gm.nr_regions, 1);
	assert_int_equal(gm.region[0].base, 0x80000000);
	assert_int_equal(gm.region[0].len, 4 * GIB);
	gm_fini(&gm);
}

static void the_description_is_a_tree_and_needs_no_words(void **state)
{
	struct dr *t = *state;
	char buf[] = "full";

	assert_false(arch_has_acpi);
	assert_true(arch_has_fdt);
	assert_string_equal(arch_uart_tty, "ttyS");
	t->boot.no_acpi = true;
	arch_cmdline_words(&t->boot, buf, sizeof(buf));
	assert_string_equal(buf, "");
}

static void capabilities_are_named_and_say_what_for(void **state __unused)
{
	unsigned nr_required = 0, n = 0;

	for (const struct arch_cap *c = arch_caps; c->name; c++) {
		assert_true(*c->name && *c->use);
		nr_required += c->required;
		for (const struct arch_cap *o = arch_caps; o != c; o++)
			assert_int_not_equal(o->cap, c->cap);
		n++;
	}
	assert_true(nr_required > 0 && nr_required < n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_overlaps_in_the_memory_map),
		DR_TEST(all_that_the_machine_puts_on_the_bus_lies_in_its_own_room),
		cmocka_unit_test(each_device_has_a_line_of_its_own),
		cmocka_unit_test(devices_have_the_places_and_lines_that_are_documented),
		cmocka_unit_test(ram_is_one_piece_from_2_gib_on),
		DR_TEST(the_description_is_a_tree_and_needs_no_words),
		cmocka_unit_test(capabilities_are_named_and_say_what_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
