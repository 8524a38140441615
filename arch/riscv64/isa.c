// SPDX-License-Identifier: BSD-3-Clause
/*
 * Which extensions a CPU has: KVM is asked for each that it numbers. What a newer KVM gives
 * beyond this table stays unnamed, and so unused.
 *
 * The RISC-V Instruction Set Manual, "ISA Extension Naming Conventions"; Linux
 * Documentation/devicetree/bindings/riscv/extensions.yaml.
 */
#include <stdio.h>
#include <stdlib.h>

#include "arch/riscv64/riscv64.h"

/* By KVM's number. */
static const char *const isa_names[] = {
	"a",
	"c",
	"d",
	"f",
	"h",
	"i",
	"m",
	"svpbmt",
	"sstc",
	"svinval",
	"zihintpause",
	"zicbom",
	"zicboz",
	"zbb",
	"ssaia",
	"v",
	"svnapot",
	"zba",
	"zbs",
	"zicntr",
	"zicsr",
	"zifencei",
	"zihpm",
	"smstateen",
	"zicond",
	"zbc",
	"zbkb",
	"zbkc",
	"zbkx",
	"zknd",
	"zkne",
	"zknh",
	"zkr",
	"zksed",
	"zksh",
	"zkt",
	"zvbb",
	"zvbc",
	"zvkb",
	"zvkg",
	"zvkned",
	"zvknha",
	"zvknhb",
	"zvksed",
	"zvksh",
	"zvkt",
	"zfh",
	"zfhmin",
	"zihintntl",
	"zvfh",
	"zvfhmin",
	"zfa",
	"ztso",
	"zacas",
	"sscofpmf",
	"zimop",
	"zca",
	"zcb",
	"zcd",
	"zcf",
	"zcmop",
	"zawrs",
};

_Static_assert(ARRAY_SIZE(isa_names) <= RISCV_MAX_EXT, "room for all");

bool riscv_isa_has(struct hv_vcpu *cpu, unsigned n)
{
	uint64_t v = 0;

	return !riscv_get(cpu, RISCV_REG_ISA_EXT(n), &v) && v;
}

/* rv64gc as profiles count it today, and the timer that kernels set without a firmware call. */
static const char *const isa_baseline[] = { "i", "m", "a", "f", "d", "c", "zicntr", "zicsr",
	"zifencei", "zihpm", "sstc", "ssaia" };

void riscv_isa_hide(struct hv_vcpu *cpu)
{
	for (unsigned i = 0; i < ARRAY_SIZE(isa_names); i++) {
		bool keep = false;

		for (size_t k = 0; k < ARRAY_SIZE(isa_baseline); k++)
			keep |= !strcmp(isa_names[i], isa_baseline[k]);
		/* Some cannot be taken away: what is left is told to the guest. */
		if (!keep && riscv_isa_has(cpu, i))
			(void)!riscv_set(cpu, RISCV_REG_ISA_EXT(i), 0);
	}
}

/** Single letters, then those of the unprivileged volume, then the supervisor's and machine's. */
static unsigned isa_rank(const char *name)
{
	static const char letters[] = "imafdqlcbkjtpvh";

	if (!name[1])
		return (unsigned)strcspn(letters, name);
	/* The letter after "z" says to which of the single ones it is related. */
	return name[0] == 'z' ? 100 + (unsigned)strcspn(letters, (const char[]){ name[1], '\0' })
			      : 200;
}

static int isa_compare(const void *a, const void *b)
{
	const char *left = *(const char *const *)a, *right = *(const char *const *)b;
	unsigned l = isa_rank(left), r = isa_rank(right);

	return l != r ? (l > r) - (l < r) : strcmp(left, right);
}

void riscv_isa_read(struct hv_vcpu *cpu, struct riscv_isa *ret)
{
	size_t len;

	ret->nr_ext = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(isa_names); i++)
		if (riscv_isa_has(cpu, i))
			ret->ext[ret->nr_ext++] = isa_names[i];
	qsort(ret->ext, ret->nr_ext, sizeof(ret->ext[0]), isa_compare);
	len = (size_t)snprintf(ret->isa, sizeof(ret->isa), "rv64");
	for (unsigned i = 0; i < ret->nr_ext; i++) {
		const char *name = ret->ext[i], *sep = name[1] ? "_" : "";

		len += (size_t)snprintf(ret->isa + len, sizeof(ret->isa) - len, "%s%s", sep, name);
		BUG_ON(len >= sizeof(ret->isa));
	}
}
