// SPDX-License-Identifier: BSD-3-Clause
/* net/vsock.c: ports that are asked for, and clients that CONNECT. */
#include "tests/unit/vsock_rig.h"

#include <sys/resource.h>

/* ---- ports that are asked for ---- */

static void answer(uint32_t port, int code, int fd)
{
	const struct vsock_answer a = { .port = port, .code = code };

	assert_int_equal(fdpass_send(broker, &a, sizeof(a), &fd, fd >= 0, 0), 0);
	step_once();
}

static void is_asked(uint32_t port)
{
	uint32_t said;

	assert_int_equal(recv(broker, &said, sizeof(said), MSG_DONTWAIT), sizeof(said));
	assert_int_equal(said, port);
}

static void a_port_is_asked_for_and_given(void **state __unused)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	say(VSOCK_OP_REQUEST, 80);
	hears_nothing();
	is_asked(80);
	answer(80, 0, pair[0]);
	close(pair[0]);
	hears_op(VSOCK_OP_RESPONSE, 80);
	send_bytes(80, "hello", 5);
	fd_close(&host);
	host = pair[1];
	host_reads("hello");
}

static void a_port_that_nobody_has_is_refused(void **state __unused)
{
	say(VSOCK_OP_REQUEST, 80);
	is_asked(80);
	answer(80, ECONNREFUSED, -1);
	hears_op(VSOCK_OP_RST, 80);
	hears_nothing();
	/* An answer that nobody waits for is dropped, its socket too. */
	answer(80, 0, host);
	hears_nothing();
}

static void questions_are_bounded_and_end_with_who_answers(void **state __unused)
{
	struct vsock_packet p = packet(VSOCK_OP_REQUEST, 80, 0);

	for (unsigned i = 0; i < VSOCK_MAX_ASKED; i++) {
		p.src_port = i;
		assert_int_equal(send_packet(&p, NULL), 0);
		is_asked(80);
	}
	hears_nothing();
	p.src_port++;
	assert_int_equal(send_packet(&p, NULL), 0);
	assert_true(hears());
	assert_int_equal(got.op, VSOCK_OP_RST);
	hears_nothing();
	fd_close(&broker);
	step_once();
	for (unsigned i = 0; i < VSOCK_MAX_ASKED; i++) {
		assert_true(hears());
		assert_int_equal(got.op, VSOCK_OP_RST);
	}
	hears_nothing();
	assert_int_equal(send_packet(&p, NULL), 0);
	assert_true(hears());
	assert_int_equal(got.op, VSOCK_OP_RST);
	assert_true(step_is_idle());
}

/* ---- CONNECT ---- */

static void connects(const char *line)
{
	fd_close(&host);
	host = unixsock_connect(path);
	assert_true(host >= 0);
	assert_int_equal(write(host, line, strlen(line)), strlen(line));
	step_times(2);
}

static void a_client_reaches_a_port_of_the_guest(void **state __unused)
{
	struct vsock_packet p;
	char line[64];

	connects("CONNECT 1000\nbytes of its own");
	assert_true(hears());
	assert_int_equal(got.op, VSOCK_OP_REQUEST);
	assert_int_equal(got.dst_port, GUEST);
	assert_true(got.src_port >= 0x40000000);
	hears_nothing();
	p = packet(VSOCK_OP_RESPONSE, got.src_port, 0);
	assert_int_equal(send_packet(&p, NULL), 0);
	snprintf(line, sizeof(line), "OK %u\n", got.src_port);
	host_reads(line);
	step_once();
	hears_op(VSOCK_OP_RW, p.dst_port);
	assert_memory_equal(body, "bytes of its own", 16);
}

static void a_client_that_the_guest_refuses_hears_the_end(void **state __unused)
{
	struct vsock_packet p;

	connects("CONNECT 1000\n");
	assert_true(hears());
	p = packet(VSOCK_OP_RST, got.src_port, 0);
	assert_int_equal(send_packet(&p, NULL), 0);
	hears_nothing();
	host_hears_the_end();
}

static void other_greetings_end(void **state __unused)
{
	static const char *const lines[] = { "\n", "CONNECT\n", "CONNECT \n", "CONNECT x\n",
		"CONNECT 1000 \n", "connect 1000\n", "CONNECT 4294967295\n", "CONNECT -1\n",
		"CONNECT 00000000000000000000001000", "GET / HTTP/1.1\r\nHost: mayfly\r\n" };

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		connects(lines[i]);
		host_hears_the_end();
		hears_nothing();
	}
	/* A carriage return is as good, and half a line is waited for. */
	connects("CONN");
	assert_true(step_is_idle());
	assert_int_equal(write(host, "ECT 1000\r\n", 10), 10);
	step_times(2);
	assert_true(hears());
	assert_int_equal(got.op, VSOCK_OP_REQUEST);
}

static void connections_are_bounded(void **state __unused)
{
	struct vsock_packet p = packet(VSOCK_OP_REQUEST, 80, 0);
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	for (unsigned i = 0; i < VSOCK_MAX_CONNS; i++) {
		p.src_port = i;
		assert_int_equal(send_packet(&p, NULL), 0);
		is_asked(80);
		answer(80, 0, pair[0]);
		assert_true(hears());
		assert_int_equal(got.op, VSOCK_OP_RESPONSE);
	}
	p.src_port++;
	assert_int_equal(send_packet(&p, NULL), 0);
	assert_true(hears());
	assert_int_equal(got.op, VSOCK_OP_RST);
	connects("CONNECT 1000\n");
	hears_nothing();
	assert_true(step_is_idle());
	/* One that ends makes room. */
	p = packet(VSOCK_OP_RST, 80, 0);
	p.src_port = 0;
	assert_int_equal(send_packet(&p, NULL), 0);
	step_times(2);
	assert_true(hears());
	assert_int_equal(got.op, VSOCK_OP_REQUEST);
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, make, drop)
	const struct CMUnitTest tests[] = {
		T(a_port_is_asked_for_and_given),
		T(a_port_that_nobody_has_is_refused),
		T(questions_are_bounded_and_end_with_who_answers),
		T(a_client_reaches_a_port_of_the_guest),
		T(a_client_that_the_guest_refuses_hears_the_end),
		T(other_greetings_end),
		T(connections_are_bounded),
	};

	struct rlimit r;

	/* As mayfly does: there is a descriptor for each connection. */
	if (!getrlimit(RLIMIT_NOFILE, &r)) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
	alarm(600);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
