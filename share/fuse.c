// SPDX-License-Identifier: BSD-3-Clause
/*
 * Sessions, and from a request's bytes to its function.
 *
 * Invariants:
 * 1. Everything of a request but a file's contents is copied once and judged in the copy; a struct
 *    is there whole before its function sees it.
 * 2. What an answer has beyond its header is at most the room that the guest gave, and each byte
 *    of it was written for this request.
 * 3. Nothing is allocated for a request.
 * 4. Nothing but INIT is served before a session was agreed.
 */
#include "share/fuse_impl.h"

#include <errno.h>
#include <stdlib.h>

#include "base/iov.h"

/* The first whose kernel has virtio-fs; structs have their size since. */
#define FUSE_OLDEST_MINOR 31

/* What is offered, with or without conditions (fuse_offered). */
#define FUSE_OFFER                                                                                 \
	(FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES | FUSE_DONT_MASK |                \
		FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO | FUSE_ASYNC_DIO |                     \
		FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES | FUSE_HANDLE_KILLPRIV_V2 | FUSE_INIT_EXT)

/* ---- sessions ---- */

/* A file may be mapped where nothing is cached (Linux 6.6); newer than some linux/fuse.h. */
#define FUSE_MMAP_UNCACHED BIT(36)

static uint64_t fuse_offered(const struct fuse *f)
{
	uint64_t offer = FUSE_OFFER;

	if (f->cache == FUSE_CACHE_NEVER)
		offer |= FUSE_MMAP_UNCACHED;
	if (f->cache == FUSE_CACHE_AUTO)
		offer |= FUSE_AUTO_INVAL_DATA;
	if (f->cache == FUSE_CACHE_ALWAYS)
		offer |= FUSE_CACHE_SYMLINKS;
	if (f->writeback)
		offer |= FUSE_WRITEBACK_CACHE;
	if (tree_has_acl(f->tree))
		offer |= FUSE_POSIX_ACL | FUSE_SETXATTR_EXT;
	return offer;
}

void fuse_reset(struct fuse *f)
{
	fuse_handles_reset(f);
	tree_reset(f->tree);
	f->ready = false;
	f->flags = 0;
}

static int64_t fuse_init(struct fuse_call *c)
{
	const uint32_t *more = (const uint32_t *)(const void *)c->rest;
	struct fuse_init_out *out = fuse_body(c, sizeof(*out));
	struct fuse *f = c->f;
	const struct {
		uint32_t major, minor, max_readahead, flags;
	} *in = c->arg;
	uint64_t asked = in->flags;

	fuse_reset(f);
	out->major = FUSE_KERNEL_VERSION;
	out->minor = FUSE_KERNEL_MINOR_VERSION;
	/* A newer kernel asks again, with our version. */
	if (in->major > FUSE_KERNEL_VERSION)
		return sizeof(*out);
	if (in->major < FUSE_KERNEL_VERSION || in->minor < FUSE_OLDEST_MINOR)
		return -EPROTO;
	if ((in->flags & FUSE_INIT_EXT) && c->rest_len >= sizeof(*more))
		asked |= (uint64_t)*more << 32;
	f->flags = asked & fuse_offered(f);
	f->ready = true;
	out->minor = MIN(in->minor, (uint32_t)FUSE_KERNEL_MINOR_VERSION);
	out->max_readahead = in->max_readahead;
	out->flags = (uint32_t)f->flags;
	out->flags2 = (uint32_t)(f->flags >> 32);
	out->max_background = 64;
	out->congestion_threshold = 48;
	out->max_write = FUSE_MAX_IO;
	out->time_gran = 1;
	out->max_pages = FUSE_MAX_IO / PAGE_SIZE_4K;
	return sizeof(*out);
}

static int64_t fuse_end(struct fuse_call *c)
{
	fuse_reset(c->f);
	return 0;
}

/* ---- references that the guest gives back ---- */

static void fuse_forget_one(struct fuse *f, uint64_t nodeid, uint64_t nr)
{
	struct tree_node *n = tree_find(f->tree, nodeid);

	if (n && nr)
		tree_forget(f->tree, n, nr);
}

static int64_t fuse_forget(struct fuse_call *c)
{
	const struct fuse_forget_in *in = c->arg;

	fuse_forget_one(c->f, c->h.nodeid, in->nlookup);
	return 0;
}

static int64_t fuse_batch_forget(struct fuse_call *c)
{
	const struct fuse_batch_forget_in *in = c->arg;
	size_t nr = MIN(in->count, c->rest_len / sizeof(struct fuse_forget_one));

	for (size_t i = 0; i < nr; i++) {
		struct fuse_forget_one one;

		memcpy(&one, c->rest + i * sizeof(one), sizeof(one));
		fuse_forget_one(c->f, one.nodeid, one.nlookup);
	}
	return 0;
}

/** All requests are answered at once, so there is none to interrupt. */
static int64_t fuse_interrupt(struct fuse_call *c __unused)
{
	return 0;
}

/* ---- the table ---- */

