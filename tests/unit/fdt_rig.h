/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Descriptions of machines for the tests of fdt/, and what the tests ask of a tree: it is read
 * with libfdt, which has it from the bytes alone.
 */
#pragma once

#include <errno.h>
#include <libfdt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fdt/fdt.h"

#define RIG_ROOM     (2 * MIB)
#define RIG_MAX_DEVS 160U

enum rig_kind { RIG_GICV3, RIG_GICV2, RIG_AIA, RIG_PLIC, RIG_NR_KINDS };

struct rig {
	struct fdt_machine m;
	struct fdt_aarch64 arm;
	struct fdt_riscv64 rv;
	struct fdt_range ram[2];
	struct fdt_dev dev[RIG_MAX_DEVS];
	uint64_t mpidr[FDT_MAX_CPUS];
	uint8_t *buf; /* owned: RIG_ROOM bytes */
	size_t len;   /* of the tree in it */
};

static const char *const rig_ext[] = { "i", "m", "a", "f", "d", "c", "zicbom", "zicboz", "zicsr",
	"smaia", "ssaia", "sstc" };
static const uint8_t rig_seed[32] = "0123456789abcdefABCDEFGHIJKLMNO";

static inline void rig_add(struct rig *r, enum fdt_dev_kind kind, uint64_t base, uint64_t len,
	bool has_irq, uint32_t irq)
{
	assert_true(r->m.nr_devs < RIG_MAX_DEVS);
	r->dev[r->m.nr_devs++] = (struct fdt_dev){ kind, base, len, has_irq, irq };
}

static inline struct rig *rig_new(enum rig_kind kind, unsigned nr_cpus, unsigned nr_virtio)
{
	struct rig *r = calloc(1, sizeof(*r));
	bool arm = kind == RIG_GICV3 || kind == RIG_GICV2;

	assert_non_null(r);
	r->buf = malloc(RIG_ROOM);
	assert_non_null(r->buf);
	r->ram[0] = (struct fdt_range){ 0x80000000, 0x40000000 };
	r->ram[1] = (struct fdt_range){ 0x100000000, 0x240000000 };
	for (unsigned i = 0; i < ARRAY_SIZE(r->mpidr); i++) /* as KVM numbers them */
		r->mpidr[i] = BIT(31) | (i / 256 % 256) << 16 | (i / 16 % 16) << 8 | i % 16;
	r->arm = (struct fdt_aarch64){
		.gic = { 3, { 0x3fff0000, 0x10000 }, { 0x3bff0000, 0x4000000 } },
		.mpidr = r->mpidr,
		.pmu = true,
	};
	if (kind == RIG_GICV2)
		r->arm.gic = (struct fdt_gic){ 2, { 0x3fff0000, 0x1000 }, { 0x3ffe0000, 0x2000 } };
	r->rv = (struct fdt_riscv64){
		.isa = "rv64imafdc_zicbom_zicboz_zicsr_smaia_ssaia_sstc",
		.isa_ext = rig_ext,
		.nr_isa_ext = ARRAY_SIZE(rig_ext),
		.mmu_type = "riscv,sv48",
		.timebase_hz = 10000000,
		.cbom_block = 64,
		.cboz_block = 64,
		.nr_sources = 127,
		.aia = kind == RIG_AIA,
		.plic = { 0x0c000000, 0x4000000 },
		.aplic = { 0x0d000000, 0x8000 },
		.imsic = { 0x28000000, FDT_MAX_CPUS * 0x1000ULL },
		.imsic_nr_ids = 255,
	};
	r->m = (struct fdt_machine){
		.ram = r->ram,
		.nr_ram = 2,
		.nr_cpus = nr_cpus,
		.dev = r->dev,
		.cmdline = "console=ttyS0 quiet",
		.initrd_start = 0x8c000000,
		.initrd_len = 0x12345,
		.rng_seed = rig_seed,
		.rng_seed_len = sizeof(rig_seed),
		.has_kaslr_seed = true,
		.kaslr_seed = 0x1122334455667788,
		.aarch64 = arm ? &r->arm : NULL,
		.riscv64 = arm ? NULL : &r->rv,
	};
	rig_add(r, FDT_DEV_UART, 0x10000000, 8, true, 1);
	rig_add(r, FDT_DEV_UART, 0x10001000, 8, true, 2);
	rig_add(r, FDT_DEV_PVPANIC, 0x10002000, 2, false, 0);
	rig_add(r, arm ? FDT_DEV_RTC_PL031 : FDT_DEV_RTC_GOLDFISH, 0x10003000, 0x1000, true, 3);
	for (unsigned i = 0; i < nr_virtio; i++)
		rig_add(r, FDT_DEV_VIRTIO_MMIO, 0x20000000 + 0x1000ULL * i, 0x1000, true, 8 + i);
	return r;
}

