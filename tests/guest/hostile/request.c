// SPDX-License-Identifier: BSD-3-Clause
/* What devices that answer requests, file systems by whatever protocol, are attacked with alike. */
#include "tests/guest/hostile/hostile.h"

#define REQUEST_ROUNDS 1500
#define REQUEST_ROOM   1024U
#define REQUEST_LEN    4096U

const char *const request_unanswerables[] = { "short-header", "no-room", "only-writable", NULL };

const char *request_unanswerable(
	struct dev *d, unsigned q, unsigned variant, uint32_t header, uint32_t answer)
{
	const char *why = dev_start(d);
	struct vring_desc *desc = d->ring[q].desc;

	if (why)
		return why;
	d->kind->chain(d, q, desc, &hostile_buf);
	if (variant == 0)
		desc[0].len = header - 1;
	else if (variant == 1)
		desc[1].len = answer - 1;
	else
		desc_set(&desc[0], hostile_buf.gpa, 512, VRING_DESC_F_WRITE, 0);
	ring_post_and_kick(d, q, 0);
	return want_broken(d);
}

const char *request_anything(
	struct dev *d, unsigned q, uint32_t (*make)(uint8_t *p), uint32_t answer, bool or_none)
{
	const char *why = dev_start(d);
	struct vring_desc *desc = d->ring[q].desc;

	if (!why)
		why = d->kind->good(d);
	for (unsigned i = 0; !why && i < REQUEST_ROUNDS; i++) {
		uint32_t head, len, in = make(hostile_buf.p);

		desc_set(&desc[0], hostile_buf.gpa, in, VRING_DESC_F_NEXT, 1);
		desc_set(&desc[1], hostile_buf.gpa + REQUEST_LEN, REQUEST_ROOM, VRING_DESC_F_WRITE,
			0);
		ring_post_and_kick(d, q, 0);
		why = ring_take(d, q, &head, &len);
		if (!why && (head || len > REQUEST_ROOM || (len < answer && !(or_none && !len))))
			why = "a request returns with a wrong length";
	}
	return why ? why : want_unbroken(d);
}
