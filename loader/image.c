// SPDX-License-Identifier: BSD-3-Clause
/*
 * Image: the flat kernel of arm64 and of riscv64. Both begin with nearly the same header of 64
 * bytes, are copied whole to text_offset behind a 2 MiB boundary, and are entered at their
 * first byte.
 *
 * Invariants:
 * 1. [start, end) is RAM, at or above low, and holds both the file and image_size: the kernel
 *    zeroes its BSS behind what is in the file, whatever lies there.
 * 2. The file has all that its EFI headers say, where it has such. Nothing else tells how long
 *    it should be: a download that broke off would start, and crash somewhere.
 *
 * Linux Documentation/arch/arm64/booting.rst, "Call the kernel image";
 * Documentation/arch/riscv/boot-image-header.rst and boot.rst, "Kernel location";
 * Microsoft PE and COFF Specification, "COFF File Header", "Section Table".
 */
#include "loader/internal.h"

#include <errno.h>
#include <inttypes.h>

#define IMAGE_TEXT_OFFSET 0x08
#define IMAGE_SIZE        0x10
#define IMAGE_FLAGS       0x18
#define IMAGE_VERSION     0x20 /* riscv64 */
#define IMAGE_MAGIC       0x38
#define IMAGE_PE_OFFSET   0x3c /* where the EFI stub's headers begin; 0: no stub */

/* PE/COFF: the file header behind "PE\0\0", the optional header, the section table. */
#define PE_NR_SECTIONS  6
#define PE_OPTIONAL_LEN 20
#define PE_HEADER_LEN   24
#define PE_SECTION_LEN  40
#define PE_SECTION_RAW  16 /* bytes in the file, then their offset */
#define PE_MAX_SECTIONS 16 /* looked at; kernels have 2 */

#define IMAGE_ALIGN (2 * MIB)
/* arm64 says so (48 bits of physical address); no machine here has RAM above. */
#define IMAGE_LIMIT BIT(48)

#define IMAGE_BIG_ENDIAN       BIT(0)
#define IMAGE_ARM64_PAGE_SHIFT 1 /* two bits: unspecified, 4, 16, 64 KiB */

/*
 * arm64 before Linux 3.17: image_size is 0, text_offset is in the kernel's own byte order, and
 * how much the kernel needs behind its file for BSS is not said; theirs was below 2 MiB.
 */
#define IMAGE_ARM64_OLD_OFFSET 0x80000
#define IMAGE_ARM64_OLD_BSS    (16 * MIB)

struct image {
	uint64_t text_offset, size; /* bytes */
};

static const struct {
	enum kernel_kind kind;
	char magic[4];
} image_formats[] = {
	{ KERNEL_IMAGE_ARM64, { 'A', 'R', 'M', 0x64 } },
	{ KERNEL_IMAGE_RISCV64, { 'R', 'S', 'C', 0x05 } },
};

static bool image_find_kind(
	const uint8_t *h, const struct kernel_target *t, enum kernel_kind *ret_kind)
{
	for (size_t i = 0; i < ARRAY_SIZE(image_formats); i++) {
		if (!(t->formats & BIT(image_formats[i].kind)) ||
			memcmp(h + IMAGE_MAGIC, image_formats[i].magic,
				sizeof(image_formats[i].magic)))
			continue;
		*ret_kind = image_formats[i].kind;
		return true;
	}
	return false;
}

bool image_is_header(const uint8_t *h, const struct kernel_target *t)
{
	enum kernel_kind kind;

	return image_find_kind(h, t, &kind);
}

static int image_refuse_big_endian(const struct kernel_target *t, struct err *err)
{
	return err_set(err, ENOEXEC, "is a big-endian kernel, this is %s", t->name);
}

static int image_parse_arm64(const uint8_t *h, uint64_t len, const struct kernel_target *t,
	struct image *im, struct kernel_image *ret, struct err *err)
{
	static const uint64_t page_size[] = { 0, 4 * KIB, 16 * KIB, 64 * KIB };
	uint64_t flags = le64_get(h + IMAGE_FLAGS);

	if (flags & IMAGE_BIG_ENDIAN)
		return image_refuse_big_endian(t, err);
	if (page_size[(flags >> IMAGE_ARM64_PAGE_SHIFT) & 3])
		ret->page_size = page_size[(flags >> IMAGE_ARM64_PAGE_SHIFT) & 3];
	/* Bit 3 allows any place. Without it the lowest is wanted, which is where it goes. */
	if (im->size)
		return 0;
	if (im->text_offset == __builtin_bswap64(IMAGE_ARM64_OLD_OFFSET))
		return image_refuse_big_endian(t, err);
	im->text_offset = IMAGE_ARM64_OLD_OFFSET;
	if (__builtin_add_overflow(len, IMAGE_ARM64_OLD_BSS, &im->size))
		im->size = UINT64_MAX;
	return 0;
}

