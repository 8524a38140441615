// SPDX-License-Identifier: BSD-3-Clause
/*
 * The state in which a kernel is entered: Linux's 64-bit boot protocol
 * (Documentation/arch/x86/boot.rst, "64-bit boot protocol") and PVH's 32-bit one
 * (Xen docs/misc/pvh, "x86/HVM direct boot ABI").
 */
#include <errno.h>

#include "arch/x86_64/layout.h"
#include "arch/x86_64/x86.h"

#define CR0_PE   BIT(0)
#define CR0_ET   BIT(4)
#define CR0_PG   BIT(31)
#define CR4_PAE  BIT(5)
#define EFER_LME BIT(8)
#define EFER_LMA BIT(10)

#define PTE_PRESENT BIT(0)
#define PTE_WRITE   BIT(1)
#define PTE_PS      BIT(7)

#define SEL_CODE 0x10 /* __BOOT_CS */
#define SEL_DATA 0x18 /* __BOOT_DS */
#define SEL_TSS  0x20

#define MSR_MISC_ENABLE      0x1a0
#define MISC_ENABLE_FAST_STR BIT(0)
#define MSR_MTRR_DEF_TYPE    0x2ff
#define MTRR_ENABLE          BIT(11)
#define MTRR_WRITE_BACK      6

static const uint64_t x86_gdt[] = {
	0, 0, 0x00af9b000000ffff, /* 0x10: 64-bit code */
	0x00cf93000000ffff,       /* 0x18: data */
	0x008f8b000000ffff,       /* 0x20: busy TSS, base 0 */
};

int x86_write_tables(const struct guest_memory *gm, gpa_t end, struct err *err)
{
	uint64_t nr_gib = MIN(MAX((end + GIB - 1) / GIB, 1), 4);
	gpa_t pml4 = X86_PAGE_TABLES, pdpt = pml4 + PAGE_SIZE_4K, pd = pdpt + PAGE_SIZE_4K;
	uint64_t *t = gm_slice(gm, pml4, (2 + nr_gib) * PAGE_SIZE_4K);

	if (!t || gm_write(gm, X86_GDT, x86_gdt, sizeof(x86_gdt)))
		return err_set(err, ENOSPC, "--mem: no room for page tables");
	t[0] = pdpt | PTE_PRESENT | PTE_WRITE;
	for (uint64_t g = 0; g < nr_gib; g++) {
		t[512 + g] = (pd + g * PAGE_SIZE_4K) | PTE_PRESENT | PTE_WRITE;
		for (uint64_t i = 0; i < 512; i++)
			t[1024 + g * 512 + i] = (g * GIB + i * 2 * MIB) | PTE_PRESENT | PTE_WRITE |
				PTE_PS;
	}
	return 0;
}

static struct kvm_segment x86_segment(uint16_t selector, uint8_t type, bool code64)
{
	return (struct kvm_segment){
		.base = 0,
		.limit = 0xffffffff,
		.selector = selector,
		.type = type,
		.present = 1,
		.s = 1,
		.l = code64,
		.db = !code64,
		.g = 1,
	};
}

int x86_set_entry(struct hv_vcpu *cpu, const struct arch_entry *entry, struct err *err)
{
	bool pvh = entry->kind == X86_ENTRY_PVH;
	struct kvm_regs regs = { .rip = entry->pc, .rflags = 2 };
	struct kvm_sregs s;
	int rc = hv_vcpu_ioctl(cpu, KVM_GET_SREGS, &s);

	if (rc)
		return err_errno(err, -rc, "KVM: cannot read CPU registers");
	s.cs = x86_segment(SEL_CODE, 0xb, !pvh);
	s.ds = s.es = s.fs = s.gs = s.ss = x86_segment(SEL_DATA, 3, false);
	s.tr = (struct kvm_segment){
		.limit = 0x67, .selector = SEL_TSS, .type = 0xb, .present = 1
	};
	s.gdt.base = X86_GDT;
	s.gdt.limit = sizeof(x86_gdt) - 1;
	s.idt.limit = 0;
	s.cr0 = CR0_PE | CR0_ET;
	s.cr4 = 0;
	s.efer = 0;
	if (pvh) {
		regs.rbx = entry->arg;
	} else {
		regs.rsi = entry->arg;
		s.cr0 |= CR0_PG;
		s.cr3 = X86_PAGE_TABLES;
		s.cr4 = CR4_PAE;
		s.efer = EFER_LME | EFER_LMA;
	}
	rc = hv_vcpu_ioctl(cpu, KVM_SET_SREGS, &s);
	if (!rc)
		rc = hv_vcpu_ioctl(cpu, KVM_SET_REGS, &regs);
	return rc ? err_errno(err, -rc, "KVM: cannot set CPU registers") : 0;
}

int x86_set_msrs(struct hv_vcpu *cpu, struct err *err)
{
	/* struct kvm_msrs with its entries. */
	struct {
		uint32_t nmsrs, pad;
		struct kvm_msr_entry entry[2];
	} m = {
		.nmsrs = 2,
		.entry = {
			/* RAM is write-back: a firmware would have said so. */
			{ .index = MSR_MTRR_DEF_TYPE, .data = MTRR_ENABLE | MTRR_WRITE_BACK },
			{ .index = MSR_MISC_ENABLE, .data = MISC_ENABLE_FAST_STR },
		},
	};
	int rc = hv_vcpu_ioctl(cpu, KVM_SET_MSRS, &m);

	/* The result counts what was taken; MISC_ENABLE is a hint that some hosts refuse. */
	if (rc < 1)
		return err_errno(err, rc < 0 ? -rc : EIO, "KVM: cannot set memory types");
	return 0;
}
