/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The process's line in ps(1): what /proc/PID/cmdline shows. The kernel shows the memory in which
 * it handed over the arguments, so that a process can write another line there (proc(5)); no
 * system call is needed. One thread.
 */
#pragma once

#include "base/base.h"

/** Remembers where the arguments and the environment lie. At the start of main, nothing moved. */
void title_init(int argc, char **argv);

/**
 * Puts a line there, cut to the bytes that there are. Arguments and environment are gone then:
 * pointers into them, and getenv, find nothing more. Does nothing without title_init.
 */
void title_set(const char *fmt, ...) __printf(1, 2);
