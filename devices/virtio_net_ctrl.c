/* SPDX-License-Identifier: MIT */
/*
 * virtio_net_ctrl.c: the control queue (virtio 1.2, 5.1.6.5) and the receive filter that
 * it programs. A command is a chain: class and command byte and their data for us to
 * read, one byte of acknowledgement to write. What we do not know or cannot parse gets
 * VIRTIO_NET_ERR and changes nothing.
 */
#include "devices/net/offload.h"
#include "devices/virtio_net.h"

#include <errno.h>
#include <string.h>

#define VNET_CTRL_SEGS 64 /* buffers of one command, at most */

/* --- receive filter ------------------------------------------------------------------- */

void vnet_filter_reset(struct vnet_filter *f)
{
	*f = (struct vnet_filter){ .promisc = true };
}

static bool vnet_macs_have(const struct vnet_macs *t, const uint8_t *mac)
{
	for (unsigned i = 0; i < t->n; i++)
		if (!memcmp(t->mac[i], mac, ETH_ALEN))
			return true;
	return t->overflow;
}

/* VLAN 0 means a priority without a VLAN. */
static bool vnet_filter_vlan(const struct vnet_filter *f, const uint8_t *type)
{
	unsigned vid = (type[2] << 8 | type[3]) % VNET_VLANS;

	if (!f->by_vlan || (type[0] << 8 | type[1]) != ETH_P_8021Q || !vid)
		return true;
	return f->vlan[vid / 32] & BIT(vid % 32);
}

bool vnet_filter_accepts(const struct vnet *v, const struct iovec *iov, int cnt)
{
	static const uint8_t broadcast[ETH_ALEN] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	const struct vnet_filter *f = &v->filter;
	uint8_t eth[ETH_HLEN + 4] = { 0 };

	if (f->promisc)
		return true;
	/* Of what is in the guest's buffer by now; a guest that changes it fools itself. */
	iov_copy_out(iov, cnt, 0, eth, sizeof(eth));
	if (!vnet_filter_vlan(f, eth + 2 * ETH_ALEN))
		return false;
	if (!memcmp(eth, broadcast, ETH_ALEN))
		return !f->nobcast;
	if (eth[0] & 1)
		return !f->nomulti && (f->allmulti || vnet_macs_have(&f->multi, eth));
	return !f->nouni &&
	       (f->alluni || !memcmp(eth, v->config.mac, ETH_ALEN) || vnet_macs_have(&f->uni, eth));
}

/* --- commands ------------------------------------------------------------------------- */

/* The readable part of a command, consumed from the front. */
struct vnet_cmd {
	const struct iovec *iov;
	int cnt;
	size_t pos, len;
};

/* Copy the next `n` bytes; false when there are fewer. */
static bool vnet_cmd_get(struct vnet_cmd *c, void *dst, size_t n)
{
	if (n > c->len - c->pos)
		return false;
	iov_copy_out(c->iov, c->cnt, c->pos, dst, n);
	c->pos += n;
	return true;
}

static bool vnet_ctrl_rx(struct vnet *v, uint8_t cmd, struct vnet_cmd *c)
{
	struct vnet_filter *f = &v->filter;
	bool *const mode[] = {
		[VIRTIO_NET_CTRL_RX_PROMISC] = &f->promisc,
		[VIRTIO_NET_CTRL_RX_ALLMULTI] = &f->allmulti,
		[VIRTIO_NET_CTRL_RX_ALLUNI] = &f->alluni,
		[VIRTIO_NET_CTRL_RX_NOMULTI] = &f->nomulti,
		[VIRTIO_NET_CTRL_RX_NOUNI] = &f->nouni,
		[VIRTIO_NET_CTRL_RX_NOBCAST] = &f->nobcast,
	};
	unsigned feature = cmd <= VIRTIO_NET_CTRL_RX_ALLMULTI ? VIRTIO_NET_F_CTRL_RX
							      : VIRTIO_NET_F_CTRL_RX_EXTRA;
	uint8_t on;

	if (cmd >= ARRAY_SIZE(mode) || !virtio_pci_has(&v->vp, feature) ||
	    !vnet_cmd_get(c, &on, sizeof(on)))
		return false;
	*mode[cmd] = on;
	return true;
}

/* A count and that many addresses. The guest may think the table infinite; ours is not. */
static bool vnet_ctrl_macs(struct vnet_cmd *c, struct vnet_macs *t)
{
	uint32_t n;

	t->n = 0;
	if (!vnet_cmd_get(c, &n, sizeof(n)) || n > (c->len - c->pos) / ETH_ALEN)
		return false;
	t->overflow = n > VNET_MACS;
	if (t->overflow) {
		c->pos += (size_t)n * ETH_ALEN;
		return true;
	}
	t->n = n;
	return vnet_cmd_get(c, t->mac, (size_t)n * ETH_ALEN);
}

