/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The AML writer (ACPI 6.5, chapter 20; resource descriptors: section 6.4).
 *
 * Invariants:
 * 1. len <= cap, and no byte at or after buf + cap is ever touched.
 * 2. Once full is set, nothing changes any more: a late small write cannot land where an
 *    earlier big one was refused.
 * 3. Everything before the innermost open block is final. A block's PkgLength is put in front
 *    of its contents when it closes, because its own size depends on what it counts.
 *
 * No state of its own; any thread.
 */
#include "acpi/aml.h"

/* Opcodes (ACPI 6.5, section 20.3). */
enum {
	AML_ZERO_OP = 0x00,
	AML_ONE_OP = 0x01,
	AML_NAME_OP = 0x08,
	AML_BYTE_PREFIX = 0x0a,
	AML_WORD_PREFIX = 0x0b,
	AML_DWORD_PREFIX = 0x0c,
	AML_STRING_PREFIX = 0x0d,
	AML_QWORD_PREFIX = 0x0e,
	AML_SCOPE_OP = 0x10,
	AML_BUFFER_OP = 0x11,
	AML_PACKAGE_OP = 0x12,
	AML_EXT_PREFIX = 0x5b,
	AML_EXT_DEVICE_OP = 0x82,
};

#define AML_SEG_LEN        4
#define AML_PKG_MAX_BYTES  4
#define AML_PKG_MAX_LENGTH 0x0fffffffU /* 28 bits */

void aml_init(struct aml *a, void *buf, size_t cap)
{
	*a = (struct aml){ .buf = buf, .cap = cap };
}

void aml_bytes(struct aml *a, const void *p, size_t len)
{
	if (a->full || len > a->cap - a->len) {
		a->full = true;
		return;
	}
	if (len > 0)
		memcpy(a->buf + a->len, p, len);
	a->len += len;
}

void aml_zeros(struct aml *a, size_t len)
{
	if (a->full || len > a->cap - a->len) {
		a->full = true;
		return;
	}
	if (len > 0)
		memset(a->buf + a->len, 0, len);
	a->len += len;
}

void aml_u8(struct aml *a, uint8_t v)
{
	aml_bytes(a, &v, sizeof(v));
}

void aml_u16(struct aml *a, uint16_t v)
{
	aml_bytes(a, &v, sizeof(v));
}

void aml_u32(struct aml *a, uint32_t v)
{
	aml_bytes(a, &v, sizeof(v));
}

void aml_u64(struct aml *a, uint64_t v)
{
	aml_bytes(a, &v, sizeof(v));
}

void aml_int(struct aml *a, uint64_t v)
{
	if (v <= 1) {
		aml_u8(a, v ? AML_ONE_OP : AML_ZERO_OP);
	} else if (v <= UINT8_MAX) {
		aml_u8(a, AML_BYTE_PREFIX);
		aml_u8(a, (uint8_t)v);
	} else if (v <= UINT16_MAX) {
		aml_u8(a, AML_WORD_PREFIX);
		aml_u16(a, (uint16_t)v);
	} else if (v <= UINT32_MAX) {
		aml_u8(a, AML_DWORD_PREFIX);
		aml_u32(a, (uint32_t)v);
	} else {
		aml_u8(a, AML_QWORD_PREFIX);
		aml_u64(a, v);
	}
}

void aml_str(struct aml *a, const char *s)
{
	for (const char *c = s; *c; c++)
		BUG_ON(*c < 0x01 || *c > 0x7e); /* AsciiChar */
	aml_u8(a, AML_STRING_PREFIX);
	aml_bytes(a, s, strlen(s) + 1);
}

static uint32_t aml_hex_digit(char c)
{
	BUG_ON(!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'F')));
	return (uint32_t)(c <= '9' ? c - '0' : c - 'A' + 10);
}

/* Three letters of 5 bits and four hexadecimal digits, big-endian (section 19.3.4). */
void aml_eisa_id(struct aml *a, const char *id)
{
	uint32_t v = 0;

	BUG_ON(strlen(id) != 7);
	for (unsigned i = 0; i < 3; i++) {
		BUG_ON(id[i] < 'A' || id[i] > 'Z');
		v = v << 5 | (uint32_t)(id[i] - 'A' + 1);
	}
	for (unsigned i = 3; i < 7; i++)
		v = v << 4 | aml_hex_digit(id[i]);
	aml_u8(a, AML_DWORD_PREFIX);
	aml_u32(a, __builtin_bswap32(v));
}

