/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The hypervisor: a VM, its vCPUs, memory slots, interrupt lines, doorbells, and exits as
 * values. kvm/ is the one real backend; fake/ serves unit tests. Linked, not dispatched.
 *
 * The types of processor state are those of <linux/kvm.h>; only arch/<isa>/ names them.
 * Linux Documentation/virt/kvm/api.rst.
 */
#pragma once

#include <linux/kvm.h>

#include "base/base.h"
#include "base/err.h"
#include "memory/memory.h"

struct hv;      /* the host's hypervisor device */
struct hv_vm;   /* one machine */
struct hv_vcpu; /* one of its CPUs */

/** Opens dev (NULL: /dev/kvm) and checks the API version. Returns 0 or -errno. */
int __must_check hv_open(const char *dev, struct hv **ret, struct err *err);
void hv_close(struct hv *hv);
/** The value of a KVM_CAP_*, 0 when absent. */
int hv_cap(const struct hv *hv, unsigned cap);
/** An ioctl on the hypervisor device, for arch/. Returns its result or -errno. */
int hv_ioctl(const struct hv *hv, unsigned long req, void *arg);

/** type: what KVM_CREATE_VM takes, the architecture's word (0: the default machine). */
int __must_check hv_vm_create(
	struct hv *hv, unsigned long type, struct hv_vm **ret, struct err *err);
void hv_vm_destroy(struct hv_vm *vm);
int hv_vm_cap(const struct hv_vm *vm, unsigned cap);
/** An ioctl on the VM, for arch/. Returns its result or -errno. */
int hv_vm_ioctl(struct hv_vm *vm, unsigned long req, unsigned long arg);

/**
 * A device that lives in the kernel, such as an interrupt controller (KVM_DEV_TYPE_*).
 * Returns an owned fd or -errno.
 */
int __must_check hv_device_create(struct hv_vm *vm, uint32_t type);
/** One attribute of it, of the size that the device's document says. Returns 0 or -errno. */
int __must_check hv_device_set(int fd, uint32_t group, uint64_t attr, const void *value);
int __must_check hv_device_get(int fd, uint32_t group, uint64_t attr, void *value);

/** Gives the guest all of gm. Before vCPUs run. */
int __must_check hv_map_ram(struct hv_vm *vm, const struct guest_memory *gm, struct err *err);
/**
 * Maps len bytes at host to gpa, readable without an exit; writes exit as MMIO.
 * Returns 0, or -ENOTSUP where the host cannot (KVM_CAP_READONLY_MEM): reads then exit too.
 */
int __must_check hv_map_readonly(struct hv_vm *vm, gpa_t gpa, void *host, uint64_t len);

/** fd pulses interrupt line gsi. Returns 0 or -errno. */
int __must_check hv_irqfd(struct hv_vm *vm, uint32_t gsi, int fd);
/** A 4-byte write of value at gpa signals fd without an exit. Returns 0 or -errno. */
int __must_check hv_ioeventfd(struct hv_vm *vm, gpa_t gpa, uint32_t value, int fd);

int __must_check hv_vcpu_create(
	struct hv_vm *vm, unsigned id, struct hv_vcpu **ret, struct err *err);
void hv_vcpu_destroy(struct hv_vcpu *cpu);
/** An ioctl on the vCPU, for arch/. Returns its result or -errno. */
int hv_vcpu_ioctl(struct hv_vcpu *cpu, unsigned long req, void *arg);

enum hv_exit_kind {
	HV_EXIT_MMIO,     /* a memory access that no slot took */
	HV_EXIT_PIO,      /* an x86 port access */
	HV_EXIT_KICKED,   /* hv_vcpu_kick or a signal: look at your flags */
	HV_EXIT_SHUTDOWN, /* triple fault */
	HV_EXIT_SYSTEM,   /* PSCI, SBI: power off, reset, crash */
	HV_EXIT_EOI,      /* end of interrupt of a line with a user-space irq chip */
	HV_EXIT_SBI,      /* a riscv64 guest's call to firmware that KVM does not serve */
	HV_EXIT_FAILED,   /* the host cannot go on with this vCPU: err text in reason */
	HV_EXIT_WRMSR,    /* an x86 guest writes a register that is not KVM's to serve */
	HV_EXIT_NR,
};

enum hv_system_event { HV_SYSTEM_POWEROFF, HV_SYSTEM_RESET, HV_SYSTEM_CRASH, HV_SYSTEM_OTHER };

struct hv_exit {
	enum hv_exit_kind kind;
	union {
		struct {
			gpa_t addr;
			uint8_t *data; /* len bytes; a read is completed by filling them */
			unsigned len;
			bool is_write;
		} mmio;
		struct {
			uint16_t port;
			unsigned size;  /* bytes of one access: 1, 2, 4 */
			unsigned count; /* accesses, one after another (string instructions) */
			uint8_t *data;  /* size * count bytes */
			bool is_write;
		} pio;
		enum hv_system_event system;
		struct {
			uint64_t ext, func, arg[6];
			uint64_t *ret; /* [2]: error and value; hold "not supported" and 0 */
		} sbi;
		struct {
			uint32_t index;
			uint64_t value;
			uint8_t *error; /* 1, which is a fault in the guest; 0: taken */
		} wrmsr;
		char reason[160];
	};
};

/** Runs until the next exit. On the vCPU's own thread. */
void hv_vcpu_run(struct hv_vcpu *cpu, struct hv_exit *exit);

/**
 * Makes a running or about-to-run hv_vcpu_run return HV_EXIT_KICKED. Any thread; tid is
 * the vCPU's thread. Sticky until the vCPU returns.
 */
void hv_vcpu_kick(struct hv_vcpu *cpu, unsigned long thread);

/** Installs the signal handler that kicks need. Once, before vCPU threads start. */
void hv_kick_init(void);
