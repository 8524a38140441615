// SPDX-License-Identifier: BSD-3-Clause
/* share/fuse.c: requests that no kernel makes, for each of its words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/fuse_rig.h"

#define ROOT FUSE_ROOT_ID

/* What each request has after its header before names and contents: linux/fuse.h. */
static const struct {
	uint32_t opcode;
	size_t arg;
	bool changes, node;
	const char *rest;
	size_t rest_len;
} ops[] = {
	{ FUSE_LOOKUP, 0, false, true, "file", 5 },
	{ FUSE_GETATTR, sizeof(struct fuse_getattr_in), false, true, NULL, 0 },
	{ FUSE_SETATTR, sizeof(struct fuse_setattr_in), true, true, NULL, 0 },
	{ FUSE_READLINK, 0, false, true, NULL, 0 },
	{ FUSE_SYMLINK, 0, true, true, "new\0to", 7 },
	{ FUSE_MKNOD, sizeof(struct fuse_mknod_in), true, true, "new", 4 },
	{ FUSE_MKDIR, sizeof(struct fuse_mkdir_in), true, true, "new", 4 },
	{ FUSE_UNLINK, 0, true, true, "file", 5 },
	{ FUSE_RMDIR, 0, true, true, "dir", 4 },
	{ FUSE_RENAME, sizeof(struct fuse_rename_in), true, true, "file\0new", 9 },
	{ FUSE_LINK, sizeof(struct fuse_link_in), true, true, "new", 4 },
	{ FUSE_OPEN, sizeof(struct fuse_open_in), false, true, NULL, 0 },
	{ FUSE_READ, sizeof(struct fuse_read_in), false, false, NULL, 0 },
	{ FUSE_WRITE, sizeof(struct fuse_write_in), true, false, "data", 4 },
	{ FUSE_STATFS, 0, false, true, NULL, 0 },
	{ FUSE_RELEASE, sizeof(struct fuse_release_in), false, false, NULL, 0 },
	{ FUSE_FSYNC, sizeof(struct fuse_fsync_in), false, false, NULL, 0 },
	{ FUSE_SETXATTR, FUSE_COMPAT_SETXATTR_IN_SIZE, true, true, "user.a", 7 },
	{ FUSE_GETXATTR, sizeof(struct fuse_getxattr_in), false, true, "user.a", 7 },
	{ FUSE_LISTXATTR, sizeof(struct fuse_getxattr_in), false, true, NULL, 0 },
	{ FUSE_REMOVEXATTR, 0, true, true, "user.a", 7 },
	{ FUSE_OPENDIR, sizeof(struct fuse_open_in), false, true, NULL, 0 },
	{ FUSE_READDIR, sizeof(struct fuse_read_in), false, true, NULL, 0 },
	{ FUSE_RELEASEDIR, sizeof(struct fuse_release_in), false, false, NULL, 0 },
	{ FUSE_FSYNCDIR, sizeof(struct fuse_fsync_in), false, false, NULL, 0 },
	{ FUSE_CREATE, sizeof(struct fuse_create_in), true, true, "new", 4 },
	{ FUSE_FALLOCATE, sizeof(struct fuse_fallocate_in), true, false, NULL, 0 },
	{ FUSE_READDIRPLUS, sizeof(struct fuse_read_in), false, true, NULL, 0 },
	{ FUSE_RENAME2, sizeof(struct fuse_rename2_in), true, true, "file\0new", 9 },
	{ FUSE_LSEEK, sizeof(struct fuse_lseek_in), false, false, NULL, 0 },
	{ FUSE_COPY_FILE_RANGE, sizeof(struct fuse_copy_file_range_in), true, false, NULL, 0 },
	{ FUSE_TMPFILE, sizeof(struct fuse_create_in), true, true, "", 1 },
};

static bool untouched(struct fuse_rig *r)
{
	return share_has(&r->s, "in/file", "inside") && share_has(&r->s, "in/dir/f", "inside") &&
		share_has(&r->s, "outside/f", "OUTSIDE") &&
		faccessat(r->s.top_fd, "in/new", F_OK, AT_SYMLINK_NOFOLLOW);
}

static void a_request_that_is_too_short_is_refused(void **state)
{
	static const uint8_t zeroes[256];
	struct fuse_rig *r = *state;

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
		for (size_t len = 0; len < ops[i].arg; len++)
			assert_int_equal(
				fuse_rig_call(r, ops[i].opcode, ROOT, zeroes, len, NULL, 0),
				-EINVAL);
	for (size_t len = 0; len < 16; len++)
		assert_int_equal(fuse_rig_call(r, FUSE_INIT, 0, zeroes, len, NULL, 0), -EINVAL);
	assert_true(untouched(r));
}

static void a_name_without_an_end_is_refused(void **state)
{
	static const uint8_t zeroes[256];
	struct fuse_rig *r = *state;

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
		if (ops[i].rest_len > 1 && ops[i].opcode != FUSE_WRITE)
			assert_int_equal(fuse_rig_call(r, ops[i].opcode, ROOT, zeroes, ops[i].arg,
						 ops[i].rest, ops[i].rest_len - 1),
				ops[i].opcode == FUSE_LINK || ops[i].opcode == FUSE_RENAME ||
						ops[i].opcode == FUSE_RENAME2
					? -ESTALE
					: -EINVAL);
	assert_true(untouched(r));
}

