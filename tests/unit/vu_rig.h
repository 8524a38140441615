/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A toy device behind the vhost-user back end, on a thread of its own; the test is the front
 * end, by hand (vur_say) or with vhost-user/front.c. Every test checks that no descriptor is
 * left open.
 */
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/virtio_toy.h"
#include "vhost-user/back.h"
#include "vhost-user/message.h"

#define VUR_FEATURES (RD_FEATURES | BIT(VU_F_PROTOCOL_FEATURES))

struct vur {
	struct toy toy; /* toy.gm is the front end's view, shared */
	struct guest_memory device_gm;
	struct vu_back *back;
	int sock; /* the front end's side */
	unsigned nr_fds;
	unsigned nr_ended;
	int ended_fd;
	bool ended_well;
	struct err ended_err;
};

static inline unsigned vur_count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	BUG_ON(!d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static inline void vur_on_ended(void *ctx, const struct err *err)
{
	struct vur *v = ctx;

	v->nr_ended++;
	v->ended_well = !err;
	if (err)
		v->ended_err = *err;
	fd_event_signal(v->ended_fd);
}

static inline int vur_setup(void **state)
{
	struct vur *v = calloc(1, sizeof(*v));
	struct toy *t = &v->toy;
	struct err err;
	int pair[2];

	log_set_level(LOG_ERROR);
	v->nr_fds = vur_count_fds();
	v->ended_fd = fd_event();
	assert_int_equal(loop_create(&t->loop, &err), 0);
	assert_int_equal(gm_share(&t->gm, TOY_RAM, -1, &err), 0);
	assert_int_equal(gm_add_ram(&t->gm, 0, TOY_RAM / 2, &err), 0);
	assert_int_equal(gm_add_ram(&t->gm, TOY_RAM / 2, TOY_RAM / 2, &err), 0);
	for (unsigned i = 0; i < TOY_QUEUES; i++) {
		rd_init(&t->rd[i], &t->gm, 0x1000 * (i + 1), TOY_SIZE);
		t->ring[i] = rd_ring(&t->rd[i]);
	}
	t->d = (struct virtio_device){ .cls = &toy_class,
		.gm = &v->device_gm,
		.loop = t->loop,
		.features_offered = BIT(3),
		.nr_queues = TOY_QUEUES,
		.config = { 1, 2, 3, 4, 5, 6 },
		.config_len = 6 };
	assert_int_equal(virtio_local_create(&t->d, &t->b, &err), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	v->sock = pair[0];
	assert_int_equal(vu_back_create(&(struct vu_back_config){ .b = t->b,
						.gm = &v->device_gm,
						.loop = t->loop,
						.sock = pair[1],
						.ended = vur_on_ended,
						.ctx = v },
				 &v->back, &err),
		0);
	toy_run(t);
	*state = v;
	return 0;
}

static inline int vur_teardown(void **state)
{
	struct vur *v = *state;
	struct toy *t = &v->toy;

	fd_close(&v->sock);
	loop_stop(t->loop);
	pthread_join(t->thread, NULL);
	vu_back_destroy(v->back);
	assert_int_equal(t->nr_destroy, 1);
	loop_destroy(t->loop);
	for (unsigned i = 0; i < TOY_QUEUES; i++)
		rd_fini(&t->rd[i]);
	gm_fini(&t->gm);
	fd_close(&v->ended_fd);
	assert_int_equal(vur_count_fds(), v->nr_fds);
	free(v);
	return 0;
}

/** Waits for the back end's end. */
static inline void vur_wait_end(struct vur *v)
{
	struct pollfd p = { .fd = v->ended_fd, .events = POLLIN };

	assert_int_equal(poll(&p, 1, 10000), 1);
	assert_int_equal(v->nr_ended, 1);
}

/** The back end's next message into in. False at the end of the connection. */
static inline bool vur_hear(int sock, struct vu_inbox *in)
{
	struct pollfd p = { .fd = sock, .events = POLLIN };
	const char *why;
	int rc;

	vu_inbox_clear(in);
	while (!(rc = vu_receive(sock, in, &why)))
		assert_int_equal(poll(&p, 1, 10000), 1);
	return rc > 0;
}

/** A message with anything in it. */
static inline void vur_say(struct vur *v, uint32_t request, uint32_t flags, const void *payload,
	size_t size, const int *fds, unsigned nr_fds)
{
	struct vu_message m = { .h = { .request = request, .size = (uint32_t)size } };

	memcpy(m.payload, payload ? payload : "", size);
	for (unsigned i = 0; i < nr_fds; i++)
		m.fd[i] = fds[i];
	m.nr_fds = nr_fds;
	/* It may be gone already, for what came before. */
	(void)!vu_send(v->sock, &m, flags, 1000);
}

static inline void vur_say_u64(struct vur *v, uint32_t request, uint32_t flags, uint64_t value)
{
	vur_say(v, request, flags, &value, sizeof(value), NULL, 0);
}

static inline void vur_say_state(struct vur *v, uint32_t request, uint32_t index, uint32_t num)
{
	struct vu_vring_state s = { index, num };

	vur_say(v, request, 0, &s, sizeof(s), NULL, 0);
}

static inline void vur_say_fd(struct vur *v, uint32_t request, uint64_t value, int fd)
{
	vur_say(v, request, 0, &value, sizeof(value), &fd, fd >= 0);
}

/** Asks for a number. */
static inline uint64_t vur_ask(struct vur *v, uint32_t request)
{
	struct vu_inbox in = { 0 };

	vur_say(v, request, 0, NULL, 0, NULL, 0);
	assert_true(vur_hear(v->sock, &in));
	assert_int_equal(in.m.h.request, request);
	assert_int_equal(in.m.h.flags, VU_VERSION | VU_REPLY);
	assert_int_equal(in.m.h.size, 8);
	assert_int_equal(in.m.nr_fds, 0);
	return in.m.u64;
}

/** Asks for an acknowledgement of what has been said, with a request that is fine. */
static inline uint64_t vur_ack(struct vur *v, uint32_t request, const void *payload, size_t size)
{
	struct vu_inbox in = { 0 };

	vur_say(v, request, VU_NEED_REPLY, payload, size, NULL, 0);
	assert_true(vur_hear(v->sock, &in));
	assert_int_equal(in.m.h.request, request);
	assert_int_equal(in.m.h.size, 8);
	return in.m.u64;
}

static inline struct vu_mem_table vur_table(const struct vur *v, int *fds)
{
	struct vu_mem_table t = { .nr = v->toy.gm.nr_regions };

	for (unsigned i = 0; i < t.nr; i++) {
		const struct gm_region *r = &v->toy.gm.region[i];

		/* User addresses that are neither guest nor host addresses, in another order. */
		t.region[i] = (struct vu_region){ .gpa = r->base,
			.len = r->len,
			.uaddr = 0x700000000000 - i * 0x10000000ULL,
			.offset = r->fd_off };
		fds[i] = r->fd;
	}
	return t;
}

static inline void vur_say_table(struct vur *v)
{
	int fds[VU_MAX_REGIONS];
	struct vu_mem_table t = vur_table(v, fds);

	vur_say(v, VU_SET_MEM_TABLE, 0, &t, VU_TABLE_HEAD + t.nr * sizeof(t.region[0]), fds, t.nr);
}

#define VUR_UADDR(gpa) (0x700000000000 + (gpa)) /* of what lies in the first region */

/** Protocol features, features, memory. */
static inline void vur_greet(struct vur *v, uint64_t protocol)
{
	vur_say_u64(v, VU_SET_PROTOCOL_FEATURES, 0, protocol);
	vur_say(v, VU_SET_OWNER, 0, NULL, 0, NULL, 0);
	vur_say_u64(v, VU_SET_FEATURES, 0, VUR_FEATURES);
	vur_say_table(v);
}

static inline void vur_say_addr(struct vur *v, unsigned i)
{
	const struct virtio_ring *r = &v->toy.ring[i];
	struct vu_vring_addr a = { .index = i,
		.desc = VUR_UADDR(r->desc),
		.avail = VUR_UADDR(r->avail),
		.used = VUR_UADDR(r->used) };

	vur_say(v, VU_SET_VRING_ADDR, 0, &a, sizeof(a), NULL, 0);
}

/** All of a ring but its being enabled. */
static inline void vur_say_ring(struct vur *v, unsigned i)
{
	const struct virtio_ring *r = &v->toy.ring[i];

	vur_say_state(v, VU_SET_VRING_NUM, i, r->size);
	vur_say_state(v, VU_SET_VRING_BASE, i, 0);
	vur_say_addr(v, i);
	vur_say_fd(v, VU_SET_VRING_CALL, i, r->call_fd);
	vur_say_fd(v, VU_SET_VRING_KICK, i, r->kick_fd);
}

/** Waits until all that was said has been handled. */
static inline void vur_settle(struct vur *v)
{
	vur_ask(v, VU_GET_FEATURES);
}
