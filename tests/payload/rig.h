/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A machine of 4 MiB for tests on the real KVM, made of the monitor's own pieces: the
 * hypervisor, the interrupt chips, the buses. Its guest is a script (payload.h). A second CPU
 * may be added; the first runs on the test's thread.
 */
#pragma once

#include "tests/payload/payload.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

#include "arch/x86_64/layout.h"
#include "arch/x86_64/x86.h"
#include "base/fd.h"

/* Guest addresses. */
#define RIG_AP       0x8000ULL /* where the second CPU starts */
#define RIG_CODE     0x100000ULL
#define RIG_SCRIPT   0x110000ULL
#define RIG_DATA     0x120000ULL
#define RIG_STACK    0x140000ULL
#define RIG_IDT      0x150000ULL
#define RIG_IDTR     0x151000ULL
#define RIG_IRQ_A    0x152000ULL
#define RIG_IRQ_B    0x153000ULL
#define RIG_PAGE     X86_VIRTIO_BASE              /* a read-only page */
#define RIG_MMIO     (X86_VIRTIO_BASE + 0x100000) /* registers that record */
#define RIG_MMIO_LEN 0x40ULL
#define RIG_PORT     0x100 /* ports that record */
#define RIG_PORT_LEN 0x10

#define RIG_RAM      (4 * MIB)
#define RIG_LINES    (X86_GSI_VIRTIO + ARCH_MAX_VIRTIO)
#define RIG_LIMIT_MS 20000 /* no test runs a guest for longer */
#define RIG_SHUTDOWN (-1)

enum rig_kind { RIG_PIO_OUT, RIG_PIO_IN, RIG_WRITE, RIG_READ, RIG_PAGE_WRITE, RIG_PAGE_READ };

struct rig_access {
	enum rig_kind kind;
	uint64_t off, value;
	unsigned len;
};

struct rig {
	struct hv *hv;
	struct hv_vm *hvm;
	struct arch_vm *av;
	struct guest_memory gm;
	struct bus mmio, pio;
	struct hv_vcpu *cpu[2];
	unsigned nr_cpus;
	struct rig_access access[64];
	unsigned nr_accesses;
	uint8_t fill;       /* the next byte that is read */
	uint8_t *page;      /* at RIG_PAGE, once mapped */
	uint32_t change_to; /* what the page's first word becomes when port 0x100 is written */
	int irq_fd;         /* pulsed when port 0x100 is written */
	pthread_t ap;
	atomic_int ap_value; /* what the second CPU said, -1 before */
	atomic_bool ap_stop;
	struct err err;
};

static inline uint64_t rig_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static inline void rig_on_tick(int sig __unused)
{
}

/** Once: kicks, and a tick that lets a test that hangs look at the clock. */
static inline void rig_init(void)
{
	struct sigaction sa = { .sa_handler = rig_on_tick };
	struct itimerval tick = { { 1, 0 }, { 1, 0 } };

	hv_kick_init();
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &tick, NULL);
}

/* ---- registers that record ---- */

static inline void rig_record(
	struct rig *r, enum rig_kind kind, uint64_t off, const void *data, unsigned len)
{
	struct rig_access *a = &r->access[r->nr_accesses++];

	assert_true(r->nr_accesses <= ARRAY_SIZE(r->access));
	*a = (struct rig_access){ .kind = kind, .off = off, .len = len };
	memcpy(&a->value, data, len);
}

static inline void rig_answer(struct rig *r, void *data, unsigned len)
{
	for (unsigned i = 0; i < len; i++)
		((uint8_t *)data)[i] = r->fill++;
}

static inline void rig_pio_write(void *ctx, uint64_t off, const void *data, unsigned len)
{
	struct rig *r = ctx;

	rig_record(r, RIG_PIO_OUT, off, data, len);
	if (off || len != 1)
		return;
	if (r->change_to)
		le32_put(r->page, r->change_to);
	if (r->irq_fd >= 0)
		fd_event_signal(r->irq_fd);
}

