// SPDX-License-Identifier: BSD-3-Clause
#include "vmm/models.h"

#include <stdio.h>

#include "base/log.h"
#include "block/block.h"
#include "virtio/blk.h"
#include "virtio/console.h"
#include "virtio/fs.h"
#include "virtio/rng.h"
#include "virtio/vsock.h"

#define DISK_DEPTH      128
#define DISK_MAX_QUEUES 8 /* unless queues= says more */

/* ---- block ---- */

static unsigned model_nr_block(const struct config *cfg)
{
	return cfg->nr_disks;
}

static struct block_config model_block_config(const struct disk_config *d)
{
	static const enum block_executor executors[] = { BLOCK_EXEC_URING, BLOCK_EXEC_PLAIN };

	return (struct block_config){
		.path = d->path,
		.ro = d->ro,
		.direct = d->direct,
		.sparse = d->sparse,
		.lock = d->lock,
		.block_size = (uint32_t)d->block_size,
		.executor = d->executor_seen ? executors[d->executor] : BLOCK_EXEC_AUTO,
		.depth = DISK_DEPTH,
	};
}

static int model_open_block(
	const struct config *cfg, unsigned i, struct model_files *ret, struct err *err)
{
	struct block_config bc = model_block_config(&cfg->disk[i]);
	int fd = block_open_file(&bc, err);

	model_files_init(ret);
	ret->fd[0] = fd;
	return fd < 0 ? fd : 0;
}

static int model_make_block(struct model_host *h, unsigned i, struct model_files *files,
	struct virtio_backend **ret, struct err *err)
{
	const struct disk_config *d = &h->cfg->disk[i];
	struct block_config bc = model_block_config(d);
	struct virtio_blk_options vo = {
		.serial = d->id,
		.nr_queues = (unsigned)(d->queues ? d->queues : MIN(h->cfg->cpus, DISK_MAX_QUEUES)),
	};
	struct block *image;
	int rc;

	bc.opened = true;
	bc.restricted = h->jailed;
	bc.fd = fd_take(&files->fd[0]);
	rc = block_open(&bc, &image, err);
	if (rc)
		return rc;
	log_debug("--block: %s: %llu bytes, %s", d->path, (unsigned long long)block_size(image),
		block_executor_name(image));
	return virtio_blk_create(image, &vo, h->gm, h->loop, ret, err);
}

static void model_label_block(const struct config *cfg, unsigned i, char *buf, size_t len)
{
	snprintf(buf, len, "--block %s", cfg->disk[i].path);
}

/* ---- console ---- */

static const struct serial_config *model_nth_console(const struct config *cfg, unsigned n)
{
	/* hvc numbers follow num=, not the order of options. */
	for (uint64_t num = 1; num <= CONFIG_MAX_SERIALS; num++)
		for (unsigned i = 0; i < cfg->nr_serials; i++)
			if (cfg->serial[i].hardware == SERIAL_VIRTIO_CONSOLE &&
				cfg->serial[i].num == num && !n--)
				return &cfg->serial[i];
	return NULL;
}

static unsigned model_nr_console(const struct config *cfg)
{
	unsigned n = 0;

	while (model_nth_console(cfg, n))
		n++;
	return n;
}

static int model_open_console(
	const struct config *cfg, unsigned i, struct model_files *ret, struct err *err)
{
	return serial_open(model_nth_console(cfg, i), ret, err);
}

static int model_make_console(struct model_host *h, unsigned i, struct model_files *files,
	struct virtio_backend **ret, struct err *err)
{
	struct chardev *cd;
	int rc = serial_create(h, model_nth_console(h->cfg, i), files, &cd, err);

	return rc ? rc : virtio_console_create(cd, h->gm, h->loop, ret, err);
}

static void model_label_console(const struct config *cfg, unsigned i, char *buf, size_t len)
{
	snprintf(buf, len, "--serial hardware=virtio-console,num=%llu",
		(unsigned long long)model_nth_console(cfg, i)->num);
}

/* ---- rng ---- */

static unsigned model_nr_rng(const struct config *cfg)
{
	return !cfg->no_rng;
}

static int model_open_rng(const struct config *cfg __unused, unsigned i __unused,
	struct model_files *ret, struct err *err __unused)
{
	model_files_init(ret);
	return 0;
}

static int model_make_rng(struct model_host *h, unsigned i __unused,
	struct model_files *files __unused, struct virtio_backend **ret, struct err *err)
{
	return virtio_rng_create(h->gm, h->loop, ret, err);
}

static void model_label_rng(
	const struct config *cfg __unused, unsigned i __unused, char *buf, size_t len)
{
	snprintf(buf, len, "rng");
}

/* ---- the table: disks first, so that vda is the first --block ---- */

const struct model models[] = {
	{ &virtio_blk_class, false, model_nr_block, model_open_block, model_make_block,
		model_label_block, 0, false },
	{ &virtio_console_class, true, model_nr_console, model_open_console, model_make_console,
		model_label_console, 0, false },
	{ &virtio_rng_class, false, model_nr_rng, model_open_rng, model_make_rng, model_label_rng,
		0, false },
	{ &virtio_vsock_class, true, model_nr_vsock, model_open_vsock, model_make_vsock,
		model_label_vsock, VSOCK_MAX_CONNS + JAIL_NOFILE, false },
	{ &virtio_fs_class, false, model_nr_fs, model_open_fs, model_make_fs, model_label_fs,
		MODEL_FS_NOFILE, true },
	{ &virtio_p9_class, false, model_nr_p9, model_open_p9, model_make_p9, model_label_p9,
		MODEL_FS_NOFILE, true },
	{ 0 },
};

const struct model *model_find(const char *kind)
{
	for (const struct model *m = models; m->cls; m++)
		if (!strcmp(m->cls->name, kind))
			return m;
	return NULL;
}

void model_files_init(struct model_files *f)
{
	*f = (struct model_files){ .request_fd = -1 };
	for (unsigned i = 0; i < MODEL_MAX_FILES; i++)
		f->fd[i] = -1;
}

void model_files_close(struct model_files *f)
{
	for (unsigned i = 0; i < MODEL_MAX_FILES; i++)
		fd_close(&f->fd[i]);
	fd_close(&f->request_fd);
}
