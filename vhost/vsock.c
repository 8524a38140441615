// SPDX-License-Identifier: BSD-3-Clause
/*
 * Invariants:
 * 1. The kernel knows of a ring only after vq_init judged it, by addresses of this process.
 * 2. It serves between start and stop and at no other time: in between no guest memory is touched.
 */
#include "vhost/vsock.h"

#include <errno.h>
#include <linux/vhost.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_vsock.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "virtio/queue.h"

#define VHOST_VSOCK_QUEUE_SIZE 128
#define VHOST_VSOCK_DRAIN_MS   1000
#define VHOST_VSOCK_SLICE_MS   5
/* Streams; what there is beyond them (SEQPACKET) the socket device in user space has not either. */
#define VHOST_VSOCK_FEATURES VIRTIO_COMMON_FEATURES

enum { VHOST_VSOCK_RX, VHOST_VSOCK_TX, VHOST_VSOCK_SERVED, VHOST_VSOCK_NR_QUEUES = 3 };

struct vhost_vsock {
	struct virtio_backend b;
	struct vhost_vsock_config cfg; /* fd owned */
	int err_fd;                    /* owned eventfd: a ring is broken */
	struct watch broken;
	struct ratelimit rl; /* the transport's calls, one at a time */
	struct vq vq[VHOST_VSOCK_SERVED];
	bool have_memory, started;
};

int vhost_ioctl(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg);
}

static int vhost_vsock_ask(struct vhost_vsock *s, unsigned long request, void *arg)
{
	return s->cfg.ioctl(s->cfg.fd, request, arg) < 0 ? -errno : 0;
}

static int vhost_vsock_set_running(struct vhost_vsock *s, int on)
{
	return vhost_vsock_ask(s, VHOST_VSOCK_SET_RUNNING, &on);
}

static int vhost_vsock_set_memory(struct vhost_vsock *s)
{
	const struct guest_memory *gm = s->cfg.gm;
	/* struct vhost_memory, whose regions have no number. */
	struct {
		uint32_t nregions, padding;
		struct vhost_memory_region region[GM_MAX_REGIONS];
	} table = { .nregions = gm->nr_regions };
	int rc;

	_Static_assert(offsetof(__typeof__(table), region) == sizeof(struct vhost_memory),
		"regions follow their number");

	if (s->have_memory)
		return 0;
	for (unsigned i = 0; i < gm->nr_regions; i++)
		table.region[i] = (struct vhost_memory_region){
			.guest_phys_addr = gm->region[i].base,
			.memory_size = gm->region[i].len,
			.userspace_addr = (uintptr_t)gm->region[i].host,
		};
	rc = vhost_vsock_ask(s, VHOST_SET_MEM_TABLE, &table);
	s->have_memory = !rc;
	return rc;
}

static int vhost_vsock_set_ring(struct vhost_vsock *s, unsigned i, const struct virtio_ring *r)
{
	struct vhost_vring_state num = { .index = i, .num = r->size };
	struct vhost_vring_state base = { .index = i, .num = r->next };
	struct vhost_vring_addr addr = { .index = i,
		.desc_user_addr = (uintptr_t)s->vq[i].desc,
		.used_user_addr = (uintptr_t)s->vq[i].used,
		.avail_user_addr = (uintptr_t)s->vq[i].avail };
	struct vhost_vring_file broken = { .index = i, .fd = s->err_fd };
	struct vhost_vring_file call = { .index = i, .fd = r->call_fd };
	struct vhost_vring_file kick = { .index = i, .fd = r->kick_fd };
	int rc = vhost_vsock_ask(s, VHOST_SET_VRING_NUM, &num);

	if (!rc)
		rc = vhost_vsock_ask(s, VHOST_SET_VRING_BASE, &base);
	if (!rc)
		rc = vhost_vsock_ask(s, VHOST_SET_VRING_ADDR, &addr);
	if (!rc)
		rc = vhost_vsock_ask(s, VHOST_SET_VRING_ERR, &broken);
	if (!rc)
		rc = vhost_vsock_ask(s, VHOST_SET_VRING_CALL, &call);
	return rc ? rc : vhost_vsock_ask(s, VHOST_SET_VRING_KICK, &kick);
}

/** Invariant 1. */
static int vhost_vsock_judge(
	struct vhost_vsock *s, uint64_t features, const struct virtio_ring *rings)
{
	if (features & ~s->b.features)
		return -EINVAL;
	for (unsigned i = 0; i < VHOST_VSOCK_SERVED; i++) {
		const struct virtio_queue_name of = { s->b.name, i, VHOST_VSOCK_QUEUE_SIZE,
			&s->rl };

		if (vq_init_ring(&s->vq[i], s->cfg.gm, features, &rings[i], &of))
			return -EINVAL;
	}
	return 0;
}

static int vhost_vsock_start(
	struct virtio_backend *b, uint64_t features, const struct virtio_ring *rings)
{
	struct vhost_vsock *s = container_of(b, struct vhost_vsock, b);
	int rc = vhost_vsock_judge(s, features, rings);

