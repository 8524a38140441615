// SPDX-License-Identifier: BSD-3-Clause
/* vhost-user/back.c and requests.c: what a front end may say, by hand. */
#include "tests/unit/vu_rig.h"

#define ACK BIT(VU_PROTOCOL_F_REPLY_ACK)

static void it_says_what_it_offers(void **state)
{
	struct vur *v = *state;

	assert_int_equal(vur_ask(v, VU_GET_FEATURES),
		BIT(3) | BIT(28) | BIT(29) | BIT(32) | BIT(VU_F_PROTOCOL_FEATURES));
	assert_int_equal(vur_ask(v, VU_GET_PROTOCOL_FEATURES),
		BIT(0) | BIT(3) | BIT(5) | BIT(9) | BIT(13) | BIT(15) | BIT(16));
	assert_int_equal(vur_ask(v, VU_GET_QUEUE_NUM), TOY_QUEUES);
	assert_int_equal(vur_ask(v, VU_GET_MAX_MEM_SLOTS), VU_MAX_REGIONS);
	assert_int_equal(vur_ask(v, VU_GET_STATUS), 0);
}

static void a_device_without_config_space_does_not_offer_one(void **state)
{
	struct vur *v = *state;

	v->toy.b->config_len = 0;
	assert_int_equal(vur_ask(v, VU_GET_PROTOCOL_FEATURES) & BIT(VU_PROTOCOL_F_CONFIG), 0);
	vur_say_u64(v, VU_SET_PROTOCOL_FEATURES, 0, BIT(VU_PROTOCOL_F_CONFIG));
	vur_wait_end(v);
	assert_false(v->ended_well);
}

static void chain_goes_round(struct vur *v, unsigned q)
{
	struct ring_driver *rd = &v->toy.rd[q];
	uint16_t head, added = rd_add1(rd, TOY_BUF, 100, true);
	uint32_t len;

	rd_kick(rd);
	assert_true(rd_wait_used(rd, &head, &len));
	assert_int_equal(head, added);
	assert_int_equal(len, 100);
}

static void a_ring_runs_when_it_has_all_and_is_enabled(void **state)
{
	struct vur *v = *state;
	struct toy *t = &v->toy;

	vur_greet(v, 0);
	vur_say_ring(v, 1);
	vur_settle(v);
	assert_int_equal(t->nr_start, 0);
	vur_say_state(v, VU_SET_VRING_ENABLE, 1, 1);
	vur_settle(v);
	assert_int_equal(t->nr_start, 1);
	chain_goes_round(v, 1);
	/* The other two were not set up. */
	assert_null(t->d.vq[0].gm);
	assert_null(t->d.vq[2].gm);
	assert_int_equal(t->d.features, RD_FEATURES);
}

static void without_protocol_features_a_ring_is_enabled_from_the_start(void **state)
{
	struct vur *v = *state;

	vur_say_u64(v, VU_SET_FEATURES, 0, RD_FEATURES);
	vur_say_table(v);
	vur_say_ring(v, 0);
	vur_settle(v);
	chain_goes_round(v, 0);
}

static void with_status_nothing_runs_before_driver_ok(void **state)
{
	struct vur *v = *state;
	struct toy *t = &v->toy;

	vur_greet(v, BIT(VU_PROTOCOL_F_STATUS));
	for (unsigned i = 0; i < TOY_QUEUES; i++) {
		vur_say_ring(v, i);
		vur_say_state(v, VU_SET_VRING_ENABLE, i, 1);
	}
	vur_say_u64(v, VU_SET_STATUS, 0, 0xb);
	vur_settle(v);
	assert_int_equal(t->nr_start, 0);
	vur_say_u64(v, VU_SET_STATUS, 0, 0xf);
	assert_int_equal(vur_ask(v, VU_GET_STATUS), 0xf);
	/* All at once. */
	assert_int_equal(t->nr_start, 1);
	chain_goes_round(v, 2);
	vur_say_u64(v, VU_SET_STATUS, 0, 0);
	vur_settle(v);
	assert_int_equal(t->nr_stop, 1);
}

