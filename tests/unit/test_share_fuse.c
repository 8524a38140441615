// SPDX-License-Identifier: BSD-3-Clause
/* share/fuse*.c: what a guest's kernel asks for, and gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/fuse_rig.h"

#define ROOT FUSE_ROOT_ID

static void a_session_is_agreed_first(void **state)
{
	struct fuse_rig *r = *state;
	struct fuse_config cfg = fuse_rig_config(r);
	struct fuse_init_in in = { .major = 8, .minor = 1 };

	fuse_rig_create(r, &cfg);
	assert_int_equal(fuse_rig_name(r, FUSE_LOOKUP, ROOT, "file"), -EIO);
	/* Newer ones are told what there is, and ask again; older ones are not served. */
	assert_int_equal(fuse_rig_call(r, FUSE_INIT, 0, &in, sizeof(in), NULL, 0), 0);
	assert_int_equal(FUSE_RIG_OUT(r, struct fuse_init_out)->major, FUSE_KERNEL_VERSION);
	assert_int_equal(fuse_rig_name(r, FUSE_LOOKUP, ROOT, "file"), -EIO);
	in = (struct fuse_init_in){ .major = FUSE_KERNEL_VERSION, .minor = 30 };
	assert_int_equal(fuse_rig_call(r, FUSE_INIT, 0, &in, sizeof(in), NULL, 0), -EPROTO);
	assert_int_equal(fuse_rig_init(r, UINT32_MAX & ~(uint32_t)FUSE_INIT_EXT), 0);
	assert_int_equal(FUSE_RIG_OUT(r, struct fuse_init_out)->max_write, FUSE_MAX_IO);
	/* What was not offered is not agreed. */
	assert_false(FUSE_RIG_OUT(r, struct fuse_init_out)->flags &
		(FUSE_WRITEBACK_CACHE | FUSE_EXPORT_SUPPORT | FUSE_POSIX_LOCKS));
	assert_true(FUSE_RIG_OUT(r, struct fuse_init_out)->flags & FUSE_AUTO_INVAL_DATA);
	assert_int_equal(fuse_rig_name(r, FUSE_LOOKUP, ROOT, "file"), 0);
	/* Nor what was not asked for. */
	assert_int_equal(fuse_rig_init(r, 0), 0);
	assert_int_equal(FUSE_RIG_OUT(r, struct fuse_init_out)->flags, 0);
}

static void names_are_found_with_what_they_are(void **state)
{
	struct fuse_rig *r = *state;
	const struct fuse_entry_out *e;
	struct fuse_getattr_in in = { 0 };
	uint64_t node;

	assert_int_equal(fuse_rig_name(r, FUSE_LOOKUP, ROOT, "file"), 0);
	e = FUSE_RIG_OUT(r, struct fuse_entry_out);
	assert_int_equal(e->attr.size, 6);
	assert_int_equal(e->attr.mode, S_IFREG | 0644);
	assert_int_equal(e->attr_valid, 5);
	node = e->nodeid;
	assert_int_equal(fuse_rig_call(r, FUSE_GETATTR, node, &in, sizeof(in), NULL, 0), 0);
	assert_int_equal(FUSE_RIG_OUT(r, struct fuse_attr_out)->attr.size, 6);
	assert_int_equal(fuse_rig_name(r, FUSE_LOOKUP, ROOT, "none"), -ENOENT);
	assert_int_equal(fuse_rig_name(r, FUSE_LOOKUP, ROOT, ".."), -EINVAL);
	assert_int_equal(fuse_rig_name(r, FUSE_LOOKUP, ROOT, "dir/f"), -EINVAL);
	assert_int_equal(fuse_rig_name(r, FUSE_LOOKUP, node, "f"), -ENOTDIR);
	assert_int_equal(fuse_rig_name(r, FUSE_LOOKUP, 12345, "file"), -ESTALE);
}

static void a_missing_name_holds_when_asked(void **state)
{
	struct fuse_rig *r = *state;
	struct fuse_config cfg = fuse_rig_config(r);

	cfg.negative_timeout_s = 3;
	fuse_rig_create(r, &cfg);
	assert_int_equal(fuse_rig_init(r, 0), 0);
	assert_int_equal(fuse_rig_name(r, FUSE_LOOKUP, ROOT, "none"), 0);
	assert_int_equal(FUSE_RIG_OUT(r, struct fuse_entry_out)->nodeid, 0);
	assert_int_equal(FUSE_RIG_OUT(r, struct fuse_entry_out)->entry_valid, 3);
}

