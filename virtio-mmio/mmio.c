// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns one device's transport state, its kick eventfds and its backend; borrows the page.
 *
 * Invariants:
 * 1. The page always holds what the guest must read. Every change is one 32-bit atomic
 *    store: vCPUs may be reading the page with no exit and no lock.
 * 2. Reserved and write-only registers read 0 and never change.
 * 3. The backend is started exactly once between two stops; `started` says which it is.
 * 4. Rings are handed to the backend as they stood at DRIVER_OK. Nothing a driver writes
 *    later changes them: a queue that moves under a running device is how rings escape
 *    their checks.
 * 5. Status and InterruptStatus are changed by atomic read-modify-write only, because the
 *    backend's events change them without the lock (see below).
 * 6. Reset stores Status last: a driver that reads 0 finds everything else reset too.
 *
 * Threads: writes arrive on any vCPU thread and are taken one at a time under `lock`, which
 * stays held while the backend starts or stops, and those wait for the device's loop. The
 * backend's events come on that loop, so they must not take the lock; they touch only
 * Status, InterruptStatus, ConfigGeneration, the config words and the interrupt line.
 *
 * VIRTIO 1.2, sections 2.1 (status), 3.1 (initialisation) and 4.2.2 (registers).
 */
#include "virtio-mmio/mmio.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/fd.h"

#define MMIO_MAGIC   0x74726976 /* "virt", section 4.2.2 */
#define MMIO_VERSION 2
#define MMIO_VENDOR  0x4c46594d /* "MYFL" in memory order; drivers do not match on it */

/* The status bits that are the driver's to set; NEEDS_RESET is the device's. */
#define MMIO_STATUS_DRIVER                                                                         \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_DRIVER_OK |        \
		VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_FAILED)

_Static_assert(VIRTIO_MMIO_CONFIG + VIRTIO_MAX_CONFIG <= VIRTIO_MMIO_PAGE, "config in page");
_Static_assert(VIRTIO_MAX_CONFIG % 4 == 0, "config is copied by words");

struct mmio_queue {
	uint32_t size; /* as written; judged when QueueReady is set */
	uint64_t desc, avail, used;
	bool ready;
};

struct virtio_mmio {
	struct virtio_backend *b; /* owned; set before start */
	struct mmio_page page;    /* set before start; bytes are borrowed, words are atomic */
	int line_fd;              /* borrowed; set before start */

	pthread_mutex_t lock; /* one driver write at a time */
	/* guarded by lock */
	bool started;
	uint32_t device_features_sel, driver_features_sel, queue_sel;
	uint64_t driver_features;
	struct mmio_queue queue[VIRTIO_MAX_QUEUES];

	int kick_fd[VIRTIO_MAX_QUEUES]; /* owned; set before start; nr_kicks of them */
	unsigned nr_kicks;
};

/* ---- the page ---- */

static uint32_t *mmio_word(const struct virtio_mmio *m, unsigned off)
{
	return (uint32_t *)(void *)(m->page.bytes + off);
}

static uint32_t mmio_get(const struct virtio_mmio *m, unsigned off)
{
	return __atomic_load_n(mmio_word(m, off), __ATOMIC_SEQ_CST);
}

/** After each change of a word. */
static void mmio_changed(struct virtio_mmio *m, unsigned off)
{
	if (m->page.clean)
		m->page.clean(m->page.bytes + off, sizeof(uint32_t));
}

static void mmio_set(struct virtio_mmio *m, unsigned off, uint32_t v)
{
	__atomic_store_n(mmio_word(m, off), v, __ATOMIC_SEQ_CST);
	mmio_changed(m, off);
}

static void mmio_set_bits(struct virtio_mmio *m, unsigned off, uint32_t bits)
{
	__atomic_fetch_or(mmio_word(m, off), bits, __ATOMIC_SEQ_CST);
	mmio_changed(m, off);
}