/* QEMU 7.2 for an entropy device: its rings are enabled, but no driver ever said DRIVER_OK. */
static void features_ok_alone_leaves_rings_to_their_own_states(void **state)
{
	struct vur *v = *state;
	struct toy *t = &v->toy;

	vur_greet(v, BIT(VU_PROTOCOL_F_STATUS));
	vur_say_u64(v, VU_SET_STATUS, 0, 8);
	vur_say_ring(v, 0);
	vur_settle(v);
	assert_int_equal(t->nr_start, 0);
	vur_say_state(v, VU_SET_VRING_ENABLE, 0, 1);
	chain_goes_round(v, 0);
	/* A driver that comes after it, as QEMU has it for disks, finds the ring where it is. */
	vur_say_u64(v, VU_SET_STATUS, 0, 0xf);
	vur_settle(v);
	chain_goes_round(v, 0);
	/* One that is still on its way stops it. */
	vur_say_u64(v, VU_SET_STATUS, 0, 0xb);
	vur_settle(v);
	assert_int_equal(t->nr_start, t->nr_stop);
}

static uint32_t ring_base(struct vur *v, unsigned i)
{
	struct vu_vring_state s = { i, 0 };
	struct vu_inbox in = { 0 };

	vur_say(v, VU_GET_VRING_BASE, 0, &s, sizeof(s), NULL, 0);
	assert_true(vur_hear(v->sock, &in));
	assert_int_equal(in.m.h.request, VU_GET_VRING_BASE);
	assert_int_equal(in.m.state.index, i);
	return in.m.state.num;
}

static void a_ring_goes_on_where_it_was_stopped(void **state)
{
	struct vur *v = *state;

	vur_greet(v, 0);
	vur_say_ring(v, 0);
	vur_say_state(v, VU_SET_VRING_ENABLE, 0, 1);
	for (unsigned i = 0; i < 5; i++)
		chain_goes_round(v, 0);
	assert_int_equal(ring_base(v, 0), 5);
	/* Stopped: a kick is not heard, the chain waits. */
	rd_add1(&v->toy.rd[0], TOY_BUF, 8, true);
	rd_kick(&v->toy.rd[0]);
	vur_settle(v);
	assert_int_equal(rd_used_idx(&v->toy.rd[0]), 5);
	vur_say_state(v, VU_SET_VRING_BASE, 0, 5);
	vur_say_fd(v, VU_SET_VRING_KICK, 0, v->toy.ring[0].kick_fd);
	vur_say_fd(v, VU_SET_VRING_CALL, 0, v->toy.ring[0].call_fd);
	assert_true(rd_wait_used(&v->toy.rd[0], NULL, NULL));
	assert_int_equal(ring_base(v, 0), 6);
}

static void stopping_one_ring_leaves_the_others_at_work(void **state)
{
	struct vur *v = *state;

	vur_greet(v, 0);
	for (unsigned i = 0; i < 2; i++) {
		vur_say_ring(v, i);
		vur_say_state(v, VU_SET_VRING_ENABLE, i, 1);
		chain_goes_round(v, i);
	}
	assert_int_equal(ring_base(v, 0), 1);
	chain_goes_round(v, 1);
	chain_goes_round(v, 1);
	assert_int_equal(ring_base(v, 1), 3);
}

static void a_new_call_is_used_and_told_at_once(void **state)
{
	struct vur *v = *state;
	int call = fd_event();
	struct pollfd p = { .fd = call, .events = POLLIN };

	vur_greet(v, 0);
	vur_say_ring(v, 0);
	vur_say_state(v, VU_SET_VRING_ENABLE, 0, 1);
	vur_say_fd(v, VU_SET_VRING_CALL, 0, call);
	vur_settle(v);
	assert_int_equal(fd_event_drain(call), 1);
	rd_add1(&v->toy.rd[0], TOY_BUF, 8, true);
	rd_kick(&v->toy.rd[0]);
	assert_int_equal(poll(&p, 1, 10000), 1);
	/* None at all is fine too. */
	vur_say_fd(v, VU_SET_VRING_CALL, VU_RING_NO_FD, -1);
	rd_add1(&v->toy.rd[0], TOY_BUF, 8, true);
	rd_kick(&v->toy.rd[0]);
	vur_settle(v);
	assert_true(rd_wait_used(&v->toy.rd[0], NULL, NULL));
	fd_close(&call);
}

