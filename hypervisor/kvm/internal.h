/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the KVM backend share. */
#pragma once

#include <pthread.h>

#include "hypervisor/hv.h"

struct hv {
	int fd; /* owned: /dev/kvm */
};

struct hv_vm {
	struct hv *hv;
	int fd; /* owned */
	unsigned nr_slots;
	size_t run_len; /* bytes of a vCPU's shared page(s) */
};

struct hv_vcpu {
	int fd;              /* owned */
	struct kvm_run *run; /* owned mapping of run_len bytes */
	size_t run_len;
};

/** ioctl that repeats on EINTR and returns its result or -errno. */
int kvm_ioctl(int fd, unsigned long req, unsigned long arg);
