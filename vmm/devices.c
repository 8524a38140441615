// SPDX-License-Identifier: BSD-3-Clause
/*
 * Every device that a guest can touch: the table of virtio models below, and the few that are
 * not virtio (uarts, power registers, pvpanic). Registers, lines and doorbells are given out
 * here; what a device does with them is its own.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/fd.h"
#include "base/log.h"
#include "block/block.h"
#include "virtio/blk.h"
#include "virtio/console.h"
#include "virtio/rng.h"
#include "vmm/vm.h"

#define DISK_DEPTH      128
#define DISK_MAX_QUEUES 8 /* unless queues= says more */

/* ---- virtio models ---- */

static int devices_make_block(
	struct vm *vm, unsigned i, struct virtio_backend **ret, struct err *err)
{
	const struct disk_config *d = &vm->cfg->disk[i];
	static const enum block_executor executors[] = { BLOCK_EXEC_URING, BLOCK_EXEC_PLAIN };
	struct block_config bc = {
		.path = d->path,
		.ro = d->ro,
		.direct = d->direct,
		.sparse = d->sparse,
		.lock = d->lock,
		.block_size = (uint32_t)d->block_size,
		.executor = d->executor_seen ? executors[d->executor] : BLOCK_EXEC_AUTO,
		.depth = DISK_DEPTH,
	};
	struct virtio_blk_options vo = {
		.serial = d->id,
		.nr_queues =
			(unsigned)(d->queues ? d->queues : MIN(vm->cfg->cpus, DISK_MAX_QUEUES)),
	};
	struct block *image;
	int rc = block_open(&bc, &image, err);

	if (rc)
		return rc;
	log_debug("--block: %s: %llu bytes, %s", d->path, (unsigned long long)block_size(image),
		block_executor_name(image));
	return virtio_blk_create(image, &vo, &vm->gm, vm->loop, ret, err);
}

static const struct serial_config *devices_nth_console(const struct config *cfg, unsigned n)
{
	/* hvc numbers follow num=, not the order of options. */
	for (uint64_t num = 1; num <= CONFIG_MAX_SERIALS; num++)
		for (unsigned i = 0; i < cfg->nr_serials; i++)
			if (cfg->serial[i].hardware == SERIAL_VIRTIO_CONSOLE &&
				cfg->serial[i].num == num && !n--)
				return &cfg->serial[i];
	return NULL;
}

static int devices_make_console(
	struct vm *vm, unsigned i, struct virtio_backend **ret, struct err *err)
{
	struct chardev *cd;
	int rc = serial_open(vm, devices_nth_console(vm->cfg, i), &cd, err);

	return rc ? rc : virtio_console_create(cd, &vm->gm, vm->loop, ret, err);
}

static int devices_make_rng(
	struct vm *vm, unsigned i __unused, struct virtio_backend **ret, struct err *err)
{
	return virtio_rng_create(&vm->gm, vm->loop, ret, err);
}

static unsigned devices_nr_block(const struct config *cfg)
{
	return cfg->nr_disks;
}

static unsigned devices_nr_console(const struct config *cfg)
{
	unsigned n = 0;

	while (devices_nth_console(cfg, n))
		n++;
	return n;
}

static unsigned devices_nr_rng(const struct config *cfg)
{
	return !cfg->no_rng;
}

/* The guest finds them in this order: disks first, so that vda is the first --block. */
static const struct {
	const char *name;
	unsigned (*count)(const struct config *cfg);
	int (*make)(struct vm *vm, unsigned i, struct virtio_backend **ret, struct err *err);
} device_kinds[] = {
	{ "block", devices_nr_block, devices_make_block },
	{ "console", devices_nr_console, devices_make_console },
	{ "rng", devices_nr_rng, devices_make_rng },
};

/* ---- registers and lines ---- */

static struct irq_line *devices_add_desc(struct vm *vm, const struct dev_desc *d)
{
	BUG_ON(vm->nr_devs == VM_MAX_DEVS);
	vm->dev[vm->nr_devs] = *d;
	vm->line[vm->nr_devs].gsi = d->gsi;
	return &vm->line[vm->nr_devs++];
}

