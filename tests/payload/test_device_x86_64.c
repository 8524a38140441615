// SPDX-License-Identifier: BSD-3-Clause
/*
 * `mayfly device` in its jail, with its policy of system calls, used as a guest uses it: the
 * front end is vhost-user/front.c, the driver is tests/unit/ring_driver.h. It needs no KVM.
 */
#include "tests/payload/device_rig.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "vhost-user/message.h"
#include "virtio/blk.h"
#include "virtio/console.h"
#include "virtio/rng.h"

#define HDR    0x100000ULL
#define STATUS 0x101000ULL
#define DATA   0x200000ULL
#define LEN    0x4000U

/* ---- disks ---- */

/** One request with len bytes at gpa. Returns its status. */
static unsigned request(struct device *d, uint32_t type, uint64_t sector, gpa_t gpa, uint32_t len)
{
	struct virtio_blk_outhdr h = { .type = type, .sector = sector };
	struct rd_buf buf[] = { { HDR, sizeof(h), false }, { gpa, len, type == VIRTIO_BLK_T_IN },
		{ STATUS, 1, true } };
	uint8_t *status = rd_at(&d->rd[0], STATUS, 1);

	assert_int_equal(gm_write(&d->gm, HDR, &h, sizeof(h)), 0);
	*status = 0xee;
	if (!len)
		buf[1] = buf[2];
	rd_add(&d->rd[0], buf, len ? 3 : 2);
	used(d, 0);
	return *status;
}

static void disk_does_all_that_disks_do(struct device *d, gpa_t gpa)
{
	struct virtio_blk_discard_write_zeroes seg = { .sector = 8, .num_sectors = 8 };
	uint8_t *data = rd_at(&d->rd[0], gpa, LEN), file[LEN];

	for (unsigned i = 0; i < LEN; i++)
		data[i] = (uint8_t)(i % 251);
	assert_int_equal(request(d, VIRTIO_BLK_T_OUT, 0, gpa, LEN), VIRTIO_BLK_S_OK);
	assert_int_equal(request(d, VIRTIO_BLK_T_FLUSH, 0, 0, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(pread(d->file, file, LEN, 0), LEN);
	assert_memory_equal(file, data, LEN);
	memset(data, 0, LEN);
	assert_int_equal(request(d, VIRTIO_BLK_T_IN, 0, gpa, LEN), VIRTIO_BLK_S_OK);
	assert_memory_equal(file, data, LEN);
	memcpy(data, &seg, sizeof(seg));
	assert_int_equal(
		request(d, VIRTIO_BLK_T_WRITE_ZEROES, 0, gpa, sizeof(seg)), VIRTIO_BLK_S_OK);
	memset(file + 4096, 0, 4096);
	assert_int_equal(request(d, VIRTIO_BLK_T_IN, 0, gpa, LEN), VIRTIO_BLK_S_OK);
	assert_memory_equal(file, data, LEN);
	memcpy(data, &seg, sizeof(seg));
	assert_int_equal(request(d, VIRTIO_BLK_T_DISCARD, 0, gpa, sizeof(seg)), VIRTIO_BLK_S_OK);
}

static void disk(struct device *d, const char *keys, gpa_t gpa)
{
	char text[96];

	snprintf(text, sizeof(text), "%s%s", d->path, keys);
	launch(d, "block", text, -1);
	connect_to(d, &virtio_blk_class);
	disk_does_all_that_disks_do(d, gpa);
	end_is_good(d);
}

static void a_jailed_disk_serves_a_driver(void **state)
{
	disk(*state, "", DATA);
}

static void a_jailed_disk_of_plain_calls_serves_a_driver(void **state)
{
	disk(*state, ",async-executor=epoll", DATA);
}

/** O_DIRECT wants aligned memory: the guest's own is not, so it goes through another. */
static void a_jailed_disk_past_the_cache_takes_any_buffer(void **state)
{
	struct device *d = *state;
	int fd = open(d->path, O_RDWR | O_DIRECT | O_CLOEXEC);

	if (fd < 0)
		skip(); /* this file system has none */
	close(fd);
	disk(d, ",async-executor=epoll,direct", DATA + 4);
}

/* ---- the others ---- */

static void a_jailed_entropy_device_serves_a_driver(void **state)
{
	struct device *d = *state;
	const uint8_t *data = rd_at(&d->rd[0], DATA, 64);
	unsigned sum = 0;

	launch(d, "rng", NULL, -1);
	connect_to(d, &virtio_rng_class);
	rd_add1(&d->rd[0], DATA, 64, true);
	assert_int_equal(used(d, 0), 64);
	for (unsigned i = 0; i < 64; i++)
		sum |= data[i];
	assert_true(sum);
	end_is_good(d);
}

/** The console's two directions, over whatever its standard input and output are. */
static void console(struct device *d, int theirs, int to, int from)
{
	char *data = rd_at(&d->rd[0], DATA, 4096), text[8] = "";

	launch(d, "console", "stdout,stdin", theirs);
	connect_to(d, &virtio_console_class);
	assert_int_equal(write(to, "typed", 5), 5);
	rd_add1(&d->rd[0], DATA, 4096, true);
	assert_int_equal(used(d, 0), 5);
	assert_memory_equal(data, "typed", 5);
	memcpy(data, "shown", 5);
	rd_add1(&d->rd[1], DATA, 5, false);
	used(d, 1);
	assert_int_equal(read(from, text, sizeof(text)), 5);
	assert_string_equal(text, "shown");
	end_is_good(d);
}

static void a_jailed_console_on_a_socket_serves_a_driver(void **state)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	console(*state, pair[1], pair[0], pair[0]);
	close(pair[0]);
	close(pair[1]);
}

static void a_jailed_console_on_a_terminal_serves_a_driver(void **state)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), tty;

	assert_true(master >= 0 && !grantpt(master) && !unlockpt(master));
	tty = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(tty >= 0);
	console(*state, tty, master, master);
	close(tty);
	close(master);
}

