// SPDX-License-Identifier: BSD-3-Clause
/* Where the initrd goes; and the search for room behind it. */
#include "tests/unit/loader_images.h"

#include <fcntl.h>
#include <stdio.h>

struct initrd_try {
	uint64_t size;
	gpa_t kernel_end, limit, initrd_max;
	gpa_t start; /* found */
	uint64_t len;
};

/** A sparse initrd of the given size whose first and last bytes are marked. */
static int initrd_try(struct li *t, struct initrd_try *i)
{
	struct kernel_image k = { .end = i->kernel_end, .initrd_max = i->initrd_max };
	int rc, fd = li_memfd("", 0);

	i->start = i->len = 99;
	assert_int_equal(ftruncate(fd, (off_t)i->size), 0);
	if (i->size) {
		assert_int_equal(pwrite(fd, "L", 1, (off_t)i->size - 1), 1);
		assert_int_equal(pwrite(fd, "F", 1, 0), 1);
	}
	rc = initrd_load(&t->gm, fd, "root.cpio", &k, i->limit, &i->start, &i->len, &t->err);
	close(fd);
	if (rc) {
		assert_ptr_equal(strstr(t->err.msg, "--initrd: root.cpio: "), t->err.msg);
		assert_int_equal(i->start, 99);
		assert_int_equal(i->len, 99);
	}
	return rc;
}

static void an_initrd_goes_to_the_top_on_a_page(void **state)
{
	struct li *t = *state;
	struct initrd_try i = { 5000, 2 * MIB, 5 * MIB, 0x7fffffff, 0, 0 };

	assert_int_equal(initrd_try(t, &i), 0);
	assert_int_equal(i.start, 5 * MIB - 8192);
	assert_int_equal(i.len, 5000);
	assert_int_equal(t->ram2[LI_RAM2 - 8192], 'F');
	assert_int_equal(t->ram2[LI_RAM2 - 8192 + 4999], 'L');
	assert_int_equal(t->ram2[LI_RAM2 - 8192 + 5000], 0);
}

static void an_initrd_stays_below_limit(void **state)
{
	struct li *t = *state;
	struct initrd_try i = { 4096, 2 * MIB, 4 * MIB + 8192, 0x7fffffff, 0, 0 };

	assert_int_equal(initrd_try(t, &i), 0);
	assert_int_equal(i.start, 4 * MIB + 4096);
	/* No page of it is shared with what starts at limit. */
	i.limit = 4 * MIB + 8191;
	assert_int_equal(initrd_try(t, &i), 0);
	assert_int_equal(i.start, 4 * MIB);
	i.limit = 4 * MIB + 4095;
	assert_int_equal(initrd_try(t, &i), 0);
	assert_int_equal(i.start, 3 * MIB - 4096);
}

static void an_initrds_last_byte_may_be_at_initrd_max(void **state)
{
	struct li *t = *state;
	struct initrd_try i = { 4096, MIB, 5 * MIB, 2 * MIB - 1, 0, 0 };

	assert_int_equal(initrd_try(t, &i), 0);
	assert_int_equal(i.start, 2 * MIB - 4096);
	i.initrd_max = 2 * MIB - 2;
	assert_int_equal(initrd_try(t, &i), 0);
	assert_int_equal(i.start, 2 * MIB - 8192);
	i.initrd_max = UINT64_MAX;
	assert_int_equal(initrd_try(t, &i), 0);
	assert_int_equal(i.start, 5 * MIB - 4096);
	i.initrd_max = 0;
	assert_int_equal(initrd_try(t, &i), -ENOSPC);
}

static void an_initrd_stays_above_the_kernel(void **state)
{
	struct li *t = *state;
	struct initrd_try i = { 4096, 5 * MIB - 4096, 5 * MIB, 0x7fffffff, 0, 0 };

	assert_int_equal(initrd_try(t, &i), 0);
	assert_int_equal(i.start, 5 * MIB - 4096);
	i.kernel_end++;
	assert_int_equal(initrd_try(t, &i), -ENOSPC);
	assert_non_null(strstr(t->err.msg, "needs 4096 bytes of RAM"));
	assert_non_null(strstr(t->err.msg, "there are 0"));
	i.kernel_end = UINT64_MAX;
	assert_int_equal(initrd_try(t, &i), -ENOSPC);
}

static void an_initrd_too_large_says_how_much_is_free(void **state)
{
	struct li *t = *state;
	struct initrd_try i = { 2 * MIB, MIB, 5 * MIB, 0x7fffffff, 0, 0 };

	assert_int_equal(initrd_try(t, &i), 0);
	assert_int_equal(i.start, MIB);
	i.size++;
	assert_int_equal(initrd_try(t, &i), -ENOSPC);
	assert_string_equal(t->err.msg,
		"--initrd: root.cpio: needs 2097153 bytes of RAM in one piece between the kernel's"
		" end 0x100000 and 0x500000, there are 2097152");
	i.size = INT64_MAX;
	assert_int_equal(initrd_try(t, &i), -ENOSPC);
}

