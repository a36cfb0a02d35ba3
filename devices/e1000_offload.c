/* SPDX-License-Identifier: MIT */
/*
 * e1000_offload.c: from transmit descriptors to a frame. A packet is gathered as an
 * iovec over guest memory; what its context asks for is put into a virtio_net_hdr as
 * far as that can say it (one checksum, TSO), and the rest (IP header checksum and
 * lengths, VLAN tag) is done in a private copy of the first bytes. Guest buffers are
 * never written: the stack behind the driver may still hold on to them.
 */
#include "devices/e1000.h"
#include "devices/net/offload.h"

#include <linux/if_ether.h>
#include <string.h>

#define IP4_HDR     20 /* without options */
#define IP4_TOT_LEN 2
#define IP6_HDR     40
#define IP6_PAYLOAD 4
#define TCP_HDR     20
#define TCP_FLAGS   13
#define TCP_CWR     0x80
#define VLAN_TAG    4

/* --- gathering --- */

bool e1000_desc_is_context(const struct e1000_desc *d)
{
	return (d->rest & E1000_TXD_DEXT) &&
	       ((d->rest >> E1000_TXD_DTYP_SHIFT) & 0xf) == E1000_TXD_DTYP_CTX;
}

void e1000_load_context(struct e1000_ctx ctx[2], const struct e1000_desc *d)
{
	ctx[!!(d->rest & E1000_TXD_TSE)] = (struct e1000_ctx){
		.ipcss = (uint8_t)d->addr,
		.ipcso = (uint8_t)(d->addr >> 8),
		.ipcse = (uint16_t)(d->addr >> 16),
		.tucss = (uint8_t)(d->addr >> 32),
		.tucso = (uint8_t)(d->addr >> 40),
		.tucse = (uint16_t)(d->addr >> 48),
		.paylen = d->rest & E1000_TXD_LEN,
		.hdrlen = (uint8_t)(d->rest >> 40),
		.mss = (uint16_t)(d->rest >> 48),
		.tcp = d->rest & E1000_TXD_TUCMD_TCP,
		.ip4 = d->rest & E1000_TXD_TUCMD_IP,
	};
}

/* TSE, POPTS, IC, CSS, CSO count in a packet's first descriptor [3.3.3, 3.3.7]. */
static void e1000_pkt_first(struct e1000_pkt *p, uint32_t low, uint32_t high)
{
	bool ext = low & E1000_TXD_DEXT;

	p->open = true;
	p->tse = ext && (low & E1000_TXD_TSE);
	p->ic = !ext && (low & E1000_TXD_IC);
	p->popts = ext ? (uint8_t)(high >> 8) : 0;
	p->css = (uint8_t)(high >> 8);
	p->cso = (uint8_t)(low >> 16);
}

static const char *e1000_pkt_buffer(struct e1000_pkt *p, const struct gmem *mem, gpa_t at,
				    uint32_t len)
{
	size_t max = p->tse ? NET_FRAME_MAX - VLAN_TAG : E1000_TX_MAX;
	void *va = gm_span(mem, at, len);

	if (!len)
		return NULL; /* padding [3.3.3] */
	if (!va)
		return "transmit buffer outside of memory";
	if (len > max - p->len)
		return "packet too long";
	p->iov[p->cnt++] = (struct iovec){ .iov_base = va, .iov_len = len };
	p->len += len;
	return NULL;
}

const char *e1000_pkt_add(struct e1000_pkt *p, const struct gmem *mem, const struct e1000_desc *d)
{
	uint32_t low = (uint32_t)d->rest, high = (uint32_t)(d->rest >> 32);
	bool ext = low & E1000_TXD_DEXT;

	if (!p->open)
		e1000_pkt_first(p, low, high);
	if (low & E1000_TXD_EOP) { /* VLE and the special field count here [3.3.7] */
		p->tag = low & E1000_TXD_VLE;
		p->tci = (uint16_t)(high >> 16);
		p->ready = true;
	}
	if (p->bad)
		return NULL;
	if (ext && ((low >> E1000_TXD_DTYP_SHIFT) & 0xf) != E1000_TXD_DTYP_DATA)
		return "descriptor of an unknown type";
	if (p->descs == ARRAY_SIZE(p->iov))
		return "packet in too many pieces";
	p->descs++;
	return e1000_pkt_buffer(p, mem, d->addr, low & (ext ? E1000_TXD_LEN : 0xffff));
}

