/* SPDX-License-Identifier: MIT */
/*
 * test_offload.c: iovecs, checksums and headers against byte-by-byte references that share
 * no code with devices/net/offload.c. Segmentation: test_segment.c.
 */
#include "devices/net/offload.h"
#include "tests/check_main.h"
#include "tests/rig/net_rig.h"

#include <string.h>

static struct prng prng = { .s = 1 };

/* The sum as offload_sum() gives it: in network order as stored. */
static uint16_t naive_sum(const uint8_t *p, size_t len)
{
	uint8_t be[2];
	uint16_t stored;

	frame_put16(be, frame_sum(p, len, 0));
	memcpy(&stored, be, 2);
	return stored;
}

/* --- iovecs --- */

START_TEST(iov_functions_agree_with_flat_memory_at_every_offset)
{
	enum { LEN = 23 };
	uint8_t mem[32], flat[32], got[32];
	struct iovec iov[64], out[64];
	int cnt;

	prng_fill(&prng, mem, sizeof(mem));
	cnt = iov_cut(mem, LEN, (size_t)_i, iov);
	ck_assert_uint_eq(iov_length(iov, cnt), LEN);
	for (size_t off = 0; off <= LEN + 1; off++) {
		for (size_t len = 0; len <= LEN + 2; len++) {
			size_t there = off < LEN ? MIN(len, LEN - off) : 0;
			int used = iov_slice(iov, cnt, off, len, out, 64);

			ck_assert_uint_eq(iov_copy_out(iov, cnt, off, got, len), there);
			ck_assert_mem_eq(got, mem + off, there);
			if (there < len) {
				ck_assert_int_eq(used, -1);
				continue;
			}
			ck_assert_int_ge(used, 0);
			ck_assert_uint_eq(iov_length(out, used), len);
			ck_assert_uint_eq(iov_copy_out(out, used, 0, got, len), len);
			ck_assert_mem_eq(got, mem + off, len);
			/* room for exactly that many, and for one less */
			ck_assert_int_eq(iov_slice(iov, cnt, off, len, out, used), used);
			if (used)
				ck_assert_int_eq(iov_slice(iov, cnt, off, len, out, used - 1), -1);
		}
	}
	memcpy(flat, mem, sizeof(mem));
	for (size_t off = 0; off < LEN; off++) {
		size_t n = MIN((size_t)5, LEN - off);

		ck_assert_uint_eq(iov_copy_in(iov, cnt, off, "hello", 5), n);
		memcpy(flat + off, "hello", n);
		ck_assert_mem_eq(mem, flat, sizeof(mem));
	}
	ck_assert_uint_eq(iov_copy_in(iov, cnt, LEN, "x", 1), 0);
}
END_TEST

/* --- checksums --- */

START_TEST(sum_matches_published_vectors)
{
	/* RFC 1071, section 3: the sum is ddf2. */
	uint8_t rfc[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };
	/* An IPv4 header whose checksum is b861. */
	uint8_t ip[] = { 0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,
			 0x00, 0x00, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7 };
	struct iovec a = { rfc, sizeof(rfc) }, b = { ip, sizeof(ip) };
	uint16_t sum = offload_sum(&a, 1, 0, sizeof(rfc));

	ck_assert_uint_eq(frame_get16((uint8_t *)&sum), 0xddf2);
	sum = (uint16_t)~offload_sum(&b, 1, 0, sizeof(ip));
	ck_assert_uint_eq(frame_get16((uint8_t *)&sum), 0xb861);
}
END_TEST

START_TEST(sum_is_right_for_every_split_offset_and_length)
{
	uint8_t mem[53];
	struct iovec iov[128];
	int cnt;

	prng_fill(&prng, mem, sizeof(mem));
	cnt = iov_cut(mem, sizeof(mem), (size_t)_i, iov);
	for (size_t off = 0; off < sizeof(mem); off++)
		for (size_t len = 0; off + len <= sizeof(mem); len++)
			ck_assert_uint_eq(offload_sum(iov, cnt, off, len),
					  naive_sum(mem + off, len));
}
END_TEST

