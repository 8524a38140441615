// SPDX-License-Identifier: BSD-3-Clause
/* share/tree*.c: what a guest can reach beneath a directory, and what it cannot. */
#include <errno.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "tests/unit/tree_rig.h"

#define UID 7U
#define GID 8U

static void make_tree(struct fixture *f, bool ro, uint32_t max_nodes)
{
	struct tree_config cfg = share_config(&f->s);

	cfg.ro = ro;
	cfg.max_nodes = max_nodes;
	cfg.uid = UID;
	cfg.gid = GID;
	cfg.acl = false;
	fixture_tree(f, &cfg);
}

static int setup(void **state)
{
	struct fixture *f = fixture_create();

	make_tree(f, false, SHARE_NODES);
	*state = f;
	return 0;
}

static int look(struct fixture *f, const struct tree_node *dir, const char *name)
{
	struct tree_node *n;
	struct statx st;

	return tree_lookup(f->t, dir, name, &n, &st);
}

static int make_dir(struct fixture *f, const char *name)
{
	struct tree_node *n;
	struct statx st;

	return tree_mkdir(f->t, root(f), name, 0755, 022, &n, &st);
}

static void a_name_is_one_of_this_directory(void **state)
{
	struct fixture *f = *state;
	char longest[TREE_MAX_NAME + 2];

	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	assert_int_equal(look(f, root(f), ""), -ENOENT);
	assert_int_equal(look(f, root(f), "."), -EINVAL);
	assert_int_equal(look(f, root(f), ".."), -EINVAL);
	assert_int_equal(look(f, root(f), "../outside"), -EINVAL);
	assert_int_equal(look(f, root(f), "dir/f"), -EINVAL);
	assert_int_equal(look(f, root(f), "/"), -EINVAL);
	assert_int_equal(look(f, root(f), longest), -ENAMETOOLONG);
	assert_int_equal(look(f, root(f), longest + 1), -ENOENT);
	assert_int_equal(make_dir(f, "../new"), -EINVAL);
	assert_int_equal(tree_unlink(f->t, root(f), "dir/f"), -EINVAL);
	assert_int_equal(tree_rmdir(f->t, root(f), ".."), -EINVAL);
	assert_int_equal(tree_rename(f->t, root(f), "file", root(f), "../outside/new", 0), -EINVAL);
	assert_int_equal(tree_rename(f->t, root(f), "dir/f", root(f), "new", 0), -EINVAL);
	assert_true(share_has(&f->s, "in/dir/f", "inside"));
}

static void a_symlink_is_not_followed(void **state)
{
	struct fixture *f = *state;
	struct tree_node *out = find(f, root(f), "out");
	char text[128];
	ssize_t n = tree_readlink(f->t, out, text, sizeof(text));

	assert_int_equal(tree_type(out), S_IFLNK);
	assert_int_equal(n, strlen(f->s.top) + strlen("/outside"));
	assert_memory_equal(text, f->s.top, strlen(f->s.top));
	assert_true(look(f, out, "f") < 0);
	assert_int_equal(tree_open(f->t, out, O_RDONLY), -EPERM);
	/* What names it, means it. */
	assert_int_equal(tree_rename(f->t, root(f), "file", out, "f", 0), -ENOTDIR);
	assert_int_equal(tree_unlink(f->t, root(f), "out"), 0);
	assert_true(share_has(&f->s, "outside/f", "OUTSIDE"));
}

static void a_new_file_does_not_follow_one_either(void **state)
{
	struct fixture *f = *state;
	struct tree_node *n;
	struct statx st;
	int fd = -1;

	assert_int_equal(symlinkat("../outside/new", f->s.top_fd, "in/trap"), 0);
	assert_true(tree_make(f->t, root(f), "trap", O_WRONLY, 0644, 022, &fd, &n, &st) < 0);
	assert_int_equal(make_dir(f, "trap"), -EEXIST);
	assert_int_equal(faccessat(f->s.top_fd, "outside/new", F_OK, 0), -1);
}

