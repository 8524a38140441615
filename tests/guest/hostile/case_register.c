// SPDX-License-Identifier: BSD-3-Clause
/*
 * Attacks on the register page itself: widths, offsets, what is read-only or reserved, config
 * space, and writes of nonsense everywhere.
 */
#include "tests/guest/hostile/hostile.h"

#define REGISTER_FUZZ 3000

static const unsigned register_width[] = { 1, 2, 8 };

/** What the guest reads of the control registers. */
static void register_look(const struct dev *d, uint32_t *ret)
{
	for (unsigned off = 0; off < VIRTIO_MMIO_CONFIG; off += 4)
		ret[off / 4] = reg_get(d, off);
}

static const char *register_unchanged(const struct dev *d, const uint32_t *before)
{
	uint32_t now[VIRTIO_MMIO_CONFIG / 4];

	register_look(d, now);
	for (unsigned i = 0; i < ARRAY_SIZE(now); i++)
		if (now[i] != before[i])
			return "a register changes";
	return NULL;
}

/** Writes of 1, 2 and 8 bytes at each offset of the control registers are no writes at all. */
static const char *register_widths(struct dev *d, unsigned step)
{
	uint32_t before[VIRTIO_MMIO_CONFIG / 4];
	const char *why = dev_start(d);

	if (why)
		return why;
	register_look(d, before);
	for (unsigned w = 0; w < ARRAY_SIZE(register_width); w++)
		for (unsigned off = 0; off + register_width[w] <= VIRTIO_MMIO_CONFIG;
			off += step ? step : register_width[w]) {
			reg_set_width(d, off, register_width[w], 0);
			reg_set_width(d, off, register_width[w], UINT64_MAX);
			reg_set_width(d, off, register_width[w], 0x0101010101010101);
		}
	why = register_unchanged(d, before);
	return why ? why : d->kind->good(d);
}

static const char *register_odd_writes(struct dev *d, unsigned q __unused, unsigned v __unused)
{
	return register_widths(d, 0);
}

static const char *register_unaligned_writes(
	struct dev *d, unsigned q __unused, unsigned v __unused)
{
	const char *why = register_widths(d, 1);
	uint32_t before[VIRTIO_MMIO_CONFIG / 4];

	if (why)
		return why;
	register_look(d, before);
	for (unsigned off = 0; off + 4 <= VIRTIO_MMIO_CONFIG; off++)
		if (off % 4)
			reg_set_width(d, off, 4, UINT64_MAX);
	/* Across the border to config space, and to the next page. */
	for (unsigned off = VIRTIO_MMIO_CONFIG - 7; off < VIRTIO_MMIO_CONFIG; off++)
		reg_set_width(d, off, 8, UINT64_MAX);
	for (unsigned off = HOSTILE_PAGE - 8; off + 4 <= HOSTILE_PAGE; off++)
		reg_set_width(d, off, 4, UINT64_MAX);
	why = register_unchanged(d, before);
	return why ? why : d->kind->good(d);
}

/** Reads of each width, at each offset that is a multiple of it, show the same bytes. */
static const char *register_reads(struct dev *d, unsigned q __unused, unsigned v __unused)
{
	uint8_t page[HOSTILE_PAGE];
	const char *why = dev_start(d);

	if (why)
		return why;
	for (unsigned off = 0; off < HOSTILE_PAGE; off += 4)
		le32_put(page + off, reg_get(d, off));
	for (unsigned w = 0; w < ARRAY_SIZE(register_width); w++)
		for (unsigned off = 0; off < HOSTILE_PAGE; off += register_width[w]) {
			uint64_t is = reg_get_width(d, off, register_width[w]), want = 0;

			memcpy(&want, page + off, register_width[w]);
			if (is != want)
				return "a read of another width shows other bytes";
		}
	return NULL;
}

/** Nothing of a host stands behind the config space, or in what is reserved or write-only. */
static const char *register_leaks(struct dev *d, unsigned q __unused, unsigned v __unused)
{
	static const uint8_t known[] = { VIRTIO_MMIO_MAGIC_VALUE, VIRTIO_MMIO_VERSION,
		VIRTIO_MMIO_DEVICE_ID, VIRTIO_MMIO_VENDOR_ID, VIRTIO_MMIO_DEVICE_FEATURES,
		VIRTIO_MMIO_QUEUE_NUM_MAX, VIRTIO_MMIO_QUEUE_READY, VIRTIO_MMIO_INTERRUPT_STATUS,
		VIRTIO_MMIO_STATUS, VIRTIO_MMIO_SHM_LEN_LOW, VIRTIO_MMIO_SHM_LEN_HIGH,
		VIRTIO_MMIO_SHM_BASE_LOW, VIRTIO_MMIO_SHM_BASE_HIGH,
		VIRTIO_MMIO_CONFIG_GENERATION };
	const char *why = dev_start(d);

	for (unsigned off = 0; !why && off < VIRTIO_MMIO_CONFIG; off += 4)
		if (reg_get(d, off) && !memchr(known, (int)off, sizeof(known)))
			why = "a reserved or write-only register reads other than 0";
	for (unsigned off = 2 * VIRTIO_MMIO_CONFIG; !why && off < HOSTILE_PAGE; off += 4)
		if (reg_get(d, off))
			why = "behind the config space is something other than 0";
	return why;
}

