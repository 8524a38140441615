// SPDX-License-Identifier: BSD-3-Clause
/*
 * The block device: takes requests from the queues, judges them, hands them to the image and
 * returns their status.
 *
 * Invariants:
 * 1. A chain is popped only when a slot is free; others wait in the ring. Slots are made at
 *    the start, so no request allocates.
 * 2. Header and segments are copied once and only the copies are judged. Data stays where the
 *    guest put it: it may change at any time and nothing here depends on it.
 * 3. A request that is wrong gets a status; the queue goes on. Only a chain without a byte for
 *    the status breaks the device, because there is nothing to say it with.
 * 4. Every segment of a request is judged before the first one is carried out.
 * 5. The used length counts bytes that were written, without a gap, from the first writable
 *    byte on: a driver may take everything before it for data.
 * 6. A notify takes at most one queue's size of chains, so a guest cannot hold the loop.
 * 7. After stop no request is in flight, so no guest memory is touched.
 *
 * Where descriptors end says nothing: header, data and status are byte ranges (2.7.4).
 *
 * Thread: the device's loop. VIRTIO 1.2, section 5.2.
 */
#include "virtio/blk.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>

#include "virtio/queue.h"

#define VIRTIO_BLK_QUEUE_SIZE 256
#define VIRTIO_BLK_CONFIG_LEN (offsetof(struct virtio_blk_config, unused1) + 3)
#define VIRTIO_BLK_SECTOR     512
/* A chain holds the queue's size of descriptors; header and status take two. */
#define VIRTIO_BLK_SEG_MAX (VIRTIO_BLK_QUEUE_SIZE - 2)

/*
 * What one request can cost. Zeroes may have to be written as data where the host's file
 * system cannot do better, hence the smaller number.
 */
#define VIRTIO_BLK_MAX_SEGS     16
#define VIRTIO_BLK_MAX_DISCARD  (uint32_t)(GIB / VIRTIO_BLK_SECTOR)
#define VIRTIO_BLK_MAX_ZEROES   (uint32_t)(64 * MIB / VIRTIO_BLK_SECTOR)
#define VIRTIO_BLK_ZEROES_SEGS  1
#define VIRTIO_BLK_STILL_ACTIVE (-1)

struct blk_slot {
	struct block_req req;
	struct virtio_blk *blk;
	unsigned queue;
	struct vq_chain chain; /* without header and status once those are taken */
	uint8_t *status;       /* in guest memory */
	uint32_t nr_data_in;   /* writable bytes before the status */
	bool sync_after;       /* the guest has no flush: written means stable */
	unsigned next_seg, nr_segs;
	struct virtio_blk_discard_write_zeroes seg[VIRTIO_BLK_MAX_SEGS];
	struct iovec iov[VQ_IOV_MAX(VIRTIO_BLK_QUEUE_SIZE)];
};

struct virtio_blk {
	struct virtio_device d;
	struct block *image; /* owned */
	char serial[VIRTIO_BLK_ID_BYTES];

	/* loop thread */
	struct blk_slot *slots; /* owned; a slot that was never used costs no memory */
	uint16_t *free;         /* owned; stack of slots, the last used on top */
	unsigned nr_free;
	uint32_t stalled;  /* bit per queue: chains may wait for a slot */
	uint32_t to_raise; /* bit per queue: chains were pushed */
	bool stopping;
	uint64_t nr_taken; /* chains, ever */
};

static struct virtio_blk *blk_of(struct virtio_device *d)
{
	return container_of(d, struct virtio_blk, d);
}

/* ---- the end of a request ---- */

/** Returns the chain with written bytes of data before the status, and the slot. */
static void blk_finish(struct blk_slot *s, uint8_t status, uint64_t written)
{
	struct virtio_blk *blk = s->blk;
	const struct vq_chain *c = &s->chain;
	static const uint8_t zero;

	*s->status = status;
	/*
	 * Data that ends early leaves a gap before the status. The byte that the used length
	 * counts for the status is then the one that follows the data: make it ours.
	 */
	if (written < s->nr_data_in)
		iov_write(c->iov + c->nr_out, c->nr_in, written, &zero, 1);
	vq_push(&blk->d.vq[s->queue], c->head, (uint32_t)written + 1);
	blk->to_raise |= (uint32_t)BIT(s->queue);
	blk->free[blk->nr_free++] = (uint16_t)(s - blk->slots);
}