static void what_is_neither_file_nor_directory_is_not_opened(void **state)
{
	struct fixture *f = *state;
	struct tree_node *n;
	struct statx st;

	assert_int_equal(mkfifoat(f->s.top_fd, "in/fifo", 0644), 0);
	assert_int_equal(tree_open(f->t, find(f, root(f), "fifo"), O_RDONLY), -EPERM);
	if (!mknodat(f->s.top_fd, "in/zero", S_IFCHR | 0666, makedev(1, 5)))
		assert_int_equal(tree_open(f->t, find(f, root(f), "zero"), O_RDONLY), -EPERM);
	assert_int_equal(tree_mknod(f->t, root(f), "disk", S_IFBLK | 0666, 022, &n, &st), -EPERM);
	assert_int_equal(tree_mknod(f->t, root(f), "zero2", S_IFCHR | 0666, 022, &n, &st), -EPERM);
	assert_int_equal(tree_mknod(f->t, root(f), "pipe", S_IFIFO | 0666, 022, &n, &st), 0);
	assert_int_equal(st.stx_mode, S_IFIFO | 0644);
}

static void no_program_runs_as_its_owner(void **state)
{
	struct fixture *f = *state;
	struct tree_node *n, *file = find(f, root(f), "file"), *dir = find(f, root(f), "dir");
	struct tree_attr a = { .set = TREE_SET_MODE, .mode = 04755 };
	struct statx st;
	int fd = -1;

	assert_int_equal(tree_setattr(f->t, file, -1, &a), -EPERM);
	a.mode = 02755;
	assert_int_equal(tree_setattr(f->t, file, -1, &a), -EPERM);
	assert_int_equal(tree_setattr(f->t, dir, -1, &a), 0);
	assert_int_equal(tree_mknod(f->t, root(f), "p", S_IFREG | 04755, 0, &n, &st), -EPERM);
	assert_int_equal(tree_make(f->t, root(f), "p", O_RDWR, 04755, 0, &fd, &n, &st), -EPERM);
	assert_int_equal(tree_tmpfile(f->t, root(f), O_RDWR, 02755, 0, &fd, &n, &st), -EPERM);
	assert_int_equal(fchmodat(f->s.top_fd, "in/file", 06755, 0), 0);
	a = (struct tree_attr){ .set = TREE_KILL_SUID };
	assert_int_equal(tree_setattr(f->t, file, -1, &a), 0);
	assert_int_equal(tree_stat(f->t, file, &st), 0);
	assert_int_equal(st.stx_mode, S_IFREG | 0755);
}

static void files_belong_to_one_owner(void **state)
{
	struct fixture *f = *state;
	struct tree_node *file = find(f, root(f), "file");
	struct tree_attr a = { .set = TREE_SET_UID | TREE_SET_GID, .uid = UID, .gid = GID };
	struct statx st;

	assert_int_equal(tree_stat(f->t, file, &st), 0);
	assert_int_equal(st.stx_uid, UID);
	assert_int_equal(st.stx_gid, GID);
	assert_int_equal(tree_setattr(f->t, file, -1, &a), 0);
	a.uid = 0;
	assert_int_equal(tree_setattr(f->t, file, -1, &a), -EPERM);
	a.uid = UID;
	a.gid = 0;
	assert_int_equal(tree_setattr(f->t, file, -1, &a), -EPERM);
}

static void a_view_of_the_kernel_is_an_empty_directory(void **state)
{
	struct fixture *f = *state;
	struct tree_config cfg = share_config(&f->s);
	struct tree_node *proc, *n;
	struct statx st;
	struct err err;

	close(cfg.root_fd);
	cfg.root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	tree_destroy(f->t);
	assert_int_equal(tree_create(&cfg, &f->t, &err), 0);
	proc = find(f, root(f), "proc");
	assert_int_equal(look(f, proc, "self"), -ENOENT);
	assert_int_equal(look(f, proc, "version"), -ENOENT);
	assert_int_equal(tree_open(f->t, proc, O_RDONLY | O_DIRECTORY), -EACCES);
	assert_int_equal(tree_mkdir(f->t, proc, "x", 0755, 0, &n, &st), -EACCES);
	assert_int_equal(tree_unlink(f->t, proc, "x"), -EACCES);
	assert_int_equal(tree_rename(f->t, proc, "x", root(f), "y", 0), -EACCES);
	assert_int_equal(tree_rename(f->t, root(f), "y", proc, "x", 0), -EACCES);
}

