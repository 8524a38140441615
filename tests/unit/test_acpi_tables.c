/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tables, byte for byte against tests/unit/golden/acpi/ (run from the top of the tree),
 * and what may not be described. test_acpi_iasl.c has the golden ones read by iasl.
 *
 * After a change that is meant: MAYFLY_GOLDEN_WRITE=1 writes the files anew; read the change
 * with `iasl -d` before keeping it.
 */
#include "acpi/acpi.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define GOLDEN   "tests/unit/golden/acpi"
#define BASE     0xe0000ULL
#define ROOM     0x20000U
#define MAX_DEVS 1298

struct machine {
	struct acpi_machine m;
	struct acpi_dev dev[MAX_DEVS];
	uint32_t apic_id[255];
};

/* The machines whose tables are kept: from the least to many of everything. */
static const struct golden {
	const char *name;
	unsigned nr_cpus, nr_virtio;
	bool bare; /* no uart, no pvpanic, no registers */
} golden[] = {
	{ "bare", 1, 0, true },
	{ "one", 1, 1, false },
	{ "cpus64", 64, 40, false },
	{ "disks112", 4, 112, false },
};

static struct machine *machine_new(unsigned nr_cpus, unsigned nr_virtio, bool bare)
{
	struct machine *s = calloc(1, sizeof(*s));
	unsigned n = 0;

	assert_non_null(s);
	assert_true(nr_virtio + 2 <= MAX_DEVS);
	s->m = (struct acpi_machine){
		.nr_cpus = nr_cpus,
		.lapic_base = 0xfee00000,
		.ioapic_base = 0xfec00000,
		.s5_type = 5,
		.reset_value = 6,
		.dev = s->dev,
	};
	if (!bare) {
		s->m.sleep_control = (struct acpi_reg){ true, 0x600 };
		s->m.sleep_status = (struct acpi_reg){ true, 0x601 };
		s->m.reset = (struct acpi_reg){ true, 0x602 };
		s->dev[n++] = (struct acpi_dev){ ACPI_DEV_UART, true, 0x3f8, 8, true, 4, 0 };
		s->dev[n++] = (struct acpi_dev){ ACPI_DEV_PVPANIC, true, 0x505, 1, false, 0, 0 };
	}
	for (unsigned i = 0; i < nr_virtio; i++)
		s->dev[n++] = (struct acpi_dev){ ACPI_DEV_VIRTIO_MMIO, false,
			0xd0000000 + 0x1000ULL * i, 0x1000, true, 5 + i, i };
	s->m.nr_devs = n;
	return s;
}

/* Builds with guard: on failure the out-parameter must be untouched. */
static int build(const struct machine *s, uint32_t room, struct acpi_tables *t)
{
	struct acpi_tables untouched;
	struct err err = { "" };
	int r;

	memset(t, 0xa5, sizeof(*t));
	untouched = *t;
	r = acpi_build(&s->m, BASE, room, t, &err);
	if (r < 0) {
		assert_memory_equal(t, &untouched, sizeof(*t));
		assert_true(strlen(err.msg) > 0);
	}
	return r;
}

static const uint8_t *table(const struct acpi_tables *t, unsigned which)
{
	assert_true(range_within(t->table[which].off, t->table[which].len, 0, t->len));
	return t->blob + t->table[which].off;
}

static uint8_t sum(const uint8_t *p, size_t len)
{
	uint8_t v = 0;

	while (len--)
		v = (uint8_t)(v + *p++);
	return v;
}

static void check_frame(const struct acpi_tables *t)
{
	const uint8_t *rsdp = table(t, ACPI_RSDP), *xsdt = table(t, ACPI_XSDT);
	uint32_t end = 0;

	for (unsigned i = 0; i < ACPI_NR_TABLES; i++) {
		const uint8_t *p = table(t, i);

		assert_int_equal(t->table[i].off % 16, 0);
		assert_true(t->table[i].off >= end);
		end = t->table[i].off + t->table[i].len;
		assert_int_equal(sum(p, t->table[i].len), 0);
		if (i != ACPI_RSDP)
			assert_int_equal(le32_get(p + 4), t->table[i].len);
	}
	assert_int_equal(end, t->len);
	assert_int_equal(t->table[ACPI_RSDP].off, 0);
	assert_memory_equal(rsdp, "RSD PTR ", 8);
	assert_int_equal(sum(rsdp, 20), 0);
	assert_int_equal(le64_get(rsdp + 24), BASE + t->table[ACPI_XSDT].off);
	assert_int_equal(t->table[ACPI_XSDT].len, 36 + 2 * 8);
	assert_int_equal(le64_get(xsdt + 36), BASE + t->table[ACPI_FADT].off);
	assert_int_equal(le64_get(xsdt + 44), BASE + t->table[ACPI_MADT].off);
	assert_int_equal(le64_get(table(t, ACPI_FADT) + 140), BASE + t->table[ACPI_DSDT].off);
}

