/* SPDX-License-Identifier: MIT */
/* nic_clock.c: time for the e1000's interrupt throttle. */
#include "tests/rig/nic_clock.h"

#include "devices/e1000.h"

static uint64_t nic_clock_now = UINT64_C(1000000000); /* of all cards in this process */

static uint64_t nic_clock(void)
{
	return nic_clock_now;
}

static struct e1000 *nic_clock_card(struct nic_rig *r)
{
	return r->drv == &rig_driver_e1000 ? container_of(r->nic, struct e1000, nic) : NULL;
}

void nic_clock_stop(struct nic_rig *r)
{
	struct e1000 *e = nic_clock_card(r);

	if (e)
		e->clock = nic_clock;
}

void nic_clock_start(struct nic_rig *r)
{
	struct e1000 *e = nic_clock_card(r);

	if (e)
		e->clock = loop_now;
}

/* The timer itself counts on the machine's clock: one that fires early is set anew. */
void nic_clock_pass(struct nic_rig *r, uint64_t ns)
{
	struct e1000 *e = nic_clock_card(r);

	nic_clock_now += ns;
	if (e && e->clock == nic_clock && e->itr_due && e->itr_due <= nic_clock_now)
		e->itr_timer.expired(&e->itr_timer);
}
