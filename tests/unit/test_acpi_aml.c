/* SPDX-License-Identifier: BSD-3-Clause */
/* The AML writer: encodings byte for byte, and never a byte past the buffer. */
#include "acpi/aml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define CHECK_BYTES(a, ...)                                                                        \
	do {                                                                                       \
		static const uint8_t want[] = { __VA_ARGS__ };                                     \
		assert_false((a)->full);                                                           \
		assert_int_equal((a)->len, sizeof(want));                                          \
		assert_memory_equal((a)->buf, want, sizeof(want));                                 \
	} while (0)

static void integers_take_their_shortest_form(void **state)
{
	uint8_t buf[64];
	struct aml a;

	(void)state;
	aml_init(&a, buf, sizeof(buf));
	aml_int(&a, 0);
	aml_int(&a, 1);
	aml_int(&a, 2);
	aml_int(&a, 0xff);
	aml_int(&a, 0x100);
	aml_int(&a, 0xffff);
	aml_int(&a, 0x10000);
	aml_int(&a, 0xffffffff);
	aml_int(&a, 0x100000000);
	CHECK_BYTES(&a, 0x00, 0x01, 0x0a, 2, 0x0a, 0xff, 0x0b, 0x00, 0x01, 0x0b, 0xff, 0xff, 0x0c,
		0, 0, 1, 0, 0x0c, 0xff, 0xff, 0xff, 0xff, 0x0e, 0, 0, 0, 0, 1, 0, 0, 0);
}

static void strings_end_in_zero(void **state)
{
	uint8_t buf[16];
	struct aml a;

	(void)state;
	aml_init(&a, buf, sizeof(buf));
	aml_str(&a, "AB1");
	aml_str(&a, "");
	CHECK_BYTES(&a, 0x0d, 'A', 'B', '1', 0, 0x0d, 0);
}

static void an_eisa_id_is_compressed_as_the_specification_says(void **state)
{
	uint8_t buf[16];
	struct aml a;

	(void)state;
	aml_init(&a, buf, sizeof(buf));
	aml_eisa_id(&a, "PNP0501");
	aml_eisa_id(&a, "PNP0C0F");
	CHECK_BYTES(&a, 0x0c, 0x41, 0xd0, 0x05, 0x01, 0x0c, 0x41, 0xd0, 0x0c, 0x0f);
}

static void resource_descriptors_have_their_documented_bytes(void **state)
{
	uint8_t buf[64];
	struct aml a;

	(void)state;
	aml_init(&a, buf, sizeof(buf));
	aml_res_io(&a, 0x3f8, 8);
	aml_res_mem32(&a, 0xd0001000, 0x200);
	aml_res_irq_edge(&a, 5);
	aml_res_end(&a);
	CHECK_BYTES(&a, 0x47, 0x01, 0xf8, 0x03, 0xf8, 0x03, 0x01, 0x08,                 /* I/O */
		0x86, 0x09, 0x00, 0x01, 0x00, 0x10, 0x00, 0xd0, 0x00, 0x02, 0x00, 0x00, /* memory */
		0x89, 0x06, 0x00, 0x03, 0x01, 0x05, 0x00, 0x00, 0x00, /* interrupt */
		0x79, 0x00);
}

static void blocks_nest_and_count_themselves(void **state)
{
	uint8_t buf[64];
	struct aml a;

	(void)state;
	aml_init(&a, buf, sizeof(buf));
	aml_scope_begin(&a, "_SB_");
	aml_device_begin(&a, "V00F");
	aml_name(&a, "_UID");
	aml_int(&a, 7);
	aml_end(&a);
	aml_end(&a);
	aml_name(&a, "_S5_");
	aml_package_begin(&a, 1);
	aml_int(&a, 5);
	aml_end(&a);
	CHECK_BYTES(&a, 0x10, 0x14, '\\', '_', 'S', 'B', '_',      /* scope: 20 bytes */
		0x5b, 0x82, 0x0c, 'V', '0', '0', 'F',              /* device: 12 bytes */
		0x08, '_', 'U', 'I', 'D', 0x0a, 7,                 /* name */
		0x08, '_', 'S', '5', '_', 0x12, 0x04, 1, 0x0a, 5); /* package: 4 bytes */
	assert_int_equal(a.depth, 0);
}

/* Decodes a PkgLength as a reader does; returns its own size. */
static unsigned pkg_decode(const uint8_t *p, size_t *ret)
{
	unsigned more = p[0] >> 6;

	if (more == 0) {
		*ret = p[0] & 0x3f;
		return 1;
	}
	assert_int_equal(p[0] & 0x30, 0); /* reserved in the longer forms */
	*ret = p[0] & 0xf;
	for (unsigned i = 0; i < more; i++)
		*ret |= (size_t)p[1 + i] << (4 + 8 * i);
	return 1 + more;
}

