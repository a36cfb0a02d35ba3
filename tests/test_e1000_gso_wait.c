/* SPDX-License-Identifier: MIT */
/*
 * test_e1000_gso_wait.c: large TCP frames that meet too few buffers in the 82540EM's
 * ring, that are filtered, counted, lied about, or told to go outside of memory.
 */
#include "devices/e1000.h"
#include "tests/rig/exam.h"
#include "tests/rig/large.h"
#include "tests/rig/ring_e1000.h"

#include <linux/if_ether.h>

/* --- too few buffers -------------------------------------------------------------------- */

START_TEST(frame_larger_than_the_ring_goes_on_as_buffers_come)
{
	struct rig_opts o = { .rx_ring = 8 };
	struct nic_rig *r = large_rig_ready(&o);

	for (unsigned k = 0; k < 5; k++) {
		struct large l = { .payload = 65000, .v6 = k & 1, .seed = k };
		struct virtio_net_hdr h;
		size_t len = large_make(r, &l, &h);
		unsigned got = 0, n = frame_segments(len, &h);

		large_arrives(r, &h, len);
		while (got < n) {
			unsigned step = MIN(1 + (got + k) % 7, n - got);

			large_segments(r, &h, len, got, got + step);
			got += step;
			rig_post_rx(r, step);
			rig_run(r);
		}
		exam_received_none(r);
		rig_post_rx(r, 8);
		rig_run(r);
	}
	ck_assert_uint_eq(rig_stat(r, rx_drops), 0);
	ck_assert_uint_eq(rig_stat(r, rx_frames), 3 * 45 + 2 * 46);
	nic_rig_free(r);
}
END_TEST

START_TEST(frames_behind_one_that_waits_wait_too_and_keep_their_order)
{
	struct nic_rig *r = large_rig(NULL);
	struct virtio_net_hdr h;
	uint8_t small[200];
	size_t len;

	rig_post_rx(r, 5);
	len = large_make(r, &(struct large){ .payload = 10 * LARGE_MSS }, &h);
	large_arrives(r, &h, len);
	frame_plain(small, sizeof(small), r->mac, 5);
	rig_receive(r, small, sizeof(small), NULL);
	rig_run(r);
	large_segments(r, &h, len, 0, 5);
	exam_received_none(r);
	ck_assert(!r->net->rx_enabled);
	ck_assert_uint_eq(rig_stat(r, rx_ring_full), 1);
	rig_post_rx(r, 5);
	rig_run(r);
	large_segments(r, &h, len, 5, 10);
	exam_received_none(r);
	rig_post_rx(r, 5);
	rig_run(r);
	exam_received(r, small, sizeof(small));
	exam_received_none(r);
	nic_rig_free(r);
}
END_TEST

START_TEST(segment_over_several_buffers_waits_for_all_of_them)
{
	struct rig_opts o = { .rx_buf = 512 };
	struct nic_rig *r = large_rig(&o);
	struct virtio_net_hdr h;
	size_t len = large_make(r, &(struct large){ .payload = 4 * LARGE_MSS }, &h);

	rig_post_rx(r, 4); /* three to a segment */
	large_arrives(r, &h, len);
	large_segments(r, &h, len, 0, 1);
	exam_received_none(r);
	rig_post_rx(r, 1);
	rig_run(r);
	exam_received_none(r);
	rig_post_rx(r, 7);
	rig_run(r);
	large_segments(r, &h, len, 1, 4);
	nic_rig_free(r);
}
END_TEST

/* Frames by the thousand from one call: transmission gets its turn in between. */
START_TEST(tiny_segments_are_cut_over_many_turns)
{
	struct rig_opts o = { .rx_ring = 1024 };
	struct nic_rig *r = large_rig_ready(&o);
	struct virtio_net_hdr h;
	size_t len = large_make(r, &(struct large){ .payload = 1000, .mss = 1 }, &h);

	for (unsigned k = 0; k < 2; k++) {
		uint64_t batches = rig_stat(r, rx_batches);

		large_arrives(r, &h, len);
		large_received(r, &h, len);
		ck_assert_uint_ge(rig_stat(r, rx_batches) - batches, 1000 / 192);
		rig_post_rx(r, RIG_RING_MAX);
	}
	nic_rig_free(r);
}
END_TEST

