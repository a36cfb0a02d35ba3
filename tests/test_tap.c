/* SPDX-License-Identifier: MIT */
/*
 * test_tap.c: the tap backend against a real tap, in a network namespace that each test
 * makes for itself. A packet socket on the tap plays the host: it sees what the guest
 * sends and sends what the guest is to receive. Skipped where that is not permitted.
 */
#include "devices/net/net.h"
#include "tests/check_main.h"
#include "tests/rig/frames.h"
#include "tests/rig/grab.h"
#include "tests/rig/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const uint8_t station[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };
static const struct virtio_net_hdr finished;

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

/* The guest's end, and the host's. */
static struct {
	struct loop *loop;
	struct net *be;
	int host; /* packet socket */
	unsigned readable, writable;
	struct virtio_net_hdr hdr;
	uint8_t buf[FRAME_BUF]; /* of the last frame received, at either end */
} t;

static void t_readable(void *nic)
{
	(void)nic;
	t.readable++;
}

static void t_writable(void *nic)
{
	(void)nic;
	t.writable++;
}

static void t_enter(void)
{
	ck_assert_pstr_eq(netns_enter(), NULL);
	memset(&t, 0, sizeof(t));
	t.loop = loop_new();
	t.host = -1;
}

static void t_open(const char *name)
{
	static const struct net_client client = { t_readable, t_writable, NULL };
	int err = 0;

	t.be = net_open(t.loop, "tap", name, &err);
	ck_assert_ptr_nonnull(t.be);
	net_attach(t.be, &client);
	netns_settle(name);
}

/* A tap that the host has prepared, up, and both ends of it open. */
static void t_start(int flags)
{
	t_enter();
	close(netns_tap("tap0", flags, -1));
	netns_up("tap0", true);
	t_open("tap0");
	t.host = netns_packet("tap0");
}

static void t_stop(void)
{
	net_close(t.be);
	if (t.host >= 0)
		close(t.host);
	loop_free(t.loop);
}

/* What opening says, exactly, and its error. */
static void t_refused(const char *name, int err, const char *message)
{
	struct grab g;
	int got = 0;

	grab_start(&g);
	ck_assert_ptr_null(net_open(t.loop, "tap", name, &got));
	ck_assert_str_eq(grab_stop(&g), message);
	ck_assert_int_eq(got, err);
}

static int guest_send(const struct virtio_net_hdr *h, void *p, size_t len)
{
	struct iovec iov[2] = { { p, 30 }, { (char *)p + 30, len - 30 } };

	return net_send(t.be, h, iov, 2);
}

/* Frames of the kernel's own making are passed over: ours carry this source address. */
static bool t_ours(const uint8_t *frame)
{
	static const uint8_t src[6] = { 0x02, 0, 0, 0xbe, 0xef, 0x01 };

	return !memcmp(frame + 6, src, 6);
}

static ssize_t guest_recv(size_t room)
{
	struct iovec iov[2] = { { t.buf, 40 }, { t.buf + 40, room - 40 } };
	ssize_t len;

	do
		len = net_recv(t.be, &t.hdr, iov, 2);
	while (len > 0 && !t_ours(t.buf));
	return len;
}

static void host_send(const struct virtio_net_hdr *h, void *p, size_t len)
{
	struct iovec iov[2] = { { (void *)h, sizeof(*h) }, { p, len } };

	ck_assert_int_eq(writev(t.host, iov, 2), (ssize_t)(sizeof(*h) + len));
}

/* The next frame of ours at the host's end; 0: none comes. */
static ssize_t host_recv(void)
{
	struct iovec iov[2] = { { &t.hdr, sizeof(t.hdr) }, { t.buf, sizeof(t.buf) } };
	struct pollfd p = { .fd = t.host, .events = POLLIN };
	ssize_t len;

	while (poll(&p, 1, 0) == 1) {
		len = readv(t.host, iov, 2) - (ssize_t)sizeof(t.hdr);
		if (len > 0 && t_ours(t.buf))
			return len;
	}
	return 0;
}

