/* SPDX-License-Identifier: MIT */
/*
 * irq_kvm.c: GSIs 0-23 are the IOAPIC's pins, and each is one of the PICs', too, for a
 * guest that has no use for the IOAPIC; each message vector gets a GSI above them, an
 * eventfd bound to it (KVM_IRQFD) and, once the guest has programmed it, an entry in the
 * VM's routing table. KVM takes that table only as a whole, so it is rebuilt for each
 * change.
 */
#include "vmm/irq_kvm.h"

#include "vmm/layout.h"
#include "vmm/trace.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define IRQ_MSI_MAX    128
#define IRQ_EOI_MAX    16
#define IRQ_PIC_PINS   8
#define IRQ_PICS       2
#define IRQ_ROUTES_MAX (IRQ_PICS * IRQ_PIC_PINS + IOAPIC_PINS + IRQ_MSI_MAX)

struct irq_kvm_line {
	struct irq_line line;
	struct kvm *kvm;
	unsigned gsi;
};

struct irq_kvm_vec {
	struct msi_vec vec;
	/* fixed once allocated: */
	struct irq_kvm *q;
	unsigned gsi;
	int fd; /* eventfd */
	/* lock: */
	uint64_t addr;
	uint32_t data;
	/* written under lock, read by whoever fires: */
	_Atomic bool routed;
};

struct irq_kvm {
	/* fixed: */
	struct kvm *kvm;
	struct msi_router router;
	struct irq_kvm_line line[IOAPIC_PINS];
	pthread_mutex_t lock; /* innermost; held across KVM_SET_GSI_ROUTING */
	/* lock: */
	struct irq_kvm_vec vec[IRQ_MSI_MAX];
	unsigned n_vecs;
	struct irq_kvm_eoi *eoi[IRQ_EOI_MAX];
	unsigned n_eois;
};

static void irq_kvm_set(struct irq_line *l, bool level)
{
	struct irq_kvm_line *kl = container_of(l, struct irq_kvm_line, line);
	struct kvm_irq_level arg = { .irq = kl->gsi, .level = level };

	trace(IRQ, "gsi %u %s", kl->gsi, level ? "up" : "down");
	/* Cannot fail for a GSI that exists, and all of ours do. */
	kvm_ioctl(kl->kvm->vm, KVM_IRQ_LINE, &arg);
}

/* Which GSI pin `pin` of the PICs (0..15) listens to. KVM wants no GSI twice there, and no pin;
 * so the PCI lines get pins that no ISA device of ours has. */
static unsigned irq_kvm_pic_gsi(unsigned pin)
{
	static const uint8_t pci[GSI_PCI_NR] = { PIC_PCI_PINS };

	for (unsigned i = 0; i < GSI_PCI_NR; i++)
		if (pci[i] == pin)
			return GSI_PCI_BASE + i;
	return pin;
}

/* Pin `pin` of irqchip `chip` listens to `gsi`. */
static void irq_kvm_route_pin(struct kvm_irq_routing *t, unsigned gsi, unsigned chip, unsigned pin)
{
	t->entries[t->nr++] = (struct kvm_irq_routing_entry){
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_IRQCHIP,
		.u.irqchip = { .irqchip = chip, .pin = pin },
	};
}

static void irq_kvm_route_msi(struct kvm_irq_routing *t, const struct irq_kvm_vec *v)
{
	t->entries[t->nr++] = (struct kvm_irq_routing_entry){
		.gsi = v->gsi,
		.type = KVM_IRQ_ROUTING_MSI,
		.u.msi = {
			.address_lo = (uint32_t)v->addr,
			.address_hi = (uint32_t)(v->addr >> 32),
			.data = v->data,
		},
	};
}

/* Hand KVM the whole table. Lock held. */
static int irq_kvm_update(struct irq_kvm *q)
{
	_Alignas(struct kvm_irq_routing)
		uint8_t table[sizeof(struct kvm_irq_routing) +
			      IRQ_ROUTES_MAX * sizeof(struct kvm_irq_routing_entry)] = { 0 };
	struct kvm_irq_routing *t = (struct kvm_irq_routing *)table;

	for (unsigned i = 0; i < IRQ_PICS * IRQ_PIC_PINS; i++)
		irq_kvm_route_pin(t, irq_kvm_pic_gsi(i),
				  i < IRQ_PIC_PINS ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE,
				  i % IRQ_PIC_PINS);
	for (unsigned i = 0; i < IOAPIC_PINS; i++)
		irq_kvm_route_pin(t, i, KVM_IRQCHIP_IOAPIC, i);
	for (unsigned i = 0; i < q->n_vecs; i++)
		if (q->vec[i].routed)
			irq_kvm_route_msi(t, &q->vec[i]);
	return kvm_ioctl(q->kvm->vm, KVM_SET_GSI_ROUTING, t);
}

