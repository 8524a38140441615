// SPDX-License-Identifier: BSD-3-Clause
/* net/vsock.c: a guest's packets by hand, and real sockets at the host's side. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "base/fdpass.h"
#include "base/log.h"
#include "base/unixsock.h"
#include "net/vsock.h"
#include "tests/unit/loop_step.h"

#define CID    7
#define HANDED 9U /* a port that has a socket */
#define GUEST  1000U
#define BODY   (64 * KIB)

static struct vsock *v;
static int host;   /* the other end of what was handed */
static int broker; /* the other end of ask_fd */
static unsigned nr_pending;
static char path[64];
static uint8_t body[BODY];
static struct vsock_packet got;

static void on_pending(void *ctx __unused)
{
	nr_pending++;
}

static int make(void **state __unused)
{
	struct vsock_config cfg = { .guest_cid = CID, .pending = on_pending, .nr_handed = 1 };
	int pair[2], ask[2];
	struct err err;

	log_set_level(LOG_ERROR);
	step_open();
	nr_pending = 0;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ask), 0);
	snprintf(path, sizeof(path), "/tmp/mayfly-vsock.%d", (int)getpid());
	cfg.loop = step.loop;
	cfg.listen_fd = unixsock_listen("--vsock", path, 8, SOCK_NONBLOCK, &err);
	assert_true(cfg.listen_fd >= 0);
	cfg.ask_fd = ask[0];
	cfg.handed[0] = (struct vsock_handed){ .port = HANDED, .fd = pair[0] };
	host = pair[1];
	broker = ask[1];
	assert_int_equal(vsock_create(&cfg, &v, &err), 0);
	return 0;
}

static int drop(void **state __unused)
{
	vsock_destroy(v);
	fd_close(&host);
	fd_close(&broker);
	unlink(path);
	step_close();
	return 0;
}

/* ---- the guest ---- */

static struct vsock_packet packet(enum vsock_op op, uint32_t port, uint32_t len)
{
	return (struct vsock_packet){ .src_cid = CID,
		.dst_cid = VSOCK_HOST_CID,
		.src_port = GUEST,
		.dst_port = port,
		.len = len,
		.type = VSOCK_TYPE_STREAM,
		.op = (uint16_t)op,
		.buf_alloc = 256 * KIB };
}

static int send_packet(const struct vsock_packet *p, const void *bytes)
{
	struct iovec iov = { (void *)(uintptr_t)bytes, p->len };

	return vsock_tx(v, p, &iov, p->len ? 1 : 0);
}

static void say(enum vsock_op op, uint32_t port)
{
	struct vsock_packet p = packet(op, port, 0);

	assert_int_equal(send_packet(&p, NULL), 0);
}

static void send_bytes(uint32_t port, const void *bytes, uint32_t len)
{
	struct vsock_packet p = packet(VSOCK_OP_RW, port, len);

	assert_int_equal(send_packet(&p, bytes), 0);
}

/** The next packet for the guest, its payload in `body`. */
static bool hears(void)
{
	struct iovec iov = { body, sizeof(body) };

	return vsock_rx(v, &got, &iov, 1, sizeof(body));
}

static void hears_op(enum vsock_op op, uint32_t port)
{
	assert_true(hears());
	assert_int_equal(got.op, op);
	assert_int_equal(got.src_cid, VSOCK_HOST_CID);
	assert_int_equal(got.dst_cid, CID);
	assert_int_equal(got.src_port, port);
	assert_int_equal(got.dst_port, GUEST);
}

static void hears_nothing(void)
{
	assert_false(hears());
	assert_false(vsock_has_rx(v));
}

static void open_handed(void)
{
	say(VSOCK_OP_REQUEST, HANDED);
	hears_op(VSOCK_OP_RESPONSE, HANDED);
	assert_int_equal(got.buf_alloc, VSOCK_BUF_ALLOC);
	hears_nothing();
}

static void host_reads(const char *text)
{
	char buf[256] = "";

	assert_int_equal(recv(host, buf, sizeof(buf) - 1, MSG_DONTWAIT), strlen(text));
	assert_string_equal(buf, text);
}

static void host_hears_the_end(void)
{
	char c;
	ssize_t n = recv(host, &c, 1, MSG_DONTWAIT);

	/* Bytes that were not read make it a reset. */
	assert_true(!n || (n < 0 && errno == ECONNRESET));
}

