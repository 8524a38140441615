// SPDX-License-Identifier: BSD-3-Clause
/*
 * vhost-user/front.c: against the real back end on another thread, and against peers that lie,
 * hang up or say nothing.
 */
#include "tests/unit/loop_step.h"
#include "tests/unit/vu_rig.h"
#include "vhost-user/front.h"

struct front {
	struct vur *v;
	struct virtio_backend *b;
	unsigned nr_failed, nr_config, nr_reset;
	struct err err;
	uint8_t config[VIRTIO_MAX_CONFIG];
	atomic_bool hurry;
};

static void on_failed(void *ctx, const struct err *err)
{
	struct front *f = ctx;

	f->nr_failed++;
	f->err = *err;
}

static void on_config(void *ctx, const void *config, unsigned len)
{
	struct front *f = ctx;

	f->nr_config++;
	memcpy(f->config, config, len);
}

static void on_reset(void *ctx)
{
	((struct front *)ctx)->nr_reset++;
}

static struct vu_front_config config_of(struct front *f, int sock)
{
	return (struct vu_front_config){ .name = "toy",
		.device_id = 4242,
		.queue_size_max = TOY_SIZE,
		.config_len = 6,
		.gm = &f->v->toy.gm,
		.loop = step.loop,
		.sock = sock,
		.drain_ms = 5000,
		.hurry = &f->hurry,
		.failed = on_failed,
		.ctx = f };
}

static int front_setup(void **state)
{
	struct front *f = calloc(1, sizeof(*f));
	struct vu_front_config cfg;
	void *v;
	struct err err;

	step_open();
	vur_setup(&v);
	f->v = v;
	cfg = config_of(f, fd_take(&f->v->sock));
	assert_int_equal(vu_front_create(&cfg, &f->b, &err), 0);
	f->b->events = (struct virtio_events){ on_config, on_reset, f };
	*state = f;
	return 0;
}

static int front_teardown(void **state)
{
	struct front *f = *state;
	void *v = f->v;
	int rc;

	if (f->b)
		f->b->ops->destroy(f->b);
	rc = vur_teardown(&v);
	step_close();
	free(f);
	return rc;
}

static void the_backend_is_what_the_other_process_says(void **state)
{
	struct front *f = *state;

	assert_string_equal(f->b->name, "toy");
	assert_int_equal(f->b->device_id, 4242);
	assert_int_equal(f->b->features, BIT(3) | BIT(28) | BIT(29) | BIT(32));
	assert_int_equal(f->b->nr_queues, TOY_QUEUES);
	assert_memory_equal(f->b->config, "\1\2\3\4\5\6", 6);
}

static void chains_go_round(struct front *f)
{
	struct toy *t = &f->v->toy;

	for (unsigned i = 0; i < TOY_QUEUES; i++) {
		uint32_t len;

		rd_add1(&t->rd[i], TOY_BUF, 64 + i, true);
		rd_kick(&t->rd[i]);
		assert_true(rd_wait_used(&t->rd[i], NULL, &len));
		assert_int_equal(len, 64 + i);
	}
}

static void kicks_and_calls_pass_by(void **state)
{
	struct front *f = *state;
	struct toy *t = &f->v->toy;

	assert_int_equal(f->b->ops->start(f->b, RD_FEATURES, t->ring), 0);
	assert_int_equal(t->nr_start, 1);
	assert_int_equal(t->d.features, RD_FEATURES);
	chains_go_round(f);
	assert_int_equal(f->nr_failed, 0);
}

static void stop_and_start_again_as_often_as_the_guest_likes(void **state)
{
	struct front *f = *state;
	struct toy *t = &f->v->toy;

	for (unsigned n = 0; n < 20; n++) {
		for (unsigned i = 0; i < TOY_QUEUES; i++)
			rd_reset(&t->rd[i]);
		assert_int_equal(f->b->ops->start(f->b, RD_FEATURES, t->ring), 0);
		chains_go_round(f);
		f->b->ops->stop(f->b);
		assert_int_equal(t->nr_stop, n + 1);
		rd_add1(&t->rd[0], TOY_BUF, 8, true);
		rd_kick(&t->rd[0]);
		usleep(1000);
		assert_int_equal(rd_used_idx(&t->rd[0]), 1);
		fd_event_drain(t->rd[0].kick_fd);
	}
	f->b->ops->stop(f->b);
	assert_int_equal(f->nr_failed, 0);
}

