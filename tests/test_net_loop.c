/* SPDX-License-Identifier: MIT */
/* test_net_loop.c: the backends without a host behind them: null and loop. */
#include "devices/net/offload.h"
#include "tests/check_main.h"
#include "tests/rig/net_rig.h"

#include <errno.h>
#include <string.h>

static const uint8_t station[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };
static const struct virtio_net_hdr finished;
static struct probe probe;

#define TSO_FLAGS (TCP_ACK | TCP_PSH | TCP_FIN | TCP_CWR)

static struct net *open_probed(struct loop *l, const char *kind)
{
	int err = 0;
	struct net *be = net_open(l, kind, NULL, &err);

	ck_assert_ptr_nonnull(be);
	ck_assert_str_eq(be->name, kind);
	probe_attach(&probe, be);
	return be;
}

/* --- null --- */

START_TEST(null_swallows_everything_and_delivers_nothing)
{
	static uint8_t buf[FRAME_BUF];
	struct loop *l = loop_new();
	struct net *be = open_probed(l, "null");
	struct virtio_net_hdr h;
	size_t len = frame_tso(buf, false, TSO_FLAGS, 60000, &h);

	ck_assert_uint_eq(be->tx_offload, NET_OFF_ALL);
	ck_assert(net_link_up(be));
	ck_assert_uint_eq(be->mtu, 0);
	ck_assert_uint_eq(net_set_rx_offload(be, NET_OFF_ALL), NET_OFF_ALL);
	net_rx_enable(be, true);
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(probe_send(&probe, &h, buf, len), 0);
	ck_assert_int_eq(probe_recv(&probe, FRAME_BUF), 0);
	ck_assert_int_eq(loop_once(l, 0), 0);
	ck_assert_uint_eq(probe.readable + probe.writable, 0);
	ck_assert_uint_eq(counter_get(&be->stat.tx_calls), 0);
	ck_assert_uint_eq(counter_get(&be->stat.sw_segments), 0);
	net_close(be);
	loop_free(l);
}
END_TEST

/* --- loop --- */

START_TEST(loop_returns_frames_in_order_and_intact)
{
	static uint8_t buf[FRAME_BUF];
	struct loop *l = loop_new();
	struct net *be = open_probed(l, "loop");
	unsigned sent = 0, got = 0;
	struct prng r = { .s = 3 };

	/* Bursts of odd lengths, five times round the ring. */
	for (size_t total = 0; total < 5 << 20;) {
		for (unsigned i = prng_below(&r, 5); i; i--) {
			size_t len = 14 + (sent * 997u) % 60000;

			frame_plain(buf, len, station, sent++);
			ck_assert_int_eq(probe_send(&probe, &finished, buf, len), 0);
			total += len;
		}
		while (got < sent) {
			size_t len = 14 + (got * 997u) % 60000;

			frame_plain(buf, len, station, got++);
			ck_assert_int_eq(probe_recv(&probe, FRAME_BUF), (ssize_t)len);
			ck_assert_mem_eq(probe.buf, buf, len);
			ck_assert_mem_eq(&probe.hdr, &finished, sizeof(finished));
		}
	}
	ck_assert_int_eq(probe_recv(&probe, FRAME_BUF), 0);
	net_close(be);
	loop_free(l);
}
END_TEST

START_TEST(loop_is_readable_until_drained_or_disabled)
{
	uint8_t buf[64];
	struct loop *l = loop_new();
	struct net *be = open_probed(l, "loop");

	frame_plain(buf, sizeof(buf), station, 1);
	for (int i = 0; i < 3; i++)
		probe_send(&probe, &finished, buf, sizeof(buf));
	while (loop_once(l, 0))
		;
	ck_assert_uint_eq(probe.readable, 0); /* off at first */
	net_rx_enable(be, true);
	ck_assert_int_eq(loop_once(l, 0), 1);
	ck_assert_int_eq(loop_once(l, 0), 1);
	ck_assert_uint_eq(probe.readable, 2); /* nothing taken: asked again */
	net_rx_enable(be, false);
	while (loop_once(l, 0))
		;
	ck_assert_uint_eq(probe.readable, 2); /* although a wake-up was under way */
	net_rx_enable(be, true);
	probe.take = true;
	while (loop_once(l, 0))
		;
	ck_assert_uint_eq(probe.readable, 5);
	ck_assert_int_eq(probe_recv(&probe, FRAME_BUF), 0);
	/* a frame that comes while reception is on */
	probe_send(&probe, &finished, buf, sizeof(buf));
	ck_assert_int_eq(loop_once(l, 0), 1);
	ck_assert_uint_eq(probe.readable, 6);
	net_close(be);
	loop_free(l);
}
END_TEST

