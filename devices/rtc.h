/* SPDX-License-Identifier: MIT */
/*
 * rtc.h: the CMOS clock, a MC146818 with 128 bytes of battery-backed RAM, at ports
 * 0x70 (index) and 0x71 (data). It shows the host's UTC; see rtc.c for what it lacks.
 */
#ifndef DUET_RTC_H
#define DUET_RTC_H

#include "vmm/device.h"

struct rtc;

/* Map it on the port bus. NULL and errno on failure. */
struct rtc *rtc_new(struct machine *m);
void rtc_free(struct rtc *r);

#endif
