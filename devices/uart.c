// SPDX-License-Identifier: BSD-3-Clause
/*
 * The guest's side of a 16550A: register accesses on vCPU threads, under the lock.
 */
#include "devices/uart.h"

#include <sys/timerfd.h>

#include "base/fd.h"
#include "devices/uart_impl.h"
#include "devices/uart_regs.h"

/* ---- what the registers say; with the lock held ---- */

static unsigned uart_fifo_size(const struct uart *u)
{
	return u->fcr & FCR_ENABLE ? UART_FIFO : 1;
}

static unsigned uart_trigger(const struct uart *u)
{
	static const uint8_t level[] = { 1, 4, 8, 14 };

	return u->fcr & FCR_ENABLE ? level[FCR_TRIGGER(u->fcr)] : 1;
}

bool uart_thr_empty(const struct uart *u)
{
	return (u->mcr & MCR_LOOP) || u->out_len <= UART_OUT_SIZE - UART_FIFO;
}

/** What waits for the guest and is enabled, as IER bits. */
static uint8_t uart_causes(const struct uart *u)
{
	uint8_t v = 0;

	if (u->overrun)
		v |= IER_RLSI;
	if (u->fifo_len)
		v |= IER_RDI;
	if (u->thr_pending)
		v |= IER_THRI;
	if (u->msr & ~MSR_STATE_MASK)
		v |= IER_MSI;
	return v & u->ier;
}

static uint8_t uart_iir(const struct uart *u)
{
	uint8_t fifos = u->fcr & FCR_ENABLE ? IIR_FIFOS_ON : 0;
	uint8_t causes = uart_causes(u);

	if (causes & IER_RLSI)
		return IIR_RLSI | fifos;
	if (causes & IER_RDI)
		return (u->fifo_len >= uart_trigger(u) ? IIR_RDI : IIR_TIMEOUT) | fifos;
	if (causes & IER_THRI)
		return IIR_THRI | fifos;
	if (causes & IER_MSI)
		return IIR_MSI | fifos;
	return IIR_NONE | fifos;
}

/** The modem's lines: ours are always up, in loopback they are the guest's own. */
uint8_t uart_modem(const struct uart *u)
{
	if (!(u->mcr & MCR_LOOP))
		return MSR_CTS | MSR_DSR | MSR_DCD;
	return (uint8_t)((u->mcr & MCR_RTS ? MSR_CTS : 0) | (u->mcr & MCR_DTR ? MSR_DSR : 0) |
		(u->mcr & MCR_OUT1 ? MSR_RI : 0) | (u->mcr & MCR_OUT2 ? MSR_DCD : 0));
}

/* ---- movements; with the lock held ---- */

static void uart_fifo_push(struct uart *u, uint8_t v)
{
	u->fifo[(u->fifo_head + u->fifo_len) % UART_FIFO] = v;
	u->fifo_len++;
}

/** Input that waits enters the FIFO, as far as invariant 3 lets it. */
static void uart_receive(struct uart *u)
{
	if (!(u->mcr & MCR_RTS) || (u->mcr & MCR_LOOP))
		return;
	while (u->in_len && u->fifo_len < uart_fifo_size(u)) {
		uart_fifo_push(u, u->in[u->in_head++]);
		u->in_len--;
	}
	if (!u->in_len && u->in_paused) {
		u->in_paused = false;
		u->kick = true;
	}
}

void uart_update(struct uart *u, bool last_look)
{
	uint8_t causes;

	if (u->ier & IER_RDI)
		uart_receive(u);
	causes = u->mcr & MCR_OUT2 ? uart_causes(u) : 0;
	if ((causes & ~u->raised) || (causes && last_look))
		fd_event_signal(u->line->fd);
	u->raised = causes;
}

/** One byte to the output buffer; a vCPU thread waits here for a slow reader. */
static void uart_transmit(struct uart *u, uint8_t v)
{
	static const struct itimerspec late = { .it_value.tv_nsec = UART_OUT_LATE_NS };

	if (!u->chardev)
		return;
	while (u->out_len >= UART_OUT_SIZE && !u->released)
		pthread_cond_wait(&u->room, &u->lock);
	if (u->out_len == sizeof(u->out))
		return; /* released, and the guest writes on: the machine has ended */
	u->out[(u->out_head + u->out_len) % sizeof(u->out)] = v;
	u->out_len++;
	if (u->told)
		return;
	if (v == '\n' || u->out_len >= UART_OUT_BATCH) {
		u->told = u->kick = true;
	} else if (!u->armed) {
		u->armed = true;
		BUG_ON(timerfd_settime(u->late_fd, 0, &late, NULL));
	}
}

void uart_put(struct uart *u, const void *buf, size_t len)
{
	const uint8_t *p = buf;

	pthread_mutex_lock(&u->lock);
	for (size_t i = 0; i < len; i++) {
		uart_transmit(u, p[i]);
		/* A reader that makes room must have been told that there is something to read. */
		if (u->out_len >= UART_OUT_SIZE && u->kick) {
			u->kick = false;
			fd_event_signal(u->wake_fd);
		}
	}
	uart_unlock(u);
}

/* ---- registers; with the lock held ---- */

static uint8_t uart_read_rbr(struct uart *u)
{
	uint8_t v = 0;

	if (u->fifo_len) {
		v = u->fifo[u->fifo_head];
		u->fifo_head = (u->fifo_head + 1) % UART_FIFO;
		u->fifo_len--;
	}
	uart_update(u, !u->reads_iir);
	return v;
}

