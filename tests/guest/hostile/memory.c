// SPDX-License-Identifier: BSD-3-Clause
/*
 * What the program reaches: register pages by /dev/mem, and one huge page, because its bytes are
 * neighbours for the device as well. The first half of it holds rings, the second buffers.
 */
#include "tests/guest/hostile/hostile.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define ARENA_LEN  (2U << 20)
#define RING_LEN   32768U /* of one queue: 256 descriptors, both rings and a table have room */
#define RING_AVAIL 8192U
#define RING_USED  16384U
#define RING_TABLE 24576U
#define GOOD_LEN   65536U

_Static_assert(HOSTILE_MAX_DEVS *HOSTILE_MAX_QUEUES *RING_LEN <= ARENA_LEN / 2, "rings fit");
_Static_assert(HOSTILE_MAX_DEVS *GOOD_LEN < ARENA_LEN / 2, "buffers fit, and some are left");

struct dev hostile_dev[HOSTILE_MAX_DEVS];
unsigned hostile_nr_devs;
struct span hostile_buf;
uint64_t hostile_ram_end;

static __noreturn void memory_fail(const char *what)
{
	printf("hostile: %s: %s\n", what, strerror(errno));
	exit(2);
}

static struct span arena;

/** Bit 63 of an entry says that there is a page, the low 55 bits where (Linux pagemap.rst). */
static uint64_t memory_gpa(const void *p)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry;

	if (fd < 0 ||
		pread(fd, &entry, sizeof(entry),
			(off_t)((uintptr_t)p / HOSTILE_PAGE * sizeof(entry))) != sizeof(entry))
		memory_fail("/proc/self/pagemap");
	close(fd);
	if (!(entry >> 63) || !(entry & (BIT(55) - 1)))
		memory_fail("the place of a page is not told");
	return (entry & (BIT(55) - 1)) * HOSTILE_PAGE;
}

static void memory_make_arena(void)
{
	arena.p = mmap(NULL, ARENA_LEN, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE, -1, 0);
	if (arena.p == MAP_FAILED)
		memory_fail("a huge page (hugepages=1 on the command line)");
	memset(arena.p, 0, ARENA_LEN);
	arena.gpa = memory_gpa(arena.p);
	arena.len = ARENA_LEN;
	hostile_buf = span_part(&arena, ARENA_LEN / 2 + HOSTILE_MAX_DEVS * GOOD_LEN,
		ARENA_LEN / 2 - HOSTILE_MAX_DEVS * GOOD_LEN);
}

static void memory_place_rings(struct dev *d)
{
	for (unsigned q = 0; q < HOSTILE_MAX_QUEUES; q++) {
		struct ring *r = &d->ring[q];
		struct span s = span_part(
			&arena, (d->number * HOSTILE_MAX_QUEUES + q) * RING_LEN, RING_LEN);

		r->desc = (void *)s.p;
		r->avail = (void *)(s.p + RING_AVAIL);
		r->used = (void *)(s.p + RING_USED);
		r->table = span_part(&s, RING_TABLE, RING_LEN - RING_TABLE);
		r->desc_gpa = s.gpa;
	}
	d->good = span_part(&arena, ARENA_LEN / 2 + d->number * GOOD_LEN, GOOD_LEN);
}

static const struct kind *memory_kind(uint32_t id)
{
	const struct kind *k;

	for (k = hostile_kinds; k->name && k->id != id; k++)
		;
	return k->name ? k : NULL;
}

static void memory_add_dev(int mem, uint64_t base)
{
	struct dev *d = &hostile_dev[hostile_nr_devs];
	void *page;

	if (hostile_nr_devs == HOSTILE_MAX_DEVS)
		memory_fail("more devices than there is room for");
	page = mmap(NULL, HOSTILE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, mem, (off_t)base);
	if (page == MAP_FAILED)
		memory_fail("a register page in /dev/mem");
	d->base = base;
	d->page = page;
	d->number = hostile_nr_devs++;
	d->kind = memory_kind(reg_get(d, VIRTIO_MMIO_DEVICE_ID));
	if (!d->kind)
		memory_fail("a device of a kind without a row in kinds.c");
	snprintf(d->name, sizeof(d->name), "%s%u", d->kind->name, d->number);
	memory_place_rings(d);
}

/** ACPI's devices are in /proc/iomem, where the end of RAM is, too. */
static void memory_read_iomem(int mem)
{
	FILE *f = fopen("/proc/iomem", "re");
	char line[256];

	if (!f)
		memory_fail("/proc/iomem");
	while (fgets(line, sizeof(line), f)) {
		char *end;
		uint64_t from = strtoull(line, &end, 16);

		if (strstr(line, "LNRO0005"))
			memory_add_dev(mem, from);
		if (*end == '-' && strstr(line, "System RAM"))
			hostile_ram_end = strtoull(end + 1, NULL, 16) + 1;
	}
	fclose(f);
	if (!hostile_ram_end)
		memory_fail("/proc/iomem does not tell where RAM ends");
}

static void memory_read_tree(int mem)
{
	glob_t g;

	if (glob("/proc/device-tree/virtio*@*", 0, NULL, &g))
		return;
	for (size_t i = 0; i < g.gl_pathc; i++)
		memory_add_dev(mem, strtoull(strrchr(g.gl_pathv[i], '@') + 1, NULL, 16));
	globfree(&g);
}

void memory_open(void)
{
	int mem = open("/dev/mem", O_RDWR | O_SYNC | O_CLOEXEC);

	if (mem < 0)
		memory_fail("/dev/mem");
	memory_make_arena();
	memory_read_iomem(mem);
	memory_read_tree(mem);
	if (!hostile_nr_devs)
		memory_fail("no virtio-mmio device");
	close(mem);
}

struct dev *memory_other(const struct dev *d)
{
	return &hostile_dev[(d->number + 1) % hostile_nr_devs];
}
