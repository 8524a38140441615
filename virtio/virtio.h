/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device contract: what a device model is (struct virtio_class), what it knows (guest
 * memory, its queues, its config space, virtio_raise) and what a transport sees of it
 * (struct virtio_backend, the seam that a device process will stand behind).
 *
 * A model cannot name mmio, pci, KVM, an interrupt number or another device.
 *
 * Threads: everything a class does happens on the device's loop. The transport calls the
 * backend from vCPU threads; the backend takes the calls to the loop.
 *
 * Virtual I/O Device (VIRTIO) Version 1.2, sections 2 and 3.
 */
#pragma once

#include "base/base.h"
#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "memory/memory.h"

#define VIRTIO_MAX_QUEUES 64
#define VIRTIO_MAX_CONFIG 256 /* bytes of device config space */

/* What every device here offers, beside its own bits (section 6). */
#define VIRTIO_COMMON_FEATURES                                                                     \
	(BIT(32) /* VERSION_1 */ | BIT(28) /* INDIRECT_DESC */ | BIT(29) /* EVENT_IDX */)

struct vq;
struct virtio_device;

/** A device model, as constants. One object per kind, registered in vmm/devices.c. */
struct virtio_class {
	const char *name;        /* "block": log prefix, process title */
	uint32_t device_id;      /* section 5 */
	uint16_t queue_size_max; /* power of two */
	unsigned config_len;     /* of every device of the class: for who is not in its process */

	/*
	 * The guest's driver is ready: queues are live, d->features is agreed.
	 * Returns 0 or -errno (the device then needs a reset).
	 */
	int (*start)(struct virtio_device *d);
	/*
	 * The guest resets, or the machine ends: in-flight work is finished or cancelled, and
	 * after the return no guest memory is touched. Also called after a failed start.
	 */
	void (*stop)(struct virtio_device *d);
	/*
	 * The guest made buffers available on queue q, which is ready. Also called once after
	 * start for each ready queue, and now and then for nothing.
	 */
	void (*notify)(struct virtio_device *d, unsigned q);
	/*
	 * The guest wrote len bytes at off of config space (in bounds). NULL: config is
	 * read-only and writes are dropped. May change d->config.
	 */
	void (*config_write)(struct virtio_device *d, unsigned off, const void *data, unsigned len);
	/*
	 * Waits for output that the guest already handed over to reach its file. May be NULL.
	 * May come while stopped: then for output that stop left on its way.
	 */
	void (*drain)(struct virtio_device *d);
	/* Frees the model. The device is stopped. */
	void (*destroy)(struct virtio_device *d);
};

/** The part of every model that the core knows; models embed it and use container_of. */
struct virtio_device {
	const struct virtio_class *cls;    /* set before start */
	const struct guest_memory *gm;     /* set before start */
	struct loop *loop;                 /* set before start; where the device lives */
	uint64_t features_offered;         /* set before start, without VIRTIO_COMMON_FEATURES */
	uint64_t features;                 /* agreed; loop thread, valid while started */
	unsigned nr_queues;                /* set before start */
	uint8_t config[VIRTIO_MAX_CONFIG]; /* loop thread; the transport holds a copy */
	unsigned config_len;               /* set before start */
	struct vq *vq;                     /* owned; nr_queues of them, valid while started */
	struct virtio_local *local;        /* who runs it (virtio/local.c) */
	struct ratelimit rl;               /* loop thread */
};

/** True when the agreed features have the bit. Loop thread, while started. */
static inline bool virtio_has(const struct virtio_device *d, unsigned bit)
{
	return d->features & BIT(bit);
}

/**
 * Tells the guest that used buffers wait on queue q, unless it asked not to be told
 * (EVENT_IDX or NO_INTERRUPT). Loop thread, once per batch.
 */
void virtio_raise(struct virtio_device *d, unsigned q);

/**
 * Leaves the rest of queue q for later: notify(d, q) comes again, after the loop has served
 * its other watches. For a notify that bounds its work (at most size chains per call), so that
 * one guest's queue cannot hold the loop. Loop thread, while started.
 */
