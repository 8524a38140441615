// SPDX-License-Identifier: BSD-3-Clause
/*
 * ELF: the loadable segments go to their physical addresses; the entry is the PVH note's, or
 * e_entry, which in a vmlinux is physical too and wants what a bzImage's 64-bit entry wants.
 * Section headers, symbols and debug information are never read.
 *
 * Invariants:
 * 1. All headers are judged before the first byte is loaded.
 * 2. Segments lie in RAM at or above low and do not overlap, so that what is read is bounded
 *    by RAM, and RAM, fresh and thus zero, needs no zeroing for BSS.
 * 3. The entry lies in bytes that came from the file.
 *
 * System V ABI, ELF-64; Xen's PVH start-of-day ABI.
 */
#include "loader/internal.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>

#define ELF_MAX_PHDRS 64  /* a vmlinux has 5 */
#define ELF_MAX_NOTES 256 /* of all PT_NOTE segments together; a vmlinux has 5 to 20 */

#define ELF_NOTE_ALIGN       4 /* of names and descriptors, whatever p_align says */
#define ELF_XEN_PHYS32_ENTRY 18

#define ELF_CMDLINE_MAX 2047 /* x86 COMMAND_LINE_SIZE without the NUL */
/*
 * What Linux says in the header of its bzImage (initrd_addr_max): this is the same kernel
 * without that header. More than 4 GiB - 1 would not do, as its PVH code keeps 32 bits.
 */
#define ELF_INITRD_MAX 0x7fffffff

struct elf_kernel {
	const struct kernel_file *kf;
	Elf64_Ehdr eh;
	Elf64_Phdr ph[ELF_MAX_PHDRS]; /* eh.e_phnum of them */
	bool has_pvh;
	uint64_t pvh_entry;
};

static int elf_check_header(const struct elf_kernel *e, struct err *err)
{
	const Elf64_Ehdr *eh = &e->eh;

	if (eh->e_ident[EI_CLASS] != ELFCLASS64)
		return err_set(err, ENOEXEC, "is not a 64-bit ELF (class %u), this is %s",
			eh->e_ident[EI_CLASS], LOADER_MACHINE_NAME);
	if (eh->e_ident[EI_DATA] != ELFDATA2LSB)
		return err_set(err, ENOEXEC, "is not a little-endian ELF (data %u), this is %s",
			eh->e_ident[EI_DATA], LOADER_MACHINE_NAME);
	if (eh->e_machine != LOADER_MACHINE_ELF)
		return err_set(err, ENOEXEC, "is an ELF of machine %u, this is %s (%u)",
			eh->e_machine, LOADER_MACHINE_NAME, LOADER_MACHINE_ELF);
	if (eh->e_type != ET_EXEC && eh->e_type != ET_DYN)
		return err_set(err, ENOEXEC, "is an ELF of type %u, not an executable", eh->e_type);
	if (eh->e_phentsize != sizeof(Elf64_Phdr))
		return err_set(err, EINVAL, "has program headers of %u bytes, not %zu",
			eh->e_phentsize, sizeof(Elf64_Phdr));
	if (eh->e_phnum > ELF_MAX_PHDRS)
		return err_set(err, EINVAL, "has %u program headers, at most %u are taken",
			eh->e_phnum, ELF_MAX_PHDRS);
	return 0;
}

static int elf_read_headers(struct elf_kernel *e, struct err *err)
{
	int rc;

	if (e->kf->file.size < sizeof(e->eh))
		return err_set(err, EINVAL,
			"is cut short: an ELF header has %zu bytes, the file %" PRIu64,
			sizeof(e->eh), e->kf->file.size);
	memcpy(&e->eh, e->kf->head, sizeof(e->eh));
	rc = elf_check_header(e, err);
	if (rc)
		return rc;
	return lfile_read(&e->kf->file, e->eh.e_phoff, e->ph, e->eh.e_phnum * sizeof(e->ph[0]),
		"the program headers", err);
}

