// SPDX-License-Identifier: BSD-3-Clause
/* vhost-user/message.c: how messages that go together share what is sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "vhost-user/message.h"

/** Message i of a start: its request, its number and, of some, a descriptor. */
static struct vu_message message(uint32_t request, uint64_t v, int fd)
{
	return (struct vu_message){ .h = { .request = request, .size = sizeof(v) },
		.u64 = v,
		.fd = { fd },
		.nr_fds = fd >= 0 };
}

/** What one read gives, with room for everything. */
static void read_takes(int sock, size_t messages, unsigned fds)
{
	char buf[1024];
	int fd[FDPASS_MAX];
	unsigned nr = 0;

	assert_int_equal(fdpass_recv(sock, buf, sizeof(buf), fd, &nr),
		messages * (sizeof(struct vu_header) + sizeof(uint64_t)));
	assert_int_equal(nr, fds);
	while (nr)
		fd_close(&fd[--nr]);
}

static void who_reads_is_woken_for_each_descriptor_only(void **state __unused)
{
	int pair[2], event = fd_event();
	struct vu_message m[] = { message(VU_SET_FEATURES, 1, -1), message(VU_SET_VRING_NUM, 2, -1),
		message(VU_SET_VRING_CALL, 3, event), message(VU_SET_VRING_KICK, 4, event),
		message(VU_SET_VRING_ENABLE, 5, -1), message(VU_SET_STATUS, 6, -1) };
	struct vu_inbox in = { 0 };
	const char *why;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	m[5].h.flags = VU_NEED_REPLY;
	/* A read goes on until it took descriptors: it shows what was sent together. */
	assert_int_equal(vu_send_all(pair[0], m + 3, 3, 1000), 0);
	read_takes(pair[1], 3, 1);
	assert_int_equal(vu_send_all(pair[0], m, 2, 1000), 0);
	read_takes(pair[1], 2, 0);
	assert_int_equal(vu_send_all(pair[0], m + 2, 4, 1000), 0);
	read_takes(pair[1], 1, 1);
	read_takes(pair[1], 3, 1);
	/* And each message is what it was, with its descriptors beside it. */
	assert_int_equal(vu_send_all(pair[0], m, ARRAY_SIZE(m), 1000), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(m); i++) {
		assert_int_equal(vu_receive(pair[1], &in, &why), 1);
		assert_int_equal(in.m.h.request, m[i].h.request);
		assert_int_equal(in.m.h.flags, VU_VERSION | (i == 5 ? VU_NEED_REPLY : 0));
		assert_int_equal(in.m.u64, i + 1);
		assert_int_equal(in.m.nr_fds, m[i].nr_fds);
		assert_true(!in.m.nr_fds || fd_is_event(in.m.fd[0]));
		vu_inbox_clear(&in);
	}
	assert_int_equal(vu_receive(pair[1], &in, &why), 0);
	fd_close(&pair[0]);
	fd_close(&pair[1]);
	fd_close(&event);
}

static void as_many_of_the_longest_as_go_together_do(void **state __unused)
{
	static struct vu_message m[FDPASS_BATCH];
	struct vu_inbox in = { 0 };
	const char *why;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	for (unsigned i = 0; i < FDPASS_BATCH; i++) {
		m[i].h = (struct vu_header){ .request = i + 1, .size = sizeof(m[i].payload) };
		memset(m[i].payload, 'a' + (int)i, sizeof(m[i].payload));
	}
	assert_int_equal(vu_send_all(pair[0], m, FDPASS_BATCH, 1000), 0);
	for (unsigned i = 0; i < FDPASS_BATCH; i++) {
		assert_int_equal(vu_receive(pair[1], &in, &why), 1);
		assert_int_equal(in.m.h.request, i + 1);
		assert_memory_equal(in.m.payload, m[i].payload, sizeof(m[i].payload));
		vu_inbox_clear(&in);
	}
	fd_close(&pair[0]);
	fd_close(&pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_reads_is_woken_for_each_descriptor_only),
		cmocka_unit_test(as_many_of_the_longest_as_go_together_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
