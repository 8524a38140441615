/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The guest physical memory map of the x86_64 machine. Everything below 1 MiB that is not
 * named here is plain RAM that the kernel may use.
 *
 *          500  GDT of the 64-bit entry (Linux needs __BOOT_CS 0x10 and __BOOT_DS 0x18)
 *         7000  boot_params ("zero page"), or hvm_start_info and its tables for PVH
 *         9000  page tables of the 64-bit entry: PML4, PDPT, up to four page directories
 *        20000  kernel command line, 64 KiB
 *        30000  setup_data
 *        a0000  end of what the kernel may use below 1 MiB
 *        e0000  ACPI tables, 128 KiB; reserved
 *        f0000  MP table, where the machine has no ACPI (kernels search from here)
 *       100000  kernel, initrd at the top of low RAM
 *     d0000000  end of low RAM; virtio-mmio register pages, one each 4 KiB
 *     fec00000  IOAPIC
 *     fee00000  local APIC
 *     fffbc000  pages that KVM needs on processors without unrestricted guests
 *    100000000  RAM past 4 GiB
 */
#pragma once

#define X86_GDT          0x500
#define X86_ZERO_PAGE    0x7000
#define X86_PVH_INFO     0x7000
#define X86_PVH_MODULE   0x7100
#define X86_PVH_MEMMAP   0x7200
#define X86_PAGE_TABLES  0x9000
#define X86_CMDLINE      0x20000
#define X86_SETUP_DATA   0x30000
#define X86_LOW_END      0xa0000
#define X86_TABLES       0xe0000 /* ACPI */
#define X86_TABLES_LEN   0x20000
#define X86_MPTABLE      0xf0000
#define X86_MPTABLE_LEN  0x10000
#define X86_KERNEL_LOW   0x100000
#define X86_LOW_RAM_END  0xd0000000ULL
#define X86_VIRTIO_BASE  0xd0000000ULL
#define X86_IOAPIC       0xfec00000ULL
#define X86_LAPIC        0xfee00000ULL
#define X86_IDENTITY_MAP 0xfffbc000ULL
#define X86_TSS          0xfffbd000ULL
#define X86_HIGH_RAM     0x100000000ULL

/* Ports. */
#define X86_PORT_I8042   0x64
#define X86_PORT_PVPANIC 0x505
#define X86_PORT_POWER   0x600

/*
 * Interrupt lines: 3 and 4 are the uarts as ISA knows them, 5 and 6 the other two, and the
 * virtio devices follow. There is one IOAPIC with as many pins as lines.
 */
#define X86_GSI_VIRTIO 7