static void the_tables_find_each_other_and_sum_to_zero(void **state)
{
	static const unsigned nr_virtio[] = { 0, 1, 40, 112, 1296 };
	static const unsigned nr_cpus[] = { 1, 64, 255 };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(nr_virtio); i++)
		for (unsigned j = 0; j < ARRAY_SIZE(nr_cpus); j++) {
			struct machine *s = machine_new(nr_cpus[j], nr_virtio[i], false);
			struct acpi_tables t;

			assert_int_equal(build(s, ROOM, &t), 0);
			check_frame(&t);
			acpi_fini(&t);
			free(s);
		}
}

static void golden_check(
	const struct golden *g, const struct acpi_table_place *place, const uint8_t *bytes)
{
	char path[256];
	uint8_t *want;
	size_t len;
	FILE *f;

	snprintf(path, sizeof(path), GOLDEN "/%s-%s", g->name, place->name);
	if (getenv("MAYFLY_GOLDEN_WRITE")) {
		f = fopen(path, "w");
		assert_non_null(f);
		assert_int_equal(fwrite(bytes, 1, place->len, f), place->len);
		assert_int_equal(fclose(f), 0);
		return;
	}
	f = fopen(path, "r");
	if (!f)
		fail_msg("%s: cannot be opened", path);
	want = malloc(place->len + 1);
	assert_non_null(want);
	len = fread(want, 1, place->len + 1, f);
	fclose(f);
	if (len != place->len || memcmp(want, bytes, len) != 0)
		fail_msg("%s: differs from the table that is built", path);
	free(want);
}

static void the_tables_are_the_golden_ones(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(golden); i++) {
		const struct golden *g = &golden[i];
		struct machine *s = machine_new(g->nr_cpus, g->nr_virtio, g->bare);
		struct acpi_tables t;

		assert_int_equal(build(s, ROOM, &t), 0);
		for (unsigned k = 0; k < ACPI_NR_TABLES; k++)
			golden_check(g, &t.table[k], table(&t, k));
		acpi_fini(&t);
		free(s);
	}
}

static void the_same_description_gives_the_same_bytes(void **state)
{
	struct machine *a = machine_new(64, 112, false), *b = machine_new(64, 112, false);
	struct acpi_tables ta, tb;
	uint8_t *heap;

	(void)state;
	assert_int_equal(build(a, ROOM, &ta), 0);
	heap = malloc(ROOM);
	assert_non_null(heap);
	memset(heap, 0x5a, ROOM); /* freed memory holds other bytes now */
	free(heap);
	assert_int_equal(build(b, ROOM, &tb), 0);
	assert_int_equal(ta.len, tb.len);
	assert_memory_equal(ta.blob, tb.blob, ta.len);
	acpi_fini(&ta);
	acpi_fini(&tb);
	free(a);
	free(b);
}

static void the_fadt_says_reduced_hardware_and_no_legacy(void **state)
{
	struct machine *s = machine_new(1, 0, false);
	struct acpi_tables t;
	const uint8_t *f;

	(void)state;
	s->m.reset = (struct acpi_reg){ false, 0xd00000000 };
	assert_int_equal(build(s, ROOM, &t), 0);
	f = table(&t, ACPI_FADT);
	assert_int_equal(t.table[ACPI_FADT].len, 276);
	assert_int_equal(f[8], 6);
	assert_int_equal(f[131], 5);
	assert_int_equal(le32_get(f + 112) & BIT(20), BIT(20));
	assert_int_equal(le32_get(f + 112) & BIT(10), BIT(10));
	assert_int_equal(le16_get(f + 109) & 0x3, 0); /* no legacy devices, no 8042 */
	assert_memory_equal(f + 116, "\0\x08\0\x01\0\0\0\0\x0d\0\0\0", 12);
	assert_memory_equal(f + 244, "\x01\x08\0\x01\0\x06\0\0\0\0\0\0", 12);
	assert_memory_equal(f + 256, "\x01\x08\0\x01\x01\x06\0\0\0\0\0\0", 12);
	acpi_fini(&t);

	s->m.reset.addr = 0;
	assert_int_equal(build(s, ROOM, &t), 0);
	f = table(&t, ACPI_FADT);
	assert_int_equal(le32_get(f + 112) & BIT(10), 0);
	assert_memory_equal(f + 116, "\0\0\0\0\0\0\0\0\0\0\0\0", 12);
	acpi_fini(&t);
	free(s);
}

