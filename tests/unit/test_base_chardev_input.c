// SPDX-License-Identifier: BSD-3-Clause
/* base/chardev.c, input: it waits where it is, ends without a spin, and passes the filter. */
#include "tests/unit/chardev_user.h"

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
	step_times(8);
	assert_int_equal(user.in_len, 2);
	assert_memory_equal(user.in, "ab", 2);
	assert_true(step_is_idle());
	close_stream();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
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
	};

	signal(SIGPIPE, SIG_IGN);
	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
