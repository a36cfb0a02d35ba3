/* SPDX-License-Identifier: MIT */
/*
 * virtio_net_features.c: what the device offers, which combinations make sense, and what
 * the negotiated bits mean to the backend.
 */
#include "devices/virtio_net.h"

#include <linux/virtio_config.h>

#define VNET_OFFERED                                                                               \
	(BIT64(VIRTIO_F_VERSION_1) | BIT64(VIRTIO_RING_F_EVENT_IDX) |                              \
	 BIT64(VIRTIO_RING_F_INDIRECT_DESC) | BIT64(VIRTIO_NET_F_MAC) |                            \
	 BIT64(VIRTIO_NET_F_STATUS) | BIT64(VIRTIO_NET_F_MRG_RXBUF) | BIT64(VIRTIO_NET_F_CSUM) |   \
	 BIT64(VIRTIO_NET_F_HOST_TSO4) | BIT64(VIRTIO_NET_F_HOST_TSO6) |                           \
	 BIT64(VIRTIO_NET_F_HOST_ECN) | VNET_GUEST_OFFLOADS | BIT64(VIRTIO_NET_F_CTRL_VQ) |        \
	 BIT64(VIRTIO_NET_F_CTRL_RX) | BIT64(VIRTIO_NET_F_CTRL_RX_EXTRA) |                         \
	 BIT64(VIRTIO_NET_F_CTRL_VLAN) | BIT64(VIRTIO_NET_F_CTRL_MAC_ADDR) |                       \
	 BIT64(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS))

/* Offered whatever the backend can do: net_send() and the backend finish in software
 * what is missing, so a guest's features do not depend on the host's interface. */
uint64_t vnet_offered(const struct nic_config *cfg)
{
	return VNET_OFFERED | (cfg->mtu ? BIT64(VIRTIO_NET_F_MTU) : 0);
}

/* A feature makes sense only with one of these (5.1.3.1). */
static const struct {
	unsigned feature;
	uint64_t needs;
} vnet_depends[] = {
	{ VIRTIO_NET_F_GUEST_TSO4, BIT64(VIRTIO_NET_F_GUEST_CSUM) },
	{ VIRTIO_NET_F_GUEST_TSO6, BIT64(VIRTIO_NET_F_GUEST_CSUM) },
	{ VIRTIO_NET_F_GUEST_ECN, BIT64(VIRTIO_NET_F_GUEST_TSO4) | BIT64(VIRTIO_NET_F_GUEST_TSO6) },
	{ VIRTIO_NET_F_HOST_TSO4, BIT64(VIRTIO_NET_F_CSUM) },
	{ VIRTIO_NET_F_HOST_TSO6, BIT64(VIRTIO_NET_F_CSUM) },
	{ VIRTIO_NET_F_HOST_ECN, BIT64(VIRTIO_NET_F_HOST_TSO4) | BIT64(VIRTIO_NET_F_HOST_TSO6) },
	{ VIRTIO_NET_F_CTRL_RX, BIT64(VIRTIO_NET_F_CTRL_VQ) },
	{ VIRTIO_NET_F_CTRL_RX_EXTRA, BIT64(VIRTIO_NET_F_CTRL_VQ) },
	{ VIRTIO_NET_F_CTRL_VLAN, BIT64(VIRTIO_NET_F_CTRL_VQ) },
	{ VIRTIO_NET_F_CTRL_MAC_ADDR, BIT64(VIRTIO_NET_F_CTRL_VQ) },
	{ VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, BIT64(VIRTIO_NET_F_CTRL_VQ) },
};

bool vnet_features_ok(void *dev, uint64_t features)
{
	(void)dev;
	for (unsigned i = 0; i < ARRAY_SIZE(vnet_depends); i++)
		if ((features & BIT64(vnet_depends[i].feature)) &&
		    !(features & vnet_depends[i].needs))
			return false;
	return true;
}

/* Virtio's offload bits and the backend's, both ways. */
static const struct {
	unsigned guest, host, off;
} vnet_offload[] = {
	{ VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_CSUM, NET_OFF_CSUM },
	{ VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_HOST_TSO4, NET_OFF_TSO4 },
	{ VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_F_HOST_TSO6, NET_OFF_TSO6 },
	{ VIRTIO_NET_F_GUEST_ECN, VIRTIO_NET_F_HOST_ECN, NET_OFF_ECN },
};

unsigned vnet_rx_offload(const struct vnet *v)
{
	unsigned off = 0;

	if (!nic_has(&v->nic, RUNG_OFFLOAD_RX))
		return 0;
	for (unsigned i = 0; i < ARRAY_SIZE(vnet_offload); i++)
		if (v->guest_offloads & BIT64(vnet_offload[i].guest))
			off |= vnet_offload[i].off;
	return off;
}

unsigned vnet_tx_offload(const struct vnet *v)
{
	unsigned off = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(vnet_offload); i++)
		if (virtio_pci_has(&v->vp, vnet_offload[i].host))
			off |= vnet_offload[i].off;
	return off;
}

/* The largest frame the backend may have for us, and so the least the window must hold. */
static size_t vnet_rx_need(const struct vnet *v)
{
	unsigned mtu = ETH_DATA_LEN;

	if (v->nic.be->rx_offload & (NET_OFF_TSO4 | NET_OFF_TSO6))
		return VNET_HDR_LEN + NET_FRAME_MAX;
	if (v->nic.cfg.mtu > mtu)
		mtu = v->nic.cfg.mtu;
	if (v->nic.be->mtu > mtu)
		mtu = v->nic.be->mtu;
	return VNET_HDR_LEN + ETH_HLEN + 4 + mtu; /* 4: a VLAN tag */
}

void vnet_rx_offload_apply(struct vnet *v)
{
	net_set_rx_offload(v->nic.be, vnet_rx_offload(v));
	v->rx.need = vnet_rx_need(v);
	v->offloads_stale = false;
}
