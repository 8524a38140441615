// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns the connection of one front end, the memory it shows and the eventfds it gave.
 *
 * Invariants:
 * 1. Every message is judged whole before it changes anything. A wrong one is answered with a
 *    non-zero acknowledgement where one was asked for, and ends the connection where not: the
 *    front end would go on without knowing.
 * 2. The device runs with exactly the rings that are wanted (vu_back_wanted) and never while
 *    something of them changes: whatever a message changes, the device is stopped before, and
 *    started again after it (vu_back_apply).
 * 3. Guest memory changes only while the device is stopped.
 * 4. A device that is broken stays stopped until the front end takes all rings away, or resets.
 * 5. Handlers do not block on the front end, except in sends, which have a bound.
 *
 * QEMU's docs/interop/vhost-user.rst. Loop thread.
 */
#include "vhost-user/back_impl.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <stdlib.h>

#include "base/fd.h"

/* ---- running the device ---- */

/**
 * Whether the driver is there, as far as the status tells. FEATURES_OK alone is no driver's,
 * which says ACKNOWLEDGE and DRIVER before: QEMU 7.2 says it by itself when it sets features,
 * and for some devices (vhost-user-rng) nothing after it. Rings then go by their own states.
 */
static bool vu_back_driven(const struct vu_back *k)
{
	return !vu_back_has(k, VU_PROTOCOL_F_STATUS) || k->status & VIRTIO_CONFIG_S_DRIVER_OK ||
		(k->status & ~VIRTIO_CONFIG_S_NEEDS_RESET) == VIRTIO_CONFIG_S_FEATURES_OK;
}

/** "Ring states": whether ring r is to be served now. */
static bool vu_back_wanted(const struct vu_back *k, const struct vu_back_ring *r)
{
	if (!k->have_features || !r->size || !r->have_addr || r->kick_fd < 0 || !vu_back_driven(k))
		return false;
	return r->enabled || !(k->features & BIT(VU_F_PROTOCOL_FEATURES));
}

static void vu_back_stop(struct vu_back *k)
{
	if (!k->running)
		return;
	k->cfg.b->ops->stop(k->cfg.b);
	for (unsigned i = 0; i < k->cfg.b->nr_queues; i++)
		if (vu_back_wanted(k, &k->ring[i]))
			k->ring[i].next = k->cfg.b->ops->position(k->cfg.b, i);
	k->running = false;
}

void vu_back_touch(struct vu_back *k)
{
	vu_back_stop(k);
	k->changed = true;
}

static bool vu_back_fill_ring(
	const struct vu_back *k, const struct vu_back_ring *r, struct virtio_ring *ret)
{
	*ret = (struct virtio_ring){ .ready = vu_back_wanted(k, r),
		.size = r->size,
		.kick_fd = r->kick_fd,
		.call_fd = r->call_fd >= 0 ? r->call_fd : k->null_fd,
		.next = r->next };
	return !ret->ready ||
		(vu_memtable_translate(&k->table, r->desc, &ret->desc) &&
			vu_memtable_translate(&k->table, r->avail, &ret->avail) &&
			vu_memtable_translate(&k->table, r->used, &ret->used));
}

int vu_back_apply(struct vu_back *k)
{
	struct virtio_ring ring[VIRTIO_MAX_QUEUES];
	bool any = false;
	int rc;

	if (!k->changed)
		return 0;
	k->changed = false;
	for (unsigned i = 0; i < k->cfg.b->nr_queues; i++) {
		if (!vu_back_fill_ring(k, &k->ring[i], &ring[i]))
			return err_set(&k->err, EINVAL, "a ring outside of the memory table");
		any |= ring[i].ready;
	}
	if (!any)
		k->broken = false;
	if (!any || k->broken)
		return 0;
	rc = k->cfg.b->ops->start(k->cfg.b, k->features & ~BIT(VU_F_PROTOCOL_FEATURES), ring);
	k->running = !rc;
	return rc ? err_errno(&k->err, -rc, "the device does not start") : 0;
}

static void vu_back_on_needs_reset(void *ctx)
{
	struct vu_back *k = ctx;

	k->broken = true;
	k->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	for (unsigned i = 0; i < k->cfg.b->nr_queues; i++)
		if (k->ring[i].err_fd >= 0)
			fd_event_signal(k->ring[i].err_fd);
}

static void vu_back_on_config_changed(void *ctx, const void *config, unsigned len)
{
	struct vu_back *k = ctx;
	struct vu_message m = { .h.request = VU_BACKEND_CONFIG_CHANGE };

	/* b->config is what it began with: the message says only that it is to be read again. */
	memcpy(k->cfg.b->config, config, MIN(len, k->cfg.b->config_len));
	if (k->req_fd >= 0 && vu_send(k->req_fd, &m, 0, VU_BACK_SEND_MS))
		fd_close(&k->req_fd);
}

