// SPDX-License-Identifier: BSD-3-Clause
/*
 * A guest's FUSE requests at share/fuse.c, on a directory of the host. Answers must be whole and
 * in the room there was (tests/unit/fuse_rig.h), and what lies beside the directory stays as it
 * is.
 *
 * A request is five bytes and more: the word, which node and which open file it is about (of those
 * that were answered before; 0xff: a number that is none), how many bytes follow of its struct and
 * of names or contents. In the struct the first eight bytes become the number of the file where
 * the word has one there.
 */
#include <dirent.h>
#include <errno.h>

#include "tests/unit/fuse_rig.h"

#define MAX_STEPS 64
#define HEAD      5
#define KEPT      16

static struct {
	struct fuse_rig *r;
	uint64_t node[KEPT], fh[KEPT];
	unsigned nr_nodes, nr_fhs;
} f;

/** Everything but what share_open made. */
static void fuzz_clean(int dir, unsigned depth)
{
	DIR *d = fdopendir(dir);
	const struct dirent *e;

	BUG_ON(!d || depth > 64);
	while ((e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (unlinkat(dirfd(d), e->d_name, 0) == 0)
			continue;
		if (errno == EISDIR || errno == EPERM) {
			int sub;

			(void)!fchmodat(dirfd(d), e->d_name, 0700, 0);
			sub = openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			if (sub >= 0)
				fuzz_clean(sub, depth + 1);
			unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
		}
	}
	closedir(d);
}

static void fuzz_remember(uint32_t opcode)
{
	bool entry = opcode == FUSE_LOOKUP || opcode == FUSE_MKDIR || opcode == FUSE_MKNOD ||
		opcode == FUSE_SYMLINK || opcode == FUSE_LINK || opcode == FUSE_CREATE ||
		opcode == FUSE_TMPFILE;
	bool opened = opcode == FUSE_OPEN || opcode == FUSE_OPENDIR;
	size_t at = opcode == FUSE_CREATE || opcode == FUSE_TMPFILE ? sizeof(struct fuse_entry_out)
								    : 0;

	if (f.r->h.error || !f.r->out_len)
		return;
	if (entry)
		f.node[f.nr_nodes++ % KEPT] = FUSE_RIG_OUT(f.r, struct fuse_entry_out)->nodeid;
	if (opened || at) {
		BUG_ON(f.r->out_len < at + sizeof(struct fuse_open_out));
		memcpy(&f.fh[f.nr_fhs++ % KEPT], f.r->out + at, sizeof(f.fh[0]));
	}
}

static bool fuzz_has_fh(uint32_t opcode)
{
	switch (opcode) {
	case FUSE_READ:
	case FUSE_WRITE:
	case FUSE_RELEASE:
	case FUSE_FSYNC:
	case FUSE_READDIR:
	case FUSE_READDIRPLUS:
	case FUSE_RELEASEDIR:
	case FUSE_FSYNCDIR:
	case FUSE_FALLOCATE:
	case FUSE_LSEEK:
	case FUSE_COPY_FILE_RANGE:
		return true;
	default:
		return false;
	}
}

/** Returns how many bytes it took. */
static size_t fuzz_step(const uint8_t *s, size_t size)
{
	static uint8_t arg[256 + 256];
	size_t nr_arg = MIN((size_t)s[3], size - HEAD);
	size_t nr_rest = MIN((size_t)s[4], size - HEAD - nr_arg);
	uint32_t opcode = s[0] & 0x7f;
	uint64_t node = s[1] == 0xff ? 0xdeadbeef : f.node[s[1] % KEPT], fh = f.fh[s[2] % KEPT];
	struct fuse_fallocate_in fa;

	memcpy(arg, s + HEAD, nr_arg);
	if (fuzz_has_fh(opcode) && s[2] != 0xff && nr_arg >= sizeof(fh))
		memcpy(arg, &fh, sizeof(fh));
	/* The host's disk is not what is tested, nor how long it takes. */
	if (opcode == FUSE_FALLOCATE && nr_arg >= sizeof(fa)) {
		memcpy(&fa, arg, sizeof(fa));
		fa.length &= 0xffff;
		fa.offset &= 0xffff;
		memcpy(arg, &fa, sizeof(fa));
	}
	f.r->cut = s[0] & 0x80 ? 64 : 0;
	f.r->room = s[0] & 0x80 ? 4096 : FUSE_RIG_ROOM;
	if (fuse_rig_call(f.r, opcode, node, arg, nr_arg, s + HEAD + nr_arg, nr_rest) >= 0)
		fuzz_remember(opcode);
	return HEAD + nr_arg + nr_rest;
}

static void fuzz_end(void)
{
	fuse_rig_close(f.r);
	f.r = NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned steps = 0;

	if (!f.r) {
		f.r = fuse_rig_open();
		BUG_ON(atexit(fuzz_end));
	}
	f.nr_nodes = f.nr_fhs = 0;
	memset(f.fh, 0, sizeof(f.fh));
	for (unsigned i = 0; i < KEPT; i++)
		f.node[i] = FUSE_ROOT_ID;
	if (size && (data[0] & 1))
		BUG_ON(fuse_rig_init(f.r, UINT32_MAX & ~(uint32_t)FUSE_INIT_EXT));
	for (size_t at = 1; at + HEAD <= size && steps < MAX_STEPS; steps++)
		at += fuzz_step(data + at, size - at);
	fuse_reset(f.r->f);
	BUG_ON(!share_has(&f.r->s, "outside/f", "OUTSIDE"));
	BUG_ON(faccessat(f.r->s.top_fd, "in", F_OK, 0));
	if (faccessat(f.r->s.top_fd, "outside/new", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		abort();
	fuzz_clean(openat(f.r->s.top_fd, "in", O_RDONLY | O_DIRECTORY | O_CLOEXEC), 0);
	BUG_ON(mkdirat(f.r->s.top_fd, "in/dir", 0755));
	share_put(&f.r->s, "in/file", "inside");
	share_put(&f.r->s, "in/dir/f", "inside");
	BUG_ON(symlinkat("../outside", f.r->s.top_fd, "in/out"));
	return 0;
}
