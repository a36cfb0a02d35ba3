/* SPDX-License-Identifier: MIT */
/*
 * test_nic_segments.c: unsegmented TCP frames of up to 64 KiB through both NICs: whole to
 * a backend that takes them, in correct segments to one that does not, and towards the
 * driver as far as it can take them.
 */
#include "devices/net/offload.h"
#include "tests/rig/exam.h"

#include <string.h>

static const uint8_t peer[6] = { 2, 0, 0, 0, 0, 1 };
static uint8_t frame[FRAME_BUF];
static struct rig_rx rx;

#define MSS 1448

/* An odd last segment, an even one, one segment only, the most that IP allows. */
static const size_t payloads[] = { 20000, 45 * MSS, MSS, MSS + 1, 65535 - 40 - 32 };

static size_t tso_frame(const uint8_t dst[6], bool v6, size_t payload, uint8_t flags,
			struct virtio_net_hdr *h)
{
	struct frame_ip f = { .v6 = v6, .partial = true, .payload = payload, .seed = 3 };
	size_t len;

	memcpy(f.dst, dst, 6);
	f.tcp_flags = flags;
	len = frame_ip(frame, &f, h);
	h->gso_type = v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
	if (flags & TCP_CWR)
		h->gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	h->gso_size = MSS;
	return len;
}

static void send_tso(struct nic_rig *r, const struct virtio_net_hdr *h, size_t len)
{
	fake_net_clear(r->net);
	ck_assert(rig_post_tx_offload(r, h, frame, len));
	rig_kick(r);
	rig_run(r);
	ck_assert_uint_eq(rig_tx_done(r), r->tx_posted);
}

START_TEST(tso_frame_is_handed_whole_to_a_backend_that_takes_it)
{
	struct rig_opts o = { .backend_offload = NET_OFF_ALL };
	struct nic_rig *r = nic_rig_new(_i, &o);

	for (unsigned k = 0; k < 2 * ARRAY_SIZE(payloads); k++) {
		struct virtio_net_hdr h;
		size_t len = tso_frame(peer, k % 2, payloads[k / 2], TCP_ACK | TCP_PSH, &h);

		send_tso(r, &h, len);
		ck_assert_int_eq(exam_passed_on(r, &h), rig_has(r, OFFLOAD_TX) != 0);
		exam_sent_unfinished(r, frame, len, &h);
	}
	ck_assert_uint_eq(rig_stat(r, tx_frames), 2 * ARRAY_SIZE(payloads));
	ck_assert_uint_eq(rig_stat(r, bytes_summed), 0);
	ck_assert_uint_eq(rig_stat(r, guest_faults), 0);
	nic_rig_free(r);
}
END_TEST

START_TEST(tso_frame_is_segmented_for_a_backend_that_cannot)
{
	/* Nothing, checksums only, the other IP version only. */
	static const unsigned offload[] = { 0, NET_OFF_CSUM, NET_OFF_CSUM | NET_OFF_TSO4,
					    NET_OFF_CSUM | NET_OFF_TSO6 };

	for (unsigned i = 0; i < ARRAY_SIZE(offload); i++) {
		struct rig_opts o = { .backend_offload = offload[i] };
		struct nic_rig *r = nic_rig_new(_i, &o);

		for (unsigned k = 0; k < 2 * ARRAY_SIZE(payloads); k++) {
			struct virtio_net_hdr h;
			size_t len = tso_frame(peer, k % 2, payloads[k / 2],
					       TCP_ACK | TCP_PSH | TCP_FIN, &h);

			send_tso(r, &h, len);
			exam_sent_unfinished(r, frame, len, &h);
		}
		nic_rig_free(r);
	}
}
END_TEST

