/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The monitor's own words, on stderr, one line each, "mayfly: " in front. Guest output
 * never comes through here. Any thread: each line is one write(2).
 */
#pragma once

#include "base/base.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/** What is printed; LOG_WARN unless changed. Set once, before threads start. */
void log_set_level(enum log_level level);

/** The machine's name for the prefix ("mayfly[NAME]: "), or NULL. Set before threads start. */
void log_set_name(const char *name);

void log_at(enum log_level level, const char *fmt, ...) __printf(2, 3);

#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_at(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)

/**
 * A guard for lines a guest can provoke: 5 at once, then one each second, the number of
 * suppressed ones with the next. Zero-initialised by its owner; one thread at a time.
 */
struct ratelimit {
	uint64_t window_ns; /* start of the current second */
	unsigned nr_in_window;
	unsigned nr_suppressed;
};

/** True when a line may be printed now. */
bool ratelimit_ok(struct ratelimit *rl);
