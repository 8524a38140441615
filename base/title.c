// SPDX-License-Identifier: BSD-3-Clause
/*
 * Invariant: [area, area + len) is the strings of argv and, behind them, of the environment, one
 * after the other without a gap, and nothing else.
 *
 * The kernel shows more than the arguments' own bytes only when the last of these is not zero;
 * then it reads on to the next zero byte (get_mm_cmdline in Linux' fs/proc/base.c). So a line
 * that fits is followed by zeroes, and a longer one just goes on.
 */
#include "base/title.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *title_area; /* borrowed, from the kernel */
static size_t title_len;

/** Takes the strings that follow each other; the last pointer is NULL. */
static void title_take(char **strings)
{
	for (; *strings && *strings == title_area + title_len; strings++)
		title_len += strlen(*strings) + 1;
}

void title_init(int argc, char **argv)
{
	title_area = argc > 0 ? argv[0] : NULL;
	title_len = 0;
	if (!title_area)
		return;
	title_take(argv);
	title_take(environ);
}

void title_set(const char *fmt, ...)
{
	va_list ap;
	int n;

	if (!title_len)
		return;
	/* Before it is overwritten; who asks for a variable from here on is told that it is not
	 * there. */
	clearenv();
	va_start(ap, fmt);
	n = vsnprintf(title_area, title_len, fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < title_len)
		memset(title_area + n, 0, title_len - (size_t)n);
}
