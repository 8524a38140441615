// SPDX-License-Identifier: BSD-3-Clause
/* vmm/exec_link.c: the words of the guest's first program, good and bad; and the job for it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "vmm/exec.h"

static struct exec_link link_of_guest;
static struct exec_event event;

static int setup(void **state __unused)
{
	link_of_guest = (struct exec_link){ 0 };
	memset(&event, 0, sizeof(event));
	return 0;
}

/** A message with any length, fed in pieces of each bytes. */
static int says(uint32_t type, uint32_t len, const void *data, size_t data_len, size_t each)
{
	uint8_t bytes[512] = { 0 };
	size_t all = sizeof(struct exec_head) + data_len;
	int rc = 0;

	le32_put(bytes, type);
	le32_put(bytes + 4, len);
	if (data_len)
		memcpy(bytes + sizeof(struct exec_head), data, data_len);
	for (size_t at = 0; at < all && !rc; at += each) {
		size_t n = MIN(each, all - at);

		rc = exec_link_feed(&link_of_guest, bytes + at, &n, &event);
		if (rc >= 0)
			assert_int_equal(n, 0);
	}
	return rc;
}

static int says_exited(uint32_t is_signal, uint32_t value)
{
	uint8_t data[sizeof(struct exec_exited)] = { 0 };

	le32_put(data, is_signal);
	le32_put(data + 4, value);
	le32_put(data + 8, 3);
	return says(EXEC_EXITED, sizeof(data), data, sizeof(data), 5);
}

static void begins(void)
{
	assert_int_equal(says(EXEC_UP, 0, NULL, 0, 8), 1);
	assert_int_equal(says(EXEC_STARTED, 0, NULL, 0, 3), 1);
}

static void a_command_begins_and_ends(void **state __unused)
{
	begins();
	assert_int_equal(event.type, EXEC_STARTED);
	assert_int_equal(says_exited(0, 255), 1);
	assert_int_equal(event.type, EXEC_EXITED);
	assert_int_equal(event.exited.value, 255);
	assert_int_equal(event.exited.is_signal, 0);
	assert_int_equal(event.exited.oom_kills, 3);
}

static void words_that_come_together_are_taken_apart(void **state __unused)
{
	uint8_t bytes[16] = { 0 };
	size_t left = sizeof(bytes);

	le32_put(bytes, EXEC_UP);
	le32_put(bytes + 8, EXEC_STARTED);
	assert_int_equal(exec_link_feed(&link_of_guest, bytes, &left, &event), 1);
	assert_int_equal(event.type, EXEC_UP);
	assert_int_equal(left, 8);
	assert_int_equal(exec_link_feed(&link_of_guest, bytes + 8, &left, &event), 1);
	assert_int_equal(event.type, EXEC_STARTED);
	assert_int_equal(left, 0);
}

static void a_command_that_is_none_is_refused(void **state __unused)
{
	uint8_t code[4];

	le32_put(code, EXEC_REFUSED_CWD | ENOENT);
	assert_int_equal(says(EXEC_UP, 0, NULL, 0, 8), 1);
	assert_int_equal(says(EXEC_REFUSED, 4, code, 4, 1), 1);
	assert_int_equal(event.code, EXEC_REFUSED_CWD | ENOENT);
	assert_int_equal(says_exited(0, 127), 1);
}

static void a_sentence_is_printable_and_bounded(void **state __unused)
{
	char text[EXEC_MAX_FAILED + 1];

	memset(text, 'x', sizeof(text));
	memcpy(text, "\033[2J\n\xff", 6);
	assert_int_equal(says(EXEC_UP, 0, NULL, 0, 8), 1);
	assert_int_equal(says(EXEC_FAILED, EXEC_MAX_FAILED, text, EXEC_MAX_FAILED, 100), 1);
	assert_int_equal(strlen(event.text), EXEC_MAX_FAILED);
	assert_memory_equal(event.text, "?[2J??x", 7);
	setup(NULL);
	assert_int_equal(says(EXEC_UP, 0, NULL, 0, 8), 1);
	assert_int_equal(
		says(EXEC_FAILED, EXEC_MAX_FAILED + 1, text, EXEC_MAX_FAILED + 1, 300), -EPROTO);
}

static void a_length_that_is_not_the_words_is_refused(void **state __unused)
{
	static const struct {
		uint32_t type, good;
	} words[] = {
		{ EXEC_UP, 0 },
		{ EXEC_STARTED, 0 },
		{ EXEC_REFUSED, 4 },
		{ EXEC_EXITED, sizeof(struct exec_exited) },
	};
	static const uint32_t lens[] = { 0, 1, 3, 4, 5, 8, 15, 16, 17, 255, 256, 0x80000000,
		UINT32_MAX };

	for (size_t w = 0; w < ARRAY_SIZE(words); w++) {
		for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
			if (lens[i] == words[w].good)
				continue;
			setup(NULL);
			link_of_guest.up = link_of_guest.started = words[w].type > EXEC_UP;
			assert_int_equal(says(words[w].type, lens[i], NULL, 0, 8), -EPROTO);
		}
	}
}

static void a_word_that_is_none_is_refused(void **state __unused)
{
	static const uint32_t none[] = { 0, EXEC_ARG, EXEC_RUN, EXEC_BYE, EXEC_UP - 1,
		EXEC_FAILED + 1, UINT32_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
		setup(NULL);
		assert_int_equal(says(none[i], 0, NULL, 0, 8), -EPROTO);
	}
}