static inline void rig_pio_read(void *ctx, uint64_t off, void *data, unsigned len)
{
	rig_answer(ctx, data, len);
	rig_record(ctx, RIG_PIO_IN, off, data, len);
}

static inline void rig_mmio_write(void *ctx, uint64_t off, const void *data, unsigned len)
{
	rig_record(ctx, RIG_WRITE, off, data, len);
}

static inline void rig_mmio_read(void *ctx, uint64_t off, void *data, unsigned len)
{
	rig_answer(ctx, data, len);
	rig_record(ctx, RIG_READ, off, data, len);
}

static inline void rig_page_write(void *ctx, uint64_t off, const void *data, unsigned len)
{
	rig_record(ctx, RIG_PAGE_WRITE, off, data, len);
}

static inline void rig_page_read(void *ctx, uint64_t off, void *data, unsigned len)
{
	rig_record(ctx, RIG_PAGE_READ, off, data, len);
}

static const struct bus_ops rig_pio_ops = { .read = rig_pio_read, .write = rig_pio_write };
static const struct bus_ops rig_mmio_ops = { .read = rig_mmio_read, .write = rig_mmio_write };
static const struct bus_ops rig_page_ops = { .read = rig_page_read, .write = rig_page_write };

static inline void rig_fill(struct rig *r, uint8_t first)
{
	r->fill = first;
}

static inline void rig_access_is(const struct rig *r, unsigned n, enum rig_kind kind, uint64_t off,
	unsigned len, uint64_t value)
{
	assert_true(n < r->nr_accesses);
	assert_int_equal(r->access[n].kind, kind);
	assert_int_equal(r->access[n].off, off);
	assert_int_equal(r->access[n].len, len);
	assert_int_equal(r->access[n].value, value);
}

/* ---- the machine ---- */

#define RIG_MUST(r, call)                                                                          \
	do {                                                                                       \
		if (call)                                                                          \
			fail_msg("%s", (r)->err.msg);                                              \
	} while (0)

static inline void rig_add_cpu(struct rig *r)
{
	RIG_MUST(r, hv_vcpu_create(r->hvm, r->nr_cpus, &r->cpu[r->nr_cpus], &r->err));
	r->nr_cpus++;
}

static inline int rig_setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct arch_parts parts = { .mmio = &r->mmio,
		.pio = &r->pio,
		.nr_cpus = ARRAY_SIZE(r->cpu),
		.nr_lines = RIG_LINES };

	r->irq_fd = -1;
	atomic_store(&r->ap_value, -1);
	RIG_MUST(r, hv_open(NULL, &r->hv, &r->err));
	RIG_MUST(r, hv_vm_create(r->hv, 0, &r->hvm, &r->err));
	RIG_MUST(r, arch_add_ram(&r->gm, RIG_RAM, &r->err));
	RIG_MUST(r, hv_map_ram(r->hvm, &r->gm, &r->err));
	parts.hv = r->hv;
	parts.vm = r->hvm;
	RIG_MUST(r, arch_vm_create(&parts, &r->av, &r->err));
	RIG_MUST(r, x86_write_tables(&r->gm, 4 * GIB, &r->err));
	assert_int_equal(bus_add(&r->pio, RIG_PORT, RIG_PORT_LEN, &rig_pio_ops, r), 0);
	assert_int_equal(bus_add(&r->mmio, RIG_MMIO, RIG_MMIO_LEN, &rig_mmio_ops, r), 0);
	rig_add_cpu(r);
	*state = r;
	return 0;
}

static inline int rig_teardown(void **state)
{
	struct rig *r = *state;

	for (unsigned i = 0; i < r->nr_cpus; i++)
		hv_vcpu_destroy(r->cpu[i]);
	arch_vm_destroy(r->av);
	hv_vm_destroy(r->hvm);
	hv_close(r->hv);
	gm_fini(&r->gm);
	if (r->page)
		munmap(r->page, PAGE_SIZE_4K);
	fd_close(&r->irq_fd);
	free(r);
	return 0;
}

