/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Copies between iovecs and flat buffers, and parts of iovecs: through iov[0..n), never past it.
 * Pure functions, any thread.
 */
#pragma once

#include <sys/uio.h>

#include "base/base.h"

/** Copies up to len bytes at byte offset off of the iovecs into buf; returns bytes copied. */
size_t iov_read(const struct iovec *iov, unsigned n, uint64_t off, void *buf, size_t len);
/** Copies up to len bytes of buf to byte offset off; returns bytes copied. */
size_t iov_write(const struct iovec *iov, unsigned n, uint64_t off, const void *buf, size_t len);
/**
 * The part [off, off+len) of iov as iovecs in out (room for n). Returns how many, clipped
 * at the end of iov.
 */
unsigned iov_slice(
	const struct iovec *iov, unsigned n, uint64_t off, uint64_t len, struct iovec *out);
