/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices of every kind on every interrupt controller, property by property. */
#include "tests/unit/fdt_rig.h"

static void interrupts_are_rising_edges_by_the_controllers_grammar(void **state)
{
	static const char *const chip[] = { NULL, NULL, "/interrupt-controller@d000000",
		"/interrupt-controller@c000000" };
	const char *dev = "/virtio@20001000";

	(void)state;
	for (unsigned kind = 0; kind < RIG_NR_KINDS; kind++) {
		struct rig *r = rig_new(kind, 1, 2);

		rig_build(r);
		if (kind == RIG_AIA)
			assert_cells(r, dev, "interrupts", 9, 1);
		else if (kind == RIG_PLIC)
			assert_cells(r, dev, "interrupts", 9);
		else
			assert_cells(r, dev, "interrupts", 0, 9, 1);
		if (chip[kind])
			rig_refers(r, dev, "interrupt-parent", 0, chip[kind]);
		else
			assert_false(rig_has(r, dev, "interrupt-parent")); /* the root's */
		rig_free(r);
	}
}

static void a_virtio_device_is_coherent(void **state)
{
	struct rig *r = rig_new(RIG_GICV3, 1, 0);

	(void)state;
	rig_add(r, FDT_DEV_VIRTIO_MMIO, 0xa00000000, 0x200, true, 0);
	rig_build(r);
	assert_strs(r, "/virtio@a00000000", "compatible", "virtio,mmio");
	assert_cells(r, "/virtio@a00000000", "reg", 0xa, 0, 0, 0x200);
	assert_cells(r, "/virtio@a00000000", "interrupts", 0, 0, 1);
	assert_flag(r, "/virtio@a00000000", "dma-coherent");
	assert_false(rig_has(r, "/serial@10000000", "dma-coherent"));
	rig_free(r);
}

static void a_uart_says_its_clock_and_speed(void **state)
{
	struct rig *r = rig_new(RIG_PLIC, 1, 0);

	(void)state;
	rig_build(r);
	assert_strs(r, "/serial@10001000", "compatible", "ns16550a");
	assert_cells(r, "/serial@10001000", "reg", 0, 0x10001000, 0, 8);
	assert_cells(r, "/serial@10001000", "interrupts", 2);
	assert_cells(r, "/serial@10001000", "clock-frequency", 1843200);
	assert_cells(r, "/serial@10001000", "current-speed", 115200);
	rig_free(r);
}

static void uarts_are_numbered_in_their_order(void **state)
{
	struct rig *r = rig_new(RIG_GICV3, 1, 1);

	(void)state;
	rig_add(r, FDT_DEV_UART, 0x100, 8, true, 40);
	rig_build(r);
	assert_strs(r, "/aliases", "serial0", "/serial@10000000");
	assert_strs(r, "/aliases", "serial1", "/serial@10001000");
	assert_strs(r, "/aliases", "serial2", "/serial@100");
	assert_strs(r, "/chosen", "stdout-path", "/serial@10000000");

	r->dev[0].kind = FDT_DEV_PVPANIC;
	r->dev[0].has_irq = false;
	rig_build(r);
	assert_strs(r, "/aliases", "serial0", "/serial@10001000");
	assert_strs(r, "/aliases", "serial1", "/serial@100");
	assert_false(rig_has(r, "/aliases", "serial2"));
	assert_strs(r, "/chosen", "stdout-path", "/serial@10001000");
	rig_free(r);
}

static void pvpanic_has_no_interrupt(void **state)
{
	struct rig *r = rig_new(RIG_AIA, 1, 0);

	(void)state;
	rig_build(r);
	assert_strs(r, "/pvpanic@10002000", "compatible", "qemu,pvpanic-mmio");
	assert_cells(r, "/pvpanic@10002000", "reg", 0, 0x10002000, 0, 2);
	assert_false(rig_has(r, "/pvpanic@10002000", "interrupts"));
	rig_free(r);
}

static void a_pl031_has_a_clock(void **state)
{
	struct rig *r = rig_new(RIG_GICV3, 1, 0);
	int clock;

	(void)state;
	rig_add(r, FDT_DEV_RTC_PL031, 0x9000000, 0x1000, false, 0); /* they share it */
	rig_build(r);
	assert_strs(r, "/rtc@10003000", "compatible", "arm,pl031\0arm,primecell");
	assert_cells(r, "/rtc@10003000", "interrupts", 0, 3, 1);
	assert_strs(r, "/rtc@10003000", "clock-names", "apb_pclk");
	rig_refers(r, "/rtc@10003000", "clocks", 0, "/apb-pclk");
	rig_refers(r, "/rtc@9000000", "clocks", 0, "/apb-pclk");
	assert_false(rig_has(r, "/rtc@9000000", "interrupts"));
	assert_strs(r, "/apb-pclk", "compatible", "fixed-clock");
	assert_cells(r, "/apb-pclk", "#clock-cells", 0);
	assert_cells(r, "/apb-pclk", "clock-frequency", 24000000);
	clock = fdt_node_offset_by_compatible(r->buf, -1, "fixed-clock");
	assert_int_equal(clock, rig_node(r, "/apb-pclk"));
	clock = fdt_node_offset_by_compatible(r->buf, clock, "fixed-clock");
	assert_int_equal(clock, -FDT_ERR_NOTFOUND);
	rig_free(r);
}

