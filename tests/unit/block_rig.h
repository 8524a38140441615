/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Images for tests: a file of random bytes and its copy in memory, on each kind of file
 * system, executor and buffer handling there is here.
 */
#pragma once

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "block/block.h"

struct block_rig {
	char path[PATH_MAX]; /* unlinked by the end of the test */
	int fd;              /* owned: the file, beside the image */
	uint8_t *shadow;     /* owned: what the file should hold */
	size_t size;
	struct loop *loop; /* owned */
	struct block *b;   /* owned */
	unsigned nr_batches;
	uint32_t seed;
};

struct block_variant {
	const char *name;
	bool tmpfs; /* else beside the test program */
	enum block_executor executor;
	bool direct;
};

static const struct block_variant block_variants[] __unused = {
	{ "plain", false, BLOCK_EXEC_PLAIN, false },
	{ "io_uring", false, BLOCK_EXEC_URING, false },
	{ "plain, direct", false, BLOCK_EXEC_PLAIN, true },
	{ "io_uring, direct", false, BLOCK_EXEC_URING, true },
	{ "plain, tmpfs", true, BLOCK_EXEC_PLAIN, false },
	{ "io_uring, tmpfs", true, BLOCK_EXEC_URING, false },
};

/** The same numbers in every run. */
static inline uint32_t block_rig_rand(struct block_rig *r, uint32_t below)
{
	r->seed = r->seed * 1664525u + 1013904223u;
	return (uint32_t)(((uint64_t)(r->seed ^ r->seed >> 16) * below) >> 32);
}

static inline void block_rig_dir(bool tmpfs, char *dir)
{
	char exe[PATH_MAX] = "";

	if (readlink("/proc/self/exe", exe, sizeof(exe) - 1) < 0)
		fail_msg("no /proc");
	snprintf(dir, PATH_MAX, "%s", tmpfs ? "/dev/shm" : dirname(exe));
}

static inline void block_rig_batch_done(void *ctx)
{
	((struct block_rig *)ctx)->nr_batches++;
}

/** Makes the file; nothing is opened as an image yet. */
static inline void block_rig_file(struct block_rig *r, bool tmpfs, size_t size)
{
	char dir[PATH_MAX];

	*r = (struct block_rig){ .size = size, .seed = 1 };
	block_rig_dir(tmpfs, dir);
	if (snprintf(r->path, sizeof(r->path), "%.4000s/mayfly-block.XXXXXX", dir) < 0)
		fail();
	r->fd = mkstemp(r->path);
	assert_true(r->fd >= 0);
	r->shadow = malloc(size);
	assert_non_null(r->shadow);
	for (size_t i = 0; i < size; i++)
		r->shadow[i] = (uint8_t)(block_rig_rand(r, 255) + 1);
	assert_int_equal(pwrite(r->fd, r->shadow, size, 0), size);
}

static inline int block_rig_open(struct block_rig *r, const struct block_config *cfg)
{
	struct err err = { "" };
	int rc = block_open(cfg, &r->b, &err);

	if (rc)
		return rc;
	assert_int_equal(loop_create(&r->loop, &err), 0);
	assert_int_equal(block_attach(r->b, r->loop, block_rig_batch_done, r), 0);
	return 0;
}

/** A file with an image on it. False where the host cannot do the variant: it is skipped. */
static inline bool block_rig_init(struct block_rig *r, const struct block_variant *v, size_t size)
{
	struct block_config cfg = {
		.direct = v->direct,
		.sparse = true,
		.block_size = 512,
		.executor = v->executor,
		.depth = 16,
	};

	block_rig_file(r, v->tmpfs, size);
	cfg.path = r->path;
	if (!block_rig_open(r, &cfg))
		return true;
	print_message("skipped here: %s\n", v->name);
	return false;
}

static inline void block_rig_fini(struct block_rig *r)
{
	block_close(r->b);
	loop_destroy(r->loop);
	close(r->fd);
	unlink(r->path);
	free(r->shadow);
}

/** What the file holds now. */
static inline void block_rig_assert_file(const struct block_rig *r)
{
	uint8_t *now = malloc(r->size);

	assert_non_null(now);
	assert_int_equal(pread(r->fd, now, r->size, 0), r->size);
	assert_true(!memcmp(now, r->shadow, r->size));
	free(now);
}

struct block_rig_req {
	struct block_req req;
	int res;
	unsigned nr_done;
};

static inline void block_rig_done(struct block_req *req, int res)
{
	struct block_rig_req *rr = container_of(req, struct block_rig_req, req);

	rr->res = res;
	rr->nr_done++;
}

/** Runs one request to its end. progress of it, where the caller wants it. */
static inline int block_rig_run(struct block_rig *r, struct block_req req, uint64_t *ret_progress)
{
	struct block_rig_req rr = { .req = req };

	rr.req.done = block_rig_done;
	block_submit(r->b, &rr.req);
	block_flush_queue(r->b);
	block_quiesce(r->b);
	assert_int_equal(rr.nr_done, 1);
	if (ret_progress)
		*ret_progress = rr.req.progress;
	return rr.res;
}

/** In a child: there is no way back to the test runner, so no assertions. */
#define CHILD_CHECK(cond)                                                                          \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                 \
			return 1;                                                                  \
		}                                                                                  \
	} while (0)
#define CHILD_SKIP 77

/** Runs fn(arg) in a child, which may limit itself. Returns what fn returns. */
static inline int block_rig_child(int (*fn)(void *arg), void *arg)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid)
		_exit(fn(arg));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}
