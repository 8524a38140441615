// SPDX-License-Identifier: BSD-3-Clause
/* vmm/exec_options.c: the command line of exec, and what becomes of what it leaves open. */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "vmm/exec.h"

static struct exec_config c;
static struct err err;

static int setup(void **state __unused)
{
	exec_config_init(&c);
	setenv("MAYFLY_KERNEL", "/kernel", 1);
	setenv("PATH", "/mine", 1);
	unsetenv("LANG");
	return 0;
}

static int teardown(void **state __unused)
{
	exec_config_fini(&c);
	return 0;
}

/** Words, blanks between them. */
static int parse(const char *words)
{
	static char text[512], *argv[32];
	int argc = 0;

	snprintf(text, sizeof(text), "%s", words);
	for (char *at = text, *w; (w = strsep(&at, " "));)
		argv[argc++] = w;
	argv[argc] = NULL;
	exec_config_fini(&c);
	exec_config_init(&c);
	return exec_parse(argc, argv, &c, &err);
}

static void takes(const char *words)
{
	if (parse(words) || exec_complete(&c, &err))
		fail_msg("%s: %s", words, err.msg);
}

static void refuses(const char *words, const char *why)
{
	int rc = parse(words);

	if (!rc)
		rc = exec_complete(&c, &err);
	if (rc >= 0 || !strstr(err.msg, why))
		fail_msg("%s: %d, %s", words, rc, err.msg);
}

static const char *env(const char *name)
{
	size_t len = strlen(name);

	for (unsigned i = 0; i < c.nr_envs; i++)
		if (!strncmp(c.env[i], name, len) && c.env[i][len] == '=')
			return c.env[i] + len + 1;
	return NULL;
}

static void the_command_begins_at_the_first_word(void **state __unused)
{
	takes("--cpus 2 make -j2 --cpus 3");
	assert_int_equal(c.run.cpus, 2);
	assert_string_equal(c.argv[0], "make");
	assert_string_equal(c.argv[3], "3");
	takes("-- --help");
	assert_string_equal(c.argv[0], "--help");
	assert_int_equal(parse("--help"), -ECANCELED);
	refuses("--cpus 2", "no COMMAND given");
	refuses("--", "no COMMAND given");
}

static void the_current_directory_is_shared_by_default(void **state __unused)
{
	char here[PATH_MAX];

	assert_non_null(getcwd(here, sizeof(here)));
	takes("true");
	assert_string_equal(c.cwd, here);
	assert_int_equal(c.run.nr_shares, 1 + (strcmp(here, "/") != 0));
	assert_string_equal(c.run.share[0].path, "/");
	assert_string_equal(c.run.share[0].tag, "root");
	assert_true(c.run.share[0].ro);
	if (c.run.nr_shares > 1) {
		assert_string_equal(c.run.share[1].path, here);
		assert_false(c.run.share[1].ro);
	}
	takes("--cwd /x true");
	assert_string_equal(c.cwd, "/x");
	assert_int_equal(c.run.nr_shares, 1);
}

static void shares_are_real_paths_with_tags(void **state __unused)
{
	takes("--share /tmp/../tmp:ro --share /proc:p true");
	assert_int_equal(c.run.nr_shares, 3);
	assert_string_equal(c.run.share[1].path, "/tmp");
	assert_string_equal(c.run.share[1].tag, "share0");
	assert_true(c.run.share[1].ro);
	assert_string_equal(c.run.share[2].tag, "p");
	refuses("--share /nowhere true", "--share: /nowhere: No such file");
	refuses("--share / true", "is --root's to share");
	refuses("--share /tmp --share /tmp/. true", "is used twice");
	refuses("--share /tmp:a --share /proc:a true", "is used twice");
	refuses("--share /tmp:root true", "tag: root is --root's");
	refuses("--share /tmp:a:b true", "given twice");
	refuses("--share /tmp: true", "neither ro nor a tag");
	refuses("--share /tmp:0123456789012345678901234567890123456 true", "neither ro nor a tag");
}

static void a_root_is_a_directory_or_a_disk(void **state __unused)
{
	takes("--root /tmp true");
	assert_string_equal(c.run.share[0].path, "/tmp");
	assert_int_equal(c.run.nr_disks, 0);
	assert_string_equal(env("HOME"), "/root");
	assert_true(strcmp(env("PATH"), "/mine") != 0);
	takes("--root /proc/self/exe true");
	assert_int_equal(c.run.nr_disks, 1);
	assert_true(c.run.disk[0].ro);
	refuses("--root /nowhere true", "--root: /nowhere: No such file");
}

static void the_environment_is_small_and_said_last_wins(void **state __unused)
{
	setenv("MAYFLY_X", "from the caller", 1);
	takes("--env A=1 --env A=2 --env AB=3 --env MAYFLY_X --env MAYFLY_NONE --env PATH=/p true");
	assert_string_equal(env("A"), "2");
	assert_string_equal(env("AB"), "3");
	assert_string_equal(env("MAYFLY_X"), "from the caller");
	assert_null(env("MAYFLY_NONE"));
	assert_string_equal(env("PATH"), "/p");
	assert_null(env("TERM"));
	takes("true");
	assert_string_equal(env("PATH"), "/mine");
	refuses("--env =x true", "is not NAME or NAME=VALUE");
}

static void sizes_have_units(void **state __unused)
{
	takes("--memory-limit 1G true");
	assert_int_equal(c.run.mem_mib, 1024);
	takes("-m 67108864 true");
	assert_int_equal(c.run.mem_mib, 64);
	takes("-m 65536K true");
	assert_int_equal(c.run.mem_mib, 64);
	takes("-m 4T true");
	refuses("-m 5T true", "is not 16M to");
	refuses("-m 15M true", "is not 16M to");
	refuses("-m 1X true", "'1X' is not a number of bytes");
	refuses("-m 1GG true", "'1GG' is not a number of bytes");
	refuses("-m G true", "'G' is not a number of bytes");
	refuses("-m 99999999999T true", "is not a number of bytes");
	refuses("-m 18446744073709551616 true", "is not a number of bytes");
	refuses("-m 111111111111111111111111111111 true", "is not a number of bytes");
}

static void a_kernel_is_looked_for(void **state __unused)
{
	takes("true");
	assert_string_equal(c.run.kernel, "/kernel");
	takes("--kernel /other true");
	assert_string_equal(c.run.kernel, "/other");
	unsetenv("MAYFLY_KERNEL");
	setenv("XDG_DATA_HOME", "/nowhere", 1);
	refuses("true", "--kernel: none given, and no mayfly/");
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_command_begins_at_the_first_word),
		T(the_current_directory_is_shared_by_default),
		T(shares_are_real_paths_with_tags),
		T(a_root_is_a_directory_or_a_disk),
		T(the_environment_is_small_and_said_last_wins),
		T(sizes_have_units),
		T(a_kernel_is_looked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
