// SPDX-License-Identifier: BSD-3-Clause
/*
 * The machine as a whole: its interrupt chip, a payload loaded from a file to the first
 * register, its firmware tables in memory and as files.
 */
#include "tests/unit/loader_images.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include <asm/bootparam.h>

#include "arch/x86_64/layout.h"
#include "arch/x86_64/x86.h"
#include "hypervisor/fake/fake.h"

#define MAX_CALLS 128
#define NR_VIRTIO 2

struct mc {
	struct li file; /* the kernel's maker; its machine is not used */
	struct guest_memory gm;
	struct dev_desc dev[3 + ARCH_MAX_VIRTIO];
	struct arch_boot boot;
	struct arch_entry entry;
	struct bus mmio;
	struct arch_vm *av; /* owned; mc_chip makes it */
	struct err err;
};

/* What KVM was asked, and the one request that it refuses. */
static struct {
	unsigned long req[MAX_CALLS], refused;
	unsigned nr;
	int answer; /* to the refused one */
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_enable_cap cap;
	uint64_t identity;
	uint32_t nr_cpuid;
} kvm;

static int mc_ioctl(unsigned long req, void *arg)
{
	BUG_ON(kvm.nr == MAX_CALLS);
	kvm.req[kvm.nr++] = req;
	if (req == kvm.refused)
		return kvm.answer;
	switch (req) {
	case KVM_GET_SUPPORTED_CPUID:
		((struct kvm_cpuid2 *)arg)->nent = 0;
		return 0;
	case KVM_SET_REGS:
		kvm.regs = *(struct kvm_regs *)arg;
		return 0;
	case KVM_SET_SREGS:
		kvm.sregs = *(struct kvm_sregs *)arg;
		return 0;
	case KVM_GET_SREGS:
		memset(arg, 0xa5, sizeof(struct kvm_sregs));
		return 0;
	case KVM_SET_MSRS:
		return 2;
	case KVM_ENABLE_CAP:
		kvm.cap = *(struct kvm_enable_cap *)arg;
		return 0;
	case KVM_SET_IDENTITY_MAP_ADDR:
		kvm.identity = *(uint64_t *)arg;
		return 0;
	default:
		return 0;
	}
}

static bool mc_was_asked(unsigned long req)
{
	for (unsigned i = 0; i < kvm.nr; i++)
		if (kvm.req[i] == req)
			return true;
	return false;
}

/** The devices a small machine has: a uart, power, pvpanic and nr virtio ones. */
static void mc_devices(struct mc *t, unsigned nr)
{
	struct dev_desc fixed[ARCH_MAX_FIXED];

	arch_uart_desc(0, &t->dev[0]);
	assert_int_equal(arch_fixed_devs(fixed), 3);
	t->dev[1] = fixed[0];
	t->dev[2] = fixed[1];
	for (unsigned i = 0; i < nr; i++)
		t->dev[3 + i] = (struct dev_desc){
			.kind = DEV_VIRTIO_MMIO,
			.base = arch_virtio_base() + i * ARCH_VIRTIO_STEP,
			.len = ARCH_VIRTIO_STEP,
			.gsi = arch_virtio_gsi(i),
			.has_irq = true,
			.index = i,
		};
	t->boot.nr_devs = 3 + nr;
}

static int mc_setup(void **state)
{
	struct mc *t = calloc(1, sizeof(*t));

	memset(&kvm, 0, sizeof(kvm));
	memset(&fake_hv, 0, sizeof(fake_hv));
	fake_hv.ioctl = mc_ioctl;
	t->boot = (struct arch_boot){ .nr_cpus = 2,
		.dev = t->dev,
		.kernel_fd = -1,
		.initrd_fd = -1,
		.kernel_path = "vmlinux",
		.initrd_path = "initrd",
		.cmdline = "panic=-1 quiet" };
	mc_devices(t, NR_VIRTIO);
	assert_int_equal(arch_add_ram(&t->gm, 64 * MIB, &t->err), 0);
	*state = t;
	return 0;
}

static int mc_teardown(void **state)
{
	struct mc *t = *state;

	arch_vm_destroy(t->av);
	gm_fini(&t->gm);
	if (t->boot.kernel_fd >= 0)
		close(t->boot.kernel_fd);
	if (t->boot.initrd_fd >= 0)
		close(t->boot.initrd_fd);
	free(t);
	return 0;
}

