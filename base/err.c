// SPDX-License-Identifier: BSD-3-Clause
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void bug(const char *file, int line, const char *cond)
{
	dprintf(STDERR_FILENO, "mayfly: bug at %s:%d: %s\n", file, line, cond);
	abort();
}

/** Formats the sentence; a newline in a user's path must not make two lines of it. */
static void __printf(2, 0) err_format(struct err *err, const char *fmt, va_list ap)
{
	if (vsnprintf(err->msg, sizeof(err->msg), fmt, ap) < 0)
		err->msg[0] = '\0';
	for (char *c = err->msg; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
}

int err_set(struct err *err, int code, const char *fmt, ...)
{
	va_list ap;

	BUG_ON(code <= 0);
	va_start(ap, fmt);
	err_format(err, fmt, ap);
	va_end(ap);
	return -code;
}

static void err_append(struct err *err, const char *text)
{
	size_t len = strlen(err->msg), tail = MIN(strlen(text) + 2, sizeof(err->msg) / 2);

	/* A long path must not push the cause out. */
	if (len + tail >= sizeof(err->msg)) {
		len = sizeof(err->msg) - 1 - tail;
		memcpy(err->msg + len - 3, "...", 3);
	}
	snprintf(err->msg + len, sizeof(err->msg) - len, ": %s", text);
}

int err_errno(struct err *err, int code, const char *fmt, ...)
{
	const char *name = strerrordesc_np(code);
	va_list ap;

	BUG_ON(code <= 0);
	va_start(ap, fmt);
	err_format(err, fmt, ap);
	va_end(ap);
	err_append(err, name ? name : "unknown error");
	return -code;
}

int err_prefix(struct err *err, int code, const char *fmt, ...)
{
	struct err old = *err;
	va_list ap;

	va_start(ap, fmt);
	err_format(err, fmt, ap);
	va_end(ap);
	err_append(err, old.msg);
	return code;
}
