// SPDX-License-Identifier: BSD-3-Clause
/*
 * The MP table: CPUs, the IOAPIC and its lines for a kernel without ACPI.
 * Intel MultiProcessor Specification 1.4, chapter 4. Pure, any thread.
 *
 * All lines are edge-triggered, active high, and named as ISA interrupts of the same number:
 * the table knows no other way to say "line n of the IOAPIC is interrupt n".
 */
#include <errno.h>

#include "arch/x86_64/layout.h"
#include "arch/x86_64/x86.h"

#define MP_CPU        0
#define MP_BUS        1
#define MP_IOAPIC     2
#define MP_INTSRC     3
#define MP_LINTSRC    4
#define MP_ENABLED    1
#define MP_BOOT_CPU   2
#define MP_INT        0
#define MP_NMI        1
#define MP_EXTINT     3
#define MP_EDGE_HIGH  0x05
#define MP_APIC_VER   0x14
#define MP_ISA_BUS    0
#define MP_ALL_LAPICS 0xff

struct mp_float {
	char signature[4];
	uint32_t table;
	uint8_t length, revision, checksum, feature[5];
};

struct mp_header {
	char signature[4];
	uint16_t length;
	uint8_t revision, checksum;
	char oem[8], product[12];
	uint32_t oem_table;
	uint16_t oem_len, nr_entries;
	uint32_t lapic;
	uint16_t ext_len;
	uint8_t ext_checksum, reserved;
};

struct mp_cpu {
	uint8_t type, apic_id, version, flags;
	uint32_t signature, features, reserved[2];
};

struct mp_bus {
	uint8_t type, id;
	char name[6];
};

struct mp_ioapic {
	uint8_t type, id, version, flags;
	uint32_t addr;
};

struct mp_intsrc {
	uint8_t type, kind;
	uint16_t flags;
	uint8_t bus, irq, apic, pin;
};

/** Where the next entry goes; at is NULL once the room was too small. */
struct mp_out {
	uint8_t *buf;
	size_t room, len;
	unsigned nr;
	bool full;
};

static void mptable_put(struct mp_out *o, const void *entry, size_t len)
{
	if (o->full || len > o->room - o->len) {
		o->full = true;
		return;
	}
	memcpy(o->buf + o->len, entry, len);
	o->len += len;
	o->nr++;
}

static uint8_t mptable_sum(const uint8_t *p, size_t len)
{
	uint8_t sum = 0;

	while (len--)
		sum = (uint8_t)(sum + *p++);
	return (uint8_t)-sum;
}

static void mptable_entries(struct mp_out *o, unsigned nr_cpus, unsigned nr_lines)
{
	struct mp_bus bus = { MP_BUS, MP_ISA_BUS, { 'I', 'S', 'A', ' ', ' ', ' ' } };
	struct mp_ioapic ioapic = { MP_IOAPIC, (uint8_t)nr_cpus, 0x11, MP_ENABLED,
		(uint32_t)X86_IOAPIC };
	struct mp_intsrc lint0 = { MP_LINTSRC, MP_EXTINT, 0, MP_ISA_BUS, 0, MP_ALL_LAPICS, 0 };
	struct mp_intsrc lint1 = { MP_LINTSRC, MP_NMI, 0, MP_ISA_BUS, 0, MP_ALL_LAPICS, 1 };

	for (unsigned i = 0; i < nr_cpus; i++) {
		struct mp_cpu cpu = {
			.type = MP_CPU,
			.apic_id = (uint8_t)i,
			.version = MP_APIC_VER,
			.flags = MP_ENABLED | (i ? 0 : MP_BOOT_CPU),
			.signature = 0x600,
			.features = 0x201, /* FPU, APIC */
		};

		mptable_put(o, &cpu, sizeof(cpu));
	}
	mptable_put(o, &bus, sizeof(bus));
	mptable_put(o, &ioapic, sizeof(ioapic));
	for (unsigned i = 0; i < nr_lines; i++) {
		struct mp_intsrc line = { MP_INTSRC, MP_INT, MP_EDGE_HIGH, MP_ISA_BUS, (uint8_t)i,
			(uint8_t)nr_cpus, (uint8_t)i };

		mptable_put(o, &line, sizeof(line));
	}
	mptable_put(o, &lint0, sizeof(lint0));
	mptable_put(o, &lint1, sizeof(lint1));
}

int mptable_build(unsigned nr_cpus, unsigned nr_lines, uint32_t base, uint8_t *buf, size_t room)
{
	struct mp_out o = { .buf = buf, .room = room };
	struct mp_float f = {
		.signature = { '_', 'M', 'P', '_' },
		.table = base + sizeof(struct mp_float),
		.length = 1,
		.revision = 4,
	};
	struct mp_header h = {
		.signature = { 'P', 'C', 'M', 'P' },
		.revision = 4,
		.oem = { 'M', 'A', 'Y', 'F', 'L', 'Y', ' ', ' ' },
		.product = { 'M', 'I', 'C', 'R', 'O', 'V', 'M', ' ', ' ', ' ', ' ', ' ' },
		.lapic = (uint32_t)X86_LAPIC,
	};

	f.checksum = mptable_sum((uint8_t *)&f, sizeof(f));
	mptable_put(&o, &f, sizeof(f));
	mptable_put(&o, &h, sizeof(h));
	mptable_entries(&o, nr_cpus, nr_lines);
	if (o.full)
		return -ENOSPC;
	h.length = (uint16_t)(o.len - sizeof(f));
	h.nr_entries = (uint16_t)(o.nr - 2);
	memcpy(buf + sizeof(f), &h, sizeof(h));
	h.checksum = mptable_sum(buf + sizeof(f), h.length);
	memcpy(buf + sizeof(f), &h, sizeof(h));
	return (int)o.len;
}
