/* SPDX-License-Identifier: MIT */
/* test_tap_fd.c: a tap handed over by descriptor, and what else one may hand over.
 * Skipped like test_tap.c. */
#include "tests/check_main.h"
#include "tests/rig/grab.h"
#include "tests/rig/netns.h"
#include "tests/rig/tap_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const uint8_t station[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };
static const struct virtio_net_hdr finished;

static struct tap_rig t;

static struct net *hand_over(int fd, int *err)
{
	char arg[16];

	snprintf(arg, sizeof(arg), "%d", fd);
	return net_open(t.loop, "fd", arg, err);
}

/* tap0 with these flags and up, open in the backend. */
static void start(int flags)
{
	int err = 0, fd;
	struct net *be;

	tap_rig_enter(&t);
	fd = netns_tap("tap0", flags, -1);
	netns_up("tap0", true);
	be = hand_over(fd, &err);
	ck_assert_ptr_nonnull(be);
	ck_assert_int_eq(err, 0);
	ck_assert_str_eq(be->name, "tap:tap0");
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	probe_attach(&t.guest, be);
	t.host = netns_packet("tap0");
}

START_TEST(tap_is_taken_over_with_all_offloads)
{
	static uint8_t buf[FRAME_BUF];
	struct virtio_net_hdr h;
	size_t len;

	start(IFF_NO_PI | IFF_VNET_HDR);
	ck_assert_uint_eq(t.guest.be->tx_offload, NET_OFF_ALL);
	ck_assert_uint_eq(t.guest.be->mtu, 1500);
	len = frame_tso(buf, _i, TCP_ACK | TCP_PSH, 50000, &h);
	ck_assert_int_eq(probe_send(&t.guest, &h, buf, len), 0);
	ck_assert_int_eq(tap_rig_host_recv(&t), (ssize_t)len);
	ck_assert_mem_eq(t.buf, buf, len);
	ck_assert_uint_eq(net_set_rx_offload(t.guest.be, NET_OFF_ALL), NET_OFF_ALL);
	tap_rig_host_send(&t, &h, buf, len);
	ck_assert_int_eq(tap_rig_guest_recv(&t, FRAME_BUF), (ssize_t)len);
	ck_assert_mem_eq(t.guest.buf, buf, len);
	tap_rig_stop(&t);
}
END_TEST

START_TEST(tap_without_vnet_hdr_works_in_software)
{
	static uint8_t buf[FRAME_BUF];
	struct virtio_net_hdr h;
	struct grab g;
	size_t len;

	grab_start(&g);
	start(IFF_NO_PI);
	ck_assert_str_eq(
		grab_stop(&g),
		"duet: warning: tap0: handed over without vnet_hdr, so checksums and segments "
		"are made in software: attach it with IFF_VNET_HDR\n");
	ck_assert_uint_eq(t.guest.be->tx_offload, 0);
	len = frame_tso(buf, false, TCP_ACK | TCP_PSH, 30000, &h);
	ck_assert_int_eq(probe_send(&t.guest, &h, buf, len), 0);
	for (unsigned i = 0; i < frame_segments(len, &h); i++) {
		ssize_t n = tap_rig_host_recv(&t);

		ck_assert_int_gt(n, 0);
		ck_assert_pstr_eq(frame_segment_wrong(buf, len, &h, i, t.buf, (size_t)n), NULL);
	}
	frame_plain(buf, 100, station, 1);
	tap_rig_host_send(&t, &finished, buf, 100);
	ck_assert_int_eq(tap_rig_guest_recv(&t, 100), 100);
	tap_rig_stop(&t);
}
END_TEST

/* Handing this over says exactly that, with %d for the number, and leaves it open. */
static void refused(int fd, int err, const char *says)
{
	char want[256], text[256];
	struct grab g;
	int got = 0;

	snprintf(want, sizeof(want), "duet: fd=%%d: %s\n", says);
	snprintf(text, sizeof(text), want, fd);
	grab_start(&g);
	ck_assert_ptr_null(hand_over(fd, &got));
	ck_assert_str_eq(grab_stop(&g), text);
	ck_assert_int_eq(got, err);
}

START_TEST(what_is_no_tap_is_refused)
{
	struct ifreq tun = { .ifr_name = "tun0", .ifr_flags = IFF_TUN | IFF_NO_PI };
	int fd;

	tap_rig_enter(&t);
	fd = open("/dev/net/tun", O_RDWR);
	refused(fd, -EBADFD, "no interface is attached to it: TUNSETIFF comes first");
	ck_assert_int_eq(ioctl(fd, TUNSETIFF, &tun), 0);
	refused(fd, -EINVAL, "tun0 is a tun, which has no Ethernet: hand over a tap");
	ck_assert_int_eq(close(fd), 0);
	refused(99, -EBADF, "no such descriptor is open: hand over one that is attached to a tap");
	fd = open("/dev/null", O_RDWR);
	refused(fd, -ENOTTY, "not a tap's: open /dev/net/tun and attach it");
	ck_assert_int_eq(close(fd), 0);
	tun = (struct ifreq){ .ifr_name = "tap1", .ifr_flags = IFF_TAP | IFF_NO_PI };
	fd = open("/dev/net/tun", O_RDONLY);
	ck_assert_int_eq(ioctl(fd, TUNSETIFF, &tun), 0);
	refused(fd, -EACCES, "open one way only: open /dev/net/tun for reading and writing");
	ck_assert_int_eq(close(fd), 0);
	loop_free(t.loop);
}
END_TEST

static const struct test_entry tests[] = {
	TLOOP(tap_is_taken_over_with_all_offloads, 0, 2),
	T(tap_without_vnet_hdr_works_in_software),
	T(what_is_no_tap_is_refused),
};

int main(void)
{
	const char *why = netns_tap_unavailable();

	if (why) {
		printf("%s\n", why);
		return 77; /* tests/run.sh: skipped */
	}
	return check_main("tap-fd", tests, ARRAY_SIZE(tests));
}
