/* SPDX-License-Identifier: MIT */
/*
 * rtc.c: the time of day as a PC finds it (Motorola MC146818A data sheet): ten time and
 * alarm bytes, registers A to D, and battery-backed RAM.
 *
 * The time is not counted but computed: the host's UTC plus what the guest has set. Only
 * while the guest wants alarm or update-ended interrupts does a timer tick each second.
 * Left out: the periodic interrupt and the square wave (PF is never set; systems with a
 * better timer do not use them), daylight saving, and flags of C without their enable bit
 * in B (nothing ticks then).
 */
#include "devices/rtc.h"

#include "vmm/layout.h"

#include <errno.h>
#include <string.h>
#include <time.h>

enum {
	RTC_SECONDS = 0x00,
	RTC_SECONDS_ALARM = 0x01,
	RTC_MINUTES = 0x02,
	RTC_MINUTES_ALARM = 0x03,
	RTC_HOURS = 0x04,
	RTC_HOURS_ALARM = 0x05,
	RTC_DAY_OF_WEEK = 0x06,
	RTC_DAY_OF_MONTH = 0x07,
	RTC_MONTH = 0x08,
	RTC_YEAR = 0x09,
	RTC_A = 0x0a,
	RTC_B = 0x0b,
	RTC_C = 0x0c,
	RTC_D = 0x0d,
	RTC_RAM_SIZE = 0x80,
};

#define RTC_A_UIP    0x80 /* update in progress: the time is about to change */
#define RTC_A_RESET  0x26 /* 32768 Hz oscillator, 1024 Hz rate */
#define RTC_B_SET    0x80 /* the clock stands still while it is set */
#define RTC_B_AIE    0x20
#define RTC_B_UIE    0x10
#define RTC_B_BINARY 0x04 /* else BCD */
#define RTC_B_24H    0x02 /* else 12 hours, bit 7 for PM */
#define RTC_C_IRQF   0x80
#define RTC_C_AF     0x20 /* the flags of C have the places of their enables in B */
#define RTC_C_UF     0x10
#define RTC_D_VRT    0x80 /* battery good */
#define RTC_PM       0x80
#define RTC_ANY      0xc0 /* an alarm byte with both bits set matches always */

#define RTC_NS          INT64_C(1000000000)
#define RTC_UIP_NS      244000 /* UIP comes this long before the update */
#define RTC_CATCH_UP    60     /* seconds a late tick still looks for an alarm in */
#define RTC_IRQ_SOURCES (RTC_B_AIE | RTC_B_UIE)

struct rtc {
	/* fixed: */
	struct machine *m;
	struct region region;
	struct irq_line *irq;
	struct loop_timer tick;
	pthread_mutex_t lock;
	/* lock: */
	uint8_t index;
	uint8_t ram[RTC_RAM_SIZE]; /* also alarms and A to D; time bytes unused */
	int64_t offset;            /* seconds the guest's clock is ahead of the host's */
	struct tm held;            /* the time while SET */
	int64_t ticked;            /* guest second of the last tick */
	bool level;
};

/* --- the clock (lock held in all below) --------------------------------------------- */

/* The guest's time in seconds since 1970; *ns gets the fraction. */
static int64_t rtc_now(const struct rtc *r, int64_t *ns)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	if (ns)
		*ns = t.tv_nsec;
	return t.tv_sec + r->offset;
}

static struct tm rtc_time(const struct rtc *r)
{
	time_t t = rtc_now(r, NULL);
	struct tm tm = { 0 };

	if (r->ram[RTC_B] & RTC_B_SET)
		return r->held;
	gmtime_r(&t, &tm);
	return tm;
}

static void rtc_set_time(struct rtc *r, struct tm tm)
{
	if (r->ram[RTC_B] & RTC_B_SET)
		r->held = tm; /* fields come one by one: 31 before the month that has it */
	else
		r->offset += timegm(&tm) - rtc_now(r, NULL);
}

static uint8_t rtc_encode(const struct rtc *r, int v)
{
	return (uint8_t)(r->ram[RTC_B] & RTC_B_BINARY ? v : v / 10 << 4 | v % 10);
}

/* 0..255 whatever the guest has written. */
static int rtc_decode(const struct rtc *r, uint8_t v)
{
	return r->ram[RTC_B] & RTC_B_BINARY ? v : (v >> 4) * 10 + (v & 15);
}

static uint8_t rtc_encode_hour(const struct rtc *r, int h)
{
	if (r->ram[RTC_B] & RTC_B_24H)
		return rtc_encode(r, h);
	return rtc_encode(r, h % 12 ? h % 12 : 12) | (h >= 12 ? RTC_PM : 0);
}

