/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A chardev with a user that counts, and ends of streams to give it, for its tests.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "base/chardev.h"
#include "base/fd.h"
#include "tests/unit/loop_step.h"

struct user {
	struct chardev *c;
	uint8_t in[8192];
	size_t in_len;
	unsigned nr_readable, nr_writable, nr_failed, nr_filtered;
	char failure[512];
};

static struct user user;

static inline void user_readable(void *ctx)
{
	struct user *u = ctx;

	u->nr_readable++;
	u->in_len += chardev_read(u->c, u->in + u->in_len, sizeof(u->in) - u->in_len);
}

static inline void user_writable(void *ctx)
{
	struct user *u = ctx;

	u->nr_writable++;
}

static inline void user_failed(void *ctx, const struct err *err)
{
	struct user *u = ctx;

	u->nr_failed++;
	snprintf(u->failure, sizeof(u->failure), "%s", err->msg);
}

/** Takes each '!' out and counts it. */
static inline size_t user_filter(void *ctx, uint8_t *buf, size_t len)
{
	struct user *u = ctx;
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		if (buf[i] == '!')
			u->nr_filtered++;
		else
			buf[n++] = buf[i];
	return n;
}

static inline void open_with(int in_fd, int out_fd, bool filter)
{
	struct chardev_config cfg = { .in_fd = in_fd,
		.out_fd = out_fd,
		.opt = "--serial",
		.path = "OUT",
		.filter = filter ? user_filter : NULL,
		.failed = user_failed,
		.ctx = &user };
	struct chardev_user cu = {
		.readable = user_readable, .writable = user_writable, .ctx = &user
	};
	struct err err = { "" };

	step_open();
	user = (struct user){ 0 };
	assert_int_equal(chardev_create(step.loop, &cfg, &user.c, &err), 0);
	chardev_set_user(user.c, &cu);
}

static inline void open_stream(int in_fd, int out_fd)
{
	open_with(in_fd, out_fd, false);
}

static inline void close_stream(void)
{
	chardev_destroy(user.c);
	user.c = NULL;
	step_close();
}

static inline void make_pipe(int fd[2])
{
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
}

static inline int make_file(const void *text, size_t len)
{
	int fd = memfd_create("scratch", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static inline void make_pty(int *master, int *slave)
{
	struct termios t;

	*master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(*master >= 0);
	assert_int_equal(grantpt(*master), 0);
	assert_int_equal(unlockpt(*master), 0);
	*slave = open(ptsname(*master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(*slave >= 0);
	assert_int_equal(tcgetattr(*slave, &t), 0);
	t.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	assert_int_equal(tcsetattr(*slave, TCSANOW, &t), 0);
}

static inline int make_fd_of(int dir_fd, const char *name, int flags)
{
	int fd = openat(dir_fd, name, flags | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static inline size_t waiting_in(int fd)
{
	int n = 0;

	assert_int_equal(ioctl(fd, FIONREAD, &n), 0);
	return (size_t)n;
}

static const uint8_t zeroes[256 * 1024];

/** Writes until it takes no more; every call must return. */
static inline size_t fill(void)
{
	size_t total = 0, n;

	do {
		n = chardev_write(user.c, zeroes, sizeof(zeroes));
		assert_true(n <= sizeof(zeroes));
		total += n;
		assert_true(total < 64 * MIB);
	} while (n);
	return total;
}
