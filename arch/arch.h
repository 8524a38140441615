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

struct arch_vm; /* what the architecture keeps of a machine: its interrupt chip */

/** "x86_64". */
extern const char *const arch_name;

/** Adds the RAM regions for bytes of RAM (a MiB multiple). */
int __must_check arch_add_ram(struct guest_memory *gm, uint64_t bytes, struct err *err);

/** Guest address of the first virtio-mmio page; the others follow at ARCH_VIRTIO_STEP. */
gpa_t arch_virtio_base(void);
/** Interrupt line of the n-th virtio-mmio device. */
uint32_t arch_virtio_gsi(unsigned n);
/** Registers and line of the n-th uart (0-based), of the power registers and of pvpanic. */
void arch_uart_desc(unsigned n, struct dev_desc *ret);
void arch_power_desc(struct dev_desc *ret);
void arch_pvpanic_desc(struct dev_desc *ret);
/** "ttyS": the kernel's name of a uart, without its number. */
extern const char *const arch_uart_tty;

/** What the buses are that a machine has. pio is NULL where there are no ports. */
struct arch_buses {
	struct bus *mmio, *pio;
};

/**
 * Creates the interrupt chip for nr_lines lines and puts its registers on the buses. Before
 * vCPUs are created.
 */
int __must_check arch_vm_create(struct hv_vm *vm, unsigned nr_lines, const struct arch_buses *buses,
	struct arch_vm **ret, struct err *err);
/** NULL is fine. */
void arch_vm_destroy(struct arch_vm *av);

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
};

/** How the first CPU starts; made by arch_load, used by arch_vcpu_init. */
struct arch_entry {
	unsigned kind; /* the architecture's own */
	gpa_t pc, arg;
};

/** What arch_load_payload put into memory, for arch_load. */
struct arch_payload {
	struct kernel_image kernel;
	gpa_t initrd;
	uint64_t initrd_len;
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

/** Writes what arch_load would describe the machine with as files in dir (--dump-tables). */
int __must_check arch_dump_tables(const struct arch_boot *boot, const char *dir, struct err *err);

/** Gives vCPU id of nr_cpus its identity and, for id 0, its first registers. */
int __must_check arch_vcpu_init(struct hv *hv, struct hv_vcpu *cpu, unsigned id, unsigned nr_cpus,
	const struct arch_entry *entry, struct err *err);

/** Words that no_acpi adds to the kernel command line, or "". buf of len bytes. */
void arch_cmdline_words(const struct arch_boot *boot, char *buf, size_t len);

/** How fast this host runs guest kernels. */
struct arch_speed {
	bool likely_emulated;       /* cheap signs say: probe before use */
	bool emulated;              /* the probe says: each instruction is emulated */
	uint64_t guest_ns, host_ns; /* the same loop in a guest's kernel mode and here */
};

/** Looks only at cheap signs (no virtual machine is made). */
bool arch_speed_suspect(void);
/** Runs a short loop in a throw-away machine and here, three times; at most about 0.1 s. */
int __must_check arch_speed_probe(struct hv *hv, struct arch_speed *ret, struct err *err);

/** Capabilities that mayfly uses, for doctor: names and what is lost without. */
struct arch_cap {
	unsigned cap;
	const char *name, *use;
	bool required;
};
extern const struct arch_cap arch_caps[]; /* ends with name NULL */