START_TEST(tso_frame_with_cwr_keeps_it_on_the_first_segment)
{
	static const unsigned offload[] = { NET_OFF_ALL, NET_OFF_ALL & ~NET_OFF_ECN, 0 };

	for (unsigned i = 0; i < ARRAY_SIZE(offload); i++) {
		struct rig_opts o = { .backend_offload = offload[i] };
		struct nic_rig *r = nic_rig_new(_i, &o);
		struct virtio_net_hdr h;
		size_t len = tso_frame(peer, false, 10000, TCP_ACK | TCP_CWR, &h);

		send_tso(r, &h, len);
		exam_sent_unfinished(r, frame, len, &h);
		nic_rig_free(r);
	}
}
END_TEST

START_TEST(tso_frame_in_many_pieces_is_sent_byte_exact)
{
	static const unsigned offload[] = { NET_OFF_ALL, 0 };

	for (unsigned i = 0; i < ARRAY_SIZE(offload); i++) {
		struct rig_opts o = { .backend_offload = offload[i] };
		struct nic_rig *r = nic_rig_new(_i, &o);
		struct iovec iov[40];
		struct virtio_net_hdr h;
		size_t len = tso_frame(peer, false, 30000, TCP_ACK, &h), at = 0;
		struct rig_tx t = { .hdr = h, .iov = iov, .n = 40 };

		/* The cuts fall inside the headers, too. */
		for (unsigned k = 0; k < 40; k++) {
			size_t n = k == 39 ? len - at : k < 10 ? 9 : 700 + k;

			iov[k] = (struct iovec){ frame + at, n };
			at += n;
		}
		ck_assert(r->drv->post_tx(r, &t));
		rig_kick(r);
		rig_run(r);
		exam_sent_unfinished(r, frame, len, &h);
		nic_rig_free(r);
	}
}
END_TEST

START_TEST(tso_frames_fill_the_ring_and_arrive_in_order)
{
	struct rig_opts o = { .backend_offload = NET_OFF_ALL };
	struct nic_rig *r = nic_rig_new(_i, &o);
	unsigned posted = 0, cut = rig_has(r, OFFLOAD_TX) ? 1 : (65000 + MSS - 1) / MSS;

	for (unsigned round = 0; round < 20; round++) {
		struct virtio_net_hdr h;
		size_t len = 0;
		unsigned n = 0;

		do {
			len = tso_frame(peer, false, 65000, TCP_ACK, &h);
			frame_put16(frame + len - 2, posted + n);
		} while (rig_post_tx_offload(r, &h, frame, len) && ++n);
		rig_kick(r);
		rig_run(r);
		ck_assert_uint_gt(n, 3);
		ck_assert_uint_eq(r->net->sent_nr, n * cut);
		for (unsigned i = 0; i < n; i++) {
			const struct fake_frame *last = &r->net->sent[(i + 1) * cut - 1];

			ck_assert_uint_eq(frame_get16(last->data + last->len - 2), posted++);
		}
		ck_assert_uint_eq(rig_tx_done(r), posted);
		fake_net_clear(r->net);
	}
	nic_rig_free(r);
}
END_TEST

START_TEST(tso_frame_waits_for_room_and_goes_whole)
{
	struct rig_opts o = { .backend_offload = NET_OFF_ALL };
	struct nic_rig *r = nic_rig_new(_i, &o);
	struct virtio_net_hdr h;
	size_t len = tso_frame(peer, false, 50000, TCP_ACK, &h);

	fake_net_set_full(r->net, true);
	ck_assert(rig_post_tx_offload(r, &h, frame, len));
	rig_kick(r);
	rig_run(r);
	ck_assert_uint_eq(rig_tx_done(r), 0);
	fake_net_set_full(r->net, false);
	rig_run(r);
	exam_sent_unfinished(r, frame, len, &h);
	ck_assert_uint_eq(rig_tx_done(r), 1);
	nic_rig_free(r);
}
END_TEST

/* --- towards the driver ------------------------------------------------------------ */