/** A segment of no bytes is as good as none. */
static bool elf_is_loaded(const Elf64_Phdr *ph)
{
	return ph->p_type == PT_LOAD && (ph->p_memsz || ph->p_filesz);
}

static int elf_check_segment(const struct elf_kernel *e, const Elf64_Phdr *ph,
	const struct guest_memory *gm, gpa_t low, struct err *err)
{
	uint64_t room = place_ram_from(gm, ph->p_paddr);
	int rc;

	if (ph->p_filesz > ph->p_memsz)
		return err_set(err, EINVAL,
			"has a segment of %" PRIu64 " bytes with %" PRIu64 " in the file",
			ph->p_memsz, ph->p_filesz);
	rc = lfile_check(&e->kf->file, ph->p_offset, ph->p_filesz, "a segment", err);
	if (rc)
		return rc;
	if (ph->p_paddr < low)
		return err_set(err, ENOSPC,
			"wants to be at 0x%" PRIx64 ", but RAM is free from 0x%" PRIx64,
			ph->p_paddr, low);
	if (ph->p_memsz > room)
		return err_set(err, ENOSPC,
			"needs %" PRIu64 " bytes at 0x%" PRIx64 ", RAM has %" PRIu64 " there",
			ph->p_memsz, ph->p_paddr, room);
	return 0;
}

/** Both ends are known not to wrap: they are in RAM. */
static int elf_check_overlap(const struct elf_kernel *e, unsigned n, struct err *err)
{
	const Elf64_Phdr *a = &e->ph[n];

	for (unsigned i = 0; i < n; i++) {
		const Elf64_Phdr *b = &e->ph[i];

		if (elf_is_loaded(b) && a->p_paddr < b->p_paddr + b->p_memsz &&
			b->p_paddr < a->p_paddr + a->p_memsz)
			return err_set(err, EINVAL,
				"has segments that overlap, at 0x%" PRIx64 " and 0x%" PRIx64,
				b->p_paddr, a->p_paddr);
	}
	return 0;
}

static int elf_check_segments(const struct elf_kernel *e, const struct guest_memory *gm, gpa_t low,
	struct kernel_image *ret, struct err *err)
{
	bool any = false;

	for (unsigned i = 0; i < e->eh.e_phnum; i++) {
		const Elf64_Phdr *ph = &e->ph[i];
		int rc;

		if (ph->p_type == PT_INTERP)
			return err_set(
				err, ENOEXEC, "is a program of an operating system, not a kernel");
		if (!elf_is_loaded(ph))
			continue;
		rc = elf_check_segment(e, ph, gm, low, err);
		if (!rc)
			rc = elf_check_overlap(e, i, err);
		if (rc)
			return rc;
		ret->start = any ? MIN(ret->start, ph->p_paddr) : ph->p_paddr;
		ret->end = MAX(ret->end, ph->p_paddr + ph->p_memsz);
		any = true;
	}
	if (!any)
		return err_set(err, EINVAL, "has nothing to load: no PT_LOAD segment");
	return 0;
}

/** Takes the entry when buf (note header, name, descriptor) is the note that has it. */
static int elf_take_note(struct elf_kernel *e, const uint8_t *buf, struct err *err)
{
	uint32_t namesz = le32_get(buf), descsz = le32_get(buf + 4), type = le32_get(buf + 8);

	if (e->has_pvh || type != ELF_XEN_PHYS32_ENTRY || namesz != sizeof("Xen") ||
		memcmp(buf + sizeof(Elf64_Nhdr), "Xen", sizeof("Xen")))
		return 0;
	buf += sizeof(Elf64_Nhdr) + sizeof("Xen");
	if (descsz != 4 && descsz != 8)
		return err_set(err, EINVAL, "has a PVH entry of %u bytes, not 4 or 8", descsz);
	e->pvh_entry = descsz == 4 ? le32_get(buf) : le64_get(buf);
	e->has_pvh = true;
	return 0;
}

static uint64_t elf_note_pad(uint64_t len)
{
	return align_down_u64(len + ELF_NOTE_ALIGN - 1, ELF_NOTE_ALIGN);
}

