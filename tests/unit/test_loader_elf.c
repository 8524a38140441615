// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/loader_images.h"

static void an_elf_with_a_pvh_note_is_entered_there(void **state)
{
	struct li *t = *state;

	li_elf(t);
	li_loads(t);
	assert_int_equal(t->k.kind, KERNEL_ELF_PVH);
	assert_int_equal(t->k.entry, LI_ELF_ADDR + 8);
	assert_int_equal(t->k.start, LI_ELF_ADDR);
	assert_int_equal(t->k.end, LI_ELF_ADDR2 + LI_ELF_MEMLN2);
	assert_int_equal(t->k.cmdline_max, 2047);
	assert_int_equal(t->k.initrd_max, 0x7fffffff);
	assert_int_equal(t->k.setup_header_len, 0);
	assert_memory_equal(t->ram1 + (LI_ELF_ADDR - MIB), t->file + LI_ELF_TEXT, LI_ELF_TEXTLN);
	assert_memory_equal(t->ram1 + (LI_ELF_ADDR2 - MIB), t->file + LI_ELF_DATA, LI_ELF_DATALN);
	assert_int_equal(t->ram1[LI_ELF_ADDR - MIB + LI_ELF_TEXTLN], 0);
	assert_int_equal(t->ram1[LI_ELF_ADDR2 - MIB + LI_ELF_DATALN], 0);
}

static void a_pvh_entry_of_4_bytes_is_taken(void **state)
{
	struct li *t = *state;

	li_elf(t);
	li_note(t, LI_ELF_XEN, 18, 4);
	le32_put(t->file + LI_ELF_XEN + 20, UINT32_MAX); /* not of the descriptor */
	li_loads(t);
	assert_int_equal(t->k.entry, LI_ELF_ADDR + 8);
}

static void a_pvh_entry_of_another_size_is_refused(void **state)
{
	static const uint32_t bad[] = { 0, 1, 5, 7 };
	struct li *t = *state;

	li_elf(t);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		li_note(t, LI_ELF_XEN, 18, bad[i]);
		li_refuses(t, EINVAL, "not 4 or 8");
	}
}

static void a_pvh_entry_outside_of_what_is_loaded_is_refused(void **state)
{
	/* Between the segments, in BSS, at either edge, and nowhere. */
	static const uint64_t bad[] = { LI_ELF_ADDR - 1, LI_ELF_ADDR + LI_ELF_TEXTLN,
		LI_ELF_ADDR2 + LI_ELF_DATALN, 0, UINT32_MAX };
	struct li *t = *state;

	li_elf(t);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		le64_put(t->file + LI_ELF_XEN + 16, bad[i]);
		li_refuses(t, EINVAL, "PVH entry 0x");
	}
	le64_put(t->file + LI_ELF_XEN + 16, LI_ELF_ADDR + LI_ELF_TEXTLN - 1);
	li_loads(t);
}

static void a_pvh_entry_above_4_gib_is_refused(void **state)
{
	struct li *t = *state;
	uint8_t *high = calloc(1, MIB);

	li_elf(t);
	assert_int_equal(gm_add_borrowed(&t->gm, 4 * GIB, high, MIB), 0);
	li_phdr(t, 0)->p_paddr = 4 * GIB;
	le64_put(t->file + LI_ELF_XEN + 16, 4 * GIB);
	li_refuses(t, EINVAL, "above 4 GiB");
	free(high);
}

static void the_first_pvh_note_counts(void **state)
{
	struct li *t = *state;

	/* Two of 24 bytes, where there was other data: the file is rearranged past its end. */
	li_elf(t);
	li_phdr(t, 2)->p_offset = 2048;
	li_phdr(t, 2)->p_filesz = 48;
	t->len = 2048 + 48;
	for (unsigned i = 0; i < 2; i++) {
		li_note(t, 2048 + i * 24, 18, 8);
		le64_put(t->file + 2048 + i * 24 + 16, LI_ELF_ADDR + i);
	}
	li_loads(t);
	assert_int_equal(t->k.entry, LI_ELF_ADDR);
}

