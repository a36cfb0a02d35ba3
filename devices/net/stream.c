/* SPDX-License-Identifier: MIT */
/*
 * stream.c: frames over a connected stream socket, each behind its length as four bytes in
 * network order: what QEMU's "socket" and passt speak, and another duet. The protocol has
 * no room for unfinished frames, so checksums and segments are made here, before all of a
 * frame's segments go out in one call. How one gets connected: stream_attach.c, user.c.
 *
 * What the socket does not take at once waits in `tx`, and no frame is accepted meanwhile;
 * what it gives comes through `rx`, many frames a call.
 */
#include "devices/net/backend.h"
#include "devices/net/offload.h"
#include "vmm/log.h"

#include <endian.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	STREAM_LEN = 4,        /* bytes of the length before each frame */
	STREAM_BUF = 256 << 10 /* several of the largest frames */
};

/* Bytes [start, end) of buf. */
struct stream_queue {
	size_t start, end;
	uint8_t buf[STREAM_BUF];
};

struct stream {
	struct net net;
	struct loop_fd f;        /* the connection */
	struct loop_fd listener; /* where the next peer comes from, or never watched */
	struct loop_event wake;  /* for what epoll cannot see: frames in rx, room after a loss */
	/* fixed after open: */
	struct loop *loop;
	int listen_fd;        /* -1: one peer, for good */
	const char *lost;     /* what it means when the peer is gone */
	pthread_mutex_t lock; /* the rest; client callbacks are made without it */
	int fd;               /* -1: no peer */
	_Atomic bool up;      /* read without the lock, too */
	bool rx_on;
	bool refused; /* a send() got -EAGAIN */
	bool room;    /* and may try again: wake says so */
	bool calling; /* readable() is under way: what it leaves is seen to behind it */
	struct stream_queue tx, rx;
};

static struct stream *stream_of(struct net *n)
{
	return container_of(n, struct stream, net);
}

/* --- the connection; lock held --- */

static void stream_watch(struct stream *s)
{
	bool unsent = s->tx.start < s->tx.end;

	if (s->fd >= 0)
		loop_fd_mod(&s->f, (s->rx_on ? EPOLLIN : 0) | (unsent ? EPOLLOUT : 0));
}

/* The peer is gone, or not to be understood: what waits for it is lost. */
static void stream_lose(struct stream *s, const char *why)
{
	log_warn("%s: %s: %s", s->net.name, why, s->lost);
	loop_fd_del(&s->f);
	close(s->fd);
	s->fd = -1;
	s->tx.start = s->tx.end = s->rx.start = s->rx.end = 0;
	s->up = s->listen_fd >= 0;
	if (s->listen_fd >= 0)
		loop_fd_mod(&s->listener, EPOLLIN);
	if (!s->refused)
		return;
	s->refused = false;
	s->room = true; /* to drop frames, but the guest's ring moves on */
	loop_event_signal(&s->wake);
}

static const char *stream_error(ssize_t got)
{
	return got == 0 ? "the peer closed the connection" : strerror(errno);
}

/* --- send; lock held --- */

