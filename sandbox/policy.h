/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * System call filters, compiled at build time from sandbox/policies/ by tools/mkpolicy.c: what
 * is loaded is the array below, for the architecture that was built for. A call without a rule
 * ends the process (SECCOMP_RET_KILL_PROCESS, seccomp(2)).
 */
#pragma once

#include <linux/filter.h>

#include "base/base.h"

struct policy {
	const char *name; /* "block": sandbox/policies/block.policy */
	const struct sock_filter *filter;
	unsigned short len; /* instructions */
};

/** All of them; the last has no name. */
extern const struct policy policies[];

/** The policy of that name. It is there, or the build was wrong. */
const struct policy *policy_find(const char *name);

/**
 * Loads it for the calling thread and those that it makes; there is no way back. The process
 * needs no_new_privs. Returns 0 or -errno.
 */
int __must_check policy_load(const struct policy *p);

/* ---- what the files said, for tests that judge the arrays ---- */

/* What a line says of tests: they make the call, they do not, or it depends. */
enum policy_tests { POLICY_SEEN, POLICY_UNSEEN, POLICY_DEPENDS };

struct policy_rule {
	const char *policy;
	char file[24]; /* where the line is; no pointer, which would stay in the binary */
	unsigned line;
	char call[24]; /* the system call's name */
	enum policy_tests tests;
	int nr;          /* of the system call */
	unsigned nr_cmp; /* conditions, all of which must hold */
	struct {
		unsigned arg;
		uint64_t mask, value; /* (args[arg] & mask) == value */
	} cmp[3];
};

/** The last has no policy. */
extern const struct policy_rule policy_rules[];
/** AUDIT_ARCH_* of what was built for (linux/audit.h; libseccomp's names are the same). */
extern const uint32_t policy_audit_arch;
