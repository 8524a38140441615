// SPDX-License-Identifier: BSD-3-Clause
/*
 * A kernel file of any bytes for any machine, then an initrd and a command line of any length
 * behind it.
 *
 * Input: 4 bytes that shape the machine, then the kernel file.
 *   0: low, in pages above 1 MiB       1: bit 0: the second region is adjacent;
 *                                         bits 1, 2: x86_64, aarch64, riscv64
 *   2: the initrd's length, in KiB     3: the command line's length, times 16; room for 2048
 *
 * Beside memory errors it looks for promises broken: anything below low, outside of what the
 * image says it occupies, or an initrd that is not where it was said to be. What is compressed
 * unpacks to at most the machine's RAM, which bounds the time of a run.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/kernel_targets.h"

#define FL_PARAMS  4
#define FL_RAM1    (2 * MIB) /* at 1 MiB */
#define FL_RAM2    (4 * MIB) /* at 3 MiB or 4 MiB */
#define FL_CMDLINE 4096      /* one page of its own RAM, at 0 */

static const struct kernel_target *const fl_target[] = { &li_x86, &li_arm64, &li_riscv64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void fl_check(bool ok)
{
	if (!ok)
		abort();
}

/** Fresh zero pages each time, at the price of those that were touched. */
static uint8_t *fl_ram(void)
{
	static uint8_t *ram;
	size_t len = FL_CMDLINE + FL_RAM1 + FL_RAM2;

	if (!ram) {
		ram = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		fl_check(ram != MAP_FAILED);
	}
	fl_check(!madvise(ram, len, MADV_DONTNEED));
	return ram;
}

static int fl_file(const void *bytes, size_t len)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	fl_check(fd >= 0);
	fl_check(write(fd, bytes, len) == (ssize_t)len);
	return fd;
}

static void fl_initrd(const struct guest_memory *gm, const struct kernel_image *k, size_t len)
{
	static uint8_t bytes[256 * KIB];
	gpa_t limit = gm->region[2].base + FL_RAM2 / 2, start;
	struct err err;
	uint64_t found;
	int rc, fd;

	memset(bytes, 0x69, sizeof(bytes));
	fd = fl_file(bytes, len);
	rc = initrd_load(gm, fd, "fuzz", k, limit, &start, &found, &err);
	close(fd);
	fl_check(rc == 0 || rc == -ENOSPC || (rc == -EINVAL && !len));
	if (rc)
		return;
	fl_check(found == len && !(start & (k->page_size - 1)) && start >= k->end);
	fl_check(len <= limit - start && start + len - 1 <= k->initrd_max);
	for (size_t i = 0; i < len; i += 1024)
		fl_check(*(uint8_t *)gm_slice(gm, start + i, 1) == 0x69);
}

static void fl_cmdline(const struct guest_memory *gm, const struct kernel_image *k, size_t len)
{
	char text[4096 + 1];
	struct err err;
	int rc;

	memset(text, 'c', len);
	text[len] = 0;
	rc = cmdline_load(gm, text, k, 0, 2048, &err);
	fl_check(rc == (len > k->cmdline_max || len >= 2048 ? -E2BIG : 0));
}

static void fl_check_image(const struct guest_memory *gm, const struct kernel_target *t,
	const struct kernel_image *k, const uint8_t *ram1, gpa_t low)
{
	fl_check(k->start >= low && k->start < k->end);
	fl_check(k->entry >= k->start && k->entry < k->end);
	fl_check(gm_slice(gm, k->entry, 1) && gm_slice(gm, k->end - 1, 1));
	fl_check(k->setup_header_len <= SETUP_HEADER_MAX);
	fl_check(k->cmdline_max > 0 && k->page_size >= 4096 && k->page_size <= 65536);
	fl_check(t->formats & BIT(k->kind));
	/* Nothing was written in front of it. */
	for (gpa_t a = MIB; a < MIN(k->start, MIB + FL_RAM1); a += 64)
		fl_check(!ram1[a - MIB]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct kernel_target *t;
	struct guest_memory gm = { 0 };
	struct kernel_image k;
	struct err err;
	uint8_t *ram;
	gpa_t low;
	int fd, rc;

	if (len < FL_PARAMS)
		return 0;
	ram = fl_ram();
	t = fl_target[(data[1] >> 1 & 3) % ARRAY_SIZE(fl_target)];
	low = MIB + data[0] * 4096ULL;
	fl_check(!gm_add_borrowed(&gm, 0, ram, FL_CMDLINE));
	fl_check(!gm_add_borrowed(&gm, MIB, ram + FL_CMDLINE, FL_RAM1));
	fl_check(!gm_add_borrowed(
		&gm, data[1] & 1 ? 3 * MIB : 4 * MIB, ram + FL_CMDLINE + FL_RAM1, FL_RAM2));
	fd = fl_file(data + FL_PARAMS, len - FL_PARAMS);
	memset(err.msg, 'e', sizeof(err.msg));
	rc = kernel_load(&gm, fd, "fuzz", t, low, &k, &err);
	close(fd);
	if (!rc) {
		fl_check_image(&gm, t, &k, ram + FL_CMDLINE, low);
		fl_initrd(&gm, &k, data[2] * KIB);
		fl_cmdline(&gm, &k, data[3] * 16U);
	} else {
		/* Memory files do not fail to be read. */
		fl_check(rc == -ENOEXEC || rc == -EINVAL || rc == -ENOSPC);
		fl_check(!strncmp(err.msg, "KERNEL: fuzz: ", 14));
		fl_check(strnlen(err.msg, sizeof(err.msg)) < sizeof(err.msg));
	}
	gm_fini(&gm);
	return 0;
}
