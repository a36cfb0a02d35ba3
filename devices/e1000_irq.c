/* SPDX-License-Identifier: MIT */
/*
 * e1000_irq.c: from interrupt causes to INTA#. The line follows ICR & IMS; ITR spaces
 * its rising edges [13.4.18].
 */
#include "devices/e1000.h"

/* Without the itr rung, as QEMU does: whatever the driver asked for, 128 us at least. */
#define ITR_FLOOR 500 /* units of 256 ns */

uint64_t e1000_itr_wait(uint64_t now, uint64_t last, uint32_t itr)
{
	uint64_t gap = (uint64_t)itr * 256;

	/* Leading edge: after a pause the first cause interrupts at once. */
	return last && now - last < gap ? gap - (now - last) : 0;
}

/* False: ITR forbids an interrupt now, and the timer is set for when it allows one. */
static bool e1000_itr_allows(struct e1000 *e)
{
	uint32_t itr = e1000_get(e, E1000_ITR);
	uint64_t now = e->clock(), wait;

	if (!nic_has(&e->nic, RUNG_ITR) && itr < ITR_FLOOR)
		itr = ITR_FLOOR;
	wait = e1000_itr_wait(now, e->line_at, itr);
	if (!wait) {
		e->line_at = now;
		return true;
	}
	if (e->itr_due != now + wait)
		loop_timer_set(&e->itr_timer, wait);
	e->itr_due = now + wait;
	return false;
}

/* The irq rung: the line that was raised last falls at the guest's EOI and not before. Has
 * it? If not, we shall be told: a cause that is still there then raises it again. With
 * irq-page we need not be: an IMS follows. */
static bool e1000_line_fell(struct e1000 *e)
{
	if (e->line &&
	    (irq_eoi_acked(e->eoi) || (!e->shown && !irq_eoi_watch(e->eoi, e->nic.m->loop))))
		e->line = false;
	return !e->line;
}

void e1000_eoi_came(struct irq_eoi *eoi)
{
	struct e1000 *e = eoi->user;

	e1000_drain(e);
	lock_take(&e->nic.lock);
	e1000_irq_update(e);
	lock_drop(&e->nic.lock);
}

static void e1000_irq_raise_eoi(struct e1000 *e)
{
	if (!e1000_line_fell(e) || !e1000_itr_allows(e))
		return;
	counter_inc(&e->nic.stat.irqs);
	e1000_irq_page_raise(e);
	e->line = true;
	trace(IRQ, "%s: INTA# asserted, up to the EOI", e->nic.cfg.name);
	irq_eoi_raise(e->eoi);
}

void e1000_irq_update(struct e1000 *e)
{
	bool want = e1000_irq_causes(e) & e1000_get(e, E1000_IMS);

	if (e->eoi) {
		if (want)
			e1000_irq_raise_eoi(e);
		return;
	}
	if (want == e->line || (want && !e1000_itr_allows(e)))
		return;
	if (want) {
		counter_inc(&e->nic.stat.irqs);
		e1000_irq_page_raise(e);
	}
	e->line = want;
	trace(IRQ, "%s: INTA# %s", e->nic.cfg.name, want ? "asserted" : "released");
	pci_intx_set(&e->nic.pci, want);
}

void e1000_irq_raise(struct e1000 *e, uint32_t causes)
{
	uint64_t before = counter_get(&e->nic.stat.irqs);

	if (!causes)
		return;
	if (e->late_due) { /* goes along */
		causes |= E1000_ICR_TXDW;
		e->late_due = 0;
	}
	e1000_set(e, E1000_ICR, e1000_get(e, E1000_ICR) | causes);
	e1000_irq_update(e);
	if (counter_get(&e->nic.stat.irqs) == before)
		e1000_count_withheld(e, causes);
}

void e1000_itr_expired(struct loop_timer *t)
{
	struct e1000 *e = container_of(t, struct e1000, itr_timer);

	e1000_drain(e);
	lock_take(&e->nic.lock);
	e->itr_due = 0;
	e1000_irq_update(e);
	lock_drop(&e->nic.lock);
}

/* --- transmit delay: TIDV after the last descriptor, TADV after the first [13.4.44] --- */

#define DELAY_NS 1024 /* their unit */

bool e1000_tx_late(const struct e1000 *e)
{
	uint64_t due = e->late_due;

	return due && e->clock() >= due;
}

/* May the driver hear of it later? It said so, the ring has room, and somebody will look
 * at the clock: without the watcher a timer would cost more than the interrupt. */
static bool e1000_tx_may_wait(const struct e1000 *e)
{
	return e->nic.polling && nic_has(&e->nic, RUNG_ITR) && !e->tx.urgent &&
	       e1000_get(e, E1000_TIDV) && e->late < e->tx.ring.size / 2;
}

static void e1000_tx_wait(struct e1000 *e)
{
	uint64_t now = e->clock(), tadv = e1000_get(e, E1000_TADV), last;
	uint64_t due = now + (uint64_t)e1000_get(e, E1000_TIDV) * DELAY_NS;

	if (!e->late_due)
		e->late_at = now;
	last = e->late_at + tadv * DELAY_NS;
	e->late_due = tadv && last < due ? last : due;
}

void e1000_irq_tx_done(struct e1000 *e, uint32_t causes)
{
	e->late = e->tx.reported + (e->late_due ? e->late : 0);
	if (e->tx.reported && e1000_tx_may_wait(e) && !(causes & e1000_get(e, E1000_IMS))) {
		e1000_tx_wait(e);
		e1000_set(e, E1000_ICR, e1000_get(e, E1000_ICR) | causes);
		return;
	}
	if (e->tx.reported || e1000_tx_late(e) || (e->late_due && !e->nic.polling))
		causes |= E1000_ICR_TXDW;
	e1000_irq_raise(e, causes);
}

void e1000_tx_remind(struct e1000 *e)
{
	if (!e->late_due)
		return;
	e1000_drain(e);
	lock_take(&e->nic.lock);
	e1000_irq_tx_done(e, 0);
	lock_drop(&e->nic.lock);
}
