// SPDX-License-Identifier: BSD-3-Clause
/*
 * The one ELF note that says how a kernel is entered. One small read for each note, of which
 * there is a bounded number, so that a segment of gigabytes costs nothing.
 *
 * System V ABI, ELF-64, "Note Section"; Xen's PVH start-of-day ABI.
 */
#include "loader/internal.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>

#define ELF_NOTE_ALIGN       4 /* of names and descriptors, whatever p_align says */
#define ELF_XEN_PHYS32_ENTRY 18

/** Takes the entry when buf (note header, name, descriptor) is the note that has it. */
static int elf_take_note(struct elf_pvh *pvh, const uint8_t *buf, struct err *err)
{
	uint32_t namesz = le32_get(buf), descsz = le32_get(buf + 4), type = le32_get(buf + 8);

	if (pvh->found || type != ELF_XEN_PHYS32_ENTRY || namesz != sizeof("Xen") ||
		memcmp(buf + sizeof(Elf64_Nhdr), "Xen", sizeof("Xen")))
		return 0;
	buf += sizeof(Elf64_Nhdr) + sizeof("Xen");
	if (descsz != 4 && descsz != 8)
		return err_set(err, EINVAL, "has a PVH entry of %u bytes, not 4 or 8", descsz);
	pvh->entry = descsz == 4 ? le32_get(buf) : le64_get(buf);
	pvh->found = true;
	return 0;
}

static uint64_t elf_note_pad(uint64_t len)
{
	return align_down_u64(len + ELF_NOTE_ALIGN - 1, ELF_NOTE_ALIGN);
}

int elf_find_pvh(
	const struct lfile *f, uint64_t off, uint64_t len, struct elf_pvh *pvh, struct err *err)
{
	int rc = lfile_check(f, off, len, "its notes", err);

	if (rc)
		return rc;
	while (len >= sizeof(Elf64_Nhdr)) {
		uint8_t buf[sizeof(Elf64_Nhdr) + sizeof("Xen") + sizeof(uint64_t)] = { 0 };
		uint64_t name, desc, size;

		if (!pvh->left--)
			return err_set(err, EINVAL, "has more than %u notes", ELF_MAX_NOTES);
		rc = lfile_read(f, off, buf, (size_t)MIN(len, sizeof(buf)), "a note", err);
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
		rc = elf_take_note(pvh, buf, err);
		if (rc)
			return rc;
		/* The last one's padding may be missing. */
		size = MIN(elf_note_pad(size), len);
		off += size;
		len -= size;
	}
	return 0;
}
