// SPDX-License-Identifier: BSD-3-Clause
/* net/vsock.c: packets, credit and ends, over a socket that was handed to it. */
#include "tests/unit/vsock_rig.h"

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

/** Linux's own buffer bounds what it sends, and who does not hear of room sends no more. */
static void a_guest_of_little_room_hears_of_ours_in_time(void **state __unused)
{
	static uint8_t bytes[1000];
	struct vsock_packet p = packet(VSOCK_OP_CREDIT_UPDATE, HANDED, 0);

	open_handed();
	p.buf_alloc = sizeof(bytes);
	assert_int_equal(send_packet(&p, NULL), 0);
	p.op = VSOCK_OP_RW;
	p.len = sizeof(bytes) / 2;
	assert_int_equal(send_packet(&p, bytes), 0);
	hears_nothing();
	p.len = 1;
	assert_int_equal(send_packet(&p, bytes), 0);
	hears_op(VSOCK_OP_CREDIT_UPDATE, HANDED);
	assert_int_equal(got.fwd_cnt, sizeof(bytes) / 2 + 1);
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

/** The next packet, into a buffer of `room` bytes, is bytes of the count up that `at` goes on. */
static void hears_count(uint8_t *at, uint32_t room, uint32_t len)
{
	static uint8_t buf[4096];
	struct iovec iov = { buf, room };

	assert_true(vsock_rx(v, &got, &iov, 1, room));
	assert_int_equal(got.op, VSOCK_OP_RW);
	assert_int_equal(got.len, len);
	for (uint32_t i = 0; i < len; i++)
		assert_int_equal(buf[i], (*at)++);
}

static void a_stream_is_read_ahead_within_the_guests_credit(void **state __unused)
{
	struct vsock_packet p = packet(VSOCK_OP_CREDIT_UPDATE, HANDED, 0);
	uint8_t bytes[1000], at = 0;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	open_handed();
	p.buf_alloc = 300;
	assert_int_equal(send_packet(&p, NULL), 0);
	assert_int_equal(write(host, bytes, sizeof(bytes)), sizeof(bytes));
	step_once();
	hears_count(&at, 100, 100);
	/* Its buffer was full, so more is read than fits in the next: all that there is credit for.
	 */
	hears_count(&at, 100, 100);
	assert_int_equal(recv(host, bytes, 1, MSG_DONTWAIT), -1);
	/* Room that shrank holds it back, nobody is busy with it, and it comes first afterwards. */
	p.buf_alloc = 200;
	assert_int_equal(send_packet(&p, NULL), 0);
	hears_nothing();
	assert_true(step_is_idle());
	p.fwd_cnt = 200;
	p.buf_alloc = 2000;
	assert_int_equal(send_packet(&p, NULL), 0);
	hears_count(&at, 60, 60);
	hears_count(&at, 60, 40);
	hears_count(&at, 400, 400);
	/* The end comes after it. */
	assert_int_equal(shutdown(host, SHUT_WR), 0);
	step_once();
	hears_count(&at, 150, 150);
	hears_count(&at, 150, 150);
	hears_op(VSOCK_OP_SHUTDOWN, HANDED);
	hears_nothing();
}

static void what_was_read_ahead_ends_with_its_connection(void **state __unused)
{
	static uint8_t bytes[3000];
	uint8_t small[16];
	struct iovec iov = { small, sizeof(small) };

	open_handed();
	assert_int_equal(write(host, bytes, sizeof(bytes)), sizeof(bytes));
	step_once();
	assert_true(vsock_rx(v, &got, &iov, 1, sizeof(small)));
	assert_true(vsock_rx(v, &got, &iov, 1, sizeof(small)));
	say(VSOCK_OP_RST, HANDED);
	hears_nothing();
	assert_true(step_is_idle());
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
		T(a_guest_of_little_room_hears_of_ours_in_time),
		T(no_more_than_the_guest_has_room_for_is_sent),
		T(a_packet_holds_what_the_buffer_does),
		T(a_stream_is_read_ahead_within_the_guests_credit),
		T(what_was_read_ahead_ends_with_its_connection),
		T(the_guests_half_ends_after_its_bytes),
		T(both_halves_of_the_guest_are_answered_by_a_reset),
		T(a_guest_that_does_not_read_is_not_sent_anything),
		T(the_hosts_half_ends_after_its_bytes),
		T(a_host_that_is_gone_ends_both),
		T(what_a_reset_device_was_given_goes_on_its_way),
	};

	alarm(600);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
