/* SPDX-License-Identifier: MIT */
/*
 * net.c: the seam between NIC and backend. Opens backends by name, checks what a NIC
 * hands over, and finishes in software what the backend cannot take.
 */
#include "devices/net/net.h"
#include "devices/net/backend.h"
#include "devices/net/offload.h"
#include "vmm/log.h"
#include "vmm/trace.h"

#include <errno.h>
#include <string.h>

static const struct {
	const char *kind;
	struct net *(*open)(struct loop *l, const char *arg, int *err);
} net_kinds[] = {
	{ "tap", net_tap_open },   { "fd", net_fd_open },         { "null", net_null_open },
	{ "loop", net_loop_open }, { "stream", net_stream_open }, { "listen", net_listen_open },
	{ "user", net_user_open },
};

struct net *net_open(struct loop *l, const char *kind, const char *arg, int *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(net_kinds); i++)
		if (!strcmp(kind, net_kinds[i].kind))
			return net_kinds[i].open(l, arg, err);
	log_error("no network backend \"%s\": use tap, fd, user, stream, listen, null or loop",
		  kind);
	*err = -EINVAL;
	return NULL;
}

void net_close(struct net *n)
{
	if (!n)
		return;
	pcap_close(n->pcap);
	n->ops->destroy(n);
}

int net_capture(struct net *n, const char *path)
{
	int err = 0;

	n->pcap = pcap_open(path, &err);
	return err;
}

void net_attach(struct net *n, const struct net_client *c)
{
	n->client = *c;
}

/* --- send --- */

