// SPDX-License-Identifier: BSD-3-Clause
/*
 * block/uring.c: batches, completions on the loop, threads that come and go, and hosts that
 * refuse io_uring, at once or in the middle.
 */
#include "tests/unit/block_rig.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <liburing.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "block/impl.h"

#define IMAGE (1 * MIB)
#define NR    16 /* the depth of the rig's image */

static const struct block_variant uring = { "io_uring", false, BLOCK_EXEC_URING, false };
static const struct block_variant uring_direct = { "direct", false, BLOCK_EXEC_URING, true };

/** NR reads of 4 KiB each, all over the image. */
struct reads {
	struct block_rig_req rr[NR];
	struct iovec iov[NR];
	uint8_t *buf;
	struct block_rig *rig;
};

static void reads_init(struct reads *rd, struct block_rig *r)
{
	*rd = (struct reads){ .rig = r, .buf = aligned_alloc(4096, NR * 4096) };
	assert_non_null(rd->buf);
	for (unsigned i = 0; i < NR; i++) {
		rd->iov[i] = (struct iovec){ rd->buf + i * 4096, 4096 };
		rd->rr[i].req = (struct block_req){ .op = BLOCK_READ,
			.iov = &rd->iov[i],
			.nr_iov = 1,
			.off = i * 65536,
			.len = 4096,
			.done = block_rig_done };
	}
}

static void *reads_submit(void *arg)
{
	struct reads *rd = arg;

	for (unsigned i = 0; i < NR; i++)
		block_submit(rd->rig->b, &rd->rr[i].req);
	block_flush_queue(rd->rig->b);
	return NULL;
}

static bool reads_good(const struct reads *rd)
{
	for (unsigned i = 0; i < NR; i++)
		if (rd->rr[i].nr_done != 1 || rd->rr[i].res ||
			memcmp(rd->buf + i * 4096, rd->rig->shadow + i * 65536, 4096))
			return false;
	return true;
}

/** A rig, or the test is skipped: not every host has io_uring. */
static void uring_rig(struct block_rig *r, const struct block_variant *v)
{
	if (block_rig_init(r, v, IMAGE))
		return;
	block_rig_fini(r);
	skip();
}

static void nothing_starts_before_the_flush_and_a_batch_is_told_once(void **state __unused)
{
	struct block_rig r;
	struct reads rd;

	uring_rig(&r, &uring);
	reads_init(&rd, &r);
	assert_string_equal(block_executor_name(r.b), "io_uring");
	for (unsigned i = 0; i < NR; i++)
		block_submit(r.b, &rd.rr[i].req);
	usleep(20000);
	for (unsigned i = 0; i < NR; i++)
		assert_int_equal(rd.rr[i].nr_done, 0);
	block_flush_queue(r.b);
	block_quiesce(r.b);
	assert_true(reads_good(&rd));
	assert_true(r.nr_batches >= 1 && r.nr_batches < NR);
	free(rd.buf);
	block_rig_fini(&r);
}

static struct loop *loop_to_stop;

static void stop_when_done(struct block_req *req, int res)
{
	block_rig_done(req, res);
	loop_stop(loop_to_stop);
}

static void completions_come_on_the_loop(void **state __unused)
{
	static const enum block_op op[] = { BLOCK_FLUSH, BLOCK_READ };

	for (size_t i = 0; i < ARRAY_SIZE(op); i++) {
		struct block_rig r;
		struct reads rd;

		uring_rig(&r, &uring_direct); /* direct: reads do not complete at once */
		reads_init(&rd, &r);
		loop_to_stop = r.loop;
		rd.rr[0].req.op = op[i];
		rd.rr[0].req.done = stop_when_done;
		block_submit(r.b, &rd.rr[0].req);
		block_flush_queue(r.b);
		alarm(10);
		loop_run(r.loop);
		alarm(0);
		assert_int_equal(rd.rr[0].nr_done, 1);
		assert_int_equal(rd.rr[0].res, 0);
		assert_int_equal(r.nr_batches, 1);
		free(rd.buf);
		block_rig_fini(&r);
	}
}

struct again {
	struct block_rig_req rr;
	struct block *b;
	unsigned left;
};

static void submit_again(struct block_req *req, int res)
{
	struct again *a = container_of(req, struct again, rr.req);

	block_rig_done(req, res);
	if (a->left) {
		a->left--;
		block_submit(a->b, req);
	}
}

