// SPDX-License-Identifier: BSD-3-Clause
/*
 * mayfly device KIND [KEYS] --socket-path PATH | --fd N
 *
 * The process that is started here is the same as those of a machine: opened first, jailed,
 * then served. This one waits for it, and takes it along when it is ended by a signal.
 * QEMU's docs/interop/vhost-user.rst, "Backend program conventions".
 */
#include "vmm/serve.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/unixsock.h"
#include "vmm/broker.h"
#include "vmm/options.h"
#include "vmm/process.h"
#include "vmm/terminal.h"

struct serve {
	const struct model *m;
	const char *keys, *socket_path;
	char typed[PATH_MAX + 256]; /* keys of a shared directory, with its type */
	int fd;                     /* owned, -1: not given */
	struct config cfg;
	struct loop *loop; /* owned; of devices that ask */
	struct err why;    /* what the device said, when it did */
	bool failed;
};

static int serve_parse_fd(const char *text, int *ret, struct err *err)
{
	uint64_t n;

	if (parse_u64(text, 0, INT32_MAX, &n))
		return err_set(err, EINVAL, "device: --fd: '%s' is not a descriptor", text);
	*ret = (int)n;
	return 0;
}

/** "--opt=val" and "--opt val". Returns the value, or NULL when arg is not that option. */
static const char *serve_value(const char *opt, int argc, char **argv, int *i)
{
	const char *arg = argv[*i];
	size_t len = strlen(opt);

	if (!arg || strncmp(arg, opt, len))
		return NULL;
	if (arg[len] == '=')
		return arg + len + 1;
	if (arg[len])
		return NULL;
	return *i + 1 < argc ? argv[++*i] : "";
}

static int serve_parse_words(struct serve *s, int argc, char **argv, struct err *err)
{
	const char *value;
	int rc = 0;

	if (!argc || !(s->m = model_find(argv[0])))
		return err_set(err, EINVAL,
			"device: '%s' is not block, console, fs, p9, rng or vsock",
			argc ? argv[0] : "");
	for (int i = 1; i < argc && !rc; i++) {
		if ((value = serve_value("--socket-path", argc, argv, &i)))
			s->socket_path = value;
		else if ((value = serve_value("--fd", argc, argv, &i)))
			rc = serve_parse_fd(value, &s->fd, err);
		else if (!argv[i] || argv[i][0] == '-' || s->keys)
			rc = err_set(
				err, EINVAL, "device: %s: no such option", argv[i] ? argv[i] : "");
		else
			s->keys = argv[i];
	}
	if (!rc && (s->fd >= 0) == (s->socket_path && *s->socket_path))
		return err_set(err, EINVAL, "device: needs --socket-path PATH or --fd N");
	return rc;
}

/** The keys are those of the device's option of run. */
static int serve_parse_keys(struct serve *s, struct err *err)
{
	const char *kind = s->m->cls->name;
	char *args[2] = { NULL, (char *)(uintptr_t)s->keys };
	static char block[] = "--block", serial[] = "--serial", vsock[] = "--vsock",
		    shared[] = "--shared-dir";
	int rc;

	if (!strcmp(kind, "block"))
		args[0] = block;
	else if (!strcmp(kind, "console"))
		args[0] = serial;
	else if (!strcmp(kind, "fs") || !strcmp(kind, "p9"))
		args[0] = shared;
	else if (!strcmp(kind, "vsock"))
		args[0] = vsock;
	if (args[0] && !s->keys)
		return err_set(err, EINVAL, "device: %s: what it is made of must follow", kind);
	if (!args[0])
		return s->keys ? err_set(err, EINVAL, "device: %s: takes no '%s'", kind, s->keys)
			       : 0;
	if (args[0] == shared && !strstr(s->keys, ":type=")) {
		int n = snprintf(s->typed, sizeof(s->typed), "%s:type=%s", s->keys, kind);

		if (n >= (int)sizeof(s->typed))
			return err_set(err, EINVAL, "device: %s: '%s' is too long", kind, s->keys);
		args[1] = s->typed;
	}
	rc = optable_parse(&options_run, 2, args, &s->cfg, err);
	if (rc >= 0 && s->cfg.nr_serials) {
		s->cfg.serial[0].hardware = SERIAL_VIRTIO_CONSOLE;
		rc = config_check_serials(&s->cfg, err);
	}
	if (rc >= 0 && !s->m->count(&s->cfg))
		return err_set(err, EINVAL, "device: %s: '%s' is of another type", kind, s->keys);
	return MIN(rc, 0);
}

