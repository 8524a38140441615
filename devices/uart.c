// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns the registers of one 16550A, its output buffer and its chardev.
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
#include "devices/uart.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/timerfd.h>

#include "base/fd.h"
#include "devices/uart_regs.h"

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

static bool uart_thr_empty(const struct uart *u)
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
static uint8_t uart_modem(const struct uart *u)
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

/**
 * After each change: pulses for causes that are new, and for old ones when the access was
 * one after which a handler may look no more (invariant 1).
 */
static void uart_update(struct uart *u, bool last_look)
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

/** The end of each access: what the loop must hear of is said without the lock. */
static void uart_unlock(struct uart *u)
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

/* ---- the loop's side ---- */

/**
 * The first run of bytes to write. It stays where it is without the lock: guests only add
 * behind it, and only the loop takes away.
 */
static unsigned uart_out_peek(struct uart *u, const uint8_t **ret)
{
	unsigned n;

	pthread_mutex_lock(&u->lock);
	n = MIN(u->out_len, (unsigned)sizeof(u->out) - u->out_head);
	if (!n)
		u->told = false;
	*ret = u->out + u->out_head;
	pthread_mutex_unlock(&u->lock);
	return n;
}

static void uart_out_consume(struct uart *u, unsigned n)
{
	bool was_empty;

	pthread_mutex_lock(&u->lock);
	was_empty = uart_thr_empty(u);
	u->out_len -= n;
	u->out_head = u->out_len ? (u->out_head + n) % (unsigned)sizeof(u->out) : 0;
	if (!was_empty && uart_thr_empty(u))
		u->thr_pending = true;
	uart_update(u, false);
	pthread_cond_broadcast(&u->room);
	uart_unlock(u);
}

static void uart_flush(void *ctx)
{
	struct uart *u = ctx;
	unsigned budget = sizeof(u->out); /* a guest may fill as fast as we empty */
	const uint8_t *p;
	unsigned n, done;

	while ((n = uart_out_peek(u, &p))) {
		if (!budget) {
			chardev_want_output(u->chardev);
			return;
		}
		n = MIN(n, budget);
		done = (unsigned)chardev_write(u->chardev, p, n);
		uart_out_consume(u, done);
		if (done < n)
			return; /* it calls again when writable */
		budget -= n;
	}
}

static void uart_fill(void *ctx)
{
	struct uart *u = ctx;
	uint8_t buf[UART_IN_SIZE];
	unsigned n;
	bool paused;

	pthread_mutex_lock(&u->lock);
	paused = u->in_paused;
	pthread_mutex_unlock(&u->lock);
	if (paused)
		return;
	n = (unsigned)chardev_read(u->chardev, buf, sizeof(buf));
	if (!n) {
		chardev_want_input(u->chardev, true);
		return;
	}
	pthread_mutex_lock(&u->lock);
	memcpy(u->in, buf, n); /* not paused: it is empty */
	u->in_head = 0;
	u->in_len = n;
	uart_update(u, false);
	paused = u->in_paused = u->in_len > 0;
	uart_unlock(u);
	chardev_want_input(u->chardev, !paused);
}

static void uart_on_wake(struct watch *w, uint32_t events __unused)
{
	struct uart *u = container_of(w, struct uart, wake);

	fd_event_drain(w->fd);
	uart_flush(u);
	uart_fill(u);
}

static void uart_on_late(struct watch *w, uint32_t events __unused)
{
	struct uart *u = container_of(w, struct uart, late);
	bool waits;

	fd_event_drain(w->fd);
	pthread_mutex_lock(&u->lock);
	u->armed = false;
	waits = !u->told && u->out_len;
	u->told |= waits;
	pthread_mutex_unlock(&u->lock);
	if (waits)
		uart_flush(u);
}

static void uart_drain_on_loop(void *arg)
{
	struct uart *u = arg;
	const uint8_t *p;
	unsigned n;

	while ((n = uart_out_peek(u, &p))) {
		chardev_write_all(u->chardev, p, n);
		uart_out_consume(u, n);
	}
}

void uart_drain(struct uart *u)
{
	if (u->chardev)
		loop_call(u->loop, uart_drain_on_loop, u);
}

void uart_release(struct uart *u)
{
	pthread_mutex_lock(&u->lock);
	u->released = true;
	pthread_cond_broadcast(&u->room);
	pthread_mutex_unlock(&u->lock);
}

/* ---- creation ---- */

static int uart_watch(struct uart *u)
{
	int rc = u->wake_fd = fd_event();

	if (rc < 0)
		return rc;
	u->late_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (u->late_fd < 0)
		return -errno;
	rc = loop_add(u->loop, &u->wake, u->wake_fd, EPOLLIN, uart_on_wake);
	return rc ? rc : loop_add(u->loop, &u->late, u->late_fd, EPOLLIN, uart_on_late);
}

int uart_create(struct loop *loop, struct chardev *chardev, const struct irq_line *line,
	struct uart **ret, struct err *err)
{
	struct uart *u = calloc(1, sizeof(*u));
	int rc;

	if (!u) {
		chardev_destroy(chardev);
		return err_errno(err, ENOMEM, "uart");
	}
	pthread_mutex_init(&u->lock, NULL);
	pthread_cond_init(&u->room, NULL);
	u->loop = loop;
	u->chardev = chardev;
	u->line = line;
	u->wake_fd = u->late_fd = -1;
	u->mcr = MCR_DTR | MCR_RTS | MCR_OUT2;
	u->msr = uart_modem(u);
	u->dll = 1; /* 115200 baud; never 0, kernels divide by it */
	rc = uart_watch(u);
	if (rc) {
		uart_destroy(u);
		return err_errno(err, -rc, "uart");
	}
	if (chardev) {
		chardev_set_user(chardev,
			&(struct chardev_user){
				.readable = uart_fill, .writable = uart_flush, .ctx = u });
		chardev_want_input(chardev, true);
	}
	*ret = u;
	return 0;
}

void uart_destroy(struct uart *u)
{
	if (!u)
		return;
	loop_del(u->loop, &u->wake);
	loop_del(u->loop, &u->late);
	chardev_destroy(u->chardev);
	fd_close(&u->wake_fd);
	fd_close(&u->late_fd);
	pthread_cond_destroy(&u->room);
	pthread_mutex_destroy(&u->lock);
	free(u);
}
