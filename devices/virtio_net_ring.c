/* SPDX-License-Identifier: MIT */
/*
 * virtio_net_ring.c: what stands between frames and virtqueues: the receive window, and
 * the private memory that frames pass through without the zero-copy rung. Everything here
 * belongs to the holder of nic.work.
 */
#include "devices/virtio_net.h"

#include "devices/net/offload.h"

#include <errno.h>
#include <string.h>

/*
 * A driver may never post room for 64 KiB, so short of that we go on with what is there
 * and a frame that does not fit is lost. But if it has had the room before and is down to
 * the last quarter of its ring, it is only slow: waiting keeps the frame in the backend.
 */
int vnet_rx_fill(struct vnet *v)
{
	struct virtq *q = vnet_q(v, VNET_RX);
	struct vnet_rx *rx = &v->rx;

	while (!rx->n || (rx->mergeable && rx->bytes < rx->need && rx->n < VNET_QUEUE_SIZE)) {
		struct virtq_chain *c = &rx->chain[rx->n];
		int got = virtq_pop(q, c, rx->iov + rx->n_iov, NET_IOV_MAX - rx->n_iov);

		if (!got)
			return rx->n && (!rx->roomy || rx->n >= q->size / 4);
		if (got == -E2BIG && rx->n)
			return 1;
		if (got < 0 || c->n_out || c->in_len <= VNET_HDR_LEN) {
			vnet_broken(v, q->fault ? q->fault : "unusable receive buffer");
			return -1;
		}
		rx->n++;
		rx->n_iov += c->n_in;
		rx->bytes += c->in_len;
	}
	rx->roomy = rx->roomy || rx->bytes >= rx->need;
	return 1;
}

/* 0 only with the doorbell on: then a kick will follow. Each round pops at
 * least one chain, so there are at most VNET_QUEUE_SIZE. */
int vnet_rx_fill_or_wait(struct vnet *v)
{
	struct virtq *q = vnet_q(v, VNET_RX);
	int ready;

	virtq_kick_disable(q);
	while (!(ready = vnet_rx_fill(v)) && virtq_kick_enable(q))
		virtq_kick_disable(q);
	return ready;
}

void vnet_rx_forget(struct vnet_rx *rx, unsigned n)
{
	unsigned iovs = 0;

	for (unsigned i = 0; i < n; i++) {
		iovs += rx->chain[i].n_in;
		rx->bytes -= rx->chain[i].in_len;
	}
	rx->n -= n;
	rx->n_iov -= iovs;
	memmove(rx->chain, rx->chain + n, rx->n * sizeof(rx->chain[0]));
	memmove(rx->iov, rx->iov + iovs, rx->n_iov * sizeof(rx->iov[0]));
}

const struct iovec *vnet_iov_skip(struct iovec *iov, int *cnt, size_t n)
{
	for (; n >= iov->iov_len; iov++, (*cnt)--)
		n -= iov->iov_len;
	iov->iov_base = (uint8_t *)iov->iov_base + n;
	iov->iov_len -= n;
	return iov;
}

/* --- without zero-copy --- */

static ssize_t vnet_rx_bounce(struct vnet *v, struct virtio_net_hdr *h, const struct iovec *iov,
			      int cnt)
{
	size_t room = MIN(iov_length(iov, cnt), sizeof(v->bounce));
	struct iovec in = { v->bounce, room };
	ssize_t len = net_recv(v->nic.be, h, &in, 1);

	if (len > 0) {
		iov_copy_in(iov, cnt, 0, v->bounce, (size_t)len);
		counter_add(&v->nic.stat.bytes_copied, (uint64_t)len);
	}
	return len;
}

/* --- with it --- */

/* The frame was longer than the first chain: its rest goes to the others. */
static ssize_t vnet_rx_spill(struct vnet *v, ssize_t len, size_t room)
{
	struct vnet_rx *rx = &v->rx;
	size_t rest = VNET_HDR_LEN + (size_t)len - room;

	counter_add(&v->nic.stat.bytes_copied, MIN(rest, rx->bytes - room));
	return iov_copy_in(rx->iov, (int)rx->n_iov, room, v->bounce, rest) == rest ? len
										   : -EMSGSIZE;
}

/*
 * A window for the largest frame is some forty entries, and a system call that looks at them
 * all costs a small frame more than everything else. So where many have been small the next
 * one is read into the first chain, and into private memory if it is not.
 */
ssize_t vnet_rx_read(struct vnet *v, struct virtio_net_hdr *h, int *cnt)
{
	struct vnet_rx *rx = &v->rx;
	bool first = rx->small >= NIC_DOUBT && rx->n > 1 && nic_has(&v->nic, RUNG_ZERO_COPY);
	size_t room = first ? rx->chain[0].in_len : rx->bytes;
	int n = iov_slice(rx->iov, (int)rx->n_iov, VNET_HDR_LEN, room - VNET_HDR_LEN, rx->payload,
			  NET_IOV_MAX);
	ssize_t len;

	if (first)
		rx->payload[n++] = (struct iovec){ v->bounce, sizeof(v->bounce) };
	*cnt = n;
	if (!nic_has(&v->nic, RUNG_ZERO_COPY))
		return vnet_rx_bounce(v, h, rx->payload, n);
	len = net_recv(v->nic.be, h, rx->payload, n);
	if (len > 0 && VNET_HDR_LEN + (size_t)len <= rx->chain[0].in_len)
		rx->small++;
	else if (len)
		rx->small = 0;
	return len > 0 && VNET_HDR_LEN + (size_t)len > room ? vnet_rx_spill(v, len, room) : len;
}
