// SPDX-License-Identifier: BSD-3-Clause
#include "base/sha256.h"

#define SHA256_TAIL 56 /* of the last block: where the length in bits begins */

static const uint32_t sha256_k[64] = { 0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b,
	0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
	0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6,
	0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d,
	0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
	0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585,
	0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
	0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa,
	0xa4506ceb, 0xbef9a3f7, 0xc67178f2 };

static uint32_t sha256_turn(uint32_t v, unsigned n)
{
	return v >> n | v << (32 - n);
}

static uint32_t sha256_word(const uint8_t *p)
{
	return __builtin_bswap32(le32_get(p));
}

/* The names of FIPS 180-4: a to h are v[0] to v[7]. */
static void sha256_digest_block(uint32_t h[8], const uint8_t *p)
{
	uint32_t w[64], v[8];

	for (unsigned t = 0; t < 16; t++)
		w[t] = sha256_word(p + (size_t)t * 4);
	for (unsigned t = 16; t < 64; t++) {
		uint32_t a = w[t - 15], b = w[t - 2];

		w[t] = (sha256_turn(b, 17) ^ sha256_turn(b, 19) ^ b >> 10) + w[t - 7] +
			(sha256_turn(a, 7) ^ sha256_turn(a, 18) ^ a >> 3) + w[t - 16];
	}
	memcpy(v, h, sizeof(v));
	for (unsigned t = 0; t < 64; t++) {
		uint32_t e = v[4], a = v[0];
		uint32_t t1 = v[7] + (sha256_turn(e, 6) ^ sha256_turn(e, 11) ^ sha256_turn(e, 25)) +
			((e & v[5]) ^ (~e & v[6])) + sha256_k[t] + w[t];
		uint32_t t2 = (sha256_turn(a, 2) ^ sha256_turn(a, 13) ^ sha256_turn(a, 22)) +
			((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));

		memmove(v + 1, v, 7 * sizeof(v[0]));
		v[4] += t1;
		v[0] = t1 + t2;
	}
	for (unsigned i = 0; i < 8; i++)
		h[i] += v[i];
}

void sha256_init(struct sha256 *s)
{
	static const uint32_t first[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
		0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

	memcpy(s->h, first, sizeof(first));
	s->len = 0;
}

void sha256_put(struct sha256 *s, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	while (len) {
		size_t used = s->len % SHA256_BLOCK, part = MIN(len, SHA256_BLOCK - used);

		if (part == SHA256_BLOCK) {
			sha256_digest_block(s->h, p);
		} else {
			memcpy(s->block + used, p, part);
			if (used + part == SHA256_BLOCK)
				sha256_digest_block(s->h, s->block);
		}
		s->len += part;
		p += part;
		len -= part;
	}
}

void sha256_end(struct sha256 *s, uint8_t ret[SHA256_LEN])
{
	static const uint8_t pad[SHA256_BLOCK] = { 0x80 };
	uint64_t bits = __builtin_bswap64(s->len * 8);
	size_t used = s->len % SHA256_BLOCK;

	sha256_put(s, pad, (used < SHA256_TAIL ? SHA256_TAIL : SHA256_TAIL + SHA256_BLOCK) - used);
	sha256_put(s, &bits, sizeof(bits));
	for (unsigned i = 0; i < 8; i++)
		le32_put(ret + (size_t)i * 4, __builtin_bswap32(s->h[i]));
}

void sha256_hex(const uint8_t digest[SHA256_LEN], char ret[2 * SHA256_LEN + 1])
{
	for (size_t i = 0; i < SHA256_LEN; i++) {
		ret[2 * i] = "0123456789abcdef"[digest[i] >> 4];
		ret[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
	}
	ret[(size_t)2 * SHA256_LEN] = '\0';
}
