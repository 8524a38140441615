// SPDX-License-Identifier: BSD-3-Clause
/* share/tree_acl.c: access control lists, and whom they name here and there. */
#include <errno.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <sched.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "tests/unit/tree_rig.h"

#define UID     7U
#define GID     8U
#define ACCESS  "system.posix_acl_access"
#define DEFAULT "system.posix_acl_default"
#define NOBODY  ((uint32_t)ACL_UNDEFINED_ID)
#define OTHER   12345U /* an id of somebody else's */

struct list {
	struct posix_acl_xattr_header h;
	struct posix_acl_xattr_entry e[8];
};

#define LIST_SIZE(nr)                                                                              \
	(sizeof(struct posix_acl_xattr_header) + (nr) * sizeof(struct posix_acl_xattr_entry))

static const struct list plain = { .h = { POSIX_ACL_XATTR_VERSION },
	.e = { { ACL_USER_OBJ, 6, NOBODY }, { ACL_GROUP_OBJ, 4, NOBODY }, { ACL_MASK, 6, NOBODY },
		{ ACL_OTHER, 0, NOBODY } } };

/** The plain one, which names a user and a group, too. */
static struct list naming(uint32_t uid, uint32_t gid)
{
	return (struct list){ .h = { POSIX_ACL_XATTR_VERSION },
		.e = { { ACL_USER_OBJ, 6, NOBODY }, { ACL_USER, 6, uid },
			{ ACL_GROUP_OBJ, 4, NOBODY }, { ACL_GROUP, 4, gid },
			{ ACL_MASK, 6, NOBODY }, { ACL_OTHER, 0, NOBODY } } };
}

static void make_tree(struct fixture *f, bool ro)
{
	struct tree_config cfg = share_config(&f->s);

	cfg.uid = UID;
	cfg.gid = GID;
	cfg.ro = ro;
	fixture_tree(f, &cfg);
}

static int setup(void **state)
{
	struct fixture *f = fixture_create();

	make_tree(f, false);
	*state = f;
	return 0;
}

/** Not where /tmp has no lists. */
static struct fixture *able(void **state)
{
	struct fixture *f = *state;

	if (!tree_has_acl(f->t))
		skip();
	return f;
}

static ssize_t host_list(struct fixture *f, const char *file, const char *name, struct list *ret)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", f->s.top, file);
	memset(ret, 0, sizeof(*ret));
	return getxattr(path, name, ret, sizeof(*ret));
}

static void the_owner_changes_places_with_ours(void **state)
{
	struct fixture *f = able(state);
	struct tree_node *file = find(f, root(f), "file");
	struct list mine = naming(UID, GID), got;

	assert_int_equal(tree_setxattr(f->t, file, ACCESS, &mine, LIST_SIZE(6), 0), 0);
	assert_int_equal(host_list(f, "in/file", ACCESS, &got), LIST_SIZE(6));
	assert_int_equal(got.e[1].e_id, geteuid());
	assert_int_equal(got.e[3].e_id, getegid());
	assert_int_equal(tree_getxattr(f->t, file, ACCESS, NULL, 0), LIST_SIZE(6));
	assert_int_equal(tree_getxattr(f->t, file, ACCESS, &got, LIST_SIZE(6) - 1), -ERANGE);
	memset(&got, 0, sizeof(got));
	assert_int_equal(tree_getxattr(f->t, file, ACCESS, &got, sizeof(got)), LIST_SIZE(6));
	assert_memory_equal(&got, &mine, LIST_SIZE(6));
	/* And back: who is us here, is the one whose number the guest's owner has. */
	mine = naming(geteuid(), OTHER);
	assert_int_equal(tree_setxattr(f->t, file, ACCESS, &mine, LIST_SIZE(6), 0), 0);
	assert_int_equal(host_list(f, "in/file", ACCESS, &got), LIST_SIZE(6));
	assert_int_equal(got.e[1].e_id, UID);
	assert_int_equal(got.e[3].e_id, OTHER);
}

