// SPDX-License-Identifier: BSD-3-Clause
/*
 * A vmlinux that moves itself (riscv64's, with CONFIG_RELOCATABLE) names a table of relocations
 * which the kernel's build has taken out of the file: zeroes are left. It would jump to address
 * 0 or the like, and say nothing.
 *
 * System V ABI, "Dynamic Section"; Linux arch/riscv/Makefile.postlink.
 */
#include "loader/internal.h"

#include <elf.h>
#include <errno.h>

#define RELA_MAX_DYN 64 /* entries of a dynamic section that are looked at; a vmlinux has 13 */

/** The value of a tag in the dynamic section, or 0. */
static uint64_t rela_tag(const Elf64_Dyn *dyn, size_t n, int64_t tag)
{
	for (size_t i = 0; i < n && dyn[i].d_tag != DT_NULL; i++)
		if (dyn[i].d_tag == tag)
			return dyn[i].d_un.d_val;
	return 0;
}

/** Where in the file the bytes of a virtual address are; false where they are in none. */
static bool rela_offset(
	const Elf64_Phdr *ph, unsigned nr_ph, uint64_t addr, uint64_t len, uint64_t *ret)
{
	for (unsigned i = 0; i < nr_ph; i++) {
		if (ph[i].p_type != PT_LOAD ||
			!range_within(addr, len, ph[i].p_vaddr, ph[i].p_filesz))
			continue;
		return !__builtin_add_overflow(ph[i].p_offset, addr - ph[i].p_vaddr, ret);
	}
	return false;
}

int elf_check_relocations(
	const struct kernel_file *kf, const Elf64_Phdr *ph, unsigned nr_ph, struct err *err)
{
	static const Elf64_Rela none;
	Elf64_Dyn dyn[RELA_MAX_DYN] = { 0 };
	Elf64_Rela first = { 0 };
	uint64_t off, len = 0;
	int rc = 0;

	for (unsigned i = 0; i < nr_ph && !len; i++) {
		if (ph[i].p_type != PT_DYNAMIC)
			continue;
		len = MIN(ph[i].p_filesz, sizeof(dyn));
		rc = lfile_read(
			&kf->file, ph[i].p_offset, dyn, (size_t)len, "the dynamic section", err);
	}
	if (rc)
		return rc;
	len /= sizeof(dyn[0]);
	if (rela_tag(dyn, (size_t)len, DT_RELASZ) < sizeof(first) ||
		!rela_offset(ph, nr_ph, rela_tag(dyn, (size_t)len, DT_RELA), sizeof(first), &off))
		return 0;
	rc = lfile_read(&kf->file, off, &first, sizeof(first), "the relocations", err);
	if (!rc && !memcmp(&first, &none, sizeof(none)))
		rc = err_set(err, ENOEXEC,
			"is a vmlinux without its relocations, which the kernel's build takes out: "
			"use its Image, or vmlinux.relocs");
	return rc;
}
