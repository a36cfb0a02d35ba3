/* SPDX-License-Identifier: MIT */
/*
 * test_segment.c: TCP segmentation. Every segment is compared to the last bit with one
 * built by hand from the frame; every malformed frame is refused.
 */
#include "devices/net/offload.h"
#include "tests/check_main.h"
#include "tests/rig/net_rig.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <string.h>

static struct prng prng = { .s = 1 };

#define NEEDS VIRTIO_NET_HDR_F_NEEDS_CSUM
#define TCP4  VIRTIO_NET_HDR_GSO_TCPV4
#define TCP6  VIRTIO_NET_HDR_GSO_TCPV6
#define ECN   VIRTIO_NET_HDR_GSO_ECN

struct tso {
	bool v6;
	unsigned tags;     /* 802.1Q tags */
	unsigned ip_more;  /* bytes of IPv4 options, or of IPv6 extension headers */
	unsigned tcp_more; /* bytes of TCP options */
	uint8_t flags;
	size_t payload;
	uint16_t mss;
	bool ecn;
};

#define TCP_ALL (TCP_FIN | TCP_PSH | TCP_ACK | TCP_CWR)

static const struct tso tsos[] = {
	{ false, 0, 0, 0, TCP_ALL, 5000, 1460, true },
	{ false, 0, 0, 12, TCP_ALL, 65000, 1448, true },
	{ false, 0, 0, 12, TCP_ACK, 1448 * 3, 1448, false }, /* no shorter last one */
	{ false, 0, 0, 12, TCP_ACK | TCP_PSH, 1449, 1448, false },
	{ false, 0, 0, 12, TCP_ALL, 1447, 1448, true }, /* one only: first and last */
	{ false, 0, 0, 12, TCP_ALL, 0, 1448, true },
	{ false, 0, 40, 40, TCP_ALL, 3000, 999, true }, /* all options, odd segments */
	{ false, 1, 0, 12, TCP_ALL, 9000, 1448, true },
	{ false, 2, 4, 0, TCP_ALL, 77, 1, true },
	{ true, 0, 0, 12, TCP_ALL, 65000, 1428, true },
	{ true, 0, 8, 12, TCP_ALL, 5000, 1428, false },
	{ true, 0, 72, 40, TCP_FIN, 5000, 1001, false },
	{ true, 1, 0, 0, TCP_CWR, 4000, 1440, true },
	{ true, 2, 24, 0, TCP_ALL, 300, 7, true },
};

static size_t tso_l3(const struct tso *t)
{
	return ETH_HLEN + 4 * t->tags;
}

static size_t tso_l4(const struct tso *t)
{
	return tso_l3(t) + (t->v6 ? 40 : 20) + t->ip_more;
}

static size_t tso_head(const struct tso *t)
{
	return tso_l4(t) + 20 + t->tcp_more;
}

static void tso_put_ip(const struct tso *t, uint8_t *ip)
{
	if (t->v6) {
		ip[0] = 0x60;
		ip[4] = ip[5] = 0; /* the driver leaves the length to the card */
		ip[6] = t->ip_more ? 60 : 6;
		if (t->ip_more) { /* destination options, as long as asked */
			ip[40] = 6;
			ip[41] = (uint8_t)(t->ip_more / 8 - 1);
		}
		return;
	}
	ip[0] = (uint8_t)(0x40 | (20 + t->ip_more) / 4);
	frame_put16(ip + 2, 0);
	frame_put16(ip + 4, 0xfffd); /* the id wraps */
	frame_put16(ip + 6, 0x4000); /* DF */
	ip[9] = 6;
}

