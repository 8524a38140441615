// SPDX-License-Identifier: BSD-3-Clause
/*
 * Compressed kernels. Distributions compress whole kernel files (Image.gz, vmlinux.zst), or wrap
 * them as EFI zboot images, whose header says where the compressed kernel lies. Either is
 * unpacked into a file in memory, which is then loaded as if it had been given, and is gone
 * afterwards.
 *
 * Invariants:
 * 1. What is unpacked has at most out_max bytes: a few kilobytes of zeroes, well compressed,
 *    would fill any machine.
 * 2. Each turn of a codec's loop uses up input or makes output, both of which are bounded.
 * 3. One stream, to the last byte: what follows its end is an error, as is a missing end.
 * 4. Buffers are mapped and unmapped, so that nothing of them stays behind on the heap.
 *
 * Linux drivers/firmware/efi/libstub/zboot-header.S.
 */
#include "loader/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/mman.h>

#include "base/fd.h"

#define ZBOOT_MAGIC      4 /* "zimg" */
#define ZBOOT_OFFSET     8
#define ZBOOT_SIZE       12
#define ZBOOT_METHOD     24 /* its name, with a NUL */
#define ZBOOT_METHOD_MAX 32

static const struct unpack_codec unpack_codecs[] = {
	{ "gzip", { 0x1f, 0x8b }, 2, unpack_gzip },
	{ "zstd", { 0x28, 0xb5, 0x2f, 0xfd }, 4, unpack_zstd },
	{ "lz4", { 0x04, 0x22, 0x4d, 0x18 }, 4, unpack_lz4_frame },
	{ "lz4", { 0x02, 0x21, 0x4c, 0x18 }, 4, unpack_lz4_legacy },
};

static const struct unpack_codec *unpack_find_codec(const uint8_t *head)
{
	for (size_t i = 0; i < ARRAY_SIZE(unpack_codecs); i++)
		if (!memcmp(head, unpack_codecs[i].magic, unpack_codecs[i].magic_len))
			return &unpack_codecs[i];
	return NULL;
}

static bool unpack_is_zboot(const uint8_t *head)
{
	return head[0] == 'M' && head[1] == 'Z' && !memcmp(head + ZBOOT_MAGIC, "zimg", 4);
}

const char *unpack_name(const uint8_t *head)
{
	const struct unpack_codec *codec = unpack_find_codec(head);

	if (codec)
		return codec->name;
	return unpack_is_zboot(head) ? "EFI zboot" : NULL;
}

int unpack_fill(struct unpack *u, struct err *err)
{
	size_t len = (size_t)MIN(u->end - u->pos, UNPACK_CHUNK);
	int rc;

	if (u->buf_pos < u->buf_len || !len)
		return 0;
	rc = lfile_read(u->in, u->pos, u->buf, len, "the compressed kernel", err);
	if (rc)
		return rc;
	u->pos += len;
	u->buf_pos = 0;
	u->buf_len = len;
	return 0;
}

uint8_t *unpack_room(const struct unpack *u)
{
	return u->buf + UNPACK_CHUNK;
}

int unpack_put(struct unpack *u, const void *bytes, size_t len, struct err *err)
{
	int rc;

	if (len > u->out_max - u->out_len)
		return err_set(err, ENOSPC,
			"unpacks to more than the %" PRIu64 " bytes of RAM that the machine has",
			u->out_max);
	rc = fd_write_full(u->out_fd, bytes, len);
	if (rc) {
		err_errno(err, -rc, "cannot be unpacked");
		return -EIO;
	}
	u->out_len += len;
	return 0;
}

int unpack_cut_short(const struct unpack *u, struct err *err)
{
	return err_set(err, EINVAL, "is cut short: its %s data has no end", u->name);
}

int unpack_corrupt(const struct unpack *u, const char *why, struct err *err)
{
	return err_set(
		err, EINVAL, "is corrupt: its %s data cannot be unpacked (%s)", u->name, why);
}

/** Invariant 3, for all codecs. */
static int unpack_check_rest(const struct unpack *u, struct err *err)
{
	uint64_t left = u->end - u->pos + (u->buf_len - u->buf_pos);

	if (!left)
		return 0;
	return err_set(
		err, EINVAL, "has %" PRIu64 " bytes behind the end of its %s data", left, u->name);
}

static int unpack_run(const struct lfile *in, uint64_t off, uint64_t len,
	const struct unpack_codec *codec, uint64_t max, int out_fd, struct err *err)
{
	struct unpack u = {
		.name = codec->name,
		.in = in,
		.pos = off,
		.end = off + len,
		.out_fd = out_fd,
		.out_max = max,
	};
	int rc;

	u.buf = mmap(
		NULL, 2 * UNPACK_CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (u.buf == MAP_FAILED)
		return err_errno(err, ENOMEM, "cannot be unpacked");
	rc = codec->run(&u, err);
	if (!rc)
		rc = unpack_check_rest(&u, err);
	munmap(u.buf, 2 * UNPACK_CHUNK);
	return rc;
}

/** Where the zboot header says the compressed kernel lies, and what it is compressed with. */
static int unpack_parse_zboot(const struct kernel_file *kf, uint64_t *ret_off, uint64_t *ret_len,
	const struct unpack_codec **ret_codec, struct err *err)
{
	uint64_t off = le32_get(kf->head + ZBOOT_OFFSET), len = le32_get(kf->head + ZBOOT_SIZE);
	char method[ZBOOT_METHOD_MAX + 1] = { 0 };
	uint8_t magic[4] = { 0 };
	int rc;

	rc = lfile_check(&kf->file, off, len, "the compressed kernel", err);
	if (!rc)
		rc = lfile_read(&kf->file, off, magic, (size_t)MIN(len, sizeof(magic)),
			"the compressed kernel", err);
	if (rc)
		return rc;
	*ret_off = off;
	*ret_len = len;
	*ret_codec = unpack_find_codec(magic);
	if (*ret_codec)
		return 0;
	memcpy(method, kf->head + ZBOOT_METHOD, ZBOOT_METHOD_MAX);
	return err_set(err, ENOEXEC,
		"is an EFI zboot image whose kernel is compressed as \"%s\": "
		"gzip, lz4 and zstd can be unpacked",
		method);
}

int unpack_file(const struct kernel_file *kf, uint64_t max, int *ret_fd, struct err *err)
{
	const struct unpack_codec *codec = unpack_find_codec(kf->head);
	uint64_t off = 0, len = kf->file.size;
	fd_auto int fd = -1;
	int rc = 0;

	if (!codec)
		rc = unpack_parse_zboot(kf, &off, &len, &codec, err);
	if (rc)
		return rc;
	fd = memfd_create("kernel", MFD_CLOEXEC);
	if (fd < 0) {
		err_errno(err, errno, "cannot be unpacked");
		return -EIO;
	}
	rc = unpack_run(&kf->file, off, len, codec, max, fd, err);
	if (!rc)
		*ret_fd = fd_take(&fd);
	return rc;
}