static void host_writes(const char *text)
{
	assert_int_equal(write(host, text, strlen(text)), strlen(text));
	step_once();
}

/* ---- tests ---- */

static void a_header_is_44_bytes_in_the_order_of_the_specification(void **state __unused)
{
	const struct vsock_packet p = { 0x0102030405060708, 2, 3, 4, 5, 1, 6, 7, 8, 9 };
	uint8_t bytes[VSOCK_HEADER_LEN];
	struct vsock_packet back;

	vsock_encode(&p, bytes);
	assert_int_equal(bytes[0], 8);
	assert_int_equal(bytes[16], 3);
	assert_int_equal(bytes[24], 5);
	assert_int_equal(bytes[28], 1);
	assert_int_equal(bytes[30], 6);
	assert_int_equal(bytes[40], 9);
	vsock_decode(bytes, &back);
	assert_memory_equal(&p, &back, sizeof(p));
}

static void bytes_pass_both_ways(void **state __unused)
{
	open_handed();
	send_bytes(HANDED, "to the host", 11);
	host_reads("to the host");
	host_writes("to the guest");
	assert_int_equal(nr_pending, 2); /* the response, and this */
	hears_op(VSOCK_OP_RW, HANDED);
	assert_int_equal(got.len, 12);
	assert_memory_equal(body, "to the guest", 12);
	assert_int_equal(got.fwd_cnt, 11);
	hears_nothing();
	assert_true(step_is_idle());
}

static void a_handed_socket_is_given_once(void **state __unused)
{
	struct vsock_packet p = packet(VSOCK_OP_REQUEST, HANDED, 0);

	open_handed();
	p.src_port++;
	assert_int_equal(send_packet(&p, NULL), 0);
	assert_true(hears());
	assert_int_equal(got.op, VSOCK_OP_RST);
	assert_int_equal(got.dst_port, GUEST + 1);
	send_bytes(HANDED, "still", 5);
	host_reads("still");
}

static void what_is_no_connection_is_reset(void **state __unused)
{
	struct vsock_packet p;

	for (unsigned op = 0; op < 12; op++) {
		if (op == VSOCK_OP_REQUEST || op == VSOCK_OP_RST)
			continue;
		p = packet((enum vsock_op)op, 5, 0);
		assert_int_equal(send_packet(&p, NULL), 0);
		hears_op(VSOCK_OP_RST, 5);
	}
	say(VSOCK_OP_RST, 5);
	hears_nothing();
	p = packet(VSOCK_OP_REQUEST, HANDED, 0);
	p.type = 2; /* SEQPACKET */
	assert_int_equal(send_packet(&p, NULL), 0);
	assert_true(hears());
	assert_int_equal(got.op, VSOCK_OP_RST);
	assert_int_equal(got.type, 2);
	p = packet(VSOCK_OP_REQUEST, HANDED, 0);
	p.dst_cid = 3; /* another guest */
	assert_int_equal(send_packet(&p, NULL), 0);
	assert_true(hears());
	assert_int_equal(got.op, VSOCK_OP_RST);
	assert_int_equal(got.src_cid, 3);
	p = packet(VSOCK_OP_REQUEST, HANDED, 0);
	p.src_cid = 8; /* not what it is */
	assert_int_equal(send_packet(&p, NULL), 0);
	hears_nothing();
}

static void a_word_out_of_turn_ends_the_connection(void **state __unused)
{
	static const enum vsock_op words[] = { VSOCK_OP_INVALID, VSOCK_OP_REQUEST,
		VSOCK_OP_RESPONSE, (enum vsock_op)8 };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (i) {
			drop(NULL);
			make(NULL);
		}
		open_handed();
		say(words[i], HANDED);
		say(VSOCK_OP_CREDIT_REQUEST, HANDED); /* nobody is there any more */
		hears_op(VSOCK_OP_RST, HANDED);
		hears_nothing();
		host_hears_the_end();
	}
}

static void answers_that_nobody_takes_stop_the_guest(void **state __unused)
{
	struct vsock_packet p = packet(VSOCK_OP_RW, 5, 0);

	for (unsigned i = 0; i < VSOCK_MAX_REPLIES; i++)
		assert_int_equal(send_packet(&p, NULL), 0);
	assert_int_equal(send_packet(&p, NULL), -EAGAIN);
	hears_op(VSOCK_OP_RST, 5);
	assert_int_equal(send_packet(&p, NULL), 0);
	assert_int_equal(send_packet(&p, NULL), -EAGAIN);
}

