// SPDX-License-Identifier: BSD-3-Clause
/*
 * The probe of a host's speed: what its guest is made of, its exits by a script, and its code,
 * which is run here, for it needs nothing that an ordinary program may not do.
 */
#include "tests/unit/devicetree_rig.h"

#include <signal.h>

#define CODE_MAX    1024 /* instructions, a page */
#define CODE_PORT   ((void *)(uintptr_t)DT_PROBE_PORT)
#define CODE_UNSEEN 0x5a5a5a5a

static struct pc {
	unsigned nr_pcs; /* how often a CPU was given its place */
	uint64_t value;  /* the last one */
	unsigned long refused;
} pc;

static int pc_ioctl(unsigned long req, void *arg)
{
	if (req == pc.refused)
		return -EINVAL;
	if (req == KVM_SET_ONE_REG) {
		pc.nr_pcs++;
		memcpy(&pc.value, (void *)(uintptr_t)((struct kvm_one_reg *)arg)->addr,
			sizeof(pc.value));
		return 0;
	}
	return dr_ioctl(req, arg);
}

/** Bits of an address, where they are asked for. */
static int pc_cap(unsigned cap __unused)
{
	return 40;
}

static int pc_setup(void **state __unused)
{
	memset(&fake_hv, 0, sizeof(fake_hv));
	memset(&pc, 0, sizeof(pc));
	fake_hv.ioctl = pc_ioctl;
	fake_hv.cap = pc_cap;
	return 0;
}

#define PC_TEST(f) cmocka_unit_test_setup(f, pc_setup)

#define PC_DONE                                                                                    \
	{                                                                                          \
		.kind = HV_EXIT_MMIO, .mmio = {.addr = DT_PROBE_PORT, .is_write = true }           \
	}
#define PC_KICKED                                                                                  \
	{                                                                                          \
		.kind = HV_EXIT_KICKED                                                             \
	}

static int pc_probe(
	const struct hv_exit *script, unsigned nr, struct arch_speed *ret, struct err *err)
{
	fake_hv.script = script;
	fake_hv.nr_script = nr;
	fake_hv.next = 0;
	memset(ret, 1, sizeof(*ret)); /* true, and no time */
	memset(err, 0, sizeof(*err));
	return arch_speed_probe(NULL, ret, err);
}

static void three_runs_that_reach_the_port_are_a_measurement(void **state __unused)
{
	/* A signal in between is no end. */
	static const struct hv_exit script[] = { PC_DONE, PC_KICKED, PC_KICKED, PC_DONE, PC_DONE };
	struct arch_speed speed;
	struct err err;

	assert_int_equal(pc_probe(script, ARRAY_SIZE(script), &speed, &err), 0);
	assert_int_equal(fake_hv.next, ARRAY_SIZE(script));
	assert_int_equal(pc.nr_pcs, 3);
	assert_int_equal(pc.value, DT_RAM);
	assert_true(speed.guest_ns < UINT64_MAX && speed.host_ns < UINT64_MAX);
	assert_false(speed.emulated || speed.likely_emulated);
	/* A little RAM, with the code at its beginning. */
	assert_int_equal(fake_hv.nr_slots, 1);
	assert_int_equal(fake_hv.slot[0].gpa, DT_RAM);
	assert_true(fake_hv.slot[0].len >= dt_probe_code_len);
}

static void pc_crawl(void)
{
	usleep(6000);
}

static void a_guest_that_crawls_is_taken_for_emulated(void **state __unused)
{
	static const struct hv_exit script[] = { PC_DONE, PC_DONE, PC_DONE };
	struct arch_speed speed;
	struct err err;

	fake_hv.on_run = pc_crawl;
	assert_int_equal(pc_probe(script, ARRAY_SIZE(script), &speed, &err), 0);
	assert_true(speed.guest_ns >= 6000000);
	assert_true(speed.emulated);
}

static void pc_stroll(void)
{
	usleep(2500);
}

