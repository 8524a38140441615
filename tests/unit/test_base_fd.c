// SPDX-License-Identifier: BSD-3-Clause
/* Owned descriptors, whole reads and writes, eventfds. */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void expect_cloexec(int fd)
{
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static int file_with(const char *text)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
	return fd;
}

static void closing_forgets_the_number_and_keeps_errno(void **state)
{
	int fd = fd_event(), copy = fd;

	(void)state;
	errno = EXDEV;
	fd_close(&fd);
	assert_int_equal(fd, -1);
	assert_int_equal(errno, EXDEV);
	assert_int_equal(fcntl(copy, F_GETFD), -1);
	errno = EXDEV;
	fd_close(&fd);
	assert_int_equal(errno, EXDEV);
}

static void a_local_closes_itself_unless_taken(void **state)
{
	int inner, taken;

	(void)state;
	{
		fd_auto int a = fd_event();
		fd_auto int b = fd_event();

		inner = a;
		taken = fd_take(&b);
		assert_int_equal(b, -1);
	}
	assert_int_equal(fcntl(inner, F_GETFD), -1);
	expect_cloexec(taken);
	fd_close(&taken);
}

static void a_missing_file_is_told_with_option_and_path(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(fd_open("--initrd", "/nonexistent/x", O_RDONLY, &err), -ENOENT);
	assert_string_equal(err.msg, "--initrd: /nonexistent/x: No such file or directory");
	assert_int_equal(fd_open("--initrd", "", O_RDONLY, &err), -ENOENT);
}

static void an_opened_file_is_closed_on_exec(void **state)
{
	struct err err;
	int fd = fd_open("--x", "/dev/null", O_RDWR, &err);

	(void)state;
	expect_cloexec(fd);
	fd_close(&fd);
}

static void a_descriptor_can_be_passed_by_number(void **state)
{
	static const char *const dir[] = { "/proc/self/fd", "/dev/fd" };
	int file = file_with("hello"), fd;
	char path[64], text[8] = "";
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(dir); i++) {
		snprintf(path, sizeof(path), "%s/%d", dir[i], file);
		fd = fd_open("--x", path, O_RDONLY, &err);
		expect_cloexec(fd);
		assert_int_not_equal(fd, file);
		assert_int_equal(fd_pread_full(fd, text, 5, 0), 5);
		assert_string_equal(text, "hello");
		fd_close(&fd);
	}
	fd_close(&file);
}

/** A socket has no path that could be opened again. */
static void a_socket_can_be_passed_by_number(void **state)
{
	struct err err;
	char path[64];
	int pair[2], fd;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", pair[0]);
	fd = fd_open("--x", path, O_RDWR, &err);
	expect_cloexec(fd);
	fd_close(&fd);
	fd_close(&pair[0]);
	fd_close(&pair[1]);
}

static void a_passed_descriptor_must_be_open_in_the_right_mode(void **state)
{
	struct err err;
	char path[64];
	int pipes[2];

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", pipes[0]);
	assert_int_equal(fd_open("--x", path, O_WRONLY, &err), -EACCES);
	assert_non_null(strstr(err.msg, "not opened for writing"));
	assert_int_equal(fd_open("--x", path, O_RDWR, &err), -EACCES);
	assert_non_null(strstr(err.msg, "not opened for reading and writing"));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", pipes[1]);
	assert_int_equal(fd_open("--x", path, O_RDONLY, &err), -EACCES);
	assert_non_null(strstr(err.msg, "not opened for reading"));
	fd_close(&pipes[0]);
	fd_close(&pipes[1]);
	assert_int_equal(fd_open("--x", path, O_WRONLY, &err), -EBADF);
	assert_int_equal(fd_open("--x", "/proc/self/fd/99999999999", O_RDONLY, &err), -ENOENT);
	assert_true(fd_open("--x", "/proc/self/fd/x", O_RDONLY, &err) < 0);
}

