// SPDX-License-Identifier: BSD-3-Clause
/*
 * Which kernel format a file is, by its magic, and what else it is when it is none: half of
 * all failed boots are a compressed kernel, another machine's, or the wrong argument.
 *
 * A format is one file with a load function and one row in kernel_formats.
 */
#include "loader/internal.h"

#include <errno.h>

struct kernel_format {
	unsigned offset;
	unsigned len;
	const char *magic;
	kernel_format_load_fn load; /* NULL: known only to be named */
	const char *what;           /* when load is NULL: the end of "KERNEL: path: ..." */
};

#define KERNEL_MAGIC(off, bytes) .offset = (off), .len = sizeof(bytes) - 1, .magic = (bytes)

/* The first match wins: what tells more stands before what tells less. */
static const struct kernel_format kernel_formats[] = {
	{ KERNEL_MAGIC(0, "\177ELF"), .load = elf_load },
	{ KERNEL_MAGIC(0x202, "HdrS"), .load = bzimage_load },
	{ KERNEL_MAGIC(0x38, "ARM\x64"),
		.what = "is an arm64 Image, this is " LOADER_MACHINE_NAME },
	{ KERNEL_MAGIC(0x38, "RSC\x05"),
		.what = "is a riscv64 Image, this is " LOADER_MACHINE_NAME },
	{ KERNEL_MAGIC(4, "zimg"), .what = "is a compressed EFI zboot image, not a kernel" },
	{ KERNEL_MAGIC(0, "MZ"), .what = "is an EFI program, not a bzImage" },
	{ KERNEL_MAGIC(0, "\x1f\x8b"), .what = "is gzip-compressed, not a kernel" },
	{ KERNEL_MAGIC(0, "\3757zXZ"), .what = "is xz-compressed, not a kernel" },
	{ KERNEL_MAGIC(0, "\x28\xb5\x2f\xfd"), .what = "is zstd-compressed, not a kernel" },
	{ KERNEL_MAGIC(0, "\x04\x22\x4d\x18"), .what = "is lz4-compressed, not a kernel" },
	{ KERNEL_MAGIC(0, "\x02\x21\x4c\x18"), .what = "is lz4-compressed, not a kernel" },
	{ KERNEL_MAGIC(0, "BZh"), .what = "is bzip2-compressed, not a kernel" },
	{ KERNEL_MAGIC(0, "07070"), .what = "is a cpio archive (an initrd?), not a kernel" },
	{ KERNEL_MAGIC(0, "QFI\xfb"), .what = "is a qcow2 disk image, not a kernel" },
	{ KERNEL_MAGIC(0x1fe, "\x55\xaa"),
		.what = "is a boot sector or a disk image, not a kernel" },
};

static const struct kernel_format *kernel_find_format(const uint8_t *head)
{
	for (size_t i = 0; i < ARRAY_SIZE(kernel_formats); i++) {
		const struct kernel_format *fmt = &kernel_formats[i];

		BUG_ON(!range_within(fmt->offset, fmt->len, 0, KERNEL_HEAD_LEN));
		if (!memcmp(head + fmt->offset, fmt->magic, fmt->len))
			return fmt;
	}
	return NULL;
}

static bool kernel_is_text(const uint8_t *head, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		bool space = head[i] == '\n' || head[i] == '\t' || head[i] == '\r';

		if (!space && (head[i] < ' ' || head[i] > '~'))
			return false;
	}
	return true;
}

/** Says what the file is instead of a kernel. */
static int kernel_refuse(
	const struct kernel_file *kf, const struct kernel_format *fmt, struct err *err)
{
	size_t len = (size_t)MIN(kf->file.size, (uint64_t)KERNEL_HEAD_LEN);
	bool text = kernel_is_text(kf->head, len);

	/* Too short for the magic of a bzImage to be there: it may have been one. */
	if (kf->file.size < KERNEL_HEAD_LEN && (fmt || !text))
		return err_set(err, ENOEXEC, "%s, or is cut short: it has %zu bytes",
			fmt ? fmt->what : "is not a kernel", len);
	if (fmt)
		return err_set(err, ENOEXEC, "%s", fmt->what);
	if (text)
		return err_set(err, ENOEXEC, "is a text file, not a kernel");
	return err_set(err, ENOEXEC,
		"is not a kernel that " LOADER_MACHINE_NAME
		" can boot (a bzImage or an ELF vmlinux)");
}

static int kernel_detect_and_load(
	int fd, const struct guest_memory *gm, gpa_t low, struct kernel_image *ret, struct err *err)
{
	const struct kernel_format *fmt;
	struct kernel_file kf = { 0 };
	struct kernel_image k = { 0 };
	int rc;

	rc = lfile_init(&kf.file, fd, err);
	if (rc)
		return rc;
	rc = lfile_read(&kf.file, 0, kf.head, (size_t)MIN(kf.file.size, sizeof(kf.head)),
		"the header", err);
	if (rc)
		return rc;
	fmt = kernel_find_format(kf.head);
	if (!fmt || !fmt->load)
		return kernel_refuse(&kf, fmt, err);
	rc = fmt->load(&kf, gm, low, &k, err);
	if (rc)
		return rc;
	*ret = k;
	return 0;
}

int kernel_load(const struct guest_memory *gm, int fd, const char *path, gpa_t low,
	struct kernel_image *ret, struct err *err)
{
	int rc = kernel_detect_and_load(fd, gm, low, ret, err);

	/* A path of any length must not push the cause out of the line. */
	return rc ? err_prefix(err, rc, "KERNEL: %.256s", path) : 0;
}