#define MC_TEST(f) cmocka_unit_test_setup_teardown(f, mc_setup, mc_teardown)

static int mc_load(struct mc *t)
{
	struct arch_payload payload;
	int rc;

	if (t->boot.kernel_fd >= 0)
		close(t->boot.kernel_fd);
	t->boot.kernel_fd = li_memfd(t->file.file, t->file.len);
	memset(&t->err, 0, sizeof(t->err));
	rc = arch_load_payload(&t->gm, &t->boot, &payload, &t->err);
	return rc ? rc : arch_load(&t->gm, &t->boot, &payload, &t->entry, &t->err);
}

static void mc_loads(struct mc *t)
{
	if (mc_load(t))
		fail_msg("%s", t->err.msg);
}

static void mc_refuses(struct mc *t, int code, const char *says)
{
	assert_int_equal(mc_load(t), -code);
	if (!strstr(t->err.msg, says))
		fail_msg("\"%s\" does not say \"%s\"", t->err.msg, says);
}

/* ---- the machine's parts ---- */

static void devices_have_the_places_and_lines_that_are_documented(void **state)
{
	static const struct {
		uint64_t port;
		uint32_t gsi;
	} com[] = { { 0x3f8, 4 }, { 0x2f8, 3 }, { 0x3e8, 5 }, { 0x2e8, 6 } };
	struct mc *t = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(com); i++) {
		arch_uart_desc(i, &t->dev[0]);
		assert_true(t->dev[0].is_port && t->dev[0].has_irq);
		assert_int_equal(t->dev[0].base, com[i].port);
		assert_int_equal(t->dev[0].len, 8);
		assert_int_equal(t->dev[0].gsi, com[i].gsi);
		assert_int_equal(t->dev[0].index, i);
	}
	assert_int_equal(t->dev[1].base, 0x600);
	assert_int_equal(t->dev[2].base, 0x505);
	assert_int_equal(arch_virtio_base(), 0xd0000000);
	assert_int_equal(arch_virtio_gsi(0), 7);
	assert_int_equal(arch_virtio_gsi(ARCH_MAX_VIRTIO - 1), 118);
	/* The register pages end below the IOAPIC. */
	assert_true(arch_virtio_base() + ARCH_MAX_VIRTIO * ARCH_VIRTIO_STEP <= X86_IOAPIC);
}

static void the_chip_is_split_and_on_the_memory_bus(void **state)
{
	struct bus mmio = { .nr_ranges = 0 }, pio = { .nr_ranges = 0 };
	struct arch_parts parts = { .mmio = &mmio, .pio = &pio, .nr_cpus = 1, .nr_lines = 9 };
	struct mc *t = *state;
	struct arch_vm *av;
	uint32_t v = 1;

	assert_int_equal(arch_vm_create(&parts, &av, &t->err), 0);
	assert_int_equal(kvm.cap.cap, KVM_CAP_SPLIT_IRQCHIP);
	assert_int_equal(kvm.cap.args[0], 9);
	assert_int_equal(kvm.identity, X86_IDENTITY_MAP);
	assert_true(mc_was_asked(KVM_SET_TSS_ADDR));
	assert_true(bus_write(&mmio, X86_IOAPIC, &v, 4));
	assert_true(bus_read(&mmio, X86_IOAPIC + 0x10, &v, 4));
	assert_int_equal(v, 0x11 | 8 << 16);
	assert_int_equal(pio.nr_ranges, 0);
	arch_vm_destroy(av);
	arch_vm_destroy(NULL);
}

static void a_chip_that_kvm_refuses_is_said(void **state)
{
	static const unsigned long reqs[] = { KVM_SET_IDENTITY_MAP_ADDR, KVM_SET_TSS_ADDR,
		KVM_ENABLE_CAP };
	struct bus mmio = { .nr_ranges = 0 };
	struct arch_parts parts = { .mmio = &mmio, .nr_cpus = 1, .nr_lines = 9 };
	struct mc *t = *state;

	for (size_t i = 0; i < ARRAY_SIZE(reqs); i++) {
		struct arch_vm *av = NULL;

		kvm.refused = reqs[i];
		kvm.answer = -EINVAL;
		assert_int_equal(arch_vm_create(&parts, &av, &t->err), -EINVAL);
		assert_non_null(strstr(t->err.msg, "cannot create interrupt chips"));
		assert_null(av);
		assert_int_equal(mmio.nr_ranges, 0);
	}
}

