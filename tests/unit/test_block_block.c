// SPDX-License-Identifier: BSD-3-Clause
/*
 * block/block.c with either executor: what ends up in the file, what a guest of the image is
 * told when the host fails, and what cannot be opened.
 */
#include "tests/unit/block_rig.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "base/fd.h"
#include "block/impl.h"

#define IMAGE (1 * MIB)

static const struct block_config plain_config = {
	.sparse = true,
	.block_size = 512,
	.executor = BLOCK_EXEC_PLAIN,
	.depth = 4,
};

typedef void (*variant_test)(struct block_rig *r);

static void with_every_variant(variant_test fn)
{
	for (size_t i = 0; i < ARRAY_SIZE(block_variants); i++) {
		struct block_rig r;

		if (block_rig_init(&r, &block_variants[i], IMAGE))
			fn(&r);
		block_rig_fini(&r);
	}
}

/** Cuts buf into iovecs of random lengths, aligned where step is 512. */
static unsigned cut(struct block_rig *r, uint8_t *buf, size_t len, size_t step, struct iovec *iov)
{
	unsigned n = 0;

	while (len) {
		size_t part = step * (1 + block_rig_rand(r, (uint32_t)(40000 / step)));

		part = MIN(part, len);
		if (n == 63)
			part = len;
		iov[n++] = (struct iovec){ buf, part };
		buf += part;
		len -= part;
	}
	return n;
}

static void one_random_request(struct block_rig *r, uint8_t *mem)
{
	struct iovec iov[64];
	uint64_t off = 512 * (uint64_t)block_rig_rand(r, IMAGE / 512);
	uint64_t len = 512 * (1 + (uint64_t)block_rig_rand(r, 600));
	bool odd = block_rig_rand(r, 2);
	uint8_t *buf = mem + (odd ? block_rig_rand(r, 512) : 0);
	struct block_req req = { .off = off, .iov = iov };

	req.len = len = MIN(len, IMAGE - off);
	req.nr_iov = cut(r, buf, len, odd ? 1 : 512, iov);
	req.op = (enum block_op)block_rig_rand(r, 5);
	req.unmap = block_rig_rand(r, 2);
	if (req.op == BLOCK_WRITE) {
		memset(buf, (int)block_rig_rand(r, 256), len);
		for (size_t i = 0; i < len; i += 100)
			buf[i] = (uint8_t)block_rig_rand(r, 256);
		memcpy(r->shadow + off, buf, len);
	} else if (req.op == BLOCK_DISCARD || req.op == BLOCK_WRITE_ZEROES) {
		memset(r->shadow + off, 0, len);
	}
	assert_int_equal(block_rig_run(r, req, NULL), 0);
	if (req.op == BLOCK_READ)
		assert_memory_equal(buf, r->shadow + off, len);
}

static void shadowed(struct block_rig *r)
{
	uint8_t *mem = aligned_alloc(4096, IMAGE + 4096);

	assert_non_null(mem);
	for (unsigned i = 0; i < 400; i++)
		one_random_request(r, mem);
	block_rig_assert_file(r);
	free(mem);
}

static void random_requests_agree_with_a_copy_in_memory(void **state __unused)
{
	with_every_variant(shadowed);
}

static void many_iovecs(struct block_rig *r)
{
	enum { N = IMAGE / 512 };
	struct iovec *iov = calloc(N, sizeof(*iov));
	uint8_t *buf = aligned_alloc(4096, IMAGE);
	struct block_req req = { .op = BLOCK_READ, .iov = iov, .nr_iov = N, .len = IMAGE };

	/* Backwards, so that the kernel cannot mistake them for one. */
	for (unsigned i = 0; i < N; i++)
		iov[i] = (struct iovec){ buf + (N - 1 - i) * 512, 512 };
	assert_int_equal(block_rig_run(r, req, NULL), 0);
	for (unsigned i = 0; i < N; i++)
		assert_memory_equal(iov[i].iov_base, r->shadow + i * 512, 512);
	free(buf);
	free(iov);
}

static void more_iovecs_than_one_call_takes_are_all_transferred(void **state __unused)
{
	assert_true(IMAGE / 512 > IOV_MAX);
	with_every_variant(many_iovecs);
}