static void contents_come_and_go_in_buffers_of_any_cut(void **state)
{
	struct fuse_rig *r = *state;
	uint64_t node = fuse_rig_find(r, ROOT, "file"), fh = 0;
	static char data[5000];

	memset(data, 'x', sizeof(data));
	assert_int_equal(fuse_rig_open_file(r, FUSE_OPEN, node, O_RDWR, &fh), 0);
	for (size_t cut = 0; cut <= 7; cut += 7) {
		r->cut = cut;
		r->room = 6000;
		assert_int_equal(
			fuse_rig_write(r, node, fh, 3, sizeof(data), data, sizeof(data)), 0);
		assert_int_equal(FUSE_RIG_OUT(r, struct fuse_write_out)->size, sizeof(data));
		assert_int_equal(fuse_rig_read(r, FUSE_READ, node, fh, 0, 5999), 0);
		assert_int_equal(r->out_len, sizeof(data) + 3);
		assert_memory_equal(r->out, "ins", 3);
		assert_memory_equal(r->out + 3, data, sizeof(data));
		/* No more than there is room for, or was asked for. */
		r->room = sizeof(struct fuse_out_header) + 10;
		assert_int_equal(fuse_rig_read(r, FUSE_READ, node, fh, 0, UINT32_MAX), 0);
		assert_int_equal(r->out_len, 10);
		assert_int_equal(fuse_rig_read(r, FUSE_READ, node, fh, 0, 2), 0);
		assert_int_equal(r->out_len, 2);
	}
	r->cut = 0;
	r->room = FUSE_RIG_ROOM;
	assert_int_equal(fuse_rig_read(r, FUSE_READ, node, fh, 100000, 100), 0);
	assert_int_equal(r->out_len, 0);
}

static void contents_that_are_not_there_are_not_taken(void **state)
{
	struct fuse_rig *r = *state;
	uint64_t node = fuse_rig_find(r, ROOT, "file"), dir = fuse_rig_find(r, ROOT, "dir");
	uint64_t fh = 0, dh = 0, big = (uint64_t)INT64_MAX + 1;

	assert_int_equal(fuse_rig_open_file(r, FUSE_OPEN, node, O_RDWR, &fh), 0);
	assert_int_equal(fuse_rig_open_file(r, FUSE_OPENDIR, dir, 0, &dh), 0);
	assert_int_equal(fuse_rig_write(r, node, fh, 0, 11, "0123456789", 10), -EINVAL);
	assert_int_equal(fuse_rig_write(r, node, fh, 0, UINT32_MAX, "0123456789", 10), -EINVAL);
	assert_int_equal(fuse_rig_write(r, node, fh, big, 1, "x", 1), -EINVAL);
	assert_int_equal(fuse_rig_read(r, FUSE_READ, node, fh, big, 1), -EINVAL);
	assert_int_equal(fuse_rig_read(r, FUSE_READDIR, dir, dh, big, 100), -EINVAL);
	/* Files and directories are not taken for each other, nor other numbers for theirs. */
	assert_int_equal(fuse_rig_read(r, FUSE_READ, dir, dh, 0, 1), -EBADF);
	assert_int_equal(fuse_rig_read(r, FUSE_READDIR, node, fh, 0, 100), -EBADF);
	assert_int_equal(fuse_rig_read(r, FUSE_READ, node, fh + 100, 0, 1), -EBADF);
	assert_int_equal(fuse_rig_read(r, FUSE_READ, node, 0, 0, 1), -EBADF);
	assert_int_equal(fuse_rig_read(r, FUSE_READ, node, UINT64_MAX, 0, 1), -EBADF);
	assert_int_equal(fuse_rig_open_file(r, FUSE_OPEN, dir, O_RDONLY, &fh), -EISDIR);
	assert_int_equal(fuse_rig_open_file(r, FUSE_OPENDIR, node, 0, &fh), -ENOTDIR);
	assert_true(share_has(&r->s, "in/file", "inside"));
}

