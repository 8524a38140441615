// SPDX-License-Identifier: BSD-3-Clause
/* Text to values: the whole string or nothing, and errors that name option and key. */
#include "base/parse.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- numbers and booleans ---- */

static void numbers_are_taken_whole(void **state)
{
	static const struct {
		const char *text;
		uint64_t value;
	} good[] = { { "0", 0 }, { "7", 7 }, { "010", 10 }, { "0x10", 16 }, { "0XfF", 255 },
		{ "18446744073709551615", UINT64_MAX }, { "0xffffffffffffffff", UINT64_MAX },
		{ "0x00000000000000000001", 1 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		uint64_t v = 42;

		assert_int_equal(parse_u64(good[i].text, 0, UINT64_MAX, &v), 0);
		assert_true(v == good[i].value);
	}
}

static void what_is_not_a_number_is_refused(void **state)
{
	static const char *const bad[] = { "", " ", " 1", "1 ", "+1", "-1", "0x", "x1", "1x", "a",
		"0x1g", "1.0", "1e3", "1k", "0b1", "1,000", "0x0x1", "1\n", "\xff",
		"99999999999999999999999x", "0xfffffffffffffffffg" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		uint64_t v = 42;

		assert_int_equal(parse_u64(bad[i], 0, UINT64_MAX, &v), -EINVAL);
		assert_int_equal(v, 42);
	}
}

static void numbers_past_64_bits_are_out_of_range(void **state)
{
	static const char *const bad[] = { "18446744073709551616", "18446744073709551625",
		"184467440737095516150", "0x10000000000000000",
		"99999999999999999999999999999999999999999" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		uint64_t v = 42;

		assert_int_equal(parse_u64(bad[i], 0, UINT64_MAX, &v), -ERANGE);
		assert_int_equal(v, 42);
	}
}

static void the_bounds_of_a_number_are_inclusive(void **state)
{
	uint64_t v = 42;

	(void)state;
	assert_int_equal(parse_u64("4", 5, 9, &v), -ERANGE);
	assert_int_equal(parse_u64("10", 5, 9, &v), -ERANGE);
	assert_int_equal(v, 42);
	assert_int_equal(parse_u64("5", 5, 9, &v), 0);
	assert_int_equal(v, 5);
	assert_int_equal(parse_u64("9", 5, 9, &v), 0);
	assert_int_equal(v, 9);
}

static void booleans_have_six_spellings(void **state)
{
	static const char *const yes[] = { "true", "on", "1" },
				 *const no[] = { "false", "off", "0" };
	static const char *const bad[] = { "", "yes", "True", "2", "tru", "truee", " 1", "no" };
	bool v;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		v = false;
		assert_int_equal(parse_bool(yes[i], &v), 0);
		assert_true(v);
		assert_int_equal(parse_bool(no[i], &v), 0);
		assert_false(v);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(parse_bool(bad[i], &v), -EINVAL);
}

/* ---- key=value lists ---- */

struct disk {
	char *path, *id;
	uint64_t size;
	bool ro, has_size, has_ro;
	unsigned mode;
};

static const char *const modes[] = { "fast", "safe", NULL };

static const struct kv_key disk_keys[] = {
	{ "path", KV_STR, 0, 0, NULL, offsetof(struct disk, path), SIZE_MAX },
	{ "ro", KV_BOOL, 0, 0, NULL, offsetof(struct disk, ro), offsetof(struct disk, has_ro) },
	{ "size", KV_U64, 10, 20, NULL, offsetof(struct disk, size),
		offsetof(struct disk, has_size) },
	{ "mode", KV_ENUM, 0, 0, modes, offsetof(struct disk, mode), SIZE_MAX },
	{ "id", KV_STR, 0, 0, NULL, offsetof(struct disk, id), SIZE_MAX },
};

static void disk_clear(struct disk *d)
{
	free(d->path);
	free(d->id);
	*d = (struct disk){ .mode = 99 };
}

static int disk_parse(const char *text, bool positional, struct disk *d, struct err *err)
{
	disk_clear(d);
	err->msg[0] = '\0';
	return kv_parse("--disk", text, disk_keys, ARRAY_SIZE(disk_keys), positional, d, err);
}

static void the_first_key_may_go_unnamed(void **state)
{
	struct disk d = { 0 };
	struct err err;

	(void)state;
	assert_int_equal(disk_parse("/img,ro,size=0x10,mode=safe", true, &d, &err), 0);
	assert_string_equal(d.path, "/img");
	assert_true(d.ro && d.has_ro && d.has_size);
	assert_int_equal(d.size, 16);
	assert_int_equal(d.mode, 1);
	assert_null(d.id);
	assert_int_equal(disk_parse("mode=fast,path=/img", true, &d, &err), 0);
	assert_string_equal(d.path, "/img");
	assert_int_equal(d.mode, 0);
	assert_false(d.has_size || d.has_ro);
	assert_int_equal(disk_parse("ro=off,/img", true, &d, &err), -EINVAL);
	disk_clear(&d);
}

static void a_bare_boolean_first_is_a_key_not_a_value(void **state)
{
	struct disk d = { 0 };
	struct err err;

	(void)state;
	assert_int_equal(disk_parse("ro,path=x", true, &d, &err), 0);
	assert_true(d.ro);
	assert_string_equal(d.path, "x");
	/* Quoted, it is a file of that name; so is the name of a key that needs a value. */
	assert_int_equal(disk_parse("'ro'", true, &d, &err), 0);
	assert_string_equal(d.path, "ro");
	assert_int_equal(disk_parse("size", true, &d, &err), 0);
	assert_string_equal(d.path, "size");
	disk_clear(&d);
}

static void without_a_positional_key_every_value_is_named(void **state)
{
	struct disk d = { 0 };
	struct err err;

	(void)state;
	assert_int_equal(disk_parse("/img", false, &d, &err), -EINVAL);
	assert_string_equal(err.msg, "--disk: '/img' is not a known key");
	assert_int_equal(disk_parse("path", false, &d, &err), -EINVAL);
	assert_string_equal(err.msg, "--disk: path: needs a value");
	assert_int_equal(disk_parse("path=/img", false, &d, &err), 0);
	assert_int_equal(disk_parse("'ro'", false, &d, &err), -EINVAL);
	disk_clear(&d);
}

static void quotes_and_brackets_keep_commas(void **state)
{
	static const struct {
		const char *text, *path;
	} good[] = { { "'a,b=c'", "a,b=c" }, { "\"a,b\"", "a,b" }, { "path='a,b'", "a,b" },
		{ "path=\"say \\\"hi\\\", \\\\\"", "say \"hi\", \\" }, { "path='a\\'", "a\\" },
		{ "path=[a,b]", "[a,b]" }, { "path=[[a,b],c=d]", "[[a,b],c=d]" },
		{ "[a=b,c]", "[a=b,c]" }, { "path=a=b", "a=b" }, { "path=a'b", "a'b" },
		{ "'a','ro'", NULL }, { "path=\"a\\", NULL }, { "path=\"a\\\"", NULL },
		{ "'a", NULL }, { "path='a'b", NULL }, { "path=[a", NULL }, { "path=a]", NULL },
		{ "path=[a]]", NULL }, { "path=[[a]", NULL }, { "'a'=b", NULL }, { "]", NULL },
		{ "\"", NULL } };
	struct disk d = { 0 };
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(
			disk_parse(good[i].text, true, &d, &err), good[i].path ? 0 : -EINVAL);
		if (good[i].path)
			assert_string_equal(d.path, good[i].path);
		else
			assert_memory_equal(err.msg, "--disk: ", 8);
	}
	disk_clear(&d);
}

