// SPDX-License-Identifier: BSD-3-Clause
/* share/p9*.c: what a client of 9P2000.L asks for, well and badly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/p9_rig.h"

enum { ROOT = 1, FILE_FID, DIR_FID, MORE };

static int setup(void **state)
{
	struct p9_rig *r = p9_rig_open();

	*state = r;
	return p9_rig_version(r, 8192, "9P2000.L") || p9_rig_attach(r, ROOT);
}

static int teardown(void **state)
{
	p9_rig_close(*state);
	return 0;
}

static void a_session_is_agreed_first(void **state)
{
	struct p9_rig *r = *state;

	p9_rig_create(r, false);
	assert_int_equal(p9_rig_attach(r, ROOT), -EIO);
	assert_int_equal(p9_rig_version(r, 8192, "9P2000.u"), 0);
	assert_int_equal(p9_rig_get(r, 4), 8192);
	assert_int_equal(p9_rig_get(r, 2), 7);
	assert_memory_equal(r->out + r->at, "unknown", 7);
	assert_int_equal(p9_rig_attach(r, ROOT), -EIO);
	assert_int_equal(p9_rig_version(r, 4095, "9P2000.L"), -EINVAL);
	assert_int_equal(p9_rig_version(r, UINT32_MAX, "9P2000.L"), 0);
	assert_int_equal(p9_rig_get(r, 4), P9_MAX_MSIZE);
	assert_int_equal(p9_rig_attach(r, ROOT), 0);
	assert_int_equal(p9_rig_attach(r, ROOT), -EBADF);
	/* A new session has no fids. */
	assert_int_equal(p9_rig_version(r, 8192, "9P2000.L"), 0);
	assert_int_equal(p9_rig_walk(r, ROOT, MORE, NULL), -EBADF);
}

static void names_are_walked_one_by_one(void **state)
{
	struct p9_rig *r = *state;

	assert_int_equal(p9_rig_walk(r, ROOT, FILE_FID, "file"), 0);
	assert_int_equal(p9_rig_get(r, 2), 1);
	assert_int_equal(p9_rig_walk(r, ROOT, MORE, "none"), -ENOENT);
	assert_int_equal(p9_rig_walk(r, ROOT, MORE, ".."), -EINVAL);
	assert_int_equal(p9_rig_walk(r, ROOT, MORE, "dir/f"), -EINVAL);
	assert_int_equal(p9_rig_walk(r, ROOT, FILE_FID, "dir"), -EBADF);
	assert_int_equal(p9_rig_walk(r, 77, MORE, "dir"), -EBADF);
	/* Two names, of which one is there: the client is told so, and has no fid. */
	p9_rig_begin(r, P9_TWALK);
	p9_rig_put(r, ROOT, 4);
	p9_rig_put(r, MORE, 4);
	p9_rig_put(r, 2, 2);
	p9_rig_text(r, "dir");
	p9_rig_text(r, "none");
	assert_int_equal(p9_rig_send(r), 0);
	assert_int_equal(p9_rig_get(r, 2), 1);
	assert_int_equal(p9_rig_fid(r, P9_TCLUNK, MORE, 0, 0), -EBADF);
	/* More names than a walk may have. */
	p9_rig_begin(r, P9_TWALK);
	p9_rig_put(r, ROOT, 4);
	p9_rig_put(r, MORE, 4);
	p9_rig_put(r, 17, 2);
	assert_int_equal(p9_rig_send(r), -EINVAL);
	/* A symlink is a node of its own, and nothing is beneath it. */
	assert_int_equal(p9_rig_walk(r, ROOT, MORE, "out"), 0);
	assert_int_equal(p9_rig_walk(r, MORE, MORE, "f"), -ENOTDIR);
	assert_int_equal(p9_rig_fid(r, P9_TLOPEN, MORE, 0, 4), -EPERM);
}

static void fids_are_bounded_and_come_back(void **state)
{
	struct p9_rig *r = *state;

	for (uint32_t id = 10; id < 10 + P9_RIG_FIDS - 1; id++)
		assert_int_equal(p9_rig_walk(r, ROOT, id, NULL), 0);
	assert_int_equal(p9_rig_walk(r, ROOT, 99, NULL), -ENFILE);
	assert_int_equal(p9_rig_fid(r, P9_TCLUNK, 12, 0, 0), 0);
	assert_int_equal(p9_rig_fid(r, P9_TCLUNK, 12, 0, 0), -EBADF);
	assert_int_equal(p9_rig_walk(r, ROOT, 99, "file"), 0);
	assert_int_equal(p9_rig_fid(r, P9_TREMOVE, 99, 0, 0), -EOPNOTSUPP);
	assert_int_equal(p9_rig_fid(r, P9_TCLUNK, 99, 0, 0), -EBADF);
	assert_true(share_has(&r->s, "in/file", "inside"));
}