/* The rest of a frame that was copied, of one that was read straight. */
START_TEST(reset_half_way_forgets_the_rest)
{
	struct rig_opts o = { .rx_ring = 8 };
	struct nic_rig *r = large_rig_ready(&o);
	struct virtio_net_hdr h;
	size_t len;

	if (_i)
		large_pass(r, &(struct large){ .payload = 7 * LARGE_MSS });
	len = large_make(r, &(struct large){ .payload = 20 * LARGE_MSS }, &h);
	large_arrives(r, &h, len);
	large_segments(r, &h, len, 0, 7);
	exam_received_none(r);
	rig_restart(r);
	exam_works(r);
	rig_post_rx(r, 7);
	large_pass(r, &(struct large){ .payload = 7 * LARGE_MSS });
	nic_rig_free(r);
}
END_TEST

START_TEST(buffers_of_another_size_and_another_ring_get_the_rest)
{
	struct nic_rig *r = large_rig(NULL);
	struct virtio_net_hdr h;
	size_t len = large_make(r, &(struct large){ .payload = 20 * LARGE_MSS }, &h);

	rig_post_rx(r, 7);
	large_arrives(r, &h, len);
	large_segments(r, &h, len, 0, 7);
	ew32(r, RCTL, 0);
	rig_run(r);
	r->rx_ring = rig_alloc(r, 256 * sizeof(struct rx_desc), 128);
	ew32(r, RDBAL, (uint32_t)r->rx_ring);
	ew32(r, RDH, 0);
	ew32(r, RDT, 0);
	r->e.rdt = r->e.rx_clean = 0;
	ew32(r, RCTL, RCTL_EN | RCTL_BAM | 1 << 16);
	r->opts.rx_buf = 1024;
	rig_post_rx(r, 100);
	rig_run(r);
	large_segments(r, &h, len, 7, 20);
	exam_received_none(r);
	nic_rig_free(r);
}
END_TEST

START_TEST(loopback_ends_what_waits)
{
	struct nic_rig *r = large_rig(NULL);
	struct virtio_net_hdr h;
	size_t len = large_make(r, &(struct large){ .payload = 20 * LARGE_MSS }, &h);

	r->looped = true;
	rig_post_rx(r, 7);
	large_arrives(r, &h, len);
	large_segments(r, &h, len, 0, 7);
	ew32(r, RCTL, RCTL_EN | RCTL_BAM | E1000_RCTL_LBM_MAC);
	rig_post_rx(r, 20);
	frame_plain(large_frame, 500, r->mac, 9);
	ck_assert(rig_post_tx(r, large_frame, 500));
	rig_kick(r);
	rig_run(r);
	exam_received(r, large_frame, 500);
	ew32(r, RCTL, RCTL_EN | RCTL_BAM);
	rig_run(r);
	exam_received_none(r);
	exam_works(r);
	nic_rig_free(r);
}
END_TEST

/* --- filters, statistics, hostility ---------------------------------------------------------- */

START_TEST(frame_for_somebody_else_is_filtered)
{
	struct nic_rig *r = large_rig_ready(NULL);
	struct virtio_net_hdr h;
	size_t len;

	large_pass(r, &(struct large){ .payload = 10 * LARGE_MSS });
	len = large_make(r, &(struct large){ .payload = 10 * LARGE_MSS }, &h);
	large_frame[5] ^= 1;
	large_arrives(r, &h, len);
	exam_received_none(r);
	ck_assert_uint_eq(rig_stat(r, rx_filtered), 10);
	ck_assert_uint_eq(rig_stat(r, rx_drops), 10);
	large_pass(r, &(struct large){ .payload = 10 * LARGE_MSS });
	nic_rig_free(r);
}
END_TEST

START_TEST(segments_too_long_for_the_link_are_dropped_one_by_one)
{
	struct nic_rig *r = large_rig_ready(NULL);
	struct virtio_net_hdr h;
	size_t len;

	for (unsigned k = 0; k < 2; k++) {
		len = large_make(r, &(struct large){ .payload = 3 * 2000 + 100, .mss = 2000 }, &h);
		large_arrives(r, &h, len);
		large_segments(r, &h, len, 3, 4);
		exam_received_none(r);
	}
	ck_assert_uint_eq(rig_stat(r, rx_oversize), 6);
	ck_assert_uint_eq(er32(r, E1000_ROC), 6);
	nic_rig_free(r);
}
END_TEST

