// SPDX-License-Identifier: BSD-3-Clause
/*
 * A guest at the UART's registers, at every width, with input typed in between.
 *
 * Beside what sanitizers see: registers say only what a 16550A can say, input comes in order
 * unless the guest threw some away, and IIR reports no cause that the line was not pulsed for
 * (so no edge is lost).
 *
 * First byte: the output. Then two bytes each: kind (bits 0-1), width (bits 2-3), register
 * (bits 4-6) and a value.
 */
#include <fcntl.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "devices/uart.h"

#define FUZZ_MAX_OPS 4096

enum { THR, IER, FCR, LCR, MCR, LSR, MSR, SCR, RBR = THR, IIR = FCR };
enum { OP_READ, OP_WRITE, OP_TYPE, OP_STEP };

struct fuzz {
	struct loop *loop;
	struct uart *uart;
	struct irq_line line;
	int host;    /* the host's end of the input */
	int step_fd; /* ends a round of the loop */
	struct watch step;

	uint8_t typed, seen; /* counters: the next byte typed, the next one expected */
	bool lossy;          /* the guest reset a FIFO or looped back */
	bool dlab, out2;
	bool pulsed; /* since, or by, the last read of IIR */
};

static struct loop *fuzz_loop; /* for the callback; NULL between inputs */

static void fuzz_on_step(struct watch *w, uint32_t events __unused)
{
	fd_event_drain(w->fd);
	loop_stop(fuzz_loop);
}

static void fuzz_step(struct fuzz *f)
{
	fd_event_signal(f->step_fd);
	loop_run(f->loop);
}

static void fuzz_failed(void *ctx __unused, const struct err *err __unused)
{
}

static void fuzz_open(struct fuzz *f, uint8_t how)
{
	struct chardev_config cfg = {
		.in_fd = -1, .out_fd = -1, .opt = "--serial", .path = "OUT", .failed = fuzz_failed
	};
	struct chardev *c;
	struct err err;
	int s[2];

	*f = (struct fuzz){ .out2 = true };
	BUG_ON(loop_create(&f->loop, &err));
	fuzz_loop = f->loop;
	f->step_fd = fd_event();
	f->line.fd = fd_event();
	BUG_ON(loop_add(f->loop, &f->step, f->step_fd, EPOLLIN, fuzz_on_step));
	BUG_ON(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, s));
	cfg.in_fd = s[0];
	f->host = s[1];
	if (how & 1) {
		cfg.out_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	} else if (how & 2) {
		BUG_ON(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s));
		cfg.out_fd = s[0];
		close(s[1]); /* the reader has left */
	}
	BUG_ON(chardev_create(f->loop, &cfg, &c, &err));
	BUG_ON(uart_create(f->loop, c, &f->line, &f->uart, &err));
}

static void fuzz_close(struct fuzz *f)
{
	uart_drain(f->uart);
	uart_destroy(f->uart);
	loop_del(f->loop, &f->step);
	fd_close(&f->host);
	fd_close(&f->step_fd);
	fd_close(&f->line.fd);
	loop_destroy(f->loop);
	fuzz_loop = NULL;
}

static uint8_t fuzz_in(struct fuzz *f, unsigned reg)
{
	uint8_t v = 0xff;

	uart_bus_ops.read(f->uart, reg, &v, 1);
	return v;
}

static void fuzz_collect(struct fuzz *f)
{
	f->pulsed |= fd_event_drain(f->line.fd) > 0;
}

static void fuzz_read_iir(struct fuzz *f)
{
	uint8_t v;

	fuzz_collect(f);
	v = fuzz_in(f, IIR);
	BUG_ON((v & 0x30) || ((v & 0xc0) && (v & 0xc0) != 0xc0));
	v &= 0x0f;
	BUG_ON(v != 0x00 && v != 0x01 && v != 0x02 && v != 0x04 && v != 0x06 && v != 0x0c);
	BUG_ON(v != 0x01 && f->out2 && !f->pulsed);
	f->pulsed = false;
}

/** As a guest that reads input: only what LSR announces. */
static void fuzz_read_rbr(struct fuzz *f)
{
	uint8_t v;

	if (f->dlab || !(fuzz_in(f, LSR) & 0x01)) {
		fuzz_in(f, RBR);
		return;
	}
	v = fuzz_in(f, RBR);
	BUG_ON(!f->lossy && v != f->seen);
	f->seen++;
}

static void fuzz_read(struct fuzz *f, unsigned reg, unsigned len)
{
	uint64_t v = UINT64_MAX;

	if (len != 1) {
		uart_bus_ops.read(f->uart, reg & ~(len - 1), &v, len);
		BUG_ON(v != UINT64_MAX);
	} else if (reg == IIR) {
		fuzz_read_iir(f);
	} else if (reg == RBR) {
		fuzz_read_rbr(f);
	} else if (reg == LSR) {
		BUG_ON(fuzz_in(f, LSR) & 0x9c);
	} else {
		fuzz_in(f, reg);
	}
}

static void fuzz_write(struct fuzz *f, unsigned reg, unsigned len, uint8_t v)
{
	uint64_t wide = v * 0x0101010101010101ULL;

	uart_bus_ops.write(f->uart, reg & ~(len - 1), &wide, len);
	if (len != 1)
		return;
	if (reg == LCR)
		f->dlab = v & 0x80;
	if (reg == MCR)
		f->out2 = v & 0x08;
	if (reg == FCR || (reg == MCR && (v & 0x10)))
		f->lossy = true;
	BUG_ON((reg == MCR && fuzz_in(f, MCR) != (v & 0x1f)) ||
		(reg == IER && !f->dlab && fuzz_in(f, IER) != (v & 0x0f)) ||
		((reg == LCR || reg == SCR) && fuzz_in(f, reg) != v));
}

static void fuzz_type(struct fuzz *f, uint8_t n)
{
	for (unsigned i = 0; i <= n; i++) {
		if (write(f->host, &f->typed, 1) != 1)
			return; /* the socket is full: the guest reads nothing */
		f->typed++;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz f;

	if (len < 1)
		return 0;
	fuzz_open(&f, data[0]);
	/* Fewer bytes than the output buffer holds: there is no other thread to wait for. */
	for (size_t i = 1; i + 1 < len && i < 2 * FUZZ_MAX_OPS; i += 2) {
		unsigned width = 1U << ((data[i] >> 2) & 3), reg = (data[i] >> 4) & 7;

		switch (data[i] & 3) {
		case OP_READ:
			fuzz_read(&f, reg, width);
			break;
		case OP_WRITE:
			fuzz_write(&f, reg, width, data[i + 1]);
			break;
		case OP_TYPE:
			fuzz_type(&f, data[i + 1]);
			break;
		default:
			fuzz_step(&f);
			break;
		}
		fuzz_collect(&f);
	}
	fuzz_close(&f);
	return 0;
}
