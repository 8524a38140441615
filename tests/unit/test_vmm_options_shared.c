// SPDX-License-Identifier: BSD-3-Clause
/* --shared-dir: what is taken, what is refused and in which words. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/options_rig.h"

static void every_key_of_a_shared_directory_is_stored(void **state)
{
	struct op *t = *state;
	const struct share_config *d = &t->c.share[0];

	op_takes(t, "--shared-dir /a:tag:type=fs");
	assert_string_equal(d->path, "/a");
	assert_string_equal(d->tag, "tag");
	assert_int_equal(d->type, SHARE_FS);
	assert_false(d->ro || d->writeback || d->timeout_seen);
	op_takes(t,
		"--shared-dir /a:tag:type=fs:cache=always:timeout=7:negative_timeout=3:writeback=true:"
		"ro:uid=5:gid=6");
	assert_int_equal(d->cache, 2);
	assert_int_equal(d->timeout_s, 7);
	assert_int_equal(d->negative_timeout_s, 3);
	assert_int_equal(d->uid, 5);
	assert_int_equal(d->gid, 6);
	assert_true(d->writeback && d->ro && d->timeout_seen);
	op_takes(t, "--shared-dir /a:tag:type=p9:ro=true --shared-dir /a:tag2:type=fs");
	assert_int_equal(d->type, SHARE_P9);
	assert_int_equal(t->c.nr_shares, 2);
}

static void a_shared_directory_with_nonsense_is_refused(void **state)
{
	op_refuses(*state, "--shared-dir /a", "'/a' is not PATH:TAG:type=fs or p9");
	op_refuses(*state, "--shared-dir :t:type=fs", "is not PATH:TAG:type=fs or p9");
	op_refuses(*state, "--shared-dir /a:t", "type: is needed: fs or p9");
	op_refuses(*state, "--shared-dir /a:t:ro", "type: is needed: fs or p9");
	op_refuses(*state, "--shared-dir /a::type=fs", "tag: '' has not 1 to 36 bytes");
	op_refuses(*state, "--shared-dir /a:0123456789012345678901234567890123456:type=fs",
		"has not 1 to 36 bytes");
	op_refuses(*state, "--shared-dir /a:t:type=fs --shared-dir /b:t:type=fs", "is used twice");
	op_refuses(*state, "--shared-dir /a:t:type=nfs", "type: 'nfs' is not known");
	op_refuses(*state, "--shared-dir /a:t:type=fs:cache=some", "cache: 'some' is not known");
	op_refuses(*state, "--shared-dir /a:t:type=fs:timeout=x", "timeout: 'x'");
	op_refuses(*state, "--shared-dir /a:t:type=fs:uid=4294967295", "uid: '4294967295'");
	op_refuses(*state, "--shared-dir /a:t:type=fs:dax=true", "'dax' is not a known key");
	op_refuses(*state, "--shared-dir /a:t:type=p9:cache=auto", "only with type=fs");
	op_refuses(*state, "--shared-dir /a:t:type=p9:writeback=true", "only with type=fs");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		OP_TEST(every_key_of_a_shared_directory_is_stored),
		OP_TEST(a_shared_directory_with_nonsense_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
