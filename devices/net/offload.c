/* SPDX-License-Identifier: MIT */
/*
 * offload.c: what a network card does to a frame on its way out, done in software:
 * the Internet checksum (RFC 1071) and the cutting of a large TCP frame into
 * segments. The bytes come from a guest, which may change them meanwhile: decisions
 * are taken on a private copy of the headers, the payload is only read.
 */
#include "devices/net/offload.h"

#include <endian.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <string.h>

/* --- iovecs --- */

size_t iov_length(const struct iovec *iov, int cnt)
{
	size_t len = 0;

	for (int i = 0; i < cnt; i++)
		len += iov[i].iov_len;
	return len;
}

size_t iov_copy_out(const struct iovec *iov, int cnt, size_t off, void *dst, size_t len)
{
	size_t done = 0;

	for (int i = 0; i < cnt && done < len; i++) {
		size_t n;

		if (off >= iov[i].iov_len) {
			off -= iov[i].iov_len;
			continue;
		}
		n = MIN(iov[i].iov_len - off, len - done);
		memcpy((char *)dst + done, (const char *)iov[i].iov_base + off, n);
		done += n;
		off = 0;
	}
	return done;
}

size_t iov_copy_in(const struct iovec *iov, int cnt, size_t off, const void *src, size_t len)
{
	size_t done = 0;

	for (int i = 0; i < cnt && done < len; i++) {
		size_t n;

		if (off >= iov[i].iov_len) {
			off -= iov[i].iov_len;
			continue;
		}
		n = MIN(iov[i].iov_len - off, len - done);
		memcpy((char *)iov[i].iov_base + off, (const char *)src + done, n);
		done += n;
		off = 0;
	}
	return done;
}

int iov_slice(const struct iovec *iov, int cnt, size_t off, size_t len, struct iovec *out, int max)
{
	int used = 0;

	for (int i = 0; i < cnt && len > 0; i++) {
		size_t n;

		if (off >= iov[i].iov_len) {
			off -= iov[i].iov_len;
			continue;
		}
		if (used == max)
			return -1;
		n = MIN(iov[i].iov_len - off, len);
		out[used++] = (struct iovec){ (char *)iov[i].iov_base + off, n };
		len -= n;
		off = 0;
	}
	return len ? -1 : used;
}

/* --- the Internet checksum --- */

/*
 * The sum of the 16-bit words at p, not folded (33 bits); an odd last byte counts as if a
 * zero followed. Any width will do, the carry being added in at the other end; 64 bits with
 * the processor's own carry, which C has no word for, take an eighth of the instructions.
 */
static uint64_t offload_add(const uint8_t *p, size_t n)
{
	uint64_t sum = 0, last;

	for (; n >= 64; p += 64, n -= 64)
		__asm__("addq (%1), %0\n\t"
			"adcq 8(%1), %0\n\t"
			"adcq 16(%1), %0\n\t"
			"adcq 24(%1), %0\n\t"
			"adcq 32(%1), %0\n\t"
			"adcq 40(%1), %0\n\t"
			"adcq 48(%1), %0\n\t"
			"adcq 56(%1), %0\n\t"
			"adcq $0, %0"
			: "+r"(sum)
			: "r"(p), "m"(*(const uint8_t(*)[64])p)
			: "cc");
	for (; n >= sizeof(last); p += sizeof(last), n -= sizeof(last)) {
		memcpy(&last, p, sizeof(last));
		sum += last;
		sum += sum < last;
	}
	if (n) {
		last = 0;
		memcpy(&last, p, n);
		sum += last;
		sum += sum < last;
	}
	return (sum & 0xffffffff) + (sum >> 32);
}

/* End-around carry: 64 bits to 16. */
static uint16_t offload_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

uint16_t offload_sum(const struct iovec *iov, int cnt, size_t off, size_t len)
{
	size_t done = 0;
	uint64_t sum = 0;

	for (int i = 0; i < cnt && done < len; i++) {
		uint16_t part;
		size_t n;

		if (off >= iov[i].iov_len) {
			off -= iov[i].iov_len;
			continue;
		}
		n = MIN(iov[i].iov_len - off, len - done);
		part = offload_fold(offload_add((const uint8_t *)iov[i].iov_base + off, n));
		/* An entry that starts at an odd byte has its bytes in the other
		 * halves of their words; swapping the sum swaps them all (RFC 1071, 2B). */
		sum += done & 1 ? __builtin_bswap16(part) : part;
		done += n;
		off = 0;
	}
	return offload_fold(sum);
}

/* gso_type, gso_size and flags agree, and ask for nothing unknown. */
static bool offload_gso_valid(const struct virtio_net_hdr *h)
{
	switch (h->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_NONE:
		return !h->gso_type && !h->gso_size;
	case VIRTIO_NET_HDR_GSO_TCPV4:
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return h->gso_size && h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
	default:
		return false;
	}
}

