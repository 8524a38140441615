// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns the guest's time, the alarm and the timer that wakes the loop for it.
 *
 * Invariants:
 * 1. Only the clock decides whether the alarm's time has come; the timer is a hint to look.
 *    An expiry that is early, late, or for an alarm that was moved meanwhile does no harm.
 * 2. While armed the timer runs. It is absolute and is also told of steps of the host's clock
 *    (TFD_TIMER_CANCEL_ON_SET), which move the time by which the guest's alarm is due.
 * 3. The timer runs at most RTC_SLEEP_MAX_NS ahead, whatever the guest asked for, and after an
 *    early expiry at least RTC_RETRY_NS: the loop does not spin for a clock that stands still.
 * 4. The line is an edge: pulsed when "pending and enabled" becomes true, and only then.
 */
#include "devices/rtc_impl.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <time.h>

#include "base/fd.h"

#define RTC_SLEEP_MAX_NS (86400 * RTC_NS_PER_S)
#define RTC_RETRY_NS     (RTC_NS_PER_S / 10)

static uint64_t rtc_host_now_ns(void *ctx __unused)
{
	struct timespec t;

	BUG_ON(clock_gettime(CLOCK_REALTIME, &t));
	return t.tv_sec < 0 ? 0 : (uint64_t)t.tv_sec * RTC_NS_PER_S + (uint64_t)t.tv_nsec;
}

const struct rtc_clock rtc_host_clock = { .now_ns = rtc_host_now_ns };

uint64_t rtc_now(const struct rtc *r)
{
	return r->clock->now_ns(r->clock->ctx) + r->offset_ns;
}

/* ---- the timer; with the lock held ---- */

/** Runs the timer until the alarm, but at least so long. */
static void rtc_timer_start(struct rtc *r, uint64_t at_least_ns)
{
	uint64_t now = rtc_now(r), delay = r->alarm_ns > now ? r->alarm_ns - now : 0;
	int rc;

	delay = MIN(MAX(delay, at_least_ns), RTC_SLEEP_MAX_NS);
	do {
		uint64_t until = rtc_host_now_ns(NULL) + delay;
		struct itimerspec it = {
			.it_value = { .tv_sec = (time_t)(until / RTC_NS_PER_S),
				.tv_nsec = (long)(until % RTC_NS_PER_S) },
		};

		rc = timerfd_settime(
			r->timer_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &it, NULL);
		BUG_ON(rc && errno != ECANCELED);
	} while (rc); /* the host's clock was set before we looked at it: once more */
}

static void rtc_timer_stop(struct rtc *r)
{
	static const struct itimerspec off;

	BUG_ON(timerfd_settime(r->timer_fd, 0, &off, NULL));
}

/* ---- alarm and interrupt; with the lock held ---- */

static void rtc_update(struct rtc *r)
{
	bool raised = r->pending && r->enabled;

	if (raised && !r->raised && r->line)
		fd_event_signal(r->line->fd);
	r->raised = raised;
}

static void rtc_look(struct rtc *r)
{
	if (!r->armed || rtc_now(r) < r->alarm_ns)
		return;
	rtc_disarm(r);
	r->pending = true;
	rtc_update(r);
}

void rtc_set_now(struct rtc *r, uint64_t ns)
{
	r->offset_ns += ns - rtc_now(r);
	if (r->armed)
		rtc_arm(r, r->alarm_ns);
}

void rtc_arm(struct rtc *r, uint64_t alarm_ns)
{
	r->alarm_ns = alarm_ns;
	r->armed = true;
	rtc_look(r);
	if (r->armed)
		rtc_timer_start(r, 0);
}

void rtc_disarm(struct rtc *r)
{
	if (!r->armed)
		return;
	r->armed = false;
	rtc_timer_stop(r);
}

void rtc_enable(struct rtc *r, bool enabled)
{
	r->enabled = enabled;
	rtc_update(r);
}

void rtc_clear(struct rtc *r)
{
	r->pending = false;
	rtc_update(r);
}

void rtc_lock(struct rtc *r)
{
	pthread_mutex_lock(&r->lock);
	rtc_look(r);
}

void rtc_unlock(struct rtc *r)
{
	pthread_mutex_unlock(&r->lock);
}

/* ---- the loop's side ---- */

static void rtc_on_timer(struct watch *w, uint32_t events __unused)
{
	struct rtc *r = container_of(w, struct rtc, timer);

	fd_event_drain(w->fd);
	rtc_lock(r);
	if (r->armed)
		rtc_timer_start(r, RTC_RETRY_NS);
	rtc_unlock(r);
}

int rtc_init(struct rtc *r, struct loop *loop, const struct rtc_clock *clock,
	const struct irq_line *line, struct err *err)
{
	int rc;

	*r = (struct rtc){ .loop = loop, .clock = clock, .line = line };
	r->timer_fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (r->timer_fd < 0)
		return err_errno(err, errno, "real-time clock");
	rc = loop_add(loop, &r->timer, r->timer_fd, EPOLLIN, rtc_on_timer);
	if (rc) {
		fd_close(&r->timer_fd);
		return err_errno(err, -rc, "real-time clock");
	}
	pthread_mutex_init(&r->lock, NULL);
	return 0;
}

void rtc_fini(struct rtc *r)
{
	loop_del(r->loop, &r->timer);
	fd_close(&r->timer_fd);
	pthread_mutex_destroy(&r->lock);
}
