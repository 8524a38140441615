/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bytes compressed in each way that the loader unpacks, by the libraries' compressors, and
 * wrapped as zboot. What is made is the caller's to free.
 */
#pragma once

#include "tests/unit/loader_images.h"

#include <lz4.h>
#include <lz4frame.h>
#include <lz4hc.h>
#include <zlib.h>
#include <zstd.h>

struct pk {
	uint8_t *bytes; /* owned */
	size_t len;
};

#define PK_LZ4_BLOCK (8 * MIB)

static inline struct pk pk_room(size_t len)
{
	struct pk p = { .bytes = malloc(len), .len = len };

	assert_non_null(p.bytes);
	return p;
}

static inline struct pk pk_gzip(const void *bytes, size_t len)
{
	struct pk p = pk_room(len + len / 1000 + 64);
	z_stream z = { .next_in = (void *)(uintptr_t)bytes, .avail_in = (uInt)len };

	z.next_out = p.bytes;
	z.avail_out = (uInt)p.len;
	assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, 0), Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	p.len = z.total_out;
	deflateEnd(&z);
	return p;
}

static inline struct pk pk_zstd(const void *bytes, size_t len)
{
	struct pk p = pk_room(ZSTD_compressBound(len));
	ZSTD_CCtx *z = ZSTD_createCCtx();

	assert_false(ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1)));
	p.len = ZSTD_compress2(z, p.bytes, p.len, bytes, len);
	assert_false(ZSTD_isError(p.len));
	ZSTD_freeCCtx(z);
	return p;
}

static inline struct pk pk_lz4(const void *bytes, size_t len)
{
	LZ4F_preferences_t prefs = { .frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled };
	struct pk p = pk_room(LZ4F_compressFrameBound(len, &prefs));

	p.len = LZ4F_compressFrame(p.bytes, p.len, bytes, len, &prefs);
	assert_false(LZ4F_isError(p.len));
	return p;
}

static inline struct pk pk_lz4_legacy(const void *bytes, size_t len)
{
	size_t blocks = len / PK_LZ4_BLOCK + 1, out = 4;
	struct pk p = pk_room(out + blocks * (4 + (size_t)LZ4_COMPRESSBOUND(PK_LZ4_BLOCK)));

	le32_put(p.bytes, 0x184c2102);
	for (size_t done = 0; done < len; done += PK_LZ4_BLOCK) {
		int n = (int)MIN(len - done, PK_LZ4_BLOCK);
		int made = LZ4_compress_default((const char *)bytes + done,
			(char *)p.bytes + out + 4, n, LZ4_compressBound(n));

		assert_true(made > 0);
		le32_put(p.bytes + out, (uint32_t)made);
		out += 4 + (size_t)made;
	}
	p.len = out;
	return p;
}

typedef struct pk (*pk_fn)(const void *bytes, size_t len);

static const struct {
	const char *name;
	pk_fn pack;
} pk_all[] = { { "gzip", pk_gzip }, { "zstd", pk_zstd }, { "lz4", pk_lz4 },
	{ "lz4", pk_lz4_legacy } };

#define PK_ZBOOT_HEAD 0x200

/** The payload wrapped as zboot, with as many bytes behind it. */
static inline struct pk pk_zboot(const struct pk *payload, const char *method, size_t behind)
{
	struct pk p = pk_room(PK_ZBOOT_HEAD + payload->len + behind);

	memset(p.bytes, 0, p.len);
	memcpy(p.bytes, "MZ\0\0zimg", 8);
	le32_put(p.bytes + 8, PK_ZBOOT_HEAD);
	le32_put(p.bytes + 12, (uint32_t)payload->len);
	memcpy(p.bytes + 24, method, MIN(strlen(method), 32));
	memcpy(p.bytes + PK_ZBOOT_HEAD, payload->bytes, payload->len);
	memset(p.bytes + PK_ZBOOT_HEAD + payload->len, 0x77, behind);
	return p;
}

/** Loads what is packed; t->rc and t->err say how that went. */
static inline int pk_load(struct li *t, const struct pk *p, size_t len)
{
	int fd = li_memfd(p->bytes, len);

	memset(&t->k, 0, sizeof(t->k));
	memset(&t->err, 0, sizeof(t->err));
	t->rc = kernel_load(&t->gm, fd, "vmlinuz", t->target, t->low, &t->k, &t->err);
	close(fd);
	return t->rc;
}

static inline void pk_loads(struct li *t, const struct pk *p)
{
	if (pk_load(t, p, p->len))
		fail_msg("%s", t->err.msg);
}

static inline void pk_refuses(struct li *t, const struct pk *p, int code, const char *text)
{
	if (pk_load(t, p, p->len) != -code || !strstr(t->err.msg, text))
		fail_msg("%d \"%s\" is not %d \"%s\"", t->rc, t->err.msg, -code, text);
	assert_ptr_equal(strstr(t->err.msg, "KERNEL: vmlinuz: "), t->err.msg);
	assert_int_equal(t->k.end, 0);
}
