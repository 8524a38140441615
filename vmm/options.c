// SPDX-License-Identifier: BSD-3-Clause
/*
 * One row per option; everything that is said of options anywhere is made from the rows.
 */
#include "vmm/options.h"

#include <errno.h>
#include <stdlib.h>

#include "base/parse.h"
#include "block/block.h"

int option_string(const char *opt, const char *value, char **ret, struct err *err)
{
	if (*ret)
		return err_set(err, EINVAL, "%s: given twice", opt);
	if (!*value)
		return err_set(err, EINVAL, "%s: is empty", opt);
	*ret = strdup(value);
	return *ret ? 0 : err_errno(err, ENOMEM, "%s", opt);
}

int option_cpus(const char *opt, const char *value, struct config *c, struct err *err)
{
	static const struct kv_key keys[] = {
		{ .name = "num-cores",
			.type = KV_U64,
			.min = 1,
			.max = ARCH_MAX_CPUS,
			.offset = offsetof(struct config, cpus),
			.seen_offset = SIZE_MAX },
	};

	return kv_parse(opt, value, keys, ARRAY_SIZE(keys), true, c, err);
}

static int option_mem(const char *opt, const char *value, struct config *c, struct err *err)
{
	static const struct kv_key keys[] = {
		{ .name = "size",
			.type = KV_U64,
			.min = CONFIG_MIN_MEM_MIB,
			.max = CONFIG_MAX_MEM_MIB,
			.offset = offsetof(struct config, mem_mib),
			.seen_offset = SIZE_MAX },
	};

	return kv_parse(opt, value, keys, ARRAY_SIZE(keys), true, c, err);
}

static int option_initrd(const char *opt, const char *value, struct config *c, struct err *err)
{
	return option_string(opt, value, &c->initrd, err);
}