/* Walks the MADT; returns how many entries of type it has. */
static unsigned madt_count(const struct acpi_tables *t, uint8_t type, const uint8_t **ret_last)
{
	const uint8_t *p = table(t, ACPI_MADT);
	uint32_t len = t->table[ACPI_MADT].len, off = 44;
	unsigned nr = 0;

	while (off < len) {
		assert_true(len - off >= 2 && p[off + 1] >= 2 && p[off + 1] <= len - off);
		if (p[off] == type) {
			nr++;
			*ret_last = p + off;
		}
		off += p[off + 1];
	}
	return nr;
}

static void apic_ids_of_255_and_more_are_x2apic_entries(void **state)
{
	struct machine *s = machine_new(4, 0, false);
	const uint8_t *e = NULL;
	struct acpi_tables t;

	(void)state;
	memcpy(s->apic_id, (uint32_t[]){ 0, 254, 255, 0x12345 }, 16);
	s->m.apic_id = s->apic_id;
	assert_int_equal(build(s, ROOM, &t), 0);
	assert_int_equal(madt_count(&t, 0, &e), 2);
	assert_memory_equal(e, "\0\x08\x01\xfe\x01\0\0\0", 8);
	assert_int_equal(madt_count(&t, 9, &e), 2);
	assert_memory_equal(e, "\x09\x10\0\0\x45\x23\x01\0\x01\0\0\0\x03\0\0\0", 16);
	assert_int_equal(madt_count(&t, 1, &e), 1);
	assert_memory_equal(e, "\x01\x0c\0\0\0\0\xc0\xfe\0\0\0\0", 12);
	assert_int_equal(madt_count(&t, 4, &e), 1);
	assert_memory_equal(e, "\x04\x06\xff\0\0\x01", 6);
	assert_int_equal(madt_count(&t, 10, &e), 1);
	assert_memory_equal(e, "\x0a\x0c\0\0\xff\xff\xff\xff\x01\0\0\0", 12);
	acpi_fini(&t);

	s->m.apic_id = NULL;
	assert_int_equal(build(s, ROOM, &t), 0);
	assert_int_equal(madt_count(&t, 0, &e), 4);
	assert_int_equal(madt_count(&t, 9, &e), 0);
	assert_int_equal(madt_count(&t, 10, &e), 0);
	assert_int_equal(le32_get(table(&t, ACPI_MADT) + 40), 0); /* no PCAT_COMPAT */
	acpi_fini(&t);
	free(s);
}

static void many_devices_have_different_names(void **state)
{
	struct machine *s = machine_new(1, 1296, false);
	struct acpi_tables t;
	char name[16];

	(void)state;
	assert_int_equal(build(s, ROOM, &t), 0);
	for (unsigned i = 0; i < 1296; i++) {
		unsigned nr = 0;
		const uint8_t *p = table(&t, ACPI_DSDT), *end = p + t.table[ACPI_DSDT].len;

		snprintf(name, sizeof(name), "V%03X\x08_HID", i);
		while ((p = memmem(p, (size_t)(end - p), name, 9)) != NULL) {
			nr++;
			p++;
		}
		assert_int_equal(nr, 1);
	}
	acpi_fini(&t);
	free(s);
}

static void refused(struct machine *s)
{
	struct acpi_tables t;

	assert_int_equal(build(s, ROOM, &t), -EINVAL);
	free(s);
}

static void accepted(struct machine *s)
{
	struct acpi_tables t;

	assert_int_equal(build(s, ROOM, &t), 0);
	check_frame(&t);
	acpi_fini(&t);
	free(s);
}

static struct machine *with_window(unsigned dev, bool is_port, uint64_t base, uint64_t len)
{
	struct machine *s = machine_new(1, 1, false);

	s->dev[dev].is_port = is_port;
	s->dev[dev].base = base;
	s->dev[dev].len = len;
	return s;
}

static void ports_over_16_bits_are_refused(void **state)
{
	struct machine *s;

	(void)state;
	accepted(with_window(0, true, 0xfff8, 8));
	accepted(with_window(0, true, 0xff01, 255));
	refused(with_window(0, true, 0xfff9, 8));
	refused(with_window(0, true, 0x10000, 1));
	refused(with_window(0, true, UINT64_MAX, 8));
	refused(with_window(0, true, 0x3f8, 0));
	refused(with_window(0, true, 0, 256));   /* the descriptor's length is a byte */
	refused(with_window(2, true, 0x600, 8)); /* virtio-mmio has no ports */
	for (unsigned i = 0; i < 3; i++) {
		s = machine_new(1, 1, false);
		(&s->m.reset)[i].addr = 0xffff; /* reset, sleep_control, sleep_status */
		accepted(s);
		s = machine_new(1, 1, false);
		(&s->m.reset)[i].addr = 0x10000;
		refused(s);
	}
}

