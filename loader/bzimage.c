// SPDX-License-Identifier: BSD-3-Clause
/*
 * bzImage: real-mode setup code (skipped, but for its header), then the protected-mode part,
 * which is loaded and entered at +0x200 in long mode.
 *
 * Invariants:
 * 1. The setup area and the protected-mode part lie in the file before a field is believed.
 * 2. [start, end) is RAM, at or above low, and holds both what is copied and init_size.
 *
 * Linux Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header", "64-bit Boot Protocol".
 */
#include "loader/internal.h"

#include <errno.h>
#include <inttypes.h>

/* Offsets in the file; sizes as boot.rst gives them. */
#define BZ_SETUP_SECTS      0x1f1
#define BZ_SYSSIZE          0x1f4
#define BZ_BOOT_FLAG        0x1fe
#define BZ_JUMP_LEN         0x201
#define BZ_HEADER           0x202 /* the jump's target is this plus BZ_JUMP_LEN's byte */
#define BZ_VERSION          0x206
#define BZ_LOADFLAGS        0x211
#define BZ_INITRD_ADDR_MAX  0x22c
#define BZ_KERNEL_ALIGNMENT 0x230
#define BZ_RELOCATABLE      0x234
#define BZ_XLOADFLAGS       0x236
#define BZ_CMDLINE_SIZE     0x238
#define BZ_PREF_ADDRESS     0x258
#define BZ_INIT_SIZE        0x260
#define BZ_FIELDS_END       0x264 /* of the last field read here */

#define BZ_SECTOR      512
#define BZ_BOOT_MAGIC  0xaa55
#define BZ_MIN_VERSION 0x20c /* 2.12: xloadflags */
#define BZ_LOADED_HIGH BIT(0)
#define BZ_XLF_64      BIT(0)
#define BZ_ENTRY_64    0x200

/*
 * Only a kernel with XLF_CAN_BE_LOADED_ABOVE_4G can be, and code32_start has 32 bits. Every
 * machine has RAM below.
 */
#define BZ_LIMIT (4 * GIB)

struct bzimage {
	uint64_t payload_off, payload_len; /* the protected-mode part, within the file */
	uint64_t window;                   /* bytes it needs from where it runs */
	uint64_t align;
	gpa_t pref;
	bool relocatable;
};

/** Invariant 1. Before this, no field but setup_sects and syssize may be looked at. */
static int bzimage_check_length(const struct kernel_file *kf, struct bzimage *bz, struct err *err)
{
	unsigned sects = kf->head[BZ_SETUP_SECTS];

	/* "For backwards compatibility, if the setup_sects field contains 0, the real value is 4."
	 */
	bz->payload_off = ((sects ? sects : 4) + 1ULL) * BZ_SECTOR;
	if (bz->payload_off > kf->file.size)
		return err_set(err, EINVAL,
			"is cut short: its setup code is %" PRIu64 " bytes, the file has %" PRIu64,
			bz->payload_off, kf->file.size);
	bz->payload_len = le32_get(kf->head + BZ_SYSSIZE) * 16ULL;
	/* More is fine: signatures are appended. */
	if (bz->payload_len > kf->file.size - bz->payload_off)
		return err_set(err, EINVAL,
			"is cut short: a bzImage of %" PRIu64 " bytes, the file has %" PRIu64,
			bz->payload_off + bz->payload_len, kf->file.size);
	return 0;
}

/** Can this machine enter it at all? */
static int bzimage_check_entry(
	const struct kernel_file *kf, const struct bzimage *bz, struct err *err)
{
	const uint8_t *h = kf->head;
	unsigned flag = le16_get(h + BZ_BOOT_FLAG), version = le16_get(h + BZ_VERSION);

	if (flag != BZ_BOOT_MAGIC)
		return err_set(err, ENOEXEC, "is not a bzImage: its boot flag is 0x%04x, not 0x%x",
			flag, BZ_BOOT_MAGIC);
	if (version < BZ_MIN_VERSION)
		return err_set(err, EINVAL,
			"speaks boot protocol %u.%02u, at least 2.12 (Linux 3.8) is needed",
			version >> 8, version & 0xff);
	if (BZ_HEADER + h[BZ_JUMP_LEN] < BZ_FIELDS_END)
		return err_set(err, EINVAL, "has a setup header that ends at 0x%x, before 0x%x",
			BZ_HEADER + h[BZ_JUMP_LEN], BZ_FIELDS_END);
	if (!(h[BZ_LOADFLAGS] & BZ_LOADED_HIGH))
		return err_set(err, EINVAL, "is a zImage, which loads below 1 MiB, not a bzImage");
	if (!(le16_get(h + BZ_XLOADFLAGS) & BZ_XLF_64))
		return err_set(err, ENOEXEC, "is a 32-bit kernel (no 64-bit entry), this is %s",
			kf->target->name);
	if (bz->payload_len <= BZ_ENTRY_64)
		return err_set(err, EINVAL, "has %" PRIu64 " bytes of code, none at its entry 0x%x",
			bz->payload_len, BZ_ENTRY_64);
	return 0;
}