START_TEST(loop_when_full_says_again_and_then_writable)
{
	static uint8_t buf[60000];
	struct loop *l = loop_new();
	struct net *be = open_probed(l, "loop");
	int sent = 0, err;

	frame_plain(buf, sizeof(buf), station, 1);
	while (!(err = probe_send(&probe, &finished, buf, sizeof(buf))))
		ck_assert_int_lt(++sent, 1000);
	ck_assert_int_eq(err, -EAGAIN);
	ck_assert_int_gt(sent, 10);
	ck_assert_uint_eq(counter_get(&be->stat.tx_drops), 0);
	while (loop_once(l, 0))
		;
	ck_assert_uint_eq(probe.writable, 0); /* not before there is room */
	ck_assert_int_gt(probe_recv(&probe, FRAME_BUF), 0);
	while (loop_once(l, 0))
		;
	ck_assert_uint_eq(probe.writable, 1);
	ck_assert_int_gt(probe_recv(&probe, FRAME_BUF), 0);
	while (loop_once(l, 0))
		;
	ck_assert_uint_eq(probe.writable, 1); /* owed once */
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(probe_send(&probe, &finished, buf, sizeof(buf)), 0);
	ck_assert_int_eq(probe_send(&probe, &finished, buf, sizeof(buf)), -EAGAIN);
	for (int i = 0; i < sent; i++)
		ck_assert_int_eq(probe_recv(&probe, FRAME_BUF), sizeof(buf));
	ck_assert_int_eq(probe_recv(&probe, FRAME_BUF), 0);
	net_close(be);
	loop_free(l);
}
END_TEST

START_TEST(loop_hands_over_unfinished_frames_only_as_granted)
{
	static uint8_t buf[FRAME_BUF];
	struct loop *l = loop_new();
	struct net *be = open_probed(l, "loop");
	struct virtio_net_hdr h, plain;
	size_t len = frame_tso(buf, _i, TSO_FLAGS, 50000, &h);
	unsigned nr = frame_segments(len, &h);

	ck_assert_uint_eq(be->tx_offload, NET_OFF_ALL);
	ck_assert_uint_eq(net_set_rx_offload(be, NET_OFF_ALL), NET_OFF_ALL);
	ck_assert_int_eq(probe_send(&probe, &h, buf, len), 0);
	ck_assert_int_eq(probe_recv(&probe, FRAME_BUF), (ssize_t)len);
	ck_assert_mem_eq(&probe.hdr, &h, sizeof(h));
	ck_assert_mem_eq(probe.buf, buf, len);

	net_set_rx_offload(be, NET_OFF_CSUM);
	ck_assert_int_eq(probe_send(&probe, &h, buf, len), 0);
	for (unsigned i = 0; i < nr; i++) {
		ssize_t n = probe_recv(&probe, FRAME_BUF);

		ck_assert_int_gt(n, 0);
		ck_assert_pstr_eq(frame_segment_wrong(buf, len, &h, i, probe.buf, (size_t)n), NULL);
		ck_assert_mem_eq(&probe.hdr, &finished, sizeof(finished));
	}
	ck_assert_int_eq(probe_recv(&probe, FRAME_BUF), 0);
	ck_assert_uint_eq(counter_get(&be->stat.sw_segments), nr);

	len = frame_tso(buf, _i, TSO_FLAGS, 1000, &plain);
	plain.gso_type = plain.gso_size = 0;
	ck_assert_int_eq(probe_send(&probe, &plain, buf, len), 0);
	ck_assert_int_eq(probe_recv(&probe, FRAME_BUF), (ssize_t)len);
	ck_assert_mem_eq(&probe.hdr, &plain, sizeof(plain));
	net_set_rx_offload(be, 0);
	ck_assert_int_eq(probe_send(&probe, &plain, buf, len), 0);
	ck_assert_int_eq(probe_recv(&probe, FRAME_BUF), (ssize_t)len);
	ck_assert_pstr_eq(frame_ip_wrong(probe.buf, len), NULL);
	ck_assert_mem_eq(&probe.hdr, &finished, sizeof(finished));
	net_close(be);
	loop_free(l);
}
END_TEST

