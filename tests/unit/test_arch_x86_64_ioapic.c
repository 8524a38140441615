// SPDX-License-Identifier: BSD-3-Clause
/* The IOAPIC: its registers at every width, and what KVM is told of the pins. */
#include "arch/x86_64/x86.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "hypervisor/fake/fake.h"

#define PINS   24
#define REGSEL 0x00
#define WINDOW 0x10

#define MASKED BIT(16)
#define LEVEL  BIT(15)

/* What KVM was told last, and how often it was told. */
static struct {
	unsigned nr_calls, nr;
	struct kvm_irq_routing_entry entry[IOAPIC_MAX_PINS];
	int answer;
} routes;

static int io_ioctl(unsigned long req, void *arg)
{
	const struct kvm_irq_routing *r = arg;

	assert_int_equal(req, KVM_SET_GSI_ROUTING);
	assert_int_equal(r->flags, 0);
	assert_true(r->nr <= ARRAY_SIZE(routes.entry));
	routes.nr_calls++;
	routes.nr = r->nr;
	memcpy(routes.entry, r->entries, r->nr * sizeof(r->entries[0]));
	return routes.answer;
}

static struct ioapic *io_create(unsigned nr_pins)
{
	struct ioapic *a;
	struct err err;

	memset(&fake_hv, 0, sizeof(fake_hv));
	memset(&routes, 0, sizeof(routes));
	fake_hv.ioctl = io_ioctl;
	assert_int_equal(ioapic_create(NULL, nr_pins, &a, &err), 0);
	return a;
}

static int io_setup(void **state)
{
	*state = io_create(PINS);
	return 0;
}

static int io_teardown(void **state)
{
	ioapic_destroy(*state);
	return 0;
}

#define IO_TEST(f) cmocka_unit_test_setup_teardown(f, io_setup, io_teardown)

static void io_put(struct ioapic *a, uint64_t off, uint64_t v, unsigned len)
{
	/* From the heap, so that AddressSanitizer sees a byte too far. */
	uint8_t *data = malloc(len);

	memcpy(data, &v, len);
	ioapic_bus_ops.write(a, off, data, len);
	free(data);
}

static uint64_t io_get(struct ioapic *a, uint64_t off, unsigned len)
{
	uint8_t *data = malloc(len);
	uint64_t v = 0;

	memset(data, 0xff, len); /* as the bus hands it over */
	ioapic_bus_ops.read(a, off, data, len);
	memcpy(&v, data, len);
	free(data);
	return v;
}

static void io_write(struct ioapic *a, uint8_t reg, uint32_t v)
{
	io_put(a, REGSEL, reg, 4);
	io_put(a, WINDOW, v, 4);
}

static uint32_t io_read(struct ioapic *a, uint8_t reg)
{
	io_put(a, REGSEL, reg, 4);
	return (uint32_t)io_get(a, WINDOW, 4);
}

static void io_set_rte(struct ioapic *a, unsigned pin, uint64_t rte)
{
	io_write(a, (uint8_t)(0x11 + 2 * pin), (uint32_t)(rte >> 32));
	io_write(a, (uint8_t)(0x10 + 2 * pin), (uint32_t)rte);
}

static void io_route_is(unsigned n, uint32_t gsi, uint32_t address, uint32_t data)
{
	const struct kvm_irq_routing_entry *e = &routes.entry[n];

	assert_true(n < routes.nr);
	assert_int_equal(e->gsi, gsi);
	assert_int_equal(e->type, KVM_IRQ_ROUTING_MSI);
	assert_int_equal(e->flags, 0);
	assert_int_equal(e->u.msi.address_lo, address);
	assert_int_equal(e->u.msi.address_hi, 0);
	assert_int_equal(e->u.msi.data, data);
}

