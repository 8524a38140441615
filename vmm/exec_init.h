/* SPDX-License-Identifier: BSD-3-Clause */
/* The guest's first program, as the build made it of guest-images/init/ for this architecture. */
#pragma once

#include "base/base.h"

extern const uint8_t exec_init[], exec_init_end[];
