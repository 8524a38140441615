/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The golden trees (tests/unit/golden/fdt/, run from the top of the tree; test_fdt_fdt.c has
 * them equal to what is built) and large ones, read by dtc as source and compiled again, with
 * the warnings that dtc gives by itself: not a word from it, and the same tree comes back.
 * Skipped where dtc is not installed.
 *
 * The source that dtc makes of a blob has plain numbers where a hand would write references to
 * nodes, which dtc, reading it, warns of. The references are put back before.
 */
#include "tests/unit/fdt_rig.h"

#include <fcntl.h>
#include <glob.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#define GOLDEN "tests/unit/golden/fdt"

/* Properties that name nodes, and how many cells each name and what follows it take. */
static const struct {
	const char *prop;
	unsigned stride;
} refs[] = { { "interrupts-extended", 2 }, { "msi-parent", 1 }, { "clocks", 1 } };

static bool have_dtc(void)
{
	char *path = strdup(getenv("PATH") ? getenv("PATH") : ""), *save = NULL, file[4096];
	bool found = false;

	assert_non_null(path);
	for (char *d = strtok_r(path, ":", &save); d && !found; d = strtok_r(NULL, ":", &save)) {
		snprintf(file, sizeof(file), "%s/dtc", d);
		found = access(file, X_OK) == 0;
	}
	free(path);
	return found;
}

/* Runs dtc in dir: it succeeds and says nothing. */
static void dtc_run(const char *dir, const char *what, char *const argv[])
{
	posix_spawn_file_actions_t fa;
	extern char **environ;
	char out[8192];
	size_t len = 0;
	int p[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_addchdir_np(&fa, dir);
	posix_spawn_file_actions_adddup2(&fa, p[1], STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&fa, p[1], STDERR_FILENO);
	if (posix_spawnp(&pid, "dtc", &fa, NULL, argv, environ) != 0)
		fail_msg("dtc cannot be started");
	posix_spawn_file_actions_destroy(&fa);
	close(p[1]);
	while (len < sizeof(out) - 1 && (n = read(p[0], out + len, sizeof(out) - 1 - len)) > 0)
		len += (size_t)n;
	out[len] = '\0';
	close(p[0]); /* of more than fits, dtc dies */
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status != 0 || len != 0)
		fail_msg("%s: dtc %s: status %#x: %s", what, argv[2], (unsigned)status, out);
}

static void path_of(char ret[128], const char *dir, const char *name)
{
	snprintf(ret, 128, "%s/%s", dir, name);
}

/* Puts references into "prop = <...>", a line of source that ends after its cells. */
static void refer_line(FILE *to, const uint8_t *tree, char *line, unsigned stride)
{
	char *cells = strchr(line, '<'), *save = NULL, path[128];
	unsigned i = 0;

	assert_non_null(cells);
	fprintf(to, "%.*s", (int)(cells + 1 - line), line);
	for (char *c = strtok_r(cells + 1, " >;\n", &save); c; c = strtok_r(NULL, " >;\n", &save)) {
		int node = fdt_node_offset_by_phandle(tree, (uint32_t)strtoul(c, NULL, 0));

		if (i++ % stride != 0) {
			fprintf(to, " %s", c);
			continue;
		}
		assert_true(node >= 0);
		assert_int_equal(fdt_get_path(tree, node, path, sizeof(path)), 0);
		fprintf(to, " &{%s}", path);
	}
	fprintf(to, " >;\n");
}

/* t.dts to r.dts. */
static void refer(const char *dir, const uint8_t *tree)
{
	char path[128], *line = NULL;
	size_t room = 0;
	FILE *from, *to;

	path_of(path, dir, "t.dts");
	from = fopen(path, "r");
	path_of(path, dir, "r.dts");
	to = fopen(path, "w");
	assert_non_null(from);
	assert_non_null(to);
	while (getline(&line, &room, from) > 0) {
		const char *word = line + strspn(line, "\t");
		unsigned stride = 0;

		for (unsigned i = 0; i < ARRAY_SIZE(refs); i++)
			if (strncmp(word, refs[i].prop, strlen(refs[i].prop)) == 0 &&
				word[strlen(refs[i].prop)] == ' ')
				stride = refs[i].stride;
		if (stride)
			refer_line(to, tree, line, stride);
		else
			fputs(line, to);
	}
	free(line);
	assert_int_equal(fclose(from), 0);
	assert_int_equal(fclose(to), 0);
}

