// SPDX-License-Identifier: BSD-3-Clause
/* vhost/vsock.c: what the kernel is asked, and what follows when it says no. */
#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fd.h"
#include "tests/unit/loop_step.h"
#include "vhost/vsock.h"

#define RAM_BASE 0x80000000ULL
#define RAM_LEN  (1U << 20)
#define SIZE     64U

/* The kernel: what it was asked, in order, and from which question on it says no. */
static struct {
	unsigned long asked[64];
	unsigned nr, fails_at;
	int running;
	uint64_t features, agreed, cid;
	struct vhost_vring_addr addr[2];
	unsigned nr_regions;
	struct vhost_memory_region region;
	int kick[2], call[2], err[2];
} kernel;

static int fake_ioctl(int fd __unused, unsigned long request, void *arg)
{
	const struct vhost_vring_file *file = arg;

	assert_true(kernel.nr < ARRAY_SIZE(kernel.asked));
	kernel.asked[kernel.nr++] = request;
	if (kernel.nr == kernel.fails_at) {
		errno = EADDRINUSE;
		return -1;
	}
	switch (request) {
	case VHOST_GET_FEATURES:
		*(uint64_t *)arg = kernel.features;
		break;
	case VHOST_SET_FEATURES:
		kernel.agreed = *(uint64_t *)arg;
		break;
	case VHOST_VSOCK_SET_GUEST_CID:
		kernel.cid = *(uint64_t *)arg;
		break;
	case VHOST_VSOCK_SET_RUNNING:
		kernel.running = *(int *)arg;
		break;
	case VHOST_SET_MEM_TABLE:
		kernel.nr_regions = ((struct vhost_memory *)arg)->nregions;
		kernel.region = ((struct vhost_memory *)arg)->regions[0];
		break;
	case VHOST_SET_VRING_ADDR: {
		const struct vhost_vring_addr *a = arg;

		kernel.addr[a->index] = *a;
		break;
	}
	case VHOST_SET_VRING_KICK:
		kernel.kick[file->index] = file->fd;
		break;
	case VHOST_SET_VRING_CALL:
		kernel.call[file->index] = file->fd;
		break;
	case VHOST_SET_VRING_ERR:
		kernel.err[file->index] = file->fd;
		break;
	default:
		break;
	}
	return 0;
}

static struct guest_memory gm;
static uint8_t *ram;
static struct virtio_backend *b;
static struct virtio_ring rings[3];
static unsigned nr_resets;

static void on_needs_reset(void *ctx __unused)
{
	nr_resets++;
}

static int make(struct err *err)
{
	struct vhost_vsock_config cfg = { .fd = open("/dev/null", O_RDWR | O_CLOEXEC),
		.guest_cid = 9,
		.gm = &gm,
		.loop = step.loop,
		.ioctl = fake_ioctl };

	return vhost_vsock_create(&cfg, &b, err);
}

static int setup(void **state __unused)
{
	log_set_level(LOG_ERROR);
	memset(&kernel, 0, sizeof(kernel));
	kernel.features = BIT(32) | BIT(28) | BIT(29) | BIT(26) | BIT(33) | BIT(1);
	nr_resets = 0;
	b = NULL;
	step_open();
	ram = aligned_alloc(4096, RAM_LEN);
	memset(ram, 0, RAM_LEN);
	assert_int_equal(gm_add_borrowed(&gm, RAM_BASE, ram, RAM_LEN), 0);
	for (unsigned i = 0; i < 3; i++)
		rings[i] = (struct virtio_ring){ .ready = true,
			.size = SIZE,
			.desc = RAM_BASE + i * 0x10000,
			.avail = RAM_BASE + i * 0x10000 + 0x4000,
			.used = RAM_BASE + i * 0x10000 + 0x8000,
			.kick_fd = (int)(100 + i),
			.call_fd = (int)(200 + i) };
	return 0;
}

static int teardown(void **state __unused)
{
	if (b)
		b->ops->destroy(b);
	gm_fini(&gm);
	memset(&gm, 0, sizeof(gm));
	free(ram);
	step_close();
	return 0;
}

static void it_offers_what_both_know(void **state __unused)
{
	struct err err;

	assert_int_equal(make(&err), 0);
	assert_int_equal(kernel.cid, 9);
	assert_int_equal(b->features, BIT(32) | BIT(28) | BIT(29));
	assert_int_equal(b->nr_queues, 3);
	assert_int_equal(b->config_len, 8);
	assert_int_equal(b->config[0], 9);
}