static void a_read_only_tree_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct tree_attr a = { .set = TREE_SET_MODE, .mode = 0700 };
	struct tree_node *n, *file;
	struct statx st;
	int fd = -1;

	make_tree(f, true, SHARE_NODES);
	file = find(f, root(f), "file");
	assert_int_equal(make_dir(f, "new"), -EROFS);
	assert_int_equal(tree_mknod(f->t, root(f), "p", S_IFREG, 0, &n, &st), -EROFS);
	assert_int_equal(tree_symlink(f->t, root(f), "p", "x", 0, &n, &st), -EROFS);
	assert_int_equal(tree_link(f->t, file, root(f), "p", &n, &st), -EROFS);
	assert_int_equal(tree_make(f->t, root(f), "p", O_RDWR, 0644, 0, &fd, &n, &st), -EROFS);
	assert_int_equal(tree_tmpfile(f->t, root(f), O_RDWR, 0644, 0, &fd, &n, &st), -EROFS);
	assert_int_equal(tree_unlink(f->t, root(f), "file"), -EROFS);
	assert_int_equal(tree_rmdir(f->t, root(f), "dir"), -EROFS);
	assert_int_equal(tree_rename(f->t, root(f), "file", root(f), "new", 0), -EROFS);
	assert_int_equal(tree_open(f->t, file, O_WRONLY), -EROFS);
	assert_int_equal(tree_open(f->t, file, O_RDONLY | O_TRUNC), -EROFS);
	assert_int_equal(tree_setattr(f->t, file, -1, &a), -EROFS);
	assert_int_equal(tree_setxattr(f->t, file, "user.a", "b", 1, 0), -EROFS);
	assert_int_equal(tree_removexattr(f->t, file, "user.a"), -EROFS);
	fd = tree_open(f->t, file, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "x", 1), -1);
	close(fd);
	assert_true(share_has(&f->s, "in/file", "inside"));
}

static void a_number_means_one_node(void **state)
{
	struct fixture *f = *state;
	struct tree_node *file = find(f, root(f), "file");
	uint64_t id = tree_id(f->t, file);

	assert_int_equal(tree_id(f->t, root(f)), 1);
	assert_ptr_equal(tree_find(f->t, id), file);
	assert_null(tree_find(f->t, 0));
	assert_null(tree_find(f->t, id + 1));
	assert_null(tree_find(f->t, UINT64_MAX));
	assert_null(tree_find(f->t, SHARE_NODES + 1));
	/* A second reference to the same node, by the same name or by another. */
	assert_int_equal(linkat(f->s.top_fd, "in/file", f->s.top_fd, "in/hard", 0), 0);
	assert_ptr_equal(find(f, root(f), "hard"), file);
	tree_forget(f->t, file, 1);
	assert_ptr_equal(tree_find(f->t, id), file);
	tree_forget(f->t, file, UINT64_MAX);
	assert_null(tree_find(f->t, id));
	/* The next one in its place has another number. */
	assert_ptr_equal(find(f, root(f), "file"), file);
	assert_true(tree_id(f->t, file) != id);
	assert_null(tree_find(f->t, id));
	tree_forget(f->t, root(f), UINT64_MAX);
	assert_ptr_equal(tree_find(f->t, 1), root(f));
	tree_reset(f->t);
	assert_int_equal(tree_nr_nodes(f->t), 1);
}

static void their_number_is_bounded(void **state)
{
	struct fixture *f = *state;
	struct tree_node *n;
	struct statx st;
	int fd = -1;

	make_tree(f, false, 3);
	find(f, root(f), "file");
	n = find(f, root(f), "dir");
	assert_int_equal(look(f, root(f), "out"), -ENFILE);
	assert_int_equal(look(f, root(f), "file"), 0);
	assert_int_equal(tree_make(f->t, root(f), "new", O_RDWR, 0644, 0, &fd, &n, &st), -ENFILE);
	assert_int_equal(fd, -1);
	tree_forget(f->t, find(f, root(f), "dir"), 2);
	assert_int_equal(look(f, root(f), "out"), 0);
}

