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
 * The sum of the 16-bit words at p, not folded; an odd last byte counts as if a zero
 * followed. Two 32-bit words a step into 64-bit sums: no carry is lost, since a
 * frame has far fewer than 2^32 words, and none has to be added back in the loop.
 */
static uint64_t offload_add(const uint8_t *p, size_t n)
{
	uint64_t a = 0, b = 0;
	uint32_t w[4];
	uint16_t last;

	for (; n >= sizeof(w); p += sizeof(w), n -= sizeof(w)) {
		memcpy(w, p, sizeof(w));
		a += (uint64_t)w[0] + w[1];
		b += (uint64_t)w[2] + w[3];
	}
	for (; n > 0; p += 2, n -= MIN(n, (size_t)2)) {
		last = 0;
		memcpy(&last, p, MIN(n, (size_t)2));
		a += last;
	}
	return a + b;
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
	SEG_HEAD_MAX = 256, /* Ethernet, tags, IP with options or extensions, TCP */
	SEG_IOV_MAX = 320,  /* entries of a segment; a frame has at most NET_IOV_MAX */
	SEG_TAGS_MAX = 2,   /* 802.1Q inside 802.1ad */
};

/* The headers of the frame being cut, and of the segment being made from them. */
struct seg_head {
	uint8_t buf[SEG_HEAD_MAX];
	size_t l3, l4, len; /* offsets of IP and TCP; length of all headers */
	bool v6;
	/* as they were in the frame: */
	struct iphdr ip; /* IPv4 only */
	struct tcphdr tcp;
};

static uint16_t seg_be16(const struct seg_head *s, size_t off)
{
	return (uint16_t)(s->buf[off] << 8 | s->buf[off + 1]);
}

/* Find the IP header behind the Ethernet header and its tags; returns its EtherType. */
static uint16_t seg_parse_ether(struct seg_head *s)
{
	uint16_t type = seg_be16(s, offsetof(struct ethhdr, h_proto));

	s->l3 = sizeof(struct ethhdr);
	for (int i = 0; i < SEG_TAGS_MAX && (type == ETH_P_8021Q || type == ETH_P_8021AD); i++) {
		type = seg_be16(s, s->l3 + 2);
		s->l3 += 4;
	}
	return type;
}

static bool seg_parse_ipv4(struct seg_head *s)
{
	const uint16_t fragment = htobe16(0x3fff); /* MF and the offset */

	memcpy(&s->ip, s->buf + s->l3, sizeof(s->ip));
	s->l4 = s->l3 + s->ip.ihl * 4u;
	return s->ip.version == 4 && s->ip.ihl >= 5 && s->ip.protocol == IPPROTO_TCP &&
	       !(s->ip.frag_off & fragment);
}

/* Extension headers are skipped. Not a fragment's, and no source route that still has
 * a way to go: there the pseudo header's destination is not the one in the IP header. */
static bool seg_parse_ipv6(struct seg_head *s)
{
	struct ipv6hdr ip;
	uint8_t next;

	memcpy(&ip, s->buf + s->l3, sizeof(ip));
	next = ip.nexthdr;
	s->l4 = s->l3 + sizeof(ip);
	while (next == IPPROTO_HOPOPTS || next == IPPROTO_DSTOPTS || next == IPPROTO_ROUTING) {
		struct ipv6_rt_hdr ext;

		if (s->l4 + sizeof(ext) > sizeof(s->buf))
			return false;
		memcpy(&ext, s->buf + s->l4, sizeof(ext));
		if (next == IPPROTO_ROUTING && ext.segments_left)
			return false;
		next = ext.nexthdr;
		s->l4 += 8 + ext.hdrlen * 8u; /* hdrlen: beyond the first 8 bytes */
	}
	return ip.version == 6 && next == IPPROTO_TCP;
}

/*
 * Copy the headers and find their way about. Offsets are first kept within buf, which
 * is zero behind the frame's end; that the frame really has them is checked last.
 */
