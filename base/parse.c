// SPDX-License-Identifier: BSD-3-Clause
#include "base/parse.h"

#include <errno.h>
#include <stdlib.h>

static int parse_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 16;
}

int parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret)
{
	unsigned base = 10;
	bool fits = true;
	uint64_t v = 0;

	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
		base = 16;
		s += 2;
	}
	if (!*s)
		return -EINVAL;
	for (; *s; s++) {
		unsigned d = (unsigned)parse_digit(*s);

		if (d >= base)
			return -EINVAL;
		if (__builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, d, &v))
			fits = false; /* still look at the rest: it may not be a number */
	}
	if (!fits || v < min || v > max)
		return -ERANGE;
	*ret = v;
	return 0;
}

int parse_bool(const char *s, bool *ret)
{
	static const struct {
		const char *text;
		bool value;
	} words[] = { { "true", true }, { "false", false }, { "on", true }, { "off", false },
		{ "1", true }, { "0", false } };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (!strcmp(s, words[i].text)) {
			*ret = words[i].value;
			return 0;
		}
	}
	return -EINVAL;
}

/* One element of the list, cut out of the text into buf: "key", "value" or "key=value". */
struct kv_element {
	char *buf;   /* owned: strlen(text)+1 bytes, used for key and value */
	char *key;   /* NULL when there is no '=' and the element may be a bare value */
	char *value; /* NULL for a bare word */
	char *bare;  /* the bare word, or NULL */
	bool quoted; /* the bare word was quoted: it is a value, not a key */
};

/**
 * Copies one value from *pos up to a comma or the end, undoing quotes; brackets nest and
 * protect commas. Returns the end of what was written, or NULL with *why set.
 */
static char *kv_copy_value(
	const char **pos, char *out, bool stop_at_equal, bool *quoted, const char **why)
{
	const char *p = *pos;
	unsigned depth = 0;

	*quoted = *p == '\'' || *p == '"';
	if (*quoted) {
		char q = *p++;

		for (; *p && *p != q; p++) {
			if (q == '"' && *p == '\\' && p[1])
				p++;
			*out++ = *p;
		}
		if (!*p) {
			*why = "a quote is not closed";
			return NULL;
		}
		p++;
		if (*p && *p != ',') {
			*why = "text after a closing quote";
			return NULL;
		}
	} else {
		for (; *p; p++) {
			if (*p == '[')
				depth++;
			if (*p == ']' && !depth--) {
				*why = "']' without '['";
				return NULL;
			}
			if (!depth && (*p == ',' || (stop_at_equal && *p == '=')))
				break;
			*out++ = *p;
		}
		if (depth) {
			*why = "'[' is not closed";
			return NULL;
		}
	}
	*out++ = '\0';
	*pos = p;
	return out;
}

/** Cuts the next element. Returns 0, or -EINVAL with *why set. */
static int kv_next(const char **pos, struct kv_element *e, const char **why)
{
	bool quoted;
	char *end;

	e->key = e->value = e->bare = NULL;
	end = kv_copy_value(pos, e->buf, true, &e->quoted, why);
	if (!end)
		return -EINVAL;
	if (**pos != '=') {
		e->bare = e->buf;
		return 0;
	}
	(*pos)++;
	e->key = e->buf;
	e->value = end;
	return kv_copy_value(pos, end, false, &quoted, why) ? 0 : -EINVAL;
}

static int kv_store(
	const char *opt, const struct kv_key *k, const char *value, void *out, struct err *err)
{
	char *at = (char *)out + k->offset;
	uint64_t n;
	char *s;
	int rc;

	switch (k->type) {
	case KV_STR:
		if (!*value)
			return err_set(err, EINVAL, "%s: %s: is empty", opt, k->name);
		s = strdup(value);
		if (!s)
			return err_errno(err, ENOMEM, "%s: %s", opt, k->name);
		memcpy(at, &s, sizeof(s));
		return 0;
	case KV_U64:
		rc = parse_u64(value, k->min, k->max, &n);
		if (rc == -ERANGE)
			return err_set(err, ERANGE, "%s: %s: '%s' is not in %llu..%llu", opt,
				k->name, value, (unsigned long long)k->min,
				(unsigned long long)k->max);
		if (rc)
			return err_set(
				err, EINVAL, "%s: %s: '%s' is not a number", opt, k->name, value);
		memcpy(at, &n, sizeof(n));
		return 0;
	case KV_BOOL:
		if (parse_bool(value, (bool *)at))
			return err_set(err, EINVAL, "%s: %s: '%s' is not true or false", opt,
				k->name, value);
		return 0;
	case KV_ENUM:
		for (unsigned i = 0; k->values[i]; i++) {
			if (!strcmp(k->values[i], value)) {
				memcpy(at, &i, sizeof(i));
				return 0;
			}
		}
		return err_set(err, EINVAL, "%s: %s: '%s' is not known", opt, k->name, value);
	}
	bug(__FILE__, __LINE__, "kv type");
}

static const struct kv_key *kv_find(const struct kv_key *keys, size_t nr_keys, const char *name)
{
	for (size_t i = 0; i < nr_keys; i++)
		if (!strcmp(keys[i].name, name))
			return &keys[i];
	return NULL;
}

static int kv_element(const char *opt, struct kv_element *e, const struct kv_key *keys,
	size_t nr_keys, bool may_be_value, uint64_t *seen, void *out, struct err *err)
{
	const struct kv_key *k = kv_find(keys, nr_keys, e->key ? e->key : e->bare);
	const char *value = e->value;

	if (!e->key) {
		if (may_be_value && (e->quoted || !k || k->type != KV_BOOL)) {
			k = &keys[0];
			value = e->bare;
		} else if (k && k->type == KV_BOOL && !e->quoted) {
			value = "true";
		} else if (k && !e->quoted) {
			return err_set(err, EINVAL, "%s: %s: needs a value", opt, k->name);
		}
	}
	if (!k || !value)
		return err_set(
			err, EINVAL, "%s: '%s' is not a known key", opt, e->key ? e->key : e->bare);
	if (*seen & BIT(k - keys))
		return err_set(err, EINVAL, "%s: %s: given twice", opt, k->name);
	*seen |= BIT(k - keys);
	if (k->seen_offset != SIZE_MAX)
		*((bool *)((char *)out + k->seen_offset)) = true;
	return kv_store(opt, k, value, out, err);
}

static void kv_free_buf(char **buf)
{
	free(*buf);
}

int kv_parse(const char *opt, const char *text, const struct kv_key *keys, size_t nr_keys,
	bool positional, void *out, struct err *err)
{
	__cleanup(kv_free_buf) char *buf = malloc(strlen(text) + 2);
	struct kv_element e = { .buf = buf };
	const char *pos = text, *why = NULL;
	uint64_t seen = 0;
	bool first = true;
	int rc;

	BUG_ON(nr_keys > 64);
	if (!buf)
		return err_errno(err, ENOMEM, "%s", opt);
	if (!*text)
		return err_set(err, EINVAL, "%s: needs a value", opt);
	for (;;) {
		if (!*pos || *pos == ',')
			return err_set(err, EINVAL, "%s: empty element in '%s'", opt, text);
		if (kv_next(&pos, &e, &why))
			return err_set(err, EINVAL, "%s: %s in '%s'", opt, why, text);
		rc = kv_element(opt, &e, keys, nr_keys, first && positional, &seen, out, err);
		if (rc)
			return rc;
		first = false;
		if (!*pos)
			return 0;
		pos++;
	}
}
