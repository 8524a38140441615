/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The machine that was asked for: one plain struct, complete and checked before the first
 * file is opened. Strings are owned by the struct.
 */
#pragma once

#include "arch/arch.h"
#include "base/base.h"
#include "base/err.h"

#define CONFIG_MAX_DISKS   ARCH_MAX_VIRTIO
#define CONFIG_MAX_SERIALS 8
#define CONFIG_MAX_FOREIGN 16
#define CONFIG_MAX_SHARES  16
#define CONFIG_MAX_HANDED  8
#define CONFIG_MAX_TAG     36 /* bytes of a file system's tag (VIRTIO 1.2, section 5.11.4) */
#define CONFIG_MIN_MEM_MIB 16
#define CONFIG_MAX_MEM_MIB (4ULL << 20) /* 4 TiB */

enum serial_type { SERIAL_STDOUT, SERIAL_FILE, SERIAL_SINK };
enum serial_hardware { SERIAL_UART, SERIAL_VIRTIO_CONSOLE };

struct serial_config {
	unsigned type;     /* enum serial_type */
	unsigned hardware; /* enum serial_hardware */
	uint64_t num;      /* uart: 1..ARCH_MAX_UARTS; virtio-console: 1.. */
	char *path, *input;
	bool is_console, earlycon, use_stdin;
	bool num_seen, hardware_seen, type_seen;
};

struct disk_config {
	char *path, *id;
	bool ro, root, direct, sparse, lock;
	uint64_t block_size;
	unsigned executor; /* enum block_executor - 1 when executor_seen */
	bool executor_seen;
	uint64_t queues; /* 0: one per CPU, at most 8 */
};

enum foreign_type { FOREIGN_BLOCK, FOREIGN_CONSOLE, FOREIGN_RNG, FOREIGN_FS };

/** A device that another program serves. */
struct foreign_config {
	unsigned type; /* enum foreign_type */
	char *socket, *tag;
	bool type_seen;
};

/** A socket for the guest's first connection to a port of the host's. No option says it. */
struct handed_config {
	uint32_t port;
	int fd; /* the device's when it is opened */
};

struct vsock_options {
	uint64_t cid; /* 0: there is none */
	char *socket; /* NULL: only what is handed */
	char *device; /* the kernel's, in place of ours; NULL: none */
	struct handed_config handed[CONFIG_MAX_HANDED];
	unsigned nr_handed;
};

enum share_type { SHARE_FS, SHARE_P9 };

/** A directory of the host that the guest mounts. */
struct share_config {
	char *path, *tag;
	unsigned type, cache; /* enum share_type, enum fuse_cache */
	uint64_t timeout_s, negative_timeout_s, uid, gid;
	bool type_seen, cache_seen, timeout_seen, writeback, ro, posix_acl;
};

enum cpu_model { CPU_MODEL_HOST, CPU_MODEL_BASELINE };

struct config {
	char *kernel, *initrd, *name, *dump_tables, *dump_fdt, *kvm_device;
	char **params;
	unsigned nr_params;
	uint64_t cpus, mem_mib;
	uint64_t timeout_s; /* 0: none */
	struct serial_config serial[CONFIG_MAX_SERIALS];
	unsigned nr_serials;
	struct disk_config disk[CONFIG_MAX_DISKS]; /* in command-line order */
	unsigned nr_disks;
	struct foreign_config foreign[CONFIG_MAX_FOREIGN];
	unsigned nr_foreign;
	struct share_config share[CONFIG_MAX_SHARES];
	unsigned nr_shares;
	struct vsock_options vsock;
	uint64_t clock_s;   /* where the guest's time of day begins, seconds since 1970 */
	bool clock_seen;    /* else it is the host's */
	char *seed;         /* what the guest's entropy is made of; NULL: the host's */
	unsigned cpu_model; /* enum cpu_model */
	bool cpu_model_seen;
	bool deterministic; /* all of them, and ids of disks, where nothing else is said */
	bool print_hash;    /* instead of running it */
	bool disable_sandbox;
	bool no_rng, no_acpi, force;
	unsigned log_level; /* enum log_level */
};

void config_init(struct config *c);
void config_fini(struct config *c);

/**
 * What single options cannot check: a kernel is there, one console, one stdin, no serial
 * twice. Fills defaults (a uart on stdout). Returns 0 or -EINVAL.
 */
int __must_check config_complete(struct config *c, struct err *err);

/** The part of it that is about serials. */
int __must_check config_check_serials(struct config *c, struct err *err);

/**
 * The kernel command line: the machine's own words first, then --params, so that the user's
 * win. dev_words are those of arch_cmdline_words. Allocated; NULL when out of memory.
 */
char *config_cmdline(const struct config *c, const char *dev_words);
