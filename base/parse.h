/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Text to values: whole string, range, overflow and unit checked, in this one place.
 * Pure functions, any thread.
 */
#pragma once

#include "base/base.h"
#include "base/err.h"

/**
 * A number, decimal or 0x hexadecimal, the whole string, in [min, max].
 * Returns 0, -EINVAL (not a number) or -ERANGE.
 */
int __must_check parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret);

/** "true"/"false", "on"/"off", "1"/"0". Returns 0 or -EINVAL. */
int __must_check parse_bool(const char *s, bool *ret);

/*
 * crosvm's key=value lists: "key=value,key,key='a,b'". Commas separate, order is free, the
 * first key's name may be left out, a bare key is a boolean that is true, a value may be
 * quoted with ' or " (backslash escapes inside ") and then may hold commas, [..] nests.
 */

enum kv_type { KV_STR, KV_U64, KV_BOOL, KV_ENUM };

struct kv_key {
	const char *name;
	enum kv_type type;
	uint64_t min, max;         /* KV_U64: inclusive */
	const char *const *values; /* KV_ENUM: NULL-terminated names */
	size_t offset;             /* of the member in the caller's struct */
	/*
	 * Member types: KV_STR char * (allocated, owned by the struct), KV_U64 uint64_t,
	 * KV_BOOL bool, KV_ENUM unsigned (index into values).
	 */
	size_t seen_offset; /* of a bool that is set when the key was given, or SIZE_MAX */
};

/**
 * Parses text into *out by keys (the first is the one whose name may be omitted; pass
 * positional false when none may). Unknown keys, keys given twice, empty elements and bad
 * values are refused with a sentence that starts with opt ("--block") and names the key.
 * Returns 0 or -EINVAL/-ERANGE/-ENOMEM. On failure strings already stored stay owned by *out.
 */
int __must_check kv_parse(const char *opt, const char *text, const struct kv_key *keys,
	size_t nr_keys, bool positional, void *out, struct err *err);