static void rings_that_are_not_ram_do_not_reach_the_process(void **state)
{
	struct front *f = *state;
	struct toy *t = &f->v->toy;
	struct virtio_ring bad[TOY_QUEUES];

	memcpy(bad, t->ring, sizeof(bad));
	bad[1].desc = TOY_RAM;
	assert_int_equal(f->b->ops->start(f->b, RD_FEATURES, bad), -EINVAL);
	bad[1].desc = t->ring[1].desc + 8;
	assert_int_equal(f->b->ops->start(f->b, RD_FEATURES, bad), -EINVAL);
	assert_int_equal(f->b->ops->start(f->b, RD_FEATURES | BIT(4), t->ring), -EINVAL);
	assert_int_equal(t->nr_start, 0);
	assert_int_equal(f->nr_failed, 0);
	bad[1] = (struct virtio_ring){ .desc = UINT64_MAX, .kick_fd = -1, .call_fd = -1 };
	assert_int_equal(f->b->ops->start(f->b, RD_FEATURES, bad), 0);
	assert_null(t->d.vq[1].gm);
}

static void a_guest_that_goes_on_with_bad_rings_does_not_fill_the_log(void **state)
{
	struct front *f = *state;
	struct virtio_ring bad[TOY_QUEUES];
	char said[16384];
	int fd[2], saved = dup(STDERR_FILENO);
	unsigned nr = 0;
	ssize_t n;

	memcpy(bad, f->v->toy.ring, sizeof(bad));
	bad[0].used = TOY_RAM;
	assert_int_equal(pipe(fd), 0);
	dup2(fd[1], STDERR_FILENO);
	log_set_level(LOG_WARN);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(f->b->ops->start(f->b, RD_FEATURES, bad), -EINVAL);
	log_set_level(LOG_ERROR);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fd[1]);
	n = read(fd[0], said, sizeof(said));
	close(fd[0]);
	for (ssize_t i = 0; i < n; i++)
		nr += said[i] == '\n';
	/* Some at once, and on a slow machine one or another second's with its count. */
	assert_in_range(nr, 1, 15);
}

static void a_device_that_does_not_start_is_not_a_dead_process(void **state)
{
	struct front *f = *state;
	struct toy *t = &f->v->toy;

	t->start_rc = -EIO;
	assert_int_equal(f->b->ops->start(f->b, RD_FEATURES, t->ring), -EIO);
	assert_int_equal(f->nr_failed, 0);
	t->start_rc = 0;
	assert_int_equal(f->b->ops->start(f->b, RD_FEATURES, t->ring), 0);
	chains_go_round(f);
}

static void a_broken_device_needs_a_reset(void **state)
{
	struct front *f = *state;
	struct toy *t = &f->v->toy;

	t->break_in_notify = true;
	assert_int_equal(f->b->ops->start(f->b, RD_FEATURES, t->ring), 0);
	for (unsigned i = 0; i < 1000 && !f->nr_reset; i++) {
		step_once();
		usleep(1000);
	}
	assert_int_equal(f->nr_reset, 1);
	f->b->ops->stop(f->b);
	t->break_in_notify = false;
	for (unsigned i = 0; i < TOY_QUEUES; i++)
		rd_reset(&t->rd[i]);
	assert_int_equal(f->b->ops->start(f->b, RD_FEATURES, t->ring), 0);
	chains_go_round(f);
	assert_int_equal(f->nr_failed, 0);
}

static void config_writes_come_back_as_changes(void **state)
{
	struct front *f = *state;

	f->b->ops->config_write(f->b, 4, "\x0a\x0b", 2);
	assert_int_equal(f->v->toy.nr_write, 1);
	for (unsigned i = 0; i < 1000 && !f->nr_config; i++) {
		step_once();
		usleep(1000);
	}
	assert_memory_equal(f->config, "\1\2\3\4\x0a\x0b", 6);
	/* Out of bounds goes nowhere. */
	f->b->ops->config_write(f->b, 5, "\x0a\x0b", 2);
	f->b->ops->config_write(f->b, UINT32_MAX, "\x0a\x0b", 2);
	assert_int_equal(f->v->toy.nr_write, 1);
}