int option_params(const char *opt, const char *value, struct config *c, struct err *err)
{
	char **more;

	for (const char *p = value; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return err_set(err, EINVAL, "%s: holds a control character", opt);
	more = reallocarray(c->params, c->nr_params + 1, sizeof(*more));
	if (!more)
		return err_errno(err, ENOMEM, "%s", opt);
	c->params = more;
	c->params[c->nr_params] = strdup(value);
	if (!c->params[c->nr_params])
		return err_errno(err, ENOMEM, "%s", opt);
	c->nr_params++;
	return 0;
}

static int option_serial(const char *opt, const char *value, struct config *c, struct err *err)
{
	static const char *const types[] = { "stdout", "file", "sink", NULL };
	static const char *const hardware[] = { "serial", "virtio-console", NULL };
#define SERIAL(n, t, m) .name = n, .type = t, .offset = offsetof(struct serial_config, m)
	static const struct kv_key keys[] = {
		{ SERIAL("type", KV_ENUM, type), .values = types,
			.seen_offset = offsetof(struct serial_config, type_seen) },
		{ SERIAL("hardware", KV_ENUM, hardware), .values = hardware,
			.seen_offset = offsetof(struct serial_config, hardware_seen) },
		{ SERIAL("num", KV_U64, num), .min = 1, .max = CONFIG_MAX_SERIALS,
			.seen_offset = offsetof(struct serial_config, num_seen) },
		{ SERIAL("path", KV_STR, path), .seen_offset = SIZE_MAX },
		{ SERIAL("input", KV_STR, input), .seen_offset = SIZE_MAX },
		{ SERIAL("console", KV_BOOL, is_console), .seen_offset = SIZE_MAX },
		{ SERIAL("earlycon", KV_BOOL, earlycon), .seen_offset = SIZE_MAX },
		{ SERIAL("stdin", KV_BOOL, use_stdin), .seen_offset = SIZE_MAX },
	};
#undef SERIAL
	struct serial_config *s;
	int rc;

	if (c->nr_serials == CONFIG_MAX_SERIALS)
		return err_set(err, EINVAL, "%s: more than %u", opt, CONFIG_MAX_SERIALS);
	s = &c->serial[c->nr_serials++];
	rc = kv_parse(opt, value, keys, ARRAY_SIZE(keys), true, s, err);
	if (!rc && !s->type_seen)
		return err_set(err, EINVAL, "%s: type: is needed", opt);
	return rc;
}

static int option_block(const char *opt, const char *value, struct config *c, struct err *err)
{
	static const char *const executors[] = { "uring", "epoll", NULL };
#define DISK(n, t, m) .name = n, .type = t, .offset = offsetof(struct disk_config, m)
	static const struct kv_key keys[] = {
		{ DISK("path", KV_STR, path), .seen_offset = SIZE_MAX },
		{ DISK("ro", KV_BOOL, ro), .seen_offset = SIZE_MAX },
		{ DISK("root", KV_BOOL, root), .seen_offset = SIZE_MAX },
		{ DISK("sparse", KV_BOOL, sparse), .seen_offset = SIZE_MAX },
		{ DISK("direct", KV_BOOL, direct), .seen_offset = SIZE_MAX },
		{ DISK("lock", KV_BOOL, lock), .seen_offset = SIZE_MAX },
		{ DISK("block-size", KV_U64, block_size), .min = 512, .max = 4096,
			.seen_offset = SIZE_MAX },
		{ DISK("id", KV_STR, id), .seen_offset = SIZE_MAX },
		{ DISK("async-executor", KV_ENUM, executor), .values = executors,
			.seen_offset = offsetof(struct disk_config, executor_seen) },
		{ DISK("queues", KV_U64, queues), .min = 1, .max = 16, .seen_offset = SIZE_MAX },
	};
#undef DISK
	struct disk_config *d;
	int rc;

	if (c->nr_disks == CONFIG_MAX_DISKS)
		return err_set(err, EINVAL, "%s: more than %u", opt, CONFIG_MAX_DISKS);
	d = &c->disk[c->nr_disks++];
	*d = (struct disk_config){ .sparse = true, .lock = true, .block_size = 512 };
	rc = kv_parse(opt, value, keys, ARRAY_SIZE(keys), true, d, err);
	if (rc)
		return rc;
	if (!d->path)
		return err_set(err, EINVAL, "%s: path: is needed", opt);
	if (!is_power_of_2(d->block_size))
		return err_set(err, EINVAL, "%s: block-size: %llu is not a power of two", opt,
			(unsigned long long)d->block_size);
	if (d->id && strlen(d->id) > 20)
		return err_set(err, EINVAL, "%s: id: '%s' is longer than 20 bytes", opt, d->id);
	return 0;
}

static int option_vhost_user(const char *opt, const char *value, struct config *c, struct err *err)
{
	static const char *const types[] = { "block", "console", "rng", "fs", NULL };
	static const struct kv_key keys[] = {
		{ .name = "type",
			.type = KV_ENUM,
			.values = types,
			.offset = offsetof(struct foreign_config, type),
			.seen_offset = offsetof(struct foreign_config, type_seen) },
		{ .name = "socket",
			.type = KV_STR,
			.offset = offsetof(struct foreign_config, socket),
			.seen_offset = SIZE_MAX },
		{ .name = "tag",
			.type = KV_STR,
			.offset = offsetof(struct foreign_config, tag),
			.seen_offset = SIZE_MAX },
	};
	struct foreign_config *f;
	int rc;

	if (c->nr_foreign == CONFIG_MAX_FOREIGN)
		return err_set(err, EINVAL, "%s: more than %u", opt, CONFIG_MAX_FOREIGN);
	f = &c->foreign[c->nr_foreign++];
	rc = kv_parse(opt, value, keys, ARRAY_SIZE(keys), true, f, err);
	if (rc)
		return rc;
	if (!f->type_seen)
		return err_set(err, EINVAL, "%s: type: is needed", opt);
	if (!f->socket)
		return err_set(err, EINVAL, "%s: socket: is needed", opt);
	if (f->tag && f->type != FOREIGN_FS)
		return err_set(err, EINVAL, "%s: tag: only with type=fs", opt);
	if (f->tag && (!*f->tag || strlen(f->tag) > CONFIG_MAX_TAG))
		return err_set(err, EINVAL, "%s: tag: '%s' has not 1 to %u bytes", opt, f->tag,
			CONFIG_MAX_TAG);
	return 0;
}

static int option_clock(const char *opt, const char *value, struct config *c, struct err *err)
{
	if (parse_u64(value, 0, UINT32_MAX, &c->clock_s))
		return err_set(
			err, EINVAL, "%s: '%s' is not a number of seconds below 2^32", opt, value);
	c->clock_seen = true;
	return 0;
}

static int option_seed(const char *opt, const char *value, struct config *c, struct err *err)
{
	return option_string(opt, value, &c->seed, err);
}

static int option_cpu_model(const char *opt, const char *value, struct config *c, struct err *err)
{
	static const char *const names[] = { "host", "baseline" };

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(value, names[i])) {
			c->cpu_model = i;
			c->cpu_model_seen = true;
			return 0;
		}
	}
	return err_set(err, EINVAL, "%s: '%s' is not host or baseline", opt, value);
}

static int option_deterministic(const char *opt __unused, const char *value __unused,
	struct config *c, struct err *err __unused)
{
	c->deterministic = true;
	return 0;
}

static int option_print_hash(const char *opt __unused, const char *value __unused, struct config *c,
	struct err *err __unused)
{
	c->print_hash = true;
	return 0;
}

