// SPDX-License-Identifier: BSD-3-Clause
/*
 * What a kernel finds in memory when it is entered: boot_params with the e820 map, setup_data
 * and the RSDP for Linux's 64-bit protocol, hvm_start_info for PVH.
 * Linux Documentation/arch/x86/{boot,zero-page}.rst; Xen public/arch-x86/hvm/start_info.h.
 */
#include <asm/bootparam.h>
#include <errno.h>

#include "arch/x86_64/layout.h"
#include "arch/x86_64/x86.h"

#define LOADER_UNDEFINED    0xff /* no id is assigned to us */
#define KERNEL_ALIGNMENT    0x1000000
#define SETUP_TYPE_RNG_SEED 9 /* SETUP_RNG_SEED, newer than some headers */
#define SEED_MAX            256

/* The same numbers in e820 and in PVH's map. */
#define RANGE_RAM      1
#define RANGE_RESERVED 2

#define PVH_MAGIC   0x336ec578
#define PVH_VERSION 1

_Static_assert(offsetof(struct boot_params, hdr) == SETUP_HEADER_OFFSET, "setup header place");

struct pvh_start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist_paddr, cmdline_paddr, rsdp_paddr, memmap_paddr;
	uint32_t memmap_entries, reserved;
};

struct pvh_module {
	uint64_t paddr, size, cmdline_paddr, reserved;
};

struct pvh_memmap_entry {
	uint64_t addr, size;
	uint32_t type, reserved;
};

unsigned x86_memory_map(const struct guest_memory *gm, struct x86_range *out)
{
	unsigned n = 0;

	out[n++] = (struct x86_range){ 0, X86_LOW_END, RANGE_RAM };
	out[n++] = (struct x86_range){ X86_TABLES, X86_TABLES_LEN, RANGE_RESERVED };
	for (unsigned i = 0; i < gm->nr_regions; i++) {
		const struct gm_region *r = &gm->region[i];
		uint64_t skip = r->base ? 0 : X86_KERNEL_LOW;

		out[n++] = (struct x86_range){ r->base + skip, r->len - skip, RANGE_RAM };
	}
	return n;
}

/** A setup_data node with fresh entropy; the kernel zeroes it after use. */
static int x86_write_seed(const struct guest_memory *gm, const struct arch_boot *boot)
{
	/* struct setup_data with its data. */
	struct {
		uint64_t next;
		uint32_t type, len;
		uint8_t seed[SEED_MAX];
	} node = { .type = SETUP_TYPE_RNG_SEED, .len = boot->rng_seed_len };

	BUG_ON(boot->rng_seed_len > SEED_MAX);
	memcpy(node.seed, boot->rng_seed, boot->rng_seed_len);
	return gm_write(gm, X86_SETUP_DATA, &node, sizeof(struct setup_data) + boot->rng_seed_len);
}

int x86_write_boot_params(const struct guest_memory *gm, const struct arch_boot *boot,
	const struct x86_payload *p, struct err *err)
{
	struct x86_range map[X86_MAX_RANGES];
	struct boot_params bp = { 0 };
	unsigned n = x86_memory_map(gm, map);

	if (p->kernel.setup_header_len) {
		memcpy((uint8_t *)&bp + SETUP_HEADER_OFFSET, p->kernel.setup_header,
			p->kernel.setup_header_len);
	} else {
		bp.hdr.boot_flag = 0xaa55;
		bp.hdr.header = 0x53726448; /* "HdrS" */
		bp.hdr.version = 0x20f;
		bp.hdr.kernel_alignment = KERNEL_ALIGNMENT;
	}
	bp.hdr.type_of_loader = LOADER_UNDEFINED;
	bp.hdr.cmd_line_ptr = (uint32_t)p->cmdline;
	bp.hdr.ramdisk_image = (uint32_t)p->initrd;
	bp.hdr.ramdisk_size = (uint32_t)p->initrd_len;
	bp.ext_ramdisk_image = (uint32_t)(p->initrd >> 32);
	bp.ext_ramdisk_size = (uint32_t)(p->initrd_len >> 32);
	bp.acpi_rsdp_addr = p->rsdp;
	for (unsigned i = 0; i < n; i++) {
		bp.e820_table[i].addr = map[i].base;
		bp.e820_table[i].size = map[i].len;
		bp.e820_table[i].type = map[i].type;
	}
	bp.e820_entries = (uint8_t)n;
	if (boot->rng_seed) {
		bp.hdr.setup_data = X86_SETUP_DATA;
		if (x86_write_seed(gm, boot))
			return err_set(err, ENOSPC, "--mem: no room for boot data");
	}
	if (gm_write(gm, X86_ZERO_PAGE, &bp, sizeof(bp)))
		return err_set(err, ENOSPC, "--mem: no room for boot data");
	return 0;
}

int x86_write_pvh_info(const struct guest_memory *gm, const struct x86_payload *p, struct err *err)
{
	struct pvh_memmap_entry entry[X86_MAX_RANGES] = { 0 };
	struct x86_range map[X86_MAX_RANGES];
	unsigned n = x86_memory_map(gm, map);
	struct pvh_start_info info = {
		.magic = PVH_MAGIC,
		.version = PVH_VERSION,
		.nr_modules = p->initrd_len ? 1 : 0,
		.modlist_paddr = p->initrd_len ? X86_PVH_MODULE : 0,
		.cmdline_paddr = p->cmdline,
		.rsdp_paddr = p->rsdp,
		.memmap_paddr = X86_PVH_MEMMAP,
		.memmap_entries = n,
	};
	struct pvh_module module = { .paddr = p->initrd, .size = p->initrd_len };

	for (unsigned i = 0; i < n; i++) {
		entry[i].addr = map[i].base;
		entry[i].size = map[i].len;
		entry[i].type = map[i].type;
	}
	if (gm_write(gm, X86_PVH_INFO, &info, sizeof(info)) ||
		gm_write(gm, X86_PVH_MODULE, &module, sizeof(module)) ||
		gm_write(gm, X86_PVH_MEMMAP, entry, n * sizeof(entry[0])))
		return err_set(err, ENOSPC, "--mem: no room for boot data");
	return 0;
}