START_TEST(sum_is_right_for_every_pair_of_cuts)
{
	uint8_t mem[41];

	prng_fill(&prng, mem, sizeof(mem));
	for (size_t i = 0; i <= sizeof(mem); i++) {
		for (size_t j = i; j <= sizeof(mem); j++) {
			struct iovec iov[] = { { mem, i },
					       { mem + i, j - i },
					       { mem + j, sizeof(mem) - j } };

			ck_assert_uint_eq(offload_sum(iov, 3, 0, sizeof(mem)),
					  naive_sum(mem, sizeof(mem)));
			ck_assert_uint_eq(offload_sum(iov, 3, 1, sizeof(mem)),
					  naive_sum(mem + 1, sizeof(mem) - 1));
		}
	}
}
END_TEST

START_TEST(sum_keeps_every_carry_of_the_largest_frame)
{
	static uint8_t mem[65553];
	struct iovec iov[2] = { { mem, 33333 }, { mem + 33333, sizeof(mem) - 33333 } };

	memset(mem, 0xff, sizeof(mem));
	ck_assert_uint_eq(offload_sum(iov, 2, 0, sizeof(mem)), naive_sum(mem, sizeof(mem)));
	prng_fill(&prng, mem, sizeof(mem));
	ck_assert_uint_eq(offload_sum(iov, 2, 0, sizeof(mem)), naive_sum(mem, sizeof(mem)));
	memset(mem, 0, sizeof(mem));
	ck_assert_uint_eq(offload_sum(iov, 2, 0, sizeof(mem)), 0);
}
END_TEST

START_TEST(sum_clips_its_range_to_what_is_there)
{
	uint8_t mem[7] = { 1, 2, 3, 4, 5, 6, 7 };
	struct iovec iov = { mem, sizeof(mem) };

	ck_assert_uint_eq(offload_sum(&iov, 1, 0, SIZE_MAX), naive_sum(mem, 7));
	ck_assert_uint_eq(offload_sum(&iov, 1, 5, 100), naive_sum(mem + 5, 2));
	ck_assert_uint_eq(offload_sum(&iov, 1, 7, 1), 0);
	ck_assert_uint_eq(offload_sum(&iov, 1, 99, 1), 0);
	ck_assert_uint_eq(offload_sum(NULL, 0, 0, 9), 0);
}
END_TEST

static const uint8_t station[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };

START_TEST(csum_finishes_tcp_and_udp_over_v4_and_v6)
{
	static uint8_t buf[FRAME_BUF];
	struct frame_ip f = { .v6 = _i & 1, .udp = _i & 2, .partial = true, .seed = 7 };
	struct iovec iov[4096];
	struct virtio_net_hdr h;

	memcpy(f.dst, station, 6);
	for (f.payload = 0; f.payload < 40; f.payload++) {
		for (size_t step = 1; step < 20; step++) {
			size_t len = frame_ip(buf, &f, &h);
			int cnt = iov_cut(buf, len, step, iov);

			ck_assert(offload_hdr_valid(&h, len));
			ck_assert_uint_eq(offload_csum(&h, iov, cnt), len - h.csum_start);
			ck_assert_pstr_eq(frame_ip_wrong(buf, len), NULL);
		}
	}
}
END_TEST

START_TEST(csum_of_zero_becomes_ffff_in_udp_only)
{
	/* Words that sum to ffff: the complement is 0. */
	uint8_t buf[] = { 0xff, 0xfe, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 };
	struct virtio_net_hdr h = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_offset = 6 };
	struct iovec iov = { buf, sizeof(buf) };

	offload_csum(&h, &iov, 1);
	ck_assert_uint_eq(frame_get16(buf + 6), 0xffff);
	frame_put16(buf + 6, 0);
	h.csum_offset = 16;
	frame_put16(buf + 16, 0);
	offload_csum(&h, &iov, 1);
	ck_assert_uint_eq(frame_get16(buf + 16), 0);
}
END_TEST

/* --- headers --- */

#define NEEDS VIRTIO_NET_HDR_F_NEEDS_CSUM
#define TCP4  VIRTIO_NET_HDR_GSO_TCPV4
#define TCP6  VIRTIO_NET_HDR_GSO_TCPV6
#define ECN   VIRTIO_NET_HDR_GSO_ECN