static void mmio_clear_bits(struct virtio_mmio *m, unsigned off, uint32_t bits)
{
	__atomic_fetch_and(mmio_word(m, off), ~bits, __ATOMIC_SEQ_CST);
	mmio_changed(m, off);
}

/**
 * Any width at any offset of the page, aligned or not: each word is loaded once, so that a
 * register is never seen half changed. The bus has checked off + len.
 */
static void mmio_read(void *ctx, uint64_t off, void *data, unsigned len)
{
	const struct virtio_mmio *m = ctx;
	unsigned first = (unsigned)off & ~3U, skip = (unsigned)off & 3U;
	unsigned nr = (skip + len + 3) / 4;
	uint32_t word[3];

	for (unsigned i = 0; i < nr; i++)
		word[i] = mmio_get(m, first + 4 * i);
	memcpy(data, (const char *)word + skip, len);
}

/** Puts config bytes [0, len) into the page. Creation, and the device's loop. */
static void mmio_copy_config(struct virtio_mmio *m, const void *config, unsigned len)
{
	for (unsigned off = 0; off < len; off += 4) {
		uint32_t old = mmio_get(m, VIRTIO_MMIO_CONFIG + off), v = old;

		memcpy(&v, (const char *)config + off, MIN(len - off, 4U));
		if (v != old)
			mmio_set(m, VIRTIO_MMIO_CONFIG + off, v);
	}
}

/* ---- what the backend tells us: on the device's loop, without the lock ---- */

/**
 * Tells the driver to look at config and Status. Before DRIVER_OK the bit waits in
 * InterruptStatus and mmio_start raises the line; each side sets its word and then looks at
 * the other's, so one of them sees both. With Status 0 no driver has read anything yet.
 */
