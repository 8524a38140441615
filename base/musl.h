/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What musl lacks of glibc's names that the sources use. The Makefile has it included before all
 * else where the C library is not glibc, so that nothing else need know of it.
 */
#pragma once

#include <features.h>

#ifndef __GLIBC__

/* Before "__unused", which is a member's name there and a macro of ours. */
#include <sys/stat.h>

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14, asm-generic/mman-common.h */
#endif

typedef int __rlimit_resource_t;

/* Unlike strerror, glibc's has no text for numbers that are none; ours are errno's. */
static inline const char *strerrordesc_np(int code)
{
	return strerror(code);
}

static inline const char *sigdescr_np(int sig)
{
	return strsignal(sig);
}

static inline int close_range(unsigned first, unsigned last, int flags)
{
	return (int)syscall(SYS_close_range, first, last, flags);
}

#endif
