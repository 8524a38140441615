/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Command lines of verbs, in crosvm's grammar: `--opt val` and `--opt=val`, `--` ends options,
 * key=value lists (base/parse.h). One const table drives parsing, --help, the manual page and
 * docs/cli.md.
 */
#pragma once

#include <stdio.h>

#include "base/base.h"
#include "base/err.h"

struct config;

struct option {
	const char *name;  /* without dashes */
	char letter;       /* short form, or 0 */
	const char *value; /* what follows, for help; NULL: a flag */
	/* value is NULL for a flag; opt is "--name" for error lines. */
	int (*parse)(const char *opt, const char *value, struct config *c, struct err *err);
	const char *help; /* one paragraph; keys of lists are explained there */
	bool repeats;     /* may be given more than once */
};

struct optable {
	const char *verb;
	const struct option *rows; /* at most 64 */
	size_t nr;
	/* A word that is no option; NULL: the first one, and all that follow, are the caller's. */
	int (*word)(const char *word, struct config *c, struct err *err);
};

/**
 * Parses argv[0..argc) (without the program and the verb) into c, which the caller made with
 * config_init. Returns how many arguments it took, 0 or more; -EINVAL/-ERANGE/-ENOMEM with err; or
 * -ECANCELED when --help was asked for.
 */
int __must_check optable_parse(
	const struct optable *t, int argc, char **argv, struct config *c, struct err *err);

enum optable_format { OPTABLE_HELP, OPTABLE_MARKDOWN, OPTABLE_MAN };

/** Writes the table as terminal help, markdown or man page rows. */
void optable_print(FILE *f, const struct optable *t, enum optable_format format);
