/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A writer of ACPI Machine Language (ACPI 6.5, chapter 20) and of the plain bytes of other
 * tables, into a buffer that the caller owns and bounds. When the buffer is full the writer
 * says so once, at the end (a.full), and writes nothing from then on; len never passes cap.
 * Pure; any thread, caller's storage.
 */
#pragma once

#include "base/base.h"

#define AML_MAX_DEPTH 6

struct aml {
	uint8_t *buf; /* borrowed */
	size_t cap;
	size_t len;
	bool full;                   /* something did not fit: the bytes are useless */
	unsigned depth;              /* open blocks */
	size_t start[AML_MAX_DEPTH]; /* where the contents of each open block begin */
};

void aml_init(struct aml *a, void *buf, size_t cap);

/* Raw bytes, little-endian. */
void aml_bytes(struct aml *a, const void *p, size_t len);
void aml_zeros(struct aml *a, size_t len);
void aml_u8(struct aml *a, uint8_t v);
void aml_u16(struct aml *a, uint16_t v);
void aml_u32(struct aml *a, uint32_t v);
void aml_u64(struct aml *a, uint64_t v);

/* Data objects: an integer in its shortest form, a string, "PNP0501" compressed, a buffer. */
void aml_int(struct aml *a, uint64_t v);
void aml_str(struct aml *a, const char *s);
void aml_eisa_id(struct aml *a, const char *id);
void aml_buffer(struct aml *a, const void *p, size_t len);

/** "Name (SEG_, ...": the data object must follow. A name is exactly four of [A-Z0-9_]. */
void aml_name(struct aml *a, const char seg[4]);

/* Blocks: each begin is closed by one aml_end, which works out the PkgLength. */
void aml_scope_begin(struct aml *a, const char root_seg[4]); /* "\" and the segment */
void aml_device_begin(struct aml *a, const char seg[4]);
void aml_package_begin(struct aml *a, uint8_t nr_elements);
void aml_end(struct aml *a);

/*
 * Resource descriptors (ACPI 6.5, section 6.4), written into an aml of their own, whose
 * bytes are then handed to aml_buffer. End every template with aml_res_end.
 */
void aml_res_io(struct aml *r, uint16_t base, uint8_t len);     /* 16-bit decode, fixed */
void aml_res_mem32(struct aml *r, uint32_t base, uint32_t len); /* fixed, read-write */
void aml_res_irq_edge(struct aml *r, uint32_t gsi);             /* active high, exclusive */
void aml_res_end(struct aml *r);