static void config_is_read_and_written(void **state)
{
	struct vur *v = *state;
	struct vu_config c = { .offset = 2, .size = 8 };
	struct vu_inbox in = { 0 };

	vur_say(v, VU_GET_CONFIG, 0, &c, VU_CONFIG_HEAD + 8, NULL, 0);
	assert_true(vur_hear(v->sock, &in));
	assert_int_equal(in.m.h.size, VU_CONFIG_HEAD + 8);
	/* The device's, and then zeroes. */
	assert_memory_equal(in.m.config.data, "\3\4\5\6\0\0\0\0", 8);
	c = (struct vu_config){ .offset = 1, .size = 2, .data = { 0x21, 0x22 } };
	vur_say(v, VU_SET_CONFIG, 0, &c, VU_CONFIG_HEAD + 2, NULL, 0);
	c = (struct vu_config){ .offset = 0, .size = 4 };
	vur_say(v, VU_GET_CONFIG, 0, &c, VU_CONFIG_HEAD + 4, NULL, 0);
	assert_true(vur_hear(v->sock, &in));
	assert_memory_equal(in.m.config.data, "\1\x21\x22\4", 4);
	assert_int_equal(v->toy.nr_write, 1);
}

static void a_config_change_is_told_where_it_was_asked_for(void **state)
{
	struct vur *v = *state;
	struct vu_config c = { .offset = 0, .size = 1, .data = { 9 } };
	struct vu_inbox in = { 0 };
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	vur_say(v, VU_SET_BACKEND_REQ_FD, 0, NULL, 0, &pair[1], 1);
	vur_say(v, VU_SET_CONFIG, 0, &c, VU_CONFIG_HEAD + 1, NULL, 0);
	assert_true(vur_hear(pair[0], &in));
	assert_int_equal(in.m.h.request, VU_BACKEND_CONFIG_CHANGE);
	assert_int_equal(in.m.h.flags, VU_VERSION);
	assert_int_equal(in.m.h.size, 0);
	close(pair[0]);
	close(pair[1]);
	/* Nobody listens any more: that is no reason to stop. */
	vur_say(v, VU_SET_CONFIG, 0, &c, VU_CONFIG_HEAD + 1, NULL, 0);
	vur_say(v, VU_SET_CONFIG, 0, &c, VU_CONFIG_HEAD + 1, NULL, 0);
	vur_settle(v);
}

static void a_broken_device_says_so_and_waits_for_a_reset(void **state)
{
	struct vur *v = *state;
	struct toy *t = &v->toy;
	int err_fd = fd_event();
	struct pollfd p = { .fd = err_fd, .events = POLLIN };

	t->break_in_notify = true;
	vur_greet(v, BIT(VU_PROTOCOL_F_STATUS));
	vur_say_ring(v, 0);
	vur_say_fd(v, VU_SET_VRING_ERR, 0, err_fd);
	vur_say_state(v, VU_SET_VRING_ENABLE, 0, 1);
	vur_say_u64(v, VU_SET_STATUS, 0, 0xf);
	assert_int_equal(poll(&p, 1, 10000), 1);
	assert_int_equal(vur_ask(v, VU_GET_STATUS), 0x4f);
	/* Whatever else is changed, it stays down. */
	vur_say_ring(v, 1);
	vur_say_u64(v, VU_SET_STATUS, 0, 0xf);
	vur_settle(v);
	assert_int_equal(t->nr_start, 1);
	/* Also in its next life, which nobody told it again whom to tell. */
	fd_event_drain(err_fd);
	vur_say_u64(v, VU_SET_STATUS, 0, 0);
	(void)ring_base(v, 0);
	vur_say_ring(v, 0);
	vur_say_u64(v, VU_SET_STATUS, 0, 0xf);
	assert_int_equal(poll(&p, 1, 10000), 1);
	assert_int_equal(vur_ask(v, VU_GET_STATUS), 0x4f);
	t->break_in_notify = false;
	vur_say_u64(v, VU_SET_STATUS, 0, 0);
	vur_say_u64(v, VU_SET_STATUS, 0, 0xf);
	vur_settle(v);
	assert_int_equal(t->nr_start, 3);
	chain_goes_round(v, 0);
	fd_close(&err_fd);
}