static int image_parse_riscv64(
	const uint8_t *h, const struct kernel_target *t, const struct image *im, struct err *err)
{
	uint32_t version = le32_get(h + IMAGE_VERSION);

	if (version >> 16)
		return err_set(err, EINVAL, "has an Image header of version %u.%u, not 0.x",
			version >> 16, version & 0xffff);
	if (le64_get(h + IMAGE_FLAGS) & IMAGE_BIG_ENDIAN)
		return image_refuse_big_endian(t, err);
	/* Without it nobody knows where its BSS ends: the initrd would be zeroed. */
	if (!im->size)
		return err_set(err, EINVAL, "does not say how much memory it needs (image_size 0)");
	/* It maps itself by 2 MiB. */
	if (im->text_offset & (IMAGE_ALIGN - 1))
		return err_set(err, EINVAL,
			"has a text_offset of 0x%" PRIx64 ", not a multiple of 2 MiB",
			im->text_offset);
	return 0;
}

/** Invariant 1. From the boundary on all must be RAM, text_offset included. */
static int image_find_room(const struct image *im, const struct guest_memory *gm, gpa_t low,
	struct kernel_image *ret, struct err *err)
{
	uint64_t len;
	gpa_t base;

	if (__builtin_add_overflow(im->text_offset, im->size, &len))
		len = UINT64_MAX;
	if (!place_lowest(gm, low, IMAGE_LIMIT, IMAGE_ALIGN, len, &base))
		return err_set(err, ENOSPC,
			"needs %" PRIu64
			" bytes of RAM in one piece, from a 2 MiB boundary at or above 0x%" PRIx64
			" on, there are %" PRIu64,
			len, low, place_largest(gm, low, IMAGE_LIMIT, IMAGE_ALIGN));
	ret->start = base + im->text_offset;
	ret->end = ret->start + im->size;
	return 0;
}

int image_place(const uint8_t *h, uint64_t len, const struct kernel_target *t,
	const struct guest_memory *gm, gpa_t low, struct kernel_image *ret, struct err *err)
{
	struct image im = {
		.text_offset = le64_get(h + IMAGE_TEXT_OFFSET),
		.size = le64_get(h + IMAGE_SIZE),
	};
	enum kernel_kind kind;
	int rc;

	BUG_ON(!image_find_kind(h, t, &kind));
	rc = kind == KERNEL_IMAGE_ARM64 ? image_parse_arm64(h, len, t, &im, ret, err)
					: image_parse_riscv64(h, t, &im, err);
	im.size = MAX(im.size, len);
	if (!rc)
		rc = image_find_room(&im, gm, low, ret, err);
	if (rc)
		return rc;
	ret->kind = kind;
	ret->entry = ret->start;
	return 0;
}

/** Invariant 2. */
static int image_check_length(const struct lfile *f, const uint8_t *h, struct err *err)
{
	uint64_t off = le32_get(h + IMAGE_PE_OFFSET);
	uint8_t pe[PE_HEADER_LEN], section[PE_SECTION_LEN];
	int rc;

	/* Where there is no stub, 0 finds the Image's own header, which is no "PE". */
	rc = lfile_read(f, off, pe, sizeof(pe), "its EFI headers", err);
	if (rc || memcmp(pe, "PE\0\0", 4))
		return rc;
	off += sizeof(pe) + le16_get(pe + PE_OPTIONAL_LEN);
	for (unsigned i = MIN(le16_get(pe + PE_NR_SECTIONS), PE_MAX_SECTIONS); i > 0; i--) {
		rc = lfile_read(f, off, section, sizeof(section), "its EFI headers", err);
		if (!rc)
			rc = lfile_check(f, le32_get(section + PE_SECTION_RAW + 4),
				le32_get(section + PE_SECTION_RAW), "one of its sections", err);
		if (rc)
			return rc;
		off += sizeof(section);
	}
	return 0;
}

int image_load(const struct kernel_file *kf, const struct guest_memory *gm, gpa_t low,
	struct kernel_image *ret, struct err *err)
{
	int rc;

	if (kf->file.size < IMAGE_HEADER_LEN)
		return err_set(err, EINVAL,
			"is cut short: an Image header has %u bytes, the file %" PRIu64,
			IMAGE_HEADER_LEN, kf->file.size);
	rc = image_check_length(&kf->file, kf->head, err);
	if (rc)
		return rc;
	rc = image_place(kf->head, kf->file.size, kf->target, gm, low, ret, err);
	if (rc)
		return rc;
	return lfile_to_ram(&kf->file, 0, kf->file.size, gm, ret->start, "the kernel", err);
}