static void contents_come_and_go(void **state)
{
	struct p9_rig *r = *state;

	assert_int_equal(p9_rig_walk(r, ROOT, FILE_FID, "file"), 0);
	assert_int_equal(p9_rig_io(r, P9_TREAD, FILE_FID, 0, 10), -EBADF);
	assert_int_equal(p9_rig_fid(r, P9_TLOPEN, FILE_FID, 2, 4), 0);
	assert_int_equal(p9_rig_fid(r, P9_TLOPEN, FILE_FID, 2, 4), -EBADF);
	assert_int_equal(p9_rig_io(r, P9_TREAD, FILE_FID, 0, UINT32_MAX), 0);
	assert_int_equal(p9_rig_get(r, 4), 6);
	assert_memory_equal(r->out + 4, "inside", 6);
	assert_int_equal(p9_rig_io(r, P9_TREAD, FILE_FID, UINT64_MAX, 1), -EINVAL);
	p9_rig_begin(r, P9_TWRITE);
	p9_rig_put(r, FILE_FID, 4);
	p9_rig_put(r, 2, 8);
	p9_rig_put(r, 3, 4);
	p9_rig_put(r, 0x585858, 3);
	assert_int_equal(p9_rig_send(r), 0);
	assert_true(share_has(&r->s, "in/file", "inXXXe"));
	/* More than was sent. */
	assert_int_equal(p9_rig_io(r, P9_TWRITE, FILE_FID, 0, 1), -EINVAL);
	assert_int_equal(p9_rig_io(r, P9_TWRITE, FILE_FID, 0, UINT32_MAX), -EINVAL);
	assert_int_equal(p9_rig_io(r, P9_TREADDIR, FILE_FID, 0, 100), -EBADF);
	assert_int_equal(p9_rig_fid(r, P9_TFSYNC, FILE_FID, 0, 4), 0);
	assert_int_equal(p9_rig_walk(r, FILE_FID, FILE_FID, NULL), -EBADF);
}

static void directories_are_read_in_steps(void **state)
{
	struct p9_rig *r = *state;
	char name[64];

	for (unsigned i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "in/dir/%.*s%u", (int)(i % 40),
			"a-name-that-is-longer-than-all-the-others", i);
		share_put(&r->s, name, "");
	}
	assert_int_equal(p9_rig_walk(r, ROOT, DIR_FID, "dir"), 0);
	assert_int_equal(p9_rig_fid(r, P9_TLOPEN, DIR_FID, 0200000, 4), 0);
	for (uint32_t count = 400; count < 8000; count = count * 3 + 1) {
		unsigned nr = 0;
		uint64_t off = 0, len;

		do {
			assert_int_equal(p9_rig_io(r, P9_TREADDIR, DIR_FID, off, count), 0);
			len = p9_rig_get(r, 4);
			assert_true(len <= count && len == r->out_len - 4);
			while (r->at < r->out_len) {
				r->at += 13;
				off = p9_rig_get(r, 8);
				r->at += 1;
				r->at += p9_rig_get(r, 2);
				nr++;
			}
		} while (len);
		assert_int_equal(nr, 103);
	}
	assert_int_equal(p9_rig_io(r, P9_TREADDIR, DIR_FID, 0, 8), -EINVAL);
	assert_int_equal(p9_rig_io(r, P9_TREAD, DIR_FID, 0, 8), -EBADF);
}

