/* SPDX-License-Identifier: MIT */
/*
 * test_tap_open.c: what may be the matter with a tap, before and after it is opened, and
 * what is said about it, word for word. Skipped like test_tap.c.
 */
#include "tests/check_main.h"
#include "tests/rig/grab.h"
#include "tests/rig/netns.h"
#include "tests/rig/tap_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const uint8_t station[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };
static const struct virtio_net_hdr finished;

static struct tap_rig t;

/* What opening says, exactly, and its error. */
static void refused(const char *name, int err, const char *message)
{
	struct grab g;
	int got = 0;

	grab_start(&g);
	ck_assert_ptr_null(net_open(t.loop, "tap", name, &got));
	ck_assert_str_eq(grab_stop(&g), message);
	ck_assert_int_eq(got, err);
}

/* --- the interface --- */

START_TEST(mtu_is_the_interfaces)
{
	tap_rig_enter(&t);
	close(netns_tap("tap0", IFF_NO_PI, -1));
	netns_mtu("tap0", 9000);
	netns_up("tap0", true);
	tap_rig_open(&t, "tap0");
	ck_assert_uint_eq(t.guest.be->mtu, 9000);
	tap_rig_stop(&t);
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
	tap_rig_start(&t, flags[_i]);
	ck_assert_str_eq(grab_stop(&g), "");
	ck_assert_uint_eq(t.guest.be->tx_offload, NET_OFF_ALL);
	len = frame_tso(buf, false, TCP_ACK | TCP_PSH, 30000, &h);
	ck_assert_int_eq(probe_send(&t.guest, &h, buf, len), 0);
	ck_assert_int_eq(tap_rig_host_recv(&t), (ssize_t)len);
	ck_assert_mem_eq(t.buf, buf, len);
	tap_rig_stop(&t);
}
END_TEST

START_TEST(shared_tap_without_vnet_hdr_works_in_software)
{
	static uint8_t buf[FRAME_BUF];
	struct virtio_net_hdr h;
	struct grab g;
	size_t len;
	int other;

	tap_rig_enter(&t);
	other = netns_tap("tap0", IFF_NO_PI | IFF_MULTI_QUEUE, -1);
	netns_up("tap0", true);
	grab_start(&g);
	tap_rig_open(&t, "tap0");
	ck_assert_str_eq(grab_stop(&g),
			 "duet: warning: tap0: another process has it open without vnet_hdr, so "
			 "checksums and segments are made in software: give the guest a tap of its "
			 "own\n");
	t.host = netns_packet("tap0");
	ck_assert_uint_eq(t.guest.be->tx_offload, 0);
	ck_assert_uint_eq(net_set_rx_offload(t.guest.be, NET_OFF_ALL), 0);
	grab_start(&g);
	ck_assert_int_eq(net_lend(t.guest.be, 12), -EOPNOTSUPP);
	ck_assert_str_eq(grab_stop(&g),
			 "duet: tap0: without vnet_hdr the host's kernel cannot serve it: "
			 "attach it with IFF_VNET_HDR, or leave out vhost=on\n");
	len = frame_tso(buf, false, TCP_ACK | TCP_PSH, 30000, &h);
	ck_assert_int_eq(probe_send(&t.guest, &h, buf, len), 0);
	for (unsigned i = 0; i < frame_segments(len, &h); i++) {
		ssize_t n = tap_rig_host_recv(&t);

		ck_assert_int_gt(n, 0);
		ck_assert_pstr_eq(frame_segment_wrong(buf, len, &h, i, t.buf, (size_t)n), NULL);
	}
	/* With the other queue gone every frame is ours. */
	close(other);
	frame_plain(buf, 100, station, 1);
	tap_rig_host_send(&t, &finished, buf, 100);
	ck_assert_int_eq(tap_rig_guest_recv(&t, 100), 100);
	ck_assert_mem_eq(t.guest.buf, buf, 100);
	ck_assert_mem_eq(&t.guest.hdr, &finished, sizeof(finished));
	tap_rig_host_send(&t, &finished, buf, 100);
	ck_assert_int_eq(tap_rig_guest_recv(&t, 99), -EMSGSIZE);
	tap_rig_stop(&t);
}
END_TEST

