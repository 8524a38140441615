/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The virtio models there are, as one table: how many of each a configuration asks for, what
 * must be opened while files can be opened, and how one is made, in the monitor or in a process
 * of its own.
 */
#pragma once

#include "base/chardev.h"
#include "base/fd.h"
#include "base/loop.h"
#include "memory/memory.h"
#include "net/vsock.h"
#include "sandbox/jail.h"
#include "sandbox/policy.h"
#include "virtio/virtio.h"
#include "vmm/config.h"
#include "vmm/terminal.h"

/** Who runs a model, and hears of what is not the guest's business. */
struct model_host {
	const struct config *cfg;
	const struct guest_memory *gm;
	struct loop *loop;
	/* Output is lost: a sentence. Loop thread. */
	void (*failed)(void *ctx, const struct err *err);
	/* The user ended the machine at the terminal. Loop thread. */
	void (*escaped)(void *ctx);
	void *ctx;
	bool jailed;                   /* no way around the jail may be made */
	struct terminal_escape escape; /* loop thread; there is one terminal */
};

#define MODEL_MAX_FILES (2 + VSOCK_MAX_HANDED)

/** What was opened for a device. */
struct model_files {
	int fd[MODEL_MAX_FILES]; /* owned, -1: none */
	bool terminal;           /* fd[0] is one, which has an escape key */
	int request_fd;          /* owned, -1: none. Not the device's: it asks the monitor there */
};

struct model {
	const struct virtio_class *cls; /* cls->name is its kind, and its policy's name */
	bool streams;                   /* its end waits for a reader, however long that takes */
	unsigned (*count)(const struct config *cfg);
	int (*open)(const struct config *cfg, unsigned i, struct model_files *ret, struct err *err);
	/* Takes the files over, also on failure. */
	int (*make)(struct model_host *h, unsigned i, struct model_files *files,
		struct virtio_backend **ret, struct err *err);
	/* What the user calls the i-th: "--block disk.img". */
	void (*label)(const struct config *cfg, unsigned i, char *buf, size_t len);
	unsigned nofile; /* descriptors that its process may have; 0: JAIL_NOFILE */
	bool beneath;    /* it opens files beneath the directory that its files' fd[0] is */
};

/** In the order in which the guest finds them; the last has no cls. */
extern const struct model models[];

/** The model of that kind, or NULL. */
const struct model *model_find(const char *kind);
/** Without any. */
void model_files_init(struct model_files *f);
void model_files_close(struct model_files *f);

/* ---- model_fs.c ---- */
#define MODEL_FS_NOFILE (512U << 10) /* descriptors that a shared directory may have, at most */

unsigned model_nr_fs(const struct config *cfg);
int __must_check model_open_fs(
	const struct config *cfg, unsigned i, struct model_files *ret, struct err *err);
int __must_check model_make_fs(struct model_host *h, unsigned i, struct model_files *files,
	struct virtio_backend **ret, struct err *err);
void model_label_fs(const struct config *cfg, unsigned i, char *buf, size_t len);
unsigned model_nr_p9(const struct config *cfg);
int __must_check model_open_p9(
	const struct config *cfg, unsigned i, struct model_files *ret, struct err *err);
int __must_check model_make_p9(struct model_host *h, unsigned i, struct model_files *files,
	struct virtio_backend **ret, struct err *err);
void model_label_p9(const struct config *cfg, unsigned i, char *buf, size_t len);

/* ---- model_vsock.c ---- */
unsigned model_nr_vsock(const struct config *cfg);
int __must_check model_open_vsock(
	const struct config *cfg, unsigned i, struct model_files *ret, struct err *err);
int __must_check model_make_vsock(struct model_host *h, unsigned i, struct model_files *files,
	struct virtio_backend **ret, struct err *err);
void model_label_vsock(const struct config *cfg, unsigned i, char *buf, size_t len);

/* ---- serial.c ---- */
/** Opens the stream of a serial line. */
int __must_check serial_open(
	const struct serial_config *s, struct model_files *ret, struct err *err);
/** Makes a chardev of it. Takes the files over, also on failure. */
int __must_check serial_create(struct model_host *h, const struct serial_config *s,
	struct model_files *files, struct chardev **ret, struct err *err);
