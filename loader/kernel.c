// SPDX-License-Identifier: BSD-3-Clause
/*
 * Which kernel format a file is, by its magic, and what else it is when it is none: half of
 * all failed boots are a compressed kernel, another machine's, or the wrong argument.
 *
 * A format is one file with a load function and one row in kernel_formats.
 */
#include "loader/internal.h"

#include <errno.h>

#include "base/fd.h"

struct kernel_format {
	unsigned offset;
	unsigned len;
	const char *magic;
	const char *what;           /* "is an ELF"; all of the refusal where no kinds are given */
	uint64_t kinds;             /* BIT(enum kernel_kind) of what it may turn out to be */
	kernel_format_load_fn load; /* NULL: known only to be named */
};

#define KERNEL_MAGIC(off, bytes) .offset = (off), .len = sizeof(bytes) - 1, .magic = (bytes)

#define KERNEL_CANNOT_UNPACK "; gzip, lz4 and zstd can be unpacked"

/* The first match wins: what tells more stands before what tells less. */
static const struct kernel_format kernel_formats[] = {
	{ KERNEL_MAGIC(0, "\177ELF"), .what = "an ELF vmlinux",
		.kinds = BIT(KERNEL_ELF_PVH) | BIT(KERNEL_ELF_LINUX) | BIT(KERNEL_ELF_FDT),
		.load = elf_load },
	{ KERNEL_MAGIC(0x202, "HdrS"), .what = "a bzImage", .kinds = BIT(KERNEL_BZIMAGE),
		.load = bzimage_load },
	{ KERNEL_MAGIC(0x38, "ARM\x64"), .what = "an arm64 Image", .kinds = BIT(KERNEL_IMAGE_ARM64),
		.load = image_load },
	{ KERNEL_MAGIC(0x38, "RSC\x05"), .what = "a riscv64 Image",
		.kinds = BIT(KERNEL_IMAGE_RISCV64), .load = image_load },
	{ KERNEL_MAGIC(0, "MZ"), .what = "an EFI program, not a bare kernel" },
	{ KERNEL_MAGIC(0, "\3757zXZ"), .what = "xz-compressed" KERNEL_CANNOT_UNPACK },
	{ KERNEL_MAGIC(0, "BZh"), .what = "bzip2-compressed" KERNEL_CANNOT_UNPACK },
	{ KERNEL_MAGIC(0, "\x89LZO\r\n"), .what = "lzo-compressed" KERNEL_CANNOT_UNPACK },
	{ KERNEL_MAGIC(0, "\x5d\0\0"), .what = "lzma-compressed" KERNEL_CANNOT_UNPACK },
	{ KERNEL_MAGIC(0, "07070"), .what = "a cpio archive (an initrd?), not a kernel" },
	{ KERNEL_MAGIC(0, "QFI\xfb"), .what = "a qcow2 disk image, not a kernel" },
	{ KERNEL_MAGIC(0x1fe, "\x55\xaa"), .what = "a boot sector or a disk image, not a kernel" },
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

/** "a bzImage": the target's own format beside ELF. */
static const char *kernel_native(const struct kernel_target *t)
{
	/* ELF is the first row. */
	for (size_t i = 1; i < ARRAY_SIZE(kernel_formats); i++)
		if (kernel_formats[i].kinds & t->formats)
			return kernel_formats[i].what;
	return "an executable";
}

/** Says what the file is instead of a kernel. */
static int kernel_refuse(
	const struct kernel_file *kf, const struct kernel_format *fmt, struct err *err)
{
	size_t len = (size_t)MIN(kf->file.size, (uint64_t)KERNEL_HEAD_LEN);
	bool text = kernel_is_text(kf->head, len);

	if (fmt && fmt->kinds)
		return err_set(err, ENOEXEC, "is %s, this is %s", fmt->what, kf->target->name);
	/* Too short for the magic of a bzImage to be there: it may have been one. */
	if (kf->file.size < KERNEL_HEAD_LEN && (fmt || !text))
		return err_set(err, ENOEXEC, "is %s, or is cut short: it has %zu bytes",
			fmt ? fmt->what : "not a kernel", len);
	if (fmt)
		return err_set(err, ENOEXEC, "is %s", fmt->what);
	if (text)
		return err_set(err, ENOEXEC, "is a text file, not a kernel");
	return err_set(err, ENOEXEC, "is not a kernel that %s can boot (%s or an ELF vmlinux)",
		kf->target->name, kernel_native(kf->target));
}

/** Looks at fd for the first time. */
static int kernel_open(struct kernel_file *kf, int fd, struct err *err)
{
	int rc = lfile_init(&kf->file, fd, err);

	if (rc)
		return rc;
	memset(kf->head, 0, sizeof(kf->head));
	return lfile_read(&kf->file, 0, kf->head, (size_t)MIN(kf->file.size, sizeof(kf->head)),
		"the header", err);
}

/** The rule of struct kernel_target.initrd_window. */
static void kernel_limit_initrd(const struct kernel_target *t, struct kernel_image *k)
{
	if (t->initrd_window)
		k->initrd_max =
			MIN(k->initrd_max, align_down_u64(k->start, GIB) + (t->initrd_window - 1));
}

static int kernel_load_plain(const struct kernel_file *kf, const struct guest_memory *gm, gpa_t low,
	struct kernel_image *ret, struct err *err)
{
	const struct kernel_format *fmt = kernel_find_format(kf->head);
	const struct kernel_target *t = kf->target;
	struct kernel_image k = {
		.cmdline_max = t->cmdline_max,
		.initrd_max = t->initrd_max,
		.page_size = t->page_size,
	};
	int rc;

	if (!fmt || !(fmt->kinds & t->formats))
		return kernel_refuse(kf, fmt, err);
	rc = fmt->load(kf, gm, low, &k, err);
	if (rc)
		return rc;
	kernel_limit_initrd(t, &k);
	*ret = k;
	return 0;
}

/**
 * Is the file to be unpacked first? A kernel's own magic tells more than the two bytes of gzip,
 * which the first instruction of an arm64 Image may happen to be.
 */
static bool kernel_is_packed(const uint8_t *head)
{
	const struct kernel_format *fmt = kernel_find_format(head);

	return !(fmt && fmt->kinds) && unpack_name(head);
}

/** kf is a compressed kernel, and is afterwards what was in it. */
static int kernel_load_packed(struct kernel_file *kf, const struct guest_memory *gm, gpa_t low,
	struct kernel_image *ret, struct err *err)
{
	const char *name = unpack_name(kf->head);
	fd_auto int fd = -1;
	int rc = unpack_file(kf, gm_total(gm), &fd, err);

	if (rc)
		return rc;
	rc = kernel_open(kf, fd, err);
	if (!rc && kernel_is_packed(kf->head))
		rc = err_set(err, ENOEXEC, "is compressed again (%s)", unpack_name(kf->head));
	if (!rc)
		rc = kernel_load_plain(kf, gm, low, ret, err);
	return rc ? err_prefix(err, rc, "unpacked (%s)", name) : 0;
}

static int kernel_detect_and_load(int fd, const struct guest_memory *gm,
	const struct kernel_target *t, gpa_t low, struct kernel_image *ret, struct err *err)
{
	struct kernel_file kf = { .target = t };
	int rc = kernel_open(&kf, fd, err);

	if (rc)
		return rc;
	return kernel_is_packed(kf.head) ? kernel_load_packed(&kf, gm, low, ret, err)
					 : kernel_load_plain(&kf, gm, low, ret, err);
}

int kernel_load(const struct guest_memory *gm, int fd, const char *path,
	const struct kernel_target *t, gpa_t low, struct kernel_image *ret, struct err *err)
{
	int rc = kernel_detect_and_load(fd, gm, t, low, ret, err);

	/* A path of any length must not push the cause out of the line. */
	return rc ? err_prefix(err, rc, "KERNEL: %.256s", path) : 0;
}
