/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Invariants:
 * 1. libfdt is told of no more room than there is, and of no property longer than the room:
 *    its lengths are ints.
 * 2. Once d->error is set, libfdt is not called again.
 * 3. Bytes between values (a property is padded to 4) are zero: fdt_create zeroes the room.
 *
 * No state; any thread.
 */
#include "fdt/writer.h"

#include <errno.h>
#include <libfdt.h>
#include <stdio.h>

#include "fdt/fdt.h"

#define DTB_NAME_LEN 64U /* of a node: the longest of ours and 16 digits */

/* Each result of libfdt comes through here. */
static void dtb_note(struct dtb *d, int r)
{
	if (r < 0)
		d->error = r;
}

void dtb_start(struct dtb *d, uint8_t *buf, size_t room)
{
	BUG_ON((uintptr_t)buf % 8 != 0);
	*d = (struct dtb){ .buf = buf, .room = MIN(room, DTB_MAX_LEN) };
	dtb_note(d, fdt_create(d->buf, (int)d->room));
	if (!d->error)
		dtb_note(d, fdt_finish_reservemap(d->buf));
}

int dtb_finish(struct dtb *d, size_t *ret_len, struct err *err)
{
	if (!d->error)
		dtb_note(d, fdt_finish(d->buf));
	/* Everything else that libfdt can say is about nodes left open or never opened. */
	BUG_ON(d->error && d->error != -FDT_ERR_NOSPACE);
	if (d->error)
		return err_set(
			err, ENOSPC, "FDT: the device tree needs more than %zu bytes", d->room);
	*ret_len = fdt_totalsize(d->buf);
	return 0;
}

void dtb_begin(struct dtb *d, const char *name)
{
	if (!d->error)
		dtb_note(d, fdt_begin_node(d->buf, name));
}

void dtb_begin_at(struct dtb *d, const char *name, uint64_t addr)
{
	char buf[DTB_NAME_LEN];
	int n = snprintf(buf, sizeof(buf), "%s@%llx", name, (unsigned long long)addr);

	BUG_ON(n < 0 || (size_t)n >= sizeof(buf));
	dtb_begin(d, buf);
}

void dtb_end(struct dtb *d)
{
	if (!d->error)
		dtb_note(d, fdt_end_node(d->buf));
}

/* A property whose value the caller writes. NULL when there is no room. */
static uint8_t *dtb_space(struct dtb *d, const char *name, size_t len)
{
	void *p = NULL;

	if (len > d->room)
		dtb_note(d, -FDT_ERR_NOSPACE);
	if (!d->error)
		dtb_note(d, fdt_property_placeholder(d->buf, name, (int)len, &p));
	return d->error ? NULL : p;
}

void dtb_flag(struct dtb *d, const char *name)
{
	(void)dtb_space(d, name, 0);
}

void dtb_bytes(struct dtb *d, const char *name, const void *p, size_t len)
{
	uint8_t *to = dtb_space(d, name, len);

	if (to)
		memcpy(to, p, len);
}

void dtb_str(struct dtb *d, const char *name, const char *s)
{
	dtb_bytes(d, name, s, strlen(s) + 1);
}

void dtb_strs(struct dtb *d, const char *name, const char *const *s, size_t nr)
{
	size_t len = 0;
	uint8_t *to;

	for (size_t i = 0; i < nr; i++)
		len += strlen(s[i]) + 1;
	to = dtb_space(d, name, len);
	for (size_t i = 0; to && i < nr; i++) {
		memcpy(to, s[i], strlen(s[i]) + 1);
		to += strlen(s[i]) + 1;
	}
}

void dtb_u32(struct dtb *d, const char *name, uint32_t v)
{
	dtb_cells(d, name, &v, 1);
}

void dtb_u64(struct dtb *d, const char *name, uint64_t v)
{
	uint8_t *to = dtb_space(d, name, sizeof(v));

	if (to)
		fdt64_st(to, v);
}

void dtb_cells(struct dtb *d, const char *name, const uint32_t *cell, size_t nr)
{
	uint8_t *to = dtb_space(d, name, nr * sizeof(*cell));

	for (size_t i = 0; to && i < nr; i++)
		fdt32_st(to + i * sizeof(*cell), cell[i]);
}

void dtb_reg(struct dtb *d, const struct fdt_range *range, size_t nr)
{
	uint8_t *to = dtb_space(d, "reg", nr * 16);

	for (size_t i = 0; to && i < nr; i++) {
		fdt64_st(to + i * 16, range[i].base);
		fdt64_st(to + i * 16 + 8, range[i].len);
	}
}
