// SPDX-License-Identifier: BSD-3-Clause
/*
 * vhost-user/requests.c: each thing that a front end may not say. Asked for an acknowledgement
 * the back end says no and goes on; otherwise it ends the connection with a sentence.
 */
#include <signal.h>

#include "tests/unit/vu_rig.h"

#define ACK BIT(VU_PROTOCOL_F_REPLY_ACK)

/** Says something wrong twice: once to be told no, once to be cut off. */
static void refused(struct vur *v, uint32_t request, const void *payload, size_t size,
	const int *fds, unsigned nr_fds)
{
	struct vu_inbox in = { 0 };

	vur_say(v, request, VU_NEED_REPLY, payload, size, fds, nr_fds);
	assert_true(vur_hear(v->sock, &in));
	assert_int_equal(in.m.h.request, request);
	assert_int_equal(in.m.h.size, 8);
	assert_int_equal(in.m.u64, 1);
	assert_int_equal(v->nr_ended, 0);
}

static void cut_off(struct vur *v, const char *text)
{
	struct vu_inbox in = { 0 };

	assert_false(vur_hear(v->sock, &in));
	vur_wait_end(v);
	assert_false(v->ended_well);
	if (!strstr(v->ended_err.msg, text))
		fail_msg("'%s' is not in '%s'", text, v->ended_err.msg);
}

static void running(struct vur *v)
{
	vur_greet(v, ACK);
	vur_say_ring(v, 0);
	vur_say_state(v, VU_SET_VRING_ENABLE, 0, 1);
	vur_settle(v);
	assert_int_equal(v->toy.nr_start, 1);
}

static void features_that_were_not_offered_are_refused(void **state)
{
	struct vur *v = *state;
	uint64_t wrong = BIT(4), wrong_protocol = BIT(12);

	running(v);
	refused(v, VU_SET_FEATURES, &wrong, 8, NULL, 0);
	refused(v, VU_SET_PROTOCOL_FEATURES, &wrong_protocol, 8, NULL, 0);
	assert_int_equal(v->toy.d.features, RD_FEATURES);
	vur_say_u64(v, VU_SET_FEATURES, 0, wrong);
	cut_off(v, "request 2: features that were not offered");
}

static void requests_that_are_not_known_are_refused(void **state)
{
	struct vur *v = *state;
	static const uint32_t unknown[] = { 0, 6, 7, 19, 22, 26, 28, 31, 32, 33, 35, 41, 1u << 31,
		UINT32_MAX };

	running(v);
	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++)
		refused(v, unknown[i], NULL, 0, NULL, 0);
	vur_say(v, 41, 0, NULL, 0, NULL, 0);
	cut_off(v, "not known");
}

static void sizes_that_a_request_does_not_have_are_refused(void **state)
{
	struct vur *v = *state;
	uint8_t zeroes[64] = { 0 };

	running(v);
	for (uint32_t request = 1; request < VU_NR_REQUESTS; request++)
		refused(v, request, zeroes, 7, NULL, 0);
	for (uint32_t size = 1; size < 56; size++)
		if (size != sizeof(struct vu_vring_addr))
			refused(v, VU_SET_VRING_ADDR, zeroes, size, NULL, 0);
	assert_int_equal(v->toy.nr_start, 1);
}

static void descriptors_that_a_request_does_not_have_are_refused(void **state)
{
	struct vur *v = *state;
	uint64_t one = 1;
	int fds[FDPASS_MAX];

	running(v);
	for (unsigned i = 0; i < FDPASS_MAX; i++)
		fds[i] = v->toy.gm.share_fd;
	refused(v, VU_SET_VRING_NUM, &one, 8, fds, 1);
	refused(v, VU_SET_FEATURES, &one, 8, fds, 1);
	refused(v, VU_SET_VRING_CALL, &one, 8, fds, 2);
	refused(v, VU_SET_BACKEND_REQ_FD, NULL, 0, fds, 2);
	refused(v, VU_SET_BACKEND_REQ_FD, NULL, 0, fds, 0);
}

