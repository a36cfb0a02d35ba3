/* SPDX-License-Identifier: MIT */
/*
 * irq_kvm_eoi.c: level-triggered lines by a pair of eventfds (KVM_IRQFD with
 * KVM_IRQFD_FLAG_RESAMPLE): writing one asserts the pin, and at the guest's EOI KVM lowers
 * it and signals the other. KVM asserts from a worker of its own, a little after the write
 * has returned.
 *
 *   raise: write -> KVM's worker -> pin up -> guest -> EOI -> pin down -> resample: acked
 *
 * KVM keeps these lines' level apart from KVM_IRQ_LINE's on the same pin and ORs the two,
 * and lowers all of them on a pin at once, whoever raised.
 */
#include "vmm/irq_kvm.h"
#include "vmm/layout.h"
#include "vmm/loop.h"
#include "vmm/trace.h"

#include <errno.h>
#include <linux/kvm.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct irq_kvm_eoi {
	struct irq_eoi line;
	/* fixed: */
	unsigned gsi;
	int trigger, resample; /* eventfds */
	/* its caller, who serialises: */
	bool up;          /* raised, and no EOI seen since */
	struct loop_fd f; /* watches `resample` for one event; f.fd -1: not in a loop yet */
};

static struct irq_kvm_eoi *irq_kvm_eoi_of(struct irq_eoi *e)
{
	return container_of(e, struct irq_kvm_eoi, line);
}

/* Were there EOIs since the last time? */
static bool irq_kvm_eoi_take(struct irq_kvm_eoi *e)
{
	uint64_t n;

	return read(e->resample, &n, sizeof(n)) == sizeof(n);
}

static void irq_kvm_eoi_raise(struct irq_eoi *line)
{
	struct irq_kvm_eoi *e = irq_kvm_eoi_of(line);
	uint64_t one = 1;

	/* Another's on this GSI, or our own that nobody asked after: before this raise. */
	irq_kvm_eoi_take(e);
	e->up = true;
	trace(IRQ, "gsi %u up until EOI", e->gsi);
	/* EAGAIN: KVM has not taken the last one yet; they merge. */
	if (write(e->trigger, &one, sizeof(one)) < 0)
		return;
}

static bool irq_kvm_eoi_acked(struct irq_eoi *line)
{
	struct irq_kvm_eoi *e = irq_kvm_eoi_of(line);

	if (irq_kvm_eoi_take(e))
		e->up = false;
	return !e->up;
}

static void irq_kvm_eoi_ready(struct loop_fd *f, uint32_t events)
{
	struct irq_kvm_eoi *e = container_of(f, struct irq_kvm_eoi, f);

	(void)events;
	trace(IRQ, "gsi %u EOI", e->gsi);
	e->line.came(&e->line);
}

/* An EOI that comes before it is armed makes the descriptor readable all the same. */
static int irq_kvm_eoi_watch(struct irq_eoi *line, struct loop *l)
{
	struct irq_kvm_eoi *e = irq_kvm_eoi_of(line);
	uint32_t once = EPOLLIN | EPOLLONESHOT;

	return e->f.fd >= 0 ? loop_fd_mod(&e->f, once)
			    : loop_fd_add(l, &e->f, e->resample, once, irq_kvm_eoi_ready);
}

static const struct irq_eoi_ops irq_kvm_eoi_ops = {
	.raise = irq_kvm_eoi_raise,
	.acked = irq_kvm_eoi_acked,
	.watch = irq_kvm_eoi_watch,
};

static int irq_kvm_eoi_bind(struct kvm *k, struct irq_kvm_eoi *e)
{
	if (e->trigger < 0 || e->resample < 0)
		return -EMFILE;
	if (!kvm_dev_cap(k->dev, KVM_CAP_IRQFD_RESAMPLE))
		return -EOPNOTSUPP;
	return irq_kvm_irqfd(k, e->gsi, e->trigger, e->resample);
}

struct irq_kvm_eoi *irq_kvm_eoi_new(struct kvm *k, unsigned gsi)
{
	struct irq_kvm_eoi *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->line.ops = &irq_kvm_eoi_ops;
	e->gsi = gsi;
	e->f.fd = -1;
	e->trigger = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	e->resample = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!irq_kvm_eoi_bind(k, e))
		return e;
	irq_kvm_eoi_free(e);
	return NULL;
}

struct irq_eoi *irq_kvm_eoi_line(struct irq_kvm_eoi *e)
{
	return &e->line;
}

/* Closing `trigger` unbinds it. */
void irq_kvm_eoi_free(struct irq_kvm_eoi *e)
{
	loop_fd_del(&e->f);
	if (e->trigger >= 0)
		close(e->trigger);
	if (e->resample >= 0)
		close(e->resample);
	free(e);
}