static size_t tso_build(const struct tso *t, uint8_t *buf, struct virtio_net_hdr *h)
{
	size_t len = tso_head(t) + t->payload, l4 = tso_l4(t);

	prng_fill(&prng, buf, len);
	for (unsigned i = 0; i < t->tags; i++)
		frame_put16(buf + 12 + 4 * i, t->tags == 2 && i == 0 ? ETH_P_8021AD : ETH_P_8021Q);
	frame_put16(buf + 12 + 4 * t->tags, t->v6 ? ETH_P_IPV6 : ETH_P_IP);
	tso_put_ip(t, buf + tso_l3(t));
	frame_put16(buf + l4 + 4, 0xffff); /* the sequence number wraps soon */
	buf[l4 + 12] = (uint8_t)((20 + t->tcp_more) / 4 << 4);
	buf[l4 + 13] = t->flags;
	*h = (struct virtio_net_hdr){
		.flags = NEEDS,
		.gso_type = (uint8_t)((t->v6 ? TCP6 : TCP4) | (t->ecn ? ECN : 0)),
		.hdr_len = (uint16_t)tso_head(t),
		.gso_size = t->mss,
		.csum_start = (uint16_t)l4,
		.csum_offset = 16,
	};
	return len;
}

/* What the card should send for payload [off, off + n), built by hand. */
static size_t tso_expect(const struct tso *t, const uint8_t *whole, unsigned nr, size_t off,
			 size_t n, uint8_t *out)
{
	size_t l3 = tso_l3(t), l4 = tso_l4(t), head = tso_head(t), l4_len = head - l4 + n;
	uint8_t *ip = out + l3, *tcp = out + l4;
	uint32_t seq = frame_get32(whole + l4 + 4) + (uint32_t)off;
	uint32_t pseudo;

	memcpy(out, whole, head);
	memcpy(out + head, whole + head + off, n);
	if (t->v6) {
		frame_put16(ip + 4, (unsigned)(l4 - l3 - 40 + l4_len));
	} else {
		frame_put16(ip + 2, (unsigned)(l4 - l3 + l4_len));
		frame_put16(ip + 4, (frame_get16(whole + l3 + 4) + nr) & 0xffff);
		frame_put16(ip + 10, 0);
		frame_put16(ip + 10, (uint16_t)~frame_sum(ip, l4 - l3, 0));
	}
	frame_put16(tcp + 4, seq >> 16);
	frame_put16(tcp + 6, seq & 0xffff);
	if (off)
		tcp[13] &= (uint8_t)~TCP_CWR;
	if (off + n < t->payload)
		tcp[13] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	pseudo = frame_sum(ip + (t->v6 ? 8 : 12), t->v6 ? 32 : 8, 6 + (uint32_t)l4_len);
	frame_put16(tcp + 16, 0);
	frame_put16(tcp + 16, (uint16_t)~frame_sum(tcp, l4_len, pseudo));
	return head + n;
}

/* What offload_segment() emits. */
struct seen {
	const struct tso *t;
	const uint8_t *whole;
	unsigned nr, stop_at;
	size_t off;
};

static int see(void *ctx, const struct iovec *iov, int cnt)
{
	static uint8_t want[FRAME_BUF], got[FRAME_BUF];
	struct seen *s = ctx;
	size_t n = MIN((size_t)s->t->mss, s->t->payload - s->off);
	size_t len = tso_expect(s->t, s->whole, s->nr, s->off, n, want);

	if (s->nr == s->stop_at)
		return -ENOBUFS;
	ck_assert_uint_eq(iov_length(iov, cnt), len);
	iov_copy_out(iov, cnt, 0, got, len);
	ck_assert_mem_eq(got, want, len);
	s->nr++;
	s->off += n;
	return 0;
}

START_TEST(segments_are_what_a_card_would_send)
{
	static const size_t steps[] = { 70000, 4096, 1500, 611 };
	static uint8_t buf[FRAME_BUF], copy[FRAME_BUF];
	struct iovec iov[256];
	const struct tso *t = &tsos[_i];
	struct virtio_net_hdr h;
	size_t len = tso_build(t, buf, &h);

	ck_assert(offload_hdr_valid(&h, len));
	memcpy(copy, buf, len);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		struct seen s = { .t = t, .whole = copy, .stop_at = UINT32_MAX };
		int nr = offload_segment(&h, iov, iov_cut(buf, len, steps[i], iov), see, &s);

		ck_assert_int_eq(nr, t->payload ? (int)((t->payload + t->mss - 1) / t->mss) : 1);
		ck_assert_uint_eq(s.nr, (unsigned)nr);
		ck_assert_uint_eq(s.off, t->payload);
		ck_assert_mem_eq(buf, copy, len); /* nothing in the frame was written */
	}
}
END_TEST

