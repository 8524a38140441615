/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A process that can reach its own descriptors and nothing else. In this order:
 *
 *	jail_nursery    a moment in user, net, ipc and uts namespaces, which its children share
 *	jail_spawn      there: a child, with pid and mount namespaces of its own
 *	jail_settle     in the child: it dies with its parent, takes no signals, and has no
 *	                descriptors but those named
 *	                (the child makes what it needs)
 *	jail_lock       an empty root, no capabilities, no way to new ones, limits, the policy
 *
 * Where the host refuses the namespaces, the child gets none, and what is left: Landlock, so
 * that no file can be opened, no_new_privs, limits and the policy.
 *
 * namespaces(7), user_namespaces(7), pivot_root(2), landlock(7), seccomp(2).
 */
#pragma once

#include <sys/types.h>

#include "base/base.h"
#include "base/err.h"
#include "sandbox/policy.h"

struct jail_child {
	pid_t pid;
	int pidfd;       /* owned */
	bool namespaces; /* the host granted them */
};

/**
 * Runs fn(arg, namespaces), which calls jail_spawn, as a task that shares memory and descriptors
 * with this process and nothing else, while this one waits; so namespaces that are expensive to
 * make are made once. Where the host refuses them it is a plain call. While this process has one
 * thread. *net, unless net is NULL, becomes a descriptor of the caller's that keeps the net
 * namespace alive, or -1. Returns 0 or -errno with err.
 *
 * ids: users and groups have the same numbers there as here, all that this process may give away,
 * and if that is none, its own; where the host lets it (user_namespaces(7)). Else they have none.
 *
 * The kernel takes a net namespace down in the background, waiting for RCU all the time, and a KVM
 * machine's end waits for the same: who has both holds the namespace for longer.
 */
int __must_check jail_nursery(
	void (*fn)(void *arg, bool namespaces), void *arg, bool ids, int *net, struct err *err);

/**
 * As fork(2), in a nursery with or without namespaces; the child is the child of the process
 * that called jail_nursery. Returns 1 in the parent with *ret filled, 0 in the child, or -errno
 * with err.
 */
int __must_check jail_spawn(struct jail_child *ret, bool namespaces, struct err *err);

/** In the child, first of all. Keeps the nr descriptors of keep and standard error. */
int __must_check jail_settle(const int *keep, unsigned nr, struct err *err);

#define JAIL_NOFILE 256 /* descriptors: a device's own, and its connection's eventfds */

/** What a child has more of than others. */
struct jail_needs {
	unsigned nofile; /* descriptors that it may have from now on */
	int beneath_fd;  /* borrowed: the directory beneath which it opens files; -1: none */
};

/** In the child, when it has all that it needs. */
int __must_check jail_lock(
	bool namespaces, const struct jail_needs *needs, const struct policy *p, struct err *err);

/**
 * In the child, before jail_lock: the directory in which its descriptors have their numbers for
 * names, O_PATH. It is of a proc that has this child alone, and is mounted nowhere. Where that is
 * refused, as in containers that hide parts of /proc, it is the host's. The descriptor or -errno
 * with err.
 */
int __must_check jail_self_fds(struct err *err);

/** Whether namespaces can be had here, found out by a child that ends at once. */
bool jail_has_namespaces(void);
/** Whether Landlock is there for when they cannot. */
bool jail_has_landlock(void);

/** No capabilities, none to gain, no core dumps: for a process that stays where it is. */
int __must_check jail_lower(struct err *err);
