/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Kernel, initrd and command line into guest memory. Everything in a file is hostile: all
 * offsets and lengths are checked against the file and against RAM before a byte is copied.
 *
 * The same code loads for every machine: what a machine can enter is data that the caller
 * gives (struct kernel_target).
 *
 * Runs before the machine starts, on the building thread.
 *
 * Linux Documentation/arch/x86/boot.rst (boot protocol 2.12 and later),
 * Documentation/arch/arm64/booting.rst, Documentation/arch/riscv/boot.rst and
 * boot-image-header.rst; System V ABI, ELF-64; Xen's PVH start-of-day ABI
 * (XEN_ELFNOTE_PHYS32_ENTRY).
 */
#pragma once

#include "base/base.h"
#include "base/err.h"
#include "memory/memory.h"

/** What was loaded, which is: how it is entered. */
enum kernel_kind {
	KERNEL_BZIMAGE,   /* enter entry in long mode, zero page in RSI */
	KERNEL_ELF_PVH,   /* enter entry in 32-bit protected mode, hvm_start_info in EBX */
	KERNEL_ELF_LINUX, /* as KERNEL_BZIMAGE */
	/* MMU off, interrupts masked; x0 = FDT (8-byte aligned, at most 2 MiB), x1..x3 = 0 */
	KERNEL_IMAGE_ARM64,
	/* supervisor mode, satp = 0; a0 = hart id, a1 = FDT (8-byte aligned) */
	KERNEL_IMAGE_RISCV64,
	/* an ELF, a vmlinux or a program for the bare machine, entered as its machine's Image */
	KERNEL_ELF_FDT,
};

/**
 * What a machine can boot, and the limits that a kernel file does not state itself. A constant
 * of arch/<isa>/.
 */
struct kernel_target {
	const char *name;     /* "aarch64": in error sentences */
	uint16_t elf_machine; /* e_machine */
	/*
	 * BIT(enum kernel_kind) of each kind that it enters, at most one of the *IMAGE* kinds. A
	 * PVH note is looked for only where KERNEL_ELF_PVH is among them; any other ELF is what
	 * KERNEL_ELF_LINUX or KERNEL_ELF_FDT says.
	 */
	uint64_t formats;
	uint64_t cmdline_max;   /* bytes without the NUL that its kernels take */
	gpa_t initrd_max;       /* highest address of the initrd's last byte */
	uint64_t initrd_window; /* bytes, a GiB multiple: the initrd's end is at most that far
	                           above the GiB that the kernel starts in; 0: no such rule */
	uint64_t page_size;     /* bytes, largest page that a kernel of it may use */
};

#define SETUP_HEADER_OFFSET 0x1f1
#define SETUP_HEADER_MAX    0x8f /* bytes kept: boot_params has room up to 0x280 */

struct kernel_image {
	enum kernel_kind kind;
	gpa_t entry;
	gpa_t start, end;     /* what the kernel occupies, BSS or init_size included */
	uint64_t cmdline_max; /* bytes without the NUL; the target's where the kernel is silent */
	gpa_t initrd_max;     /* highest address of the initrd's last byte */
	uint64_t page_size;   /* bytes, of the kernel; the target's where the kernel is silent */
	uint8_t setup_header[SETUP_HEADER_MAX]; /* bzImage: the file's bytes from 0x1f1 */
	unsigned setup_header_len;              /* bytes, 0 for all others */
};

/**
 * Tells the kernel's format by its magic and loads it for t. low is the lowest address the
 * kernel may use: 1 MiB on x86_64, where RAM starts elsewhere (an Image goes to the first
 * 2 MiB boundary from there on, plus its own text_offset). path names it in errors
 * ("KERNEL: path: cause"); fd is a regular file.
 * Returns 0, -ENOEXEC (not a kernel, or of another machine), -EINVAL (cut short, a wild
 * number, too old a protocol), -ENOSPC (does not fit RAM), -ENOMEM, or -EIO.
 */
int __must_check kernel_load(const struct guest_memory *gm, int fd, const char *path,
	const struct kernel_target *t, gpa_t low, struct kernel_image *ret, struct err *err);

/**
 * Places the initrd as high as RAM below limit (exclusive, the end of low RAM) and
 * k->initrd_max allow, above k->end, on a page of the kernel's. Returns 0, -ENOSPC (says how much
 * is free), -EINVAL (empty), -EIO.
 */
int __must_check initrd_load(const struct guest_memory *gm, int fd, const char *path,
	const struct kernel_image *k, gpa_t limit, gpa_t *ret_start, uint64_t *ret_len,
	struct err *err);

/** Is text no longer than the kernel takes? Returns 0 or -E2BIG, naming both lengths. */
int __must_check cmdline_check(const char *text, const struct kernel_image *k, struct err *err);

/**
 * Writes text and a NUL at gpa; room is the space there. Returns 0 or -E2BIG, naming both
 * lengths and whose limit it is.
 */
int __must_check cmdline_load(const struct guest_memory *gm, const char *text,
	const struct kernel_image *k, gpa_t gpa, uint64_t room, struct err *err);
