/* SPDX-License-Identifier: MIT */
/*
 * fuzz_stream.c: frames over a stream socket, with a peer that says anything, cut anywhere,
 * reads when it likes and may go.
 *
 * What it sent is parsed here a second time, and what was sent to it kept: frames arrive once, in
 * order and byte for byte, both ways, until one end is lost; what follows is dropped and counted.
 * A sender that was refused is called back, a receiver with frames waiting is, too.
 */
#include "devices/net/backend.h"
#include "tests/fuzz/fuzz.h"
#include "tests/rig/frames.h"

#include <endian.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOCKET_BUF 4096    /* bytes the kernel keeps, or its minimum: soon full */
#define WAY_MAX    1500000 /* bytes each way, at most */
#define IDLE_MAX   20      /* rounds of the loop in which nothing is received */
#define BATCH      64      /* frames the NIC takes at once */

const char fuzz_name[] = "stream";

/* What one end wrote, and how much of it has been seen at the other. */
struct way {
	uint8_t buf[WAY_MAX];
	size_t put, seen;
};

struct streams {
	struct loop *l;
	struct net *be;
	int peer; /* -1: gone */
	unsigned frames;
	uint64_t accepted; /* sends that returned 0 */
	bool waiting;      /* the last send was refused */
	bool lossy;        /* the peer went, or spoke nonsense */
	bool listening;    /* the receiver is on */
};

static struct way in_way, out_way; /* to and from duet */

/* --- the NIC ------------------------------------------------------------------------------ */

static void nic_writable(void *nic)
{
	((struct streams *)nic)->waiting = false;
}

/* What the peer says the next frame's length is, -1: nothing yet. */
static ssize_t in_length(const struct way *w)
{
	uint32_t be;

	if (w->put - w->seen < sizeof(be))
		return -1;
	memcpy(&be, w->buf + w->seen, sizeof(be));
	return (ssize_t)be32toh(be);
}

/* The same when all of it is there. */
static ssize_t in_next(const struct way *w)
{
	ssize_t len = in_length(w);

	return len > (ssize_t)(w->put - w->seen) - 4 ? -1 : len;
}

/* Receive one frame; false: there was none. */
static bool nic_receive(struct streams *s, size_t room)
{
	static uint8_t buf[FRAME_BUF];
	struct iovec iov[2] = { { buf, MIN(room, (size_t)40) },
				{ buf + MIN(room, (size_t)40), 0 } };
	ssize_t want = in_next(&in_way), got;
	struct virtio_net_hdr h;
	bool fits = want >= NET_FRAME_MIN && (size_t)want <= room;

	iov[1].iov_len = room - iov[0].iov_len;
	got = net_recv(s->be, &h, iov, 2);
	if (!got)
		return false;
	FUZZ_CHECK(want >= 0 && got == (fits ? want : -EMSGSIZE), "%zd of %zd bytes", got, want);
	in_way.seen += 4;
	FUZZ_CHECK(!fits || !memcmp(buf, in_way.buf + in_way.seen, (size_t)want), "other bytes");
	in_way.seen += (size_t)want;
	return true;
}

static void nic_readable(void *nic)
{
	for (unsigned n = 0; n < BATCH && nic_receive(nic, FRAME_BUF); n++)
		;
}

static void nic_send(struct streams *s, size_t len)
{
	static const struct virtio_net_hdr finished;
	static uint8_t buf[FRAME_BUF];
	struct iovec iov[2] = { { buf, MIN(len, (size_t)30) }, { buf + MIN(len, (size_t)30), 0 } };
	uint32_t be = htobe32((uint32_t)len);
	uint64_t drops = counter_get(&s->be->stat.tx_drops);
	int err;

	if (out_way.put + sizeof(be) + len > WAY_MAX)
		return;
	memset(buf, (int)++s->frames, len);
	iov[1].iov_len = len - iov[0].iov_len;
	err = net_send(s->be, &finished, iov, 2);
	FUZZ_CHECK(len < NET_FRAME_MIN || len > NET_FRAME_MAX ? err == -EINVAL
							      : !err || err == -EAGAIN,
		   "send of %zu bytes: %d", len, err);
	s->waiting = err == -EAGAIN || (err && s->waiting);
	s->accepted += !err;
	s->lossy |= counter_get(&s->be->stat.tx_drops) > drops;
	if (err || s->lossy)
		return;
	memcpy(out_way.buf + out_way.put, &be, sizeof(be));
	memcpy(out_way.buf + out_way.put + sizeof(be), buf, len);
	out_way.put += sizeof(be) + len;
}

/* --- the peer ------------------------------------------------------------------------------ */

static void peer_write(struct streams *s, const void *p, size_t len)
{
	ssize_t n;

	if (s->peer < 0 || in_way.put + len > WAY_MAX)
		return;
	n = send(s->peer, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n <= 0)
		return;
	memcpy(in_way.buf + in_way.put, p, (size_t)n);
	in_way.put += (size_t)n;
}

