/* SPDX-License-Identifier: MIT */
/*
 * test_tap.c: frames through a real tap, in a network namespace that each test makes for
 * itself. Skipped where that is not permitted. Opening a tap: test_tap_open.c.
 */
#include "tests/check_main.h"
#include "tests/rig/netns.h"
#include "tests/rig/tap_rig.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The host's "no room": rare, and not to be had on demand. */
static bool writev_says_again;

ssize_t writev(int fd, const struct iovec *iov, int cnt)
{
	if (writev_says_again) {
		errno = EAGAIN;
		return -1;
	}
	return syscall(SYS_writev, fd, iov, cnt);
}

static const uint8_t station[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };
static const struct virtio_net_hdr finished;

static struct tap_rig t;

START_TEST(frames_go_out_with_one_call_each)
{
	uint8_t buf[1514];

	tap_rig_start(&t, IFF_NO_PI | IFF_VNET_HDR);
	ck_assert_str_eq(t.guest.be->name, "tap:tap0");
	ck_assert_uint_eq(t.guest.be->tx_offload, NET_OFF_ALL);
	ck_assert(net_link_up(t.guest.be));
	for (unsigned i = 0; i < 10; i++) {
		frame_plain(buf, 60 + i * 161, station, i);
		ck_assert_int_eq(probe_send(&t.guest, &finished, buf, 60 + i * 161), 0);
		ck_assert_int_eq(tap_rig_host_recv(&t), 60 + i * 161);
		ck_assert_mem_eq(t.buf, buf, 60 + i * 161);
	}
	ck_assert_int_eq(tap_rig_host_recv(&t), 0);
	ck_assert_uint_eq(counter_get(&t.guest.be->stat.tx_calls), 10);
	ck_assert_uint_eq(counter_get(&t.guest.be->stat.tx_drops), 0);
	tap_rig_stop(&t);
}
END_TEST

