// SPDX-License-Identifier: BSD-3-Clause
/*
 * Registers: what a hostile driver can write, at any offset, width and order, over a device
 * that really runs (virtio/local.c) and RAM that the input fills too.
 *
 * The input is 12-byte records: op, width, offset (2 bytes), value (8 bytes). After each
 * one the page must still be a page this device could show.
 */
#include <linux/virtio_mmio.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/loop.h"
#include "bus/bus.h"
#include "memory/memory.h"
#include "virtio-mmio/mmio.h"
#include "virtio/queue.h"
#include "virtio/virtio.h"

#define FUZZ_BASE       0xd0000000ULL
#define FUZZ_RAM        (16 * KIB)
#define FUZZ_QUEUES     3
#define FUZZ_QUEUE_MAX  64
#define FUZZ_CONFIG_LEN 10
#define FUZZ_RECORD     12
#define FUZZ_MAX_OPS    400
#define FUZZ_IOVECS     16

struct fuzz_device {
	struct virtio_device d;
	bool running;
	bool start_fails;
};

struct fuzz {
	struct fuzz_device dev;
	struct guest_memory gm;
	struct loop *loop;
	struct bus bus;
	struct irq_line line;
	struct virtio_mmio *m;
	struct watch poke;
	int poke_fd;
};

static uint8_t fuzz_page[VIRTIO_MMIO_PAGE] __attribute__((aligned(VIRTIO_MMIO_PAGE)));
static uint8_t fuzz_ram[FUZZ_RAM] __attribute__((aligned(VIRTIO_MMIO_PAGE)));

static struct fuzz_device *fuzz_device_of(struct virtio_device *d)
{
	return container_of(d, struct fuzz_device, d);
}

static int fuzz_start(struct virtio_device *d)
{
	struct fuzz_device *f = fuzz_device_of(d);

	BUG_ON(f->running);
	BUG_ON(d->features & ~(d->features_offered | VIRTIO_COMMON_FEATURES));
	BUG_ON(!virtio_has(d, 32));
	f->running = true;
	return f->start_fails ? -1 : 0;
}

static void fuzz_stop(struct virtio_device *d)
{
	struct fuzz_device *f = fuzz_device_of(d);

	BUG_ON(!f->running);
	f->running = false;
}

