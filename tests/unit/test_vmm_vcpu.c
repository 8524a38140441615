// SPDX-License-Identifier: BSD-3-Clause
/*
 * What a vCPU thread does with each exit, by exits from a script. vm_end is replaced: it
 * records, and ends the run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "hypervisor/fake/fake.h"
#include "vmm/vm.h"

#define MAX_ACCESSES 32

struct access {
	char what[8]; /* "mmio" or "pio" */
	bool is_write;
	uint64_t off, value;
	unsigned len;
};

struct vc {
	struct config cfg;
	struct vm vm;
	struct vcpu cpu[2];
	struct access access[MAX_ACCESSES];
	unsigned nr_accesses;
	uint8_t next; /* what the next read answers in its first byte */
	unsigned nr_ends;
	enum status status;
	char line[256];
};

static struct vc *vc; /* of the running test, for vm_end */

void vm_end(struct vm *vm, enum status status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (!vc->nr_ends++) {
		vc->status = status;
		vsnprintf(vc->line, sizeof(vc->line), fmt, ap);
	}
	va_end(ap);
	atomic_store(&vm->ending, true);
}

static struct access *vc_record(
	struct vc *t, const char *what, bool is_write, uint64_t off, unsigned len)
{
	struct access *a = &t->access[t->nr_accesses++];

	BUG_ON(t->nr_accesses > MAX_ACCESSES);
	snprintf(a->what, sizeof(a->what), "%s", what);
	a->is_write = is_write;
	a->off = off;
	a->len = len;
	return a;
}

static void vc_mmio_read(void *ctx, uint64_t off, void *data, unsigned len)
{
	vc_record(ctx, "mmio", false, off, len);
	*(uint8_t *)data = ((struct vc *)ctx)->next++;
}

static void vc_mmio_write(void *ctx, uint64_t off, const void *data, unsigned len)
{
	memcpy(&vc_record(ctx, "mmio", true, off, len)->value, data, len);
}

static void vc_pio_read(void *ctx, uint64_t off, void *data, unsigned len)
{
	vc_record(ctx, "pio", false, off, len);
	*(uint8_t *)data = ((struct vc *)ctx)->next++;
}

static void vc_pio_write(void *ctx, uint64_t off, const void *data, unsigned len)
{
	memcpy(&vc_record(ctx, "pio", true, off, len)->value, data, len);
}

static const struct bus_ops vc_mmio_ops = { .read = vc_mmio_read, .write = vc_mmio_write };
static const struct bus_ops vc_pio_ops = { .read = vc_pio_read, .write = vc_pio_write };

static int vc_setup(void **state)
{
	struct err err;

	vc = calloc(1, sizeof(*vc));
	memset(&fake_hv, 0, sizeof(fake_hv));
	assert_int_equal(bus_add(&vc->vm.mmio, 0x1000, 0x100, &vc_mmio_ops, vc), 0);
	assert_int_equal(bus_add(&vc->vm.pio, 0x3f8, 8, &vc_pio_ops, vc), 0);
	vc->cfg.disable_sandbox = true; /* policies are for good */
	vc->vm.cfg = &vc->cfg;
	vc->vm.cpu = vc->cpu;
	vc->vm.nr_cpus = 1;
	vc->cpu[0] = (struct vcpu){ .vm = &vc->vm, .id = 3 };
	assert_int_equal(hv_vcpu_create(NULL, 3, &vc->cpu[0].hv, &err), 0);
	*state = vc;
	return 0;
}

static int vc_teardown(void **state)
{
	free(*state);
	return 0;
}

#define VC_TEST(f) cmocka_unit_test_setup_teardown(f, vc_setup, vc_teardown)

/** Plays the exits until one ends the machine; the script must. */
static void vc_play(struct vc *t, const struct hv_exit *script, unsigned nr)
{
	struct err err;

	fake_hv.script = script;
	fake_hv.nr_script = nr;
	assert_int_equal(vcpu_start_all(&t->vm, &err), 0);
	assert_true(t->cpu[0].started);
	vcpu_stop_all(&t->vm);
	assert_false(t->cpu[0].started);
}

#define SHUTDOWN                                                                                   \
	{                                                                                          \
		.kind = HV_EXIT_SHUTDOWN                                                           \
	}

static void vc_access_is(const struct vc *t, unsigned n, const char *what, bool is_write,
	uint64_t off, unsigned len, uint64_t value)
{
	const struct access *a = &t->access[n];

	assert_true(n < t->nr_accesses);
	assert_string_equal(a->what, what);
	assert_int_equal(a->is_write, is_write);
	assert_int_equal(a->off, off);
	assert_int_equal(a->len, len);
	assert_int_equal(a->value, value);
}

