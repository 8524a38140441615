// SPDX-License-Identifier: BSD-3-Clause
/*
 * SHA-256 against NIST's examples (FIPS 180-4, "Secure Hash Standard: examples with intermediate
 * values", and the byte-oriented short messages of the validation suite).
 */
#include "base/sha256.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void sh_end_is(struct sha256 *s, const char *want)
{
	uint8_t digest[SHA256_LEN];
	char hex[2 * SHA256_LEN + 1];

	sha256_end(s, digest);
	sha256_hex(digest, hex);
	assert_string_equal(hex, want);
}

static void sh_is(const void *bytes, size_t len, const char *want)
{
	struct sha256 s;

	sha256_init(&s);
	sha256_put(&s, bytes, len);
	sh_end_is(&s, want);
}

static void nists_examples_have_nists_digests(void **state)
{
	(void)state;
	sh_is("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	sh_is("\xd3", 1, "28969cdfa74a12c82f3bad960b0b000aca2ac329deea5c2328ebc6f2ba9802c1");
	sh_is("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	sh_is("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
		"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	sh_is("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmno"
	      "ijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
		112, "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
}

static void a_million_bytes_in_pieces_of_any_size_are_one_message(void **state)
{
	char *a = malloc(1000000);

	(void)state;
	memset(a, 'a', 1000000);
	for (size_t step = 1; step <= 1000000; step = step * 3 + 1) {
		struct sha256 s;

		sha256_init(&s);
		for (size_t at = 0; at < 1000000; at += step)
			sha256_put(&s, a + at, MIN(step, 1000000 - at));
		sh_end_is(&s, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	}
	free(a);
}

/* FIPS 180-4's padding has another block from 56 bytes on; digests by coreutils' sha256sum. */
static void lengths_around_the_end_of_a_block_are_padded_right(void **state)
{
	static const struct {
		size_t len;
		const char *digest;
	} zeroes[] = {
		{ 55, "02779466cdec163811d078815c633f21901413081449002f24aa3e80f0b88ef7" },
		{ 56, "d4817aa5497628e7c77e6b606107042bbba3130888c5f47a375e6179be789fbb" },
		{ 63, "c7723fa1e0127975e49e62e753db53924c1bd84b8ac1ac08df78d09270f3d971" },
		{ 64, "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b" },
		{ 65, "98ce42deef51d40269d542f5314bef2c7468d401ad5d85168bfab4c0108f75f7" },
	};
	static const char none[65];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(zeroes); i++)
		sh_is(none, zeroes[i].len, zeroes[i].digest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nists_examples_have_nists_digests),
		cmocka_unit_test(a_million_bytes_in_pieces_of_any_size_are_one_message),
		cmocka_unit_test(lengths_around_the_end_of_a_block_are_padded_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