static void a_goldfish_clock_has_none(void **state)
{
	struct rig *r = rig_new(RIG_AIA, 1, 0);

	(void)state;
	rig_build(r);
	assert_strs(r, "/rtc@10003000", "compatible", "google,goldfish-rtc");
	assert_cells(r, "/rtc@10003000", "reg", 0, 0x10003000, 0, 0x1000);
	assert_cells(r, "/rtc@10003000", "interrupts", 3, 1);
	assert_false(rig_has_node(r, "/apb-pclk"));
	rig_free(r);
}

static struct rig *with_irq(enum rig_kind kind, uint32_t irq)
{
	struct rig *r = rig_new(kind, 1, 1);

	r->dev[4].irq = irq;
	return r;
}

static void interrupts_that_the_controller_has_not_are_refused(void **state)
{
	(void)state;
	for (unsigned kind = RIG_GICV3; kind <= RIG_GICV2; kind++) {
		rig_accepted(with_irq(kind, 0));
		rig_accepted(with_irq(kind, 987));
		rig_refused(with_irq(kind, 988), "interrupt 988");
		rig_refused(with_irq(kind, UINT32_MAX), "interrupt");
	}
	for (unsigned kind = RIG_AIA; kind <= RIG_PLIC; kind++) {
		rig_accepted(with_irq(kind, 1));
		rig_accepted(with_irq(kind, 127));
		rig_refused(with_irq(kind, 0), "interrupt 0");
		rig_refused(with_irq(kind, 128), "interrupt 128");
	}
}

static void a_device_that_linux_drives_by_interrupt_must_have_one(void **state)
{
	static const struct {
		enum fdt_dev_kind kind;
		bool must;
	} kinds[] = {
		{ FDT_DEV_UART, true },
		{ FDT_DEV_VIRTIO_MMIO, true },
		{ FDT_DEV_RTC_GOLDFISH, true },
		{ FDT_DEV_PVPANIC, false },
		{ FDT_DEV_RTC_PL031, false },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct rig *r = rig_new(RIG_PLIC, 1, 0);

		rig_add(r, kinds[i].kind, 0x30000000, 0x1000, false, 0);
		if (kinds[i].must)
			rig_refused(r, "no interrupt");
		else
			rig_accepted(r);
	}
}

static struct rig *with_window(uint64_t base, uint64_t len)
{
	struct rig *r = rig_new(RIG_GICV3, 1, 1);

	r->dev[4].base = base;
	r->dev[4].len = len;
	return r;
}

static void windows_past_64_bits_are_refused(void **state)
{
	(void)state;
	rig_accepted(with_window(UINT64_MAX - 0x1000, 0x1000));
	rig_refused(with_window(UINT64_MAX - 0xfff, 0x1000), "virtio");
	rig_refused(with_window(0x1000, UINT64_MAX), "virtio");
	rig_refused(with_window(0x20000000, 0), "virtio");
}

static void two_devices_of_one_name_are_refused(void **state)
{
	struct rig *r = rig_new(RIG_GICV3, 1, 112);

	(void)state;
	r->dev[100].base = r->dev[17].base;
	rig_refused(r, "two devices");
	r = rig_new(RIG_GICV3, 1, 0);
	rig_add(r, FDT_DEV_RTC_GOLDFISH, 0x10003000, 0x1000, true, 9); /* rtc@, as the PL031 */
	rig_refused(r, "rtc@10003000");
	r = rig_new(RIG_GICV3, 1, 0);
	rig_add(r, FDT_DEV_VIRTIO_MMIO, 0x10003000, 0x1000, true, 9);
	rig_accepted(r); /* windows that overlap are the bus's business */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(interrupts_are_rising_edges_by_the_controllers_grammar),
		cmocka_unit_test(a_virtio_device_is_coherent),
		cmocka_unit_test(a_uart_says_its_clock_and_speed),
		cmocka_unit_test(uarts_are_numbered_in_their_order),
		cmocka_unit_test(pvpanic_has_no_interrupt),
		cmocka_unit_test(a_pl031_has_a_clock),
		cmocka_unit_test(a_goldfish_clock_has_none),
		cmocka_unit_test(interrupts_that_the_controller_has_not_are_refused),
		cmocka_unit_test(a_device_that_linux_drives_by_interrupt_must_have_one),
		cmocka_unit_test(windows_past_64_bits_are_refused),
		cmocka_unit_test(two_devices_of_one_name_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
