/* SPDX-License-Identifier: MIT */
/* server_rig.c: finds the device, starts it, asks and waits for the answer. */
#include "tests/rig/server_rig.h"

#include "vmm/log.h"

#include <string.h>

#define CFG(field) __builtin_offsetof(struct virtio_pci_common_cfg, field)

void server_rig_up(struct server_rig *s)
{
	memset(s, 0, sizeof(*s));
	s->r.m = rig_machine_new(UINT64_C(8) << 20);
	s->r.slot = SERVER_SLOT;
	s->r.opts.features_on = ~UINT64_C(0);
	ck_assert_uint_eq(rig_alloc(&s->r, 1 << 20, 4096), SERVER_MEM);
}

void server_rig_plug(struct server_rig *s, struct vserver *v)
{
	struct rig_vq *q = SERVER_QUEUE(s);
	struct fake_machine *f = s->r.m->f;

	ck_assert_ptr_nonnull(v);
	s->v = v;
	for (unsigned n = 0; n < 2; n++)
		s->r.bar[n] = fake_pci_bar(f, SERVER_SLOT, n);
	fake_pci_write(f, SERVER_SLOT, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	ring_virtio_find(&s->r);
	q->size = VSERVER_QUEUE;
	q->desc = rig_alloc(&s->r, 16 * q->size, 16);
	q->avail = rig_alloc(&s->r, 6 + 2 * q->size, 2);
	q->used = rig_alloc(&s->r, 6 + 8 * q->size, 4);
	q->indirect = rig_alloc(&s->r, 16 * RING_INDIRECT * q->size, 16);
	server_rig_restart(s);
}

void server_rig_restart(struct server_rig *s)
{
	ring_virtio_accept(&s->r);
	ring_virtio_go(&s->r, 1);
	server_rig_run(s);
}

void server_rig_down(struct server_rig *s)
{
	rig_machine_free(s->r.m);
}

void server_rig_run(struct server_rig *s)
{
	fake_machine_run(s->r.m->f);
}

int64_t server_rig_ask(struct server_rig *s, const struct ring_buf *b, unsigned n, bool indirect)
{
	struct vring_used_elem e;
	uint16_t head;

	ck_assert(ring_vq_post(&s->r, SERVER_QUEUE(s), b, n, indirect, &head));
	ring_vq_kick(&s->r, 0);
	server_rig_run(s);
	if (!ring_vq_used(&s->r, SERVER_QUEUE(s), &e))
		return -1;
	ck_assert_uint_eq(e.id, head);
	return e.len;
}

unsigned server_rig_irqs(struct server_rig *s)
{
	struct fake_machine *f = s->r.m->f;

	if (!s->r.v.msix_on)
		return fake_gsi_raised(f, GSI_PCI_BASE + SERVER_SLOT % GSI_PCI_NR);
	return fake_msi_of(s->v->vp.msix.vec[RIG_VQ_VECTOR(0)])->fires;
}

bool server_rig_needs_reset(struct server_rig *s)
{
	return ring_virtio_cfg_read(&s->r, CFG(device_status), 1) & VIRTIO_CONFIG_S_NEEDS_RESET;
}