START_TEST(statistics_count_the_frames_the_guest_gets)
{
	struct nic_rig *r = large_rig_ready(NULL);
	size_t octets = 2 * (10 * (66 + LARGE_MSS + 4) + 66 + 100 + 4);

	for (unsigned k = 0; k < 2; k++)
		large_pass(r, &(struct large){ .payload = 10 * LARGE_MSS + 100 });
	ck_assert_uint_eq(er32(r, E1000_GPRC), 22);
	ck_assert_uint_eq(er32(r, E1000_TPR), 22);
	ck_assert_uint_eq(er32(r, E1000_GORCL), octets);
	ck_assert_uint_eq(er32(r, E1000_TORL), octets);
	ck_assert_uint_eq(er32(r, E1000_PRC1522), 20);
	ck_assert_uint_eq(er32(r, E1000_PRC64 + 8), 2);
	ck_assert_uint_eq(rig_stat(r, rx_frames), 22);
	ck_assert_uint_eq(rig_stat(r, rx_bytes), octets - 22 * 4);
	ck_assert_uint_eq(rig_stat(r, bytes_summed), octets - 22 * 4 - 22 * 34);
	nic_rig_free(r);
}
END_TEST

START_TEST(threshold_interrupt_sees_the_descriptors_that_are_left)
{
	struct rig_opts o = { .rx_ring = 64 };
	struct nic_rig *r = large_rig(&o);
	struct virtio_net_hdr h;
	size_t len = large_make(r, &(struct large){ .payload = 7 * LARGE_MSS }, &h);

	rig_post_rx(r, 40);
	large_arrives(r, &h, len);
	ck_assert_uint_eq(er32(r, ICR), E1000_ICR_RXT0); /* 33 left, threshold 32 */
	large_arrives(r, &h, len);
	ck_assert_uint_eq(er32(r, ICR), E1000_ICR_RXT0 | E1000_ICR_RXDMT0);
	nic_rig_free(r);
}
END_TEST

static void lie_gso_type(struct virtio_net_hdr *h)
{
	h->gso_type = VIRTIO_NET_HDR_GSO_TCPV6; /* of an IPv4 frame */
}

static void lie_udp(struct virtio_net_hdr *h)
{
	h->gso_type = VIRTIO_NET_HDR_GSO_UDP;
}

static void lie_no_csum(struct virtio_net_hdr *h)
{
	h->flags = 0;
	h->csum_start = h->csum_offset = 0;
}

static void lie_csum_start(struct virtio_net_hdr *h)
{
	h->csum_start++;
}

static void lie_csum_far(struct virtio_net_hdr *h)
{
	h->csum_start = 65000;
}

static void lie_csum_offset(struct virtio_net_hdr *h)
{
	h->csum_offset = 6;
}

static void lie_no_size(struct virtio_net_hdr *h)
{
	h->gso_size = 0;
}

static void lie_ecn_alone(struct virtio_net_hdr *h)
{
	h->gso_type = VIRTIO_NET_HDR_GSO_ECN;
}

static void lie_doff(struct virtio_net_hdr *h)
{
	large_frame[h->csum_start + 12] = 0x10;
}

static void lie_ihl(struct virtio_net_hdr *h)
{
	(void)h;
	large_frame[ETH_HLEN] = 0x4f;
}

static void lie_fragment(struct virtio_net_hdr *h)
{
	(void)h;
	large_frame[ETH_HLEN + 6] = 0x20;
}

static void (*const lies[])(struct virtio_net_hdr *h) = {
	lie_gso_type, lie_udp,       lie_no_csum, lie_csum_start, lie_csum_far, lie_csum_offset,
	lie_no_size,  lie_ecn_alone, lie_doff,    lie_ihl,        lie_fragment,
};

START_TEST(header_that_lies_gets_the_frame_dropped_and_counted)
{
	struct nic_rig *r = large_rig_ready(NULL);
	struct virtio_net_hdr h;
	size_t len;

	for (unsigned k = 0; k < 2; k++) {
		len = large_make(r, &(struct large){ .payload = 20000 }, &h);
		lies[_i](&h);
		large_arrives(r, &h, len);
		exam_received_none(r);
		ck_assert_uint_eq(rig_stat(r, rx_filtered), k + 1);
		ck_assert_uint_eq(rig_stat(r, rx_drops), k + 1);
		large_pass(r, &(struct large){ .payload = 20000 });
	}
	nic_rig_free(r);
}
END_TEST

