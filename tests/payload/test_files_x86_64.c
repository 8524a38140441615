// SPDX-License-Identifier: BSD-3-Clause
/*
 * `mayfly device fs` in its jail, with its policy of system calls: each kind of request that makes
 * calls of its own, once. What they mean is tested in tests/unit/test_share_*.c. It needs no KVM.
 */
#include "tests/payload/device_rig.h"

#include <errno.h>
#include <linux/fuse.h>

#include "tests/unit/share_rig.h"
#include "virtio/fs.h"

#define REQUEST 0x100000ULL
#define ANSWER  0x200000ULL
#define ROOM    0x10000U

enum { HIPRIO_QUEUE, REQUEST_QUEUE };

static struct share share;
static char keys[160];

/** A request, and its answer's error. What follows the answer's header is at answer(). */
static int ask(struct device *d, uint32_t opcode, uint64_t node, const void *arg, size_t arg_len,
	const void *rest, size_t rest_len)
{
	struct fuse_in_header h = { .len = (uint32_t)(sizeof(h) + arg_len + rest_len),
		.opcode = opcode,
		.unique = opcode,
		.nodeid = node };
	struct rd_buf buf[] = { { REQUEST, h.len, false }, { ANSWER, ROOM, true } };
	uint8_t *at = rd_at(&d->rd[REQUEST_QUEUE], REQUEST, h.len);
	struct fuse_out_header out;

	memcpy(at, &h, sizeof(h));
	if (arg_len)
		memcpy(at + sizeof(h), arg, arg_len);
	if (rest_len)
		memcpy(at + sizeof(h) + arg_len, rest, rest_len);
	rd_add(&d->rd[REQUEST_QUEUE], buf, 2);
	assert_true(used(d, REQUEST_QUEUE) >= sizeof(out));
	memcpy(&out, rd_at(&d->rd[REQUEST_QUEUE], ANSWER, sizeof(out)), sizeof(out));
	assert_int_equal(out.unique, opcode);
	return out.error;
}

static const void *answer(const struct device *d)
{
	return (const uint8_t *)rd_at(&d->rd[REQUEST_QUEUE], ANSWER, ROOM) +
		sizeof(struct fuse_out_header);
}

static int ask_name(struct device *d, uint32_t opcode, uint64_t node, const char *name)
{
	return ask(d, opcode, node, NULL, 0, name, strlen(name) + 1);
}

static uint64_t find(struct device *d, const char *name)
{
	assert_int_equal(ask_name(d, FUSE_LOOKUP, FUSE_ROOT_ID, name), 0);
	return ((const struct fuse_entry_out *)answer(d))->nodeid;
}

static void begin(struct device *d)
{
	struct fuse_init_in in = { .major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION };

	snprintf(keys, sizeof(keys), "%s/in:tag:type=fs", share.top);
	launch(d, "fs", keys, -1);
	connect_to(d, &virtio_fs_class);
	assert_int_equal(ask(d, FUSE_INIT, 0, &in, sizeof(in), NULL, 0), 0);
}

static void names(void **state)
{
	struct device *d = *state;
	struct fuse_mkdir_in dir = { .mode = 0755 };
	struct fuse_mknod_in node = { .mode = S_IFREG | 0644 };
	struct fuse_link_in old;
	struct fuse_rename2_in move = { .newdir = FUSE_ROOT_ID, .flags = RENAME_NOREPLACE };
	struct fuse_create_in tmp = { .flags = O_RDWR, .mode = S_IFREG | 0600 };
	static const mode_t types[] = { S_IFREG, S_IFIFO, S_IFSOCK };

	begin(d);
	old.oldnodeid = find(d, "file");
	assert_int_equal(ask(d, FUSE_MKDIR, FUSE_ROOT_ID, &dir, sizeof(dir), "d", 2), 0);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		node.mode = types[i] | 0644;
		assert_int_equal(ask(d, FUSE_MKNOD, FUSE_ROOT_ID, &node, sizeof(node), "n", 2), 0);
		assert_int_equal(ask_name(d, FUSE_UNLINK, FUSE_ROOT_ID, "n"), 0);
	}
	assert_int_equal(ask(d, FUSE_SYMLINK, FUSE_ROOT_ID, NULL, 0, "s\0to", 5), 0);
	assert_int_equal(ask(d, FUSE_READLINK, find(d, "s"), NULL, 0, NULL, 0), 0);
	assert_memory_equal(answer(d), "to", 2);
	assert_int_equal(ask(d, FUSE_LINK, FUSE_ROOT_ID, &old, sizeof(old), "hard", 5), 0);
	assert_int_equal(ask(d, FUSE_RENAME2, FUSE_ROOT_ID, &move, sizeof(move), "hard\0h", 7), 0);
	assert_int_equal(ask_name(d, FUSE_UNLINK, FUSE_ROOT_ID, "h"), 0);
	assert_int_equal(ask_name(d, FUSE_RMDIR, FUSE_ROOT_ID, "d"), 0);
	assert_int_equal(ask(d, FUSE_TMPFILE, FUSE_ROOT_ID, &tmp, sizeof(tmp), "", 1), 0);
	/* Nothing of the host's root can be named, nor does any name lead there. */
	assert_int_equal(ask_name(d, FUSE_LOOKUP, FUSE_ROOT_ID, ".."), -EINVAL);
	assert_int_equal(ask_name(d, FUSE_LOOKUP, find(d, "out"), "f"), -ENOTDIR);
	end_is_good(d);
}

