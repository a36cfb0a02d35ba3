/* SPDX-License-Identifier: MIT */
/* virtio_net_count.c: doorbells one by one, and where the accounts are. */
#include "devices/virtio_net.h"

/* The eventfd has added up the signals since it was read last: some are our own, maybe
 * of a poke that came since, which is then made up for at its turn. */
void vnet_count_kicks(struct vnet *v, unsigned q, uint64_t n)
{
	static const size_t stat[] = {
		[VNET_RX] = offsetof(struct nic_stat, rx_kicks),
		[VNET_TX] = offsetof(struct nic_stat, tx_kicks),
		[VNET_CTRL] = offsetof(struct nic_stat, ctrl_kicks),
	};
	uint64_t own = MIN(n, (uint64_t)v->poked[q]);

	v->poked[q] -= (unsigned)own;
	if (q == VNET_TX)
		own = MIN(n, own + atomic_exchange(&v->rung_by_watcher, 0));
	if (n > own)
		trace(NET, "%s: doorbell of queue %u", v->nic.cfg.name, q);
	counter_add((counter_t *)((char *)&v->nic.stat + stat[q]), n - own);
}

void vnet_accounts(struct nic *n, access_fn *fn, void *ctx)
{
	virtio_pci_accounts(&container_of(n, struct vnet, nic)->vp, fn, ctx);
}