static void they_are_where_names_of_attributes_are(void **state)
{
	struct fixture *f = able(state);
	struct tree_node *file = find(f, root(f), "file");
	char names[64];

	assert_int_equal(tree_listxattr(f->t, file, names, sizeof(names)), 0);
	assert_int_equal(tree_getxattr(f->t, file, ACCESS, names, sizeof(names)), -ENODATA);
	assert_int_equal(tree_setxattr(f->t, file, ACCESS, &plain, LIST_SIZE(4), 0), 0);
	assert_int_equal(tree_listxattr(f->t, file, names, sizeof(names)), sizeof(ACCESS));
	assert_string_equal(names, ACCESS);
	assert_int_equal(tree_removexattr(f->t, file, ACCESS), 0);
	assert_int_equal(tree_listxattr(f->t, file, names, sizeof(names)), 0);
	/* A file has no default. */
	assert_int_equal(tree_setxattr(f->t, file, DEFAULT, &plain, LIST_SIZE(4), 0), -EACCES);
	assert_int_equal(
		tree_setxattr(f->t, file, "system.other", &plain, LIST_SIZE(4), 0), -EOPNOTSUPP);
}

static void new_files_have_their_directorys_default(void **state)
{
	struct fixture *f = able(state);
	struct tree_node *n;
	struct statx st;
	struct list got;

	assert_int_equal(tree_setxattr(f->t, root(f), DEFAULT, &plain, LIST_SIZE(4), 0), 0);
	/* The umask does not count there (umask(2)). */
	assert_int_equal(tree_mknod(f->t, root(f), "new", S_IFREG | 0666, 077, &n, &st), 0);
	assert_int_equal(st.stx_mode, S_IFREG | 0660);
	assert_int_equal(tree_getxattr(f->t, n, ACCESS, &got, sizeof(got)), LIST_SIZE(4));
	assert_int_equal(tree_mkdir(f->t, root(f), "sub", 0777, 077, &n, &st), 0);
	assert_int_equal(tree_getxattr(f->t, n, DEFAULT, &got, sizeof(got)), LIST_SIZE(4));
	assert_memory_equal(&got, &plain, LIST_SIZE(4));
}

static void a_list_that_is_none_is_refused(void **state)
{
	struct fixture *f = able(state);
	struct tree_node *file = find(f, root(f), "file");
	uint64_t id = tree_id(f->t, file);
	uint8_t *big = calloc(1, TREE_MAX_XATTR + 8);
	struct list bad = plain, got;

	BUG_ON(!big);
	for (size_t len = 0; len <= LIST_SIZE(4) + 3; len++)
		if ((len - sizeof(bad.h)) % sizeof(bad.e[0]))
			assert_int_equal(
				tree_setxattr(f->t, file, ACCESS, &plain, len, 0), -EINVAL);
	assert_int_equal(tree_setxattr(f->t, file, ACCESS, &plain, 0, 0), -EINVAL);
	bad.h.a_version = 3;
	assert_int_equal(tree_setxattr(f->t, file, ACCESS, &bad, LIST_SIZE(4), 0), -EINVAL);
	bad = plain;
	bad.e[1].e_tag = 0x40;
	assert_int_equal(tree_setxattr(f->t, file, ACCESS, &bad, LIST_SIZE(4), 0), -EINVAL);
	/* Longer than what it is translated in. */
	memcpy(big, &plain, sizeof(plain));
	assert_int_equal(
		tree_setxattr(f->t, file, ACCESS, big, LIST_SIZE(TREE_MAX_XATTR / 8), 0), -EINVAL);
	free(big);
	assert_int_equal(tree_id(f->t, find(f, root(f), "file")), id); /* and what is behind that */
	assert_int_equal(host_list(f, "in/file", ACCESS, &got), -1);
}

static void what_cannot_have_one_has_none(void **state)
{
	struct fixture *f = able(state);
	struct list got;

	assert_int_equal(mkfifoat(f->s.top_fd, "in/fifo", 0644), 0);
	assert_int_equal(
		tree_getxattr(f->t, find(f, root(f), "fifo"), ACCESS, &got, sizeof(got)), -ENODATA);
	assert_int_equal(
		tree_getxattr(f->t, find(f, root(f), "out"), ACCESS, &got, sizeof(got)), -ENODATA);
	assert_int_equal(
		tree_setxattr(f->t, find(f, root(f), "fifo"), ACCESS, &plain, LIST_SIZE(4), 0),
		-EOPNOTSUPP);
}

