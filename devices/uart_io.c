// SPDX-License-Identifier: BSD-3-Clause
/*
 * The host's side of a 16550A: bytes to and from its chardev on the loop's thread, and its life.
 */
#include "devices/uart.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/timerfd.h>

#include "base/fd.h"
#include "devices/uart_impl.h"
#include "devices/uart_regs.h"

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
