/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Errors of the host and of the user: a negative errno is returned, and a sentence is
 * left in a struct err where the failure happened. Callers put context in front on the
 * way up; vmm/main.c prints it, once. Any thread, caller's storage.
 */
#pragma once

#include "base/base.h"

struct err {
	char msg[512]; /* one line, no newline, always terminated */
};

/**
 * Writes the sentence and returns -code (code is a positive errno).
 * Use as: return err_set(err, EINVAL, "--cpus: %u is more than %u", n, max);
 */
int err_set(struct err *err, int code, const char *fmt, ...) __printf(3, 4);

/** As err_set, with ": " and the text of code appended. */
int err_errno(struct err *err, int code, const char *fmt, ...) __printf(3, 4);

/** Puts context and ": " in front of what is there. Returns code, for tail position. */
int err_prefix(struct err *err, int code, const char *fmt, ...) __printf(3, 4);
