// SPDX-License-Identifier: BSD-3-Clause
/*
 * Invariant: nothing of a message is looked at before its length was judged by its word, so a
 * guest chooses neither sizes nor order.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "vmm/exec.h"

/* ---- from the guest ---- */

/** Whether a message of that word may have len bytes. */
static bool exec_link_fits(uint32_t type, uint32_t len)
{
	switch (type) {
	case EXEC_UP:
	case EXEC_STARTED:
		return len == 0;
	case EXEC_REFUSED:
		return len == sizeof(uint32_t);
	case EXEC_EXITED:
		return len == sizeof(struct exec_exited);
	case EXEC_FAILED:
		return len <= EXEC_MAX_FAILED;
	default:
		return false;
	}
}

/** Whether it is its turn. */
static bool exec_link_turn(struct exec_link *l, uint32_t type)
{
	bool ok = !l->over;

	switch (type) {
	case EXEC_UP:
		ok &= !l->up;
		l->up = true;
		break;
	case EXEC_STARTED:
	case EXEC_REFUSED:
		ok &= l->up && !l->started;
		l->started = true;
		break;
	case EXEC_EXITED:
		ok &= l->started;
		l->over = true;
		break;
	case EXEC_FAILED:
		ok &= l->up;
		l->over = true;
		break;
	}
	return ok;
}

static int exec_link_event(struct exec_link *l, uint32_t type, uint32_t len, struct exec_event *ret)
{
	const uint8_t *data = l->buf + sizeof(struct exec_head);

	if (!exec_link_turn(l, type))
		return -EPROTO;
	*ret = (struct exec_event){ .type = (enum exec_type)type };
	if (type == EXEC_REFUSED)
		ret->code = le32_get(data);
	if (type == EXEC_FAILED) {
		memcpy(ret->text, data, len);
		for (uint32_t i = 0; i < len; i++)
			if (ret->text[i] < ' ' || ret->text[i] > '~')
				ret->text[i] = '?';
	}
	if (type == EXEC_EXITED) {
		ret->exited.is_signal = le32_get(data);
		ret->exited.value = le32_get(data + 4);
		ret->exited.oom_kills = le32_get(data + 8);
		/* A status, or a signal. */
		if (ret->exited.is_signal > 1 ||
			ret->exited.value > (ret->exited.is_signal ? 64U : 255U))
			return -EPROTO;
	}
	return 1;
}

int exec_link_feed(struct exec_link *l, const uint8_t *data, size_t *len, struct exec_event *ret)
{
	const size_t head = sizeof(struct exec_head);

	while (*len) {
		size_t want = head, n;

		if (l->have >= head)
			want += le32_get(l->buf + 4);
		n = MIN(want - l->have, *len);
		memcpy(l->buf + l->have, data, n);
		l->have += n;
		data += n;
		*len -= n;
		if (l->have == head && !exec_link_fits(le32_get(l->buf), le32_get(l->buf + 4)))
			return -EPROTO;
		if (l->have >= head && l->have == head + le32_get(l->buf + 4)) {
			l->have = 0;
			return exec_link_event(l, le32_get(l->buf), le32_get(l->buf + 4), ret);
		}
	}
	return 0;
}

/* ---- to the guest ---- */

static void exec_link_put(FILE *f, enum exec_type type, const void *data, size_t len)
{
	uint8_t head[sizeof(struct exec_head)];

	le32_put(head, type);
	le32_put(head + 4, (uint32_t)len);
	fwrite(head, sizeof(head), 1, f);
	fwrite(data, 1, len, f);
}

static void exec_link_put_text(FILE *f, enum exec_type type, const char *text)
{
	if (text)
		exec_link_put(f, type, text, strlen(text));
}

static int exec_link_words(FILE *f, const struct exec_config *c, struct err *err)
{
	size_t nr, all = 0;

	for (nr = 0; c->argv[nr]; nr++) {
		if (strlen(c->argv[nr]) > EXEC_MAX_STRING)
			return err_set(err, E2BIG,
				"exec: a word of the command is longer than %u bytes",
				EXEC_MAX_STRING);
		all += strlen(c->argv[nr]) + 1;
		exec_link_put_text(f, EXEC_ARG, c->argv[nr]);
	}
	for (unsigned i = 0; i < c->nr_envs; i++) {
		if (strlen(c->env[i]) > EXEC_MAX_STRING)
			return err_set(err, E2BIG, "--env: %.40s...: is longer than %u bytes",
				c->env[i], EXEC_MAX_STRING);
		all += strlen(c->env[i]) + 1;
		exec_link_put_text(f, EXEC_ENV, c->env[i]);
	}
	/* Paths, names and tags have what is left. */
	if (nr > EXEC_MAX_WORDS || all > EXEC_MAX_JOB - 128 * KIB)
		return err_set(err, E2BIG,
			"exec: the command has more than %u words, or %llu bytes", EXEC_MAX_WORDS,
			EXEC_MAX_JOB - 128 * KIB);
	return 0;
}

static void exec_link_places(FILE *f, const struct exec_config *c)
{
	struct timespec now;
	uint8_t clock[sizeof(struct exec_clock)] = { 0 };

	exec_link_put_text(f, EXEC_CWD, c->cwd);
	exec_link_put_text(f, EXEC_USER, c->user);
	exec_link_put_text(f, EXEC_HOSTNAME, c->run.name ? c->run.name : "mayfly");
	/* An image is the first disk. */
	exec_link_put_text(f, EXEC_ROOT, c->run.nr_disks ? "" : "root");
	for (unsigned i = 0; i < c->nr_shares; i++) {
		char *text = NULL;

		if (asprintf(&text, "%s %s", c->share[i].tag, c->share[i].path) < 0)
			text = NULL;
		exec_link_put_text(f, EXEC_MOUNT, text);
		free(text);
	}
	if (!c->run.clock_seen && !clock_gettime(CLOCK_REALTIME, &now)) {
		le64_put(clock, (uint64_t)now.tv_sec);
		le32_put(clock + 8, (uint32_t)now.tv_nsec);
		exec_link_put(f, EXEC_CLOCK, clock, sizeof(clock));
	}
}

int exec_link_job(const struct exec_config *c, uint8_t **ret, size_t *ret_len, struct err *err)
{
	char *bytes = NULL;
	FILE *f = open_memstream(&bytes, ret_len);
	int rc;

	if (!f)
		return err_errno(err, ENOMEM, "exec");
	rc = exec_link_words(f, c, err);
	exec_link_places(f, c);
	if (c->tty)
		exec_link_put(f, EXEC_TTY, "\0\0\0\0", sizeof(struct exec_size));
	exec_link_put(f, EXEC_RUN, "", 0);
	if (fclose(f) && !rc)
		rc = err_errno(err, ENOMEM, "exec");
	if (rc)
		free(bytes);
	else
		*ret = (uint8_t *)bytes;
	return rc;
}

size_t exec_link_message(enum exec_type type, const void *data, size_t len, uint8_t out[64])
{
	BUG_ON(len > 64 - sizeof(struct exec_head));
	le32_put(out, type);
	le32_put(out + 4, (uint32_t)len);
	if (len)
		memcpy(out + sizeof(struct exec_head), data, len);
	return sizeof(struct exec_head) + len;
}