int option_disable_sandbox(const char *opt __unused, const char *value __unused, struct config *c,
	struct err *err __unused)
{
	c->disable_sandbox = true;
	return 0;
}

static int option_no_rng(const char *opt __unused, const char *value __unused, struct config *c,
	struct err *err __unused)
{
	c->no_rng = true;
	return 0;
}

static int option_no_acpi(const char *opt __unused, const char *value __unused, struct config *c,
	struct err *err __unused)
{
	c->no_acpi = true;
	return 0;
}

int option_force(const char *opt __unused, const char *value __unused, struct config *c,
	struct err *err __unused)
{
	c->force = true;
	return 0;
}

static int option_timeout(const char *opt, const char *value, struct config *c, struct err *err)
{
	if (parse_u64(value, 1, UINT32_MAX, &c->timeout_s))
		return err_set(err, EINVAL, "%s: '%s' is not a number of seconds", opt, value);
	return 0;
}

int option_name(const char *opt, const char *value, struct config *c, struct err *err)
{
	for (const char *p = value; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f)
			return err_set(err, EINVAL, "%s: '%s' holds a blank or a control character",
				opt, value);
	if (strlen(value) > 64)
		return err_set(err, EINVAL, "%s: is longer than 64 bytes", opt);
	return option_string(opt, value, &c->name, err);
}

static int option_dump_tables(const char *opt, const char *value, struct config *c, struct err *err)
{
	return option_string(opt, value, &c->dump_tables, err);
}

static int option_dump_fdt(const char *opt, const char *value, struct config *c, struct err *err)
{
	return option_string(opt, value, &c->dump_fdt, err);
}

int option_hypervisor(const char *opt, const char *value, struct config *c, struct err *err)
{
	static const char prefix[] = "kvm[device=";
	size_t len = strlen(value), skip = sizeof(prefix) - 1;
	char *path;

	if (!strcmp(value, "kvm"))
		return 0;
	if (strncmp(value, prefix, skip) || len <= skip + 1 || value[len - 1] != ']')
		return err_set(err, EINVAL, "%s: '%s' is not kvm or kvm[device=PATH]", opt, value);
	if (c->kvm_device)
		return err_set(err, EINVAL, "%s: given twice", opt);
	path = strndup(value + skip, len - skip - 1);
	c->kvm_device = path;
	return path ? 0 : err_errno(err, ENOMEM, "%s", opt);
}

int option_log_level(const char *opt, const char *value, struct config *c, struct err *err)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(value, names[i])) {
			c->log_level = i;
			return 0;
		}
	}
	return err_set(err, EINVAL, "%s: '%s' is not error, warn, info or debug", opt, value);
}

