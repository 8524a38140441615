// SPDX-License-Identifier: BSD-3-Clause
/*
 * block/plain.c: completion from inside submit, and O_DIRECT on memory that is not aligned,
 * which goes through the bounce buffer.
 */
#include "tests/unit/block_rig.h"

#include <errno.h>

#include "block/impl.h"

#define IMAGE (1 * MIB)

static void a_plain_request_is_done_when_submit_returns(void **state __unused)
{
	struct block_rig r;
	struct block_rig_req rr = { .req = { .op = BLOCK_FLUSH, .done = block_rig_done } };

	assert_true(block_rig_init(&r, &block_variants[0], IMAGE));
	assert_string_equal(block_executor_name(r.b), "plain");
	block_submit(r.b, &rr.req);
	assert_int_equal(rr.nr_done, 1);
	assert_int_equal(r.nr_batches, 0);
	block_submit(r.b, &rr.req);
	block_flush_queue(r.b);
	assert_int_equal(r.nr_batches, 1);
	block_flush_queue(r.b);
	assert_int_equal(r.nr_batches, 1);
	block_rig_fini(&r);
}

/** An image with O_DIRECT; false where there is none such here. */
static bool direct_rig(struct block_rig *r)
{
	if (block_rig_init(r, &block_variants[2], IMAGE) && r->b->granule > 1)
		return true;
	block_rig_fini(r);
	return false;
}

static void unaligned_memory_is_bounced(void **state __unused)
{
	struct block_rig r;
	uint8_t *mem = aligned_alloc(4096, 2 * IMAGE);
	struct iovec iov[3];
	struct block_req req = { .iov = iov, .nr_iov = 3, .off = 1024, .len = 600 * 1024 };

	if (!direct_rig(&r))
		skip();
	/* More than four bounce buffers, with borders inside of them. */
	iov[0] = (struct iovec){ mem + 1, 100 };
	iov[1] = (struct iovec){ mem + 513, 300001 };
	iov[2] = (struct iovec){ mem + 400001, 600 * 1024 - 300101 };
	req.op = BLOCK_READ;
	assert_true(block_sync_only(r.b, &req));
	assert_int_equal(block_rig_run(&r, req, NULL), 0);
	assert_memory_equal(iov[0].iov_base, r.shadow + 1024, 100);
	assert_memory_equal(iov[1].iov_base, r.shadow + 1124, 300001);
	assert_memory_equal(iov[2].iov_base, r.shadow + 301125, iov[2].iov_len);

	req.op = BLOCK_WRITE;
	memset(mem, 0xa5, 2 * IMAGE);
	mem[1] = 1;
	mem[400001] = 2;
	assert_int_equal(block_rig_run(&r, req, NULL), 0);
	memset(r.shadow + 1024, 0xa5, 600 * 1024);
	r.shadow[1024] = 1;
	r.shadow[301125] = 2;
	block_rig_assert_file(&r);
	block_rig_fini(&r);
	free(mem);
}

static void aligned_memory_is_not_bounced(void **state __unused)
{
	struct block_rig r;
	uint8_t *mem = aligned_alloc(4096, 8192);
	struct iovec iov[2] = { { mem, 4096 }, { mem + 4096, 4096 } };
	struct block_req req = { .op = BLOCK_READ, .iov = iov, .nr_iov = 2, .len = 8192 };

	if (!direct_rig(&r))
		skip();
	assert_false(block_sync_only(r.b, &req));
	req.op = BLOCK_FLUSH;
	assert_false(block_sync_only(r.b, &req));
	block_rig_fini(&r);
	free(mem);
}

static void a_transfer_that_stopped_between_blocks_goes_on_bounced(void **state __unused)
{
	const size_t len = 3 * BLOCK_BOUNCE, done = 700; /* not a multiple of any block size */
	struct block_rig r;
	uint8_t *mem = aligned_alloc(4096, len);
	struct iovec iov = { mem, len };
	struct block_req req = { .op = BLOCK_READ, .iov = &iov, .nr_iov = 1, .len = len };

	if (!direct_rig(&r))
		skip();
	memset(mem, 0, len);
	req.progress = done;
	assert_true(block_sync_only(r.b, &req));
	assert_int_equal(block_plain_run(r.b, &req), 0);
	assert_int_equal(mem[done - 1], 0);
	assert_memory_equal(mem + done, r.shadow + done, len - done);

	req.op = BLOCK_WRITE;
	req.progress = done;
	memset(mem + done, 0x77, len - done);
	memcpy(mem, r.shadow, done);
	assert_int_equal(block_plain_run(r.b, &req), 0);
	memset(r.shadow + done, 0x77, len - done);
	block_rig_assert_file(&r);
	block_rig_fini(&r);
	free(mem);
}

static void a_bounced_read_behind_the_end_fails(void **state __unused)
{
	struct block_rig r;
	uint8_t *mem = aligned_alloc(4096, 16384);
	struct iovec iov = { mem + 1, 8192 };
	struct block_req req = { .op = BLOCK_READ, .iov = &iov, .nr_iov = 1, .len = 8192 };
	uint64_t progress;

	if (!direct_rig(&r))
		skip();
	assert_int_equal(ftruncate(r.fd, 5000), 0);
	assert_int_equal(block_rig_run(&r, req, &progress), -EIO);
	assert_int_equal(progress, 5000);
	assert_memory_equal(mem + 1, r.shadow, 5000);
	block_rig_fini(&r);
	free(mem);
}

static void direct_io_in_larger_blocks_than_the_disk_has_is_refused(void **state __unused)
{
	struct block_rig r;
	struct block_config cfg = { .direct = true, .block_size = 512, .depth = 1 };
	struct err err = { "" };
	struct block *b;
	int rc;

	block_rig_file(&r, false, IMAGE);
	cfg.path = r.path;
	rc = block_open(&cfg, &b, &err);
	/* This host decides which of the two there is to see. */
	if (rc)
		assert_true(strstr(err.msg, "O_DIRECT") && !strncmp(err.msg, "--block: ", 9));
	else
		assert_true(block_granule(b) <= 512);
	if (!rc)
		block_close(b);
	block_rig_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plain_request_is_done_when_submit_returns),
		cmocka_unit_test(unaligned_memory_is_bounced),
		cmocka_unit_test(aligned_memory_is_not_bounced),
		cmocka_unit_test(a_transfer_that_stopped_between_blocks_goes_on_bounced),
		cmocka_unit_test(a_bounced_read_behind_the_end_fails),
		cmocka_unit_test(direct_io_in_larger_blocks_than_the_disk_has_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
