// SPDX-License-Identifier: BSD-3-Clause
/*
 * ACPI 6.5 sections 4.8.3.7 (sleep control), 4.8.3.8 (sleep status) and 4.8.3.6 (reset
 * register); QEMU docs/specs/pvpanic; the keyboard controller's "pulse the reset line".
 *
 * Invariants:
 * 1. Registers are one byte. Other widths read as all ones and write nothing.
 * 2. No state: sleep status never sets WAK_STS, since this machine does not sleep.
 */
#include "devices/power.h"

#define POWER_SLP_EN         0x20
#define POWER_SLP_TYPE(v)    (((v) >> 2) & 7)
#define PVPANIC_PANICKED     0x01
#define PVPANIC_CRASH_LOADED 0x02
#define I8042_PULSE_RESET    0xfe

static void power_read(void *ctx __unused, uint64_t off __unused, void *data, unsigned len)
{
	uint8_t *v = data;

	if (len == 1)
		*v = 0;
}

static void power_write(void *ctx, uint64_t off, const void *data, unsigned len)
{
	struct power *p = ctx;
	uint8_t v = *(const uint8_t *)data;

	if (len != 1)
		return;
	if (off == POWER_SLEEP_CONTROL && (v & POWER_SLP_EN) && POWER_SLP_TYPE(v) == POWER_S5_TYPE)
		p->event(p->ctx, POWER_OFF);
	else if (off == POWER_RESET_REG && v == POWER_RESET_VALUE)
		p->event(p->ctx, POWER_RESET);
}

const struct bus_ops power_bus_ops = { .read = power_read, .write = power_write };

static void pvpanic_read(void *ctx __unused, uint64_t off __unused, void *data, unsigned len)
{
	uint8_t *v = data;

	if (len == 1)
		*v = PVPANIC_PANICKED | PVPANIC_CRASH_LOADED;
}

static void pvpanic_write(void *ctx, uint64_t off __unused, const void *data, unsigned len)
{
	struct power *p = ctx;
	uint8_t v = *(const uint8_t *)data;

	if (len != 1)
		return;
	if (v & PVPANIC_PANICKED)
		p->event(p->ctx, POWER_PANIC);
	else if (v & PVPANIC_CRASH_LOADED)
		p->event(p->ctx, POWER_CRASH_LOADED);
}

const struct bus_ops pvpanic_bus_ops = { .read = pvpanic_read, .write = pvpanic_write };

/** All ones, which a kernel that probes for the controller takes for "none there". */
static void i8042_read(
	void *ctx __unused, uint64_t off __unused, void *data __unused, unsigned len __unused)
{
}

static void i8042_write(void *ctx, uint64_t off __unused, const void *data, unsigned len)
{
	struct power *p = ctx;

	if (len == 1 && *(const uint8_t *)data == I8042_PULSE_RESET)
		p->event(p->ctx, POWER_RESET);
}

const struct bus_ops i8042_reset_ops = { .read = i8042_read, .write = i8042_write };
