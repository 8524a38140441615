// SPDX-License-Identifier: BSD-3-Clause
/*
 * gzip, by zlib, which also judges the checksum and the length at the end.
 *
 * RFC 1952.
 */
#include "loader/internal.h"

#include <errno.h>
#include <zlib.h>

#define GZIP_ONLY 16 /* added to the window's bits: no other framing is taken */

static int gzip_run(struct unpack *u, z_stream *z, struct err *err)
{
	int st, rc;

	do {
		rc = unpack_fill(u, err);
		if (rc)
			return rc;
		z->next_in = u->buf + u->buf_pos;
		z->avail_in = (uInt)(u->buf_len - u->buf_pos);
		z->next_out = unpack_room(u);
		z->avail_out = (uInt)UNPACK_CHUNK;
		st = inflate(z, Z_NO_FLUSH);
		u->buf_pos = u->buf_len - z->avail_in;
		/* It could do nothing, with all the room it could want. */
		if (st == Z_BUF_ERROR)
			return unpack_cut_short(u, err);
		if (st == Z_MEM_ERROR)
			return err_errno(err, ENOMEM, "cannot be unpacked");
		if (st != Z_OK && st != Z_STREAM_END)
			return unpack_corrupt(u, z->msg ? z->msg : "gzip", err);
		rc = unpack_put(u, unpack_room(u), UNPACK_CHUNK - z->avail_out, err);
		if (rc)
			return rc;
	} while (st != Z_STREAM_END);
	return 0;
}

int unpack_gzip(struct unpack *u, struct err *err)
{
	z_stream z = { 0 };
	int rc;

	if (inflateInit2(&z, MAX_WBITS + GZIP_ONLY) != Z_OK)
		return err_errno(err, ENOMEM, "cannot be unpacked");
	rc = gzip_run(u, &z, err);
	inflateEnd(&z);
	return rc;
}
