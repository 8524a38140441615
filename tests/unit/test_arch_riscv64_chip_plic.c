// SPDX-License-Identifier: BSD-3-Clause
/*
 * The interrupt controller of hosts without AIA: a PLIC in this process, from an eventfd through
 * the loop to the CPU that the guest chose.
 */
#include "tests/unit/riscv64_rig.h"

/* RISC-V PLIC specification 1.0.0, chapter 3. */
#define PRIORITY(source)     (0x4000000ULL + 4ULL * (source))
#define ENABLE(hart, source) (0x4002000ULL + 0x80ULL * (hart) + (source) / 32U * 4ULL)
#define CLAIM(hart)          (0x4200004ULL + 0x1000ULL * (hart))

#define NR_CPUS 3
#define LINES   120

struct pt {
	int fd[LINES]; /* owned; -1: not bound */
};

static int pt_setup(void **state)
{
	struct pt *t = malloc(sizeof(*t));

	rr_setup(NULL);
	for (unsigned i = 0; i < LINES; i++)
		t->fd[i] = -1;
	kl.lacks[0] = RR_AIA;
	rr_makes(NR_CPUS, LINES);
	kl_start();
	*state = t;
	return 0;
}

static int pt_teardown(void **state)
{
	struct pt *t = *state;

	rr_teardown(NULL);
	for (unsigned i = 0; i < LINES; i++)
		fd_close(&t->fd[i]);
	free(t);
	return 0;
}

#define PT_TEST(f) cmocka_unit_test_setup_teardown(f, pt_setup, pt_teardown)

static void pt_out(uint64_t addr, uint32_t v)
{
	assert_true(bus_write(&rr.mmio, addr, &v, sizeof(v)));
}

static uint32_t pt_in(uint64_t addr)
{
	uint32_t v;

	assert_true(bus_read(&rr.mmio, addr, &v, sizeof(v)));
	return v;
}

/** A line with a device on it, which the guest lets through to a hart. */
static void pt_bind(struct pt *t, unsigned source, unsigned hart)
{
	t->fd[source] = fd_event();
	assert_int_equal(arch_irq_bind(rr.av, source, t->fd[source]), 0);
	pt_out(PRIORITY(source), 1);
	pt_out(ENABLE(hart, source), pt_in(ENABLE(hart, source)) | 1U << source % 32);
}

/** The last request was an interrupt's, set or unset, on a CPU, and there were nr in all. */
static void pt_heard(unsigned nr, unsigned cpu, uint32_t irq)
{
	assert_int_equal(kl.nr, nr);
	kl_was(nr - 1, KVM_INTERRUPT, (int)cpu, 0, 0, irq);
}

static void a_plic_is_made_where_kvm_has_no_aia(void **state __unused)
{
	assert_int_equal(rr.mmio.nr_ranges, 1);
	assert_int_equal(rr.mmio.range[0].base, 0x4000000);
	assert_int_equal(rr.mmio.range[0].len, 0x4000000);
	rr_makes(NR_CPUS, 31);
	/* A device that is not there, the CPUs, and no more. */
	kl_was(0, KVM_CREATE_DEVICE, -1, RR_AIA, 0, 0);
	assert_int_equal(kl.nr, 1 + NR_CPUS);
	kl_start();
	rr_makes(NR_CPUS, LINES); /* too many for it */
	assert_int_equal(kl.nr, NR_CPUS);
}

static void a_line_reaches_the_cpu_that_the_guest_chose(void **state)
{
	struct pt *t = *state;

	for (unsigned cpu = 0; cpu < NR_CPUS; cpu++) {
		unsigned source = cpu ? LINES - cpu : 1; /* the first and the last, too */

		pt_bind(t, source, cpu);
		kl_start();
		step_once();
		assert_int_equal(kl.nr, 0);
		fd_event_signal(t->fd[source]);
		assert_int_equal(kl.nr, 0); /* not before the loop has it */
		step_once();
		pt_heard(1, cpu, KVM_INTERRUPT_SET);
		assert_int_equal(pt_in(CLAIM(cpu)), source);
		pt_heard(2, cpu, KVM_INTERRUPT_UNSET);
		pt_out(CLAIM(cpu), source);
		assert_int_equal(kl.nr, 2);
	}
	assert_int_equal(fake_hv.nr_irqfds, 0);
}

static void a_line_is_a_pulse_and_not_a_level(void **state)
{
	struct pt *t = *state;

	pt_bind(t, 9, 1);
	kl_start();
	/* Two at once are one. */
	fd_event_signal(t->fd[9]);
	fd_event_signal(t->fd[9]);
	step_times(3);
	pt_heard(1, 1, KVM_INTERRUPT_SET);
	assert_int_equal(pt_in(CLAIM(1)), 9);
	pt_out(CLAIM(1), 9);
	step_times(3);
	pt_heard(2, 1, KVM_INTERRUPT_UNSET);
	assert_int_equal(pt_in(CLAIM(1)), 0);
	assert_true(step_is_idle());
	/* The next is another. */
	fd_event_signal(t->fd[9]);
	step_once();
	pt_heard(3, 1, KVM_INTERRUPT_SET);
}

static void a_line_that_the_guest_masks_waits(void **state)
{
	struct pt *t = *state;

	pt_bind(t, 40, 2);
	pt_out(PRIORITY(40), 0);
	kl_start();
	fd_event_signal(t->fd[40]);
	step_once();
	assert_int_equal(kl.nr, 0);
	pt_out(PRIORITY(40), 3);
	pt_heard(1, 2, KVM_INTERRUPT_SET);
}

static void a_descriptor_that_cannot_be_watched_is_refused(void **state __unused)
{
	assert_int_equal(arch_irq_bind(rr.av, 3, -1), -EBADF);
	/* And leaves nothing that the end would trip over. */
	arch_vm_destroy(rr.av);
	rr.av = NULL;
	step_once();
}

static void lines_are_let_go_with_the_machine(void **state)
{
	struct pt *t = *state;

	pt_bind(t, 1, 0);
	pt_bind(t, 119, 0);
	arch_vm_destroy(rr.av);
	rr.av = NULL;
	kl_start();
	fd_event_signal(t->fd[1]);
	fd_event_signal(t->fd[119]);
	step_once();
	assert_int_equal(kl.nr, 0);
	/* Nobody took it. */
	assert_int_equal(fd_event_drain(t->fd[1]), 1);
	assert_int_equal(fd_event_drain(t->fd[119]), 1);
}

static void the_tree_says_what_is_on_the_bus(void **state __unused)
{
	struct fdt_riscv64 rv = { 0 };

	chip_describe(rr.av, &rv);
	assert_false(rv.aia);
	assert_int_equal(rv.nr_sources, LINES - 1);
	assert_int_equal(rv.plic.base, rr.mmio.range[0].base);
	assert_int_equal(rv.plic.len, rr.mmio.range[0].len);
	assert_int_equal(rv.imsic.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PT_TEST(a_plic_is_made_where_kvm_has_no_aia),
		PT_TEST(a_line_reaches_the_cpu_that_the_guest_chose),
		PT_TEST(a_line_is_a_pulse_and_not_a_level),
		PT_TEST(a_line_that_the_guest_masks_waits),
		PT_TEST(a_descriptor_that_cannot_be_watched_is_refused),
		PT_TEST(lines_are_let_go_with_the_machine),
		PT_TEST(the_tree_says_what_is_on_the_bus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