static void reset_device_takes_all_rings_down(void **state)
{
	struct vur *v = *state;

	vur_greet(v, ACK);
	vur_say_ring(v, 0);
	vur_say_state(v, VU_SET_VRING_ENABLE, 0, 1);
	chain_goes_round(v, 0);
	assert_int_equal(vur_ack(v, VU_RESET_DEVICE, NULL, 0), 0);
	assert_int_equal(v->toy.nr_stop, 1);
	vur_say_state(v, VU_SET_VRING_ENABLE, 0, 1);
	vur_settle(v);
	assert_int_equal(v->toy.nr_start, 2);
}

static void memory_comes_and_goes_in_slots(void **state)
{
	struct vur *v = *state;
	int fds[VU_MAX_REGIONS];
	struct vu_mem_table t = vur_table(v, fds);

	vur_say_u64(v, VU_SET_PROTOCOL_FEATURES, 0, ACK);
	vur_say_u64(v, VU_SET_FEATURES, 0, VUR_FEATURES);
	/* The upper one first. */
	for (unsigned i = 2; i--;) {
		struct vu_mem_slot s = { .region = t.region[i] };

		vur_say(v, VU_ADD_MEM_REG, 0, &s, sizeof(s), &fds[i], 1);
	}
	vur_say_ring(v, 0);
	vur_say_state(v, VU_SET_VRING_ENABLE, 0, 1);
	chain_goes_round(v, 0);
	/* A part that no ring needs may go while it runs. */
	struct vu_mem_slot s = { .region = t.region[1] };
	assert_int_equal(vur_ack(v, VU_REM_MEM_REG, &s, sizeof(s)), 0);
	assert_int_equal(vur_ack(v, VU_REM_MEM_REG, &s, sizeof(s)), 1);
	s.region = t.region[0];
	/* One under a ring may not: the ring cannot run without it. */
	assert_int_equal(vur_ack(v, VU_REM_MEM_REG, &s, sizeof(s)), 1);
	assert_int_equal(v->toy.nr_start, v->toy.nr_stop);
	/* Nor does what was stopped touch it. */
	rd_kick(&v->toy.rd[0]);
	vur_settle(v);
}

static void a_front_end_that_closes_gets_its_output_first(void **state)
{
	struct vur *v = *state;
	char c;

	vur_greet(v, 0);
	vur_say_ring(v, 0);
	vur_say_state(v, VU_SET_VRING_ENABLE, 0, 1);
	shutdown(v->sock, SHUT_WR);
	vur_wait_end(v);
	assert_true(v->ended_well);
	assert_int_equal(v->toy.nr_drain, 1);
	assert_int_equal(v->toy.nr_stop, 1);
	/* And sees that it is over. */
	assert_int_equal(recv(v->sock, &c, 1, MSG_DONTWAIT), 0);
}

static void a_message_in_pieces_is_a_message(void **state)
{
	struct vur *v = *state;
	struct vu_header h = { VU_GET_QUEUE_NUM, VU_VERSION, 0 };
	struct vu_inbox in = { 0 };

	for (size_t i = 0; i < sizeof(h); i++) {
		assert_int_equal(send(v->sock, (char *)&h + i, 1, 0), 1);
		usleep(1000);
	}
	assert_true(vur_hear(v->sock, &in));
	assert_int_equal(in.m.u64, TOY_QUEUES);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, vur_setup, vur_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(it_says_what_it_offers),
		T(a_device_without_config_space_does_not_offer_one),
		T(a_ring_runs_when_it_has_all_and_is_enabled),
		T(without_protocol_features_a_ring_is_enabled_from_the_start),
		T(with_status_nothing_runs_before_driver_ok),
		T(features_ok_alone_leaves_rings_to_their_own_states),
		T(a_ring_goes_on_where_it_was_stopped),
		T(stopping_one_ring_leaves_the_others_at_work),
		T(a_new_call_is_used_and_told_at_once),
		T(config_is_read_and_written),
		T(a_config_change_is_told_where_it_was_asked_for),
		T(a_broken_device_says_so_and_waits_for_a_reset),
		T(reset_device_takes_all_rings_down),
		T(memory_comes_and_goes_in_slots),
		T(a_front_end_that_closes_gets_its_output_first),
		T(a_message_in_pieces_is_a_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
