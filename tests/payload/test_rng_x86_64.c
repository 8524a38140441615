// SPDX-License-Identifier: BSD-3-Clause
/*
 * A virtio-mmio device on the real KVM, from probe to used buffer: register page read without
 * an exit, doorbell and acknowledge in the kernel, the interrupt through an irqfd. The guest
 * is a script; its rings lie prepared in memory.
 */
#include "tests/payload/rig.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>

#include "base/loop.h"
#include "virtio-mmio/mmio.h"
#include "virtio/rng.h"

#define PIN     7
#define VECTOR  0x41
#define REG(x)  (RIG_PAGE + VIRTIO_MMIO_##x)
#define DESC    (RIG_DATA + 0x0000)
#define AVAIL   (RIG_DATA + 0x1000)
#define USED    (RIG_DATA + 0x2000)
#define BUF     (RIG_DATA + 0x3000)
#define BUF_LEN 64
#define RINGS   8

#define ACKED   (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER)
#define AGREED  (ACKED | VIRTIO_CONFIG_S_FEATURES_OK)
#define RUNNING (AGREED | VIRTIO_CONFIG_S_DRIVER_OK)

#define W(reg, v)                                                                                  \
	{                                                                                          \
		SCRIPT_W32, REG(reg), (v)                                                          \
	}
#define R(reg)                                                                                     \
	{                                                                                          \
		SCRIPT_R32, REG(reg), 0                                                            \
	}

/* What the script reads, by its place. */
enum { S_MAGIC, S_VERSION, S_DEVICE };

struct dev {
	struct rig *r;
	struct loop *loop;
	pthread_t thread;
	struct irq_line line;
	struct virtio_mmio *mmio;
	int ack_fd;
	unsigned nr_binds;
	bool bind; /* doorbells are in the kernel */
};

static int dev_bind(void *ctx, gpa_t gpa, uint32_t value, int fd)
{
	struct dev *d = ctx;

	d->nr_binds++;
	return d->bind ? hv_ioeventfd(d->r->hvm, gpa, value, fd) : -ENOSYS;
}

static void *dev_thread(void *arg)
{
	loop_run(((struct dev *)arg)->loop);
	return NULL;
}

