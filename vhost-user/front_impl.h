/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside the front end: what front.c (the backend's operations) and front_io.c (requests and
 * replies) share.
 */
#pragma once

#include <pthread.h>

#include "vhost-user/front.h"
#include "vhost-user/message.h"

#define VU_FRONT_WAIT_MS  10000 /* for an answer */
#define VU_FRONT_STOP_MS  60000 /* for requests that are with the host's disk */
#define VU_FRONT_HURRY_MS 1000  /* for either, while the machine ends */
#define VU_FRONT_SLICE_MS 50

struct vu_front {
	struct virtio_backend b;
	struct vu_front_config cfg; /* sock owned */
	uint64_t protocol;          /* agreed */
	int req_fd;                 /* owned: requests of the other process, -1: none */
	int err_fd;                 /* owned eventfd: a ring is broken */
	struct watch hangup, req, broken;
	struct vu_inbox req_in; /* loop thread */
	struct ratelimit rl;    /* the transport's calls, one at a time */

	pthread_mutex_t lock;
	struct vu_inbox in; /* guarded by lock */
	bool have_memory;   /* guarded by lock */
	struct vu_message
		out[FDPASS_BATCH]; /* guarded by lock: not sent yet; descriptors borrowed */
	unsigned nr_out;
	uint64_t started;  /* guarded by lock: bit per ring that runs */
	uint64_t told_err; /* guarded by lock: bit per ring that has err_fd */

	/* Words: not every architecture exchanges bytes without a library. */
	atomic_uint dead;
	atomic_uint ending; /* failed is not called any more */
};

static inline bool vu_front_has(const struct vu_front *f, enum vu_protocol_feature bit)
{
	return f->protocol & BIT(bit);
}

/* front_io.c: one request and its reply. With lock held, or while creating; all return 0 or
 * -errno with err: the connection is of no use then. */

/**
 * Sends m, soon: with what follows, at the next vu_front_flush or vu_front_reply. Its descriptors
 * stay open until then.
 */
int __must_check vu_front_post(
	struct vu_front *f, const struct vu_message *m, uint32_t flags, struct err *err);
/** Sends what was posted, and waits for nothing. */
int __must_check vu_front_flush(struct vu_front *f, struct err *err);
/** As vu_front_post, for a request whose payload is one number. */
int __must_check vu_front_set(struct vu_front *f, uint32_t request, uint64_t v, struct err *err);
/** Waits for the reply to a request: of that size exactly, and without descriptors. */
int __must_check vu_front_reply(struct vu_front *f, uint32_t request, size_t size, int timeout_ms,
	struct vu_message *ret, struct err *err);
/** Asks for a number. */
int __must_check vu_front_get(struct vu_front *f, uint32_t request, uint64_t *ret, struct err *err);
/**
 * Sends m and waits until it is done. *refused says that the other process is well and said no.
 * Without REPLY_ACK, a request that has a reply serves to wait.
 */
int __must_check vu_front_finish(
	struct vu_front *f, struct vu_message *m, int timeout_ms, bool *refused, struct err *err);
/** Asks for config space, cfg.config_len bytes; and waits for the answer. */
int __must_check vu_front_ask_config(struct vu_front *f, struct err *err);
int __must_check vu_front_answer_config(struct vu_front *f, void *buf, struct err *err);