static void a_tree_that_is_only_read_changes_none(void **state)
{
	struct fixture *f = able(state);
	struct tree_node *file;
	struct list got;

	assert_int_equal(
		tree_setxattr(f->t, find(f, root(f), "file"), ACCESS, &plain, LIST_SIZE(4), 0), 0);
	make_tree(f, true);
	file = find(f, root(f), "file");
	assert_int_equal(tree_getxattr(f->t, file, ACCESS, &got, sizeof(got)), LIST_SIZE(4));
	assert_int_equal(tree_setxattr(f->t, file, ACCESS, &plain, LIST_SIZE(4), 0), -EROFS);
	assert_int_equal(tree_removexattr(f->t, file, ACCESS), -EROFS);
}

static void s_isgid_goes_when_it_must(void **state)
{
	struct fixture *f = *state;
	struct tree_node *dir = find(f, root(f), "dir");
	struct tree_attr a = { .set = TREE_SET_MODE, .mode = 02775 };
	struct statx st;

	assert_int_equal(tree_setattr(f->t, dir, -1, &a), 0);
	assert_int_equal(tree_stat(f->t, dir, &st), 0);
	assert_int_equal(st.stx_mode, S_IFDIR | 02775);
	assert_int_equal(tree_kill_sgid(f->t, dir), 0);
	assert_int_equal(tree_kill_sgid(f->t, dir), 0);
	assert_int_equal(tree_stat(f->t, dir, &st), 0);
	assert_int_equal(st.stx_mode, S_IFDIR | 0775);
}

/** In a user namespace without ids: what is wrong there, or 0. */
static int where_nobody_has_a_number(struct fixture *f)
{
	struct tree_attr a = { .set = TREE_SET_MODE, .mode = 0640 };
	struct list got = { 0 }, mine = naming(1, 1);
	struct tree_node *file;

	if (unshare(CLONE_NEWUSER))
		return 77;
	make_tree(f, false);
	file = find(f, root(f), "file");
	/* The two names are not seen, and their effect is: the mask. */
	if (tree_getxattr(f->t, file, ACCESS, &got, sizeof(got)) != LIST_SIZE(4))
		return 1;
	if (memcmp(&got, &plain, LIST_SIZE(4)) != 0)
		return 2;
	/* Nothing is lost of what is not seen. */
	if (tree_setxattr(f->t, file, ACCESS, &plain, LIST_SIZE(4), 0) != -EPERM)
		return 3;
	if (tree_removexattr(f->t, file, ACCESS) != -EPERM)
		return 4;
	if (tree_setattr(f->t, file, -1, &a))
		return 5;
	file = find(f, root(f), "dir");
	if (tree_setxattr(f->t, file, DEFAULT, &mine, LIST_SIZE(6), 0) != -EINVAL)
		return 6;
	return tree_setxattr(f->t, file, DEFAULT, &plain, LIST_SIZE(4), 0) ? 7 : 0;
}

static void names_that_are_not_told_are_kept(void **state)
{
	struct fixture *f = able(state);
	struct list theirs = naming(OTHER, OTHER), got;
	int status;
	pid_t pid;

	assert_int_equal(
		tree_setxattr(f->t, find(f, root(f), "file"), ACCESS, &theirs, LIST_SIZE(6), 0), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		_exit(where_nobody_has_a_number(f));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip(); /* this host refuses the namespace */
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(host_list(f, "in/file", ACCESS, &got), LIST_SIZE(6));
	assert_int_equal(got.e[1].e_id, OTHER);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, fixture_destroy)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_owner_changes_places_with_ours),
		T(they_are_where_names_of_attributes_are),
		T(new_files_have_their_directorys_default),
		T(a_list_that_is_none_is_refused),
		T(what_cannot_have_one_has_none),
		T(a_tree_that_is_only_read_changes_none),
		T(s_isgid_goes_when_it_must),
		T(names_that_are_not_told_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
