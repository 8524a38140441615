/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command line of `mayfly run`, in crosvm's grammar: `--opt val` and `--opt=val`, options
 * before or after KERNEL, `--` ends them, key=value lists (base/parse.h). One const table
 * drives parsing, --help, the manual page and docs/cli.md.
 */
#pragma once

#include <stdio.h>

#include "vmm/config.h"

/**
 * Parses argv[0..argc) (without the program and the verb) into c, which the caller made with
 * config_init. Returns 0, 1 when --help was asked for, or -EINVAL/-ERANGE/-ENOMEM.
 */
int __must_check options_parse(int argc, char **argv, struct config *c, struct err *err);

/** --vsock, in vmm/model_vsock.c. */
int option_vsock(const char *opt, const char *value, struct config *c, struct err *err);

/** --shared-dir, in vmm/model_fs.c. */
int option_shared_dir(const char *opt, const char *value, struct config *c, struct err *err);

enum options_format { OPTIONS_HELP, OPTIONS_MARKDOWN, OPTIONS_MAN };

/** Writes the option table as terminal help, markdown or man page rows. */
void options_print(FILE *f, enum options_format format);
