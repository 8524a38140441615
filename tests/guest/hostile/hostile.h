/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program that runs in a guest and drives virtio-mmio devices against the rules.
 *
 * It has its own driver: registers through /dev/mem, rings and buffers in one huge page, whose
 * place in the guest's memory the kernel tells. No driver of the kernel may be bound.
 *
 * struct kind is what it knows of one kind of device: a new device is a row in kinds.c. A case is
 * one attack. It starts from a device in any state, and main.c prints the verdict. After every few
 * cases it resets the device, makes one good request on it and one on another device that was not
 * attacked.
 *
 * A function that returns const char * returns NULL when all is well, otherwise what is wrong.
 */
#pragma once

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>

#include "base/base.h"

#define HOSTILE_MAX_DEVS   8
#define HOSTILE_MAX_QUEUES 4 /* that it drives; a device may have more */
#define HOSTILE_MAX_SIZE   256
#define HOSTILE_PAGE       4096

/* How long a device may take for what it must do; emulated hosts are slow. */
#define HOSTILE_WAIT_MS 20000
/* How long one may be watched for what it must not do. */
#define HOSTILE_LOOK_MS 3

#define HOSTILE_CID 7 /* the guest's, as the tests have it */

/* A place where no RAM is on any of the machines, and no device. */
#define HOSTILE_NOWHERE (1ULL << 51)

/** Memory that the device reaches, too. */
struct span {
	uint8_t *p;
	uint64_t gpa;
	uint32_t len;
};

struct ring {
	uint32_t max; /* entries that the device can have; 0: not asked yet */
	uint16_t size;
	uint64_t desc_gpa, avail_gpa, used_gpa; /* as the device is told */
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	struct span table; /* for indirect descriptors, as many as desc has */
	uint16_t posted;   /* avail->idx as we wrote it */
	uint16_t seen;     /* used entries that were taken */
};

struct dev {
	const struct kind *kind;
	char name[24];
	unsigned number;
	uint64_t base;
	volatile uint8_t *page;
	uint64_t features; /* agreed */
	bool far;          /* an address beyond 4 GiB was told since the reset */
	struct ring ring[HOSTILE_MAX_QUEUES];
	struct span good; /* buffers of good requests */
	unsigned nr_good; /* good requests made */
};

/** What a queue's chains are made of. */
enum queue_way { WAY_IN, WAY_OUT, WAY_REQUEST };

struct hostile_case {
	const char *name;
	const char *(*run)(struct dev *d, unsigned q, unsigned variant);
	const char *const *variants; /* NULL: one, without a name */
	bool each_queue;             /* once for each queue of the kind, otherwise for queue 0 */
	bool unaligned; /* only where the processor has unaligned accesses to registers */
};

struct kind {
	uint32_t id;
	const char *name;
	unsigned nr_queues;
	unsigned first; /* queues before it wait for what the device has to say, and are not
	                   attacked */
	/*
	 * Only cases of chains, races and its own: what is of all devices, registers and rings, is
	 * one code, which is attacked through others.
	 */
	bool brief;
	enum queue_way way[HOSTILE_MAX_QUEUES];
	/* One good request, or one of each sort; the device is started. */
	const char *(*good)(struct dev *d);
	/* Puts a good chain into desc, its buffers into s. Returns the number of descriptors. */
	unsigned (*chain)(struct dev *d, unsigned q, struct vring_desc *desc, const struct span *s);
	const struct hostile_case *cases; /* of its own; ends with an empty name */
};

extern const struct kind hostile_kinds[]; /* ends with an empty name */
extern struct dev hostile_dev[HOSTILE_MAX_DEVS];
extern unsigned hostile_nr_devs;
extern struct span hostile_buf; /* what attacks may use */
extern uint64_t hostile_ram_end;

/* Ends with an empty name each. */
extern const struct hostile_case ring_cases[], chain_cases[], transport_cases[], register_cases[],
	race_cases[], blk_cases[], console_cases[], rng_cases[], fs_cases[], p9_cases[],
	vsock_cases[];

/* ---- memory.c ---- */

/** Finds devices and memory. Ends the program with a line where the guest has not what it needs. */
void memory_open(void);
/** Another device than d, or d where it is the only one. */
struct dev *memory_other(const struct dev *d);

/* ---- driver.c ---- */

uint32_t reg_get(const struct dev *d, unsigned off);
void reg_set(const struct dev *d, unsigned off, uint32_t v);
/** Any width (1, 2, 4, 8) at any offset. */
uint64_t reg_get_width(const struct dev *d, unsigned off, unsigned width);
void reg_set_width(const struct dev *d, unsigned off, unsigned width, uint64_t v);

uint64_t now_ms(void);
void wait_a_moment(void);
/** A small generator of numbers, the same ones in each run. */
uint32_t next_random(void);

const char *dev_reset(struct dev *d);
/** Reset to FEATURES_OK with what is offered and in mask; rings are empty and in their places. */
const char *dev_begin(struct dev *d, uint64_t mask);
/** Tells the device of queue q and sets QueueReady. */
void dev_queue(struct dev *d, unsigned q);
void dev_address(struct dev *d, unsigned off, uint64_t gpa);
void dev_driver_ok(struct dev *d);
/** All of it, for all queues. */
const char *dev_start(struct dev *d);
const char *dev_start_masked(struct dev *d, uint64_t mask);
void dev_kick(const struct dev *d, unsigned q);

bool dev_broken(const struct dev *d);
/** Waits for DEVICE_NEEDS_RESET and the interrupt that tells of it. */
const char *want_broken(const struct dev *d);
/** Watches for a short while that DEVICE_NEEDS_RESET is not set. */
const char *want_unbroken(const struct dev *d);
/** Waits until all posted chains of queue q were returned. */
const char *want_returned(struct dev *d, unsigned q);

void desc_set(struct vring_desc *desc, uint64_t gpa, uint32_t len, uint16_t flags, uint16_t next);
void ring_post(struct ring *r, uint16_t head);
void ring_post_and_kick(struct dev *d, unsigned q, uint16_t head);
/** Takes the next used entry of queue q; its bytes written go to *ret_len, its head is returned. */
const char *ring_take(struct dev *d, unsigned q, uint32_t *ret_head, uint32_t *ret_len);
/** The flag of a descriptor of the queue's natural direction. */
uint16_t way_flag(const struct dev *d, unsigned q);
struct span span_part(const struct span *s, uint32_t off, uint32_t len);

/* ---- request.c ---- */

/** Variants of request_unanswerable. */
extern const char *const request_unanswerables[];
/** A request without a whole header, without room for the shortest answer, or without a request. */
const char *request_unanswerable(
	struct dev *d, unsigned q, unsigned variant, uint32_t header, uint32_t answer);
/**
 * Requests that make() puts at p, and returns the bytes of: each is returned, with at least
 * `answer` bytes, or where that is allowed with none.
 */
const char *request_anything(
	struct dev *d, unsigned q, uint32_t (*make)(uint8_t *p), uint32_t answer, bool or_none);

/* ---- case_register.c ---- */

/** Writes something somewhere into the registers. */
void register_write_nonsense(struct dev *d);
