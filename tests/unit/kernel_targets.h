/* SPDX-License-Identifier: BSD-3-Clause */
/* What arch/<isa>/ says of the kernels that its machine boots, for tests that know no machine. */
#pragma once

#include <elf.h>

#include "loader/loader.h"

static const struct kernel_target li_x86 = {
	.name = "x86_64",
	.elf_machine = EM_X86_64,
	.formats = BIT(KERNEL_BZIMAGE) | BIT(KERNEL_ELF_PVH) | BIT(KERNEL_ELF_LINUX),
	.cmdline_max = 2047,
	.initrd_max = 0x7fffffff,
	.page_size = 4 * KIB,
};

static const struct kernel_target li_arm64 = {
	.name = "aarch64",
	.elf_machine = EM_AARCH64,
	.formats = BIT(KERNEL_IMAGE_ARM64) | BIT(KERNEL_ELF_FDT),
	.cmdline_max = 2047,
	.initrd_max = UINT64_MAX,
	.initrd_window = 32 * GIB,
	.page_size = 64 * KIB,
};

static const struct kernel_target li_riscv64 = {
	.name = "riscv64",
	.elf_machine = EM_RISCV,
	.formats = BIT(KERNEL_IMAGE_RISCV64) | BIT(KERNEL_ELF_FDT),
	.cmdline_max = 1023,
	.initrd_max = UINT64_MAX,
	.page_size = 4 * KIB,
};