static void a_closed_file_is_closed(void **state)
{
	struct fuse_rig *r = *state;
	uint64_t node = fuse_rig_find(r, ROOT, "file"), fh[FUSE_RIG_HANDLES], more = 0;
	struct fuse_release_in in = { 0 };

	for (unsigned i = 0; i < FUSE_RIG_HANDLES; i++)
		assert_int_equal(fuse_rig_open_file(r, FUSE_OPEN, node, O_RDONLY, &fh[i]), 0);
	assert_int_equal(fuse_rig_open_file(r, FUSE_OPEN, node, O_RDONLY, &more), -ENFILE);
	assert_int_equal(fuse_rig_open_file(r, FUSE_OPENDIR, ROOT, 0, &more), -ENFILE);
	in.fh = fh[3];
	assert_int_equal(fuse_rig_call(r, FUSE_RELEASE, node, &in, sizeof(in), NULL, 0), 0);
	assert_int_equal(fuse_rig_read(r, FUSE_READ, node, fh[3], 0, 1), -EBADF);
	assert_int_equal(fuse_rig_open_file(r, FUSE_OPEN, node, O_RDONLY, &more), 0);
	assert_true(more != fh[3]);
	assert_int_equal(fuse_rig_read(r, FUSE_READ, node, fh[3], 0, 1), -EBADF);
	assert_int_equal(fuse_rig_read(r, FUSE_READ, node, more, 0, 1), 0);
	/* So are all, when the session ends. */
	assert_int_equal(fuse_rig_call(r, FUSE_DESTROY, 0, NULL, 0, NULL, 0), 0);
	assert_int_equal(fuse_rig_init(r, 0), 0);
	assert_int_equal(fuse_rig_read(r, FUSE_READ, node, more, 0, 1), -EBADF);
	assert_int_equal(fuse_rig_name(r, FUSE_LOOKUP, node, "x"), -ESTALE);
}

static void what_has_no_room_to_be_told_is_taken_back(void **state)
{
	struct fuse_rig *r = *state;
	struct fuse_create_in make = { .flags = O_RDWR | O_CREAT, .mode = S_IFREG | 0644 };
	uint64_t fh = 0, node;

	r->room = sizeof(struct fuse_out_header) + sizeof(struct fuse_entry_out) - 1;
	assert_int_equal(fuse_rig_name(r, FUSE_LOOKUP, ROOT, "dir"), -EIO);
	assert_int_equal(fuse_rig_call(r, FUSE_CREATE, ROOT, &make, sizeof(make), "new", 4), -EIO);
	r->room = sizeof(struct fuse_out_header) + sizeof(struct fuse_open_out) - 1;
	assert_int_equal(fuse_rig_open_file(r, FUSE_OPENDIR, ROOT, 0, &fh), -EIO);
	r->room = FUSE_RIG_ROOM;
	/* All handles are free, and all nodes but the root are. */
	node = fuse_rig_find(r, ROOT, "file");
	assert_int_equal((uint32_t)node, 2);
	for (unsigned i = 0; i < FUSE_RIG_HANDLES; i++)
		assert_int_equal(fuse_rig_open_file(r, FUSE_OPEN, node, O_RDONLY, &fh), 0);
}

/** Whether the answer, of READDIR or READDIRPLUS, has the name; counts entries. */
static bool listed(struct fuse_rig *r, bool plus, const char *name, uint64_t *last, unsigned *nr,
	uint64_t *node)
{
	size_t head = plus ? sizeof(struct fuse_entry_out) : 0;
	bool found = false;

	for (size_t at = 0; at < r->out_len;) {
		const struct fuse_dirent *d = (const void *)(r->out + at + head);

		assert_true(at + head + FUSE_NAME_OFFSET + d->namelen <= r->out_len);
		if (d->namelen == strlen(name) && !memcmp(d->name, name, d->namelen)) {
			found = true;
			if (plus)
				*node = ((const struct fuse_entry_out *)(const void *)(r->out + at))
						->nodeid;
		}
		*last = d->off;
		(*nr)++;
		at += FUSE_DIRENT_ALIGN(head + FUSE_NAME_OFFSET + d->namelen);
	}
	return found;
}