static void shrunk(struct block_rig *r)
{
	uint8_t *buf = aligned_alloc(4096, 16384);
	struct iovec iov[2] = { { buf, 8192 }, { buf + 8192, 8192 } }, before[2];
	struct block_req req = {
		.op = BLOCK_READ, .iov = iov, .nr_iov = 2, .off = 4096, .len = 16384
	};
	uint64_t progress;

	memcpy(before, iov, sizeof(iov));
	memset(buf, 0, 16384);
	assert_int_equal(ftruncate(r->fd, 4096 + 10240), 0);
	assert_int_equal(block_rig_run(r, req, &progress), -EIO);
	assert_int_equal(progress, 10240);
	assert_memory_equal(buf, r->shadow + 4096, 10240);
	assert_memory_equal(iov, before, sizeof(iov));
	assert_int_equal(ftruncate(r->fd, 0), 0);
	assert_int_equal(block_rig_run(r, req, &progress), -EIO);
	assert_int_equal(progress, 0);
	free(buf);
}

static void a_read_behind_the_end_of_a_file_that_shrank_fails(void **state __unused)
{
	with_every_variant(shrunk);
}

/* One call moves less than 2 GiB: the rest must go on, not start again. */
static void big_transfer(enum block_executor executor)
{
	enum { N = 520 };
	const size_t part = 4 * MIB;
	struct block_rig r = { .fd = memfd_create("image", MFD_CLOEXEC) };
	struct block_config cfg = plain_config;
	struct iovec iov[N];
	uint8_t *mem = malloc(2 * part);
	struct block_req req = { .op = BLOCK_READ, .iov = iov, .nr_iov = N, .len = N * part };
	uint64_t progress;

	assert_int_equal(ftruncate(r.fd, N * (off_t)part), 0);
	assert_int_equal(pwrite(r.fd, "first", 5, 0), 5);
	assert_int_equal(pwrite(r.fd, "last", 4, (N - 1) * (off_t)part), 4);
	for (unsigned i = 0; i < N; i++)
		iov[i] = (struct iovec){ mem, part };
	iov[N - 1].iov_base = mem + part;
	snprintf(r.path, sizeof(r.path), "/proc/self/fd/%d", r.fd);
	cfg.path = r.path;
	cfg.executor = executor;
	assert_int_equal(block_rig_open(&r, &cfg), 0);
	assert_int_equal(block_rig_run(&r, req, &progress), 0);
	assert_true(progress == N * part);
	assert_memory_equal(mem + part, "last", 4);
	assert_memory_equal(mem, "\0\0\0\0\0", 5);
	free(mem);
	block_close(r.b);
	loop_destroy(r.loop);
	close(r.fd);
}

static void a_transfer_of_more_than_2_gib_goes_on_where_it_stopped(void **state __unused)
{
	big_transfer(BLOCK_EXEC_PLAIN);
	big_transfer(BLOCK_EXEC_AUTO);
}

struct limited {
	struct block_rig *r;
	enum block_executor executor;
	int res;
};

/** Writes 64 KiB at 32 KiB of an image on which only a part of that fits. */
static int write_what_does_not_fit(struct block_rig *r, enum block_executor executor, int res)
{
	static uint8_t buf[65536] __attribute__((aligned(4096)));
	struct iovec iov[4], before[4];
	struct block_req req = {
		.op = BLOCK_WRITE, .iov = iov, .nr_iov = 4, .off = 32768, .len = sizeof(buf)
	};
	struct block_config cfg = plain_config;
	struct block_rig_req rr = { .req = req };

	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)(i * 7 + i / 256);
	for (unsigned i = 0; i < 4; i++)
		iov[i] = (struct iovec){ buf + 16384 * i, 16384 };
	memcpy(before, iov, sizeof(iov));
	cfg.path = r->path;
	cfg.executor = executor;
	CHILD_CHECK(!block_rig_open(r, &cfg));
	rr.req.done = block_rig_done;
	block_submit(r->b, &rr.req);
	block_flush_queue(r->b);
	block_quiesce(r->b);
	CHILD_CHECK(rr.nr_done == 1 && rr.res == res);
	CHILD_CHECK(rr.req.progress > 0 && rr.req.progress < sizeof(buf));
	CHILD_CHECK(!memcmp(iov, before, sizeof(iov)));
	CHILD_CHECK(pread(r->fd, r->shadow, rr.req.progress, 32768) == (ssize_t)rr.req.progress);
	CHILD_CHECK(!memcmp(r->shadow, buf, rr.req.progress));
	block_close(r->b);
	loop_destroy(r->loop);
	free(r->shadow);
	return 0;
}

static int with_a_file_size_limit(void *arg)
{
	struct limited *l = arg;
	struct rlimit limit = { 51300, 51300 };

	signal(SIGXFSZ, SIG_IGN);
	CHILD_CHECK(!ftruncate(l->r->fd, 131072));
	CHILD_CHECK(!setrlimit(RLIMIT_FSIZE, &limit));
	return write_what_does_not_fit(l->r, l->executor, -EFBIG);
}