	if (rc)
		return rc;
	/* What an earlier life left there is not about the new rings. */
	fd_event_drain(s->err_fd);
	rc = vhost_vsock_ask(s, VHOST_SET_FEATURES, &features);
	if (!rc)
		rc = vhost_vsock_set_memory(s);
	for (unsigned i = 0; !rc && i < VHOST_VSOCK_SERVED; i++)
		rc = vhost_vsock_set_ring(s, i, &rings[i]);
	if (!rc)
		rc = vhost_vsock_set_running(s, 1);
	s->started = !rc;
	if (rc && ratelimit_ok(&s->rl))
		log_warn("%s: the kernel does not start it: %s", s->b.name, strerrordesc_np(-rc));
	return rc;
}

static void vhost_vsock_stop(struct virtio_backend *b)
{
	struct vhost_vsock *s = container_of(b, struct vhost_vsock, b);
	int rc;

	if (!s->started)
		return;
	s->started = false;
	rc = vhost_vsock_set_running(s, 0);
	if (rc)
		log_error("%s: the kernel does not stop it: %s", s->b.name, strerrordesc_np(-rc));
}

/** What the guest sent is the kernel's once it has returned the buffers. */
static void vhost_vsock_drain(struct virtio_backend *b)
{
	struct vhost_vsock *s = container_of(b, struct vhost_vsock, b);
	const struct vq *tx = &s->vq[VHOST_VSOCK_TX];
	int64_t begin = clock_now_ms();

	/* The index is behind the flags in either ring (VIRTIO 1.2, 2.7.6 and 2.7.8). */
	while (s->started && gm_load16(tx->avail + 2) != gm_load16_acquire(tx->used + 2) &&
		clock_now_ms() - begin < VHOST_VSOCK_DRAIN_MS)
		poll(NULL, 0, VHOST_VSOCK_SLICE_MS);
}

static void vhost_vsock_unwatch(void *arg)
{
	struct vhost_vsock *s = arg;

	loop_del(s->cfg.loop, &s->broken);
}

static void vhost_vsock_destroy(struct virtio_backend *b)
{
	struct vhost_vsock *s = container_of(b, struct vhost_vsock, b);

	loop_call(s->cfg.loop, vhost_vsock_unwatch, s);
	/* It stops before its descriptor is gone (its release), and memory goes later. */
	fd_close(&s->cfg.fd);
	fd_close(&s->err_fd);
	free(s);
}

static void vhost_vsock_on_broken(struct watch *w, uint32_t events __unused)
{
	struct vhost_vsock *s = container_of(w, struct vhost_vsock, broken);

	fd_event_drain(w->fd);
	if (s->b.events.needs_reset)
		s->b.events.needs_reset(s->b.events.ctx);
}

static const struct virtio_backend_ops vhost_vsock_ops = {
	.start = vhost_vsock_start,
	.stop = vhost_vsock_stop,
	.drain = vhost_vsock_drain,
	.destroy = vhost_vsock_destroy,
};

static int vhost_vsock_open(struct vhost_vsock *s, struct err *err)
{
	uint64_t features = 0, cid = s->cfg.guest_cid;
	int rc = vhost_vsock_ask(s, VHOST_SET_OWNER, NULL);

	if (!rc)
		rc = vhost_vsock_ask(s, VHOST_GET_FEATURES, &features);
	if (rc)
		return err_errno(err, -rc, "it is not the kernel's vhost-vsock");
	s->b.features = features & VHOST_VSOCK_FEATURES;
	if (!(features & BIT(VIRTIO_F_VERSION_1)))
		return err_set(err, EPROTO, "it is older than VIRTIO 1");
	rc = vhost_vsock_ask(s, VHOST_VSOCK_SET_GUEST_CID, &cid);
	if (rc)
		return err_errno(err, -rc, "cid: %llu", (unsigned long long)cid);
	rc = s->err_fd = fd_event();
	if (rc >= 0)
		rc = loop_add(s->cfg.loop, &s->broken, s->err_fd, EPOLLIN, vhost_vsock_on_broken);
	return rc < 0 ? err_errno(err, -rc, "vsock") : 0;
}

int vhost_vsock_create(
	const struct vhost_vsock_config *cfg, struct virtio_backend **ret, struct err *err)
{
	struct vhost_vsock *s = calloc(1, sizeof(*s));
	int rc, fd = cfg->fd;

	if (!s) {
		fd_close(&fd);
		return err_errno(err, ENOMEM, "vsock");
	}
	s->cfg = *cfg;
	s->err_fd = -1;
	s->b = (struct virtio_backend){
		.ops = &vhost_vsock_ops,
		.name = "vsock",
		.device_id = VIRTIO_ID_VSOCK,
		.nr_queues = VHOST_VSOCK_NR_QUEUES,
		.queue_size_max = VHOST_VSOCK_QUEUE_SIZE,
		.config_len = sizeof(struct virtio_vsock_config),
	};
	le64_put(s->b.config + offsetof(struct virtio_vsock_config, guest_cid), cfg->guest_cid);
	rc = vhost_vsock_open(s, err);
	if (rc) {
		vhost_vsock_destroy(&s->b);
		return rc;
	}
	*ret = &s->b;
	return 0;
}