/* ---- credit ---- */

/** After `before` bytes: sends until the socket takes no more, and `beyond` bytes. Returns all. */
static uint32_t fill(uint32_t before, uint32_t beyond)
{
	static uint8_t bytes[4096];
	uint32_t sent = before, kept = 0;

	while (kept < beyond) {
		uint32_t n = (uint32_t)MIN(sizeof(bytes), (size_t)(beyond - kept));

		send_bytes(HANDED, bytes, n);
		sent += n;
		while (hears())
			assert_int_equal(got.op, VSOCK_OP_CREDIT_UPDATE);
		say(VSOCK_OP_CREDIT_REQUEST, HANDED);
		hears_op(VSOCK_OP_CREDIT_UPDATE, HANDED);
		kept = sent - got.fwd_cnt;
	}
	return sent;
}

static void what_a_slow_reader_leaves_is_kept_and_no_more(void **state __unused)
{
	static uint8_t bytes[4096];
	uint32_t sent, read_back = 0;

	open_handed();
	sent = fill(0, VSOCK_BUF_ALLOC);
	assert_true(step_is_idle());
	/* All of it arrives, and the guest hears when there is room again. */
	while (read_back < sent) {
		ssize_t n = recv(host, bytes, sizeof(bytes), MSG_DONTWAIT);

		if (n > 0)
			read_back += (uint32_t)n;
		step_once();
	}
	hears_op(VSOCK_OP_CREDIT_UPDATE, HANDED);
	assert_int_equal(got.fwd_cnt, sent);
	hears_nothing();
	/* One byte more than its credit ends the connection. */
	fill(sent, VSOCK_BUF_ALLOC);
	send_bytes(HANDED, "x", 1);
	hears_op(VSOCK_OP_RST, HANDED);
	hears_nothing();
}

static void no_more_than_the_guest_has_room_for_is_sent(void **state __unused)
{
	struct vsock_packet p = packet(VSOCK_OP_CREDIT_UPDATE, HANDED, 0);

	open_handed();
	p.buf_alloc = 5;
	assert_int_equal(send_packet(&p, NULL), 0);
	host_writes("twelve bytes");
	hears_op(VSOCK_OP_RW, HANDED);
	assert_int_equal(got.len, 5);
	hears_nothing();
	assert_true(step_is_idle());
	p.fwd_cnt = 3;
	assert_int_equal(send_packet(&p, NULL), 0);
	step_once();
	hears_op(VSOCK_OP_RW, HANDED);
	assert_int_equal(got.len, 3);
	assert_memory_equal(body, "e b", 3);
	/* Nonsense is no room: more forwarded than was sent, and room that shrank. */
	p.fwd_cnt = 9;
	assert_int_equal(send_packet(&p, NULL), 0);
	step_once();
	hears_nothing();
	p.fwd_cnt = 3;
	p.buf_alloc = 1;
	assert_int_equal(send_packet(&p, NULL), 0);
	step_once();
	hears_nothing();
	assert_true(step_is_idle());
}

static void a_packet_holds_what_the_buffer_does(void **state __unused)
{
	uint8_t small[3];
	struct iovec iov[2] = { { small, 1 }, { small + 1, 2 } };

	open_handed();
	host_writes("abcde");
	assert_true(vsock_rx(v, &got, iov, 2, sizeof(small)));
	assert_int_equal(got.len, 3);
	assert_memory_equal(small, "abc", 3);
	assert_true(vsock_rx(v, &got, iov, 2, sizeof(small)));
	assert_int_equal(got.len, 2);
}

/* ---- ends ---- */

static void the_guests_half_ends_after_its_bytes(void **state __unused)
{
	struct vsock_packet p = packet(VSOCK_OP_SHUTDOWN, HANDED, 0);

	open_handed();
	send_bytes(HANDED, "last", 4);
	p.flags = VSOCK_SHUTDOWN_SEND;
	assert_int_equal(send_packet(&p, NULL), 0);
	host_reads("last");
	host_hears_the_end();
	host_writes("an answer");
	hears_op(VSOCK_OP_RW, HANDED);
	assert_int_equal(got.len, 9);
	/* It said that there is no more. */
	send_bytes(HANDED, "more", 4);
	hears_op(VSOCK_OP_RST, HANDED);
}