/* ---- registers ---- */

/** A chip for nr_cpus, made once. */
static struct arch_vm *mc_chip(struct mc *t, unsigned nr_cpus)
{
	struct arch_parts parts = { .mmio = &t->mmio, .nr_cpus = nr_cpus, .nr_lines = 9 };

	if (!t->av)
		assert_int_equal(arch_vm_create(&parts, &t->av, &t->err), 0);
	return t->av;
}

/** Identity and first registers, as the only CPU has them. */
static int mc_first_cpu(struct mc *t, const struct arch_entry *entry)
{
	int rc = arch_vcpu_init(mc_chip(t, 1), NULL, 0, &t->err);

	return rc ? rc : arch_vcpu_enter(t->av, NULL, entry, &t->err);
}

static void mc_init_cpu(struct mc *t, unsigned id, unsigned kind)
{
	struct arch_entry entry = { .kind = kind, .pc = 0x123456, .arg = 0x7000 };

	if (arch_vcpu_init(mc_chip(t, 2), NULL, id, &t->err))
		fail_msg("%s", t->err.msg);
	if (!id && arch_vcpu_enter(t->av, NULL, &entry, &t->err))
		fail_msg("%s", t->err.msg);
}

static void linux_is_entered_in_long_mode(void **state)
{
	mc_init_cpu(*state, 0, X86_ENTRY_LINUX64);
	assert_int_equal(kvm.regs.rip, 0x123456);
	assert_int_equal(kvm.regs.rsi, 0x7000);
	assert_int_equal(kvm.regs.rflags, 2); /* interrupts off */
	assert_int_equal(kvm.sregs.cr3, X86_PAGE_TABLES);
	assert_int_equal(kvm.sregs.cr0 & 0x80000001, 0x80000001);
	assert_int_equal(kvm.sregs.cr4, 0x20);
	assert_int_equal(kvm.sregs.efer, 0x500);
	assert_int_equal(kvm.sregs.cs.selector, 0x10);
	assert_int_equal(kvm.sregs.cs.l, 1);
	assert_int_equal(kvm.sregs.cs.db, 0);
	assert_int_equal(kvm.sregs.ds.selector, 0x18);
	assert_int_equal(kvm.sregs.gdt.base, X86_GDT);
}

static void pvh_is_entered_in_flat_32_bit_mode(void **state)
{
	mc_init_cpu(*state, 0, X86_ENTRY_PVH);
	assert_int_equal(kvm.regs.rip, 0x123456);
	assert_int_equal(kvm.regs.rbx, 0x7000);
	assert_int_equal(kvm.sregs.cr0, 0x11);
	assert_int_equal(kvm.sregs.cr4, 0);
	assert_int_equal(kvm.sregs.efer, 0);
	assert_int_equal(kvm.sregs.cs.l, 0);
	assert_int_equal(kvm.sregs.cs.db, 1);
	assert_int_equal(kvm.sregs.cs.base, 0);
	assert_int_equal(kvm.sregs.cs.limit, 0xffffffff);
	assert_int_equal(kvm.sregs.tr.limit, 0x67);
}

static void other_cpus_wait_for_the_first_to_start_them(void **state)
{
	mc_init_cpu(*state, 1, X86_ENTRY_LINUX64);
	assert_true(mc_was_asked(KVM_SET_CPUID2));
	assert_true(mc_was_asked(KVM_SET_MSRS));
	assert_false(mc_was_asked(KVM_SET_REGS));
	assert_false(mc_was_asked(KVM_SET_SREGS));
}

static void registers_that_kvm_refuses_are_said(void **state)
{
	static const struct {
		unsigned long req;
		int answer, rc;
		const char *says;
	} c[] = { { KVM_GET_SREGS, -EIO, -EIO, "cannot read CPU registers" },
		{ KVM_SET_SREGS, -EINVAL, -EINVAL, "cannot set CPU registers" },
		{ KVM_SET_REGS, -EINVAL, -EINVAL, "cannot set CPU registers" },
		{ KVM_SET_MSRS, -EFAULT, -EFAULT, "cannot set memory types" },
		{ KVM_SET_MSRS, 0, -EIO, "cannot set memory types" },
		{ KVM_SET_CPUID2, -E2BIG, -E2BIG, "cannot set CPUID" } };
	struct arch_entry entry = { .kind = X86_ENTRY_LINUX64 };
	struct mc *t = *state;

	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		kvm.refused = c[i].req;
		kvm.answer = c[i].answer;
		assert_int_equal(mc_first_cpu(t, &entry), c[i].rc);
		assert_non_null(strstr(t->err.msg, c[i].says));
	}
	/* MISC_ENABLE may be refused, after the memory types were taken. */
	kvm.refused = KVM_SET_MSRS;
	kvm.answer = 1;
	assert_int_equal(mc_first_cpu(t, &entry), 0);
}