static const struct option options[] = {
	{ "cpus", 'c', "[num-cores=]N", option_cpus, "CPUs of the guest, 1 to 64. Default 1.",
		false },
	{ "mem", 'm', "[size=]MIB", option_mem,
		"RAM of the guest in MiB, 16 and more. Default 256. RAM past 3328 MiB lies "
		"above 4 GiB.",
		false },
	{ "initrd", 'i', "PATH", option_initrd, "Initial RAM disk.", false },
	{ "params", 'p', "TEXT", option_params,
		"Words for the kernel command line, after mayfly's own (panic=-1 and the "
		"console). May be repeated.",
		true },
	{ "serial", 0, "type=TYPE[,key=value...]", option_serial,
		"A serial line. type=stdout, file (with path=) or sink; hardware=serial (a "
		"16550, the default) or virtio-console; num=N (1 to 4: ttyS0 to ttyS3); "
		"path=FILE, which may be a FIFO; input=FILE or FIFO; console (the kernel's "
		"console); earlycon; stdin (input is mayfly's standard input; on a terminal "
		"Ctrl-A x ends the machine and Ctrl-A Ctrl-A sends Ctrl-A). Default: one 16550 "
		"on stdout and stdin. May be repeated.",
		true },
	{ "block", 'b', "[path=]PATH[,key=value...]", option_block,
		"A disk: a raw file or block device, /dev/vda, vdb, ... in command-line order. "
		"ro; root (adds root=/dev/vdX to the command line); sparse=BOOL (discard "
		"punches holes, default true); direct (bypass the page cache); lock=BOOL "
		"(flock the file, default true); block-size=512..4096; id=SERIAL (at most 20 "
		"bytes); async-executor=uring or epoll (plain system calls; default: uring "
		"where the host allows it); queues=1..16 (default: one per CPU, at most 8). "
		"May be repeated.",
		true },
	{ "vhost-user", 0, "type=TYPE,socket=PATH[,key=value...]", option_vhost_user,
		"A device that another program serves on the unix socket PATH, by the vhost-user "
		"protocol. type=block, console, rng or fs; tag=TAG (fs: the name to mount, where "
		"the program does not say it). mayfly waits up to 5 seconds for the program to "
		"listen; if it ends or breaks the protocol, the machine ends with status 33, or "
		"does not begin (status 1). May be repeated.",
		true },
	{ "shared-dir", 0, "PATH:TAG:type=TYPE[:key=value...]", option_shared_dir,
		"A directory of the host that the guest mounts as TAG. type=fs (virtio-fs) or p9 "
		"(9P2000.L, for guests without that); ro (BOOL); uid=N, gid=N: whom the guest sees as "
		"the owner of all files (0); posix_acl (BOOL, true: access control lists, where the host "
		"has them). Of fs: cache=never, auto (the default) or always; "
		"timeout=SECONDS that names and attributes hold (5; cache=never: 0; cache=always: "
		"86400); negative_timeout=SECONDS that a missing name holds (0); writeback (BOOL: the "
		"guest writes later). May be repeated.",
		true },
	{ "vsock", 0, "cid=N,socket=PATH|device=PATH", option_vsock,
		"A socket device for a guest of context id N (3 or more). What the guest connects to "
		"at port P of the host (context id 2) goes to the unix socket PATH_P. Who connects to "
		"the unix socket PATH and says \"CONNECT P\" and a line's end reaches port P of the "
		"guest, and reads \"OK\" and a number first. PATH stays when the machine has ended; "
		"the next one takes it over. Or device=PATH: the kernel's device of that path "
		"(/dev/vhost-vsock) serves it, and N is a context id of this host, for its programs' "
		"AF_VSOCK sockets.",
		false },
	{ "disable-sandbox", 0, NULL, option_disable_sandbox,
		"Run devices on a thread of the monitor, and without filters of system calls, "
		"instead of each device in a jailed process of its own.",
		false },
	{ "no-rng", 0, NULL, option_no_rng, "No virtio entropy device.", false },
	{ "no-acpi", 0, NULL, option_no_acpi,
		"Describe the machine with an MP table and virtio_mmio.device= words instead "
		"of ACPI, for kernels without it. Such a guest can reset but not power off.",
		false },
	{ "timeout", 0, "SECONDS", option_timeout,
		"End the machine with status 37 when it still runs after this time.", false },
	{ "name", 0, "NAME", option_name, "Name of the machine, in log lines and in ps.", false },
	{ "clock", 0, "SECONDS", option_clock,
		"The time of day at which the guest begins, in seconds since 1970 (UTC). Default: "
		"the host's time.",
		false },
	{ "seed", 0, "TEXT", option_seed,
		"Entropy for the guest's generator and for the place of its kernel is made of TEXT "
		"instead of the host's; there is no entropy device, and on x86_64 the command "
		"line gets nokaslr. Such a guest has no secrets.",
		false },
	{ "cpu-model", 0, "MODEL", option_cpu_model,
		"host (the default): all that the host's CPUs have and KVM offers. baseline: "
		"x86-64-v2, Armv8.0 or rv64gc, as far as KVM can hide the rest.",
		false },
	{ "deterministic", 0, NULL, option_deterministic,
		"The guest sees the same in each run: --clock 315532800 (the year 1980), --seed "
		"mayfly, --cpu-model baseline, and ids of disks made of --name and their number, "
		"where other options do not say them. How long instructions take is not fixed.",
		false },
	{ "print-hash", 0, NULL, option_print_hash,
		"Print one SHA-256 over what the guest would be given (kernel, initrd, command "
		"line, firmware tables, memory map, CPUs) and do not run it; --log-level info "
		"shows the parts.",
		false },
	{ "dump-tables", 0, "DIR", option_dump_tables,
		"Write the firmware tables that the guest is given as files in DIR.", false },
	{ "dump-device-tree-blob", 0, "PATH", option_dump_fdt,
		"Write the device tree that the guest is given to PATH, where machines have one "
		"(aarch64, riscv64).",
		false },
	{ "hypervisor", 0, "kvm[device=PATH]", option_hypervisor,
		"The hypervisor's device. Default /dev/kvm.", false },
	{ "force", 0, NULL, option_force, "Run even where KVM emulates each guest instruction.",
		false },
	{ "log-level", 0, "LEVEL", option_log_level, "error, warn (the default), info or debug.",
		false },
};

static int options_kernel(const char *word, struct config *c, struct err *err)
{
	if (c->kernel)
		return err_set(
			err, EINVAL, "'%s': a KERNEL was given already: '%s'", word, c->kernel);
	return option_string("KERNEL", word, &c->kernel, err);
}

const struct optable options_run = { "run", options, ARRAY_SIZE(options), options_kernel };
