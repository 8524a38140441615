// SPDX-License-Identifier: BSD-3-Clause
/*
 * Requests on io_uring: one ring per image, its fd watched on the loop.
 *
 * Invariants:
 * 1. A slot is taken from submit to done. Slots, submission entries and requests are depth
 *    each, completion entries twice that: none can run out or overflow.
 * 2. iovecs and windows live until their step completes, so it does not matter when the
 *    kernel copies them.
 * 3. What stays unsubmitted because the kernel had no room is submitted again after the next
 *    completion. If none is to come, the ring is given up, and everything runs as plain
 *    system calls from there on: no request is lost to a host that changes its mind.
 * 4. One callback reaps a bounded number of completions; the level-triggered watch comes back
 *    for the rest.
 *
 * The ring is made on one thread, used on the loop's, and may be emptied on a third after the
 * loop has ended. That rules out IORING_SETUP_SINGLE_ISSUER and DEFER_TASKRUN, which tie a
 * ring to the first thread that submits.
 */
#include "block/impl.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"

/* The largest transfer asked for at once; Linux stops a little below 2 GiB anyway. */
#define URING_MAX_LEN (1u << 30)

struct uring_slot {
	struct block_req *req; /* NULL: free */
	struct iovec window[BLOCK_WINDOW];
};

struct block_uring {
	struct io_uring ring;
	struct watch watch;
	struct block *b;
	bool fixed_file; /* the image is file 0 of the ring */
	bool reaping;
	unsigned nr_queued;       /* steps in the ring, submitted or not */
	struct uring_slot *slots; /* owned; depth of them, untouched until used */
	unsigned nr_free;
	uint16_t free[]; /* a stack: slots used last are warm */
};

static int uring_setup(struct io_uring *ring, unsigned depth, bool restricted)
{
	static const unsigned flags[] = {
		IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN, /* 5.19 */
		0,
	};
	const unsigned need = IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE |
		IORING_FEAT_RW_CUR_POS; /* the last means 5.6: all operations used here */
	int rc = -EINVAL;

	for (size_t i = 0; i < ARRAY_SIZE(flags) && rc == -EINVAL; i++) {
		struct io_uring_params p = { .flags = flags[i] };

		if (restricted)
			p.flags |= IORING_SETUP_R_DISABLED; /* 5.10 */
		rc = io_uring_queue_init_params(depth, ring, &p);
		if (rc || (p.features & need) == need)
			continue;
		io_uring_queue_exit(ring);
		return -ENOSYS;
	}
	return rc;
}

/**
 * Requests need these operations on the registered file, and nothing else may ever be asked of
 * the ring: seccomp does not see what goes through it.
 */
static int uring_restrict(struct io_uring *ring)
{
	static const uint8_t ops[] = { IORING_OP_READ, IORING_OP_READV, IORING_OP_WRITE,
		IORING_OP_WRITEV, IORING_OP_FSYNC, IORING_OP_FALLOCATE };
	struct io_uring_restriction r[ARRAY_SIZE(ops) + 2] = { 0 };
	unsigned n = 0;

	for (; n < ARRAY_SIZE(ops); n++) {
		r[n].opcode = IORING_RESTRICTION_SQE_OP;
		r[n].sqe_op = ops[n];
	}
	r[n].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
	r[n++].sqe_flags = IOSQE_FIXED_FILE;
	r[n].opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED;
	r[n++].sqe_flags = IOSQE_FIXED_FILE;
	/* liburing has a name for this only where it is linked statically. */
	if (syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_RESTRICTIONS, r, n) ||
		syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL,
			0))
		return -errno;
	return 0;
}

int block_uring_create(struct block *b, bool restricted)
{
	struct block_uring *u = calloc(1, sizeof(*u) + b->depth * sizeof(u->free[0]));
	int rc = -ENOMEM;

	if (!u)
		return rc;
	u->b = b;
	u->slots = calloc(b->depth, sizeof(*u->slots));
	if (u->slots)
		rc = uring_setup(&u->ring, b->depth, restricted);
	if (!rc) {
		rc = io_uring_register_files(&u->ring, &b->fd, 1);
		u->fixed_file = !rc;
		/* Only the registered file saves time; without it an open ring works as well. */
		if (restricted && !rc)
			rc = uring_restrict(&u->ring);
		else if (!restricted)
			rc = 0;
		if (rc)
			io_uring_queue_exit(&u->ring);
	}
	if (rc) {
		free(u->slots);
		free(u);
		return rc;
	}
	for (unsigned i = b->depth; i--;)
		u->free[u->nr_free++] = (uint16_t)i;
	b->uring = u;
	b->exec = &block_uring_exec;
	return 0;
}

void block_uring_destroy(struct block *b)
{
	struct block_uring *u = b->uring;

	if (!u)
		return;
	io_uring_queue_exit(&u->ring);
	free(u->slots);
	free(u);
	b->uring = NULL;
}

static void uring_prep_transfer(
	struct io_uring_sqe *sqe, const struct block *b, const struct block_step *s)
{
	const struct iovec *iov = s->iov;
	unsigned len = (unsigned)MIN(iov->iov_len, URING_MAX_LEN);

	if (s->kind == BLOCK_STEP_READ && s->nr_iov == 1)
		io_uring_prep_read(sqe, b->fd, iov->iov_base, len, s->off);
	else if (s->kind == BLOCK_STEP_READ)
		io_uring_prep_readv(sqe, b->fd, iov, s->nr_iov, s->off);
	else if (s->nr_iov == 1)
		io_uring_prep_write(sqe, b->fd, iov->iov_base, len, s->off);
	else
		io_uring_prep_writev(sqe, b->fd, iov, s->nr_iov, s->off);
}

