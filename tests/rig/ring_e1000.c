/* SPDX-License-Identifier: MIT */
/*
 * ring_e1000.c: a driver for the 82540EM, from Intel's Software Developer's Manual for
 * the 8254x family: descriptors chapter 3, initialisation chapter 14, registers
 * chapter 13.
 */
#include "tests/rig/ring_e1000.h"

#include <linux/if_ether.h>
#include <string.h>

uint32_t er32(struct nic_rig *r, unsigned reg)
{
	return rig_read32(r, r->bar[0] + reg);
}

void ew32(struct nic_rig *r, unsigned reg, uint32_t val)
{
	rig_write32(r, r->bar[0] + reg, val);
}

/* --- start and reset (14.3 to 14.5) ------------------------------------------------ */

static uint16_t ring_e1000_eeprom(struct nic_rig *r, unsigned word)
{
	uint32_t v;

	ew32(r, EERD, 1 | word << 8);
	v = er32(r, EERD);
	RIG_CHECK(v & BIT(4), "EERD.DONE is not set");
	return (uint16_t)(v >> 16);
}

static void ring_e1000_check_eeprom(struct nic_rig *r)
{
	uint16_t sum = 0;
	uint8_t mac[6];

	for (unsigned i = 0; i < 64; i++)
		sum = (uint16_t)(sum + ring_e1000_eeprom(r, i));
	RIG_CHECK(sum == 0xbaba, "EEPROM checksum %#x", sum);
	for (unsigned i = 0; i < 3; i++) {
		uint16_t w = ring_e1000_eeprom(r, i);

		memcpy(mac + 2 * i, &w, 2);
	}
	ck_assert_mem_eq(mac, r->mac, 6);
}

static void ring_e1000_probe(struct nic_rig *r)
{
	size_t tx = r->opts.tx_ring * sizeof(struct tx_desc);

	r->tx_ring = r->opts.tx_ring_at ? r->opts.tx_ring_at : rig_alloc(r, tx, 128);
	r->rx_ring = r->opts.rx_ring_at
			     ? r->opts.rx_ring_at
			     : rig_alloc(r, r->opts.rx_ring * sizeof(struct rx_desc), 128);
}

static void ring_e1000_reset(struct nic_rig *r)
{
	ew32(r, IMC, ~UINT32_C(0));
	ew32(r, CTRL, er32(r, CTRL) | CTRL_RST);
	RIG_CHECK(!(er32(r, CTRL) & CTRL_RST), "CTRL.RST clears itself");
	ew32(r, IMC, ~UINT32_C(0));
	er32(r, ICR);
}

static void ring_e1000_filters(struct nic_rig *r)
{
	uint32_t lo, hi = 0;

	memcpy(&lo, r->mac, 4);
	memcpy(&hi, r->mac + 4, 2);
	ew32(r, RAL, lo);
	ew32(r, RAH, hi | BIT(31));
	for (unsigned i = 1; i < 16; i++) {
		ew32(r, RAL + 8 * i, 0);
		ew32(r, RAH + 8 * i, 0);
	}
	for (unsigned i = 0; i < 128; i++) {
		ew32(r, MTA + 4 * i, 0);
		ew32(r, VFTA + 4 * i, 0);
	}
}

static void ring_e1000_start_tx(struct nic_rig *r)
{
	if (!r->opts.ring_outside)
		rig_fill(r, r->tx_ring, 0, r->opts.tx_ring * sizeof(struct tx_desc));
	ew32(r, TDBAL, (uint32_t)r->tx_ring);
	ew32(r, TDBAH, (uint32_t)(r->tx_ring >> 32));
	ew32(r, TDLEN, r->opts.tx_ring * (uint32_t)sizeof(struct tx_desc));
	ew32(r, TDH, 0);
	ew32(r, TDT, 0);
	ew32(r, TIPG, 10 | 8 << 10 | 6 << 20);
	ew32(r, TIDV, 0);
	ew32(r, TCTL, TCTL_LINUX);
}

static uint32_t ring_e1000_bsize(unsigned bytes)
{
	switch (bytes) {
	case 256:
		return 3 << 16;
	case 512:
		return 2 << 16;
	case 1024:
		return 1 << 16;
	case 2048:
		return 0;
	case 4096:
		return 3 << 16 | RCTL_BSEX;
	default:
		ck_abort_msg("no such receive buffer size: %u", bytes);
	}
}

