/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What tests of the real KVM share: the guests' code (payload_x86_64.S), and whether there is
 * a KVM to run it.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <unistd.h>

#include "base/base.h"

#define PAYLOAD(name) extern const uint8_t payload_##name[], payload_##name##_end[]
PAYLOAD(script);
PAYLOAD(irq_a);
PAYLOAD(irq_b);
PAYLOAD(ap);
PAYLOAD(spin);
PAYLOAD(echo);
#undef PAYLOAD

#define PAYLOAD_LEN(name) ((size_t)(payload_##name##_end - payload_##name))

#define PAYLOAD_PORT_END 0xf4
#define PAYLOAD_PORT_AP  0xf5
#define PAYLOAD_COUNT_A  0x3000
#define PAYLOAD_COUNT_B  0x3004

enum script_what {
	SCRIPT_END, /* value */
	SCRIPT_W8,  /* address, value */
	SCRIPT_W16,
	SCRIPT_W32,
	SCRIPT_W64,
	SCRIPT_R8, /* address; what is read becomes the value */
	SCRIPT_R16,
	SCRIPT_R32,
	SCRIPT_R64,
	SCRIPT_O8, /* port, value */
	SCRIPT_O16,
	SCRIPT_O32,
	SCRIPT_I8, /* port; what is read becomes the value */
	SCRIPT_I16,
	SCRIPT_I32,
	SCRIPT_OUTSB, /* address, port | count << 16 */
	SCRIPT_OUTSL,
	SCRIPT_INSW,
	SCRIPT_WRMSR, /* number, value */
	SCRIPT_RDMSR,
	SCRIPT_LIDT,  /* address of limit and base, top of the stack */
	SCRIPT_WAIT,  /* address of a 32-bit word, what it must reach; halts between looks */
	SCRIPT_SPIN,  /* -, how often */
	SCRIPT_FAULT, /* an invalid instruction */
};

struct script_op {
	uint64_t what, addr, value;
};

/** True when this host's KVM can be opened. */
static inline bool payload_can_run(void)
{
	return !access("/dev/kvm", R_OK | W_OK);
}
