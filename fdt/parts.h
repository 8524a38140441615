/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The parts of a tree, for fdt/ only. Each has a check, which judges its part of the
 * description and writes nothing, and a function that writes nodes into the open root node;
 * the description has been checked by then. Pure; any thread.
 */
#pragma once

#include "fdt/fdt.h"
#include "fdt/writer.h"

/* Names by which nodes speak of each other (Devicetree Specification 0.4, section 2.3.3). */
enum {
	DTB_PHANDLE_IRQCHIP = 1, /* where devices' interrupts go: GIC, APLIC or PLIC */
	DTB_PHANDLE_IMSIC = 2,
	DTB_PHANDLE_CLOCK = 3,
	DTB_PHANDLE_HART = 16, /* the interrupt controller in hart 0; the others follow */
};

enum {
	DTB_IRQ_EDGE_RISING = 1,
	DTB_IRQ_LEVEL_HIGH = 4,
};

/** 0, or -EINVAL where range is empty or passes 64 bits; what is said in the sentence. */
int __must_check dtb_check_range(const struct fdt_range *range, const char *what, struct err *err);

int __must_check dtb_aarch64_check(const struct fdt_machine *m, struct err *err);
void dtb_aarch64_write(struct dtb *d, const struct fdt_machine *m);

int __must_check dtb_riscv64_check(const struct fdt_machine *m, struct err *err);
void dtb_riscv64_write(struct dtb *d, const struct fdt_machine *m);

int __must_check dtb_devs_check(const struct fdt_machine *m, struct err *err);
void dtb_devs_write(struct dtb *d, const struct fdt_machine *m);
void dtb_aliases_write(struct dtb *d, const struct fdt_machine *m);
/** "stdout-path", into the open node /chosen. */
void dtb_stdout_write(struct dtb *d, const struct fdt_machine *m);
