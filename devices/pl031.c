// SPDX-License-Identifier: BSD-3-Clause
/*
 * Registers of the PL031 on top of devices/rtc.c. ARM DDI 0224, section 3.3; names are its.
 *
 * Invariants:
 * 1. Registers are 32 bits. Other widths read as all ones and write nothing; offsets without a
 *    register read as zero.
 * 2. The counter runs from the start, as after firmware: RTCCR reads as 1 and cannot stop it.
 * 3. The counter is the low 32 bits of guest time in seconds. A load sets guest time in the
 *    second turn of those, 136 years from where 64 bits of nanoseconds wrap on either side, so
 *    that neither a step of the host's clock nor a match in the next turn gets there.
 */
#include "devices/pl031.h"

#include <errno.h>
#include <stdlib.h>

#include "devices/rtc_impl.h"

#define RTCDR   0x000
#define RTCMR   0x004
#define RTCLR   0x008
#define RTCCR   0x00c
#define RTCIMSC 0x010
#define RTCRIS  0x014
#define RTCMIS  0x018
#define RTCICR  0x01c
#define RTCID   0xfe0 /* RTCPeriphID0 to 3 and RTCPCellID0 to 3, one byte in each word */

#define PL031_TURN_S (1ULL << 32)

#define RTCCR_START 0x1
#define RTCIMSC_ON  0x1
#define RTCICR_ACK  0x1

struct pl031 {
	struct rtc rtc;
	/* Guarded by its lock. */
	uint32_t mr, lr;
	bool matching; /* RTCMR was written */
};

/** By these an AMBA bus finds its driver: part 0x031, designer 0x41 (ARM), revision 0. */
static const uint8_t pl031_id[8] = { 0x31, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };

/** Sets the alarm to the next second, this one included, at which the counter is RTCMR. */
static void pl031_match(struct pl031 *p)
{
	uint64_t now_s = rtc_now(&p->rtc) / RTC_NS_PER_S;
	uint32_t left_s = p->mr - (uint32_t)now_s;

	rtc_arm(&p->rtc, (now_s + left_s) * RTC_NS_PER_S);
}

static void pl031_load(struct pl031 *p, uint32_t v)
{
	p->lr = v;
	/* The alarm's time was one of the old counter. */
	rtc_disarm(&p->rtc);
	rtc_set_now(&p->rtc, (PL031_TURN_S + v) * RTC_NS_PER_S);
	if (p->matching)
		pl031_match(p);
}

static uint32_t pl031_read_reg(struct pl031 *p, uint64_t off)
{
	switch (off) {
	case RTCDR:
		return (uint32_t)(rtc_now(&p->rtc) / RTC_NS_PER_S);
	case RTCMR:
		return p->mr;
	case RTCLR:
		return p->lr;
	case RTCCR:
		return RTCCR_START;
	case RTCIMSC:
		return p->rtc.enabled;
	case RTCRIS:
		return p->rtc.pending;
	case RTCMIS:
		return p->rtc.pending && p->rtc.enabled;
	default:
		break;
	}
	if (off % 4 == 0 && (off - RTCID) / 4 < ARRAY_SIZE(pl031_id))
		return pl031_id[(off - RTCID) / 4];
	return 0;
}

static void pl031_write_reg(struct pl031 *p, uint64_t off, uint32_t v)
{
	switch (off) {
	case RTCMR:
		p->mr = v;
		p->matching = true;
		pl031_match(p);
		break;
	case RTCLR:
		pl031_load(p, v);
		break;
	case RTCIMSC:
		rtc_enable(&p->rtc, v & RTCIMSC_ON);
		break;
	case RTCICR:
		if (v & RTCICR_ACK)
			rtc_clear(&p->rtc);
		break;
	default:
		break;
	}
}

static void pl031_read(void *ctx, uint64_t off, void *data, unsigned len)
{
	struct pl031 *p = ctx;

	if (len != 4)
		return;
	rtc_lock(&p->rtc);
	le32_put(data, pl031_read_reg(p, off));
	rtc_unlock(&p->rtc);
}

static void pl031_write(void *ctx, uint64_t off, const void *data, unsigned len)
{
	struct pl031 *p = ctx;

	if (len != 4)
		return;
	rtc_lock(&p->rtc);
	pl031_write_reg(p, off, le32_get(data));
	rtc_unlock(&p->rtc);
}

const struct bus_ops pl031_bus_ops = { .read = pl031_read, .write = pl031_write };

int pl031_create(struct loop *loop, const struct rtc_clock *clock, const struct irq_line *line,
	struct pl031 **ret, struct err *err)
{
	struct pl031 *p = calloc(1, sizeof(*p));
	int rc;

	if (!p)
		return err_errno(err, ENOMEM, "PL031");
	rc = rtc_init(&p->rtc, loop, clock, line, err);
	if (rc) {
		free(p);
		return err_prefix(err, rc, "PL031");
	}
	*ret = p;
	return 0;
}

void pl031_destroy(struct pl031 *p)
{
	if (!p)
		return;
	rtc_fini(&p->rtc);
	free(p);
}