static void aml_seg(struct aml *a, const char seg[4])
{
	for (unsigned i = 0; i < AML_SEG_LEN; i++) {
		bool letter = (seg[i] >= 'A' && seg[i] <= 'Z') || seg[i] == '_';
		bool digit = i > 0 && seg[i] >= '0' && seg[i] <= '9';

		BUG_ON(!letter && !digit);
	}
	aml_bytes(a, seg, AML_SEG_LEN);
}

void aml_name(struct aml *a, const char seg[4])
{
	aml_u8(a, AML_NAME_OP);
	aml_seg(a, seg);
}

/* Opens a block here: what follows is counted by its PkgLength. */
static void aml_begin(struct aml *a)
{
	BUG_ON(a->depth == AML_MAX_DEPTH);
	a->start[a->depth++] = a->len;
}

void aml_scope_begin(struct aml *a, const char root_seg[4])
{
	aml_u8(a, AML_SCOPE_OP);
	aml_begin(a);
	aml_u8(a, '\\');
	aml_seg(a, root_seg);
}

void aml_device_begin(struct aml *a, const char seg[4])
{
	aml_u8(a, AML_EXT_PREFIX);
	aml_u8(a, AML_EXT_DEVICE_OP);
	aml_begin(a);
	aml_seg(a, seg);
}

void aml_package_begin(struct aml *a, uint8_t nr_elements)
{
	aml_u8(a, AML_PACKAGE_OP);
	aml_begin(a);
	aml_u8(a, nr_elements);
}

/*
 * Encodes a PkgLength for body bytes of contents; it counts its own bytes too (section
 * 20.2.4). One byte holds 6 bits; with 2, 3 or 4 bytes the first holds the number of bytes
 * after it in bits 7:6 and the low 4 bits, the others 8 bits each. Returns its size, 0 when
 * no PkgLength can say it.
 */
static unsigned aml_pkg_length(size_t body, uint8_t out[AML_PKG_MAX_BYTES])
{
	unsigned nr = 2;
	size_t v;

	if (body > AML_PKG_MAX_LENGTH - AML_PKG_MAX_BYTES)
		return 0;
	if (body + 1 < 1U << 6) {
		out[0] = (uint8_t)(body + 1);
		return 1;
	}
	while (body + nr >= 1U << (8 * nr - 4))
		nr++;
	v = body + nr;
	out[0] = (uint8_t)((nr - 1) << 6 | (v & 0xf));
	for (unsigned i = 1; i < nr; i++)
		out[i] = (uint8_t)(v >> (8 * i - 4));
	return nr;
}

void aml_end(struct aml *a)
{
	uint8_t pkg[AML_PKG_MAX_BYTES];
	size_t start, body;
	unsigned nr;

	BUG_ON(a->depth == 0);
	start = a->start[--a->depth];
	body = a->len - start;
	nr = aml_pkg_length(body, pkg);
	if (a->full || nr == 0 || nr > a->cap - a->len) {
		a->full = true;
		return;
	}
	memmove(a->buf + start + nr, a->buf + start, body);
	memcpy(a->buf + start, pkg, nr);
	a->len += nr;
}

void aml_buffer(struct aml *a, const void *p, size_t len)
{
	aml_u8(a, AML_BUFFER_OP);
	aml_begin(a);
	aml_int(a, len);
	aml_bytes(a, p, len);
	aml_end(a);
}

/* I/O port descriptor, section 6.4.2.5. */
void aml_res_io(struct aml *r, uint16_t base, uint8_t len)
{
	aml_u8(r, 0x47); /* small item 8, 7 bytes */
	aml_u8(r, 1);    /* decodes 16 bits */
	aml_u16(r, base);
	aml_u16(r, base);
	aml_u8(r, 1); /* alignment */
	aml_u8(r, len);
}

/* 32-bit fixed memory range descriptor, section 6.4.3.4. */
void aml_res_mem32(struct aml *r, uint32_t base, uint32_t len)
{
	aml_u8(r, 0x86); /* large item 6 */
	aml_u16(r, 9);
	aml_u8(r, 1); /* writable */
	aml_u32(r, base);
	aml_u32(r, len);
}

/* Extended interrupt descriptor, section 6.4.3.6. */
void aml_res_irq_edge(struct aml *r, uint32_t gsi)
{
	aml_u8(r, 0x89); /* large item 9 */
	aml_u16(r, 6);
	aml_u8(r, 0x03); /* consumer, edge, active high, exclusive */
	aml_u8(r, 1);    /* one interrupt */
	aml_u32(r, gsi);
}

/* End tag, section 6.4.2.9. A checksum of 0 is always right. */
void aml_res_end(struct aml *r)
{
	aml_u8(r, 0x79);
	aml_u8(r, 0);
}
