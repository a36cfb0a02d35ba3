/* SPDX-License-Identifier: MIT */
/*
 * e1000_irq_page.c: the irq-page rung. While the driver has the card up, the page of BAR 0
 * that holds ICR and STATUS is memory for the guest's reads. Of the five exits that Linux
 * makes for an interrupt (ICR, IMC, STATUS; STATUS, IMS) two are left: the writes. And where
 * EOI lowers the line (irq), nobody waits for IMC either, and KVM queues it.
 *
 * Memory cannot clear itself when it is read. So this is for a driver that acknowledges as
 * Linux does: after an ICR that was not 0 it writes IMC = ~0, polls both its rings until
 * they are empty, and writes IMS. Causes are kept in two places:
 *
 *   e->shown      what the guest reads, from the raise to the acknowledge
 *   e->reg[ICR]   private: what waits for the next raise
 *
 *   raise        line up, shown = ICR, ICR = 0
 *   more causes  while something is shown: those about the rings are shown too, others wait
 *   IMC = ~0     IMS = 0, shown = 0; the line falls, if EOI has not lowered it
 *   IMS          what waits is raised now
 *
 * Nothing is lost. What the acknowledge takes back the guest has read, or it is about the
 * rings, for the poll comes after it: when the acknowledge exits, every descriptor whose
 * cause is shown was written back before. When it is queued, the worker writes back, then
 * drains, then adds the cause: an IMC before the drain is over and done with by then, and
 * one after it comes after the descriptors. What waits in ICR waits for IMS, which always
 * exits; and an exit drains, so an IMC takes effect before the IMS that follows it.
 *
 * An IMC that misses the drain by a hair, with the EOI, costs an interrupt that finds the
 * old causes. The guest polls in vain, as it does when a card that shares the line interrupts
 * just then. A guest that EOIs and does not acknowledge (disable_irq()) is interrupted again
 * by the next cause; Linux's watchdog makes one every 2 s (ICS).
 *
 * The page begins at an IMS with both units on, and ends when one goes off, at a reset, when
 * the BAR moves, and when the driver acknowledges in another way; registers then go on
 * from ICR | shown. At the beginning, an acknowledge can be on its way on another vCPU for
 * causes that it read from the register: it takes back what it has not read, but the poll
 * that follows it finds the frames all the same.
 */
#include "devices/e1000.h"

#include <string.h>

/* Causes that say no more than: look at the rings. */
#define POLLED (E1000_ICR_TXDW | E1000_ICR_TXQE | E1000_ICR_RXDMT0 | E1000_ICR_RXO | E1000_ICR_RXT0)

static struct region *e1000_irq_region(struct e1000 *e)
{
	return &e->nic.pci.bar[E1000_BAR_MEM].region;
}

static _Atomic uint32_t *e1000_irq_mem(struct e1000 *e, uint32_t off)
{
	return &e->pages[(E1000_PAGE_IRQ * BUS_PAGE_SIZE + off) / 4];
}

/* What a read of row *r gives while the page is memory. */
static uint32_t e1000_irq_page_value(struct e1000 *e, const struct e1000_reg *r)
{
	if (r->off == E1000_ICR)
		return e->shown;
	if (r->access == E1000_WO)
		return 0;
	return r->read ? r->read(e, r->off / 4) : e1000_get(e, r->off);
}

static void e1000_irq_page_fill(struct e1000 *e)
{
	for (const struct e1000_reg *r = e1000_table; r->off < BUS_PAGE_SIZE; r++)
		*e1000_irq_mem(e, r->off) = e1000_irq_page_value(e, r);
}

void e1000_irq_page_wrote(struct e1000 *e, uint32_t off)
{
	if (!e->irq_page)
		return;
	if (off == E1000_IMS || off == E1000_IMC) /* the two that come often */
		*e1000_irq_mem(e, E1000_IMS) = e1000_get(e, E1000_IMS);
	else
		e1000_irq_page_fill(e);
}

static void e1000_irq_page_show(struct e1000 *e, uint32_t causes)
{
	e->shown = causes;
	*e1000_irq_mem(e, E1000_ICR) = causes;
}

uint32_t e1000_irq_causes(struct e1000 *e)
{
	uint32_t icr = e1000_get(e, E1000_ICR);

	if (e->shown && (icr & POLLED)) {
		e1000_irq_page_show(e, e->shown | (icr & POLLED));
		e1000_set(e, E1000_ICR, icr & ~POLLED);
	}
	return e->shown ? e->shown : e1000_get(e, E1000_ICR);
}

void e1000_irq_page_raise(struct e1000 *e)
{
	if (!e->irq_page || e->shown)
		return;
	e1000_irq_page_show(e, e1000_get(e, E1000_ICR));
	e1000_set(e, E1000_ICR, 0);
}

void e1000_irq_page_ack(struct e1000 *e, uint32_t imc)
{
	if (!e->irq_page)
		return;
	if ((imc & E1000_ICR_ALL) != E1000_ICR_ALL) {
		e1000_irq_page_off(e);
		return;
	}
	e1000_irq_page_show(e, 0);
}

void e1000_irq_page_on(struct e1000 *e)
{
	struct bus *b = &e->nic.m->mmio;
	int err;

	if (!nic_has(&e->nic, RUNG_IRQ_PAGE) || e->irq_page || e->irq_page_refused ||
	    !e1000_both_on(e) || !e1000_get(e, E1000_IMS))
		return;
	/* A level is up: that is what the guest is going to read. Where EOI lowers the line
	 * it may have been read, and these are new: they are raised at the EOI. */
	if (e->line && !e->eoi) {
		e->shown = e1000_get(e, E1000_ICR);
		e1000_set(e, E1000_ICR, 0);
	}
	e->irq_page = true;
	memset(e1000_irq_mem(e, 0), 0, BUS_PAGE_SIZE);
	e1000_irq_page_fill(e);
	err = bus_page_set(b, e1000_irq_region(e), E1000_PAGE_IRQ, PAGE_ROM);
	if (!err && e->eoi)
		bus_coalesce(b, e1000_irq_region(e), E1000_IMC, 4, true); /* or it exits */
	trace(IRQ, "%s: ICR is memory, error %d", e->nic.cfg.name, err);
	if (!err) {
		counter_inc(&e->nic.stat.irq_page_spells);
		return;
	}
	e->irq_page_refused = true;
	e1000_irq_page_off(e);
}

void e1000_irq_page_leave(struct e1000 *e)
{
	if (!e1000_both_on(e))
		e1000_irq_page_off(e);
}

void e1000_irq_page_off(struct e1000 *e)
{
	struct bus *b = &e->nic.m->mmio;

	if (!e->irq_page)
		return;
	bus_coalesce(b, e1000_irq_region(e), E1000_IMC, 4, false);
	bus_page_set(b, e1000_irq_region(e), E1000_PAGE_IRQ, PAGE_TRAP);
	e->irq_page = false;
	e1000_set(e, E1000_ICR, e1000_get(e, E1000_ICR) | e->shown);
	e->shown = 0;
}