static void blk_submit(struct blk_slot *s, enum block_op op)
{
	s->req.op = op;
	block_submit(s->blk->image, &s->req);
}

/** Submits the next segment that has a length. False when there is none. */
static bool blk_submit_segment(struct blk_slot *s)
{
	while (s->next_seg < s->nr_segs) {
		const struct virtio_blk_discard_write_zeroes *seg = &s->seg[s->next_seg++];

		if (!seg->num_sectors)
			continue;
		s->req.off = seg->sector * VIRTIO_BLK_SECTOR;
		s->req.len = (uint64_t)seg->num_sectors * VIRTIO_BLK_SECTOR;
		s->req.unmap = seg->flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
		blk_submit(s, s->req.op);
		return true;
	}
	return false;
}

static void blk_req_done(struct block_req *r, int res)
{
	struct blk_slot *s = container_of(r, struct blk_slot, req);

	if (!res && blk_submit_segment(s))
		return;
	if (!res && s->sync_after) {
		s->sync_after = false;
		blk_submit(s, BLOCK_FLUSH);
		return;
	}
	blk_finish(s, res ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK,
		r->op == BLOCK_READ ? r->progress : 0);
}

/* ---- the start of a request: each returns a status, or STILL_ACTIVE ---- */

/** True when [sector, sector+len) is a range of the image that it can be asked for. */
static bool blk_in_range(const struct virtio_blk *blk, uint64_t sector, uint64_t len)
{
	uint64_t size = block_size(blk->image), mask = block_granule(blk->image) - 1;
	uint64_t off = sector * VIRTIO_BLK_SECTOR;

	if (sector > size / VIRTIO_BLK_SECTOR || len > size - off)
		return false;
	return !(len & mask) && !(off & mask);
}

static int blk_start_transfer(
	struct blk_slot *s, const struct virtio_blk_outhdr *h, uint64_t nr_data_out)
{
	bool write = h->type == VIRTIO_BLK_T_OUT;
	uint64_t len = write ? nr_data_out : s->nr_data_in;
	const struct vq_chain *c = &s->chain;

	if (write && block_readonly(s->blk->image))
		return VIRTIO_BLK_S_IOERR;
	if ((write ? s->nr_data_in : nr_data_out) || !blk_in_range(s->blk, h->sector, len))
		return VIRTIO_BLK_S_IOERR;
	if (!len)
		return VIRTIO_BLK_S_OK;
	s->req.iov = write ? c->iov : c->iov + c->nr_out;
	s->req.nr_iov = write ? c->nr_out : c->nr_in;
	s->req.off = h->sector * VIRTIO_BLK_SECTOR;
	s->req.len = len;
	s->sync_after = write && !virtio_has(&s->blk->d, VIRTIO_BLK_F_FLUSH);
	blk_submit(s, write ? BLOCK_WRITE : BLOCK_READ);
	return VIRTIO_BLK_STILL_ACTIVE;
}

static int blk_start_flush(struct blk_slot *s, uint64_t nr_data_out)
{
	if (s->nr_data_in || nr_data_out)
		return VIRTIO_BLK_S_IOERR;
	if (block_readonly(s->blk->image))
		return VIRTIO_BLK_S_OK;
	blk_submit(s, BLOCK_FLUSH);
	return VIRTIO_BLK_STILL_ACTIVE;
}

/** Section 5.2.6.2, on discard and write-zeroes. */
static int blk_judge_segment(const struct virtio_blk *blk, uint32_t type,
	const struct virtio_blk_discard_write_zeroes *seg)
{
	bool discard = type == VIRTIO_BLK_T_DISCARD;
	uint32_t max = discard ? VIRTIO_BLK_MAX_DISCARD : VIRTIO_BLK_MAX_ZEROES;

	if (seg->flags & ~(discard ? 0U : VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP))
		return VIRTIO_BLK_S_UNSUPP;
	if (seg->num_sectors > max)
		return VIRTIO_BLK_S_IOERR;
	if (!blk_in_range(blk, seg->sector, (uint64_t)seg->num_sectors * VIRTIO_BLK_SECTOR))
		return VIRTIO_BLK_S_IOERR;
	return VIRTIO_BLK_S_OK;
}

