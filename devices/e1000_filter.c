/* SPDX-License-Identifier: MIT */
/*
 * e1000_filter.c: what happens to a frame between the wire and the receive ring:
 * address and VLAN filters [10.1, 9.2], checksum [3.2.9], VLAN tag, padding.
 *
 * Checksums. The backend may hand us a frame whose TCP or UDP checksum is still to be
 * filled in (NEEDS_CSUM). It is always filled in, whatever RXCSUM says: a frame off a
 * wire has one, and a guest that forwards, bridges or captures it relies on that. Such a
 * frame, and one whose checksum the host has verified (DATA_VALID), is reported as good
 * when the driver asked for a verdict (RXCSUM); about all others we know nothing and
 * say so (IXSM), which costs less than reading every byte here.
 */
#include "devices/e1000.h"
#include "devices/net/offload.h"

#include <linux/if_ether.h>
#include <linux/in.h>
#include <string.h>

#define E1000_HEAD_LEN 80 /* Ethernet, tag, IPv4 with all options */
#define VLAN_TAG       4
#define IP4_FRAGMENT   0x3fff /* offset, or more to come */

static uint16_t e1000_head16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* --- address filters --- */

static bool e1000_filter_exact(const struct e1000 *e, const uint8_t *dst)
{
	uint32_t lo = dst[0] | dst[1] << 8 | dst[2] << 16 | (uint32_t)dst[3] << 24;
	uint32_t hi = dst[4] | dst[5] << 8;

	for (unsigned i = 0; i < E1000_RA_PAIRS; i++) {
		uint32_t rah = e1000_get(e, E1000_RAH + 8 * i);

		if ((rah & E1000_RAH_AV) && (rah & 0xffff) == hi &&
		    e1000_get(e, E1000_RAL + 8 * i) == lo)
			return true;
	}
	return false;
}

/* Twelve bits of the address, chosen by RCTL.MO, point into the table [13.5.1]. */
static bool e1000_filter_hash(const struct e1000 *e, const uint8_t *dst)
{
	static const uint8_t shift[4] = { 4, 3, 2, 0 };
	unsigned mo = (e1000_get(e, E1000_RCTL) >> E1000_RCTL_MO_SHIFT) & 3;
	unsigned hash = ((unsigned)(dst[4] | dst[5] << 8) >> shift[mo]) & 0xfff;

	return e1000_get(e, E1000_MTA + 4 * (hash >> 5)) & BIT(hash & 31);
}

static bool e1000_filter_vlan(const struct e1000 *e, const uint8_t *p)
{
	uint32_t rctl = e1000_get(e, E1000_RCTL);
	uint16_t tci = e1000_head16(p + ETH_HLEN);
	unsigned vid = tci & 0xfff;

	if (!(rctl & E1000_RCTL_VFE) || e1000_head16(p + 2 * ETH_ALEN) != e1000_get(e, E1000_VET))
		return true;
	if ((rctl & E1000_RCTL_CFIEN) && !!(tci & 0x1000) != !!(rctl & E1000_RCTL_CFI))
		return false;
	return e1000_get(e, E1000_VFTA + 4 * (vid >> 5)) & BIT(vid & 31);
}

/* False: not for us. *pif: only by the hash. */
static bool e1000_filter_address(const struct e1000 *e, const uint8_t *dst, bool *pif)
{
	static const uint8_t broadcast[ETH_ALEN] = { 255, 255, 255, 255, 255, 255 };
	uint32_t rctl = e1000_get(e, E1000_RCTL);
	bool multicast = dst[0] & 1;

	if (e1000_filter_exact(e, dst) || (rctl & (multicast ? E1000_RCTL_MPE : E1000_RCTL_UPE)))
		return true;
	if ((rctl & E1000_RCTL_BAM) && !memcmp(dst, broadcast, ETH_ALEN))
		return true;
	*pif = multicast && e1000_filter_hash(e, dst);
	return *pif;
}

/* --- checksum verdict [3.2.9, table 3-5] --- */

static void e1000_verdict_ip4(struct e1000_rx_report *r, uint32_t rxcsum, const uint8_t *ip,
			      size_t n)
{
	size_t ihl = n ? (ip[0] & 0xfu) * 4 : 0;
	struct iovec hdr = { (void *)(uintptr_t)ip, ihl };

	if (ihl < 20 || ihl > n)
		return;
	if (rxcsum & E1000_RXCSUM_IPOFLD) {
		r->status |= E1000_RXD_IPCS;
		if (offload_sum(&hdr, 1, 0, ihl) != 0xffff)
			r->errors |= E1000_RXD_IPE;
	}
	if ((rxcsum & E1000_RXCSUM_TUOFLD) && !(e1000_head16(ip + 6) & IP4_FRAGMENT) &&
	    (ip[9] == IPPROTO_TCP || ip[9] == IPPROTO_UDP))
		r->status |= E1000_RXD_TCPCS;
}

