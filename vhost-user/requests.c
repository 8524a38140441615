// SPDX-License-Identifier: BSD-3-Clause
/*
 * What a front end can say to a device, one function for each request. Invariants 1 to 3 of
 * back.c are kept here: judge first, vu_back_touch before a change.
 */
#include "vhost-user/back_impl.h"

#include <errno.h>
#include <linux/virtio_config.h>

#include "base/fd.h"

/* ---- messages: each returns 0, 1 when it has replied, or -errno with k->err ---- */

typedef int (*vu_back_fn)(struct vu_back *k, struct vu_message *m);

int vu_back_reply(struct vu_back *k, struct vu_message *m, size_t size)
{
	int rc;

	m->h.size = (uint32_t)size;
	m->nr_fds = 0;
	rc = vu_send(k->cfg.sock, m, VU_REPLY, VU_BACK_SEND_MS);
	return rc ? err_errno(&k->err, -rc, "the front end does not take replies") : 1;
}

static int vu_back_reply_u64(struct vu_back *k, struct vu_message *m, uint64_t v)
{
	m->u64 = v;
	return vu_back_reply(k, m, sizeof(v));
}

static int vu_back_nothing(struct vu_back *k __unused, struct vu_message *m __unused)
{
	return 0;
}

static int vu_back_get_features(struct vu_back *k, struct vu_message *m)
{
	return vu_back_reply_u64(k, m, k->cfg.b->features | BIT(VU_F_PROTOCOL_FEATURES));
}

static int vu_back_set_features(struct vu_back *k, struct vu_message *m)
{
	if (m->u64 & ~(k->cfg.b->features | BIT(VU_F_PROTOCOL_FEATURES)))
		return err_set(&k->err, EINVAL, "features that were not offered");
	vu_back_touch(k);
	k->features = m->u64;
	k->have_features = true;
	return 0;
}

/** QEMU has a warning for config space that its own device does not know of. */
static uint64_t vu_back_offered(const struct vu_back *k)
{
	return VU_BACK_PROTOCOL & ~(k->cfg.b->config_len ? 0 : BIT(VU_PROTOCOL_F_CONFIG));
}

static int vu_back_get_protocol(struct vu_back *k, struct vu_message *m)
{
	return vu_back_reply_u64(k, m, vu_back_offered(k));
}

static int vu_back_set_protocol(struct vu_back *k, struct vu_message *m)
{
	if (m->u64 & ~vu_back_offered(k))
		return err_set(&k->err, EINVAL, "protocol features that were not offered");
	vu_back_touch(k);
	k->protocol = m->u64;
	return 0;
}

static int vu_back_set_mem_table(struct vu_back *k, struct vu_message *m)
{
	struct vu_memtable table = { 0 };
	uint32_t nr = m->table.nr;
	const char *why;
	int rc = 0;

	/* Linux's virtio_uml sends room for one more region than it has. */
	if (nr > VU_MAX_REGIONS || m->h.size < VU_TABLE_HEAD + nr * sizeof(struct vu_region) ||
		m->nr_fds != nr)
		return err_set(&k->err, EINVAL, "a memory table of a wrong length");
	for (uint32_t i = 0; i < nr && !rc; i++) {
		struct vu_region r = m->table.region[i];

		rc = vu_memtable_add(&table, &r, m->fd[i], &why);
	}
	if (rc) {
		vu_memtable_clear(&table);
		return err_errno(&k->err, -rc, "%s", why);
	}
	vu_back_touch(k);
	vu_memtable_clear(&k->table);
	k->table = table;
	vu_memtable_show(&k->table, k->cfg.gm);
	return 0;
}

static int vu_back_get_slots(struct vu_back *k, struct vu_message *m)
{
	return vu_back_reply_u64(k, m, VU_MAX_REGIONS);
}

static int vu_back_add_slot(struct vu_back *k, struct vu_message *m)
{
	struct vu_region r = m->slot.region;
	const char *why;
	int rc;

	if (m->nr_fds != 1)
		return err_set(&k->err, EINVAL, "a memory region without its file");
	vu_back_touch(k);
	rc = vu_memtable_add(&k->table, &r, m->fd[0], &why);
	vu_memtable_show(&k->table, k->cfg.gm);
	return rc ? err_errno(&k->err, -rc, "%s", why) : 0;
}