START_TEST(segmentation_stops_at_the_first_emit_error)
{
	static uint8_t buf[FRAME_BUF];
	struct virtio_net_hdr h;
	size_t len = tso_build(&tsos[1], buf, &h);
	struct iovec iov = { buf, len };

	for (unsigned stop = 0; stop < 4; stop++) {
		struct seen s = { .t = &tsos[1], .whole = buf, .stop_at = stop };

		ck_assert_int_eq(offload_segment(&h, &iov, 1, see, &s), (int)stop);
		ck_assert_uint_eq(s.nr, stop);
	}
}
END_TEST

static int never(void *ctx, const struct iovec *iov, int cnt)
{
	(void)ctx, (void)iov, (void)cnt;
	ck_abort_msg("a segment of a malformed frame");
	return 0;
}

static void refused(const struct virtio_net_hdr *h, uint8_t *buf, size_t len)
{
	struct iovec iov = { buf, len };

	ck_assert_int_eq(offload_segment(h, &iov, 1, never, NULL), -EINVAL);
}

START_TEST(truncated_headers_are_refused_at_every_length)
{
	static uint8_t buf[FRAME_BUF];
	struct virtio_net_hdr h;

	tso_build(&tsos[_i], buf, &h);
	for (size_t len = 0; len < tso_head(&tsos[_i]); len++) {
		/* exactly as long, so that a sanitizer sees a read beyond */
		uint8_t *p = malloc(len + 1);

		memcpy(p, buf, len);
		refused(&h, p, len);
		free(p);
	}
}
END_TEST

/* One byte of a good frame changed: which, to what. */
static const struct {
	unsigned tso; /* index in tsos */
	size_t at;
	uint8_t byte;
	const char *what;
} spoilt[] = {
	{ 0, 12, 0x86, "an EtherType of nothing" },
	{ 0, 13, 0x06, "ARP" },
	{ 0, 14, 0x55, "IP version 5" },
	{ 0, 14, 0x44, "an IPv4 header of 16 bytes" },
	{ 0, 14, 0x46, "options where TCP should be" },
	{ 0, 14, 0x4f, "an IPv4 header longer than said" },
	{ 0, 20, 0x20, "more fragments" },
	{ 0, 21, 0x01, "a fragment offset" },
	{ 0, 23, 17, "UDP" },
	{ 0, 34 + 12, 0x40, "a TCP header of 16 bytes" },
	{ 0, 34 + 12, 0x00, "a TCP header of none" },
	{ 7, 16, 0x81, "a second tag instead of IP" },
	{ 9, 14, 0x40, "IPv4 as IPv6" },
	{ 9, 20, 44, "an IPv6 fragment" },
	{ 9, 20, 17, "UDP over IPv6" },
	{ 9, 20, 59, "no next header" },
	{ 9, 20, 51, "an authentication header" },
	{ 9, 20, 0, "hop-by-hop options where TCP is" },
	{ 10, 54, 17, "UDP behind options" },
	{ 10, 54 + 1, 255, "options of 2 KiB" },
	{ 10, 54 + 1, 1, "options longer than said" },
	{ 10, 20, 43, "a source route with a way to go" }, /* byte 57 is made odd below */
};

START_TEST(malformed_headers_are_refused)
{
	static uint8_t buf[FRAME_BUF];
	struct virtio_net_hdr h;
	size_t len = tso_build(&tsos[spoilt[_i].tso], buf, &h);

	buf[57] |= 1;
	buf[spoilt[_i].at] = spoilt[_i].byte;
	refused(&h, buf, len);
}
END_TEST

