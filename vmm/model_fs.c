// SPDX-License-Identifier: BSD-3-Clause
/*
 * --shared-dir: the option, in crosvm's grammar (fields between colons), the directory that is
 * opened for it, and the device made of that.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/parse.h"
#include "virtio/fs.h"
#include "vmm/models.h"
#include "vmm/options.h"

#define MODEL_FS_MIN_NOFILE  1024ULL
#define MODEL_FS_MAX_NODES   (1U << 20) /* some 130 bytes for each, and its name */
#define MODEL_FS_MAX_HANDLES 16384U     /* files that a guest may have open */
#define MODEL_FS_TIMEOUT     5          /* seconds; crosvm's */
#define MODEL_FS_FOREVER     86400

_Static_assert(CONFIG_MAX_TAG == VIRTIO_FS_MAX_TAG, "one limit");

/* ---- the option ---- */

/** The fields after PATH and TAG, as a list of the kind that the other options take. */
static int share_parse_keys(const char *opt, char *text, struct share_config *s, struct err *err)
{
	static const char *const types[] = { "fs", "p9", NULL };
	static const char *const caches[] = { "never", "auto", "always", NULL };
	static const struct kv_key keys[] = {
		{ .name = "type",
			.type = KV_ENUM,
			.values = types,
			.offset = offsetof(struct share_config, type),
			.seen_offset = offsetof(struct share_config, type_seen) },
		{ .name = "cache",
			.type = KV_ENUM,
			.values = caches,
			.offset = offsetof(struct share_config, cache),
			.seen_offset = offsetof(struct share_config, cache_seen) },
		{ .name = "timeout",
			.type = KV_U64,
			.max = UINT32_MAX,
			.offset = offsetof(struct share_config, timeout_s),
			.seen_offset = offsetof(struct share_config, timeout_seen) },
		{ .name = "negative_timeout",
			.type = KV_U64,
			.max = UINT32_MAX,
			.offset = offsetof(struct share_config, negative_timeout_s),
			.seen_offset = SIZE_MAX },
		{ .name = "writeback",
			.type = KV_BOOL,
			.offset = offsetof(struct share_config, writeback),
			.seen_offset = SIZE_MAX },
		{ .name = "ro",
			.type = KV_BOOL,
			.offset = offsetof(struct share_config, ro),
			.seen_offset = SIZE_MAX },
		{ .name = "posix_acl",
			.type = KV_BOOL,
			.offset = offsetof(struct share_config, posix_acl),
			.seen_offset = SIZE_MAX },
		{ .name = "uid",
			.type = KV_U64,
			.max = UINT32_MAX - 1,
			.offset = offsetof(struct share_config, uid),
			.seen_offset = SIZE_MAX },
		{ .name = "gid",
			.type = KV_U64,
			.max = UINT32_MAX - 1,
			.offset = offsetof(struct share_config, gid),
			.seen_offset = SIZE_MAX },
	};
	int rc;

	for (char *p = text; *p; p++)
		if (*p == ':')
			*p = ',';
	/* What the guest's kernel caches by 9P, its mount options say. */
	rc = kv_parse(opt, text, keys, ARRAY_SIZE(keys), false, s, err);
	if (!rc && s->type == SHARE_P9 &&
		(s->cache_seen || s->timeout_seen || s->negative_timeout_s || s->writeback))
		return err_set(err, EINVAL,
			"%s: cache, timeout, negative_timeout and writeback: only with type=fs",
			opt);
	return rc;
}

static int share_parse(const char *opt, char *text, const struct config *c, struct share_config *s,
	struct err *err)
{
	char *at = text, *path = strsep(&at, ":"), *tag = strsep(&at, ":");

	if (!*path || !tag)
		return err_set(err, EINVAL, "%s: '%s' is not PATH:TAG:type=fs or p9", opt, text);
	if (!*tag || strlen(tag) > CONFIG_MAX_TAG)
		return err_set(err, EINVAL, "%s: tag: '%s' has not 1 to %u bytes", opt, tag,
			CONFIG_MAX_TAG);
	for (unsigned i = 0; i < c->nr_shares; i++)
		if (c->share[i].tag && !strcmp(c->share[i].tag, tag))
			return err_set(err, EINVAL, "%s: tag: '%s' is used twice", opt, tag);
	s->path = strdup(path);
	s->tag = strdup(tag);
	if (!s->path || !s->tag)
		return err_errno(err, ENOMEM, "%s", opt);
	return at ? share_parse_keys(opt, at, s, err) : 0;
}

int option_shared_dir(const char *opt, const char *value, struct config *c, struct err *err)
{
	struct share_config *s;
	char *text;
	int rc;

	if (c->nr_shares == CONFIG_MAX_SHARES)
		return err_set(err, EINVAL, "%s: more than %u", opt, CONFIG_MAX_SHARES);
	text = strdup(value);
	if (!text)
		return err_errno(err, ENOMEM, "%s", opt);
	s = &c->share[c->nr_shares++];
	*s = (struct share_config){ .cache = FUSE_CACHE_AUTO, .posix_acl = true };
	rc = share_parse(opt, text, c, s, err);
	free(text);
	if (!rc && !s->type_seen)
		return err_set(err, EINVAL, "%s: type: is needed: fs or p9", opt);
	return rc;
}

/* ---- the device ---- */

/** The i-th directory of a type. */
static const struct share_config *model_share(
	const struct config *cfg, enum share_type type, unsigned i)
{
	for (unsigned n = 0; n < cfg->nr_shares; n++)
		if (cfg->share[n].type == type && !i--)
			return &cfg->share[n];
	return NULL;
}

static unsigned model_nr_shares(const struct config *cfg, enum share_type type)
{
	unsigned n = 0;

	while (model_share(cfg, type, n))
		n++;
	return n;
}

