// SPDX-License-Identifier: BSD-3-Clause
/*
 * A guest's packets at net/vsock.c, with a host that reads, writes, answers and leaves in
 * between. Each packet for the guest must be well formed: from the host to the guest, a known
 * word, no more payload than there is room for, never more than the guest gave credit for.
 *
 * Eight bytes each: what happens, then of a packet the word, ports (few), flags, length and
 * credit. The payload is the step itself, again and again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fdpass.h"
#include "base/loop.h"
#include "net/vsock.h"

#define MAX_STEPS 512
#define STEP_LEN  8
#define CID       3
#define PORTS     4 /* of each side; the first of the host's has a socket */

enum { PACKET, RX, HOST_WRITES, HOST_READS, HOST_LEAVES, ANSWER, RESET, LOOP, NR_KINDS };

static struct {
	struct vsock *v;
	struct loop *loop;
	struct watch now;
	int now_fd, host, broker;
	struct {
		bool open;
		uint32_t alloc, fwd, sent;
	} conn[PORTS][PORTS];
} f;

static void fuzz_pending(void *ctx __unused)
{
}

static void fuzz_now(struct watch *w, uint32_t events __unused)
{
	fd_event_drain(w->fd);
	loop_stop(f.loop);
}

static void fuzz_loop(void)
{
	fd_event_signal(f.now_fd);
	loop_run(f.loop);
}

static void fuzz_packet(const uint8_t *s)
{
	static uint8_t bytes[0x10000];
	struct vsock_packet p = { .src_cid = s[2] == 0xff ? 9 : CID,
		.dst_cid = s[2] == 0xfe ? 9 : VSOCK_HOST_CID,
		.src_port = s[2] % PORTS,
		.dst_port = s[3] % PORTS,
		.type = s[2] == 0xfd ? 2 : VSOCK_TYPE_STREAM,
		.op = s[1] % 10,
		.flags = s[4],
		.len = s[1] % 10 == VSOCK_OP_RW ? le16_get(s + 5) : 0,
		.buf_alloc = s[7] * 997U,
		.fwd_cnt = s[4] > 0xf0 ? s[5] : f.conn[s[2] % PORTS][s[3] % PORTS].sent };
	struct iovec iov[2] = { { bytes, p.len / 3 }, { bytes + p.len / 3, p.len - p.len / 3 } };

	memcpy(bytes, s, STEP_LEN);
	if (vsock_tx(f.v, &p, iov, 2))
		return;
	if (p.src_cid != CID || p.dst_cid != VSOCK_HOST_CID || p.type != VSOCK_TYPE_STREAM)
		return;
	if (p.op == VSOCK_OP_REQUEST && !f.conn[p.src_port][p.dst_port].open)
		f.conn[p.src_port][p.dst_port].sent = 0;
	f.conn[p.src_port][p.dst_port].alloc = p.buf_alloc;
	f.conn[p.src_port][p.dst_port].fwd = p.fwd_cnt;
}

static void fuzz_rx(const uint8_t *s)
{
	static uint8_t bytes[0x10000];
	size_t len = le16_get(s + 1) + 1U;
	struct iovec iov[2] = { { bytes, len / 2 }, { bytes + len / 2, len - len / 2 } };
	struct vsock_packet p;

	if (!vsock_rx(f.v, &p, iov, 2, len))
		return;
	BUG_ON(p.dst_cid != CID || p.len > len || p.op < VSOCK_OP_REQUEST);
	BUG_ON(p.op > VSOCK_OP_CREDIT_UPDATE || (p.len && p.op != VSOCK_OP_RW));
	if (p.src_cid != VSOCK_HOST_CID || p.type != VSOCK_TYPE_STREAM)
		return;
	BUG_ON(p.dst_port >= PORTS || p.src_port >= PORTS);
	f.conn[p.dst_port][p.src_port].open = p.op != VSOCK_OP_RST;
	if (p.op == VSOCK_OP_RESPONSE || p.op == VSOCK_OP_RST)
		f.conn[p.dst_port][p.src_port].sent = 0;
	f.conn[p.dst_port][p.src_port].sent += p.len;
	BUG_ON(p.len &&
		f.conn[p.dst_port][p.src_port].sent - f.conn[p.dst_port][p.src_port].fwd >
			f.conn[p.dst_port][p.src_port].alloc);
}

static void fuzz_answer(const uint8_t *s)
{
	const struct vsock_answer a = { .port = s[1] % PORTS, .code = s[2] & 1 ? 111 : 0 };
	int pair[2] = { -1, -1 };

	if (f.broker < 0)
		return;
	if (!a.code)
		BUG_ON(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
	if (fdpass_send(f.broker, &a, s[3] & 1 ? 3 : sizeof(a), pair, pair[0] >= 0, 0))
		fd_close(&f.broker);
	fd_close(&pair[0]);
	if (s[3] & 2)
		fd_close(&f.host);
	if (f.host < 0)
		f.host = fd_take(&pair[1]);
	fd_close(&pair[1]);
}

static void fuzz_step(const uint8_t *s)
{
	static char buf[0x10000];
	ssize_t n = 0;

	switch (s[0] % NR_KINDS) {
	case PACKET:
		fuzz_packet(s);
		break;
	case RX:
		fuzz_rx(s);
		break;
	case HOST_WRITES:
		n = f.host >= 0 ? send(f.host, buf, le16_get(s + 1), MSG_NOSIGNAL | MSG_DONTWAIT)
				: 0;
		break;
	case HOST_READS:
		n = f.host >= 0 ? recv(f.host, buf, le16_get(s + 1), MSG_DONTWAIT) : 0;
		break;
	case HOST_LEAVES:
		if (s[1] & 1)
			fd_close(&f.host);
		else if (f.host >= 0)
			n = shutdown(f.host, s[1] & 2 ? SHUT_WR : SHUT_RD);
		break;
	case ANSWER:
		fuzz_answer(s);
		break;
	case RESET:
		vsock_reset(f.v);
		memset(f.conn, 0, sizeof(f.conn));
		break;
	case LOOP:
		fuzz_loop();
		break;
	}
	(void)n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vsock_config cfg = {
		.guest_cid = CID, .pending = fuzz_pending, .listen_fd = -1, .nr_handed = 1
	};
	int pair[2], ask[2];
	struct err err;

	memset(&f, 0, sizeof(f));
	BUG_ON(loop_create(&f.loop, &err));
	f.now_fd = fd_event();
	BUG_ON(loop_add(f.loop, &f.now, f.now_fd, EPOLLIN, fuzz_now));
	BUG_ON(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	BUG_ON(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ask));
	cfg.loop = f.loop;
	cfg.handed[0] = (struct vsock_handed){ .port = 0, .fd = pair[0] };
	cfg.ask_fd = ask[0];
	f.host = pair[1];
	f.broker = ask[1];
	BUG_ON(vsock_create(&cfg, &f.v, &err));
	for (unsigned i = 0; i < MAX_STEPS && (i + 1) * STEP_LEN <= size; i++)
		fuzz_step(data + (size_t)i * STEP_LEN);
	vsock_destroy(f.v);
	fd_close(&f.host);
	fd_close(&f.broker);
	loop_del(f.loop, &f.now);
	fd_close(&f.now_fd);
	loop_destroy(f.loop);
	return 0;
}
