/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SHA-256 (NIST FIPS 180-4, section 6.2). Our own, because what would serve otherwise does not
 * fit: libcrypto is several times the size of the monitor, and the kernel's AF_ALG needs a
 * socket, which not every host has and no jail. It digests what is public; nothing here depends
 * on its running time. The tests have NIST's vectors.
 *
 * No state but the caller's; any thread.
 */
#pragma once

#include "base/base.h"

#define SHA256_LEN   32 /* bytes of a digest */
#define SHA256_BLOCK 64

struct sha256 {
	uint32_t h[8];
	uint64_t len; /* bytes put in */
	uint8_t block[SHA256_BLOCK];
};

void sha256_init(struct sha256 *s);
void sha256_put(struct sha256 *s, const void *bytes, size_t len);
/** The digest of all that was put in. s is to be initialised before it is used again. */
void sha256_end(struct sha256 *s, uint8_t ret[SHA256_LEN]);
/** The digest as text: 64 digits and a NUL. */
void sha256_hex(const uint8_t digest[SHA256_LEN], char ret[2 * SHA256_LEN + 1]);
