// SPDX-License-Identifier: BSD-3-Clause
/* ELF where kernels boot from an Image: a vmlinux, and a program for the bare machine. */
#include "tests/unit/loader_images.h"

#define EI_LINK 0xffff800080000000ULL /* where arm64 links its kernel */
#define EI_GAP  (64 * KIB)            /* from the first segment's address to the second's */
#define EI_SIZE (256 * KIB)

/** A vmlinux of two segments as arm64 links it: all addresses are virtual. */
static void ei_vmlinux(struct li *t)
{
	t->target = &li_arm64;
	li_elf(t);
	li_ehdr(t)->e_machine = EM_AARCH64;
	li_ehdr(t)->e_entry = EI_LINK;
	li_phdr(t, 0)->p_vaddr = li_phdr(t, 0)->p_paddr = EI_LINK;
	li_phdr(t, 1)->p_vaddr = li_phdr(t, 1)->p_paddr = EI_LINK + EI_GAP;
	memset(t->file + LI_ELF_TEXT, 0, LI_ELF_TEXTLN);
	le64_put(t->file + LI_ELF_TEXT + 0x10, EI_SIZE);
	le64_put(t->file + LI_ELF_TEXT + 0x18, 2);
	memcpy(t->file + LI_ELF_TEXT + 0x38, "ARM\x64", 4);
}

static uint8_t *ei_at(const struct li *t, gpa_t gpa)
{
	return t->ram1 + (gpa - LI_IMAGE_RAM);
}

static void ei_is_loaded(struct li *t, gpa_t start)
{
	li_loads(t);
	assert_int_equal(t->k.start, start);
	assert_memory_equal(ei_at(t, start), t->file + LI_ELF_TEXT, LI_ELF_TEXTLN);
	assert_memory_equal(ei_at(t, start + EI_GAP), t->file + LI_ELF_DATA, LI_ELF_DATALN);
}

static void a_vmlinux_linked_to_virtual_addresses_goes_where_its_image_would(void **state)
{
	struct li *t = *state;

	ei_vmlinux(t);
	ei_is_loaded(t, LI_IMAGE_BASE);
	assert_int_equal(t->k.kind, KERNEL_ELF_FDT);
	assert_int_equal(t->k.entry, LI_IMAGE_BASE);
	assert_int_equal(t->k.end, LI_IMAGE_BASE + EI_SIZE);
	assert_int_equal(t->k.page_size, 4 * KIB);
	assert_int_equal(t->k.cmdline_max, 2047);
	assert_int_equal(t->k.initrd_max, 33 * GIB - 1);
	le64_put(t->file + LI_ELF_TEXT + 0x08, 0x80000);
	ei_is_loaded(t, LI_IMAGE_BASE + 0x80000);
	assert_int_equal(t->k.entry, LI_IMAGE_BASE + 0x80000);
	assert_int_equal(t->k.end, LI_IMAGE_BASE + 0x80000 + EI_SIZE);
}

static void only_virtual_addresses_count_in_a_vmlinux(void **state)
{
	struct li *t = *state;

	/* riscv64's physical addresses count from 0. */
	ei_vmlinux(t);
	t->target = &li_riscv64;
	li_ehdr(t)->e_machine = EM_RISCV;
	memcpy(t->file + LI_ELF_TEXT + 0x38, "RSC\x05", 4);
	li_phdr(t, 0)->p_paddr = 0;
	li_phdr(t, 1)->p_paddr = EI_GAP;
	ei_is_loaded(t, LI_IMAGE_BASE);
	/* Even where the physical ones are RAM. */
	li_phdr(t, 0)->p_paddr = LI_IMAGE_BASE + 4 * MIB;
	li_phdr(t, 1)->p_paddr = LI_IMAGE_BASE + 6 * MIB;
	ei_is_loaded(t, LI_IMAGE_BASE);
}

static void the_header_is_looked_for_in_the_lowest_segment(void **state)
{
	struct li *t = *state;
	Elf64_Phdr first;

	ei_vmlinux(t);
	first = *li_phdr(t, 0);
	*li_phdr(t, 0) = *li_phdr(t, 1);
	*li_phdr(t, 1) = first;
	ei_is_loaded(t, LI_IMAGE_BASE);
	/* Not in one that is not loaded. */
	*li_phdr(t, 2) = (Elf64_Phdr){ .p_type = PT_NULL, .p_memsz = 4096 };
	ei_is_loaded(t, LI_IMAGE_BASE);
	/* In no other. */
	li_phdr(t, 0)->p_vaddr = EI_LINK - EI_GAP;
	li_refuses(t, ENOSPC, "at 0xffff80008");
}

