/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command line of `mayfly run`, for tests: words in, and what became of them.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/log.h"
#include "vmm/options.h"

#define MAX_ARGS 16

/* A config that is parsed into once for each call, and the sentence of the last refusal. */
struct op {
	struct config c;
	struct err err;
	bool used;
};

static inline int op_parse_list(struct op *t, int argc, char **argv)
{
	int rc;

	if (t->used)
		config_fini(&t->c);
	t->used = true;
	config_init(&t->c);
	memset(&t->err, 0, sizeof(t->err));
	rc = optable_parse(&options_run, argc, argv, &t->c, &t->err);
	return MIN(rc, 0);
}

/** Parses the words of text, which are separated by single blanks. */
static inline int op_parse(struct op *t, const char *text)
{
	char buf[1024], *argv[MAX_ARGS], *save = NULL;
	int argc = 0;

	assert_true(strlen(text) < sizeof(buf));
	strcpy(buf, text);
	for (char *w = strtok_r(buf, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		assert_true(argc < MAX_ARGS);
		argv[argc++] = w;
	}
	return op_parse_list(t, argc, argv);
}

static inline void op_takes(struct op *t, const char *text)
{
	if (op_parse(t, text))
		fail_msg("'%s': %s", text, t->err.msg);
}

/** Refused, and the sentence holds says. */
static inline void op_refuses(struct op *t, const char *text, const char *says)
{
	if (op_parse(t, text) >= 0)
		fail_msg("'%s' is taken", text);
	if (!strstr(t->err.msg, says))
		fail_msg("'%s': \"%s\" does not say \"%s\"", text, t->err.msg, says);
}

/** As op_refuses, for values that hold blanks or are empty. */
static inline void op_refuses_pair(
	struct op *t, const char *opt, const char *value, const char *says)
{
	char a[64], b[64], *argv[] = { a, b };

	snprintf(a, sizeof(a), "%s", opt);
	snprintf(b, sizeof(b), "%s", value);
	if (op_parse_list(t, 2, argv) >= 0)
		fail_msg("%s '%s' is taken", opt, value);
	if (!strstr(t->err.msg, says))
		fail_msg("%s '%s': \"%s\" does not say \"%s\"", opt, value, t->err.msg, says);
}

static inline int op_setup(void **state)
{
	*state = calloc(1, sizeof(struct op));
	return 0;
}

static inline int op_teardown(void **state)
{
	struct op *t = *state;

	if (t->used)
		config_fini(&t->c);
	free(t);
	return 0;
}

#define OP_TEST(f) cmocka_unit_test_setup_teardown(f, op_setup, op_teardown)