START_TEST(loop_loses_and_counts_what_the_receiver_cannot_take)
{
	static uint8_t buf[FRAME_BUF];
	struct loop *l = loop_new();
	struct net *be = open_probed(l, "loop");
	struct virtio_net_hdr h;
	struct iovec small = { probe.buf, 59 };
	size_t len = frame_tso(buf, false, TSO_FLAGS, 5000, &h);

	/* granted when sent, taken back before it is received */
	net_set_rx_offload(be, NET_OFF_ALL);
	ck_assert_int_eq(probe_send(&probe, &h, buf, len), 0);
	ck_assert_int_eq(probe_send(&probe, &finished, buf, 60), 0);
	ck_assert_int_eq(probe_send(&probe, &finished, buf, 59), 0);
	net_set_rx_offload(be, 0);
	ck_assert_int_eq(probe_recv(&probe, FRAME_BUF), -EMSGSIZE);
	/* one byte too long for its room; the next one fits */
	ck_assert_int_eq(net_recv(be, &h, &small, 1), -EMSGSIZE);
	ck_assert_int_eq(net_recv(be, &h, &small, 1), 59);
	ck_assert_uint_eq(counter_get(&be->stat.rx_drops), 2);
	net_close(be);
	loop_free(l);
}
END_TEST

START_TEST(loop_takes_whole_tso_frames_or_says_again)
{
	static uint8_t buf[FRAME_BUF];
	struct loop *l = loop_new();
	struct net *be = open_probed(l, "loop");
	struct virtio_net_hdr h;
	size_t len = frame_tso(buf, true, TSO_FLAGS, 60000, &h);
	unsigned nr = frame_segments(len, &h), frames = 0, got = 0;
	int err;

	while (!(err = probe_send(&probe, &h, buf, len)))
		frames++;
	ck_assert_int_eq(err, -EAGAIN);
	ck_assert_uint_eq(counter_get(&be->stat.tx_drops), 0);
	while (probe_recv(&probe, FRAME_BUF) > 0)
		got++;
	ck_assert_uint_eq(got, frames * nr);
	while (loop_once(l, 0))
		;
	ck_assert_uint_eq(probe.writable, 1);

	/* Segments of 8 bytes: their headers may be more than the ring has bytes. Let in
	 * when it is empty, never stuck. */
	h.gso_size = OFFLOAD_MSS_MIN;
	ck_assert_int_eq(probe_send(&probe, &h, buf, len), 0);
	ck_assert_int_eq(probe_send(&probe, &h, buf, len), -EAGAIN);
	ck_assert_uint_eq(counter_get(&be->stat.tx_drops), 0);
	net_close(be);
	loop_free(l);
}
END_TEST

static const struct test_entry tests[] = {
	T(null_swallows_everything_and_delivers_nothing),
	T(loop_returns_frames_in_order_and_intact),
	T(loop_is_readable_until_drained_or_disabled),
	T(loop_when_full_says_again_and_then_writable),
	TLOOP(loop_hands_over_unfinished_frames_only_as_granted, 0, 2),
	T(loop_loses_and_counts_what_the_receiver_cannot_take),
	T(loop_takes_whole_tso_frames_or_says_again),
};

CHECK_MAIN("net-loop", tests)
