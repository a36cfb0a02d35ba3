/* SPDX-License-Identifier: MIT */
/*
 * kvm_accel.c: what KVM does so that the guest need not exit to us (struct bus_accel):
 * doorbells are ioeventfds; a page that is memory is a memory slot of its own, read-only
 * for PAGE_ROM, where a write exits as if nothing were there. Called when the guest moves
 * a BAR and when a device turns a page, with the bus's `change` held.
 */
#include "vmm/kvm.h"

#include <errno.h>
#include <linux/kvm.h>

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

void kvm_accel_init(struct kvm *k)
{
	k->pio = (struct kvm_accel){ .accel.doorbell = kvm_doorbell, .kvm = k, .pio = true };
	k->mmio = (struct kvm_accel){
		.accel = { .doorbell = kvm_doorbell, .page = kvm_page },
		.kvm = k,
	};
}