static int rtc_decode_hour(const struct rtc *r, uint8_t v)
{
	if (r->ram[RTC_B] & RTC_B_24H)
		return rtc_decode(r, v);
	return rtc_decode(r, v & ~RTC_PM) % 12 + (v & RTC_PM ? 12 : 0);
}

/* A time byte of `tm`; false: `index` is not one. */
static bool rtc_get_field(const struct rtc *r, const struct tm *tm, unsigned index, uint8_t *v)
{
	int year = tm->tm_year + 1900;

	switch (index) {
	case RTC_SECONDS:
		*v = rtc_encode(r, tm->tm_sec);
		return true;
	case RTC_MINUTES:
		*v = rtc_encode(r, tm->tm_min);
		return true;
	case RTC_HOURS:
		*v = rtc_encode_hour(r, tm->tm_hour);
		return true;
	case RTC_DAY_OF_WEEK:
		*v = rtc_encode(r, tm->tm_wday + 1);
		return true;
	case RTC_DAY_OF_MONTH:
		*v = rtc_encode(r, tm->tm_mday);
		return true;
	case RTC_MONTH:
		*v = rtc_encode(r, tm->tm_mon + 1);
		return true;
	case RTC_YEAR:
		*v = rtc_encode(r, year % 100);
		return true;
	case RTC_CENTURY:
		*v = rtc_encode(r, year / 100);
		return true;
	}
	return false;
}

static bool rtc_set_field(const struct rtc *r, struct tm *tm, unsigned index, uint8_t v)
{
	int year = tm->tm_year + 1900, n = rtc_decode(r, v);

	switch (index) {
	case RTC_SECONDS:
		tm->tm_sec = n;
		return true;
	case RTC_MINUTES:
		tm->tm_min = n;
		return true;
	case RTC_HOURS:
		tm->tm_hour = rtc_decode_hour(r, v);
		return true;
	case RTC_DAY_OF_WEEK: /* follows from the date */
		return true;
	case RTC_DAY_OF_MONTH:
		tm->tm_mday = n;
		return true;
	case RTC_MONTH:
		tm->tm_mon = n - 1;
		return true;
	case RTC_YEAR:
		tm->tm_year = year / 100 * 100 + n - 1900;
		return true;
	case RTC_CENTURY:
		tm->tm_year = n * 100 + year % 100 - 1900;
		return true;
	}
	return false;
}

/* --- interrupts --------------------------------------------------------------------- */

static void rtc_irq_update(struct rtc *r)
{
	bool level = r->ram[RTC_B] & r->ram[RTC_C] & RTC_IRQ_SOURCES;

	if (level)
		r->ram[RTC_C] |= RTC_C_IRQF;
	if (level != r->level)
		irq_set(r->irq, level);
	r->level = level;
}

static bool rtc_alarm_byte(uint8_t alarm, uint8_t now)
{
	return (alarm & RTC_ANY) == RTC_ANY || alarm == now;
}

static bool rtc_alarm_at(const struct rtc *r, time_t t)
{
	struct tm tm;

	return gmtime_r(&t, &tm) &&
	       rtc_alarm_byte(r->ram[RTC_SECONDS_ALARM], rtc_encode(r, tm.tm_sec)) &&
	       rtc_alarm_byte(r->ram[RTC_MINUTES_ALARM], rtc_encode(r, tm.tm_min)) &&
	       rtc_alarm_byte(r->ram[RTC_HOURS_ALARM], rtc_encode_hour(r, tm.tm_hour));
}

/* The timer runs to the next full second as long as somebody wants to hear of it. */
static void rtc_arm(struct rtc *r)
{
	int64_t ns;

	rtc_now(r, &ns);
	loop_timer_set(&r->tick, r->ram[RTC_B] & RTC_IRQ_SOURCES ? (uint64_t)(RTC_NS - ns) : 0);
}

static void rtc_tick(struct loop_timer *t)
{
	struct rtc *r = container_of(t, struct rtc, tick);
	int64_t now, from;

	pthread_mutex_lock(&r->lock);
	now = rtc_now(r, NULL);
	from = r->ticked < now - RTC_CATCH_UP ? now - RTC_CATCH_UP : r->ticked;
	/* Clock and timer are two host clocks: a tick may be early. SET stops updates. */
	if (from < now && !(r->ram[RTC_B] & RTC_B_SET)) {
		r->ram[RTC_C] |= RTC_C_UF;
		while (from < now)
			if (rtc_alarm_at(r, ++from))
				r->ram[RTC_C] |= RTC_C_AF;
		r->ticked = now;
		rtc_irq_update(r);
	}
	rtc_arm(r);
	pthread_mutex_unlock(&r->lock);
}