static void the_entry_moves_with_the_kernel(void **state)
{
	struct li *t = *state;

	ei_vmlinux(t);
	li_ehdr(t)->e_entry = EI_LINK + EI_GAP + LI_ELF_DATALN - 1;
	li_loads(t);
	assert_int_equal(t->k.entry, LI_IMAGE_BASE + EI_GAP + LI_ELF_DATALN - 1);
	li_ehdr(t)->e_entry++;
	li_refuses(t, EINVAL, "has its entry 0x40210020 outside of what it loads");
	li_ehdr(t)->e_entry = EI_LINK + EI_GAP + LI_ELF_MEMLN2;
	li_refuses(t, EINVAL, "has its entry 0xffff800080011000 outside of what it loads");
	li_ehdr(t)->e_entry = EI_LINK - 1;
	li_refuses(t, EINVAL, "has its entry 0xffff80007fffffff outside of what it loads");
	/* A physical one, which would be inside. */
	li_ehdr(t)->e_entry = LI_IMAGE_BASE;
	li_refuses(t, EINVAL, "has its entry 0x40200000 outside of what it loads");
}

/** The notes' program header leads to a dynamic section of two entries and their end. */
static void ei_dynamic(struct li *t, uint64_t rela, uint64_t size)
{
	const Elf64_Dyn dyn[3] = {
		{ .d_tag = DT_RELASZ, .d_un.d_val = size },
		{ .d_tag = DT_RELA, .d_un.d_val = rela },
		{ .d_tag = DT_NULL },
	};

	_Static_assert(sizeof(dyn) <= LI_ELF_NOTELN, "in the place of the notes");
	memcpy(t->file + LI_ELF_NOTES, dyn, sizeof(dyn));
	*li_phdr(t, 2) = (Elf64_Phdr){
		.p_type = PT_DYNAMIC, .p_offset = LI_ELF_NOTES, .p_filesz = sizeof(dyn)
	};
}

static void a_vmlinux_robbed_of_its_relocations_is_refused(void **state)
{
	static const uint64_t rela = EI_LINK + EI_GAP + LI_ELF_DATALN - sizeof(Elf64_Rela);
	struct li *t = *state;

	ei_vmlinux(t);
	ei_dynamic(t, rela, sizeof(Elf64_Rela));
	ei_is_loaded(t, LI_IMAGE_BASE); /* they are there */
	memset(t->file + LI_ELF_LEN - sizeof(Elf64_Rela), 0, sizeof(Elf64_Rela));
	li_refuses(t, ENOEXEC, "is a vmlinux without its relocations");
	t->file[LI_ELF_LEN - 1] = 1;
	li_loads(t);
	t->file[LI_ELF_LEN - 1] = 0;
	/* Nothing is looked for that is not said to be there, or not in the file. */
	ei_dynamic(t, rela, sizeof(Elf64_Rela) - 1);
	li_loads(t);
	ei_dynamic(t, rela + 1, sizeof(Elf64_Rela));
	li_loads(t);
	ei_dynamic(t, EI_LINK - 1, sizeof(Elf64_Rela));
	li_loads(t);
	ei_dynamic(t, rela, sizeof(Elf64_Rela));
	li_phdr(t, 2)->p_filesz = 2 * sizeof(Elf64_Dyn) - 1; /* the address is cut off */
	li_loads(t);
	li_phdr(t, 2)->p_type = PT_NULL;
	li_loads(t);
	li_phdr(t, 2)->p_type = PT_DYNAMIC;
	li_phdr(t, 2)->p_offset = UINT64_MAX - 8;
	li_refuses(t, EINVAL, "the dynamic section");
	li_phdr(t, 2)->p_offset = t->len - 8;
	li_refuses(t, EINVAL, "the dynamic section");
}

static void segments_beyond_image_size_count(void **state)
{
	struct li *t = *state;

	ei_vmlinux(t);
	le64_put(t->file + LI_ELF_TEXT + 0x10, 1);
	ei_is_loaded(t, LI_IMAGE_BASE);
	assert_int_equal(t->k.end, LI_IMAGE_BASE + EI_GAP + LI_ELF_MEMLN2);
	li_phdr(t, 1)->p_memsz = LI_IMAGE_RAML - MIB - EI_GAP;
	ei_is_loaded(t, LI_IMAGE_BASE);
	assert_int_equal(t->k.end, LI_IMAGE_RAM + LI_IMAGE_RAML);
	li_phdr(t, 1)->p_memsz++;
	li_refuses(t, ENOSPC, "needs 24117249 bytes of RAM in one piece");
}

static void a_segment_that_wraps_is_refused(void **state)
{
	struct li *t = *state;

	ei_vmlinux(t);
	li_phdr(t, 1)->p_memsz = UINT64_MAX - EI_GAP;
	li_refuses(t, ENOSPC, "needs 18446744073709551615 bytes of RAM");
	li_phdr(t, 1)->p_memsz++;
	li_refuses(t, EINVAL,
		"has a segment of 18446744073709486080 bytes at the virtual address"
		" 0xffff800080010000");
}