static void fuzz_notify(struct virtio_device *d, unsigned q)
{
	struct iovec iov[FUZZ_IOVECS];
	struct vq_chain chain;
	const char *why;
	int rc = 0;

	BUG_ON(!fuzz_device_of(d)->running);
	for (unsigned i = 0; i < FUZZ_QUEUE_MAX; i++) {
		rc = vq_pop(&d->vq[q], iov, FUZZ_IOVECS, &chain, &why);
		if (rc <= 0)
			break;
		vq_push(&d->vq[q], chain.head, 0);
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

static void fuzz_destroy(struct virtio_device *d)
{
	BUG_ON(fuzz_device_of(d)->running);
}

static const struct virtio_class fuzz_class = {
	.name = "fuzz",
	.device_id = 4,
	.queue_size_max = FUZZ_QUEUE_MAX,
	.start = fuzz_start,
	.stop = fuzz_stop,
	.notify = fuzz_notify,
	.config_write = fuzz_config_write,
	.destroy = fuzz_destroy,
};

static void fuzz_on_poke(struct watch *w, uint32_t events __unused)
{
	struct fuzz *f = container_of(w, struct fuzz, poke);

	fd_event_drain(w->fd);
	loop_stop(f->loop);
}

static uint32_t fuzz_reg(unsigned off)
{
	return le32_get(fuzz_page + off);
}

/** True for the registers that may differ between devices or moments. */
static bool fuzz_may_change(unsigned off)
{
	switch (off) {
	case VIRTIO_MMIO_DEVICE_FEATURES:
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
	case VIRTIO_MMIO_QUEUE_READY:
	case VIRTIO_MMIO_INTERRUPT_STATUS:
	case VIRTIO_MMIO_STATUS:
	case VIRTIO_MMIO_CONFIG_GENERATION:
		return true;
	}
	return off >= VIRTIO_MMIO_CONFIG && off < VIRTIO_MMIO_CONFIG + FUZZ_CONFIG_LEN;
}

static void fuzz_check(const struct fuzz *f, const uint8_t *fresh)
{
	uint32_t status = fuzz_reg(VIRTIO_MMIO_STATUS);

	for (unsigned off = 0; off < VIRTIO_MMIO_PAGE; off += 4)
		BUG_ON(!fuzz_may_change(off) && fuzz_reg(off) != le32_get(fresh + off));
	for (unsigned off = VIRTIO_MMIO_CONFIG + FUZZ_CONFIG_LEN; off & 3; off++)
		BUG_ON(fuzz_page[off]);
	BUG_ON(status & ~0xcfU);
	BUG_ON(status & 4 && !(status & 8));
	BUG_ON(status & 0x40 && !(status & 4));
	BUG_ON(f->dev.running && !(status & 4));
	BUG_ON(!f->dev.running && (status & 0x44) == 4);
	BUG_ON((fuzz_reg(VIRTIO_MMIO_INTERRUPT_STATUS) & ~2U) != !!(status & 4));
	BUG_ON(fuzz_reg(VIRTIO_MMIO_QUEUE_READY) > 1);
	if (fuzz_reg(VIRTIO_MMIO_QUEUE_NUM_MAX))
		BUG_ON(fuzz_reg(VIRTIO_MMIO_QUEUE_NUM_MAX) != FUZZ_QUEUE_MAX);
	else
		BUG_ON(fuzz_reg(VIRTIO_MMIO_QUEUE_READY));
}

/** Registers worth aiming at: a fuzzer would need long to find them among 4096 offsets. */
static unsigned fuzz_register(unsigned i)
{
	static const uint16_t regs[] = { VIRTIO_MMIO_STATUS, VIRTIO_MMIO_DEVICE_FEATURES_SEL,
		VIRTIO_MMIO_DRIVER_FEATURES_SEL, VIRTIO_MMIO_DRIVER_FEATURES, VIRTIO_MMIO_QUEUE_SEL,
		VIRTIO_MMIO_QUEUE_NUM, VIRTIO_MMIO_QUEUE_READY, VIRTIO_MMIO_QUEUE_NOTIFY,
		VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_QUEUE_DESC_LOW, VIRTIO_MMIO_QUEUE_DESC_HIGH,
		VIRTIO_MMIO_QUEUE_AVAIL_LOW, VIRTIO_MMIO_QUEUE_AVAIL_HIGH,
		VIRTIO_MMIO_QUEUE_USED_LOW, VIRTIO_MMIO_QUEUE_USED_HIGH, VIRTIO_MMIO_CONFIG };

	return regs[i % ARRAY_SIZE(regs)];
}

static void fuzz_op(struct fuzz *f, const uint8_t *rec)
{
	unsigned len = rec[1] % 17, off = le16_get(rec + 2);
	uint8_t data[16];

	memset(data, 0, sizeof(data));
	memcpy(data, rec + 4, 8);
	switch (rec[0] % 8) {
	case 0:
	case 1:
	case 2:
		bus_write(&f->bus, FUZZ_BASE + fuzz_register(off), data, 4);
		break;
	case 3:
		bus_write(&f->bus, FUZZ_BASE + off % (VIRTIO_MMIO_PAGE + 16), data, len);
		break;
	case 4:
		bus_read(&f->bus, FUZZ_BASE + off % (VIRTIO_MMIO_PAGE + 16), data, len);
		break;
	case 5:
		memcpy(fuzz_ram + off % (FUZZ_RAM - 8), data, 8);
		break;
	case 6:
		fd_event_signal(f->poke_fd);
		loop_run(f->loop);
		break;
	case 7:
		f->dev.start_fails = rec[1] & 1;
		break;
	}
}

static void fuzz_plug(struct fuzz *f)
{
	struct virtio_device *d = &f->dev.d;
	struct virtio_backend *b;
	struct err err;

	memset(fuzz_page, 0, sizeof(fuzz_page));
	memset(fuzz_ram, 0, sizeof(fuzz_ram));
	BUG_ON(gm_add_borrowed(&f->gm, 0, fuzz_ram, FUZZ_RAM));
	BUG_ON(loop_create(&f->loop, &err));
	f->poke_fd = fd_event();
	f->line.fd = fd_event();
	BUG_ON(f->poke_fd < 0 || f->line.fd < 0);
	BUG_ON(loop_add(f->loop, &f->poke, f->poke_fd, EPOLLIN, fuzz_on_poke));
	d->cls = &fuzz_class;
	d->gm = &f->gm;
	d->loop = f->loop;
	d->features_offered = BIT(3) | BIT(40);
	d->nr_queues = FUZZ_QUEUES;
	d->config_len = FUZZ_CONFIG_LEN;
	BUG_ON(virtio_local_create(d, &b, &err));
	BUG_ON(virtio_mmio_create(b, &(struct mmio_page){ .bytes = fuzz_page }, FUZZ_BASE, &f->line,
		NULL, -1, &f->bus, &f->m, &err));
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
	static uint8_t fresh[VIRTIO_MMIO_PAGE];
	static struct fuzz f;
	uint32_t reset = 0;

	log_set_level(LOG_ERROR);
	memset(&f, 0, sizeof(f));
	fuzz_plug(&f);
	memcpy(fresh, fuzz_page, sizeof(fresh));
	for (unsigned i = 0; i < FUZZ_MAX_OPS && len >= FUZZ_RECORD; i++) {
		fuzz_op(&f, in);
		fuzz_check(&f, fresh);
		in += FUZZ_RECORD;
		len -= FUZZ_RECORD;
	}
	bus_write(&f.bus, FUZZ_BASE + VIRTIO_MMIO_STATUS, &reset, sizeof(reset));
	/* Config and its generation outlive a reset; nothing else does. */
	memcpy(fresh + VIRTIO_MMIO_CONFIG_GENERATION, fuzz_page + VIRTIO_MMIO_CONFIG_GENERATION,
		4 + FUZZ_CONFIG_LEN);
	BUG_ON(memcmp(fresh, fuzz_page, sizeof(fresh)));
	virtio_mmio_drain(f.m);
	virtio_mmio_stop(f.m);
	virtio_mmio_destroy(f.m);
	loop_del(f.loop, &f.poke);
	loop_destroy(f.loop);
	fd_close(&f.poke_fd);
	fd_close(&f.line.fd);
	gm_fini(&f.gm);
	return 0;
}