static void ring_e1000_start_rx(struct nic_rig *r)
{
	if (!r->opts.ring_outside)
		rig_fill(r, r->rx_ring, 0, r->opts.rx_ring * sizeof(struct rx_desc));
	ew32(r, RDTR, 0);
	ew32(r, RDBAL, (uint32_t)r->rx_ring);
	ew32(r, RDBAH, (uint32_t)(r->rx_ring >> 32));
	ew32(r, RDLEN, r->opts.rx_ring * (uint32_t)sizeof(struct rx_desc));
	ew32(r, RDH, 0);
	ew32(r, RDT, 0);
	ew32(r, RXCSUM, BIT(9)); /* TUOFL */
	ew32(r, RCTL,
	     RCTL_EN | RCTL_BAM | ring_e1000_bsize(r->opts.rx_buf) |
		     (r->opts.vlan_filter ? RCTL_VFE : 0) | (r->opts.long_packets ? RCTL_LPE : 0));
}

static void ring_e1000_start(struct nic_rig *r)
{
	memset(&r->e, 0, sizeof(r->e));
	ring_e1000_reset(r);
	ring_e1000_check_eeprom(r);
	ring_e1000_filters(r);
	ew32(r, CTRL, CTRL_SLU | CTRL_ASDE);
	ring_e1000_start_tx(r);
	ring_e1000_start_rx(r);
	ew32(r, IMS, IMS_LINUX);
	rig_run(r); /* the link may take the loop to come up */
	RIG_CHECK(er32(r, STATUS) & STATUS_LU, "STATUS.LU: no link");
}

/* --- transmit (3.3 to 3.5) ----------------------------------------------------------- */

void ring_e1000_put_tx(struct nic_rig *r, const void *desc, bool eop)
{
	r->e.eop[r->e.tdt] = eop;
	rig_poke(r, r->tx_ring + r->e.tdt * sizeof(struct tx_desc), desc, sizeof(struct tx_desc));
	r->e.tdt = (r->e.tdt + 1) % r->opts.tx_ring;
}

/* One slot always stays empty: TDH == TDT means nothing to do. */
static unsigned ring_e1000_tx_room(const struct nic_rig *r)
{
	return (r->e.tx_clean + r->opts.tx_ring - 1 - r->e.tdt) % r->opts.tx_ring;
}

#define TX_PIECE_MAX 4096 /* bytes per descriptor, as Linux cuts them */

static unsigned ring_e1000_tx_needs(const struct rig_tx *t)
{
	unsigned n = t->hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM ? 1 : 0;

	for (int i = 0; i < t->n; i++)
		n += t->iov[i].iov_len ? (unsigned)((t->iov[i].iov_len - 1) / TX_PIECE_MAX) + 1 : 1;
	return n;
}

static uint8_t ring_e1000_gso(const struct rig_tx *t)
{
	return t->hdr.gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
}

/* Table 3-12 and 3.5.4. */
static void ring_e1000_put_context(struct nic_rig *r, const struct rig_tx *t, size_t len)
{
	uint8_t gso = ring_e1000_gso(t);
	struct tx_context c = {
		.ipcss = ETH_HLEN,
		.ipcso = ETH_HLEN + 10,
		.ipcse = (uint16_t)(t->hdr.csum_start - 1),
		.tucss = (uint8_t)t->hdr.csum_start,
		.tucso = (uint8_t)(t->hdr.csum_start + t->hdr.csum_offset),
	};
	uint32_t cmd = TXD_DEXT;

	if (t->hdr.csum_offset == 16)
		cmd |= TUCMD_TCP;
	if (gso) {
		cmd |= TXD_TSE | (gso == VIRTIO_NET_HDR_GSO_TCPV4 ? TUCMD_IP : 0);
		c.hdrlen = (uint8_t)t->hdr.hdr_len;
		c.mss = t->hdr.gso_size;
		c.paylen_cmd = (uint32_t)(len - t->hdr.hdr_len);
	}
	c.paylen_cmd |= cmd << 24;
	ring_e1000_put_tx(r, &c, false);
}

/* What the hardware fills in must be zero, and the sum without the length (3.5.2). */
static void ring_e1000_tso_headers(const struct rig_tx *t, uint8_t *frame, size_t len)
{
	bool v4 = ring_e1000_gso(t) == VIRTIO_NET_HDR_GSO_TCPV4;
	size_t sum = (size_t)t->hdr.csum_start + t->hdr.csum_offset;

	if (len < 54 || sum + 2 > len)
		return; /* a random step: no headers to speak of */
	if (v4) {
		frame_put16(frame + ETH_HLEN + 2, 0);
		frame_put16(frame + ETH_HLEN + 10, 0);
	} else {
		frame_put16(frame + ETH_HLEN + 4, 0);
	}
	frame_put16(frame + sum, frame_pseudo_sum(frame, 0));
}

