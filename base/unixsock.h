/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stream sockets of the unix domain by path (unix(7)), O_CLOEXEC. Any thread.
 */
#pragma once

#include "base/base.h"
#include "base/err.h"

/** Bytes that a path may have. */
#define UNIXSOCK_MAX_PATH 107

/**
 * Listens at path, with flags SOCK_NONBLOCK or 0. A path whose listener is gone is taken over;
 * one where somebody listens, or that is no socket, is not. Returns the descriptor, or a negative
 * errno with "opt: path: cause" in err.
 */
int __must_check unixsock_listen(
	const char *opt, const char *path, int backlog, int flags, struct err *err);

/** Connects without waiting. Returns a non-blocking descriptor or -errno. */
int __must_check unixsock_connect(const char *path);