static void drain_is_the_end(void **state)
{
	struct front *f = *state;
	struct toy *t = &f->v->toy;

	assert_int_equal(f->b->ops->start(f->b, RD_FEATURES, t->ring), 0);
	f->b->ops->drain(f->b);
	assert_int_equal(t->nr_drain, 1);
	assert_int_equal(t->nr_stop, 1);
	f->b->ops->drain(f->b);
	f->b->ops->stop(f->b);
	assert_int_equal(f->b->ops->start(f->b, RD_FEATURES, t->ring), -EPIPE);
	step_times(3);
	assert_int_equal(f->nr_failed, 0);
}

/* ---- peers that are not what they should be ---- */

/** What a peer of the test does when asked. */
enum liar {
	LIAR_HONEST,
	LIAR_SILENT,
	LIAR_HANGS_UP,
	LIAR_ANSWERS_ANOTHER,
	LIAR_NO_REPLY_FLAG,
	LIAR_WRONG_SIZE,
	LIAR_SENDS_FDS,
	LIAR_RUBBISH,
	LIAR_HALF,
	LIAR_NR
};

struct peer {
	int sock;
	enum liar liar;
	uint32_t at; /* the request that it lies about */
	uint64_t features, protocol, queues;
	pthread_t thread;
	int req_fd; /* owned: where it may ask the front end */
};

static void peer_lie(struct peer *p, struct vu_message *m)
{
	uint32_t flags = VU_REPLY;

	switch (p->liar) {
	case LIAR_SILENT:
		return;
	case LIAR_HANGS_UP:
		shutdown(p->sock, SHUT_RDWR);
		return;
	case LIAR_ANSWERS_ANOTHER:
		m->h.request++;
		break;
	case LIAR_NO_REPLY_FLAG:
		flags = 0;
		break;
	case LIAR_WRONG_SIZE:
		m->h.size ^= 4;
		break;
	case LIAR_SENDS_FDS:
		m->fd[0] = p->sock;
		m->nr_fds = 1;
		break;
	case LIAR_RUBBISH:
		(void)!send(p->sock, "not a message of any kind", 24, MSG_NOSIGNAL);
		return;
	case LIAR_HALF:
		(void)!send(p->sock, "\1\0\0\0\5\0", 6, MSG_NOSIGNAL);
		return;
	default:
		break;
	}
	(void)!vu_send(p->sock, m, flags, 1000);
}

static void *peer_thread(void *arg)
{
	struct peer *p = arg;
	struct vu_inbox in = { 0 };
	const char *why;

	for (;;) {
		struct pollfd pfd = { .fd = p->sock, .events = POLLIN };
		int rc = vu_receive(p->sock, &in, &why);
		struct vu_message m = { .h.request = in.m.h.request, .h.size = 8 };

		if (rc < 0)
			break;
		if (!rc) {
			poll(&pfd, 1, -1);
			continue;
		}
		if (in.m.h.request == VU_SET_BACKEND_REQ_FD)
			p->req_fd = vu_take_fd(&in.m, 0);
		m.u64 = in.m.h.request == VU_GET_FEATURES            ? p->features
			: in.m.h.request == VU_GET_PROTOCOL_FEATURES ? p->protocol
			: in.m.h.request == VU_GET_QUEUE_NUM         ? p->queues
								     : 0;
		if (in.m.h.request == VU_GET_CONFIG) {
			m = in.m;
			memset(m.config.data, 7, m.config.size);
		}
		if (in.m.h.request == p->at && p->liar)
			peer_lie(p, &m);
		else if (in.m.h.request == VU_GET_FEATURES ||
			in.m.h.request == VU_GET_PROTOCOL_FEATURES ||
			in.m.h.request == VU_GET_QUEUE_NUM || in.m.h.request == VU_GET_CONFIG ||
			in.m.h.request == VU_GET_VRING_BASE || in.m.h.flags & VU_NEED_REPLY)
			(void)!vu_send(p->sock, &m, VU_REPLY, 1000);
		vu_inbox_clear(&in);
	}
	vu_inbox_clear(&in);
	return NULL;
}