static void the_mask_is_of_who_asks_and_ours_comes_back(void **state)
{
	struct fixture *f = *state;
	mode_t mine = umask(027);
	struct tree_node *n;
	struct statx st;
	int fd = -1;

	assert_int_equal(tree_mkdir(f->t, root(f), "d", 0777, 0, &n, &st), 0);
	assert_int_equal(st.stx_mode, S_IFDIR | 0777);
	assert_int_equal(tree_make(f->t, root(f), "f", O_RDWR, 0666, 0077, &fd, &n, &st), 0);
	assert_int_equal(st.stx_mode, S_IFREG | 0600);
	assert_int_equal(umask(mine), 027);
	close(fd);
}

static void a_file_without_a_name_gets_one(void **state)
{
	struct fixture *f = *state;
	struct tree_node *n, *same;
	struct statx st;
	int fd = -1;

	assert_int_equal(tree_tmpfile(f->t, root(f), O_RDWR, 0644, 0, &fd, &n, &st), 0);
	assert_int_equal(st.stx_nlink, 0);
	assert_int_equal(write(fd, "text", 4), 4);
	close(fd);
	assert_int_equal(tree_link(f->t, n, root(f), "named", &same, &st), 0);
	assert_ptr_equal(n, same);
	assert_true(share_has(&f->s, "in/named", "text"));
	assert_int_equal(
		tree_tmpfile(f->t, find(f, root(f), "file"), O_RDWR, 0644, 0, &fd, &n, &st),
		-EINVAL);
	assert_int_equal(tree_tmpfile(f->t, root(f), O_RDONLY, 0644, 0, &fd, &n, &st), -EINVAL);
}

static void files_are_made_opened_and_renamed(void **state)
{
	struct fixture *f = *state;
	struct tree_node *n, *dir = find(f, root(f), "dir");
	struct statx st;
	int fd = -1;

	assert_int_equal(tree_make(f->t, root(f), "new", O_RDWR, 0644, 022, &fd, &n, &st), 0);
	assert_int_equal(write(fd, "one", 3), 3);
	close(fd);
	assert_int_equal(
		tree_make(f->t, root(f), "new", O_RDWR | O_EXCL, 0644, 022, &fd, &n, &st), -EEXIST);
	assert_int_equal(
		tree_make(f->t, root(f), "new", O_RDWR | O_TRUNC, 0644, 022, &fd, &n, &st), 0);
	assert_int_equal(st.stx_size, 0);
	close(fd);
	assert_int_equal(tree_make(f->t, root(f), "dir", O_RDWR, 0644, 022, &fd, &n, &st), -EISDIR);
	assert_int_equal(tree_rename(f->t, root(f), "new", dir, "f", RENAME_NOREPLACE), -EEXIST);
	assert_int_equal(tree_rename(f->t, root(f), "new", dir, "f", RENAME_EXCHANGE), 0);
	assert_true(share_has(&f->s, "in/new", "inside"));
	assert_int_equal(tree_rename(f->t, root(f), "new", dir, "f", RENAME_WHITEOUT), -EINVAL);
	assert_int_equal(tree_rename(f->t, root(f), "new", dir, "g", 0), 0);
	assert_true(share_has(&f->s, "in/dir/g", "inside"));
	assert_int_equal(tree_rmdir(f->t, root(f), "dir"), -ENOTEMPTY);
}