/* `p`: the frame's first `n` bytes. */
static void e1000_verdict(const struct e1000 *e, const struct virtio_net_hdr *h, const uint8_t *p,
			  size_t n, struct e1000_rx_report *r)
{
	uint32_t rxcsum = e1000_get(e, E1000_RXCSUM);
	bool tagged = e1000_head16(p + 2 * ETH_ALEN) == e1000_get(e, E1000_VET);
	size_t l3 = ETH_HLEN + (tagged ? VLAN_TAG : 0);
	uint16_t type = e1000_head16(p + l3 - 2);

	if (nic_has(&e->nic, RUNG_OFFLOAD_RX) &&
	    h->flags & (VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID)) {
		if (type == ETH_P_IP && n > l3)
			e1000_verdict_ip4(r, rxcsum, p + l3, n - l3);
		else if (type == ETH_P_IPV6 && n >= l3 + 40 && (rxcsum & E1000_RXCSUM_TUOFLD) &&
			 (p[l3 + 6] == IPPROTO_TCP || p[l3 + 6] == IPPROTO_UDP))
			r->status |= E1000_RXD_TCPCS;
	}
	if (!(r->status & (E1000_RXD_IPCS | E1000_RXD_TCPCS)))
		r->status |= E1000_RXD_IXSM;
}

/* --- from the wire's form to the ring's --- */

/* Fill in what NEEDS_CSUM asks for. The backend is ours, but its header is checked all
 * the same: it may come from another guest. */
static bool e1000_fill_csum(struct e1000 *e, struct e1000_in *in)
{
	struct iovec cut[E1000_RX_DESCS];
	int n;

	if (!(in->h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return true;
	if (!offload_hdr_valid(&in->h, in->len))
		return false;
	n = iov_slice(in->iov, in->cnt, 0, in->len, cut, E1000_RX_DESCS);
	counter_add(&e->nic.stat.bytes_summed, offload_csum(&in->h, cut, n));
	return true;
}

static void e1000_fill_zeros(struct e1000_in *in, size_t n)
{
	static const uint8_t zeros[E1000_FRAME_MIN];

	in->len += iov_copy_in(in->iov, in->cnt, in->len, zeros, n);
}

/* Take the tag out: in private memory the addresses move over it, in the guest's, where
 * the frame has to begin with the buffer, all that follows moves down. */
static void e1000_strip(struct e1000 *e, struct e1000_in *in, const uint8_t *head)
{
	const size_t at = (size_t)2 * ETH_ALEN;
	uint8_t *p = in->iov[0].iov_base, piece[512];
	size_t done = at, n;

	if (!in->straight) {
		memmove(p + VLAN_TAG, p, at);
		in->iov[0].iov_base = p + VLAN_TAG;
		in->iov[0].iov_len -= VLAN_TAG;
	}
	for (; in->straight && done < in->len - VLAN_TAG; done += n) {
		n = iov_copy_out(in->iov, in->cnt, done + VLAN_TAG, piece,
				 MIN(in->len - VLAN_TAG - done, sizeof(piece)));
		iov_copy_in(in->iov, in->cnt, done, piece, n);
	}
	counter_add(&e->nic.stat.bytes_copied, done - at);
	in->len -= VLAN_TAG;
	in->report.special = e1000_head16(head + ETH_HLEN);
	in->report.status |= E1000_RXD_VP;
}

static void e1000_shape(struct e1000 *e, struct e1000_in *in, const uint8_t *head)
{
	uint32_t pcss = e1000_get(e, E1000_RXCSUM) & E1000_RXCSUM_PCSS;

	if (in->len < E1000_FRAME_MIN - E1000_CRC_LEN)
		e1000_fill_zeros(in, E1000_FRAME_MIN - E1000_CRC_LEN - in->len);
	if ((e1000_get(e, E1000_CTRL) & E1000_CTRL_VME) &&
	    e1000_head16(head + 2 * ETH_ALEN) == e1000_get(e, E1000_VET))
		e1000_strip(e, in, head);
	if (pcss && pcss < in->len) { /* in network order, like every checksum here */
		in->report.csum = offload_sum(in->iov, in->cnt, pcss, in->len - pcss);
		counter_add(&e->nic.stat.bytes_summed, in->len - pcss);
	}
	if (!(e1000_get(e, E1000_RCTL) & E1000_RCTL_SECRC))
		e1000_fill_zeros(in, E1000_CRC_LEN);
}

bool e1000_accept(struct e1000 *e, struct e1000_in *in)
{
	struct e1000_tally *t = &e->rx.tally;
	uint8_t head[E1000_HEAD_LEN] = { 0 };
	size_t n = iov_copy_out(in->iov, in->cnt, 0, head, MIN(in->len, sizeof(head)));
	bool pif = false;

	in->report = (struct e1000_rx_report){ .status = 0 };
	e1000_tally_any(t, in->len);
	if (in->len + E1000_CRC_LEN > e1000_rx_longest(e)) {
		t->oversize++;
		counter_inc(&e->nic.stat.rx_oversize);
		return false;
	}
	if (!e1000_filter_address(e, head, &pif) || !e1000_filter_vlan(e, head) ||
	    !e1000_fill_csum(e, in)) {
		counter_inc(&e->nic.stat.rx_filtered);
		return false;
	}
	e1000_tally_good(t, head, in->len);
	if (pif)
		in->report.status |= E1000_RXD_PIF;
	e1000_verdict(e, &in->h, head, n, &in->report);
	e1000_shape(e, in, head);
	return true;
}