static inline void rig_free(struct rig *r)
{
	free(r->buf);
	free(r);
}

/* Builds with guard: on failure the length must be untouched and a sentence there. */
static inline int rig_build_in(struct rig *r, uint8_t *buf, size_t room, size_t *ret_len)
{
	struct err err = { "" };
	size_t len = 0xa5a5;
	int rc = fdt_build(&r->m, buf, room, &len, &err);

	if (rc < 0) {
		assert_int_equal(len, 0xa5a5);
		assert_true(strncmp(err.msg, "FDT: ", 5) == 0);
	} else {
		*ret_len = len;
	}
	return rc;
}

static inline void rig_build(struct rig *r)
{
	memset(r->buf, 0x5a, RIG_ROOM);
	assert_int_equal(rig_build_in(r, r->buf, RIG_ROOM, &r->len), 0);
	assert_int_equal(fdt_check_full(r->buf, r->len), 0);
	assert_int_equal(fdt_totalsize(r->buf), r->len);
}

static inline void rig_accepted(struct rig *r)
{
	rig_build(r);
	rig_free(r);
}

/* Refused with a sentence that has the word, and nothing was written. */
static inline void rig_refused(struct rig *r, const char *word)
{
	struct err err = { "" };
	uint8_t before[64];
	size_t len = 0xa5a5;

	memset(before, 0x77, sizeof(before));
	memset(r->buf, 0x77, sizeof(before));
	assert_int_equal(fdt_build(&r->m, r->buf, RIG_ROOM, &len, &err), -EINVAL);
	assert_int_equal(len, 0xa5a5);
	assert_memory_equal(r->buf, before, sizeof(before));
	if (!strstr(err.msg, word))
		fail_msg("\"%s\" does not say \"%s\"", err.msg, word);
	rig_free(r);
}

static inline int rig_node(const struct rig *r, const char *path)
{
	int node = fdt_path_offset(r->buf, path);

	if (node < 0)
		fail_msg("%s: %s", path, fdt_strerror(node));
	return node;
}

static inline bool rig_has_node(const struct rig *r, const char *path)
{
	return fdt_path_offset(r->buf, path) >= 0;
}

static inline bool rig_has(const struct rig *r, const char *path, const char *prop)
{
	return fdt_getprop(r->buf, rig_node(r, path), prop, NULL) != NULL;
}

static inline void rig_bytes(
	const struct rig *r, const char *path, const char *prop, const void *want, size_t len)
{
	int got_len;
	const void *got = fdt_getprop(r->buf, rig_node(r, path), prop, &got_len);

	if (!got)
		fail_msg("%s: no %s", path, prop);
	if ((size_t)got_len != len || memcmp(got, want, len) != 0) {
		print_message("%s: %s is not as it should be:\n", path, prop);
		assert_int_equal(got_len, len);
		assert_memory_equal(got, want, len);
	}
}

static inline void rig_cells(
	const struct rig *r, const char *path, const char *prop, const uint32_t *want, size_t nr)
{
	uint32_t be[2 * FDT_MAX_CPUS];

	assert_true(nr <= ARRAY_SIZE(be));
	for (size_t i = 0; i < nr; i++)
		be[i] = cpu_to_fdt32(want[i]);
	rig_bytes(r, path, prop, be, nr * sizeof(be[0]));
}

#define assert_cells(r, path, prop, ...)                                                           \
	rig_cells(r, path, prop, (const uint32_t[]){ __VA_ARGS__ },                                \
		sizeof((const uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t))

/* A string, or strings with \0 between them. */
#define assert_strs(r, path, prop, s) rig_bytes(r, path, prop, s, sizeof(s))
#define assert_flag(r, path, prop)    rig_bytes(r, path, prop, "", 0)

/* The path of the node that property prop's cell number i speaks of. */
static inline void rig_refers(
	const struct rig *r, const char *path, const char *prop, unsigned i, const char *to)
{
	char got[128];
	const fdt32_t *cell;
	int len, node;

	cell = fdt_getprop(r->buf, rig_node(r, path), prop, &len);
	assert_non_null(cell);
	assert_true((int)(4 * (i + 1)) <= len);
	node = fdt_node_offset_by_phandle(r->buf, fdt32_ld(cell + i));
	assert_true(node >= 0);
	assert_int_equal(fdt_get_path(r->buf, node, got, sizeof(got)), 0);
	assert_string_equal(got, to);
}
