// SPDX-License-Identifier: BSD-3-Clause
/* base/fdpass.c: descriptors over a socket, those that nobody wanted included. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <dirent.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fdpass.h"

static unsigned count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void open_pair(int *pair)
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
}

static void descriptors_arrive_with_the_first_byte(void **state __unused)
{
	int pair[2], fds[FDPASS_MAX], send_fds[FDPASS_MAX];
	unsigned nr = 0, before = count_fds();
	char buf[8];

	open_pair(pair);
	for (unsigned i = 0; i < FDPASS_MAX; i++)
		send_fds[i] = fd_event();
	assert_int_equal(fdpass_recv(pair[1], buf, 8, fds, &nr), -EAGAIN);
	assert_int_equal(fdpass_send(pair[0], "abcdef", 6, send_fds, FDPASS_MAX, 1000), 0);
	assert_int_equal(fdpass_recv(pair[1], buf, 4, fds, &nr), 4);
	assert_int_equal(nr, FDPASS_MAX);
	assert_memory_equal(buf, "abcd", 4);
	assert_int_equal(fdpass_recv(pair[1], buf, 4, fds, &nr), 2);
	assert_int_equal(nr, FDPASS_MAX);
	for (unsigned i = 0; i < nr; i++) {
		assert_int_equal(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
		fd_event_signal(fds[i]);
		assert_int_equal(fd_event_drain(send_fds[i]), 1);
		fd_close(&fds[i]);
		fd_close(&send_fds[i]);
	}
	fd_close(&pair[0]);
	assert_int_equal(fdpass_recv(pair[1], buf, 4, fds, &nr), 0);
	fd_close(&pair[1]);
	assert_int_equal(count_fds(), before);
}

static void more_than_there_is_room_for_are_closed(void **state __unused)
{
	int pair[2], fds[FDPASS_MAX], send_fds[FDPASS_MAX];
	unsigned nr = 3, before = count_fds();
	char buf[8];

	open_pair(pair);
	for (unsigned i = 0; i < FDPASS_MAX; i++)
		send_fds[i] = pair[0];
	/* Three places are taken. */
	assert_int_equal(fdpass_send(pair[0], "a", 1, send_fds, 6, 1000), 0);
	assert_int_equal(fdpass_recv(pair[1], buf, 1, fds, &nr), -EMFILE);
	assert_int_equal(nr, 3);
	assert_int_equal(count_fds(), before + 2);
	/* As many as the kernel lets one send, by hand. */
	union {
		char buf[CMSG_SPACE(sizeof(int) * 200)];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { buf, 1 };
	struct msghdr mh = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * 200);
	for (unsigned i = 0; i < 200; i++)
		memcpy(CMSG_DATA(c) + i * sizeof(int), &pair[0], sizeof(int));
	assert_int_equal(sendmsg(pair[0], &mh, 0), 1);
	nr = 0;
	assert_int_equal(fdpass_recv(pair[1], buf, 1, fds, &nr), -EMFILE);
	assert_int_equal(nr, 0);
	assert_int_equal(count_fds(), before + 2);
	fd_close(&pair[0]);
	fd_close(&pair[1]);
}

static void a_peer_that_does_not_read_costs_a_bounded_time(void **state __unused)
{
	static char much[1 << 20];
	int pair[2];

	open_pair(pair);
	assert_int_equal(fdpass_send(pair[0], much, sizeof(much), NULL, 0, 50), -ETIMEDOUT);
	fd_close(&pair[1]);
	assert_int_equal(fdpass_send(pair[0], much, 1, NULL, 0, 50), -EPIPE);
	fd_close(&pair[0]);
}

static void an_eventfd_is_told_from_everything_else(void **state __unused)
{
	int pair[2], pipes[2], event = fd_event();
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int dir = open("/", O_RDONLY | O_CLOEXEC);

	open_pair(pair);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_true(fd_is_event(event));
	assert_int_equal(fd_event_drain(event), 0);
	fd_event_signal(event);
	assert_true(fd_is_event(event));
	assert_int_equal(fd_event_drain(event), 1);
	assert_false(fd_is_event(pair[0]));
	assert_false(fd_is_event(pipes[0]));
	assert_false(fd_is_event(pipes[1]));
	assert_false(fd_is_event(null));
	assert_false(fd_is_event(dir));
	assert_false(fd_is_event(-1));
	fd_close(&event);
	fd_close(&null);
	fd_close(&dir);
	for (unsigned i = 0; i < 2; i++) {
		fd_close(&pair[i]);
		fd_close(&pipes[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(descriptors_arrive_with_the_first_byte),
		cmocka_unit_test(more_than_there_is_room_for_are_closed),
		cmocka_unit_test(a_peer_that_does_not_read_costs_a_bounded_time),
		cmocka_unit_test(an_eventfd_is_told_from_everything_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
