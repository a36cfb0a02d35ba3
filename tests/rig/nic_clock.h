/* SPDX-License-Identifier: MIT */
/*
 * nic_clock.h: the clock that a card spaces its interrupts by (the e1000's; virtio-net
 * has none). It stands still, so that no test depends on how fast the machine is;
 * rig_run() makes a millisecond pass, which is more than any driver's interval here.
 */
#ifndef DUET_NIC_CLOCK_H
#define DUET_NIC_CLOCK_H

#include "tests/rig/nic_rig.h"

#define NIC_CLOCK_RUN UINT64_C(1000000) /* ns that pass in rig_run() */

/* Stop the clock; a new rig's is. */
void nic_clock_stop(struct nic_rig *r);
/* `ns` pass, and what was due by then happens. */
void nic_clock_pass(struct nic_rig *r, uint64_t ns);
/* The machine's own clock, for tests with threads. */
void nic_clock_start(struct nic_rig *r);

#endif