static int blk_start_segments(struct blk_slot *s, uint32_t type, uint64_t nr_data_out)
{
	bool discard = type == VIRTIO_BLK_T_DISCARD;
	unsigned max = discard ? VIRTIO_BLK_MAX_SEGS : VIRTIO_BLK_ZEROES_SEGS;
	struct virtio_device *d = &s->blk->d;

	if (block_readonly(s->blk->image))
		return VIRTIO_BLK_S_IOERR;
	if (!virtio_has(d, discard ? VIRTIO_BLK_F_DISCARD : VIRTIO_BLK_F_WRITE_ZEROES))
		return VIRTIO_BLK_S_UNSUPP;
	if (s->nr_data_in || !nr_data_out || nr_data_out % sizeof(s->seg[0]) ||
		nr_data_out / sizeof(s->seg[0]) > max)
		return VIRTIO_BLK_S_IOERR;
	iov_read(s->chain.iov, s->chain.nr_out, 0, s->seg, nr_data_out);
	s->nr_segs = (unsigned)(nr_data_out / sizeof(s->seg[0]));
	for (unsigned i = 0; i < s->nr_segs; i++) {
		int status = blk_judge_segment(s->blk, type, &s->seg[i]);

		if (status != VIRTIO_BLK_S_OK)
			return status;
	}
	s->sync_after = !discard && !virtio_has(d, VIRTIO_BLK_F_FLUSH);
	s->req.op = discard ? BLOCK_DISCARD : BLOCK_WRITE_ZEROES;
	return blk_submit_segment(s) ? VIRTIO_BLK_STILL_ACTIVE : VIRTIO_BLK_S_OK;
}

static int blk_get_id(struct blk_slot *s, uint64_t nr_data_out, uint64_t *ret_written)
{
	const struct vq_chain *c = &s->chain;

	if (nr_data_out)
		return VIRTIO_BLK_S_IOERR;
	*ret_written =
		iov_write(c->iov + c->nr_out, c->nr_in, 0, s->blk->serial, sizeof(s->blk->serial));
	return VIRTIO_BLK_S_OK;
}

/** Takes the header's bytes off the readable part. */
static void blk_strip_header(struct vq_chain *c)
{
	size_t left = sizeof(struct virtio_blk_outhdr);

	for (; left && left >= c->iov->iov_len; c->iov++, c->nr_out--)
		left -= c->iov->iov_len;
	if (left) {
		c->iov->iov_base = (uint8_t *)c->iov->iov_base + left;
		c->iov->iov_len -= left;
	}
}

/** Takes the last byte off the writable part. Returns where it is. */
static uint8_t *blk_strip_status(struct vq_chain *c)
{
	struct iovec *last = &c->iov[c->nr_out + c->nr_in - 1];

	if (!--last->iov_len)
		c->nr_in--;
	return (uint8_t *)last->iov_base + last->iov_len;
}

/** Starts the request of a chain that has a byte for the status. */
static void blk_start_request(struct blk_slot *s)
{
	struct vq_chain *c = &s->chain;
	struct virtio_blk_outhdr h;
	uint64_t nr_data_out, written = 0;
	int status;

	s->req.done = blk_req_done;
	s->sync_after = false;
	s->next_seg = s->nr_segs = 0;
	s->nr_data_in = (uint32_t)(c->in_len - 1);
	s->status = blk_strip_status(c);
	if (iov_read(c->iov, c->nr_out, 0, &h, sizeof(h)) < sizeof(h)) {
		blk_finish(s, VIRTIO_BLK_S_IOERR, 0);
		return;
	}
	blk_strip_header(c);
	nr_data_out = c->out_len - sizeof(h);
	switch (h.type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		status = blk_start_transfer(s, &h, nr_data_out);
		break;
	case VIRTIO_BLK_T_FLUSH:
		status = blk_start_flush(s, nr_data_out);
		break;
	case VIRTIO_BLK_T_GET_ID:
		status = blk_get_id(s, nr_data_out, &written);
		break;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		status = blk_start_segments(s, h.type, nr_data_out);
		break;
	default:
		status = VIRTIO_BLK_S_UNSUPP;
		break;
	}
	if (status != VIRTIO_BLK_STILL_ACTIVE)
		blk_finish(s, (uint8_t)status, written);
}

/* ---- the queues ---- */

/**
 * Takes one chain of queue qi. Returns 1, 0 when there is none, -EBUSY when there is no slot,
 * or -EPROTO with the device broken.
 */
