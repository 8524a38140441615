/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include "vmm/status.h"

/**
 * `mayfly doctor`: prints what this host can do, a line each on stdout, and how to mend what
 * it cannot. Returns STATUS_OK when `run` would work, else STATUS_NO_HYPERVISOR. Takes under
 * a second, also where KVM emulates each instruction.
 */
enum status doctor(const char *kvm_device);
