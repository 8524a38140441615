// SPDX-License-Identifier: BSD-3-Clause
/*
 * Where the devices of a device-tree machine sit, and how its payload is put into memory.
 *
 * Invariant: the tree's room is part of what the loader takes the kernel to occupy, so that no
 * initrd can land in it.
 */
#include "arch/devicetree/devicetree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fd.h"
#include "devices/power.h"
#include "devices/uart.h"

#define FDT_MAGIC_LEN 8 /* magic and total size, big-endian words */

const char *const arch_uart_tty = "ttyS";
const bool arch_has_acpi = false;
const bool arch_has_fdt = true;
const uint64_t arch_baseline_mem_mib = UINT64_MAX; /* address bits are the host's */

int arch_add_ram(struct guest_memory *gm, uint64_t bytes, struct err *err)
{
	return gm_add_ram(gm, DT_RAM, bytes, err);
}

gpa_t arch_virtio_base(void)
{
	return DT_VIRTIO;
}

uint32_t arch_virtio_gsi(unsigned n)
{
	BUG_ON(n >= ARCH_MAX_VIRTIO);
	return DT_GSI_VIRTIO + n;
}

void arch_uart_desc(unsigned n, struct dev_desc *ret)
{
	BUG_ON(n >= ARCH_MAX_UARTS);
	*ret = (struct dev_desc){
		.kind = DEV_UART,
		.base = DT_UART + (uint64_t)n * DT_STEP,
		.len = UART_LEN,
		.gsi = DT_GSI_UART + n,
		.has_irq = true,
		.index = n,
	};
}

unsigned arch_fixed_devs(struct dev_desc ret[ARCH_MAX_FIXED])
{
	ret[0] = (struct dev_desc){
		.kind = dt_rtc_kind,
		.base = DT_RTC,
		.len = dt_rtc_len,
		.gsi = DT_GSI_RTC,
		.has_irq = true,
	};
	ret[1] = (struct dev_desc){ .kind = DEV_PVPANIC, .base = DT_PVPANIC, .len = PVPANIC_LEN };
	return 2;
}

void arch_cmdline_words(const struct arch_boot *boot __unused, char *buf, size_t len __unused)
{
	buf[0] = '\0';
}

/* ---- the payload ---- */

int arch_load_payload(struct guest_memory *gm, const struct arch_boot *boot,
	struct arch_payload *ret, struct err *err)
{
	gpa_t limit = gm->region[0].base + gm->region[0].len;
	struct kernel_image *k = &ret->kernel;
	int rc = kernel_load(
		gm, boot->kernel_fd, boot->kernel_path, &dt_kernel_target, DT_RAM, k, err);

	if (rc)
		return rc;
	ret->initrd = 0;
	ret->initrd_len = 0;
	/* Behind the kernel, on a page of its own whatever size of page the kernel uses. */
	if (!align_up_u64(k->end, 0x10000, &ret->tables) || ret->tables > limit ||
		limit - ret->tables < DT_ROOM)
		return err_set(err, ENOSPC, "KERNEL: %.256s: leaves no RAM for the device tree",
			boot->kernel_path);
	k->end = ret->tables + DT_ROOM;
	if (boot->initrd_fd >= 0)
		rc = initrd_load(gm, boot->initrd_fd, boot->initrd_path, k, limit, &ret->initrd,
			&ret->initrd_len, err);
	return rc;
}

/** fdt/'s word for a device, or false for one that a tree does not hold. */
static bool dt_dev(const struct dev_desc *d, struct fdt_dev *ret)
{
	static const struct {
		enum dev_kind dev;
		enum fdt_dev_kind fdt;
	} kinds[] = {
		{ DEV_UART, FDT_DEV_UART },
		{ DEV_VIRTIO_MMIO, FDT_DEV_VIRTIO_MMIO },
		{ DEV_PVPANIC, FDT_DEV_PVPANIC },
		{ DEV_RTC_PL031, FDT_DEV_RTC_PL031 },
		{ DEV_RTC_GOLDFISH, FDT_DEV_RTC_GOLDFISH },
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (kinds[i].dev != d->kind)
			continue;
		*ret = (struct fdt_dev){
			.kind = kinds[i].fdt,
			.base = d->base,
			.len = d->len,
			.has_irq = d->has_irq,
			.irq = d->gsi,
		};
		return true;
	}
	return false;
}

static void dt_free_devs(struct fdt_dev **dev)
{
	free(*dev);
}

