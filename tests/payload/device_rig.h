/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `mayfly device` in its jail, for tests: the front end is vhost-user/front.c, the driver is
 * tests/unit/ring_driver.h.
 */
#pragma once

#include "tests/payload/payload.h"

#include <linux/virtio_blk.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "tests/unit/ring_driver.h"
#include "vhost-user/front.h"

#define RAM   (4 * MIB)
#define IMAGE (1 * MIB)

struct device {
	struct guest_memory gm;
	struct ring_driver rd[2];
	struct loop *loop;
	struct virtio_backend *b;
	pid_t pid;
	char path[32]; /* of the disk */
	int sock, file;
};

static inline int setup(void **state)
{
	struct device *d = calloc(1, sizeof(*d));
	struct err err;

	assert_int_equal(gm_share(&d->gm, RAM, -1, &err), 0);
	assert_int_equal(gm_add_ram(&d->gm, 0, RAM, &err), 0);
	rd_init(&d->rd[0], &d->gm, 0x1000, 64);
	rd_init(&d->rd[1], &d->gm, 0x4000, 64);
	assert_int_equal(loop_create(&d->loop, &err), 0);
	snprintf(d->path, sizeof(d->path), "/tmp/mayfly-device.XXXXXX");
	d->file = mkstemp(d->path);
	assert_true(d->file >= 0);
	assert_int_equal(ftruncate(d->file, IMAGE), 0);
	d->sock = -1;
	*state = d;
	return 0;
}

static inline int teardown(void **state)
{
	struct device *d = *state;

	if (d->pid > 0) {
		kill(d->pid, SIGKILL); /* a test that failed half-way */
		waitpid(d->pid, NULL, 0);
	}
	if (d->b)
		d->b->ops->destroy(d->b);
	loop_destroy(d->loop);
	for (unsigned i = 0; i < ARRAY_SIZE(d->rd); i++)
		rd_fini(&d->rd[i]);
	gm_fini(&d->gm);
	unlink(d->path);
	close(d->file);
	free(d);
	return 0;
}

/** Starts `mayfly device KIND [KEYS]`; std is its standard input and output, -1: ours. */
static inline void launch(struct device *d, const char *kind, const char *keys, int std)
{
	const char *bin = getenv("MAYFLY");
	int pair[2], few = 4096;
	char opt[24];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	/* A few messages fill it. */
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &few, sizeof(few)), 0);
	d->pid = fork();
	assert_true(d->pid >= 0);
	if (!d->pid) {
		int fd = dup(pair[1]);

		snprintf(opt, sizeof(opt), "--fd=%d", fd);
		if (std >= 0 && (dup2(std, STDIN_FILENO) < 0 || dup2(std, STDOUT_FILENO) < 0))
			_exit(126);
		execl(bin ? bin : "./mayfly", "mayfly", "device", kind, opt, keys, NULL);
		_exit(127);
	}
	close(pair[1]);
	d->sock = pair[0];
}

/** The device as a transport has it. */
static inline void connect_to(struct device *d, const struct virtio_class *cls)
{
	struct vu_front_config fc = { .name = cls->name,
		.device_id = cls->device_id,
		.queue_size_max = cls->queue_size_max,
		.config_len = cls->config_len,
		.gm = &d->gm,
		.loop = d->loop,
		.sock = fd_take(&d->sock),
		.drain_ms = 10000 };
	struct virtio_ring ring[VIRTIO_MAX_QUEUES] = { 0 };
	struct err err = { "" };

	if (vu_front_create(&fc, &d->b, &err))
		fail_msg("%s", err.msg);
	for (unsigned i = 0; i < MIN(d->b->nr_queues, ARRAY_SIZE(d->rd)); i++) {
		rd_reset(&d->rd[i]);
		ring[i] = rd_ring(&d->rd[i]);
	}
	assert_int_equal(d->b->ops->start(d->b, d->b->features & ~BIT(VIRTIO_BLK_F_MQ), ring), 0);
}

/** Waits for the next chain to be used. Returns its used length. */
static inline uint32_t used(struct device *d, unsigned q)
{
	uint16_t head;
	uint32_t len;

	rd_kick(&d->rd[q]);
	assert_true(rd_wait_used(&d->rd[q], &head, &len));
	return len;
}

static inline void end_is_good(struct device *d)
{
	int st;

	if (d->b)
		d->b->ops->drain(d->b);
	fd_close(&d->sock);
	assert_int_equal(waitpid(d->pid, &st, 0), d->pid);
	d->pid = 0;
	if (!WIFEXITED(st) || WEXITSTATUS(st))
		fail_msg("the device ended with wait status 0x%x", st);
}
