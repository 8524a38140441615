/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside the back end: what back.c (the connection, running the device) and requests.c (what a
 * front end can say) share.
 */
#pragma once

#include "vhost-user/back.h"
#include "vhost-user/memtable.h"
#include "vhost-user/message.h"

#define VU_BACK_SEND_MS 5000
#define VU_BACK_BATCH   32 /* messages in one turn of the loop */

#define VU_BACK_PROTOCOL                                                                           \
	(BIT(VU_PROTOCOL_F_MQ) | BIT(VU_PROTOCOL_F_REPLY_ACK) | BIT(VU_PROTOCOL_F_BACKEND_REQ) |   \
		BIT(VU_PROTOCOL_F_CONFIG) | BIT(VU_PROTOCOL_F_RESET_DEVICE) |                      \
		BIT(VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS) | BIT(VU_PROTOCOL_F_STATUS))

struct vu_back_ring {
	uint16_t size, next;
	bool have_addr, enabled;
	uint64_t desc, avail, used;   /* user addresses */
	int kick_fd, call_fd, err_fd; /* owned, -1: none */
};

struct vu_back {
	struct vu_back_config cfg; /* b and sock owned */
	struct watch watch;
	struct vu_inbox in;
	struct vu_memtable table;
	struct vu_back_ring *ring; /* owned; b->nr_queues of them */
	int req_fd;                /* owned; for our own requests, -1: none */
	int null_fd;               /* owned eventfd: stands for a call that was not given */
	uint64_t features, protocol;
	bool have_features;
	uint8_t status;
	bool running, broken, changed, ended;
	struct err err;
};

static inline bool vu_back_has(const struct vu_back *k, enum vu_protocol_feature f)
{
	return k->protocol & BIT(f);
}

/* back.c */

/** Before anything of the rings, the features or memory changes: the device stops. */
void vu_back_touch(struct vu_back *k);
/** Starts the device with what is wanted now. Returns 0 or -errno with k->err. */
int __must_check vu_back_apply(struct vu_back *k);
void vu_back_stop_ring(struct vu_back_ring *r);

/* requests.c */

/** Sends m back with size bytes of payload. Returns 1, or -errno with k->err. */
int __must_check vu_back_reply(struct vu_back *k, struct vu_message *m, size_t size);
/**
 * Judges a message and does what it says. Returns 0, 1 when it has replied itself, or -errno
 * with k->err.
 */
int __must_check vu_back_handle(struct vu_back *k, struct vu_message *m);