START_TEST(lent_tap_has_headers_of_the_length_asked_for)
{
	int fd, size = 0;

	tap_rig_start(&t, IFF_NO_PI | IFF_VNET_HDR);
	fd = net_lend(t.guest.be, 12);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ioctl(fd, TUNGETVNETHDRSZ, &size), 0);
	ck_assert_int_eq(size, 12);
	tap_rig_stop(&t);
}
END_TEST

START_TEST(absent_tap_is_created_when_permitted_and_goes_again)
{
	struct grab g;

	tap_rig_enter(&t);
	grab_start(&g);
	tap_rig_open(&t, "tap7");
	ck_assert_str_eq(grab_stop(&g), "duet: tap7: created; it goes when duet exits\n"
					"duet: warning: tap7 is down: ip link set tap7 up\n");
	ck_assert_uint_eq(t.guest.be->tx_offload, NET_OFF_ALL);
	ck_assert(netns_exists("tap7"));
	tap_rig_stop(&t);
	ck_assert(!netns_exists("tap7"));
}
END_TEST

START_TEST(prepared_tap_needs_no_privilege)
{
	uint8_t buf[60];

	tap_rig_enter(&t);
	close(netns_tap("tap0", 0, (int)getuid()));
	netns_up("tap0", true);
	t.host = netns_packet("tap0");
	netns_cap(CAP_NET_ADMIN, false);
	tap_rig_open(&t, "tap0");
	ck_assert_uint_eq(t.guest.be->tx_offload, NET_OFF_ALL);
	ck_assert_uint_eq(net_set_rx_offload(t.guest.be, NET_OFF_ALL), NET_OFF_ALL);
	frame_plain(buf, sizeof(buf), station, 1);
	ck_assert_int_eq(probe_send(&t.guest, &finished, buf, sizeof(buf)), 0);
	ck_assert_int_eq(tap_rig_host_recv(&t), sizeof(buf));
	netns_cap(CAP_NET_ADMIN, true);
	tap_rig_stop(&t);
}
END_TEST

START_TEST(tap_that_is_down_loses_frames_counts_them_and_says_so_once)
{
	uint8_t buf[60];
	struct grab g;

	tap_rig_enter(&t);
	close(netns_tap("tap0", IFF_NO_PI, -1));
	grab_start(&g);
	tap_rig_open(&t, "tap0");
	ck_assert_str_eq(grab_stop(&g), "duet: warning: tap0 is down: ip link set tap0 up\n");
	frame_plain(buf, sizeof(buf), station, 1);
	grab_start(&g);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(probe_send(&t.guest, &finished, buf, sizeof(buf)), 0);
	ck_assert_str_eq(grab_stop(&g),
			 "duet: warning: tap0 is down, frames are lost: ip link set tap0 up\n");
	ck_assert_uint_eq(counter_get(&t.guest.be->stat.tx_drops), 100);
	netns_up("tap0", true);
	netns_settle("tap0");
	t.host = netns_packet("tap0");
	ck_assert_int_eq(probe_send(&t.guest, &finished, buf, sizeof(buf)), 0);
	ck_assert_int_eq(tap_rig_host_recv(&t), sizeof(buf));
	ck_assert_uint_eq(counter_get(&t.guest.be->stat.tx_drops), 100);
	tap_rig_stop(&t);
}
END_TEST

START_TEST(tap_deleted_meanwhile_cuts_the_link_without_spinning)
{
	uint8_t buf[60];
	struct grab g;

	tap_rig_start(&t, IFF_NO_PI);
	frame_plain(buf, sizeof(buf), station, 1);
	net_rx_enable(t.guest.be, _i);
	netns_delete("tap0");
	grab_start(&g);
	net_rx_enable(t.guest.be, true); /* without interest in frames epoll does not wake up */
	ck_assert_int_eq(loop_once(t.loop, 0), 1);
	ck_assert_int_eq(loop_once(t.loop, 0), 0);
	ck_assert_str_eq(grab_stop(&g), "duet: tap0 was deleted: the guest has no network "
					"until duet is restarted\n");
	ck_assert(!net_link_up(t.guest.be));
	ck_assert_uint_eq(t.guest.readable, 0);
	grab_start(&g);
	ck_assert_int_eq(probe_send(&t.guest, &finished, buf, sizeof(buf)), 0);
	ck_assert_str_eq(grab_stop(&g), ""); /* that was said */
	ck_assert_uint_eq(counter_get(&t.guest.be->stat.tx_drops), 1);
	ck_assert_int_eq(tap_rig_guest_recv(&t, 100), 0);
	net_rx_enable(t.guest.be, false);
	net_rx_enable(t.guest.be, true);
	ck_assert_int_eq(loop_once(t.loop, 0), 0);
	tap_rig_stop(&t);
}
END_TEST

