// SPDX-License-Identifier: BSD-3-Clause
/*
 * What the guest is told of its machine: the device list turned into acpi/'s description, or
 * into an MP table and virtio_mmio.device= words for kernels without ACPI.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "acpi/acpi.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/x86.h"
#include "base/fd.h"
#include "devices/power.h"

#define IOAPIC_ID 0

/** acpi/'s word for a device, or false where ACPI says it elsewhere (the FADT). */
static bool firmware_acpi_dev(const struct dev_desc *d, struct acpi_dev *ret)
{
	switch (d->kind) {
	case DEV_UART:
		ret->kind = ACPI_DEV_UART;
		break;
	case DEV_VIRTIO_MMIO:
		ret->kind = ACPI_DEV_VIRTIO_MMIO;
		break;
	case DEV_PVPANIC:
		ret->kind = ACPI_DEV_PVPANIC;
		break;
	default:
		return false;
	}
	ret->is_port = d->is_port;
	ret->base = d->base;
	ret->len = d->len;
	ret->has_irq = d->has_irq;
	ret->gsi = d->gsi;
	ret->index = d->index;
	return true;
}

static int firmware_build_acpi(
	const struct arch_boot *boot, struct acpi_tables *ret, struct err *err)
{
	struct acpi_dev *dev = calloc(boot->nr_devs + 1, sizeof(*dev));
	struct acpi_machine m = {
		.nr_cpus = boot->nr_cpus,
		.lapic_base = (uint32_t)X86_LAPIC,
		.ioapic_base = (uint32_t)X86_IOAPIC,
		.ioapic_id = IOAPIC_ID,
		.reset = { true, X86_PORT_POWER + POWER_RESET_REG },
		.sleep_control = { true, X86_PORT_POWER + POWER_SLEEP_CONTROL },
		.sleep_status = { true, X86_PORT_POWER + POWER_SLEEP_STATUS },
		.reset_value = POWER_RESET_VALUE,
		.s5_type = POWER_S5_TYPE,
		.dev = dev,
	};
	int rc;

	if (!dev)
		return err_errno(err, ENOMEM, "ACPI tables");
	for (unsigned i = 0; i < boot->nr_devs; i++)
		if (firmware_acpi_dev(&boot->dev[i], &dev[m.nr_devs]))
			m.nr_devs++;
	rc = acpi_build(&m, X86_TABLES, X86_TABLES_LEN, ret, err);
	free(dev);
	return rc;
}

/** Lines that the machine has: one more than the highest in use. */
static unsigned firmware_nr_lines(const struct arch_boot *boot)
{
	unsigned n = 1;

	for (unsigned i = 0; i < boot->nr_devs; i++)
		if (boot->dev[i].has_irq)
			n = MAX(n, boot->dev[i].gsi + 1);
	return n;
}

int x86_write_firmware(const struct guest_memory *gm, const struct arch_boot *boot,
	struct x86_firmware *ret, struct err *err)
{
	struct acpi_tables t = { 0 };
	uint8_t *room;
	int rc;

	ret->rsdp = 0;
	if (boot->no_acpi) {
		room = gm_slice(gm, X86_MPTABLE, X86_MPTABLE_LEN);
		if (!room ||
			mptable_build(boot->nr_cpus, firmware_nr_lines(boot), X86_MPTABLE, room,
				X86_MPTABLE_LEN) < 0)
			return err_set(err, ENOSPC, "--no-acpi: no room for the MP table");
		return 0;
	}
	rc = firmware_build_acpi(boot, &t, err);
	if (rc)
		return rc;
	if (gm_write(gm, X86_TABLES, t.blob, t.len))
		rc = err_set(err, ENOSPC, "--mem: no room for ACPI tables");
	else
		ret->rsdp = X86_TABLES + t.table[ACPI_RSDP].off;
	acpi_fini(&t);
	return rc;
}

static int firmware_dump_file(
	const char *dir, const char *name, const void *data, size_t len, struct err *err)
{
	char path[4096];
	int rc;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return err_errno(err, ENAMETOOLONG, "--dump-tables: %s", dir);
	fd_auto int fd = fd_open("--dump-tables", path, O_WRONLY | O_CREAT | O_TRUNC, err);
	if (fd < 0)
		return fd;
	rc = fd_write_full(fd, data, len);
	return rc ? err_errno(err, -rc, "--dump-tables: %s", path) : 0;
}

int arch_dump_tables(const struct guest_memory *gm __unused, const struct arch_boot *boot,
	const struct arch_payload *payload __unused, const char *dir, struct err *err)
{
	static uint8_t mp[X86_MPTABLE_LEN];
	struct acpi_tables t = { 0 };
	int rc;

	if (boot->no_acpi) {
		rc = mptable_build(
			boot->nr_cpus, firmware_nr_lines(boot), X86_MPTABLE, mp, sizeof(mp));
		if (rc < 0)
			return err_set(err, ENOSPC, "--no-acpi: no room for the MP table");
		return firmware_dump_file(dir, "mptable.dat", mp, (size_t)rc, err);
	}
	rc = firmware_build_acpi(boot, &t, err);
	for (unsigned i = 0; !rc && i < ACPI_NR_TABLES; i++)
		rc = firmware_dump_file(
			dir, t.table[i].name, t.blob + t.table[i].off, t.table[i].len, err);
	acpi_fini(&t);
	return rc;
}

int arch_dump_fdt(const struct guest_memory *gm __unused,
	const struct arch_payload *payload __unused, const char *path, struct err *err)
{
	return err_set(
		err, ENOTSUP, "--dump-device-tree-blob: %s: an x86_64 machine has none", path);
}

void arch_cmdline_words(const struct arch_boot *boot, char *buf, size_t len)
{
	size_t used = 0;

	buf[0] = '\0';
	/* Linux here takes its place by the TSC, whatever it was given to take it by. */
	if (boot->fixed_seed)
		used += (size_t)snprintf(buf, len, "nokaslr ");
	if (!boot->no_acpi)
		return;
	for (unsigned i = 0; i < boot->nr_devs; i++) {
		const struct dev_desc *d = &boot->dev[i];

		if (d->kind != DEV_VIRTIO_MMIO)
			continue;
		used += (size_t)snprintf(buf + used, len - used, "virtio_mmio.device=4K@0x%llx:%u ",
			(unsigned long long)d->base, d->gsi);
		BUG_ON(used >= len);
	}
}