static void memory_accesses_reach_the_memory_bus(void **state)
{
	uint8_t in[8] = { 0 }, out[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	const struct hv_exit script[] = {
		{ .kind = HV_EXIT_MMIO, .mmio = { 0x1004, out, 1, true } },
		{ .kind = HV_EXIT_MMIO, .mmio = { 0x1008, out, 8, true } },
		{ .kind = HV_EXIT_MMIO, .mmio = { 0x1010, in, 4, false } },
		SHUTDOWN,
	};
	struct vc *t = *state;

	t->next = 0x42;
	vc_play(t, script, ARRAY_SIZE(script));
	assert_int_equal(t->nr_accesses, 3);
	vc_access_is(t, 0, "mmio", true, 4, 1, 1);
	vc_access_is(t, 1, "mmio", true, 8, 8, 0x0807060504030201);
	vc_access_is(t, 2, "mmio", false, 0x10, 4, 0);
	/* The device filled one byte, the bus the others, and only as many as were asked for. */
	assert_memory_equal(in, "\x42\xff\xff\xff\0\0\0\0", 8);
}

static void memory_that_nobody_has_reads_as_ones_and_takes_nothing(void **state)
{
	uint8_t in[8] = { 0 }, out[8] = { 0 };
	const struct hv_exit script[] = {
		{ .kind = HV_EXIT_MMIO, .mmio = { 0x3f8, in, 2, false } },
		{ .kind = HV_EXIT_MMIO, .mmio = { 0x3f8, out, 2, true } },
		{ .kind = HV_EXIT_MMIO, .mmio = { 0x10fd, out, 4, true } },
		SHUTDOWN,
	};
	struct vc *t = *state;

	vc_play(t, script, ARRAY_SIZE(script));
	assert_int_equal(t->nr_accesses, 0);
	assert_memory_equal(in, "\xff\xff\0\0", 4);
}

static void port_accesses_reach_the_port_bus(void **state)
{
	uint8_t in[4] = { 0 }, out[4] = { 0x11, 0x22, 0x33, 0x44 };
	const struct hv_exit script[] = {
		{ .kind = HV_EXIT_PIO, .pio = { 0x3f8, 1, 1, out, true } },
		{ .kind = HV_EXIT_PIO, .pio = { 0x3fa, 2, 1, out, true } },
		{ .kind = HV_EXIT_PIO, .pio = { 0x3fc, 4, 1, out, true } },
		{ .kind = HV_EXIT_PIO, .pio = { 0x3fd, 1, 1, in, false } },
		{ .kind = HV_EXIT_PIO, .pio = { 0x1000, 1, 1, in + 1, false } },
		SHUTDOWN,
	};
	struct vc *t = *state;

	t->next = 0x60;
	vc_play(t, script, ARRAY_SIZE(script));
	assert_int_equal(t->nr_accesses, 4);
	vc_access_is(t, 0, "pio", true, 0, 1, 0x11);
	vc_access_is(t, 1, "pio", true, 2, 2, 0x2211);
	vc_access_is(t, 2, "pio", true, 4, 4, 0x44332211);
	vc_access_is(t, 3, "pio", false, 5, 1, 0);
	/* The device's byte, and that of a port which nobody has. */
	assert_memory_equal(in, "\x60\xff\0\0", 4);
}

static void a_string_instruction_is_one_access_after_another(void **state)
{
	uint8_t in[9] = { 0 }, out[6] = { 1, 2, 3, 4, 5, 6 };
	const struct hv_exit script[] = {
		{ .kind = HV_EXIT_PIO, .pio = { 0x3f8, 1, 3, out, true } },
		{ .kind = HV_EXIT_PIO, .pio = { 0x3f8, 2, 3, out, true } },
		{ .kind = HV_EXIT_PIO, .pio = { 0x3f9, 4, 2, in, false } },
		{ .kind = HV_EXIT_PIO, .pio = { 0x3f8, 1, 0, out, true } },
		SHUTDOWN,
	};
	struct vc *t = *state;

	t->next = 0x80;
	vc_play(t, script, ARRAY_SIZE(script));
	assert_int_equal(t->nr_accesses, 8);
	for (unsigned i = 0; i < 3; i++) {
		vc_access_is(t, i, "pio", true, 0, 1, i + 1);
		vc_access_is(t, 3 + i, "pio", true, 0, 2, (2 * i + 2) << 8 | (2 * i + 1));
	}
	vc_access_is(t, 6, "pio", false, 1, 4, 0);
	vc_access_is(t, 7, "pio", false, 1, 4, 0);
	assert_memory_equal(in, "\x80\xff\xff\xff\x81\xff\xff\xff\0", 9);
}

static void a_triple_fault_is_a_crash_of_that_cpu(void **state)
{
	const struct hv_exit script[] = { SHUTDOWN };
	struct vc *t = *state;

	vc_play(t, script, 1);
	assert_int_equal(t->nr_ends, 1);
	assert_int_equal(t->status, STATUS_CRASH);
	assert_string_equal(t->line, "the guest crashed: triple fault on CPU 3");
}

static void a_cpu_that_cannot_go_on_is_a_crash_with_its_reason(void **state)
{
	const struct hv_exit script[] = { { .kind = HV_EXIT_FAILED, .reason = "smoke (0x1)" } };
	struct vc *t = *state;

	vc_play(t, script, 1);
	assert_int_equal(t->status, STATUS_CRASH);
	assert_string_equal(t->line, "CPU 3 cannot go on: smoke (0x1)");
}

static void system_events_have_statuses(void **state)
{
	static const struct {
		enum hv_system_event ev;
		enum status status;
	} events[] = { { HV_SYSTEM_POWEROFF, STATUS_OK }, { HV_SYSTEM_RESET, STATUS_RESET },
		{ HV_SYSTEM_CRASH, STATUS_PANIC }, { HV_SYSTEM_OTHER, STATUS_CRASH } };
	struct vc *t = *state;

	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		struct hv_exit exit = { .kind = HV_EXIT_SYSTEM, .system = events[i].ev };

		t->nr_ends = 0;
		fake_hv.next = 0;
		atomic_store(&t->vm.ending, false);
		vc_play(t, &exit, 1);
		assert_int_equal(t->nr_ends, 1);
		assert_int_equal(t->status, events[i].status);
		assert_true(t->line[0]);
	}
}

