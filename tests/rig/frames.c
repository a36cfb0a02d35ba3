/* SPDX-License-Identifier: MIT */
/* frames.c: Ethernet, IP, TCP and UDP by hand, byte by byte. */
#include "tests/rig/frames.h"

#include <linux/if_ether.h>
#include <linux/in.h>
#include <string.h>

#define TCP_LEN 32 /* with the timestamp option, as Linux sends it */
#define UDP_LEN 8

uint64_t prng_next(struct prng *p)
{
	p->s ^= p->s >> 12;
	p->s ^= p->s << 25;
	p->s ^= p->s >> 27;
	return p->s * UINT64_C(2685821657736338717);
}

unsigned prng_below(struct prng *p, unsigned n)
{
	return (unsigned)(prng_next(p) >> 33) % n;
}

uint16_t frame_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

uint32_t frame_get32(const uint8_t *p)
{
	return (uint32_t)frame_get16(p) << 16 | frame_get16(p + 2);
}

void frame_put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void frame_put32(uint8_t *p, uint32_t v)
{
	frame_put16(p, v >> 16);
	frame_put16(p + 2, v & 0xffff);
}

uint16_t frame_sum(const uint8_t *p, size_t len, uint32_t start)
{
	uint64_t sum = start;

	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static void frame_pattern(uint8_t *p, size_t len, uint32_t seed)
{
	struct prng r = { .s = seed * UINT64_C(0x9e3779b97f4a7c15) + 1 };

	for (size_t i = 0; i < len; i += 8) {
		uint64_t v = prng_next(&r);

		memcpy(p + i, &v, len - i < 8 ? len - i : 8);
	}
}

static void frame_ethernet(uint8_t *buf, const uint8_t dst[6], unsigned type)
{
	static const uint8_t src[6] = { 0x02, 0, 0, 0xbe, 0xef, 0x01 };

	memcpy(buf, dst, 6);
	memcpy(buf + 6, src, 6);
	frame_put16(buf + 12, type);
}

void frame_plain(uint8_t *buf, size_t len, const uint8_t dst[6], uint32_t seed)
{
	frame_ethernet(buf, dst, 0x88b5); /* IEEE 802: local experiments */
	frame_pattern(buf + ETH_HLEN, len - ETH_HLEN, seed);
}

void frame_tagged(uint8_t *buf, size_t len, const uint8_t dst[6], uint16_t tci, uint32_t seed)
{
	frame_ethernet(buf, dst, ETH_P_8021Q);
	frame_put16(buf + 14, tci);
	frame_put16(buf + 16, 0x88b5);
	frame_pattern(buf + 18, len - 18, seed);
}

/* Where things are in a frame of ours or of the device's. */
struct frame_view {
	bool v6, udp;
	size_t ip, l4, payload, end; /* offsets */
	size_t csum;                 /* of the TCP or UDP checksum */
};

static const char *frame_look(const uint8_t *f, size_t len, struct frame_view *v)
{
	unsigned type = len >= ETH_HLEN + 20 ? frame_get16(f + 12) : 0;

	*v = (struct frame_view){ .ip = ETH_HLEN, .v6 = type == ETH_P_IPV6 };
	if (type != ETH_P_IP && type != ETH_P_IPV6)
		return "neither IPv4 nor IPv6";
	v->l4 = v->ip + (v->v6 ? 40 : (f[v->ip] & 15) * 4u);
	v->end = v->v6 ? v->l4 + frame_get16(f + v->ip + 4) : v->ip + frame_get16(f + v->ip + 2);
	if (v->end > len || v->l4 + UDP_LEN > v->end)
		return "IP length beyond the frame";
	v->udp = (v->v6 ? f[v->ip + 6] : f[v->ip + 9]) == IPPROTO_UDP;
	v->csum = v->l4 + (v->udp ? 6 : 16);
	v->payload = v->l4 + (v->udp ? UDP_LEN : (f[v->l4 + 12] >> 4) * 4u);
	return v->payload > v->end ? "TCP header beyond the frame" : NULL;
}

static uint16_t frame_pseudo(const uint8_t *f, const struct frame_view *v, unsigned l4_len)
{
	const uint8_t *addr = f + v->ip + (v->v6 ? 8 : 12);

	return frame_sum(addr, v->v6 ? 32 : 8, (v->udp ? IPPROTO_UDP : IPPROTO_TCP) + l4_len);
}

uint16_t frame_pseudo_sum(const uint8_t *frame, unsigned l4_len)
{
	struct frame_view v = { .ip = ETH_HLEN, .v6 = frame_get16(frame + 12) == ETH_P_IPV6 };

	v.udp = (v.v6 ? frame[v.ip + 6] : frame[v.ip + 9]) == IPPROTO_UDP;
	return frame_pseudo(frame, &v, l4_len);
}

static void frame_ipv4(uint8_t *ip, size_t l4_len, uint8_t proto)
{
	static const uint8_t head[20] = { [0] = 0x45, [6] = 0x40, [8] = 64, [12] = 10, 9, 8,
					  7,          [16] = 10,  9,        8,         1 };

	memcpy(ip, head, 20);
	frame_put16(ip + 2, (unsigned)(20 + l4_len));
	frame_put16(ip + 4, 0xfffe); /* the id: near enough to wrap in a TSO frame */
	ip[9] = proto;
	frame_put16(ip + 10, (uint16_t)~frame_sum(ip, 20, 0));
}

static void frame_ipv6(uint8_t *ip, size_t l4_len, uint8_t proto)
{
	static const uint8_t head[40] = {
		[0] = 0x60, [7] = 64, [8] = 0xfd, [23] = 7, [24] = 0xfd, [39] = 1
	};

	memcpy(ip, head, 40);
	frame_put16(ip + 4, (unsigned)l4_len);
	ip[6] = proto;
}

static void frame_tcp_head(uint8_t *p, uint8_t flags)
{
	static const uint8_t options[12] = { 1, 1, 8, 10, 0, 1, 2, 3, 0, 4, 5, 6 };

	memset(p, 0, 20);
	frame_put16(p, 40000);
	frame_put16(p + 2, 5001);
	frame_put32(p + 4, 0xffffff00); /* wraps within the first segments */
	frame_put32(p + 8, 0x01020304);
	p[12] = TCP_LEN / 4 << 4;
	p[13] = flags;
	frame_put16(p + 14, 0x7fff);
	memcpy(p + 20, options, sizeof(options));
}

size_t frame_ip(uint8_t *buf, const struct frame_ip *f, struct virtio_net_hdr *h)
{
	size_t ip_len = f->v6 ? 40 : 20, head = f->udp ? UDP_LEN : TCP_LEN;
	uint8_t *ip = buf + ETH_HLEN, *l4 = ip + ip_len;
	size_t l4_len = head + f->payload;
	uint16_t pseudo;

	frame_ethernet(buf, f->dst, f->v6 ? ETH_P_IPV6 : ETH_P_IP);
	(f->v6 ? frame_ipv6 : frame_ipv4)(ip, l4_len, f->udp ? IPPROTO_UDP : IPPROTO_TCP);
	memset(l4, 0, head);
	if (f->udp) {
		frame_put16(l4, 40000);
		frame_put16(l4 + 2, 5002);
		frame_put16(l4 + 4, (unsigned)l4_len);
	} else {
		frame_tcp_head(l4, f->tcp_flags);
	}
	frame_pattern(l4 + head, f->payload, f->seed);
	pseudo = frame_pseudo_sum(buf, (unsigned)l4_len);
	*h = (struct virtio_net_hdr){ .hdr_len = (uint16_t)(ETH_HLEN + ip_len + head) };
	if (f->partial) {
		h->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		h->csum_start = (uint16_t)(ETH_HLEN + ip_len);
		h->csum_offset = f->udp ? 6 : 16;
		frame_put16(l4 + h->csum_offset, pseudo);
	} else {
		frame_put16(l4 + (f->udp ? 6 : 16), (uint16_t)~frame_sum(l4, l4_len, pseudo));
	}
	return ETH_HLEN + ip_len + l4_len;
}

const char *frame_ip_wrong(const uint8_t *f, size_t len)
{
	struct frame_view v;
	const char *why = frame_look(f, len, &v);
	size_t l4_len;

	if (why)
		return why;
	l4_len = v.end - v.l4;
	if (!v.v6 && frame_sum(f + v.ip, v.l4 - v.ip, 0) != 0xffff)
		return "IP header checksum";
	if (v.udp && frame_get16(f + v.l4 + 4) != l4_len)
		return "UDP length";
	if (v.udp && !frame_get16(f + v.csum))
		return "UDP checksum of 0 means none";
	if (frame_sum(f + v.l4, l4_len, frame_pseudo(f, &v, (unsigned)l4_len)) != 0xffff)
		return v.udp ? "UDP checksum" : "TCP checksum";
	return v.end < len && len > ETH_ZLEN ? "bytes after the packet" : NULL;
}

unsigned frame_segments(size_t len, const struct virtio_net_hdr *h)
{
	return (unsigned)((len - h->hdr_len + h->gso_size - 1) / h->gso_size);
}

/* FIN and PSH belong to the last segment alone, CWR to the first (RFC 3168). */
static uint8_t frame_segment_flags(uint8_t whole, unsigned i, bool last)
{
	if (!last)
		whole &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	return i ? whole & (uint8_t)~TCP_CWR : whole;
}

static const char *frame_header_wrong(const uint8_t *whole, const struct frame_view *w, unsigned i,
				      size_t at, const uint8_t *seg, const struct frame_view *s,
				      bool last)
{
	const uint8_t *wt = whole + w->l4, *st = seg + s->l4;

	if (memcmp(whole, seg, ETH_HLEN))
		return "Ethernet header";
	if (w->v6 != s->v6 || w->l4 != s->l4 || w->payload != s->payload || s->udp)
		return "header layout";
	if (!w->v6 &&
	    frame_get16(seg + s->ip + 4) != (uint16_t)(frame_get16(whole + w->ip + 4) + i))
		return "IPv4 identification";
	if (memcmp(wt, st, 4) || memcmp(wt + 8, st + 8, 5) || memcmp(wt + 14, st + 14, 2) ||
	    memcmp(wt + 18, st + 18, w->payload - w->l4 - 18))
		return "a TCP field that must not change";
	if (frame_get32(st + 4) != (uint32_t)(frame_get32(wt + 4) + at))
		return "TCP sequence number";
	return st[13] != frame_segment_flags(wt[13], i, last) ? "TCP flags" : NULL;
}

const char *frame_segment_wrong(const uint8_t *whole, size_t len, const struct virtio_net_hdr *h,
				unsigned i, const uint8_t *seg, size_t seg_len)
{
	size_t at = (size_t)i * h->gso_size, rest = len - h->hdr_len - at;
	size_t want = rest < h->gso_size ? rest : h->gso_size;
	bool last = rest <= h->gso_size;
	struct frame_view w, s;
	const char *why = frame_ip_wrong(seg, seg_len);

	if (why || (why = frame_look(whole, len, &w)) || (why = frame_look(seg, seg_len, &s)))
		return why;
	why = frame_header_wrong(whole, &w, i, at, seg, &s, last);
	if (why)
		return why;
	if (seg_len != h->hdr_len + want)
		return "segment length";
	return memcmp(whole + h->hdr_len + at, seg + h->hdr_len, want) ? "payload" : NULL;
}