/* --- the private header --- */

static uint16_t e1000_load16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void e1000_store16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* Have the packet's first `n` bytes in f->hdr. False when it is shorter. */
static bool e1000_hdr_need(struct e1000_frame *f, const struct e1000_pkt *p, size_t n)
{
	if (n > p->len)
		return false;
	if (n > f->hdr_len) {
		iov_copy_out(p->iov, p->cnt, f->hdr_len, f->hdr + f->hdr_len, n - f->hdr_len);
		f->hdr_len = n;
	}
	return true;
}

/* The checksum of [css, cse] (cse 0: to the end) goes to cso, in software. */
static const char *e1000_insert_sum(struct e1000_frame *f, const struct e1000_pkt *p, size_t css,
				    size_t cso, size_t cse)
{
	size_t end = cse ? MIN(cse + 1, p->len) : p->len;
	uint16_t sum;

	if (css >= end || !e1000_hdr_need(f, p, cso + 2))
		return "checksum offsets beyond the packet";
	sum = (uint16_t)~offload_sum(p->iov, p->cnt, css, end - css);
	memcpy(f->hdr + cso, &sum, sizeof(sum));
	return NULL;
}

/* --- checksums without segmentation: legacy IC [3.3.3], contexts [3.3.5] --- */

static const char *e1000_l4_sum(struct e1000_frame *f, const struct e1000_pkt *p, size_t css,
				size_t cso, size_t cse)
{
	if (css >= p->len || cso + 2 > p->len)
		return "checksum offsets beyond the packet";
	/* What virtio_net_hdr cannot say: an early end, a field before the start. */
	if (cso < css || (cse && cse + 1 < p->len)) {
		f->summed += p->len - css;
		return e1000_insert_sum(f, p, css, cso, cse);
	}
	f->h.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	f->h.csum_start = (uint16_t)css;
	f->h.csum_offset = (uint16_t)(cso - css);
	return NULL;
}

static const char *e1000_sums(struct e1000_frame *f, const struct e1000_pkt *p,
			      const struct e1000_ctx *c)
{
	const char *why = NULL;

	if (p->ic)
		return e1000_l4_sum(f, p, p->css, p->cso, 0);
	if (p->popts & E1000_TXD_POPTS_IXSM)
		why = e1000_insert_sum(f, p, c->ipcss, c->ipcso, c->ipcse);
	if (!why && (p->popts & E1000_TXD_POPTS_TXSM))
		why = e1000_l4_sum(f, p, c->tucss, c->tucso, c->tucse);
	return why;
}

/* --- TCP segmentation [3.5]: the driver leaves the IP length and checksum 0 and the
 * TCP checksum as the pseudo header's sum without a length --- */

static const char *e1000_tso_wrong(const struct e1000_pkt *p, const struct e1000_ctx *c)
{
	size_t ip_hdr = c->ip4 ? IP4_HDR : IP6_HDR;

	if (!c->tcp || !(p->popts & E1000_TXD_POPTS_TXSM))
		return "segmentation of something other than TCP";
	if (!c->mss)
		return "segmentation with MSS 0";
	if (p->len != (size_t)c->hdrlen + c->paylen)
		return "PAYLEN is not what the descriptors hold";
	if (c->ipcss < ETH_HLEN || c->ipcss + ip_hdr > c->tucss || c->tucss + TCP_HDR > c->hdrlen ||
	    c->tucso < c->tucss || c->tucso + 2 > c->hdrlen)
		return "segmentation with offsets beyond HDRLEN";
	if (p->len - c->ipcss - (c->ip4 ? 0 : IP6_HDR) > UINT16_MAX)
		return "segmentation of more than IP can carry";
	if (c->ip4 && (p->popts & E1000_TXD_POPTS_IXSM) &&
	    (c->ipcse < c->ipcss || c->ipcse >= c->tucss || c->ipcso + 2 > c->tucss))
		return "IP checksum beyond the IP header";
	return NULL;
}