static void a_length_that_is_not_the_requests_is_refused(void **state)
{
	static const uint32_t lens[] = { 1, 39, 41, 4096, UINT32_MAX };
	struct fuse_rig *r = *state;

	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		r->len = lens[i];
		assert_int_equal(fuse_rig_call(r, FUSE_STATFS, ROOT, NULL, 0, NULL, 0), -EINVAL);
		assert_int_equal(fuse_rig_name(r, FUSE_UNLINK, ROOT, "file"), -EINVAL);
	}
	r->len = 0;
	assert_true(untouched(r));
}

static void a_node_that_is_none_is_refused(void **state)
{
	static const uint64_t nodes[] = { 0, 2, UINT32_MAX, UINT64_MAX, 1ULL << 32 | 1 };
	static const uint8_t zeroes[256];
	struct fuse_rig *r = *state;

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
		for (size_t n = 0; n < ARRAY_SIZE(nodes) && ops[i].node; n++)
			assert_int_equal(fuse_rig_call(r, ops[i].opcode, nodes[n], zeroes,
						 ops[i].arg, ops[i].rest, ops[i].rest_len),
				-ESTALE);
	assert_true(untouched(r));
}

static void no_request_changes_a_read_only_tree(void **state)
{
	static const uint8_t zeroes[256];
	struct fuse_rig *r = *state;
	struct fuse_config cfg = fuse_rig_config(r);
	unsigned nr = 0;

	cfg.tree.ro = true;
	cfg.writeback = true;
	fuse_rig_create(r, &cfg);
	assert_int_equal(fuse_rig_init(r, FUSE_WRITEBACK_CACHE), 0);
	assert_int_equal(FUSE_RIG_OUT(r, struct fuse_init_out)->flags, 0);
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		if (!ops[i].changes)
			continue;
		nr++;
		assert_int_equal(fuse_rig_call(r, ops[i].opcode, ROOT, zeroes, ops[i].arg,
					 ops[i].rest, ops[i].rest_len),
			-EROFS);
	}
	assert_int_equal(nr, 16);
	assert_true(untouched(r));
}

static void an_unknown_word_is_refused_and_remembered(void **state)
{
	static const uint32_t none[] = { 0, 7, 19, FUSE_GETLK, FUSE_SETLK, FUSE_IOCTL, FUSE_POLL,
		FUSE_SETUPMAPPING, FUSE_SYNCFS, FUSE_TMPFILE + 1, 4096, CUSE_INIT, UINT32_MAX };
	static const uint8_t zeroes[256];
	struct fuse_rig *r = *state;

	for (size_t i = 0; i < ARRAY_SIZE(none); i++)
		assert_int_equal(
			fuse_rig_call(r, none[i], ROOT, zeroes, sizeof(zeroes), NULL, 0), -ENOSYS);
}

static void what_cannot_be_answered_breaks_the_device(void **state)
{
	struct fuse_rig *r = *state;
	uint8_t req[sizeof(struct fuse_in_header)] = { 0 };
	struct fuse_in_header h = { .len = sizeof(h), .opcode = FUSE_STATFS, .nodeid = ROOT };

	assert_int_equal(fuse_rig_raw(r, req, sizeof(req) - 1), -EPROTO);
	assert_int_equal(fuse_rig_raw(r, req, 0), -EPROTO);
	memcpy(req, &h, sizeof(h));
	r->room = sizeof(struct fuse_out_header) - 1;
	assert_int_equal(fuse_rig_raw(r, req, sizeof(req)), -EPROTO);
	/* What needs no answer needs no room for one. */
	h.opcode = FUSE_FORGET;
	memcpy(req, &h, sizeof(h));
	r->room = 0;
	assert_int_equal(fuse_rig_raw(r, req, sizeof(req)), 0);
	/* Room for a header, and for nothing else. */
	r->room = sizeof(struct fuse_out_header);
	assert_int_equal(fuse_rig_call(r, FUSE_STATFS, ROOT, NULL, 0, NULL, 0), -EIO);
}

static void arguments_without_end_are_refused(void **state)
{
	struct fuse_rig *r = *state;
	static uint8_t much[FUSE_MAX_ARGS + 1];

	assert_int_equal(fuse_rig_call(r, FUSE_LOOKUP, ROOT, NULL, 0, much, sizeof(much)), -E2BIG);
	assert_int_equal(fuse_rig_call(r, FUSE_FORGET, ROOT, much, sizeof(much), NULL, 0), 0);
	memset(much, 'x', sizeof(much));
	assert_int_equal(
		fuse_rig_call(r, FUSE_LOOKUP, ROOT, NULL, 0, much, FUSE_MAX_ARGS), -EINVAL);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, fuse_rig_setup, fuse_rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_request_that_is_too_short_is_refused),
		T(a_name_without_an_end_is_refused),
		T(a_length_that_is_not_the_requests_is_refused),
		T(a_node_that_is_none_is_refused),
		T(no_request_changes_a_read_only_tree),
		T(an_unknown_word_is_refused_and_remembered),
		T(what_cannot_be_answered_breaks_the_device),
		T(arguments_without_end_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