static void done_may_submit_again(void **state __unused)
{
	struct block_rig r;
	struct again a = { .left = 5 };

	uring_rig(&r, &uring);
	a.b = r.b;
	a.rr.req.op = BLOCK_FLUSH;
	a.rr.req.done = submit_again;
	block_submit(r.b, &a.rr.req);
	block_quiesce(r.b);
	assert_int_equal(a.rr.nr_done, 6);
	assert_int_equal(a.rr.res, 0);
	block_rig_fini(&r);
}

static void quiesce_waits_for_everything(void **state __unused)
{
	struct block_rig r;
	struct reads rd;

	uring_rig(&r, &uring_direct);
	reads_init(&rd, &r);
	for (unsigned round = 0; round < 50; round++) {
		for (unsigned i = 0; i < NR; i++)
			rd.rr[i].nr_done = 0;
		memset(rd.buf, 0, NR * 4096);
		reads_submit(&rd);
		block_quiesce(r.b);
		assert_true(reads_good(&rd));
	}
	/* A read that came after this would be one into freed memory. */
	free(rd.buf);
	block_rig_fini(&r);
}

static void a_thread_that_ends_takes_no_request_with_it(void **state __unused)
{
	struct block_rig r;
	struct reads rd;
	pthread_t t;

	uring_rig(&r, &uring);
	reads_init(&rd, &r);
	/* Writes to one file wait for each other in the kernel, where they are cancelled. */
	for (unsigned i = 0; i < NR; i++) {
		rd.rr[i].req.op = BLOCK_WRITE;
		memset(rd.buf + i * 4096, (int)i, 4096);
		memset(r.shadow + i * 65536, (int)i, 4096);
	}
	/* Made here, used there, emptied here. */
	assert_int_equal(pthread_create(&t, NULL, reads_submit, &rd), 0);
	assert_int_equal(pthread_join(t, NULL), 0);
	block_quiesce(r.b);
	assert_true(reads_good(&rd));
	block_rig_assert_file(&r);
	free(rd.buf);
	block_rig_fini(&r);
}

/* ---- hosts that refuse ---- */

/** From now on the system call nr fails with code. */
static bool forbid(int nr, int code)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)code),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { ARRAY_SIZE(filter), filter };

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
		!prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}

struct refusal {
	struct block_rig *r;
	int code;
};

static int open_where_setup_is_refused(void *arg)
{
	struct refusal *ref = arg;
	struct block_rig *r = ref->r;
	struct block_config cfg = {
		.path = r->path, .block_size = 512, .depth = NR, .executor = BLOCK_EXEC_URING
	};
	struct err err = { "" };
	struct reads rd;

	CHILD_CHECK(forbid(__NR_io_uring_setup, ref->code));
	CHILD_CHECK(block_open(&cfg, &r->b, &err) == -ref->code);
	CHILD_CHECK(!strncmp(err.msg, "--block: ", 9) && strstr(err.msg, "io_uring"));
	cfg.executor = BLOCK_EXEC_AUTO;
	CHILD_CHECK(!block_rig_open(r, &cfg));
	CHILD_CHECK(!strcmp(block_executor_name(r->b), "plain"));
	reads_init(&rd, r);
	reads_submit(&rd);
	CHILD_CHECK(reads_good(&rd));
	free(rd.buf);
	block_rig_fini(r);
	return 0;
}

static void a_host_without_io_uring_gets_plain_system_calls(void **state __unused)
{
	static const int code[] = { ENOSYS, EPERM, EACCES, ENOMEM, EINVAL };

	for (size_t i = 0; i < ARRAY_SIZE(code); i++) {
		struct block_rig r;
		struct refusal ref = { &r, code[i] };

		block_rig_file(&r, false, IMAGE);
		assert_int_equal(block_rig_child(open_where_setup_is_refused, &ref), 0);
		block_rig_fini(&r);
	}
}

static int refuse_after_open(void *arg)
{
	struct refusal *ref = arg;
	struct reads rd;

	if (!block_rig_init(ref->r, &uring, IMAGE))
		return CHILD_SKIP;
	CHILD_CHECK(forbid(__NR_io_uring_enter, ref->code));
	reads_init(&rd, ref->r);
	reads_submit(&rd);
	CHILD_CHECK(reads_good(&rd));
	CHILD_CHECK(ref->r->nr_batches == 1);
	CHILD_CHECK(!strcmp(block_executor_name(ref->r->b), "plain"));
	for (unsigned i = 0; i < NR; i++)
		rd.rr[i].nr_done = 0;
	reads_submit(&rd);
	block_quiesce(ref->r->b);
	CHILD_CHECK(reads_good(&rd));
	free(rd.buf);
	block_rig_fini(ref->r);
	return 0;
}

