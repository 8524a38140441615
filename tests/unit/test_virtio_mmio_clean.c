// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio-mmio on a machine whose guests read the register page past the caches: a second page
 * holds only what was cleaned, and must never differ from the first.
 */
#include "tests/unit/virtio_mmio_rig.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct rig *rig;
static uint8_t seen[VIRTIO_MMIO_PAGE];

static void clean(const void *p, size_t len)
{
	size_t off = (size_t)((const uint8_t *)p - rig->page);

	assert_true(range_within(off, len, 0, sizeof(seen)));
	memcpy(seen + off, p, len);
}

static int plug(void **state __unused)
{
	memset(seen, 0, sizeof(seen));
	rig = rig_new();
	rig->clean = clean;
	rig->answers_config = true;
	return rig_plug(rig, NULL, -1);
}

static int unplug(void **state __unused)
{
	rig_free(rig);
	return 0;
}

static void assert_seen(void)
{
	assert_memory_equal(seen, rig->page, sizeof(seen));
}

static void a_new_page_is_clean(void **state __unused)
{
	assert_int_equal(le32_get(seen), 0x74726976);
	assert_seen();
}

static void what_events_change_is_clean(void **state __unused)
{
	uint8_t config[RIG_CONFIG_LEN] = { 1, 2, 3 };

	rig_boot(rig);
	assert_seen();
	rig->b.events.config_changed(rig->b.events.ctx, config, sizeof(config));
	assert_int_equal(le32_get(seen + VIRTIO_MMIO_INTERRUPT_STATUS) & 2, 2);
	assert_seen();
	rig_write(rig, VIRTIO_MMIO_INTERRUPT_ACK, 2);
	assert_int_equal(le32_get(seen + VIRTIO_MMIO_INTERRUPT_STATUS) & 2, 0);
	assert_seen();
	rig->b.events.needs_reset(rig->b.events.ctx);
	assert_int_equal(le32_get(seen + VIRTIO_MMIO_STATUS) & 0x40, 0x40);
	assert_seen();
	rig_write(rig, VIRTIO_MMIO_STATUS, 0);
	assert_seen();
}

static void what_any_write_changes_is_clean(void **state __unused)
{
	unsigned x = 1;

	for (int i = 0; i < 20000; i++) {
		unsigned off = x >> 8 & 0x1fc;

		rig_write(rig, off, x >> 16 & (x & 64 ? 0xf : 0xff));
		assert_seen();
		x = x * 1664525 + 1013904223;
	}
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, plug, unplug)
	const struct CMUnitTest tests[] = {
		T(a_new_page_is_clean),
		T(what_events_change_is_clean),
		T(what_any_write_changes_is_clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