static void names_are_made_and_moved(void **state)
{
	struct p9_rig *r = *state;

	p9_rig_begin(r, P9_TMKDIR);
	p9_rig_put(r, ROOT, 4);
	p9_rig_text(r, "new");
	p9_rig_put(r, 0755, 4);
	p9_rig_put(r, 0, 4);
	assert_int_equal(p9_rig_send(r), 0);
	p9_rig_begin(r, P9_TRENAMEAT);
	p9_rig_put(r, ROOT, 4);
	p9_rig_text(r, "file");
	p9_rig_put(r, ROOT, 4);
	p9_rig_text(r, "../outside/x");
	assert_int_equal(p9_rig_send(r), -EINVAL);
	assert_int_equal(p9_rig_walk(r, ROOT, DIR_FID, "new"), 0);
	p9_rig_begin(r, P9_TRENAMEAT);
	p9_rig_put(r, ROOT, 4);
	p9_rig_text(r, "file");
	p9_rig_put(r, DIR_FID, 4);
	p9_rig_text(r, "moved");
	assert_int_equal(p9_rig_send(r), 0);
	assert_true(share_has(&r->s, "in/new/moved", "inside"));
	/* A file is made by its directory's fid, which becomes the file's. */
	p9_rig_begin(r, P9_TLCREATE);
	p9_rig_put(r, DIR_FID, 4);
	p9_rig_text(r, "made");
	p9_rig_put(r, 02, 4);
	p9_rig_put(r, 0100644, 4);
	p9_rig_put(r, 0, 4);
	assert_int_equal(p9_rig_send(r), 0);
	assert_int_equal(p9_rig_io(r, P9_TREAD, DIR_FID, 0, 10), 0);
	assert_true(share_has(&r->s, "in/new/made", ""));
	p9_rig_begin(r, P9_TUNLINKAT);
	p9_rig_put(r, ROOT, 4);
	p9_rig_text(r, "new");
	p9_rig_put(r, 0x200, 4);
	assert_int_equal(p9_rig_send(r), -ENOTEMPTY);
	p9_rig_begin(r, P9_TMKNOD);
	p9_rig_put(r, ROOT, 4);
	p9_rig_text(r, "null");
	p9_rig_put(r, S_IFCHR | 0666, 4);
	p9_rig_put(r, 1, 4);
	p9_rig_put(r, 3, 4);
	p9_rig_put(r, 0, 4);
	assert_int_equal(p9_rig_send(r), -EPERM);
}

static void values_have_fids(void **state)
{
	struct p9_rig *r = *state;
	int rc;

	assert_int_equal(p9_rig_walk(r, ROOT, FILE_FID, "file"), 0);
	assert_int_equal(p9_rig_walk(r, ROOT, MORE, "file"), 0);
	p9_rig_begin(r, P9_TXATTRCREATE);
	p9_rig_put(r, MORE, 4);
	p9_rig_text(r, "user.a");
	p9_rig_put(r, UINT64_MAX, 8);
	p9_rig_put(r, 0, 4);
	assert_int_equal(p9_rig_send(r), -EINVAL);
	p9_rig_begin(r, P9_TXATTRCREATE);
	p9_rig_put(r, MORE, 4);
	p9_rig_text(r, "user.a");
	p9_rig_put(r, 3, 8);
	p9_rig_put(r, 0, 4);
	assert_int_equal(p9_rig_send(r), 0);
	p9_rig_begin(r, P9_TWRITE);
	p9_rig_put(r, MORE, 4);
	p9_rig_put(r, 0, 8);
	p9_rig_put(r, 4, 4);
	p9_rig_put(r, 0x64636261, 4);
	assert_int_equal(p9_rig_send(r), -EINVAL);
	p9_rig_begin(r, P9_TWRITE);
	p9_rig_put(r, MORE, 4);
	p9_rig_put(r, 0, 8);
	p9_rig_put(r, 3, 4);
	p9_rig_put(r, 0x636261, 3);
	assert_int_equal(p9_rig_send(r), 0);
	rc = p9_rig_fid(r, P9_TCLUNK, MORE, 0, 0);
	if (rc == -EOPNOTSUPP)
		skip(); /* the host's /tmp has none */
	assert_int_equal(rc, 0);
	p9_rig_begin(r, P9_TXATTRWALK);
	p9_rig_put(r, FILE_FID, 4);
	p9_rig_put(r, MORE, 4);
	p9_rig_text(r, "user.a");
	assert_int_equal(p9_rig_send(r), 0);
	assert_int_equal(p9_rig_get(r, 8), 3);
	assert_int_equal(p9_rig_io(r, P9_TREAD, MORE, 1, 100), 0);
	assert_int_equal(p9_rig_get(r, 4), 2);
	assert_memory_equal(r->out + 4, "bc", 2);
	assert_int_equal(p9_rig_io(r, P9_TREAD, MORE, 3, 100), 0);
	assert_int_equal(p9_rig_get(r, 4), 0);
	assert_int_equal(p9_rig_fid(r, P9_TLOPEN, MORE, 0, 4), -EBADF);
}

