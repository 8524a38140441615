/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The golden tables (tests/unit/golden/acpi/, run from the top of the tree; test_acpi_tables.c
 * has them equal to what is built) disassembled and compiled again by iasl: no error, no
 * warning, no remark, and the same bytes come back. Skipped where iasl is not installed.
 */
#include "base/base.h"

#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define GOLDEN "tests/unit/golden/acpi"

/* Runs iasl in dir. Returns what it wrote (to be freed) and its exit status. */
static char *iasl_run(const char *dir, char *const argv[], int *ret_status)
{
	posix_spawn_file_actions_t fa;
	char *out = calloc(1, 65536);
	extern char **environ;
	size_t len = 0;
	ssize_t n;
	int p[2];
	pid_t pid;

	assert_non_null(out);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_addchdir_np(&fa, dir);
	posix_spawn_file_actions_adddup2(&fa, p[1], STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&fa, p[1], STDERR_FILENO);
	if (posix_spawnp(&pid, "iasl", &fa, NULL, argv, environ) != 0)
		fail_msg("iasl cannot be started");
	posix_spawn_file_actions_destroy(&fa);
	close(p[1]);
	while (len < 65535 && (n = read(p[0], out + len, 65535 - len)) > 0)
		len += (size_t)n;
	close(p[0]);
	assert_int_equal(waitpid(pid, ret_status, 0), pid);
	return out;
}

static bool have_iasl(void)
{
	char *path = strdup(getenv("PATH") ? getenv("PATH") : ""), *save = NULL, file[4096];
	bool found = false;

	assert_non_null(path);
	for (char *d = strtok_r(path, ":", &save); d && !found; d = strtok_r(NULL, ":", &save)) {
		snprintf(file, sizeof(file), "%s/iasl", d);
		found = access(file, X_OK) == 0;
	}
	free(path);
	return found;
}

static void write_file(const char *dir, const char *name, const void *p, size_t len)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

/* Disassembles and compiles one table: no complaint, and the same bytes come back. */
static void iasl_round_trip(const char *dir, const char *what, const uint8_t *p, size_t len)
{
	uint8_t back[65536];
	char *out, path[256];
	int status;
	size_t n;
	FILE *f;

	assert_true(len > 36 && len < sizeof(back));
	write_file(dir, "t.dat", p, len);
	out = iasl_run(dir, (char *[]){ "iasl", "-d", "t.dat", NULL }, &status);
	if (status != 0 || strstr(out, "rror") || strstr(out, "arning"))
		fail_msg("%s: iasl -d: status %#x: %s", what, (unsigned)status, out);
	free(out);
	out = iasl_run(
		dir, (char *[]){ "iasl", "-w3", "-oa", "-p", "back", "t.dsl", NULL }, &status);
	if (status != 0 || !strstr(out, "0 Errors, 0 Warnings, 0 Remarks"))
		fail_msg("%s: iasl: status %#x: %s", what, (unsigned)status, out);
	free(out);
	snprintf(path, sizeof(path), "%s/back.aml", dir);
	f = fopen(path, "r");
	assert_non_null(f);
	n = fread(back, 1, sizeof(back), f);
	fclose(f);
	assert_int_equal(n, len);
	assert_memory_equal(back + 36, p + 36, len - 36); /* the header names its compiler */
	for (unsigned i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir,
			(const char *[]){ "t.dat", "t.dsl", "back.aml" }[i]);
		assert_int_equal(unlink(path), 0);
	}
}

static void iasl_reads_every_table_without_a_remark(void **state)
{
	char dir[] = "/tmp/mayfly-acpi-XXXXXX";
	unsigned nr = 0;
	glob_t g;

	(void)state;
	if (!have_iasl()) {
		print_message("iasl is not installed\n");
		skip();
	}
	assert_int_equal(glob(GOLDEN "/*.dat", 0, NULL, &g), 0);
	assert_non_null(mkdtemp(dir));
	for (size_t i = 0; i < g.gl_pathc; i++) {
		uint8_t table[65536];
		size_t len;
		FILE *f;

		if (strstr(g.gl_pathv[i], "rsdp")) /* iasl takes no RSDP */
			continue;
		f = fopen(g.gl_pathv[i], "r");
		assert_non_null(f);
		len = fread(table, 1, sizeof(table), f);
		fclose(f);
		iasl_round_trip(dir, g.gl_pathv[i], table, len);
		nr++;
	}
	globfree(&g);
	assert_int_equal(rmdir(dir), 0);
	assert_true(nr >= 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(iasl_reads_every_table_without_a_remark),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