static void all_pins_are_masked_and_kvm_is_not_called_at_first(void **state)
{
	for (uint8_t pin = 0; pin < PINS; pin++) {
		assert_int_equal(io_read(*state, (uint8_t)(0x10 + 2 * pin)), MASKED);
		assert_int_equal(io_read(*state, (uint8_t)(0x11 + 2 * pin)), 0);
	}
	assert_int_equal(routes.nr_calls, 0);
}

static void the_version_says_how_many_pins(void **state)
{
	static const unsigned counts[] = { 1, 24, 119, 120, IOAPIC_MAX_PINS };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		struct ioapic *a = io_create(counts[i]);

		assert_int_equal(io_read(a, 1), 0x11 | (counts[i] - 1) << 16);
		/* Read-only. */
		io_write(a, 1, 0xffffffff);
		assert_int_equal(io_read(a, 1), 0x11 | (counts[i] - 1) << 16);
		ioapic_destroy(a);
	}
}

static void the_id_has_four_bits_and_arbitration_follows_it(void **state)
{
	io_write(*state, 0, 0xffffffff);
	assert_int_equal(io_read(*state, 0), 0x0f000000);
	assert_int_equal(io_read(*state, 2), 0x0f000000);
	io_write(*state, 2, 0x01000000);
	assert_int_equal(io_read(*state, 2), 0x0f000000);
	io_write(*state, 0, 0x03ffffff);
	assert_int_equal(io_read(*state, 0), 0x03000000);
	assert_int_equal(routes.nr_calls, 0);
}

static void registers_between_are_zero_and_take_nothing(void **state)
{
	for (uint8_t reg = 3; reg < 0x10; reg++) {
		io_write(*state, reg, 0xffffffff);
		assert_int_equal(io_read(*state, reg), 0);
	}
	assert_int_equal(io_read(*state, 0), 0);
	assert_int_equal(io_read(*state, 0x10), MASKED);
	assert_int_equal(routes.nr_calls, 0);
}

static void the_select_register_has_eight_bits(void **state)
{
	io_put(*state, REGSEL, 0xffffff12, 4);
	assert_int_equal(io_get(*state, REGSEL, 4), 0x12);
	io_put(*state, REGSEL, 0x34, 1);
	assert_int_equal(io_get(*state, REGSEL, 4), 0x34);
	assert_int_equal(io_get(*state, REGSEL, 1), 0x34);
}

static void a_write_of_another_width_is_dropped(void **state)
{
	static const unsigned widths[] = { 1, 2, 8 };

	for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
		io_put(*state, REGSEL, 0, 4);
		if (widths[i] != 1) /* a byte is what some drivers select with */
			io_put(*state, REGSEL, 0x12, widths[i]);
		assert_int_equal(io_get(*state, REGSEL, 4), 0);
		io_put(*state, REGSEL, 0x10, 4);
		io_put(*state, WINDOW, 0x31, widths[i]);
		assert_int_equal(io_get(*state, WINDOW, 4), MASKED);
	}
	assert_int_equal(routes.nr_calls, 0);
}

static void a_read_of_any_width_fills_all_it_was_asked_for(void **state)
{
	io_set_rte(*state, 0, 0xab00000000010a51);
	io_put(*state, REGSEL, 0x10, 4);
	assert_int_equal(io_get(*state, WINDOW, 1), 0x51);
	assert_int_equal(io_get(*state, WINDOW, 2), 0x0a51);
	assert_int_equal(io_get(*state, WINDOW, 4), 0x00010a51);
	assert_int_equal(io_get(*state, WINDOW, 8), 0x00010a51);
	io_put(*state, REGSEL, 0x11, 4);
	assert_int_equal(io_get(*state, WINDOW, 4), 0xab000000);
}