static int blk_take(struct virtio_blk *blk, unsigned qi)
{
	struct blk_slot *s;
	const char *why;
	int rc;

	if (!blk->nr_free)
		return -EBUSY;
	s = &blk->slots[blk->free[blk->nr_free - 1]];
	rc = vq_pop(&blk->d.vq[qi], s->iov, ARRAY_SIZE(s->iov), &s->chain, &why);
	if (!rc)
		return 0;
	if (rc > 0 && !s->chain.in_len) {
		why = "a request without room for its status";
		rc = -EPROTO;
	}
	if (rc < 0) {
		virtio_broken(&blk->d, "queue %u: %s", qi, why);
		return rc;
	}
	blk->nr_free--;
	blk->nr_taken++;
	s->blk = blk;
	s->queue = qi;
	blk_start_request(s);
	return 1;
}

/** Takes what is there, as far as slots and invariant 6 go. */
static void blk_serve_queue(struct virtio_blk *blk, unsigned qi)
{
	struct vq *q = &blk->d.vq[qi];
	unsigned budget = q->size, looks = 0;
	int rc;

	blk->stalled &= ~(uint32_t)BIT(qi);
	vq_disable_kick(q);
	do {
		while ((rc = blk_take(blk, qi)) > 0) {
			if (!--budget) {
				virtio_renotify(&blk->d, qi);
				return;
			}
		}
		/* Kicks stay off: blk_batch_done comes back when a slot is free. */
		if (rc == -EBUSY)
			blk->stalled |= (uint32_t)BIT(qi);
		/* A guest that flips avail.idx back and forth must not keep the loop here. */
	} while (!rc && vq_enable_kick(q) && ++looks < VQ_MAX_LOOKS);
	if (looks == VQ_MAX_LOOKS)
		virtio_renotify(&blk->d, qi);
}

/** Tells the guest what was pushed, once per queue and batch. */
static void blk_raise(struct virtio_blk *blk)
{
	for (unsigned i = 0; blk->to_raise; i++) {
		if (blk->to_raise & BIT(i))
			virtio_raise(&blk->d, i);
		blk->to_raise &= ~(uint32_t)BIT(i);
	}
}

static void blk_batch_done(void *ctx)
{
	struct virtio_blk *blk = ctx;

	if (blk->stopping)
		return;
	blk_raise(blk);
	for (unsigned i = 0; i < blk->d.nr_queues && blk->stalled && blk->nr_free; i++)
		if (blk->stalled & BIT(i)) {
			blk->stalled &= ~(uint32_t)BIT(i);
			virtio_renotify(&blk->d, i);
		}
}

static void blk_notify(struct virtio_device *d, unsigned qi)
{
	struct virtio_blk *blk = blk_of(d);

	blk_serve_queue(blk, qi);
	block_flush_queue(blk->image);
	blk_raise(blk);
}

static int blk_start(struct virtio_device *d)
{
	blk_of(d)->stopping = false;
	return 0;
}

static void blk_stop(struct virtio_device *d)
{
	struct virtio_blk *blk = blk_of(d);

	blk->stopping = true;
	block_quiesce(blk->image);
	blk->stalled = 0;
	blk->to_raise = 0;
}

/** Serves until the queues are empty. The vCPUs have stopped, so this ends; it is bounded too. */
static void blk_drain(struct virtio_device *d)
{
	struct virtio_blk *blk = blk_of(d);
	unsigned rounds = d->nr_queues * VIRTIO_BLK_QUEUE_SIZE + 1;
	uint64_t before;

	do {
		before = blk->nr_taken;
		for (unsigned i = 0; i < d->nr_queues; i++)
			if (d->vq[i].gm)
				blk_serve_queue(blk, i);
		block_quiesce(blk->image);
		blk_raise(blk);
	} while (blk->nr_taken != before && --rounds);
}

static void blk_destroy(struct virtio_device *d)
{
	struct virtio_blk *blk = blk_of(d);

	block_close(blk->image);
	free(blk->slots);
	free(blk->free);
	free(blk);
}

const struct virtio_class virtio_blk_class = {
	.name = "block",
	.device_id = VIRTIO_ID_BLOCK,
	.queue_size_max = VIRTIO_BLK_QUEUE_SIZE,
	.config_len = VIRTIO_BLK_CONFIG_LEN,
	.start = blk_start,
	.stop = blk_stop,
	.notify = blk_notify,
	.drain = blk_drain,
	.destroy = blk_destroy,
};