static void only_xens_note_18_is_a_pvh_entry(void **state)
{
	struct li *t = *state;

	li_elf(t);
	li_note(t, LI_ELF_XEN, 17, 8);
	li_loads(t);
	assert_int_equal(t->k.kind, KERNEL_ELF_LINUX);
	li_note(t, LI_ELF_XEN, 18, 8);
	memcpy(t->file + LI_ELF_XEN + 12, "Xem", 4);
	li_loads(t);
	assert_int_equal(t->k.kind, KERNEL_ELF_LINUX);
	memcpy(t->file + LI_ELF_XEN + 12, "Xen", 4);
	le32_put(t->file + LI_ELF_XEN, 3); /* the name without its NUL */
	li_loads(t);
	assert_int_equal(t->k.kind, KERNEL_ELF_LINUX);
}

static void without_a_pvh_note_e_entry_is_the_entry(void **state)
{
	struct li *t = *state;

	li_elf(t);
	li_phdr(t, 2)->p_type = PT_NULL;
	li_loads(t);
	assert_int_equal(t->k.kind, KERNEL_ELF_LINUX);
	assert_int_equal(t->k.entry, LI_ELF_ADDR + 4);
	li_ehdr(t)->e_entry = 0xffffffff81000000;
	li_refuses(t, EINVAL, "entry 0xffffffff81000000 outside");
	li_ehdr(t)->e_entry = LI_ELF_ADDR2 + LI_ELF_DATALN;
	li_refuses(t, EINVAL, "outside");
}

static void an_entry_in_a_segment_that_is_not_loaded_is_refused(void **state)
{
	struct li *t = *state;

	li_elf(t);
	*li_phdr(t, 2) = *li_phdr(t, 0);
	li_phdr(t, 2)->p_type = PT_NULL;
	li_phdr(t, 2)->p_paddr = LI_ELF_ADDR + MIB;
	li_ehdr(t)->e_entry = LI_ELF_ADDR + MIB;
	li_refuses(t, EINVAL, "outside");
}

static void a_note_larger_than_its_segment_is_refused(void **state)
{
	static const uint32_t wild[] = { 25, 4096, 0x7fffffff, 0xfffffffc, 0xffffffff };
	struct li *t = *state;

	for (size_t i = 0; i < ARRAY_SIZE(wild); i++) {
		li_elf(t);
		le32_put(t->file + LI_ELF_XEN, wild[i]);
		li_refuses(t, EINVAL, "has a note of");
		li_elf(t);
		li_note(t, LI_ELF_XEN, 17, wild[i]);
		li_refuses(t, EINVAL, "has a note of");
	}
	/* A name and a descriptor that wrap together in 32 bits. */
	li_elf(t);
	le32_put(t->file + LI_ELF_XEN, 0xfffffff8);
	le32_put(t->file + LI_ELF_XEN + 4, 8);
	li_refuses(t, EINVAL, "has a note of");
}

static void a_note_cut_off_by_its_segment_is_refused(void **state)
{
	struct li *t = *state;

	li_elf(t);
	li_phdr(t, 2)->p_filesz = LI_ELF_NOTELN - 1;
	li_refuses(t, EINVAL, "has a note of 24 bytes where 23 are left");
	/* Less than a note's header is padding. */
	li_phdr(t, 2)->p_filesz = 24 + 11;
	li_loads(t);
	assert_int_equal(t->k.kind, KERNEL_ELF_LINUX);
	/* The last note's own padding may be missing. */
	li_phdr(t, 2)->p_filesz = 21;
	li_loads(t);
	assert_int_equal(t->k.kind, KERNEL_ELF_LINUX);
}

static void notes_outside_of_the_file_are_refused(void **state)
{
	static const uint64_t bad[][2] = { { LI_ELF_LEN, 1 }, { LI_ELF_LEN + 1, 0 },
		{ UINT64_MAX, 24 }, { 0, UINT64_MAX }, { LI_ELF_NOTES, UINT64_MAX - 8 } };
	struct li *t = *state;

	li_elf(t);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		li_phdr(t, 2)->p_offset = bad[i][0];
		li_phdr(t, 2)->p_filesz = bad[i][1];
		li_refuses(t, EINVAL, "its notes");
	}
}