static int vu_back_remove_slot(struct vu_back *k, struct vu_message *m)
{
	struct vu_region r = m->slot.region;
	int rc;

	vu_back_touch(k);
	rc = vu_memtable_remove(&k->table, &r);
	vu_memtable_show(&k->table, k->cfg.gm);
	return rc ? err_set(&k->err, -rc, "a memory region that is not there") : 0;
}

/** The ring that index names, or NULL with the sentence. */
static struct vu_back_ring *vu_back_ring(struct vu_back *k, uint64_t index)
{
	if (index < k->cfg.b->nr_queues)
		return &k->ring[index];
	(void)err_set(&k->err, EINVAL, "ring %llu, which the device does not have",
		(unsigned long long)index);
	return NULL;
}

static int vu_back_set_num(struct vu_back *k, struct vu_message *m)
{
	struct vu_back_ring *r = vu_back_ring(k, m->state.index);
	uint32_t num = m->state.num;

	if (!r)
		return -EINVAL;
	if (!is_power_of_2(num) || num > k->cfg.b->queue_size_max)
		return err_set(&k->err, EINVAL, "a ring of %u entries", num);
	vu_back_touch(k);
	r->size = (uint16_t)num;
	return 0;
}

static int vu_back_set_addr(struct vu_back *k, struct vu_message *m)
{
	struct vu_back_ring *r = vu_back_ring(k, m->addr.index);

	if (!r)
		return -EINVAL;
	if (m->addr.flags)
		return err_set(&k->err, EINVAL, "a log of dirty memory, which is not offered");
	vu_back_touch(k);
	r->desc = m->addr.desc;
	r->avail = m->addr.avail;
	r->used = m->addr.used;
	r->have_addr = true;
	return 0;
}

static int vu_back_set_base(struct vu_back *k, struct vu_message *m)
{
	struct vu_back_ring *r = vu_back_ring(k, m->state.index);

	if (!r)
		return -EINVAL;
	if (m->state.num > UINT16_MAX)
		return err_set(&k->err, EINVAL, "a ring's position of more than 16 bits");
	vu_back_touch(k);
	r->next = (uint16_t)m->state.num;
	return 0;
}

/** "Ring states": the ring stops; its eventfds for kicks and calls are of no use any more. */
static int vu_back_get_base(struct vu_back *k, struct vu_message *m)
{
	struct vu_back_ring *r = vu_back_ring(k, m->state.index);

	if (!r)
		return -EINVAL;
	vu_back_touch(k);
	vu_back_stop_ring(r);
	m->state.num = r->next;
	return vu_back_reply(k, m, sizeof(m->state));
}

static int vu_back_set_fd(struct vu_back *k, struct vu_message *m, size_t member)
{
	struct vu_back_ring *r = vu_back_ring(k, m->u64 & VU_RING_MASK);
	int *to, none = m->u64 & VU_RING_NO_FD ? 0 : 1;

	if (!r)
		return -EINVAL;
	if (m->u64 & ~(uint64_t)(VU_RING_MASK | VU_RING_NO_FD) || (int)m->nr_fds != none)
		return err_set(&k->err, EINVAL, "a ring's descriptor that is not there");
	/* From a pair of sockets Linux's virtio_uml takes its interrupts. */
	if (m->nr_fds &&
		!(member != offsetof(struct vu_back_ring, kick_fd) && fd_is_stream(m->fd[0])) &&
		!fd_is_event(m->fd[0]))
		return err_set(&k->err, EINVAL, "a ring's descriptor that is not an eventfd");
	vu_back_touch(k);
	to = (int *)(void *)((char *)r + member);
	fd_close(to);
	*to = vu_take_fd(m, 0);
	return 0;
}

static int vu_back_set_kick(struct vu_back *k, struct vu_message *m)
{
	if (m->u64 & VU_RING_NO_FD)
		return err_set(&k->err, EINVAL, "a ring to poll, which is not offered");
	return vu_back_set_fd(k, m, offsetof(struct vu_back_ring, kick_fd));
}