/* A length and as many bytes, or fewer, or more. */
static void peer_frame(struct streams *s, struct fuzz_in *in)
{
	uint8_t how = fuzz_u8(in);
	uint32_t len = how & 1 ? fuzz_u16(in) : how & 2 ? fuzz_u8(in) : fuzz_u32(in) >> (how >> 3);
	uint32_t be = htobe32(len);
	static uint8_t buf[4 + 70000];

	memcpy(buf, &be, sizeof(be));
	memset(buf + sizeof(be), how, MIN(len, sizeof(buf) - sizeof(be)));
	peer_write(s, buf,
		   sizeof(be) + MIN(len, how & 4 ? fuzz_u16(in) : sizeof(buf) - sizeof(be)));
}

static bool peer_read(struct streams *s, size_t most)
{
	static uint8_t buf[65536];
	ssize_t n = s->peer < 0 ? -1 : recv(s->peer, buf, MIN(most, sizeof(buf)), MSG_DONTWAIT);

	if (n <= 0)
		return false;
	FUZZ_CHECK(s->lossy || ((size_t)n <= out_way.put - out_way.seen &&
				!memcmp(buf, out_way.buf + out_way.seen, (size_t)n)),
		   "the peer got what nobody sent");
	out_way.seen += (size_t)n;
	return true;
}

static void peer_go(struct streams *s, uint8_t how)
{
	static const int ways[] = { SHUT_RD, SHUT_WR, SHUT_RDWR };

	if (s->peer < 0)
		return;
	s->lossy = true;
	if (how % 4 < ARRAY_SIZE(ways)) {
		shutdown(s->peer, ways[how % 4]);
		return;
	}
	close(s->peer);
	s->peer = -1;
}

/* --- an input ------------------------------------------------------------------------------- */

/* Until nothing is ready: a source that always is would burn a processor. */
static void run(struct streams *s)
{
	size_t seen = in_way.seen;

	for (unsigned idle = 0; loop_once(s->l, 0); idle++) {
		if (in_way.seen != seen)
			idle = 0;
		seen = in_way.seen;
		FUZZ_CHECK(idle < IDLE_MAX, "the loop finds no rest");
	}
}

static void listen_up(struct streams *s, bool on)
{
	net_rx_enable(s->be, on);
	s->listening = on;
}

static void step(struct streams *s, struct fuzz_in *in)
{
	uint8_t raw[64];
	size_t n;

	switch (fuzz_below(in, 9)) {
	case 0:
		nic_send(s, fuzz_u8(in));
		break;
	case 1:
		nic_send(s, fuzz_u32(in) % (NET_FRAME_MAX + 3));
		break;
	case 2:
		nic_receive(s, fuzz_u16(in));
		break;
	case 3:
		peer_frame(s, in);
		break;
	case 4:
		n = fuzz_below(in, sizeof(raw));
		fuzz_bytes(in, raw, n);
		peer_write(s, raw, n);
		break;
	case 5:
		peer_read(s, (size_t)1 + fuzz_u16(in));
		break;
	case 6:
		listen_up(s, fuzz_u8(in) & 1);
		break;
	case 7:
		n = fuzz_u8(in);
		if (n >= 0xf0)
			peer_go(s, (uint8_t)n);
		break;
	default:
		run(s);
	}
}

/* Everybody does what is to be done: then all has arrived. */
static void settle(struct streams *s)
{
	listen_up(s, true);
	do
		run(s);
	while (peer_read(s, WAY_MAX));
	FUZZ_CHECK(!s->waiting, "refused, and never called again");
	FUZZ_CHECK(counter_get(&s->be->stat.tx_frames) + counter_get(&s->be->stat.tx_drops) ==
			   s->accepted,
		   "frames sent do not add up");
	if (s->lossy || in_length(&in_way) > NET_FRAME_MAX)
		return;
	FUZZ_CHECK(out_way.seen == out_way.put, "%zu bytes never arrived",
		   out_way.put - out_way.seen);
	FUZZ_CHECK(in_next(&in_way) < 0, "a frame was left");
}

static void begin(struct streams *s)
{
	const int size = SOCKET_BUF;
	int fd[2], err = 0;

	*s = (struct streams){ .l = loop_new() };
	in_way.put = in_way.seen = out_way.put = out_way.seen = 0;
	BUG_ON(!s->l || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd) < 0);
	setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	s->peer = fd[1];
	s->be = stream_new(s->l, &(struct stream_config){ fd[0], -1, "stream", "lost" }, &err);
	BUG_ON(!s->be);
	net_attach(s->be, &(struct net_client){ nic_readable, nic_writable, NULL, s });
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	struct streams s;

	begin(&s);
	while (in.left)
		step(&s, &in);
	settle(&s);
	net_close(s.be);
	if (s.peer >= 0)
		close(s.peer);
	loop_free(s.l);
	return 0;
}
