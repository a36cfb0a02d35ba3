/* SPDX-License-Identifier: MIT */
/*
 * ring_virtio.c: a virtio-net driver, from the virtio 1.2 specification: PCI transport
 * section 4.1, initialisation 3.1, network device 5.1. The rings are in vq.c.
 */
#include "tests/rig/ring_virtio.h"

#include <string.h>

#define CFG(field)  __builtin_offsetof(struct virtio_pci_common_cfg, field)
#define F(name)     BIT64(VIRTIO_NET_F_##name)
#define MSI_ADDRESS 0xfee00000u

#define WANTED                                                                                     \
	(BIT64(VIRTIO_F_VERSION_1) | BIT64(VIRTIO_RING_F_EVENT_IDX) |                              \
	 BIT64(VIRTIO_RING_F_INDIRECT_DESC) | F(MAC) | F(STATUS) | F(MTU) | F(MRG_RXBUF) |         \
	 F(CSUM) | F(GUEST_CSUM) | F(HOST_TSO4) | F(HOST_TSO6) | F(HOST_ECN) | F(GUEST_TSO4) |     \
	 F(GUEST_TSO6) | F(GUEST_ECN) | F(CTRL_VQ) | F(CTRL_RX) | F(CTRL_MAC_ADDR))

uint64_t ring_virtio_cfg_read(struct nic_rig *r, unsigned off, unsigned size)
{
	return bus_read(&r->m->f->m.mmio, r->v.common + off, size);
}

void ring_virtio_cfg_write(struct nic_rig *r, unsigned off, unsigned size, uint64_t val)
{
	bus_write(&r->m->f->m.mmio, r->v.common + off, size, val);
}

static bool ring_virtio_has(const struct nic_rig *r, unsigned bit)
{
	return r->v.features & BIT64(bit);
}

/* --- finding the structures (4.1.4) ------------------------------------------------ */

static uint64_t *ring_virtio_place(struct nic_rig *r, unsigned type)
{
	switch (type) {
	case VIRTIO_PCI_CAP_COMMON_CFG:
		return &r->v.common;
	case VIRTIO_PCI_CAP_NOTIFY_CFG:
		return &r->v.notify;
	case VIRTIO_PCI_CAP_ISR_CFG:
		return &r->v.isr;
	case VIRTIO_PCI_CAP_DEVICE_CFG:
		return &r->v.config;
	default:
		return NULL; /* 4.1.4.1: the driver ignores what it does not know */
	}
}

static void ring_virtio_cap(struct nic_rig *r, unsigned at)
{
	struct fake_machine *f = r->m->f;
	unsigned bar = fake_pci_read(f, r->slot, at + 4, 1);
	uint64_t *place = ring_virtio_place(r, fake_pci_read(f, r->slot, at + 3, 1));

	if (!place || bar > 5 || *place)
		return;
	RIG_CHECK(r->bar[bar], "capability in BAR %u, which does not exist", bar);
	*place = r->bar[bar] + fake_pci_read(f, r->slot, at + 8, 4);
	if (place == &r->v.notify)
		r->v.notify_mult = fake_pci_read(f, r->slot, at + 16, 4);
}

void ring_virtio_find(struct nic_rig *r)
{
	uint8_t at = 0;

	while ((at = rig_pci_cap(r, PCI_CAP_ID_VNDR, at)))
		ring_virtio_cap(r, at);
	RIG_CHECK(r->v.common && r->v.notify && r->v.isr, "a virtio structure is missing");
	at = rig_pci_cap(r, PCI_CAP_ID_MSIX, 0);
	RIG_CHECK(at, "no MSI-X capability");
	r->v.msix = fake_pci_read(r->m->f, r->slot, at + PCI_MSIX_TABLE, 4);
	r->v.msix = r->bar[r->v.msix & 7] + (r->v.msix & ~UINT64_C(7));
}

static unsigned ring_virtio_ring_size(const struct nic_rig *r, unsigned index)
{
	return index == RIG_VQ_RX ? r->opts.rx_ring : index == RIG_VQ_TX ? r->opts.tx_ring : 64;
}

