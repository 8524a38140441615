// SPDX-License-Identifier: BSD-3-Clause
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

#define RATELIMIT_BURST 5

static enum log_level log_level = LOG_WARN; /* set before start */
static char log_prefix[96] = "mayfly";      /* set before start */

void log_set_level(enum log_level level)
{
	log_level = level;
}

void log_set_name(const char *name)
{
	if (name)
		snprintf(log_prefix, sizeof(log_prefix), "mayfly[%s]", name);
	else
		snprintf(log_prefix, sizeof(log_prefix), "mayfly");
}

void log_at(enum log_level level, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	size_t len;
	int n;

	if (level > log_level)
		return;
	n = snprintf(line, sizeof(line), "%s: ", log_prefix);
	len = (size_t)n;
	va_start(ap, fmt);
	n = vsnprintf(line + len, sizeof(line) - len - 1, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	len = MIN(len + (size_t)n, sizeof(line) - 2);
	/* Text of a guest or a user must not look like a line of ours. */
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	line[len++] = '\n';
	/* One write, so that lines of threads and processes do not mix. Nowhere to report failure.
	 */
	if (write(STDERR_FILENO, line, len) < 0)
		return;
}

bool ratelimit_ok(struct ratelimit *rl)
{
	uint64_t now = clock_now_ns();

	if (!rl->window_ns || now - rl->window_ns >= CLOCK_NS_PER_S) {
		bool first = !rl->window_ns;

		rl->window_ns = now;
		if (rl->nr_suppressed)
			log_warn("%u more lines like the next were suppressed", rl->nr_suppressed);
		rl->nr_suppressed = 0;
		rl->nr_in_window = first ? 1 : RATELIMIT_BURST;
		return true;
	}
	if (rl->nr_in_window < RATELIMIT_BURST) {
		rl->nr_in_window++;
		return true;
	}
	rl->nr_suppressed++;
	return false;
}
