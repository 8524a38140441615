/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command line of `mayfly run`, in crosvm's grammar, and those of its options that other verbs
 * have too.
 */
#pragma once

#include "vmm/config.h"
#include "vmm/optable.h"

extern const struct optable options_run;

int option_cpus(const char *opt, const char *value, struct config *c, struct err *err);
int option_params(const char *opt, const char *value, struct config *c, struct err *err);
int option_hypervisor(const char *opt, const char *value, struct config *c, struct err *err);
int option_force(const char *opt, const char *value, struct config *c, struct err *err);
int option_disable_sandbox(const char *opt, const char *value, struct config *c, struct err *err);
int option_log_level(const char *opt, const char *value, struct config *c, struct err *err);
int option_name(const char *opt, const char *value, struct config *c, struct err *err);
/** --vsock, in vmm/model_vsock.c. */
int option_vsock(const char *opt, const char *value, struct config *c, struct err *err);
/** --shared-dir, in vmm/model_fs.c. */
int option_shared_dir(const char *opt, const char *value, struct config *c, struct err *err);

/** An option that is one string, not empty, given once. Allocated. 0 or -errno with err. */
int __must_check option_string(const char *opt, const char *value, char **ret, struct err *err);
