/* SPDX-License-Identifier: MIT */
/*
 * kvm_accel.c: what KVM does so that the guest need not exit to us (struct bus_accel):
 * doorbells are ioeventfds; a page that is memory is a memory slot of its own, read-only
 * for PAGE_ROM, where a write exits as if nothing were there; queued writes wait in the ring
 * of KVM's coalesced MMIO, of which a VM has one. Called when the guest moves a BAR and when
 * a device turns a page, with the bus's `change` held; the queue's own, with its `drain`.
 */
#include "vmm/kvm.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/mman.h>

#define KVM_RING_PAGE 4096 /* KVM's PAGE_SIZE */
#define KVM_RING_SIZE                                                                              \
	((KVM_RING_PAGE - sizeof(struct kvm_coalesced_mmio_ring)) /                                \
	 sizeof(struct kvm_coalesced_mmio))

_Static_assert(KVM_RING_SIZE <= BUS_QUEUE_MAX, "one drain empties the ring");

static int kvm_doorbell(struct bus_accel *a, uint64_t addr, const struct doorbell *d, bool on)
{
	struct kvm_accel *ka = container_of(a, struct kvm_accel, accel);
	struct kvm_ioeventfd e = {
		.addr = addr,
		.len = d->size,
		.fd = d->fd,
		.flags = (ka->pio ? KVM_IOEVENTFD_FLAG_PIO : 0) |
			 (on ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN),
	};

	if (!d->size && !ka->kvm->any_length)
		return -EOPNOTSUPP;
	return kvm_ioctl(ka->kvm->vm, KVM_IOEVENTFD, &e);
}

/* The page's slot, or when it has none a free one, or NULL. */
static struct kvm_page *kvm_page_find(struct kvm *k, uint64_t gpa)
{
	struct kvm_page *free = NULL;

	for (unsigned i = 0; i < KVM_PAGES; i++) {
		if (k->page[i].used && k->page[i].gpa == gpa)
			return &k->page[i];
		if (!k->page[i].used && !free)
			free = &k->page[i];
	}
	return free;
}

static int kvm_page(struct bus_accel *a, uint64_t addr, void *mem, enum page_mode mode)
{
	struct kvm *k = container_of(a, struct kvm_accel, accel)->kvm;
	struct kvm_page *p = kvm_page_find(k, addr);
	bool trap = mode == PAGE_TRAP;
	int err;

	if (!p)
		return -ENOSPC;
	/* Removing waits until each vCPU has left the guest or dropped its translations. */
	err = kvm_set_slot(k, k->ram_slots + (unsigned)(p - k->page), addr,
			   trap ? 0 : BUS_PAGE_SIZE, mem, mode == PAGE_ROM);
	if (!err)
		*p = (struct kvm_page){ .used = !trap, .gpa = addr };
	return err;
}

static int kvm_coalesce(struct bus_accel *a, uint64_t addr, unsigned size, bool on)
{
	struct kvm *k = container_of(a, struct kvm_accel, accel)->kvm;
	struct kvm_coalesced_mmio_zone z = { .addr = addr, .size = size };

	if (!k->ring)
		return -ENOTSUP;
	return kvm_ioctl(k->vm, on ? KVM_REGISTER_COALESCED_MMIO : KVM_UNREGISTER_COALESCED_MMIO,
			 &z);
}

static bool kvm_queued(struct bus_accel *a, struct bus_queued *w)
{
	struct kvm_coalesced_mmio_ring *r = container_of(a, struct kvm_accel, accel)->kvm->ring;
	/* Pairs with kvm_unqueue(): who finds the ring empty sees what the handlers did. */
	uint32_t first = __atomic_load_n(&r->first, __ATOMIC_ACQUIRE);
	const struct kvm_coalesced_mmio *e = &r->coalesced_mmio[first];

	/* Pairs with KVM's barrier between filling an entry and moving `last` behind it. */
	if (__atomic_load_n(&r->last, __ATOMIC_ACQUIRE) == first)
		return false;
	if (!w)
		return true;
	w->addr = e->phys_addr;
	w->len = MIN(e->len, (uint32_t)sizeof(w->data));
	memcpy(w->data, e->data, sizeof(w->data));
	return true;
}

static void kvm_unqueue(struct bus_accel *a)
{
	struct kvm_coalesced_mmio_ring *r = container_of(a, struct kvm_accel, accel)->kvm->ring;

	/* Pairs with kvm_queued(), and with KVM's look at `first` before it reuses the entry. */
	__atomic_store_n(&r->first, (r->first + 1) % KVM_RING_SIZE, __ATOMIC_RELEASE);
}

void kvm_accel_ring(struct kvm *k, int vcpu)
{
	off_t at = (off_t)kvm_dev_cap(k->dev, KVM_CAP_COALESCED_MMIO) * KVM_RING_PAGE;
	void *ring;

	if (k->ring || !at)
		return;
	ring = mmap(NULL, KVM_RING_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, at);
	if (ring != MAP_FAILED)
		k->ring = ring;
}

void kvm_accel_fini(struct kvm *k)
{
	if (k->ring)
		munmap(k->ring, KVM_RING_PAGE);
	k->ring = NULL;
}

void kvm_accel_init(struct kvm *k)
{
	k->pio = (struct kvm_accel){ .accel.doorbell = kvm_doorbell, .kvm = k, .pio = true };
	k->mmio = (struct kvm_accel){
		.accel = {
			.doorbell = kvm_doorbell,
			.page = kvm_page,
			.coalesce = kvm_coalesce,
			.queued = kvm_queued,
			.unqueue = kvm_unqueue,
		},
		.kvm = k,
	};
}
