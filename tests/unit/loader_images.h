/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Small kernels made in code, good unless a test spoils them, and a machine of 3 MiB to load
 * them into: RAM from 1 MiB to 3 MiB and from 4 MiB to 5 MiB. For an Image, whose addresses
 * are multiples of 2 MiB, another machine has 24 MiB, from 1 MiB above 1 GiB on.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "loader/internal.h"
#include "tests/unit/kernel_targets.h"

#define LI_LOW  MIB
#define LI_RAM1 (2 * MIB) /* bytes at 1 MiB */
#define LI_RAM2 MIB       /* bytes at 4 MiB */

/* bzImage: 1024 bytes of setup, 0x210 of code. */
#define LI_BZ_SETUP     1024
#define LI_BZ_CODE      0x210
#define LI_BZ_LEN       (LI_BZ_SETUP + LI_BZ_CODE)
#define LI_BZ_PREF      (MIB + 512 * KIB)
#define LI_BZ_INIT_SIZE (64 * KIB)

/* ELF: header, 3 program headers (two PT_LOAD, one PT_NOTE), two notes, two segments. */
#define LI_ELF_PHOFF  64
#define LI_ELF_NOTES  (LI_ELF_PHOFF + 3 * sizeof(Elf64_Phdr))
#define LI_ELF_XEN    (LI_ELF_NOTES + 24) /* the second note */
#define LI_ELF_NOTELN (24 + 24)
#define LI_ELF_TEXT   0x140
#define LI_ELF_TEXTLN 0x40
#define LI_ELF_DATA   (LI_ELF_TEXT + LI_ELF_TEXTLN)
#define LI_ELF_DATALN 0x20
#define LI_ELF_LEN    (LI_ELF_DATA + LI_ELF_DATALN)
#define LI_ELF_ADDR   (MIB + 64 * KIB)
#define LI_ELF_ADDR2  (LI_ELF_ADDR + 8 * KIB)
#define LI_ELF_MEMLN2 (4 * KIB)

/* Image: the header and some code, and as much BSS. */
#define LI_IMAGE_LEN  0x300
#define LI_IMAGE_SIZE 0x5000
#define LI_IMAGE_RAM  (GIB + MIB)
#define LI_IMAGE_RAML (24 * MIB)
#define LI_IMAGE_BASE (GIB + 2 * MIB)

struct li {
	const struct kernel_target *target; /* li_x86 unless a test says otherwise */
	gpa_t low;
	struct guest_memory gm;
	uint8_t *ram1, *ram2;
	uint8_t file[4096];
	size_t len;
	struct kernel_image k;
	struct err err;
	int rc;
};