/** As io_uring_prep_fallocate, whose types differ from one liburing to the next. */
static void uring_prep_fallocate(struct io_uring_sqe *sqe, int fd, const struct block_step *s)
{
	io_uring_prep_rw(IORING_OP_FALLOCATE, sqe, fd, NULL, (unsigned)s->mode, s->off);
	sqe->addr = s->len;
}

/** Puts the next step of the slot's request into the ring. */
static void uring_queue_step(struct block *b, struct uring_slot *slot)
{
	struct block_uring *u = b->uring;
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
	struct block_step s;

	BUG_ON(!sqe);
	block_next_step(b, slot->req, slot->window, &s);
	if (s.kind == BLOCK_STEP_SYNC)
		io_uring_prep_fsync(sqe, b->fd, IORING_FSYNC_DATASYNC);
	else if (s.kind == BLOCK_STEP_FALLOCATE)
		uring_prep_fallocate(sqe, b->fd, &s);
	else
		uring_prep_transfer(sqe, b, &s);
	if (u->fixed_file) {
		sqe->fd = 0;
		sqe->flags |= IOSQE_FIXED_FILE;
	}
	io_uring_sqe_set_data(sqe, slot);
	u->nr_queued++;
}

static void uring_free_slot(struct block_uring *u, struct uring_slot *slot)
{
	slot->req = NULL;
	u->free[u->nr_free++] = (uint16_t)(slot - u->slots);
}

static void uring_req_submit(struct block *b, struct block_req *r)
{
	struct block_uring *u = b->uring;
	struct uring_slot *slot;

	if (block_sync_only(b, r)) {
		block_complete(b, r, block_plain_run(b, r));
		return;
	}
	BUG_ON(!u->nr_free);
	slot = &u->slots[u->free[--u->nr_free]];
	slot->req = r;
	uring_queue_step(b, slot);
}

/** No completion will come and the kernel takes nothing: runs what waits, without the ring. */
static void uring_give_up(struct block *b, int rc)
{
	struct block_uring *u = b->uring;

	log_debug("io_uring: %s, using plain system calls", strerror(-rc));
	b->exec = &block_plain_exec;
	if (b->loop)
		loop_del(b->loop, &u->watch);
	for (unsigned i = 0; i < b->depth; i++) {
		struct block_req *r = u->slots[i].req;

		if (r) {
			uring_free_slot(u, &u->slots[i]);
			block_complete(b, r, block_plain_run(b, r));
		}
	}
	u->nr_queued = 0;
}

static void uring_submit_all(struct block *b)
{
	struct block_uring *u = b->uring;
	unsigned waiting;

	while (b->exec == &block_uring_exec && (waiting = io_uring_sq_ready(&u->ring))) {
		int rc = io_uring_submit(&u->ring);

		if (rc == -EINTR || io_uring_sq_ready(&u->ring) < waiting)
			continue;
		if (u->nr_queued > waiting)
			return; /* invariant 3: a completion is to come */
		uring_give_up(b, rc);
	}
}

static void uring_step_done(struct block *b, struct uring_slot *slot, int res)
{
	struct block_req *r = slot->req;
	int final;

	b->uring->nr_queued--;
	/*
	 * Interrupted, out of resources, or cancelled because the thread that submitted it has
	 * ended: none of these is an answer from the image.
	 */
	if (res == -EINTR || res == -EAGAIN || res == -ECANCELED) {
		final = block_plain_run(b, r);
	} else if (!block_step_done(b, r, res, &final)) {
		if (!block_sync_only(b, r)) {
			uring_queue_step(b, slot);
			return;
		}
		final = block_plain_run(b, r);
	}
	uring_free_slot(b->uring, slot);
	block_complete(b, r, final);
}

static void uring_reap(struct block *b)
{
	struct block_uring *u = b->uring;
	struct io_uring_cqe *cqe;
	unsigned head, n = 0;

	BUG_ON(u->reaping);
	u->reaping = true;
	io_uring_for_each_cqe(&u->ring, head, cqe)
	{
		if (n++ == b->depth) {
			n--;
			break;
		}
		uring_step_done(b, io_uring_cqe_get_data(cqe), cqe->res);
	}
	io_uring_cq_advance(&u->ring, n);
	uring_submit_all(b);
	block_end_batch(b);
	u->reaping = false;
}

static void uring_on_ready(struct watch *w, uint32_t events __unused)
{
	struct block_uring *u = container_of(w, struct block_uring, watch);

	uring_reap(u->b);
}

/** Also delivers what completed at once, as most of what the page cache holds does. */
static void uring_flush(struct block *b)
{
	uring_submit_all(b);
	uring_reap(b);
}

static void uring_quiesce(struct block *b)
{
	struct block_uring *u = b->uring;

	for (;;) {
		struct pollfd p = { .fd = u->ring.ring_fd, .events = POLLIN };

		uring_flush(b);
		if (!b->nr_in_flight)
			return;
		poll(&p, 1, -1);
	}
}

int block_uring_attach(struct block *b)
{
	struct block_uring *u = b->uring;

	return loop_add(b->loop, &u->watch, u->ring.ring_fd, EPOLLIN, uring_on_ready);
}

void block_uring_detach(struct block *b)
{
	loop_del(b->loop, &b->uring->watch);
}

const struct block_exec block_uring_exec = {
	.name = "io_uring",
	.submit = uring_req_submit,
	.flush = uring_flush,
	.quiesce = uring_quiesce,
};
