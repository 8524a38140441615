// SPDX-License-Identifier: BSD-3-Clause
/*
 * Option text: kv_parse and parse_u64 on anything. A parsed list must be one that can be
 * written out and parsed again to the same values; an error must be one line with a name.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/parse.h"

struct kv {
	char *path, *name;
	uint64_t size;
	bool flag, has_size, has_flag;
	unsigned mode;
};

static const char *const kv_modes[] = { "fast", "safe", "", NULL };

#define KV(member, type, min, max, values, seen)                                                   \
	{                                                                                          \
#member, type, min, max, values, offsetof(struct kv, member), seen                 \
	}

static const struct kv_key kv_keys[] = {
	KV(path, KV_STR, 0, 0, NULL, SIZE_MAX),
	KV(flag, KV_BOOL, 0, 0, NULL, offsetof(struct kv, has_flag)),
	KV(size, KV_U64, 1, 1 << 20, NULL, offsetof(struct kv, has_size)),
	KV(mode, KV_ENUM, 0, 0, kv_modes, SIZE_MAX),
	KV(name, KV_STR, 0, 0, NULL, SIZE_MAX),
};

static void kv_clear(struct kv *kv)
{
	free(kv->path);
	free(kv->name);
	*kv = (struct kv){ .mode = 0 };
}

/** As "key="value"" with what quotes need escaped. Returns the new end of out. */
static char *kv_write_string(char *out, const char *key, const char *value)
{
	if (!value)
		return out;
	out += sprintf(out, "%s=\"", key);
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			*out++ = '\\';
		*out++ = *value;
	}
	return out + sprintf(out, "\",");
}

static void kv_expect_same(const char *a, const char *b)
{
	BUG_ON(!a != !b);
	BUG_ON(a && strcmp(a, b));
}

static void kv_round_trip(const struct kv *kv, size_t text_len)
{
	char *out = malloc(2 * text_len + 200), *end = out;
	struct kv again = { .mode = 0 };
	struct err err;

	BUG_ON(!out);
	end = kv_write_string(end, "path", kv->path);
	end = kv_write_string(end, "name", kv->name);
	if (kv->has_size)
		end += sprintf(end, "size=%llu,", (unsigned long long)kv->size);
	if (kv->has_flag)
		end += sprintf(end, "flag=%d,", kv->flag);
	sprintf(end, "mode=%s", kv_modes[kv->mode]);
	BUG_ON(kv_parse("--x", out, kv_keys, ARRAY_SIZE(kv_keys), false, &again, &err));
	kv_expect_same(kv->path, again.path);
	kv_expect_same(kv->name, again.name);
	BUG_ON(kv->size != again.size || kv->flag != again.flag || kv->mode != again.mode);
	BUG_ON(kv->has_size != again.has_size || kv->has_flag != again.has_flag);
	kv_clear(&again);
	free(out);
}

static void kv_fuzz_list(const char *text, size_t len, bool positional)
{
	struct kv kv = { .mode = 0 };
	struct err err = { "" };
	int rc = kv_parse("--x", text, kv_keys, ARRAY_SIZE(kv_keys), positional, &kv, &err);

	if (rc) {
		BUG_ON(rc != -EINVAL && rc != -ERANGE);
		BUG_ON(!memchr(err.msg, '\0', sizeof(err.msg)));
		BUG_ON(strncmp(err.msg, "--x: ", 5) || strchr(err.msg, '\n'));
	} else {
		BUG_ON(kv.has_size && (kv.size < 1 || kv.size > 1 << 20));
		BUG_ON(kv.mode >= ARRAY_SIZE(kv_modes) - 1);
		BUG_ON((kv.path && !*kv.path) || (kv.name && !*kv.name));
		kv_round_trip(&kv, len);
	}
	kv_clear(&kv);
}

/** The libc's parser agrees wherever the text has our shape. */
static void kv_fuzz_number(const char *text)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	const char *digits = hex ? text + 2 : text;
	const char *all = hex ? "0123456789abcdefABCDEF" : "0123456789";
	bool number = *digits && !digits[strspn(digits, all)];
	uint64_t v = 1;
	int rc = parse_u64(text, 0, UINT64_MAX, &v);
	unsigned long long want;

	if (!number) {
		BUG_ON(rc != -EINVAL);
		return;
	}
	errno = 0;
	want = strtoull(digits, NULL, hex ? 16 : 10);
	BUG_ON(rc != (errno == ERANGE ? -ERANGE : 0));
	BUG_ON(!rc && v != want);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
	char *text = malloc(len + 1);

	BUG_ON(!text);
	memcpy(text, in, len);
	text[len] = '\0';
	kv_fuzz_list(text, len, true);
	kv_fuzz_list(text, len, false);
	kv_fuzz_number(text);
	free(text);
	return 0;
}