static void a_kick_and_an_end_of_interrupt_change_nothing(void **state)
{
	const struct hv_exit script[] = { { .kind = HV_EXIT_KICKED }, { .kind = HV_EXIT_EOI },
		{ .kind = HV_EXIT_KICKED }, SHUTDOWN };
	struct vc *t = *state;

	vc_play(t, script, ARRAY_SIZE(script));
	assert_int_equal(fake_hv.next, ARRAY_SIZE(script));
	assert_int_equal(t->nr_ends, 1);
	assert_int_equal(t->nr_accesses, 0);
}

static void no_exit_is_handled_after_the_end(void **state)
{
	const struct hv_exit script[] = { SHUTDOWN, { .kind = HV_EXIT_FAILED, .reason = "late" } };
	struct vc *t = *state;

	vc_play(t, script, ARRAY_SIZE(script));
	assert_int_equal(fake_hv.next, 1);
	assert_int_equal(t->nr_ends, 1);
}

static void a_machine_that_ends_before_it_starts_runs_nothing(void **state)
{
	const struct hv_exit script[] = { SHUTDOWN };
	struct vc *t = *state;

	atomic_store(&t->vm.ending, true);
	vc_play(t, script, 1);
	assert_int_equal(fake_hv.next, 0);
	assert_int_equal(t->nr_ends, 0);
}

static void cpus_that_never_started_are_not_joined(void **state)
{
	struct vc *t = *state;

	atomic_store(&t->vm.ending, true);
	t->vm.nr_cpus = 2;
	vcpu_stop_all(&t->vm);
	assert_false(t->cpu[0].started || t->cpu[1].started);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		VC_TEST(memory_accesses_reach_the_memory_bus),
		VC_TEST(memory_that_nobody_has_reads_as_ones_and_takes_nothing),
		VC_TEST(port_accesses_reach_the_port_bus),
		VC_TEST(a_string_instruction_is_one_access_after_another),
		VC_TEST(a_triple_fault_is_a_crash_of_that_cpu),
		VC_TEST(a_cpu_that_cannot_go_on_is_a_crash_with_its_reason),
		VC_TEST(system_events_have_statuses),
		VC_TEST(a_kick_and_an_end_of_interrupt_change_nothing),
		VC_TEST(no_exit_is_handled_after_the_end),
		VC_TEST(a_machine_that_ends_before_it_starts_runs_nothing),
		VC_TEST(cpus_that_never_started_are_not_joined),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
