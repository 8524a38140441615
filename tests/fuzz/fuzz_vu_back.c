// SPDX-License-Identifier: BSD-3-Clause
/*
 * vhost-user/back.c against any front end: the input is what it sends, with descriptors that fit
 * now and then, and what it does to the memory that it shows.
 *
 * Input: records of a head (struct fuzz_record) and so many bytes of payload.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "vhost-user/back.h"
#include "vhost-user/message.h"
#include "virtio/queue.h"

#define FUZZ_QUEUES    3
#define FUZZ_QUEUE_MAX 64
#define FUZZ_RAM       (32 * KIB)
#define FUZZ_IOVECS    16

struct fuzz_record {
	uint8_t op;  /* below 200: a message; else see fuzz_step */
	uint8_t fds; /* low 4 bits: how many; the others choose which kinds */
	uint8_t request, flags;
	uint8_t size; /* bytes of payload that follow, and that the message says it has */
} __attribute__((packed));

struct fuzz {
	struct virtio_device d;
	struct guest_memory gm;
	struct loop *loop;
	struct vu_back *back;
	int sock, ram_fd, event_fd;
	struct watch poke;
	int poke_fd;
	bool running, ended;
};

static struct fuzz *fuzz_of(struct virtio_device *d)
{
	return container_of(d, struct fuzz, d);
}

static int fuzz_start(struct virtio_device *d)
{
	BUG_ON(fuzz_of(d)->running);
	BUG_ON(d->features & ~(d->features_offered | VIRTIO_COMMON_FEATURES));
	fuzz_of(d)->running = true;
	return 0;
}

static void fuzz_stop(struct virtio_device *d)
{
	BUG_ON(!fuzz_of(d)->running);
	fuzz_of(d)->running = false;
}

static void fuzz_notify(struct virtio_device *d, unsigned q)
{
	struct iovec iov[FUZZ_IOVECS];
	struct vq_chain chain;
	const char *why;
	int rc = 0;

	BUG_ON(!fuzz_of(d)->running);
	for (unsigned i = 0; i < FUZZ_QUEUE_MAX; i++) {
		rc = vq_pop(&d->vq[q], iov, FUZZ_IOVECS, &chain, &why);
		if (rc <= 0)
			break;
		for (unsigned k = 0; k < chain.nr_in; k++)
			memset(chain.iov[chain.nr_out + k].iov_base, 0x5a,
				chain.iov[chain.nr_out + k].iov_len);
		vq_push(&d->vq[q], chain.head, (uint32_t)chain.in_len);
	}
	if (rc < 0)
		virtio_broken(d, "%s", why);
	else
		virtio_raise(d, q);
}

static void fuzz_config_write(struct virtio_device *d, unsigned off, const void *data, unsigned len)
{
	memcpy(d->config + off, data, len);
	virtio_config_changed(d);
	if (d->config[0] == 0xbb)
		virtio_broken(d, "config says so");
}

static void fuzz_drain(struct virtio_device *d)
{
	for (unsigned i = 0; i < d->nr_queues && fuzz_of(d)->running; i++)
		fuzz_notify(d, i);
}

static void fuzz_destroy(struct virtio_device *d)
{
	BUG_ON(fuzz_of(d)->running);
}

static const struct virtio_class fuzz_class = {
	.name = "fuzz",
	.device_id = 4,
	.queue_size_max = FUZZ_QUEUE_MAX,
	.start = fuzz_start,
	.stop = fuzz_stop,
	.notify = fuzz_notify,
	.config_write = fuzz_config_write,
	.drain = fuzz_drain,
	.destroy = fuzz_destroy,
};

static void fuzz_on_poke(struct watch *w, uint32_t events __unused)
{
	struct fuzz *f = container_of(w, struct fuzz, poke);

	fd_event_drain(w->fd);
	loop_stop(f->loop);
}

static void fuzz_on_ended(void *ctx, const struct err *err __unused)
{
	((struct fuzz *)ctx)->ended = true;
}

static void fuzz_turn(struct fuzz *f)
{
	fd_event_signal(f->poke_fd);
	loop_run(f->loop);
}

