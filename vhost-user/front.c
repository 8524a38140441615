// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns the connection to a device process.
 *
 * Invariants:
 * 1. `lock` is held from a request to its reply, so replies cannot be mixed up. The transport
 *    calls one at a time; the loop asks only for config space.
 * 2. Nothing is started that this side has not judged: rings that are not RAM never reach the
 *    other process, so a guest's mistake cannot look like a broken process.
 * 3. Once dead, the socket is not used again. `failed` is called at most once.
 * 4. Messages without a reply are sent one after another and the last one of a start asks for an
 *    acknowledgement: one wait for each start.
 *
 * QEMU's docs/interop/vhost-user.rst.
 */
#include "vhost-user/front_impl.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "virtio/queue.h"

#define VU_FRONT_PROTOCOL                                                                          \
	(BIT(VU_PROTOCOL_F_MQ) | BIT(VU_PROTOCOL_F_REPLY_ACK) | BIT(VU_PROTOCOL_F_BACKEND_REQ) |   \
		BIT(VU_PROTOCOL_F_CONFIG) | BIT(VU_PROTOCOL_F_STATUS))

/*
 * What may be offered to the guest: a device's own bits, and of the transports' those that both
 * the register page and the rings of this side know.
 */
#define VU_FRONT_FEATURES ((BIT(24) - 1) | VIRTIO_COMMON_FEATURES)

static struct vu_front *vu_front_of(struct virtio_backend *b)
{
	return container_of(b, struct vu_front, b);
}

/** The device is dead. Returns -EPIPE. Any thread. */
static int vu_front_fail(struct vu_front *f, const struct err *err)
{
	unsigned was = atomic_exchange(&f->dead, 1);

	if (!was && !atomic_load(&f->ending) && f->cfg.failed)
		f->cfg.failed(f->cfg.ctx, err);
	return -EPIPE;
}

/* ---- start and stop ---- */

/** User addresses are guest addresses: where this process has the memory is not told. */
static int vu_front_send_memory(struct vu_front *f, struct err *err)
{
	struct vu_message m = { .h.request = VU_SET_MEM_TABLE };
	const struct guest_memory *gm = f->cfg.gm;

	_Static_assert(VU_MAX_REGIONS >= GM_MAX_REGIONS, "all guest memory fits in a table");
	if (f->have_memory)
		return 0;
	for (unsigned i = 0; i < gm->nr_regions; i++) {
		const struct gm_region *r = &gm->region[i];

		if (r->fd < 0)
			return err_set(err, EINVAL, "%s: guest memory is not shared", f->cfg.name);
		m.table.region[i] = (struct vu_region){
			.gpa = r->base, .len = r->len, .uaddr = r->base, .offset = r->fd_off
		};
		m.fd[m.nr_fds++] = r->fd;
	}
	m.table.nr = gm->nr_regions;
	m.h.size = (uint32_t)(VU_TABLE_HEAD + gm->nr_regions * sizeof(struct vu_region));
	f->have_memory = true;
	return vu_front_post(f, &m, 0, err);
}

static int vu_front_send_state(
	struct vu_front *f, uint32_t request, unsigned i, uint32_t num, struct err *err)
{
	struct vu_message m = { .h = { .request = request, .size = sizeof(m.state) },
		.state = { .index = i, .num = num } };

	return vu_front_post(f, &m, 0, err);
}

static int vu_front_send_fd(
	struct vu_front *f, uint32_t request, unsigned i, int fd, struct err *err)
{
	struct vu_message m = { .h = { .request = request, .size = sizeof(m.u64) },
		.u64 = i,
		.fd = { fd },
		.nr_fds = 1 };

	return vu_front_post(f, &m, 0, err);
}

/** What a ring is, but for its eventfds. */
static int vu_front_send_ring(
	struct vu_front *f, unsigned i, const struct virtio_ring *r, struct err *err)
{
	struct vu_message m = { .h = { .request = VU_SET_VRING_ADDR, .size = sizeof(m.addr) },
		.addr = { .index = i, .desc = r->desc, .used = r->used, .avail = r->avail } };
	int rc = vu_front_send_state(f, VU_SET_VRING_NUM, i, r->size, err);

