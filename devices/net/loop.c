/* SPDX-License-Identifier: MIT */
/*
 * loop.c: the backend that gives every frame back to its own sender, in order, as if a
 * plug had been put into the NIC's socket. Frames wait in one ring of bytes; a full ring
 * is the only back pressure there is, which makes it easy to test.
 *
 *   buf:  ... | struct loopback_rec, frame | struct loopback_rec, frame | free ...
 *             ^ tail (next to receive)                                  ^ head
 */
#include "devices/net/backend.h"
#include "devices/net/offload.h"
#include "vmm/log.h"

#include <errno.h>
#include <string.h>

enum { LOOPBACK_BYTES = 1 << 20 }; /* a power of two; several frames of 64 KiB */

/* Precedes each frame in the ring. */
struct loopback_rec {
	struct virtio_net_hdr hdr;
	uint32_t len;
};

struct loopback {
	struct net net;
	struct loop_event wake;
	/* Changed by whoever may call net_ops, looked at by the I/O thread's wake-up too,
	 * which only decides on a callback: the NIC looks again under its own lock. */
	_Atomic size_t head, tail; /* bytes ever put in, ever taken out */
	_Atomic bool rx_on;
	_Atomic bool room; /* a refused sender may try again */
	/* whoever may call net_ops: */
	bool blocked; /* a send() got -EAGAIN */
	uint8_t buf[LOOPBACK_BYTES];
};

static struct loopback *loopback_of(struct net *n)
{
	return container_of(n, struct loopback, net);
}

/* Describe `len` bytes of the ring at position `pos`: one piece, or two at its end. */
static int loopback_span(struct loopback *lb, size_t pos, size_t len, struct iovec out[2])
{
	size_t at = pos % LOOPBACK_BYTES, first = MIN(len, LOOPBACK_BYTES - at);

	out[0] = (struct iovec){ lb->buf + at, first };
	out[1] = (struct iovec){ lb->buf, len - first };
	return 2;
}

static void loopback_write(struct loopback *lb, size_t pos, const void *src, size_t len)
{
	struct iovec span[2];

	iov_copy_in(span, loopback_span(lb, pos, len, span), 0, src, len);
}

/* Put one frame into the ring, as it is. net_finish() calls this with what the receiver
 * can take. */
static int loopback_put(struct net *n, const struct virtio_net_hdr *h, const struct iovec *iov,
			int cnt)
{
	struct loopback *lb = loopback_of(n);
	struct loopback_rec rec = { .hdr = *h, .len = (uint32_t)iov_length(iov, cnt) };
	size_t head = lb->head, used = head - lb->tail;

	if (sizeof(rec) + rec.len > LOOPBACK_BYTES - used) {
		lb->blocked = true;
		return -EAGAIN;
	}
	loopback_write(lb, head, &rec, sizeof(rec));
	head += sizeof(rec);
	for (int i = 0; i < cnt; i++) {
		loopback_write(lb, head, iov[i].iov_base, iov[i].iov_len);
		head += iov[i].iov_len;
	}
	lb->head = head;
	counter_inc(&n->stat.tx_frames);
	if (used == 0 && lb->rx_on) {
		counter_inc(&n->stat.tx_calls);
		loop_event_signal(&lb->wake);
	}
	return 0;
}

/*
 * A frame that must be cut is let in only when the whole of it will fit, so that no
 * segment is lost half-way; a limit of the ring's own size lets even an absurd one
 * (8192 segments of 8 bytes) in once the ring is empty, where it may lose its end.
 */
static bool loopback_has_room(const struct loopback *lb, const struct virtio_net_hdr *h, size_t len)
{
	const size_t per_segment = sizeof(struct loopback_rec) + 256; /* headers, at most */
	size_t need = len + (len / h->gso_size + 1) * per_segment;

	return MIN(need, (size_t)LOOPBACK_BYTES) <= LOOPBACK_BYTES - (lb->head - lb->tail);
}

