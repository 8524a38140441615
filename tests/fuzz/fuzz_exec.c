// SPDX-License-Identifier: BSD-3-Clause
/*
 * What a guest's first program says to `mayfly exec` (vmm/exec_link.c), in pieces of any size. An
 * event must be a word of the guest's, with what belongs to it, in an order that makes sense.
 */
#include <stdint.h>

#include "vmm/exec.h"

static void fuzz_check(const struct exec_event *e, bool *up, bool *started, bool *over)
{
	BUG_ON(*over || (!*up && e->type != EXEC_UP));
	switch (e->type) {
	case EXEC_UP:
		BUG_ON(*up);
		*up = true;
		break;
	case EXEC_STARTED:
	case EXEC_REFUSED:
		BUG_ON(*started);
		*started = true;
		break;
	case EXEC_EXITED:
		BUG_ON(!*started || e->exited.is_signal > 1 || e->exited.value > 255);
		*over = true;
		break;
	case EXEC_FAILED:
		for (const char *c = e->text; *c; c++)
			BUG_ON(*c < ' ' || *c > '~');
		BUG_ON(strlen(e->text) > EXEC_MAX_FAILED);
		*over = true;
		break;
	default:
		BUG_ON(true);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool up = false, started = false, over = false;
	struct exec_link l = { .have = 0 };
	size_t each = size ? data[0] % 64 + 1U : 1, at = 1;

	while (at < size) {
		size_t n = MIN(each, size - at), left = n;
		struct exec_event e;
		int rc;

		while (left) {
			rc = exec_link_feed(&l, data + at + (n - left), &left, &e);
			BUG_ON(left > n);
			if (rc < 0)
				return 0;
			if (rc)
				fuzz_check(&e, &up, &started, &over);
			else
				BUG_ON(left);
		}
		at += n;
	}
	return 0;
}