static void the_other_offsets_read_as_zero_and_take_nothing(void **state)
{
	io_put(*state, REGSEL, 0x10, 4);
	for (uint64_t off = 0; off < IOAPIC_LEN; off++) {
		if (off == REGSEL || off == WINDOW)
			continue;
		for (unsigned len = 1; len <= 8 && len <= IOAPIC_LEN - off; len *= 2) {
			io_put(*state, off, 0xffffffffffffffff, len);
			assert_int_equal(io_get(*state, off, len), 0);
		}
	}
	assert_int_equal(io_get(*state, REGSEL, 4), 0x10);
	assert_int_equal(io_get(*state, WINDOW, 4), MASKED);
	assert_int_equal(routes.nr_calls, 0);
}

static void an_unmasked_entry_is_a_message(void **state)
{
	io_set_rte(*state, 4, 0x0500000000000031);
	assert_int_equal(routes.nr_calls, 1);
	assert_int_equal(routes.nr, 1);
	io_route_is(0, 4, 0xfee05000, 0x31);
}

static void delivery_and_destination_modes_are_in_the_message(void **state)
{
	/* Logical, lowest priority, vector 0x42, to 0xff. */
	io_set_rte(*state, 0, 0xff00000000000942);
	io_route_is(0, 0, 0xfeeff004, 0x142);
	/* Physical, NMI. */
	io_set_rte(*state, 0, 0x0100000000000400);
	io_route_is(0, 0, 0xfee01000, 0x400);
}

static void level_and_polarity_are_kept_but_delivered_as_an_edge(void **state)
{
	io_set_rte(*state, 0, LEVEL | BIT(13) | 0x55);
	assert_int_equal(io_read(*state, 0x10), LEVEL | BIT(13) | 0x55);
	io_route_is(0, 0, 0xfee00000, 0x55);
}

static void status_and_reserved_bits_cannot_be_written(void **state)
{
	io_set_rte(*state, 0, ~0ULL);
	/* All of the low word but delivery status (12), remote IRR (14) and 17 to 31. */
	assert_int_equal(io_read(*state, 0x10), 0x1afff);
	assert_int_equal(io_read(*state, 0x11), 0xff000000);
	io_set_rte(*state, 0, 0);
	assert_int_equal(io_read(*state, 0x10), 0);
	assert_int_equal(io_read(*state, 0x11), 0);
}

static void a_masked_entry_has_no_route(void **state)
{
	for (unsigned pin = 0; pin < PINS; pin++)
		io_set_rte(*state, pin, 0x30 + pin);
	assert_int_equal(routes.nr, PINS);
	for (unsigned pin = 0; pin < PINS; pin++)
		io_route_is(pin, pin, 0xfee00000, 0x30 + pin);
	io_set_rte(*state, 5, MASKED | 0x35);
	assert_int_equal(routes.nr, PINS - 1);
	io_route_is(4, 4, 0xfee00000, 0x34);
	io_route_is(5, 6, 0xfee00000, 0x36);
	io_set_rte(*state, 5, 0x99);
	assert_int_equal(routes.nr, PINS);
	io_route_is(5, 5, 0xfee00000, 0x99);
	for (unsigned pin = 0; pin < PINS; pin++)
		io_set_rte(*state, pin, MASKED);
	assert_int_equal(routes.nr, 0);
}

static void kvm_is_called_only_when_a_route_changes(void **state)
{
	/* Masked before and after: nothing that KVM knows of. */
	io_set_rte(*state, 1, MASKED | 0x0700000000000041);
	assert_int_equal(routes.nr_calls, 0);
	io_write(*state, 0x12, 0x41);
	assert_int_equal(routes.nr_calls, 1);
	io_route_is(0, 1, 0xfee07000, 0x41);
	/* The same again. */
	io_write(*state, 0x12, 0x41);
	io_write(*state, 0x13, 0x07000000);
	/* Only bits that do not stick. */
	io_write(*state, 0x12, 0x41 | BIT(12) | BIT(14));
	io_write(*state, 0x13, 0x07ffffff);
	assert_int_equal(routes.nr_calls, 1);
	/* Reads and selects. */
	io_read(*state, 0x12);
	io_read(*state, 1);
	assert_int_equal(routes.nr_calls, 1);
	/* Another CPU, another vector, off. */
	io_write(*state, 0x13, 0x08000000);
	assert_int_equal(routes.nr_calls, 2);
	io_route_is(0, 1, 0xfee08000, 0x41);
	io_write(*state, 0x12, 0x42);
	assert_int_equal(routes.nr_calls, 3);
	io_write(*state, 0x12, MASKED | 0x42);
	assert_int_equal(routes.nr_calls, 4);
	assert_int_equal(routes.nr, 0);
	io_write(*state, 0x12, MASKED | 0x43);
	assert_int_equal(routes.nr_calls, 4);
}