static void the_kernel_serves_from_start_to_stop(void **state __unused)
{
	struct err err;

	assert_int_equal(make(&err), 0);
	assert_int_equal(b->ops->start(b, BIT(32), rings), 0);
	assert_int_equal(kernel.running, 1);
	assert_int_equal(kernel.agreed, BIT(32));
	assert_int_equal(kernel.nr_regions, 1);
	assert_int_equal(kernel.region.guest_phys_addr, RAM_BASE);
	assert_int_equal(kernel.region.memory_size, RAM_LEN);
	assert_int_equal(kernel.region.userspace_addr, (uintptr_t)ram);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(kernel.addr[i].desc_user_addr, (uintptr_t)ram + i * 0x10000);
		assert_int_equal(
			kernel.addr[i].avail_user_addr, (uintptr_t)ram + i * 0x10000 + 0x4000);
		assert_int_equal(
			kernel.addr[i].used_user_addr, (uintptr_t)ram + i * 0x10000 + 0x8000);
		assert_int_equal(kernel.kick[i], 100 + i);
		assert_int_equal(kernel.call[i], 200 + i);
		assert_int_equal(kernel.err[i], kernel.err[0]);
	}
	b->ops->stop(b);
	assert_int_equal(kernel.running, 0);
	/* Once more, and memory need not be told again. */
	kernel.nr_regions = 0;
	assert_int_equal(b->ops->start(b, BIT(32), rings), 0);
	assert_int_equal(kernel.running, 1);
	assert_int_equal(kernel.nr_regions, 0);
}

static void rings_that_are_no_ram_never_reach_the_kernel(void **state __unused)
{
	struct err err;
	unsigned before;

	assert_int_equal(make(&err), 0);
	before = kernel.nr;
	rings[1].used = RAM_BASE + RAM_LEN - 4;
	assert_int_equal(b->ops->start(b, BIT(32), rings), -EINVAL);
	rings[1].used = rings[1].desc + 0x8000;
	rings[0].ready = false;
	assert_int_equal(b->ops->start(b, BIT(32), rings), -EINVAL);
	rings[0].ready = true;
	rings[0].size = 256; /* more than was offered */
	assert_int_equal(b->ops->start(b, BIT(32), rings), -EINVAL);
	rings[0].size = SIZE;
	assert_int_equal(b->ops->start(b, BIT(32) | BIT(1), rings), -EINVAL);
	assert_int_equal(kernel.nr, before);
	/* The queue of events is nobody's. */
	rings[2].ready = false;
	assert_int_equal(b->ops->start(b, BIT(32), rings), 0);
}

static void each_no_of_the_kernel_is_told(void **state __unused)
{
	struct err err;
	unsigned nr;

	/* While it is made. */
	for (nr = 1; nr <= 3; nr++) {
		kernel.nr = 0;
		kernel.fails_at = nr;
		assert_int_equal(make(&err), -EADDRINUSE);
	}
	assert_string_equal(err.msg, "cid: 9: Address already in use");
	kernel.fails_at = kernel.nr = 0;
	kernel.features = BIT(28);
	assert_int_equal(make(&err), -EPROTO);
	kernel.features |= BIT(32);
	assert_int_equal(make(&err), 0);
	/* While it starts: it does not run, and starts when the kernel says yes. */
	kernel.nr = 0;
	assert_int_equal(b->ops->start(b, BIT(32), rings), 0);
	nr = kernel.nr;
	assert_int_equal(nr, 2 + 2 * 6 + 1);
	b->ops->stop(b);
	for (unsigned i = 1; i < nr; i++) { /* one less: memory is known */
		kernel.nr = 0;
		kernel.fails_at = i;
		assert_int_equal(b->ops->start(b, BIT(32), rings), -EADDRINUSE);
		assert_int_equal(kernel.running, 0);
		kernel.nr = 0;
		b->ops->stop(b);
		assert_int_equal(kernel.nr, 0);
	}
	kernel.fails_at = 0;
	assert_int_equal(b->ops->start(b, BIT(32), rings), 0);
	assert_int_equal(kernel.running, 1);
}

static void a_broken_ring_is_told(void **state __unused)
{
	struct err err;

	assert_int_equal(make(&err), 0);
	b->events = (struct virtio_events){ .needs_reset = on_needs_reset };
	assert_int_equal(b->ops->start(b, BIT(32), rings), 0);
	fd_event_signal(kernel.err[0]);
	step_once();
	assert_int_equal(nr_resets, 1);
	assert_true(step_is_idle());
}

static void the_end_waits_for_what_the_guest_sent(void **state __unused)
{
	uint16_t *avail = (uint16_t *)(void *)(ram + 0x14002),
		 *used = (uint16_t *)(void *)(ram + 0x18002);
	struct err err;

	assert_int_equal(make(&err), 0);
	b->ops->drain(b); /* not started: nothing to wait for */
	assert_int_equal(b->ops->start(b, BIT(32), rings), 0);
	*avail = 5;
	*used = 5;
	b->ops->drain(b);
	*used = 4; /* this one the kernel never takes; it ends all the same */
	b->ops->drain(b);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(it_offers_what_both_know),
		T(the_kernel_serves_from_start_to_stop),
		T(rings_that_are_no_ram_never_reach_the_kernel),
		T(each_no_of_the_kernel_is_told),
		T(a_broken_ring_is_told),
		T(the_end_waits_for_what_the_guest_sent),
	};

	alarm(600);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