unsigned net_needs(const struct virtio_net_hdr *h)
{
	unsigned needs = 0;

	if (h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		needs |= NET_OFF_CSUM;
	switch (h->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		needs |= NET_OFF_TSO4;
		break;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		needs |= NET_OFF_TSO6;
		break;
	}
	if (h->gso_type & VIRTIO_NET_HDR_GSO_ECN)
		needs |= NET_OFF_ECN;
	return needs;
}

static const struct virtio_net_hdr net_hdr_finished;

/* Fill in the checksum of a frame that is not ours to write: the field's two bytes are
 * replaced by private ones, everything around them is passed on in place. */
static int net_finish_csum(struct net *n, net_send_fn send, const struct virtio_net_hdr *h,
			   const struct iovec *iov, int cnt)
{
	size_t len = iov_length(iov, cnt), at = (size_t)h->csum_start + h->csum_offset;
	struct iovec out[NET_SEND_IOV_MAX];
	uint16_t field;
	int head, tail;

	iov_copy_out(iov, cnt, at, &field, sizeof(field));
	head = iov_slice(iov, cnt, 0, at, out, NET_SEND_IOV_MAX - 1);
	BUG_ON(head < 0);
	out[head++] = (struct iovec){ &field, sizeof(field) };
	at += sizeof(field);
	tail = iov_slice(iov, cnt, at, len - at, out + head, NET_SEND_IOV_MAX - head);
	BUG_ON(tail < 0);
	counter_add(&n->stat.sw_csum_bytes, offload_csum(h, out, head + tail));
	return send(n, &net_hdr_finished, out, head + tail);
}

/* For net_emit(): where segments go, and what became of the last one. */
struct net_emit {
	struct net *n;
	net_send_fn send;
	size_t csum_start;
	int err;
};

static int net_emit(void *ctx, const struct iovec *iov, int cnt)
{
	struct net_emit *e = ctx;

	counter_add(&e->n->stat.sw_csum_bytes, iov_length(iov, cnt) - e->csum_start);
	e->err = e->send(e->n, &net_hdr_finished, iov, cnt);
	if (!e->err)
		counter_inc(&e->n->stat.sw_segments);
	return e->err;
}

static int net_finish_tso(struct net *n, net_send_fn send, const struct virtio_net_hdr *h,
			  const struct iovec *iov, int cnt)
{
	struct net_emit e = { .n = n, .send = send, .csum_start = h->csum_start };
	int nr = offload_segment(h, iov, cnt, net_emit, &e);

	if (nr > 0 && e.err) {
		/* Sending it again would repeat the segments that went: the others are one drop. */
		counter_inc(&n->stat.sw_segments);
		counter_inc(&n->stat.tx_drops);
		e.err = 0;
	}
	if (nr >= 0 && !e.err)
		counter_inc(&n->stat.sw_frames);
	return nr < 0 ? nr : e.err;
}

int net_finish(struct net *n, unsigned can, net_send_fn send, const struct virtio_net_hdr *h,
	       const struct iovec *iov, int cnt)
{
	unsigned lacks = net_needs(h) & ~can;

	if (!lacks)
		return send(n, h, iov, cnt);
	if (h->gso_type != VIRTIO_NET_HDR_GSO_NONE)
		return net_finish_tso(n, send, h, iov, cnt);
	return net_finish_csum(n, send, h, iov, cnt);
}

static void net_record(struct net *n, const struct iovec *iov, int cnt, size_t len)
{
	if (!pcap_frame(n->pcap, iov, cnt, len))
		counter_inc(&n->stat.pcap_lost);
}

/* Stands in for the backend's send() while frames are captured. */
static int net_send_recorded(struct net *n, const struct virtio_net_hdr *h, const struct iovec *iov,
			     int cnt)
{
	int err = n->ops->send(n, h, iov, cnt);

	if (!err)
		net_record(n, iov, cnt, iov_length(iov, cnt));
	return err;
}

int net_send(struct net *n, const struct virtio_net_hdr *h, const struct iovec *iov, int cnt)
{
	size_t len;
	int err;

	if (cnt < 0 || cnt > NET_IOV_MAX)
		return -EINVAL;
	len = iov_length(iov, cnt);
	if (len < NET_FRAME_MIN || len > NET_FRAME_MAX || !offload_sendable(h, len))
		return -EINVAL;
	trace(NET, "%s: send %zu bytes, flags %#x gso %#x size %u", n->name, len, h->flags,
	      h->gso_type, h->gso_size);
	err = net_finish(n, n->tx_offload, n->pcap ? net_send_recorded : n->ops->send, h, iov, cnt);
	trace(NET, "%s: sent, error %d", n->name, err);
	return err;
}

/* --- receive --- */

ssize_t net_recv(struct net *n, struct virtio_net_hdr *h, const struct iovec *iov, int cnt)
{
	ssize_t len = n->ops->recv(n, h, iov, cnt);

	if (len > 0)
		counter_inc(&n->stat.rx_frames);
	if (len > 0 && n->pcap)
		net_record(n, iov, cnt, (size_t)len);
	if (len)
		trace(NET, "%s: recv %zd bytes", n->name, len);
	return len;
}

void net_rx_enable(struct net *n, bool on)
{
	n->ops->rx_enable(n, on);
}

unsigned net_set_rx_offload(struct net *n, unsigned want)
{
	/* Segments cannot be cut without filling in checksums, nor CWR kept whole without
	 * segmentation: such wishes are no wishes, for every backend. */
	if (!(want & NET_OFF_CSUM))
		want = 0;
	if (!(want & (NET_OFF_TSO4 | NET_OFF_TSO6)))
		want &= ~NET_OFF_ECN;
	n->rx_offload = n->ops->set_rx_offload(n, want);
	return n->rx_offload;
}

bool net_link_up(struct net *n)
{
	return n->ops->link_up(n);
}

int net_lend(struct net *n, int hdr_len)
{
	return n->ops->lend ? n->ops->lend(n, hdr_len) : -ENOTSUP;
}

/* --- the negotiated table --- */

static const char *net_offload_names(unsigned set, char *buf, size_t size)
{
	static const char *const names[] = { "csum", "tso4", "tso6", "ecn" };
	size_t used = 0;

	snprintf(buf, size, "none");
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (set & BIT(i))
			used += (size_t)snprintf(buf + used, size - used, "%s%s", used ? "+" : "",
						 names[i]);
	return buf;
}

void net_log_offloads(const struct net *n, const char *nic, unsigned nic_rx, unsigned nic_tx)
{
	char tx[32], soft[32], rx[32], granted[32];

	log_info("%s on %s: transmit %s (in software: %s), receive %s (granted: %s)", nic, n->name,
		 net_offload_names(nic_tx, tx, sizeof(tx)),
		 net_offload_names(nic_tx & (~n->tx_offload | n->tx_software), soft, sizeof(soft)),
		 net_offload_names(nic_rx, rx, sizeof(rx)),
		 net_offload_names(n->rx_offload & nic_rx, granted, sizeof(granted)));
}