static void directories_are_read_in_steps_of_any_size(void **state)
{
	struct fuse_rig *r = *state;
	char name[64];
	uint64_t fh = 0;

	for (unsigned i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "in/dir/%.*s%u", (int)(i % 40),
			"a-name-that-is-longer-than-all-the-others", i);
		share_put(&r->s, name, "");
	}
	assert_int_equal(
		fuse_rig_open_file(r, FUSE_OPENDIR, fuse_rig_find(r, ROOT, "dir"), 0, &fh), 0);
	for (uint32_t size = 500; size <= 32768; size = size * 3 + 7) {
		uint64_t at = 0, node = 0;
		unsigned nr = 0, found = 0;

		do {
			assert_int_equal(fuse_rig_read(r, FUSE_READDIR,
						 fuse_rig_find(r, ROOT, "dir"), fh, at, size),
				0);
			assert_true(r->out_len <= size);
			found += listed(r, false, "f", &at, &nr, &node);
		} while (r->out_len);
		assert_int_equal(nr, 203);
		assert_int_equal(found, 1);
	}
	/* Less room than an entry needs is no end. */
	assert_int_equal(
		fuse_rig_read(r, FUSE_READDIR, fuse_rig_find(r, ROOT, "dir"), fh, 0, 8), -EINVAL);
}

static void entries_with_nodes_are_references(void **state)
{
	struct fuse_rig *r = *state;
	uint64_t fh = 0, at = 0, node = 0, dot = 99;
	struct fuse_forget_in forget = { .nlookup = 1 };
	struct fuse_getattr_in get = { 0 };
	unsigned nr = 0;

	assert_int_equal(fuse_rig_open_file(r, FUSE_OPENDIR, ROOT, 0, &fh), 0);
	assert_int_equal(fuse_rig_read(r, FUSE_READDIRPLUS, ROOT, fh, 0, 4096), 0);
	assert_true(listed(r, true, "file", &at, &nr, &node));
	assert_int_equal(nr, 5);
	assert_true(listed(r, true, "..", &at, &nr, &dot));
	assert_int_equal(dot, 0);
	assert_int_equal(fuse_rig_call(r, FUSE_GETATTR, node, &get, sizeof(get), NULL, 0), 0);
	assert_int_equal(fuse_rig_call(r, FUSE_FORGET, node, &forget, sizeof(forget), NULL, 0), 0);
	assert_int_equal(fuse_rig_call(r, FUSE_GETATTR, node, &get, sizeof(get), NULL, 0), -ESTALE);
}

static void the_parent_of_what_is_shared_is_not_told(void **state)
{
	struct fuse_rig *r = *state;
	struct stat st;
	uint64_t fh = 0;

	assert_int_equal(fstat(r->s.top_fd, &st), 0);
	assert_int_equal(fuse_rig_open_file(r, FUSE_OPENDIR, ROOT, 0, &fh), 0);
	assert_int_equal(fuse_rig_read(r, FUSE_READDIR, ROOT, fh, 0, 4096), 0);
	for (size_t at = 0; at < r->out_len;) {
		const struct fuse_dirent *d = (const void *)(r->out + at);

		assert_true(d->ino != st.st_ino);
		at += FUSE_DIRENT_SIZE(d);
	}
}

static void references_are_given_back_as_far_as_there_are_any(void **state)
{
	struct fuse_rig *r = *state;
	uint64_t file = fuse_rig_find(r, ROOT, "file"), dir = fuse_rig_find(r, ROOT, "dir");
	struct fuse_batch_forget_in in = { .count = UINT32_MAX };
	struct fuse_forget_one one[] = { { file, UINT64_MAX }, { 77, 1 }, { ROOT, UINT64_MAX },
		{ dir, 0 } };
	struct fuse_getattr_in get = { 0 };

	assert_int_equal(
		fuse_rig_call(r, FUSE_BATCH_FORGET, 0, &in, sizeof(in), one, sizeof(one)), 0);
	assert_int_equal(fuse_rig_call(r, FUSE_GETATTR, file, &get, sizeof(get), NULL, 0), -ESTALE);
	assert_int_equal(fuse_rig_call(r, FUSE_GETATTR, dir, &get, sizeof(get), NULL, 0), 0);
	assert_int_equal(fuse_rig_call(r, FUSE_GETATTR, ROOT, &get, sizeof(get), NULL, 0), 0);
}