/* As it is by a driver that negotiated it, in segments by one that cannot. */
static void exam_large(struct nic_rig *r, const struct virtio_net_hdr *h, size_t len)
{
	ck_assert(rig_rx_next(r, &rx));
	ck_assert_uint_eq(rx.len, len);
	ck_assert_mem_eq(rx.data, frame, len);
	ck_assert_uint_eq(rx.hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	ck_assert_uint_eq(rx.hdr.gso_type, h->gso_type);
	ck_assert_uint_eq(rx.hdr.gso_size, h->gso_size);
	ck_assert_uint_eq(rx.hdr.csum_start, h->csum_start);
	ck_assert_uint_eq(rx.buffers, (len + 12 + 2047) / 2048);
}

static void exam_large_segments(struct nic_rig *r, const struct virtio_net_hdr *h, size_t len)
{
	for (unsigned i = 0; i < frame_segments(len, h); i++) {
		const char *wrong;

		ck_assert_msg(rig_rx_next(r, &rx), "segment %u is missing", i);
		wrong = frame_segment_wrong(frame, len, h, i, rx.data, rx.len);
		ck_assert_msg(!wrong, "segment %u: %s", i, wrong);
	}
}

/* Payloads that fill segments to the end of an IPv4 frame of 1514 bytes: too long for IPv6. */
/* What segments cost is bounded, by frame and by turn: the I/O thread is other NICs', too. */
START_TEST(absurdly_small_segments_take_a_turn_each_or_are_refused)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);
	struct virtio_net_hdr h;
	size_t len = tso_frame(peer, false, 60000, TCP_ACK, &h);
	const unsigned n = 4;

	h.gso_size = OFFLOAD_MSS_MIN - 1;
	ck_assert(rig_post_tx_offload(r, &h, frame, len));
	rig_kick(r);
	rig_run(r);
	ck_assert_uint_eq(rig_stat(r, tx_drops), 1);
	ck_assert_uint_eq(rig_stat(r, guest_faults), 1);
	ck_assert_uint_eq(rig_stat(r, tx_batches), 1);
	h.gso_size = OFFLOAD_MSS_MIN;
	for (unsigned i = 0; i < n; i++)
		ck_assert(rig_post_tx_offload(r, &h, frame, len));
	rig_kick(r);
	rig_run(r);
	ck_assert_uint_eq(rig_tx_done(r), n + 1);
	ck_assert_uint_eq(counter_get(&r->net->net.stat.sw_segments), n * 60000 / OFFLOAD_MSS_MIN);
	ck_assert_uint_eq(rig_stat(r, tx_batches), 1 + n);
	nic_rig_free(r);
}
END_TEST

START_TEST(large_frame_is_received_as_the_driver_can_take_it)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);
	unsigned frames = 0, large = r->net->net.rx_offload & NET_OFF_TSO4;

	for (unsigned k = 0; large && k < 4 * ARRAY_SIZE(payloads); k++) {
		struct virtio_net_hdr h;
		size_t len = tso_frame(r->mac, k & 1, payloads[k / 4], TCP_ACK | TCP_PSH, &h);

		h.gso_size = k & 1 ? MSS - 20 : MSS;
		rig_post_rx(r, 256);
		rig_receive(r, frame, len, &h);
		rig_run(r);
		if (_i == RIG_VIRTIO)
			exam_large(r, &h, len);
		else
			exam_large_segments(r, &h, len);
		exam_received_none(r);
		frames += _i == RIG_VIRTIO ? 1 : frame_segments(len, &h);
	}
	exam_accounts(r, 0, frames);
	nic_rig_free(r);
}
END_TEST

/* The 82540EM's driver need not know; virtio-net's may refuse. */
START_TEST(large_frames_are_granted_as_rung_and_driver_say)
{
	struct rig_opts o = { .features_off = BIT64(VIRTIO_NET_F_GUEST_TSO4) |
					      BIT64(VIRTIO_NET_F_GUEST_TSO6) |
					      BIT64(VIRTIO_NET_F_GUEST_ECN) };
	struct nic_rig *r = nic_rig_new(_i, NULL);

	ck_assert_uint_eq(r->net->net.rx_offload, rig_has(r, OFFLOAD_RX) ? NET_OFF_ALL : 0);
	nic_rig_free(r);
	r = nic_rig_new(RIG_VIRTIO, &o);
	ck_assert_uint_eq(r->net->net.rx_offload & (NET_OFF_TSO4 | NET_OFF_TSO6), 0);
	nic_rig_free(r);
}
END_TEST