static void ring_e1000_put_data(struct nic_rig *r, const struct rig_tx *t, gpa_t at, size_t len,
				bool last)
{
	struct tx_desc d = { .addr = at, .len = (uint16_t)len, .cmd = TXD_IFCS | TXD_RS };

	if (t->hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		d.cmd |= TXD_DEXT;
		d.cso = DTYP_DATA;
		d.css = POPTS_TXSM;
		if (ring_e1000_gso(t)) {
			d.cmd |= TXD_TSE;
			if (ring_e1000_gso(t) == VIRTIO_NET_HDR_GSO_TCPV4)
				d.css |= POPTS_IXSM;
		}
	}
	if (last)
		d.cmd |= TXD_EOP;
	if (t->tag) {
		d.cmd |= TXD_VLE;
		d.special = t->tci;
	}
	ring_e1000_put_tx(r, &d, last);
}

static void ring_e1000_put_piece(struct nic_rig *r, const struct rig_tx *t, const uint8_t *p,
				 size_t len, bool last)
{
	gpa_t at = rig_tx_buf(r, len);
	size_t done = 0, n;

	rig_poke(r, at, p, len);
	do {
		n = MIN(len - done, (size_t)TX_PIECE_MAX);
		ring_e1000_put_data(r, t, at + done, n, last && done + n == len);
		done += n;
	} while (done < len);
}

static size_t ring_e1000_gather(const struct rig_tx *t, uint8_t *frame)
{
	size_t len = 0;

	for (int i = 0; i < t->n; i++) {
		memcpy(frame + len, t->iov[i].iov_base, t->iov[i].iov_len);
		len += t->iov[i].iov_len;
	}
	return len;
}