/** Builds the tree where it belongs. */
static int dt_write(const struct guest_memory *gm, const struct arch_boot *boot,
	const struct arch_payload *p, struct err *err)
{
	const struct fdt_range ram = { gm->region[0].base, gm->region[0].len };
	struct fdt_machine m = {
		.ram = &ram,
		.nr_ram = 1,
		.nr_cpus = boot->nr_cpus,
		.cmdline = boot->cmdline,
		.initrd_start = p->initrd,
		.initrd_len = p->initrd_len,
	};
	__cleanup(dt_free_devs) struct fdt_dev *dev = calloc(boot->nr_devs + 1, sizeof(*dev));
	uint8_t *room = gm_slice(gm, p->tables, DT_ROOM);
	struct dt_isa *isa = NULL;
	size_t len;
	int rc;

	if (!dev)
		return err_errno(err, ENOMEM, "device tree");
	BUG_ON(!room); /* arch_load_payload saw to it */
	m.dev = dev;
	for (unsigned i = 0; i < boot->nr_devs; i++)
		m.nr_devs += dt_dev(&boot->dev[i], &dev[m.nr_devs]);
	/* The seed's first bytes place the kernel, the rest is for its generator. */
	if (boot->rng_seed_len > sizeof(m.kaslr_seed)) {
		m.has_kaslr_seed = true;
		m.kaslr_seed = le64_get(boot->rng_seed);
		m.rng_seed = boot->rng_seed + sizeof(m.kaslr_seed);
		m.rng_seed_len = boot->rng_seed_len - (unsigned)sizeof(m.kaslr_seed);
	}
	rc = dt_isa_describe(boot->av, &m, &isa, err);
	if (!rc)
		rc = fdt_build(&m, room, DT_ROOM, &len, err);
	dt_isa_free(isa);
	return rc;
}

int arch_load(struct guest_memory *gm, const struct arch_boot *boot,
	const struct arch_payload *payload, struct arch_entry *ret, struct err *err)
{
	int rc = cmdline_check(boot->cmdline, &payload->kernel, err);

	if (!rc)
		rc = dt_write(gm, boot, payload, err);
	if (rc)
		return rc;
	*ret = (struct arch_entry){
		.kind = payload->kernel.kind,
		.pc = payload->kernel.entry,
		.arg = payload->tables,
	};
	return 0;
}

/* ---- dumps ---- */

/** The tree as it was written; nothing runs yet. */
static const uint8_t *dt_written(
	const struct guest_memory *gm, const struct arch_payload *p, size_t *ret_len)
{
	const uint8_t *fdt = gm_slice(gm, p->tables, DT_ROOM);

	BUG_ON(!fdt);
	*ret_len = __builtin_bswap32(le32_get(fdt + 4));
	BUG_ON(*ret_len < FDT_MAGIC_LEN || *ret_len > DT_ROOM);
	return fdt;
}

static int dt_dump(const struct guest_memory *gm, const struct arch_payload *p, const char *opt,
	const char *path, struct err *err)
{
	size_t len;
	const uint8_t *fdt = dt_written(gm, p, &len);
	int rc;

	fd_auto int fd = fd_open(opt, path, O_WRONLY | O_CREAT | O_TRUNC, err);
	if (fd < 0)
		return fd;
	rc = fd_write_full(fd, fdt, len);
	return rc ? err_errno(err, -rc, "%s: %s", opt, path) : 0;
}

int arch_dump_tables(const struct guest_memory *gm, const struct arch_boot *boot __unused,
	const struct arch_payload *payload, const char *dir, struct err *err)
{
	char path[4096];

	if (snprintf(path, sizeof(path), "%s/fdt.dtb", dir) >= (int)sizeof(path))
		return err_errno(err, ENAMETOOLONG, "--dump-tables: %s", dir);
	return dt_dump(gm, payload, "--dump-tables", path, err);
}

int arch_dump_fdt(const struct guest_memory *gm, const struct arch_payload *payload,
	const char *path, struct err *err)
{
	return dt_dump(gm, payload, "--dump-device-tree-blob", path, err);
}

void arch_measure(const struct guest_memory *gm, const struct arch_payload *payload,
	arch_measure_fn put, void *ctx)
{
	size_t len;
	const uint8_t *fdt = dt_written(gm, payload, &len);

	put(ctx, "tables", fdt, len);
}

/* Clocks are devices here. */
void arch_on_wrmsr(struct arch_vm *av __unused, struct hv_exit *exit __unused,
	const struct guest_memory *gm __unused)
{
}

/* KVM needs a processor that can virtualize here: nothing is suspected, and run does not probe. */
bool arch_probe_suspect(void)
{
	return false;
}

bool arch_probe_ended(const struct hv_exit *exit)
{
	return exit->kind == HV_EXIT_MMIO && exit->mmio.addr == DT_PROBE_PORT;
}