static void ring_virtio_probe(struct nic_rig *r)
{
	gpa_t at[RIG_VQS] = { r->opts.rx_ring_at, r->opts.tx_ring_at, 0 };

	ring_virtio_find(r);
	RIG_CHECK(r->v.config, "no device configuration");
	r->v.ctrl = rig_alloc(r, 4096, 64);
	r->v.tx_hdr = rig_alloc(r, r->opts.tx_ring * (size_t)16, 64);
	for (unsigned i = 0; i < RIG_VQS; i++) {
		struct rig_vq *q = &r->v.q[i];

		q->size = ring_virtio_ring_size(r, i);
		q->desc = at[i] ? at[i] : rig_alloc(r, 16 * q->size, 16);
		q->avail = rig_alloc(r, 6 + 2 * q->size, 2);
		q->used = rig_alloc(r, 6 + 8 * q->size, 4);
		q->indirect = rig_alloc(r, 16 * RING_INDIRECT * q->size, 16);
	}
}

/* --- start and reset (3.1, 4.1.5) ---------------------------------------------------- */

static void ring_virtio_set_status(struct nic_rig *r, unsigned bits)
{
	uint64_t was = ring_virtio_cfg_read(r, CFG(device_status), 1);

	ring_virtio_cfg_write(r, CFG(device_status), 1, was | bits);
}

static void ring_virtio_reset(struct nic_rig *r)
{
	ring_virtio_cfg_write(r, CFG(device_status), 1, 0);
	RIG_CHECK(!ring_virtio_cfg_read(r, CFG(device_status), 1), "reset is not done");
}

static void ring_virtio_negotiate(struct nic_rig *r)
{
	uint64_t offered = 0,
		 want = WANTED | (r->opts.vlan_filter ? F(CTRL_VLAN) : 0) | r->opts.features_on;

	for (unsigned i = 0; i < 2; i++) {
		ring_virtio_cfg_write(r, CFG(device_feature_select), 4, i);
		offered |= ring_virtio_cfg_read(r, CFG(device_feature), 4) << 32 * i;
	}
	RIG_CHECK(offered & BIT64(VIRTIO_F_VERSION_1), "VERSION_1 is not offered");
	r->v.features = offered & want & ~r->opts.features_off;
	for (unsigned i = 0; i < 2; i++) {
		ring_virtio_cfg_write(r, CFG(guest_feature_select), 4, i);
		ring_virtio_cfg_write(r, CFG(guest_feature), 4,
				      (uint32_t)(r->v.features >> 32 * i));
	}
	ring_virtio_set_status(r, VIRTIO_CONFIG_S_FEATURES_OK);
	RIG_CHECK(ring_virtio_cfg_read(r, CFG(device_status), 1) & VIRTIO_CONFIG_S_FEATURES_OK,
		  "the device refused features %#llx of %#llx", (unsigned long long)r->v.features,
		  (unsigned long long)offered);
}

/* The configuration space's MAC is the one the VMM was told. */
static void ring_virtio_check_mac(struct nic_rig *r)
{
	uint8_t mac[6];

	for (unsigned i = 0; i < 6; i++)
		mac[i] = (uint8_t)bus_read(&r->m->f->m.mmio, r->v.config + i, 1);
	if (ring_virtio_has(r, VIRTIO_NET_F_MAC))
		ck_assert_mem_eq(mac, r->mac, 6);
}

static uint32_t ring_virtio_msi_data(const struct nic_rig *r, unsigned vector)
{
	return 0x4000 | r->slot << 4 | vector;
}

static void ring_virtio_msix_control(struct nic_rig *r, unsigned flags)
{
	unsigned at = rig_pci_cap(r, PCI_CAP_ID_MSIX, 0) + PCI_MSIX_FLAGS;

	fake_pci_write(r->m->f, r->slot, at, 2, flags);
}