static void segments_that_overlap_are_refused_by_their_virtual_addresses(void **state)
{
	struct li *t = *state;

	ei_vmlinux(t);
	li_phdr(t, 1)->p_vaddr = EI_LINK + LI_ELF_TEXTLN;
	li_loads(t);
	li_phdr(t, 1)->p_vaddr--;
	li_refuses(t, EINVAL, "has segments that overlap, at 0x40200000 and 0x4020003f");
}

static void what_an_image_may_not_be_a_vmlinux_may_not_be(void **state)
{
	struct li *t = *state;

	ei_vmlinux(t);
	t->file[LI_ELF_TEXT + 0x18] |= 1;
	li_refuses(t, ENOEXEC, "is a big-endian kernel, this is aarch64");
	ei_vmlinux(t);
	li_phdr(t, 0)->p_offset = sizeof(t->file);
	li_refuses(t, EINVAL, "is cut short");
}

/** As a bare-metal program is linked: physical addresses that are RAM, any virtual ones. */
static void ei_bare(struct li *t)
{
	ei_vmlinux(t);
	memset(t->file + LI_ELF_TEXT, 0x5a, LI_ELF_TEXTLN);
	li_phdr(t, 0)->p_paddr = LI_IMAGE_BASE + 5;
	li_phdr(t, 1)->p_paddr = LI_IMAGE_BASE + 5 + EI_GAP;
	li_ehdr(t)->e_entry = LI_IMAGE_BASE + 9;
}

static void a_program_for_the_bare_machine_is_loaded_at_its_physical_addresses(void **state)
{
	struct li *t = *state;

	ei_bare(t);
	ei_is_loaded(t, LI_IMAGE_BASE + 5);
	assert_int_equal(t->k.kind, KERNEL_ELF_FDT);
	assert_int_equal(t->k.entry, LI_IMAGE_BASE + 9);
	assert_int_equal(t->k.end, LI_IMAGE_BASE + 5 + EI_GAP + LI_ELF_MEMLN2);
	assert_int_equal(t->k.page_size, 64 * KIB);
	assert_int_equal(t->k.initrd_max, 33 * GIB - 1);
	li_ehdr(t)->e_entry = EI_LINK;
	li_refuses(t, EINVAL, "has its entry 0xffff800080000000 outside of what it loads");
}

static void without_the_machines_own_header_physical_addresses_are_believed(void **state)
{
	struct li *t = *state;

	/* Another machine's header. */
	ei_bare(t);
	memcpy(t->file + LI_ELF_TEXT + 0x38, "RSC\x05", 4);
	ei_is_loaded(t, LI_IMAGE_BASE + 5);
	/* A segment too short to have one: the magic would come from what is behind it. */
	ei_bare(t);
	memcpy(t->file + LI_ELF_TEXT + 0x38, "ARM\x64", 4);
	li_phdr(t, 0)->p_filesz = IMAGE_HEADER_LEN - 1;
	li_loads(t);
	assert_int_equal(t->k.start, LI_IMAGE_BASE + 5);
	li_phdr(t, 0)->p_filesz++;
	li_refuses(t, ENOSPC, "bytes of RAM");
}

static void no_image_header_is_looked_for_where_there_is_no_image(void **state)
{
	struct li *t = *state;

	li_elf(t);
	memcpy(t->file + LI_ELF_TEXT + 0x38, "ARM\x64", 4);
	li_loads(t);
	assert_int_equal(t->k.start, LI_ELF_ADDR);
}

static void no_pvh_entry_is_looked_for_where_there_is_none(void **state)
{
	struct li *t = *state;

	ei_bare(t);
	li_loads(t);
	assert_int_equal(t->k.entry, LI_IMAGE_BASE + 9);
	/* A note that would be refused. */
	li_note(t, LI_ELF_XEN, 18, 5);
	li_loads(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LI_IMAGE_TEST(a_vmlinux_linked_to_virtual_addresses_goes_where_its_image_would),
		LI_IMAGE_TEST(only_virtual_addresses_count_in_a_vmlinux),
		LI_IMAGE_TEST(the_header_is_looked_for_in_the_lowest_segment),
		LI_IMAGE_TEST(the_entry_moves_with_the_kernel),
		LI_IMAGE_TEST(a_vmlinux_robbed_of_its_relocations_is_refused),
		LI_IMAGE_TEST(segments_beyond_image_size_count),
		LI_IMAGE_TEST(a_segment_that_wraps_is_refused),
		LI_IMAGE_TEST(segments_that_overlap_are_refused_by_their_virtual_addresses),
		LI_IMAGE_TEST(what_an_image_may_not_be_a_vmlinux_may_not_be),
		LI_IMAGE_TEST(a_program_for_the_bare_machine_is_loaded_at_its_physical_addresses),
		LI_IMAGE_TEST(without_the_machines_own_header_physical_addresses_are_believed),
		LI_TEST(no_image_header_is_looked_for_where_there_is_no_image),
		LI_IMAGE_TEST(no_pvh_entry_is_looked_for_where_there_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
