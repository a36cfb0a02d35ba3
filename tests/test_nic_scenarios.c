/* SPDX-License-Identifier: MIT */
/*
 * test_nic_scenarios.c: frames through both NICs, the same exam for each (_i: RIG_E1000,
 * RIG_VIRTIO). Large TCP frames are test_nic_segments.c, interrupts test_nic_irq.c, filters
 * and reset test_nic_control.c, hostile drivers test_nic_faults.c.
 */
#include "tests/rig/exam.h"

#include <linux/if_ether.h>
#include <string.h>

static const uint8_t peer[6] = { 2, 0, 0, 0, 0, 1 };
static uint8_t frame[FRAME_BUF];
static struct rig_rx rx;

/* --- plain frames ---------------------------------------------------------------- */

START_TEST(frame_of_every_size_is_sent_byte_exact)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);

	for (unsigned len = 60; len <= 1514; len++) {
		frame_plain(frame, len, peer, len);
		ck_assert(rig_post_tx(r, frame, len));
		rig_kick(r);
		rig_run(r);
		ck_assert_uint_eq(r->net->sent_nr, 1);
		exam_sent(r, 0, frame, len);
		ck_assert_uint_eq(r->net->sent[0].hdr.flags, 0);
		ck_assert_uint_eq(r->net->sent[0].hdr.gso_type, VIRTIO_NET_HDR_GSO_NONE);
		ck_assert_uint_eq(rig_tx_done(r), r->tx_posted);
		fake_net_clear(r->net);
	}
	ck_assert_uint_eq(rig_stat(r, guest_faults), 0);
	nic_rig_free(r);
}
END_TEST

START_TEST(frame_of_every_size_is_received_byte_exact)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);

	for (unsigned len = 60; len <= 1514; len++) {
		frame_plain(frame, len, r->mac, len);
		rig_post_rx(r, 1);
		rig_receive(r, frame, len, NULL);
		rig_run(r);
		exam_received(r, frame, len);
	}
	exam_received_none(r);
	exam_accounts(r, 0, 1514 - 60 + 1);
	ck_assert_uint_eq(rig_stat(r, guest_faults), 0);
	nic_rig_free(r);
}
END_TEST

START_TEST(short_frame_is_delivered_both_ways)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);

	/* An ARP request from a tap has 42 bytes and no padding. */
	for (unsigned len = 14; len < 60; len++) {
		fake_net_clear(r->net);
		frame_plain(frame, len, peer, len);
		ck_assert(rig_post_tx(r, frame, len));
		rig_kick(r);
		rig_run(r);
		exam_sent(r, 0, frame, len);
		rig_tx_done(r);
		frame_plain(frame, len, r->mac, len);
		rig_post_rx(r, 1);
		rig_receive(r, frame, len, NULL);
		rig_run(r);
		exam_received(r, frame, len);
	}
	nic_rig_free(r);
}
END_TEST

START_TEST(frame_without_a_whole_ethernet_header_is_dropped)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);

	frame_plain(frame, 60, peer, 1);
	for (unsigned len = 1; len < 14; len++)
		ck_assert(rig_post_tx(r, frame, len));
	rig_kick(r);
	rig_run(r);
	ck_assert_uint_eq(r->net->sent_nr, 0);
	ck_assert_uint_gt(rig_stat(r, tx_drops) + rig_stat(r, guest_faults), 0);
	rig_restart(r);
	exam_works(r);
	nic_rig_free(r);
}
END_TEST

/* Cut `len` bytes of `frame` into pieces of up to `max` bytes, some of them empty. */
static int cut(struct iovec *iov, int room, size_t len, unsigned max, struct prng *p)
{
	size_t at = 0;
	int n = 0;

	while (at < len) {
		size_t want = 1 + prng_below(p, max), piece = MIN(want, len - at);

		RIG_CHECK(n < room, "too many pieces");
		if (n == room - 1)
			piece = len - at;
		iov[n++] = (struct iovec){ frame + at, piece };
		at += piece;
	}
	return n;
}