	if (!rc)
		rc = vu_front_send_state(f, VU_SET_VRING_BASE, i, r->next, err);
	return rc ? rc : vu_front_post(f, &m, 0, err);
}

/** Its eventfds. A ring that stops loses those for kicks and calls, and the other stays. */
static int vu_front_send_fds(
	struct vu_front *f, unsigned i, const struct virtio_ring *r, struct err *err)
{
	int rc = 0;

	if (!(f->told_err & BIT(i)))
		rc = vu_front_send_fd(f, VU_SET_VRING_ERR, i, f->err_fd, err);
	f->told_err |= BIT(i);
	if (!rc)
		rc = vu_front_send_fd(f, VU_SET_VRING_CALL, i, r->call_fd, err);
	if (!rc)
		rc = vu_front_send_fd(f, VU_SET_VRING_KICK, i, r->kick_fd, err);
	f->started |= BIT(i);
	return rc;
}

/** Invariant 2. */
static int vu_front_judge(struct vu_front *f, uint64_t features, const struct virtio_ring *rings)
{
	struct vq q;

	if (features & ~f->b.features)
		return -EINVAL;
	for (unsigned i = 0; i < f->b.nr_queues; i++) {
		const struct virtio_queue_name of = { f->cfg.name, i, f->cfg.queue_size_max,
			&f->rl };

		if (rings[i].ready && vq_init_ring(&q, f->cfg.gm, features, &rings[i], &of))
			return -EINVAL;
	}
	return 0;
}

static int vu_front_send_start(struct vu_front *f, uint64_t features,
	const struct virtio_ring *rings, bool *refused, struct err *err)
{
	static const uint64_t ok = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
		VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK;
	struct vu_message last = { .h = { .request = VU_SET_STATUS, .size = sizeof(ok) },
		.u64 = ok };
	int rc = vu_front_set(f, VU_SET_FEATURES, features | BIT(VU_F_PROTOCOL_FEATURES), err);

	if (!rc)
		rc = vu_front_send_memory(f, err);
	for (unsigned i = 0; i < f->b.nr_queues && !rc; i++)
		if (rings[i].ready)
			rc = vu_front_send_ring(f, i, &rings[i], err);
	for (unsigned i = 0; i < f->b.nr_queues && !rc; i++)
		if (rings[i].ready)
			rc = vu_front_send_fds(f, i, &rings[i], err);
	for (unsigned i = 0; i < f->b.nr_queues && !rc; i++)
		if (rings[i].ready)
			rc = vu_front_send_state(f, VU_SET_VRING_ENABLE, i, 1, err);
	*refused = false;
	if (rc)
		return rc;
	if (!vu_front_has(f, VU_PROTOCOL_F_STATUS)) {
		/* Once more the features, for a message that can be acknowledged. */
		last.h.request = VU_SET_FEATURES;
		last.u64 = features | BIT(VU_F_PROTOCOL_FEATURES);
	}
	return vu_front_finish(f, &last, VU_FRONT_WAIT_MS, refused, err);
}

static int vu_front_send_stop(struct vu_front *f, struct err *err)
{
	uint64_t rings = f->started;
	int rc = 0;

	f->started = 0;
	if (vu_front_has(f, VU_PROTOCOL_F_STATUS))
		rc = vu_front_set(f, VU_SET_STATUS, 0, err);
	for (unsigned i = 0; i < f->b.nr_queues && !rc; i++)
		if (rings & BIT(i))
			rc = vu_front_send_state(f, VU_GET_VRING_BASE, i, 0, err);
	for (unsigned i = 0; i < f->b.nr_queues && !rc; i++) {
		struct vu_message m;

		if (rings & BIT(i))
			rc = vu_front_reply(
				f, VU_GET_VRING_BASE, sizeof(m.state), VU_FRONT_STOP_MS, &m, err);
	}
	return rc;
}

static void vu_front_stop(struct virtio_backend *b)
{
	struct vu_front *f = vu_front_of(b);
	struct err err;
	int rc = 0;

	if (atomic_load(&f->dead) || atomic_load(&f->ending))
		return;
	pthread_mutex_lock(&f->lock);
	if (f->started)
		rc = vu_front_send_stop(f, &err);
	pthread_mutex_unlock(&f->lock);
	if (rc)
		(void)vu_front_fail(f, &err);
}