static void messages_of_a_wrong_form_end_it(void **state)
{
	struct vur *v = *state;
	struct vu_header h = { VU_GET_FEATURES, 2, 0 };

	assert_int_equal(send(v->sock, &h, sizeof(h), 0), sizeof(h));
	cut_off(v, "version");
}

static void a_message_too_long_ends_it(void **state)
{
	struct vur *v = *state;
	struct vu_header h = { VU_SET_FEATURES, VU_VERSION, 281 };

	assert_int_equal(send(v->sock, &h, sizeof(h), 0), sizeof(h));
	cut_off(v, "longer than any");
}

static void a_message_cut_short_ends_it(void **state)
{
	struct vur *v = *state;
	struct vu_header h = { VU_SET_FEATURES, VU_VERSION, 8 };

	assert_int_equal(send(v->sock, &h, sizeof(h), 0), sizeof(h));
	shutdown(v->sock, SHUT_WR);
	cut_off(v, "inside a message");
}

static void a_reply_is_not_a_request(void **state)
{
	struct vur *v = *state;

	vur_say(v, VU_GET_FEATURES, VU_REPLY, NULL, 0, NULL, 0);
	cut_off(v, "reply");
}

static void rings_that_are_not_there_are_refused(void **state)
{
	struct vur *v = *state;
	static const uint32_t request[] = { VU_SET_VRING_NUM, VU_SET_VRING_BASE, VU_GET_VRING_BASE,
		VU_SET_VRING_ENABLE };
	struct vu_vring_state s = { TOY_QUEUES, 1 };
	struct vu_vring_addr a = { .index = TOY_QUEUES };
	uint64_t u = TOY_QUEUES;

	running(v);
	for (size_t i = 0; i < ARRAY_SIZE(request); i++)
		refused(v, request[i], &s, sizeof(s), NULL, 0);
	refused(v, VU_SET_VRING_ADDR, &a, sizeof(a), NULL, 0);
	refused(v, VU_SET_VRING_KICK, &u, sizeof(u), &v->toy.rd[0].kick_fd, 1);
	refused(v, VU_SET_VRING_CALL, &u, sizeof(u), &v->toy.rd[0].kick_fd, 1);
	refused(v, VU_SET_VRING_ERR, &u, sizeof(u), &v->toy.rd[0].kick_fd, 1);
	s.index = UINT32_MAX;
	refused(v, VU_GET_VRING_BASE, &s, sizeof(s), NULL, 0);
	vur_say(v, VU_GET_VRING_BASE, 0, &s, sizeof(s), NULL, 0);
	cut_off(v, "ring 4294967295");
}

static void values_that_a_ring_cannot_have_are_refused(void **state)
{
	struct vur *v = *state;
	static const struct {
		uint32_t request;
		struct vu_vring_state s;
	} wrong[] = {
		{ VU_SET_VRING_NUM, { 0, 0 } },
		{ VU_SET_VRING_NUM, { 0, 3 } },
		{ VU_SET_VRING_NUM, { 0, TOY_SIZE * 2 } },
		{ VU_SET_VRING_NUM, { 0, 1u << 31 } },
		{ VU_SET_VRING_NUM, { 0, 65536 } },
		{ VU_SET_VRING_BASE, { 0, 65536 } },
		{ VU_SET_VRING_ENABLE, { 0, 2 } },
	};
	struct vu_vring_addr a = { .index = 0, .flags = 1 };
	uint64_t status = 256;

	running(v);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		refused(v, wrong[i].request, &wrong[i].s, sizeof(wrong[i].s), NULL, 0);
	refused(v, VU_SET_VRING_ADDR, &a, sizeof(a), NULL, 0);
	refused(v, VU_SET_STATUS, &status, sizeof(status), NULL, 0);
}