static void mmio_config_interrupt(struct virtio_mmio *m)
{
	if (!mmio_get(m, VIRTIO_MMIO_STATUS))
		return;
	mmio_set_bits(m, VIRTIO_MMIO_INTERRUPT_STATUS, VIRTIO_MMIO_INT_CONFIG);
	if (mmio_get(m, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_DRIVER_OK)
		fd_event_signal(m->line_fd);
}

/**
 * The only way config in the page changes after creation, also in answer to a driver's own
 * config write. The generation moves before and after the copy: a driver that read any old
 * word, or started before the copy, sees it differ. One that runs wholly inside the copy
 * may keep a mix, until the interrupt that follows makes it read again; with reads that do
 * not exit there is nothing to hold it up with.
 */
static void mmio_on_config_changed(void *ctx, const void *config, unsigned len)
{
	struct virtio_mmio *m = ctx;
	uint32_t generation = mmio_get(m, VIRTIO_MMIO_CONFIG_GENERATION);

	mmio_set(m, VIRTIO_MMIO_CONFIG_GENERATION, generation + 1);
	mmio_copy_config(m, config, MIN(len, m->b->config_len));
	mmio_set(m, VIRTIO_MMIO_CONFIG_GENERATION, generation + 2);
	mmio_config_interrupt(m);
}

/** Section 2.1.2: NEEDS_RESET while DRIVER_OK is told by a configuration interrupt. */
static void mmio_on_needs_reset(void *ctx)
{
	struct virtio_mmio *m = ctx;
	uint32_t old = mmio_get(m, VIRTIO_MMIO_STATUS);

	/* A reset that won the race has stored 0: the next driver must not inherit the bit. */
	do {
		if (!(old & VIRTIO_CONFIG_S_DRIVER_OK))
			return;
	} while (!__atomic_compare_exchange_n(mmio_word(m, VIRTIO_MMIO_STATUS), &old,
		old | VIRTIO_CONFIG_S_NEEDS_RESET, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	mmio_changed(m, VIRTIO_MMIO_STATUS);
	mmio_config_interrupt(m);
}

/* ---- status ---- */

static bool mmio_driver_ok(const struct virtio_mmio *m)
{
	return mmio_get(m, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_DRIVER_OK;
}

/** The queue that QueueSel names, or NULL. */
static struct mmio_queue *mmio_selected(struct virtio_mmio *m)
{
	return m->queue_sel < m->b->nr_queues ? &m->queue[m->queue_sel] : NULL;
}

/** As mmio_selected, but only while the driver may still configure it (section 4.2.2.2). */
static struct mmio_queue *mmio_open_queue(struct virtio_mmio *m)
{
	struct mmio_queue *q = mmio_selected(m);

	return q && !q->ready && !mmio_driver_ok(m) ? q : NULL;
}

/** Brings the registers that the selectors choose in line with the selectors. */
static void mmio_show_selected(struct virtio_mmio *m)
{
	const struct mmio_queue *q = mmio_selected(m);
	uint32_t sel = m->device_features_sel;

	mmio_set(m, VIRTIO_MMIO_DEVICE_FEATURES,
		sel < 2 ? (uint32_t)(m->b->features >> (32 * sel)) : 0);
	mmio_set(m, VIRTIO_MMIO_QUEUE_NUM_MAX, q ? m->b->queue_size_max : 0);
	mmio_set(m, VIRTIO_MMIO_QUEUE_READY, q && q->ready);
}

static void mmio_stop_backend(struct virtio_mmio *m)
{
	if (m->started)
		m->b->ops->stop(m->b);
	m->started = false;
}

static void mmio_reset(struct virtio_mmio *m)
{
	mmio_stop_backend(m);
	m->device_features_sel = m->driver_features_sel = m->queue_sel = 0;
	m->driver_features = 0;
	memset(m->queue, 0, sizeof(m->queue));
	/* A kick meant for the old rings must not be the first thing the new ones see. */
	for (unsigned i = 0; i < m->nr_kicks; i++)
		fd_event_drain(m->kick_fd[i]);
	mmio_show_selected(m);
	mmio_set(m, VIRTIO_MMIO_INTERRUPT_STATUS, 0);
	mmio_set(m, VIRTIO_MMIO_STATUS, 0);
}

/**
 * DRIVER_OK. Both words come before the start: the backend may interrupt from inside it,
 * and must find InterruptStatus saying so and Status ready to take NEEDS_RESET.
 */
static void mmio_start(struct virtio_mmio *m, uint32_t status_bits)
{
	struct virtio_ring ring[VIRTIO_MAX_QUEUES];

	for (unsigned i = 0; i < m->b->nr_queues; i++) {
		const struct mmio_queue *q = &m->queue[i];

		ring[i] = (struct virtio_ring){ .ready = q->ready,
			.size = q->ready ? (uint16_t)q->size : 0,
			.desc = q->desc,
			.avail = q->avail,
			.used = q->used,
			.kick_fd = m->kick_fd[i],
			.call_fd = m->line_fd };
	}
	mmio_set_bits(m, VIRTIO_MMIO_INTERRUPT_STATUS, VIRTIO_MMIO_INT_VRING);
	mmio_set_bits(m, VIRTIO_MMIO_STATUS, status_bits);
	if (mmio_get(m, VIRTIO_MMIO_INTERRUPT_STATUS) & VIRTIO_MMIO_INT_CONFIG)
		fd_event_signal(m->line_fd);
	m->started = !m->b->ops->start(m->b, m->driver_features, ring);
	if (!m->started)
		mmio_on_needs_reset(m);
}

/** Section 2.2.2: only what was offered; 6.1: a driver that is not VERSION_1 is refused. */
static bool mmio_features_ok(const struct virtio_mmio *m)
{
	return !(m->driver_features & ~m->b->features) &&
		m->driver_features & BIT(VIRTIO_F_VERSION_1);
}

/**
 * The driver may add bits, or write 0 to reset. A write that leaves out a bit it set before
 * breaks section 2.1.1; guessing what it meant is worse than ignoring all of it. Bits that
 * are not the driver's are masked: drivers write back what they read, NEEDS_RESET included.
 */
static void mmio_write_status(struct virtio_mmio *m, uint32_t v)
{
	uint32_t have = mmio_get(m, VIRTIO_MMIO_STATUS) & MMIO_STATUS_DRIVER, add;

	if (!v) {
		mmio_reset(m);
		return;
	}
	if (have & ~v)
		return;
	add = v & MMIO_STATUS_DRIVER & ~have;
	if (!mmio_features_ok(m))
		add &= ~(uint32_t)VIRTIO_CONFIG_S_FEATURES_OK;
	if (!((have | add) & VIRTIO_CONFIG_S_FEATURES_OK))
		add &= ~(uint32_t)VIRTIO_CONFIG_S_DRIVER_OK;
	if (add & VIRTIO_CONFIG_S_DRIVER_OK)
		mmio_start(m, add);
	else
		mmio_set_bits(m, VIRTIO_MMIO_STATUS, add);
}

/* ---- the other writable registers ---- */

static void mmio_write_device_features_sel(struct virtio_mmio *m, uint32_t v)
{
	m->device_features_sel = v;
	mmio_show_selected(m);
}

static void mmio_write_driver_features_sel(struct virtio_mmio *m, uint32_t v)
{
	m->driver_features_sel = v;
}

/** Fixed once FEATURES_OK was accepted; words beyond the second hold no feature we know. */
static void mmio_write_driver_features(struct virtio_mmio *m, uint32_t v)
{
	unsigned shift = 32 * (m->driver_features_sel & 1);

	if (mmio_get(m, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_FEATURES_OK ||
		m->driver_features_sel > 1)
		return;
	m->driver_features &= ~((uint64_t)UINT32_MAX << shift);
	m->driver_features |= (uint64_t)v << shift;
}

static void mmio_write_queue_sel(struct virtio_mmio *m, uint32_t v)
{
	m->queue_sel = v;
	mmio_show_selected(m);
}

static void mmio_write_queue_num(struct virtio_mmio *m, uint32_t v)
{
	struct mmio_queue *q = mmio_open_queue(m);

	if (q)
		q->size = v;
}

/**
 * A queue may be taken back until DRIVER_OK. After that only a reset ends it: a backend
 * cannot stop one queue, and a 0 here that did nothing would be a lie to the driver, which
 * reads the register back to know (section 4.2.2.2).
 */
static void mmio_write_queue_ready(struct virtio_mmio *m, uint32_t v)
{
	struct mmio_queue *q = mmio_selected(m);

	if (!q || v > 1 || mmio_driver_ok(m))
		return;
	if (v && (!is_power_of_2(q->size) || q->size > m->b->queue_size_max))
		return;
	q->ready = v;
	mmio_show_selected(m);
}

/** Only where no doorbell was bound, which would have done the same in the kernel. */
static void mmio_write_queue_notify(struct virtio_mmio *m, uint32_t v)
{
	if (v < m->nr_kicks && mmio_driver_ok(m))
		fd_event_signal(m->kick_fd[v]);
}

/** The used-buffer bit stays (mmio.h says why); the config bit is the driver's to clear. */
static void mmio_write_interrupt_ack(struct virtio_mmio *m, uint32_t v)
{
	if (v & VIRTIO_MMIO_INT_CONFIG)
		mmio_clear_bits(m, VIRTIO_MMIO_INTERRUPT_STATUS, VIRTIO_MMIO_INT_CONFIG);
}

/** One half of an address of the selected queue; field is its place in struct mmio_queue. */
static void mmio_write_half(struct virtio_mmio *m, size_t field, unsigned shift, uint32_t v)
{
	struct mmio_queue *q = mmio_open_queue(m);
	uint64_t *address;

	if (!q)
		return;
	address = (uint64_t *)(void *)((char *)q + field);
	*address &= ~((uint64_t)UINT32_MAX << shift);
	*address |= (uint64_t)v << shift;
}

static void mmio_write_desc_low(struct virtio_mmio *m, uint32_t v)
{
	mmio_write_half(m, offsetof(struct mmio_queue, desc), 0, v);
}

static void mmio_write_desc_high(struct virtio_mmio *m, uint32_t v)
{
	mmio_write_half(m, offsetof(struct mmio_queue, desc), 32, v);
}

static void mmio_write_avail_low(struct virtio_mmio *m, uint32_t v)
{
	mmio_write_half(m, offsetof(struct mmio_queue, avail), 0, v);
}

static void mmio_write_avail_high(struct virtio_mmio *m, uint32_t v)
{
	mmio_write_half(m, offsetof(struct mmio_queue, avail), 32, v);
}

static void mmio_write_used_low(struct virtio_mmio *m, uint32_t v)
{
	mmio_write_half(m, offsetof(struct mmio_queue, used), 0, v);
}

static void mmio_write_used_high(struct virtio_mmio *m, uint32_t v)
{
	mmio_write_half(m, offsetof(struct mmio_queue, used), 32, v);
}

/*
 * The whole surface a guest can write, config space apart. What is absent is read-only,
 * reserved, legacy (version 1), or belongs to a feature that is not offered: SHMSel, since
 * no device has a shared memory region, and QueueReset.
 */
static void (*const mmio_writer[VIRTIO_MMIO_CONFIG / 4])(struct virtio_mmio *m, uint32_t v) = {
	[VIRTIO_MMIO_DEVICE_FEATURES_SEL / 4] = mmio_write_device_features_sel,
	[VIRTIO_MMIO_DRIVER_FEATURES / 4] = mmio_write_driver_features,
	[VIRTIO_MMIO_DRIVER_FEATURES_SEL / 4] = mmio_write_driver_features_sel,
	[VIRTIO_MMIO_QUEUE_SEL / 4] = mmio_write_queue_sel,
	[VIRTIO_MMIO_QUEUE_NUM / 4] = mmio_write_queue_num,
	[VIRTIO_MMIO_QUEUE_READY / 4] = mmio_write_queue_ready,
	[VIRTIO_MMIO_QUEUE_NOTIFY / 4] = mmio_write_queue_notify,
	[VIRTIO_MMIO_INTERRUPT_ACK / 4] = mmio_write_interrupt_ack,
	[VIRTIO_MMIO_STATUS / 4] = mmio_write_status,
	[VIRTIO_MMIO_QUEUE_DESC_LOW / 4] = mmio_write_desc_low,
	[VIRTIO_MMIO_QUEUE_DESC_HIGH / 4] = mmio_write_desc_high,
	[VIRTIO_MMIO_QUEUE_AVAIL_LOW / 4] = mmio_write_avail_low,
	[VIRTIO_MMIO_QUEUE_AVAIL_HIGH / 4] = mmio_write_avail_high,
	[VIRTIO_MMIO_QUEUE_USED_LOW / 4] = mmio_write_used_low,
	[VIRTIO_MMIO_QUEUE_USED_HIGH / 4] = mmio_write_used_high,
};

/**
 * Control registers take aligned 32-bit writes and nothing else (section 4.2.2.2). Config
 * writes of any width go to the backend when they lie wholly inside the device's config;
 * the page changes when, and if, the backend answers with config_changed.
 */
static void mmio_write(void *ctx, uint64_t off, const void *data, unsigned len)
{
	struct virtio_mmio *m = ctx;

	pthread_mutex_lock(&m->lock);
	if (off >= VIRTIO_MMIO_CONFIG) {
		if (range_within(off, len, VIRTIO_MMIO_CONFIG, m->b->config_len))
			m->b->ops->config_write(
				m->b, (unsigned)(off - VIRTIO_MMIO_CONFIG), data, len);
	} else if (len == 4 && !(off & 3) && mmio_writer[off / 4]) {
		mmio_writer[off / 4](m, le32_get(data));
	}
	pthread_mutex_unlock(&m->lock);
}

static const struct bus_ops mmio_bus_ops = { .read = mmio_read, .write = mmio_write };

/* ---- life ---- */

static void mmio_fill_page(struct virtio_mmio *m)
{
	/* A length and base of all ones: the region does not exist (section 4.2.2). */
	static const unsigned absent[] = { VIRTIO_MMIO_SHM_LEN_LOW, VIRTIO_MMIO_SHM_LEN_HIGH,
		VIRTIO_MMIO_SHM_BASE_LOW, VIRTIO_MMIO_SHM_BASE_HIGH };

	mmio_set(m, VIRTIO_MMIO_MAGIC_VALUE, MMIO_MAGIC);
	mmio_set(m, VIRTIO_MMIO_VERSION, MMIO_VERSION);
	mmio_set(m, VIRTIO_MMIO_DEVICE_ID, m->b->device_id);
	mmio_set(m, VIRTIO_MMIO_VENDOR_ID, MMIO_VENDOR);
	for (size_t i = 0; i < ARRAY_SIZE(absent); i++)
		mmio_set(m, absent[i], UINT32_MAX);
	mmio_copy_config(m, m->b->config, m->b->config_len);
	mmio_show_selected(m);
}

static void mmio_bind_doorbells(
	struct virtio_mmio *m, gpa_t base, const struct doorbell *db, int ack_fd)
{
	/* A refusal costs an exit and nothing else: mmio_write does the same. */
	for (unsigned i = 0; i < m->nr_kicks; i++)
		(void)db->bind(db->ctx, base + VIRTIO_MMIO_QUEUE_NOTIFY, i, m->kick_fd[i]);
	(void)db->bind(db->ctx, base + VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_VRING, ack_fd);
}

int virtio_mmio_create(struct virtio_backend *b, const struct mmio_page *page, gpa_t base,
	const struct irq_line *line, const struct doorbell *db, int ack_fd, struct bus *bus,
	struct virtio_mmio **ret, struct err *err)
{
	struct virtio_mmio *m = calloc(1, sizeof(*m));
	int rc;

	if (!m) {
		rc = err_errno(err, ENOMEM, "virtio-%s", b->name);
		b->ops->destroy(b);
		return rc;
	}
	BUG_ON(b->nr_queues > VIRTIO_MAX_QUEUES || b->config_len > VIRTIO_MAX_CONFIG);
	BUG_ON((uintptr_t)page->bytes % VIRTIO_MMIO_PAGE);
	pthread_mutex_init(&m->lock, NULL);
	m->b = b;
	m->page = *page;
	m->line_fd = line->fd;
	b->events = (struct virtio_events){ .config_changed = mmio_on_config_changed,
		.needs_reset = mmio_on_needs_reset,
		.ctx = m };
	for (; m->nr_kicks < b->nr_queues; m->nr_kicks++) {
		rc = m->kick_fd[m->nr_kicks] = fd_event();
		if (rc < 0) {
			err_errno(err, -rc, "virtio-%s: eventfd", b->name);
			goto fail;
		}
	}
	mmio_fill_page(m);
	/* Last of what may fail: a bus does not forget. */
	rc = bus_add(bus, base, VIRTIO_MMIO_PAGE, &mmio_bus_ops, m);
	if (rc) {
		err_errno(err, -rc, "virtio-%s: registers at 0x%llx", b->name,
			(unsigned long long)base);
		goto fail;
	}
	if (db)
		mmio_bind_doorbells(m, base, db, ack_fd);
	*ret = m;
	return 0;
fail:
	virtio_mmio_destroy(m);
	return rc;
}

void virtio_mmio_stop(struct virtio_mmio *m)
{
	pthread_mutex_lock(&m->lock);
	mmio_stop_backend(m);
	pthread_mutex_unlock(&m->lock);
}

void virtio_mmio_drain(struct virtio_mmio *m)
{
	if (m->b->ops->drain)
		m->b->ops->drain(m->b);
}

void virtio_mmio_destroy(struct virtio_mmio *m)
{
	if (!m)
		return;
	mmio_stop_backend(m);
	m->b->ops->destroy(m->b);
	for (unsigned i = 0; i < m->nr_kicks; i++)
		fd_close(&m->kick_fd[i]);
	pthread_mutex_destroy(&m->lock);
	free(m);
}
