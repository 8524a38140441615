// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/loader_images.h"

static void the_command_line_is_written_with_its_nul(void **state)
{
	struct li *t = *state;
	struct kernel_image k = { .cmdline_max = 2047 };

	memset(t->ram1, 0xff, 16);
	assert_int_equal(cmdline_load(&t->gm, "panic=-1", &k, MIB, 4096, &t->err), 0);
	assert_string_equal((char *)t->ram1, "panic=-1");
	assert_int_equal(t->ram1[9], 0xff);
	assert_int_equal(cmdline_load(&t->gm, "", &k, MIB, 1, &t->err), 0);
	assert_int_equal(t->ram1[0], 0);
}

static void a_command_line_longer_than_the_kernel_takes_is_refused(void **state)
{
	struct li *t = *state;
	struct kernel_image k = { .cmdline_max = 8 };

	assert_int_equal(cmdline_load(&t->gm, "12345678", &k, MIB, 4096, &t->err), 0);
	memset(t->ram1, 0, 16);
	assert_int_equal(cmdline_load(&t->gm, "123456789", &k, MIB, 4096, &t->err), -E2BIG);
	assert_string_equal(
		t->err.msg, "--params: the command line has 9 bytes, the kernel takes at most 8");
	assert_int_equal(t->ram1[0], 0);
}

static void a_command_line_longer_than_the_room_is_refused(void **state)
{
	struct li *t = *state;
	struct kernel_image k = { .cmdline_max = UINT64_MAX };

	assert_int_equal(cmdline_load(&t->gm, "1234567", &k, MIB, 8, &t->err), 0);
	memset(t->ram1, 0, 16);
	assert_int_equal(cmdline_load(&t->gm, "12345678", &k, MIB, 8, &t->err), -E2BIG);
	assert_string_equal(
		t->err.msg, "--params: the command line has 8 bytes, the machine has room for 7");
	assert_int_equal(t->ram1[0], 0);
	assert_int_equal(cmdline_load(&t->gm, "", &k, MIB, 0, &t->err), -E2BIG);
	assert_non_null(strstr(t->err.msg, "has room for 0"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LI_TEST(the_command_line_is_written_with_its_nul),
		LI_TEST(a_command_line_longer_than_the_kernel_takes_is_refused),
		LI_TEST(a_command_line_longer_than_the_room_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
