// SPDX-License-Identifier: BSD-3-Clause
/*
 * The kernel command line. A kernel cuts a longer one off without a word, and what was cut may
 * be the root device: it is refused instead.
 */
#include "loader/internal.h"

#include <errno.h>
#include <inttypes.h>

int cmdline_check(const char *text, const struct kernel_image *k, struct err *err)
{
	size_t len = strlen(text);

	if (len <= k->cmdline_max)
		return 0;
	return err_set(err, E2BIG,
		"--params: the command line has %zu bytes, the kernel takes at most %" PRIu64, len,
		k->cmdline_max);
}

int cmdline_load(const struct guest_memory *gm, const char *text, const struct kernel_image *k,
	gpa_t gpa, uint64_t room, struct err *err)
{
	size_t len = strlen(text);
	int rc = cmdline_check(text, k, err);

	if (rc)
		return rc;
	if (len >= room)
		return err_set(err, E2BIG,
			"--params: the command line has %zu bytes, the machine has room for "
			"%" PRIu64,
			len, room ? room - 1 : 0);
	/* The machine's own memory map says where: no file and no user can. */
	BUG_ON(gm_write(gm, gpa, text, len + 1));
	return 0;
}
