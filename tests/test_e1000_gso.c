/* SPDX-License-Identifier: MIT */
/*
 * test_e1000_gso.c: large TCP frames on their way into the 82540EM's one-frame buffers:
 * segments read straight to where they belong, or cut by copying when the guess was
 * wrong. Each is judged by frames.c. What happens without buffers, and to frames that
 * are not what they say: test_e1000_gso_wait.c.
 */
#include "devices/e1000.h"
#include "tests/rig/exam.h"
#include "tests/rig/large.h"
#include "tests/rig/ring_e1000.h"

#include <linux/if_ether.h>
#include <string.h>

#define TAG 4

/* --- straight ------------------------------------------------------------------------ */

START_TEST(large_frames_are_asked_for_by_the_rung)
{
	struct nic_rig *r = large_rig_ready(NULL);

	ck_assert_uint_eq(r->net->net.rx_offload, NET_OFF_ALL);
	nic_rig_free(r);
	ck_assert_int_eq(setenv("DUET_RUNGS", "0", 1), 0);
	r = nic_rig_new(RIG_E1000, NULL);
	ck_assert_uint_eq(r->net->net.rx_offload, 0);
	nic_rig_free(r);
}
END_TEST

START_TEST(second_of_two_alike_is_not_copied)
{
	static const struct large t[] = {
		{ .payload = 20000 },
		{ .payload = 44 * LARGE_MSS },
		{ .payload = 65535 - 20 - 32 },
		{ .payload = 20000, .v6 = true },
		{ .payload = 30001, .mss = 1001 },
		{ .payload = 20000, .flags = TCP_CWR | TCP_FIN | TCP_PSH },
		{ .payload = LARGE_MSS + 1 },
		{ .payload = LARGE_MSS },
		{ .payload = 1 },
		{ .payload = 0 },
		{ .payload = 4000, .mss = 88 },
		{ .payload = 20000, .options = 8 },
	};
	struct nic_rig *r = large_rig_ready(NULL);
	size_t spill;

	large_pass(r, &t[_i]);
	spill = large_copied(r, &t[_i]);
	/* The last of 45 segments may meet the end of the longest frame that can be. */
	ck_assert_uint_le(spill, _i == 2 ? 2000 : 0);
	ck_assert_uint_eq(rig_stat(r, rx_drops) + rig_stat(r, guest_faults), 0);
	nic_rig_free(r);
}
END_TEST

START_TEST(one_call_reads_it_and_one_interrupt_reports_it)
{
	struct nic_rig *r = large_rig_ready(NULL);

	large_pass(r, &(struct large){ .payload = 60000 });
	r->drv->ack(r);
	rig_irq_clear(r);
	large_pass(r, &(struct large){ .payload = 60000 });
	ck_assert_uint_eq(rig_irqs(r), 1);
	ck_assert_uint_eq(rig_stat(r, rx_batches), 2);
	nic_rig_free(r);
}
END_TEST

START_TEST(finished_frames_between_large_ones_are_not_copied_either)
{
	struct nic_rig *r = large_rig_ready(NULL);

	large_pass(r, &(struct large){ .payload = 20000 });
	for (size_t len = 14; len <= 1514; len++) {
		uint64_t before = rig_stat(r, bytes_copied);

		if (len % 20 == 0) {
			ck_assert_uint_eq(large_copied(r, &(struct large){ .payload = 9000 }), 0);
			before = rig_stat(r, bytes_copied);
		}
		frame_plain(large_frame, len, r->mac, (uint32_t)len);
		large_arrives(r, NULL, len);
		exam_received(r, large_frame, len);
		rig_post_rx(r, 1);
		ck_assert_uint_eq(rig_stat(r, bytes_copied), before);
	}
	nic_rig_free(r);
}
END_TEST

START_TEST(finished_frame_longer_than_expected_is_put_together)
{
	struct rig_opts o = { .long_packets = _i };
	struct nic_rig *r = large_rig_ready(&o);
	size_t max = _i ? 16380 : 1518;

	for (size_t len = 600; len <= max; len += 109) {
		large_pass(r, &(struct large){ .payload = 5000, .mss = 500 });
		for (unsigned k = 0; k < 2; k++) {
			frame_plain(large_frame, len, r->mac, (uint32_t)len);
			large_arrives(r, NULL, len);
			exam_received(r, large_frame, len);
		}
		rig_post_rx(r, RIG_RING_MAX);
	}
	nic_rig_free(r);
}
END_TEST

/* Whose turn the buffer is next sees it: the rig looks at what lies behind 1522 bytes. */
START_TEST(frame_too_long_leaves_the_end_of_its_buffer_alone)
{
	static const size_t sizes[] = { 1519, 1523, 2047, 2048, 2049, 9000 };
	struct nic_rig *r = large_rig_ready(NULL);

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		frame_plain(large_frame, sizes[i], r->mac, i);
		large_arrives(r, NULL, sizes[i]);
		exam_received_none(r);
		ck_assert_uint_eq(rig_stat(r, rx_oversize), i + 1);
		frame_plain(large_frame, 100, r->mac, i);
		large_arrives(r, NULL, 100);
		exam_received(r, large_frame, 100);
	}
	nic_rig_free(r);
}
END_TEST