static void a_request_that_is_cut_off_is_refused(void **state)
{
	static const unsigned types[] = { P9_TSTATFS, P9_TLOPEN, P9_TLCREATE, P9_TSYMLINK,
		P9_TMKNOD, P9_TREADLINK, P9_TGETATTR, P9_TSETATTR, P9_TXATTRWALK, P9_TXATTRCREATE,
		P9_TREADDIR, P9_TFSYNC, P9_TLOCK, P9_TGETLOCK, P9_TLINK, P9_TMKDIR, P9_TRENAMEAT,
		P9_TUNLINKAT, P9_TATTACH, P9_TWALK, P9_TREAD, P9_TWRITE, P9_TCLUNK, P9_TREMOVE };
	struct p9_rig *r = *state;

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		for (unsigned len = 0; len < 4; len++) {
			p9_rig_begin(r, types[i]);
			p9_rig_put(r, ROOT, len);
			assert_int_equal(p9_rig_send(r), -EINVAL);
		}
	}
	/* A string that is longer than the request, and one with a zero in it. */
	p9_rig_begin(r, P9_TMKDIR);
	p9_rig_put(r, ROOT, 4);
	p9_rig_put(r, 0xffff, 2);
	p9_rig_put(r, 0, 8);
	assert_int_equal(p9_rig_send(r), -EINVAL);
	p9_rig_begin(r, P9_TMKDIR);
	p9_rig_put(r, ROOT, 4);
	p9_rig_put(r, 3, 2);
	p9_rig_put(r, 0x610061, 3);
	p9_rig_put(r, 0, 8);
	assert_int_equal(p9_rig_send(r), -EINVAL);
	assert_int_equal(p9_rig_walk(r, ROOT, MORE, "a"), -ENOENT);
}

static void lengths_that_lie_are_refused(void **state)
{
	static const uint32_t sizes[] = { 0, 6, 10, 12, 8193, UINT32_MAX };
	struct p9_rig *r = *state;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		p9_rig_begin(r, P9_TSTATFS);
		p9_rig_put(r, ROOT, 4);
		le32_put(r->req, sizes[i]);
		assert_int_equal(p9_rig_raw(r), -EINVAL);
	}
	/* Longer than what was agreed. */
	p9_rig_begin(r, P9_TSTATFS);
	p9_rig_put(r, ROOT, 4);
	r->len = 8193;
	assert_int_equal(p9_rig_send(r), -EINVAL);
	/* Words that there are not. */
	assert_int_equal(p9_rig_fid(r, 20, ROOT, 0, 0), -EOPNOTSUPP);
	assert_int_equal(p9_rig_fid(r, 102, ROOT, 0, 0), -EOPNOTSUPP);
	assert_int_equal(p9_rig_fid(r, 255 - 1, ROOT, 0, 0), -EOPNOTSUPP);
	/* No header, and no room for an error. */
	r->len = 6;
	assert_int_equal(p9_rig_raw(r), -EPROTO);
	p9_rig_begin(r, P9_TSTATFS);
	p9_rig_put(r, ROOT, 4);
	r->room = 10;
	assert_int_equal(p9_rig_raw(r), -EPROTO);
	/* Room for an error, and for nothing else. */
	r->room = 30;
	assert_int_equal(p9_rig_fid(r, P9_TSTATFS, ROOT, 0, 0), -EIO);
}

static void a_read_only_tree_is_not_changed(void **state)
{
	struct p9_rig *r = *state;

	p9_rig_create(r, true);
	assert_int_equal(p9_rig_version(r, 8192, "9P2000.L"), 0);
	assert_int_equal(p9_rig_attach(r, ROOT), 0);
	assert_int_equal(p9_rig_walk(r, ROOT, FILE_FID, "file"), 0);
	assert_int_equal(p9_rig_fid(r, P9_TLOPEN, FILE_FID, 1, 4), -EROFS);
	p9_rig_begin(r, P9_TUNLINKAT);
	p9_rig_put(r, ROOT, 4);
	p9_rig_text(r, "file");
	p9_rig_put(r, 0, 4);
	assert_int_equal(p9_rig_send(r), -EROFS);
	assert_true(share_has(&r->s, "in/file", "inside"));
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_session_is_agreed_first),
		T(names_are_walked_one_by_one),
		T(fids_are_bounded_and_come_back),
		T(contents_come_and_go),
		T(directories_are_read_in_steps),
		T(names_are_made_and_moved),
		T(values_have_fids),
		T(a_request_that_is_cut_off_is_refused),
		T(lengths_that_lie_are_refused),
		T(a_read_only_tree_is_not_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
