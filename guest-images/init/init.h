/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the guest's first program share. */
#pragma once

#include "guest-images/init/protocol.h"
#include "guest-images/init/sys.h"

/** What the host asked for: strings in one arena, words as the kernel takes them. */
struct job {
	char *arg[EXEC_MAX_WORDS + 1], *env[EXEC_MAX_WORDS + 1];
	unsigned nr_args, nr_envs;
	const char *cwd, *user, *hostname, *root;
	const char *mount[EXEC_MAX_MOUNTS]; /* "TAG PATH" */
	unsigned nr_mounts;
	struct exec_clock clock;
	struct exec_size size;
	int has_clock, tty;
};

/** The value of a variable of the job's, or NULL. */
const char *job_env(const struct job *j, const char *name);

/* ---- init.c ---- */
extern int control;
void control_send(enum exec_type type, const void *data, unsigned len);
/** A socket to the host, or a negative errno. */
long host_connect(unsigned port);
/** Says why, and ends the machine. err: a negative errno, or 0. */
__attribute__((noreturn)) void fail(const char *what, const char *which, long err);
/** The next message: its head, its bytes in buf. 0, or -1 when the host has hung up. */
int control_receive(struct exec_head *head, char *buf, unsigned max);

/* ---- mounts.c ---- */
/** The root that the command sees, with all that is mounted beneath it, becomes ours. */
void mount_all(const struct job *j);

/* ---- run.c ---- */
/** Runs the command, passes its streams on, and fills in how it ended. */
void run_command(const struct job *j, struct exec_exited *ret);
