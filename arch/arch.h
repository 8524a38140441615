/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an architecture must say: its memory map, its interrupt chip, how its kernels are
 * entered, its firmware description. The same names in each arch/<isa>/, linked, not
 * dispatched. The building thread, unless said otherwise.
 */
#pragma once

#include "base/base.h"
#include "base/err.h"
#include "bus/bus.h"
#include "hypervisor/hv.h"
#include "loader/loader.h"
#include "memory/memory.h"

#define ARCH_MAX_CPUS     64
#define ARCH_MAX_UARTS    4
#define ARCH_MAX_VIRTIO   112    /* virtio-mmio devices in one machine */
#define ARCH_VIRTIO_STEP  0x1000 /* bytes between their register pages */
#define ARCH_CMDLINE_ROOM 0x10000

#define ARCH_MAX_FIXED 4 /* devices that every machine of an architecture has */

struct arch_vm; /* what the architecture keeps of a machine: its interrupt chip */

/** "x86_64". */
extern const char *const arch_name;
/** How machines can be described to their kernels. */
extern const bool arch_has_acpi, arch_has_fdt;
/** The most RAM, in MiB, that CPUs of the baseline model address. */
extern const uint64_t arch_baseline_mem_mib;

/** Adds the RAM regions for bytes of RAM (a MiB multiple). */
int __must_check arch_add_ram(struct guest_memory *gm, uint64_t bytes, struct err *err);

/** Guest address of the first virtio-mmio page; the others follow at ARCH_VIRTIO_STEP. */
gpa_t arch_virtio_base(void);
/** Interrupt line of the n-th virtio-mmio device. */
uint32_t arch_virtio_gsi(unsigned n);
/** Registers and line of the n-th uart (0-based). */
void arch_uart_desc(unsigned n, struct dev_desc *ret);
/** "ttyS": the kernel's name of a uart, without its number. */
extern const char *const arch_uart_tty;
/** What else every machine has, such as power registers and a clock. Returns how many. */
unsigned arch_fixed_devs(struct dev_desc ret[ARCH_MAX_FIXED]);

/* ---- the machine, in this order ---- */

/** The word for hv_vm_create of a machine with this RAM. Returns 0 or -errno. */
int __must_check arch_vm_type(
	const struct hv *hv, const struct guest_memory *gm, unsigned long *ret, struct err *err);

/** What an interrupt chip is made of and for. All borrowed, for the machine's life. */
struct arch_parts {
	struct hv *hv;
	struct hv_vm *vm;
	struct bus *mmio, *pio; /* pio: unused where there are no ports */
	struct loop *loop;      /* where a chip in this process hears of its lines */
	unsigned nr_cpus, nr_lines;
	bool baseline_cpu; /* CPUs of one fixed model, as far as the host can hide its own */
	bool fixed_clock;  /* KVM's own clock, where it has one, starts at clock_s */
	uint32_t clock_s;  /* seconds since 1970 */
};

/** Creates the interrupt chip and puts its registers on the buses. Before vCPUs are created. */
int __must_check arch_vm_create(
	const struct arch_parts *parts, struct arch_vm **ret, struct err *err);
/** NULL is fine. vCPUs are stopped, the loop does not run. */
void arch_vm_destroy(struct arch_vm *av);

/** Gives vCPU id its identity. For each of parts.nr_cpus in turn; cpu is borrowed. */
int __must_check arch_vcpu_init(
	struct arch_vm *av, struct hv_vcpu *cpu, unsigned id, struct err *err);

/** All vCPUs are there: completes the chip, whose lines may now be bound. */
int __must_check arch_vm_ready(struct arch_vm *av, struct err *err);

/** An event on fd (borrowed, for the machine's life) pulses line gsi. Returns 0 or -errno. */
int __must_check arch_irq_bind(struct arch_vm *av, uint32_t gsi, int fd);

/** All that the guest is given, apart from its devices' behaviour. */
struct arch_boot {
	unsigned nr_cpus;
	bool no_acpi;               /* describe the machine without ACPI */
	const struct dev_desc *dev; /* in command-line order */
	unsigned nr_devs;
	int kernel_fd, initrd_fd; /* borrowed; initrd_fd -1: none */
	const char *kernel_path, *initrd_path;
	const char *cmdline;
	const uint8_t *rng_seed; /* for the guest's generator, rng_seed_len bytes; NULL: none */
	unsigned rng_seed_len;
	bool fixed_seed;          /* the same seed in each run: nothing else may be random */
	const struct arch_vm *av; /* ready */
};