/** A front end of a lying peer; *b NULL when it was refused, with the sentence in f->err. */
static void peer_open(struct front *f, struct peer *p, struct vu_front_config *cfg)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	p->sock = pair[1];
	p->req_fd = -1;
	assert_int_equal(pthread_create(&p->thread, NULL, peer_thread, p), 0);
	cfg->sock = pair[0];
	if (f->b)
		f->b->ops->destroy(f->b);
	f->b = NULL;
	if (vu_front_create(cfg, &f->b, &f->err))
		f->b = NULL;
	else
		f->b->events = (struct virtio_events){ on_config, on_reset, f };
}

static void peer_close(struct front *f, struct peer *p)
{
	if (f->b)
		f->b->ops->destroy(f->b);
	f->b = NULL;
	pthread_join(p->thread, NULL);
	fd_close(&p->sock);
	fd_close(&p->req_fd);
}

static struct peer honest(void)
{
	return (struct peer){ .features = VUR_FEATURES | BIT(3) | BIT(26) | BIT(33) | BIT(34),
		.protocol = UINT32_MAX,
		.queues = TOY_QUEUES };
}

static void only_what_both_know_is_offered_to_the_guest(void **state)
{
	struct front *f = *state;
	struct vu_front_config cfg = config_of(f, -1);
	struct peer p = honest();

	p.queues = 1000;
	peer_open(f, &p, &cfg);
	assert_non_null(f->b);
	assert_int_equal(f->b->features, BIT(3) | BIT(28) | BIT(29) | BIT(32));
	assert_int_equal(f->b->nr_queues, VIRTIO_MAX_QUEUES);
	assert_memory_equal(f->b->config, "\7\7\7\7\7\7", 6);
	peer_close(f, &p);
}

static void peers_that_cannot_serve_are_refused(void **state)
{
	struct front *f = *state;
	static const struct {
		uint64_t features, protocol, queues;
		const char *text;
	} row[] = {
		{ RD_FEATURES, UINT32_MAX, 3, "no protocol features" },
		{ VUR_FEATURES & ~BIT(32), UINT32_MAX, 3, "older than VIRTIO 1" },
		{ VUR_FEATURES, UINT32_MAX, 0, "no queues" },
		{ VUR_FEATURES, BIT(VU_PROTOCOL_F_MQ), 3, "no config space" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		struct vu_front_config cfg = config_of(f, -1);
		struct peer p = { .features = row[i].features,
			.protocol = row[i].protocol,
			.queues = row[i].queues };

		peer_open(f, &p, &cfg);
		assert_null(f->b);
		assert_non_null(strstr(f->err.msg, row[i].text));
		peer_close(f, &p);
	}
}

/** Each lie about each request that is waited for: the device dies with a sentence, soon. */
static void lies_at_creation_are_errors(void **state)
{
	struct front *f = *state;
	static const uint32_t at[] = { VU_GET_FEATURES, VU_GET_PROTOCOL_FEATURES, VU_GET_QUEUE_NUM,
		VU_GET_CONFIG };

	atomic_store(&f->hurry, true); /* or the silent ones take long */
	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		for (int liar = 1; liar < LIAR_NR; liar++) {
			struct vu_front_config cfg = config_of(f, -1);
			struct peer p = honest();

			p.liar = (enum liar)liar;
			p.at = at[i];
			f->err.msg[0] = 0;
			peer_open(f, &p, &cfg);
			assert_null(f->b);
			assert_true(strlen(f->err.msg) > 0);
			peer_close(f, &p);
		}
	}
	assert_int_equal(f->nr_failed, 0);
}

