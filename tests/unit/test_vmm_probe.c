// SPDX-License-Identifier: BSD-3-Clause
/* The probe of a host's speed: what its guest is made of, and its exits by a script. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "arch/arch.h"
#include "hypervisor/fake/fake.h"
#include "vmm/probe.h"

static struct {
	unsigned nr_sets; /* how often a CPU's registers were set */
	bool refused;     /* to set them */
} sp;

/* How a guest says that it is done: one of these, by architecture. */
static const struct hv_exit sp_ends[] = {
	{ .kind = HV_EXIT_PIO, .pio = { .port = 0xf4, .is_write = true } },
	{ .kind = HV_EXIT_MMIO, .mmio = { .addr = 0x10000000, .is_write = true } },
};
static struct hv_exit sp_done;

static int sp_ioctl(unsigned long req, void *arg)
{
	if (req == KVM_SET_REGS || req == KVM_SET_ONE_REG) {
		sp.nr_sets++;
		return sp.refused ? -EINVAL : 0;
	}
	if (req == KVM_GET_SREGS)
		memset(arg, 0, sizeof(struct kvm_sregs));
	return 0;
}

/** Bits of an address, where they are asked for. */
static int sp_cap(unsigned cap __unused)
{
	return 40;
}

static int sp_setup(void **state __unused)
{
	memset(&fake_hv, 0, sizeof(fake_hv));
	memset(&sp, 0, sizeof(sp));
	fake_hv.ioctl = sp_ioctl;
	fake_hv.cap = sp_cap;
	sp_done = sp_ends[arch_probe_ended(&sp_ends[1])];
	return 0;
}

#define SP_TEST(f) cmocka_unit_test_setup(f, sp_setup)

static int sp_probe(
	const struct hv_exit *script, unsigned nr, struct probe_speed *ret, struct err *err)
{
	fake_hv.script = script;
	fake_hv.nr_script = nr;
	fake_hv.next = 0;
	memset(ret, 1, sizeof(*ret)); /* true, and no time */
	memset(err, 0, sizeof(*err));
	return probe_speed(NULL, ret, err);
}

static void three_runs_that_reach_the_port_are_a_measurement(void **state __unused)
{
	/* A signal in between is no end. */
	const struct hv_exit kicked = { .kind = HV_EXIT_KICKED };
	const struct hv_exit script[] = { sp_done, kicked, kicked, sp_done, sp_done };
	struct probe_speed speed;
	struct err err;

	assert_int_equal(sp_probe(script, ARRAY_SIZE(script), &speed, &err), 0);
	assert_int_equal(fake_hv.next, ARRAY_SIZE(script));
	assert_int_equal(sp.nr_sets, 3);
	assert_true(speed.guest_ns < UINT64_MAX && speed.host_ns < UINT64_MAX);
	assert_false(speed.emulated);
	/* A little RAM that holds the code. */
	assert_int_equal(fake_hv.nr_slots, 1);
	assert_int_equal(fake_hv.slot[0].gpa, arch_probe.ram);
	assert_true(fake_hv.slot[0].len >= arch_probe.entry - arch_probe.ram + arch_probe.len);
}

static void sp_crawl(void)
{
	usleep(6000);
}

static void a_guest_that_crawls_is_taken_for_emulated(void **state __unused)
{
	const struct hv_exit script[] = { sp_done, sp_done, sp_done };
	struct probe_speed speed;
	struct err err;

	fake_hv.on_run = sp_crawl;
	assert_int_equal(sp_probe(script, ARRAY_SIZE(script), &speed, &err), 0);
	assert_true(speed.guest_ns >= 6000000);
	assert_true(speed.emulated);
}

static void sp_stroll(void)
{
	usleep((useconds_t)(arch_probe.slow_ns / 2000));
}

static void half_of_too_long_is_a_busy_host_and_no_emulation(void **state __unused)
{
	const struct hv_exit script[] = { sp_done, sp_done, sp_done };
	struct probe_speed speed;
	struct err err;

	fake_hv.on_run = sp_stroll;
	/* Where others are so busy that the sleeps are longer, it is tried again. */
	for (unsigned i = 0; i < 50; i++) {
		assert_int_equal(sp_probe(script, ARRAY_SIZE(script), &speed, &err), 0);
		if (speed.guest_ns >= arch_probe.slow_ns || speed.guest_ns / 50 <= speed.host_ns)
			continue;
		assert_false(speed.emulated);
		return;
	}
	skip();
}

static void another_exit_than_the_ports_is_said(void **state __unused)
{
	static const struct hv_exit c[] = {
		{ .kind = HV_EXIT_MMIO, .mmio.addr = 0x10000004 },
		{ .kind = HV_EXIT_PIO, .pio.port = 0xf5 },
		{ .kind = HV_EXIT_SHUTDOWN },
		{ .kind = HV_EXIT_FAILED, .reason = "KVM tripped" },
	};
	struct probe_speed speed;
	struct err err;

	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		char says[128];

		snprintf(says, sizeof(says), "KVM: the probe guest ended with exit %d%s",
			(int)c[i].kind, c[i].kind == HV_EXIT_FAILED ? ": KVM tripped" : "");
		assert_int_equal(sp_probe(&c[i], 1, &speed, &err), -EIO);
		assert_string_equal(err.msg, says);
	}
}

static void registers_that_kvm_refuses_are_said(void **state __unused)
{
	struct probe_speed speed;
	struct err err;

	sp.refused = true;
	assert_int_equal(sp_probe(NULL, 0, &speed, &err), -EINVAL);
	assert_string_equal(err.msg, "KVM: probe registers: Invalid argument");
}

static void ram_that_kvm_refuses_is_said(void **state __unused)
{
	struct probe_speed speed;
	struct err err;

	fake_hv.nr_slots = ARRAY_SIZE(fake_hv.slot);
	assert_int_equal(sp_probe(NULL, 0, &speed, &err), -ENOSPC);
	assert_int_equal(sp.nr_sets, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SP_TEST(three_runs_that_reach_the_port_are_a_measurement),
		SP_TEST(a_guest_that_crawls_is_taken_for_emulated),
		SP_TEST(half_of_too_long_is_a_busy_host_and_no_emulation),
		SP_TEST(another_exit_than_the_ports_is_said),
		SP_TEST(registers_that_kvm_refuses_are_said),
		SP_TEST(ram_that_kvm_refuses_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
