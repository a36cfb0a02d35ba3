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

/* One MSI or MSI-X message, with a route that the guest may change at any time. */
struct msi_vec {
	const struct msi_ops *ops;
};

struct msi_ops {
	/* From now on fire() sends (addr, data). Callers serialise per vector. 0 or -errno. */
	int (*route)(struct msi_vec *v, uint64_t addr, uint32_t data);
	/* Send it once. Any thread, never blocks; without a route it does nothing. */
	void (*fire)(struct msi_vec *v);
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

#endif
