/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * File descriptors over unix sockets (SCM_RIGHTS, unix(7)). What arrives is O_CLOEXEC and owned
 * by the receiver. Any thread, one at a time for each socket and direction.
 */
#pragma once

#include <sys/types.h>

#include "base/base.h"

#define FDPASS_MAX 8 /* descriptors that come or go with one call */

/**
 * Sends all len bytes (at least 1), with nr descriptors (borrowed) beside the first byte. Waits
 * at most timeout_ms in all where the peer does not read. Returns 0 or -errno: -ETIMEDOUT, or
 * -EPIPE when the peer is gone; then a part of the bytes may have left.
 */
int __must_check fdpass_send(
	int sock, const void *buf, size_t len, const int *fds, unsigned nr, int timeout_ms);

struct fdpass_piece {
	const void *buf;
	size_t len; /* at least 1 */
	const int *fds;
	unsigned nr_fds;
};

#define FDPASS_BATCH 16 /* pieces that go with one call of the system's */

/**
 * As fdpass_send for each of nr pieces (at most FDPASS_BATCH), in this order. A peer that sleeps is
 * woken once for all of them, where there is room for them.
 */
int __must_check fdpass_send_all(
	int sock, const struct fdpass_piece *pieces, unsigned nr, int timeout_ms);

/**
 * Receives what is there, at most len bytes and without waiting. fds has room for FDPASS_MAX;
 * *nr_fds of them are in use and go up by what came. Returns bytes, 0 at the end of the stream,
 * -EAGAIN when nothing waits, or -errno; -EMFILE when more descriptors came than there was room
 * for: all that came with this call are closed then.
 */
ssize_t __must_check fdpass_recv(int sock, void *buf, size_t len, int *fds, unsigned *nr_fds);