/** Waits for the one front end; the path is gone afterwards. Returns the connection. */
static int serve_accept(const char *path, struct err *err)
{
	fd_auto int sock = unixsock_listen("device: --socket-path", path, 1, 0, err);
	int conn;

	if (sock < 0)
		return sock;
	do
		conn = accept4(sock, NULL, NULL, SOCK_CLOEXEC);
	while (conn < 0 && errno == EINTR);
	unlink(path);
	return conn >= 0 ? conn : err_errno(err, errno, "device: --socket-path: %s", path);
}

static void serve_on_failed(void *ctx, const struct err *err)
{
	struct serve *s = ctx;

	s->why = *err;
	s->failed = true;
}

static void serve_on_died(void *ctx, const struct err *err __unused)
{
	loop_stop(((struct serve *)ctx)->loop);
}

/** Waits for its end, and connects for it meanwhile. */
static int serve_attend(struct serve *s, struct process *p, struct err *err)
{
	const struct process_events ev = {
		.failed = serve_on_failed, .died = serve_on_died, .ctx = s
	};
	int fd = process_take_requests(p);
	struct broker *broker = NULL;
	int rc;

	if (fd < 0)
		return process_wait(p, -1, err);
	rc = loop_create(&s->loop, err);
	if (rc) {
		fd_close(&fd);
		return rc;
	}
	rc = broker_create(s->loop, fd, s->cfg.vsock.socket, &broker, err);
	if (!rc)
		rc = process_watch(p, s->loop, &ev, err);
	if (!rc) {
		loop_run(s->loop);
		rc = process_wait(p, -1, err);
		if (rc && s->failed)
			*err = s->why; /* more than a status says */
	}
	broker_destroy(broker);
	return rc;
}

static int serve_run(struct serve *s, struct model_files *files, struct err *err)
{
	struct process *p;
	int rc;

	if (s->fd < 0)
		s->fd = serve_accept(s->socket_path, err);
	if (s->fd < 0) {
		model_files_close(files);
		return s->fd;
	}
	rc = process_prepare(&s->cfg, s->m, 0, files, fd_take(&s->fd), &p, err);
	if (rc)
		return rc;
	rc = process_start(&p, 1, NULL, err);
	if (!rc)
		rc = process_ready(p, err);
	if (!rc)
		rc = serve_attend(s, p, err);
	process_destroy(p);
	loop_destroy(s->loop);
	return rc;
}

enum status serve(int argc, char **argv)
{
	struct serve s = { .fd = -1 };
	struct model_files files;
	enum status status = STATUS_USAGE;
	struct err err;
	int rc;

	/* A front end's interrupts may go through a pipe; how it ends, its own socket says. */
	signal(SIGPIPE, SIG_IGN);
	config_init(&s.cfg);
	rc = serve_parse_words(&s, argc, argv, &err);
	if (!rc)
		rc = serve_parse_keys(&s, &err);
	if (!rc) {
		status = STATUS_FAILED;
		rc = s.m->open(&s.cfg, 0, &files, &err);
		if (!rc)
			rc = serve_run(&s, &files, &err);
		terminal_restore();
	}
	if (rc)
		log_error("%s", err.msg);
	config_fini(&s.cfg);
	return rc ? status : STATUS_OK;
}
