// SPDX-License-Identifier: BSD-3-Clause
/*
 * Firmware calls that KVM hands on: the debug console, and the legacy one. All others have been
 * answered "not supported" by the time they come here, as the specification asks.
 *
 * RISC-V Supervisor Binary Interface Specification 2.0, chapters 5 (legacy) and 12 (DBCN).
 */
#include "arch/riscv64/riscv64.h"

#define SBI_LEGACY_PUTCHAR 0x01
#define SBI_LEGACY_GETCHAR 0x02
#define SBI_DBCN           0x4442434e
#define SBI_DBCN_WRITE     0
#define SBI_DBCN_READ      1
#define SBI_DBCN_BYTE      2

#define SBI_SUCCESS           0UL
#define SBI_FAILED            ((uint64_t)-1)
#define SBI_ERR_INVALID_PARAM ((uint64_t)-3)

/* A call may write less than it was asked for; the guest calls again. */
#define SBI_WRITE_MAX 1024

static void sbi_dbcn(struct hv_exit *exit, const struct guest_memory *gm,
	void (*put)(void *ctx, const void *buf, size_t len), void *ctx)
{
	uint64_t len = exit->sbi.arg[0];
	char buf[SBI_WRITE_MAX];

	switch (exit->sbi.func) {
	case SBI_DBCN_WRITE:
		len = MIN(len, (uint64_t)sizeof(buf));
		/* The address's upper half is for machines with more than 64 bits of it. */
		if (exit->sbi.arg[2] || (len && gm_read(gm, exit->sbi.arg[1], buf, len))) {
			exit->sbi.ret[0] = SBI_ERR_INVALID_PARAM;
			return;
		}
		put(ctx, buf, len);
		break;
	case SBI_DBCN_READ: /* input is the uart's: there is none here */
		len = 0;
		break;
	case SBI_DBCN_BYTE:
		buf[0] = (char)exit->sbi.arg[0];
		put(ctx, buf, 1);
		len = 0;
		break;
	default:
		return;
	}
	exit->sbi.ret[0] = SBI_SUCCESS;
	exit->sbi.ret[1] = len;
}

void arch_on_sbi(struct arch_vm *av __unused, struct hv_exit *exit, const struct guest_memory *gm,
	void (*put)(void *ctx, const void *buf, size_t len), void *ctx)
{
	char byte;

	switch (exit->sbi.ext) {
	case SBI_DBCN:
		sbi_dbcn(exit, gm, put, ctx);
		return;
	case SBI_LEGACY_PUTCHAR:
		byte = (char)exit->sbi.arg[0];
		put(ctx, &byte, 1);
		exit->sbi.ret[0] = SBI_SUCCESS;
		return;
	case SBI_LEGACY_GETCHAR:
		exit->sbi.ret[0] = SBI_FAILED;
	}
}
