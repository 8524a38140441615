/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hypervisor for unit tests: it records what it is given and plays exits from a script.
 * Single thread, one VM at a time.
 */
#pragma once

#include "hypervisor/hv.h"

#define FAKE_MAX 512

struct fake_hv {
	struct {
		gpa_t gpa;
		void *host;
		uint64_t len;
		bool readonly;
	} slot[16];
	unsigned nr_slots;
	struct {
		uint32_t gsi;
		int fd;
	} irqfd[FAKE_MAX];
	unsigned nr_irqfds;
	struct {
		gpa_t gpa;
		uint32_t value;
		int fd;
	} ioeventfd[FAKE_MAX];
	unsigned nr_ioeventfds;

	/* Every ioctl of arch/: the test's answer, 0 when NULL. */
	int (*ioctl)(unsigned long req, void *arg);
	const struct hv_vcpu *cpu; /* during one: the CPU that it is made on, or NULL */
	int device_fd;             /* during one: the device that it is made on, or 0 */
	int (*cap)(unsigned cap);  /* 1 for all when NULL */

	const struct hv_exit *script; /* exits to play, then HV_EXIT_KICKED for ever */
	unsigned nr_script, next;
	void (*on_run)(void); /* before each exit; NULL: nothing */
};

/** Zeroed by each test. */
extern struct fake_hv fake_hv;
