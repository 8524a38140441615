// SPDX-License-Identifier: BSD-3-Clause
/* virtio-mmio, one rule at a time: notify, interrupts, config space, reset and the end. */
#include "tests/unit/virtio_mmio_rig.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int plug(void **state)
{
	struct rig *r = rig_new();

	*state = r;
	return rig_plug(r, NULL, -1);
}

static int unplug(void **state)
{
	rig_free(*state);
	return 0;
}

/* ---- notify, interrupt, config ---- */

static void a_notify_kicks_its_queue_only(void **state)
{
	struct rig *r = *state;

	rig_boot(r);
	for (unsigned q = 0; q < RIG_QUEUES; q++) {
		rig_write(r, VIRTIO_MMIO_QUEUE_NOTIFY, q);
		for (unsigned i = 0; i < RIG_QUEUES; i++)
			assert_int_equal(fd_event_drain(r->ring[i].kick_fd), i == q);
	}
}

static void a_notify_of_an_absent_queue_kicks_nobody(void **state)
{
	static const uint32_t absent[] = { RIG_QUEUES, VIRTIO_MAX_QUEUES, 0x10000, UINT32_MAX };
	struct rig *r = *state;

	rig_boot(r);
	for (size_t i = 0; i < ARRAY_SIZE(absent); i++)
		rig_write(r, VIRTIO_MMIO_QUEUE_NOTIFY, absent[i]);
	for (unsigned q = 0; q < RIG_QUEUES; q++)
		assert_int_equal(fd_event_drain(r->ring[q].kick_fd), 0);
	assert_int_equal(fd_event_drain(r->line.fd), 0);
}

static void a_notify_before_driver_ok_and_a_kick_before_reset_are_lost(void **state)
{
	struct rig *r = *state;
	int kick;

	rig_boot(r);
	kick = r->ring[1].kick_fd;
	fd_event_signal(kick);
	rig_write(r, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(fd_event_drain(kick), 0);
	rig_write(r, VIRTIO_MMIO_QUEUE_NOTIFY, 1);
	assert_int_equal(fd_event_drain(kick), 0);
}

static void only_the_config_bit_can_be_acknowledged(void **state)
{
	struct rig *r = *state;

	rig_boot(r);
	r->b.events.config_changed(r->b.events.ctx, r->config, RIG_CONFIG_LEN);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_INTERRUPT_STATUS), 3);
	rig_write(r, VIRTIO_MMIO_INTERRUPT_ACK, 1);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_INTERRUPT_STATUS), 3);
	rig_write(r, VIRTIO_MMIO_INTERRUPT_ACK, 3);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_INTERRUPT_STATUS), 1);
}

static void a_config_change_shows_new_bytes_generation_and_interrupt(void **state)
{
	static const uint8_t fresh[RIG_CONFIG_LEN] = "123456789";
	struct rig *r = *state;
	uint32_t generation;

	rig_boot(r);
	generation = rig_read(r, VIRTIO_MMIO_CONFIG_GENERATION);
	r->b.events.config_changed(r->b.events.ctx, fresh, sizeof(fresh));
	assert_memory_equal(r->page + VIRTIO_MMIO_CONFIG, fresh, sizeof(fresh));
	assert_int_not_equal(rig_read(r, VIRTIO_MMIO_CONFIG_GENERATION), generation);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_INTERRUPT_STATUS), 3);
	assert_int_equal(fd_event_drain(r->line.fd), 1);
}

static void a_backend_cannot_grow_its_config(void **state)
{
	struct rig *r = *state;
	uint8_t large[VIRTIO_MAX_CONFIG];

	memset(large, 0x77, sizeof(large));
	r->b.events.config_changed(r->b.events.ctx, large, sizeof(large));
	assert_memory_equal(r->page + VIRTIO_MMIO_CONFIG, large, RIG_CONFIG_LEN);
	for (unsigned off = VIRTIO_MMIO_CONFIG + RIG_CONFIG_LEN; off < VIRTIO_MMIO_PAGE; off++)
		assert_int_equal(r->page[off], 0);
}

static void a_config_change_before_driver_ok_is_told_at_driver_ok(void **state)
{
	struct rig *r = *state;

	r->b.events.config_changed(r->b.events.ctx, r->config, RIG_CONFIG_LEN);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_INTERRUPT_STATUS), 0); /* no driver yet */
	rig_write(r, VIRTIO_MMIO_STATUS, 3);
	r->b.events.config_changed(r->b.events.ctx, r->config, RIG_CONFIG_LEN);
	assert_int_equal(fd_event_drain(r->line.fd), 0);
	rig_accept(r, RIG_FEATURES);
	rig_write(r, VIRTIO_MMIO_STATUS, 0xf);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_INTERRUPT_STATUS), 3);
	assert_int_equal(fd_event_drain(r->line.fd), 1);
}