#define FUSE_OP_NODE    1U  /* h.nodeid is a node's */
#define FUSE_OP_CHANGES 2U  /* it is refused where the tree is read-only */
#define FUSE_OP_DATA    4U  /* what follows its struct is a file's contents, and is not copied */
#define FUSE_OP_DIRECT  8U  /* its answer is in the guest's buffers */
#define FUSE_OP_SILENT  16U /* it has no answer */

struct fuse_op {
	fuse_fn *fn;
	uint16_t arg; /* bytes of its struct */
	uint16_t is;
};

#define FUSE_NODE_W (FUSE_OP_NODE | FUSE_OP_CHANGES)

static const struct fuse_op fuse_ops[] = {
	[FUSE_LOOKUP] = { fuse_lookup, 0, FUSE_OP_NODE },
	[FUSE_FORGET] = { fuse_forget, sizeof(struct fuse_forget_in), FUSE_OP_SILENT },
	[FUSE_GETATTR] = { fuse_getattr, sizeof(struct fuse_getattr_in), FUSE_OP_NODE },
	[FUSE_SETATTR] = { fuse_setattr, sizeof(struct fuse_setattr_in), FUSE_NODE_W },
	[FUSE_READLINK] = { fuse_readlink, 0, FUSE_OP_NODE },
	[FUSE_SYMLINK] = { fuse_symlink, 0, FUSE_NODE_W },
	[FUSE_MKNOD] = { fuse_mknod, sizeof(struct fuse_mknod_in), FUSE_NODE_W },
	[FUSE_MKDIR] = { fuse_mkdir, sizeof(struct fuse_mkdir_in), FUSE_NODE_W },
	[FUSE_UNLINK] = { fuse_unlink, 0, FUSE_NODE_W },
	[FUSE_RMDIR] = { fuse_rmdir, 0, FUSE_NODE_W },
	[FUSE_RENAME] = { fuse_rename, sizeof(struct fuse_rename_in), FUSE_NODE_W },
	[FUSE_LINK] = { fuse_link, sizeof(struct fuse_link_in), FUSE_NODE_W },
	[FUSE_OPEN] = { fuse_open, sizeof(struct fuse_open_in), FUSE_OP_NODE },
	[FUSE_READ] = { fuse_read, sizeof(struct fuse_read_in), FUSE_OP_DIRECT },
	[FUSE_WRITE] = { fuse_write, sizeof(struct fuse_write_in), FUSE_OP_CHANGES | FUSE_OP_DATA },
	[FUSE_STATFS] = { fuse_statfs, 0, FUSE_OP_NODE },
	[FUSE_RELEASE] = { fuse_release, sizeof(struct fuse_release_in), 0 },
	[FUSE_FSYNC] = { fuse_fsync, sizeof(struct fuse_fsync_in), 0 },
	[FUSE_SETXATTR] = { fuse_setxattr, FUSE_COMPAT_SETXATTR_IN_SIZE, FUSE_NODE_W },
	[FUSE_GETXATTR] = { fuse_getxattr, sizeof(struct fuse_getxattr_in), FUSE_OP_NODE },
	[FUSE_LISTXATTR] = { fuse_listxattr, sizeof(struct fuse_getxattr_in), FUSE_OP_NODE },
	[FUSE_REMOVEXATTR] = { fuse_removexattr, 0, FUSE_NODE_W },
	[FUSE_INIT] = { fuse_init, 4 * sizeof(uint32_t), 0 },
	[FUSE_OPENDIR] = { fuse_opendir, sizeof(struct fuse_open_in), FUSE_OP_NODE },
	[FUSE_READDIR] = { fuse_readdir, sizeof(struct fuse_read_in), FUSE_OP_NODE },
	[FUSE_RELEASEDIR] = { fuse_releasedir, sizeof(struct fuse_release_in), 0 },
	[FUSE_FSYNCDIR] = { fuse_fsyncdir, sizeof(struct fuse_fsync_in), 0 },
	[FUSE_CREATE] = { fuse_make, sizeof(struct fuse_create_in), FUSE_NODE_W },
	[FUSE_INTERRUPT] = { fuse_interrupt, sizeof(struct fuse_interrupt_in), FUSE_OP_SILENT },
	[FUSE_DESTROY] = { fuse_end, 0, 0 },
	[FUSE_BATCH_FORGET] = { fuse_batch_forget, sizeof(struct fuse_batch_forget_in),
		FUSE_OP_SILENT },
	[FUSE_FALLOCATE] = { fuse_fallocate, sizeof(struct fuse_fallocate_in), FUSE_OP_CHANGES },
	[FUSE_READDIRPLUS] = { fuse_readdirplus, sizeof(struct fuse_read_in), FUSE_OP_NODE },
	[FUSE_RENAME2] = { fuse_rename2, sizeof(struct fuse_rename2_in), FUSE_NODE_W },
	[FUSE_LSEEK] = { fuse_lseek, sizeof(struct fuse_lseek_in), 0 },
	[FUSE_COPY_FILE_RANGE] = { fuse_copy, sizeof(struct fuse_copy_file_range_in),
		FUSE_OP_CHANGES },
	[FUSE_TMPFILE] = { fuse_tmpfile, sizeof(struct fuse_create_in), FUSE_NODE_W },
};

