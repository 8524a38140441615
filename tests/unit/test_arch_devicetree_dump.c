// SPDX-License-Identifier: BSD-3-Clause
/*
 * The tree as a file: the bytes that the guest gets, and paths that cannot be written.
 */
#include "tests/unit/devicetree_rig.h"

#include <limits.h>
#include <sys/stat.h>

struct dp {
	struct dr *dr;
	char dir[32];
	char path[64]; /* of a file in it, which is not there */
};

static int dp_setup(void **state)
{
	struct dp *t = calloc(1, sizeof(*t));

	dr_setup((void **)&t->dr);
	snprintf(t->dir, sizeof(t->dir), "/tmp/mayfly-fdt-XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	snprintf(t->path, sizeof(t->path), "%s/fdt.dtb", t->dir);
	dr_loads(t->dr);
	*state = t;
	return 0;
}

/** The folder has to be empty by then. */
static int dp_teardown(void **state)
{
	struct dp *t = *state;
	int rc = rmdir(t->dir);

	dr_teardown((void **)&t->dr);
	free(t);
	return rc;
}

#define DP_TEST(f) cmocka_unit_test_setup_teardown(f, dp_setup, dp_teardown)

static int dp_tables(struct dp *t, const char *dir)
{
	memset(&t->dr->err, 0, sizeof(t->dr->err));
	return arch_dump_tables(&t->dr->gm, &t->dr->boot, &t->dr->payload, dir, &t->dr->err);
}

static int dp_fdt(struct dp *t, const char *path)
{
	memset(&t->dr->err, 0, sizeof(t->dr->err));
	return arch_dump_fdt(&t->dr->gm, &t->dr->payload, path, &t->dr->err);
}

/** The file is the tree, no byte more, and goes away. */
static void dp_is_the_tree(struct dp *t)
{
	const uint8_t *fdt = dr_fdt(t->dr);
	size_t len = fdt_totalsize(fdt);
	uint8_t *data = malloc(DT_ROOM + 1);
	int fd = open(t->path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_true(len > sizeof(struct fdt_header));
	assert_int_equal(read(fd, data, DT_ROOM + 1), len);
	assert_memory_equal(data, fdt, len);
	close(fd);
	free(data);
	assert_int_equal(unlink(t->path), 0);
}

static void tables_are_one_file_with_the_bytes_in_memory(void **state)
{
	struct dp *t = *state;

	assert_int_equal(dp_tables(t, t->dir), 0);
	dp_is_the_tree(t);
}

static void the_blob_is_dumped_where_the_path_says(void **state)
{
	struct dp *t = *state;

	assert_int_equal(dp_fdt(t, t->path), 0);
	dp_is_the_tree(t);
}

static void a_longer_file_that_is_there_is_replaced(void **state)
{
	struct dp *t = *state;
	int fd = open(t->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_int_equal(ftruncate(fd, DT_ROOM), 0);
	assert_int_equal(dp_fdt(t, t->path), 0);
	dp_is_the_tree(t);
	fd = open(t->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, DT_ROOM), 0);
	assert_int_equal(dp_tables(t, t->dir), 0);
	dp_is_the_tree(t);
}

static void a_descriptor_is_a_path_too(void **state)
{
	struct dp *t = *state;
	char path[32];
	int fd = open(t->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_int_equal(dp_fdt(t, path), 0);
	close(fd);
	dp_is_the_tree(t);
}

static void a_place_that_is_not_there_is_named(void **state)
{
	struct dp *t = *state;

	dr_says(t->dr, dp_tables(t, "/nonexistent/dir"), ENOENT,
		"--dump-tables: /nonexistent/dir/fdt.dtb: No such file");
	dr_says(t->dr, dp_fdt(t, "/nonexistent/x.dtb"), ENOENT,
		"--dump-device-tree-blob: /nonexistent/x.dtb: No such file");
	dr_says(t->dr, dp_fdt(t, t->dir), EISDIR, "--dump-device-tree-blob: /tmp/mayfly-fdt-");
}

static void a_path_that_is_too_long_is_not_cut(void **state)
{
	char dir[PATH_MAX];
	struct dp *t = *state;

	/* Slashes are free: what is cut would be a file of another name in the same folder. */
	memset(dir, '/', sizeof(dir));
	memcpy(dir, t->dir, strlen(t->dir));
	dir[PATH_MAX - strlen("/fdt.dtb")] = '\0';
	dr_says(t->dr, dp_tables(t, dir), ENAMETOOLONG, "--dump-tables: /tmp/mayfly-fdt-");
	/* One byte less is a path. */
	dir[PATH_MAX - 1 - strlen("/fdt.dtb")] = '\0';
	assert_int_equal(dp_tables(t, dir), 0);
	dp_is_the_tree(t);
}

static void a_file_that_cannot_be_written_whole_is_refused(void **state)
{
	struct dp *t = *state;

	assert_int_equal(symlink("/dev/full", t->path), 0);
	dr_says(t->dr, dp_tables(t, t->dir), ENOSPC, "--dump-tables: /tmp/mayfly-fdt-");
	assert_non_null(strstr(t->dr->err.msg, "/fdt.dtb: No space left on device"));
	dr_says(t->dr, dp_fdt(t, t->path), ENOSPC, "--dump-device-tree-blob: /tmp/mayfly-fdt-");
	assert_int_equal(unlink(t->path), 0);
}

static void two_machines_of_one_seed_have_the_same_tree(void **state)
{
	static const uint8_t seed[64] = { 1, 2, 3 };
	struct dp *t = *state;
	uint8_t *first;
	size_t len;

	t->dr->boot.rng_seed = seed;
	t->dr->boot.rng_seed_len = sizeof(seed);
	dr_loads(t->dr);
	len = fdt_totalsize(dr_fdt(t->dr));
	first = malloc(len);
	memcpy(first, dr_fdt(t->dr), len);
	/* Another machine, in RAM that held something else. */
	dr_machine(t->dr, 2);
	dr_ram(t->dr, DR_RAM);
	memset(t->dr->gm.region[0].host, 0x5a, DR_RAM);
	dr_loads(t->dr);
	assert_int_equal(fdt_totalsize(dr_fdt(t->dr)), len);
	assert_memory_equal(first, dr_fdt(t->dr), len);
	free(first);
}

struct dp_measured {
	const void *bytes;
	size_t len;
};

static void dp_put(void *ctx, const char *name, const void *bytes, size_t len)
{
	assert_string_equal(name, "tables");
	*(struct dp_measured *)ctx = (struct dp_measured){ bytes, len };
}

static void the_tree_is_measured_whole_and_no_more(void **state)
{
	struct dp *t = *state;
	struct dp_measured seen = { 0 };

	arch_measure(&t->dr->gm, &t->dr->payload, dp_put, &seen);
	assert_ptr_equal(seen.bytes, dr_fdt(t->dr));
	assert_int_equal(seen.len, fdt_totalsize(dr_fdt(t->dr)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DP_TEST(tables_are_one_file_with_the_bytes_in_memory),
		DP_TEST(the_blob_is_dumped_where_the_path_says),
		DP_TEST(a_longer_file_that_is_there_is_replaced),
		DP_TEST(a_descriptor_is_a_path_too),
		DP_TEST(a_place_that_is_not_there_is_named),
		DP_TEST(a_path_that_is_too_long_is_not_cut),
		DP_TEST(a_file_that_cannot_be_written_whole_is_refused),
		DP_TEST(two_machines_of_one_seed_have_the_same_tree),
		DP_TEST(the_tree_is_measured_whole_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