/* Offer the socket what waits. */
static void stream_flush(struct stream *s)
{
	struct stream_queue *q = &s->tx;
	ssize_t done;

	if (s->fd < 0 || q->start == q->end)
		return;
	counter_inc(&s->net.stat.tx_calls);
	done = send(s->fd, q->buf + q->start, q->end - q->start, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (done < 0 && errno != EAGAIN) {
		stream_lose(s, errno == EPIPE ? stream_error(0) : stream_error(-1));
		return;
	}
	q->start += done > 0 ? (size_t)done : 0;
	if (q->start == q->end)
		q->start = q->end = 0;
}

/*
 * The frame's length without what its driver put behind the packet, to make it long enough for a
 * wire. A stream needs none of that, and passt 2023-03 (Debian 12) drops each IP packet that is
 * followed by anything: an e1000's bare ACKs would never arrive.
 */
static size_t stream_unpadded(const struct iovec *iov, int cnt, size_t len)
{
	struct {
		struct ethhdr eth;
		union {
			struct iphdr v4;
			struct ipv6hdr v6;
		} ip;
	} __attribute__((packed)) h;
	size_t packet;

	if (len != ETH_ZLEN || iov_copy_out(iov, cnt, 0, &h, sizeof(h)) != sizeof(h))
		return len;
	if (h.eth.h_proto == htobe16(ETH_P_IP))
		packet = MAX(be16toh(h.ip.v4.tot_len), sizeof(h.ip.v4));
	else if (h.eth.h_proto == htobe16(ETH_P_IPV6))
		packet = sizeof(h.ip.v6) + be16toh(h.ip.v6.payload_len);
	else
		return len;
	return MIN(len, sizeof(h.eth) + packet);
}

/* Queue one finished frame. -EAGAIN can only befall a later segment of a large one. */
static int stream_put(struct net *n, const struct virtio_net_hdr *h, const struct iovec *iov,
		      int cnt)
{
	struct stream_queue *q = &stream_of(n)->tx;
	size_t len = stream_unpadded(iov, cnt, iov_length(iov, cnt));
	uint32_t be = htobe32((uint32_t)len);

	(void)h;
	if (STREAM_LEN + len > STREAM_BUF - q->end)
		return -EAGAIN;
	memcpy(q->buf + q->end, &be, STREAM_LEN);
	iov_copy_out(iov, cnt, 0, q->buf + q->end + STREAM_LEN, len);
	q->end += STREAM_LEN + len;
	counter_inc(&n->stat.tx_frames);
	return 0;
}

static int stream_send_locked(struct stream *s, const struct virtio_net_hdr *h,
			      const struct iovec *iov, int cnt)
{
	int err;

	stream_flush(s);
	if (s->fd < 0) {
		counter_inc(&s->net.stat.tx_drops);
		return 0;
	}
	if (s->tx.start < s->tx.end) {
		s->refused = true;
		return -EAGAIN;
	}
	err = net_finish(&s->net, 0, stream_put, h, iov, cnt);
	stream_flush(s);
	if (s->tx.start < s->tx.end)
		stream_watch(s);
	return err;
}

static int stream_send(struct net *n, const struct virtio_net_hdr *h, const struct iovec *iov,
		       int cnt)
{
	struct stream *s = stream_of(n);
	int err;

	pthread_mutex_lock(&s->lock);
	err = stream_send_locked(s, h, iov, cnt);
	pthread_mutex_unlock(&s->lock);
	return err;
}

/* --- receive; lock held --- */

/* Length of the frame at the start of rx, or -1 when it is not all there. */
static ssize_t stream_next(struct stream *s)
{
	struct stream_queue *q = &s->rx;
	uint32_t be;

	if (q->end - q->start < STREAM_LEN)
		return -1;
	memcpy(&be, q->buf + q->start, STREAM_LEN);
	if (be32toh(be) > NET_FRAME_MAX) {
		stream_lose(s, "the peer speaks another protocol");
		return -1;
	}
	return q->end - q->start < STREAM_LEN + be32toh(be) ? -1 : (ssize_t)be32toh(be);
}

/* Read what the socket has, behind what is left of the last frame. */
static void stream_fill(struct stream *s)
{
	struct stream_queue *q = &s->rx;
	ssize_t got;

	memmove(q->buf, q->buf + q->start, q->end - q->start);
	q->end -= q->start;
	q->start = 0;
	counter_inc(&s->net.stat.rx_calls);
	got = recv(s->fd, q->buf + q->end, STREAM_BUF - q->end, MSG_DONTWAIT);
	if (got > 0)
		q->end += (size_t)got;
	else if (got == 0 || errno != EAGAIN)
		stream_lose(s, stream_error(got));
}

/* Frames may be left in rx, of which epoll knows nothing: come back for them. */
static void stream_come_back(struct stream *s)
{
	if (s->rx_on && stream_next(s) >= 0)
		loop_event_signal(&s->wake);
}

/* Take the frame of `len` bytes that rx starts with. */
static ssize_t stream_take(struct stream *s, size_t len, const struct iovec *iov, int cnt)
{
	struct stream_queue *q = &s->rx;

	q->start += STREAM_LEN + len;
	if (len >= NET_FRAME_MIN && iov_copy_in(iov, cnt, 0, q->buf + q->start - len, len) == len)
		return (ssize_t)len;
	counter_inc(&s->net.stat.rx_drops);
	return -EMSGSIZE;
}

/* A worker that looks out by itself was not called, and may leave frames behind, too. */
static ssize_t stream_recv_locked(struct stream *s, const struct iovec *iov, int cnt)
{
	ssize_t len = stream_next(s);
	bool filled = len < 0 && s->fd >= 0;

	if (filled) {
		stream_fill(s);
		len = stream_next(s);
	}
	if (len < 0)
		return 0;
	len = stream_take(s, (size_t)len, iov, cnt);
	if (filled && !s->calling)
		stream_come_back(s);
	return len;
}

static ssize_t stream_recv(struct net *n, struct virtio_net_hdr *h, const struct iovec *iov,
			   int cnt)
{
	struct stream *s = stream_of(n);
	ssize_t len;

	*h = (struct virtio_net_hdr){ 0 };
	pthread_mutex_lock(&s->lock);
	len = stream_recv_locked(s, iov, cnt);
	pthread_mutex_unlock(&s->lock);
	return len;
}

/* --- callbacks; I/O thread --- */

static void stream_call(struct stream *s, bool writable, bool readable)
{
	const struct net_client *c = &s->net.client;

	if (writable)
		c->writable(c->nic);
	if (!readable)
		return;
	c->readable(c->nic);
	pthread_mutex_lock(&s->lock);
	s->calling = false;
	stream_come_back(s);
	pthread_mutex_unlock(&s->lock);
}

static void stream_ready(struct loop_fd *f, uint32_t events)
{
	struct stream *s = container_of(f, struct stream, f);
	bool writable = false, readable;

	pthread_mutex_lock(&s->lock);
	if (events & EPOLLOUT) {
		stream_flush(s);
		writable = s->refused && s->tx.start == s->tx.end;
		s->refused &= !writable;
		stream_watch(s);
	}
	/* What the peer sent last can be read; but nobody does, and epoll would insist. */
	if (events & (EPOLLERR | EPOLLHUP) && !s->rx_on && s->fd >= 0)
		stream_lose(s, stream_error(0));
	readable = s->rx_on && s->fd >= 0 && events & ~(uint32_t)EPOLLOUT;
	s->calling = readable;
	pthread_mutex_unlock(&s->lock);
	stream_call(s, writable, readable);
}

static void stream_woken(struct loop_event *e)
{
	struct stream *s = container_of(e, struct stream, wake);
	bool writable, readable;

	pthread_mutex_lock(&s->lock);
	writable = s->room;
	s->room = false;
	readable = s->rx_on && stream_next(s) >= 0;
	s->calling = readable;
	pthread_mutex_unlock(&s->lock);
	stream_call(s, writable, readable);
}

/* Take `fd` for the peer. */
static int stream_join(struct stream *s, int fd)
{
	int err = loop_fd_add(s->loop, &s->f, fd, s->rx_on ? EPOLLIN : 0, stream_ready);

	if (!err)
		s->fd = fd;
	return err;
}

static void stream_accept(struct loop_fd *f, uint32_t events)
{
	struct stream *s = container_of(f, struct stream, listener);
	int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int err = fd < 0 ? -errno : 0;

	(void)events;
	if (err == -EAGAIN || err == -ECONNABORTED || err == -EINTR)
		return; /* gone again before we looked */
	pthread_mutex_lock(&s->lock);
	if (!err)
		err = stream_join(s, fd);
	loop_fd_mod(&s->listener, 0); /* one peer at a time */
	pthread_mutex_unlock(&s->lock);
	if (!err)
		log_info("%s: a peer is connected", s->net.name);
	else
		log_error("%s: cannot take a peer: %s: the guest has no network until duet is "
			  "restarted",
			  s->net.name, strerror(-err));
	if (err && fd >= 0)
		close(fd);
}

/* --- the rest of net_ops --- */

static void stream_rx_enable(struct net *n, bool on)
{
	struct stream *s = stream_of(n);

	pthread_mutex_lock(&s->lock);
	if (s->rx_on != on) {
		counter_inc(&n->stat.rx_calls);
		s->rx_on = on;
		stream_watch(s);
		stream_come_back(s);
	}
	pthread_mutex_unlock(&s->lock);
}

static unsigned stream_set_rx_offload(struct net *n, unsigned want)
{
	(void)n, (void)want;
	return 0; /* frames come finished */
}

static bool stream_link_up(struct net *n)
{
	return stream_of(n)->up;
}

static void stream_destroy(struct net *n)
{
	struct stream *s = stream_of(n);

	loop_fd_del(&s->f);
	if (s->fd >= 0)
		close(s->fd);
	if (s->listen_fd >= 0) {
		loop_fd_del(&s->listener);
		close(s->listen_fd);
	}
	loop_event_destroy(&s->wake);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static const struct net_ops stream_ops = {
	.send = stream_send,
	.recv = stream_recv,
	.rx_enable = stream_rx_enable,
	.set_rx_offload = stream_set_rx_offload,
	.link_up = stream_link_up,
	.destroy = stream_destroy,
};

/* Watch what there is; on failure nothing is watched. */
static int stream_start(struct stream *s, int fd)
{
	int err = loop_event_init(s->loop, &s->wake, stream_woken);

	if (err)
		return err;
	err = fd >= 0 ? stream_join(s, fd)
		      : loop_fd_add(s->loop, &s->listener, s->listen_fd, EPOLLIN, stream_accept);
	if (err)
		loop_event_destroy(&s->wake);
	return err;
}

struct net *stream_new(struct loop *l, const struct stream_config *c, int *err)
{
	struct stream *s = calloc(1, sizeof(*s));

	*err = -ENOMEM;
	if (s) {
		*s = (struct stream){ .net.ops = &stream_ops, .loop = l, .fd = -1, .up = true };
		s->f.fd = s->listener.fd = -1;
		s->listen_fd = c->listen_fd;
		s->lost = c->lost;
		s->net.tx_offload = s->net.tx_software = NET_OFF_ALL;
		snprintf(s->net.name, sizeof(s->net.name), "%s", c->name);
		pthread_mutex_init(&s->lock, NULL);
		*err = stream_start(s, c->fd);
	}
	if (!*err)
		return &s->net;
	log_error("%s: %s", c->name, strerror(-*err));
	if (c->fd >= 0)
		close(c->fd);
	if (c->listen_fd >= 0)
		close(c->listen_fd);
	free(s);
	return NULL;
}
