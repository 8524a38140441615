// SPDX-License-Identifier: BSD-3-Clause
/* base/chardev.c, output: it never blocks the loop, and says once that it failed. */
#include <pthread.h>

#include "tests/unit/chardev_user.h"

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
	/* The kernel moves on what was written, in its own time, and has room again. */
	for (int i = 0; i < 10; i++) {
		usleep(10000);
		total += fill();
	}
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
		cmocka_unit_test(a_bad_fd_is_an_error),
	};

	signal(SIGPIPE, SIG_IGN);
	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