static void notes_without_end_are_refused(void **state)
{
	struct li *t = *state;

	/* All zero: each is 12 bytes of header and nothing else. */
	li_elf(t);
	li_phdr(t, 2)->p_offset = LI_ELF_LEN;
	li_phdr(t, 2)->p_filesz = 256 * 12;
	t->len = LI_ELF_LEN + 256 * 12;
	li_loads(t);
	li_phdr(t, 2)->p_filesz = 257 * 12;
	t->len = LI_ELF_LEN + 257 * 12;
	li_refuses(t, EINVAL, "more than 256 notes");
}

static void an_elf_cut_short_anywhere_is_refused(void **state)
{
	struct li *t = *state;

	li_elf(t);
	for (size_t len = 0; len < LI_ELF_LEN; len++) {
		t->len = len;
		li_refuses(t, len >= 4 || !len ? EINVAL : ENOEXEC, len ? "cut short" : "empty");
	}
	t->len = LI_ELF_LEN;
	li_loads(t);
}

static void an_elf_of_another_machine_is_refused_by_number(void **state)
{
	struct li *t = *state;

	li_elf(t);
	li_ehdr(t)->e_machine = EM_AARCH64;
	li_refuses(t, ENOEXEC, "is an ELF of machine 183 (aarch64), this is x86_64 (62)");
	li_elf(t);
	li_ehdr(t)->e_ident[EI_CLASS] = ELFCLASS32;
	li_refuses(t, ENOEXEC, "not a 64-bit ELF");
	li_elf(t);
	li_ehdr(t)->e_ident[EI_DATA] = ELFDATA2MSB;
	li_refuses(t, ENOEXEC, "not a little-endian ELF");
}

static void an_elf_that_is_not_executable_is_refused(void **state)
{
	struct li *t = *state;

	li_elf(t);
	li_ehdr(t)->e_type = ET_DYN;
	li_loads(t);
	li_ehdr(t)->e_type = ET_REL;
	li_refuses(t, ENOEXEC, "is an ELF of type 1");
	li_ehdr(t)->e_type = ET_CORE;
	li_refuses(t, ENOEXEC, "is an ELF of type 4");
}

static void a_program_with_an_interpreter_is_refused(void **state)
{
	struct li *t = *state;

	li_elf(t);
	li_phdr(t, 2)->p_type = PT_INTERP;
	li_refuses(t, ENOEXEC, "is a program of an operating system");
}

static void program_headers_of_another_size_are_refused(void **state)
{
	struct li *t = *state;

	li_elf(t);
	li_ehdr(t)->e_phentsize = sizeof(Elf32_Phdr);
	li_refuses(t, EINVAL, "program headers of 32 bytes");
	li_ehdr(t)->e_phentsize = 0;
	li_refuses(t, EINVAL, "program headers of 0 bytes");
}

static void more_than_64_program_headers_are_refused(void **state)
{
	struct li *t = *state;

	/* Zeroes are PT_NULL. */
	li_elf(t);
	li_ehdr(t)->e_phoff = 0x80;
	memset(t->file + 0x80, 0, sizeof(t->file) - 0x80);
	t->len = 0x80 + 65 * sizeof(Elf64_Phdr);
	li_ehdr(t)->e_phnum = 64;
	li_refuses(t, EINVAL, "nothing to load");
	li_ehdr(t)->e_phnum = 65;
	li_refuses(t, EINVAL, "has 65 program headers, at most 64");
	li_ehdr(t)->e_phnum = 0xffff;
	li_refuses(t, EINVAL, "has 65535 program headers");
}

static void program_headers_outside_of_the_file_are_refused(void **state)
{
	static const uint64_t bad[] = { LI_ELF_LEN - 167, LI_ELF_LEN, UINT64_MAX, UINT64_MAX - 167,
		1ULL << 63 };
	struct li *t = *state;

	li_elf(t);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		li_ehdr(t)->e_phoff = bad[i];
		li_refuses(t, EINVAL, "the program headers");
	}
}