START_TEST(partial_checksum_of_a_finished_frame_is_filled_in_place)
{
	struct nic_rig *r = large_rig_ready(NULL);
	struct frame_ip f = { .partial = true, .payload = 700 };
	struct virtio_net_hdr h;
	size_t len;

	memcpy(f.dst, r->mac, 6);
	large_pass(r, &(struct large){ .payload = 5000, .mss = _i ? 500 : LARGE_MSS });
	len = frame_ip(large_frame, &f, &h);
	large_arrives(r, &h, len);
	ck_assert(rig_rx_next(r, &large_rx));
	ck_assert_uint_eq(large_rx.len, len);
	ck_assert_msg(!frame_ip_wrong(large_rx.data, large_rx.len), "%s",
		      frame_ip_wrong(large_rx.data, large_rx.len));
	nic_rig_free(r);
}
END_TEST

/* --- wrong guesses ------------------------------------------------------------------- */

START_TEST(change_of_mss_version_or_options_costs_one_copy)
{
	static const struct large t[] = {
		{ .payload = 20000 },
		{ .payload = 20000, .mss = 1200 },
		{ .payload = 20000, .mss = 1200, .v6 = true },
		{ .payload = 20000, .mss = 1200, .v6 = true, .options = 4 },
		{ .payload = 20000, .mss = 1400, .options = 8 },
	};
	struct nic_rig *r = large_rig_ready(NULL);

	for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
		ck_assert_uint_ge(large_copied(r, &t[i]), 20000);
		ck_assert_uint_eq(large_copied(r, &t[i]), 0);
	}
	nic_rig_free(r);
}
END_TEST

START_TEST(any_mixture_arrives_byte_exact)
{
	struct prng rng = { .s = 20000 + (unsigned)_i };
	struct rig_opts o = { .rx_buf = 256u << _i, .long_packets = _i % 2 };
	struct nic_rig *r;

	if (o.rx_buf == 8192)
		o.rx_buf = 2048;
	r = large_rig_ready(&o);
	for (unsigned i = 0; i < 400; i++) {
		struct large l = { .v6 = prng_below(&rng, 4) == 0,
				   .payload = prng_below(&rng, 30000),
				   .mss = (uint16_t)(prng_below(&rng, 3) ? LARGE_MSS - 28 : 500),
				   .options = prng_below(&rng, 5) ? 0 : 8,
				   .seed = i };
		size_t len = 60 + prng_below(&rng, 1455);

		large_pass(r, &l);
		if (prng_below(&rng, 2))
			continue;
		frame_plain(large_frame, len, r->mac, i);
		large_arrives(r, NULL, len);
		exam_received(r, large_frame, len);
		rig_post_rx(r, RIG_RING_MAX);
	}
	ck_assert_uint_eq(rig_stat(r, rx_drops) + rig_stat(r, guest_faults), 0);
	nic_rig_free(r);
}
END_TEST

START_TEST(segments_over_several_buffers)
{
	struct rig_opts o = { .rx_buf = 4096, .long_packets = true };
	static const uint16_t mss[] = { 8948, 4096 - 66 - 4, 4096 - 66 - 3, 8192 - 66 - 4, 30 };
	struct nic_rig *r;

	o.rx_buf = _i & 1 ? 2048 : 4096;
	r = large_rig_ready(&o);
	if (_i & 2)
		ew32(r, RXCSUM, BIT(9) | 14);
	for (unsigned i = 0; i < ARRAY_SIZE(mss); i++) {
		struct large l = { .payload = mss[i] < 100 ? 5000 : 60000, .mss = mss[i] };
		uint64_t spill;

		large_pass(r, &l);
		spill = large_copied(r, &l);
		/* What is beyond the descriptors that are known at a time. */
		ck_assert_uint_le(spill, mss[i] < 100 ? 5000 : mss[i] + 100u);
	}
	nic_rig_free(r);
}
END_TEST

START_TEST(segments_without_a_place_for_the_crc)
{
	struct nic_rig *r = large_rig_ready(NULL);
	struct virtio_net_hdr h;
	struct rx_desc d;
	size_t len;

	ew32(r, RCTL, RCTL_EN | RCTL_BAM | E1000_RCTL_SECRC);
	for (unsigned k = 0; k < 2; k++) {
		len = large_make(r, &(struct large){ .payload = 2 * LARGE_MSS + 100 }, &h);
		large_arrives(r, &h, len);
		for (unsigned i = 0; i < 3; i++) {
			const char *wrong;

			rig_peek(r, r->rx_ring + (k * 3 + i) * sizeof(d), &d, sizeof(d));
			ck_assert_uint_eq(d.status & (RXD_DD | RXD_EOP), RXD_DD | RXD_EOP);
			rig_peek(r, d.addr, large_rx.data, d.len);
			wrong = frame_segment_wrong(large_frame, len, &h, i, large_rx.data, d.len);
			ck_assert_msg(!wrong, "%u: %s", i, wrong);
		}
	}
	nic_rig_free(r);
}
END_TEST

