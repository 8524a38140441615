// SPDX-License-Identifier: BSD-3-Clause
/*
 * The initrd: as high as it may be, out of the way of a kernel that decompresses upwards.
 *
 * Invariant: it owns whole pages of the kernel's size. Linux reserves, and later frees, the
 * initrd's last page whole, so nothing else may start in it.
 *
 * Linux Documentation/arch/x86/boot.rst, initrd_addr_max;
 * Documentation/arch/arm64/booting.rst, "Call the kernel image".
 */
#include "loader/internal.h"

#include <errno.h>
#include <inttypes.h>

static int initrd_place(const struct guest_memory *gm, uint64_t size, const struct kernel_image *k,
	gpa_t limit, gpa_t *ret_start, struct err *err)
{
	uint64_t page = MAX(k->page_size, PAGE_SIZE_4K);
	gpa_t top;

	/* initrd_max is the last byte's address; the comparison spares the +1 that could wrap. */
	top = align_down_u64(k->initrd_max < limit ? k->initrd_max + 1 : limit, page);
	/* Both ends of the window are on a page, so that size may be taken as it is. */
	if (!place_highest(gm, k->end, top, page, size, ret_start))
		return err_set(err, ENOSPC,
			"needs %" PRIu64
			" bytes of RAM in one piece between the kernel's end 0x%" PRIx64
			" and 0x%" PRIx64 ", there are %" PRIu64,
			size, k->end, top, place_largest(gm, k->end, top, page));
	return 0;
}

int initrd_load(const struct guest_memory *gm, int fd, const char *path,
	const struct kernel_image *k, gpa_t limit, gpa_t *ret_start, uint64_t *ret_len,
	struct err *err)
{
	struct lfile f;
	gpa_t start = 0;
	int rc;

	rc = lfile_init(&f, fd, err);
	if (!rc)
		rc = initrd_place(gm, f.size, k, limit, &start, err);
	if (!rc)
		rc = lfile_to_ram(&f, 0, f.size, gm, start, "the initrd", err);
	if (rc)
		return err_prefix(err, rc, "--initrd: %.256s", path);
	*ret_start = start;
	*ret_len = f.size;
	return 0;
}