static void check_pkg(size_t body, unsigned want_nr)
{
	size_t cap = body + 8, value;
	uint8_t *buf = malloc(cap);
	struct aml a;

	assert_non_null(buf);
	aml_init(&a, buf, cap);
	aml_package_begin(&a, 3); /* the element count is one byte of the body */
	for (size_t i = 1; i < body; i++)
		buf[a.len++] = (uint8_t)(i * 7);
	aml_end(&a);
	assert_false(a.full);
	assert_int_equal(pkg_decode(buf + 1, &value), want_nr);
	assert_int_equal(value, body + want_nr);
	assert_int_equal(a.len, 1 + want_nr + body);
	assert_int_equal(buf[1 + want_nr], 3);
	for (size_t i = 1; i < body; i++)
		if (buf[1 + want_nr + i] != (uint8_t)(i * 7))
			fail_msg("byte %zu of a body of %zu moved wrongly", i, body);
	free(buf);
}

static void a_package_length_is_right_at_every_edge(void **state)
{
	(void)state;
	check_pkg(1, 1);
	check_pkg(62, 1);
	check_pkg(63, 2);
	check_pkg(64, 2);
	check_pkg(0xfff - 2, 2);
	check_pkg(0xfff - 1, 3);
	check_pkg(0xfffff - 3, 3);
	check_pkg(0xfffff - 2, 4);
}

static void every_small_package_length_is_right(void **state)
{
	(void)state;
	for (size_t body = 1; body < 5000; body++)
		check_pkg(body, body < 63 ? 1 : body < 0xffe ? 2 : 3);
}

/* Something of everything the writer knows. */
static void write_all(struct aml *a)
{
	uint8_t buf[64];
	struct aml res;

	aml_init(&res, buf, sizeof(buf));
	aml_res_io(&res, 0x3f8, 8);
	aml_res_mem32(&res, 0xd0000000, 0x1000);
	aml_res_irq_edge(&res, 4);
	aml_res_end(&res);
	aml_scope_begin(a, "_SB_");
	for (unsigned i = 0; i < 3; i++) {
		aml_device_begin(a, "COM0");
		aml_name(a, "_HID");
		aml_eisa_id(a, "PNP0501");
		aml_name(a, "_CRS");
		aml_buffer(a, res.buf, res.len);
		aml_name(a, "_STR");
		aml_str(a, "hello");
		aml_end(a);
	}
	aml_end(a);
	aml_package_begin(a, 2);
	aml_int(a, 0x1234);
	aml_int(a, 0x123456789a);
	aml_end(a);
	aml_zeros(a, 3);
	aml_u16(a, 1);
	aml_u32(a, 1);
	aml_u64(a, 1);
	aml_u8(a, 1);
}

static void a_full_buffer_is_told_and_not_overrun(void **state)
{
	uint8_t whole[1024], buf[1024];
	struct aml a;
	size_t need;

	(void)state;
	aml_init(&a, whole, sizeof(whole));
	write_all(&a);
	assert_false(a.full);
	need = a.len;
	for (size_t cap = 0; cap <= need; cap++) {
		memset(buf, 0xee, sizeof(buf));
		aml_init(&a, buf, cap);
		write_all(&a);
		assert_int_equal(a.full, cap < need);
		assert_true(a.len <= cap);
		for (size_t i = cap; i < sizeof(buf); i++)
			assert_int_equal(buf[i], 0xee);
	}
	assert_memory_equal(buf, whole, need);
}

static void nothing_lands_behind_what_was_refused(void **state)
{
	uint8_t buf[8] = { 0 };
	struct aml a;

	(void)state;
	aml_init(&a, buf, sizeof(buf));
	aml_u32(&a, 0x01010101);
	aml_u64(&a, 0); /* 8 bytes into 4 */
	assert_true(a.full);
	aml_u8(&a, 0xff);
	aml_zeros(&a, 1);
	assert_int_equal(a.len, 4);
	assert_int_equal(buf[4], 0);
	aml_init(&a, buf, 0);
	aml_bytes(&a, NULL, 0);
	aml_zeros(&a, 0);
	assert_false(a.full);
}

static void an_unclosed_block_in_a_full_buffer_stays_harmless(void **state)
{
	uint8_t buf[7];
	struct aml a;

	(void)state;
	aml_init(&a, buf, sizeof(buf));
	aml_device_begin(&a, "V000"); /* 6 bytes, and one for the PkgLength */
	assert_false(a.full);
	aml_u8(&a, 1);
	assert_false(a.full);
	aml_end(&a);
	assert_true(a.full);
	assert_int_equal(a.len, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers_take_their_shortest_form),
		cmocka_unit_test(strings_end_in_zero),
		cmocka_unit_test(an_eisa_id_is_compressed_as_the_specification_says),
		cmocka_unit_test(resource_descriptors_have_their_documented_bytes),
		cmocka_unit_test(blocks_nest_and_count_themselves),
		cmocka_unit_test(a_package_length_is_right_at_every_edge),
		cmocka_unit_test(every_small_package_length_is_right),
		cmocka_unit_test(a_full_buffer_is_told_and_not_overrun),
		cmocka_unit_test(nothing_lands_behind_what_was_refused),
		cmocka_unit_test(an_unclosed_block_in_a_full_buffer_stays_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