START_TEST(scattered_frame_is_sent_byte_exact)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);
	struct prng p = { .s = 77 };
	struct iovec iov[60];

	for (unsigned i = 0; i < 500; i++) {
		unsigned len = 60 + prng_below(&p, 1455);

		frame_plain(frame, len, peer, i);
		ck_assert(
			rig_post_tx_pieces(r, iov, cut(iov, 60, len, 1 + prng_below(&p, 200), &p)));
		rig_kick(r);
		rig_run(r);
		exam_sent(r, 0, frame, len);
		ck_assert_uint_eq(rig_tx_done(r), r->tx_posted);
		fake_net_clear(r->net);
	}
	ck_assert_uint_eq(rig_stat(r, guest_faults), 0);
	nic_rig_free(r);
}
END_TEST

START_TEST(received_frame_is_spread_over_small_buffers)
{
	struct rig_opts o = { .rx_buf = 256 };
	struct nic_rig *r = nic_rig_new(_i, &o);

	for (unsigned len = 200; len <= 1514; len += 7) {
		frame_plain(frame, len, r->mac, len);
		rig_post_rx(r, 8);
		rig_receive(r, frame, len, NULL);
		rig_run(r);
		ck_assert(rig_rx_next(r, &rx));
		ck_assert_uint_eq(rx.len, len);
		ck_assert_mem_eq(rx.data, frame, len);
		ck_assert_uint_ge(rx.buffers, (len + 255) / 256);
		ck_assert_uint_le(rx.buffers, (len + 255) / 256 + 1);
		exam_received_none(r);
	}
	nic_rig_free(r);
}
END_TEST

/* --- rings -------------------------------------------------------------------------- */

/* Send `n` numbered frames through a ring of `ring` entries, posting as many as fit. */
static void send_many(struct nic_rig *r, unsigned n)
{
	unsigned posted = 0, sent = 0;

	while (sent < n) {
		for (; posted < n; posted++) {
			frame_plain(frame, 64, peer, posted);
			if (!rig_post_tx(r, frame, 64))
				break;
		}
		rig_kick(r);
		rig_run(r);
		RIG_CHECK(r->net->sent_nr, "stuck after %u frames", sent);
		for (unsigned i = 0; i < r->net->sent_nr; i++) {
			frame_plain(frame, 64, peer, sent++);
			exam_sent(r, i, frame, 64);
		}
		fake_net_clear(r->net);
		ck_assert_uint_eq(sent, posted);
		ck_assert_uint_eq(rig_tx_done(r), posted);
	}
}

START_TEST(tx_ring_wraps_many_times_in_order)
{
	/* 70 000: virtio's 16-bit indices wrap too. */
	const struct {
		unsigned ring, frames;
	} row[] = { { 8, 5000 }, { 16, 3000 }, { 256, 70000 } };

	for (unsigned i = 0; i < ARRAY_SIZE(row); i++) {
		struct rig_opts o = { .tx_ring = row[i].ring };
		struct nic_rig *r = nic_rig_new(_i, &o);

		send_many(r, row[i].frames);
		ck_assert_uint_eq(rig_stat(r, tx_frames), row[i].frames);
		ck_assert_uint_eq(rig_stat(r, tx_drops), 0);
		nic_rig_free(r);
	}
}
END_TEST

START_TEST(rx_ring_wraps_many_times_in_order)
{
	struct rig_opts o = { .rx_ring = 16 };
	struct nic_rig *r = nic_rig_new(_i, &o);
	unsigned got = 0;

	for (unsigned i = 0; i < 5000; i++) {
		rig_post_rx(r, 16);
		frame_plain(frame, 80, r->mac, i);
		rig_receive(r, frame, 80, NULL);
		if (i % 7 && i != 4999)
			continue;
		rig_run(r);
		for (; got <= i; got++) {
			frame_plain(frame, 80, r->mac, got);
			exam_received(r, frame, 80);
		}
	}
	exam_received_none(r);
	exam_accounts(r, 0, 5000);
	nic_rig_free(r);
}
END_TEST

