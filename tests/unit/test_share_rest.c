// SPDX-License-Identifier: BSD-3-Clause
/* share/tree_rest.c: more files than descriptors. */
#include <errno.h>

#include "tests/unit/tree_rig.h"

#define FDS  4U
#define MANY 40U

static struct tree_node *many[MANY]; /* what tire() found */
static unsigned nr_open; /* descriptors of this process, before the tree had any but the root's */

static unsigned open_fds(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static int setup(void **state)
{
	struct fixture *f = fixture_create();
	struct tree_config cfg = share_config(&f->s);
	char name[32];

	cfg.max_nodes = 2 * MANY;
	cfg.max_fds = FDS;
	fixture_tree(f, &cfg);
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "in/many%u", i);
		share_put(&f->s, name, name);
	}
	nr_open = open_fds();
	*state = f;
	return 0;
}

/** Uses so many others that all that may rest do. */
static void tire(struct fixture *f)
{
	char name[32];

	for (unsigned i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "many%u", i);
		many[i] = find(f, root(f), name);
	}
	assert_true(open_fds() <= nr_open + FDS - 1);
}

static int stat_of(struct fixture *f, const struct tree_node *n)
{
	struct statx st;

	return tree_stat(f->t, n, &st);
}

static bool reads(struct fixture *f, const struct tree_node *n, const char *text)
{
	fd_auto int fd = tree_open(f->t, n, O_RDONLY);
	char buf[256];
	ssize_t got = fd < 0 ? -1 : fd_pread_full(fd, buf, sizeof(buf), 0);

	return got == (ssize_t)strlen(text) && !memcmp(buf, text, (size_t)got);
}

static void all_of_many_files_can_be_used(void **state)
{
	struct fixture *f = *state;
	char name[32];

	tire(f);
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "in/many%u", i);
		assert_true(reads(f, many[i], name));
		assert_ptr_equal(find(f, root(f), name + 3), many[i]);
	}
	assert_true(open_fds() <= nr_open + FDS - 1);
	assert_int_equal(tree_nr_nodes(f->t), MANY + 1);
	for (unsigned i = 0; i < MANY; i++)
		tree_forget(f->t, many[i], UINT64_MAX);
	assert_int_equal(tree_nr_nodes(f->t), 1);
	assert_int_equal(open_fds(), nr_open);
}

static void what_the_guest_moves_is_found(void **state)
{
	struct fixture *f = *state;
	struct tree_node *dir = find(f, root(f), "dir"), *in_dir = find(f, dir, "f");
	struct tree_node *file = find(f, root(f), "file");

	tire(f);
	assert_int_equal(tree_rename(f->t, root(f), "file", dir, "moved", 0), 0);
	tire(f);
	assert_int_equal(tree_rename(f->t, root(f), "dir", root(f), "new", 0), 0);
	tire(f);
	assert_true(reads(f, file, "inside"));
	assert_true(share_has(&f->s, "in/new/moved", "inside"));
	tire(f);
	assert_true(reads(f, in_dir, "inside"));
	/* Two that change places. */
	tire(f);
	assert_int_equal(tree_rename(f->t, root(f), "many0", dir, "f", RENAME_EXCHANGE), 0);
	tire(f);
	assert_true(reads(f, in_dir, "inside"));
	tire(f);
	assert_ptr_equal(find(f, root(f), "many0"), in_dir);
	tree_forget(f->t, in_dir, UINT64_MAX);
	tree_forget(f->t, file, UINT64_MAX);
	tree_forget(f->t, dir, UINT64_MAX);
	tree_reset(f->t);
	assert_int_equal(tree_nr_nodes(f->t), 1);
}