static bool ring_e1000_post_tx(struct nic_rig *r, const struct rig_tx *t)
{
	static uint8_t frame[FRAME_BUF];
	size_t at = 0, len = ring_e1000_gather(t, frame);

	if (ring_e1000_tx_needs(t) > ring_e1000_tx_room(r))
		return false;
	if (t->hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		ring_e1000_put_context(r, t, len);
	if (ring_e1000_gso(t))
		ring_e1000_tso_headers(t, frame, len);
	for (int i = 0; i < t->n; i++) {
		ring_e1000_put_piece(r, t, frame + at, t->iov[i].iov_len, i == t->n - 1);
		at += t->iov[i].iov_len;
	}
	return true;
}

static void ring_e1000_post_tx_at(struct nic_rig *r, gpa_t at, uint32_t len)
{
	struct tx_desc d = { .addr = at, .len = (uint16_t)len };

	d.cmd = TXD_EOP | TXD_IFCS | TXD_RS;
	ring_e1000_put_tx(r, &d, true);
}

void ring_e1000_kick(struct nic_rig *r)
{
	ew32(r, TDT, r->e.tdt);
}

static unsigned ring_e1000_reap(struct nic_rig *r)
{
	unsigned done = 0, i = r->e.tx_clean;
	struct tx_desc d;

	while (i != r->e.tdt) {
		bool eop = r->e.eop[i];

		rig_peek(r, r->tx_ring + i * sizeof(d), &d, sizeof(d));
		i = (i + 1) % r->opts.tx_ring;
		if (!eop)
			continue;
		if (!(d.status & RXD_DD))
			break;
		r->e.tx_clean = i;
		done++;
	}
	return done;
}

/* --- receive (3.2) ---------------------------------------------------------------------- */

static bool ring_e1000_post_rx_at(struct nic_rig *r, gpa_t at, uint32_t len)
{
	unsigned i = r->e.rdt;
	struct rx_desc d = { .addr = at ? at : rig_rx_buf(r, i) };

	(void)len; /* RCTL.BSIZE says it for all */
	if ((i + 1) % r->opts.rx_ring == r->e.rx_clean)
		return false;
	if (!at)
		rig_rx_guard(r, i);
	r->e.rx_at[i] = d.addr;
	rig_poke(r, r->rx_ring + i * sizeof(d), &d, sizeof(d));
	r->e.rdt = (i + 1) % r->opts.rx_ring;
	return true;
}

static void ring_e1000_kick_rx(struct nic_rig *r)
{
	ew32(r, RDT, r->e.rdt);
}

/* What the device may write of a buffer. Longer frames are discarded without LPE (13.4.22), and
 * Linux relies on it: behind 1522 bytes its buffers of 2048 are other people's memory. */
static size_t ring_e1000_rx_most(const struct nic_rig *r)
{
	return r->opts.long_packets ? r->opts.rx_buf : 1522;
}

/* The next descriptor, if the device is done with it; its buffer's bytes go to x. */
static bool ring_e1000_rx_one(struct nic_rig *r, struct rig_rx *x, struct rx_desc *d)
{
	unsigned i = r->e.rx_clean;

	if (i == r->e.rdt)
		return false;
	rig_peek(r, r->rx_ring + i * sizeof(*d), d, sizeof(*d));
	if (!(d->status & RXD_DD))
		return false;
	RIG_CHECK(d->addr == r->e.rx_at[i], "the device changed a buffer address");
	RIG_CHECK(d->len && d->len <= r->opts.rx_buf, "descriptor length %u", d->len);
	RIG_CHECK(!(d->errors & RXE_FRAME), "errors %#x", d->errors);
	RIG_CHECK(x->len + d->len <= sizeof(x->data), "an endless frame");
	if (d->addr == rig_rx_buf(r, i))
		rig_rx_unhurt(r, i, ring_e1000_rx_most(r));
	rig_peek(r, d->addr, x->data + x->len, d->len);
	x->len += d->len;
	x->buffers++;
	r->e.rx_clean = (i + 1) % r->opts.rx_ring;
	return true;
}

static bool ring_e1000_rx_next(struct nic_rig *r, struct rig_rx *x)
{
	struct rx_desc d = { .status = 0 };

	while (!(d.status & RXD_EOP)) {
		if (!ring_e1000_rx_one(r, x, &d)) {
			RIG_CHECK(!x->buffers, "a frame's last descriptor is missing");
			return false;
		}
		RIG_CHECK((d.status & RXD_EOP) || d.len == r->opts.rx_buf,
			  "a buffer before the last is not full");
	}
	RIG_CHECK(x->len > FCS_LEN, "%zu bytes with the FCS", x->len);
	x->len -= FCS_LEN;
	if ((d.status & (RXD_TCPCS | RXD_IXSM)) == RXD_TCPCS && !(d.errors & RXE_CSUM))
		x->hdr.flags = VIRTIO_NET_HDR_F_DATA_VALID;
	x->tagged = d.status & RXD_VP;
	x->tci = d.special;
	return true;
}

/* --- interrupts and filters (13.4.17 to 13.4.22, 13.5) --------------------------------------- */

static unsigned ring_e1000_irqs(struct nic_rig *r)
{
	return fake_gsi_raised(r->m->f, rig_gsi(r));
}

static uint32_t ring_e1000_ack(struct nic_rig *r)
{
	uint32_t causes = er32(r, ICR);

	/* As Linux does, whom irq-page is for: see devices/e1000_irq_page.c. */
	if (rig_has(r, IRQ_PAGE))
		ew32(r, IMC, ~UINT32_C(0));
	rig_eoi(r);
	if (rig_has(r, IRQ_PAGE) && !r->e.masked)
		ew32(r, IMS, IMS_LINUX);
	return causes;
}

static void ring_e1000_mask(struct nic_rig *r, bool on)
{
	r->e.masked = on;
	ew32(r, on ? IMC : IMS, on ? ~UINT32_C(0) : IMS_LINUX);
}

static void ring_e1000_rx_mode(struct nic_rig *r, bool promisc, bool allmulti)
{
	uint32_t v = er32(r, RCTL) & ~(RCTL_UPE | RCTL_MPE);

	ew32(r, RCTL, v | (promisc ? RCTL_UPE : 0) | (promisc || allmulti ? RCTL_MPE : 0));
}

/* 13.5.1: with RCTL.MO 00, bits 47:36 of the address choose one of 4096 bits. */
static void ring_e1000_multicast(struct nic_rig *r, const uint8_t mac[6])
{
	unsigned hash = mac[4] >> 4 | mac[5] << 4;

	for (unsigned i = 0; i < 128; i++)
		ew32(r, MTA + 4 * i, i == hash >> 5 ? BIT(hash & 31) : 0);
}

static void ring_e1000_vlan_add(struct nic_rig *r, unsigned vid)
{
	unsigned reg = VFTA + 4 * (vid >> 5);

	ew32(r, reg, er32(r, reg) | BIT(vid & 31));
}

const struct rig_driver rig_driver_e1000 = {
	.name = "e1000",
	.vendor = 0x8086,
	.device = 0x100e,
	.create = e1000_new,
	.probe = ring_e1000_probe,
	.reset = ring_e1000_reset,
	.start = ring_e1000_start,
	.post_tx = ring_e1000_post_tx,
	.post_tx_at = ring_e1000_post_tx_at,
	.kick = ring_e1000_kick,
	.reap_tx = ring_e1000_reap,
	.post_rx_at = ring_e1000_post_rx_at,
	.kick_rx = ring_e1000_kick_rx,
	.rx_next = ring_e1000_rx_next,
	.irqs = ring_e1000_irqs,
	.ack = ring_e1000_ack,
	.mask = ring_e1000_mask,
	.suppress = ring_e1000_mask, /* the card has nothing finer */
	.rx_mode = ring_e1000_rx_mode,
	.multicast = ring_e1000_multicast,
	.vlan_add = ring_e1000_vlan_add,
	.sabotage = ring_e1000_sabotage,
	.n_sabotage = RING_E1000_SABOTAGE,
};