static const struct fuse_op *fuse_op_of(uint32_t opcode)
{
	const struct fuse_op *op = opcode < ARRAY_SIZE(fuse_ops) ? &fuse_ops[opcode] : NULL;

	return op && op->fn ? op : NULL;
}

/* ---- one request ---- */

const char *fuse_string(struct fuse_call *c)
{
	const char *s = (const char *)c->rest;
	size_t len = strnlen(s, c->rest_len);

	if (len == c->rest_len)
		return NULL;
	c->rest += len + 1;
	c->rest_len -= len + 1;
	return s;
}

void *fuse_body(struct fuse_call *c, size_t len)
{
	memset(c->f->reply, 0, len);
	return c->f->reply;
}

/** Copies its arguments and checks what its row says. 0 or -errno. */
static int fuse_judge(struct fuse_call *c, const struct fuse_op *op)
{
	struct fuse *f = c->f;
	uint64_t len = c->in_len - sizeof(c->h);

	if (!f->ready && op->fn != fuse_init)
		return -EIO;
	if (op->is & FUSE_OP_DATA)
		len = MIN(len, op->arg);
	if (c->h.len != c->in_len || len < op->arg)
		return -EINVAL;
	if (len > FUSE_MAX_ARGS)
		return -E2BIG;
	iov_read(c->in, c->nr_in, sizeof(c->h), f->args, len);
	f->args[len] = 0;
	c->arg = f->args;
	c->rest = f->args + op->arg;
	c->rest_len = len - op->arg;
	if (op->is & FUSE_OP_NODE) {
		c->node = tree_find(f->tree, c->h.nodeid);
		if (!c->node)
			return -ESTALE;
	}
	return (op->is & FUSE_OP_CHANGES) && f->ro ? -EROFS : 0;
}

/** Writes the header, and the body where that is not there yet. Returns the bytes of both. */
static int64_t fuse_answer(struct fuse_call *c, const struct fuse_op *op, int64_t res)
{
	struct fuse_out_header h = { .len = sizeof(h), .unique = c->h.unique };

	if (res > (int64_t)c->room)
		res = -EIO; /* the guest said what it wants, but has no room for it */
	if (res < 0)
		h.error = (int32_t)res;
	else
		h.len += (uint32_t)res;
	if (res > 0 && !(op && (op->is & FUSE_OP_DIRECT)))
		iov_write(c->out, c->nr_out, sizeof(h), c->f->reply, (size_t)res);
	iov_write(c->out, c->nr_out, 0, &h, sizeof(h));
	return h.len;
}

int64_t fuse_serve(struct fuse *f, const struct iovec *in, unsigned nr_in, uint64_t in_len,
	const struct iovec *out, unsigned nr_out, uint64_t out_len)
{
	struct fuse_call c = {
		.f = f, .in = in, .nr_in = nr_in, .in_len = in_len, .out = out, .nr_out = nr_out
	};
	const struct fuse_op *op;
	int64_t res;

	if (in_len < sizeof(c.h) || nr_in > FUSE_MAX_IOV || nr_out > FUSE_MAX_IOV)
		return -EPROTO;
	iov_read(in, nr_in, 0, &c.h, sizeof(c.h));
	op = fuse_op_of(c.h.opcode);
	if (op && (op->is & FUSE_OP_SILENT)) {
		if (!fuse_judge(&c, op))
			op->fn(&c);
		return 0;
	}
	if (out_len < sizeof(struct fuse_out_header))
		return -EPROTO;
	c.room = (size_t)(out_len - sizeof(struct fuse_out_header));
	res = op ? fuse_judge(&c, op) : -ENOSYS;
	if (!res)
		res = op->fn(&c);
	return fuse_answer(&c, op, res);
}

/* ---- the server ---- */

int fuse_create(const struct fuse_config *cfg, struct fuse **ret, struct err *err)
{
	struct fuse *f = calloc(1, sizeof(*f));
	struct tree *tree;
	int rc = tree_create(&cfg->tree, &tree, err);

	if (rc) {
		free(f);
		return rc;
	}
	BUG_ON(!cfg->max_handles || cfg->max_handles == UINT32_MAX);
	if (f)
		f->handles = calloc((size_t)cfg->max_handles + 1, sizeof(*f->handles));
	if (!f || !f->handles) {
		tree_destroy(tree);
		free(f);
		return err_errno(err, ENOMEM, "shared directory");
	}
	f->tree = tree;
	f->cache = cfg->cache;
	f->timeout_s = cfg->timeout_s;
	f->negative_timeout_s = cfg->negative_timeout_s;
	f->writeback = cfg->writeback && !cfg->tree.ro;
	f->ro = cfg->tree.ro;
	f->max_handles = cfg->max_handles;
	*ret = f;
	return 0;
}

void fuse_destroy(struct fuse *f)
{
	if (!f)
		return;
	fuse_handles_reset(f);
	tree_destroy(f->tree);
	free(f->handles);
	free(f);
}
