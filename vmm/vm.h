/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One machine: parse -> validate -> open -> build -> load -> run -> end. main.c calls
 * vm_create, vm_run and vm_destroy; the rest of vmm/ fills in its steps.
 *
 * Threads: the main thread builds, waits and ends. One thread per vCPU runs the guest. The
 * I/O thread runs the loop on which all devices live.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "arch/arch.h"
#include "base/chardev.h"
#include "base/loop.h"
#include "base/sha256.h"
#include "bus/bus.h"
#include "devices/goldfish_rtc.h"
#include "devices/pl031.h"
#include "devices/power.h"
#include "devices/uart.h"
#include "hypervisor/hv.h"
#include "memory/memory.h"
#include "virtio-mmio/mmio.h"
#include "vmm/config.h"
#include "vmm/models.h"
#include "vmm/process.h"
#include "vmm/status.h"

#define VM_MAX_DEVS (ARCH_MAX_VIRTIO + ARCH_MAX_UARTS + ARCH_MAX_FIXED)

struct vm;

struct vcpu {
	struct vm *vm;      /* set before start */
	unsigned id;        /* set before start */
	struct hv_vcpu *hv; /* owned */
	pthread_t thread;   /* set before start, valid while started */
	bool started;       /* main thread */
};

/** One device process, and whose it is. */
struct vm_proc {
	struct vm *vm;
	struct process *proc; /* owned */
};

/** What is being loaded (load.c). */
struct load {
	int kernel_fd, initrd_fd; /* owned until load_finish */
	pthread_t thread;         /* main thread, valid while started */
	bool started;             /* main thread */
	/* The thread's while it runs. */
	struct arch_payload payload;
	struct err err;
	int rc;
};

struct vm {
	const struct config *cfg; /* set before start, as all below unless said */
	struct hv *hv;            /* owned, as all pointers below */
	struct hv_vm *hvm;
	struct arch_vm *arch;
	struct guest_memory gm;
	struct bus mmio, pio;
	struct arch_entry entry;
	struct load load;

	struct loop *loop; /* devices live here */
	pthread_t io_thread;
	bool io_started; /* main thread */

	struct dev_desc dev[VM_MAX_DEVS]; /* what firmware tables say */
	unsigned nr_devs;
	struct irq_line line[VM_MAX_DEVS]; /* of dev[i]; fd -1 without */

	struct uart *uart[ARCH_MAX_UARTS];
	struct virtio_mmio *virtio[ARCH_MAX_VIRTIO];
	unsigned nr_virtio;
	struct pl031 *pl031;
	struct goldfish_rtc *goldfish;
	struct rtc_clock clock; /* theirs, where it does not begin with the host's time */
	uint64_t clock_start_ns;
	uint8_t *pages; /* register pages of the virtio devices */
	size_t pages_len;
	int ack_fd; /* where plain InterruptACKs go */
	struct power power;
	struct model_host host; /* for models and lines on the I/O thread */
	struct vm_proc proc[ARCH_MAX_VIRTIO];
	unsigned nr_procs;     /* 0 with --disable-sandbox; else as many as there are models */
	struct broker *broker; /* for the vsock device, if there is one */
	int net_fd;            /* their net namespace, which ends after KVM's machine; or -1 */

	struct vcpu *cpu;
	unsigned nr_cpus;

	char hash[2 * SHA256_LEN + 1]; /* --print-hash: of all that the guest is given */

	int end_fd;         /* eventfd: signalled when the end is set */
	atomic_bool ending; /* vCPUs stop when they see it */
	pthread_mutex_t end_lock;
	enum status end_status; /* guarded by end_lock; while building, what a failure means */
	bool ended;             /* guarded by end_lock */
	struct err end_reason;  /* guarded by end_lock: one line */
	int end_signal;         /* main thread: the signal that ended us, or 0 */
};

/**
 * Opens, builds and loads all that cfg asks for; nothing runs yet. With cfg->print_hash there
 * are no devices behind their registers, and it cannot be run. Returns STATUS_OK, or
 * STATUS_NO_HYPERVISOR or STATUS_FAILED with err.
 */
enum status __must_check vm_create(const struct config *cfg, struct vm **ret, struct err *err);
/** Runs until the end; returns the status, with its line in err. */
enum status vm_run(struct vm *vm, struct err *err);
/** NULL is fine. */
void vm_destroy(struct vm *vm);

/**
 * Ends the machine. The first call decides the status and the line, but a failure still
 * replaces a success; any thread.
 */
void vm_end(struct vm *vm, enum status status, const char *fmt, ...) __printf(3, 4);

/* ---- lockdown.c ---- */
/** The calling thread makes no system calls from here on but those of its policy. */
void vm_lock_down(struct vm *vm, const char *policy);

/* ---- load.c, in this order; all on the main thread ---- */
/** Opens kernel and initrd: a file that is not there ends us before anything is made. */
int __must_check load_open(struct vm *vm, struct err *err);
/** Starts loading them into RAM. */
int __must_check load_start(struct vm *vm, struct err *err);
/** Waits for that, and writes what depends on the devices. */
int __must_check load_finish(struct vm *vm, struct err *err);
/** After any failure, too. */
void load_fini(struct vm *vm);

/* ---- measure.c ---- */
/** Fills in vm->hash. boot is what arch_load was given, with its files open. */
int __must_check measure(struct vm *vm, const struct arch_boot *boot, struct err *err);

/* ---- vcpu.c ---- */
int __must_check vcpu_start_all(struct vm *vm, struct err *err);
/** Makes them leave the guest and joins them. After vm->ending was set. */
void vcpu_stop_all(struct vm *vm);

/* ---- devices.c: everything a guest can touch ---- */
int __must_check devices_create(struct vm *vm, struct err *err);
/** Ties interrupt lines to the chip and maps register pages. After arch_vm_ready. */
int __must_check devices_bind(struct vm *vm, struct err *err);
/** Bytes for the console that came in another way than through its uart. Any vCPU thread. */
void devices_console_put(void *ctx, const void *buf, size_t len);
/** Output that the guest handed over reaches its files. After the vCPUs stopped. */
void devices_drain(struct vm *vm);
void devices_destroy(struct vm *vm);

/* ---- procs.c: a process for each model ---- */
/** Opens the models' files and starts their processes. While there is one thread. */
int __must_check procs_start(struct vm *vm, struct err *err);
/** The n-th process, whose model is m, as a backend. */
/** Serves what a device asks at fd (taken over; -1: it asks nothing). The loop does not run yet. */
int __must_check devices_attend(struct vm *vm, int fd, struct err *err);
int __must_check procs_connect(struct vm *vm, unsigned n, const struct model *m,
	struct virtio_backend **ret, struct err *err);
/** They are about to be told to end. */
void procs_let_go(struct vm *vm);
/** After that: waits for their ends, and takes a success back where one was no good. */
void procs_wait(struct vm *vm);
/** Ends what is left of them. */
void procs_destroy(struct vm *vm);