static void a_ring_that_stops_taking_requests_loses_none(void **state __unused)
{
	static const int code[] = { EPERM, EAGAIN, EBUSY };

	for (size_t i = 0; i < ARRAY_SIZE(code); i++) {
		struct block_rig r;
		struct refusal ref = { &r, code[i] };
		int rc = block_rig_child(refuse_after_open, &ref);

		if (rc == CHILD_SKIP)
			skip();
		assert_int_equal(rc, 0);
	}
}

/** What a ring answers to an operation on the file that the ring has. */
static int ask(struct io_uring *ring, uint8_t op, uint8_t flags)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe;
	int res;

	io_uring_prep_rw(op, sqe, 0, NULL, 0, 0);
	sqe->flags = flags;
	assert_int_equal(io_uring_submit(ring), 1);
	assert_int_equal(io_uring_wait_cqe(ring, &cqe), 0);
	res = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return res;
}

static void a_restricted_ring_does_what_requests_need_and_nothing_else(void **state __unused)
{
	static const uint8_t good[] = { IORING_OP_FSYNC, IORING_OP_READ, IORING_OP_WRITE };
	struct block_rig r;
	struct block_config cfg = {
		.executor = BLOCK_EXEC_URING, .block_size = 512, .depth = NR, .restricted = true
	};
	struct io_uring *ring;
	struct block *b;
	struct err err;
	struct reads rd;
	int fd;

	uring_rig(&r, &uring);
	cfg.path = r.path;
	if (block_open(&cfg, &b, &err)) {
		block_rig_fini(&r);
		skip(); /* a kernel before 5.10 */
	}
	block_close(r.b);
	r.b = b;
	/* The ring is the first member of what uring.c keeps. */
	ring = (struct io_uring *)(void *)b->uring;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_not_equal(ask(ring, good[i], IOSQE_FIXED_FILE), -EACCES);
	for (unsigned op = 0; op < IORING_OP_LAST; op++)
		if (op > IORING_OP_FSYNC && op != IORING_OP_READ && op != IORING_OP_WRITE &&
			op != IORING_OP_FALLOCATE)
			assert_int_equal(ask(ring, (uint8_t)op, IOSQE_FIXED_FILE), -EACCES);
	assert_int_equal(ask(ring, IORING_OP_NOP, IOSQE_FIXED_FILE), -EACCES);
	/* Nor on any other descriptor of the process. */
	assert_int_equal(ask(ring, IORING_OP_READ, 0), -EACCES);
	fd = r.fd;
	assert_true(io_uring_register_files(ring, &fd, 1) < 0);
	assert_int_equal(block_attach(b, r.loop, block_rig_batch_done, &r), 0);
	reads_init(&rd, &r);
	reads_submit(&rd);
	block_quiesce(b);
	assert_true(reads_good(&rd));
	free(rd.buf);
	block_rig_fini(&r);
}

static void an_image_opened_before_is_served_as_one_opened_here(void **state __unused)
{
	struct block_rig r;
	struct block_config cfg = {
		.executor = BLOCK_EXEC_PLAIN, .block_size = 512, .depth = NR, .opened = true
	};
	struct block *b;
	struct err err;
	struct reads rd;

	if (!block_rig_init(&r, &block_variants[0], IMAGE))
		fail();
	block_close(r.b);
	r.b = NULL;
	cfg.path = r.path;
	cfg.fd = block_open_file(&cfg, &err);
	assert_true(cfg.fd >= 0);
	cfg.path = "a name for lines";
	assert_int_equal(block_open(&cfg, &b, &err), 0);
	r.b = b;
	assert_int_equal(block_attach(b, r.loop, block_rig_batch_done, &r), 0);
	reads_init(&rd, &r);
	reads_submit(&rd);
	block_quiesce(b);
	assert_true(reads_good(&rd));
	free(rd.buf);
	block_rig_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_restricted_ring_does_what_requests_need_and_nothing_else),
		cmocka_unit_test(an_image_opened_before_is_served_as_one_opened_here),
		cmocka_unit_test(nothing_starts_before_the_flush_and_a_batch_is_told_once),
		cmocka_unit_test(completions_come_on_the_loop),
		cmocka_unit_test(done_may_submit_again),
		cmocka_unit_test(quiesce_waits_for_everything),
		cmocka_unit_test(a_thread_that_ends_takes_no_request_with_it),
		cmocka_unit_test(a_host_without_io_uring_gets_plain_system_calls),
		cmocka_unit_test(a_ring_that_stops_taking_requests_loses_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
