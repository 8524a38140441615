// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio/blk.c: requests of any content in any framing over a small ring, on a memfd.
 *
 * Input: one byte of options, then steps: 0 poke bytes into guest memory, 1 write a request
 * header, 2 make a chain available, 3 kick, 4 drain, 5 reset, 6 an avail entry as it comes,
 * 7 a chain in the usual framing. What must hold after each: the used length is at most what
 * the chain had room for, the image keeps its size, and one that is read-only its bytes.
 */
#include <linux/virtio_blk.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/ring_driver.h"
#include "virtio/blk.h"

#define FUZZ_RAM   0x10000ULL
#define FUZZ_QUEUE 16
#define FUZZ_BUFS  0x1000ULL /* behind the ring; below it guests poke at the ring itself */
#define FUZZ_IMAGE 0x8000ULL
#define FUZZ_STEPS 64

struct fuzz {
	const uint8_t *in;
	size_t left;
	bool ro;
	bool wild; /* the driver broke the ring's rules itself: lengths say nothing */
	int fd;    /* owned */
	struct loop *loop;
	struct watch stop;
	int stop_fd; /* owned */
	struct guest_memory gm;
	struct ring_driver rd;
	struct virtio_backend *b;
	uint32_t in_len[FUZZ_QUEUE]; /* by head */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t fuzz_take(struct fuzz *f, unsigned bytes)
{
	uint32_t v = 0;

	while (bytes-- && f->left) {
		v = v << 8 | *f->in++;
		f->left--;
	}
	return v;
}

static void fuzz_on_stop(struct watch *w, uint32_t events __unused)
{
	fd_event_drain(w->fd);
	loop_stop(container_of(w, struct fuzz, stop)->loop);
}

static void fuzz_start(struct fuzz *f)
{
	static const uint64_t features[] = { ~0ULL, RD_FEATURES_PLAIN,
		~0ULL & ~BIT(VIRTIO_BLK_F_FLUSH), ~0ULL & ~BIT(VIRTIO_RING_F_EVENT_IDX) };
	struct virtio_ring ring = rd_ring(&f->rd);

	rd_reset(&f->rd);
	memset(f->in_len, 0, sizeof(f->in_len));
	f->wild = false;
	BUG_ON(f->b->ops->start(f->b, f->b->features & features[fuzz_take(f, 1) % 4], &ring));
}

static void fuzz_init(struct fuzz *f)
{
	uint8_t options = (uint8_t)fuzz_take(f, 1);
	char path[32];
	struct block_config cfg = { .path = path,
		.ro = f->ro = options & 1,
		.sparse = options & 2,
		.block_size = options & 4 ? 4096 : 512,
		.executor = BLOCK_EXEC_PLAIN,
		.depth = 1U << (options >> 3 & 3) };
	struct virtio_blk_options opt = { .serial = "a serial number", .nr_queues = 1 };
	struct block *image;
	struct err err;

	f->fd = memfd_create("image", MFD_CLOEXEC);
	f->stop_fd = fd_event();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", f->fd);
	BUG_ON(f->fd < 0 || f->stop_fd < 0 || ftruncate(f->fd, FUZZ_IMAGE));
	BUG_ON(loop_create(&f->loop, &err));
	BUG_ON(loop_add(f->loop, &f->stop, f->stop_fd, EPOLLIN, fuzz_on_stop));
	BUG_ON(block_open(&cfg, &image, &err));
	rd_add_ram(&f->gm, 0, FUZZ_RAM);
	rd_init(&f->rd, &f->gm, 0, FUZZ_QUEUE);
	BUG_ON(virtio_blk_create(image, &opt, &f->gm, f->loop, &f->b, &err));
	fuzz_start(f);
}

static void fuzz_fini(struct fuzz *f)
{
	f->b->ops->destroy(f->b);
	loop_destroy(f->loop);
	rd_fini(&f->rd);
	rd_free_ram(&f->gm);
	fd_close(&f->stop_fd);
	fd_close(&f->fd);
}

static void fuzz_poke(struct fuzz *f)
{
	gpa_t gpa = fuzz_take(f, 2);
	size_t n = 1 + fuzz_take(f, 1) % 32;

	n = MIN(n, f->left);
	if (gm_write(&f->gm, gpa, f->in, n))
		return;
	if (gpa < f->rd.end)
		f->wild = true;
	f->in += n;
	f->left -= n;
}

static void fuzz_header(struct fuzz *f, gpa_t gpa)
{
	static const uint32_t type[] = { VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH,
		VIRTIO_BLK_T_GET_ID, VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES, 14, 2 };
	struct virtio_blk_outhdr h = { .type = type[fuzz_take(f, 1) % ARRAY_SIZE(type)],
		.sector = fuzz_take(f, 1) };

	if (h.sector > 250)
		h.sector = UINT64_MAX << (fuzz_take(f, 1) % 64);
	if (!gm_write(&f->gm, gpa, &h, sizeof(h)) && gpa < f->rd.end)
		f->wild = true;
}

static void fuzz_add(struct fuzz *f, const struct rd_buf *buf, unsigned n)
{
	uint64_t len = 0;
	uint16_t head;

	if (f->rd.nr_free < n)
		return;
	for (unsigned i = 0; i < n; i++) {
		len += buf[i].writable ? buf[i].len : 0;
		/* A buffer over the ring: the device's own writes break it. */
		if (buf[i].writable && buf[i].gpa < f->rd.end)
			f->wild = true;
	}
	head = rd_add(&f->rd, buf, n);
	f->in_len[head] = (uint32_t)MIN(len, UINT32_MAX);
}

static void fuzz_chain(struct fuzz *f)
{
	unsigned n = 1 + fuzz_take(f, 1) % FUZZ_QUEUE;
	struct rd_buf buf[FUZZ_QUEUE];

	for (unsigned i = 0; i < n; i++) {
		uint32_t v = fuzz_take(f, 2);

		buf[i] = (struct rd_buf){ fuzz_take(f, 2), v & 0x7fff, v >> 15 };
	}
	fuzz_add(f, buf, n);
}

static void fuzz_usual_chain(struct fuzz *f)
{
	gpa_t at = FUZZ_BUFS + fuzz_take(f, 2) % 0x8000;
	uint32_t len = fuzz_take(f, 1);
	struct rd_buf buf[3] = { { at, 16, false }, { at + 16, (len & 63) * 16 * 8, len & 128 },
		{ at + 15, 1, true } };

	if (len & 64)
		buf[1].len = (len & 31) * 16;
	fuzz_header(f, at);
	if (!buf[1].len)
		buf[1] = buf[2];
	fuzz_add(f, buf, (len & 63) ? 3 : 2);
}

static void fuzz_kick(struct fuzz *f)
{
	rd_kick(&f->rd);
	fd_event_signal(f->stop_fd);
	loop_run(f->loop);
}

/** Takes used chains back and checks what they say. */
static void fuzz_check(struct fuzz *f)
{
	uint16_t head;
	uint32_t len;
	struct stat st;

	while (!f->wild && rd_pop_used(&f->rd, &head, &len))
		BUG_ON(!len || len > f->in_len[head]);
	BUG_ON(fstat(f->fd, &st) || st.st_size != (off_t)FUZZ_IMAGE);
	BUG_ON(f->ro && st.st_blocks);
}

static void fuzz_step(struct fuzz *f)
{
	switch (fuzz_take(f, 1) % 8) {
	case 0:
		fuzz_poke(f);
		break;
	case 1:
		fuzz_header(f, fuzz_take(f, 2));
		break;
	case 2:
		fuzz_chain(f);
		break;
	case 3:
		fuzz_kick(f);
		break;
	case 4:
		f->b->ops->drain(f->b);
		break;
	case 5:
		f->b->ops->stop(f->b);
		fuzz_start(f);
		break;
	case 6:
		f->wild = true;
		rd_publish(&f->rd, (uint16_t)(fuzz_take(f, 1) % (FUZZ_QUEUE + 1)));
		break;
	case 7:
		fuzz_usual_chain(f);
		break;
	}
	fuzz_check(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz f = { .in = data, .left = size };

	log_set_level(LOG_ERROR);
	fuzz_init(&f);
	for (unsigned i = 0; i < FUZZ_STEPS && f.left; i++)
		fuzz_step(&f);
	f.b->ops->drain(f.b);
	fuzz_check(&f);
	fuzz_fini(&f);
	return 0;
}