void virtio_renotify(struct virtio_device *d, unsigned q);

/**
 * A notify's whole work where one chain is served before the next is taken: one(d, q, &len) takes
 * a chain and returns 1 with the bytes it moved, 0 when there was none, or -errno. At most a
 * queue's size of chains, and none after max bytes; the rest is left for later. Loop thread.
 */
void virtio_serve(struct virtio_device *d, unsigned q, uint64_t max,
	int (*one)(struct virtio_device *d, unsigned q, uint64_t *ret_len));

/** d->config changed: gives the guest a new generation and a config interrupt. Loop thread. */
void virtio_config_changed(struct virtio_device *d);

/**
 * The guest broke the rules: sets DEVICE_NEEDS_RESET, prints one rate-limited line and
 * ignores the queues until a reset. Loop thread.
 */
void virtio_broken(struct virtio_device *d, const char *fmt, ...) __printf(2, 3);

/* ---- the seam: what a transport needs of whoever runs a device ---- */

/** One queue as the guest set it up. */
struct virtio_ring {
	bool ready; /* QueueReady was 1 at DRIVER_OK */
	uint16_t size;
	gpa_t desc, avail, used;
	int kick_fd; /* borrowed eventfd: the guest notified this queue */
	int call_fd; /* borrowed eventfd: pulse the guest's interrupt line */
	/*
	 * Where the device goes on: the avail and used index of its next chain. 0, but for
	 * rings that another device served before (position below).
	 */
	uint16_t next;
};

/* A queue of a device whose guest is to be told of. */
struct virtio_queue_name {
	const char *device;
	unsigned queue;
	uint16_t size_max;
	struct ratelimit *rl;
};

/** As vq_init, of what the guest wrote; what is wrong there is said in a line. */
int __must_check vq_init_ring(struct vq *q, const struct guest_memory *gm, uint64_t features,
	const struct virtio_ring *r, const struct virtio_queue_name *of);

/** How a backend reaches back. Called on the device's loop; must not block on the transport. */
struct virtio_events {
	void (*config_changed)(void *ctx, const void *config, unsigned len);
	void (*needs_reset)(void *ctx);
	void *ctx;
};

struct virtio_backend;

/** Called by the transport, on vCPU threads, one at a time per device. */
struct virtio_backend_ops {
	/* DRIVER_OK. Returns 0 or -errno: the transport then sets NEEDS_RESET. */
	int (*start)(struct virtio_backend *b, uint64_t features, const struct virtio_ring *rings);
	/* Reset. On return no guest memory is touched and no fd of the rings is used. */
	void (*stop)(struct virtio_backend *b);
	/*
	 * After stop: the index of queue q's first chain that was not returned, to start the same
	 * ring with again. NULL where nobody can say. The model has let go of all chains, in order.
	 */
	uint16_t (*position)(struct virtio_backend *b, unsigned q);
	void (*config_write)(
		struct virtio_backend *b, unsigned off, const void *data, unsigned len);
	/* Machine end, after the vCPUs stopped: output the guest handed over is complete. */
	void (*drain)(struct virtio_backend *b);
	void (*destroy)(struct virtio_backend *b);
};

/** What a transport drives. Fields are constant after creation. */
struct virtio_backend {
	const struct virtio_backend_ops *ops;
	struct virtio_events events; /* set by the transport before start */
	const char *name;            /* "block" */
	uint32_t device_id;
	uint64_t features; /* all that is offered, transport-independent bits included */
	unsigned nr_queues;
	uint16_t queue_size_max;
	uint8_t config[VIRTIO_MAX_CONFIG]; /* initial contents */
	unsigned config_len;
};

/**
 * Runs d inside this process on its loop. Takes d over (also on failure).
 * d must be filled: cls, gm, loop, features_offered, nr_queues, config, config_len.
 */
int __must_check virtio_local_create(
	struct virtio_device *d, struct virtio_backend **ret, struct err *err);