static void mistakes_are_told_with_option_and_key(void **state)
{
	static const struct {
		const char *text;
		int rc;
		const char *msg;
	} bad[] = {
		{ "", -EINVAL, "--disk: needs a value" },
		{ ",", -EINVAL, "--disk: empty element in ','" },
		{ "a,", -EINVAL, "--disk: empty element in 'a,'" },
		{ "a,,ro", -EINVAL, "--disk: empty element in 'a,,ro'" },
		{ "=a", -EINVAL, "--disk: '' is not a known key" },
		{ "a,colour=red", -EINVAL, "--disk: 'colour' is not a known key" },
		{ "a,colour", -EINVAL, "--disk: 'colour' is not a known key" },
		{ "a,PATH=b", -EINVAL, "--disk: 'PATH' is not a known key" },
		{ "a,path=b", -EINVAL, "--disk: path: given twice" },
		{ "a,ro,ro=0", -EINVAL, "--disk: ro: given twice" },
		{ "a,size", -EINVAL, "--disk: size: needs a value" },
		{ "a,size=", -EINVAL, "--disk: size: '' is not a number" },
		{ "a,size=1k", -EINVAL, "--disk: size: '1k' is not a number" },
		{ "a,size=9", -ERANGE, "--disk: size: '9' is not in 10..20" },
		{ "a,size=21", -ERANGE, "--disk: size: '21' is not in 10..20" },
		{ "a,ro=maybe", -EINVAL, "--disk: ro: 'maybe' is not true or false" },
		{ "a,mode=slow", -EINVAL, "--disk: mode: 'slow' is not known" },
		{ "path=", -EINVAL, "--disk: path: is empty" },
		{ "''", -EINVAL, "--disk: path: is empty" },
		{ "a]", -EINVAL, "--disk: ']' without '[' in 'a]'" },
		{ "[a", -EINVAL, "--disk: '[' is not closed in '[a'" },
		{ "'a'b", -EINVAL, "--disk: text after a closing quote in ''a'b'" },
		{ "'a", -EINVAL, "--disk: a quote is not closed in ''a'" },
	};
	struct disk d = { 0 };
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(disk_parse(bad[i].text, true, &d, &err), bad[i].rc);
		assert_string_equal(err.msg, bad[i].msg);
	}
	disk_clear(&d);
}

static void strings_stored_before_a_mistake_stay_the_callers(void **state)
{
	struct disk d = { 0 };
	struct err err;

	(void)state;
	assert_int_equal(disk_parse("a,id=b,size=x", true, &d, &err), -EINVAL);
	assert_string_equal(d.path, "a");
	assert_string_equal(d.id, "b");
	disk_clear(&d); /* and a leak checker finds nothing */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_taken_whole),
		cmocka_unit_test(what_is_not_a_number_is_refused),
		cmocka_unit_test(numbers_past_64_bits_are_out_of_range),
		cmocka_unit_test(the_bounds_of_a_number_are_inclusive),
		cmocka_unit_test(booleans_have_six_spellings),
		cmocka_unit_test(the_first_key_may_go_unnamed),
		cmocka_unit_test(a_bare_boolean_first_is_a_key_not_a_value),
		cmocka_unit_test(without_a_positional_key_every_value_is_named),
		cmocka_unit_test(quotes_and_brackets_keep_commas),
		cmocka_unit_test(mistakes_are_told_with_option_and_key),
		cmocka_unit_test(strings_stored_before_a_mistake_stay_the_callers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