static void pins_out_of_range_do_not_exist(void **state)
{
	struct ioapic *a = io_create(1);

	(void)state;
	for (unsigned reg = 0x12; reg <= 0xff; reg++) {
		io_write(a, (uint8_t)reg, 0x31);
		assert_int_equal(io_read(a, (uint8_t)reg), 0);
	}
	assert_int_equal(routes.nr_calls, 0);
	ioapic_destroy(a);
}

static void the_last_line_of_the_largest_machine_can_be_reached(void **state)
{
	unsigned last = arch_virtio_gsi(ARCH_MAX_VIRTIO - 1);
	struct ioapic *a = io_create(last + 1);

	(void)state;
	io_set_rte(a, last, 0x0200000000000077);
	assert_int_equal(routes.nr, 1);
	io_route_is(0, last, 0xfee02000, 0x77);
	ioapic_destroy(a);
}

static void a_route_that_kvm_refuses_costs_one_line_and_keeps_the_register(void **state)
{
	char line[256] = "";
	int fd[2], saved;
	ssize_t n;

	assert_int_equal(pipe(fd), 0);
	fflush(stderr);
	saved = dup(STDERR_FILENO);
	dup2(fd[1], STDERR_FILENO);
	routes.answer = -EINVAL;
	io_set_rte(*state, 0, 0x31);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fd[1]);
	n = read(fd[0], line, sizeof(line) - 1);
	close(fd[0]);
	assert_true(n > 0);
	assert_non_null(strstr(line, "IOAPIC: KVM refuses an interrupt route"));
	assert_int_equal(io_read(*state, 0x10), 0x31);
	assert_int_equal(routes.nr_calls, 1);
	/* The next change says it all again, this pin included. */
	routes.answer = 0;
	io_set_rte(*state, 1, 0x32);
	assert_int_equal(routes.nr, 2);
}

static void destroying_nothing_is_fine(void **state)
{
	(void)state;
	ioapic_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IO_TEST(all_pins_are_masked_and_kvm_is_not_called_at_first),
		cmocka_unit_test(the_version_says_how_many_pins),
		IO_TEST(the_id_has_four_bits_and_arbitration_follows_it),
		IO_TEST(registers_between_are_zero_and_take_nothing),
		IO_TEST(the_select_register_has_eight_bits),
		IO_TEST(a_write_of_another_width_is_dropped),
		IO_TEST(a_read_of_any_width_fills_all_it_was_asked_for),
		IO_TEST(the_other_offsets_read_as_zero_and_take_nothing),
		IO_TEST(an_unmasked_entry_is_a_message),
		IO_TEST(delivery_and_destination_modes_are_in_the_message),
		IO_TEST(level_and_polarity_are_kept_but_delivered_as_an_edge),
		IO_TEST(status_and_reserved_bits_cannot_be_written),
		IO_TEST(a_masked_entry_has_no_route),
		IO_TEST(kvm_is_called_only_when_a_route_changes),
		cmocka_unit_test(pins_out_of_range_do_not_exist),
		cmocka_unit_test(the_last_line_of_the_largest_machine_can_be_reached),
		IO_TEST(a_route_that_kvm_refuses_costs_one_line_and_keeps_the_register),
		cmocka_unit_test(destroying_nothing_is_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
