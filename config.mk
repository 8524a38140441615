# SPDX-License-Identifier: BSD-3-Clause
# Compile-time options, each 0 or 1. Make picks whole objects by them.

# Compressed kernels (gzip, lz4, zstd, EFI zboot), as distributions ship them for aarch64 and
# riscv64. A bzImage unpacks itself, so that x86_64 does without a third of a megabyte of
# libraries; what tests the code has it everywhere.
CONFIG_UNPACK ?= $(if $(filter release-x86_64 debug-x86_64,$(VARIANT)-$(ARCH)),0,1)