static inline void rig_code(struct rig *r, gpa_t gpa, const uint8_t *code, size_t len)
{
	assert_int_equal(gm_write(&r->gm, gpa, code, len), 0);
}

static inline uint32_t rig_word(struct rig *r, gpa_t gpa)
{
	uint32_t v;

	assert_int_equal(gm_read(&r->gm, gpa, &v, sizeof(v)), 0);
	return v;
}

static inline void rig_map_page(struct rig *r)
{
	if (!hv_vm_cap(r->hvm, KVM_CAP_READONLY_MEM))
		skip();
	r->page = mmap(
		NULL, PAGE_SIZE_4K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(r->page != MAP_FAILED);
	assert_int_equal(hv_map_readonly(r->hvm, RIG_PAGE, r->page, PAGE_SIZE_4K), 0);
	assert_int_equal(bus_add(&r->mmio, RIG_PAGE, PAGE_SIZE_4K, &rig_page_ops, r), 0);
}

static inline void rig_gate(struct rig *r, unsigned vector, gpa_t handler)
{
	uint8_t gate[16] = { 0 };

	le16_put(gate, (uint16_t)handler);
	le16_put(gate + 2, 0x10); /* __BOOT_CS */
	gate[5] = 0x8e;           /* present, 64-bit interrupt gate */
	le16_put(gate + 6, (uint16_t)(handler >> 16));
	assert_int_equal(gm_write(&r->gm, RIG_IDT + 16ULL * vector, gate, sizeof(gate)), 0);
}

/** Handlers for two vectors, and their table's place for SCRIPT_LIDT. */
static inline void rig_handlers(struct rig *r, unsigned vector_a, unsigned vector_b)
{
	uint8_t idtr[10];

	rig_code(r, RIG_IRQ_A, payload_irq_a, PAYLOAD_LEN(irq_a));
	rig_code(r, RIG_IRQ_B, payload_irq_b, PAYLOAD_LEN(irq_b));
	rig_gate(r, vector_a, RIG_IRQ_A);
	rig_gate(r, vector_b, RIG_IRQ_B);
	le16_put(idtr, 256 * 16 - 1);
	le64_put(idtr + 2, RIG_IDT);
	assert_int_equal(gm_write(&r->gm, RIG_IDTR, idtr, sizeof(idtr)), 0);
}

/** As rig_handlers, with an eventfd on the pin. */
static inline void rig_irq(struct rig *r, unsigned pin, unsigned vector_a, unsigned vector_b)
{
	rig_handlers(r, vector_a, vector_b);
	r->irq_fd = fd_event();
	assert_true(r->irq_fd >= 0);
	assert_int_equal(hv_irqfd(r->hvm, pin, r->irq_fd), 0);
}

/* ---- running ---- */

/** All CPUs have their first registers; the first is about to run what is at RIG_CODE. */
static inline void rig_enter(struct rig *r)
{
	struct arch_entry entry = { .kind = X86_ENTRY_LINUX64, .pc = RIG_CODE, .arg = RIG_SCRIPT };

	for (unsigned i = 0; i < r->nr_cpus; i++)
		RIG_MUST(r, arch_vcpu_init(r->av, r->cpu[i], i, &r->err));
	RIG_MUST(r, arch_vcpu_enter(r->av, r->cpu[0], &entry, &r->err));
}

static inline void rig_pio(struct rig *r, const struct hv_exit *e)
{
	for (unsigned i = 0; i < e->pio.count; i++) {
		uint8_t *data = e->pio.data + i * e->pio.size;

		if (e->pio.is_write)
			bus_write(&r->pio, e->pio.port, data, e->pio.size);
		else
			bus_read(&r->pio, e->pio.port, data, e->pio.size);
	}
}

/** Runs the first CPU to its end: what it says at the end port, or RIG_SHUTDOWN. */
static inline int rig_run(struct rig *r)
{
	uint64_t end = rig_now_ms() + RIG_LIMIT_MS;
	struct hv_exit e;

	while (rig_now_ms() < end) {
		hv_vcpu_run(r->cpu[0], &e);
		switch (e.kind) {
		case HV_EXIT_PIO:
			if (e.pio.port == PAYLOAD_PORT_END)
				return e.pio.data[0];
			rig_pio(r, &e);
			break;
		case HV_EXIT_MMIO:
			if (e.mmio.is_write)
				bus_write(&r->mmio, e.mmio.addr, e.mmio.data, e.mmio.len);
			else
				bus_read(&r->mmio, e.mmio.addr, e.mmio.data, e.mmio.len);
			break;
		case HV_EXIT_KICKED: /* the tick */
			break;
		case HV_EXIT_SHUTDOWN:
			return RIG_SHUTDOWN;
		case HV_EXIT_FAILED:
			fail_msg("%s", e.reason);
			break;
		default:
			fail_msg("exit %d", (int)e.kind);
		}
	}
	fail_msg("the guest still runs after %d ms", RIG_LIMIT_MS);
	return 0;
}

static inline void rig_load_script(struct rig *r, const struct script_op *ops, size_t nr)
{
	rig_code(r, RIG_CODE, payload_script, PAYLOAD_LEN(script));
	assert_int_equal(gm_write(&r->gm, RIG_SCRIPT, ops, nr * sizeof(*ops)), 0);
	rig_enter(r);
}

/** Runs the script; ops hold what was read, the return value is that of SCRIPT_END. */
static inline int rig_script(struct rig *r, struct script_op *ops, size_t nr)
{
	int value;

	rig_load_script(r, ops, nr);
	value = rig_run(r);
	if (value == RIG_SHUTDOWN)
		fail_msg("the guest crashed");
	assert_int_equal(gm_read(&r->gm, RIG_SCRIPT, ops, nr * sizeof(*ops)), 0);
	return value;
}

/* ---- a second CPU ---- */

static inline void *rig_ap_thread(void *arg)
{
	struct rig *r = arg;
	struct hv_exit e;

	while (!atomic_load(&r->ap_stop)) {
		hv_vcpu_run(r->cpu[1], &e);
		if (e.kind == HV_EXIT_PIO && e.pio.port == PAYLOAD_PORT_AP)
			atomic_store(&r->ap_value, e.pio.data[0]);
		else if (e.kind != HV_EXIT_KICKED)
			atomic_store(&r->ap_value, 0x1000 + (int)e.kind);
	}
	return NULL;
}

/** A thread that the tick does not wake: what wakes it is what the test is about. */
static inline void rig_thread(struct rig *r, pthread_t *ret, void *(*fn)(void *))
{
	sigset_t tick, old;

	sigemptyset(&tick);
	sigaddset(&tick, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &tick, &old);
	assert_int_equal(pthread_create(ret, NULL, fn, r), 0);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static inline void rig_start_ap(struct rig *r)
{
	rig_thread(r, &r->ap, rig_ap_thread);
}

/** What the second CPU says, at its leisure; then it is stopped. */
static inline int rig_join_ap(struct rig *r)
{
	uint64_t end = rig_now_ms() + RIG_LIMIT_MS;

	while (atomic_load(&r->ap_value) < 0 && rig_now_ms() < end)
		usleep(1000);
	atomic_store(&r->ap_stop, true);
	hv_vcpu_kick(r->cpu[1], r->ap);
	assert_int_equal(pthread_join(r->ap, NULL), 0);
	return atomic_load(&r->ap_value);
}

/* ---- without KVM ---- */

static inline void rig_skipped(void **state __unused)
{
	skip();
}

/** Where there is no KVM every test that needs the machine is skipped, and counted so. */
static inline void rig_skip_without_kvm(struct CMUnitTest *tests, size_t nr)
{
	for (size_t i = 0; i < nr && !payload_can_run(); i++) {
		if (tests[i].setup_func != rig_setup)
			continue;
		tests[i].setup_func = NULL;
		tests[i].teardown_func = NULL;
		tests[i].test_func = rig_skipped;
	}
}