/* --- tags ------------------------------------------------------------------------------ */

/* Put an 802.1Q tag into a frame of `len` bytes; returns its length. */
static size_t add_tag(size_t len, struct virtio_net_hdr *h, unsigned tci)
{
	memmove(large_frame + 12 + TAG, large_frame + 12, len - 12);
	frame_put16(large_frame + 12, ETH_P_8021Q);
	frame_put16(large_frame + 14, tci);
	h->csum_start += TAG;
	h->hdr_len += TAG;
	return len + TAG;
}

static size_t del_tag(uint8_t *f, size_t len)
{
	memmove(f + 12, f + 12 + TAG, len - 12 - TAG);
	return len - TAG;
}

START_TEST(tag_goes_with_every_segment)
{
	struct rig_opts o = { .vlan_filter = true };
	struct nic_rig *r = large_rig_ready(&o);
	bool strip = _i;

	r->drv->vlan_add(r, 0x123);
	ew32(r, CTRL, CTRL_SLU | (strip ? CTRL_VME : 0));
	for (unsigned k = 0; k < 4; k++) {
		struct large l = { .payload = 10000, .v6 = k & 1, .seed = k / 2 };
		struct virtio_net_hdr h;
		size_t len = add_tag(large_make(r, &l, &h), &h, 0x6123);
		uint64_t before = rig_stat(r, bytes_copied);

		large_arrives(r, &h, len);
		len = del_tag(large_frame, len); /* for frames.c, which knows none */
		h.csum_start -= TAG;
		h.hdr_len -= TAG;
		for (unsigned i = 0; i < frame_segments(len, &h); i++) {
			const char *wrong;

			ck_assert(rig_rx_next(r, &large_rx));
			ck_assert_uint_eq(large_rx.tagged, strip);
			ck_assert_uint_eq(strip ? large_rx.tci : frame_get16(large_rx.data + 14),
					  0x6123);
			if (!strip)
				large_rx.len = del_tag(large_rx.data, large_rx.len);
			wrong = frame_segment_wrong(large_frame, len, &h, i, large_rx.data,
						    large_rx.len);
			ck_assert_msg(!wrong, "%u: %s", i, wrong);
		}
		exam_received_none(r);
		ck_assert_uint_gt(rig_stat(r, bytes_copied), before); /* v4, v6, v4: each new */
	}
	nic_rig_free(r);
}
END_TEST

START_TEST(stripping_in_place_moves_each_payload_once)
{
	struct nic_rig *r = large_rig_ready(NULL);
	struct virtio_net_hdr h;
	uint64_t before;
	size_t len = 0;

	ew32(r, CTRL, CTRL_SLU | CTRL_VME);
	for (unsigned k = 0; k < 2; k++) {
		before = rig_stat(r, bytes_copied);
		len = add_tag(large_make(r, &(struct large){ .payload = 10 * LARGE_MSS }, &h), &h,
			      5);
		large_arrives(r, &h, len);
	}
	/* Whatever follows the addresses and the tag. */
	ck_assert_uint_eq(rig_stat(r, bytes_copied) - before, 10 * (LARGE_MSS + 70 - 16));
	nic_rig_free(r);
}
END_TEST

/* --- other rungs ------------------------------------------------------------------------------ */

START_TEST(without_zero_copy_segments_are_the_same)
{
	static const struct large t[] = { { .payload = 20000 },
					  { .payload = 20000, .v6 = true, .flags = TCP_CWR },
					  { .payload = 65000, .mss = 536 } };
	struct nic_rig *r;

	ck_assert_int_eq(setenv("DUET_RUNGS", "2", 1), 0); /* offload-rx alone */
	r = nic_rig_new(RIG_E1000, NULL);
	rig_post_rx(r, RIG_RING_MAX);
	ck_assert_uint_eq(r->net->net.rx_offload, NET_OFF_ALL);
	for (unsigned i = 0; i < 2 * ARRAY_SIZE(t); i++)
		ck_assert_uint_ge(large_copied(r, &t[i / 2]), t[i / 2].payload);
	nic_rig_free(r);
}
END_TEST

static const struct test_entry tests[] = {
	T(large_frames_are_asked_for_by_the_rung),
	TLOOP(second_of_two_alike_is_not_copied, 0, 12),
	T(one_call_reads_it_and_one_interrupt_reports_it),
	T(finished_frames_between_large_ones_are_not_copied_either),
	TLOOP(finished_frame_longer_than_expected_is_put_together, 0, 2),
	T(frame_too_long_leaves_the_end_of_its_buffer_alone),
	TLOOP(partial_checksum_of_a_finished_frame_is_filled_in_place, 0, 2),
	T(change_of_mss_version_or_options_costs_one_copy),
	TLOOP(any_mixture_arrives_byte_exact, 0, 5),
	TLOOP(segments_over_several_buffers, 0, 4),
	T(segments_without_a_place_for_the_crc),
	TLOOP(tag_goes_with_every_segment, 0, 2),
	T(stripping_in_place_moves_each_payload_once),
	T(without_zero_copy_segments_are_the_same),
};

CHECK_MAIN("e1000 large frames", tests)