static void a_write_that_is_cut_short_goes_on_and_then_fails(void **state __unused)
{
	static const enum block_executor executor[] = { BLOCK_EXEC_PLAIN, BLOCK_EXEC_AUTO };

	for (size_t i = 0; i < ARRAY_SIZE(executor); i++) {
		struct block_rig r;
		struct limited l = { .r = &r, .executor = executor[i] };

		block_rig_file(&r, false, 65536);
		assert_int_equal(block_rig_child(with_a_file_size_limit, &l), 0);
		block_rig_fini(&r);
	}
}

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	fd_close(&fd);
	return ok;
}

/** A small tmpfs on /mnt, in a mount namespace of our own, without privileges. */
static bool mount_small_tmpfs(void)
{
	char uid[64], gid[64];

	snprintf(uid, sizeof(uid), "0 %d 1", (int)getuid());
	snprintf(gid, sizeof(gid), "0 %d 1", (int)getgid());
	return !unshare(CLONE_NEWUSER | CLONE_NEWNS) && write_file("/proc/self/uid_map", uid) &&
		write_file("/proc/self/setgroups", "deny") &&
		write_file("/proc/self/gid_map", gid) &&
		!mount("none", "/mnt", "tmpfs", 0, "size=48k");
}

static int on_a_full_file_system(void *arg)
{
	enum block_executor *executor = arg;
	struct block_rig r = { 0 };

	if (!mount_small_tmpfs())
		return CHILD_SKIP;
	snprintf(r.path, sizeof(r.path), "/mnt/image");
	r.fd = open(r.path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHILD_CHECK(r.fd >= 0 && !ftruncate(r.fd, 131072));
	r.shadow = malloc(131072);
	return write_what_does_not_fit(&r, *executor, -ENOSPC);
}

static void a_full_file_system_is_told_as_such(void **state __unused)
{
	enum block_executor executor[] = { BLOCK_EXEC_PLAIN, BLOCK_EXEC_AUTO };

	for (size_t i = 0; i < ARRAY_SIZE(executor); i++) {
		int rc = block_rig_child(on_a_full_file_system, &executor[i]);

		if (rc == CHILD_SKIP)
			skip();
		assert_int_equal(rc, 0);
	}
}

static blkcnt_t blocks(const struct block_rig *r)
{
	struct stat st;

	assert_int_equal(fsync(r->fd), 0);
	assert_int_equal(fstat(r->fd, &st), 0);
	return st.st_blocks;
}

static void discarded(struct block_rig *r)
{
	blkcnt_t before = blocks(r);
	struct block_req req = { .op = BLOCK_DISCARD, .off = 65536, .len = 524288 };

	assert_true(block_can_discard(r->b));
	assert_int_equal(block_rig_run(r, req, NULL), 0);
	assert_true(blocks(r) <= before - 524288 / 512);
	memset(r->shadow + 65536, 0, 524288);
	block_rig_assert_file(r);
}

static void a_discard_gives_blocks_back(void **state __unused)
{
	with_every_variant(discarded);
}

static void zeroed(struct block_rig *r)
{
	blkcnt_t before = blocks(r);
	struct block_req req = { .op = BLOCK_WRITE_ZEROES, .off = 512, .len = 900 * 1024 };

	assert_int_equal(block_rig_run(r, req, NULL), 0);
	assert_true(blocks(r) >= before);
	memset(r->shadow + 512, 0, 900 * 1024);
	block_rig_assert_file(r);
	req.unmap = true;
	assert_int_equal(block_rig_run(r, req, NULL), 0);
	assert_true(blocks(r) < before - 800 * 1024 / 512);
	block_rig_assert_file(r);
}

static void zeroes_keep_their_blocks_unless_they_may_be_unmapped(void **state __unused)
{
	with_every_variant(zeroed);
}

static void zeroes_never_make_holes_in_an_image_that_is_not_sparse(void **state __unused)
{
	struct block_rig r;
	struct block_config cfg = plain_config;
	struct block_req req = { .op = BLOCK_WRITE_ZEROES, .unmap = true, .len = IMAGE };
	blkcnt_t before;

	block_rig_file(&r, false, IMAGE);
	cfg.path = r.path;
	cfg.sparse = false;
	assert_int_equal(block_rig_open(&r, &cfg), 0);
	assert_false(block_can_discard(r.b));
	before = blocks(&r);
	assert_int_equal(block_rig_run(&r, req, NULL), 0);
	assert_true(blocks(&r) >= before);
	memset(r.shadow, 0, IMAGE);
	block_rig_assert_file(&r);
	block_rig_fini(&r);
}

/** What remains when a file system refuses every fallocate, as some do. */
static void refused_zeroes(struct block_rig *r)
{
	struct block_req req = { .op = BLOCK_WRITE_ZEROES, .unmap = true, .off = 1024 };

	req.len = IMAGE - 2048;
	r->b->no_discard = true;
	r->b->no_zero_range = true;
	assert_int_equal(block_rig_run(r, req, NULL), 0);
	memset(r->shadow + 1024, 0, IMAGE - 2048);
	block_rig_assert_file(r);
}

static void zeroes_are_written_where_nothing_better_works(void **state __unused)
{
	with_every_variant(refused_zeroes);
}

static void a_refused_call_ends_a_discard_and_moves_zeroes_to_the_next_way(void **state __unused)
{
	struct block_rig r;
	struct block_req req = { .op = BLOCK_WRITE_ZEROES, .len = 4096 };
	int res = 1;

	block_rig_init(&r, &block_variants[0], IMAGE);
	assert_false(block_step_done(r.b, &req, -EOPNOTSUPP, &res));
	assert_int_equal(req.zero_mode, BLOCK_ZERO_RANGE);
	assert_false(r.b->no_zero_range);
	assert_false(block_step_done(r.b, &req, -EOPNOTSUPP, &res));
	assert_int_equal(req.zero_mode, BLOCK_ZERO_WRITE);
	assert_true(r.b->no_zero_range);
	assert_true(block_step_done(r.b, &req, -ENOSPC, &res));
	assert_int_equal(res, -ENOSPC);
	req = (struct block_req){ .op = BLOCK_WRITE_ZEROES, .len = 4096 };
	assert_true(block_step_done(r.b, &req, -ENOSPC, &res));
	assert_int_equal(res, -ENOSPC);
	req.op = BLOCK_DISCARD;
	assert_true(block_step_done(r.b, &req, -EOPNOTSUPP, &res));
	assert_int_equal(res, 0);
	assert_true(block_step_done(r.b, &req, -EIO, &res));
	assert_int_equal(res, -EIO);
	block_rig_fini(&r);
}

static void flushed(struct block_rig *r)
{
	struct block_req req = { .op = BLOCK_FLUSH };

	assert_int_equal(block_rig_run(r, req, NULL), 0);
	assert_true(r->nr_batches > 0);
}

static void a_flush_succeeds(void **state __unused)
{
	with_every_variant(flushed);
}

/* ---- opening ---- */

static void assert_refused(const struct block_config *cfg, int code, const char *cause)
{
	struct err err = { "" };
	struct block *b = NULL;

	assert_int_equal(block_open(cfg, &b, &err), -code);
	if (strncmp(err.msg, "--block: ", 9) || !strstr(err.msg, cfg->path) ||
		!strstr(err.msg, cause))
		fail_msg("\"%s\" does not say \"%s\"", err.msg, cause);
	assert_null(b);
}

static void what_is_no_disk_is_refused_with_its_cause(void **state __unused)
{
	struct block_rig r;
	struct block_config cfg = plain_config;
	char path[PATH_MAX];

	block_rig_file(&r, false, IMAGE);
	cfg.path = r.path;
	assert_int_equal(ftruncate(r.fd, IMAGE + 512), 0);
	cfg.block_size = 4096;
	assert_refused(&cfg, EINVAL, "not a multiple of the block size, 4096");
	cfg.block_size = 512;
	assert_int_equal(ftruncate(r.fd, 511), 0);
	assert_refused(&cfg, EINVAL, "not a multiple of the block size, 512");
	assert_int_equal(ftruncate(r.fd, 0), 0);
	assert_refused(&cfg, EINVAL, "is empty");
	block_rig_fini(&r);
	assert_refused(&cfg, ENOENT, "No such file");

	cfg.ro = true;
	cfg.path = "/dev/null";
	assert_refused(&cfg, ENOTBLK, "neither a file nor a block device");
	block_rig_dir(false, path);
	cfg.path = path;
	assert_refused(&cfg, ENOTBLK, "neither a file nor a block device");
}

static void a_fifo_is_refused_without_waiting_for_its_other_end(void **state __unused)
{
	struct block_config cfg = plain_config;
	char dir[PATH_MAX], path[PATH_MAX + 16];

	block_rig_dir(false, dir);
	snprintf(path, sizeof(path), "%s/mayfly-fifo.%d", dir, (int)getpid());
	assert_int_equal(mkfifo(path, 0600), 0);
	cfg.path = path;
	cfg.ro = true;
	alarm(10);
	assert_refused(&cfg, ENOTBLK, "neither a file nor a block device");
	cfg.ro = false;
	assert_refused(&cfg, ENOTBLK, "neither a file nor a block device");
	alarm(0);
	unlink(path);
}

static int open_as_nobody(void *arg)
{
	struct block_config cfg = plain_config;
	struct err err = { "" };
	struct block *b;

	cfg.path = arg;
	if (!getuid())
		CHILD_CHECK(!setgid(65534) && !setuid(65534));
	if (access(cfg.path, R_OK) < 0)
		return CHILD_SKIP; /* not even the folder */
	CHILD_CHECK(block_open(&cfg, &b, &err) == -EACCES);
	CHILD_CHECK(!strncmp(err.msg, "--block: ", 9) && strstr(err.msg, "Permission denied"));
	cfg.ro = true;
	CHILD_CHECK(!block_open(&cfg, &b, &err));
	CHILD_CHECK(block_readonly(b) && !block_can_discard(b));
	block_close(b);
	return 0;
}

static void a_file_that_may_only_be_read_is_not_opened_for_writing(void **state __unused)
{
	struct block_rig r;
	int rc;

	block_rig_file(&r, true, IMAGE);
	assert_int_equal(chmod(r.path, 0444), 0);
	rc = block_rig_child(open_as_nobody, r.path);
	block_rig_fini(&r);
	if (rc == CHILD_SKIP)
		skip();
	assert_int_equal(rc, 0);
}

static void a_descriptor_for_reading_is_no_writable_disk(void **state __unused)
{
	struct block_rig r;
	struct block_config cfg = plain_config;
	struct err err;
	char path[64];
	int fd;

	block_rig_file(&r, false, IMAGE);
	fd = open(r.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	cfg.path = path;
	assert_refused(&cfg, EACCES, "not opened for reading and writing");
	cfg.ro = true;
	assert_int_equal(block_open(&cfg, &r.b, &err), 0);
	assert_int_equal(block_size(r.b), IMAGE);
	/* io_uring would answer EAGAIN. */
	assert_false(fcntl(fd, F_GETFL) & O_NONBLOCK);
	close(fd);
	block_rig_fini(&r);
}

static void an_image_in_use_is_refused(void **state __unused)
{
	struct block_rig r;
	struct block_config cfg = plain_config;
	struct block *second;
	struct err err;

	block_rig_file(&r, false, IMAGE);
	cfg.path = r.path;
	cfg.lock = true;
	assert_int_equal(block_open(&cfg, &r.b, &err), 0);
	assert_refused(&cfg, EBUSY, "is in use by another process");
	cfg.ro = true;
	assert_refused(&cfg, EBUSY, "is in use by another process");
	cfg.lock = false;
	assert_int_equal(block_open(&cfg, &second, &err), 0);
	block_close(second);
	block_close(r.b);

	cfg.lock = true;
	assert_int_equal(block_open(&cfg, &r.b, &err), 0);
	assert_int_equal(block_open(&cfg, &second, &err), 0);
	cfg.ro = false;
	assert_refused(&cfg, EBUSY, "is in use by another process");
	block_close(second);
	block_rig_fini(&r);
}

static void closing_nothing_is_fine(void **state __unused)
{
	block_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_requests_agree_with_a_copy_in_memory),
		cmocka_unit_test(more_iovecs_than_one_call_takes_are_all_transferred),
		cmocka_unit_test(a_read_behind_the_end_of_a_file_that_shrank_fails),
		cmocka_unit_test(a_transfer_of_more_than_2_gib_goes_on_where_it_stopped),
		cmocka_unit_test(a_write_that_is_cut_short_goes_on_and_then_fails),
		cmocka_unit_test(a_full_file_system_is_told_as_such),
		cmocka_unit_test(a_discard_gives_blocks_back),
		cmocka_unit_test(zeroes_keep_their_blocks_unless_they_may_be_unmapped),
		cmocka_unit_test(zeroes_never_make_holes_in_an_image_that_is_not_sparse),
		cmocka_unit_test(zeroes_are_written_where_nothing_better_works),
		cmocka_unit_test(a_refused_call_ends_a_discard_and_moves_zeroes_to_the_next_way),
		cmocka_unit_test(a_flush_succeeds),
		cmocka_unit_test(what_is_no_disk_is_refused_with_its_cause),
		cmocka_unit_test(a_fifo_is_refused_without_waiting_for_its_other_end),
		cmocka_unit_test(a_file_that_may_only_be_read_is_not_opened_for_writing),
		cmocka_unit_test(a_descriptor_for_reading_is_no_writable_disk),
		cmocka_unit_test(an_image_in_use_is_refused),
		cmocka_unit_test(closing_nothing_is_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