static void both_halves_of_the_guest_are_answered_by_a_reset(void **state __unused)
{
	struct vsock_packet p = packet(VSOCK_OP_SHUTDOWN, HANDED, 0);

	open_handed();
	p.flags = VSOCK_SHUTDOWN_SEND | VSOCK_SHUTDOWN_RCV;
	assert_int_equal(send_packet(&p, NULL), 0);
	hears_op(VSOCK_OP_RST, HANDED);
	hears_nothing();
	host_hears_the_end();
}

static void a_guest_that_does_not_read_is_not_sent_anything(void **state __unused)
{
	struct vsock_packet p = packet(VSOCK_OP_SHUTDOWN, HANDED, 0);

	open_handed();
	p.flags = VSOCK_SHUTDOWN_RCV;
	assert_int_equal(send_packet(&p, NULL), 0);
	host_writes("unheard");
	hears_nothing();
	send_bytes(HANDED, "heard", 5);
	host_reads("heard");
	assert_true(step_is_idle());
}

static void the_hosts_half_ends_after_its_bytes(void **state __unused)
{
	open_handed();
	host_writes("last");
	assert_int_equal(shutdown(host, SHUT_WR), 0);
	step_once();
	hears_op(VSOCK_OP_RW, HANDED);
	hears_op(VSOCK_OP_SHUTDOWN, HANDED);
	assert_int_equal(got.flags, VSOCK_SHUTDOWN_SEND);
	hears_nothing();
	send_bytes(HANDED, "an answer", 9);
	host_reads("an answer");
	assert_true(step_is_idle());
}

static void a_host_that_is_gone_ends_both(void **state __unused)
{
	open_handed();
	host_writes("last");
	fd_close(&host);
	step_once();
	hears_op(VSOCK_OP_RW, HANDED);
	hears_op(VSOCK_OP_SHUTDOWN, HANDED);
	assert_int_equal(got.flags, VSOCK_SHUTDOWN_SEND | VSOCK_SHUTDOWN_RCV);
	/* What it says now goes nowhere, and costs it no credit. */
	send_bytes(HANDED, "nobody", 6);
	say(VSOCK_OP_CREDIT_REQUEST, HANDED);
	assert_true(hears());
	while (got.op == VSOCK_OP_SHUTDOWN)
		assert_true(hears());
	assert_int_equal(got.op, VSOCK_OP_CREDIT_UPDATE);
	assert_int_equal(got.fwd_cnt, 6);
	assert_true(step_is_idle());
	say(VSOCK_OP_RST, HANDED);
	hears_nothing();
}

static void what_a_reset_device_was_given_goes_on_its_way(void **state __unused)
{
	static uint8_t bytes[4096];
	uint32_t sent, read_back = 0;
	ssize_t n;

	open_handed();
	sent = fill(0, 20000);
	vsock_reset(v);
	hears_nothing();
	while ((n = recv(host, bytes, sizeof(bytes), MSG_DONTWAIT)) != 0) {
		if (n > 0)
			read_back += (uint32_t)n;
		step_once();
	}
	assert_int_equal(read_back, sent);
}

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
		cmocka_unit_test(a_header_is_44_bytes_in_the_order_of_the_specification),
		T(bytes_pass_both_ways),
		T(a_handed_socket_is_given_once),
		T(what_is_no_connection_is_reset),
		T(a_word_out_of_turn_ends_the_connection),
		T(answers_that_nobody_takes_stop_the_guest),
		T(what_a_slow_reader_leaves_is_kept_and_no_more),
		T(no_more_than_the_guest_has_room_for_is_sent),
		T(a_packet_holds_what_the_buffer_does),
		T(the_guests_half_ends_after_its_bytes),
		T(both_halves_of_the_guest_are_answered_by_a_reset),
		T(a_guest_that_does_not_read_is_not_sent_anything),
		T(the_hosts_half_ends_after_its_bytes),
		T(a_host_that_is_gone_ends_both),
		T(what_a_reset_device_was_given_goes_on_its_way),
		T(a_port_is_asked_for_and_given),
		T(a_port_that_nobody_has_is_refused),
		T(questions_are_bounded_and_end_with_who_answers),
		T(a_client_reaches_a_port_of_the_guest),
		T(a_client_that_the_guest_refuses_hears_the_end),
		T(other_greetings_end),
		T(connections_are_bounded),
	};

	alarm(600);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
