/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The front end of vhost-user: a device in another process as a struct virtio_backend, so that a
 * transport drives it as it drives one in this process. Kicks and calls are the transport's
 * eventfds, handed on: no request passes through here.
 *
 * Everything that the other process says is hostile. Each wait for it has a bound; when it
 * breaks the protocol, hangs up or is silent, the device is dead: `failed` says so once, every
 * later call returns at once, and start fails.
 *
 * QEMU's docs/interop/vhost-user.rst. Threads: the backend's operations as virtio.h says;
 * events come on the loop.
 */
#pragma once

#include <stdatomic.h>

#include "base/err.h"
#include "base/loop.h"
#include "memory/memory.h"
#include "virtio/virtio.h"

/** What the protocol does not tell of a device. */
struct vu_front_config {
	const char *name; /* "block"; outlives the device */
	uint32_t device_id;
	uint16_t queue_size_max;
	unsigned nr_queues;  /* where the other process does not say */
	unsigned config_len; /* bytes of config space to ask for */
	const void *config;  /* config_len bytes, where the other process has none; else NULL */

	const struct guest_memory *gm; /* borrowed; regions with files (gm_region.fd) */
	struct loop *loop;             /* borrowed */
	int sock;                      /* owned: connected unix stream socket */
	int drain_ms;                  /* how long the end may take, or -1: as long as it wants */
	const atomic_bool *hurry;      /* borrowed: set when the machine ends; may be NULL */
	/*
	 * The device is dead, for this reason. Any of the threads that call the backend, or the
	 * loop's. Not after drain or destroy.
	 */
	void (*failed)(void *ctx, const struct err *err);
	void *ctx;
};

/**
 * Talks to the other process until all that does not depend on the guest is settled. Takes sock
 * over, also on failure. The loop does not run yet, or this is its thread. `failed` is not
 * called from inside. Returns 0, or -errno with err.
 */
int __must_check vu_front_create(
	const struct vu_front_config *cfg, struct virtio_backend **ret, struct err *err);
