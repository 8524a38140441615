/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The guest's and the host's side of a virtio console, for its tests.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/loop_step.h"
#include "tests/unit/ring_driver.h"
#include "virtio/console.h"

#define SIZE    64
#define RAM_LEN 0x200000
#define RX_RING 0x1000
#define TX_RING 0x4000
#define BUF     0x10000
#define BUF_LEN (RAM_LEN - BUF)

enum { RX, TX };

static struct guest_memory gm;
static struct ring_driver rd[2];
static struct virtio_backend *dev;
static int host_in, host_out; /* the host's ends: what the guest reads, what it wrote */
static unsigned nr_needs_reset, nr_failed;

static inline void on_needs_reset(void *ctx __unused)
{
	nr_needs_reset++;
}

static inline void on_failed(void *ctx __unused, const struct err *err __unused)
{
	nr_failed++;
}

static inline void make_device(int in_fd, int out_fd)
{
	struct chardev_config cfg = { .in_fd = in_fd,
		.out_fd = out_fd,
		.opt = "--console",
		.path = "OUT",
		.failed = on_failed };
	struct chardev *c;
	struct err err;

	assert_int_equal(chardev_create(step.loop, &cfg, &c, &err), 0);
	assert_int_equal(virtio_console_create(c, &gm, step.loop, &dev, &err), 0);
	dev->events = (struct virtio_events){ .needs_reset = on_needs_reset };
}

static inline int setup(void **state __unused)
{
	int a[2], b[2];

	log_set_level(LOG_ERROR);
	step_open();
	nr_needs_reset = nr_failed = 0;
	gm = (struct guest_memory){ 0 };
	rd_add_ram(&gm, 0, RAM_LEN);
	rd_init(&rd[RX], &gm, RX_RING, SIZE);
	rd_init(&rd[TX], &gm, TX_RING, SIZE);
	if (pipe2(a, O_CLOEXEC) || pipe2(b, O_CLOEXEC))
		return -1;
	host_in = a[1];
	host_out = b[0];
	make_device(a[0], b[1]);
	return 0;
}

static inline int teardown(void **state __unused)
{
	dev->ops->destroy(dev);
	rd_fini(&rd[RX]);
	rd_fini(&rd[TX]);
	rd_free_ram(&gm);
	fd_close(&host_in);
	fd_close(&host_out);
	step_close();
	return 0;
}

/** As setup, with an output of the test's choice. */
static inline void replace_output(int out_fd)
{
	int a[2];

	dev->ops->destroy(dev);
	fd_close(&host_in);
	fd_close(&host_out);
	assert_int_equal(pipe2(a, O_CLOEXEC), 0);
	host_in = a[1];
	make_device(a[0], out_fd);
}

static inline void start(void)
{
	struct virtio_ring rings[2] = { rd_ring(&rd[RX]), rd_ring(&rd[TX]) };

	assert_int_equal(dev->ops->start(dev, RD_FEATURES, rings), 0);
}

static inline uint8_t pattern(size_t i)
{
	return (uint8_t)(i * 7 + i / 4096);
}

static inline void put(gpa_t at, const char *text)
{
	memcpy(rd_at(&rd[TX], at, strlen(text)), text, strlen(text));
}

static inline void put_pattern(gpa_t at, size_t from, size_t len)
{
	uint8_t *p = rd_at(&rd[TX], at, len);

	for (size_t i = 0; i < len; i++)
		p[i] = pattern(from + i);
}

static inline size_t waiting_in(int fd)
{
	int n = 0;

	assert_int_equal(ioctl(fd, FIONREAD, &n), 0);
	return (size_t)n;
}

static inline void assert_host_got(const char *text)
{
	char buf[256] = "";
	size_t len = waiting_in(host_out);

	assert_true(len < sizeof(buf));
	if (len)
		assert_int_equal(read(host_out, buf, len), len);
	assert_string_equal(buf, text);
}

static inline void type(const char *text)
{
	assert_int_equal(write(host_in, text, strlen(text)), strlen(text));
}

static inline void assert_used(unsigned q, uint16_t head, uint32_t len)
{
	uint16_t used_head = 0xffff;
	uint32_t used_len = 0xffffffff;

	assert_true(rd_pop_used(&rd[q], &used_head, &used_len));
	assert_int_equal(used_head, head);
	assert_int_equal(used_len, len);
}

static inline void assert_none_used(unsigned q)
{
	assert_false(rd_pop_used(&rd[q], NULL, NULL));
}