static unsigned devices_nr_lines(const struct vm *vm)
{
	unsigned n = 1;

	for (unsigned i = 0; i < vm->nr_devs; i++)
		if (vm->dev[i].has_irq)
			n = MAX(n, vm->dev[i].gsi + 1);
	return n;
}

/** What there will be, before any of it is made: the interrupt chip must know. */
static void devices_describe(struct vm *vm)
{
	struct dev_desc d;

	for (unsigned i = 0; i < vm->cfg->nr_serials; i++) {
		const struct serial_config *s = &vm->cfg->serial[i];

		if (s->hardware != SERIAL_UART)
			continue;
		arch_uart_desc((unsigned)s->num - 1, &d);
		devices_add_desc(vm, &d);
	}
	arch_power_desc(&d);
	devices_add_desc(vm, &d);
	arch_pvpanic_desc(&d);
	devices_add_desc(vm, &d);
	for (unsigned k = 0; k < ARRAY_SIZE(device_kinds); k++)
		vm->nr_virtio += device_kinds[k].count(vm->cfg);
	BUG_ON(vm->nr_virtio > ARCH_MAX_VIRTIO);
	for (unsigned i = 0; i < vm->nr_virtio; i++) {
		d = (struct dev_desc){
			.kind = DEV_VIRTIO_MMIO,
			.base = arch_virtio_base() + (gpa_t)i * ARCH_VIRTIO_STEP,
			.len = ARCH_VIRTIO_STEP,
			.gsi = arch_virtio_gsi(i),
			.has_irq = true,
			.index = i,
		};
		devices_add_desc(vm, &d);
	}
}

static int devices_bind_lines(struct vm *vm, struct err *err)
{
	for (unsigned i = 0; i < vm->nr_devs; i++) {
		int rc;

		if (!vm->dev[i].has_irq)
			continue;
		rc = vm->line[i].fd = fd_event();
		if (rc >= 0)
			rc = hv_irqfd(vm->hvm, vm->line[i].gsi, vm->line[i].fd);
		if (rc < 0)
			return err_errno(err, -rc, "KVM: interrupt line %u", vm->line[i].gsi);
	}
	return 0;
}

/** The n-th device of a kind in the description. */
static unsigned devices_find(const struct vm *vm, enum dev_kind kind, unsigned n)
{
	for (unsigned i = 0; i < vm->nr_devs; i++)
		if (vm->dev[i].kind == kind && !n--)
			return i;
	bug(__FILE__, __LINE__, "device is described");
}

static int devices_add_bus(struct vm *vm, const struct dev_desc *d, const struct bus_ops *ops,
	void *ctx, struct err *err)
{
	int rc = bus_add(d->is_port ? &vm->pio : &vm->mmio, d->base, d->len, ops, ctx);

	return rc ? err_errno(err, -rc, "registers at 0x%llx", (unsigned long long)d->base) : 0;
}

/* ---- what is not virtio ---- */

static int devices_make_uarts(struct vm *vm, struct err *err)
{
	unsigned n = 0;

	for (unsigned i = 0; i < vm->cfg->nr_serials; i++) {
		const struct serial_config *s = &vm->cfg->serial[i];
		struct chardev *cd;
		unsigned at;
		int rc;

		if (s->hardware != SERIAL_UART)
			continue;
		at = devices_find(vm, DEV_UART, n);
		rc = serial_open(vm, s, &cd, err);
		if (!rc)
			rc = uart_create(vm->loop, cd, &vm->line[at], &vm->uart[n], err);
		if (!rc)
			rc = devices_add_bus(vm, &vm->dev[at], &uart_bus_ops, vm->uart[n], err);
		if (rc)
			return rc;
		n++;
	}
	return 0;
}

