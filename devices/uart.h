/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A 16550A UART (National Semiconductor PC16550D data sheet): eight registers, a 16-byte
 * receive FIFO, loopback, and a modem that is always ready.
 *
 * Register accesses run on vCPU threads under the uart's lock; bytes to and from the file
 * move on the loop thread. Between them is a bounded buffer: when the reader is slow and it
 * is full, a guest that writes regardless waits, so no byte is lost and memory is bounded.
 */
#pragma once

#include "base/base.h"
#include "base/chardev.h"
#include "base/err.h"
#include "base/loop.h"
#include "bus/bus.h"

#define UART_LEN 8 /* registers, one byte each */

struct uart;

/** The bus operations; ctx is the struct uart. */
extern const struct bus_ops uart_bus_ops;

/** Takes chardev over (also on failure); NULL is a sink without input. line is borrowed. */
int __must_check uart_create(struct loop *loop, struct chardev *chardev,
	const struct irq_line *line, struct uart **ret, struct err *err);
/** Bytes as if the guest had transmitted them, in order with those it did. vCPU threads. */
void uart_put(struct uart *u, const void *buf, size_t len);
/** All output the guest wrote reaches its file. After the vCPUs stopped. */
void uart_drain(struct uart *u);
/** Lets vCPU threads that wait for room in the output buffer go, for the machine's end. */
void uart_release(struct uart *u);
/** NULL is fine. */
void uart_destroy(struct uart *u);
