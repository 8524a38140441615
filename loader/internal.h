/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of loader/ share and nobody else may use: the file being loaded, the search
 * for room in RAM, and the formats' entry points. The building thread only.
 */
#pragma once

#include <elf.h>

#include "base/base.h"
#include "base/err.h"
#include "loader/loader.h"
#include "memory/memory.h"

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

/* --- unpack.c: a compressed kernel becomes a file in memory --- */

struct unpack {
	const char *name; /* "gzip" */
	const struct lfile *in;
	uint64_t pos, end;       /* what of the file has not been read yet */
	uint8_t *buf;            /* UNPACK_CHUNK bytes of input, then as many for output */
	size_t buf_pos, buf_len; /* what of the input in buf has not been used yet */
	int out_fd;
	uint64_t out_len, out_max; /* bytes */
};

#define UNPACK_CHUNK (256 * KIB)

/** One compression. Judges its own end; what follows it is the caller's to judge. */
typedef int (*unpack_fn)(struct unpack *u, struct err *err);

struct unpack_codec {
	const char *name;
	uint8_t magic[4];
	unsigned magic_len;
	unpack_fn run;
};

int __must_check unpack_gzip(struct unpack *u, struct err *err);
int __must_check unpack_zstd(struct unpack *u, struct err *err);
int __must_check unpack_lz4_frame(struct unpack *u, struct err *err);
int __must_check unpack_lz4_legacy(struct unpack *u, struct err *err);

/** When buf is used up: reads on. Nothing happens at the end of the input. */
int __must_check unpack_fill(struct unpack *u, struct err *err);
/** Where output may be made, UNPACK_CHUNK bytes. */
uint8_t *unpack_room(const struct unpack *u);
/** Appends len bytes to the output. Returns 0, -ENOSPC (more than out_max) or -EIO. */
int __must_check unpack_put(struct unpack *u, const void *bytes, size_t len, struct err *err);
/** The sentences of a stream that ends too early, and of one that says nonsense. */
int unpack_cut_short(const struct unpack *u, struct err *err);
int unpack_corrupt(const struct unpack *u, const char *why, struct err *err);

/* --- formats: one file each, one row in kernel.c --- */

/* The start of the file, zero-padded where the file is shorter: every magic lies in it. */
#define KERNEL_HEAD_LEN (SETUP_HEADER_OFFSET + SETUP_HEADER_MAX)

struct kernel_file {
	const struct kernel_target *target;
	struct lfile file;
	uint8_t head[KERNEL_HEAD_LEN];
};

/** "gzip": the compression that a file's head tells, "EFI zboot", or NULL. */
const char *unpack_name(const uint8_t *head);

/**
 * Unpacks the file, which unpack_name knows, into a file in memory of at most max bytes.
 * Returns 0, -EINVAL (cut short, corrupt, garbage behind it), -ENOEXEC (a compression that is
 * not known), -ENOSPC (more than max), -ENOMEM or -EIO. The caller closes *ret_fd.
 */
int __must_check unpack_file(
	const struct kernel_file *kf, uint64_t max, int *ret_fd, struct err *err);

/**
 * Checks and loads a kernel whose magic has matched. *ret has the target's limits, all else
 * is zero. Errors are the cause alone, as "KERNEL: path: " is put in front by the caller; codes
 * as kernel_load.
 */
typedef int (*kernel_format_load_fn)(const struct kernel_file *kf, const struct guest_memory *gm,
	gpa_t low, struct kernel_image *ret, struct err *err);

int __must_check bzimage_load(const struct kernel_file *kf, const struct guest_memory *gm,
	gpa_t low, struct kernel_image *ret, struct err *err);
int __must_check elf_load(const struct kernel_file *kf, const struct guest_memory *gm, gpa_t low,
	struct kernel_image *ret, struct err *err);
int __must_check image_load(const struct kernel_file *kf, const struct guest_memory *gm, gpa_t low,
	struct kernel_image *ret, struct err *err);

/* --- image.c, for a vmlinux, which begins with the same header --- */

#define IMAGE_HEADER_LEN 64

/** Is h, IMAGE_HEADER_LEN bytes, the header of an Image that t enters? */
bool image_is_header(const uint8_t *h, const struct kernel_target *t);

/**
 * Believes such a header and finds a place for the kernel, of which len bytes are known:
 * sets kind, entry, start, end and page_size. Returns 0, -ENOEXEC, -EINVAL or -ENOSPC.
 */
int __must_check image_place(const uint8_t *h, uint64_t len, const struct kernel_target *t,
	const struct guest_memory *gm, gpa_t low, struct kernel_image *ret, struct err *err);

/* --- elf_note.c --- */

#define ELF_MAX_NOTES 256 /* of all PT_NOTE segments together; a vmlinux has 5 to 20 */

struct elf_pvh {
	bool found;
	uint64_t entry;
	unsigned left; /* notes that may still be read */
};

/**
 * Are the relocations that the program headers lead to in the file? Returns 0, also where there
 * are none to look for, -ENOEXEC when zeroes are in their place, -EINVAL or -EIO.
 */
int __must_check elf_check_relocations(
	const struct kernel_file *kf, const Elf64_Phdr *ph, unsigned nr_ph, struct err *err);

/** Looks for the PVH entry in len bytes of notes at off. Returns 0, -EINVAL or -EIO. */
int __must_check elf_find_pvh(
	const struct lfile *f, uint64_t off, uint64_t len, struct elf_pvh *pvh, struct err *err);