/* --- refusals --- */

START_TEST(impossible_names_are_refused)
{
	static const char *const names[] = {
		"", "sixteen-letters-", "a/b", "..", "tap 0", "tap%d", "a:1"
	};
	char message[200];

	tap_rig_enter(&t);
	snprintf(message, sizeof(message),
		 "duet: \"%s\" cannot name a tap: 1 to 15 characters, no blank, '/', ':' or '%%'\n",
		 names[_i]);
	refused(names[_i], -EINVAL, message);
	refused(NULL, -EINVAL,
		"duet: \"\" cannot name a tap: 1 to 15 characters, no blank, '/', ':' or '%'\n");
	loop_free(t.loop);
}
END_TEST

START_TEST(absent_tap_without_privilege_is_refused)
{
	tap_rig_enter(&t);
	netns_cap(CAP_NET_ADMIN, false);
	refused("tap0", -EPERM,
		"duet: tap0: no such interface, and creating it is not permitted: "
		"ip tuntap add mode tap name tap0 user $USER\n");
	netns_cap(CAP_NET_ADMIN, true);
	loop_free(t.loop);
}
END_TEST

START_TEST(busy_tap_is_refused)
{
	int other;

	tap_rig_enter(&t);
	other = netns_tap("tap0", IFF_NO_PI | IFF_VNET_HDR, -1);
	refused("tap0", -EBUSY,
		"duet: tap0: another process has it open; each guest needs a tap of its own: "
		"fuser -v /dev/net/tun\n");
	close(other);
	tap_rig_open(&t, "tap0");
	refused("tap0", -EBUSY,
		"duet: tap0: another process has it open; each guest needs a tap of its own: "
		"fuser -v /dev/net/tun\n");
	tap_rig_stop(&t);
}
END_TEST

START_TEST(tap_of_another_user_is_refused)
{
	int fd;

	tap_rig_enter(&t);
	/* Only one user is known in a user namespace of our own: then it is nobody's,
	 * and the test ends here. */
	fd = netns_tap("tap0", 0, (int)getuid() + 1000);
	if (fd >= 0) {
		close(fd);
		netns_cap(CAP_NET_ADMIN, false);
		refused("tap0", -EPERM,
			"duet: tap0: belongs to another user or group: ip tuntap del mode tap "
			"name tap0 && ip tuntap add mode tap name tap0 user $USER\n");
		netns_cap(CAP_NET_ADMIN, true);
	}
	loop_free(t.loop);
}
END_TEST

START_TEST(interface_that_is_no_tap_is_refused)
{
	tap_rig_enter(&t);
	refused("lo", -EINVAL,
		"duet: lo: exists but is not a tap: choose a free name, "
		"ip tuntap add mode tap name NAME user $USER\n");
	loop_free(t.loop);
}
END_TEST

START_TEST(tun_device_absent_or_forbidden_is_told)
{
	tap_rig_enter(&t);
	netns_hide_dev();
	refused("tap0", -ENOENT,
		"duet: tap0: /dev/net/tun: No such file or directory: modprobe tun\n");
	close(open("/dev/net/tun", O_CREAT | O_WRONLY | O_CLOEXEC, 0));
	netns_cap(CAP_DAC_OVERRIDE, false);
	refused("tap0", -EACCES,
		"duet: tap0: /dev/net/tun: Permission denied: chmod 666 /dev/net/tun\n");
	netns_cap(CAP_DAC_OVERRIDE, true);
	netns_show_dev();
	loop_free(t.loop);
}
END_TEST

static const struct test_entry tests[] = {
	T(mtu_is_the_interfaces),
	TLOOP(tap_made_without_vnet_hdr_or_with_queues_is_taken_as_it_should_be, 0, 4),
	T(shared_tap_without_vnet_hdr_works_in_software),
	T(lent_tap_has_headers_of_the_length_asked_for),
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
	return check_main("tap-open", tests, ARRAY_SIZE(tests));
}
