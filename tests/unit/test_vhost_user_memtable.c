// SPDX-License-Identifier: BSD-3-Clause
/* vhost-user/memtable.c: regions of files, good and bad. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vhost-user/memtable.h"

#define PAGE PAGE_SIZE_4K

static int file_of(uint64_t pages)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)(pages * PAGE)), 0);
	return fd;
}

static int add(
	struct vu_memtable *t, int fd, uint64_t gpa, uint64_t len, uint64_t uaddr, uint64_t offset)
{
	struct vu_region r = { .gpa = gpa, .len = len, .uaddr = uaddr, .offset = offset };
	const char *why = NULL;
	unsigned before = t->nr;
	int rc = vu_memtable_add(t, &r, fd, &why);

	if (rc) {
		assert_non_null(why);
		assert_int_equal(t->nr, before);
	}
	return rc;
}

static void regions_are_shown_in_order_whatever_came_first(void **state __unused)
{
	struct vu_memtable t = { 0 };
	struct guest_memory gm = { 0 };
	int fd = file_of(4);
	gpa_t gpa;

	assert_int_equal(pwrite(fd, "x", 1, PAGE), 1);
	assert_int_equal(add(&t, fd, 8 * PAGE, PAGE, 0x100000, 0), 0);
	assert_int_equal(add(&t, fd, 2 * PAGE, 2 * PAGE, 0x200000, PAGE), 0);
	assert_int_equal(add(&t, fd, 16 * PAGE, PAGE, 0x300000, 3 * PAGE), 0);
	vu_memtable_show(&t, &gm);
	assert_int_equal(gm.nr_regions, 3);
	assert_int_equal(*(char *)gm_slice(&gm, 2 * PAGE, 1), 'x');
	assert_true(vu_memtable_translate(&t, 0x201fff, &gpa));
	assert_int_equal(gpa, 3 * PAGE + 0xfff);
	assert_false(vu_memtable_translate(&t, 0x202000, &gpa));
	assert_false(vu_memtable_translate(&t, 0x1fffff, &gpa));
	assert_false(vu_memtable_translate(&t, 0, &gpa));
	assert_false(vu_memtable_translate(&t, UINT64_MAX, &gpa));
	/* Shared with the file, both ways. */
	*(char *)gm_slice(&gm, 16 * PAGE, 1) = 'y';
	char c;
	assert_int_equal(pread(fd, &c, 1, 3 * PAGE), 1);
	assert_int_equal(c, 'y');
	gm_fini(&gm);
	vu_memtable_clear(&t);
	vu_memtable_clear(&t);
	close(fd);
}

static void odd_regions_are_refused(void **state __unused)
{
	struct vu_memtable t = { 0 };
	int fd = file_of(4);

	assert_int_equal(add(&t, fd, 0, 0, 0, 0), -EINVAL);
	assert_int_equal(add(&t, fd, 1, PAGE, 0, 0), -EINVAL);
	assert_int_equal(add(&t, fd, 0, PAGE + 1, 0, 0), -EINVAL);
	assert_int_equal(add(&t, fd, 0, PAGE, 8, 0), -EINVAL);
	assert_int_equal(add(&t, fd, 0, PAGE, 0, 512), -EINVAL);
	assert_int_equal(add(&t, fd, -PAGE, 2 * PAGE, 0, 0), -EINVAL);
	assert_int_equal(add(&t, fd, 0, 2 * PAGE, -PAGE, 0), -EINVAL);
	/* The very end of either is fine. */
	assert_int_equal(add(&t, fd, -PAGE, PAGE, -PAGE, 0), 0);
	vu_memtable_clear(&t);
	close(fd);
}

