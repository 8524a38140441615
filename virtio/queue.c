// SPDX-License-Identifier: BSD-3-Clause
/*
 * Split virtqueues, the device's side. Owns the walk from an avail ring entry to iovecs.
 *
 * Invariants:
 * 1. The three parts were checked by vq_init against one RAM region each; indices into them
 *    are masked by size or compared with it, so every access stays inside them.
 * 2. A shared word is loaded once. A descriptor is copied whole to the stack and only the
 *    copy is judged and used: a vCPU that rewrites it meanwhile changes nothing.
 * 3. next_avail and next_used are ours. used.idx and avail_event are written, never read.
 * 4. A walk takes at most size descriptors, however the guest links them.
 * 5. Bit h of busy is set exactly while chain h is in flight; in_flight counts the bits.
 *
 * Parts that overlap each other, or buffers that overlap them, are not looked for. By 1 to 3
 * the worst that such a guest reaches is to read our used entries as its descriptors, which
 * are then judged like any others.
 *
 * Thread: the loop of the queue's device.
 * Virtual I/O Device (VIRTIO) Version 1.2, section 2.7.
 */
#include "virtio/queue.h"

#include <errno.h>
#include <linux/virtio_ring.h>

#include "virtio/virtio.h"

/* Section 2.7: bytes of the parts, event words included, and where their fields are. */
#define VQ_AVAIL_BYTES(size) (6 + 2 * (uint64_t)(size))
#define VQ_USED_BYTES(size)  (6 + 8 * (uint64_t)(size))
#define VQ_DESC_BYTES        sizeof(struct vring_desc)

static const uint8_t *vq_avail_idx(const struct vq *q)
{
	return q->avail + offsetof(struct vring_avail, idx);
}

/** The guest's word: interrupt me when you go past this used index. */
static const uint8_t *vq_used_event(const struct vq *q)
{
	return q->avail + 4 + 2 * (size_t)q->size;
}

/** Our word: notify me when you go past this avail index. */
static uint8_t *vq_avail_event(const struct vq *q)
{
	return q->used + 4 + 8 * (size_t)q->size;
}

static bool vq_is_busy(const struct vq *q, uint16_t head)
{
	return q->busy[head / 64] & BIT(head % 64);
}

int vq_init(struct vq *q, const struct guest_memory *gm, uint64_t features, uint16_t size,
	uint16_t size_max, gpa_t desc, gpa_t avail, gpa_t used, const char **why)
{
	*q = (struct vq){ 0 };
	*why = "the size is 0, not a power of two, or too large";
	if (!is_power_of_2(size) || size > size_max || size > VQ_MAX_SIZE)
		return -EINVAL;
	*why = "a part is not aligned";
	if (desc % VRING_DESC_ALIGN_SIZE || avail % VRING_AVAIL_ALIGN_SIZE ||
		used % VRING_USED_ALIGN_SIZE)
		return -EINVAL;
	*why = "a part is not in RAM";
	q->desc = gm_slice(gm, desc, VQ_DESC_BYTES * size);
	q->avail = gm_slice(gm, avail, VQ_AVAIL_BYTES(size));
	q->used = gm_slice(gm, used, VQ_USED_BYTES(size));
	if (!q->desc || !q->avail || !q->used)
		return -EINVAL;
	q->size = size;
	q->event_idx = features & BIT(VIRTIO_RING_F_EVENT_IDX);
	q->indirect = features & BIT(VIRTIO_RING_F_INDIRECT_DESC);
	q->gm = gm;
	return 0;
}

int vq_init_ring(struct vq *q, const struct guest_memory *gm, uint64_t features,
	const struct virtio_ring *r, const struct virtio_queue_name *of)
{
	const char *why = "it is not ready";
	int rc = -EINVAL;

	if (r->ready)
		rc = vq_init(
			q, gm, features, r->size, of->size_max, r->desc, r->avail, r->used, &why);
	if (rc && ratelimit_ok(of->rl))
		log_warn("%s: the guest set up queue %u wrongly: %s", of->device, of->queue, why);
	return rc;
}

