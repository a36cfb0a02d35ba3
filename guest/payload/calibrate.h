/* SPDX-License-Identifier: MIT */
/*
 * calibrate.h: what calibrate.S and `duet calibrate` agree on. The guest reads what to do
 * from three ports, reports the beginning and the end at two more, and asks again; so
 * the time between those two reports is the time of `count` events and one exit.
 * All accesses are of 4 bytes.
 */
#ifndef DUET_PAYLOAD_CALIBRATE_H
#define DUET_PAYLOAD_CALIBRATE_H

#include "guest/payload/payload.h"

#define CAL_CONTROL    0x500
#define CAL_NEXT       (CAL_CONTROL + 0)  /* read: CAL_OP_* */
#define CAL_COUNT      (CAL_CONTROL + 4)  /* read: how many times, at least 1 */
#define CAL_WHERE      (CAL_CONTROL + 8)  /* read: on which port or address */
#define CAL_BEGIN      (CAL_CONTROL + 12) /* written before the first event */
#define CAL_END        (CAL_CONTROL + 16) /* written after the last */
#define CAL_CONTROL_NR 20

#define CAL_OP_STOP  0 /* no more: halt for good */
#define CAL_OP_LOOP  1 /* nothing: what the loop itself takes */
#define CAL_OP_OUT   2 /* write to the port */
#define CAL_OP_IN    3 /* read the port */
#define CAL_OP_STORE 4 /* write to the address */
#define CAL_OP_LOAD  5 /* read the address */
#define CAL_OP_IRQ   6 /* write to the port, then run until an interrupt has come */
#define CAL_OP_HLT   7 /* the same, but halted */
#define CAL_OPS      8

/* Where the events go: a port, and the first address of two pages. */
#define CAL_PORT 0x600
#define CAL_MMIO TEST_MMIO

/* The pin of the IOAPIC that the guest has set up, level-triggered, and the vector that
 * it brings. Messages are to bring the same. */
#define CAL_GSI    TEST_LEVEL_GSI
#define CAL_VECTOR TEST_VECTOR

#endif
