/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What `mayfly exec` and the guest's first program say to each other, on sockets that the guest
 * connects to the host (context id 2). Control: messages of a head and len bytes, all numbers
 * little-endian, strings without a zero at their end. The guest says UP; the host sends the job,
 * piece by piece, and RUN; the guest says STARTED or REFUSED, or FAILED; later EXITED, when all
 * that the command wrote is on its way. It powers off when the host says BYE or hangs up.
 *
 * The guest's side is not trusted by the host. Included by both: no C library.
 */
#pragma once

#include <linux/types.h>

enum { EXEC_PORT_CONTROL = 1, EXEC_PORT_STDIN, EXEC_PORT_STDOUT, EXEC_PORT_STDERR };

struct exec_head {
	__u32 type, len;
};

enum exec_type {
	/* From the host. */
	EXEC_ARG = 1,  /* a word of the command */
	EXEC_ENV,      /* NAME=VALUE */
	EXEC_CWD,      /* a path */
	EXEC_USER,     /* NAME or UID, or with :GROUP or :GID */
	EXEC_HOSTNAME, /* a name */
	EXEC_ROOT,     /* the tag of a shared directory; empty: the first disk */
	EXEC_MOUNT,    /* "TAG PATH", for a shared directory */
	EXEC_CLOCK,    /* struct exec_clock */
	EXEC_TTY,      /* struct exec_size: the command gets a terminal */
	EXEC_RUN,
	EXEC_SIGNAL, /* __u32: for the command's process group */
	EXEC_SIZE,   /* struct exec_size, of the terminal, later */
	EXEC_BYE,
	/* From the guest. */
	EXEC_UP = 64,
	EXEC_STARTED,
	EXEC_REFUSED, /* __u32: an errno, and what failed above it (enum exec_refusal) */
	EXEC_EXITED,  /* struct exec_exited */
	EXEC_FAILED,  /* a sentence: why the command was not run */
};

enum exec_refusal {
	EXEC_REFUSED_COMMAND = 0,
	EXEC_REFUSED_CWD = 1U << 16,
	EXEC_REFUSED_USER = 2U << 16
};

#define EXEC_MAX_STRING 131071U    /* bytes of a word: MAX_ARG_STRLEN of Linux without the zero */
#define EXEC_MAX_JOB    (1U << 20) /* bytes of all strings of a job, a zero after each included */
#define EXEC_MAX_WORDS  16384U     /* of the command and its environment, each */
#define EXEC_MAX_MOUNTS 16U
#define EXEC_MAX_FAILED 240U /* bytes of a sentence */

struct exec_clock {
	__u64 sec;
	__u32 nsec, pad;
};

struct exec_size {
	__u16 rows, cols;
};

struct exec_exited {
	__u32 is_signal; /* else value is the status, 0 to 255 */
	__u32 value;
	__u32 oom_kills; /* how often the guest's kernel killed a process for want of memory */
	__u32 pad;
};