void vq_resume(struct vq *q, uint16_t next)
{
	q->next_avail = q->next_used = q->last_raise = next;
}

/** A chain being collected, and the descriptor table it is in. */
struct vq_walk {
	const uint8_t *table;
	unsigned nr;   /* entries of table */
	unsigned left; /* descriptors the chain may still have */
	bool in_table; /* table is an indirect one */
	unsigned max;  /* room in chain->iov */
	const char *why;
	struct vq_chain *chain;
};

static int vq_refuse(struct vq_walk *w, const char *why)
{
	w->why = why;
	return -EPROTO;
}

/** Copies entry i (below nr) of the table. */
static struct vring_desc vq_copy_desc(const uint8_t *table, unsigned i)
{
	struct vring_desc d;

	/* An indirect table has no alignment, hence the copy by bytes. */
	memcpy(&d, table + VQ_DESC_BYTES * i, sizeof(d));
	/* Keeps the compiler from fetching a field again later: the copy is what we judge. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return d;
}

/** Section 2.7.5.3: the rest of the chain is in a table that d points at. */
static int vq_enter_table(const struct vq *q, struct vq_walk *w, const struct vring_desc *d)
{
	if (!q->indirect)
		return vq_refuse(w, "an indirect table that was not negotiated");
	if (w->in_table)
		return vq_refuse(w, "an indirect table inside an indirect table");
	if (d->flags & VRING_DESC_F_NEXT)
		return vq_refuse(w, "an indirect table that is not the end of its chain");
	if (!d->len || d->len % VQ_DESC_BYTES)
		return vq_refuse(w, "an indirect table of a bad length");
	/* Also what bounds the walk's memory: 2.7.5.3.1, no chain longer than the queue. */
	if (d->len / VQ_DESC_BYTES > q->size)
		return vq_refuse(w, "an indirect table longer than the queue");
	w->table = gm_slice(q->gm, d->addr, d->len);
	if (!w->table)
		return vq_refuse(w, "an indirect table that is not in RAM");
	w->nr = (unsigned)(d->len / VQ_DESC_BYTES);
	w->in_table = true;
	w->left++; /* the pointer to the table is not a buffer of the chain */
	return 0;
}

/** Adds the buffer d to the chain. */
static int vq_add_buffer(const struct vq *q, struct vq_walk *w, const struct vring_desc *d)
{
	struct vq_chain *c = w->chain;
	bool in = d->flags & VRING_DESC_F_WRITE;
	uint64_t *sum = in ? &c->in_len : &c->out_len;
	unsigned used = c->nr_out + c->nr_in;
	int n;

	if (!d->len)
		return vq_refuse(w, "a descriptor of length 0");
	if (!in && c->nr_in)
		return vq_refuse(w, "a readable descriptor after a writable one");
	if (d->len > UINT32_MAX - *sum)
		return vq_refuse(w, "a chain of 4 GiB or more");
	n = gm_iovec(q->gm, d->addr, d->len, c->iov + used, w->max - used);
	if (n == -E2BIG)
		return vq_refuse(w, "a chain with more buffers than the device takes");
	if (n < 0)
		return vq_refuse(w, "a buffer that is not in RAM");
	*(in ? &c->nr_in : &c->nr_out) += (unsigned)n;
	*sum += d->len;
	return 0;
}

/** Follows the chain from head to its end. */
static int vq_walk_chain(const struct vq *q, struct vq_walk *w, unsigned head)
{
	unsigned i = head;

	for (;;) {
		struct vring_desc d;
		int rc;

		if (i >= w->nr)
			return vq_refuse(w, "a descriptor index out of range");
		if (!w->left)
			return vq_refuse(w, "a chain that loops or is longer than the queue");
		w->left--;
		d = vq_copy_desc(w->table, i);
		if (d.flags & VRING_DESC_F_INDIRECT) {
			rc = vq_enter_table(q, w, &d);
			i = 0;
		} else {
			rc = vq_add_buffer(q, w, &d);
			if (!rc && !(d.flags & VRING_DESC_F_NEXT))
				return 0;
			i = d.next;
		}
		if (rc)
			return rc;
	}
}

/** Judges the avail ring's next entry and collects its chain. */
static int vq_take(struct vq *q, struct vq_walk *w)
{
	/* Acquire: the entry and the descriptors were written before the index. */
	uint16_t nr_new = (uint16_t)(gm_load16_acquire(vq_avail_idx(q)) - q->next_avail);
	uint16_t head;
	int rc;

	if (!nr_new)
		return 0;
	if (nr_new > q->size)
		return vq_refuse(w, "an avail index that jumps by more than the queue's size");
	head = gm_load16(q->avail + 4 + 2 * (size_t)(q->next_avail & (q->size - 1)));
	if (head >= q->size)
		return vq_refuse(w, "a chain head out of range");
	if (vq_is_busy(q, head))
		return vq_refuse(w, "a chain head that is in flight already");
	rc = vq_walk_chain(q, w, head);
	if (rc)
		return rc;
	w->chain->head = head;
	return 1;
}

int vq_pop(struct vq *q, struct iovec *iov, unsigned max, struct vq_chain *ret, const char **why)
{
	struct vq_chain chain = { .iov = iov };
	struct vq_walk w = {
		.table = q->desc, .nr = q->size, .left = q->size, .max = max, .chain = &chain
	};
	int rc;

	if (!q->gm || q->broken)
		return 0;
	rc = vq_take(q, &w);
	if (rc < 0) {
		q->broken = true;
		*why = w.why;
	}
	if (rc <= 0)
		return rc;
	q->next_avail++;
	q->in_flight++;
	q->last_head = chain.head;
	q->busy[chain.head / 64] |= BIT(chain.head % 64);
	*ret = chain;
	return 1;
}

/** The end of a chain's flight. */
static void vq_land(struct vq *q, uint16_t head)
{
	BUG_ON(!q->gm || head >= q->size || !vq_is_busy(q, head));
	q->busy[head / 64] &= ~BIT(head % 64);
	q->in_flight--;
}

void vq_unpop(struct vq *q)
{
	vq_land(q, q->last_head);
	q->next_avail--;
}

void vq_push(struct vq *q, uint16_t head, uint32_t written)
{
	uint8_t *elem;

	vq_land(q, head);
	if (q->broken)
		return;
	elem = q->used + 4 + 8 * (size_t)(q->next_used & (q->size - 1));
	le32_put(elem + offsetof(struct vring_used_elem, id), head);
	le32_put(elem + offsetof(struct vring_used_elem, len), written);
	q->next_used++;
	/* Release: the buffers and the entry are there before the index says so. */
	gm_store16_release(q->used + offsetof(struct vring_used, idx), q->next_used);
	/* The window of vq_should_raise must not wrap to empty: 65535 is as wide as it gets. */
	if (q->next_used == q->last_raise)
		q->last_raise++;
}

bool vq_should_raise(struct vq *q)
{
	uint16_t old = q->last_raise;

	/* Also a queue that is not set up: it has pushed nothing. */
	if (old == q->next_used)
		return false;
	q->last_raise = q->next_used;
	/*
	 * Our used.idx must be visible before we read the guest's wish: the guest writes its
	 * wish and then reads used.idx, so that one of the two sees the other.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!q->event_idx)
		return !(gm_load16(q->avail) & VRING_AVAIL_F_NO_INTERRUPT);
	return vring_need_event(gm_load16(vq_used_event(q)), q->next_used, old);
}

bool vq_enable_kick(struct vq *q)
{
	/* A broken queue gives no chains: claiming some would keep the caller's loop going. */
	if (!q->gm || q->broken)
		return false;
	if (q->event_idx)
		gm_store16(vq_avail_event(q), q->next_avail);
	else
		gm_store16(q->used, 0);
	/* The same handshake as in vq_should_raise, with the roles changed. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return gm_load16(vq_avail_idx(q)) != q->next_avail;
}

void vq_disable_kick(struct vq *q)
{
	/* With EVENT_IDX the event word is behind us already and asks for nothing. */
	if (q->gm && !q->event_idx)
		gm_store16(q->used, VRING_USED_F_NO_NOTIFY);
}