static void kicks_must_be_eventfds(void **state)
{
	struct vur *v = *state;
	uint64_t zero = 0, none = VU_RING_NO_FD, odd = 0x200;
	int p[2];

	assert_int_equal(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0);
	running(v);
	refused(v, VU_SET_VRING_KICK, &zero, 8, &p[1], 1);
	refused(v, VU_SET_VRING_KICK, &zero, 8, &p[0], 1);
	refused(v, VU_SET_VRING_CALL, &zero, 8, &v->toy.gm.share_fd, 1);
	refused(v, VU_SET_VRING_ERR, &zero, 8, &v->toy.gm.share_fd, 1);
	refused(v, VU_SET_VRING_KICK, &zero, 8, NULL, 0);
	refused(v, VU_SET_VRING_KICK, &none, 8, NULL, 0);
	refused(v, VU_SET_VRING_CALL, &none, 8, &v->toy.rd[0].kick_fd, 1);
	refused(v, VU_SET_VRING_CALL, &odd, 8, &v->toy.rd[0].kick_fd, 1);
	close(p[0]);
	close(p[1]);
}

/** What Linux's virtio_uml says: an answer asked for before it was agreed on, room in a table. */
static void a_kernel_as_front_end_is_served(void **state)
{
	struct vur *v = *state;
	uint64_t protocol = ACK, zero = 0, signal = 0;
	int p[2], fds[VU_MAX_REGIONS];
	struct vu_mem_table t = vur_table(v, fds);
	struct vu_inbox in = { 0 };

	assert_int_equal(vur_ack(v, VU_SET_PROTOCOL_FEATURES, &protocol, 8), 0);
	vur_say_u64(v, VU_SET_FEATURES, 0, VUR_FEATURES);
	vur_say(v, VU_SET_MEM_TABLE, VU_NEED_REPLY, &t,
		VU_TABLE_HEAD + (t.nr + 1) * sizeof(t.region[0]), fds, t.nr);
	assert_true(vur_hear(v->sock, &in));
	assert_int_equal(in.m.u64, 0);
	vur_say_ring(v, 0);
	/* Interrupts through a socket: one at once, for what may have been lost, and one for each.
	 */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p), 0);
	vur_say(v, VU_SET_VRING_CALL, VU_NEED_REPLY, &zero, 8, &p[1], 1);
	assert_true(vur_hear(v->sock, &in));
	assert_int_equal(in.m.u64, 0);
	assert_int_equal(read(p[0], &signal, sizeof(signal)), sizeof(signal));
	vur_say_state(v, VU_SET_VRING_ENABLE, 0, 1);
	vur_settle(v);
	rd_add1(&v->toy.rd[0], TOY_BUF, 100, true);
	rd_kick(&v->toy.rd[0]);
	assert_int_equal(read(p[0], &signal, sizeof(signal)), sizeof(signal));
	assert_int_equal(signal, 1);
	/* Who reads no more loses them, and the device goes on. */
	(void)sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
	close(p[0]);
	rd_add1(&v->toy.rd[0], TOY_BUF, 100, true);
	rd_kick(&v->toy.rd[0]);
	vur_settle(v);
	assert_int_equal(v->nr_ended, 0);
	close(p[1]);
}

static void config_out_of_bounds_is_refused(void **state)
{
	struct vur *v = *state;
	struct vu_config c = { .offset = 0, .size = VIRTIO_MAX_CONFIG };

	running(v);
	c.offset = 1; /* reading up to VIRTIO_MAX_CONFIG is fine */
	refused(v, VU_GET_CONFIG, &c, sizeof(c), NULL, 0);
	c = (struct vu_config){ .offset = UINT32_MAX, .size = 4 };
	refused(v, VU_GET_CONFIG, &c, VU_CONFIG_HEAD + 4, NULL, 0);
	c = (struct vu_config){ .offset = 0, .size = 4 };
	refused(v, VU_GET_CONFIG, &c, VU_CONFIG_HEAD + 3, NULL, 0);
	refused(v, VU_GET_CONFIG, &c, VU_CONFIG_HEAD + 5, NULL, 0);
	refused(v, VU_SET_CONFIG, &c, VU_CONFIG_HEAD + 3, NULL, 0);
	c = (struct vu_config){ .offset = 3, .size = 4 };
	refused(v, VU_SET_CONFIG, &c, VU_CONFIG_HEAD + 4, NULL, 0);
	c = (struct vu_config){ .offset = 0, .size = 4, .flags = 1 };
	refused(v, VU_SET_CONFIG, &c, VU_CONFIG_HEAD + 4, NULL, 0);
	assert_int_equal(v->toy.nr_write, 0);
}

