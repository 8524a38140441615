// SPDX-License-Identifier: BSD-3-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
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

static void user_readable(void *ctx)
{
	struct user *u = ctx;

	u->nr_readable++;
	u->in_len += chardev_read(u->c, u->in + u->in_len, sizeof(u->in) - u->in_len);
}

static void user_writable(void *ctx)
{
	struct user *u = ctx;

	u->nr_writable++;
}

static void user_failed(void *ctx, const struct err *err)
{
	struct user *u = ctx;

	u->nr_failed++;
	snprintf(u->failure, sizeof(u->failure), "%s", err->msg);
}

/** Takes each '!' out and counts it. */
static size_t user_filter(void *ctx, uint8_t *buf, size_t len)
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

static void open_with(int in_fd, int out_fd, bool filter)
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

static void open_stream(int in_fd, int out_fd)
{
	open_with(in_fd, out_fd, false);
}

static void close_stream(void)
{
	chardev_destroy(user.c);
	user.c = NULL;
	step_close();
}

static void make_pipe(int fd[2])
{
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
}

static int make_file(const void *text, size_t len)
{
	int fd = memfd_create("scratch", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void make_pty(int *master, int *slave)
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

static int make_fd_of(int dir_fd, const char *name, int flags)
{
	int fd = openat(dir_fd, name, flags | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static size_t waiting_in(int fd)
{
	int n = 0;

	assert_int_equal(ioctl(fd, FIONREAD, &n), 0);
	return (size_t)n;
}

static const uint8_t zeroes[256 * 1024];

/* ---- output ---- */

static void bytes_written_arrive_in_order(void **state __unused)
{
	char buf[16] = "";
	int p[2];

	make_pipe(p);
	open_stream(-1, p[1]);
	assert_int_equal(chardev_write(user.c, "one ", 4), 4);
	assert_int_equal(chardev_write(user.c, "two", 3), 3);
	assert_int_equal(read(p[0], buf, sizeof(buf)), 7);
	assert_string_equal(buf, "one two");
	step_times(3);
	assert_int_equal(user.nr_writable, 0); /* nothing was promised */
	close_stream();
	close(p[0]);
}

/** Writes until it takes no more; every call must return. */
static size_t fill(void)
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

static void empty(int fd, size_t len)
{
	uint8_t buf[65536];

	while (len) {
		ssize_t n = read(fd, buf, MIN(len, sizeof(buf)));

		assert_true(n > 0);
		len -= (size_t)n;
	}
}

static void a_full_pipe_stops_the_writer_and_not_the_loop(void **state __unused)
{
	size_t total;
	int p[2];

	make_pipe(p);
	open_stream(-1, p[1]);
	total = fill();
	assert_int_equal(total, waiting_in(p[0]));
	step_times(5);
	assert_int_equal(step.nr_now, 5); /* the loop's other watch goes on */
	assert_int_equal(user.nr_writable, 0);
	assert_true(step_is_idle());
	empty(p[0], total);
	step_times(5);
	assert_int_equal(user.nr_writable, 1); /* once, until it is wanted again */
	assert_int_equal(chardev_write(user.c, "x", 1), 1);
	close_stream();
	close(p[0]);
}

static void a_pipe_that_cannot_be_opened_anew_does_not_block_either(void **state __unused)
{
	char dir[] = "/tmp/chardev-XXXXXX";
	int dir_fd, both, out, in;
	size_t total;

	assert_non_null(mkdtemp(dir));
	dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkfifoat(dir_fd, "fifo", 0600), 0);
	both = make_fd_of(dir_fd, "fifo", O_RDWR);
	out = make_fd_of(dir_fd, "fifo", O_WRONLY);
	close(both);
	open_stream(-1, out); /* no reader now: opening it anew gives ENXIO */
	in = make_fd_of(dir_fd, "fifo", O_RDONLY | O_NONBLOCK);
	total = fill();
	assert_int_equal(total, waiting_in(in));
	assert_int_equal(read(in, (char[100]){ 0 }, 100), 100); /* less than PIPE_BUF free */
	assert_int_equal(chardev_write(user.c, zeroes, 4096), 0);
	empty(in, 4096); /* now one page's worth: that much and no more */
	assert_int_equal(chardev_write(user.c, zeroes, 3 * 4096), 4096);
	empty(in, total - 100);
	step_times(3);
	assert_int_equal(user.nr_writable, 1);
	close_stream();
	close(in);
	unlinkat(dir_fd, "fifo", 0);
	close(dir_fd);
	rmdir(dir);
}

static void the_given_description_stays_as_it_is(void **state __unused)
{
	int p[2], shared;

	make_pipe(p);
	shared = dup(p[1]); /* what the shell holds */
	open_stream(-1, p[1]);
	fill();
	assert_int_equal(fcntl(shared, F_GETFL) & O_NONBLOCK, 0);
	close_stream();
	close(shared);
	close(p[0]);
}

static void a_description_that_somebody_made_non_blocking_is_fine(void **state __unused)
{
	int s[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, s), 0);
	open_stream(s[0], s[0]);
	chardev_want_input(user.c, true);
	assert_true(fill() > 0);
	step_times(2);
	assert_int_equal(user.nr_readable, 0);
	assert_int_equal(chardev_read(user.c, user.in, 1), 0);
	assert_int_equal(user.nr_failed, 0);
	close_stream();
	close(s[1]);
}

static void a_terminal_whose_reader_sleeps_does_not_block(void **state __unused)
{
	int master, slave, shared;
	size_t total;

	make_pty(&master, &slave);
	shared = dup(slave);
	open_stream(-1, slave);
	total = fill();
	assert_true(total > 0);
	assert_int_equal(fcntl(shared, F_GETFL) & O_NONBLOCK, 0);
	assert_true(step_is_idle());
	assert_int_equal(user.nr_writable, 0);
	empty(master, total);
	step_cpu_ms(50);
	assert_int_equal(user.nr_writable, 1);
	close_stream();
	close(shared);
	close(master);
}

static void a_terminal_master_does_not_block(void **state __unused)
{
	int master, slave;
	char buf[8];

	make_pty(&master, &slave);
	open_stream(-1, master);
	assert_int_equal(chardev_write(user.c, "abc", 3), 3);
	assert_int_equal(read(slave, buf, sizeof(buf)), 3); /* this pty, not a new one */
	assert_true(fill() > 0);
	assert_int_equal(user.nr_failed, 0);
	close_stream();
	close(slave);
}

static void a_stopped_terminal_does_not_block(void **state __unused)
{
	int master, slave;
	size_t n;

	make_pty(&master, &slave);
	open_stream(-1, dup(slave));
	assert_int_equal(tcflow(slave, TCOOFF), 0); /* ^S */
	n = chardev_write(user.c, zeroes, 4096);
	assert_int_equal(n, 0);
	assert_true(step_is_idle());
	assert_int_equal(tcflow(slave, TCOON), 0);
	step_cpu_ms(20);
	assert_int_equal(user.nr_writable, 1);
	assert_int_equal(chardev_write(user.c, "x", 1), 1);
	close_stream();
	close(slave);
	close(master);
}

static void a_file_takes_its_share_and_promises_the_rest(void **state __unused)
{
	int fd = make_file("", 0), seen = dup(fd);
	size_t n;

	open_stream(-1, fd);
	n = chardev_write(user.c, zeroes, sizeof(zeroes));
	assert_int_equal(n, 65536);
	step_times(4);
	assert_int_equal(user.nr_writable, 1);
	assert_int_equal(chardev_write(user.c, zeroes, 1000), 1000);
	assert_int_equal(lseek(seen, 0, SEEK_END), 66536);
	assert_true(step_is_idle());
	close_stream();
	close(seen);
}

static void a_full_disk_is_told_once(void **state __unused)
{
	open_stream(-1, make_fd_of(AT_FDCWD, "/dev/full", O_WRONLY));
	assert_int_equal(chardev_write(user.c, zeroes, sizeof(zeroes)), sizeof(zeroes));
	assert_int_equal(chardev_write(user.c, "x", 1), 1);
	chardev_write_all(user.c, "x", 1);
	assert_int_equal(user.nr_failed, 1);
	assert_string_equal(user.failure, "--serial: OUT: No space left on device");
	close_stream();
}

static void a_reader_that_leaves_is_told_once_and_the_promise_kept(void **state __unused)
{
	int p[2];

	make_pipe(p);
	open_stream(-1, p[1]);
	fill();
	close(p[0]);
	step_times(3);
	assert_int_equal(user.nr_writable, 1);
	assert_int_equal(user.nr_failed, 0);
	chardev_want_output(user.c);
	assert_int_equal(chardev_write(user.c, zeroes, 100), 100);
	assert_int_equal(user.nr_failed, 1);
	assert_string_equal(user.failure, "--serial: OUT: Broken pipe");
	step_times(3);
	assert_int_equal(user.nr_writable, 2);
	assert_int_equal(chardev_write(user.c, zeroes, sizeof(zeroes)), sizeof(zeroes));
	assert_int_equal(user.nr_failed, 1);
	close_stream();
}

static void a_reader_that_left_does_not_make_the_loop_spin(void **state __unused)
{
	int p[2];

	make_pipe(p);
	open_stream(-1, p[1]);
	close(p[0]);
	assert_true(step_is_idle());
	assert_int_equal(user.nr_writable, 0);
	close_stream();
}

static void an_absent_output_takes_everything(void **state __unused)
{
	open_stream(-1, -1);
	assert_int_equal(chardev_write(user.c, zeroes, sizeof(zeroes)), sizeof(zeroes));
	chardev_write_all(user.c, zeroes, sizeof(zeroes));
	chardev_want_output(user.c);
	step_times(3);
	assert_int_equal(user.nr_writable, 1);
	assert_int_equal(user.nr_failed, 0);
	close_stream();
}

struct slow_reader {
	int fd;
	size_t len;
};

static void *slow_reader(void *arg)
{
	struct slow_reader *r = arg;
	uint8_t buf[50000];
	ssize_t n;

	do {
		usleep(1000);
		n = read(r->fd, buf, sizeof(buf));
		r->len += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	return NULL;
}

static void write_all_waits_for_a_slow_reader(void **state __unused)
{
	struct slow_reader r = { 0 };
	pthread_t t;
	int p[2];

	make_pipe(p);
	open_stream(-1, p[1]);
	r.fd = p[0];
	assert_int_equal(pthread_create(&t, NULL, slow_reader, &r), 0);
	for (int i = 0; i < 4; i++)
		chardev_write_all(user.c, zeroes, sizeof(zeroes));
	close_stream();
	pthread_join(t, NULL);
	assert_int_equal(r.len, 4 * sizeof(zeroes));
	close(p[0]);
}

static void *leaving_reader(void *arg)
{
	usleep(20000);
	close(*(int *)arg);
	return NULL;
}

static void write_all_ends_when_the_reader_leaves(void **state __unused)
{
	pthread_t t;
	int p[2];

	make_pipe(p);
	open_stream(-1, p[1]);
	assert_int_equal(pthread_create(&t, NULL, leaving_reader, &p[0]), 0);
	chardev_write_all(user.c, zeroes, sizeof(zeroes));
	assert_int_equal(user.nr_failed, 1);
	pthread_join(t, NULL);
	close_stream();
}

/* ---- input ---- */

static void a_file_is_read_to_its_end_and_left_alone(void **state __unused)
{
	open_stream(make_file("hello", 5), -1);
	chardev_want_input(user.c, true);
	step_times(5);
	assert_int_equal(user.in_len, 5);
	assert_memory_equal(user.in, "hello", 5);
	assert_int_equal(user.nr_readable, 2); /* the bytes, the end */
	assert_true(step_is_idle());
	close_stream();
}

static void dev_null_is_an_empty_input(void **state __unused)
{
	open_stream(make_fd_of(AT_FDCWD, "/dev/null", O_RDONLY), -1);
	chardev_want_input(user.c, true);
	assert_true(step_is_idle());
	assert_int_equal(user.in_len, 0);
	close_stream();
}

static void input_waits_until_it_is_wanted(void **state __unused)
{
	int p[2];

	make_pipe(p);
	open_stream(p[0], -1);
	assert_int_equal(write(p[1], "abc", 3), 3);
	step_times(3);
	assert_int_equal(user.nr_readable, 0);
	chardev_want_input(user.c, true);
	step_times(3);
	assert_int_equal(user.in_len, 3);
	assert_int_equal(user.nr_readable, 1);
	close_stream();
	close(p[1]);
}

static void a_read_does_not_wait(void **state __unused)
{
	int p[2];

	make_pipe(p); /* a blocking one */
	open_stream(p[0], -1);
	assert_int_equal(chardev_read(user.c, user.in, 10), 0);
	close_stream();
	close(p[1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p), 0);
	open_stream(p[0], -1);
	assert_int_equal(chardev_read(user.c, user.in, 10), 0);
	close_stream();
	close(p[1]);
}

static void a_writer_that_left_ends_the_input_without_spinning(void **state __unused)
{
	int p[2];

	make_pipe(p);
	open_stream(p[0], -1);
	assert_int_equal(write(p[1], "abc", 3), 3);
	close(p[1]);
	assert_true(step_is_idle()); /* hung up, and nobody wants it */
	chardev_want_input(user.c, true);
	assert_true(step_is_idle());
	assert_int_equal(user.in_len, 3);
	close_stream();
}

static void a_terminal_that_hung_up_ends_the_input_without_spinning(void **state __unused)
{
	int master, slave;

	make_pty(&master, &slave);
	open_stream(slave, slave);
	chardev_want_input(user.c, true);
	assert_int_equal(write(master, "abc", 3), 3);
	step_cpu_ms(20);
	assert_int_equal(user.in_len, 3);
	assert_int_equal(chardev_write(user.c, "def", 3), 3);
	close(master);
	assert_true(step_is_idle());
	chardev_write(user.c, "x", 1);
	assert_int_equal(user.nr_failed, 1);
	close_stream();
}

static void one_socket_serves_both_ways(void **state __unused)
{
	char buf[8] = "";
	int s[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s), 0);
	open_stream(s[0], s[0]);
	chardev_want_input(user.c, true);
	assert_int_equal(chardev_write(user.c, "out", 3), 3);
	assert_int_equal(read(s[1], buf, sizeof(buf)), 3);
	assert_int_equal(write(s[1], "in", 2), 2);
	step_times(2);
	assert_int_equal(user.in_len, 2);
	assert_true(fill() > 0);
	step_times(2);
	assert_int_equal(user.nr_writable, 0);
	close(s[1]);
	step_times(3);
	assert_int_equal(user.nr_writable, 1);
	chardev_write(user.c, "x", 1);
	assert_int_equal(user.nr_failed, 1);
	assert_true(step_is_idle());
	close_stream();
}

/* ---- the filter ---- */

static void the_filter_sees_its_key_though_the_guest_takes_nothing(void **state __unused)
{
	uint8_t many[400];
	int p[2];

	make_pipe(p);
	open_with(p[0], -1, true);
	memset(many, 'a', sizeof(many));
	assert_int_equal(write(p[1], "xy!z", 4), 4);
	step_times(2);
	assert_int_equal(user.nr_filtered, 1);
	assert_int_equal(user.nr_readable, 0);
	assert_int_equal(write(p[1], many, sizeof(many)), sizeof(many));
	step_times(4);
	assert_int_equal(waiting_in(p[0]), sizeof(many) - (256 - 3)); /* read ahead has an end */
	assert_true(step_is_idle());
	chardev_want_input(user.c, true);
	step_times(6);
	assert_int_equal(user.in_len, 3 + sizeof(many));
	assert_memory_equal(user.in, "xyza", 4);
	close_stream();
	close(p[1]);
}

static void what_the_filter_took_wakes_nobody(void **state __unused)
{
	int p[2];

	make_pipe(p);
	open_with(p[0], -1, true);
	chardev_want_input(user.c, true);
	assert_int_equal(write(p[1], "!!", 2), 2);
	step_times(3);
	assert_int_equal(user.nr_filtered, 2);
	assert_int_equal(user.nr_readable, 0);
	close(p[1]);
	assert_true(step_is_idle());
	close_stream();
}

static void a_file_goes_through_the_filter_too(void **state __unused)
{
	open_with(make_file("a!b", 3), -1, true);
	chardev_want_input(user.c, true);
	step_times(4);
	assert_int_equal(user.in_len, 2);
	assert_memory_equal(user.in, "ab", 2);
	assert_true(step_is_idle());
	close_stream();
}

static void a_bad_fd_is_an_error(void **state __unused)
{
	struct chardev_config cfg = {
		.in_fd = -1, .out_fd = 1000, .opt = "--serial", .path = "OUT"
	};
	struct chardev *c = NULL;
	struct err err;

	step_open();
	assert_int_equal(chardev_create(step.loop, &cfg, &c, &err), -EBADF);
	assert_string_equal(err.msg, "--serial: OUT: Bad file descriptor");
	assert_null(c);
	chardev_destroy(NULL);
	step_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_written_arrive_in_order),
		cmocka_unit_test(a_full_pipe_stops_the_writer_and_not_the_loop),
		cmocka_unit_test(a_pipe_that_cannot_be_opened_anew_does_not_block_either),
		cmocka_unit_test(the_given_description_stays_as_it_is),
		cmocka_unit_test(a_description_that_somebody_made_non_blocking_is_fine),
		cmocka_unit_test(a_terminal_whose_reader_sleeps_does_not_block),
		cmocka_unit_test(a_terminal_master_does_not_block),
		cmocka_unit_test(a_stopped_terminal_does_not_block),
		cmocka_unit_test(a_file_takes_its_share_and_promises_the_rest),
		cmocka_unit_test(a_full_disk_is_told_once),
		cmocka_unit_test(a_reader_that_leaves_is_told_once_and_the_promise_kept),
		cmocka_unit_test(a_reader_that_left_does_not_make_the_loop_spin),
		cmocka_unit_test(an_absent_output_takes_everything),
		cmocka_unit_test(write_all_waits_for_a_slow_reader),
		cmocka_unit_test(write_all_ends_when_the_reader_leaves),
		cmocka_unit_test(a_file_is_read_to_its_end_and_left_alone),
		cmocka_unit_test(dev_null_is_an_empty_input),
		cmocka_unit_test(input_waits_until_it_is_wanted),
		cmocka_unit_test(a_read_does_not_wait),
		cmocka_unit_test(a_writer_that_left_ends_the_input_without_spinning),
		cmocka_unit_test(a_terminal_that_hung_up_ends_the_input_without_spinning),
		cmocka_unit_test(one_socket_serves_both_ways),
		cmocka_unit_test(the_filter_sees_its_key_though_the_guest_takes_nothing),
		cmocka_unit_test(what_the_filter_took_wakes_nobody),
		cmocka_unit_test(a_file_goes_through_the_filter_too),
		cmocka_unit_test(a_bad_fd_is_an_error),
	};

	signal(SIGPIPE, SIG_IGN);
	alarm(60); /* a write that blocks is a failure, not a hang */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