static void regions_past_the_end_of_their_file_are_refused(void **state __unused)
{
	struct vu_memtable t = { 0 };
	int fd = file_of(4), pipes[2];

	assert_int_equal(add(&t, fd, 0, 5 * PAGE, 0, 0), -EINVAL);
	assert_int_equal(add(&t, fd, 0, PAGE, 0, 4 * PAGE), -EINVAL);
	assert_int_equal(add(&t, fd, 0, 2 * PAGE, 0, 3 * PAGE), -EINVAL);
	assert_int_equal(add(&t, fd, 0, PAGE, 0, 5 * PAGE), -EINVAL);
	assert_int_equal(add(&t, fd, 0, PAGE, 0, -PAGE), -EINVAL);
	assert_int_equal(add(&t, fd, 0, 1ULL << 62, 0, 0), -EINVAL);
	assert_int_equal(pipe2(pipes, 0), 0);
	assert_int_equal(add(&t, pipes[0], 0, PAGE, 0, 0), -EINVAL);
	assert_int_equal(add(&t, -1, 0, PAGE, 0, 0), -EBADF);
	close(pipes[0]);
	close(pipes[1]);
	close(fd);
}

static void a_file_that_cannot_be_mapped_is_an_error(void **state __unused)
{
	struct vu_memtable t = { 0 };
	char path[] = "/tmp/mayfly-memtable.XXXXXX";
	int fd = mkstemp(path), ro;

	assert_int_equal(ftruncate(fd, PAGE), 0);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	unlink(path);
	assert_int_equal(add(&t, ro, 0, PAGE, 0, 0), -EACCES);
	close(ro);
	close(fd);
}

static void regions_that_overlap_are_refused(void **state __unused)
{
	struct vu_memtable t = { 0 };
	int fd = file_of(8);

	assert_int_equal(add(&t, fd, 4 * PAGE, 4 * PAGE, 0x100000, 0), 0);
	assert_int_equal(add(&t, fd, 4 * PAGE, PAGE, 0x200000, 0), -EEXIST);
	assert_int_equal(add(&t, fd, 3 * PAGE, 2 * PAGE, 0x200000, 0), -EEXIST);
	assert_int_equal(add(&t, fd, 7 * PAGE, PAGE, 0x200000, 0), -EEXIST);
	assert_int_equal(add(&t, fd, 0, 8 * PAGE, 0x200000, 0), -EEXIST);
	assert_int_equal(add(&t, fd, 0, PAGE, 0x103000, 0), -EEXIST);
	assert_int_equal(add(&t, fd, 0, 2 * PAGE, 0xff000, 0), -EEXIST);
	assert_int_equal(add(&t, fd, 3 * PAGE, PAGE, 0x104000, 0), 0);
	assert_int_equal(add(&t, fd, 8 * PAGE, PAGE, 0xff000, 0), 0);
	vu_memtable_clear(&t);
	close(fd);
}

static void there_is_room_for_eight(void **state __unused)
{
	struct vu_memtable t = { 0 };
	struct vu_region r = { .gpa = 6 * PAGE, .len = PAGE, .uaddr = 6 * PAGE };
	struct guest_memory gm = { 0 };
	int fd = file_of(1);

	for (unsigned i = 0; i < VU_MAX_REGIONS; i++)
		assert_int_equal(add(&t, fd, 2 * i * PAGE, PAGE, 2 * i * PAGE, 0), 0);
	assert_int_equal(add(&t, fd, 0x1000000, PAGE, 0x1000000, 0), -ENOSPC);
	assert_int_equal(vu_memtable_remove(&t, &r), 0);
	assert_int_equal(vu_memtable_remove(&t, &r), -ENOENT);
	r.gpa = 4 * PAGE;
	assert_int_equal(vu_memtable_remove(&t, &r), -ENOENT);
	vu_memtable_show(&t, &gm);
	assert_int_equal(gm.nr_regions, VU_MAX_REGIONS - 1);
	assert_null(gm_slice(&gm, 6 * PAGE, 1));
	assert_non_null(gm_slice(&gm, 8 * PAGE, 1));
	gm_fini(&gm);
	vu_memtable_clear(&t);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(regions_are_shown_in_order_whatever_came_first),
		cmocka_unit_test(odd_regions_are_refused),
		cmocka_unit_test(regions_past_the_end_of_their_file_are_refused),
		cmocka_unit_test(a_file_that_cannot_be_mapped_is_an_error),
		cmocka_unit_test(regions_that_overlap_are_refused),
		cmocka_unit_test(there_is_room_for_eight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
