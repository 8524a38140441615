/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file without a name whose memory comes in huge pages as anonymous memory's does: on a tmpfs
 * of its own (huge=always, tmpfs(5)), because a memfd follows another switch, which is off on
 * most hosts. Without privileges the tmpfs is made in a user namespace by a child that ends at
 * once.
 */
#pragma once

#include "base/base.h"

/**
 * The file, len bytes long and empty, O_CLOEXEC; or -errno, also where the administrator did not
 * turn huge pages on for all memory (-EOPNOTSUPP). Its length can be changed by whoever has a
 * descriptor of it and the calls to do so: it cannot be sealed. While there is one thread.
 */
int __must_check hugefile_open(uint64_t len);
