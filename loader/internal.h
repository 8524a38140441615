/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of loader/ share and nobody else may use: the file being loaded, the search
 * for room in RAM, and the formats' entry points. The building thread only.
 */
#pragma once

#include "base/base.h"
#include "base/err.h"
#include "loader/loader.h"
#include "memory/memory.h"

/* The machine that kernels are loaded for, as error sentences and e_machine name it. */
#define LOADER_MACHINE_NAME "x86_64"
#define LOADER_MACHINE_ELF  62 /* EM_X86_64 */

/* --- file.c: a regular file of known size --- */

struct lfile {
	int fd;        /* borrowed */
	uint64_t size; /* bytes when lfile_init looked */
};

/** Refuses what is not a regular file, and an empty one. Returns 0, -EINVAL or -EIO. */
int __must_check lfile_init(struct lfile *f, int fd, struct err *err);

/**
 * Does [off, off+len) lie in the file? what names the part in errors ("the program headers").
 * Returns 0 or -EINVAL.
 */
int __must_check lfile_check(
	const struct lfile *f, uint64_t off, uint64_t len, const char *what, struct err *err);

/** Copies [off, off+len) of the file into buf. Returns 0, -EINVAL (not in the file) or -EIO. */
int __must_check lfile_read(const struct lfile *f, uint64_t off, void *buf, size_t len,
	const char *what, struct err *err);

/** The same, straight into guest RAM, which the caller has found to be RAM. */
int __must_check lfile_to_ram(const struct lfile *f, uint64_t off, uint64_t len,
	const struct guest_memory *gm, gpa_t gpa, const char *what, struct err *err);

/* --- place.c: where in RAM something fits; adjacent regions count as one --- */

/** How many bytes of RAM follow from gpa on without a hole; 0 where there is none. */
uint64_t place_ram_from(const struct guest_memory *gm, gpa_t gpa);

/**
 * The lowest multiple of align (a power of two) in [from, limit) where len bytes of RAM end
 * at or below limit. False when there is none; *ret_gpa then is untouched.
 */
bool place_lowest(const struct guest_memory *gm, gpa_t from, gpa_t limit, uint64_t align,
	uint64_t len, gpa_t *ret_gpa);

/** The highest such address. */
bool place_highest(const struct guest_memory *gm, gpa_t from, gpa_t limit, uint64_t align,
	uint64_t len, gpa_t *ret_gpa);

/** The largest len for which place_lowest would succeed. */
uint64_t place_largest(const struct guest_memory *gm, gpa_t from, gpa_t limit, uint64_t align);

/* --- formats: one file each, one row in kernel.c --- */

/* The start of the file, zero-padded where the file is shorter: every magic lies in it. */
#define KERNEL_HEAD_LEN (SETUP_HEADER_OFFSET + SETUP_HEADER_MAX)

struct kernel_file {
	struct lfile file;
	uint8_t head[KERNEL_HEAD_LEN];
};

/**
 * Checks and loads a kernel whose magic has matched. *ret is zeroed. Errors are the cause
 * alone, as "KERNEL: path: " is put in front by the caller; codes as kernel_load.
 */
typedef int (*kernel_format_load_fn)(const struct kernel_file *kf, const struct guest_memory *gm,
	gpa_t low, struct kernel_image *ret, struct err *err);

int __must_check bzimage_load(const struct kernel_file *kf, const struct guest_memory *gm,
	gpa_t low, struct kernel_image *ret, struct err *err);
int __must_check elf_load(const struct kernel_file *kf, const struct guest_memory *gm, gpa_t low,
	struct kernel_image *ret, struct err *err);