static int loopback_send(struct net *n, const struct virtio_net_hdr *h, const struct iovec *iov,
			 int cnt)
{
	struct loopback *lb = loopback_of(n);

	if (h->gso_size && !loopback_has_room(lb, h, iov_length(iov, cnt))) {
		lb->blocked = true;
		return -EAGAIN;
	}
	return net_finish(n, n->rx_offload, loopback_put, h, iov, cnt);
}

/* The frame at the tail is gone: room for a sender that was refused. */
static void loopback_drop(struct loopback *lb, const struct loopback_rec *rec)
{
	lb->tail += sizeof(*rec) + rec->len;
	if (!lb->blocked)
		return;
	lb->blocked = false;
	lb->room = true;
	counter_inc(&lb->net.stat.rx_calls);
	loop_event_signal(&lb->wake);
}

static ssize_t loopback_recv(struct net *n, struct virtio_net_hdr *h, const struct iovec *iov,
			     int cnt)
{
	struct loopback *lb = loopback_of(n);
	struct loopback_rec rec;
	struct iovec span[2];
	size_t done;

	if (lb->tail == lb->head)
		return 0;
	iov_copy_out(span, loopback_span(lb, lb->tail, sizeof(rec), span), 0, &rec, sizeof(rec));
	loopback_span(lb, lb->tail + sizeof(rec), rec.len, span);
	done = iov_copy_in(iov, cnt, 0, span[0].iov_base, span[0].iov_len);
	done += iov_copy_in(iov, cnt, done, span[1].iov_base, span[1].iov_len);
	loopback_drop(lb, &rec);
	/* Sent before the receiver took back what it could take: lost, as on a link
	 * that is being reconfigured. */
	if (done < rec.len || net_needs(&rec.hdr) & ~n->rx_offload) {
		counter_inc(&n->stat.rx_drops);
		return -EMSGSIZE;
	}
	*h = rec.hdr;
	return (ssize_t)rec.len;
}

static void loopback_rx_enable(struct net *n, bool on)
{
	struct loopback *lb = loopback_of(n);

	lb->rx_on = on;
	if (on && lb->head != lb->tail) {
		counter_inc(&n->stat.rx_calls);
		loop_event_signal(&lb->wake);
	}
}

static void loopback_woken(struct loop_event *e)
{
	struct loopback *lb = container_of(e, struct loopback, wake);
	const struct net_client *c = &lb->net.client;

	if (atomic_exchange(&lb->room, false))
		c->writable(c->nic);
	if (lb->rx_on && lb->head != lb->tail)
		c->readable(c->nic);
	if (lb->rx_on && lb->head != lb->tail)
		loop_event_signal(&lb->wake);
}

static unsigned loopback_set_rx_offload(struct net *n, unsigned want)
{
	(void)n;
	return want;
}

static bool loopback_link_up(struct net *n)
{
	(void)n;
	return true;
}

static void loopback_destroy(struct net *n)
{
	struct loopback *lb = loopback_of(n);

	loop_event_destroy(&lb->wake);
	free(lb);
}

static const struct net_ops loopback_ops = {
	.send = loopback_send,
	.recv = loopback_recv,
	.rx_enable = loopback_rx_enable,
	.set_rx_offload = loopback_set_rx_offload,
	.link_up = loopback_link_up,
	.destroy = loopback_destroy,
};

struct net *net_loop_open(struct loop *l, const char *arg, int *err)
{
	struct loopback *lb = calloc(1, sizeof(*lb));

	(void)arg;
	*err = lb ? loop_event_init(l, &lb->wake, loopback_woken) : -ENOMEM;
	if (*err) {
		log_error("loop network backend: %s", strerror(-*err));
		free(lb);
		return NULL;
	}
	lb->net.ops = &loopback_ops;
	lb->net.tx_offload = NET_OFF_ALL;
	snprintf(lb->net.name, sizeof(lb->net.name), "loop");
	return &lb->net;
}
