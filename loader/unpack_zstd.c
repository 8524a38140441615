// SPDX-License-Identifier: BSD-3-Clause
/*
 * zstd, by libzstd. Its window may have up to 128 MiB (the library's own limit, and what the
 * kernel's build asks for); of that only as much is touched as there is output.
 *
 * RFC 8878.
 */
#include "loader/internal.h"

#include <errno.h>
#include <zstd.h>

static int zstd_run(struct unpack *u, ZSTD_DStream *z, struct err *err)
{
	size_t left;
	int rc;

	do {
		ZSTD_outBuffer out = { .dst = unpack_room(u), .size = UNPACK_CHUNK };
		ZSTD_inBuffer in;

		rc = unpack_fill(u, err);
		if (rc)
			return rc;
		in = (ZSTD_inBuffer){ .src = u->buf, .size = u->buf_len, .pos = u->buf_pos };
		left = ZSTD_decompressStream(z, &out, &in);
		if (ZSTD_isError(left))
			return unpack_corrupt(u, ZSTD_getErrorName(left), err);
		/* It could do nothing, with all the room it could want. */
		if (left && in.pos == u->buf_pos && !out.pos)
			return unpack_cut_short(u, err);
		u->buf_pos = in.pos;
		rc = unpack_put(u, out.dst, out.pos, err);
		if (rc)
			return rc;
	} while (left);
	return 0;
}

int unpack_zstd(struct unpack *u, struct err *err)
{
	ZSTD_DStream *z = ZSTD_createDStream();
	int rc;

	if (!z)
		return err_errno(err, ENOMEM, "cannot be unpacked");
	rc = zstd_run(u, z, err);
	ZSTD_freeDStream(z);
	return rc;
}