/** One PT_NOTE segment, one small read for each note; *left notes may still be read. */
static int elf_walk_notes(
	struct elf_kernel *e, const Elf64_Phdr *ph, unsigned *left, struct err *err)
{
	uint64_t off = ph->p_offset, len = ph->p_filesz;
	int rc;

	rc = lfile_check(&e->kf->file, off, len, "its notes", err);
	if (rc)
		return rc;
	while (len >= sizeof(Elf64_Nhdr)) {
		uint8_t buf[sizeof(Elf64_Nhdr) + sizeof("Xen") + sizeof(uint64_t)] = { 0 };
		uint64_t name, desc, size;

		if (!(*left)--)
			return err_set(err, EINVAL, "has more than %u notes", ELF_MAX_NOTES);
		rc = lfile_read(
			&e->kf->file, off, buf, (size_t)MIN(len, sizeof(buf)), "a note", err);
		if (rc)
			return rc;
		name = le32_get(buf);
		desc = le32_get(buf + 4);
		/* Sums of 32-bit numbers in 64 bits do not wrap. */
		size = sizeof(Elf64_Nhdr) + elf_note_pad(name) + desc;
		if (size > len)
			return err_set(err, EINVAL,
				"has a note of %" PRIu64 " bytes where %" PRIu64 " are left", size,
				len);
		rc = elf_take_note(e, buf, err);
		if (rc)
			return rc;
		/* The last one's padding may be missing. */
		size = MIN(elf_note_pad(size), len);
		off += size;
		len -= size;
	}
	return 0;
}

static int elf_find_pvh(struct elf_kernel *e, struct err *err)
{
	unsigned left = ELF_MAX_NOTES;

	for (unsigned i = 0; i < e->eh.e_phnum; i++) {
		int rc = e->ph[i].p_type == PT_NOTE ? elf_walk_notes(e, &e->ph[i], &left, err) : 0;

		if (rc)
			return rc;
	}
	return 0;
}

/** Invariant 3. */
static int elf_set_entry(const struct elf_kernel *e, struct kernel_image *ret, struct err *err)
{
	ret->kind = e->has_pvh ? KERNEL_ELF_PVH : KERNEL_ELF_LINUX;
	ret->entry = e->has_pvh ? e->pvh_entry : e->eh.e_entry;
	/* PVH is entered with 32-bit registers. */
	if (e->has_pvh && ret->entry > UINT32_MAX)
		return err_set(
			err, EINVAL, "has a PVH entry 0x%" PRIx64 " above 4 GiB", ret->entry);
	for (unsigned i = 0; i < e->eh.e_phnum; i++)
		if (elf_is_loaded(&e->ph[i]) &&
			range_within(ret->entry, 1, e->ph[i].p_paddr, e->ph[i].p_filesz))
			return 0;
	return err_set(err, EINVAL, "has its %s 0x%" PRIx64 " outside of what it loads",
		e->has_pvh ? "PVH entry" : "entry", ret->entry);
}

int elf_load(const struct kernel_file *kf, const struct guest_memory *gm, gpa_t low,
	struct kernel_image *ret, struct err *err)
{
	struct elf_kernel e = { .kf = kf };
	int rc;

	rc = elf_read_headers(&e, err);
	if (!rc)
		rc = elf_check_segments(&e, gm, low, ret, err);
	if (!rc)
		rc = elf_find_pvh(&e, err);
	if (!rc)
		rc = elf_set_entry(&e, ret, err);
	for (unsigned i = 0; !rc && i < e.eh.e_phnum; i++)
		if (elf_is_loaded(&e.ph[i]) && e.ph[i].p_filesz)
			rc = lfile_to_ram(&kf->file, e.ph[i].p_offset, e.ph[i].p_filesz, gm,
				e.ph[i].p_paddr, "a segment", err);
	if (rc)
		return rc;
	ret->cmdline_max = ELF_CMDLINE_MAX;
	ret->initrd_max = ELF_INITRD_MAX;
	return 0;
}