/* --- registers ---------------------------------------------------------------------- */

static uint8_t rtc_read_a(const struct rtc *r)
{
	int64_t ns;

	rtc_now(r, &ns);
	if (r->ram[RTC_B] & RTC_B_SET || ns < RTC_NS - RTC_UIP_NS)
		return r->ram[RTC_A];
	return r->ram[RTC_A] | RTC_A_UIP;
}

static uint8_t rtc_read_c(struct rtc *r)
{
	uint8_t v = r->ram[RTC_C];

	r->ram[RTC_C] = 0;
	rtc_irq_update(r);
	return v;
}

static void rtc_write_b(struct rtc *r, uint8_t val)
{
	uint8_t changed = r->ram[RTC_B] ^ val;
	struct tm tm = rtc_time(r);

	r->ram[RTC_B] = val;
	if (changed & RTC_B_SET)
		rtc_set_time(r, tm); /* SET: hold this time; end of SET: go on from it */
	/* Only what happens from now on is of interest to a new listener. */
	if (changed & val & RTC_IRQ_SOURCES)
		r->ticked = rtc_now(r, NULL);
	rtc_irq_update(r);
	if (changed & RTC_IRQ_SOURCES)
		rtc_arm(r);
}

static uint8_t rtc_read_index(struct rtc *r)
{
	struct tm tm = rtc_time(r);
	uint8_t v;

	if (rtc_get_field(r, &tm, r->index, &v))
		return v;
	switch (r->index) {
	case RTC_A:
		return rtc_read_a(r);
	case RTC_C:
		return rtc_read_c(r);
	case RTC_D:
		return RTC_D_VRT;
	}
	return r->ram[r->index];
}

static void rtc_write_index(struct rtc *r, uint8_t val)
{
	struct tm tm = rtc_time(r);

	if (rtc_set_field(r, &tm, r->index, val))
		rtc_set_time(r, tm);
	else if (r->index == RTC_B)
		rtc_write_b(r, val);
	else if (r->index == RTC_A)
		r->ram[RTC_A] = val & (uint8_t)~RTC_A_UIP;
	else if (r->index != RTC_C && r->index != RTC_D)
		r->ram[r->index] = val;
}

static uint64_t rtc_read(void *dev, uint64_t off, unsigned size)
{
	struct rtc *r = dev;
	uint64_t v = bus_ones(size); /* the index port is write-only */

	pthread_mutex_lock(&r->lock);
	if (off)
		v = rtc_read_index(r);
	pthread_mutex_unlock(&r->lock);
	return v;
}

static void rtc_write(void *dev, uint64_t off, unsigned size, uint64_t val)
{
	struct rtc *r = dev;

	(void)size;
	pthread_mutex_lock(&r->lock);
	if (off)
		rtc_write_index(r, (uint8_t)val);
	else
		r->index = val % RTC_RAM_SIZE; /* bit 7 is the PC's NMI mask */
	pthread_mutex_unlock(&r->lock);
}

static const struct region_ops rtc_ops = {
	.read = rtc_read,
	.write = rtc_write,
	.sizes = 1,
};

struct rtc *rtc_new(struct machine *m)
{
	struct rtc *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return NULL;
	r->m = m;
	r->irq = m->irq(m, GSI_RTC);
	r->ram[RTC_A] = RTC_A_RESET;
	r->ram[RTC_B] = RTC_B_24H;
	/* The C library reads /etc/localtime before its first conversion, UTC or not; when the
	 * guest asks for the time it could no longer (vmm/sandbox.h). */
	tzset();
	pthread_mutex_init(&r->lock, NULL);
	r->tick.f.fd = -1;
	r->region = (struct region){ .name = "rtc", .ops = &rtc_ops, .dev = r, .size = 2 };
	err = r->irq ? loop_timer_init(m->loop, &r->tick, rtc_tick) : -ENXIO;
	if (!err)
		err = bus_map(&m->pio, &r->region, PORT_RTC);
	if (err) {
		rtc_free(r);
		errno = -err;
		return NULL;
	}
	return r;
}

void rtc_free(struct rtc *r)
{
	if (!r)
		return;
	bus_unmap(&r->m->pio, &r->region);
	loop_timer_destroy(&r->tick);
	pthread_mutex_destroy(&r->lock);
	free(r);
}
