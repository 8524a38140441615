// SPDX-License-Identifier: BSD-3-Clause
/*
 * Every device that a guest can touch: the virtio models of vmm/models.c, each in a process of
 * its own or on the I/O thread, foreign back ends, and the few that are not virtio (uarts, power
 * registers, pvpanic, clocks). Registers, lines and doorbells are given out here; what a device
 * does with them is its own.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "vhost-user/front.h"
#include "vmm/broker.h"
#include "vmm/fixed.h"
#include "vmm/foreign.h"
#include "vmm/vm.h"

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

static unsigned devices_nr_models(const struct config *cfg)
{
	unsigned n = 0;

	for (const struct model *m = models; m->cls; m++)
		n += m->count(cfg);
	return n;
}

/** What there will be, before any of it is made: the interrupt chip must know. */
static void devices_describe(struct vm *vm)
{
	struct dev_desc fixed[ARCH_MAX_FIXED], d;
	unsigned n;

	for (unsigned i = 0; i < vm->cfg->nr_serials; i++) {
		const struct serial_config *s = &vm->cfg->serial[i];

		if (s->hardware != SERIAL_UART)
			continue;
		arch_uart_desc((unsigned)s->num - 1, &d);
		devices_add_desc(vm, &d);
	}
	n = arch_fixed_devs(fixed);
	for (unsigned i = 0; i < n; i++)
		devices_add_desc(vm, &fixed[i]);
	vm->nr_virtio =
		devices_nr_models(vm->cfg) + vm->cfg->nr_foreign + (vm->cfg->vsock.device != NULL);
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

static int devices_make_lines(struct vm *vm, struct err *err)
{
	for (unsigned i = 0; i < vm->nr_devs; i++) {
		if (!vm->dev[i].has_irq)
			continue;
		vm->line[i].fd = fd_event();
		if (vm->line[i].fd < 0)
			return err_errno(
				err, -vm->line[i].fd, "interrupt line %u", vm->line[i].gsi);
	}
	return 0;
}

static int devices_bind_lines(struct vm *vm, struct err *err)
{
	for (unsigned i = 0; i < vm->nr_devs; i++) {
		int rc;

		if (!vm->dev[i].has_irq)
			continue;
		rc = arch_irq_bind(vm->arch, vm->line[i].gsi, vm->line[i].fd);
		if (rc)
			return err_errno(err, -rc, "KVM: interrupt line %u", vm->line[i].gsi);
	}
	return 0;
}

int devices_bind(struct vm *vm, struct err *err)
{
	int rc = -ENOTSUP;

	if (vm->nr_virtio && arch_pages_readable(vm->arch))
		rc = hv_map_readonly(vm->hvm, arch_virtio_base(), vm->pages, vm->pages_len);
	if (rc && vm->nr_virtio)
		log_info("device registers are read by exits: %s", strerrordesc_np(-rc));
	return devices_bind_lines(vm, err);
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
		struct model_files files;
		struct chardev *cd;
		unsigned at;
		int rc;

		if (s->hardware != SERIAL_UART)
			continue;
		at = devices_find(vm, DEV_UART, n);
		rc = serial_open(s, &files, err);
		if (!rc)
			rc = serial_create(&vm->host, s, &files, &cd, err);
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

static int devices_make_rtc(struct vm *vm, unsigned at, struct err *err)
{
	const struct dev_desc *d = &vm->dev[at];
	const struct rtc_clock *clock = &rtc_host_clock;
	int rc;

	if (vm->cfg->clock_seen) {
		fixed_clock_start(&vm->clock, &vm->clock_start_ns, vm->cfg->clock_s);
		clock = &vm->clock;
	}
	if (d->kind == DEV_RTC_PL031) {
		rc = pl031_create(vm->loop, clock, &vm->line[at], &vm->pl031, err);
		return rc ? rc : devices_add_bus(vm, d, &pl031_bus_ops, vm->pl031, err);
	}
	rc = goldfish_rtc_create(vm->loop, clock, &vm->line[at], &vm->goldfish, err);
	return rc ? rc : devices_add_bus(vm, d, &goldfish_rtc_bus_ops, vm->goldfish, err);
}

/** What every machine of the architecture has. */
static int devices_make_fixed(struct vm *vm, struct err *err)
{
	int rc = 0;

	for (unsigned i = 0; !rc && i < vm->nr_devs; i++) {
		const struct dev_desc *d = &vm->dev[i];

		switch (d->kind) {
		case DEV_SLEEP:
			rc = devices_add_bus(vm, d, &power_bus_ops, &vm->power, err);
			break;
		case DEV_PVPANIC:
			rc = devices_add_bus(vm, d, &pvpanic_bus_ops, &vm->power, err);
			break;
		case DEV_I8042:
			rc = devices_add_bus(vm, d, &i8042_reset_ops, &vm->power, err);
			break;
		case DEV_RTC_PL031:
		case DEV_RTC_GOLDFISH:
			rc = devices_make_rtc(vm, i, err);
			break;
		case DEV_UART:
		case DEV_VIRTIO_MMIO:
		case DEV_KIND_NR:
			break;
		}
	}
	return rc;
}

void devices_console_put(void *ctx, const void *buf, size_t len)
{
	struct vm *vm = ctx;

	/* The first uart is the console that firmware knows; without one nobody listens. */
	if (vm->uart[0])
		uart_put(vm->uart[0], buf, len);
}

/* ---- virtio-mmio ---- */

static int devices_bind_doorbell(void *ctx, gpa_t gpa, uint32_t value, int fd)
{
	struct vm *vm = ctx;

	return hv_ioeventfd(vm->hvm, gpa, value, fd);
}

/** One mapping and one slot for all register pages: they are neighbours in the guest too. */
static int devices_make_pages(struct vm *vm, struct err *err)
{
	uint64_t len;
	int rc;

	if (!vm->nr_virtio)
		return 0;
	/* Whole pages of the host, which may be larger: registers of devices that are not there. */
	BUG_ON(!align_up_u64(
		(uint64_t)vm->nr_virtio * VIRTIO_MMIO_PAGE, (uint64_t)sysconf(_SC_PAGESIZE), &len));
	vm->pages_len = (size_t)len;
	vm->pages = mmap(
		NULL, vm->pages_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (vm->pages == MAP_FAILED) {
		vm->pages = NULL;
		return err_errno(err, errno, "device registers");
	}
	rc = vm->ack_fd = fd_event();
	return rc < 0 ? err_errno(err, -rc, "device registers") : 0;
}

/** Puts b, the n-th virtio device, on the bus. */
static int devices_plug(struct vm *vm, unsigned n, struct virtio_backend *b, struct err *err)
{
	struct doorbell db = { .bind = devices_bind_doorbell, .ctx = vm };
	struct mmio_page page = {
		.bytes = vm->pages + (size_t)n * VIRTIO_MMIO_PAGE,
		.clean = arch_page_clean,
	};
	unsigned at = devices_find(vm, DEV_VIRTIO_MMIO, n);

	return virtio_mmio_create(b, &page, vm->dev[at].base, &vm->line[at], &db, vm->ack_fd,
		&vm->mmio, &vm->virtio[n], err);
}

int devices_attend(struct vm *vm, int fd, struct err *err)
{
	return fd < 0 ? 0 : broker_create(vm->loop, fd, vm->cfg->vsock.socket, &vm->broker, err);
}

static int devices_make_model(struct vm *vm, const struct model *m, unsigned i,
	struct virtio_backend **ret, struct err *err)
{
	struct model_files files;
	int rc = m->open(vm->cfg, i, &files, err);

	if (rc)
		return rc;
	rc = devices_attend(vm, fd_take(&files.request_fd), err);
	if (!rc)
		return m->make(&vm->host, i, &files, ret, err);
	model_files_close(&files);
	return rc;
}

static int devices_make_virtio(struct vm *vm, struct err *err)
{
	unsigned n = 0;
	int rc = devices_make_pages(vm, err);

	for (const struct model *m = models; !rc && m->cls; m++) {
		unsigned count = m->count(vm->cfg);

		for (unsigned i = 0; !rc && i < count; i++, n++) {
			struct virtio_backend *b;

			rc = vm->nr_procs ? procs_connect(vm, n, m, &b, err)
					  : devices_make_model(vm, m, i, &b, err);
			if (!rc)
				rc = devices_plug(vm, n, b, err);
		}
	}
	for (unsigned i = 0; !rc && i < vm->cfg->nr_foreign; i++, n++) {
		struct virtio_backend *b;

		rc = foreign_connect(vm, i, &b, err);
		if (!rc)
			rc = devices_plug(vm, n, b, err);
	}
	if (!rc && vm->cfg->vsock.device) {
		struct virtio_backend *b;

		rc = foreign_open_vsock(vm, &b, err);
		if (!rc)
			rc = devices_plug(vm, n, b, err);
	}
	return rc;
}

int devices_create(struct vm *vm, struct err *err)
{
	struct arch_parts parts = {
		.hv = vm->hv,
		.vm = vm->hvm,
		.mmio = &vm->mmio,
		.pio = &vm->pio,
		.loop = vm->loop,
		.nr_cpus = (unsigned)vm->cfg->cpus,
		.baseline_cpu = vm->cfg->cpu_model == CPU_MODEL_BASELINE,
		.fixed_clock = vm->cfg->clock_seen,
		.clock_s = (uint32_t)vm->cfg->clock_s,
	};
	int rc;

	devices_describe(vm);
	parts.nr_lines = devices_nr_lines(vm);
	rc = arch_vm_create(&parts, &vm->arch, err);
	if (vm->cfg->print_hash)
		return rc;
	if (!rc)
		rc = devices_make_lines(vm, err);
	if (!rc)
		rc = devices_make_uarts(vm, err);
	if (!rc)
		rc = devices_make_fixed(vm, err);
	if (!rc)
		rc = devices_make_virtio(vm, err);
	return rc;
}

void devices_drain(struct vm *vm)
{
	procs_let_go(vm);
	for (unsigned i = 0; i < vm->nr_virtio; i++)
		virtio_mmio_drain(vm->virtio[i]);
	procs_wait(vm);
	for (unsigned i = 0; i < ARCH_MAX_UARTS; i++)
		if (vm->uart[i])
			uart_drain(vm->uart[i]);
}

void devices_destroy(struct vm *vm)
{
	for (unsigned i = 0; i < vm->nr_virtio; i++)
		virtio_mmio_destroy(vm->virtio[i]);
	procs_destroy(vm);
	broker_destroy(vm->broker);
	for (unsigned i = 0; i < ARCH_MAX_UARTS; i++)
		uart_destroy(vm->uart[i]);
	pl031_destroy(vm->pl031);
	goldfish_rtc_destroy(vm->goldfish);
	for (unsigned i = 0; i < VM_MAX_DEVS; i++)
		fd_close(&vm->line[i].fd);
	if (vm->pages)
		munmap(vm->pages, vm->pages_len);
}