unsigned model_nr_fs(const struct config *cfg)
{
	return model_nr_shares(cfg, SHARE_FS);
}

unsigned model_nr_p9(const struct config *cfg)
{
	return model_nr_shares(cfg, SHARE_P9);
}

static int model_open_share(const struct share_config *s, struct model_files *ret, struct err *err)
{
	struct rlimit r = { 0 };

	/* A superuser's device may have more descriptors than hosts give at first. */
	if (!getrlimit(RLIMIT_NOFILE, &r) && r.rlim_max < MODEL_FS_NOFILE) {
		r.rlim_max = MODEL_FS_NOFILE;
		(void)!setrlimit(RLIMIT_NOFILE, &r);
	}
	model_files_init(ret);
	ret->fd[0] = fd_open("--shared-dir", s->path, O_PATH | O_DIRECTORY, err);
	return ret->fd[0] < 0 ? ret->fd[0] : 0;
}

int model_open_fs(const struct config *cfg, unsigned i, struct model_files *ret, struct err *err)
{
	return model_open_share(model_share(cfg, SHARE_FS, i), ret, err);
}

int model_open_p9(const struct config *cfg, unsigned i, struct model_files *ret, struct err *err)
{
	return model_open_share(model_share(cfg, SHARE_P9, i), ret, err);
}

/**
 * How many descriptors the device may have. A jail sets that limit itself; without one all shared
 * directories have the process's.
 */
static int model_fs_nofile(const struct model_host *h, unsigned *ret, struct err *err)
{
	unsigned among = h->jailed ? 1 : h->cfg->nr_shares;
	struct rlimit r;
	rlim_t each;

	if (getrlimit(RLIMIT_NOFILE, &r))
		return err_errno(err, errno, "--shared-dir");
	if (!h->jailed && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &r))
			return err_errno(err, errno, "--shared-dir");
	}
	each = MIN(r.rlim_max / among, (rlim_t)MODEL_FS_NOFILE);
	if (each < MODEL_FS_MIN_NOFILE)
		return err_set(err, EMFILE, "--shared-dir: needs %llu descriptors of %llu",
			MODEL_FS_MIN_NOFILE * among, (unsigned long long)r.rlim_max);
	*ret = (unsigned)each;
	return 0;
}

static uint32_t model_fs_timeout(const struct share_config *s)
{
	static const uint32_t usual[] = {
		[FUSE_CACHE_NEVER] = 0,
		[FUSE_CACHE_AUTO] = MODEL_FS_TIMEOUT,
		[FUSE_CACHE_ALWAYS] = MODEL_FS_FOREVER,
	};

	return s->timeout_seen ? (uint32_t)s->timeout_s : usual[s->cache];
}

/** What the tree is made of, and how many files may be open. Takes the files over. */
static int model_make_tree(struct model_host *h, const struct share_config *s,
	struct model_files *files, struct tree_config *ret, uint32_t *max_handles, struct err *err)
{
	unsigned nofile = 0;
	int rc = model_fs_nofile(h, &nofile, err);

	*ret = (struct tree_config){ .root_fd = fd_take(&files->fd[0]),
		.ro = s->ro,
		.uid = (uint32_t)s->uid,
		.gid = (uint32_t)s->gid,
		.acl = s->posix_acl };
	if (!rc) {
		ret->self_fd = h->jailed
			? jail_self_fds(err)
			: fd_open("--shared-dir", "/proc/self/fd", O_PATH | O_DIRECTORY, err);
		rc = MIN(ret->self_fd, 0);
	}
	if (rc) {
		fd_close(&ret->root_fd);
		return rc;
	}
	*max_handles = MIN(nofile / 4, MODEL_FS_MAX_HANDLES);
	ret->max_fds = nofile - *max_handles - JAIL_NOFILE;
	ret->max_nodes = MODEL_FS_MAX_NODES;
	return 0;
}

int model_make_fs(struct model_host *h, unsigned i, struct model_files *files,
	struct virtio_backend **ret, struct err *err)
{
	const struct share_config *s = model_share(h->cfg, SHARE_FS, i);
	struct fuse_config fc = {
		.cache = s->cache,
		.timeout_s = model_fs_timeout(s),
		.negative_timeout_s = (uint32_t)s->negative_timeout_s,
		.writeback = s->writeback,
	};
	int rc = model_make_tree(h, s, files, &fc.tree, &fc.max_handles, err);

	return rc ? rc : virtio_fs_create(s->tag, &fc, h->gm, h->loop, ret, err);
}

int model_make_p9(struct model_host *h, unsigned i, struct model_files *files,
	struct virtio_backend **ret, struct err *err)
{
	const struct share_config *s = model_share(h->cfg, SHARE_P9, i);
	struct p9_config pc;
	uint32_t max_handles = 0;
	int rc = model_make_tree(h, s, files, &pc.tree, &max_handles, err);

	if (rc)
		return rc;
	/* A fid may be open, and its node may have a descriptor, too. */
	pc.max_fids = pc.tree.max_fds / 2;
	pc.tree.max_fds -= pc.max_fids;
	return virtio_p9_create(s->tag, &pc, h->gm, h->loop, ret, err);
}

static void model_label_share(const struct share_config *s, char *buf, size_t len)
{
	snprintf(buf, len, "--shared-dir %s:%s", s->path, s->tag);
}

void model_label_fs(const struct config *cfg, unsigned i, char *buf, size_t len)
{
	model_label_share(model_share(cfg, SHARE_FS, i), buf, len);
}

void model_label_p9(const struct config *cfg, unsigned i, char *buf, size_t len)
{
	model_label_share(model_share(cfg, SHARE_P9, i), buf, len);
}
