/* SPDX-License-Identifier: MIT */
/*
 * pci_intx.c: INTA#, in two forms that a device may mix: a level that it raises and lowers
 * (pci_intx_set()), and one that falls at the guest's EOI (pci_intx_eoi()). Here the command
 * register's veto is put between the device's wish and the line.
 *
 * Locks: intx_lock -> pci_line.lock.
 */
#include "devices/pci_intx.h"

#include "vmm/trace.h"

bool pci_line_init(struct pci_line *l, struct machine *m, unsigned gsi)
{
	pthread_mutex_init(&l->lock, NULL);
	l->m = m;
	l->gsi = gsi;
	l->line = m->irq(m, gsi);
	return l->line;
}

void pci_line_destroy(struct pci_line *l)
{
	pthread_mutex_destroy(&l->lock);
}

void pci_intx_init(struct pci_dev *d)
{
	pthread_mutex_init(&d->intx_lock, NULL);
}

void pci_intx_fini(struct pci_dev *d)
{
	pthread_mutex_destroy(&d->intx_lock);
}

static void pci_line_drive(struct pci_line *l, unsigned slot, bool level)
{
	uint32_t was;

	pthread_mutex_lock(&l->lock);
	was = l->asserted;
	l->asserted = level ? was | BIT(slot) : was & ~BIT(slot);
	if (!was != !l->asserted)
		irq_set(l->line, l->asserted != 0);
	pthread_mutex_unlock(&l->lock);
}

/* intx_lock held. */
static void pci_line_update(struct pci_dev *d)
{
	pci_line_drive(d->line, d->slot, d->intx_want && !d->intx_disabled);
}

void pci_intx_set(struct pci_dev *d, bool level)
{
	trace(IRQ, "slot %u: INTA# %s", d->slot, level ? "asserted" : "released");
	pthread_mutex_lock(&d->intx_lock);
	d->intx_want = level;
	pci_line_update(d);
	pthread_mutex_unlock(&d->intx_lock);
}

/* Put the wish on the line, or note that it must wait. intx_lock held. */
static void pci_eoi_update(struct pci_dev *d)
{
	d->eoi_held = d->intx_disabled;
	if (!d->eoi_held)
		irq_eoi_raise(d->eoi_line);
}

static void pci_eoi_raise(struct irq_eoi *e)
{
	struct pci_dev *d = container_of(e, struct pci_dev, eoi);

	pthread_mutex_lock(&d->intx_lock);
	d->eoi_want = true;
	pci_eoi_update(d);
	pthread_mutex_unlock(&d->intx_lock);
}

/* Is the device's wish gone? An EOI while it was held was for others. intx_lock held. */
static bool pci_eoi_gone(struct pci_dev *d)
{
	if (d->eoi_line && irq_eoi_acked(d->eoi_line) && !d->eoi_held)
		d->eoi_want = false;
	return !d->eoi_want;
}

static bool pci_eoi_acked(struct irq_eoi *e)
{
	struct pci_dev *d = container_of(e, struct pci_dev, eoi);
	bool gone;

	pthread_mutex_lock(&d->intx_lock);
	gone = pci_eoi_gone(d);
	pthread_mutex_unlock(&d->intx_lock);
	return gone;
}

static int pci_eoi_watch(struct irq_eoi *e, struct loop *l)
{
	struct irq_eoi *line = container_of(e, struct pci_dev, eoi)->eoi_line;

	return line->ops->watch(line, l);
}

static const struct irq_eoi_ops pci_eoi_ops = {
	.raise = pci_eoi_raise,
	.acked = pci_eoi_acked,
	.watch = pci_eoi_watch,
};

static void pci_eoi_came(struct irq_eoi *line)
{
	struct pci_dev *d = line->user;

	d->eoi.came(&d->eoi);
}

struct irq_eoi *pci_intx_eoi(struct pci_dev *d)
{
	struct machine *m = d->line->m;

	if (!d->eoi_line && m->irq_eoi)
		d->eoi_line = m->irq_eoi(m, d->line->gsi);
	if (!d->eoi_line)
		return NULL;
	d->eoi_line->came = pci_eoi_came;
	d->eoi_line->user = d;
	d->eoi.ops = &pci_eoi_ops;
	return &d->eoi;
}

void pci_intx_veto(struct pci_dev *d, bool disabled)
{
	pthread_mutex_lock(&d->intx_lock);
	d->intx_disabled = disabled;
	pci_line_update(d);
	if (d->eoi_held)
		pci_eoi_update(d);
	pthread_mutex_unlock(&d->intx_lock);
}

bool pci_intx_pending(struct pci_dev *d)
{
	bool pending;

	pthread_mutex_lock(&d->intx_lock);
	pending = d->intx_want || !pci_eoi_gone(d);
	pthread_mutex_unlock(&d->intx_lock);
	return pending;
}