/** How the first CPU starts; made by arch_load, used by arch_vcpu_enter. */
struct arch_entry {
	unsigned kind; /* the architecture's own */
	gpa_t pc, arg;
};

/** What arch_load_payload put into memory, for arch_load. */
struct arch_payload {
	struct kernel_image kernel;
	gpa_t initrd;
	uint64_t initrd_len;
	gpa_t tables; /* room for the firmware description, where it moves with the kernel */
};

/**
 * Loads kernel and initrd. Needs RAM but no machine, so that it may run on a thread of its
 * own while the hypervisor makes one. Of boot it uses the files only.
 */
int __must_check arch_load_payload(struct guest_memory *gm, const struct arch_boot *boot,
	struct arch_payload *ret, struct err *err);

/** Writes the command line and the firmware description around the payload. */
int __must_check arch_load(struct guest_memory *gm, const struct arch_boot *boot,
	const struct arch_payload *payload, struct arch_entry *ret, struct err *err);

/** Writes what arch_load described the machine with as files in dir (--dump-tables). */
int __must_check arch_dump_tables(const struct guest_memory *gm, const struct arch_boot *boot,
	const struct arch_payload *payload, const char *dir, struct err *err);

/** The same as one file at path (--dump-device-tree-blob), where arch_has_fdt. */
int __must_check arch_dump_fdt(const struct guest_memory *gm, const struct arch_payload *payload,
	const char *path, struct err *err);

/** Takes a part of what a guest is given, called name ("cpuid"). */
typedef void (*arch_measure_fn)(void *ctx, const char *name, const void *bytes, size_t len);
/** Puts all that arch_load wrote beside kernel and initrd. */
void arch_measure(const struct guest_memory *gm, const struct arch_payload *payload,
	arch_measure_fn put, void *ctx);
/** Puts what a CPU says of itself, as far as the hypervisor tells. After arch_vm_ready. */
int __must_check arch_vcpu_measure(
	struct arch_vm *av, struct hv_vcpu *cpu, arch_measure_fn put, void *ctx, struct err *err);

/** Gives the first vCPU its first registers. The others wait to be started by it. */
int __must_check arch_vcpu_enter(
	struct arch_vm *av, struct hv_vcpu *cpu, const struct arch_entry *entry, struct err *err);

/* ---- while it runs ---- */

/**
 * May a page that this process writes be read by the guest as device memory (after
 * arch_page_clean)? If not, such reads have to exit.
 */
bool arch_pages_readable(const struct arch_vm *av);
/** Makes len bytes at p, just written, visible to such reads. Any thread. */
void arch_page_clean(const void *p, size_t len);

/** A firmware call that the hypervisor handed on. put takes bytes for the console. vCPU thread. */
void arch_on_sbi(struct arch_vm *av, struct hv_exit *exit, const struct guest_memory *gm,
	void (*put)(void *ctx, const void *buf, size_t len), void *ctx);

/** A write to a register of the CPU that the hypervisor handed on. vCPU thread. */
void arch_on_wrmsr(struct arch_vm *av, struct hv_exit *exit, const struct guest_memory *gm);

/** Words that no_acpi and fixed_seed add to the kernel command line, or "". buf of len bytes. */
void arch_cmdline_words(const struct arch_boot *boot, char *buf, size_t len);

/**
 * The guest program that tells how fast a host runs guests (vmm/probe.c): ARCH_PROBE_LOOPS
 * rounds of a loop in kernel mode, then one access to a device.
 */
struct arch_probe {
	const void *code;
	size_t len;       /* bytes of code */
	gpa_t ram, entry; /* where its RAM begins, and within that the code */
	uint64_t slow_ns; /* no hardware takes as long */
};
extern const struct arch_probe arch_probe;
#define ARCH_PROBE_LOOPS 5000

/** Do cheap signs (no virtual machine is made) say that guests may be emulated? */
bool arch_probe_suspect(void);
/** Prepares the vCPU of a throw-away machine to run the program. Before each run. */
int __must_check arch_probe_enter(
	struct hv_vm *vm, struct hv_vcpu *cpu, bool first, struct err *err);
/** Is it the access that ends the program? */
bool arch_probe_ended(const struct hv_exit *exit);

/** Capabilities that mayfly uses, for doctor: names and what is lost without. */
struct arch_cap {
	unsigned cap;
	const char *name, *use;
	bool required;
};
extern const struct arch_cap arch_caps[]; /* ends with name NULL */