static void mmio_over_32_bits_is_refused(void **state)
{
	(void)state;
	accepted(with_window(2, false, 0xfffff000, 0x1000));
	accepted(with_window(0, false, 0, 0xffffffff));
	refused(with_window(2, false, 0xfffff001, 0x1000));
	refused(with_window(2, false, 0x100000000, 1));
	refused(with_window(2, false, 0, 0x100000000 + 1));
	refused(with_window(2, false, 0xd0000000, 0));
	refused(with_window(2, false, 0xd0000000, UINT64_MAX));
	refused(with_window(2, false, UINT64_MAX, 2));
}

/* A window of the whole 4 GiB would have length 0 in a 32-bit descriptor. */
static void a_length_that_truncates_to_zero_is_refused(void **state)
{
	(void)state;
	refused(with_window(2, false, 0, 0x100000000));
}

static void cpus_out_of_range_are_refused(void **state)
{
	struct machine *s;

	(void)state;
	refused(machine_new(0, 1, false));
	refused(machine_new(256, 1, false));
	accepted(machine_new(255, 1, false));
	s = machine_new(2, 1, false);
	s->m.apic_id = s->apic_id;
	s->apic_id[1] = UINT32_MAX; /* broadcast */
	refused(s);
}

static void names_that_do_not_exist_or_exist_twice_are_refused(void **state)
{
	struct machine *s = machine_new(1, 3, false);

	(void)state;
	s->dev[4].index = 1; /* as dev[3] */
	refused(s);
	s = machine_new(1, 3, false);
	s->dev[4].index = 4095;
	accepted(s);
	s = machine_new(1, 3, false);
	s->dev[4].index = 4096;
	refused(s);
	s = machine_new(1, 3, false);
	s->dev[0].index = 16;
	refused(s);
}

static void a_sleep_type_or_place_that_cannot_be_is_refused(void **state)
{
	struct machine *s = machine_new(1, 0, false);
	struct acpi_tables t = { 0 };
	struct err err;

	(void)state;
	assert_int_equal(acpi_build(&s->m, BASE + 8, ROOM, &t, &err), -EINVAL);
	assert_int_equal(acpi_build(&s->m, UINT64_MAX - 15, ROOM, &t, &err), -EINVAL);
	assert_int_equal(acpi_build(&s->m, UINT64_MAX - ROOM - 15, ROOM, &t, &err), 0);
	acpi_fini(&t);
	s->m.s5_type = 7;
	assert_int_equal(acpi_build(&s->m, BASE, ROOM, &t, &err), 0);
	acpi_fini(&t);
	s->m.s5_type = 8;
	refused(s);
}

static void too_little_room_is_refused_whatever_is_missing(void **state)
{
	struct machine *s = machine_new(3, 3, false);
	struct acpi_tables t;
	uint32_t need;

	(void)state;
	assert_int_equal(build(s, UINT32_MAX, &t), 0);
	need = t.len;
	acpi_fini(&t);
	for (uint32_t room = 0; room < need; room++)
		assert_int_equal(build(s, room, &t), -ENOSPC);
	assert_int_equal(build(s, need, &t), 0);
	check_frame(&t);
	acpi_fini(&t);
	free(s);
}

static void fini_takes_nothing_and_twice(void **state)
{
	struct acpi_tables t = { 0 };

	(void)state;
	acpi_fini(NULL);
	acpi_fini(&t);
	acpi_fini(&t);
	assert_null(t.blob);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_tables_find_each_other_and_sum_to_zero),
		cmocka_unit_test(the_tables_are_the_golden_ones),
		cmocka_unit_test(the_same_description_gives_the_same_bytes),
		cmocka_unit_test(the_fadt_says_reduced_hardware_and_no_legacy),
		cmocka_unit_test(apic_ids_of_255_and_more_are_x2apic_entries),
		cmocka_unit_test(many_devices_have_different_names),
		cmocka_unit_test(ports_over_16_bits_are_refused),
		cmocka_unit_test(mmio_over_32_bits_is_refused),
		cmocka_unit_test(a_length_that_truncates_to_zero_is_refused),
		cmocka_unit_test(cpus_out_of_range_are_refused),
		cmocka_unit_test(names_that_do_not_exist_or_exist_twice_are_refused),
		cmocka_unit_test(a_sleep_type_or_place_that_cannot_be_is_refused),
		cmocka_unit_test(too_little_room_is_refused_whatever_is_missing),
		cmocka_unit_test(fini_takes_nothing_and_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
