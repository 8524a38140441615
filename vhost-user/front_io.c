// SPDX-License-Identifier: BSD-3-Clause
#include "vhost-user/front_impl.h"

#include <errno.h>
#include <poll.h>

#include "base/clock.h"

/** Waits until fd has events; -ETIMEDOUT after timeout_ms, or sooner while the machine ends. */
static int vu_front_poll(const struct vu_front *f, int fd, short events, int timeout_ms)
{
	int64_t begin = clock_now_ms(), limit = timeout_ms;

	for (;;) {
		struct pollfd p = { .fd = fd, .events = events };
		int n = poll(&p, 1, VU_FRONT_SLICE_MS);

		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (f->cfg.hurry && atomic_load(f->cfg.hurry))
			limit = MIN(limit, VU_FRONT_HURRY_MS);
		if (clock_now_ms() - begin >= limit)
			return -ETIMEDOUT;
	}
}

int vu_front_flush(struct vu_front *f, struct err *err)
{
	unsigned nr = f->nr_out;
	int rc = nr ? vu_send_all(f->cfg.sock, f->out, nr, VU_FRONT_WAIT_MS) : 0;

	f->nr_out = 0;
	return rc ? err_errno(err, -rc, "%s: request %u", f->cfg.name, f->out[nr - 1].h.request)
		  : 0;
}

int vu_front_post(struct vu_front *f, const struct vu_message *m, uint32_t flags, struct err *err)
{
	int rc = f->nr_out == ARRAY_SIZE(f->out) ? vu_front_flush(f, err) : 0;

	if (rc)
		return rc;
	f->out[f->nr_out] = *m;
	f->out[f->nr_out++].h.flags = flags;
	return 0;
}

int vu_front_reply(struct vu_front *f, uint32_t request, size_t size, int timeout_ms,
	struct vu_message *ret, struct err *err)
{
	const char *why = "no answer";
	int rc = vu_front_flush(f, err);

	if (rc)
		return rc;
	while (!(rc = vu_receive(f->cfg.sock, &f->in, &why))) {
		rc = vu_front_poll(f, f->cfg.sock, POLLIN, timeout_ms);
		if (rc)
			break;
	}
	if (rc > 0) {
		const struct vu_message *m = &f->in.m;

		rc = 0;
		why = "an answer to something else";
		if (m->h.request != request || !(m->h.flags & VU_REPLY) || m->h.size != size ||
			m->nr_fds)
			rc = -EPROTO;
		else
			*ret = *m;
		vu_inbox_clear(&f->in);
	} else if (rc == -ETIMEDOUT) {
		why = "no answer";
	}
	return rc ? err_set(err, -rc, "%s: request %u: %s", f->cfg.name, request, why) : 0;
}

int vu_front_get(struct vu_front *f, uint32_t request, uint64_t *ret, struct err *err)
{
	struct vu_message m = { .h.request = request };
	int rc = vu_front_post(f, &m, 0, err);

	if (!rc)
		rc = vu_front_reply(f, request, sizeof(m.u64), VU_FRONT_WAIT_MS, &m, err);
	if (!rc)
		*ret = m.u64;
	return rc;
}

int vu_front_set(struct vu_front *f, uint32_t request, uint64_t v, struct err *err)
{
	struct vu_message m = { .h = { .request = request, .size = sizeof(v) }, .u64 = v };

	return vu_front_post(f, &m, 0, err);
}

int vu_front_finish(
	struct vu_front *f, struct vu_message *m, int timeout_ms, bool *refused, struct err *err)
{
	bool ack = vu_front_has(f, VU_PROTOCOL_F_REPLY_ACK);
	uint32_t request = m->h.request;
	uint64_t v;
	int rc = vu_front_post(f, m, ack ? VU_NEED_REPLY : 0, err);

	*refused = false;
	if (rc)
		return rc;
	if (!ack)
		return vu_front_get(f, VU_GET_FEATURES, &v, err);
	rc = vu_front_reply(f, request, sizeof(m->u64), timeout_ms, m, err);
	*refused = !rc && m->u64;
	return rc;
}

int vu_front_ask_config(struct vu_front *f, struct err *err)
{
	struct vu_message m = { .h = { .request = VU_GET_CONFIG,
					.size = VU_CONFIG_HEAD + f->cfg.config_len },
		.config = { .size = f->cfg.config_len } };

	return vu_front_post(f, &m, 0, err);
}

int vu_front_answer_config(struct vu_front *f, void *buf, struct err *err)
{
	struct vu_message m;
	int rc = vu_front_reply(
		f, VU_GET_CONFIG, VU_CONFIG_HEAD + f->cfg.config_len, VU_FRONT_WAIT_MS, &m, err);

	if (!rc)
		memcpy(buf, m.config.data, f->cfg.config_len);
	return rc;
}