/* ---- arch_load ---- */

static struct boot_params *mc_boot_params(struct mc *t)
{
	return gm_slice(&t->gm, X86_ZERO_PAGE, sizeof(struct boot_params));
}

static void a_bzimage_is_loaded_and_described(void **state)
{
	static const uint8_t seed[64] = { 1, 2, 3 };
	struct mc *t = *state;
	const struct boot_params *bp;

	li_bzimage(&t->file);
	t->boot.initrd_fd = li_memfd("0707 initrd", 11);
	t->boot.rng_seed = seed;
	t->boot.rng_seed_len = sizeof(seed);
	mc_loads(t);
	assert_int_equal(t->entry.kind, X86_ENTRY_LINUX64);
	assert_int_equal(t->entry.arg, X86_ZERO_PAGE);
	assert_int_equal(t->entry.pc, LI_BZ_PREF + 0x200);
	assert_memory_equal(
		gm_slice(&t->gm, LI_BZ_PREF, LI_BZ_CODE), t->file.file + LI_BZ_SETUP, LI_BZ_CODE);
	bp = mc_boot_params(t);
	assert_int_equal(bp->hdr.version, 0x20f);
	assert_int_equal(bp->hdr.pref_address, LI_BZ_PREF);
	assert_string_equal(gm_slice(&t->gm, bp->hdr.cmd_line_ptr, 32), "panic=-1 quiet");
	assert_int_equal(bp->hdr.ramdisk_size, 11);
	assert_memory_equal(gm_slice(&t->gm, bp->hdr.ramdisk_image, 11), "0707 initrd", 11);
	/* As high as RAM goes. */
	assert_int_equal(bp->hdr.ramdisk_image, 64 * MIB - PAGE_SIZE_4K);
	assert_memory_equal(gm_slice(&t->gm, bp->acpi_rsdp_addr, 8), "RSD PTR ", 8);
	assert_int_equal(bp->hdr.setup_data, X86_SETUP_DATA);
}

static void an_elf_with_a_pvh_note_is_entered_as_pvh(void **state)
{
	struct mc *t = *state;

	li_elf(&t->file);
	mc_loads(t);
	assert_int_equal(t->entry.kind, X86_ENTRY_PVH);
	assert_int_equal(t->entry.pc, LI_ELF_ADDR + 8);
	assert_int_equal(t->entry.arg, X86_PVH_INFO);
	assert_int_equal(le32_get(gm_slice(&t->gm, X86_PVH_INFO, 4)), 0x336ec578);
}

static void an_elf_without_one_is_entered_as_linux(void **state)
{
	struct mc *t = *state;

	li_elf(&t->file);
	li_phdr(&t->file, 2)->p_type = PT_NULL;
	mc_loads(t);
	assert_int_equal(t->entry.kind, X86_ENTRY_LINUX64);
	assert_int_equal(t->entry.pc, LI_ELF_ADDR + 4);
	assert_memory_equal(&mc_boot_params(t)->hdr.header, "HdrS", 4);
}

static void without_acpi_there_is_an_mp_table(void **state)
{
	struct mc *t = *state;

	li_elf(&t->file);
	li_phdr(&t->file, 2)->p_type = PT_NULL;
	t->boot.no_acpi = true;
	mc_loads(t);
	assert_int_equal(mc_boot_params(t)->acpi_rsdp_addr, 0);
	assert_memory_equal(gm_slice(&t->gm, X86_MPTABLE, 4), "_MP_", 4);
	assert_memory_equal(gm_slice(&t->gm, X86_TABLES, 8), "\0\0\0\0\0\0\0\0", 8);
}

