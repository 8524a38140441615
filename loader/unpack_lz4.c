// SPDX-License-Identifier: BSD-3-Clause
/*
 * lz4, by liblz4: the frame format, and the legacy format that kernel builds use (lz4 -l),
 * which the library does not know: a magic number, then blocks of 8 MiB of output, each
 * behind its compressed length. It has no end but that of the file.
 *
 * lz4_Frame_format.md, "LZ4 Frame format" and "Legacy frame".
 */
#include "loader/internal.h"

#include <errno.h>
#include <lz4.h>
#include <lz4frame.h>
#include <sys/mman.h>

#define LZ4_LEGACY_MAGIC 4 /* bytes */
#define LZ4_LEGACY_BLOCK (8 * MIB)
#define LZ4_LEGACY_INPUT ((size_t)LZ4_COMPRESSBOUND(LZ4_LEGACY_BLOCK))

static int lz4_run(struct unpack *u, LZ4F_dctx *z, struct err *err)
{
	size_t left, used, made;
	int rc;

	do {
		rc = unpack_fill(u, err);
		if (rc)
			return rc;
		used = u->buf_len - u->buf_pos;
		made = UNPACK_CHUNK;
		left = LZ4F_decompress(z, unpack_room(u), &made, u->buf + u->buf_pos, &used, NULL);
		if (LZ4F_isError(left))
			return unpack_corrupt(u, LZ4F_getErrorName(left), err);
		/* It could do nothing, with all the room it could want. */
		if (left && !used && !made)
			return unpack_cut_short(u, err);
		u->buf_pos += used;
		rc = unpack_put(u, unpack_room(u), made, err);
		if (rc)
			return rc;
	} while (left);
	return 0;
}

int unpack_lz4_frame(struct unpack *u, struct err *err)
{
	LZ4F_dctx *z = NULL;
	int rc;

	if (LZ4F_isError(LZ4F_createDecompressionContext(&z, LZ4F_VERSION)))
		return err_errno(err, ENOMEM, "cannot be unpacked");
	rc = lz4_run(u, z, err);
	LZ4F_freeDecompressionContext(z);
	return rc;
}

/** The length in front of a block, which is at most what a block can take. */
static int lz4_block_len(struct unpack *u, size_t *ret_len, struct err *err)
{
	uint8_t head[4];
	int rc;

	if (u->end - u->pos < sizeof(head))
		return unpack_cut_short(u, err);
	rc = lfile_read(u->in, u->pos, head, sizeof(head), "a block", err);
	if (rc)
		return rc;
	u->pos += sizeof(head);
	*ret_len = le32_get(head);
	if (*ret_len > LZ4_LEGACY_INPUT)
		return unpack_corrupt(u, "the length of a block, or something else behind it", err);
	if (*ret_len > u->end - u->pos)
		return unpack_cut_short(u, err);
	return 0;
}

/** in has room for LZ4_LEGACY_INPUT bytes, out for a block. */
static int lz4_legacy_run(struct unpack *u, uint8_t *in, uint8_t *out, struct err *err)
{
	/* Which the caller has seen. */
	u->pos += LZ4_LEGACY_MAGIC;
	while (u->pos < u->end) {
		size_t len = 0;
		int made, rc = lz4_block_len(u, &len, err);

		if (!rc)
			rc = lfile_read(u->in, u->pos, in, len, "a block", err);
		if (rc)
			return rc;
		u->pos += len;
		made = LZ4_decompress_safe(
			(const char *)in, (char *)out, (int)len, (int)LZ4_LEGACY_BLOCK);
		if (made < 0)
			return unpack_corrupt(u, "a block of lz4", err);
		rc = unpack_put(u, out, (size_t)made, err);
		if (rc)
			return rc;
		/* Only the last one is shorter: what follows it is not looked at. */
		if ((size_t)made < LZ4_LEGACY_BLOCK)
			return 0;
	}
	return 0;
}

int unpack_lz4_legacy(struct unpack *u, struct err *err)
{
	size_t len = LZ4_LEGACY_INPUT + LZ4_LEGACY_BLOCK;
	uint8_t *buf;
	int rc;

	buf = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (buf == MAP_FAILED)
		return err_errno(err, ENOMEM, "cannot be unpacked");
	rc = lz4_legacy_run(u, buf, buf + LZ4_LEGACY_INPUT, err);
	munmap(buf, len);
	return rc;
}