static bool vnet_ctrl_mac_table(struct vnet *v, struct vnet_cmd *c)
{
	struct vnet_macs uni, multi;

	if (!virtio_pci_has(&v->vp, VIRTIO_NET_F_CTRL_RX) || !vnet_ctrl_macs(c, &uni) ||
	    !vnet_ctrl_macs(c, &multi))
		return false;
	v->filter.uni = uni;
	v->filter.multi = multi;
	return true;
}

static bool vnet_ctrl_mac(struct vnet *v, uint8_t cmd, struct vnet_cmd *c)
{
	uint8_t mac[ETH_ALEN];

	if (cmd == VIRTIO_NET_CTRL_MAC_TABLE_SET)
		return vnet_ctrl_mac_table(v, c);
	if (cmd != VIRTIO_NET_CTRL_MAC_ADDR_SET ||
	    !virtio_pci_has(&v->vp, VIRTIO_NET_F_CTRL_MAC_ADDR) ||
	    !vnet_cmd_get(c, mac, sizeof(mac)))
		return false;
	virtio_pci_config_set(&v->vp, offsetof(struct virtio_net_config, mac), mac, sizeof(mac),
			      false);
	return true;
}

static bool vnet_ctrl_vlan(struct vnet *v, uint8_t cmd, struct vnet_cmd *c)
{
	uint16_t vid;

	if (!virtio_pci_has(&v->vp, VIRTIO_NET_F_CTRL_VLAN) ||
	    !vnet_cmd_get(c, &vid, sizeof(vid)) || vid >= VNET_VLANS)
		return false;
	switch (cmd) {
	case VIRTIO_NET_CTRL_VLAN_ADD:
		v->filter.vlan[vid / 32] |= BIT(vid % 32);
		return true;
	case VIRTIO_NET_CTRL_VLAN_DEL:
		v->filter.vlan[vid / 32] &= ~BIT(vid % 32);
		return true;
	}
	return false;
}

static bool vnet_ctrl_offloads(struct vnet *v, uint8_t cmd, struct vnet_cmd *c)
{
	uint64_t want;

	if (cmd != VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET ||
	    !virtio_pci_has(&v->vp, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) ||
	    !vnet_cmd_get(c, &want, sizeof(want)) ||
	    (want & ~(v->vp.features & VNET_GUEST_OFFLOADS)))
		return false;
	v->guest_offloads = want;
	vnet_rx_offload_apply(v);
	return true;
}

static uint8_t vnet_ctrl_exec(struct vnet *v, struct vnet_cmd *c)
{
	static bool (*const class[])(struct vnet *, uint8_t, struct vnet_cmd *) = {
		[VIRTIO_NET_CTRL_RX] = vnet_ctrl_rx,
		[VIRTIO_NET_CTRL_MAC] = vnet_ctrl_mac,
		[VIRTIO_NET_CTRL_VLAN] = vnet_ctrl_vlan,
		[VIRTIO_NET_CTRL_GUEST_OFFLOADS] = vnet_ctrl_offloads,
	};
	struct virtio_net_ctrl_hdr h;
	bool ok = vnet_cmd_get(c, &h, sizeof(h)) && h.class < ARRAY_SIZE(class) && class[h.class] &&
		  class[h.class](v, h.cmd, c);

	trace(NET, "%s: control %zu bytes: %s", v->nic.cfg.name, c->len, ok ? "ok" : "refused");
	return ok ? VIRTIO_NET_OK : VIRTIO_NET_ERR;
}

/* --- the queue ------------------------------------------------------------------------ */

/* One command. > 0: served, 0: none, < 0: the queue is broken. */
static int vnet_ctrl_one(struct vnet *v)
{
	struct virtq *q = vnet_q(v, VNET_CTRL);
	struct iovec iov[VNET_CTRL_SEGS];
	struct virtq_chain chain;
	struct vnet_cmd c;
	uint8_t ack;
	int got = virtq_pop(q, &chain, iov, VNET_CTRL_SEGS);

	if (got < 0)
		vnet_broken(v, got == -E2BIG ? "control command of too many buffers" : q->fault);
	if (got <= 0)
		return got;
	c = (struct vnet_cmd){ .iov = iov, .cnt = chain.n_out, .len = chain.out_len };
	ack = vnet_ctrl_exec(v, &c);
	if (!chain.in_len)
		nic_guest_fault(&v->nic, "control command without room for an answer");
	virtq_push(q, chain.head,
		   (uint32_t)iov_copy_in(iov + chain.n_out, chain.n_in, 0, &ack, sizeof(ack)));
	virtq_publish(q);
	return 1;
}

void vnet_ctrl_kick(struct vnet *v)
{
	struct virtq *q = vnet_q(v, VNET_CTRL);
	unsigned n = 0;
	int got;

	do {
		got = vnet_ctrl_one(v);
		/* None left: ask for a kick, then look once more. */
		if (!got && !virtq_kick_enable(q))
			break;
	} while (got >= 0 && ++n < VNET_BATCH);
	if (n == VNET_BATCH)
		vnet_poke(v, VNET_CTRL);
	vnet_irq_update(v, VNET_CTRL);
}
