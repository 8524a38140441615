// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio-mmio, one rule at a time: the page, negotiation, queues. test_virtio_mmio_model.c
 * walks all of them together.
 */
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

/* ---- what the page says ---- */

static void a_new_device_introduces_itself(void **state)
{
	struct rig *r = *state;

	assert_int_equal(rig_read(r, VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_VERSION), 2);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_DEVICE_ID), RIG_DEVICE_ID);
	assert_memory_equal(r->page + VIRTIO_MMIO_VENDOR_ID, "MYFL", 4);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_DEVICE_FEATURES), (uint32_t)RIG_FEATURES);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_QUEUE_NUM_MAX), RIG_QUEUE_MAX);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_STATUS), 0);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	assert_memory_equal(r->page + VIRTIO_MMIO_CONFIG, r->b.config, RIG_CONFIG_LEN);
}

static void an_absent_shared_memory_region_has_length_minus_one(void **state)
{
	struct rig *r = *state;

	for (uint32_t id = 0; id < 300; id++) {
		rig_write(r, VIRTIO_MMIO_SHM_SEL, id);
		for (unsigned off = VIRTIO_MMIO_SHM_LEN_LOW; off <= VIRTIO_MMIO_SHM_BASE_HIGH;
			off += 4)
			assert_int_equal(rig_read(r, off), UINT32_MAX);
	}
}

static void device_features_come_by_selector(void **state)
{
	struct rig *r = *state;

	rig_write(r, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_DEVICE_FEATURES), RIG_FEATURES >> 32);
	rig_write(r, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_DEVICE_FEATURES), 0);
	rig_write(r, VIRTIO_MMIO_DEVICE_FEATURES_SEL, UINT32_MAX);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_DEVICE_FEATURES), 0);
	rig_write(r, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_DEVICE_FEATURES), (uint32_t)RIG_FEATURES);
}

static void a_read_of_any_width_and_offset_is_a_copy_of_the_page(void **state)
{
	struct rig *r = *state;
	uint8_t data[8];

	rig_boot(*state);
	for (unsigned len = 1; len <= 8; len *= 2) {
		for (unsigned off = 0; off + len <= VIRTIO_MMIO_PAGE; off++) {
			assert_true(bus_read(&r->bus, RIG_BASE + off, data, len));
			assert_memory_equal(data, r->page + off, len);
		}
		for (unsigned off = VIRTIO_MMIO_PAGE - len + 1; off < VIRTIO_MMIO_PAGE; off++)
			assert_false(bus_read(&r->bus, RIG_BASE + off, data, len));
	}
}

/* ---- negotiation ---- */

static void features_ok_needs_version_1(void **state)
{
	struct rig *r = *state;

	rig_write(r, VIRTIO_MMIO_STATUS, 3);
	rig_accept(r, RIG_FEATURES & ~BIT(VIRTIO_F_VERSION_1));
	rig_write(r, VIRTIO_MMIO_STATUS, 0xb);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_STATUS), 3);
	rig_accept(r, BIT(VIRTIO_F_VERSION_1));
	rig_write(r, VIRTIO_MMIO_STATUS, 0xb);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_STATUS), 0xb);
}

static void each_feature_that_was_not_offered_is_refused(void **state)
{
	struct rig *r = *state;

	for (unsigned bit = 0; bit < 64; bit++) {
		bool offered = RIG_FEATURES & BIT(bit);

		rig_write(r, VIRTIO_MMIO_STATUS, 0);
		rig_write(r, VIRTIO_MMIO_STATUS, 3);
		rig_accept(r, BIT(VIRTIO_F_VERSION_1) | BIT(bit));
		rig_write(r, VIRTIO_MMIO_STATUS, 0xb);
		assert_int_equal(rig_read(r, VIRTIO_MMIO_STATUS), offered ? 0xb : 3);
	}
}

static void features_are_fixed_by_features_ok(void **state)
{
	struct rig *r = *state;

	rig_write(r, VIRTIO_MMIO_STATUS, 3);
	rig_accept(r, BIT(VIRTIO_F_VERSION_1) | BIT(5));
	rig_write(r, VIRTIO_MMIO_STATUS, 0xb);
	rig_accept(r, UINT64_MAX);
	rig_write(r, VIRTIO_MMIO_STATUS, 0xf);
	assert_int_equal(r->nr_start, 1);
	assert_true(r->features == (BIT(VIRTIO_F_VERSION_1) | BIT(5)));
}

static void feature_words_beyond_the_second_touch_nothing(void **state)
{
	struct rig *r = *state;

	rig_write(r, VIRTIO_MMIO_STATUS, 3);
	rig_accept(r, BIT(VIRTIO_F_VERSION_1));
	for (uint32_t sel = 2; sel; sel = sel < 70 ? sel + 1 : sel == 70 ? UINT32_MAX : 0) {
		rig_write(r, VIRTIO_MMIO_DRIVER_FEATURES_SEL, sel);
		rig_write(r, VIRTIO_MMIO_DRIVER_FEATURES, UINT32_MAX);
	}
	rig_write(r, VIRTIO_MMIO_STATUS, 0xf);
	assert_true(r->features == BIT(VIRTIO_F_VERSION_1));
}