static int bzimage_parse_needs(const struct kernel_file *kf, struct bzimage *bz, struct err *err)
{
	const uint8_t *h = kf->head;
	uint32_t init_size = le32_get(h + BZ_INIT_SIZE);

	bz->align = le32_get(h + BZ_KERNEL_ALIGNMENT);
	bz->pref = le64_get(h + BZ_PREF_ADDRESS);
	bz->relocatable = h[BZ_RELOCATABLE];
	if (!is_power_of_2(bz->align))
		return err_set(err, EINVAL, "has an alignment of 0x%" PRIx64 ", not a power of two",
			bz->align);
	/* Without it nobody knows what the decompressor writes over: the initrd, say. */
	if (!init_size)
		return err_set(err, EINVAL, "does not say how much memory it needs (init_size 0)");
	bz->window = MAX((uint64_t)init_size, bz->payload_len);
	return 0;
}

/*
 * Invariant 2, two ways. Where it is loaded is where it runs, so that it need not move itself.
 * A relocatable kernel runs at its load address rounded up to kernel_alignment, but from below
 * pref_address it moves up to that, whether RAM is there or not: never place it below.
 */
static int bzimage_place_relocatable(const struct bzimage *bz, const struct guest_memory *gm,
	gpa_t low, gpa_t *ret_start, struct err *err)
{
	gpa_t from = MAX(low, bz->pref);

	if (place_lowest(gm, from, BZ_LIMIT, bz->align, bz->window, ret_start))
		return 0;
	return err_set(err, ENOSPC,
		"needs %" PRIu64 " bytes of RAM in one piece at or above 0x%" PRIx64
		" (aligned to 0x%" PRIx64 "), there are %" PRIu64,
		bz->window, from, bz->align, place_largest(gm, from, BZ_LIMIT, bz->align));
}

/** Any other kernel moves to pref_address from anywhere. */
static int bzimage_place_fixed(const struct bzimage *bz, const struct guest_memory *gm, gpa_t low,
	gpa_t *ret_start, struct err *err)
{
	uint64_t room = 0;

	if (bz->pref < low)
		return err_set(err, ENOSPC,
			"must run at 0x%" PRIx64 ", but RAM is free from 0x%" PRIx64, bz->pref,
			low);
	if (bz->pref < BZ_LIMIT)
		room = MIN(place_ram_from(gm, bz->pref), BZ_LIMIT - bz->pref);
	if (bz->window > room)
		return err_set(err, ENOSPC,
			"must run at 0x%" PRIx64 " and needs %" PRIu64
			" bytes of RAM there, there are %" PRIu64,
			bz->pref, bz->window, room);
	*ret_start = bz->pref;
	return 0;
}

/** What boot_params takes over: up to the jump's target, at most what it has room for. */
static void bzimage_keep_header(const struct kernel_file *kf, struct kernel_image *k)
{
	unsigned end = BZ_HEADER + kf->head[BZ_JUMP_LEN];

	k->setup_header_len = MIN(end - SETUP_HEADER_OFFSET, SETUP_HEADER_MAX);
	memcpy(k->setup_header, kf->head + SETUP_HEADER_OFFSET, k->setup_header_len);
}

int bzimage_load(const struct kernel_file *kf, const struct guest_memory *gm, gpa_t low,
	struct kernel_image *ret, struct err *err)
{
	struct bzimage bz = { 0 };
	int rc;

	rc = bzimage_check_length(kf, &bz, err);
	if (!rc)
		rc = bzimage_check_entry(kf, &bz, err);
	if (!rc)
		rc = bzimage_parse_needs(kf, &bz, err);
	if (!rc)
		rc = bz.relocatable ? bzimage_place_relocatable(&bz, gm, low, &ret->start, err)
				    : bzimage_place_fixed(&bz, gm, low, &ret->start, err);
	if (!rc)
		rc = lfile_to_ram(&kf->file, bz.payload_off, bz.payload_len, gm, ret->start,
			"the kernel", err);
	if (rc)
		return rc;
	ret->kind = KERNEL_BZIMAGE;
	ret->entry = ret->start + BZ_ENTRY_64;
	ret->end = ret->start + bz.window;
	/* 0: it does not say. */
	if (le32_get(kf->head + BZ_CMDLINE_SIZE))
		ret->cmdline_max = le32_get(kf->head + BZ_CMDLINE_SIZE);
	ret->initrd_max = le32_get(kf->head + BZ_INITRD_ADDR_MAX);
	bzimage_keep_header(kf, ret);
	return 0;
}