static bool seg_parse(struct seg_head *s, const struct virtio_net_hdr *h, const struct iovec *iov,
		      int cnt)
{
	size_t got = iov_copy_out(iov, cnt, 0, s->buf, sizeof(s->buf));
	uint16_t type = seg_parse_ether(s);

	s->v6 = (h->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) == VIRTIO_NET_HDR_GSO_TCPV6;
	if (type != (s->v6 ? ETH_P_IPV6 : ETH_P_IP) ||
	    !(s->v6 ? seg_parse_ipv6(s) : seg_parse_ipv4(s)) ||
	    s->l4 + sizeof(s->tcp) > sizeof(s->buf))
		return false;
	memcpy(&s->tcp, s->buf + s->l4, sizeof(s->tcp));
	s->len = s->l4 + s->tcp.doff * 4u;
	return s->tcp.doff >= 5 && s->len <= got && h->csum_start == s->l4 &&
	       h->csum_offset == offsetof(struct tcphdr, check);
}

/* The IP header of segment number `nr` with `n` bytes of payload. */
static void seg_write_ip(struct seg_head *s, unsigned nr, size_t n)
{
	struct iphdr ip = s->ip;

	if (s->v6) {
		uint16_t len = htobe16((uint16_t)(s->len - s->l3 - sizeof(struct ipv6hdr) + n));

		memcpy(s->buf + s->l3 + offsetof(struct ipv6hdr, payload_len), &len, sizeof(len));
		return;
	}
	ip.tot_len = htobe16((uint16_t)(s->len - s->l3 + n));
	ip.id = htobe16((uint16_t)(be16toh(s->ip.id) + nr));
	ip.check = 0;
	memcpy(s->buf + s->l3, &ip, sizeof(ip));
	ip.check = (uint16_t)~offload_fold(offload_add(s->buf + s->l3, s->l4 - s->l3));
	memcpy(s->buf + s->l3 + offsetof(struct iphdr, check), &ip.check, sizeof(ip.check));
}

/* RFC 793, 3.1 and RFC 8200, 8.1: addresses, protocol, length of the TCP segment. */
static uint16_t seg_pseudo(const struct seg_head *s, size_t tcp_len)
{
	size_t off = s->v6 ? offsetof(struct ipv6hdr, saddr) : offsetof(struct iphdr, saddr);
	size_t len = 2 * (s->v6 ? sizeof(struct in6_addr) : sizeof(struct in_addr));

	return offload_fold(offload_add(s->buf + s->l3 + off, len) + htobe16(IPPROTO_TCP) +
			    htobe16((uint16_t)tcp_len));
}

/* The TCP header of the segment [off, off + n) of the payload; its checksum field gets
 * the pseudo-header sum. The frame's own sum is not trusted: it counts another length. */
static void seg_write_tcp(struct seg_head *s, size_t off, size_t n, bool last)
{
	struct tcphdr tcp = s->tcp;

	tcp.seq = htobe32(be32toh(tcp.seq) + (uint32_t)off);
	tcp.cwr = tcp.cwr && off == 0;
	tcp.psh = tcp.psh && last;
	tcp.fin = tcp.fin && last;
	tcp.check = seg_pseudo(s, s->len - s->l4 + n);
	memcpy(s->buf + s->l4, &tcp, sizeof(tcp));
}

int offload_segment(const struct virtio_net_hdr *h, const struct iovec *iov, int cnt,
		    offload_emit emit, void *ctx)
{
	struct seg_head s = { 0 };
	struct iovec out[SEG_IOV_MAX];
	size_t payload, off = 0, skip;
	int nr = 0;

	if (cnt >= SEG_IOV_MAX || !seg_parse(&s, h, iov, cnt))
		return -EINVAL;
	payload = iov_length(iov, cnt) - s.len;
	if (s.len - s.l3 + MIN(payload, (size_t)h->gso_size) > UINT16_MAX)
		return -EINVAL; /* no IP length field can say that */
	skip = s.len;
	do {
		size_t n = MIN(payload - off, (size_t)h->gso_size);
		int used;

		/* Entries that are done need not be walked again. */
		for (; cnt > 1 && skip >= iov->iov_len; iov++, cnt--)
			skip -= iov->iov_len;
		used = iov_slice(iov, cnt, skip, n, out + 1, SEG_IOV_MAX - 1);
		BUG_ON(used < 0); /* cnt entries fit, and `payload` bytes are there */
		out[0] = (struct iovec){ s.buf, s.len };
		seg_write_ip(&s, (unsigned)nr, n);
		seg_write_tcp(&s, off, n, off + n == payload);
		offload_csum(h, out, used + 1);
		if (emit(ctx, out, used + 1))
			break;
		nr++;
		off += n;
		skip += n;
	} while (off < payload);
	return nr;
}
