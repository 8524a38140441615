// SPDX-License-Identifier: BSD-3-Clause
/*
 * ELF: the loadable segments go to their physical addresses; the entry is the PVH note's, or
 * e_entry, which is physical too and wants what a bzImage's 64-bit entry wants.
 * Section headers, symbols and debug information are never read.
 *
 * A vmlinux of an architecture that boots from an Image is different: its physical addresses
 * are its virtual ones (arm64), or count from 0 (riscv64). It begins with the header that
 * becomes the Image's, and so it is placed as an Image, its segments as far apart as they are
 * linked. An ELF without that header is a program for the bare machine, and is believed.
 *
 * Invariants:
 * 1. All headers are judged before the first byte is loaded.
 * 2. Segments lie in RAM at or above low and do not overlap, so that what is read is bounded
 *    by RAM, and RAM, fresh and thus zero, needs no zeroing for BSS.
 * 3. The entry lies in bytes that came from the file.
 *
 * System V ABI, ELF-64.
 */
#include "loader/internal.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>

#define ELF_MAX_PHDRS 64 /* a vmlinux has 5 */

struct elf_kernel {
	const struct kernel_file *kf;
	Elf64_Ehdr eh;
	Elf64_Phdr ph[ELF_MAX_PHDRS]; /* eh.e_phnum of them */
	bool is_image;                /* ph and e_entry have been moved to where the Image goes */
	struct elf_pvh pvh;
};

/** " (aarch64)" for the machines that mayfly runs on, or "". */
static const char *elf_machine_name(unsigned machine)
{
	switch (machine) {
	case EM_X86_64:
		return " (x86_64)";
	case EM_AARCH64:
		return " (aarch64)";
	case EM_RISCV:
		return " (riscv)";
	default:
		return "";
	}
}

static int elf_check_header(const struct elf_kernel *e, struct err *err)
{
	const Elf64_Ehdr *eh = &e->eh;

	if (eh->e_ident[EI_CLASS] != ELFCLASS64)
		return err_set(err, ENOEXEC, "is not a 64-bit ELF (class %u), this is %s",
			eh->e_ident[EI_CLASS], e->kf->target->name);
	if (eh->e_ident[EI_DATA] != ELFDATA2LSB)
		return err_set(err, ENOEXEC, "is not a little-endian ELF (data %u), this is %s",
			eh->e_ident[EI_DATA], e->kf->target->name);
	if (eh->e_machine != e->kf->target->elf_machine)
		return err_set(err, ENOEXEC, "is an ELF of machine %u%s, this is %s (%u)",
			eh->e_machine, elf_machine_name(eh->e_machine), e->kf->target->name,
			e->kf->target->elf_machine);
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

/** The loaded segment that is linked lowest, or NULL. */
static const Elf64_Phdr *elf_lowest(const struct elf_kernel *e)
{
	const Elf64_Phdr *low = NULL;

	for (unsigned i = 0; i < e->eh.e_phnum; i++)
		if (elf_is_loaded(&e->ph[i]) && (!low || e->ph[i].p_vaddr < low->p_vaddr))
			low = &e->ph[i];
	return low;
}

/** How many bytes are linked from link on, which is the lowest address. */
static int elf_link_span(
	const struct elf_kernel *e, uint64_t link, uint64_t *ret_span, struct err *err)
{
	*ret_span = 0;
	for (unsigned i = 0; i < e->eh.e_phnum; i++) {
		const Elf64_Phdr *ph = &e->ph[i];
		uint64_t end;

		if (!elf_is_loaded(ph))
			continue;
		if (__builtin_add_overflow(ph->p_vaddr - link, ph->p_memsz, &end))
			return err_set(err, EINVAL,
				"has a segment of %" PRIu64
				" bytes at the virtual address 0x%" PRIx64,
				ph->p_memsz, ph->p_vaddr);
		*ret_span = MAX(*ret_span, end);
	}
	return 0;
}

/**
 * Where the kernel begins with an Image header: places it, and replaces physical addresses
 * and the entry by what they are there.
 */
static int elf_move_image(struct elf_kernel *e, const struct guest_memory *gm, gpa_t low,
	struct kernel_image *ret, struct err *err)
{
	const Elf64_Phdr *first = elf_lowest(e);
	uint8_t header[IMAGE_HEADER_LEN];
	uint64_t link, span;
	int rc;

	if (!first || first->p_filesz < sizeof(header))
		return 0;
	rc = lfile_read(&e->kf->file, first->p_offset, header, sizeof(header), "a segment", err);
	if (rc || !image_is_header(header, e->kf->target))
		return rc;
	link = first->p_vaddr;
	rc = elf_link_span(e, link, &span, err);
	if (!rc)
		rc = image_place(header, span, e->kf->target, gm, low, ret, err);
	if (rc)
		return rc;
	if (!range_within(e->eh.e_entry, 1, link, span))
		return err_set(err, EINVAL, "has its entry 0x%" PRIx64 " outside of what it loads",
			e->eh.e_entry);
	/* What span covers is in RAM behind start, so that no sum wraps. */
	for (unsigned i = 0; i < e->eh.e_phnum; i++)
		if (elf_is_loaded(&e->ph[i]))
			e->ph[i].p_paddr = ret->start + (e->ph[i].p_vaddr - link);
	e->eh.e_entry = ret->start + (e->eh.e_entry - link);
	e->is_image = true;
	return 0;
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
		ret->start = any || e->is_image ? MIN(ret->start, ph->p_paddr) : ph->p_paddr;
		ret->end = MAX(ret->end, ph->p_paddr + ph->p_memsz);
		any = true;
	}
	if (!any)
		return err_set(err, EINVAL, "has nothing to load: no PT_LOAD segment");
	return 0;
}

