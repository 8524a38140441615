// SPDX-License-Identifier: BSD-3-Clause
/*
 * One row per option; everything that is said of options anywhere is made from the rows.
 */
#include "vmm/optable.h"

#include <errno.h>

static const struct option *optable_find(
	const struct optable *t, const char *name, size_t len, char letter)
{
	for (size_t i = 0; i < t->nr; i++) {
		if (letter && t->rows[i].letter == letter)
			return &t->rows[i];
		if (!letter && strlen(t->rows[i].name) == len &&
			!strncmp(t->rows[i].name, name, len))
			return &t->rows[i];
	}
	return NULL;
}

/** One argument that starts with a dash. Advances *i over a separate value. */
static int optable_one(const struct optable *t, int argc, char **argv, int *i, uint64_t *seen,
	struct config *c, struct err *err)
{
	const char *arg = argv[*i], *value = NULL, *eq;
	const struct option *o;
	char opt[64];

	if (arg[1] != '-') {
		o = optable_find(t, NULL, 0, arg[1]);
		if (o && arg[2])
			value = arg + 2;
	} else {
		eq = strchr(arg + 2, '=');
		o = optable_find(t, arg + 2, eq ? (size_t)(eq - arg - 2) : strlen(arg + 2), 0);
		if (eq)
			value = eq + 1;
	}
	if (!o)
		return err_set(
			err, EINVAL, "%s: no such option; see mayfly %s --help", arg, t->verb);
	snprintf(opt, sizeof(opt), "--%s", o->name);
	if (!o->value && value)
		return err_set(err, EINVAL, "%s: takes no value", opt);
	if (o->value && !value) {
		if (*i + 1 >= argc)
			return err_set(err, EINVAL, "%s: needs a value", opt);
		value = argv[++*i];
	}
	if (!o->repeats && *seen & BIT(o - t->rows))
		return err_set(err, EINVAL, "%s: given twice", opt);
	*seen |= BIT(o - t->rows);
	return o->parse(opt, value, c, err);
}

int optable_parse(const struct optable *t, int argc, char **argv, struct config *c, struct err *err)
{
	bool only_words = false;
	uint64_t seen = 0;
	int i, rc = 0;

	for (i = 0; i < argc; i++) {
		const char *arg = argv[i];

		if (!only_words && !strcmp(arg, "--")) {
			only_words = true;
			continue;
		}
		if (!only_words && (!strcmp(arg, "--help") || !strcmp(arg, "-h")))
			return -ECANCELED;
		if (!only_words && arg[0] == '-' && arg[1])
			rc = optable_one(t, argc, argv, &i, &seen, c, err);
		else if (t->word)
			rc = t->word(arg, c, err);
		else
			break;
		if (rc)
			return rc;
	}
	return i;
}

/** Breaks a paragraph into lines of at most width columns after indent blanks. */
static void optable_wrap(FILE *f, const char *text, int indent, int width)
{
	int col = 0;

	while (*text) {
		int len = (int)strcspn(text, " ");

		if (col && col + 1 + len > width - indent) {
			fputc('\n', f);
			col = 0;
		}
		if (!col)
			col = fprintf(f, "%*s%.*s", indent, "", len, text) - indent;
		else
			col += fprintf(f, " %.*s", len, text);
		text += len;
		text += *text == ' ';
	}
	fputc('\n', f);
}

static void optable_print_row(FILE *f, const struct option *o, enum optable_format format)
{
	const char *eq = o->value ? " " : "", *value = o->value ? o->value : "";
	char letter[8] = "";

	if (o->letter)
		snprintf(letter, sizeof(letter), "-%c, ", o->letter);
	switch (format) {
	case OPTABLE_HELP:
		fprintf(f, "  %s--%s%s%s\n", letter, o->name, eq, value);
		optable_wrap(f, o->help, 8, 92);
		return;
	case OPTABLE_MARKDOWN:
		fprintf(f, "| `%s--%s%s%s` | %s |\n", letter, o->name, eq, value, o->help);
		return;
	case OPTABLE_MAN:
		fprintf(f, ".TP\n.B %s\\-\\-%s%s%s\n%s\n", letter, o->name, eq, value, o->help);
	}
}

void optable_print(FILE *f, const struct optable *t, enum optable_format format)
{
	for (size_t i = 0; i < t->nr; i++)
		optable_print_row(f, &t->rows[i], format);
}