static void memory_tables_are_judged_whole(void **state)
{
	struct vur *v = *state;
	int fds[VU_MAX_REGIONS];
	struct vu_mem_table good = vur_table(v, fds), t = good;
	size_t size = VU_TABLE_HEAD + 2 * sizeof(t.region[0]);

	running(v);
	refused(v, VU_SET_MEM_TABLE, &t, size, fds, 1);
	refused(v, VU_SET_MEM_TABLE, &t, size - 32, fds, 2);
	t.nr = 3;
	refused(v, VU_SET_MEM_TABLE, &t, size, fds, 2);
	t.nr = UINT32_MAX;
	refused(v, VU_SET_MEM_TABLE, &t, size, fds, 2);
	t = good;
	t.region[1].len += PAGE_SIZE_4K;
	refused(v, VU_SET_MEM_TABLE, &t, size, fds, 2);
	/* The table that is there goes on to serve. */
	rd_add1(&v->toy.rd[0], TOY_BUF, 8, true);
	rd_kick(&v->toy.rd[0]);
	assert_true(rd_wait_used(&v->toy.rd[0], NULL, NULL));
}

static void a_ring_outside_of_memory_does_not_start(void **state)
{
	struct vur *v = *state;
	struct vu_vring_addr a = { .index = 0,
		.desc = VUR_UADDR(0x1000),
		.avail = VUR_UADDR(TOY_RAM),
		.used = VUR_UADDR(0x3000) };
	struct vu_vring_state on = { 0, 1 };

	vur_greet(v, ACK);
	vur_say_ring(v, 0);
	vur_say(v, VU_SET_VRING_ADDR, 0, &a, sizeof(a), NULL, 0);
	refused(v, VU_SET_VRING_ENABLE, &on, sizeof(on), NULL, 0);
	/* Nor one that its addresses do not fit. */
	a.avail = VUR_UADDR(0x2001);
	vur_say(v, VU_SET_VRING_ENABLE, VU_NEED_REPLY, &(struct vu_vring_state){ 0, 0 }, 8, NULL,
		0);
	struct vu_inbox in = { 0 };
	assert_true(vur_hear(v->sock, &in));
	assert_int_equal(in.m.u64, 0);
	vur_say(v, VU_SET_VRING_ADDR, 0, &a, sizeof(a), NULL, 0);
	refused(v, VU_SET_VRING_ENABLE, &on, sizeof(on), NULL, 0);
	assert_int_equal(v->toy.nr_start, 0);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, vur_setup, vur_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(features_that_were_not_offered_are_refused),
		T(requests_that_are_not_known_are_refused),
		T(sizes_that_a_request_does_not_have_are_refused),
		T(descriptors_that_a_request_does_not_have_are_refused),
		T(messages_of_a_wrong_form_end_it),
		T(a_message_too_long_ends_it),
		T(a_message_cut_short_ends_it),
		T(a_reply_is_not_a_request),
		T(rings_that_are_not_there_are_refused),
		T(values_that_a_ring_cannot_have_are_refused),
		T(kicks_must_be_eventfds),
		T(a_kernel_as_front_end_is_served),
		T(config_out_of_bounds_is_refused),
		T(memory_tables_are_judged_whole),
		T(a_ring_outside_of_memory_does_not_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