static void lies_while_running_are_told_once(void **state)
{
	struct front *f = *state;
	static const uint32_t at[] = { VU_SET_STATUS, VU_GET_VRING_BASE };

	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		for (int liar = 1; liar < LIAR_NR; liar++) {
			struct vu_front_config cfg = config_of(f, -1);
			struct peer p = honest();

			p.liar = (enum liar)liar;
			p.at = at[i];
			f->nr_failed = 0;
			/* Only what comes after: on a busy machine honest answers take long, too.
			 */
			atomic_store(&f->hurry, false);
			peer_open(f, &p, &cfg);
			assert_non_null(f->b);
			atomic_store(&f->hurry, true);
			/* A first SET_STATUS(0) is not asked to be acknowledged. */
			if (!f->b->ops->start(f->b, RD_FEATURES, f->v->toy.ring))
				f->b->ops->stop(f->b);
			if (f->nr_failed != 1)
				fail_msg("request %u, lie %d: failed %u times", at[i], liar,
					f->nr_failed);
			/* Dead is dead, and costs no time. */
			assert_int_equal(
				f->b->ops->start(f->b, RD_FEATURES, f->v->toy.ring), -EPIPE);
			f->b->ops->stop(f->b);
			f->b->ops->config_write(f->b, 0, "x", 1);
			f->b->ops->drain(f->b);
			step_times(2);
			assert_int_equal(f->nr_failed, 1);
			peer_close(f, &p);
		}
	}
}

static void a_peer_that_hangs_up_is_noticed(void **state)
{
	struct front *f = *state;
	struct vu_front_config cfg = config_of(f, -1);
	struct peer p = honest();

	peer_open(f, &p, &cfg);
	shutdown(p.sock, SHUT_RDWR);
	step_times(2);
	assert_int_equal(f->nr_failed, 1);
	assert_non_null(strstr(f->err.msg, "hung up"));
	assert_true(step_is_idle());
	peer_close(f, &p);
}

static void requests_of_a_peer_are_answered_or_end_it(void **state)
{
	struct front *f = *state;
	struct vu_front_config cfg = config_of(f, -1);
	struct vu_message m = { .h.request = VU_BACKEND_CONFIG_CHANGE };
	struct vu_inbox in = { 0 };
	struct peer p = honest();

	peer_open(f, &p, &cfg);
	for (unsigned i = 0; i < 1000 && __atomic_load_n(&p.req_fd, __ATOMIC_RELAXED) < 0; i++)
		usleep(1000);
	assert_int_equal(vu_send(p.req_fd, &m, VU_NEED_REPLY, 1000), 0);
	step_times(2);
	assert_true(vur_hear(p.req_fd, &in));
	assert_int_equal(in.m.h.request, VU_BACKEND_CONFIG_CHANGE);
	assert_int_equal(in.m.u64, 0);
	assert_int_equal(f->nr_config, 1);
	assert_memory_equal(f->config, "\7\7\7\7\7\7", 6);
	m.h.request = 3; /* a doorbell page, which nobody asked for */
	assert_int_equal(vu_send(p.req_fd, &m, 0, 1000), 0);
	step_times(2);
	assert_int_equal(f->nr_failed, 1);
	assert_true(step_is_idle());
	peer_close(f, &p);
}

static void private_memory_cannot_be_shared(void **state)
{
	struct front *f = *state;
	struct guest_memory gm = { 0 };
	struct vu_front_config cfg = config_of(f, -1);
	struct peer p = honest();
	struct virtio_ring none[TOY_QUEUES] = { 0 };
	struct err err;

	assert_int_equal(gm_add_ram(&gm, 0, TOY_RAM, &err), 0);
	cfg.gm = &gm;
	peer_open(f, &p, &cfg);
	assert_int_equal(f->b->ops->start(f->b, RD_FEATURES, none), -EPIPE);
	assert_non_null(strstr(f->err.msg, "not shared"));
	peer_close(f, &p);
	gm_fini(&gm);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, front_setup, front_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_backend_is_what_the_other_process_says),
		T(kicks_and_calls_pass_by),
		T(stop_and_start_again_as_often_as_the_guest_likes),
		T(rings_that_are_not_ram_do_not_reach_the_process),
		T(a_guest_that_goes_on_with_bad_rings_does_not_fill_the_log),
		T(a_device_that_does_not_start_is_not_a_dead_process),
		T(a_broken_device_needs_a_reset),
		T(config_writes_come_back_as_changes),
		T(drain_is_the_end),
		T(only_what_both_know_is_offered_to_the_guest),
		T(peers_that_cannot_serve_are_refused),
		T(lies_at_creation_are_errors),
		T(lies_while_running_are_told_once),
		T(a_peer_that_hangs_up_is_noticed),
		T(requests_of_a_peer_are_answered_or_end_it),
		T(private_memory_cannot_be_shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