static void attributes(void **state)
{
	struct device *d = *state;
	struct fuse_getattr_in get = { 0 };
	struct fuse_setattr_in set = { .valid = FATTR_MODE | FATTR_SIZE | FATTR_MTIME,
		.mode = 0600,
		.size = 3,
		.mtime = 1000 };
	struct {
		uint32_t size, flags;
	} value = { .size = 1 };
	struct fuse_getxattr_in size = { .size = 100 };
	uint64_t file;

	begin(d);
	file = find(d, "file");
	assert_int_equal(ask(d, FUSE_SETATTR, file, &set, sizeof(set), NULL, 0), 0);
	assert_int_equal(ask(d, FUSE_GETATTR, file, &get, sizeof(get), NULL, 0), 0);
	assert_int_equal(((const struct fuse_attr_out *)answer(d))->attr.mtime, 1000);
	assert_int_equal(ask(d, FUSE_STATFS, file, NULL, 0, NULL, 0), 0);
	/* The host's /tmp may have none: the calls are made all the same. */
	(void)!ask(d, FUSE_SETXATTR, file, &value, sizeof(value), "user.a\0b", 8);
	(void)!ask(d, FUSE_GETXATTR, file, &size, sizeof(size), "user.a", 7);
	(void)!ask(d, FUSE_LISTXATTR, file, &size, sizeof(size), NULL, 0);
	(void)!ask_name(d, FUSE_REMOVEXATTR, file, "user.a");
	end_is_good(d);
}

static void contents(void **state)
{
	struct device *d = *state;
	struct fuse_open_in open_in = { .flags = O_RDWR };
	struct fuse_write_in put = { .size = 4 };
	struct fuse_read_in get = { .size = 100 };
	struct fuse_fsync_in sync = { 0 };
	struct fuse_fallocate_in fill = { .length = 100 };
	struct fuse_lseek_in seek = { .whence = SEEK_HOLE };
	struct fuse_copy_file_range_in copy = { .off_out = 200, .len = 4 };
	struct fuse_release_in done = { 0 };
	uint64_t file, fh;

	begin(d);
	file = find(d, "file");
	assert_int_equal(ask(d, FUSE_OPEN, file, &open_in, sizeof(open_in), NULL, 0), 0);
	fh = ((const struct fuse_open_out *)answer(d))->fh;
	put.fh = get.fh = sync.fh = fill.fh = seek.fh = copy.fh_in = copy.fh_out = done.fh = fh;
	copy.nodeid_out = file;
	assert_int_equal(ask(d, FUSE_WRITE, file, &put, sizeof(put), "data", 4), 0);
	assert_int_equal(ask(d, FUSE_READ, file, &get, sizeof(get), NULL, 0), 0);
	assert_memory_equal(answer(d), "data", 4);
	assert_int_equal(ask(d, FUSE_FSYNC, file, &sync, sizeof(sync), NULL, 0), 0);
	sync.fsync_flags = FUSE_FSYNC_FDATASYNC;
	assert_int_equal(ask(d, FUSE_FSYNC, file, &sync, sizeof(sync), NULL, 0), 0);
	assert_int_equal(ask(d, FUSE_FALLOCATE, file, &fill, sizeof(fill), NULL, 0), 0);
	assert_int_equal(ask(d, FUSE_LSEEK, file, &seek, sizeof(seek), NULL, 0), 0);
	assert_int_equal(ask(d, FUSE_COPY_FILE_RANGE, file, &copy, sizeof(copy), NULL, 0), 0);
	assert_int_equal(ask(d, FUSE_RELEASE, file, &done, sizeof(done), NULL, 0), 0);
	open_in.flags = 0;
	assert_int_equal(ask(d, FUSE_OPENDIR, FUSE_ROOT_ID, &open_in, sizeof(open_in), NULL, 0), 0);
	get.fh = ((const struct fuse_open_out *)answer(d))->fh;
	get.size = 4096;
	assert_int_equal(ask(d, FUSE_READDIRPLUS, FUSE_ROOT_ID, &get, sizeof(get), NULL, 0), 0);
	end_is_good(d);
}

static int make_share(void **state __unused)
{
	share_open(&share);
	return 0;
}

static int drop_share(void **state __unused)
{
	share_close(&share);
	return 0;
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(names),
		T(attributes),
		T(contents),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, make_share, drop_share);
}
