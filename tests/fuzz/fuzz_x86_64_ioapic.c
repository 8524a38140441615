// SPDX-License-Identifier: BSD-3-Clause
/*
 * The IOAPIC's registers in any order and width. After each access the routes that KVM was
 * told last are those that the registers, read back, stand for.
 *
 * Input: a byte for the number of pins, then accesses: a byte of offset, one of width and
 * direction, and the bytes written.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "arch/x86_64/x86.h"
#include "base/log.h"
#include "hypervisor/fake/fake.h"

#define MAX_ACCESSES 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What KVM was told last; harness thread, reset by each run. */
static struct {
	unsigned nr, nr_calls;
	bool refuse;
	struct kvm_irq_routing_entry entry[IOAPIC_MAX_PINS];
} told;

static int fuzz_ioctl(unsigned long req, void *arg)
{
	const struct kvm_irq_routing *r = arg;

	BUG_ON(req != KVM_SET_GSI_ROUTING || r->nr > IOAPIC_MAX_PINS || r->flags);
	told.nr = r->nr;
	told.nr_calls++;
	memcpy(told.entry, r->entries, r->nr * sizeof(r->entries[0]));
	return told.refuse ? -EINVAL : 0;
}

static uint32_t fuzz_get(struct ioapic *a, uint32_t reg)
{
	uint32_t v;

	ioapic_bus_ops.write(a, 0, &reg, sizeof(reg));
	ioapic_bus_ops.read(a, 0x10, &v, sizeof(v));
	return v;
}

static void fuzz_check(struct ioapic *a, unsigned nr_pins)
{
	unsigned n = 0, calls = told.nr_calls;
	uint32_t select;

	ioapic_bus_ops.read(a, 0, &select, sizeof(select));
	BUG_ON(select > 0xff || fuzz_get(a, 1) != (0x11 | (nr_pins - 1) << 16));
	/* Registers past 0xff cannot be selected: pins past 119 stay as they were, masked. */
	for (unsigned pin = 0; pin < MIN(nr_pins, 120U); pin++) {
		uint32_t low = fuzz_get(a, 0x10 + 2 * pin), high = fuzz_get(a, 0x11 + 2 * pin);
		const struct kvm_irq_routing_entry *e = &told.entry[n];

		BUG_ON(low & ~0x1afffU || high & 0x00ffffff);
		if (low & BIT(16))
			continue;
		BUG_ON(n++ == told.nr);
		BUG_ON(e->gsi != pin || e->type != KVM_IRQ_ROUTING_MSI || e->flags);
		BUG_ON(e->u.msi.address_lo !=
			(0xfee00000 | high >> 24 << 12 | (low >> 11 & 1) << 2));
		BUG_ON(e->u.msi.address_hi || e->u.msi.data != (low & 0x7ff));
	}
	BUG_ON(n != told.nr || calls != told.nr_calls);
	ioapic_bus_ops.write(a, 0, &select, sizeof(select));
}

static void fuzz_access(struct ioapic *a, uint8_t off, uint8_t how, const uint8_t *value)
{
	unsigned width = 1U << (how & 3), calls = told.nr_calls;
	uint8_t *buf = malloc(width);

	told.refuse = how & 0x80;
	/* Most of it where registers are; all of it inside, as the bus sees to. */
	off = how & 0x20 ? off % IOAPIC_LEN : off & 1 ? 0x10 : 0;
	if (off > IOAPIC_LEN - width)
		off = (uint8_t)(IOAPIC_LEN - width);
	memcpy(buf, value, width);
	if (how & 0x10)
		ioapic_bus_ops.read(a, off, buf, width);
	else
		ioapic_bus_ops.write(a, off, buf, width);
	BUG_ON(told.nr_calls - calls > (how & 0x10 ? 0 : 1));
	free(buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	unsigned nr_pins = len ? data[0] % IOAPIC_MAX_PINS + 1 : 1;
	struct ioapic *a;
	struct err err;
	size_t at = 1;

	log_set_level(LOG_ERROR);
	memset(&told, 0, sizeof(told));
	memset(&fake_hv, 0, sizeof(fake_hv));
	fake_hv.ioctl = fuzz_ioctl;
	BUG_ON(ioapic_create(NULL, nr_pins, &a, &err));
	for (unsigned n = 0; n < MAX_ACCESSES && len >= 10 && at <= len - 10; n++, at += 10) {
		fuzz_access(a, data[at], data[at + 1], data + at + 2);
		fuzz_check(a, nr_pins);
	}
	ioapic_destroy(a);
	return 0;
}
