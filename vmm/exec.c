// SPDX-License-Identifier: BSD-3-Clause
/* `mayfly exec`: the verb, and what it says when it is over. */
#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "vmm/exec.h"

#define EXEC_SHOWN 24 /* lines of the console's tail */

/** A file that is written when all is over, and opened before anything begins. */
static int exec_open_file(const char *opt, const char *path, FILE **ret, struct err *err)
{
	if (!path)
		return 0;
	*ret = fopen(path, "we");
	return *ret ? 0 : err_errno(err, errno, "%s: %s", opt, path);
}

/** Writes and closes it. A file that takes no more makes a good end a bad one. */
static void exec_put_file(const char *opt, const char *path, FILE *f,
	void (*put)(const struct exec_report *r, FILE *f), struct exec_report *r)
{
	bool bad;

	if (!f)
		return;
	put(r, f);
	bad = ferror(f);
	if ((fclose(f) || bad)) {
		log_error("%s: %s: cannot be written", opt, path);
		if (!r->status)
			r->status = 125;
	}
}

/** The console's last lines, for an end that only they explain. */
static void exec_show_tail(const struct exec_report *r)
{
	char tail[EXEC_TAIL];
	size_t len = exec_report_tail(r, tail), at = len;

	for (unsigned lines = 0; at && lines <= EXEC_SHOWN; at--)
		lines += tail[at - 1] == '\n';
	if (at)
		at++;
	while (at < len) {
		const char *end = memchr(tail + at, '\n', len - at);
		size_t n = end ? (size_t)(end - tail) - at : len - at;
		size_t shown = n;

		while (shown && tail[at + shown - 1] == '\r')
			shown--;
		if (shown)
			fprintf(stderr, "console: %.*s\n", (int)shown, tail + at);
		at += n + 1;
	}
}

static bool exec_is_odd(const struct exec_report *r)
{
	return !strcmp(r->cause, "panic") || !strcmp(r->cause, "crash") ||
		!strcmp(r->cause, "reset") || (!strcmp(r->cause, "init") && !r->at[EXEC_AT_UP]);
}

static int exec_run_command(const struct exec_config *c, struct err *err)
{
	static struct exec_report r;
	FILE *result = NULL, *timeline = NULL;
	int rc = exec_open_file("--result", c->result, &result, err);

	if (!rc)
		rc = exec_open_file("--timeline", c->timeline, &timeline, err);
	if (rc) {
		if (result)
			fclose(result);
		return rc;
	}
	exec_front(c, &r);
	if (exec_is_odd(&r))
		exec_show_tail(&r);
	if (r.why.msg[0])
		log_error("%s", r.why.msg);
	if (c->timings)
		exec_report_timings(&r, stderr);
	exec_put_file("--timeline", c->timeline, timeline, exec_report_timeline, &r);
	exec_put_file("--result", c->result, result, exec_report_json, &r);
	return r.status;
}

int exec_main(int argc, char **argv)
{
	struct exec_config c;
	struct err err;
	int rc;

	exec_config_init(&c);
	rc = exec_parse(argc, argv, &c, &err);
	if (rc == -ECANCELED) {
		printf("usage: mayfly exec [options] [--] COMMAND [ARGS...]\n\n");
		optable_print(stdout, &options_exec, OPTABLE_HELP);
		rc = 0;
	} else {
		if (!rc)
			rc = exec_complete(&c, &err);
		if (!rc)
			rc = exec_run_command(&c, &err);
		if (rc < 0) {
			log_error("%s", err.msg);
			rc = 125;
		}
	}
	exec_config_fini(&c);
	return rc;
}
