// SPDX-License-Identifier: BSD-3-Clause
/*
 * A client's 9P requests at share/p9.c, on a directory of the host. Answers must be whole and in
 * the room there was (tests/unit/p9_rig.h), and what lies beside the directory stays as it is.
 *
 * A request is its word, how many bytes follow, and those. Its length is made to be true, but where
 * the word's highest bit is set; then the bytes begin with it.
 */
#include "tests/unit/p9_rig.h"

#define MAX_STEPS 64
#define KEPT_DIRS 8

static struct p9_rig *rig;

static void fuzz_end(void)
{
	p9_rig_close(rig);
	rig = NULL;
}

static int fuzz_remove(
	const char *path, const struct stat *st __unused, int type __unused, struct FTW *w)
{
	return w->level ? remove(path) : 0;
}

/** Returns how many bytes it took. */
static size_t fuzz_step(const uint8_t *s, size_t size)
{
	size_t n = MIN((size_t)s[1], size - 2);

	p9_rig_begin(rig, s[0] & 0x7f);
	memcpy(rig->req + rig->len, s + 2, n);
	rig->len += n;
	if (s[0] & 0x80 && n >= 4)
		memcpy(rig->req, s + 2, 4);
	else
		le32_put(rig->req, (uint32_t)rig->len);
	rig->room = s[0] & 0x80 ? 64 : P9_RIG_ROOM;
	(void)!p9_rig_raw(rig);
	return 2 + n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char in[80];
	unsigned steps = 0;

	if (!rig) {
		rig = p9_rig_open();
		BUG_ON(atexit(fuzz_end));
	}
	rig->room = P9_RIG_ROOM;
	if (size && (data[0] & 1))
		BUG_ON(p9_rig_version(rig, 16384, "9P2000.L") || p9_rig_attach(rig, 1));
	for (size_t at = 1; at + 2 <= size && steps < MAX_STEPS; steps++)
		at += fuzz_step(data + at, size - at);
	p9_reset(rig->p);
	BUG_ON(!share_has(&rig->s, "outside/f", "OUTSIDE"));
	BUG_ON(!faccessat(rig->s.top_fd, "outside/new", F_OK, AT_SYMLINK_NOFOLLOW));
	snprintf(in, sizeof(in), "%s/in", rig->s.top);
	/* Modes that keep even their owner out are set back on the way down. */
	(void)!chmod(in, 0755);
	nftw(in, fuzz_remove, KEPT_DIRS, FTW_DEPTH | FTW_PHYS);
	(void)!mkdirat(rig->s.top_fd, "in/dir", 0755);
	share_put(&rig->s, "in/file", "inside");
	share_put(&rig->s, "in/dir/f", "inside");
	(void)!symlinkat("../outside", rig->s.top_fd, "in/out");
	return 0;
}
