/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owned file descriptors and whole reads and writes on them. Every fd made here is
 * O_CLOEXEC. Any thread.
 */
#pragma once

#include <sys/types.h>

#include "base/base.h"
#include "base/err.h"

/** Closes *fd unless negative and sets it to -1; keeps errno. */
void fd_close(int *fd);

/** A local that closes itself: `fd_auto int fd = -1;` */
#define fd_auto __cleanup(fd_close)

/** Hands an owned fd over: returns *fd and leaves -1 behind. */
static inline int fd_take(int *fd)
{
	int v = *fd;

	*fd = -1;
	return v;
}

/**
 * Opens path, or duplicates N for "/proc/self/fd/N" and "/dev/fd/N" (so that a file, a
 * socket or a deleted file can be passed in by the parent). flags as for open(2).
 * Returns the fd, or a negative errno with "opt: path: cause" in err.
 */
int __must_check fd_open(const char *opt, const char *path, int flags, struct err *err);

/** Reads len bytes at off. Returns bytes read (short only at end of file) or -errno. */
ssize_t __must_check fd_pread_full(int fd, void *buf, size_t len, uint64_t off);

/** Writes all of buf, waiting where the fd does not block. Returns 0 or -errno. */
int __must_check fd_write_full(int fd, const void *buf, size_t len);

/** The size of a regular file or block device in bytes. Returns 0 or -errno. */
int __must_check fd_size(int fd, uint64_t *ret_size);

/** A non-blocking eventfd with count 0, or -errno. */
int __must_check fd_event(void);

/** Adds 1 to an eventfd. Cannot block: a saturated counter is already signalled. */
void fd_event_signal(int fd);

/** Empties an eventfd; returns what it counted, 0 when it was empty. */
uint64_t fd_event_drain(int fd);

/**
 * Whether fd is an eventfd: the one kind whose signal cannot fail or block for good. For
 * descriptors that a peer sent; what else it sends may be written to. Works without /proc.
 */
bool fd_is_event(int fd);
/** Whether fd is a pipe or a socket. */
bool fd_is_stream(int fd);
