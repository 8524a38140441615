// SPDX-License-Identifier: BSD-3-Clause
/*
 * vhost-user/front.c against any device process: the input is all that it will ever say. A first
 * byte says how much of it is there from the start; the rest comes on the connection that the
 * front end opened for requests.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "memory/memory.h"
#include "vhost-user/front.h"
#include "vhost-user/message.h"

#define FUZZ_RAM    (32 * KIB)
#define FUZZ_CONFIG 12

struct fuzz {
	struct guest_memory gm;
	struct loop *loop;
	struct watch poke;
	int poke_fd;
	unsigned nr_failed, nr_config;
};

static void fuzz_on_failed(void *ctx, const struct err *err)
{
	struct fuzz *f = ctx;

	BUG_ON(f->nr_failed++ || !*err->msg);
}

static void fuzz_on_config(void *ctx, const void *config, unsigned len)
{
	BUG_ON(len != FUZZ_CONFIG || !config);
	((struct fuzz *)ctx)->nr_config++;
}

static void fuzz_on_reset(void *ctx __unused)
{
}

static void fuzz_on_poke(struct watch *w, uint32_t events __unused)
{
	struct fuzz *f = container_of(w, struct fuzz, poke);

	fd_event_drain(w->fd);
	loop_stop(f->loop);
}

static void fuzz_turn(struct fuzz *f)
{
	fd_event_signal(f->poke_fd);
	loop_run(f->loop);
}

/** The descriptor that came with SET_BACKEND_REQ_FD, or -1; all that was said is dropped. */
static int fuzz_req_fd(int sock)
{
	struct vu_inbox in = { 0 };
	const char *why;
	int req = -1;

	while (vu_receive(sock, &in, &why) > 0) {
		if (in.m.h.request == VU_SET_BACKEND_REQ_FD && req < 0)
			req = vu_take_fd(&in.m, 0);
		vu_inbox_clear(&in);
	}
	vu_inbox_clear(&in);
	return req;
}

/** The life of a device that was created. */
static void fuzz_use(
	struct fuzz *f, struct virtio_backend *b, int *sock, const uint8_t *in, size_t len)
{
	struct virtio_ring ring[VIRTIO_MAX_QUEUES] = { 0 };
	int kick = fd_event(), call = fd_event(), req;

	b->events = (struct virtio_events){ fuzz_on_config, fuzz_on_reset, f };
	BUG_ON(!b->nr_queues || b->nr_queues > VIRTIO_MAX_QUEUES);
	ring[0] = (struct virtio_ring){ .ready = true,
		.size = 16,
		.desc = 0x1000,
		.avail = 0x2000,
		.used = 0x3000,
		.kick_fd = kick,
		.call_fd = call };
	req = fuzz_req_fd(*sock);
	if (req >= 0) {
		(void)!send(req, in, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		shutdown(req, SHUT_WR);
		for (unsigned i = 0; i < 4; i++)
			fuzz_turn(f);
		fd_close(&req);
	}
	if (!b->ops->start(b, BIT(32), ring))
		b->ops->stop(b);
	b->ops->config_write(b, 0, "ab", 2);
	fuzz_turn(f);
	fd_close(sock);
	b->ops->drain(b);
	b->ops->destroy(b);
	fd_close(&kick);
	fd_close(&call);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
	static const atomic_bool hurry = true;
	struct fuzz f = { 0 };
	struct virtio_backend *b;
	struct err err;
	size_t first;
	int pair[2];

	if (!len || len > 4096)
		return 0;
	log_set_level(LOG_ERROR);
	first = MIN((size_t)in[0] * 8, len - 1);
	BUG_ON(loop_create(&f.loop, &err));
	f.poke_fd = fd_event();
	BUG_ON(loop_add(f.loop, &f.poke, f.poke_fd, EPOLLIN, fuzz_on_poke));
	BUG_ON(gm_share(&f.gm, FUZZ_RAM, -1, &err) || gm_add_ram(&f.gm, 0, FUZZ_RAM, &err));
	BUG_ON(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	(void)!send(pair[1], in + 1, first, MSG_NOSIGNAL | MSG_DONTWAIT);
	/* After its last word it hangs up, or each input would take a second. */
	shutdown(pair[1], SHUT_WR);
	if (vu_front_create(&(struct vu_front_config){ .name = "fuzz",
				    .device_id = 4,
				    .queue_size_max = 64,
				    .config_len = FUZZ_CONFIG,
				    .gm = &f.gm,
				    .loop = f.loop,
				    .sock = pair[0],
				    .drain_ms = 0,
				    .hurry = &hurry,
				    .failed = fuzz_on_failed,
				    .ctx = &f },
		    &b, &err))
		BUG_ON(!*err.msg || f.nr_failed);
	else
		fuzz_use(&f, b, &pair[1], in + 1 + first, len - 1 - first);
	fd_close(&pair[1]);
	loop_del(f.loop, &f.poke);
	loop_destroy(f.loop);
	fd_close(&f.poke_fd);
	gm_fini(&f.gm);
	return 0;
}