static void files_are_copied_filled_and_searched_for_holes(void **state)
{
	struct fuse_rig *r = *state;
	uint64_t node = fuse_rig_find(r, ROOT, "file"), fh = 0;
	struct fuse_copy_file_range_in copy = { .off_out = 6, .len = UINT64_MAX };
	struct fuse_fallocate_in fill = { .length = 100, .mode = 0x80 };
	struct fuse_lseek_in seek = { .whence = SEEK_END };
	int able = 0;
	fd_auto int fd = openat(r->s.top_fd, "outside/f", O_RDWR | O_CLOEXEC);

	/* Some file systems, ext2 for one, cannot fill a file. */
	if (fallocate(fd, 0, 0, 100))
		able = -errno;
	assert_int_equal(fuse_rig_open_file(r, FUSE_OPEN, node, O_RDWR, &fh), 0);
	copy.fh_in = copy.fh_out = fill.fh = seek.fh = fh;
	/* The same file's ranges overlap, as far as the request goes. */
	copy.off_in = 2;
	copy.len = 3;
	assert_int_equal(
		fuse_rig_call(r, FUSE_COPY_FILE_RANGE, node, &copy, sizeof(copy), NULL, 0), 0);
	assert_int_equal(FUSE_RIG_OUT(r, struct fuse_write_out)->size, 3);
	assert_true(share_has(&r->s, "in/file", "insidesid"));
	copy.off_out = (uint64_t)INT64_MAX + 1;
	assert_int_equal(fuse_rig_call(r, FUSE_COPY_FILE_RANGE, node, &copy, sizeof(copy), NULL, 0),
		-EINVAL);
	assert_int_equal(
		fuse_rig_call(r, FUSE_FALLOCATE, node, &fill, sizeof(fill), NULL, 0), -EOPNOTSUPP);
	fill.mode = 0;
	assert_int_equal(
		fuse_rig_call(r, FUSE_FALLOCATE, node, &fill, sizeof(fill), NULL, 0), able);
	fill.offset = UINT64_MAX;
	assert_int_equal(
		fuse_rig_call(r, FUSE_FALLOCATE, node, &fill, sizeof(fill), NULL, 0), -EINVAL);
	assert_int_equal(fuse_rig_call(r, FUSE_LSEEK, node, &seek, sizeof(seek), NULL, 0), -EINVAL);
	seek.whence = SEEK_HOLE;
	assert_int_equal(fuse_rig_call(r, FUSE_LSEEK, node, &seek, sizeof(seek), NULL, 0), 0);
	assert_int_equal(
		FUSE_RIG_OUT(r, struct fuse_lseek_out)->offset, able ? strlen("insidesid") : 100);
}

static void values_are_as_long_as_they_are(void **state)
{
	struct fuse_rig *r = *state;
	uint64_t node = fuse_rig_find(r, ROOT, "file");
	struct {
		uint32_t size, flags;
	} set = { .size = 9 };
	struct fuse_getxattr_in get = { .size = UINT32_MAX };
	static const char text[] = "user.a\0valuevalue";
	int rc;

	/* Longer than the request is, wild flags, no end of the name. */
	assert_int_equal(
		fuse_rig_call(r, FUSE_SETXATTR, node, &set, sizeof(set), text, 7 + 8), -EINVAL);
	set.size = UINT32_MAX;
	assert_int_equal(
		fuse_rig_call(r, FUSE_SETXATTR, node, &set, sizeof(set), text, 7 + 8), -EINVAL);
	set.size = 5;
	set.flags = 4;
	assert_int_equal(
		fuse_rig_call(r, FUSE_SETXATTR, node, &set, sizeof(set), text, 7 + 5), -EINVAL);
	set.flags = 0;
	assert_int_equal(
		fuse_rig_call(r, FUSE_SETXATTR, node, &set, sizeof(set), text, 6), -EINVAL);
	rc = fuse_rig_call(r, FUSE_SETXATTR, node, &set, sizeof(set), text, 7 + 5);
	if (rc == -EOPNOTSUPP)
		skip(); /* the host's /tmp has none */
	assert_int_equal(rc, 0);
	assert_int_equal(fuse_rig_call(r, FUSE_GETXATTR, node, &get, sizeof(get), "user.a", 7), 0);
	assert_int_equal(r->out_len, 5);
	assert_memory_equal(r->out, "value", 5);
	get.size = 0;
	assert_int_equal(fuse_rig_call(r, FUSE_GETXATTR, node, &get, sizeof(get), "user.a", 7), 0);
	assert_int_equal(FUSE_RIG_OUT(r, struct fuse_getxattr_out)->size, 5);
	assert_int_equal(fuse_rig_call(r, FUSE_LISTXATTR, node, &get, sizeof(get), NULL, 0), 0);
	assert_int_equal(FUSE_RIG_OUT(r, struct fuse_getxattr_out)->size, 7);
	assert_int_equal(fuse_rig_name(r, FUSE_REMOVEXATTR, node, "user.a"), 0);
	assert_int_equal(
		fuse_rig_call(r, FUSE_GETXATTR, node, &get, sizeof(get), "user.a", 7), -ENODATA);
}