static uint8_t uart_read_iir(struct uart *u)
{
	uint8_t v = uart_iir(u);

	if ((v & ~IIR_FIFOS_ON) == IIR_THRI)
		u->thr_pending = false;
	u->reads_iir = true;
	uart_update(u, true);
	return v;
}

static uint8_t uart_read_lsr(struct uart *u)
{
	bool overrun = u->overrun;
	uint8_t v;

	uart_receive(u);
	v = (uint8_t)((u->fifo_len ? LSR_DR : 0) | (overrun ? LSR_OE : 0) |
		(uart_thr_empty(u) ? LSR_THRE | LSR_TEMT : 0));
	u->overrun = false;
	uart_update(u, overrun && !u->reads_iir);
	return v;
}

static uint8_t uart_read_msr(struct uart *u)
{
	uint8_t v = u->msr;

	u->msr &= MSR_STATE_MASK;
	uart_update(u, v != u->msr && !u->reads_iir);
	return v;
}

static uint8_t uart_read_reg(struct uart *u, uint64_t reg)
{
	bool dlab = u->lcr & LCR_DLAB;

	switch (reg) {
	case RBR_THR:
		return dlab ? u->dll : uart_read_rbr(u);
	case IER:
		return dlab ? u->dlm : u->ier;
	case IIR_FCR:
		return uart_read_iir(u);
	case LCR:
		return u->lcr;
	case MCR:
		return u->mcr;
	case LSR:
		return uart_read_lsr(u);
	case MSR:
		return uart_read_msr(u);
	default:
		return u->scr;
	}
}

static void uart_write_thr(struct uart *u, uint8_t v)
{
	if (!(u->mcr & MCR_LOOP))
		uart_transmit(u, v);
	else if (u->fifo_len < uart_fifo_size(u))
		uart_fifo_push(u, v);
	else
		u->overrun = true;
	/* Taken at once: the transmitter is empty again, unless the buffer is at its end. */
	u->thr_pending = uart_thr_empty(u);
	uart_update(u, !u->reads_iir);
}

static void uart_write_ier(struct uart *u, uint8_t v)
{
	uint8_t enabled = v & ~u->ier & IER_MASK;

	u->ier = v & IER_MASK;
	if (enabled)
		u->reads_iir = false;
	/* The transmitter's cause arises anew with each enabling. */
	if (enabled & IER_THRI)
		u->thr_pending = uart_thr_empty(u);
	uart_update(u, false);
}

static void uart_write_fcr(struct uart *u, uint8_t v)
{
	bool toggled = (v ^ u->fcr) & FCR_ENABLE;

	if (!(v & FCR_ENABLE))
		v = 0; /* the other bits count only with it */
	if (toggled || (v & FCR_CLEAR_RX))
		u->fifo_len = 0;
	/* What is in the output buffer has left the UART: there is no transmitter FIFO to clear. */
	u->fcr = v;
	uart_update(u, false);
}

static void uart_write_mcr(struct uart *u, uint8_t v)
{
	uint8_t was = u->msr & MSR_STATE_MASK, now, changed;
	bool was_empty = uart_thr_empty(u);

	u->mcr = v & MCR_MASK;
	now = uart_modem(u);
	changed = was ^ now;
	/* CTS, DSR and DCD report both edges, RI only its end. */
	u->msr = (uint8_t)(now | (u->msr & ~MSR_STATE_MASK) |
		((changed & (MSR_CTS | MSR_DSR | MSR_DCD)) >> 4) |
		(was & changed & MSR_RI ? MSR_RI_BECAME_0 : 0));
	if (!was_empty && uart_thr_empty(u))
		u->thr_pending = true;
	uart_update(u, false);
}

static void uart_write_reg(struct uart *u, uint64_t reg, uint8_t v)
{
	bool dlab = u->lcr & LCR_DLAB;

	switch (reg) {
	case RBR_THR:
		if (dlab)
			u->dll = v;
		else
			uart_write_thr(u, v);
		break;
	case IER:
		if (dlab)
			u->dlm = v;
		else
			uart_write_ier(u, v);
		break;
	case IIR_FCR:
		uart_write_fcr(u, v);
		break;
	case LCR:
		u->lcr = v;
		break;
	case MCR:
		uart_write_mcr(u, v);
		break;
	case SCR:
		u->scr = v;
		break;
	default: /* LSR and MSR are for the factory */
		break;
	}
}

void uart_unlock(struct uart *u)
{
	bool kick = u->kick;

	u->kick = false;
	pthread_mutex_unlock(&u->lock);
	if (kick)
		fd_event_signal(u->wake_fd);
}

static void uart_bus_read(void *ctx, uint64_t off, void *data, unsigned len)
{
	struct uart *u = ctx;

	if (len != 1)
		return;
	pthread_mutex_lock(&u->lock);
	*(uint8_t *)data = uart_read_reg(u, off);
	uart_unlock(u);
}

static void uart_bus_write(void *ctx, uint64_t off, const void *data, unsigned len)
{
	struct uart *u = ctx;

	if (len != 1)
		return;
	pthread_mutex_lock(&u->lock);
	uart_write_reg(u, off, *(const uint8_t *)data);
	uart_unlock(u);
}

const struct bus_ops uart_bus_ops = { .read = uart_bus_read, .write = uart_bus_write };