static void a_read_is_short_only_at_the_end_of_the_file(void **state)
{
	int file = file_with("0123456789");
	char buf[16];

	(void)state;
	assert_int_equal(fd_pread_full(file, buf, 4, 3), 4);
	assert_memory_equal(buf, "3456", 4);
	assert_int_equal(fd_pread_full(file, buf, sizeof(buf), 8), 2);
	assert_memory_equal(buf, "89", 2);
	assert_int_equal(fd_pread_full(file, buf, 4, 10), 0);
	assert_int_equal(fd_pread_full(file, buf, 4, UINT64_MAX), -EINVAL);
	fd_close(&file);
	assert_int_equal(fd_pread_full(file, buf, 4, 0), -EBADF);
}

#define BIG (1 << 20)

static void *slow_reader(void *arg)
{
	int fd = *(int *)arg;
	static char buf[4096];
	size_t sum = 0;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		for (ssize_t i = 0; i < n; i++)
			sum += (uint8_t)buf[i];
	return (void *)sum;
}

static void a_write_waits_for_a_slow_reader(void **state)
{
	char *text = malloc(BIG);
	pthread_t reader;
	int pipes[2];
	void *sum;

	(void)state;
	memset(text, 1, BIG);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_int_equal(fcntl(pipes[1], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(pthread_create(&reader, NULL, slow_reader, &pipes[0]), 0);
	assert_int_equal(fd_write_full(pipes[1], text, BIG), 0);
	fd_close(&pipes[1]);
	pthread_join(reader, &sum);
	assert_int_equal((size_t)sum, BIG);
	fd_close(&pipes[0]);
	free(text);
}

static void a_write_to_nobody_fails(void **state)
{
	int pipes[2];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
	fd_close(&pipes[0]);
	assert_int_equal(fd_write_full(pipes[1], "x", 1), -EPIPE);
	assert_int_equal(fd_write_full(pipes[1], "x", 0), 0);
	fd_close(&pipes[1]);
}

static void only_files_and_block_devices_have_a_size(void **state)
{
	int file = file_with("0123456789"), null = open("/dev/null", O_RDONLY | O_CLOEXEC), ev;
	uint64_t size = 1;

	(void)state;
	assert_int_equal(fd_size(file, &size), 0);
	assert_int_equal(size, 10);
	assert_int_equal(fd_size(null, &size), -ENOTBLK);
	ev = fd_event();
	assert_true(fd_size(ev, &size) < 0);
	assert_int_equal(size, 10);
	fd_close(&ev);
	fd_close(&null);
	fd_close(&file);
	assert_int_equal(fd_size(file, &size), -EBADF);
}

static void an_event_counts_signals_and_drains_to_zero(void **state)
{
	int ev = fd_event();

	(void)state;
	expect_cloexec(ev);
	assert_int_equal(fd_event_drain(ev), 0);
	fd_event_signal(ev);
	fd_event_signal(ev);
	assert_int_equal(fd_event_drain(ev), 2);
	assert_int_equal(fd_event_drain(ev), 0);
	fd_close(&ev);
}

static void a_saturated_event_does_not_block_or_abort(void **state)
{
	uint64_t full = UINT64_MAX - 1;
	int ev = fd_event();

	(void)state;
	assert_int_equal(write(ev, &full, sizeof(full)), sizeof(full));
	fd_event_signal(ev);
	assert_true(fd_event_drain(ev) == full);
	fd_close(&ev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(closing_forgets_the_number_and_keeps_errno),
		cmocka_unit_test(a_local_closes_itself_unless_taken),
		cmocka_unit_test(a_missing_file_is_told_with_option_and_path),
		cmocka_unit_test(an_opened_file_is_closed_on_exec),
		cmocka_unit_test(a_descriptor_can_be_passed_by_number),
		cmocka_unit_test(a_socket_can_be_passed_by_number),
		cmocka_unit_test(a_passed_descriptor_must_be_open_in_the_right_mode),
		cmocka_unit_test(a_read_is_short_only_at_the_end_of_the_file),
		cmocka_unit_test(a_write_waits_for_a_slow_reader),
		cmocka_unit_test(a_write_to_nobody_fails),
		cmocka_unit_test(only_files_and_block_devices_have_a_size),
		cmocka_unit_test(an_event_counts_signals_and_drains_to_zero),
		cmocka_unit_test(a_saturated_event_does_not_block_or_abort),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