static void attributes_are_set_and_judged(void **state)
{
	struct fixture *f = *state;
	struct tree_node *file = find(f, root(f), "file"), *out = find(f, root(f), "out");
	struct tree_attr a = { .set = TREE_SET_SIZE | TREE_SET_MODE | TREE_SET_MTIME,
		.size = 3,
		.mode = 0600,
		.mtime = { 1000, 5 } };
	struct statx st;

	assert_int_equal(tree_setattr(f->t, file, -1, &a), 0);
	assert_int_equal(tree_stat(f->t, file, &st), 0);
	assert_int_equal(st.stx_size, 3);
	assert_int_equal(st.stx_mode, S_IFREG | 0600);
	assert_int_equal(st.stx_mtime.tv_sec, 1000);
	assert_int_equal(st.stx_mtime.tv_nsec, 5);
	a = (struct tree_attr){ .set = TREE_SET_SIZE, .size = (uint64_t)INT64_MAX + 1 };
	assert_int_equal(tree_setattr(f->t, file, -1, &a), -EINVAL);
	a = (struct tree_attr){ .set = TREE_SET_MTIME, .mtime = { 1, 1000000000 } };
	assert_int_equal(tree_setattr(f->t, file, -1, &a), -EINVAL);
	a = (struct tree_attr){ .set = TREE_SET_MODE, .mode = 0600 };
	assert_int_equal(tree_setattr(f->t, out, -1, &a), -EOPNOTSUPP);
	/* A symlink's time is the symlink's. */
	a = (struct tree_attr){ .set = TREE_SET_MTIME, .mtime = { 2000, 0 } };
	assert_int_equal(tree_setattr(f->t, out, -1, &a), 0);
	assert_int_equal(tree_stat(f->t, out, &st), 0);
	assert_int_equal(st.stx_mtime.tv_sec, 2000);
}

static void only_attributes_of_users_are_shown(void **state)
{
	struct fixture *f = *state;
	struct tree_node *file = find(f, root(f), "file");
	char buf[64];
	int rc = tree_setxattr(f->t, file, "user.a", "value", 5, 0);

	assert_int_equal(tree_getxattr(f->t, file, "security.selinux", buf, 64), -EOPNOTSUPP);
	assert_int_equal(tree_setxattr(f->t, file, "trusted.a", "b", 1, 0), -EOPNOTSUPP);
	assert_int_equal(tree_setxattr(f->t, file, "user.", "b", 1, 0), -EOPNOTSUPP);
	assert_int_equal(tree_removexattr(f->t, file, "system.posix_acl_access"), -EOPNOTSUPP);
	assert_int_equal(tree_listxattr(f->t, find(f, root(f), "out"), buf, sizeof(buf)), 0);
	if (rc == -EOPNOTSUPP) /* the host's /tmp has none */
		skip();
	assert_int_equal(rc, 0);
	assert_int_equal(tree_getxattr(f->t, file, "user.a", NULL, 0), 5);
	assert_int_equal(tree_getxattr(f->t, file, "user.a", buf, 4), -ERANGE);
	assert_int_equal(tree_getxattr(f->t, file, "user.a", buf, sizeof(buf)), 5);
	assert_memory_equal(buf, "value", 5);
	/* One that is not the guest's business, where this user may set it. */
	snprintf(buf, sizeof(buf), "%.40s/in/file", f->s.top);
	(void)!setxattr(buf, "trusted.b", "c", 1, 0);
	assert_int_equal(tree_listxattr(f->t, file, NULL, 0), sizeof("user.a"));
	assert_int_equal(tree_listxattr(f->t, file, buf, 3), -ERANGE);
	assert_int_equal(tree_removexattr(f->t, file, "user.a"), 0);
	assert_int_equal(tree_listxattr(f->t, file, buf, sizeof(buf)), 0);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, fixture_destroy)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_name_is_one_of_this_directory),
		T(a_symlink_is_not_followed),
		T(a_new_file_does_not_follow_one_either),
		T(what_is_neither_file_nor_directory_is_not_opened),
		T(no_program_runs_as_its_owner),
		T(files_belong_to_one_owner),
		T(a_view_of_the_kernel_is_an_empty_directory),
		T(a_read_only_tree_changes_nothing),
		T(a_number_means_one_node),
		T(their_number_is_bounded),
		T(the_mask_is_of_who_asks_and_ours_comes_back),
		T(a_file_without_a_name_gets_one),
		T(files_are_made_opened_and_renamed),
		T(attributes_are_set_and_judged),
		T(only_attributes_of_users_are_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