static int irq_kvm_msi_route(struct msi_vec *vec, uint64_t addr, uint32_t data)
{
	struct irq_kvm_vec *v = container_of(vec, struct irq_kvm_vec, vec);
	int err = 0;

	pthread_mutex_lock(&v->q->lock);
	if (!v->routed || v->addr != addr || v->data != data) {
		v->addr = addr;
		v->data = data;
		v->routed = true;
		err = irq_kvm_update(v->q);
		/* A message that KVM refuses (the guest chose it) must not spoil the
		 * table for the others. */
		if (err)
			v->routed = false;
	}
	pthread_mutex_unlock(&v->q->lock);
	trace(IRQ, "gsi %u is message %#" PRIx64 " <- %#x, error %d", v->gsi, addr, data, err);
	return err;
}

static void irq_kvm_msi_fire(struct msi_vec *vec)
{
	struct irq_kvm_vec *v = container_of(vec, struct irq_kvm_vec, vec);
	uint64_t one = 1;

	if (!v->routed)
		return;
	trace(IRQ, "gsi %u fired", v->gsi);
	/* EAGAIN: the kernel has not taken the last one yet; they merge, as edges do. */
	if (write(v->fd, &one, sizeof(one)) < 0)
		return;
}

static int irq_kvm_msi_fd(struct msi_vec *vec)
{
	return container_of(vec, struct irq_kvm_vec, vec)->fd;
}

static const struct msi_ops irq_kvm_msi_ops = {
	.route = irq_kvm_msi_route,
	.fire = irq_kvm_msi_fire,
	.fd = irq_kvm_msi_fd,
};

int irq_kvm_irqfd(struct kvm *k, unsigned gsi, int fd, int resample_fd)
{
	struct kvm_irqfd arg = {
		.fd = (uint32_t)fd,
		.gsi = gsi,
		.flags = resample_fd < 0 ? 0 : KVM_IRQFD_FLAG_RESAMPLE,
		.resamplefd = resample_fd < 0 ? 0 : (uint32_t)resample_fd,
	};

	return kvm_ioctl(k->vm, KVM_IRQFD, &arg);
}

/* An eventfd that KVM turns into `gsi`, or -errno. */
static int irq_kvm_bind(struct kvm *k, unsigned gsi)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), err;

	if (fd < 0)
		return -errno;
	err = irq_kvm_irqfd(k, gsi, fd, -1);
	if (!err)
		return fd;
	close(fd);
	return err;
}

static struct msi_vec *irq_kvm_msi_alloc(struct msi_router *r)
{
	struct irq_kvm *q = container_of(r, struct irq_kvm, router);
	struct irq_kvm_vec *v = NULL;

	pthread_mutex_lock(&q->lock);
	if (q->n_vecs < IRQ_MSI_MAX) {
		unsigned gsi = IOAPIC_PINS + q->n_vecs;
		int fd = irq_kvm_bind(q->kvm, gsi);

		if (fd >= 0) {
			v = &q->vec[q->n_vecs++];
			v->vec.ops = &irq_kvm_msi_ops;
			v->q = q;
			v->gsi = gsi;
			v->fd = fd;
		}
	}
	pthread_mutex_unlock(&q->lock);
	return v ? &v->vec : NULL;
}

struct irq_eoi *irq_kvm_eoi(struct irq_kvm *q, unsigned gsi)
{
	struct irq_kvm_eoi *e = NULL;

	pthread_mutex_lock(&q->lock);
	if (gsi < IOAPIC_PINS && q->n_eois < IRQ_EOI_MAX)
		e = irq_kvm_eoi_new(q->kvm, gsi);
	if (e)
		q->eoi[q->n_eois++] = e;
	pthread_mutex_unlock(&q->lock);
	return e ? irq_kvm_eoi_line(e) : NULL;
}

struct irq_kvm *irq_kvm_new(struct kvm *k)
{
	struct irq_kvm *q = calloc(1, sizeof(*q));
	int err;

	if (!q)
		return NULL;
	q->kvm = k;
	q->router.alloc = irq_kvm_msi_alloc;
	pthread_mutex_init(&q->lock, NULL);
	for (unsigned i = 0; i < IOAPIC_PINS; i++)
		q->line[i] = (struct irq_kvm_line){ .line.set = irq_kvm_set, .kvm = k, .gsi = i };
	err = irq_kvm_update(q);
	if (!err)
		return q;
	irq_kvm_free(q);
	errno = -err;
	return NULL;
}

void irq_kvm_free(struct irq_kvm *q)
{
	if (!q)
		return;
	for (unsigned i = 0; i < q->n_vecs; i++)
		close(q->vec[i].fd);
	for (unsigned i = 0; i < q->n_eois; i++)
		irq_kvm_eoi_free(q->eoi[i]);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

struct irq_line *irq_kvm_line(struct irq_kvm *q, unsigned gsi)
{
	return gsi < IOAPIC_PINS ? &q->line[gsi].line : NULL;
}

struct msi_router *irq_kvm_router(struct irq_kvm *q)
{
	return &q->router;
}
