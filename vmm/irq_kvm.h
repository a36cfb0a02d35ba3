/* SPDX-License-Identifier: MIT */
/*
 * irq_kvm.h: the interrupt side of a machine (irq.h) delivered by KVM. Lines go
 * to the in-kernel PICs and IOAPIC; messages go straight to local APICs through
 * eventfds, so that a device thread raises one with a write(2) and no vCPU exits.
 */
#ifndef DUET_IRQ_KVM_H
#define DUET_IRQ_KVM_H

#include "vmm/irq.h"
#include "vmm/kvm.h"

struct irq_kvm;

/* NULL and errno. Outlives the devices that hold its lines and vectors. */
struct irq_kvm *irq_kvm_new(struct kvm *k);
void irq_kvm_free(struct irq_kvm *q);

/* NULL when there is no such GSI (0..23). */
struct irq_line *irq_kvm_line(struct irq_kvm *q, unsigned gsi);
struct msi_router *irq_kvm_router(struct irq_kvm *q);
/* A new line on GSI 0..23 that falls at the guest's EOI. NULL: KVM cannot, no such GSI, or
 * no more. Its descriptors live as long as `q`. */
struct irq_eoi *irq_kvm_eoi(struct irq_kvm *q, unsigned gsi);

/* --- irq_kvm_eoi.c --- */

struct irq_kvm_eoi;

/* NULL when KVM or the host refuses. */
struct irq_kvm_eoi *irq_kvm_eoi_new(struct kvm *k, unsigned gsi);
struct irq_eoi *irq_kvm_eoi_line(struct irq_kvm_eoi *e);
/* Takes it out of its loop, which must still be there. */
void irq_kvm_eoi_free(struct irq_kvm_eoi *e);

/*
 * From now on, signalling the eventfd `fd` is an edge on `gsi`: up and down at once. With a
 * `resample_fd` (else -1) it goes up and stays until the guest's EOI, when KVM takes it
 * down and signals that eventfd. 0 or -errno.
 */
int irq_kvm_irqfd(struct kvm *k, unsigned gsi, int fd, int resample_fd);

#endif
