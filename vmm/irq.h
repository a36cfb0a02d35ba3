/* SPDX-License-Identifier: MIT */
/*
 * irq.h: how a device interrupts, without knowing who delivers. KVM's side is
 * vmm/irq_kvm.c; tests bring their own and look at what was raised.
 */
#ifndef DUET_IRQ_H
#define DUET_IRQ_H

#include "vmm/util.h"

#include <stdbool.h>

/* A level-triggered line (INTx, SCI) or, pulsed, an edge-triggered ISA one. */
struct irq_line {
	void (*set)(struct irq_line *l, bool level); /* any thread; callers serialise per line */
};

static inline void irq_set(struct irq_line *l, bool level)
{
	l->set(l, level);
}

/*
 * A level-triggered line that falls by itself when the guest has dealt with the interrupt
 * (its EOI), so that raising it is all there is to do. Several on one GSI, and a struct
 * irq_line beside them, are ORed; an EOI lowers and acknowledges all of the former, and
 * whose cause persists raises again. Callers serialise raise, acked and watch.
 */
struct irq_eoi {
	const struct irq_eoi_ops *ops;
	/* its user's, before the first irq_eoi_watch(): */
	void (*came)(struct irq_eoi *e); /* loop thread, no lock held */
	void *user;
};

struct loop;

struct irq_eoi_ops {
	/* Assert. Any thread, never blocks, idempotent while asserted. */
	void (*raise)(struct irq_eoi *e);
	/* Has the guest EOIed since the last raise? True also before the first. Any thread. */
	bool (*acked)(struct irq_eoi *e);
	/* Call e->came() once, on `l`'s thread, at the next EOI, or now if there was one that
	 * acked() has not seen. Always the same loop. 0 or -errno. Any thread. */
	int (*watch)(struct irq_eoi *e, struct loop *l);
};

static inline void irq_eoi_raise(struct irq_eoi *e)
{
	e->ops->raise(e);
}

static inline bool irq_eoi_acked(struct irq_eoi *e)
{
	return e->ops->acked(e);
}

/* Have e->came() called at the EOI. False: it has been (or, rarely, the host refuses), so
 * look yourself. came() may come once too often, then irq_eoi_acked() says so. Until somebody
 * watches, an EOI wakes nobody. */
static inline bool irq_eoi_watch(struct irq_eoi *e, struct loop *l)
{
	return !e->ops->watch(e, l) && !irq_eoi_acked(e);
}

/* One MSI or MSI-X message, with a route that the guest may change at any time. */
struct msi_vec {
	const struct msi_ops *ops;
};

struct msi_ops {
	/* From now on fire() sends (addr, data). Callers serialise per vector. 0 or -errno. */
	int (*route)(struct msi_vec *v, uint64_t addr, uint32_t data);
	/* Send it once. Any thread, never blocks; without a route it does nothing. */
	void (*fire)(struct msi_vec *v);
	/* An eventfd; whoever signals it fires. NULL: there is none. */
	int (*fd)(struct msi_vec *v);
};

/* Hands out vectors at set-up time; they live as long as the machine. */
struct msi_router {
	struct msi_vec *(*alloc)(struct msi_router *r); /* NULL: no more */
};

static inline int msi_route(struct msi_vec *v, uint64_t addr, uint32_t data)
{
	return v->ops->route(v, addr, data);
}

static inline void msi_fire(struct msi_vec *v)
{
	v->ops->fire(v);
}

/* The vector's, or -1. */
static inline int msi_fd(struct msi_vec *v)
{
	return v->ops->fd ? v->ops->fd(v) : -1;
}

#endif