static void config_writes_reach_the_backend_only_inside_its_config(void **state)
{
	struct rig *r = *state;
	uint64_t v = 0x8877665544332211;

	for (unsigned len = 1; len <= 8; len *= 2) {
		for (unsigned off = 0xf0; off <= VIRTIO_MMIO_PAGE - len; off++) {
			unsigned before = r->nr_config_write;
			bool inside = off >= VIRTIO_MMIO_CONFIG &&
				off + len <= VIRTIO_MMIO_CONFIG + RIG_CONFIG_LEN;

			bus_write(&r->bus, RIG_BASE + off, &v, len);
			assert_int_equal(r->nr_config_write - before, inside);
			if (inside) {
				assert_int_equal(r->write_off, off - VIRTIO_MMIO_CONFIG);
				assert_int_equal(r->write_len, len);
				assert_memory_equal(&r->write_value, &v, len);
			}
		}
	}
	/* This backend did not answer, so config is what it was. */
	assert_memory_equal(r->page + VIRTIO_MMIO_CONFIG, r->b.config, RIG_CONFIG_LEN);
}

static void a_config_write_shows_when_the_backend_answers(void **state)
{
	struct rig *r = *state;
	uint16_t v = 0x4321;

	r->answers_config = true;
	bus_write(&r->bus, RIG_BASE + VIRTIO_MMIO_CONFIG + 8, &v, sizeof(v));
	assert_memory_equal(r->page + VIRTIO_MMIO_CONFIG + 8, &v, sizeof(v));
	assert_int_equal(r->page[VIRTIO_MMIO_CONFIG + 7], 0xa7);
}

static void a_broken_device_needs_reset_while_it_runs_only(void **state)
{
	struct rig *r = *state;

	r->b.events.needs_reset(r->b.events.ctx);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_STATUS), 0);
	rig_write(r, VIRTIO_MMIO_STATUS, 3);
	r->b.events.needs_reset(r->b.events.ctx);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_STATUS), 3);
	rig_boot(r);
	r->b.events.needs_reset(r->b.events.ctx);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_STATUS), 0x4f);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_INTERRUPT_STATUS), 3);
	assert_int_equal(fd_event_drain(r->line.fd), 1);
}

/* ---- reset and life ---- */

static void reset_leaves_the_page_as_new(void **state)
{
	static uint8_t fresh[VIRTIO_MMIO_PAGE];
	struct rig *r = *state;

	memcpy(fresh, r->page, sizeof(fresh));
	rig_boot(r);
	rig_write(r, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	rig_write(r, VIRTIO_MMIO_QUEUE_SEL, 7);
	r->b.events.needs_reset(r->b.events.ctx);
	rig_write(r, VIRTIO_MMIO_STATUS, 0);
	assert_memory_equal(r->page, fresh, sizeof(fresh));
	assert_int_equal(r->nr_stop, 1);
	/* Nothing of the old programming comes back with the next driver. */
	rig_write(r, VIRTIO_MMIO_STATUS, 3);
	rig_write(r, VIRTIO_MMIO_STATUS, 0xb);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_STATUS), 3);
	rig_accept(r, BIT(VIRTIO_F_VERSION_1));
	rig_write(r, VIRTIO_MMIO_STATUS, 0xf);
	for (unsigned q = 0; q < RIG_QUEUES; q++) {
		assert_false(r->ring[q].ready);
		assert_true(!r->ring[q].desc && !r->ring[q].avail && !r->ring[q].used);
	}
}

static void the_page_is_not_reset_while_the_backend_still_runs(struct rig *r)
{
	assert_int_equal(rig_read(r, VIRTIO_MMIO_STATUS), 0xf);
	/* A device may find the rings broken while it stops; that must not wait for us. */
	r->b.events.needs_reset(r->b.events.ctx);
	r->b.events.config_changed(r->b.events.ctx, r->config, RIG_CONFIG_LEN);
}

static void reset_is_seen_only_after_the_backend_stopped(void **state)
{
	struct rig *r = *state;

	r->in_stop = the_page_is_not_reset_while_the_backend_still_runs;
	rig_boot(r);
	rig_write(r, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(r->nr_stop, 1);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_STATUS), 0);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
}

