/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `mayfly device KIND`: one device, served to another program's machine by vhost-user.
 */
#pragma once

#include "vmm/status.h"

/**
 * argv is what follows the verb. Serves one front end to its end. Returns STATUS_OK,
 * STATUS_USAGE or STATUS_FAILED; it has printed why.
 */
enum status serve(int argc, char **argv);