static void an_empty_initrd_is_refused(void **state)
{
	struct li *t = *state;
	struct initrd_try i = { 0, MIB, 5 * MIB, 0x7fffffff, 0, 0 };

	assert_int_equal(initrd_try(t, &i), -EINVAL);
	assert_string_equal(t->err.msg, "--initrd: root.cpio: is empty");
}

static void an_initrd_that_cannot_be_read_is_an_io_error(void **state)
{
	struct li *t = *state;
	struct kernel_image k = { .end = MIB, .initrd_max = 0x7fffffff };
	gpa_t start;
	uint64_t len;
	char name[64];
	int fd = li_memfd("x", 1), wfd;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	wfd = open(name, O_WRONLY | O_CLOEXEC);
	assert_true(wfd >= 0);
	assert_int_equal(initrd_load(&t->gm, wfd, "i", &k, 5 * MIB, &start, &len, &t->err), -EIO);
	close(wfd);
	close(fd);
}

static void adjacent_regions_are_one_piece(void **state)
{
	struct li *t = *state;
	struct initrd_try i = { MIB + 4096, 4 * MIB, 6 * MIB, 0x7fffffff, 0, 0 };
	uint8_t *more = calloc(1, MIB);

	assert_int_equal(initrd_try(t, &i), -ENOSPC);
	assert_int_equal(gm_add_borrowed(&t->gm, 5 * MIB, more, MIB), 0);
	assert_int_equal(initrd_try(t, &i), 0);
	assert_int_equal(i.start, 5 * MIB - 4096);
	assert_int_equal(t->ram2[LI_RAM2 - 4096], 'F');
	assert_int_equal(more[MIB - 1], 'L');
	assert_int_equal(place_largest(&t->gm, 0, UINT64_MAX, 4096), 2 * MIB);
	assert_int_equal(place_ram_from(&t->gm, 4 * MIB + 1), 2 * MIB - 1);
	free(more);
}

static void ram_up_to_the_last_address_does_not_wrap(void **state)
{
	struct li *t = *state;
	gpa_t gpa = 99;

	assert_int_equal(gm_add_borrowed(&t->gm, UINT64_MAX - 8191, t->ram1, 8192), 0);
	assert_int_equal(place_ram_from(&t->gm, UINT64_MAX - 8191), 4096);
	assert_int_equal(place_ram_from(&t->gm, UINT64_MAX), 0);
	assert_false(place_lowest(&t->gm, 6 * MIB, UINT64_MAX, 4096, 8192, &gpa));
	assert_false(place_lowest(&t->gm, UINT64_MAX - 4000, UINT64_MAX, 8192, 1, &gpa));
	assert_false(place_highest(&t->gm, UINT64_MAX - 4000, UINT64_MAX, 8192, 1, &gpa));
	assert_int_equal(gpa, 99);
	assert_true(place_highest(&t->gm, 0, UINT64_MAX, 4096, 4096, &gpa));
	assert_int_equal(gpa, UINT64_MAX - 8191);
}

static void the_highest_place_is_aligned(void **state)
{
	struct li *t = *state;
	gpa_t gpa;

	assert_true(place_highest(&t->gm, 0, 3 * MIB - 1, 64 * KIB, 1, &gpa));
	assert_int_equal(gpa, 3 * MIB - 64 * KIB);
	/* Only the lowest multiple in the window is left. */
	assert_true(place_highest(&t->gm, 2 * MIB + 1, 2 * MIB + 65 * KIB, 64 * KIB, KIB, &gpa));
	assert_int_equal(gpa, 2 * MIB + 64 * KIB);
	assert_false(
		place_highest(&t->gm, 2 * MIB + 1, 2 * MIB + 65 * KIB, 64 * KIB, KIB + 1, &gpa));
}

static void ram_begins_and_ends_where_it_does(void **state)
{
	struct li *t = *state;

	assert_int_equal(place_ram_from(&t->gm, MIB - 1), 0);
	assert_int_equal(place_ram_from(&t->gm, MIB), 2 * MIB);
	assert_int_equal(place_ram_from(&t->gm, 3 * MIB - 1), 1);
	assert_int_equal(place_ram_from(&t->gm, 3 * MIB), 0);
	assert_int_equal(place_ram_from(&t->gm, 4 * MIB - 1), 0);
	assert_int_equal(place_ram_from(&t->gm, 5 * MIB), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LI_TEST(an_initrd_goes_to_the_top_on_a_page),
		LI_TEST(an_initrd_stays_below_limit),
		LI_TEST(an_initrds_last_byte_may_be_at_initrd_max),
		LI_TEST(an_initrd_stays_above_the_kernel),
		LI_TEST(an_initrd_too_large_says_how_much_is_free),
		LI_TEST(an_empty_initrd_is_refused),
		LI_TEST(an_initrd_that_cannot_be_read_is_an_io_error),
		LI_TEST(adjacent_regions_are_one_piece),
		LI_TEST(ram_up_to_the_last_address_does_not_wrap),
		LI_TEST(the_highest_place_is_aligned),
		LI_TEST(ram_begins_and_ends_where_it_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