START_TEST(frame_cut_short_is_dropped)
{
	struct nic_rig *r = large_rig_ready(NULL);
	struct virtio_net_hdr h;
	unsigned n = 0;

	large_pass(r, &(struct large){ .payload = 20000 });
	large_make(r, &(struct large){ .payload = 20000 }, &h);
	h.hdr_len = 0;
	for (size_t len = 14; len < 66; len++, n++) {
		large_arrives(r, &h, len);
		exam_received_none(r);
	}
	ck_assert_uint_eq(rig_stat(r, rx_drops), n);
	large_pass(r, &(struct large){ .payload = 20000 });
	nic_rig_free(r);
}
END_TEST

/* The first, one in the middle, the last; of a frame that was copied and of another. */
START_TEST(buffer_outside_of_memory_swallows_its_segment_only)
{
	struct nic_rig *r = large_rig(NULL);
	unsigned at = (unsigned)_i / 2 * 4, bad = at + (_i & 1 ? 9 : 0);
	struct large l = { .payload = 9 * LARGE_MSS };
	struct rx_desc d = { .addr = rig_ram_end(r) - (_i < 3 ? 0 : 1521) };
	struct virtio_net_hdr h;
	size_t len;

	rig_post_rx(r, 9);
	if (_i & 1)
		large_pass(r, &l);
	rig_post_rx(r, 9);
	rig_poke(r, r->rx_ring + bad * sizeof(d), &d, sizeof(d));
	r->e.rx_at[bad] = d.addr;
	len = large_make(r, &l, &h);
	large_arrives(r, &h, len);
	large_segments(r, &h, len, 0, at);
	rig_peek(r, r->rx_ring + bad * sizeof(d), &d, sizeof(d));
	ck_assert_uint_eq(d.status & (RXD_DD | RXD_EOP), RXD_DD | RXD_EOP);
	r->e.rx_clean++;
	large_segments(r, &h, len, at + 1, 9);
	exam_received_none(r);
	ck_assert_uint_eq(rig_stat(r, guest_faults), 1);
	nic_rig_free(r);
}
END_TEST

/* The same buffer in every descriptor: nonsense, but only for the one who asked for it. */
START_TEST(one_buffer_for_all_segments_is_survived)
{
	struct nic_rig *r = large_rig_ready(NULL);
	struct virtio_net_hdr h;
	size_t len;

	for (unsigned i = 0; i < 100; i++) {
		struct rx_desc d = { .addr = rig_rx_buf(r, 0) };

		rig_poke(r, r->rx_ring + i * sizeof(d), &d, sizeof(d));
	}
	for (unsigned k = 0; k < 2; k++) {
		len = large_make(r, &(struct large){ .payload = 20 * LARGE_MSS, .seed = k }, &h);
		large_arrives(r, &h, len);
	}
	ck_assert_uint_eq(er32(r, RDH), 40);
	rig_restart(r);
	exam_works(r);
	nic_rig_free(r);
}
END_TEST

static const struct test_entry tests[] = {
	T(frame_larger_than_the_ring_goes_on_as_buffers_come),
	T(frames_behind_one_that_waits_wait_too_and_keep_their_order),
	T(segment_over_several_buffers_waits_for_all_of_them),
	T(tiny_segments_are_cut_over_many_turns),
	TLOOP(reset_half_way_forgets_the_rest, 0, 2),
	T(buffers_of_another_size_and_another_ring_get_the_rest),
	T(loopback_ends_what_waits),
	T(frame_for_somebody_else_is_filtered),
	T(segments_too_long_for_the_link_are_dropped_one_by_one),
	T(statistics_count_the_frames_the_guest_gets),
	T(threshold_interrupt_sees_the_descriptors_that_are_left),
	TLOOP(header_that_lies_gets_the_frame_dropped_and_counted, 0, 11),
	T(frame_cut_short_is_dropped),
	TLOOP(buffer_outside_of_memory_swallows_its_segment_only, 0, 6),
	T(one_buffer_for_all_segments_is_survived),
};

CHECK_MAIN("e1000 large frames waiting", tests)