static int vu_back_set_call(struct vu_back *k, struct vu_message *m)
{
	int rc = vu_back_set_fd(k, m, offsetof(struct vu_back_ring, call_fd));

	/* What the old one was told of may be lost: a spurious interrupt harms nobody. */
	if (!rc && k->ring[m->u64 & VU_RING_MASK].call_fd >= 0)
		fd_event_signal(k->ring[m->u64 & VU_RING_MASK].call_fd);
	return rc;
}

static int vu_back_set_err(struct vu_back *k, struct vu_message *m)
{
	return vu_back_set_fd(k, m, offsetof(struct vu_back_ring, err_fd));
}

static int vu_back_get_queue_num(struct vu_back *k, struct vu_message *m)
{
	return vu_back_reply_u64(k, m, k->cfg.b->nr_queues);
}

static int vu_back_set_enable(struct vu_back *k, struct vu_message *m)
{
	struct vu_back_ring *r = vu_back_ring(k, m->state.index);

	if (!r)
		return -EINVAL;
	if (m->state.num > 1)
		return err_set(&k->err, EINVAL, "a ring enabled %u times", m->state.num);
	vu_back_touch(k);
	r->enabled = m->state.num;
	return 0;
}

static int vu_back_set_req_fd(struct vu_back *k, struct vu_message *m)
{
	if (m->nr_fds != 1)
		return err_set(&k->err, EINVAL, "a connection for requests that is not there");
	fd_close(&k->req_fd);
	k->req_fd = vu_take_fd(m, 0);
	return 0;
}

static int vu_back_get_config(struct vu_back *k, struct vu_message *m)
{
	uint32_t off = m->config.offset, size = m->config.size, have = k->cfg.b->config_len;

	if (m->h.size != VU_CONFIG_HEAD + size || !range_within(off, size, 0, VIRTIO_MAX_CONFIG))
		return err_set(&k->err, EINVAL, "a wrong part of config space");
	/* A front end may know of fields that this device does not have: they are 0. */
	memset(m->config.data, 0, sizeof(m->config.data));
	if (off < have)
		memcpy(m->config.data, k->cfg.b->config + off, MIN(size, have - off));
	return vu_back_reply(k, m, VU_CONFIG_HEAD + size);
}

static int vu_back_set_config(struct vu_back *k, struct vu_message *m)
{
	uint32_t off = m->config.offset, size = m->config.size;

	if (m->h.size != VU_CONFIG_HEAD + size || m->config.flags ||
		!range_within(off, size, 0, k->cfg.b->config_len))
		return err_set(&k->err, EINVAL, "a wrong part of config space");
	k->cfg.b->ops->config_write(k->cfg.b, off, m->config.data, size);
	return 0;
}

static void vu_back_reset(struct vu_back *k)
{
	vu_back_touch(k);
	for (unsigned i = 0; i < k->cfg.b->nr_queues; i++)
		k->ring[i].enabled = false;
	k->status = 0;
	k->broken = false;
}

static int vu_back_reset_device(struct vu_back *k, struct vu_message *m __unused)
{
	vu_back_reset(k);
	return 0;
}

static int vu_back_set_status(struct vu_back *k, struct vu_message *m)
{
	if (m->u64 > UINT8_MAX)
		return err_set(&k->err, EINVAL, "a status of more than 8 bits");
	vu_back_touch(k);
	if (!m->u64)
		k->broken = false;
	k->status = (uint8_t)m->u64 | (k->broken ? VIRTIO_CONFIG_S_NEEDS_RESET : 0);
	return 0;
}

static int vu_back_get_status(struct vu_back *k, struct vu_message *m)
{
	return vu_back_reply_u64(k, m, k->status);
}

#define VU_BACK_ANY_SIZE UINT32_MAX

