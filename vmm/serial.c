// SPDX-License-Identifier: BSD-3-Clause
/*
 * The host's end of serial lines and consoles: stdout and stdin, files, FIFOs.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "vmm/models.h"

static void serial_on_failed(void *ctx, const struct err *err)
{
	const struct model_host *h = ctx;

	h->failed(h->ctx, err);
}

static void serial_on_escape(void *ctx)
{
	const struct model_host *h = ctx;

	h->escaped(h->ctx);
}

static size_t serial_filter(void *ctx, uint8_t *buf, size_t len)
{
	struct model_host *h = ctx;

	return terminal_filter(&h->escape, buf, len);
}

/**
 * A FIFO is opened for both directions: then opening does not wait for the other side, and
 * the other side may come and go. Anything else is appended to, or read.
 */
static int serial_open_file(const char *path, int flags, struct err *err)
{
	struct stat st;

	BUG_ON(!path); /* config_complete saw to it */
	if (!stat(path, &st) && S_ISFIFO(st.st_mode) && strncmp(path, "/proc/self/fd/", 14))
		flags = O_RDWR;
	return fd_open("--serial", path, flags, err);
}

static int serial_dup(int fd, const char *name, struct err *err)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	return copy >= 0 ? copy : err_errno(err, errno, "--serial: %s", name);
}

int serial_open(const struct serial_config *s, struct model_files *ret, struct err *err)
{
	fd_auto int in = -1, out = -1;
	int rc;

	if (s->type == SERIAL_STDOUT)
		out = serial_dup(STDOUT_FILENO, "stdout", err);
	else if (s->type == SERIAL_FILE)
		out = serial_open_file(s->path, O_WRONLY | O_CREAT | O_APPEND, err);
	if (out < 0 && s->type != SERIAL_SINK)
		return out;
	if (s->use_stdin) {
		rc = terminal_raw(STDIN_FILENO, err);
		if (rc)
			return rc;
		in = serial_dup(STDIN_FILENO, "stdin", err);
	} else if (s->input) {
		in = serial_open_file(s->input, O_RDONLY, err);
	}
	if (in < 0 && (s->use_stdin || s->input))
		return in;
	model_files_init(ret);
	ret->terminal = s->use_stdin && isatty(in);
	ret->fd[0] = fd_take(&in);
	ret->fd[1] = fd_take(&out);
	return 0;
}

int serial_create(struct model_host *h, const struct serial_config *s, struct model_files *files,
	struct chardev **ret, struct err *err)
{
	struct chardev_config cfg = {
		.in_fd = fd_take(&files->fd[0]),
		.out_fd = fd_take(&files->fd[1]),
		.opt = "--serial",
		.path = s->path ? s->path : "stdout",
		.failed = serial_on_failed,
		.ctx = h,
	};

	if (files->terminal) {
		h->escape = (struct terminal_escape){ .end = serial_on_escape, .ctx = h };
		cfg.filter = serial_filter;
	}
	return chardev_create(h->loop, &cfg, ret, err);
}