static void a_longer_struct_is_read_when_it_was_agreed(void **state)
{
	struct fuse_rig *r = *state;
	struct fuse_config cfg = fuse_rig_config(r);
	struct fuse_setxattr_in set = { .size = 28, .setxattr_flags = FUSE_SETXATTR_ACL_KILL_SGID };
	struct fuse_setattr_in mode = { .valid = FATTR_MODE, .mode = 02755 };
	/* u::rwx,g::rwx,o::---, of a directory that has no other. */
	static const char text[] = "system.posix_acl_access\0\2\0\0\0"
				   "\1\0\7\0\377\377\377\377\4\0\7\0\377\377\377\377"
				   "\40\0\0\0\377\377\377\377";
	uint32_t agreed;
	uint64_t dir;

	assert_int_equal(fuse_rig_init(r, FUSE_POSIX_ACL | FUSE_SETXATTR_EXT), 0);
	agreed = FUSE_RIG_OUT(r, struct fuse_init_out)->flags;
	if (!agreed)
		skip(); /* the host's /tmp has none */
	assert_int_equal(agreed, FUSE_POSIX_ACL | FUSE_SETXATTR_EXT);
	dir = fuse_rig_find(r, ROOT, "dir");
	assert_int_equal(fuse_rig_call(r, FUSE_SETATTR, dir, &mode, sizeof(mode), NULL, 0), 0);
	for (size_t len = 0; len < sizeof(set) - FUSE_COMPAT_SETXATTR_IN_SIZE; len++)
		assert_int_equal(fuse_rig_call(r, FUSE_SETXATTR, dir, &set,
					 FUSE_COMPAT_SETXATTR_IN_SIZE + len, NULL, 0),
			-EINVAL);
	assert_int_equal(
		fuse_rig_call(r, FUSE_SETXATTR, dir, &set, sizeof(set), text, 24 + 27), -EINVAL);
	assert_int_equal(fuse_rig_call(r, FUSE_SETXATTR, dir, &set, sizeof(set), text, 24 + 28), 0);
	assert_int_equal(fuse_rig_find(r, ROOT, "dir"), dir);
	assert_int_equal(FUSE_RIG_OUT(r, struct fuse_entry_out)->attr.mode, S_IFDIR | 0770);
	/* Who did not agree has the short one. */
	assert_int_equal(fuse_rig_init(r, 0), 0);
	dir = fuse_rig_find(r, ROOT, "dir");
	assert_int_equal(fuse_rig_call(r, FUSE_SETXATTR, dir, &set, FUSE_COMPAT_SETXATTR_IN_SIZE,
				 text, 24 + 28),
		0);
	cfg.tree.acl = false;
	fuse_rig_create(r, &cfg);
	assert_int_equal(fuse_rig_init(r, FUSE_POSIX_ACL | FUSE_SETXATTR_EXT), 0);
	assert_int_equal(FUSE_RIG_OUT(r, struct fuse_init_out)->flags, 0);
}

