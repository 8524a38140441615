// SPDX-License-Identifier: BSD-3-Clause
/*
 * The MP table, read back as a kernel reads it (MultiProcessor Specification 1.4): by the
 * lengths and sums that it says of itself.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "arch/x86_64/layout.h"
#include "arch/x86_64/x86.h"

#define FLOAT_LEN   16
#define HEADER_LEN  44
#define MAX_ENTRIES 256

struct mp {
	uint8_t *buf; /* exactly as long as the table */
	size_t len;
	const uint8_t *header;
	const uint8_t *entry[MAX_ENTRIES];
	unsigned nr_entries, nr_of[5];
};

static uint8_t mp_sum(const uint8_t *p, size_t len)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + p[i]);
	return sum;
}

/** Builds into a buffer that has just the room, and walks the entries. */
static void mp_build(struct mp *t, unsigned nr_cpus, unsigned nr_lines)
{
	static const uint8_t lens[] = { 20, 8, 8, 8, 8 };
	uint8_t *big = malloc(X86_MPTABLE_LEN);
	int len = mptable_build(nr_cpus, nr_lines, X86_MPTABLE, big, X86_MPTABLE_LEN);
	const uint8_t *p, *end;

	free(big);
	assert_true(len > FLOAT_LEN + HEADER_LEN);
	*t = (struct mp){ .buf = malloc((size_t)len), .len = (size_t)len };
	assert_int_equal(
		mptable_build(nr_cpus, nr_lines, X86_MPTABLE, t->buf, t->len), (int)t->len);
	t->header = t->buf + FLOAT_LEN;
	end = t->buf + t->len;
	for (p = t->header + HEADER_LEN; p < end; p += lens[*p]) {
		assert_true(*p < ARRAY_SIZE(lens));
		assert_true(lens[*p] <= end - p);
		assert_true(t->nr_entries < MAX_ENTRIES);
		t->entry[t->nr_entries++] = p;
		t->nr_of[*p]++;
	}
	assert_ptr_equal(p, end);
}

/** The n-th entry of a type. */
static const uint8_t *mp_nth(const struct mp *t, uint8_t type, unsigned n)
{
	for (unsigned i = 0; i < t->nr_entries; i++)
		if (t->entry[i][0] == type && !n--)
			return t->entry[i];
	fail_msg("no such entry of type %u", type);
	return NULL;
}

static void the_floating_pointer_leads_to_the_table(void **state)
{
	struct mp t;

	(void)state;
	mp_build(&t, 1, 8);
	assert_memory_equal(t.buf, "_MP_", 4);
	assert_int_equal(le32_get(t.buf + 4), X86_MPTABLE + FLOAT_LEN);
	assert_int_equal(t.buf[8], 1); /* paragraphs */
	assert_int_equal(t.buf[9], 4); /* revision 1.4 */
	assert_int_equal(mp_sum(t.buf, FLOAT_LEN), 0);
	/* Features: there is a table, and no PIC mode. */
	assert_memory_equal(t.buf + 11, "\0\0\0\0\0", 5);
	free(t.buf);
}

