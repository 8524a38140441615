/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MMIO and port dispatch, and what a device is given to reach the outside: an interrupt
 * line and doorbells. Also what firmware tables must say of each device, as data.
 *
 * A bus is filled before the machine starts and then only read: bus_read and bus_write
 * run on any vCPU thread, several at once.
 */
#pragma once

#include "base/base.h"

#define BUS_MAX_RANGES 320

struct bus_ops {
	/*
	 * off is the offset in the range, len 1, 2, 4 or 8, off + len inside the range.
	 * read fills len bytes (they hold all ones before the call).
	 * Called on vCPU threads.
	 */
	void (*read)(void *ctx, uint64_t off, void *data, unsigned len);
	void (*write)(void *ctx, uint64_t off, const void *data, unsigned len);
};

struct bus_range {
	uint64_t base, len;
	const struct bus_ops *ops;
	void *ctx;
};

struct bus {
	struct bus_range range[BUS_MAX_RANGES]; /* set before start, ascending, disjoint */
	unsigned nr_ranges;
};

/** Returns 0, -EEXIST when it overlaps, -EINVAL when empty or wrapping, -ENOSPC. */
int __must_check bus_add(
	struct bus *b, uint64_t base, uint64_t len, const struct bus_ops *ops, void *ctx);

/**
 * One access by a vCPU. An access that no range holds whole, or of a length that is not
 * 1, 2, 4 or 8, reads as all ones and writes nowhere; the return value says so (false).
 */
bool bus_read(const struct bus *b, uint64_t addr, void *data, unsigned len);
bool bus_write(const struct bus *b, uint64_t addr, const void *data, unsigned len);

/** An edge-triggered interrupt line: an eventfd that the hypervisor turns into an interrupt. */
struct irq_line {
	int fd;       /* owned by the machine; write 1 to pulse the line. Any thread */
	uint32_t gsi; /* what firmware tables call it */
};

/**
 * Binds eventfds to guest writes, so that they fire without an exit to the monitor.
 * Given to transports by the machine builder.
 */
struct doorbell {
	/*
	 * A 4-byte write of value to gpa signals fd, from then on. Before start.
	 * Returns 0 or -errno (the write then arrives at bus_write, which must do the same).
	 */
	int (*bind)(void *ctx, gpa_t gpa, uint32_t value, int fd);
	void *ctx;
};

enum dev_kind {
	DEV_UART,
	DEV_VIRTIO_MMIO,
	DEV_PVPANIC,
	DEV_SLEEP, /* ACPI sleep and reset registers */
	DEV_I8042, /* the keyboard controller's reset line, and nothing else of it */
	DEV_RTC_PL031,
	DEV_RTC_GOLDFISH,
	DEV_KIND_NR,
};

/** What the firmware description says of one device. */
struct dev_desc {
	enum dev_kind kind;
	bool is_port;       /* base is an x86 I/O port, not an MMIO address */
	uint64_t base, len; /* register window */
	uint32_t gsi;       /* interrupt, meaningless when !has_irq */
	bool has_irq;
	unsigned index; /* n-th of its kind, in command-line order */
};