static void a_few_milliseconds_are_a_busy_host_and_no_emulation(void **state __unused)
{
	static const struct hv_exit script[] = { PC_DONE, PC_DONE, PC_DONE };
	struct arch_speed speed;
	struct err err;

	fake_hv.on_run = pc_stroll;
	/* Where others are so busy that the sleeps are longer, it is tried again. */
	for (unsigned i = 0; i < 50; i++) {
		assert_int_equal(pc_probe(script, ARRAY_SIZE(script), &speed, &err), 0);
		if (speed.guest_ns >= 5000000 || speed.guest_ns / 50 <= speed.host_ns)
			continue;
		assert_false(speed.emulated);
		return;
	}
	skip();
}

static void another_exit_than_the_ports_is_said(void **state __unused)
{
	static const struct {
		struct hv_exit exit;
		const char *says;
	} c[] = {
		{ { .kind = HV_EXIT_MMIO, .mmio.addr = DT_PROBE_PORT + 4 },
			"KVM: the probe guest ended with exit 0" },
		{ { .kind = HV_EXIT_PIO, .mmio.addr = DT_PROBE_PORT },
			"KVM: the probe guest ended with exit 1" },
		{ { .kind = HV_EXIT_SHUTDOWN }, "KVM: the probe guest ended with exit 3" },
		{ { .kind = HV_EXIT_FAILED, .reason = "KVM tripped" },
			"KVM: the probe guest ended with exit 7: KVM tripped" },
	};
	struct arch_speed speed;
	struct err err;

	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		assert_int_equal(pc_probe(&c[i].exit, 1, &speed, &err), -EIO);
		assert_string_equal(err.msg, c[i].says);
	}
}

static void registers_that_kvm_refuses_are_said(void **state __unused)
{
	struct arch_speed speed;
	struct err err;

	pc.refused = KVM_SET_ONE_REG;
	assert_int_equal(pc_probe(NULL, 0, &speed, &err), -EINVAL);
	assert_string_equal(err.msg, "KVM: probe registers: Invalid argument");
}

static void ram_that_kvm_refuses_is_said(void **state __unused)
{
	struct arch_speed speed;
	struct err err;

	fake_hv.nr_slots = ARRAY_SIZE(fake_hv.slot);
	assert_int_equal(pc_probe(NULL, 0, &speed, &err), -ENOSPC);
	assert_int_equal(pc.nr_pcs, 0);
}

static void no_host_is_suspected(void **state __unused)
{
	assert_false(arch_speed_suspect());
}

/* ---- the code ---- */

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
	size_t count = dt_probe_code_len / sizeof(uint32_t) - 1; /* but for the end, a loop */
	bool arm = dt_kernel_target.formats & BIT(KERNEL_IMAGE_ARM64);
	uint32_t code[CODE_MAX], nop = arm ? 0xd503201f : 0x00000013, *at;
	unsigned loop = 0;

	memcpy(code, dt_probe_code, count * sizeof(code[0]));
	/* The decrement and the branch behind it taken out, the store says what it counts from. */
	for (unsigned i = 0; i < count; i++)
		if (code[i] == (arm ? 0x71000400 : 0xfff28293))
			loop = i;
	assert_true(loop > 0);
	code[loop] = code[loop + 1] = nop;
	at = pc_programs(dt_probe_code, code, count);
	for (unsigned n = 0; n < 2; n++) {
		*port = CODE_UNSEEN;
		pc_run(at + n);
		assert_int_equal(*port, 0);
		pc_run(at + CODE_MAX + n);
		assert_int_equal(*port, DT_PROBE_LOOPS);
	}
	munmap(at, 2 * CODE_MAX * sizeof(*at));
	munmap(CODE_PORT, 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PC_TEST(three_runs_that_reach_the_port_are_a_measurement),
		PC_TEST(a_guest_that_crawls_is_taken_for_emulated),
		PC_TEST(a_few_milliseconds_are_a_busy_host_and_no_emulation),
		PC_TEST(another_exit_than_the_ports_is_said),
		PC_TEST(registers_that_kvm_refuses_are_said),
		PC_TEST(ram_that_kvm_refuses_is_said),
		PC_TEST(no_host_is_suspected),
		PC_TEST(a_run_is_whole_also_when_its_first_instruction_is_skipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