/** A message as a front end may send it. The memory's addresses are made to hit often. */
static void fuzz_say(struct fuzz *f, const struct fuzz_record *r, const uint8_t *payload)
{
	struct vu_message m = { .h = { .request = r->request % (VU_NR_REQUESTS + 2),
					.size = r->size } };
	unsigned nr = r->fds & 15;
	struct vu_inbox in = { 0 };
	const char *why;

	memcpy(m.payload, payload, r->size);
	m.nr_fds = MIN(nr, (unsigned)FDPASS_MAX);
	for (unsigned i = 0; i < m.nr_fds; i++)
		m.fd[i] = r->fds & 0x80 ? f->ram_fd : r->fds & 0x40 ? f->sock : f->event_fd;
	/* The version is right nearly always, or nothing else is ever tried. */
	m.h.flags = (r->flags & 0x7c) | VU_VERSION;
	(void)!fdpass_send(f->sock, &m, sizeof(m.h) + m.h.size, m.fd, m.nr_fds, 1000);
	fuzz_turn(f);
	while (!f->ended && vu_receive(f->sock, &in, &why) > 0) {
		BUG_ON(!(in.m.h.flags & VU_REPLY));
		BUG_ON(in.m.nr_fds);
		vu_inbox_clear(&in);
	}
	vu_inbox_clear(&in);
}

static void fuzz_step(struct fuzz *f, const struct fuzz_record *r, const uint8_t *payload)
{
	if (r->op < 200)
		fuzz_say(f, r, payload);
	else if (r->op < 220)
		(void)!pwrite(f->ram_fd, payload, r->size, (r->request << 7) % (int)FUZZ_RAM);
	else if (r->op < 240)
		fd_event_signal(f->event_fd);
	else if (r->op < 250)
		fuzz_turn(f);
	else /* bytes of no form */
		(void)!send(f->sock, payload, r->size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void fuzz_plug(struct fuzz *f)
{
	struct virtio_backend *b;
	struct err err;
	int pair[2];

	BUG_ON(loop_create(&f->loop, &err));
	f->poke_fd = fd_event();
	f->event_fd = fd_event();
	f->ram_fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	BUG_ON(ftruncate(f->ram_fd, FUZZ_RAM) ||
		fcntl(f->ram_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW));
	BUG_ON(loop_add(f->loop, &f->poke, f->poke_fd, EPOLLIN, fuzz_on_poke));
	f->d = (struct virtio_device){ .cls = &fuzz_class,
		.gm = &f->gm,
		.loop = f->loop,
		.features_offered = BIT(3),
		.nr_queues = FUZZ_QUEUES,
		.config_len = 10 };
	BUG_ON(virtio_local_create(&f->d, &b, &err));
	BUG_ON(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	f->sock = pair[0];
	BUG_ON(vu_back_create(&(struct vu_back_config){ .b = b,
				      .gm = &f->gm,
				      .loop = f->loop,
				      .sock = pair[1],
				      .ended = fuzz_on_ended,
				      .ctx = f },
		&f->back, &err));
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
	static struct fuzz f;

	log_set_level(LOG_ERROR);
	memset(&f, 0, sizeof(f));
	fuzz_plug(&f);
	for (unsigned i = 0; i < 200 && len > sizeof(struct fuzz_record) && !f.ended; i++) {
		const struct fuzz_record *r = (const struct fuzz_record *)in;
		struct fuzz_record mine = *r;

		in += sizeof(mine);
		len -= sizeof(mine);
		mine.size = (uint8_t)MIN((size_t)mine.size, len);
		fuzz_step(&f, &mine, in);
		in += mine.size;
		len -= mine.size;
	}
	shutdown(f.sock, SHUT_WR);
	for (unsigned i = 0; i < 3; i++)
		fuzz_turn(&f);
	BUG_ON(!f.ended || f.running);
	vu_back_destroy(f.back);
	loop_del(f.loop, &f.poke);
	loop_destroy(f.loop);
	fd_close(&f.poke_fd);
	fd_close(&f.event_fd);
	fd_close(&f.ram_fd);
	fd_close(&f.sock);
	return 0;
}