START_TEST(header_that_disagrees_with_the_frame_is_refused)
{
	static uint8_t buf[FRAME_BUF];
	struct virtio_net_hdr good, h;
	size_t len = tso_build(&tsos[0], buf, &good);

	h = good;
	h.gso_type = TCP6;
	refused(&h, buf, len);
	h = good;
	h.csum_start++;
	refused(&h, buf, len);
	h = good;
	h.csum_offset = 6;
	refused(&h, buf, len);
	len = tso_build(&tsos[9], buf, &h);
	h.gso_type = TCP4;
	refused(&h, buf, len);
}
END_TEST

START_TEST(segment_too_long_for_ip_is_refused)
{
	static uint8_t buf[FRAME_BUF];
	/* 40 bytes of headers + 65496 = 65536 */
	struct tso t = { .payload = 65496, .mss = 65496 };
	struct seen s = { .t = &t, .whole = buf, .stop_at = UINT32_MAX };
	struct virtio_net_hdr h;
	size_t len = tso_build(&t, buf, &h);
	struct iovec iov = { buf, len };

	refused(&h, buf, len);
	h.gso_size = t.mss = 65495;
	ck_assert_int_eq(offload_segment(&h, &iov, 1, see, &s), 2);
}
END_TEST

START_TEST(spent_source_route_is_skipped)
{
	static uint8_t buf[FRAME_BUF];
	struct seen s = { .t = &tsos[10], .whole = buf, .stop_at = UINT32_MAX };
	struct virtio_net_hdr h;
	size_t len = tso_build(&tsos[10], buf, &h);
	struct iovec iov = { buf, len };

	buf[20] = 43;
	buf[57] = 0; /* segments left */
	ck_assert_int_eq(offload_segment(&h, &iov, 1, see, &s), 4);
}
END_TEST

static int swallow(void *ctx, const struct iovec *iov, int cnt)
{
	*(size_t *)ctx += iov_length(iov, cnt);
	return 0;
}

/* Any bytes at all: no crash, no loop; what a sanitizer would say is the test. */
START_TEST(random_headers_do_no_harm)
{
	static uint8_t buf[2048];

	for (int i = 0; i < 20000; i++) {
		const struct tso *t = &tsos[prng_below(&prng, ARRAY_SIZE(tsos))];
		struct tso small = *t;
		struct virtio_net_hdr h;
		size_t len, sum = 0;
		struct iovec iov[2];
		int nr;

		small.payload = prng_below(&prng, 600);
		len = tso_build(&small, buf, &h);
		for (unsigned n = prng_below(&prng, 4); n; n--)
			buf[prng_below(&prng, (unsigned)tso_head(&small))] =
				(uint8_t)prng_next(&prng);
		len -= prng_below(&prng, 4) ? 0 : prng_below(&prng, (unsigned)len);
		iov[0] = (struct iovec){ buf, prng_below(&prng, (unsigned)len + 1) };
		iov[1] = (struct iovec){ buf + iov[0].iov_len, len - iov[0].iov_len };
		nr = offload_segment(&h, iov, 2, swallow, &sum);
		ck_assert(nr == -EINVAL ? sum == 0 : nr > 0 && sum >= len);
	}
}
END_TEST

static const struct test_entry tests[] = {
	TLOOP(segments_are_what_a_card_would_send, 0, ARRAY_SIZE(tsos)),
	T(segmentation_stops_at_the_first_emit_error),
	TLOOP(truncated_headers_are_refused_at_every_length, 0, ARRAY_SIZE(tsos)),
	TLOOP(malformed_headers_are_refused, 0, ARRAY_SIZE(spoilt)),
	T(header_that_disagrees_with_the_frame_is_refused),
	T(segment_too_long_for_ip_is_refused),
	T(spent_source_route_is_skipped),
	T(random_headers_do_no_harm),
};

CHECK_MAIN("segment", tests)