START_TEST(tso_frame_goes_out_whole_with_one_call)
{
	static uint8_t buf[FRAME_BUF];
	struct virtio_net_hdr h;
	size_t len;

	tap_rig_start(&t, IFF_NO_PI | IFF_VNET_HDR);
	len = frame_tso(buf, _i, TCP_ACK | TCP_PSH, 60000, &h);
	ck_assert_int_eq(probe_send(&t.guest, &h, buf, len), 0);
	ck_assert_int_eq(tap_rig_host_recv(&t), (ssize_t)len);
	ck_assert_mem_eq(t.buf, buf, len);
	ck_assert_int_eq(t.hdr.gso_type, h.gso_type);
	ck_assert_int_eq(t.hdr.gso_size, h.gso_size);
	ck_assert_int_eq(t.hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	ck_assert_int_eq(t.hdr.csum_start, h.csum_start);
	ck_assert_int_eq(t.hdr.csum_offset, h.csum_offset);
	ck_assert_uint_eq(counter_get(&t.guest.be->stat.tx_calls), 1);
	ck_assert_uint_eq(counter_get(&t.guest.be->stat.sw_segments), 0);
	tap_rig_stop(&t);
}
END_TEST

START_TEST(frames_come_in_when_reception_is_on)
{
	uint8_t buf[1514];

	tap_rig_start(&t, IFF_NO_PI | IFF_VNET_HDR);
	frame_plain(buf, sizeof(buf), station, 1);
	tap_rig_host_send(&t, &finished, buf, sizeof(buf));
	while (loop_once(t.loop, 0))
		;
	ck_assert_uint_eq(t.guest.readable, 0); /* off at first */
	net_rx_enable(t.guest.be, true);
	loop_once(t.loop, 0);
	loop_once(t.loop, 0);
	ck_assert_uint_eq(t.guest.readable, 2); /* level-triggered */
	net_rx_enable(t.guest.be, false);
	loop_once(t.loop, 0);
	ck_assert_uint_eq(t.guest.readable, 2);
	ck_assert_int_eq(tap_rig_guest_recv(&t, sizeof(buf)), sizeof(buf));
	ck_assert_mem_eq(t.guest.buf, buf, sizeof(buf));
	ck_assert_int_eq(t.guest.hdr.gso_type, VIRTIO_NET_HDR_GSO_NONE);
	ck_assert_int_eq(t.guest.hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, 0);
	ck_assert_int_eq(tap_rig_guest_recv(&t, sizeof(buf)), 0);
	net_rx_enable(t.guest.be, true);
	loop_once(t.loop, 0);
	ck_assert_uint_eq(t.guest.readable, 2); /* drained */
	tap_rig_stop(&t);
}
END_TEST

START_TEST(frame_too_long_for_its_room_is_counted_and_the_next_one_comes)
{
	uint8_t buf[1514];

	tap_rig_start(&t, IFF_NO_PI | IFF_VNET_HDR);
	frame_plain(buf, sizeof(buf), station, 1);
	for (int i = 0; i < 2; i++)
		tap_rig_host_send(&t, &finished, buf, sizeof(buf));
	ck_assert_int_eq(tap_rig_guest_recv(&t, sizeof(buf) - 1), -EMSGSIZE);
	ck_assert_int_eq(tap_rig_guest_recv(&t, sizeof(buf)), sizeof(buf));
	ck_assert_uint_eq(counter_get(&t.guest.be->stat.rx_drops), 1);
	tap_rig_stop(&t);
}
END_TEST

START_TEST(tso_frame_comes_in_whole_or_cut_as_granted)
{
	static uint8_t buf[FRAME_BUF];
	struct virtio_net_hdr h;
	size_t len;

	tap_rig_start(&t, IFF_NO_PI | IFF_VNET_HDR);
	len = frame_tso(buf, _i, TCP_ACK | TCP_PSH, 50000, &h);
	ck_assert_uint_eq(net_set_rx_offload(t.guest.be, NET_OFF_ALL), NET_OFF_ALL);
	tap_rig_host_send(&t, &h, buf, len);
	ck_assert_int_eq(tap_rig_guest_recv(&t, sizeof(t.guest.buf)), (ssize_t)len);
	ck_assert_mem_eq(t.guest.buf, buf, len);
	ck_assert_int_eq(t.guest.hdr.gso_type, h.gso_type);
	ck_assert_int_eq(t.guest.hdr.gso_size, h.gso_size);

	ck_assert_uint_eq(net_set_rx_offload(t.guest.be, 0), 0);
	tap_rig_host_send(&t, &h, buf, len);
	for (unsigned i = 0; i < frame_segments(len, &h); i++) {
		ssize_t n = tap_rig_guest_recv(&t, sizeof(t.guest.buf));

		ck_assert_int_gt(n, 0);
		ck_assert_int_eq(t.guest.hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, 0);
		ck_assert_pstr_eq(frame_segment_wrong(buf, len, &h, i, t.guest.buf, (size_t)n),
				  NULL);
	}
	ck_assert_int_eq(tap_rig_guest_recv(&t, sizeof(t.guest.buf)), 0);
	tap_rig_stop(&t);
}
END_TEST

START_TEST(frame_queued_before_an_offload_was_taken_back_is_counted_as_lost)
{
	static uint8_t buf[FRAME_BUF];
	struct virtio_net_hdr h;
	size_t len;

	tap_rig_start(&t, IFF_NO_PI | IFF_VNET_HDR);
	len = frame_tso(buf, false, TCP_ACK | TCP_PSH, 20000, &h);
	net_set_rx_offload(t.guest.be, NET_OFF_ALL);
	tap_rig_host_send(&t, &h, buf, len);
	net_set_rx_offload(t.guest.be, NET_OFF_CSUM);
	ck_assert_int_eq(tap_rig_guest_recv(&t, sizeof(t.guest.buf)), -EMSGSIZE);
	ck_assert_uint_eq(counter_get(&t.guest.be->stat.rx_drops), 1);
	tap_rig_stop(&t);
}
END_TEST

START_TEST(offloads_of_the_taps_last_user_are_forgotten)
{
	static uint8_t buf[FRAME_BUF];
	struct virtio_net_hdr h;
	ssize_t n;
	size_t len;

	tap_rig_start(&t, IFF_NO_PI | IFF_VNET_HDR);
	net_set_rx_offload(t.guest.be, NET_OFF_ALL);
	net_close(t.guest.be);
	tap_rig_open(&t, "tap0");
	len = frame_tso(buf, false, TCP_ACK | TCP_PSH, 20000, &h);
	tap_rig_host_send(&t, &h, buf, len);
	n = tap_rig_guest_recv(&t, sizeof(t.guest.buf));
	ck_assert_int_gt(n, 0);
	ck_assert_pstr_eq(frame_segment_wrong(buf, len, &h, 0, t.guest.buf, (size_t)n), NULL);
	tap_rig_stop(&t);
}
END_TEST

/* A tap that has refused this frame, and has room again. */
static void start_refused(uint8_t buf[60])
{
	tap_rig_start(&t, IFF_NO_PI | IFF_VNET_HDR);
	frame_plain(buf, 60, station, 1);
	writev_says_again = true;
	ck_assert_int_eq(probe_send(&t.guest, &finished, buf, 60), -EAGAIN);
	writev_says_again = false;
}

START_TEST(host_without_room_says_again_and_then_writable)
{
	uint8_t buf[60];

	start_refused(buf);
	ck_assert_uint_eq(t.guest.writable, 0);
	ck_assert_int_eq(loop_once(t.loop, 0), 1);
	ck_assert_uint_eq(t.guest.writable, 1);
	ck_assert_int_eq(loop_once(t.loop, 0), 0); /* once, not for ever */
	ck_assert_int_eq(probe_send(&t.guest, &finished, buf, sizeof(buf)), 0);
	ck_assert_int_eq(tap_rig_host_recv(&t), sizeof(buf));
	ck_assert_uint_eq(counter_get(&t.guest.be->stat.tx_drops), 0);
	tap_rig_stop(&t);
}
END_TEST

START_TEST(tap_that_is_deleted_takes_the_link_down_and_holds_nobody_up)
{
	uint8_t buf[60];

	start_refused(buf);
	netns_delete("tap0");
	ck_assert_int_eq(loop_once(t.loop, 1000), 1);
	ck_assert_uint_eq(t.guest.links, 1);
	ck_assert(!net_link_up(t.guest.be));
	ck_assert_uint_eq(t.guest.writable, 1);    /* who waited for room need not any more */
	ck_assert_int_eq(loop_once(t.loop, 0), 0); /* said once */
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(probe_send(&t.guest, &finished, buf, sizeof(buf)), 0);
	ck_assert_uint_eq(counter_get(&t.guest.be->stat.tx_drops), 3);
	ck_assert_uint_eq(counter_get(&t.guest.be->stat.tx_calls), 1);
	tap_rig_stop(&t);
}
END_TEST

static const struct test_entry tests[] = {
	T(frames_go_out_with_one_call_each),
	TLOOP(tso_frame_goes_out_whole_with_one_call, 0, 2),
	T(frames_come_in_when_reception_is_on),
	T(frame_too_long_for_its_room_is_counted_and_the_next_one_comes),
	TLOOP(tso_frame_comes_in_whole_or_cut_as_granted, 0, 2),
	T(frame_queued_before_an_offload_was_taken_back_is_counted_as_lost),
	T(offloads_of_the_taps_last_user_are_forgotten),
	T(host_without_room_says_again_and_then_writable),
	T(tap_that_is_deleted_takes_the_link_down_and_holds_nobody_up),
};

int main(void)
{
	const char *why = netns_tap_unavailable();

	if (why) {
		puts(why);
		return 77; /* tests/run.sh: skipped */
	}
	return check_main("tap", tests, ARRAY_SIZE(tests));
}
