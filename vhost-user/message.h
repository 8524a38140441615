/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The messages of vhost-user, as they lie on the socket, and how they are sent and received.
 * QEMU's docs/interop/vhost-user.rst is the specification; its section names are cited. All
 * numbers are in the machine's byte order.
 */
#pragma once

#include "base/base.h"
#include "base/fdpass.h"
#include "virtio/virtio.h"

/* "Front-end message types". */
enum vu_request {
	VU_GET_FEATURES = 1,
	VU_SET_FEATURES = 2,
	VU_SET_OWNER = 3,
	VU_RESET_OWNER = 4,
	VU_SET_MEM_TABLE = 5,
	VU_SET_VRING_NUM = 8,
	VU_SET_VRING_ADDR = 9,
	VU_SET_VRING_BASE = 10,
	VU_GET_VRING_BASE = 11,
	VU_SET_VRING_KICK = 12,
	VU_SET_VRING_CALL = 13,
	VU_SET_VRING_ERR = 14,
	VU_GET_PROTOCOL_FEATURES = 15,
	VU_SET_PROTOCOL_FEATURES = 16,
	VU_GET_QUEUE_NUM = 17,
	VU_SET_VRING_ENABLE = 18,
	VU_SET_BACKEND_REQ_FD = 21,
	VU_GET_CONFIG = 24,
	VU_SET_CONFIG = 25,
	VU_RESET_DEVICE = 34,
	VU_GET_MAX_MEM_SLOTS = 36,
	VU_ADD_MEM_REG = 37,
	VU_REM_MEM_REG = 38,
	VU_SET_STATUS = 39,
	VU_GET_STATUS = 40,
	VU_NR_REQUESTS
};

/* "Back-end message types". */
enum vu_backend_request { VU_BACKEND_CONFIG_CHANGE = 2 };

/* A bit of the device features that says that there are protocol features. */
#define VU_F_PROTOCOL_FEATURES 30

/* "Protocol features". */
enum vu_protocol_feature {
	VU_PROTOCOL_F_MQ = 0,
	VU_PROTOCOL_F_REPLY_ACK = 3,
	VU_PROTOCOL_F_BACKEND_REQ = 5,
	VU_PROTOCOL_F_CONFIG = 9,
	VU_PROTOCOL_F_RESET_DEVICE = 13,
	VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS = 15,
	VU_PROTOCOL_F_STATUS = 16,
};

/* "Header". */
#define VU_VERSION      1u
#define VU_VERSION_MASK 3u
#define VU_REPLY        4u
#define VU_NEED_REPLY   8u

#define VU_MAX_REGIONS 8     /* of a memory table */
#define VU_RING_MASK   0xffu /* of the u64 of SET_VRING_KICK, _CALL and _ERR */
#define VU_RING_NO_FD  0x100u

struct vu_header {
	uint32_t request, flags;
	uint32_t size; /* bytes of payload */
} __attribute__((packed));

struct vu_vring_state {
	uint32_t index, num;
} __attribute__((packed));

/** Addresses are the sender's: a region's uaddr plus an offset into it. */
struct vu_vring_addr {
	uint32_t index, flags;
	uint64_t desc, used, avail, log;
} __attribute__((packed));

struct vu_region {
	uint64_t gpa, len, uaddr;
	uint64_t offset; /* in the file of the descriptor that comes along */
} __attribute__((packed));

struct vu_mem_table {
	uint32_t nr, padding;
	struct vu_region region[VU_MAX_REGIONS];
} __attribute__((packed));

struct vu_mem_slot {
	uint64_t padding;
	struct vu_region region;
} __attribute__((packed));

struct vu_config {
	uint32_t offset, size, flags;
	uint8_t data[VIRTIO_MAX_CONFIG];
} __attribute__((packed));

#define VU_CONFIG_HEAD offsetof(struct vu_config, data)
#define VU_TABLE_HEAD  offsetof(struct vu_mem_table, region)

/** One message: the bytes first, in one piece. */
struct vu_message {
	struct vu_header h;
	union {
		uint64_t u64;
		struct vu_vring_state state;
		struct vu_vring_addr addr;
		struct vu_mem_table table;
		struct vu_mem_slot slot;
		struct vu_config config;
		uint8_t payload[280];
	} __attribute__((packed));
	int fd[FDPASS_MAX]; /* owned by a receiver, borrowed by a sender */
	unsigned nr_fds;
} __attribute__((packed, aligned(8)));

/** A message on its way in; zeroed storage is an empty one. */
struct vu_inbox {
	struct vu_message m;
	size_t have; /* bytes of it */
};

/**
 * Receives on, without waiting. Returns 1 when in->m is whole (its descriptors are the
 * caller's then; vu_inbox_clear before the next), 0 when more is to come, or -errno with *why a
 * constant sentence: -EPIPE at the end of the stream, -EPROTO for a version, a size or a number
 * of descriptors that no message has. Only the form is judged, not what the message says.
 */
int __must_check vu_receive(int sock, struct vu_inbox *in, const char **why);

/** Makes it empty; closes descriptors that nobody took. */
void vu_inbox_clear(struct vu_inbox *in);

/** Takes descriptor i of the message, or -1 when it is not there. */
int vu_take_fd(struct vu_message *m, unsigned i);

/** Sends m, of which only request, size, payload and descriptors count. Returns 0 or -errno. */
int __must_check vu_send(int sock, struct vu_message *m, uint32_t flags, int timeout_ms);
/**
 * As vu_send for nr messages, at most FDPASS_BATCH, each with its flags in h.flags. A message
 * without descriptors is sent together with the one before it: who reads is woken once for both.
 */
int __must_check vu_send_all(int sock, struct vu_message *m, unsigned nr, int timeout_ms);