static int vu_front_start(
	struct virtio_backend *b, uint64_t features, const struct virtio_ring *rings)
{
	struct vu_front *f = vu_front_of(b);
	bool refused = false;
	struct err err;
	int rc;

	if (atomic_load(&f->dead) || atomic_load(&f->ending))
		return -EPIPE;
	rc = vu_front_judge(f, features, rings);
	if (rc)
		return rc;
	/* What an earlier life left there is not about the new rings. */
	fd_event_drain(f->err_fd);
	pthread_mutex_lock(&f->lock);
	rc = vu_front_send_start(f, features, rings, &refused, &err);
	if (!rc && refused)
		rc = vu_front_send_stop(f, &err);
	pthread_mutex_unlock(&f->lock);
	if (rc)
		return vu_front_fail(f, &err);
	return refused ? -EIO : 0;
}

static void vu_front_config_write(
	struct virtio_backend *b, unsigned off, const void *data, unsigned len)
{
	struct vu_front *f = vu_front_of(b);
	struct vu_message m = { .h.request = VU_SET_CONFIG,
		.config = { .offset = off, .size = len } };
	bool refused;
	struct err err;
	int rc;

	if (!len || !range_within(off, len, 0, b->config_len) || atomic_load(&f->dead) ||
		atomic_load(&f->ending) || !vu_front_has(f, VU_PROTOCOL_F_CONFIG))
		return;
	memcpy(m.config.data, data, len);
	m.h.size = (uint32_t)(VU_CONFIG_HEAD + len);
	pthread_mutex_lock(&f->lock);
	rc = vu_front_finish(f, &m, VU_FRONT_WAIT_MS, &refused, &err);
	pthread_mutex_unlock(&f->lock);
	if (rc)
		(void)vu_front_fail(f, &err);
}

/* ---- the end ---- */

/**
 * Closing our direction says that no more will come: the other process serves what the guest
 * handed over, lets go of it and hangs up. The protocol has no message for that.
 */
static void vu_front_drain(struct virtio_backend *b)
{
	struct vu_front *f = vu_front_of(b);
	int64_t begin = clock_now_ms();
	char drop[64];
	ssize_t n;

	if (atomic_exchange(&f->ending, 1) || atomic_load(&f->dead))
		return;
	shutdown(f->cfg.sock, SHUT_WR);
	do {
		struct pollfd p = { .fd = f->cfg.sock, .events = POLLIN };

		poll(&p, 1, VU_FRONT_SLICE_MS);
		n = recv(f->cfg.sock, drop, sizeof(drop), MSG_DONTWAIT);
		if (!n || (n < 0 && errno != EAGAIN && errno != EINTR))
			return;
	} while (f->cfg.drain_ms < 0 || clock_now_ms() - begin < f->cfg.drain_ms);
	log_warn("%s: the device does not come to its end", f->cfg.name);
}

static void vu_front_unwatch(void *arg)
{
	struct vu_front *f = arg;

	loop_del(f->cfg.loop, &f->hangup);
	loop_del(f->cfg.loop, &f->req);
	loop_del(f->cfg.loop, &f->broken);
}