static void driver_ok_without_features_ok_is_ignored(void **state)
{
	struct rig *r = *state;

	rig_write(r, VIRTIO_MMIO_STATUS, 7);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_STATUS), 3);
	rig_write(r, VIRTIO_MMIO_STATUS, 0xf); /* FEATURES_OK is refused here, so is the rest */
	assert_int_equal(rig_read(r, VIRTIO_MMIO_STATUS), 3);
	assert_int_equal(r->nr_start, 0);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
}

static void a_write_that_clears_a_status_bit_is_ignored(void **state)
{
	struct rig *r = *state;

	rig_boot(r);
	for (uint32_t v = 1; v < 0x100; v++) {
		if ((v & 0xf) == 0xf)
			continue;
		rig_write(r, VIRTIO_MMIO_STATUS, v);
		assert_int_equal(rig_read(r, VIRTIO_MMIO_STATUS), 0xf);
	}
	rig_write(r, VIRTIO_MMIO_STATUS, 0x100); /* not a 0, though its low byte is */
	assert_int_equal(rig_read(r, VIRTIO_MMIO_STATUS), 0xf);
	assert_int_equal(r->nr_start, 1);
	assert_int_equal(r->nr_stop, 0);
}

static void bits_that_are_not_the_drivers_are_not_stored(void **state)
{
	struct rig *r = *state;

	rig_write(r, VIRTIO_MMIO_STATUS, 0xffffff71);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_STATUS), 1);
	rig_write(r, VIRTIO_MMIO_STATUS, 0x81);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_STATUS), 0x81);
}

static void driver_ok_starts_once_with_the_rings_as_programmed(void **state)
{
	struct rig *r = *state;

	rig_boot(r);
	rig_write(r, VIRTIO_MMIO_STATUS, 0xf);
	rig_write(r, VIRTIO_MMIO_STATUS, 0x8f);
	assert_int_equal(r->nr_start, 1);
	assert_true(r->features == RIG_FEATURES);
	for (unsigned q = 0; q < RIG_QUEUES; q++) {
		assert_true(r->ring[q].ready);
		assert_int_equal(r->ring[q].size, RIG_QUEUE_MAX);
		assert_true(r->ring[q].desc == ((0x10ULL + q) << 32) + 0x1000 * (q + 1));
		assert_true(r->ring[q].avail == ((0x20ULL + q) << 32) + 0x2000 * (q + 1));
		assert_true(r->ring[q].used == ((0x30ULL + q) << 32) + 0x3000 * (q + 1));
		assert_int_equal(r->ring[q].call_fd, r->line.fd);
		assert_true(r->ring[q].kick_fd >= 0);
	}
	assert_int_equal(rig_read(r, VIRTIO_MMIO_INTERRUPT_STATUS), 1);
}

static void the_backend_finds_status_and_interrupt_set_when_it_starts(struct rig *r)
{
	assert_int_equal(rig_read(r, VIRTIO_MMIO_STATUS), 0xf);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_INTERRUPT_STATUS), 1);
}

static void an_interrupt_from_inside_start_finds_its_bit_set(void **state)
{
	struct rig *r = *state;

	r->in_start = the_backend_finds_status_and_interrupt_set_when_it_starts;
	rig_boot(r);
	assert_int_equal(r->nr_start, 1);
}

static void a_failed_start_needs_a_reset_and_says_so(void **state)
{
	struct rig *r = *state;

	r->start_rc = -EINVAL;
	rig_boot(r);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_STATUS), 0x4f);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_INTERRUPT_STATUS), 3);
	assert_int_equal(fd_event_drain(r->line.fd), 1);
	rig_write(r, VIRTIO_MMIO_STATUS, 0xcf); /* NEEDS_RESET written back, FAILED added */
	assert_int_equal(rig_read(r, VIRTIO_MMIO_STATUS), 0xcf);
	rig_write(r, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_STATUS), 0);
	assert_int_equal(r->nr_stop, 0); /* it never ran */
	r->start_rc = 0;
	rig_boot(r);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_STATUS), 0xf);
}

/* ---- queues ---- */

static void an_absent_queue_reads_size_0_and_takes_nothing(void **state)
{
	static const uint32_t absent[] = { RIG_QUEUES, VIRTIO_MAX_QUEUES - 1, VIRTIO_MAX_QUEUES,
		VIRTIO_MAX_QUEUES + 1, 0x10000, 0x80000000, UINT32_MAX };
	struct rig *r = *state;

	for (size_t i = 0; i < ARRAY_SIZE(absent); i++) {
		rig_queue(r, absent[i], 16);
		assert_int_equal(rig_read(r, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
		assert_int_equal(rig_read(r, VIRTIO_MMIO_QUEUE_READY), 0);
	}
	rig_write(r, VIRTIO_MMIO_QUEUE_SEL, 0);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_QUEUE_NUM_MAX), RIG_QUEUE_MAX);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_QUEUE_READY), 0);
}