static void what_does_not_load_is_refused(void **state)
{
	struct mc *t = *state;
	char *line = malloc(ARCH_CMDLINE_ROOM + 1);

	li_bzimage(&t->file);
	t->file.len = LI_BZ_LEN - 1;
	mc_refuses(t, EINVAL, "KERNEL: vmlinux: ");
	t->file.len = LI_BZ_LEN;
	t->boot.initrd_fd = li_memfd("", 0);
	mc_refuses(t, EINVAL, "--initrd: initrd: ");
	assert_int_equal(ftruncate(t->boot.initrd_fd, 64 * MIB), 0);
	mc_refuses(t, ENOSPC, "--initrd: initrd: ");
	close(t->boot.initrd_fd);
	t->boot.initrd_fd = -1;
	/* A kernel that takes more than there is room for. */
	le32_put(t->file.file + 0x238, UINT32_MAX);
	memset(line, 'x', ARCH_CMDLINE_ROOM);
	line[ARCH_CMDLINE_ROOM] = '\0';
	t->boot.cmdline = line;
	mc_refuses(t, E2BIG, "--params: ");
	line[ARCH_CMDLINE_ROOM - 1] = '\0';
	mc_loads(t);
	free(line);
}

static void ram_without_room_for_the_tables_is_refused(void **state)
{
	struct mc *t = *state;
	uint8_t *low = aligned_alloc(PAGE_SIZE_4K, X86_TABLES);

	gm_fini(&t->gm);
	memset(low, 0, X86_TABLES);
	/* No RAM at 0xe0000. */
	assert_int_equal(gm_add_borrowed(&t->gm, 0, low, X86_TABLES), 0);
	assert_int_equal(gm_add_ram(&t->gm, MIB, 16 * MIB, &t->err), 0);
	li_bzimage(&t->file);
	mc_refuses(t, ENOSPC, "--mem: no room for ACPI tables");
	t->boot.no_acpi = true;
	mc_refuses(t, ENOSPC, "--no-acpi: no room for the MP table");
	free(low);
}

/* ---- words and files ---- */

static void only_a_machine_without_acpi_needs_words(void **state)
{
	char buf[ARCH_MAX_VIRTIO * 48 + 1];
	struct mc *t = *state;

	arch_cmdline_words(&t->boot, buf, sizeof(buf));
	assert_string_equal(buf, "");
	t->boot.no_acpi = true;
	arch_cmdline_words(&t->boot, buf, sizeof(buf));
	assert_string_equal(
		buf, "virtio_mmio.device=4K@0xd0000000:7 virtio_mmio.device=4K@0xd0001000:8 ");
	mc_devices(t, ARCH_MAX_VIRTIO);
	arch_cmdline_words(&t->boot, buf, sizeof(buf));
	assert_non_null(strstr(buf, "virtio_mmio.device=4K@0xd006f000:118 "));
}

/** The file's bytes are those in guest memory at gpa; its length. */
static size_t mc_file_is(struct mc *t, int dir, const char *name, gpa_t gpa)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	struct stat st;
	uint8_t *data;

	if (fd < 0 || fstat(fd, &st))
		fail_msg("%s is not there", name);
	data = malloc((size_t)st.st_size + 1);
	assert_true(st.st_size > 0);
	assert_int_equal(read(fd, data, (size_t)st.st_size + 1), st.st_size);
	assert_memory_equal(data, gm_slice(&t->gm, gpa, (uint64_t)st.st_size), (size_t)st.st_size);
	free(data);
	close(fd);
	return (size_t)st.st_size;
}