/** The device at RIG_PAGE; fast: read, notified and acknowledged without exits. */
static void dev_create(struct dev *d, struct rig *r, bool fast)
{
	struct doorbell db = { .bind = dev_bind, .ctx = d };
	struct virtio_backend *b;

	*d = (struct dev){ .r = r, .bind = fast, .line = { .gsi = PIN }, .ack_fd = fd_event() };
	if (fast && !hv_vm_cap(r->hvm, KVM_CAP_READONLY_MEM))
		skip();
	rig_irq(r, PIN, VECTOR, 0xee);
	d->line.fd = fd_take(&r->irq_fd);
	r->page = mmap(
		NULL, VIRTIO_MMIO_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(r->page != MAP_FAILED);
	if (fast)
		assert_int_equal(hv_map_readonly(r->hvm, RIG_PAGE, r->page, VIRTIO_MMIO_PAGE), 0);
	RIG_MUST(r, loop_create(&d->loop, &r->err));
	RIG_MUST(r, virtio_rng_create(&r->gm, d->loop, &b, &r->err));
	RIG_MUST(r,
		virtio_mmio_create(b, &(struct mmio_page){ .bytes = r->page }, RIG_PAGE, &d->line,
			&db, d->ack_fd, &r->mmio, &d->mmio, &r->err));
	assert_true(d->nr_binds >= 2);
	assert_int_equal(pthread_create(&d->thread, NULL, dev_thread, d), 0);
}

static void dev_destroy(struct dev *d)
{
	virtio_mmio_stop(d->mmio);
	loop_stop(d->loop);
	assert_int_equal(pthread_join(d->thread, NULL), 0);
	virtio_mmio_destroy(d->mmio);
	loop_destroy(d->loop);
	fd_close(&d->line.fd);
	fd_close(&d->ack_fd);
}

/** One device-writable buffer is made available. */
static void dev_prepare_rings(struct rig *r)
{
	const struct vring_desc desc = { .addr = BUF, .len = BUF_LEN, .flags = VRING_DESC_F_WRITE };
	const uint16_t avail[3] = { 0, 1, 0 }; /* flags, index, head 0 */

	assert_int_equal(gm_write(&r->gm, DESC, &desc, sizeof(desc)), 0);
	assert_int_equal(gm_write(&r->gm, AVAIL, avail, sizeof(avail)), 0);
}

/** The whole of a driver's life; what a run reads lands in ops. */
static void dev_drive(struct dev *d)
{
	struct script_op ops[] = {
		R(MAGIC_VALUE),
		R(VERSION),
		R(DEVICE_ID),
		{ SCRIPT_LIDT, RIG_IDTR, RIG_STACK },
		{ SCRIPT_W32, X86_LAPIC + 0xf0, 0x1ff },
		{ SCRIPT_W32, X86_IOAPIC, 0x10 + 2 * PIN },
		{ SCRIPT_W32, X86_IOAPIC + 0x10, VECTOR },
		W(STATUS, 0),
		W(STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE),
		W(STATUS, ACKED),
		W(DEVICE_FEATURES_SEL, 1),
		R(DEVICE_FEATURES), /* 11 */
		W(DRIVER_FEATURES_SEL, 0),
		W(DRIVER_FEATURES, 0),
		W(DRIVER_FEATURES_SEL, 1),
		W(DRIVER_FEATURES, 1), /* VERSION_1 */
		W(STATUS, AGREED),
		R(STATUS), /* 17 */
		W(QUEUE_SEL, 0),
		R(QUEUE_NUM_MAX), /* 19 */
		W(QUEUE_NUM, RINGS),
		W(QUEUE_DESC_LOW, DESC),
		W(QUEUE_DESC_HIGH, 0),
		W(QUEUE_AVAIL_LOW, AVAIL),
		W(QUEUE_AVAIL_HIGH, 0),
		W(QUEUE_USED_LOW, USED),
		W(QUEUE_USED_HIGH, 0),
		W(QUEUE_READY, 1),
		R(QUEUE_READY), /* 28 */
		W(STATUS, RUNNING),
		W(QUEUE_NOTIFY, 0),
		{ SCRIPT_WAIT, PAYLOAD_COUNT_A, 1 },
		R(INTERRUPT_STATUS), /* 32 */
		W(INTERRUPT_ACK, 1),
		{ SCRIPT_R16, USED + 2, 0 }, /* 34: used.idx */
		{ SCRIPT_R32, USED + 4, 0 }, /* 35: used.ring[0].id */
		{ SCRIPT_R32, USED + 8, 0 }, /* 36: used.ring[0].len */
		R(STATUS),                   /* 37 */
		W(STATUS, 0),
		R(STATUS), /* 39 */
		{ SCRIPT_END, 0, 1 },
	};
	struct rig *r = d->r;
	uint8_t buf[BUF_LEN];
	unsigned zeroes = 0;

	assert_int_equal(rig_script(r, ops, ARRAY_SIZE(ops)), 1);
	assert_int_equal(ops[S_MAGIC].value, 0x74726976);
	assert_int_equal(ops[S_VERSION].value, 2);
	assert_int_equal(ops[S_DEVICE].value, 4);
	assert_int_equal(ops[11].value & 1, 1);
	assert_int_equal(ops[17].value, AGREED);
	assert_true(ops[19].value >= RINGS);
	assert_int_equal(ops[28].value, 1);
	assert_int_equal(ops[32].value & 1, 1);
	assert_int_equal(ops[34].value, 1);
	assert_int_equal(ops[35].value, 0);
	assert_int_equal(ops[36].value, BUF_LEN);
	assert_int_equal(ops[37].value, RUNNING);
	assert_int_equal(ops[39].value, 0);
	assert_int_equal(gm_read(&r->gm, BUF, buf, sizeof(buf)), 0);
	for (unsigned i = 0; i < BUF_LEN; i++)
		zeroes += !buf[i];
	assert_true(zeroes < BUF_LEN / 2);
}

static void a_request_is_answered_without_an_exit(void **state)
{
	struct dev d;

	dev_create(&d, *state, true);
	dev_prepare_rings(*state);
	dev_drive(&d);
	/* The acknowledge went to the kernel, and so nowhere. */
	assert_int_equal(fd_event_drain(d.ack_fd), 1);
	dev_destroy(&d);
}

static void a_request_is_answered_by_exits_where_the_host_has_nothing_better(void **state)
{
	struct dev d;

	dev_create(&d, *state, false);
	dev_prepare_rings(*state);
	dev_drive(&d);
	assert_int_equal(fd_event_drain(d.ack_fd), 0);
	dev_destroy(&d);
}

static void a_ring_outside_of_ram_needs_a_reset(void **state)
{
	struct script_op ops[] = {
		W(STATUS, ACKED),
		W(DRIVER_FEATURES_SEL, 1),
		W(DRIVER_FEATURES, 1),
		W(STATUS, AGREED),
		W(QUEUE_NUM, RINGS),
		W(QUEUE_DESC_LOW, RIG_PAGE), /* its own registers */
		W(QUEUE_AVAIL_LOW, AVAIL),
		W(QUEUE_USED_LOW, USED),
		W(QUEUE_READY, 1),
		W(STATUS, RUNNING),
		W(QUEUE_NOTIFY, 0),
		{ SCRIPT_SPIN, 0, 1000 },
		R(STATUS), /* 12 */
		W(STATUS, 0),
		R(STATUS), /* 14 */
		{ SCRIPT_END, 0, 1 },
	};
	struct dev d;

	dev_create(&d, *state, true);
	assert_int_equal(rig_script(*state, ops, ARRAY_SIZE(ops)), 1);
	assert_true(ops[12].value & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(ops[14].value, 0);
	dev_destroy(&d);
}

#define RIG_TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	struct CMUnitTest tests[] = {
		RIG_TEST(a_request_is_answered_without_an_exit),
		RIG_TEST(a_request_is_answered_by_exits_where_the_host_has_nothing_better),
		RIG_TEST(a_ring_outside_of_ram_needs_a_reset),
	};

	rig_init();
	rig_skip_without_kvm(tests, ARRAY_SIZE(tests));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
