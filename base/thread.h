/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Threads with small stacks: what runs on them is shallow, and a large stack may be given a
 * huge page by the host, which is more than the rest of the monitor. Any thread.
 */
#pragma once

#include <pthread.h>

#include "base/base.h"

#define THREAD_STACK (128 * KIB)

/** As pthread_create, with THREAD_STACK bytes. Returns 0 or -errno. */
int __must_check thread_create(pthread_t *ret, void *(*fn)(void *arg), void *arg);
