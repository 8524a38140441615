/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The DSDT's contents (ACPI 6.5, sections 5.2.11.1, 6.1, 6.2.2 and 7.4.2).
 *
 * Invariants:
 * 1. No two devices share a name: a guest that meets a name twice drops the whole table.
 * 2. A device adds at most DSDT_DEV_ROOM bytes.
 *
 * What is left out on purpose, because each object costs the guest boot time. No _STA: absent
 * means present (section 6.3.7). No _CCA: x86 is coherent without being told (section 6.2.17).
 * No processor devices (ACPI0007): the MADT enumerates the CPUs, and a Linux that finds such
 * devices binds its ACPI idle driver to them, which keeps the haltpoll driver out.
 *
 * No state; any thread.
 */
#include "acpi/dsdt.h"

#include <errno.h>

#define DSDT_NAME_LEN  4
#define DSDT_MAX_NAMES 4096U

struct dsdt_kind {
	const char *prefix;  /* of the device's name; the index follows in hexadecimal */
	unsigned nr_indices; /* what the digits left over can say */
	const char *hid;
	bool hid_is_eisa;
	bool may_have_ports;
};

static const struct dsdt_kind dsdt_kinds[] = {
	[ACPI_DEV_UART] = { "COM", 16, "PNP0501", true, true },
	[ACPI_DEV_VIRTIO_MMIO] = { "V", DSDT_MAX_NAMES, "LNRO0005", false, false },
	[ACPI_DEV_PVPANIC] = { "PVP", 16, "QEMU0001", false, true },
};

static void dsdt_name(const struct acpi_dev *d, char ret[DSDT_NAME_LEN + 1])
{
	static const char digits[] = "0123456789ABCDEF";
	const char *prefix = dsdt_kinds[d->kind].prefix;
	unsigned v = d->index;

	for (size_t i = DSDT_NAME_LEN; i-- > strlen(prefix); v >>= 4)
		ret[i] = digits[v & 0xf];
	memcpy(ret, prefix, strlen(prefix));
	ret[DSDT_NAME_LEN] = '\0';
}

static int dsdt_check_window(const struct acpi_dev *d, const char *name, struct err *err)
{
	const struct dsdt_kind *k = &dsdt_kinds[d->kind];

	if (d->is_port && !k->may_have_ports)
		return err_set(err, EINVAL, "ACPI: %s: %s is not for I/O space", name, k->hid);
	if (d->is_port && d->len > UINT8_MAX)
		return err_set(err, EINVAL, "ACPI: %s: %llu ports are more than 255", name,
			(unsigned long long)d->len);
	/* A window of the whole 4 GiB fits there, but its length does not fit 32 bits. */
	if (d->len == 0 || d->len > UINT32_MAX ||
		!range_within(d->base, d->len, 0, d->is_port ? BIT(16) : BIT(32)))
		return err_set(err, EINVAL, "ACPI: %s: window 0x%llx+0x%llx is not %s", name,
			(unsigned long long)d->base, (unsigned long long)d->len,
			d->is_port ? "in the I/O space" : "below 4 GiB");
	return 0;
}

int dsdt_check(const struct acpi_dev *dev, unsigned nr_devs, struct err *err)
{
	uint64_t seen[ARRAY_SIZE(dsdt_kinds)][DSDT_MAX_NAMES / 64] = { 0 };
	char name[DSDT_NAME_LEN + 1];
	int r;

	for (unsigned i = 0; i < nr_devs; i++) {
		const struct acpi_dev *d = &dev[i];
		uint64_t *word;

		BUG_ON((unsigned)d->kind >= ARRAY_SIZE(dsdt_kinds));
		if (d->index >= dsdt_kinds[d->kind].nr_indices)
			return err_set(err, EINVAL, "ACPI: %s: no name for index %u (below %u)",
				dsdt_kinds[d->kind].hid, d->index, dsdt_kinds[d->kind].nr_indices);
		dsdt_name(d, name);
		word = &seen[d->kind][d->index / 64];
		if (*word & BIT(d->index % 64))
			return err_set(err, EINVAL, "ACPI: two devices named %s", name);
		*word |= BIT(d->index % 64);
		r = dsdt_check_window(d, name, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static void dsdt_dev(struct aml *a, const struct acpi_dev *d)
{
	const struct dsdt_kind *k = &dsdt_kinds[d->kind];
	char name[DSDT_NAME_LEN + 1];
	uint8_t buf[32];
	struct aml res;

	aml_init(&res, buf, sizeof(buf));
	if (d->is_port)
		aml_res_io(&res, (uint16_t)d->base, (uint8_t)d->len);
	else
		aml_res_mem32(&res, (uint32_t)d->base, (uint32_t)d->len);
	if (d->has_irq)
		aml_res_irq_edge(&res, d->gsi);
	aml_res_end(&res);
	BUG_ON(res.full);

	dsdt_name(d, name);
	aml_device_begin(a, name);
	aml_name(a, "_HID");
	if (k->hid_is_eisa)
		aml_eisa_id(a, k->hid);
	else
		aml_str(a, k->hid);
	aml_name(a, "_UID");
	aml_int(a, d->index);
	aml_name(a, "_CRS");
	aml_buffer(a, res.buf, res.len);
	aml_end(a);
}

void dsdt_write(struct aml *a, const struct acpi_machine *m)
{
	/* Hardware-reduced machines use the first element; some guests insist on two. */
	aml_name(a, "_S5_");
	aml_package_begin(a, 4);
	aml_int(a, m->s5_type);
	for (unsigned i = 1; i < 4; i++)
		aml_int(a, 0);
	aml_end(a);

	aml_scope_begin(a, "_SB_");
	for (unsigned i = 0; i < m->nr_devs; i++)
		dsdt_dev(a, &m->dev[i]);
	aml_end(a);
}
