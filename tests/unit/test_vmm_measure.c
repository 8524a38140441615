// SPDX-License-Identifier: BSD-3-Clause
/*
 * --print-hash: the same digest for the same machine, and another one for each thing that is
 * changed.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "hypervisor/fake/fake.h"
#include "vmm/vm.h"

#define MEM_BYTES (16 * MIB)

struct me {
	struct config cfg;
	struct vm vm;
	struct vcpu cpu[2];
	struct arch_boot boot;
	char first[sizeof(((struct vm *)0)->hash)];
};

static int me_file(const char *text)
{
	int fd = memfd_create("file", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
	return fd;
}

static int me_refuse(unsigned long req, void *arg)
{
	(void)req;
	(void)arg;
	return -EIO;
}

static int me_setup(void **state)
{
	struct me *t = calloc(1, sizeof(*t));
	struct err err;
	uint8_t *tree;

	memset(&fake_hv, 0, sizeof(fake_hv));
	config_init(&t->cfg);
	t->vm.cfg = &t->cfg;
	t->vm.cpu = t->cpu;
	t->vm.nr_cpus = 1;
	assert_int_equal(arch_add_ram(&t->vm.gm, MEM_BYTES, &err), 0);
	/* The head of a device tree, where a machine has one. */
	t->vm.load.payload.tables = t->vm.gm.region[0].base;
	tree = t->vm.gm.region[0].host;
	le32_put(tree + 4, __builtin_bswap32(64));
	t->boot = (struct arch_boot){
		.kernel_fd = me_file("kernel"), .initrd_fd = -1, .cmdline = "panic=-1"
	};
	*state = t;
	return 0;
}

static int me_teardown(void **state)
{
	struct me *t = *state;

	fd_close(&t->boot.kernel_fd);
	fd_close(&t->boot.initrd_fd);
	gm_fini(&t->vm.gm);
	config_fini(&t->cfg);
	free(t);
	return 0;
}

#define ME_TEST(f) cmocka_unit_test_setup_teardown(f, me_setup, me_teardown)

static const char *me_hash(struct me *t)
{
	struct err err;

	memset(t->vm.hash, 0, sizeof(t->vm.hash));
	if (measure(&t->vm, &t->boot, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(strlen(t->vm.hash), 64);
	return t->vm.hash;
}

static void me_first(struct me *t)
{
	strcpy(t->first, me_hash(t));
	assert_string_equal(me_hash(t), t->first);
}

/** It is another one now. */
static void me_differs(struct me *t, const char *what)
{
	if (!strcmp(me_hash(t), t->first))
		fail_msg("the digest does not know of %s", what);
	strcpy(t->first, t->vm.hash);
}

static void every_part_counts(void **state)
{
	struct me *t = *state;

	me_first(t);
	fd_close(&t->boot.kernel_fd);
	t->boot.kernel_fd = me_file("kernel2");
	me_differs(t, "the kernel");
	t->boot.initrd_fd = me_file("");
	me_differs(t, "an empty initrd");
	fd_close(&t->boot.initrd_fd);
	t->boot.initrd_fd = me_file("initrd");
	me_differs(t, "the initrd");
	t->boot.cmdline = "panic=-1 quiet";
	me_differs(t, "the command line");
	t->vm.gm.region[0].host[40] ^= 1;
	me_differs(t, "tables");
	t->vm.entry.pc = 1;
	me_differs(t, "the entry");
	t->vm.gm.region[0].len -= MIB;
	me_differs(t, "RAM");
	t->vm.gm.region[0].len += MIB;
	me_first(t);
	t->vm.nr_cpus = 2;
	me_differs(t, "a CPU");
	t->vm.dev[t->vm.nr_devs++] = (struct dev_desc){ .kind = DEV_UART, .base = 0x3f8 };
	me_differs(t, "a device");
	t->vm.dev[0].base++;
	me_differs(t, "a device's place");
}

static void what_is_fixed_counts_and_what_is_the_hosts_is_said(void **state)
{
	struct me *t = *state;

	me_first(t);
	t->cfg.clock_seen = true;
	me_differs(t, "a clock");
	t->cfg.clock_s = 1;
	me_differs(t, "the time of day");
	t->cfg.cpu_model = CPU_MODEL_BASELINE;
	me_differs(t, "the model");
	t->cfg.seed = strdup("s");
	me_differs(t, "a seed");
	t->cfg.no_rng = true;
	me_differs(t, "the entropy device");
	t->cfg.disk[t->cfg.nr_disks++] = (struct disk_config){ .ro = true };
	me_differs(t, "a disk");
	t->cfg.disk[0].id = strdup("id");
	me_differs(t, "a disk's id");
	t->cfg.disk[0].ro = false;
	me_differs(t, "whether a disk can be written");
}

static void a_file_is_read_whole_whatever_its_length(void **state)
{
	struct me *t = *state;

	/* A byte on either side of what is read at once. */
	for (long len = 64 * 1024 - 1; len <= 64 * 1024 + 1; len++) {
		assert_int_equal(ftruncate(t->boot.kernel_fd, len), 0);
		me_first(t);
		assert_int_equal(pwrite(t->boot.kernel_fd, "x", 1, len - 1), 1);
		me_differs(t, "the last byte");
	}
}

static void a_file_or_cpu_that_cannot_be_read_is_an_error(void **state)
{
	struct me *t = *state;
	struct err err;
	int fd = t->boot.kernel_fd;

	t->boot.kernel_fd = -1;
	assert_int_equal(measure(&t->vm, &t->boot, &err), -EBADF);
	assert_non_null(strstr(err.msg, "--print-hash: kernel: "));
	t->boot.kernel_fd = fd;
	t->boot.initrd_fd = 1 << 20;
	assert_int_equal(measure(&t->vm, &t->boot, &err), -EBADF);
	t->boot.initrd_fd = -1;
	fake_hv.ioctl = me_refuse;
	/* A device tree's CPUs may have registers that KVM does not know. */
	if (arch_has_acpi)
		assert_int_equal(measure(&t->vm, &t->boot, &err), -EIO);
	else
		assert_int_equal(measure(&t->vm, &t->boot, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ME_TEST(every_part_counts),
		ME_TEST(what_is_fixed_counts_and_what_is_the_hosts_is_said),
		ME_TEST(a_file_is_read_whole_whatever_its_length),
		ME_TEST(a_file_or_cpu_that_cannot_be_read_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
