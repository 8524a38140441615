// SPDX-License-Identifier: BSD-3-Clause
/* base/fdpass.c: descriptors over a socket, those that nobody wanted included. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <dirent.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
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

#define PIECE 4000U

/** FDPASS_BATCH pieces, each of another letter and with a descriptor. */
static void make_pieces(struct fdpass_piece *ret, char (*text)[PIECE], int *fds)
{
	for (unsigned i = 0; i < FDPASS_BATCH; i++) {
		memset(text[i], 'a' + (int)i, PIECE);
		fds[i] = fd_event();
		ret[i] = (struct fdpass_piece){ text[i], PIECE, &fds[i], 1 };
	}
}

/** In a child: 0 when all came, in order, and each descriptor with its piece's first byte. */
static int take_pieces(int sock)
{
	for (size_t at = 0; at < (size_t)FDPASS_BATCH * PIECE;) {
		struct pollfd p = { .fd = sock, .events = POLLIN };
		int fds[FDPASS_MAX];
		unsigned nr = 0;
		char buf[100];
		/* Not beyond a piece: after a short read, the next would go on into another. */
		size_t want = MIN(sizeof(buf), PIECE - at % PIECE);
		ssize_t n;

		if (poll(&p, 1, 10000) != 1)
			return 1;
		n = fdpass_recv(sock, buf, want, fds, &nr);
		if (n <= 0 || nr != (at % PIECE ? 0 : 1))
			return 2;
		for (ssize_t i = 0; i < n; i++)
			if (buf[i] != 'a' + (char)((at + (size_t)i) / PIECE))
				return 3;
		at += (size_t)n;
		if (nr)
			fd_close(&fds[0]);
	}
	return 0;
}

/** Little: with as little room as there can be. */
static void open_little_pair(int *pair, bool little)
{
	int room = 1;

	open_pair(pair);
	if (little)
		assert_int_equal(
			setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)), 0);
}

static void many_pieces_go_in_order_also_where_there_is_no_room(void **state __unused)
{
	static char text[FDPASS_BATCH][PIECE];
	struct fdpass_piece piece[FDPASS_BATCH];
	int pair[2], fds[FDPASS_BATCH], status, rc;
	pid_t pid;

	make_pieces(piece, text, fds);
	for (int little = 0; little < 2; little++) {
		if (little) {
			open_little_pair(pair, true);
			assert_int_equal(
				fdpass_send_all(pair[0], piece, FDPASS_BATCH, 50), -ETIMEDOUT);
			fd_close(&pair[0]);
			fd_close(&pair[1]);
		}
		open_little_pair(pair, little);
		pid = fork();
		assert_true(pid >= 0);
		if (!pid)
			_exit(take_pieces(pair[1]));
		fd_close(&pair[1]);
		rc = fdpass_send_all(pair[0], piece, FDPASS_BATCH, 10000);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		assert_int_equal(rc, 0);
		assert_int_equal(fdpass_send_all(pair[0], piece, FDPASS_BATCH, 10000), -EPIPE);
		fd_close(&pair[0]);
	}
	for (unsigned i = 0; i < FDPASS_BATCH; i++)
		fd_close(&fds[i]);
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
		cmocka_unit_test(many_pieces_go_in_order_also_where_there_is_no_room),
		cmocka_unit_test(more_than_there_is_room_for_are_closed),
		cmocka_unit_test(a_peer_that_does_not_read_costs_a_bounded_time),
		cmocka_unit_test(an_eventfd_is_told_from_everything_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