static void the_machine_ends_with_one_stop(void **state)
{
	struct rig *r = *state;

	rig_boot(r);
	virtio_mmio_drain(r->m);
	assert_int_equal(r->nr_drain, 1);
	virtio_mmio_stop(r->m);
	virtio_mmio_stop(r->m);
	assert_int_equal(r->nr_stop, 1);
	virtio_mmio_destroy(r->m);
	r->m = NULL;
	assert_int_equal(r->nr_stop, 1);
	assert_int_equal(r->nr_destroy, 1);
}

static void destroy_stops_a_running_device_and_takes_null(void **state)
{
	struct rig *r = *state;

	rig_boot(r);
	virtio_mmio_destroy(r->m);
	r->m = NULL;
	assert_int_equal(r->nr_stop, 1);
	assert_int_equal(r->nr_destroy, 1);
	virtio_mmio_destroy(NULL);
}

static void a_taken_address_is_refused_and_the_backend_destroyed(void **state)
{
	struct rig *r = rig_new();

	(void)state;
	assert_int_equal(bus_add(&r->bus, RIG_BASE + 4095, 1, NULL, NULL), 0);
	assert_int_equal(rig_plug(r, NULL, -1), -EEXIST);
	assert_null(r->m);
	assert_int_equal(r->nr_destroy, 1);
	rig_free(r);
}

static struct {
	gpa_t gpa;
	uint32_t value;
	int fd;
} bound[RIG_QUEUES + 1];
static unsigned nr_bound;

static int doorbell_bind(void *ctx, gpa_t gpa, uint32_t value, int fd)
{
	assert_true(nr_bound < ARRAY_SIZE(bound));
	bound[nr_bound].gpa = gpa;
	bound[nr_bound].value = value;
	bound[nr_bound++].fd = fd;
	return *(int *)ctx;
}

static void each_queue_and_the_plain_ack_get_a_doorbell(void **state)
{
	static int rc[] = { 0, -ENOSYS };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rc); i++) {
		const struct doorbell db = { .bind = doorbell_bind, .ctx = &rc[i] };
		struct rig *r = rig_new();

		nr_bound = 0;
		assert_int_equal(rig_plug(r, &db, 77), 0);
		rig_boot(r);
		assert_int_equal(nr_bound, RIG_QUEUES + 1);
		for (unsigned q = 0; q < RIG_QUEUES; q++) {
			assert_int_equal(bound[q].gpa, RIG_BASE + VIRTIO_MMIO_QUEUE_NOTIFY);
			assert_int_equal(bound[q].value, q);
			assert_int_equal(bound[q].fd, r->ring[q].kick_fd);
		}
		assert_int_equal(bound[RIG_QUEUES].gpa, RIG_BASE + VIRTIO_MMIO_INTERRUPT_ACK);
		assert_int_equal(bound[RIG_QUEUES].value, 1);
		assert_int_equal(bound[RIG_QUEUES].fd, 77);
		/* A refused doorbell works through the bus. */
		rig_write(r, VIRTIO_MMIO_QUEUE_NOTIFY, 2);
		assert_int_equal(fd_event_drain(r->ring[2].kick_fd), 1);
		rig_free(r);
	}
}

#define ON_RIG(fn) cmocka_unit_test_setup_teardown(fn, plug, unplug)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_RIG(a_notify_kicks_its_queue_only),
		ON_RIG(a_notify_of_an_absent_queue_kicks_nobody),
		ON_RIG(a_notify_before_driver_ok_and_a_kick_before_reset_are_lost),
		ON_RIG(only_the_config_bit_can_be_acknowledged),
		ON_RIG(a_config_change_shows_new_bytes_generation_and_interrupt),
		ON_RIG(a_backend_cannot_grow_its_config),
		ON_RIG(a_config_change_before_driver_ok_is_told_at_driver_ok),
		ON_RIG(config_writes_reach_the_backend_only_inside_its_config),
		ON_RIG(a_config_write_shows_when_the_backend_answers),
		ON_RIG(a_broken_device_needs_reset_while_it_runs_only),
		ON_RIG(reset_leaves_the_page_as_new),
		ON_RIG(reset_is_seen_only_after_the_backend_stopped),
		ON_RIG(the_machine_ends_with_one_stop),
		ON_RIG(destroy_stops_a_running_device_and_takes_null),
		cmocka_unit_test(a_taken_address_is_refused_and_the_backend_destroyed),
		cmocka_unit_test(each_queue_and_the_plain_ack_get_a_doorbell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
