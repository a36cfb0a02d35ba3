/* SPDX-License-Identifier: MIT */
/* test_stream.c: frames over stream sockets; the peer is the test itself, or a second backend. */
#include "devices/net/offload.h"
#include "tests/check_main.h"
#include "tests/rig/grab.h"
#include "tests/rig/net_rig.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const uint8_t station[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };
static const struct virtio_net_hdr finished;
static struct probe probe;

static struct loop *l;
static struct net *be;
static int peer = -1;
static char dir[] = "/tmp/duet-stream-XXXXXX";
static struct sockaddr_un at = { .sun_family = AF_UNIX };
#define PATH (at.sun_path)

static void enter(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(PATH, sizeof(PATH), "%s/s", dir);
	l = loop_new();
}

static void leave(void)
{
	net_close(be);
	if (peer >= 0)
		close(peer);
	loop_free(l);
	unlink(PATH);
	ck_assert_int_eq(rmdir(dir), 0);
}

static struct net *opened(const char *kind)
{
	int err = 0;
	struct net *n = net_open(l, kind, PATH, &err);

	ck_assert_ptr_nonnull(n);
	ck_assert_int_eq(err, 0);
	return n;
}

static int socket_at(int type)
{
	int fd = socket(AF_UNIX, type, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static int connected(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	ck_assert_int_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void settle(void)
{
	for (int i = 0; loop_once(l, 0); i++)
		ck_assert_int_lt(i, 1000); /* something is ready for ever */
}

/* stream= connected to `peer`. */
static void start(void)
{
	int listener;

	enter();
	listener = socket_at(SOCK_STREAM);
	ck_assert_int_eq(listen(listener, 1), 0);
	be = opened("stream");
	probe_attach(&probe, be);
	peer = accept(listener, NULL, NULL);
	ck_assert_int_ge(peer, 0);
	close(listener);
}

static void peer_write(const void *p, size_t len)
{
	ck_assert_int_eq(write(peer, p, len), (ssize_t)len);
}

static void peer_send(const uint8_t *frame, size_t len)
{
	peer_write(&(uint32_t){ htobe32((uint32_t)len) }, 4);
	peer_write(frame, len);
}

/* The next frame at the peer, which must be there. */
static size_t peer_recv(uint8_t *frame)
{
	uint32_t len;

	ck_assert_int_eq(recv(peer, &len, sizeof(len), MSG_WAITALL), sizeof(len));
	len = be32toh(len);
	ck_assert_uint_le(len, FRAME_BUF);
	ck_assert_int_eq(recv(peer, frame, len, MSG_WAITALL), (ssize_t)len);
	return len;
}

static void peer_has_nothing(void)
{
	uint8_t c;

	ck_assert_int_eq(recv(peer, &c, 1, MSG_DONTWAIT), -1);
	ck_assert_int_eq(errno, EAGAIN);
}

/* --- send --- */

START_TEST(frames_go_out_behind_their_length)
{
	uint8_t buf[1514], got[FRAME_BUF];

	start();
	ck_assert(net_link_up(be));
	for (unsigned i = 0; i < 10; i++) {
		frame_plain(buf, 60 + i * 161, station, i);
		ck_assert_int_eq(probe_send(&probe, &finished, buf, 60 + i * 161), 0);
		ck_assert_uint_eq(peer_recv(got), 60 + i * 161);
		ck_assert_mem_eq(got, buf, 60 + i * 161);
	}
	ck_assert_uint_eq(counter_get(&be->stat.tx_calls), 10);
	ck_assert_uint_eq(counter_get(&be->stat.tx_frames), 10);
	leave();
}
END_TEST

START_TEST(large_frame_goes_out_in_segments_with_one_call)
{
	static uint8_t buf[FRAME_BUF], got[FRAME_BUF];
	struct virtio_net_hdr h;
	size_t len;

	start();
	len = frame_tso(buf, _i, TCP_ACK | TCP_PSH, 60000, &h);
	ck_assert_int_eq(probe_send(&probe, &h, buf, len), 0);
	for (unsigned i = 0; i < frame_segments(len, &h); i++) {
		size_t n = peer_recv(got);

		ck_assert_pstr_eq(frame_segment_wrong(buf, len, &h, i, got, n), NULL);
	}
	peer_has_nothing();
	ck_assert_uint_eq(counter_get(&be->stat.tx_calls), 1);
	ck_assert_uint_eq(counter_get(&be->stat.sw_frames), 1);
	leave();
}
END_TEST

START_TEST(absurdly_many_segments_are_bounded_and_what_goes_out_is_whole)
{
	static uint8_t buf[FRAME_BUF], got[FRAME_BUF];
	struct virtio_net_hdr h;
	size_t len;
	unsigned sent;

	start();
	len = frame_tso(buf, false, TCP_ACK, 60000, &h);
	h.gso_size = OFFLOAD_MSS_MIN;
	ck_assert_int_eq(probe_send(&probe, &h, buf, len), 0);
	ck_assert_uint_eq(counter_get(&be->stat.tx_drops), 1); /* the rest of it */
	sent = (unsigned)counter_get(&be->stat.tx_frames);
	ck_assert_uint_gt(sent, 1000);
	for (unsigned i = 0; i < sent; i++) {
		ck_assert_pstr_eq(frame_segment_wrong(buf, len, &h, i, got, peer_recv(got)), NULL);
		settle();
	}
	peer_has_nothing();
	leave();
}
END_TEST

START_TEST(slow_peer_gets_every_byte_and_the_sender_waits)
{
	static uint8_t buf[60000], got[FRAME_BUF];
	unsigned sent = 0, before;
	int err = 0;

	start();
	do
		frame_plain(buf, sizeof(buf), station, sent);
	while (!(err = probe_send(&probe, &finished, buf, sizeof(buf))) && ++sent < 1000);
	ck_assert_int_eq(err, -EAGAIN);
	ck_assert_uint_eq(counter_get(&be->stat.tx_drops), 0);
	settle();
	ck_assert_uint_eq(probe.writable, 0); /* not before there is room */
	before = sent;
	for (unsigned i = 0; i < sent; i++) {
		frame_plain(buf, sizeof(buf), station, i);
		ck_assert_uint_eq(peer_recv(got), sizeof(buf));
		ck_assert_mem_eq(got, buf, sizeof(buf));
		settle();
		if (probe.writable && sent == before) {
			frame_plain(buf, sizeof(buf), station, sent++);
			ck_assert_int_eq(probe_send(&probe, &finished, buf, sizeof(buf)), 0);
		}
	}
	ck_assert_uint_eq(probe.writable, 1);
	ck_assert_uint_eq(sent, before + 1);
	peer_has_nothing();
	leave();
}
END_TEST

START_TEST(frame_half_taken_follows_without_another_send)
{
	static uint8_t buf[60000], got[FRAME_BUF];
	size_t all = 0, have = 0;
	int there = 0;
	ssize_t n;

	start();
	frame_plain(buf, sizeof(buf), station, 1);
	while ((size_t)there == all) {
		ck_assert_int_eq(probe_send(&probe, &finished, buf, sizeof(buf)), 0);
		all += 4 + sizeof(buf);
		ck_assert_int_eq(ioctl(peer, FIONREAD, &there), 0);
	}
	while (have < all && (n = recv(peer, got, sizeof(got), MSG_DONTWAIT)) > 0) {
		have += (size_t)n;
		settle();
	}
	ck_assert_uint_eq(have, all);
	ck_assert_uint_eq(probe.writable, 0); /* nobody waits */
	leave();
}
END_TEST

/* --- receive --- */

START_TEST(frames_come_in_however_they_are_cut)
{
	static const size_t steps[] = { 1, 3, 4, 5, 63, 1000, 100000 };
	static uint8_t buf[70000], wire[80000];
	static const size_t lens[] = { 14, 60, 1514, 65535 + 18, 100 };
	size_t end = 0, step = steps[_i];
	unsigned got = 0;

	start();
	net_rx_enable(be, true);
	for (unsigned i = 0; i < ARRAY_SIZE(lens); i++) {
		uint32_t be32 = htobe32((uint32_t)lens[i]);

		memcpy(wire + end, &be32, 4);
		frame_plain(wire + end + 4, lens[i], station, i);
		end += 4 + lens[i];
	}
	for (size_t off = 0; off < end; off += step) {
		ssize_t len;

		peer_write(wire + off, MIN(step, end - off));
		while ((len = probe_recv(&probe, FRAME_BUF)) > 0) {
			ck_assert_int_eq(len, (ssize_t)lens[got]);
			frame_plain(buf, lens[got], station, got);
			ck_assert_mem_eq(probe.buf, buf, lens[got]);
			got++;
		}
		ck_assert_int_eq(len, 0);
	}
	ck_assert_uint_eq(got, ARRAY_SIZE(lens));
	ck_assert_uint_eq(net_set_rx_offload(be, NET_OFF_ALL), 0);
	leave();
}
END_TEST

START_TEST(readable_until_drained_or_disabled)
{
	uint8_t buf[64];

	start();
	frame_plain(buf, sizeof(buf), station, 1);
	for (int i = 0; i < 4; i++)
		peer_send(buf, sizeof(buf));
	settle();
	ck_assert_uint_eq(probe.readable, 0); /* off at first */
	net_rx_enable(be, true);
	ck_assert_int_eq(probe_recv(&probe, FRAME_BUF), sizeof(buf)); /* reads all of them */
	ck_assert_int_eq(loop_once(l, 0), 1);
	ck_assert_uint_eq(probe.readable, 1); /* the socket is drained: asked for the others */
	ck_assert_int_eq(loop_once(l, 0), 1);
	ck_assert_uint_eq(probe.readable, 2); /* nothing taken: asked again */
	net_rx_enable(be, false);
	settle();
	ck_assert_uint_eq(probe.readable, 2);
	net_rx_enable(be, true);
	probe.take = true;
	settle();
	ck_assert_uint_eq(probe.readable, 5);
	ck_assert_uint_eq(counter_get(&be->stat.rx_frames), 4);
	peer_send(buf, sizeof(buf));
	settle();
	ck_assert_uint_eq(counter_get(&be->stat.rx_frames), 5);
	leave();
}
END_TEST

START_TEST(frames_too_short_or_too_long_are_counted_and_the_next_one_comes)
{
	uint8_t buf[100];

	start();
	frame_plain(buf, sizeof(buf), station, 1);
	peer_send(buf, 13);
	peer_send(buf, 0);
	peer_send(buf, 100);
	peer_send(buf, 100);
	ck_assert_int_eq(probe_recv(&probe, FRAME_BUF), -EMSGSIZE);
	ck_assert_int_eq(probe_recv(&probe, FRAME_BUF), -EMSGSIZE);
	ck_assert_int_eq(probe_recv(&probe, 99), -EMSGSIZE);
	ck_assert_int_eq(probe_recv(&probe, 100), 100);
	ck_assert_uint_eq(counter_get(&be->stat.rx_drops), 3);
	leave();
}
END_TEST

/* --- the peer goes --- */

/* What was said, with %s for PATH. */
static void said(struct grab *g, const char *fmt)
{
	char want[512];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(want, sizeof(want), fmt, PATH);
#pragma GCC diagnostic pop
	ck_assert_str_eq(grab_stop(g), want);
}

#define FOR_GOOD "the guest has no network until duet is restarted\n"

START_TEST(peer_that_closes_is_said_once_and_frames_are_dropped)
{
	uint8_t buf[60];
	struct grab g;

	start();
	frame_plain(buf, sizeof(buf), station, 1);
	net_rx_enable(be, _i & 1);
	peer_send(buf, sizeof(buf));
	if (_i & 2)
		peer_send(buf, sizeof(buf));
	probe.take = true;
	grab_start(&g);
	if (_i & 4)
		shutdown(peer, SHUT_WR);
	else
		close(peer), peer = -1;
	if ((_i & 5) == 4) /* half closed and nobody reads: seen at the next read */
		while (probe_recv(&probe, FRAME_BUF) > 0)
			;
	settle();
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(probe_send(&probe, &finished, buf, sizeof(buf)), 0);
	settle();
	said(&g, "duet: warning: stream:%s: the peer closed the connection: " FOR_GOOD);
	ck_assert(!net_link_up(be));
	ck_assert_uint_eq(counter_get(&be->stat.tx_drops), 3);
	/* What it sent last arrives where someone listens. */
	if (_i & 5)
		ck_assert_uint_eq(counter_get(&be->stat.rx_frames), _i & 2 ? 2 : 1);
	ck_assert_int_eq(probe_recv(&probe, FRAME_BUF), 0);
	leave();
}
END_TEST

START_TEST(sender_that_waits_is_let_go_when_the_peer_is_gone)
{
	static uint8_t buf[60000];
	struct grab g;
	int sent = 0;

	start();
	frame_plain(buf, sizeof(buf), station, 1);
	while (!probe_send(&probe, &finished, buf, sizeof(buf)))
		ck_assert_int_lt(++sent, 1000);
	grab_start(&g);
	close(peer);
	peer = -1;
	settle();
	grab_stop(&g);
	ck_assert_uint_eq(probe.writable, 1);
	ck_assert_int_eq(probe_send(&probe, &finished, buf, sizeof(buf)), 0);
	ck_assert_uint_eq(counter_get(&be->stat.tx_drops), 1);
	leave();
}
END_TEST

START_TEST(peer_that_speaks_something_else_is_left)
{
	struct grab g;

	start();
	net_rx_enable(be, true);
	probe.take = true;
	peer_write("GET / HTTP/1.0\r\n\r\n", 18);
	grab_start(&g);
	settle();
	said(&g, "duet: warning: stream:%s: the peer speaks another protocol: " FOR_GOOD);
	ck_assert(!net_link_up(be));
	leave();
}
END_TEST

/* --- listen --- */

START_TEST(listener_takes_one_peer_after_the_other)
{
	uint8_t buf[60], got[FRAME_BUF];
	struct grab g;
	int next;

	enter();
	grab_start(&g);
	be = opened("listen");
	said(&g, "duet: listen:%1$s: frames are lost until a peer comes (stream=%1$s)\n");
	probe_attach(&probe, be);
	ck_assert(net_link_up(be));
	frame_plain(buf, sizeof(buf), station, 1);
	ck_assert_int_eq(probe_send(&probe, &finished, buf, sizeof(buf)), 0);
	ck_assert_uint_eq(counter_get(&be->stat.tx_drops), 1);
	net_rx_enable(be, true);
	probe.take = true;
	grab_start(&g);
	peer = connected();
	settle();
	next = connected(); /* waits */
	settle();
	for (int i = 0; i < 2; i++) {
		peer_send(buf, sizeof(buf));
		settle();
		ck_assert_uint_eq(counter_get(&be->stat.rx_frames), (uint64_t)i + 1);
		ck_assert_int_eq(probe_send(&probe, &finished, buf, sizeof(buf)), 0);
		ck_assert_uint_eq(peer_recv(got), sizeof(buf));
		close(peer);
		peer = i ? -1 : next;
		settle();
		ck_assert(net_link_up(be));
	}
	said(&g,
	     "duet: listen:%1$s: a peer is connected\n"
	     "duet: warning: listen:%1$s: the peer closed the connection: frames are lost until "
	     "another one comes\n"
	     "duet: listen:%1$s: a peer is connected\n"
	     "duet: warning: listen:%1$s: the peer closed the connection: frames are lost until "
	     "another one comes\n");
	leave();
}
END_TEST

START_TEST(two_backends_are_joined_and_may_come_and_go)
{
	static uint8_t buf[FRAME_BUF];
	static struct probe other;
	struct virtio_net_hdr h;
	struct grab g;
	size_t len;

	enter();
	grab_start(&g);
	be = opened("listen");
	probe_attach(&probe, be);
	for (int i = 0; i < 3; i++) {
		probe_attach(&other, opened("stream"));
		settle();
		len = frame_tso(buf, false, TCP_ACK | TCP_PSH, 20000, &h);
		ck_assert_int_eq(probe_send(&probe, &h, buf, len), 0);
		ck_assert_int_eq(probe_send(&other, &h, buf, len), 0);
		for (unsigned s = 0; s < frame_segments(len, &h); s++) {
			ssize_t a = probe_recv(&probe, FRAME_BUF),
				b = probe_recv(&other, FRAME_BUF);

			ck_assert_int_gt(a, 0);
			ck_assert_int_gt(b, 0);
			ck_assert_pstr_eq(
				frame_segment_wrong(buf, len, &h, s, probe.buf, (size_t)a), NULL);
			ck_assert_pstr_eq(
				frame_segment_wrong(buf, len, &h, s, other.buf, (size_t)b), NULL);
		}
		ck_assert_int_eq(probe_recv(&probe, FRAME_BUF), 0);
		net_close(other.be);
		settle();
	}
	grab_stop(&g);
	leave();
}
END_TEST

START_TEST(socket_left_behind_is_replaced_and_a_live_one_is_not)
{
	struct grab g;
	int err = 0, fd;

	enter();
	close(socket_at(SOCK_STREAM)); /* as a killed process leaves it */
	grab_start(&g);
	be = opened("listen");
	grab_stop(&g);
	probe_attach(&probe, be);
	grab_start(&g);
	ck_assert_ptr_null(net_open(l, "listen", PATH, &err));
	settle(); /* the listener noticed nothing */
	said(&g, "duet: listen=%s: taken: another process listens there, or it is a file: choose "
		 "another path\n");
	ck_assert_int_eq(err, -EADDRINUSE);
	net_close(be);
	be = NULL;
	unlink(PATH);
	fd = open(PATH, O_CREAT | O_WRONLY, 0600);
	ck_assert_int_ge(fd, 0);
	close(fd);
	grab_start(&g);
	ck_assert_ptr_null(net_open(l, "listen", PATH, &err));
	grab_stop(&g);
	ck_assert_int_eq(access(PATH, F_OK), 0); /* somebody's file stays */
	leave();
}
END_TEST

/* --- what cannot be opened --- */

static void refused(const char *kind, int want, const char *fmt)
{
	struct grab g;
	int err = 0;

	grab_start(&g);
	ck_assert_ptr_null(net_open(l, kind, PATH, &err));
	said(&g, fmt);
	ck_assert_int_eq(err, want);
}

START_TEST(what_cannot_be_connected_to_is_explained)
{
	int fd;

	enter();
	refused("stream", -ENOENT,
		"duet: stream=%1$s: no such socket: start what listens there first, another duet "
		"with listen=%1$s or passt --socket %1$s\n");
	fd = socket_at(SOCK_DGRAM);
	refused("stream", -EPROTOTYPE,
		"duet: stream=%s: not a stream socket: a datagram or packet protocol is spoken "
		"there\n");
	close(fd);
	refused("stream", -ECONNREFUSED, "duet: stream=%s: nobody listens there: start it again\n");
	unlink(PATH);
	fd = socket_at(SOCK_STREAM);
	listen(fd, 0);
	peer = connected();
	refused("stream", -EAGAIN,
		"duet: stream=%s: others wait there already: it takes one peer at a time\n");
	close(fd);
	unlink(PATH);
	snprintf(PATH, sizeof(PATH), "%s/no/s", dir);
	refused("listen", -ENOENT, "duet: listen=%s: No such file or directory\n");
	PATH[0] = '\0';
	refused("listen", -EINVAL, "duet: listen=%s: a socket's path has 1 to 107 characters\n");
	leave();
}
END_TEST

static const struct test_entry tests[] = {
	T(frames_go_out_behind_their_length),
	TLOOP(large_frame_goes_out_in_segments_with_one_call, 0, 2),
	T(absurdly_many_segments_are_bounded_and_what_goes_out_is_whole),
	T(slow_peer_gets_every_byte_and_the_sender_waits),
	T(frame_half_taken_follows_without_another_send),
	TLOOP(frames_come_in_however_they_are_cut, 0, 7),
	T(readable_until_drained_or_disabled),
	T(frames_too_short_or_too_long_are_counted_and_the_next_one_comes),
	TLOOP(peer_that_closes_is_said_once_and_frames_are_dropped, 0, 8),
	T(sender_that_waits_is_let_go_when_the_peer_is_gone),
	T(peer_that_speaks_something_else_is_left),
	T(listener_takes_one_peer_after_the_other),
	T(two_backends_are_joined_and_may_come_and_go),
	T(socket_left_behind_is_replaced_and_a_live_one_is_not),
	T(what_cannot_be_connected_to_is_explained),
};

CHECK_MAIN("stream", tests)