static size_t tso_frame(uint8_t *buf, bool v6, size_t payload, struct virtio_net_hdr *h)
{
	struct frame_ip f = { .v6 = v6, .partial = true, .payload = payload, .seed = 5 };
	size_t len;

	f.tcp_flags = TCP_ACK | TCP_PSH;
	memcpy(f.dst, station, 6);
	len = frame_ip(buf, &f, h);
	h->gso_type = v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
	h->gso_size = 1400;
	return len;
}

/* --- frames --- */

START_TEST(frames_go_out_with_one_call_each)
{
	uint8_t buf[1514];

	t_start(IFF_NO_PI | IFF_VNET_HDR);
	ck_assert_str_eq(t.be->name, "tap:tap0");
	ck_assert_uint_eq(t.be->tx_offload, NET_OFF_ALL);
	ck_assert(net_link_up(t.be));
	for (unsigned i = 0; i < 10; i++) {
		frame_plain(buf, 60 + i * 161, station, i);
		ck_assert_int_eq(guest_send(&finished, buf, 60 + i * 161), 0);
		ck_assert_int_eq(host_recv(), 60 + i * 161);
		ck_assert_mem_eq(t.buf, buf, 60 + i * 161);
	}
	ck_assert_int_eq(host_recv(), 0);
	ck_assert_uint_eq(counter_get(&t.be->stat.tx_calls), 10);
	ck_assert_uint_eq(counter_get(&t.be->stat.tx_drops), 0);
	t_stop();
}
END_TEST

