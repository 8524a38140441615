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

int err_set(struct err *err, int code, const char *fmt, ...)
{
	va_list ap;

	BUG_ON(code <= 0);
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	return -code;
}

static void err_append(struct err *err, const char *text)
{
	size_t len = strlen(err->msg);

	snprintf(err->msg + len, sizeof(err->msg) - len, ": %s", text);
}

int err_errno(struct err *err, int code, const char *fmt, ...)
{
	const char *name = strerrordesc_np(code);
	va_list ap;

	BUG_ON(code <= 0);
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	err_append(err, name ? name : "unknown error");
	return -code;
}

int err_prefix(struct err *err, int code, const char *fmt, ...)
{
	struct err old = *err;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	err_append(err, old.msg);
	return code;
}