START_TEST(burst_larger_than_the_ring_arrives_whole)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);

	for (unsigned i = 0; i < 1000; i++) {
		frame_plain(frame, 300, r->mac, i);
		rig_receive(r, frame, 300, NULL);
	}
	for (unsigned got = 0; got < 1000;) {
		ck_assert_uint_gt(rig_post_rx(r, 1000), 0);
		rig_run(r);
		while (rig_rx_next(r, &rx)) {
			frame_plain(frame, 300, r->mac, got++);
			ck_assert_mem_eq(rx.data, frame, 300);
		}
	}
	exam_accounts(r, 0, 1000);
	nic_rig_free(r);
}
END_TEST

START_TEST(ring_at_the_very_end_of_ram_works)
{
	struct rig_opts o = { .ram = UINT64_C(64) << 20 };

	/* Tables of 256 descriptors of 16 bytes: the last two pages. */
	o.tx_ring_at = o.ram - 4096;
	o.rx_ring_at = o.ram - 8192;
	struct nic_rig *r = nic_rig_new(_i, &o);

	send_many(r, 600);
	exam_works(r);
	ck_assert_uint_eq(rig_stat(r, guest_faults), 0);
	nic_rig_free(r);
}
END_TEST

/* --- a backend with no room, a driver with no buffers ----------------------------------- */

START_TEST(backend_without_room_holds_frames_in_order)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);

	exam_burst(r, 5, 0);
	fake_net_set_full(r->net, true);
	exam_burst(r, 20, 5);
	ck_assert_uint_eq(r->net->sent_nr, 5);
	ck_assert_uint_eq(rig_tx_done(r), 5);
	ck_assert_uint_gt(rig_stat(r, tx_again), 0);
	exam_burst(r, 10, 25);
	ck_assert_uint_eq(r->net->sent_nr, 5);
	fake_net_set_full(r->net, false);
	rig_run(r);
	ck_assert_uint_eq(r->net->sent_nr, 35);
	for (unsigned i = 0; i < 35; i++) {
		frame_plain(frame, 100, peer, i);
		exam_sent(r, i, frame, 100);
	}
	ck_assert_uint_eq(rig_tx_done(r), 35);
	exam_accounts(r, 35, 0);
	nic_rig_free(r);
}
END_TEST

START_TEST(backend_without_room_is_not_asked_in_a_circle)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);
	unsigned sends;

	fake_net_set_full(r->net, true);
	exam_burst(r, 20, 0);
	sends = r->net->sends;
	for (unsigned i = 0; i < 100; i++)
		rig_run(r);
	ck_assert_uint_eq(r->net->sends, sends);
	nic_rig_free(r);
}
END_TEST

START_TEST(frame_the_backend_refuses_is_given_back)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);

	r->net->refuse = true;
	exam_burst(r, 10, 0);
	ck_assert_uint_eq(r->net->sent_nr, 0);
	ck_assert_uint_eq(rig_tx_done(r), 10);
	ck_assert_uint_eq(counter_get(&r->net->net.stat.tx_drops), 10);
	ck_assert_uint_eq(rig_stat(r, tx_frames) + rig_stat(r, tx_drops), 10);
	r->net->refuse = false;
	exam_works(r);
	nic_rig_free(r);
}
END_TEST

START_TEST(receive_without_buffers_waits_and_loses_nothing)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);

	for (unsigned i = 0; i < 50; i++) {
		frame_plain(frame, 500, r->mac, i);
		rig_receive(r, frame, 500, NULL);
	}
	rig_run(r);
	ck_assert_uint_eq(fake_net_waiting(r->net), 50);
	exam_received_none(r);
	for (unsigned got = 0; got < 50;) {
		rig_post_rx(r, 3);
		rig_run(r);
		while (rig_rx_next(r, &rx)) {
			frame_plain(frame, 500, r->mac, got++);
			ck_assert_uint_eq(rx.len, 500);
			ck_assert_mem_eq(rx.data, frame, 500);
		}
	}
	ck_assert_uint_gt(rig_stat(r, rx_ring_full), 0);
	exam_accounts(r, 0, 50);
	nic_rig_free(r);
}
END_TEST