/* Node by node and property by property; where the strings lie may differ. */
static void same_tree(const char *what, const uint8_t *a, const uint8_t *b)
{
	int at_a = 0, at_b = 0, next_a, next_b, len_a, len_b;
	const char *name_a, *name_b, *val_a, *val_b;
	uint32_t tag;

	do {
		tag = fdt_next_tag(a, at_a, &next_a);
		if (tag != fdt_next_tag(b, at_b, &next_b))
			fail_msg("%s: another tree comes back", what);
		assert_true(next_a > 0 && next_b > 0);
		if (tag == FDT_BEGIN_NODE) {
			name_a = fdt_get_name(a, at_a, NULL);
			name_b = fdt_get_name(b, at_b, NULL);
			assert_string_equal(name_a, name_b);
		} else if (tag == FDT_PROP) {
			val_a = fdt_getprop_by_offset(a, at_a, &name_a, &len_a);
			val_b = fdt_getprop_by_offset(b, at_b, &name_b, &len_b);
			assert_true(val_a && val_b);
			assert_string_equal(name_a, name_b);
			if (len_a != len_b || memcmp(val_a, val_b, (size_t)len_a) != 0)
				fail_msg("%s: %s comes back otherwise", what, name_a);
		}
		at_a = next_a;
		at_b = next_b;
	} while (tag != FDT_END);
}

static void round_trip(const char *what, const uint8_t *tree, size_t len)
{
	static const char *const files[] = { "t.dtb", "t.dts", "r.dts", "back.dtb" };
	uint8_t *back = malloc(RIG_ROOM);
	char dir[] = "/tmp/mayfly-fdt-XXXXXX", path[128];
	size_t n;
	FILE *f;

	assert_non_null(back);
	assert_non_null(mkdtemp(dir));
	path_of(path, dir, "t.dtb");
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(tree, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	dtc_run(dir, what,
		(char *[]){ "dtc", "-I", "dtb", "-O", "dts", "-o", "t.dts", "t.dtb", NULL });
	refer(dir, tree);
	dtc_run(dir, what,
		(char *[]){ "dtc", "-I", "dts", "-O", "dtb", "-o", "back.dtb", "r.dts", NULL });
	path_of(path, dir, "back.dtb");
	f = fopen(path, "r");
	assert_non_null(f);
	n = fread(back, 1, RIG_ROOM, f);
	fclose(f);
	assert_int_equal(fdt_check_full(back, n), 0);
	same_tree(what, tree, back);
	for (unsigned i = 0; i < ARRAY_SIZE(files); i++) {
		path_of(path, dir, files[i]);
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(rmdir(dir), 0);
	free(back);
}

static void need_dtc(void)
{
	if (have_dtc())
		return;
	print_message("dtc is not installed\n");
	skip();
}

static void dtc_reads_every_golden_tree_without_a_warning(void **state)
{
	uint8_t *tree;
	glob_t g;

	(void)state;
	need_dtc();
	tree = malloc(RIG_ROOM);
	assert_non_null(tree);
	assert_int_equal(glob(GOLDEN "/*.dtb", 0, NULL, &g), 0);
	assert_int_equal(g.gl_pathc, RIG_NR_KINDS);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		FILE *f = fopen(g.gl_pathv[i], "r");
		size_t len;

		assert_non_null(f);
		len = fread(tree, 1, RIG_ROOM, f);
		fclose(f);
		assert_int_equal(fdt_check_full(tree, len), 0);
		round_trip(g.gl_pathv[i], tree, len);
	}
	globfree(&g);
	free(tree);
}

static void dtc_reads_large_trees_without_a_warning(void **state)
{
	static const char *const names[] = { "large gicv3", "large gicv2", "large aia",
		"large plic" };

	(void)state;
	need_dtc();
	for (unsigned kind = 0; kind < RIG_NR_KINDS; kind++) {
		struct rig *r = rig_new(kind, kind == RIG_GICV2 ? 8 : 64, 112);

		r->rv.imsic_guest_bits = 1;
		r->mpidr[0] = 0x3400000000; /* a CPU whose name needs both cells */
		rig_build(r);
		round_trip(names[kind], r->buf, r->len);
		rig_free(r);
	}
}

static void dtc_reads_bare_trees_without_a_warning(void **state)
{
	static const char *const names[] = { "bare gicv3", "bare gicv2", "bare aia", "bare plic" };

	(void)state;
	need_dtc();
	for (unsigned kind = 0; kind < RIG_NR_KINDS; kind++) {
		struct rig *r = rig_new(kind, 1, 0);

		r->m.nr_devs = 0;
		r->m.cmdline = NULL;
		r->m.initrd_len = 0;
		r->m.rng_seed_len = 0;
		r->m.has_kaslr_seed = false;
		r->arm.pmu = false;
		rig_build(r);
		round_trip(names[kind], r->buf, r->len);
		rig_free(r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dtc_reads_every_golden_tree_without_a_warning),
		cmocka_unit_test(dtc_reads_large_trees_without_a_warning),
		cmocka_unit_test(dtc_reads_bare_trees_without_a_warning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
