/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One 16550A: its registers (uart.c), its output buffer and its chardev (uart_io.c).
 * PC16550D data sheet (National Semiconductor); register names are the data sheet's.
 *
 * Invariants:
 * 1. The line is an edge. For each cause that is pending and may interrupt, the line was
 *    pulsed after the cause arose, and again after each guest access that may have been a
 *    handler's last look while the cause was there. So a handler that looks once, or at one
 *    cause only, or gives up after so many rounds, is called again and none is lost. Such
 *    an access is a read of IIR, and for guests that do not read IIR any access that
 *    acknowledges something: RBR, LSR, MSR, THR.
 * 2. The line is gated by OUT2, as on a PC. The driver of Linux tests the transmitter's
 *    interrupt with OUT2 low; another vCPU that took the interrupt in the midst of it would
 *    make the test fail and the driver poll with a timer.
 * 3. Input enters the receive FIFO only while RTS is up, as from a peer that honours it,
 *    and a guest looks for it (a read of LSR, or RDI enabled). A driver that resets its FIFOs
 *    first and raises RTS afterwards, as that of Linux does, loses nothing that waits.
 *    MCR is born with DTR, RTS and OUT2 up, as firmware leaves it.
 * 4. While out_len > 0 the loop has been told (and then flushes, or waits for its chardev), or
 *    `late` runs and will tell it. Bytes go out by lines, because waking the loop for each
 *    costs more than the byte; an eventfd is signalled only after the lock is free, or the
 *    loop would wake into it.
 * 5. THRE reads as set only with room for a FIFO of 16, so a driver that fills a FIFO per
 *    interrupt does not wait inside.
 *
 * Register accesses: vCPU threads, under `lock`. The chardev: loop thread, never under
 * `lock`, as its filter may end the machine.
 */
#pragma once

#include <pthread.h>

#include "base/base.h"
#include "base/chardev.h"
#include "base/loop.h"
#include "bus/bus.h"

#define UART_FIFO 16
/* Input read from the host and not yet in the FIFO: one loop turn for so many bytes. */
#define UART_IN_SIZE 256
/* Output: what a slow reader may lag behind before the guest waits. */
#define UART_OUT_SIZE 16384
/* Room beyond, for the one byte of each vCPU that waited when uart_release let it go. */
#define UART_OUT_RESERVE 512
/* The loop is woken for a line, for so many bytes, or for what is older than so long. */
#define UART_OUT_BATCH   1024
#define UART_OUT_LATE_NS 2000000

struct uart {
	struct loop *loop;
	struct chardev *chardev;     /* owned, may be NULL; loop thread */
	const struct irq_line *line; /* borrowed */
	int wake_fd;                 /* owned; vCPU threads -> loop */
	struct watch wake;
	int late_fd; /* owned; timer: a line that does not end goes out, too */
	struct watch late;

	pthread_mutex_t lock;
	pthread_cond_t room; /* out_len went down, or released */

	/* All below is guarded by lock. */
	uint8_t ier, fcr, lcr, mcr, scr, dll, dlm;
	uint8_t msr; /* state bits and deltas */
	bool overrun;
	bool thr_pending; /* the transmitter went empty and IIR has not said so yet */
	uint8_t raised;   /* causes (IER bits) for which the line was pulsed and which last */
	bool reads_iir;   /* since it last enabled an interrupt, so invariant 1 counts on it */
	bool released;
	bool kick;  /* wake_fd is to be signalled when the lock is free */
	bool told;  /* the loop knows of output */
	bool armed; /* late_fd runs */

	uint8_t fifo[UART_FIFO];
	unsigned fifo_head, fifo_len;

	uint8_t in[UART_IN_SIZE]; /* in[in_head .. in_head + in_len) */
	unsigned in_head, in_len;
	bool in_paused; /* the loop reads on when told that in is empty */

	unsigned out_head, out_len;
	/* Last, and starting over when empty, so that a calm guest touches its first page only. */
	uint8_t out[UART_OUT_SIZE + UART_OUT_RESERVE];
};

/* ---- uart.c; with the lock held ---- */

/** Room for a FIFO of output. */
bool uart_thr_empty(const struct uart *u);
/** The modem's lines as MSR shows them. */
uint8_t uart_modem(const struct uart *u);
/**
 * After each change: pulses for causes that are new, and for old ones when the access was
 * one after which a handler may look no more (invariant 1).
 */
void uart_update(struct uart *u, bool last_look);
/** The end of each access: what the loop must hear of is said without the lock. */
void uart_unlock(struct uart *u);