static void the_header_counts_and_sums_what_follows(void **state)
{
	static const struct {
		unsigned cpus, lines;
	} sizes[] = { { 1, 1 }, { 1, 24 }, { 2, 8 }, { 64, 7 + ARCH_MAX_VIRTIO }, { 64, 1 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct mp t;

		mp_build(&t, sizes[i].cpus, sizes[i].lines);
		assert_memory_equal(t.header, "PCMP", 4);
		assert_int_equal(le16_get(t.header + 4), t.len - FLOAT_LEN);
		assert_int_equal(t.header[6], 4);
		assert_int_equal(mp_sum(t.header, t.len - FLOAT_LEN), 0);
		assert_int_equal(le16_get(t.header + 34), t.nr_entries);
		assert_int_equal(le32_get(t.header + 36), X86_LAPIC);
		assert_int_equal(le32_get(t.header + 28), 0); /* no OEM table */
		assert_int_equal(le16_get(t.header + 40), 0); /* no extended table */
		assert_int_equal(t.nr_of[0], sizes[i].cpus);
		assert_int_equal(t.nr_of[1], 1);
		assert_int_equal(t.nr_of[2], 1);
		assert_int_equal(t.nr_of[3], sizes[i].lines);
		assert_int_equal(t.nr_of[4], 2);
		free(t.buf);
	}
}

static void every_cpu_has_its_id_and_the_first_boots(void **state)
{
	struct mp t;

	(void)state;
	mp_build(&t, ARCH_MAX_CPUS, 8);
	for (unsigned i = 0; i < ARCH_MAX_CPUS; i++) {
		const uint8_t *cpu = mp_nth(&t, 0, i);

		assert_int_equal(cpu[1], i);
		assert_int_equal(cpu[3], i ? 1 : 3);     /* enabled, boot CPU */
		assert_true(le32_get(cpu + 8) & BIT(9)); /* has a local APIC */
	}
	free(t.buf);
}

static void the_ioapics_id_is_no_cpus(void **state)
{
	static const unsigned cpus[] = { 1, 2, 64 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cpus); i++) {
		const uint8_t *ioapic;
		struct mp t;

		mp_build(&t, cpus[i], 8);
		ioapic = mp_nth(&t, 2, 0);
		assert_true(ioapic[1] >= cpus[i]);
		assert_int_equal(ioapic[3] & 1, 1); /* usable */
		assert_int_equal(le32_get(ioapic + 4), X86_IOAPIC);
		for (unsigned n = 0; n < t.nr_of[3]; n++)
			assert_int_equal(mp_nth(&t, 3, n)[6], ioapic[1]);
		free(t.buf);
	}
}

static void every_line_is_the_edge_of_its_number(void **state)
{
	unsigned nr_lines = X86_GSI_VIRTIO + ARCH_MAX_VIRTIO;
	const uint8_t *bus;
	struct mp t;

	(void)state;
	mp_build(&t, 1, nr_lines);
	bus = mp_nth(&t, 1, 0);
	assert_memory_equal(bus + 2, "ISA   ", 6);
	for (unsigned n = 0; n < nr_lines; n++) {
		const uint8_t *line = mp_nth(&t, 3, n);

		assert_int_equal(line[1], 0);               /* INT */
		assert_int_equal(le16_get(line + 2), 0x05); /* edge, active high */
		assert_int_equal(line[4], bus[1]);
		assert_int_equal(line[5], n);
		assert_int_equal(line[7], n);
	}
	free(t.buf);
}

static void the_local_interrupts_are_extint_and_nmi_of_all_cpus(void **state)
{
	struct mp t;

	(void)state;
	mp_build(&t, 2, 8);
	for (unsigned n = 0; n < 2; n++) {
		const uint8_t *lint = mp_nth(&t, 4, n);

		assert_int_equal(lint[1], n ? 1 : 3);
		assert_int_equal(lint[6], 0xff);
		assert_int_equal(lint[7], n);
	}
	free(t.buf);
}

static void too_little_room_is_refused_and_not_written_past(void **state)
{
	struct mp t;

	(void)state;
	mp_build(&t, 3, 9);
	for (size_t room = 0; room < t.len; room++) {
		/* From the heap, so that AddressSanitizer sees a byte too far. */
		uint8_t *buf = malloc(room ? room : 1);

		assert_int_equal(mptable_build(3, 9, X86_MPTABLE, buf, room), -ENOSPC);
		free(buf);
	}
	free(t.buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_floating_pointer_leads_to_the_table),
		cmocka_unit_test(the_header_counts_and_sums_what_follows),
		cmocka_unit_test(every_cpu_has_its_id_and_the_first_boots),
		cmocka_unit_test(the_ioapics_id_is_no_cpus),
		cmocka_unit_test(every_line_is_the_edge_of_its_number),
		cmocka_unit_test(the_local_interrupts_are_extint_and_nmi_of_all_cpus),
		cmocka_unit_test(too_little_room_is_refused_and_not_written_past),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
