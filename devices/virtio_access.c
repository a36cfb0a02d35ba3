/* SPDX-License-Identifier: MIT */
/*
 * virtio_access.c: accounts of BAR 0: one for each structure, and one for each doorbell
 * that userspace sees. Those the hypervisor takes over show as kicks.
 */
#include "devices/virtio_pci.h"

struct virtio_pci_queue *virtio_pci_doorbell(struct virtio_pci *vp, unsigned at)
{
	return at % VP_NOTIFY_MULT == 0 && at / VP_NOTIFY_MULT < vp->n_queues
		       ? &vp->q[at / VP_NOTIFY_MULT]
		       : NULL;
}

struct access *virtio_pci_account(void *dev, uint64_t off)
{
	struct virtio_pci *vp = dev;
	unsigned at = off % VP_PAGE;
	struct virtio_pci_queue *q;

	switch (off - at) {
	case VP_COMMON:
		return &vp->common;
	case VP_ISR:
		return &vp->isr_status;
	case VP_DEVICE:
		return &vp->device;
	}
	q = virtio_pci_doorbell(vp, at);
	return q ? &q->notify : &vp->other;
}

void virtio_pci_accounts(struct virtio_pci *vp, access_fn *fn, void *ctx)
{
	char name[32];

	fn(ctx, "common", &vp->common);
	fn(ctx, "isr", &vp->isr_status);
	fn(ctx, "device", &vp->device);
	for (unsigned i = 0; i < vp->n_queues; i++) {
		snprintf(name, sizeof(name), "notify%u", i);
		fn(ctx, name, &vp->q[i].notify);
	}
	fn(ctx, "other", &vp->other);
	fn(ctx, "msix", &vp->msix.access);
}
