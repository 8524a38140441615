/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices, and what is said of them elsewhere: their aliases, and the uart that is stdout.
 *
 * Invariant: no two nodes are called the same, so no two devices of a name have one base.
 *
 * Bindings: serial/8250, virtio/mmio, misc/pvpanic-mmio, rtc/arm,pl031, arm/primecell,
 * clock/fixed-clock, rtc/trivial-rtc. No state; any thread.
 */
#include <errno.h>
#include <stdio.h>

#include "fdt/parts.h"

#define DTB_MAX_SPI 987U

/* What a PC's uart runs at: 115200 is its divisor 1. Ours has no clock at all. */
#define DTB_UART_HZ   1843200U
#define DTB_UART_BAUD 115200U
#define DTB_PL031_HZ  24000000U /* likewise: Linux wants to have the clock, not to know it */
#define DTB_PATH_LEN  32U       /* "/serial@" and 16 digits */

static const struct dtb_kind {
	const char *name;          /* of the node */
	const char *compatible[2]; /* NULL: no second one */
	bool needs_irq;
} dtb_kinds[] = {
	[FDT_DEV_UART] = { "serial", { "ns16550a" }, true },
	[FDT_DEV_VIRTIO_MMIO] = { "virtio", { "virtio,mmio" }, true },
	[FDT_DEV_PVPANIC] = { "pvpanic", { "qemu,pvpanic-mmio" }, false },
	[FDT_DEV_RTC_PL031] = { "rtc", { "arm,pl031", "arm,primecell" }, false },
	[FDT_DEV_RTC_GOLDFISH] = { "rtc", { "google,goldfish-rtc" }, true },
};

static int dtb_dev_check_irq(
	const struct fdt_machine *m, const struct fdt_dev *dev, struct err *err)
{
	const char *name = dtb_kinds[dev->kind].name;
	unsigned min = m->aarch64 ? 0 : 1, max = m->aarch64 ? DTB_MAX_SPI : m->riscv64->nr_sources;

	if (!dev->has_irq && dtb_kinds[dev->kind].needs_irq)
		return err_set(err, EINVAL, "FDT: %s@%llx has no interrupt", name,
			(unsigned long long)dev->base);
	if (dev->has_irq && (dev->irq < min || dev->irq > max))
		return err_set(err, EINVAL, "FDT: %s@%llx: no interrupt %u (%u to %u)", name,
			(unsigned long long)dev->base, dev->irq, min, max);
	return 0;
}

int dtb_devs_check(const struct fdt_machine *m, struct err *err)
{
	for (unsigned i = 0; i < m->nr_devs; i++) {
		const struct fdt_dev *dev = &m->dev[i];
		struct fdt_range window = { dev->base, dev->len };
		const char *name;
		int r;

		BUG_ON((unsigned)dev->kind >= ARRAY_SIZE(dtb_kinds));
		name = dtb_kinds[dev->kind].name;
		r = dtb_check_range(&window, name, err);
		if (r == 0)
			r = dtb_dev_check_irq(m, dev, err);
		if (r < 0)
			return r;
		for (unsigned k = 0; k < i; k++)
			if (m->dev[k].base == dev->base &&
				strcmp(dtb_kinds[m->dev[k].kind].name, name) == 0)
				return err_set(err, EINVAL, "FDT: two devices are %s@%llx", name,
					(unsigned long long)dev->base);
	}
	return 0;
}

static void dtb_dev_irq(struct dtb *d, const struct fdt_machine *m, uint32_t irq)
{
	const uint32_t gic[] = { 0 /* SPI */, irq, DTB_IRQ_EDGE_RISING };
	const uint32_t aplic[] = { irq, DTB_IRQ_EDGE_RISING };

	if (m->aarch64) {
		dtb_cells(d, "interrupts", gic, ARRAY_SIZE(gic));
		return;
	}
	dtb_u32(d, "interrupt-parent", DTB_PHANDLE_IRQCHIP);
	dtb_cells(d, "interrupts", aplic, m->riscv64->aia ? 2 : 1);
}

static void dtb_dev(struct dtb *d, const struct fdt_machine *m, const struct fdt_dev *dev)
{
	const struct dtb_kind *k = &dtb_kinds[dev->kind];
	struct fdt_range window = { dev->base, dev->len };

	dtb_begin_at(d, k->name, dev->base);
	dtb_strs(d, "compatible", k->compatible, k->compatible[1] ? 2 : 1);
	dtb_reg(d, &window, 1);
	if (dev->has_irq)
		dtb_dev_irq(d, m, dev->irq);
	switch (dev->kind) {
	case FDT_DEV_UART:
		dtb_u32(d, "clock-frequency", DTB_UART_HZ);
		dtb_u32(d, "current-speed", DTB_UART_BAUD);
		break;
	case FDT_DEV_VIRTIO_MMIO:
		/* Only these touch memory, and aarch64 would clean caches for them. */
		dtb_flag(d, "dma-coherent");
		break;
	case FDT_DEV_RTC_PL031:
		dtb_u32(d, "clocks", DTB_PHANDLE_CLOCK);
		dtb_str(d, "clock-names", "apb_pclk");
		break;
	case FDT_DEV_PVPANIC:
	case FDT_DEV_RTC_GOLDFISH:
		break;
	}
	dtb_end(d);
}

/* The clock that a primecell must have. */
static void dtb_clock(struct dtb *d)
{
	dtb_begin(d, "apb-pclk");
	dtb_str(d, "compatible", "fixed-clock");
	dtb_u32(d, "#clock-cells", 0);
	dtb_u32(d, "clock-frequency", DTB_PL031_HZ);
	dtb_u32(d, "phandle", DTB_PHANDLE_CLOCK);
	dtb_end(d);
}

void dtb_devs_write(struct dtb *d, const struct fdt_machine *m)
{
	bool clock = false;

	for (unsigned i = 0; i < m->nr_devs; i++) {
		if (m->dev[i].kind == FDT_DEV_RTC_PL031 && !clock) {
			dtb_clock(d);
			clock = true;
		}
		dtb_dev(d, m, &m->dev[i]);
	}
}

static void dtb_uart_path(const struct fdt_dev *dev, char ret[DTB_PATH_LEN])
{
	snprintf(ret, DTB_PATH_LEN, "/%s@%llx", dtb_kinds[dev->kind].name,
		(unsigned long long)dev->base);
}

/* So that ttyS0 is the first one, whatever order Linux meets them in. */
void dtb_aliases_write(struct dtb *d, const struct fdt_machine *m)
{
	char name[16], path[DTB_PATH_LEN];
	unsigned nr = 0;

	dtb_begin(d, "aliases");
	for (unsigned i = 0; i < m->nr_devs; i++) {
		if (m->dev[i].kind != FDT_DEV_UART)
			continue;
		snprintf(name, sizeof(name), "serial%u", nr++);
		dtb_uart_path(&m->dev[i], path);
		dtb_str(d, name, path);
	}
	dtb_end(d);
}

void dtb_stdout_write(struct dtb *d, const struct fdt_machine *m)
{
	char path[DTB_PATH_LEN];

	for (unsigned i = 0; i < m->nr_devs; i++) {
		if (m->dev[i].kind != FDT_DEV_UART)
			continue;
		dtb_uart_path(&m->dev[i], path);
		dtb_str(d, "stdout-path", path);
		return;
	}
}