static int elf_read_notes(struct elf_kernel *e, struct err *err)
{
	e->pvh.left = ELF_MAX_NOTES;
	for (unsigned i = 0; i < e->eh.e_phnum; i++) {
		const Elf64_Phdr *ph = &e->ph[i];
		int rc = 0;

		if (ph->p_type == PT_NOTE)
			rc = elf_find_pvh(&e->kf->file, ph->p_offset, ph->p_filesz, &e->pvh, err);
		if (rc)
			return rc;
	}
	return 0;
}

/** Invariant 3. */
static int elf_set_entry(const struct elf_kernel *e, struct kernel_image *ret, struct err *err)
{
	ret->kind = e->kf->target->formats & BIT(KERNEL_ELF_LINUX) ? KERNEL_ELF_LINUX
								   : KERNEL_ELF_FDT;
	if (e->pvh.found)
		ret->kind = KERNEL_ELF_PVH;
	ret->entry = e->pvh.found ? e->pvh.entry : e->eh.e_entry;
	/* PVH is entered with 32-bit registers. */
	if (e->pvh.found && ret->entry > UINT32_MAX)
		return err_set(
			err, EINVAL, "has a PVH entry 0x%" PRIx64 " above 4 GiB", ret->entry);
	for (unsigned i = 0; i < e->eh.e_phnum; i++)
		if (elf_is_loaded(&e->ph[i]) &&
			range_within(ret->entry, 1, e->ph[i].p_paddr, e->ph[i].p_filesz))
			return 0;
	return err_set(err, EINVAL, "has its %s 0x%" PRIx64 " outside of what it loads",
		e->pvh.found ? "PVH entry" : "entry", ret->entry);
}

int elf_load(const struct kernel_file *kf, const struct guest_memory *gm, gpa_t low,
	struct kernel_image *ret, struct err *err)
{
	struct elf_kernel e = { .kf = kf };
	int rc;

	rc = elf_read_headers(&e, err);
	if (!rc && kf->target->formats & BIT(KERNEL_ELF_FDT))
		rc = elf_check_relocations(kf, e.ph, e.eh.e_phnum, err);
	if (!rc)
		rc = elf_move_image(&e, gm, low, ret, err);
	if (!rc)
		rc = elf_check_segments(&e, gm, low, ret, err);
	if (!rc && kf->target->formats & BIT(KERNEL_ELF_PVH))
		rc = elf_read_notes(&e, err);
	if (!rc)
		rc = elf_set_entry(&e, ret, err);
	for (unsigned i = 0; !rc && i < e.eh.e_phnum; i++)
		if (elf_is_loaded(&e.ph[i]) && e.ph[i].p_filesz)
			rc = lfile_to_ram(&kf->file, e.ph[i].p_offset, e.ph[i].p_filesz, gm,
				e.ph[i].p_paddr, "a segment", err);
	return rc;
}