static void what_the_guest_removes_stays_while_it_has_it(void **state)
{
	struct fixture *f = *state;
	struct tree_node *file = find(f, root(f), "file"), *over = find(f, root(f), "many1");
	struct tree_node *dir = find(f, root(f), "dir"), *in_dir = find(f, dir, "f");
	struct statx st;

	tire(f);
	assert_int_equal(tree_unlink(f->t, root(f), "file"), 0);
	tire(f);
	assert_int_equal(tree_rename(f->t, root(f), "many0", root(f), "many1", 0), 0);
	share_put(&f->s, "in/many0", "again");
	tire(f);
	assert_true(reads(f, file, "inside"));
	assert_true(reads(f, over, "in/many1"));
	assert_int_equal(tree_stat(f->t, file, &st), 0);
	assert_int_equal(st.stx_nlink, 0);
	/* One name of two. */
	assert_int_equal(linkat(f->s.top_fd, "in/dir/f", f->s.top_fd, "in/hard", 0), 0);
	tree_forget(f->t, over, UINT64_MAX);
	assert_ptr_equal(find(f, root(f), "hard"), in_dir);
	assert_int_equal(tree_unlink(f->t, root(f), "hard"), 0);
	assert_true(reads(f, in_dir, "inside"));
}

static void what_the_host_moves_is_stale(void **state)
{
	struct fixture *f = *state;
	struct tree_node *file = find(f, root(f), "file"), *dir = find(f, root(f), "dir");
	struct tree_node *in_dir = find(f, dir, "f"), *fifth;

	tire(f);
	fifth = many[5];
	assert_int_equal(renameat(f->s.top_fd, "in/file", f->s.top_fd, "in/elsewhere"), 0);
	assert_int_equal(stat_of(f, file), -ESTALE);
	/* Looked up again, it is the same node. */
	assert_ptr_equal(find(f, root(f), "elsewhere"), file);
	assert_int_equal(stat_of(f, file), 0);
	/* Another file in its place. */
	share_put(&f->s, "in/another", "another");
	assert_int_equal(renameat(f->s.top_fd, "in/another", f->s.top_fd, "in/many5"), 0);
	assert_int_equal(tree_open(f->t, fifth, O_RDONLY), -ESTALE);
	/* What leads out, in the place of a file, and of a directory above. */
	tire(f);
	assert_int_equal(unlinkat(f->s.top_fd, "in/elsewhere", 0), 0);
	assert_int_equal(symlinkat("../outside/f", f->s.top_fd, "in/elsewhere"), 0);
	assert_int_equal(tree_open(f->t, file, O_RDONLY), -ESTALE);
	assert_int_equal(renameat(f->s.top_fd, "in/dir", f->s.top_fd, "in/old"), 0);
	assert_int_equal(symlinkat("../outside", f->s.top_fd, "in/dir"), 0);
	assert_int_equal(tree_open(f->t, in_dir, O_RDONLY), -ESTALE);
	assert_int_equal(
		tree_mkdir(f->t, dir, "x", 0755, 0, &fifth, &(struct statx){ 0 }), -ESTALE);
	assert_int_equal(faccessat(f->s.top_fd, "outside/x", F_OK, 0), -1);
}

/** A file system may give the number of an inode that is gone to the next file. */
static void another_file_with_its_inode_is_another_node(void **state)
{
	struct fixture *f = *state;
	struct tree_node *file = find(f, root(f), "file"), *next;
	uint64_t id = tree_id(f->t, file);

	tire(f);
	assert_int_equal(unlinkat(f->s.top_fd, "in/file", 0), 0);
	share_put(&f->s, "in/file", "another");
	next = find(f, root(f), "file");
	assert_true(tree_id(f->t, next) != id);
	assert_true(reads(f, next, "another"));
	tire(f);
	assert_int_equal(stat_of(f, file), -ESTALE);
	tree_forget(f->t, file, UINT64_MAX);
	assert_true(reads(f, next, "another"));
}

