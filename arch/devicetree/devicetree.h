/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the architectures share whose machines are described by a device tree: where RAM and
 * devices lie, how a payload and its tree are put into memory. One of arch/aarch64 and
 * arch/riscv64 is linked with it and fills in what follows. The building thread.
 *
 * The memory map, the same for both:
 *
 *      4000000  interrupt controller, the architecture's own (see its machine.c)
 *     20000000  four uarts, 4 KiB apart
 *     20010000  real-time clock
 *     20020000  pvpanic
 *     21000000  virtio-mmio register pages, one each 4 KiB
 *     80000000  RAM, in one piece: the kernel at its own offset, the tree behind it, the initrd
 *               as high as the kernel allows
 *
 * Interrupt lines, as the controller's chip counts what comes from outside it: 1 to 4 the
 * uarts, 5 the clock, from 8 on the virtio devices in command-line order.
 */
#pragma once

#include "arch/arch.h"
#include "fdt/fdt.h"

#define DT_CHIP    0x4000000ULL
#define DT_UART    0x20000000ULL
#define DT_RTC     0x20010000ULL
#define DT_PVPANIC 0x20020000ULL
#define DT_VIRTIO  0x21000000ULL
#define DT_RAM     0x80000000ULL
#define DT_STEP    0x1000  /* bytes between uarts */
#define DT_ROOM    0x20000 /* bytes for the tree, before its kernel is told where it ends */

#define DT_GSI_UART   1
#define DT_GSI_RTC    5
#define DT_GSI_VIRTIO 8

/* ---- what arch/<isa>/ says ---- */

/** What kernels it boots. */
extern const struct kernel_target dt_kernel_target;
/** Its clock, with registers of dt_rtc_len bytes. */
extern const enum dev_kind dt_rtc_kind;
extern const uint64_t dt_rtc_len;

/** Room for the architecture's part of the description, whose pointers last as long as it. */
struct dt_isa;
/**
 * Fills in m->aarch64 or m->riscv64 for a ready machine. Returns 0 or -errno; dt_isa_free
 * afterwards, in any case.
 */
int __must_check dt_isa_describe(
	const struct arch_vm *av, struct fdt_machine *m, struct dt_isa **ret, struct err *err);
void dt_isa_free(struct dt_isa *isa);

/**
 * Where the program of arch_probe stores when its loop is over. Its first instruction does
 * nothing: when a CPU goes on, KVM steps over the store that ended its last run, wherever it was
 * sent meanwhile.
 */
#define DT_PROBE_PORT    0x10000000ULL
#define DT_PROBE_SLOW_NS 5000000 /* hardware takes a few ten microseconds */
