/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Kernel, initrd and command line into guest memory. Everything in a file is hostile: all
 * offsets and lengths are checked against the file and against RAM before a byte is copied.
 *
 * Runs before the machine starts, on the building thread.
 *
 * Linux Documentation/arch/x86/boot.rst (boot protocol 2.12 and later); System V ABI, ELF-64;
 * Xen's PVH start-of-day ABI (XEN_ELFNOTE_PHYS32_ENTRY).
 */
#pragma once

#include "base/base.h"
#include "base/err.h"
#include "memory/memory.h"

enum kernel_kind {
	KERNEL_BZIMAGE,   /* enter entry in long mode, zero page in RSI */
	KERNEL_ELF_PVH,   /* enter entry in 32-bit protected mode, hvm_start_info in EBX */
	KERNEL_ELF_LINUX, /* as KERNEL_BZIMAGE */
};

#define SETUP_HEADER_OFFSET 0x1f1
#define SETUP_HEADER_MAX    0x8f /* bytes kept: boot_params has room up to 0x280 */

struct kernel_image {
	enum kernel_kind kind;
	gpa_t entry;
	gpa_t start, end;     /* what the kernel occupies, BSS or init_size included */
	uint64_t cmdline_max; /* bytes without the NUL; 2047 where the kernel does not say */
	gpa_t initrd_max;     /* highest address of the initrd's last byte */
	uint8_t setup_header[SETUP_HEADER_MAX]; /* bzImage: the file's bytes from 0x1f1 */
	unsigned setup_header_len;              /* bytes, 0 for ELF */
};

/**
 * Tells the kernel's format by its magic and loads it. low is the lowest address the kernel
 * may use (1 MiB). path names it in errors ("KERNEL: path: cause"); fd is a regular file.
 * Returns 0, -ENOEXEC (not a kernel, or of another machine), -EINVAL (cut short, a wild
 * number, too old a protocol), -ENOSPC (does not fit RAM), or -EIO.
 */
int __must_check kernel_load(const struct guest_memory *gm, int fd, const char *path, gpa_t low,
	struct kernel_image *ret, struct err *err);

/**
 * Places the initrd as high as RAM below limit (exclusive, the end of low RAM) and
 * k->initrd_max allow, page aligned, above k->end. Returns 0, -ENOSPC (says how much is
 * free), -EINVAL (empty), -EIO.
 */
int __must_check initrd_load(const struct guest_memory *gm, int fd, const char *path,
	const struct kernel_image *k, gpa_t limit, gpa_t *ret_start, uint64_t *ret_len,
	struct err *err);

/**
 * Writes text and a NUL at gpa; room is the space there. Returns 0 or -E2BIG, naming both
 * lengths and whose limit it is.
 */
int __must_check cmdline_load(const struct guest_memory *gm, const char *text,
	const struct kernel_image *k, gpa_t gpa, uint64_t room, struct err *err);