static void a_word_out_of_turn_is_refused(void **state __unused)
{
	assert_int_equal(says(EXEC_STARTED, 0, NULL, 0, 8), -EPROTO);
	setup(NULL);
	assert_int_equal(says(EXEC_FAILED, 0, NULL, 0, 8), -EPROTO);
	setup(NULL);
	assert_int_equal(says_exited(0, 0), -EPROTO);
	setup(NULL);
	assert_int_equal(says(EXEC_UP, 0, NULL, 0, 8), 1);
	assert_int_equal(says_exited(0, 0), -EPROTO);
	setup(NULL);
	begins();
	assert_int_equal(says(EXEC_STARTED, 0, NULL, 0, 8), -EPROTO);
	setup(NULL);
	begins();
	assert_int_equal(says(EXEC_UP, 0, NULL, 0, 8), -EPROTO);
	/* The first end stands. */
	setup(NULL);
	begins();
	assert_int_equal(says_exited(0, 1), 1);
	assert_int_equal(says_exited(0, 0), -EPROTO);
	assert_int_equal(says(EXEC_FAILED, 0, NULL, 0, 8), -EPROTO);
}

static void an_end_that_is_none_is_refused(void **state __unused)
{
	static const struct {
		uint32_t is_signal, value;
		int rc;
	} ends[] = {
		{ 0, 256, -EPROTO },
		{ 0, UINT32_MAX, -EPROTO },
		{ 1, 64, 1 },
		{ 1, 65, -EPROTO },
		{ 2, 9, -EPROTO },
	};

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		setup(NULL);
		begins();
		assert_int_equal(says_exited(ends[i].is_signal, ends[i].value), ends[i].rc);
	}
}

/** The n-th message of a job with that word: its bytes, or NULL. */
static const uint8_t *find(
	const uint8_t *job, size_t len, enum exec_type type, unsigned n, uint32_t *ret_len)
{
	for (size_t at = 0; at < len; at += sizeof(struct exec_head) + le32_get(job + at + 4)) {
		assert_true(len - at >= sizeof(struct exec_head));
		assert_true(len - at - sizeof(struct exec_head) >= le32_get(job + at + 4));
		if (le32_get(job + at) == type && !n--) {
			*ret_len = le32_get(job + at + 4);
			return job + at + sizeof(struct exec_head);
		}
	}
	return NULL;
}

static void a_job_says_it_all(void **state __unused)
{
	char sh[] = "sh", opt[] = "-c", text[] = "echo", *argv[] = { sh, opt, text, NULL };
	struct exec_config c = { .argv = argv, .tty = true };
	uint8_t *job;
	size_t len;
	uint32_t n;
	struct err err;

	c.cwd = strdup("/w");
	c.env[c.nr_envs++] = strdup("A=b");
	c.share[c.nr_shares++] =
		(struct exec_share){ strdup("/with a blank"), strdup("tag"), false };
	assert_int_equal(exec_link_job(&c, &job, &len, &err), 0);
	assert_memory_equal(find(job, len, EXEC_ARG, 2, &n), "echo", 4);
	assert_int_equal(n, 4);
	assert_null(find(job, len, EXEC_ARG, 3, &n));
	assert_memory_equal(find(job, len, EXEC_ENV, 0, &n), "A=b", 3);
	assert_memory_equal(find(job, len, EXEC_MOUNT, 0, &n), "tag /with a blank", 17);
	assert_int_equal(n, 17);
	assert_memory_equal(find(job, len, EXEC_ROOT, 0, &n), "root", 4);
	assert_non_null(find(job, len, EXEC_CLOCK, 0, &n));
	assert_non_null(find(job, len, EXEC_TTY, 0, &n));
	assert_null(find(job, len, EXEC_USER, 0, &n));
	assert_ptr_equal(find(job, len, EXEC_RUN, 0, &n), job + len);
	free(job);
	exec_config_fini(&c);
}

static void a_job_has_an_end(void **state __unused)
{
	char *big = calloc(1, EXEC_MAX_STRING + 2),
	     **argv = calloc(EXEC_MAX_WORDS + 2, sizeof(*argv));
	struct exec_config c = { .argv = argv };
	static char word[] = "x";
	uint8_t *job;
	size_t len;
	struct err err;

	memset(big, 'x', EXEC_MAX_STRING + 1);
	c.cwd = strdup("/");
	argv[0] = big;
	assert_int_equal(exec_link_job(&c, &job, &len, &err), -E2BIG);
	big[EXEC_MAX_STRING] = '\0';
	assert_int_equal(exec_link_job(&c, &job, &len, &err), 0);
	free(job);
	for (unsigned i = 0; i < 8; i++)
		argv[i] = big;
	assert_int_equal(exec_link_job(&c, &job, &len, &err), -E2BIG);
	for (unsigned i = 0; i <= EXEC_MAX_WORDS; i++)
		argv[i] = word;
	assert_int_equal(exec_link_job(&c, &job, &len, &err), -E2BIG);
	argv[EXEC_MAX_WORDS] = NULL;
	assert_int_equal(exec_link_job(&c, &job, &len, &err), 0);
	free(job);
	exec_config_fini(&c);
	free(argv);
	free(big);
}

#define T(fn) cmocka_unit_test_setup(fn, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_command_begins_and_ends),
		T(words_that_come_together_are_taken_apart),
		T(a_command_that_is_none_is_refused),
		T(a_sentence_is_printable_and_bounded),
		T(a_length_that_is_not_the_words_is_refused),
		T(a_word_that_is_none_is_refused),
		T(a_word_out_of_turn_is_refused),
		T(an_end_that_is_none_is_refused),
		T(a_job_says_it_all),
		T(a_job_has_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