static void vu_front_destroy(struct virtio_backend *b)
{
	struct vu_front *f;

	if (!b)
		return;
	f = vu_front_of(b);
	atomic_store(&f->ending, 1);
	loop_call(f->cfg.loop, vu_front_unwatch, f);
	vu_inbox_clear(&f->in);
	vu_inbox_clear(&f->req_in);
	fd_close(&f->cfg.sock);
	fd_close(&f->req_fd);
	fd_close(&f->err_fd);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

static const struct virtio_backend_ops vu_front_ops = {
	.start = vu_front_start,
	.stop = vu_front_stop,
	.config_write = vu_front_config_write,
	.drain = vu_front_drain,
	.destroy = vu_front_destroy,
};

/* ---- what comes from the other process: on the loop ---- */

static void vu_front_on_hangup(struct watch *w, uint32_t events __unused)
{
	struct vu_front *f = container_of(w, struct vu_front, hangup);
	struct err err;

	loop_del(f->cfg.loop, w);
	(void)err_set(&err, EPIPE, "%s: the device's process hung up", f->cfg.name);
	(void)vu_front_fail(f, &err);
}

static void vu_front_on_broken(struct watch *w, uint32_t events __unused)
{
	struct vu_front *f = container_of(w, struct vu_front, broken);

	fd_event_drain(w->fd);
	if (f->b.events.needs_reset)
		f->b.events.needs_reset(f->b.events.ctx);
}

static void vu_front_refresh_config(struct vu_front *f)
{
	uint8_t config[VIRTIO_MAX_CONFIG];
	struct err err;
	int rc;

	if (atomic_load(&f->dead) || atomic_load(&f->ending))
		return;
	pthread_mutex_lock(&f->lock);
	rc = vu_front_ask_config(f, &err);
	if (!rc)
		rc = vu_front_answer_config(f, config, &err);
	pthread_mutex_unlock(&f->lock);
	if (rc)
		(void)vu_front_fail(f, &err);
	else if (f->b.events.config_changed)
		f->b.events.config_changed(f->b.events.ctx, config, f->b.config_len);
}

static void vu_front_on_request(struct watch *w, uint32_t events __unused)
{
	struct vu_front *f = container_of(w, struct vu_front, req);
	struct vu_message *m = &f->req_in.m;
	uint32_t request;
	const char *why;
	bool known;
	int rc = vu_receive(f->req_fd, &f->req_in, &why);

	if (!rc)
		return;
	request = m->h.request;
	known = rc > 0 && request == VU_BACKEND_CONFIG_CHANGE && !m->h.size && !m->nr_fds &&
		!(m->h.flags & VU_REPLY) && vu_front_has(f, VU_PROTOCOL_F_CONFIG);
	/* The answer goes first: who waits for it cannot answer our question. */
	if (known && m->h.flags & VU_NEED_REPLY) {
		struct vu_message reply = { .h = { .request = request, .size = sizeof(m->u64) } };

		known = !vu_send(f->req_fd, &reply, VU_REPLY, VU_FRONT_SLICE_MS);
	}
	vu_inbox_clear(&f->req_in);
	if (known) {
		vu_front_refresh_config(f);
		return;
	}
	loop_del(f->cfg.loop, w);
	/* A process that closes only this connection wants nothing more of us. */
	if (rc != -EPIPE) {
		struct err err;

		(void)err_set(&err, EPROTO, "%s: a request that is not known", f->cfg.name);
		(void)vu_front_fail(f, &err);
	}
}

/* ---- making one ---- */

static int vu_front_ask(struct vu_front *f, uint32_t request, struct err *err)
{
	struct vu_message m = { .h.request = request };

	return vu_front_post(f, &m, 0, err);
}

static int vu_front_answer(struct vu_front *f, uint32_t request, uint64_t *ret, struct err *err)
{
	struct vu_message m;
	int rc = vu_front_reply(f, request, sizeof(m.u64), VU_FRONT_WAIT_MS, &m, err);

	if (!rc)
		*ret = m.u64;
	return rc;
}

/** What both sides know. Questions are asked together: waits are what takes time here. */
static int vu_front_agree(struct vu_front *f, struct err *err)
{
	uint64_t features, protocol;
	int rc = vu_front_ask(f, VU_GET_FEATURES, err);

	/* Unknown before the first answer, but there is no use for who does not know it. */
	if (!rc)
		rc = vu_front_ask(f, VU_GET_PROTOCOL_FEATURES, err);
	if (!rc)
		rc = vu_front_answer(f, VU_GET_FEATURES, &features, err);
	if (rc)
		return rc;
	if (!(features & BIT(VU_F_PROTOCOL_FEATURES)))
		return err_set(err, EPROTO, "%s: the device has no protocol features", f->cfg.name);
	f->b.features = features & VU_FRONT_FEATURES;
	if (!(f->b.features & BIT(VIRTIO_F_VERSION_1)))
		return err_set(err, EPROTO, "%s: the device is older than VIRTIO 1", f->cfg.name);
	rc = vu_front_answer(f, VU_GET_PROTOCOL_FEATURES, &protocol, err);
	if (rc)
		return rc;
	f->protocol = protocol & VU_FRONT_PROTOCOL;
	if (f->cfg.config)
		f->protocol &= ~BIT(VU_PROTOCOL_F_CONFIG);
	rc = vu_front_set(f, VU_SET_PROTOCOL_FEATURES, f->protocol, err);
	return rc ? rc : vu_front_ask(f, VU_SET_OWNER, err);
}

static int vu_front_open_requests(struct vu_front *f, struct err *err)
{
	struct vu_message m = { .h.request = VU_SET_BACKEND_REQ_FD, .nr_fds = 1 };
	int pair[2], rc;

	if (!vu_front_has(f, VU_PROTOCOL_F_BACKEND_REQ))
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(err, errno, "%s", f->cfg.name);
	f->req_fd = pair[0];
	m.fd[0] = pair[1];
	rc = vu_front_post(f, &m, 0, err);
	if (!rc)
		rc = vu_front_flush(f, err);
	close(pair[1]);
	return rc;
}

static int vu_front_learn(struct vu_front *f, struct err *err)
{
	bool mq = vu_front_has(f, VU_PROTOCOL_F_MQ), ask = f->cfg.config_len && !f->cfg.config;
	uint64_t nr = f->cfg.nr_queues;
	int rc = 0;

	if (ask && !vu_front_has(f, VU_PROTOCOL_F_CONFIG))
		return err_set(err, EPROTO, "%s: the device shows no config space", f->cfg.name);
	if (mq)
		rc = vu_front_ask(f, VU_GET_QUEUE_NUM, err);
	if (!rc && ask)
		rc = vu_front_ask_config(f, err);
	if (!rc)
		rc = vu_front_open_requests(f, err);
	if (!rc)
		rc = vu_front_flush(f, err);
	if (!rc && mq)
		rc = vu_front_answer(f, VU_GET_QUEUE_NUM, &nr, err);
	if (!rc && ask)
		rc = vu_front_answer_config(f, f->b.config, err);
	if (rc)
		return rc;
	if (f->cfg.config)
		memcpy(f->b.config, f->cfg.config, f->cfg.config_len);
	/* It says how many it could serve, which may be more than there are or we can. */
	f->b.nr_queues = (unsigned)MIN(nr, (uint64_t)VIRTIO_MAX_QUEUES);
	if (f->cfg.nr_queues)
		f->b.nr_queues = MIN(f->b.nr_queues, f->cfg.nr_queues);
	if (!f->b.nr_queues)
		return err_set(err, EPROTO, "%s: the device has no queues", f->cfg.name);
	return 0;
}

static int vu_front_watch(struct vu_front *f)
{
	int rc = loop_add(f->cfg.loop, &f->broken, f->err_fd, EPOLLIN, vu_front_on_broken);

	/* No input: replies are waited for where they are asked for. */
	if (!rc)
		rc = loop_add(f->cfg.loop, &f->hangup, f->cfg.sock, EPOLLRDHUP, vu_front_on_hangup);
	if (!rc && f->req_fd >= 0)
		rc = loop_add(f->cfg.loop, &f->req, f->req_fd, EPOLLIN, vu_front_on_request);
	return rc;
}

static int vu_front_open(struct vu_front *f, struct err *err)
{
	int rc = f->err_fd = fd_event();

	if (rc < 0)
		return err_errno(err, -rc, "%s", f->cfg.name);
	rc = vu_front_agree(f, err);
	if (!rc)
		rc = vu_front_learn(f, err);
	if (rc)
		return rc;
	rc = vu_front_watch(f);
	return rc ? err_errno(err, -rc, "%s", f->cfg.name) : 0;
}

int vu_front_create(const struct vu_front_config *cfg, struct virtio_backend **ret, struct err *err)
{
	struct vu_front *f = calloc(1, sizeof(*f));
	int rc, sock = cfg->sock;

	BUG_ON(cfg->config_len > VIRTIO_MAX_CONFIG);
	if (!f) {
		fd_close(&sock);
		return err_errno(err, ENOMEM, "%s", cfg->name);
	}
	pthread_mutex_init(&f->lock, NULL);
	f->cfg = *cfg;
	f->req_fd = f->err_fd = -1;
	f->b.ops = &vu_front_ops;
	f->b.name = cfg->name;
	f->b.device_id = cfg->device_id;
	f->b.queue_size_max = cfg->queue_size_max;
	f->b.config_len = cfg->config_len;
	rc = vu_front_open(f, err);
	if (rc) {
		vu_front_destroy(&f->b);
		return rc;
	}
	*ret = &f->b;
	return 0;
}
