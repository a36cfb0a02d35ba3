/* SPDX-License-Identifier: MIT */
/*
 * test_stream_padding.c: what a driver puts behind a packet to make the frame long enough for a
 * wire does not go over a stream, and nothing else is left out.
 */
#include "devices/net/backend.h"
#include "tests/check_main.h"
#include "tests/rig/net_rig.h"

#include <linux/if_ether.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define IPV4_LEN 2 /* where a packet's header has its length */
#define IPV6_LEN 4

static struct loop *l;
static struct net *be;
static struct probe probe;
static int peer;

static void start(void)
{
	struct stream_config c = { .listen_fd = -1, .name = "stream", .lost = "lost" };
	int fd[2], err;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	l = loop_new();
	c.fd = fd[0];
	peer = fd[1];
	be = stream_new(l, &c, &err);
	ck_assert_ptr_nonnull(be);
	probe_attach(&probe, be);
}

static void leave(void)
{
	net_close(be);
	loop_free(l);
	close(peer);
}

/* How much of the frame arrives; that much must be right. */
static size_t arrives_of(uint8_t *frame, size_t len)
{
	static const struct virtio_net_hdr finished;
	uint8_t got[4 + 60];
	ssize_t n;

	ck_assert_int_eq(probe_send(&probe, &finished, frame, len), 0);
	n = recv(peer, got, sizeof(got), MSG_DONTWAIT);
	ck_assert_int_ge(n, 4);
	ck_assert_uint_eq(frame_get32(got), (uint32_t)n - 4);
	ck_assert_mem_eq(got + 4, frame, (size_t)n - 4);
	return (size_t)n - 4;
}

/* The same of 60 bytes that hold a packet of that type and, at `at`, length. */
static size_t arrives_of_packet(uint16_t type, unsigned at, unsigned len)
{
	static const uint8_t station[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };
	uint8_t frame[60];

	frame_plain(frame, sizeof(frame), station, len);
	frame_put16(frame + 12, type);
	frame_put16(frame + ETH_HLEN + at, len);
	return arrives_of(frame, sizeof(frame));
}

START_TEST(padding_behind_an_ip_packet_is_left_out)
{
	start();
	for (unsigned len = 20; len <= 46; len++)
		ck_assert_uint_eq(arrives_of_packet(ETH_P_IP, IPV4_LEN, len), 14 + len);
	for (unsigned len = 0; len <= 6; len++)
		ck_assert_uint_eq(arrives_of_packet(ETH_P_IPV6, IPV6_LEN, len), 54 + len);
	leave();
}
END_TEST

START_TEST(length_that_is_none_leaves_out_no_header_and_adds_nothing)
{
	start();
	ck_assert_uint_eq(arrives_of_packet(ETH_P_IP, IPV4_LEN, 0), 34);
	ck_assert_uint_eq(arrives_of_packet(ETH_P_IP, IPV4_LEN, 47), 60);
	ck_assert_uint_eq(arrives_of_packet(ETH_P_IP, IPV4_LEN, 65535), 60);
	ck_assert_uint_eq(arrives_of_packet(ETH_P_IPV6, IPV6_LEN, 7), 60);
	ck_assert_uint_eq(arrives_of_packet(ETH_P_IPV6, IPV6_LEN, 65535), 60);
	leave();
}
END_TEST

START_TEST(other_frames_are_whole)
{
	uint8_t frame[60];

	start();
	ck_assert_uint_eq(arrives_of_packet(ETH_P_ARP, IPV4_LEN, 28), 60);
	memset(frame, 0, sizeof(frame));
	frame_put16(frame + 12, ETH_P_IP);
	for (size_t len = NET_FRAME_MIN; len < 60; len++) /* no driver made these longer */
		ck_assert_uint_eq(arrives_of(frame, len), len);
	leave();
}
END_TEST

static const struct test_entry tests[] = {
	T(padding_behind_an_ip_packet_is_left_out),
	T(length_that_is_none_leaves_out_no_header_and_adds_nothing),
	T(other_frames_are_whole),
};

CHECK_MAIN("stream padding", tests)