static void an_elf_with_nothing_to_load_is_refused(void **state)
{
	struct li *t = *state;

	li_elf(t);
	li_ehdr(t)->e_phnum = 0;
	li_refuses(t, EINVAL, "nothing to load");
	li_elf(t);
	for (unsigned i = 0; i < 2; i++)
		li_phdr(t, i)->p_filesz = li_phdr(t, i)->p_memsz = 0;
	li_refuses(t, EINVAL, "nothing to load");
}

static void a_segment_outside_of_the_file_is_refused(void **state)
{
	static const uint64_t bad[] = { LI_ELF_DATA + 1, LI_ELF_LEN, UINT64_MAX,
		UINT64_MAX - LI_ELF_DATALN + 1, 1ULL << 63 };
	struct li *t = *state;

	li_elf(t);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		li_phdr(t, 1)->p_offset = bad[i];
		li_refuses(t, EINVAL, "a segment");
		/* Judged before anything was loaded. */
		assert_int_equal(t->ram1[LI_ELF_ADDR - MIB], 0);
	}
}

static void more_in_the_file_than_in_memory_is_refused(void **state)
{
	struct li *t = *state;

	li_elf(t);
	li_phdr(t, 1)->p_memsz = LI_ELF_DATALN - 1;
	li_refuses(t, EINVAL, "a segment of 31 bytes with 32 in the file");
	li_phdr(t, 1)->p_memsz = 0;
	li_refuses(t, EINVAL, "a segment of 0 bytes with 32 in the file");
}

static void a_segment_outside_of_ram_is_refused(void **state)
{
	static const uint64_t bad[][2] = { { 3 * MIB - 4096, 4097 }, { 3 * MIB, 32 },
		{ 5 * MIB, 32 }, { 3 * MIB - 4096, UINT64_MAX }, { UINT64_MAX - 31, 32 },
		{ UINT64_MAX, 4096 }, { 2 * MIB, UINT64_MAX - 2 * MIB + 1 }, { 2 * MIB, 3 * MIB } };
	struct li *t = *state;

	li_elf(t);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		li_phdr(t, 1)->p_paddr = bad[i][0];
		li_phdr(t, 1)->p_memsz = bad[i][1];
		li_refuses(t, ENOSPC, "RAM has ");
	}
	li_phdr(t, 1)->p_paddr = 3 * MIB - 4096;
	li_phdr(t, 1)->p_memsz = 4096;
	li_loads(t);
}

static void a_segment_below_low_is_refused(void **state)
{
	struct li *t = *state;
	int fd;

	li_elf(t);
	fd = li_memfd(t->file, t->len);
	assert_int_equal(kernel_load(&t->gm, fd, "k", t->target, LI_ELF_ADDR, &t->k, &t->err), 0);
	assert_int_equal(
		kernel_load(&t->gm, fd, "k", t->target, LI_ELF_ADDR + 1, &t->k, &t->err), -ENOSPC);
	assert_non_null(
		strstr(t->err.msg, "wants to be at 0x110000, but RAM is free from 0x110001"));
	close(fd);
}

static void segments_that_overlap_are_refused(void **state)
{
	struct li *t = *state;

	/* The second's BSS over the first, whichever is named first. */
	li_elf(t);
	li_phdr(t, 1)->p_paddr = LI_ELF_ADDR - LI_ELF_MEMLN2 + 1;
	li_refuses(t, EINVAL, "overlap");
	li_phdr(t, 1)->p_paddr = LI_ELF_ADDR - LI_ELF_MEMLN2;
	li_loads(t);
	assert_int_equal(t->k.start, LI_ELF_ADDR - LI_ELF_MEMLN2);
	assert_int_equal(t->k.end, LI_ELF_ADDR + LI_ELF_TEXTLN);
	li_phdr(t, 1)->p_paddr = LI_ELF_ADDR + LI_ELF_TEXTLN - 1;
	li_refuses(t, EINVAL, "overlap, at 0x110000 and 0x11003f");
	li_phdr(t, 1)->p_paddr = LI_ELF_ADDR + LI_ELF_TEXTLN;
	li_loads(t);
	li_phdr(t, 1)->p_paddr = LI_ELF_ADDR;
	li_refuses(t, EINVAL, "overlap");
}