static void tables_are_dumped_as_the_guest_sees_them(void **state)
{
	static const char *const names[] = { "rsdp.dat", "xsdt.dat", "facp.dat", "apic.dat",
		"dsdt.dat" };
	char path[] = "/tmp/mayfly-tables-XXXXXX";
	struct mc *t = *state;
	const uint8_t *blob;
	int dir;

	assert_non_null(mkdtemp(path));
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	li_bzimage(&t->file);
	mc_loads(t);
	/* Twice: files that are there are replaced. */
	assert_int_equal(arch_dump_tables(&t->gm, &t->boot, NULL, path, &t->err), 0);
	assert_int_equal(arch_dump_tables(&t->gm, &t->boot, NULL, path, &t->err), 0);
	blob = gm_slice(&t->gm, X86_TABLES, X86_TABLES_LEN);
	mc_file_is(t, dir, names[0], mc_boot_params(t)->acpi_rsdp_addr);
	mc_file_is(t, dir, names[1], le64_get(blob + 24));
	for (unsigned i = 2; i < 4; i++) {
		/* The XSDT's entries follow its header of 36 bytes. */
		gpa_t xsdt = le64_get(blob + 24);

		mc_file_is(
			t, dir, names[i], le64_get(gm_slice(&t->gm, xsdt + 36 + 8 * (i - 2), 8)));
	}
	mc_file_is(t, dir, names[4],
		le64_get(gm_slice(
			&t->gm, le64_get(gm_slice(&t->gm, le64_get(blob + 24) + 36, 8)) + 140, 8)));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_int_equal(unlinkat(dir, names[i], 0), 0);

	t->boot.no_acpi = true;
	mc_loads(t);
	assert_int_equal(arch_dump_tables(&t->gm, &t->boot, NULL, path, &t->err), 0);
	assert_true(mc_file_is(t, dir, "mptable.dat", X86_MPTABLE) > 60);
	assert_int_equal(unlinkat(dir, "mptable.dat", 0), 0);
	close(dir);
	assert_int_equal(rmdir(path), 0); /* nothing else is there */
}

static void a_folder_that_is_not_there_is_refused(void **state)
{
	struct mc *t = *state;

	assert_int_equal(
		arch_dump_tables(&t->gm, &t->boot, NULL, "/nonexistent/tables", &t->err), -ENOENT);
	assert_ptr_equal(
		strstr(t->err.msg, "--dump-tables: /nonexistent/tables/rsdp.dat: "), t->err.msg);
	t->boot.no_acpi = true;
	assert_int_equal(
		arch_dump_tables(&t->gm, &t->boot, NULL, "/nonexistent/tables", &t->err), -ENOENT);
}

static void a_path_that_is_too_long_is_not_cut(void **state)
{
	char dir[4096] = "/tmp/mayfly-tables-XXXXXX", name[64];
	struct mc *t = *state;

	assert_non_null(mkdtemp(dir));
	snprintf(name, sizeof(name), "%.63s", dir);
	/* Slashes are free: what is cut would be a file of another name in the same folder. */
	memset(dir + strlen(dir), '/', 4090 - strlen(dir));
	assert_int_equal(arch_dump_tables(&t->gm, &t->boot, NULL, dir, &t->err), -ENAMETOOLONG);
	assert_int_equal(rmdir(name), 0);
}

static void a_file_that_cannot_be_written_whole_is_refused(void **state)
{
	char path[] = "/tmp/mayfly-tables-XXXXXX", link[64];
	struct mc *t = *state;

	assert_non_null(mkdtemp(path));
	snprintf(link, sizeof(link), "%s/mptable.dat", path);
	assert_int_equal(symlink("/dev/full", link), 0);
	t->boot.no_acpi = true;
	assert_int_equal(arch_dump_tables(&t->gm, &t->boot, NULL, path, &t->err), -ENOSPC);
	assert_non_null(strstr(t->err.msg, "mptable.dat: No space left"));
	assert_int_equal(unlink(link), 0);
	assert_int_equal(rmdir(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MC_TEST(devices_have_the_places_and_lines_that_are_documented),
		MC_TEST(the_chip_is_split_and_on_the_memory_bus),
		MC_TEST(a_chip_that_kvm_refuses_is_said),
		MC_TEST(linux_is_entered_in_long_mode),
		MC_TEST(pvh_is_entered_in_flat_32_bit_mode),
		MC_TEST(other_cpus_wait_for_the_first_to_start_them),
		MC_TEST(registers_that_kvm_refuses_are_said),
		MC_TEST(a_bzimage_is_loaded_and_described),
		MC_TEST(an_elf_with_a_pvh_note_is_entered_as_pvh),
		MC_TEST(an_elf_without_one_is_entered_as_linux),
		MC_TEST(without_acpi_there_is_an_mp_table),
		MC_TEST(what_does_not_load_is_refused),
		MC_TEST(ram_without_room_for_the_tables_is_refused),
		MC_TEST(only_a_machine_without_acpi_needs_words),
		MC_TEST(tables_are_dumped_as_the_guest_sees_them),
		MC_TEST(a_folder_that_is_not_there_is_refused),
		MC_TEST(a_path_that_is_too_long_is_not_cut),
		MC_TEST(a_file_that_cannot_be_written_whole_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