/* ---- front ends by hand ---- */

static void memory_that_is_replaced_is_given_back(void **state)
{
	struct device *d = *state;
	struct vu_message m = { .h = { .request = VU_SET_MEM_TABLE,
					.size = VU_TABLE_HEAD + sizeof(struct vu_region) },
		.table = { .nr = 1, .region = { { .len = RAM, .uaddr = 0x1000 } } },
		.fd = { d->gm.region[0].fd },
		.nr_fds = 1 };

	launch(d, "rng", NULL, -1);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(vu_send(d->sock, &m, 0, 1000), 0);
	end_is_good(d);
}

/** The start of a file of /proc. */
static void proc(char *buf, size_t len, const char *fmt, pid_t pid)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), fmt, pid, pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, buf, len - 1);
	buf[MAX(n, 0)] = '\0';
	if (fd >= 0)
		close(fd);
}

/** Waits until a process is in one of these states (proc(5)). */
static void state_is(pid_t pid, const char *states)
{
	for (unsigned tries = 0; tries < 1000; tries++) {
		char text[256];
		const char *p;

		proc(text, sizeof(text), "/proc/%d/stat", pid);
		p = strrchr(text, ')');
		if (p && p[1] && strchr(states, p[2]))
			return;
		usleep(10000);
	}
	fail_msg("%d does not come into state %s", pid, states);
}

/** Stops the jailed process, the child of the one that was started, and lets it go on. */
static void stop_and_continue(const struct device *d)
{
	char text[32];
	pid_t jailed;

	proc(text, sizeof(text), "/proc/%d/task/%d/children", d->pid);
	jailed = (pid_t)strtol(text, NULL, 10);
	assert_true(jailed > 0);
	state_is(jailed, "S");
	assert_int_equal(kill(jailed, SIGSTOP), 0);
	state_is(jailed, "Tt");
	assert_int_equal(kill(jailed, SIGCONT), 0);
	state_is(jailed, "S");
}

/**
 * Its answers fill the socket; it waits for us to take them, also when it was stopped in
 * between, and all are there.
 */
static void a_front_end_that_is_slow_to_listen_gets_every_answer(void **state)
{
	struct device *d = *state;
	struct vu_inbox in = { 0 };
	unsigned asked = 0, heard = 0;
	const char *why;

	launch(d, "rng", NULL, -1);
	for (bool full = false; !full; asked += !full) {
		struct vu_message m = { .h.request = VU_GET_FEATURES };

		full = vu_send(d->sock, &m, 0, 500);
	}
	stop_and_continue(d);
	while (heard < asked) {
		struct pollfd p = { .fd = d->sock, .events = POLLIN };
		int rc = vu_receive(d->sock, &in, &why);

		assert_true(rc >= 0);
		if (rc > 0)
			heard++, vu_inbox_clear(&in);
		else
			assert_int_equal(poll(&p, 1, 10000), 1);
	}
	end_is_good(d);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_jailed_disk_serves_a_driver),
		T(a_jailed_disk_of_plain_calls_serves_a_driver),
		T(a_jailed_disk_past_the_cache_takes_any_buffer),
		T(a_jailed_entropy_device_serves_a_driver),
		T(a_jailed_console_on_a_socket_serves_a_driver),
		T(a_jailed_console_on_a_terminal_serves_a_driver),
		T(memory_that_is_replaced_is_given_back),
		T(a_front_end_that_is_slow_to_listen_gets_every_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
