/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Exit statuses of `mayfly run`: API, documented in docs/cli.md. The numbers of 32 to 36 are
 * crosvm's.
 */
#pragma once

enum status {
	STATUS_OK = 0,             /* the guest powered off, or was stopped */
	STATUS_FAILED = 1,         /* the monitor failed */
	STATUS_RESET = 32,         /* the guest asked for a reset */
	STATUS_CRASH = 33,         /* triple fault, or a machine that cannot go on */
	STATUS_PANIC = 34,         /* the guest's kernel panicked */
	STATUS_USAGE = 35,         /* bad options */
	STATUS_WATCHDOG = 36,      /* the guest's watchdog fired */
	STATUS_TIMEOUT = 37,       /* --timeout ran out */
	STATUS_NO_HYPERVISOR = 38, /* no KVM, or one that cannot run kernels */
};