static void queue_ready_needs_a_legal_size(void **state)
{
	struct rig *r = *state;

	for (uint32_t size = 0; size < 4 * RIG_QUEUE_MAX; size++) {
		bool legal = size && !(size & (size - 1)) && size <= RIG_QUEUE_MAX;

		rig_write(r, VIRTIO_MMIO_STATUS, 0);
		rig_queue(r, 1, size);
		assert_int_equal(rig_read(r, VIRTIO_MMIO_QUEUE_READY), legal);
	}
	rig_write(r, VIRTIO_MMIO_STATUS, 0);
	rig_queue(r, 1, 0x10000 + 16); /* must not be cut to 16 bits */
	assert_int_equal(rig_read(r, VIRTIO_MMIO_QUEUE_READY), 0);
}

static void a_ready_queue_cannot_be_moved(void **state)
{
	struct rig *r = *state;

	rig_boot(r);
	rig_write(r, VIRTIO_MMIO_STATUS, 0);
	rig_write(r, VIRTIO_MMIO_STATUS, 3);
	rig_accept(r, RIG_FEATURES);
	rig_queue(r, 0, 16);
	rig_write(r, VIRTIO_MMIO_QUEUE_NUM, 8);
	for (unsigned off = VIRTIO_MMIO_QUEUE_DESC_LOW; off <= VIRTIO_MMIO_QUEUE_USED_HIGH;
		off += 4)
		rig_write(r, off, 0xdead0000);
	rig_write(r, VIRTIO_MMIO_QUEUE_READY, 1);
	rig_write(r, VIRTIO_MMIO_QUEUE_READY, 3);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_QUEUE_READY), 1);
	rig_write(r, VIRTIO_MMIO_STATUS, 0xf);
	assert_int_equal(r->ring[0].size, 16);
	assert_true(r->ring[0].desc == 0x1000000000ULL + 0x1000);
	assert_true(r->ring[0].avail == 0x2000000000ULL + 0x2000);
	assert_true(r->ring[0].used == 0x3000000000ULL + 0x3000);
	assert_false(r->ring[1].ready);
	assert_int_equal(r->ring[1].size, 0);
}

static void a_queue_can_be_taken_back_before_driver_ok_only(void **state)
{
	struct rig *r = *state;

	rig_queue(r, 2, 16);
	rig_write(r, VIRTIO_MMIO_QUEUE_READY, 0);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_QUEUE_READY), 0);
	rig_boot(r);
	rig_write(r, VIRTIO_MMIO_QUEUE_SEL, 2);
	rig_write(r, VIRTIO_MMIO_QUEUE_READY, 0);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_QUEUE_READY), 1);
}

static void no_queue_becomes_ready_after_driver_ok(void **state)
{
	struct rig *r = *state;

	rig_write(r, VIRTIO_MMIO_STATUS, 3);
	rig_accept(r, RIG_FEATURES);
	rig_write(r, VIRTIO_MMIO_STATUS, 0xf);
	rig_queue(r, 0, 16);
	assert_int_equal(rig_read(r, VIRTIO_MMIO_QUEUE_READY), 0);
	assert_false(r->ring[0].ready);
}

#define ON_RIG(fn) cmocka_unit_test_setup_teardown(fn, plug, unplug)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_RIG(a_new_device_introduces_itself),
		ON_RIG(an_absent_shared_memory_region_has_length_minus_one),
		ON_RIG(device_features_come_by_selector),
		ON_RIG(a_read_of_any_width_and_offset_is_a_copy_of_the_page),
		ON_RIG(features_ok_needs_version_1),
		ON_RIG(each_feature_that_was_not_offered_is_refused),
		ON_RIG(features_are_fixed_by_features_ok),
		ON_RIG(feature_words_beyond_the_second_touch_nothing),
		ON_RIG(driver_ok_without_features_ok_is_ignored),
		ON_RIG(a_write_that_clears_a_status_bit_is_ignored),
		ON_RIG(bits_that_are_not_the_drivers_are_not_stored),
		ON_RIG(driver_ok_starts_once_with_the_rings_as_programmed),
		ON_RIG(an_interrupt_from_inside_start_finds_its_bit_set),
		ON_RIG(a_failed_start_needs_a_reset_and_says_so),
		ON_RIG(an_absent_queue_reads_size_0_and_takes_nothing),
		ON_RIG(queue_ready_needs_a_legal_size),
		ON_RIG(a_ready_queue_cannot_be_moved),
		ON_RIG(a_queue_can_be_taken_back_before_driver_ok_only),
		ON_RIG(no_queue_becomes_ready_after_driver_ok),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