START_TEST(tso_frame_goes_out_whole_with_one_call)
{
	static uint8_t buf[FRAME_BUF];
	struct virtio_net_hdr h;
	size_t len;

	t_start(IFF_NO_PI | IFF_VNET_HDR);
	len = tso_frame(buf, _i, 60000, &h);
	ck_assert_int_eq(guest_send(&h, buf, len), 0);
	ck_assert_int_eq(host_recv(), (ssize_t)len);
	ck_assert_mem_eq(t.buf, buf, len);
	ck_assert_int_eq(t.hdr.gso_type, h.gso_type);
	ck_assert_int_eq(t.hdr.gso_size, h.gso_size);
	ck_assert_int_eq(t.hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	ck_assert_int_eq(t.hdr.csum_start, h.csum_start);
	ck_assert_int_eq(t.hdr.csum_offset, h.csum_offset);
	ck_assert_uint_eq(counter_get(&t.be->stat.tx_calls), 1);
	ck_assert_uint_eq(counter_get(&t.be->stat.sw_segments), 0);
	t_stop();
}
END_TEST

START_TEST(frames_come_in_when_reception_is_on)
{
	uint8_t buf[1514];

	t_start(IFF_NO_PI | IFF_VNET_HDR);
	frame_plain(buf, sizeof(buf), station, 1);
	host_send(&finished, buf, sizeof(buf));
	while (loop_once(t.loop, 0))
		;
	ck_assert_uint_eq(t.readable, 0); /* off at first */
	net_rx_enable(t.be, true);
	loop_once(t.loop, 0);
	loop_once(t.loop, 0);
	ck_assert_uint_eq(t.readable, 2); /* level-triggered */
	net_rx_enable(t.be, false);
	loop_once(t.loop, 0);
	ck_assert_uint_eq(t.readable, 2);
	ck_assert_int_eq(guest_recv(sizeof(buf)), sizeof(buf));
	ck_assert_mem_eq(t.buf, buf, sizeof(buf));
	ck_assert_int_eq(t.hdr.gso_type, VIRTIO_NET_HDR_GSO_NONE);
	ck_assert_int_eq(t.hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, 0);
	ck_assert_int_eq(guest_recv(sizeof(buf)), 0);
	net_rx_enable(t.be, true);
	loop_once(t.loop, 0);
	ck_assert_uint_eq(t.readable, 2); /* drained */
	t_stop();
}
END_TEST

START_TEST(frame_too_long_for_its_room_is_counted_and_the_next_one_comes)
{
	uint8_t buf[1514];

	t_start(IFF_NO_PI | IFF_VNET_HDR);
	frame_plain(buf, sizeof(buf), station, 1);
	for (int i = 0; i < 2; i++)
		host_send(&finished, buf, sizeof(buf));
	ck_assert_int_eq(guest_recv(sizeof(buf) - 1), -EMSGSIZE);
	ck_assert_int_eq(guest_recv(sizeof(buf)), sizeof(buf));
	ck_assert_uint_eq(counter_get(&t.be->stat.rx_drops), 1);
	t_stop();
}
END_TEST

START_TEST(tso_frame_comes_in_whole_or_cut_as_granted)
{
	static uint8_t buf[FRAME_BUF];
	struct virtio_net_hdr h;
	size_t len;

	t_start(IFF_NO_PI | IFF_VNET_HDR);
	len = tso_frame(buf, _i, 50000, &h);
	ck_assert_uint_eq(net_set_rx_offload(t.be, NET_OFF_ALL), NET_OFF_ALL);
	host_send(&h, buf, len);
	ck_assert_int_eq(guest_recv(sizeof(t.buf)), (ssize_t)len);
	ck_assert_mem_eq(t.buf, buf, len);
	ck_assert_int_eq(t.hdr.gso_type, h.gso_type);
	ck_assert_int_eq(t.hdr.gso_size, h.gso_size);

	ck_assert_uint_eq(net_set_rx_offload(t.be, 0), 0);
	host_send(&h, buf, len);
	for (unsigned i = 0; i < frame_segments(len, &h); i++) {
		ssize_t n = guest_recv(sizeof(t.buf));

		ck_assert_int_gt(n, 0);
		ck_assert_int_eq(t.hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, 0);
		ck_assert_pstr_eq(frame_segment_wrong(buf, len, &h, i, t.buf, (size_t)n), NULL);
	}
	ck_assert_int_eq(guest_recv(sizeof(t.buf)), 0);
	t_stop();
}
END_TEST

START_TEST(frame_queued_before_an_offload_was_taken_back_is_counted_as_lost)
{
	static uint8_t buf[FRAME_BUF];
	struct virtio_net_hdr h;
	size_t len;

	t_start(IFF_NO_PI | IFF_VNET_HDR);
	len = tso_frame(buf, false, 20000, &h);
	net_set_rx_offload(t.be, NET_OFF_ALL);
	host_send(&h, buf, len);
	net_set_rx_offload(t.be, NET_OFF_CSUM);
	ck_assert_int_eq(guest_recv(sizeof(t.buf)), -EMSGSIZE);
	ck_assert_uint_eq(counter_get(&t.be->stat.rx_drops), 1);
	t_stop();
}
END_TEST

START_TEST(offloads_of_the_taps_last_user_are_forgotten)
{
	static uint8_t buf[FRAME_BUF];
	struct virtio_net_hdr h;
	ssize_t n;
	size_t len;

	t_start(IFF_NO_PI | IFF_VNET_HDR);
	net_set_rx_offload(t.be, NET_OFF_ALL);
	net_close(t.be);
	t_open("tap0");
	len = tso_frame(buf, false, 20000, &h);
	host_send(&h, buf, len);
	n = guest_recv(sizeof(t.buf));
	ck_assert_int_gt(n, 0);
	ck_assert_pstr_eq(frame_segment_wrong(buf, len, &h, 0, t.buf, (size_t)n), NULL);
	t_stop();
}
END_TEST

START_TEST(host_without_room_says_again_and_then_writable)
{
	uint8_t buf[60];

	t_start(IFF_NO_PI | IFF_VNET_HDR);
	frame_plain(buf, sizeof(buf), station, 1);
	writev_says_again = true;
	ck_assert_int_eq(guest_send(&finished, buf, sizeof(buf)), -EAGAIN);
	writev_says_again = false;
	ck_assert_uint_eq(t.writable, 0);
	ck_assert_int_eq(loop_once(t.loop, 0), 1);
	ck_assert_uint_eq(t.writable, 1);
	ck_assert_int_eq(loop_once(t.loop, 0), 0); /* once, not for ever */
	ck_assert_int_eq(guest_send(&finished, buf, sizeof(buf)), 0);
	ck_assert_int_eq(host_recv(), sizeof(buf));
	ck_assert_uint_eq(counter_get(&t.be->stat.tx_drops), 0);
	t_stop();
}
END_TEST

/* --- the interface --- */

START_TEST(mtu_is_the_interfaces)
{
	t_enter();
	close(netns_tap("tap0", IFF_NO_PI, -1));
	netns_mtu("tap0", 9000);
	netns_up("tap0", true);
	t_open("tap0");
	ck_assert_uint_eq(t.be->mtu, 9000);
	t_stop();
}
END_TEST

START_TEST(tap_made_without_vnet_hdr_or_with_queues_is_taken_as_it_should_be)
{
	static const int flags[] = { 0, IFF_NO_PI, IFF_NO_PI | IFF_MULTI_QUEUE,
				     IFF_VNET_HDR | IFF_MULTI_QUEUE };
	static uint8_t buf[FRAME_BUF];
	struct virtio_net_hdr h;
	struct grab g;
	size_t len;

	grab_start(&g);
	t_start(flags[_i]);
	ck_assert_str_eq(grab_stop(&g), "");
	ck_assert_uint_eq(t.be->tx_offload, NET_OFF_ALL);
	len = tso_frame(buf, false, 30000, &h);
	ck_assert_int_eq(guest_send(&h, buf, len), 0);
	ck_assert_int_eq(host_recv(), (ssize_t)len);
	ck_assert_mem_eq(t.buf, buf, len);
	t_stop();
}
END_TEST

START_TEST(shared_tap_without_vnet_hdr_works_in_software)
{
	static uint8_t buf[FRAME_BUF];
	struct virtio_net_hdr h;
	struct grab g;
	size_t len;
	int other;

	t_enter();
	other = netns_tap("tap0", IFF_NO_PI | IFF_MULTI_QUEUE, -1);
	netns_up("tap0", true);
	grab_start(&g);
	t_open("tap0");
	ck_assert_str_eq(grab_stop(&g),
			 "duet: warning: tap0: another process has it open without vnet_hdr, so "
			 "checksums and segments are made in software: give the guest a tap of its "
			 "own\n");
	t.host = netns_packet("tap0");
	ck_assert_uint_eq(t.be->tx_offload, 0);
	ck_assert_uint_eq(net_set_rx_offload(t.be, NET_OFF_ALL), 0);
	len = tso_frame(buf, false, 30000, &h);
	ck_assert_int_eq(guest_send(&h, buf, len), 0);
	for (unsigned i = 0; i < frame_segments(len, &h); i++) {
		ssize_t n = host_recv();

		ck_assert_int_gt(n, 0);
		ck_assert_pstr_eq(frame_segment_wrong(buf, len, &h, i, t.buf, (size_t)n), NULL);
	}
	/* With the other queue gone every frame is ours. */
	close(other);
	frame_plain(buf, 100, station, 1);
	host_send(&finished, buf, 100);
	ck_assert_int_eq(guest_recv(100), 100);
	ck_assert_mem_eq(t.buf, buf, 100);
	ck_assert_mem_eq(&t.hdr, &finished, sizeof(finished));
	host_send(&finished, buf, 100);
	ck_assert_int_eq(guest_recv(99), -EMSGSIZE);
	t_stop();
}
END_TEST

START_TEST(absent_tap_is_created_when_permitted_and_goes_again)
{
	struct grab g;

	t_enter();
	grab_start(&g);
	t_open("tap7");
	ck_assert_str_eq(grab_stop(&g), "duet: tap7: created; it goes when duet exits\n"
					"duet: warning: tap7 is down: ip link set tap7 up\n");
	ck_assert_uint_eq(t.be->tx_offload, NET_OFF_ALL);
	ck_assert(netns_exists("tap7"));
	t_stop();
	ck_assert(!netns_exists("tap7"));
}
END_TEST

START_TEST(prepared_tap_needs_no_privilege)
{
	uint8_t buf[60];

	t_enter();
	close(netns_tap("tap0", 0, (int)getuid()));
	netns_up("tap0", true);
	t.host = netns_packet("tap0");
	netns_cap(CAP_NET_ADMIN, false);
	t_open("tap0");
	ck_assert_uint_eq(t.be->tx_offload, NET_OFF_ALL);
	ck_assert_uint_eq(net_set_rx_offload(t.be, NET_OFF_ALL), NET_OFF_ALL);
	frame_plain(buf, sizeof(buf), station, 1);
	ck_assert_int_eq(guest_send(&finished, buf, sizeof(buf)), 0);
	ck_assert_int_eq(host_recv(), sizeof(buf));
	netns_cap(CAP_NET_ADMIN, true);
	t_stop();
}
END_TEST

START_TEST(tap_that_is_down_loses_frames_counts_them_and_says_so_once)
{
	uint8_t buf[60];
	struct grab g;

	t_enter();
	close(netns_tap("tap0", IFF_NO_PI, -1));
	grab_start(&g);
	t_open("tap0");
	ck_assert_str_eq(grab_stop(&g), "duet: warning: tap0 is down: ip link set tap0 up\n");
	frame_plain(buf, sizeof(buf), station, 1);
	grab_start(&g);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(guest_send(&finished, buf, sizeof(buf)), 0);
	ck_assert_str_eq(grab_stop(&g),
			 "duet: warning: tap0 is down, frames are lost: ip link set tap0 up\n");
	ck_assert_uint_eq(counter_get(&t.be->stat.tx_drops), 100);
	netns_up("tap0", true);
	netns_settle("tap0");
	t.host = netns_packet("tap0");
	ck_assert_int_eq(guest_send(&finished, buf, sizeof(buf)), 0);
	ck_assert_int_eq(host_recv(), sizeof(buf));
	ck_assert_uint_eq(counter_get(&t.be->stat.tx_drops), 100);
	t_stop();
}
END_TEST

START_TEST(tap_deleted_meanwhile_cuts_the_link_without_spinning)
{
	uint8_t buf[60];
	struct grab g;

	t_start(IFF_NO_PI);
	frame_plain(buf, sizeof(buf), station, 1);
	net_rx_enable(t.be, _i);
	netns_delete("tap0");
	grab_start(&g);
	net_rx_enable(t.be, true); /* without interest in frames epoll does not wake up */
	ck_assert_int_eq(loop_once(t.loop, 0), 1);
	ck_assert_int_eq(loop_once(t.loop, 0), 0);
	ck_assert_str_eq(grab_stop(&g), "duet: tap0 was deleted: the guest's network is cut off "
					"until duet is restarted\n");
	ck_assert(!net_link_up(t.be));
	ck_assert_uint_eq(t.readable, 0);
	grab_start(&g);
	ck_assert_int_eq(guest_send(&finished, buf, sizeof(buf)), 0);
	ck_assert_str_eq(grab_stop(&g), "duet: warning: tap0: frames are lost: "
					"File descriptor in bad state\n");
	ck_assert_uint_eq(counter_get(&t.be->stat.tx_drops), 1);
	ck_assert_int_eq(guest_recv(100), 0);
	net_rx_enable(t.be, false);
	net_rx_enable(t.be, true);
	ck_assert_int_eq(loop_once(t.loop, 0), 0);
	t_stop();
}
END_TEST

/* --- refusals --- */

START_TEST(impossible_names_are_refused)
{
	static const char *const names[] = {
		"", "sixteen-letters-", "a/b", "..", "tap 0", "tap%d", "a:1"
	};
	char message[200];

	t_enter();
	snprintf(message, sizeof(message),
		 "duet: \"%s\" cannot name a tap: 1 to 15 characters, no blank, '/', ':' or '%%'\n",
		 names[_i]);
	t_refused(names[_i], -EINVAL, message);
	t_refused(NULL, -EINVAL,
		  "duet: \"\" cannot name a tap: 1 to 15 characters, no blank, '/', ':' or '%'\n");
	loop_free(t.loop);
}
END_TEST

START_TEST(absent_tap_without_privilege_is_refused)
{
	t_enter();
	netns_cap(CAP_NET_ADMIN, false);
	t_refused("tap0", -EPERM,
		  "duet: tap0: no such interface, and creating it is not permitted: "
		  "ip tuntap add mode tap name tap0 user $USER\n");
	netns_cap(CAP_NET_ADMIN, true);
	loop_free(t.loop);
}
END_TEST

START_TEST(busy_tap_is_refused)
{
	int other;

	t_enter();
	other = netns_tap("tap0", IFF_NO_PI | IFF_VNET_HDR, -1);
	t_refused("tap0", -EBUSY,
		  "duet: tap0: another process has it open; each guest needs a tap of its own: "
		  "fuser -v /dev/net/tun\n");
	close(other);
	t_open("tap0");
	t_refused("tap0", -EBUSY,
		  "duet: tap0: another process has it open; each guest needs a tap of its own: "
		  "fuser -v /dev/net/tun\n");
	t_stop();
}
END_TEST

START_TEST(tap_of_another_user_is_refused)
{
	int fd;

	t_enter();
	/* Only one user is known in a user namespace of our own: then it is nobody's,
	 * and the test ends here. */
	fd = netns_tap("tap0", 0, (int)getuid() + 1000);
	if (fd >= 0) {
		close(fd);
		netns_cap(CAP_NET_ADMIN, false);
		t_refused("tap0", -EPERM,
			  "duet: tap0: belongs to another user or group: ip tuntap del mode tap "
			  "name tap0 && ip tuntap add mode tap name tap0 user $USER\n");
		netns_cap(CAP_NET_ADMIN, true);
	}
	loop_free(t.loop);
}
END_TEST

START_TEST(interface_that_is_no_tap_is_refused)
{
	t_enter();
	t_refused("lo", -EINVAL,
		  "duet: lo: exists but is not a tap: choose a free name, "
		  "ip tuntap add mode tap name NAME user $USER\n");
	loop_free(t.loop);
}
END_TEST

START_TEST(tun_device_absent_or_forbidden_is_told)
{
	t_enter();
	netns_hide_dev();
	t_refused("tap0", -ENOENT,
		  "duet: tap0: /dev/net/tun: No such file or directory: modprobe tun\n");
	close(open("/dev/net/tun", O_CREAT | O_WRONLY | O_CLOEXEC, 0));
	netns_cap(CAP_DAC_OVERRIDE, false);
	t_refused("tap0", -EACCES,
		  "duet: tap0: /dev/net/tun: Permission denied: chmod 666 /dev/net/tun\n");
	netns_cap(CAP_DAC_OVERRIDE, true);
	netns_show_dev();
	loop_free(t.loop);
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
	T(mtu_is_the_interfaces),
	TLOOP(tap_made_without_vnet_hdr_or_with_queues_is_taken_as_it_should_be, 0, 4),
	T(shared_tap_without_vnet_hdr_works_in_software),
	T(absent_tap_is_created_when_permitted_and_goes_again),
	T(prepared_tap_needs_no_privilege),
	T(tap_that_is_down_loses_frames_counts_them_and_says_so_once),
	TLOOP(tap_deleted_meanwhile_cuts_the_link_without_spinning, 0, 2),
	TLOOP(impossible_names_are_refused, 0, 7),
	T(absent_tap_without_privilege_is_refused),
	T(busy_tap_is_refused),
	T(tap_of_another_user_is_refused),
	T(interface_that_is_no_tap_is_refused),
	T(tun_device_absent_or_forbidden_is_told),
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
