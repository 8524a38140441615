// SPDX-License-Identifier: BSD-3-Clause
/*
 * The code of the probe's guest, which is run here, for it needs nothing that an ordinary program
 * may not do.
 */
#include "tests/unit/devicetree_rig.h"

#include <signal.h>

#define CODE_MAX    1024 /* instructions, a page */
#define CODE_PORT   ((void *)(uintptr_t)DT_PROBE_PORT)
#define CODE_UNSEEN 0x5a5a5a5a

static void no_host_is_suspected(void **state __unused)
{
	assert_false(arch_probe_suspect());
}

static void only_the_ports_access_is_the_end(void **state __unused)
{
	struct hv_exit exit = { .kind = HV_EXIT_MMIO, .mmio.addr = DT_PROBE_PORT };

	assert_true(arch_probe_ended(&exit));
	exit.mmio.addr += 4;
	assert_false(arch_probe_ended(&exit));
	exit = (struct hv_exit){ .kind = HV_EXIT_PIO, .mmio.addr = DT_PROBE_PORT };
	assert_false(arch_probe_ended(&exit));
}

/**
 * Makes two programs of a page each that can be run; count instructions of them matter. Both
 * are written before either runs: QEMU 7.2 now and then runs what was at an address before.
 */
static uint32_t *pc_programs(const uint32_t *first, const uint32_t *second, size_t count)
{
	static const uint32_t ret_arm64 = 0xd65f03c0, ret_riscv64 = 0x00008067;
	bool arm = dt_kernel_target.formats & BIT(KERNEL_IMAGE_ARM64);
	size_t len = 2 * CODE_MAX * sizeof(*first);
	uint32_t *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(at, MAP_FAILED);
	assert_true(count < CODE_MAX);
	memcpy(at, first, count * sizeof(*at));
	memcpy(at + CODE_MAX, second, count * sizeof(*at));
	at[count] = at[CODE_MAX + count] = arm ? ret_arm64 : ret_riscv64;
	assert_int_equal(mprotect(at, len, PROT_READ | PROT_EXEC), 0);
	__builtin___clear_cache((char *)at, (char *)at + len);
	return at;
}

static void pc_run(uint32_t *at)
{
	void (*fn)(void);

	memcpy(&fn, &at, sizeof(fn));
	alarm(20);
	fn();
	alarm(0);
}

static volatile uint32_t *pc_port(void)
{
	volatile uint32_t *port = mmap(CODE_PORT, 4096, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	assert_ptr_equal(port, CODE_PORT);
	*port = CODE_UNSEEN;
	return port;
}

/**
 * KVM steps over the store that ended a run when the CPU goes on, and so over the first
 * instruction of the next.
 */
static void a_run_is_whole_also_when_its_first_instruction_is_skipped(void **state __unused)
{
	volatile uint32_t *port = pc_port();
	size_t count = arch_probe.len / sizeof(uint32_t) - 1; /* but for the end, a loop */
	bool arm = dt_kernel_target.formats & BIT(KERNEL_IMAGE_ARM64);
	uint32_t code[CODE_MAX], nop = arm ? 0xd503201f : 0x00000013, *at;
	unsigned loop = 0;

	memcpy(code, arch_probe.code, count * sizeof(code[0]));
	/* The decrement and the branch behind it taken out, the store says what it counts from. */
	for (unsigned i = 0; i < count; i++)
		if (code[i] == (arm ? 0x71000400 : 0xfff28293))
			loop = i;
	assert_true(loop > 0);
	code[loop] = code[loop + 1] = nop;
	at = pc_programs(arch_probe.code, code, count);
	for (unsigned n = 0; n < 2; n++) {
		*port = CODE_UNSEEN;
		pc_run(at + n);
		assert_int_equal(*port, 0);
		pc_run(at + CODE_MAX + n);
		assert_int_equal(*port, ARCH_PROBE_LOOPS);
	}
	munmap(at, 2 * CODE_MAX * sizeof(*at));
	munmap(CODE_PORT, 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_host_is_suspected),
		cmocka_unit_test(only_the_ports_access_is_the_end),
		cmocka_unit_test(a_run_is_whole_also_when_its_first_instruction_is_skipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