static int devices_make_power(struct vm *vm, struct err *err)
{
	const struct dev_desc i8042 = { .is_port = true, .base = 0x64, .len = 1 };
	int rc = devices_add_bus(
		vm, &vm->dev[devices_find(vm, DEV_SLEEP, 0)], &power_bus_ops, &vm->power, err);

	if (!rc)
		rc = devices_add_bus(vm, &vm->dev[devices_find(vm, DEV_PVPANIC, 0)],
			&pvpanic_bus_ops, &vm->power, err);
	if (!rc)
		rc = devices_add_bus(vm, &i8042, &i8042_reset_ops, &vm->power, err);
	return rc;
}

/* ---- virtio-mmio ---- */

static int devices_bind_doorbell(void *ctx, gpa_t gpa, uint32_t value, int fd)
{
	struct vm *vm = ctx;

	return hv_ioeventfd(vm->hvm, gpa, value, fd);
}

/** One mapping and one slot for all register pages: they are neighbours in the guest too. */
static int devices_map_pages(struct vm *vm, struct err *err)
{
	int rc;

	if (!vm->nr_virtio)
		return 0;
	vm->pages_len = (size_t)vm->nr_virtio * VIRTIO_MMIO_PAGE;
	vm->pages = mmap(
		NULL, vm->pages_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (vm->pages == MAP_FAILED) {
		vm->pages = NULL;
		return err_errno(err, errno, "device registers");
	}
	rc = hv_map_readonly(vm->hvm, arch_virtio_base(), vm->pages, vm->pages_len);
	if (rc)
		log_info("device registers are read by exits: %s", strerrordesc_np(-rc));
	rc = vm->ack_fd = fd_event();
	return rc < 0 ? err_errno(err, -rc, "device registers") : 0;
}

static int devices_make_virtio(struct vm *vm, struct err *err)
{
	struct doorbell db = { .bind = devices_bind_doorbell, .ctx = vm };
	unsigned n = 0;
	int rc = devices_map_pages(vm, err);

	for (unsigned k = 0; !rc && k < ARRAY_SIZE(device_kinds); k++) {
		unsigned count = device_kinds[k].count(vm->cfg);

		for (unsigned i = 0; !rc && i < count; i++, n++) {
			unsigned at = devices_find(vm, DEV_VIRTIO_MMIO, n);
			struct virtio_backend *b;

			rc = device_kinds[k].make(vm, i, &b, err);
			if (!rc)
				rc = virtio_mmio_create(b, vm->pages + (size_t)n * VIRTIO_MMIO_PAGE,
					vm->dev[at].base, &vm->line[at], &db, vm->ack_fd, &vm->mmio,
					&vm->virtio[n], err);
		}
	}
	return rc;
}

int devices_create(struct vm *vm, struct err *err)
{
	struct arch_buses buses = { .mmio = &vm->mmio, .pio = &vm->pio };
	int rc;

	devices_describe(vm);
	rc = arch_vm_create(vm->hvm, devices_nr_lines(vm), &buses, &vm->arch, err);
	if (!rc)
		rc = devices_bind_lines(vm, err);
	if (!rc)
		rc = devices_make_uarts(vm, err);
	if (!rc)
		rc = devices_make_power(vm, err);
	if (!rc)
		rc = devices_make_virtio(vm, err);
	return rc;
}

void devices_drain(struct vm *vm)
{
	for (unsigned i = 0; i < vm->nr_virtio; i++)
		virtio_mmio_drain(vm->virtio[i]);
	for (unsigned i = 0; i < ARCH_MAX_UARTS; i++)
		if (vm->uart[i])
			uart_drain(vm->uart[i]);
}

void devices_destroy(struct vm *vm)
{
	for (unsigned i = 0; i < vm->nr_virtio; i++)
		virtio_mmio_destroy(vm->virtio[i]);
	for (unsigned i = 0; i < ARCH_MAX_UARTS; i++)
		uart_destroy(vm->uart[i]);
	for (unsigned i = 0; i < VM_MAX_DEVS; i++)
		fd_close(&vm->line[i].fd);
	if (vm->pages)
		munmap(vm->pages, vm->pages_len);
}