/** The whole page by words, the registers downwards as well, and other widths here and there. */
static const char *register_scan(struct dev *d, unsigned q __unused, unsigned v __unused)
{
	static const uint32_t values[] = { 0, UINT32_MAX, 0x80000001 };

	for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
		const char *why = dev_start(d);

		if (why)
			return why;
		for (unsigned off = 0; off < HOSTILE_PAGE; off += 4)
			reg_set(d, off, values[i]);
		if (reg_get(d, VIRTIO_MMIO_MAGIC_VALUE) != 0x74726976)
			return "a read-only register changes";
		for (unsigned off = VIRTIO_MMIO_CONFIG; off; off -= 4)
			reg_set(d, off - 4, values[i]);
		for (unsigned off = 0; off < HOSTILE_PAGE; off += 64)
			for (unsigned w = 0; w < ARRAY_SIZE(register_width); w++)
				reg_set_width(d, off, register_width[w], values[i]);
	}
	return NULL;
}

/** Config space, in its bounds and out of them; nothing of these devices' is for drivers. */
static const char *register_config_writes(struct dev *d, unsigned q __unused, unsigned v __unused)
{
	const char *why = dev_start(d);
	uint64_t before[32];

	if (why)
		return why;
	for (unsigned i = 0; i < ARRAY_SIZE(before); i++)
		before[i] = reg_get_width(d, VIRTIO_MMIO_CONFIG + 8 * i, 8);
	for (unsigned off = 0; off < 512; off++) {
		reg_set_width(d, VIRTIO_MMIO_CONFIG + off, 1, UINT64_MAX);
		if (off % 8 == 0)
			reg_set_width(d, VIRTIO_MMIO_CONFIG + off, 8, UINT64_MAX);
		if (off % 4 == 0)
			reg_set_width(d, VIRTIO_MMIO_CONFIG + off, 4, UINT64_MAX);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(before); i++)
		if (before[i] != reg_get_width(d, VIRTIO_MMIO_CONFIG + 8 * i, 8))
			return "config space changes";
	return d->kind->good(d);
}

/** A value that can do no harm to the guest's own kernel, wherever it is written. */
static uint32_t register_value(const struct dev *d)
{
	switch (next_random() % 12) {
	case 0:
		return (uint32_t)d->ring[0].desc_gpa;
	case 1:
		return (uint32_t)(hostile_buf.gpa + next_random() % hostile_buf.len);
	case 2:
		return (uint32_t)d->base;
	case 3:
		return UINT32_MAX;
	case 4:
		return 0x0f; /* a status */
	case 5:
		return 0x0b;
	case 6:
		return 64; /* a size */
	case 7:
		return 1;
	case 8:
		return next_random() | 0x80000000;
	default:
		return next_random() % 4;
	}
}

/**
 * The low half of an address: a place of ours or none, so that a device that is started by
 * accident works on our memory. The high half may be anything, for RAM is below 4 GiB.
 */
static bool register_low_half(const struct dev *d, unsigned off, uint64_t *ret)
{
	const uint64_t places[] = { d->ring[0].desc_gpa, hostile_buf.gpa, d->base, 0xfffffff0 };

	if (off != VIRTIO_MMIO_QUEUE_DESC_LOW && off != VIRTIO_MMIO_QUEUE_AVAIL_LOW &&
		off != VIRTIO_MMIO_QUEUE_USED_LOW)
		return false;
	*ret = places[next_random() % ARRAY_SIZE(places)];
	return true;
}

void register_write_nonsense(struct dev *d)
{
	static const uint8_t width[] = { 4, 4, 4, 4, 4, 1, 2, 8 };
	unsigned w = width[next_random() % ARRAY_SIZE(width)];
	unsigned off = next_random() % (VIRTIO_MMIO_CONFIG + 64) / w * w;
	uint64_t v;

	if (!register_low_half(d, off, &v))
		v = register_value(d);
	reg_set_width(d, off, w, v);
}

/** Registers at random, from a running device on. */
static const char *register_fuzz(struct dev *d, unsigned q __unused, unsigned v __unused)
{
	for (unsigned i = 0; i < REGISTER_FUZZ; i++) {
		const char *why = i % 256 ? NULL : dev_start(d);

		if (why)
			return why;
		register_write_nonsense(d);
	}
	return NULL;
}

const struct hostile_case register_cases[] = {
	{ .name = "registers/odd-widths", .run = register_odd_writes },
	{ .name = "registers/unaligned", .run = register_unaligned_writes, .unaligned = true },
	{ .name = "registers/reads", .run = register_reads },
	{ .name = "registers/leaks", .run = register_leaks },
	{ .name = "registers/scan", .run = register_scan },
	{ .name = "registers/config-writes", .run = register_config_writes },
	{ .name = "registers/fuzz", .run = register_fuzz },
	{ .name = NULL },
};