bool offload_hdr_valid(const struct virtio_net_hdr *h, size_t len)
{
	if (h->hdr_len > len || !offload_gso_valid(h))
		return false;
	if (!h->flags)
		return !h->csum_start && !h->csum_offset;
	return h->flags == VIRTIO_NET_HDR_F_NEEDS_CSUM &&
	       (size_t)h->csum_start + h->csum_offset + sizeof(uint16_t) <= len;
}

bool offload_sendable(const struct virtio_net_hdr *h, size_t len)
{
	return offload_hdr_valid(h, len) &&
	       (h->gso_type == VIRTIO_NET_HDR_GSO_NONE || h->gso_size >= OFFLOAD_MSS_MIN);
}

size_t offload_csum(const struct virtio_net_hdr *h, const struct iovec *iov, int cnt)
{
	size_t len = iov_length(iov, cnt) - h->csum_start;
	uint16_t sum = (uint16_t)~offload_sum(iov, cnt, h->csum_start, len);

	/* In UDP 0 means "no checksum" (RFC 768). */
	if (!sum && h->csum_offset == offsetof(struct udphdr, check))
		sum = 0xffff;
	iov_copy_in(iov, cnt, (size_t)h->csum_start + h->csum_offset, &sum, sizeof(sum));
	return len;
}

/* --- TCP segmentation --- */

enum {
	CUT_IOV_MAX = 320, /* entries of a segment; a frame has at most NET_IOV_MAX */
	CUT_TAGS_MAX = 2,  /* 802.1Q inside 802.1ad */
};

static uint16_t cut_be16(const struct offload_cut *c, size_t off)
{
	return (uint16_t)(c->hdr[off] << 8 | c->hdr[off + 1]);
}

/* Find the IP header behind the Ethernet header and its tags; returns its EtherType. */
static uint16_t cut_parse_ether(struct offload_cut *c)
{
	uint16_t type = cut_be16(c, offsetof(struct ethhdr, h_proto));

	c->l3 = sizeof(struct ethhdr);
	for (int i = 0; i < CUT_TAGS_MAX && (type == ETH_P_8021Q || type == ETH_P_8021AD); i++) {
		type = cut_be16(c, c->l3 + 2);
		c->l3 += 4;
	}
	return type;
}

static bool cut_parse_ipv4(struct offload_cut *c)
{
	const uint16_t fragment = htobe16(0x3fff); /* MF and the offset */

	memcpy(&c->ip, c->hdr + c->l3, sizeof(c->ip));
	c->l4 = c->l3 + c->ip.ihl * 4u;
	return c->ip.version == 4 && c->ip.ihl >= 5 && c->ip.protocol == IPPROTO_TCP &&
	       !(c->ip.frag_off & fragment);
}

/* Extension headers are skipped. Not a fragment's, and no source route that still has
 * a way to go: there the pseudo header's destination is not the one in the IP header. */
static bool cut_parse_ipv6(struct offload_cut *c)
{
	struct ipv6hdr ip;
	uint8_t next;

	memcpy(&ip, c->hdr + c->l3, sizeof(ip));
	next = ip.nexthdr;
	c->l4 = c->l3 + sizeof(ip);
	while (next == IPPROTO_HOPOPTS || next == IPPROTO_DSTOPTS || next == IPPROTO_ROUTING) {
		struct ipv6_rt_hdr ext;

		if (c->l4 + sizeof(ext) > sizeof(c->hdr))
			return false;
		memcpy(&ext, c->hdr + c->l4, sizeof(ext));
		if (next == IPPROTO_ROUTING && ext.segments_left)
			return false;
		next = ext.nexthdr;
		c->l4 += 8 + ext.hdrlen * 8u; /* hdrlen: beyond the first 8 bytes */
	}
	return ip.version == 6 && next == IPPROTO_TCP;
}

/*
 * Copy the headers and find their way about. Offsets are first kept within hdr, which
 * is zero behind the frame's end; that the frame really has them is checked last.
 */
static bool cut_parse(struct offload_cut *c, const struct virtio_net_hdr *h,
		      const struct iovec *iov, int cnt, size_t len)
{
	size_t got = iov_copy_out(iov, cnt, 0, c->hdr, MIN(len, sizeof(c->hdr)));
	uint16_t type = cut_parse_ether(c);

	c->v6 = (h->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) == VIRTIO_NET_HDR_GSO_TCPV6;
	if (type != (c->v6 ? ETH_P_IPV6 : ETH_P_IP) ||
	    !(c->v6 ? cut_parse_ipv6(c) : cut_parse_ipv4(c)) ||
	    c->l4 + sizeof(c->tcp) > sizeof(c->hdr))
		return false;
	memcpy(&c->tcp, c->hdr + c->l4, sizeof(c->tcp));
	c->hdr_len = c->l4 + c->tcp.doff * 4u;
	return c->tcp.doff >= 5 && c->hdr_len <= got && h->csum_start == c->l4 &&
	       h->csum_offset == offsetof(struct tcphdr, check);
}

