/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * System calls and strings for a program without a C library: small, the same bits from every
 * compiler's library, and nothing that the kernel does not say. Calls return what the kernel does:
 * a negative errno on failure. One thread, and no signal handlers.
 */
#pragma once

#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/types.h>

/** Of the architecture: sys-ARCH.inc. */
long sys(long nr, long a, long b, long c, long d, long e);

#ifndef NULL
#define NULL ((void *)0)
#endif
#define AT_HERE (-100) /* AT_FDCWD */

#define sys0(nr)                sys(nr, 0, 0, 0, 0, 0)
#define sys1(nr, a)             sys(nr, (long)(a), 0, 0, 0, 0)
#define sys2(nr, a, b)          sys(nr, (long)(a), (long)(b), 0, 0, 0)
#define sys3(nr, a, b, c)       sys(nr, (long)(a), (long)(b), (long)(c), 0, 0)
#define sys4(nr, a, b, c, d)    sys(nr, (long)(a), (long)(b), (long)(c), (long)(d), 0)
#define sys5(nr, a, b, c, d, e) sys(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e))

/* What compilers call. */
void *memcpy(void *to, const void *from, unsigned long n);
void *memset(void *to, int c, unsigned long n);

unsigned long text_len(const char *s);
int text_is(const char *a, const char *b);
/** Whether s begins with start. */
int text_begins(const char *s, const char *start);
/** The first c in s, or its end. */
const char *text_find(const char *s, char c);
/** A decimal number that is all of s up to the first end, or -1. */
long text_number(const char *s, char end);

/** A line that grows, and is cut off where it is full. */
struct line {
	char text[256];
	unsigned long len;
};
void line_add(struct line *l, const char *s);
void line_add_number(struct line *l, unsigned long n);

/** Reads up to max - 1 bytes of a file and ends them with a zero. Bytes, or a negative errno. */
long read_file(const char *path, char *buf, unsigned long max);
/** Writes all of it. 0 or a negative errno. */
long write_all(int fd, const void *buf, unsigned long len);
/** Makes a directory and those above it, as far as they are not there. */
void make_dirs(const char *path);
