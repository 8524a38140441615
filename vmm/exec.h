/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `mayfly exec`: one command in a guest. Two processes: the front, which is the caller's child, has
 * his streams and signals and tells the ends apart; and the machine, the front's child, which is
 * what `mayfly run` is. The guest's first program (guest-images/init/) is in this program, and
 * talks to the front through the machine's socket device.
 */
#pragma once

#include "guest-images/init/protocol.h"
#include "vmm/config.h"
#include "vmm/optable.h"
#include "vmm/status.h"

#define EXEC_MAX_ENVS 256

struct exec_share {
	char *path, *tag; /* tag: NULL: one is made */
	bool ro;
};

struct exec_config {
	struct config run; /* the machine */
	char *root;        /* a directory, or an image; NULL: the host's own */
	char *init;        /* where in the image the kernel finds init; NULL: in an initramfs */
	struct exec_share share[EXEC_MAX_MOUNTS - 1];
	unsigned nr_shares;
	char *env[EXEC_MAX_ENVS]; /* NAME=VALUE */
	unsigned nr_envs;
	char *cwd, *user, *console, *result, *timeline;
	uint64_t timeout_s;
	bool tty, timings;
	char *const *argv; /* borrowed: the command, to the NULL */
};

/* ---- exec_options.c ---- */
extern const struct optable options_exec;
void exec_config_init(struct exec_config *c);
void exec_config_fini(struct exec_config *c);
/**
 * Parses the arguments after the verb. Returns 0, -ECANCELED for --help, or -errno with err. The
 * command is argv's.
 */
int __must_check exec_parse(int argc, char **argv, struct exec_config *c, struct err *err);
/** What the options leave open: the kernel, directories' full paths, the environment. */
int __must_check exec_complete(struct exec_config *c, struct err *err);

/* ---- exec_machine.c ---- */

/** The front's ends of a machine. */
struct exec_machine {
	int pid, pidfd;
	int word_fd;                    /* struct exec_word */
	int console_fd;                 /* the kernel's messages */
	int sock[EXEC_PORT_STDERR + 1]; /* by port */
};

enum exec_word_kind { EXEC_WORD_RUNS = 1, EXEC_WORD_ENDED };

/** What the machine's process says to the front. */
struct exec_word {
	uint32_t kind;   /* enum exec_word_kind */
	uint32_t status; /* enum status */
	struct err why;
};

/** Starts it. Returns 0 or -errno with err. While this process has one thread. */
int __must_check exec_machine_start(
	const struct exec_config *c, struct exec_machine *ret, struct err *err);
/** Kills what is left of it, and closes. */
void exec_machine_end(struct exec_machine *m);

/* ---- exec_link.c: the guest's words, which are not trusted. Pure but for memory. ---- */

struct exec_link {
	uint8_t buf[sizeof(struct exec_head) + EXEC_MAX_FAILED];
	size_t have;
	bool up, started, over;
};

/** A word of the guest. */
struct exec_event {
	enum exec_type type; /* EXEC_UP to EXEC_FAILED */
	uint32_t code;       /* EXEC_REFUSED: an errno */
	struct exec_exited exited;
	char text[EXEC_MAX_FAILED + 1]; /* EXEC_FAILED: a line of printable characters */
};

/**
 * Takes bytes of the guest, *len of them, and leaves there how many it did not take. Returns 1 with
 * an event, 0 when it needs more, or -EPROTO: no such word, a wrong length, not its turn.
 */
int __must_check exec_link_feed(
	struct exec_link *l, const uint8_t *data, size_t *len, struct exec_event *ret);
/** The job as bytes for the guest. Allocated. Returns 0 or -E2BIG, -ENOMEM with err. */
int __must_check exec_link_job(
	const struct exec_config *c, uint8_t **ret, size_t *ret_len, struct err *err);
/** A message, at most 64 bytes with its head. Returns its bytes. */
size_t exec_link_message(enum exec_type type, const void *data, size_t len, uint8_t out[64]);

/* ---- exec_report.c ---- */

enum exec_phase {
	EXEC_AT_START,
	EXEC_AT_RUN,
	EXEC_AT_UP,
	EXEC_AT_STARTED,
	EXEC_AT_EXITED,
	EXEC_AT_END,
	EXEC_NR_TIMES
};

#define EXEC_TAIL 8192

/** How it ended. */
struct exec_report {
	int status;        /* this program's */
	const char *cause; /* a word: docs/cli.md */
	struct err why;    /* one line, or empty */
	bool has_exited;   /* exited is filled */
	struct exec_exited exited;
	uint64_t at[EXEC_NR_TIMES]; /* nanoseconds of CLOCK_MONOTONIC; 0: it did not come to that */
	uint64_t peak_bytes;        /* memory of the machine's process */
	char tail[EXEC_TAIL];       /* what the console said last */
	size_t tail_len, tail_at;   /* a ring: tail_at is where the next byte goes */
};

void exec_report_console(struct exec_report *r, const char *buf, size_t len);
/** The tail in order. Returns its bytes; buf has EXEC_TAIL. */
size_t exec_report_tail(const struct exec_report *r, char *buf);
/** As JSON, the phases' times for people, and as a picture. Errors are the stream's. */
void exec_report_json(const struct exec_report *r, FILE *f);
void exec_report_timings(const struct exec_report *r, FILE *f);
void exec_report_timeline(const struct exec_report *r, FILE *f);

/* ---- exec_front.c ---- */
/** Runs the command; fills in the report. */
void exec_front(const struct exec_config *c, struct exec_report *r);

/* ---- exec.c ---- */
/** The verb. argv is what follows it. Returns the program's status. */
int exec_main(int argc, char **argv);