/* The largest frames are unsegmented ones, or without the offload-rx rung those of a large
 * MTU. The rig posts buffers of 2 KiB. */
#define LARGE_MTU  9000u
#define LARGE_BUFS ((LARGE_MTU + 18 + 12 + 2047) / 2048)

static struct nic_rig *rig_large(void)
{
	struct rig_opts o = { .mtu = rig_gets(RIG_VIRTIO, OFFLOAD_RX) ? 0 : LARGE_MTU };

	return nic_rig_new(RIG_VIRTIO, &o);
}

/* One arrives and is either received or not. */
static bool receive_large(struct nic_rig *r, uint32_t seed)
{
	struct virtio_net_hdr h = { .flags = 0 };
	size_t len = LARGE_MTU;

	if (rig_has(r, OFFLOAD_RX))
		len = tso_frame(r->mac, false, 60000, TCP_ACK, &h);
	else
		frame_plain(frame, len, r->mac, seed);
	frame_put16(frame + len - 2, seed);
	rig_receive(r, frame, len, &h);
	rig_run(r);
	if (!rig_rx_next(r, &rx))
		return false;
	ck_assert_uint_eq(rx.len, len);
	ck_assert_mem_eq(rx.data, frame, len);
	return true;
}

START_TEST(large_frame_waits_for_a_driver_that_is_behind)
{
	struct nic_rig *r = rig_large();

	rig_post_rx(r, rig_has(r, OFFLOAD_RX) ? 40 : LARGE_BUFS + 2);
	ck_assert(receive_large(r, 1));
	ck_assert(!receive_large(r, 2)); /* 10 buffers of 2 KiB are left, or 2 */
	ck_assert_uint_eq(fake_net_waiting(r->net), 1);
	rig_post_rx(r, 60);
	rig_run(r);
	ck_assert(rig_rx_next(r, &rx));
	ck_assert_mem_eq(rx.data, frame, rx.len);
	exam_accounts(r, 0, 2);
	nic_rig_free(r);
}
END_TEST

START_TEST(large_frame_for_a_driver_that_never_has_room_is_dropped_and_counted)
{
	struct nic_rig *r = rig_large();

	rig_post_rx(r, rig_has(r, OFFLOAD_RX) ? 10 : LARGE_BUFS - 2);
	ck_assert(!receive_large(r, 1));
	exam_accounts(r, 0, 1);
	frame_plain(frame, 1000, r->mac, 5);
	rig_receive(r, frame, 1000, NULL);
	rig_run(r);
	exam_received(r, frame, 1000);
	nic_rig_free(r);
}
END_TEST

static const struct test_entry tests[] = {
	EXAM(tso_frame_is_handed_whole_to_a_backend_that_takes_it),
	EXAM(tso_frame_is_segmented_for_a_backend_that_cannot),
	EXAM(tso_frame_with_cwr_keeps_it_on_the_first_segment),
	EXAM(tso_frame_in_many_pieces_is_sent_byte_exact),
	EXAM(tso_frames_fill_the_ring_and_arrive_in_order),
	EXAM(tso_frame_waits_for_room_and_goes_whole),
	EXAM(absurdly_small_segments_take_a_turn_each_or_are_refused),
	EXAM(large_frame_is_received_as_the_driver_can_take_it),
	EXAM(large_frames_are_granted_as_rung_and_driver_say),
	T(large_frame_waits_for_a_driver_that_is_behind),
	T(large_frame_for_a_driver_that_never_has_room_is_dropped_and_counted),
};

CHECK_MAIN("nic segments", tests)