static void ring_virtio_start_msix(struct nic_rig *r)
{
	r->v.msix_on = !r->opts.intx;
	ring_virtio_msix_control(r, 0);
	if (!r->v.msix_on)
		return;
	ring_virtio_msix_control(r, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	for (unsigned i = 0; i <= RIG_VQ_VECTOR(RIG_VQ_TX); i++) {
		uint64_t e = r->v.msix + PCI_MSIX_ENTRY_SIZE * i;

		rig_write32(r, e + PCI_MSIX_ENTRY_LOWER_ADDR, MSI_ADDRESS);
		rig_write32(r, e + PCI_MSIX_ENTRY_UPPER_ADDR, 0);
		rig_write32(r, e + PCI_MSIX_ENTRY_DATA, ring_virtio_msi_data(r, i));
		rig_write32(r, e + PCI_MSIX_ENTRY_VECTOR_CTRL, 0);
	}
	ring_virtio_msix_control(r, PCI_MSIX_FLAGS_ENABLE);
	ring_virtio_cfg_write(r, CFG(msix_config), 2, 0);
	ck_assert_uint_eq(ring_virtio_cfg_read(r, CFG(msix_config), 2), 0);
}

static void ring_virtio_write64(struct nic_rig *r, unsigned off, uint64_t v)
{
	ring_virtio_cfg_write(r, off, 4, (uint32_t)v);
	ring_virtio_cfg_write(r, off + 4, 4, v >> 32);
}

static void ring_virtio_start_vq(struct nic_rig *r, unsigned i)
{
	struct rig_vq *q = &r->v.q[i];
	unsigned vector =
		r->v.msix_on && i != RIG_VQ_CTRL ? RIG_VQ_VECTOR(i) : VIRTIO_MSI_NO_VECTOR;

	ring_vq_init(r, q);
	ring_virtio_cfg_write(r, CFG(queue_select), 2, i);
	ck_assert_uint_ge(ring_virtio_cfg_read(r, CFG(queue_size), 2), q->size);
	ck_assert_uint_eq(ring_virtio_cfg_read(r, CFG(queue_enable), 2), 0);
	ring_virtio_cfg_write(r, CFG(queue_size), 2, q->size);
	ck_assert_uint_eq(ring_virtio_cfg_read(r, CFG(queue_size), 2), q->size);
	ring_virtio_write64(r, CFG(queue_desc_lo), q->desc);
	ring_virtio_write64(r, CFG(queue_avail_lo), q->avail);
	ring_virtio_write64(r, CFG(queue_used_lo), q->used);
	ring_virtio_cfg_write(r, CFG(queue_msix_vector), 2, vector);
	ck_assert_uint_eq(ring_virtio_cfg_read(r, CFG(queue_msix_vector), 2), vector);
	q->notify =
		r->v.notify + ring_virtio_cfg_read(r, CFG(queue_notify_off), 2) * r->v.notify_mult;
	ring_virtio_cfg_write(r, CFG(queue_enable), 2, 1);
}

void ring_virtio_accept(struct nic_rig *r)
{
	ring_virtio_reset(r);
	ring_virtio_set_status(r, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	ring_virtio_set_status(r, VIRTIO_CONFIG_S_DRIVER);
	ring_virtio_negotiate(r);
}

void ring_virtio_go(struct nic_rig *r, unsigned n)
{
	ring_virtio_start_msix(r);
	for (unsigned i = 0; i < n; i++)
		ring_virtio_start_vq(r, i);
	ring_virtio_set_status(r, VIRTIO_CONFIG_S_DRIVER_OK);
}

void ring_virtio_bring_up(struct nic_rig *r)
{
	ring_virtio_accept(r);
	ring_virtio_check_mac(r);
	ring_virtio_go(r, ring_virtio_has(r, VIRTIO_NET_F_CTRL_VQ) ? RIG_VQS : 2u);
}

/* --- commands (5.1.6.5) ----------------------------------------------------------------- */

uint8_t ring_virtio_command(struct nic_rig *r, uint8_t class, uint8_t cmd, const void *data,
			    uint32_t len)
{
	struct virtio_net_ctrl_hdr h = { .class = class, .cmd = cmd };
	gpa_t at = r->v.ctrl, ack = at + 2048;
	struct ring_buf b[] = { { at, sizeof(h), false },
				{ at + 64, len, false },
				{ ack, 1, true } };
	struct vring_used_elem e;
	uint8_t status = 0xff;

	rig_poke(r, at, &h, sizeof(h));
	rig_poke(r, at + 64, data, len);
	rig_poke(r, ack, &status, 1);
	ck_assert(ring_vq_post(r, &r->v.q[RIG_VQ_CTRL], b, 3, false, NULL));
	ring_vq_kick(r, RIG_VQ_CTRL);
	rig_run(r);
	RIG_CHECK(ring_vq_used(r, &r->v.q[RIG_VQ_CTRL], &e), "command %u.%u was not used", class,
		  cmd);
	rig_peek(r, ack, &status, 1);
	return status;
}

static void ring_virtio_rx_mode(struct nic_rig *r, bool promisc, bool allmulti)
{
	uint8_t p = promisc, a = allmulti;

	ck_assert_uint_eq(
		ring_virtio_command(r, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, &p, 1),
		VIRTIO_NET_OK);
	ck_assert_uint_eq(
		ring_virtio_command(r, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLMULTI, &a, 1),
		VIRTIO_NET_OK);
}

/* No further unicast addresses, and one multicast address or none. */
static void ring_virtio_multicast(struct nic_rig *r, const uint8_t mac[6])
{
	uint8_t table[4 + 4 + 6] = { [4] = mac ? 1 : 0 };

	if (mac)
		memcpy(table + 8, mac, 6);
	ck_assert_uint_eq(ring_virtio_command(r, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET,
					      table, mac ? 14 : 8),
			  VIRTIO_NET_OK);
}

static void ring_virtio_vlan_add(struct nic_rig *r, unsigned vid)
{
	uint16_t v = (uint16_t)vid;

	ck_assert_uint_eq(
		ring_virtio_command(r, VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, &v, 2),
		VIRTIO_NET_OK);
}

static void ring_virtio_start(struct nic_rig *r)
{
	ring_virtio_bring_up(r);
	if (!ring_virtio_has(r, VIRTIO_NET_F_CTRL_RX))
		return;
	ring_virtio_rx_mode(r, false, false);
	ring_virtio_multicast(r, NULL);
}

/* --- transmit (5.1.6.2) -------------------------------------------------------------------- */

#define TX_PIECES 64

/* Header and data as one to n + 1 buffers: all layouts are lawful with VERSION_1. */
static bool ring_virtio_post_tx(struct nic_rig *r, const struct rig_tx *t)
{
	struct rig_vq *q = &r->v.q[RIG_VQ_TX];
	unsigned layout = r->v.layout++ % 3, n = 1;
	bool indirect = layout == 2 && ring_virtio_has(r, VIRTIO_RING_F_INDIRECT_DESC);
	struct virtio_net_hdr_mrg_rxbuf h = { .hdr = t->hdr };
	struct ring_buf b[TX_PIECES + 1];

	if ((unsigned)t->n + 1 > q->n_free)
		return false;
	RIG_CHECK(t->n <= TX_PIECES, "too many pieces");
	b[0] = (struct ring_buf){ .at = rig_tx_buf(r, sizeof(h) + t->iov[0].iov_len),
				  .len = sizeof(h) };
	rig_poke(r, b[0].at, &h, sizeof(h));
	for (int i = 0; i < t->n; i++) {
		bool join = !i && layout == 1;
		gpa_t at = join ? b[0].at + sizeof(h) : rig_tx_buf(r, t->iov[i].iov_len);

		rig_poke(r, at, t->iov[i].iov_base, t->iov[i].iov_len);
		if (join)
			b[0].len += (uint32_t)t->iov[i].iov_len;
		else
			b[n++] = (struct ring_buf){ at, (uint32_t)t->iov[i].iov_len, false };
	}
	return ring_vq_post(r, q, b, n, indirect, NULL);
}

static void ring_virtio_post_tx_at(struct nic_rig *r, gpa_t at, uint32_t len)
{
	struct ring_buf b[] = { { r->v.tx_hdr, VNET_HDR_LEN, false }, { at, len, false } };

	rig_fill(r, r->v.tx_hdr, 0, VNET_HDR_LEN);
	ring_vq_post(r, &r->v.q[RIG_VQ_TX], b, 2, false, NULL);
}

static void ring_virtio_kick(struct nic_rig *r)
{
	ring_vq_kick(r, RIG_VQ_TX);
}

static unsigned ring_virtio_reap(struct nic_rig *r)
{
	struct vring_used_elem e;
	unsigned n = 0;

	while (ring_vq_used(r, &r->v.q[RIG_VQ_TX], &e))
		n++;
	return n;
}

/* --- receive (5.1.6.3, 5.1.6.4) -------------------------------------------------------------- */

static bool ring_virtio_post_rx_at(struct nic_rig *r, gpa_t at, uint32_t len)
{
	struct rig_vq *q = &r->v.q[RIG_VQ_RX];
	struct ring_buf b = { .at = at, .len = len, .device_writes = true };

	if (!at) {
		b.at = rig_rx_buf(r, q->free_head);
		if (q->n_free)
			rig_rx_guard(r, q->free_head);
	}
	return ring_vq_post(r, q, &b, 1, false, NULL);
}

static void ring_virtio_kick_rx(struct nic_rig *r)
{
	ring_vq_kick(r, RIG_VQ_RX);
}

static void ring_virtio_rx_buf(struct nic_rig *r, struct rig_rx *x, const struct vring_used_elem *e,
			       size_t skip)
{
	gpa_t at = r->v.q[RIG_VQ_RX].buf[e->id];

	RIG_CHECK(e->len > skip && e->len <= r->opts.rx_buf, "used length %u", e->len);
	RIG_CHECK(x->len + e->len <= sizeof(x->data), "an endless frame");
	if (at == rig_rx_buf(r, e->id))
		rig_rx_unhurt(r, e->id, r->opts.rx_buf);
	rig_peek(r, at + skip, x->data + x->len, e->len - skip);
	x->len += e->len - skip;
	x->buffers++;
}

static bool ring_virtio_rx_next(struct nic_rig *r, struct rig_rx *x)
{
	struct rig_vq *q = &r->v.q[RIG_VQ_RX];
	struct virtio_net_hdr_mrg_rxbuf h;
	struct vring_used_elem e;

	if (!ring_vq_used(r, q, &e))
		return false;
	rig_peek(r, q->buf[e.id], &h, sizeof(h));
	x->hdr = h.hdr;
	RIG_CHECK(h.num_buffers >= 1, "num_buffers is 0");
	if (!ring_virtio_has(r, VIRTIO_NET_F_MRG_RXBUF))
		ck_assert_uint_eq(h.num_buffers, 1);
	ring_virtio_rx_buf(r, x, &e, sizeof(h));
	while (x->buffers < h.num_buffers) {
		RIG_CHECK(ring_vq_used(r, q, &e), "a frame's last buffer is missing");
		ring_virtio_rx_buf(r, x, &e, 0);
	}
	return true;
}

/* --- interrupts ----------------------------------------------------------------------------------
 */

static unsigned ring_virtio_irqs(struct nic_rig *r)
{
	struct fake_machine *f = r->m->f;
	unsigned n = 0;

	if (!r->v.msix_on)
		return f->irq[GSI_PCI_BASE + r->slot % GSI_PCI_NR].edges;
	for (unsigned i = 0; i < f->n_msi; i++)
		if (f->msi[i].data >> 4 == ring_virtio_msi_data(r, 0) >> 4)
			n += f->msi[i].fires;
	return n;
}

static uint32_t ring_virtio_ack(struct nic_rig *r)
{
	ring_vq_interrupts(r, &r->v.q[RIG_VQ_RX], true);
	ring_vq_interrupts(r, &r->v.q[RIG_VQ_TX], true);
	return r->v.msix_on ? 1 : (uint32_t)bus_read(&r->m->f->m.mmio, r->v.isr, 1);
}

static void ring_virtio_mask(struct nic_rig *r, bool on)
{
	for (unsigned q = 0; q < 2 && r->v.msix_on; q++)
		rig_write32(r,
			    r->v.msix + PCI_MSIX_ENTRY_SIZE * RIG_VQ_VECTOR(q) +
				    PCI_MSIX_ENTRY_VECTOR_CTRL,
			    on);
	if (!r->v.msix_on)
		fake_pci_write(r->m->f, r->slot, PCI_COMMAND, 2,
			       PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
				       (on ? PCI_COMMAND_INTX_DISABLE : 0));
}

static void ring_virtio_suppress(struct nic_rig *r, bool on)
{
	ring_vq_interrupts(r, &r->v.q[RIG_VQ_RX], !on);
	ring_vq_interrupts(r, &r->v.q[RIG_VQ_TX], !on);
}

const struct rig_driver rig_driver_virtio = {
	.name = "virtio",
	.vendor = 0x1af4,
	.device = 0x1041, /* 0x1040 + the network device's number (4.1.2) */
	.create = virtio_net_new,
	.probe = ring_virtio_probe,
	.reset = ring_virtio_reset,
	.start = ring_virtio_start,
	.post_tx = ring_virtio_post_tx,
	.post_tx_at = ring_virtio_post_tx_at,
	.kick = ring_virtio_kick,
	.reap_tx = ring_virtio_reap,
	.post_rx_at = ring_virtio_post_rx_at,
	.kick_rx = ring_virtio_kick_rx,
	.rx_next = ring_virtio_rx_next,
	.irqs = ring_virtio_irqs,
	.ack = ring_virtio_ack,
	.mask = ring_virtio_mask,
	.suppress = ring_virtio_suppress,
	.rx_mode = ring_virtio_rx_mode,
	.multicast = ring_virtio_multicast,
	.vlan_add = ring_virtio_vlan_add,
	.sabotage = ring_virtio_sabotage,
	.n_sabotage = RING_VIRTIO_SABOTAGE,
};
