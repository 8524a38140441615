/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The user's terminal: raw while a guest has it, as it was on every way out, crashes
 * included. There is one terminal, so the state is the process's.
 */
#pragma once

#include "base/base.h"
#include "base/err.h"

/** Makes fd raw when it is a terminal; remembers how it was. Once. Returns 0 or -errno. */
int __must_check terminal_raw(int fd, struct err *err);

/** Puts the terminal back. Any number of times, any thread, signal handlers too. */
void terminal_restore(void);

/** The escape key of a terminal: Ctrl-A x ends, Ctrl-A Ctrl-A is one Ctrl-A. */
struct terminal_escape {
	bool pending; /* Ctrl-A was the last byte */
	void (*end)(void *ctx);
	void *ctx;
};

/** Removes escapes from the len bytes of buf and acts on them; returns what is left. */
size_t terminal_filter(struct terminal_escape *e, uint8_t *buf, size_t len);
