// SPDX-License-Identifier: BSD-3-Clause
/*
 * `mayfly device vsock` in its jail, with its policy of system calls: a guest's driver and
 * clients of this host. It needs no KVM.
 */
#include "tests/payload/device_rig.h"

#include <sys/un.h>

#include "virtio/vsock.h"

#define CID   7
#define GUEST 1000U
#define TX    0x100000ULL
#define RX    0x200000ULL
#define LEN   0x1000U

enum { RX_QUEUE, TX_QUEUE };

static char dir[] = "/tmp/mayfly-sockets.XXXXXX";
static char keys[64];

static struct sockaddr_un address(const char *name)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/%s", dir, name);
	return sa;
}

static void say(struct device *d, enum vsock_op op, uint32_t port, const char *text, uint32_t flags)
{
	struct vsock_packet p = { .src_cid = CID,
		.dst_cid = VSOCK_HOST_CID,
		.src_port = GUEST,
		.dst_port = port,
		.len = (uint32_t)strlen(text),
		.type = VSOCK_TYPE_STREAM,
		.op = (uint16_t)op,
		.flags = flags,
		.buf_alloc = 4096 };
	uint8_t *at = rd_at(&d->rd[TX_QUEUE], TX, LEN);

	vsock_encode(&p, at);
	memcpy(at + VSOCK_HEADER_LEN, text, p.len);
	rd_add1(&d->rd[TX_QUEUE], TX, VSOCK_HEADER_LEN + p.len, false);
	used(d, TX_QUEUE);
}

/** Gives a buffer, and waits for a packet in it. */
static struct vsock_packet hears(struct device *d, enum vsock_op op)
{
	struct vsock_packet p;

	rd_add1(&d->rd[RX_QUEUE], RX, LEN, true);
	assert_true(used(d, RX_QUEUE) >= VSOCK_HEADER_LEN);
	vsock_decode(rd_at(&d->rd[RX_QUEUE], RX, VSOCK_HEADER_LEN), &p);
	assert_int_equal(p.op, op);
	return p;
}

static void reads(int fd, const char *text)
{
	char buf[64] = "";
	size_t have = 0;

	while (have < strlen(text)) {
		ssize_t n = read(fd, buf + have, sizeof(buf) - 1 - have);

		assert_true(n > 0);
		have += (size_t)n;
	}
	assert_string_equal(buf, text);
}

static void begin(struct device *d)
{
	snprintf(keys, sizeof(keys), "cid=%d,socket=%s/v", CID, dir);
	launch(d, "vsock", keys, -1);
	connect_to(d, &virtio_vsock_class);
}

static void a_guest_reaches_a_socket_of_the_host(void **state)
{
	struct device *d = *state;
	struct sockaddr_un sa = address("v_9");
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
	char c;

	assert_int_equal(bind(listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(listener, 1), 0);
	begin(d);
	say(d, VSOCK_OP_REQUEST, 9, "", 0);
	hears(d, VSOCK_OP_RESPONSE);
	fd = accept(listener, NULL, NULL);
	assert_true(fd >= 0);
	say(d, VSOCK_OP_RW, 9, "to the host", 0);
	reads(fd, "to the host");
	assert_int_equal(write(fd, "back", 4), 4);
	assert_int_equal(hears(d, VSOCK_OP_RW).len, 4);
	assert_memory_equal((char *)rd_at(&d->rd[RX_QUEUE], RX, LEN) + VSOCK_HEADER_LEN, "back", 4);
	say(d, VSOCK_OP_SHUTDOWN, 9, "", VSOCK_SHUTDOWN_SEND);
	assert_int_equal(read(fd, &c, 1), 0);
	close(fd);
	assert_int_equal(
		hears(d, VSOCK_OP_SHUTDOWN).flags, VSOCK_SHUTDOWN_SEND | VSOCK_SHUTDOWN_RCV);
	say(d, VSOCK_OP_REQUEST, 10, "", 0);
	hears(d, VSOCK_OP_RST);
	end_is_good(d);
	close(listener);
	unlink(sa.sun_path);
}

static void a_client_of_the_host_reaches_the_guest(void **state)
{
	struct device *d = *state;
	struct sockaddr_un sa = address("v");
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct vsock_packet p;
	char line[32];

	begin(d);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(write(fd, "CONNECT 1000\n", 13), 13);
	p = hears(d, VSOCK_OP_REQUEST);
	assert_int_equal(p.dst_port, GUEST);
	say(d, VSOCK_OP_RESPONSE, p.src_port, "", 0);
	snprintf(line, sizeof(line), "OK %u\n", p.src_port);
	reads(fd, line);
	say(d, VSOCK_OP_RW, p.src_port, "hello", 0);
	reads(fd, "hello");
	end_is_good(d);
	close(fd);
	unlink(sa.sun_path);
}

static int make_dir(void **state __unused)
{
	return mkdtemp(dir) ? 0 : -1;
}

static int drop_dir(void **state __unused)
{
	return rmdir(dir);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_guest_reaches_a_socket_of_the_host),
		T(a_client_of_the_host_reaches_the_guest),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