static void names_are_made_and_moved(void **state)
{
	struct fuse_rig *r = *state;
	struct fuse_mkdir_in dir = { .mode = 0777, .umask = 022 };
	struct fuse_mknod_in node = { .mode = S_IFREG | 0666, .umask = 022 };
	struct fuse_link_in old = { .oldnodeid = fuse_rig_find(r, ROOT, "file") };
	struct fuse_rename2_in move = { .newdir = fuse_rig_find(r, ROOT, "dir"), .flags = 8 };

	assert_int_equal(fuse_rig_call(r, FUSE_MKDIR, ROOT, &dir, sizeof(dir), "d", 2), 0);
	assert_int_equal(FUSE_RIG_OUT(r, struct fuse_entry_out)->attr.mode, S_IFDIR | 0755);
	assert_int_equal(fuse_rig_call(r, FUSE_MKNOD, ROOT, &node, sizeof(node), "n", 2), 0);
	assert_int_equal(FUSE_RIG_OUT(r, struct fuse_entry_out)->attr.mode, S_IFREG | 0644);
	assert_int_equal(fuse_rig_call(r, FUSE_SYMLINK, ROOT, NULL, 0, "s\0../outside", 13), 0);
	assert_int_equal(
		fuse_rig_call(r, FUSE_READLINK, fuse_rig_find(r, ROOT, "s"), NULL, 0, NULL, 0), 0);
	assert_int_equal(r->out_len, 10);
	assert_memory_equal(r->out, "../outside", 10);
	/* The second name of a pair is as good as none without its end. */
	assert_int_equal(fuse_rig_call(r, FUSE_SYMLINK, ROOT, NULL, 0, "s2\0x", 4), -EINVAL);
	assert_int_equal(fuse_rig_call(r, FUSE_LINK, ROOT, &old, sizeof(old), "hard", 5), 0);
	assert_int_equal(FUSE_RIG_OUT(r, struct fuse_entry_out)->nodeid, old.oldnodeid);
	assert_int_equal(FUSE_RIG_OUT(r, struct fuse_entry_out)->attr.nlink, 2);
	old.oldnodeid = 12345;
	assert_int_equal(fuse_rig_call(r, FUSE_LINK, ROOT, &old, sizeof(old), "h2", 3), -ESTALE);
	assert_int_equal(
		fuse_rig_call(r, FUSE_RENAME2, ROOT, &move, sizeof(move), "hard\0h", 7), -EINVAL);
	move.flags = 0;
	assert_int_equal(
		fuse_rig_call(r, FUSE_RENAME2, ROOT, &move, sizeof(move), "hard\0h", 7), 0);
	assert_true(share_has(&r->s, "in/dir/h", "inside"));
	assert_int_equal(
		fuse_rig_call(r, FUSE_RENAME, ROOT, &move.newdir, 8, "n\0../m", 7), -EINVAL);
	move.newdir = 12345;
	assert_int_equal(fuse_rig_call(r, FUSE_RENAME, ROOT, &move.newdir, 8, "n\0m", 4), -ESTALE);
	assert_int_equal(fuse_rig_name(r, FUSE_UNLINK, ROOT, "n"), 0);
	assert_int_equal(fuse_rig_name(r, FUSE_RMDIR, ROOT, "d"), 0);
	assert_int_equal(fuse_rig_name(r, FUSE_RMDIR, ROOT, "d"), -ENOENT);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, fuse_rig_setup, fuse_rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_session_is_agreed_first),
		T(names_are_found_with_what_they_are),
		T(a_missing_name_holds_when_asked),
		T(contents_come_and_go_in_buffers_of_any_cut),
		T(contents_that_are_not_there_are_not_taken),
		T(a_closed_file_is_closed),
		T(what_has_no_room_to_be_told_is_taken_back),
		T(directories_are_read_in_steps_of_any_size),
		T(entries_with_nodes_are_references),
		T(the_parent_of_what_is_shared_is_not_told),
		T(references_are_given_back_as_far_as_there_are_any),
		T(files_are_copied_filled_and_searched_for_holes),
		T(values_are_as_long_as_they_are),
		T(a_longer_struct_is_read_when_it_was_agreed),
		T(names_are_made_and_moved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