static void a_directory_stays_for_what_is_in_it(void **state)
{
	struct fixture *f = *state;
	struct tree_node *at = root(f), *above[16];
	struct statx st;

	for (unsigned i = 0; i < ARRAY_SIZE(above); i++) {
		assert_int_equal(tree_mkdir(f->t, at, "deep", 0755, 022, &above[i], &st), 0);
		at = above[i];
	}
	tire(f);
	for (unsigned i = 0; i + 1 < ARRAY_SIZE(above); i++) {
		uint64_t id = tree_id(f->t, above[i]);

		tree_forget(f->t, above[i], UINT64_MAX);
		assert_null(tree_find(f->t, id));
	}
	assert_int_equal(stat_of(f, at), 0);
	tire(f);
	/* Two that are deep, at once; there is no room for the way to either. */
	assert_int_equal(tree_rename(f->t, at, "none", at, "other", 0), -ENOENT);
	tire(f);
	assert_int_equal(tree_nr_nodes(f->t), 1 + ARRAY_SIZE(above) + MANY);
	tree_forget(f->t, at, UINT64_MAX);
	assert_int_equal(tree_nr_nodes(f->t), 1 + MANY);
}

static void directories_in_a_circle_are_stale(void **state)
{
	struct fixture *f = *state;
	struct tree_node *a = find(f, root(f), "dir"), *b;
	struct statx st;

	assert_int_equal(tree_mkdir(f->t, a, "b", 0755, 022, &b, &st), 0);
	tire(f);
	/* The tree still takes b for one that lies in a. */
	assert_int_equal(renameat(f->s.top_fd, "in/dir/b", f->s.top_fd, "in/b"), 0);
	assert_int_equal(renameat(f->s.top_fd, "in/dir", f->s.top_fd, "in/b/dir"), 0);
	assert_ptr_equal(find(f, root(f), "b"), b);
	assert_ptr_equal(find(f, b, "dir"), a);
	assert_int_equal(renameat(f->s.top_fd, "in/b/dir", f->s.top_fd, "in/dir"), 0);
	assert_int_equal(renameat(f->s.top_fd, "in/b", f->s.top_fd, "in/dir/b"), 0);
	assert_ptr_equal(find(f, a, "b"), b);
	tire(f);
	assert_int_equal(stat_of(f, a), -ESTALE);
	assert_int_equal(stat_of(f, b), -ESTALE);
	tree_reset(f->t);
	assert_int_equal(tree_nr_nodes(f->t), 1);
	assert_int_equal(open_fds(), nr_open);
}

static void without_names_there_is_no_rest(void **state)
{
	struct fixture *f = *state;
	struct tree_node *n[FDS];
	struct statx st;

	for (unsigned i = 0; i < FDS - 1; i++) {
		int fd = -1, rc = tree_tmpfile(f->t, root(f), O_RDWR, 0644, 0, &fd, &n[i], &st);

		if (rc == -EOPNOTSUPP)
			skip();
		assert_int_equal(rc, 0);
		close(fd);
	}
	assert_int_equal(tree_lookup(f->t, root(f), "file", &n[3], &st), -ENFILE);
	tree_forget(f->t, n[0], UINT64_MAX);
	assert_int_equal(tree_lookup(f->t, root(f), "file", &n[3], &st), 0);
	/* It got a name. */
	tree_forget(f->t, n[3], UINT64_MAX);
	assert_int_equal(tree_link(f->t, n[1], root(f), "named", &n[3], &st), 0);
	assert_ptr_equal(n[3], n[1]);
	tire(f);
	assert_int_equal(stat_of(f, n[1]), 0);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, fixture_destroy)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(all_of_many_files_can_be_used),
		T(what_the_guest_moves_is_found),
		T(what_the_guest_removes_stays_while_it_has_it),
		T(what_the_host_moves_is_stale),
		T(another_file_with_its_inode_is_another_node),
		T(a_directory_stays_for_what_is_in_it),
		T(directories_in_a_circle_are_stale),
		T(without_names_there_is_no_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