/* flags, gso_type, hdr_len, gso_size, csum_start, csum_offset; for a frame of 100 bytes */
static const struct {
	struct virtio_net_hdr h;
	bool valid;
} headers[] = {
	{ { 0, 0, 0, 0, 0, 0 }, true },
	{ { 0, 0, 100, 0, 0, 0 }, true },
	{ { NEEDS, 0, 0, 0, 0, 0 }, true },
	{ { NEEDS, 0, 0, 0, 34, 16 }, true },
	{ { NEEDS, 0, 54, 0, 34, 16 }, true },
	{ { NEEDS, 0, 0, 0, 34, 64 }, true },
	{ { NEEDS, 0, 0, 0, 98, 0 }, true },
	{ { NEEDS, TCP4, 54, 1, 34, 16 }, true },
	{ { NEEDS, TCP6, 74, 0xffff, 54, 16 }, true },
	{ { NEEDS, TCP4 | ECN, 54, 10, 34, 16 }, true },
	{ { NEEDS, TCP6 | ECN, 0, 10, 54, 16 }, true },
	/* the checksum field beyond the end, by one and by far, sums that wrap 16 bits */
	{ { NEEDS, 0, 0, 0, 34, 65 }, false },
	{ { NEEDS, 0, 0, 0, 99, 0 }, false },
	{ { NEEDS, 0, 0, 0, 0, 99 }, false },
	{ { NEEDS, 0, 0, 0, 0xffff, 0xffff }, false },
	{ { NEEDS, 0, 0, 0, 0xfff0, 0x0010 }, false },
	{ { NEEDS, 0, 0, 0, 0xffff, 0x0001 }, false },
	/* flags nobody knows */
	{ { 0x80, 0, 0, 0, 0, 0 }, false },
	{ { NEEDS | VIRTIO_NET_HDR_F_DATA_VALID, 0, 0, 0, 34, 16 }, false },
	{ { VIRTIO_NET_HDR_F_DATA_VALID, 0, 0, 0, 0, 0 }, false },
	{ { VIRTIO_NET_HDR_F_RSC_INFO, 0, 0, 0, 0, 0 }, false },
	/* checksum fields without the flag */
	{ { 0, 0, 0, 0, 34, 0 }, false },
	{ { 0, 0, 0, 0, 0, 16 }, false },
	/* segmentation half asked for */
	{ { 0, 0, 0, 1448, 0, 0 }, false },
	{ { NEEDS, 0, 0, 1448, 34, 16 }, false },
	{ { NEEDS, TCP4, 54, 0, 34, 16 }, false },
	{ { NEEDS, ECN, 54, 10, 34, 16 }, false },
	{ { 0, ECN, 0, 0, 0, 0 }, false },
	{ { 0, TCP4, 54, 10, 0, 0 }, false },
	/* kinds not offered */
	{ { NEEDS, VIRTIO_NET_HDR_GSO_UDP, 42, 10, 34, 6 }, false },
	{ { NEEDS, 5 /* UDP_L4 */, 42, 10, 34, 6 }, false },
	{ { NEEDS, 2, 54, 10, 34, 16 }, false },
	{ { NEEDS, 0x7f, 54, 10, 34, 16 }, false },
	/* headers longer than the frame */
	{ { NEEDS, TCP4, 101, 10, 34, 16 }, false },
	{ { 0, 0, 101, 0, 0, 0 }, false },
};

START_TEST(hdr_valid_tells_possible_headers_from_impossible_ones)
{
	ck_assert_int_eq(offload_hdr_valid(&headers[_i].h, 100), headers[_i].valid);
}
END_TEST

static const struct test_entry tests[] = {
	TLOOP(iov_functions_agree_with_flat_memory_at_every_offset, 1, 24),
	T(sum_matches_published_vectors),
	TLOOP(sum_is_right_for_every_split_offset_and_length, 1, 54),
	T(sum_is_right_for_every_pair_of_cuts),
	T(sum_keeps_every_carry_of_the_largest_frame),
	T(sum_clips_its_range_to_what_is_there),
	TLOOP(csum_finishes_tcp_and_udp_over_v4_and_v6, 0, 4),
	T(csum_of_zero_becomes_ffff_in_udp_only),
	TLOOP(hdr_valid_tells_possible_headers_from_impossible_ones, 0, ARRAY_SIZE(headers)),
};

CHECK_MAIN("offload", tests)