void vu_back_stop_ring(struct vu_back_ring *r)
{
	fd_close(&r->kick_fd);
	fd_close(&r->call_fd);
}

/* ---- the connection ---- */

static void vu_back_end(struct vu_back *k, const struct err *err)
{
	k->ended = true;
	loop_del(k->cfg.loop, &k->watch);
	if (!err && k->cfg.b->ops->drain)
		k->cfg.b->ops->drain(k->cfg.b);
	vu_back_stop(k);
	/* Only now: the front end waits for this to know that all is done. */
	fd_close(&k->cfg.sock);
	k->cfg.ended(k->cfg.ctx, err);
}

/** One message, whole. Returns false when it ended the connection. */
static bool vu_back_serve(struct vu_back *k)
{
	struct vu_message *m = &k->in.m;
	uint32_t request = m->h.request;
	bool ack = m->h.flags & VU_NEED_REPLY;
	int rc = vu_back_handle(k, m);

	vu_inbox_clear(&k->in);
	/* Linux's virtio_uml wants one for the very message that agrees on them. */
	if (rc <= 0 && ack && vu_back_has(k, VU_PROTOCOL_F_REPLY_ACK)) {
		struct vu_message reply = { .h.request = request, .u64 = rc < 0 };

		rc = vu_back_reply(k, &reply, sizeof(reply.u64));
	}
	if (rc >= 0)
		return true;
	(void)err_prefix(&k->err, rc, "request %u", request);
	vu_back_end(k, &k->err);
	return false;
}

static void vu_back_on_message(struct watch *w, uint32_t events __unused)
{
	struct vu_back *k = container_of(w, struct vu_back, watch);
	const char *why;
	int rc = 1;

	/* Some in a turn of the loop, for they come together; the watch is level-triggered. */
	for (unsigned i = 0; i < VU_BACK_BATCH && rc > 0; i++) {
		rc = vu_receive(k->cfg.sock, &k->in, &why);
		if (rc > 0 && !vu_back_serve(k))
			return;
	}
	if (rc == -EPIPE && !k->in.have) {
		vu_back_end(k, NULL);
	} else if (rc < 0) {
		(void)err_set(&k->err, -rc, "%s", why);
		vu_back_end(k, &k->err);
	}
}

int vu_back_create(const struct vu_back_config *cfg, struct vu_back **ret, struct err *err)
{
	struct vu_back *k = calloc(1, sizeof(*k));
	struct vu_back_config mine = *cfg;
	int rc = -ENOMEM;

	if (!k) {
		fd_close(&mine.sock);
		mine.b->ops->destroy(mine.b);
		return err_errno(err, ENOMEM, "vhost-user");
	}
	BUG_ON(!cfg->b->ops->position || cfg->b->nr_queues > VIRTIO_MAX_QUEUES);
	k->cfg = *cfg;
	k->req_fd = k->null_fd = -1;
	k->ring = calloc(cfg->b->nr_queues, sizeof(*k->ring));
	if (!k->ring)
		goto fail;
	for (unsigned i = 0; i < cfg->b->nr_queues; i++)
		k->ring[i].kick_fd = k->ring[i].call_fd = k->ring[i].err_fd = -1;
	rc = k->null_fd = fd_event();
	if (rc >= 0)
		rc = loop_add(cfg->loop, &k->watch, cfg->sock, EPOLLIN, vu_back_on_message);
	if (rc < 0)
		goto fail;
	cfg->b->events = (struct virtio_events){ .config_changed = vu_back_on_config_changed,
		.needs_reset = vu_back_on_needs_reset,
		.ctx = k };
	*ret = k;
	return 0;
fail:
	vu_back_destroy(k);
	return err_errno(err, -rc, "vhost-user");
}

void vu_back_destroy(struct vu_back *k)
{
	if (!k)
		return;
	loop_del(k->cfg.loop, &k->watch);
	vu_back_stop(k);
	for (unsigned i = 0; k->ring && i < k->cfg.b->nr_queues; i++) {
		vu_back_stop_ring(&k->ring[i]);
		fd_close(&k->ring[i].err_fd);
	}
	free(k->ring);
	k->cfg.b->ops->destroy(k->cfg.b);
	gm_fini(k->cfg.gm);
	vu_memtable_clear(&k->table);
	vu_inbox_clear(&k->in);
	fd_close(&k->cfg.sock);
	fd_close(&k->req_fd);
	fd_close(&k->null_fd);
	free(k);
}