static void only_segments_that_are_loaded_overlap(void **state)
{
	struct li *t = *state;
	Elf64_Phdr note;

	/* Linux's notes lie in its text, and both say so. */
	li_elf(t);
	note = *li_phdr(t, 2);
	note.p_paddr = LI_ELF_ADDR + 8;
	note.p_memsz = note.p_filesz;
	*li_phdr(t, 2) = *li_phdr(t, 0);
	*li_phdr(t, 0) = note;
	li_loads(t);
	assert_int_equal(t->k.kind, KERNEL_ELF_PVH);
	assert_int_equal(t->k.start, LI_ELF_ADDR);
}

static void a_segment_may_be_all_bss(void **state)
{
	struct li *t = *state;

	li_elf(t);
	li_phdr(t, 1)->p_filesz = 0;
	li_loads(t);
	assert_int_equal(t->ram1[LI_ELF_ADDR2 - MIB], 0);
	assert_int_equal(t->k.end, LI_ELF_ADDR2 + LI_ELF_MEMLN2);
}

static void a_segment_may_cross_adjacent_regions(void **state)
{
	struct li *t = *state;
	uint8_t *more = calloc(1, MIB);

	li_elf(t);
	assert_int_equal(gm_add_borrowed(&t->gm, 5 * MIB, more, MIB), 0);
	li_phdr(t, 1)->p_paddr = 5 * MIB - 8;
	li_loads(t);
	assert_memory_equal(t->ram2 + LI_RAM2 - 8, t->file + LI_ELF_DATA, 8);
	assert_memory_equal(more, t->file + LI_ELF_DATA + 8, LI_ELF_DATALN - 8);
	free(more);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LI_TEST(an_elf_with_a_pvh_note_is_entered_there),
		LI_TEST(a_pvh_entry_of_4_bytes_is_taken),
		LI_TEST(a_pvh_entry_of_another_size_is_refused),
		LI_TEST(a_pvh_entry_outside_of_what_is_loaded_is_refused),
		LI_TEST(a_pvh_entry_above_4_gib_is_refused),
		LI_TEST(the_first_pvh_note_counts),
		LI_TEST(only_xens_note_18_is_a_pvh_entry),
		LI_TEST(without_a_pvh_note_e_entry_is_the_entry),
		LI_TEST(an_entry_in_a_segment_that_is_not_loaded_is_refused),
		LI_TEST(a_note_larger_than_its_segment_is_refused),
		LI_TEST(a_note_cut_off_by_its_segment_is_refused),
		LI_TEST(notes_outside_of_the_file_are_refused),
		LI_TEST(notes_without_end_are_refused),
		LI_TEST(an_elf_cut_short_anywhere_is_refused),
		LI_TEST(an_elf_of_another_machine_is_refused_by_number),
		LI_TEST(an_elf_that_is_not_executable_is_refused),
		LI_TEST(a_program_with_an_interpreter_is_refused),
		LI_TEST(program_headers_of_another_size_are_refused),
		LI_TEST(more_than_64_program_headers_are_refused),
		LI_TEST(program_headers_outside_of_the_file_are_refused),
		LI_TEST(an_elf_with_nothing_to_load_is_refused),
		LI_TEST(a_segment_outside_of_the_file_is_refused),
		LI_TEST(more_in_the_file_than_in_memory_is_refused),
		LI_TEST(a_segment_outside_of_ram_is_refused),
		LI_TEST(a_segment_below_low_is_refused),
		LI_TEST(segments_that_overlap_are_refused),
		LI_TEST(only_segments_that_are_loaded_overlap),
		LI_TEST(a_segment_may_be_all_bss),
		LI_TEST(a_segment_may_cross_adjacent_regions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
