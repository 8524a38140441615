// SPDX-License-Identifier: BSD-3-Clause
/*
 * What is loaded into the guest before it runs: kernel and initrd on a thread of their own,
 * while the main thread makes the machine around them; then, with the devices known, the
 * command line and the firmware description.
 *
 * Invariant: between load_start and load_finish (or load_fini) the files, the RAM's contents,
 * `payload`, `rc` and `err` are the thread's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/thread.h"
#include "vmm/fixed.h"
#include "vmm/vm.h"

int load_open(struct vm *vm, struct err *err)
{
	struct load *l = &vm->load;

	l->kernel_fd = fd_open("KERNEL", vm->cfg->kernel, O_RDONLY, err);
	if (l->kernel_fd < 0)
		return l->kernel_fd;
	if (!vm->cfg->initrd)
		return 0;
	l->initrd_fd = fd_open("--initrd", vm->cfg->initrd, O_RDONLY, err);
	return l->initrd_fd < 0 ? l->initrd_fd : 0;
}

static struct arch_boot load_boot(struct vm *vm)
{
	return (struct arch_boot){
		.nr_cpus = (unsigned)vm->cfg->cpus,
		.no_acpi = vm->cfg->no_acpi,
		.dev = vm->dev,
		.nr_devs = vm->nr_devs,
		.kernel_fd = vm->load.kernel_fd,
		.initrd_fd = vm->load.initrd_fd,
		.kernel_path = vm->cfg->kernel,
		.initrd_path = vm->cfg->initrd,
		.fixed_seed = vm->cfg->seed,
		.av = vm->arch,
	};
}

static void *load_thread(void *arg)
{
	struct vm *vm = arg;
	struct arch_boot boot = load_boot(vm);

	vm->load.rc = arch_load_payload(&vm->gm, &boot, &vm->load.payload, &vm->load.err);
	return NULL;
}

int load_start(struct vm *vm, struct err *err)
{
	int rc = thread_create(&vm->load.thread, load_thread, vm);

	if (rc)
		return err_errno(err, -rc, "KERNEL: thread that loads it");
	vm->load.started = true;
	return 0;
}

static void load_join(struct load *l)
{
	if (l->started)
		pthread_join(l->thread, NULL);
	l->started = false;
}

static void load_free_text(char **text)
{
	free(*text);
}

/** Fills in what the guest's generator begins with. */
static int load_seed(const struct config *cfg, uint8_t seed[FIXED_SEED_LEN], struct err *err)
{
	if (cfg->seed)
		fixed_seed(cfg->seed, seed);
	else if (cfg->print_hash)
		memset(seed, 0, FIXED_SEED_LEN); /* another one each time: not of the digest */
	else if (getrandom(seed, FIXED_SEED_LEN, 0) != FIXED_SEED_LEN)
		return err_errno(err, errno, "entropy for the guest");
	return 0;
}

/** What depends on the devices. */
static int load_around(struct vm *vm, struct err *err)
{
	static const size_t words_len = (size_t)ARCH_MAX_VIRTIO * 48 + 1;
	__cleanup(load_free_text) char *words = malloc(words_len);
	__cleanup(load_free_text) char *cmdline = NULL;
	struct arch_boot boot = load_boot(vm);
	uint8_t seed[FIXED_SEED_LEN];
	int rc;

	if (!words)
		return err_errno(err, ENOMEM, "--params");
	arch_cmdline_words(&boot, words, words_len);
	cmdline = config_cmdline(vm->cfg, words);
	if (!cmdline)
		return err_errno(err, ENOMEM, "--params");
	log_debug("command line: %s", cmdline);
	rc = load_seed(vm->cfg, seed, err);
	if (rc)
		return rc;
	boot.cmdline = cmdline;
	boot.rng_seed = seed;
	boot.rng_seed_len = sizeof(seed);
	rc = arch_load(&vm->gm, &boot, &vm->load.payload, &vm->entry, err);
	explicit_bzero(seed, sizeof(seed));
	if (rc == -E2BIG && vm->cfg->no_acpi)
		return err_prefix(err, rc, "--no-acpi: %u devices are named on the command line",
			vm->nr_virtio);
	if (!rc && vm->cfg->dump_tables)
		rc = arch_dump_tables(&vm->gm, &boot, &vm->load.payload, vm->cfg->dump_tables, err);
	if (!rc && vm->cfg->dump_fdt)
		rc = arch_dump_fdt(&vm->gm, &vm->load.payload, vm->cfg->dump_fdt, err);
	if (!rc && vm->cfg->print_hash)
		rc = measure(vm, &boot, err);
	return rc;
}

int load_finish(struct vm *vm, struct err *err)
{
	struct load *l = &vm->load;
	int rc;

	load_join(l);
	rc = l->rc;
	if (rc)
		*err = l->err;
	else
		rc = load_around(vm, err);
	fd_close(&l->kernel_fd);
	fd_close(&l->initrd_fd);
	return rc;
}

void load_fini(struct vm *vm)
{
	load_join(&vm->load);
	fd_close(&vm->load.kernel_fd);
	fd_close(&vm->load.initrd_fd);
}