static inline int li_memfd(const void *bytes, size_t len)
{
	int fd = memfd_create("kernel", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	return fd;
}

static inline void li_bzimage(struct li *t)
{
	uint8_t *f = t->file;

	memset(f, 0, sizeof(t->file));
	t->len = LI_BZ_LEN;
	for (unsigned i = 0; i < LI_BZ_CODE; i++)
		f[LI_BZ_SETUP + i] = (uint8_t)(i * 7 + 1);
	f[0x1f1] = 1;
	le32_put(f + 0x1f4, LI_BZ_CODE / 16);
	le16_put(f + 0x1fe, 0xaa55);
	f[0x200] = 0xeb;
	f[0x201] = 0x6a;
	memcpy(f + 0x202, "HdrS", 4);
	le16_put(f + 0x206, 0x20f);
	f[0x211] = 1;
	le32_put(f + 0x22c, 0x7fffffff);
	le32_put(f + 0x230, 64 * KIB);
	f[0x234] = 1;
	le16_put(f + 0x236, 1);
	le32_put(f + 0x238, 1000);
	le64_put(f + 0x258, LI_BZ_PREF);
	le32_put(f + 0x260, LI_BZ_INIT_SIZE);
	f[0x26b] = 0xa5; /* the last byte of the setup header */
	f[0x26c] = 0x5a; /* no longer of it */
}

static inline Elf64_Ehdr *li_ehdr(struct li *t)
{
	return (Elf64_Ehdr *)(void *)t->file;
}

static inline Elf64_Phdr *li_phdr(struct li *t, unsigned n)
{
	return (Elf64_Phdr *)(void *)(t->file + LI_ELF_PHOFF) + n;
}

/** Writes a note of the owner "Xen" at off. */
static inline void li_note(struct li *t, size_t off, uint32_t type, uint32_t descsz)
{
	le32_put(t->file + off, 4);
	le32_put(t->file + off + 4, descsz);
	le32_put(t->file + off + 8, type);
	memcpy(t->file + off + 12, "Xen", 4);
}

static inline void li_elf(struct li *t)
{
	memset(t->file, 0, sizeof(t->file));
	t->len = LI_ELF_LEN;
	*li_ehdr(t) = (Elf64_Ehdr){
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_entry = LI_ELF_ADDR + 4,
		.e_phoff = LI_ELF_PHOFF,
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 3,
	};
	*li_phdr(t, 0) = (Elf64_Phdr){ .p_type = PT_LOAD,
		.p_offset = LI_ELF_TEXT,
		.p_vaddr = 0xffffffff81000000,
		.p_paddr = LI_ELF_ADDR,
		.p_filesz = LI_ELF_TEXTLN,
		.p_memsz = LI_ELF_TEXTLN };
	*li_phdr(t, 1) = (Elf64_Phdr){ .p_type = PT_LOAD,
		.p_offset = LI_ELF_DATA,
		.p_paddr = LI_ELF_ADDR2,
		.p_filesz = LI_ELF_DATALN,
		.p_memsz = LI_ELF_MEMLN2 };
	*li_phdr(t, 2) = (Elf64_Phdr){
		.p_type = PT_NOTE, .p_offset = LI_ELF_NOTES, .p_filesz = LI_ELF_NOTELN
	};
	/* A name of 5 bytes and a descriptor of 1: the walk must round up both. */
	li_note(t, LI_ELF_NOTES, 99, 1);
	le32_put(t->file + LI_ELF_NOTES, 5);
	li_note(t, LI_ELF_XEN, 18, 8);
	le64_put(t->file + LI_ELF_XEN + 16, LI_ELF_ADDR + 8);
	for (unsigned i = 0; i < LI_ELF_TEXTLN + LI_ELF_DATALN; i++)
		t->file[LI_ELF_TEXT + i] = (uint8_t)(i * 5 + 3);
}

static inline void li_image(struct li *t, const char *magic)
{
	memset(t->file, 0, sizeof(t->file));
	t->len = LI_IMAGE_LEN;
	for (unsigned i = 0x40; i < LI_IMAGE_LEN; i++)
		t->file[i] = (uint8_t)(i * 3 + 1);
	le32_put(t->file, 0x14000010);
	le64_put(t->file + 0x10, LI_IMAGE_SIZE);
	memcpy(t->file + 0x38, magic, 4);
}

static inline void li_arm64_image(struct li *t)
{
	t->target = &li_arm64;
	li_image(t, "ARM\x64");
	le64_put(t->file + 0x18, 2); /* pages of 4 KiB */
}

static inline void li_riscv64_image(struct li *t)
{
	t->target = &li_riscv64;
	li_image(t, "RSC\x05");
	memcpy(t->file + 0x30, "RISCV", 5);
	le64_put(t->file + 0x08, 2 * MIB);
	le32_put(t->file + 0x20, 2); /* version 0.2 */
}

/** Writes the first len bytes of the file into a memfd and loads that. */
static inline int li_load_cut(struct li *t, size_t len)
{
	int fd = li_memfd(t->file, len);

	memset(&t->k, 0, sizeof(t->k));
	memset(&t->err, 0, sizeof(t->err));
	t->rc = kernel_load(&t->gm, fd, "vmlinux", t->target, t->low, &t->k, &t->err);
	close(fd);
	return t->rc;
}

static inline void li_loads(struct li *t)
{
	if (li_load_cut(t, t->len))
		fail_msg("%s", t->err.msg);
}

/** The file is refused with this code and this text somewhere in the sentence. */
static inline void li_refuses(struct li *t, int code, const char *text)
{
	assert_int_equal(li_load_cut(t, t->len), -code);
	assert_ptr_equal(strstr(t->err.msg, "KERNEL: vmlinux: "), t->err.msg);
	if (!strstr(t->err.msg, text))
		fail_msg("\"%s\" does not say \"%s\"", t->err.msg, text);
	/* ret is set on success only. */
	assert_int_equal(t->k.end, 0);
}

static inline int li_setup(void **state)
{
	struct li *t = calloc(1, sizeof(*t));

	t->target = &li_x86;
	t->low = LI_LOW;
	/* From the heap, each, so that AddressSanitizer sees a byte too far. */
	t->ram1 = calloc(1, LI_RAM1);
	t->ram2 = calloc(1, LI_RAM2);
	assert_int_equal(gm_add_borrowed(&t->gm, MIB, t->ram1, LI_RAM1), 0);
	assert_int_equal(gm_add_borrowed(&t->gm, 4 * MIB, t->ram2, LI_RAM2), 0);
	*state = t;
	return 0;
}

/** The machine for Images: one region, of which ram1 is the host's side. */
static inline int li_image_setup(void **state)
{
	struct li *t = calloc(1, sizeof(*t));

	t->target = &li_arm64;
	t->low = LI_IMAGE_RAM;
	t->ram1 = calloc(1, LI_IMAGE_RAML);
	assert_int_equal(gm_add_borrowed(&t->gm, LI_IMAGE_RAM, t->ram1, LI_IMAGE_RAML), 0);
	*state = t;
	return 0;
}

static inline int li_teardown(void **state)
{
	struct li *t = *state;

	gm_fini(&t->gm);
	free(t->ram1);
	free(t->ram2);
	free(t);
	return 0;
}

#define LI_TEST(f)       cmocka_unit_test_setup_teardown(f, li_setup, li_teardown)
#define LI_IMAGE_TEST(f) cmocka_unit_test_setup_teardown(f, li_image_setup, li_teardown)