static void e1000_tso_lengths(struct e1000_frame *f, const struct e1000_pkt *p,
			      const struct e1000_ctx *c)
{
	uint8_t *ip = f->hdr + c->ipcss, *csum = f->hdr + c->tucso;
	size_t ip_len = p->len - c->ipcss, tcp_len = p->len - c->tucss;
	uint32_t pseudo = e1000_load16(csum) + (uint32_t)tcp_len;
	struct iovec hdr = { f->hdr, c->hdrlen };
	uint16_t sum;

	e1000_store16(csum, (pseudo & 0xffff) + (pseudo >> 16));
	if (!c->ip4) {
		e1000_store16(ip + IP6_PAYLOAD, (unsigned)ip_len - IP6_HDR);
		return;
	}
	e1000_store16(ip + IP4_TOT_LEN, (unsigned)ip_len);
	if (p->popts & E1000_TXD_POPTS_IXSM) {
		sum = (uint16_t)~offload_sum(&hdr, 1, c->ipcss, c->ipcse - c->ipcss + 1u);
		memcpy(f->hdr + c->ipcso, &sum, sizeof(sum));
	}
}

static const char *e1000_tso(struct e1000_frame *f, const struct e1000_pkt *p,
			     const struct e1000_ctx *c)
{
	const char *why = e1000_tso_wrong(p, c);

	if (why)
		return why;
	e1000_hdr_need(f, p, c->hdrlen);
	e1000_tso_lengths(f, p, c);
	f->h.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	f->h.csum_start = c->tucss;
	f->h.csum_offset = c->tucso - c->tucss;
	f->h.hdr_len = c->hdrlen;
	f->h.gso_size = c->mss;
	f->h.gso_type = c->ip4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
	if (f->hdr[c->tucss + TCP_FLAGS] & TCP_CWR)
		f->h.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	return NULL;
}

/* --- putting it together --- */

static void e1000_insert_tag(struct e1000_frame *f, const struct e1000_pkt *p, uint16_t vet)
{
	uint8_t *at = f->hdr + 2 * ETH_ALEN;

	e1000_hdr_need(f, p, ETH_HLEN);
	f->taken = f->hdr_len;
	memmove(at + VLAN_TAG, at, f->hdr_len - 2 * ETH_ALEN);
	e1000_store16(at, vet);
	e1000_store16(at + 2, p->tci);
	f->hdr_len += VLAN_TAG;
	if (f->h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		f->h.csum_start += VLAN_TAG;
	if (f->h.hdr_len)
		f->h.hdr_len += VLAN_TAG;
}

const char *e1000_offload(struct e1000_frame *f, const struct e1000_pkt *p,
			  const struct e1000_ctx ctx[2], uint16_t vet)
{
	const char *why;

	f->h = (struct virtio_net_hdr){ .gso_type = VIRTIO_NET_HDR_GSO_NONE };
	f->hdr_len = f->summed = 0;
	if (p->len < ETH_HLEN)
		return "packet shorter than an Ethernet header";
	why = p->tse ? e1000_tso(f, p, &ctx[1]) : e1000_sums(f, p, &ctx[0]);
	if (why)
		return why;
	f->taken = f->hdr_len;
	if (p->tag)
		e1000_insert_tag(f, p, vet);
	f->len = p->len - f->taken + f->hdr_len;
	f->iov = p->iov;
	f->cnt = p->cnt;
	if (f->hdr_len) {
		f->out[0] = (struct iovec){ f->hdr, f->hdr_len };
		f->cnt = 1 + iov_slice(p->iov, p->cnt, f->taken, p->len - f->taken, f->out + 1,
				       (int)ARRAY_SIZE(f->out) - 1);
		f->iov = f->out;
	}
	return NULL;
}
