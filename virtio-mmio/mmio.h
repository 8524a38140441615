/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The virtio-mmio transport as a register page (VIRTIO 1.2, section 4.2).
 *
 * A device's registers are one 4 KiB page kept in the state the guest must read: a read is
 * a copy from the page, and where the hypervisor maps the page read-only into the guest
 * reads do not exit at all. Writes come through the bus, on vCPU threads, and change the
 * page under the device's lock.
 *
 * InterruptStatus bit 0 reads as 1 whenever the device may have used a buffer, that is from
 * DRIVER_OK until reset: a spurious used-buffer bit is harmless to a conforming driver. The
 * plain ACK (a write of 1) therefore changes nothing and is bound to an eventfd nobody
 * reads; an ACK with bit 1 clears the configuration-change bit and exits.
 */
#pragma once

#include "base/base.h"
#include "base/err.h"
#include "bus/bus.h"
#include "virtio/virtio.h"

#define VIRTIO_MMIO_PAGE 4096

struct virtio_mmio; /* one device behind the transport */

/** Where registers are kept. */
struct mmio_page {
	uint8_t *bytes; /* VIRTIO_MMIO_PAGE of them, page aligned, zeroed */
	/*
	 * Makes len bytes at p, just written, visible to a guest that reads them as device
	 * memory. NULL: they are.
	 */
	void (*clean)(const void *p, size_t len);
};

/**
 * Puts backend b (taken over, also on failure) behind page (its bytes are borrowed, and
 * possibly mapped into the guest read-only) at guest address base,
 * raising line (borrowed). Creates one kick eventfd per queue and binds the doorbells: each
 * QueueNotify value, and InterruptACK of 1 to ack_fd (borrowed). db NULL, or a bind that
 * fails, leaves that write to the bus, with the same effect. Registers with bus at base.
 */
int __must_check virtio_mmio_create(struct virtio_backend *b, const struct mmio_page *page,
	gpa_t base, const struct irq_line *line, const struct doorbell *db, int ack_fd,
	struct bus *bus, struct virtio_mmio **ret, struct err *err);

/** The machine ends: stops the device. After the vCPUs stopped; the caller's thread. */
void virtio_mmio_stop(struct virtio_mmio *m);
/** Output that the guest handed over reaches its file. Before virtio_mmio_stop. */
void virtio_mmio_drain(struct virtio_mmio *m);
/** NULL is fine. Destroys the backend too. */
void virtio_mmio_destroy(struct virtio_mmio *m);