/* What a front end can say: the whole surface. */
static const struct vu_back_op {
	vu_back_fn fn;
	uint32_t size;    /* of the payload, exactly; or ANY_SIZE: the handler judges it */
	uint32_t min;     /* with ANY_SIZE */
	unsigned max_fds; /* others are refused */
} vu_back_ops[VU_NR_REQUESTS] = {
	[VU_GET_FEATURES] = { vu_back_get_features, 0, 0, 0 },
	[VU_SET_FEATURES] = { vu_back_set_features, 8, 0, 0 },
	[VU_SET_OWNER] = { vu_back_nothing, 0, 0, 0 },
	[VU_RESET_OWNER] = { vu_back_nothing, 0, 0, 0 },
	[VU_SET_MEM_TABLE] = { vu_back_set_mem_table, VU_BACK_ANY_SIZE, VU_TABLE_HEAD,
		VU_MAX_REGIONS },
	[VU_SET_VRING_NUM] = { vu_back_set_num, sizeof(struct vu_vring_state), 0, 0 },
	[VU_SET_VRING_ADDR] = { vu_back_set_addr, sizeof(struct vu_vring_addr), 0, 0 },
	[VU_SET_VRING_BASE] = { vu_back_set_base, sizeof(struct vu_vring_state), 0, 0 },
	[VU_GET_VRING_BASE] = { vu_back_get_base, sizeof(struct vu_vring_state), 0, 0 },
	[VU_SET_VRING_KICK] = { vu_back_set_kick, 8, 0, 1 },
	[VU_SET_VRING_CALL] = { vu_back_set_call, 8, 0, 1 },
	[VU_SET_VRING_ERR] = { vu_back_set_err, 8, 0, 1 },
	[VU_GET_PROTOCOL_FEATURES] = { vu_back_get_protocol, 0, 0, 0 },
	[VU_SET_PROTOCOL_FEATURES] = { vu_back_set_protocol, 8, 0, 0 },
	[VU_GET_QUEUE_NUM] = { vu_back_get_queue_num, 0, 0, 0 },
	[VU_SET_VRING_ENABLE] = { vu_back_set_enable, sizeof(struct vu_vring_state), 0, 0 },
	[VU_SET_BACKEND_REQ_FD] = { vu_back_set_req_fd, 0, 0, 1 },
	[VU_GET_CONFIG] = { vu_back_get_config, VU_BACK_ANY_SIZE, VU_CONFIG_HEAD, 0 },
	[VU_SET_CONFIG] = { vu_back_set_config, VU_BACK_ANY_SIZE, VU_CONFIG_HEAD, 0 },
	[VU_RESET_DEVICE] = { vu_back_reset_device, 0, 0, 0 },
	[VU_GET_MAX_MEM_SLOTS] = { vu_back_get_slots, 0, 0, 0 },
	[VU_ADD_MEM_REG] = { vu_back_add_slot, sizeof(struct vu_mem_slot), 0, 1 },
	[VU_REM_MEM_REG] = { vu_back_remove_slot, sizeof(struct vu_mem_slot), 0, 1 },
	[VU_SET_STATUS] = { vu_back_set_status, 8, 0, 0 },
	[VU_GET_STATUS] = { vu_back_get_status, 0, 0, 0 },
};

int vu_back_handle(struct vu_back *k, struct vu_message *m)
{
	const struct vu_back_op *op = &vu_back_ops[0];
	int rc, rc_apply;

	if (m->h.request < VU_NR_REQUESTS)
		op = &vu_back_ops[m->h.request];
	if (!op->fn)
		return err_set(&k->err, ENOSYS, "a request that is not known");
	if (m->h.flags & VU_REPLY)
		return err_set(&k->err, EPROTO, "a reply that nobody asked for");
	if (op->size == VU_BACK_ANY_SIZE ? m->h.size < op->min : m->h.size != op->size)
		return err_set(&k->err, EPROTO, "a message of %u bytes", m->h.size);
	if (m->nr_fds > op->max_fds)
		return err_set(&k->err, EPROTO, "a message with descriptors that it does not have");
	rc = op->fn(k, m);
	/* Also after a failure: a device that was stopped for it goes on. */
	rc_apply = vu_back_apply(k);
	return rc < 0 ? rc : rc_apply < 0 ? rc_apply : rc;
}