/* ---- making one ---- */

static uint64_t blk_features(const struct virtio_blk *blk)
{
	uint64_t f = BIT(VIRTIO_BLK_F_SEG_MAX) | BIT(VIRTIO_BLK_F_BLK_SIZE) |
		BIT(VIRTIO_BLK_F_FLUSH);

	if (blk->d.nr_queues > 1)
		f |= BIT(VIRTIO_BLK_F_MQ);
	if (block_can_discard(blk->image))
		f |= BIT(VIRTIO_BLK_F_DISCARD);
	return f |
		(block_readonly(blk->image) ? BIT(VIRTIO_BLK_F_RO)
					    : BIT(VIRTIO_BLK_F_WRITE_ZEROES));
}

/** Section 5.2.4. Fields of features that are not offered stay zero. */
static void blk_fill_config(struct virtio_blk *blk)
{
	uint32_t block = block_logical_size(blk->image);
	struct virtio_blk_config c = {
		.capacity = block_size(blk->image) / VIRTIO_BLK_SECTOR,
		.seg_max = VIRTIO_BLK_SEG_MAX,
		.blk_size = block,
	};

	if (blk->d.features_offered & BIT(VIRTIO_BLK_F_MQ))
		c.num_queues = (uint16_t)blk->d.nr_queues;
	if (blk->d.features_offered & BIT(VIRTIO_BLK_F_DISCARD)) {
		c.max_discard_sectors = VIRTIO_BLK_MAX_DISCARD;
		c.max_discard_seg = VIRTIO_BLK_MAX_SEGS;
		/* Smaller holes than the host's pages and blocks give nothing back. */
		c.discard_sector_alignment = MAX(block, 4096u) / VIRTIO_BLK_SECTOR;
	}
	if (blk->d.features_offered & BIT(VIRTIO_BLK_F_WRITE_ZEROES)) {
		c.max_write_zeroes_sectors = VIRTIO_BLK_MAX_ZEROES;
		c.max_write_zeroes_seg = VIRTIO_BLK_ZEROES_SEGS;
		c.write_zeroes_may_unmap = block_can_discard(blk->image);
	}
	blk->d.config_len = virtio_blk_class.config_len;
	memcpy(blk->d.config, &c, blk->d.config_len);
}

static int blk_prepare(
	struct virtio_blk *blk, const struct virtio_blk_options *opt, struct err *err)
{
	unsigned depth = block_depth(blk->image);
	size_t len = opt->serial ? strlen(opt->serial) : 0;
	int rc;

	if (len > sizeof(blk->serial))
		return err_set(err, EINVAL, "--block: id: \"%s\" is longer than %zu bytes",
			opt->serial, sizeof(blk->serial));
	memcpy(blk->serial, opt->serial ? opt->serial : "", len);
	blk->slots = calloc(depth, sizeof(*blk->slots));
	blk->free = calloc(depth, sizeof(*blk->free));
	if (!blk->slots || !blk->free)
		return err_errno(err, ENOMEM, "%s", virtio_blk_class.name);
	for (unsigned i = depth; i--;)
		blk->free[blk->nr_free++] = (uint16_t)i;
	rc = block_attach(blk->image, blk->d.loop, blk_batch_done, blk);
	if (rc)
		return err_errno(err, -rc, "%s", virtio_blk_class.name);
	blk->d.features_offered = blk_features(blk);
	blk_fill_config(blk);
	return 0;
}

int virtio_blk_create(struct block *image, const struct virtio_blk_options *opt,
	const struct guest_memory *gm, struct loop *loop, struct virtio_backend **ret,
	struct err *err)
{
	struct virtio_blk *blk = calloc(1, sizeof(*blk));
	int rc;

	BUG_ON(!opt->nr_queues || opt->nr_queues > VIRTIO_BLK_MAX_QUEUES);
	if (!blk) {
		block_close(image);
		return err_errno(err, ENOMEM, "%s", virtio_blk_class.name);
	}
	blk->image = image;
	blk->d.cls = &virtio_blk_class;
	blk->d.gm = gm;
	blk->d.loop = loop;
	blk->d.nr_queues = opt->nr_queues;
	rc = blk_prepare(blk, opt, err);
	if (rc) {
		blk_destroy(&blk->d);
		return rc;
	}
	return virtio_local_create(&blk->d, ret, err);
}
