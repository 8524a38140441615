/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Connects for a jailed vsock device, which can reach no path: the device sends a port, and gets
 * a socket that is connected to PATH_PORT, or the cause why there is none (net/vsock.h, ask_fd).
 * What the device says is not trusted: a number, and nothing else, of one directory's sockets that
 * bear the name.
 */
#pragma once

#include "base/base.h"
#include "base/err.h"
#include "base/loop.h"

struct broker;

/**
 * Serves the monitor's end fd (taken over, also on failure) on the loop. path is borrowed, at
 * most BROKER_MAX_PATH bytes. Loop thread, or before it runs. Returns 0 or -errno with err.
 */
int __must_check broker_create(
	struct loop *loop, int fd, const char *path, struct broker **ret, struct err *err);
void broker_destroy(struct broker *b);

/** Of PATH, so that PATH_4294967295 fits into an address. */
#define BROKER_MAX_PATH 96
