/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A byte stream for a console: an input and an output fd, each optional, on a loop.
 *
 * Output never blocks the loop: bytes are written only when the fd says it can take them, so
 * that a slow reader stops its guest and nothing else. The given fds are not made
 * non-blocking, because their file description may be shared with the shell; chardev.c opens
 * a description of its own where it can.
 *
 * Loop thread, except creation and destruction.
 */
#pragma once

#include "base/base.h"
#include "base/err.h"
#include "base/loop.h"

struct chardev;

struct chardev_config {
	int in_fd;        /* owned, -1: no input */
	int out_fd;       /* owned, -1: output is dropped */
	const char *opt;  /* "--serial", for error lines; outlives the chardev */
	const char *path; /* the output's name, likewise */
	/*
	 * Looks at input before the guest does, may shorten it in place (the escape key).
	 * May be NULL. Returns the bytes left in buf. Where there is one, a little input is
	 * read ahead also while the user wants none, so that the key works on a hung guest.
	 */
	size_t (*filter)(void *ctx, uint8_t *buf, size_t len);
	/* Output failed for good (disk full, reader gone): a sentence; later bytes are dropped. */
	void (*failed)(void *ctx, const struct err *err);
	void *ctx;
};

/** How a device hears of its stream. All on the loop thread. */
struct chardev_user {
	void (*readable)(void *ctx); /* input waits: chardev_read it */
	void (*writable)(void *ctx); /* after chardev_write took less than all */
	void *ctx;
};

/** Takes the fds over (also on failure). */
int __must_check chardev_create(
	struct loop *loop, const struct chardev_config *cfg, struct chardev **ret, struct err *err);
/** NULL is fine. Not while the loop runs, or on its thread. */
void chardev_destroy(struct chardev *c);

/** Who is told; input is watched only while want_input. */
void chardev_set_user(struct chardev *c, const struct chardev_user *user);
void chardev_want_input(struct chardev *c, bool want);

/** Bytes of waiting input, at most len; 0 when none waits or input has ended. Never blocks. */
size_t chardev_read(struct chardev *c, void *buf, size_t len);

/**
 * Takes what can be written now without blocking, at most 64 KiB; returns how many bytes.
 * When less than len, the user's writable is called later. A failed or absent output takes
 * everything.
 */
size_t chardev_write(struct chardev *c, const void *buf, size_t len);

/** The user's writable is called later, once: for a user that has had its share of the loop. */
void chardev_want_output(struct chardev *c);

/** Writes all of buf, waiting for the reader. For the machine's end only. */
void chardev_write_all(struct chardev *c, const void *buf, size_t len);