START_TEST(one_small_buffer_takes_one_small_frame)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);

	for (unsigned i = 0; i < 20; i++) {
		ck_assert_uint_eq(rig_post_rx(r, 1), 1);
		frame_plain(frame, 1514, r->mac, i);
		rig_receive(r, frame, 1514, NULL);
		rig_run(r);
		exam_received(r, frame, 1514);
	}
	nic_rig_free(r);
}
END_TEST

/* --- sizes at the edge ---------------------------------------------------------------------- */

static unsigned receive_one(struct nic_rig *r, size_t len)
{
	frame_plain(frame, len, r->mac, 9);
	rig_post_rx(r, 40);
	rig_receive(r, frame, len, NULL);
	rig_run(r);
	return rig_rx_next(r, &rx);
}

START_TEST(frame_too_long_is_dropped_and_counted)
{
	struct rig_opts o = { .features_off = BIT64(VIRTIO_NET_F_MRG_RXBUF) |
					      BIT64(VIRTIO_NET_F_GUEST_TSO4) |
					      BIT64(VIRTIO_NET_F_GUEST_TSO6) |
					      BIT64(VIRTIO_NET_F_GUEST_ECN) };
	struct nic_rig *r = nic_rig_new(_i, &o);

	ck_assert(!receive_one(r, 4000));
	ck_assert_uint_eq(rig_stat(r, rx_drops) + counter_get(&r->net->net.stat.rx_drops) > 0, 1);
	ck_assert_uint_eq(rig_stat(r, rx_frames), 0);
	ck_assert(receive_one(r, 1514));
	ck_assert_uint_eq(rig_stat(r, guest_faults), 0);
	nic_rig_free(r);
}
END_TEST

START_TEST(long_frame_the_driver_allows_is_received)
{
	/* virtio-net: by unsegmented frames, or without the offload-rx rung by its MTU. */
	struct rig_opts o = { .long_packets = true, .mtu = rig_gets(_i, OFFLOAD_RX) ? 0 : 4000 };
	struct nic_rig *r = nic_rig_new(_i, &o);

	ck_assert(receive_one(r, 4000));
	ck_assert_uint_eq(rx.len, 4000);
	ck_assert_mem_eq(rx.data, frame, 4000);
	ck_assert_uint_eq(rx.buffers, 2);
	nic_rig_free(r);
}
END_TEST

START_TEST(e1000_without_lpe_takes_1518_bytes_and_no_more)
{
	struct nic_rig *r = nic_rig_new(RIG_E1000, NULL);

	/* 13.4.22: 1522 with the frame check sequence. */
	ck_assert(receive_one(r, 1518));
	ck_assert(!receive_one(r, 1519));
	ck_assert_uint_eq(rig_stat(r, rx_drops), 1);
	ck_assert_uint_eq(rig_stat(r, rx_oversize), 1);
	ck_assert_uint_eq(rig_stat(r, rx_filtered), 0);
	nic_rig_free(r);
}
END_TEST

static const struct test_entry tests[] = {
	EXAM(frame_of_every_size_is_sent_byte_exact),
	EXAM(frame_of_every_size_is_received_byte_exact),
	EXAM(short_frame_is_delivered_both_ways),
	EXAM(frame_without_a_whole_ethernet_header_is_dropped),
	EXAM(scattered_frame_is_sent_byte_exact),
	EXAM(received_frame_is_spread_over_small_buffers),
	EXAM(tx_ring_wraps_many_times_in_order),
	EXAM(rx_ring_wraps_many_times_in_order),
	EXAM(burst_larger_than_the_ring_arrives_whole),
	EXAM(ring_at_the_very_end_of_ram_works),
	EXAM(backend_without_room_holds_frames_in_order),
	EXAM(backend_without_room_is_not_asked_in_a_circle),
	EXAM(frame_the_backend_refuses_is_given_back),
	EXAM(receive_without_buffers_waits_and_loses_nothing),
	EXAM(one_small_buffer_takes_one_small_frame),
	EXAM(frame_too_long_is_dropped_and_counted),
	EXAM(long_frame_the_driver_allows_is_received),
	T(e1000_without_lpe_takes_1518_bytes_and_no_more),
};

CHECK_MAIN("nic scenarios", tests)