static void cut_write_ip(struct offload_cut *c)
{
	struct iphdr ip = c->ip;

	if (c->v6) {
		uint16_t len =
			htobe16((uint16_t)(c->hdr_len - c->l3 - sizeof(struct ipv6hdr) + c->len));

		memcpy(c->hdr + c->l3 + offsetof(struct ipv6hdr, payload_len), &len, sizeof(len));
		return;
	}
	ip.tot_len = htobe16((uint16_t)(c->hdr_len - c->l3 + c->len));
	ip.id = htobe16((uint16_t)(be16toh(c->ip.id) + c->nr));
	ip.check = 0;
	memcpy(c->hdr + c->l3, &ip, sizeof(ip));
	ip.check = (uint16_t)~offload_fold(offload_add(c->hdr + c->l3, c->l4 - c->l3));
	memcpy(c->hdr + c->l3 + offsetof(struct iphdr, check), &ip.check, sizeof(ip.check));
}

/* RFC 793, 3.1 and RFC 8200, 8.1: addresses, protocol, length of the TCP segment. */
static uint16_t cut_pseudo(const struct offload_cut *c, size_t tcp_len)
{
	size_t off = c->v6 ? offsetof(struct ipv6hdr, saddr) : offsetof(struct iphdr, saddr);
	size_t len = 2 * (c->v6 ? sizeof(struct in6_addr) : sizeof(struct in_addr));

	return offload_fold(offload_add(c->hdr + c->l3 + off, len) + htobe16(IPPROTO_TCP) +
			    htobe16((uint16_t)tcp_len));
}

/* The checksum field gets the pseudo-header sum. The frame's own is not trusted: it
 * counts another length. */
static void cut_write_tcp(struct offload_cut *c)
{
	struct tcphdr tcp = c->tcp;
	bool last = c->off + c->len == c->payload;

	tcp.seq = htobe32(be32toh(tcp.seq) + (uint32_t)c->off);
	tcp.cwr = tcp.cwr && c->nr == 0;
	tcp.psh = tcp.psh && last;
	tcp.fin = tcp.fin && last;
	tcp.check = cut_pseudo(c, c->hdr_len - c->l4 + c->len);
	memcpy(c->hdr + c->l4, &tcp, sizeof(tcp));
}

int offload_cut_begin(struct offload_cut *c, const struct virtio_net_hdr *h,
		      const struct iovec *iov, int cnt, size_t len)
{
	*c = (struct offload_cut){ .mss = h->gso_size };
	if (!cut_parse(c, h, iov, cnt, len))
		return -EINVAL;
	c->payload = len - c->hdr_len;
	/* No IP length field can say more. */
	return c->hdr_len - c->l3 + MIN(c->payload, c->mss) > UINT16_MAX ? -EINVAL : 0;
}

bool offload_cut_more(const struct offload_cut *c)
{
	return !c->nr || c->off + c->len < c->payload;
}

bool offload_cut_next(struct offload_cut *c)
{
	if (!offload_cut_more(c))
		return false;
	c->off += c->len;
	c->len = MIN(c->payload - c->off, c->mss);
	cut_write_ip(c);
	cut_write_tcp(c);
	c->nr++;
	return true;
}

int offload_segment(const struct virtio_net_hdr *h, const struct iovec *iov, int cnt,
		    offload_emit emit, void *ctx)
{
	struct offload_cut c;
	struct iovec out[CUT_IOV_MAX];
	size_t skip;
	int nr = 0;

	if (cnt >= CUT_IOV_MAX || offload_cut_begin(&c, h, iov, cnt, iov_length(iov, cnt)))
		return -EINVAL;
	for (skip = c.hdr_len; offload_cut_next(&c); skip += c.len, nr++) {
		int used;

		/* Entries that are done need not be walked again. */
		for (; cnt > 1 && skip >= iov->iov_len; iov++, cnt--)
			skip -= iov->iov_len;
		used = iov_slice(iov, cnt, skip, c.len, out + 1, CUT_IOV_MAX - 1);
		BUG_ON(used < 0); /* cnt entries fit, and the payload is there */
		out[0] = (struct iovec){ c.hdr, c.hdr_len };
		offload_csum(h, out, used + 1);
		if (emit(ctx, out, used + 1))
			break;
	}
	return nr;
}
