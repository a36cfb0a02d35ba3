/* SPDX-License-Identifier: MIT */
/* net_rig.c: a counting NIC, and frames for it. */
#include "tests/rig/net_rig.h"

#include <string.h>

static void probe_readable(void *nic)
{
	struct probe *p = nic;

	p->readable++;
	if (p->take)
		probe_recv(p, sizeof(p->buf));
}

static void probe_writable(void *nic)
{
	struct probe *p = nic;

	p->writable++;
}

static void probe_link_changed(void *nic)
{
	struct probe *p = nic;

	p->links++;
}

void probe_attach(struct probe *p, struct net *be)
{
	const struct net_client client = { probe_readable, probe_writable, probe_link_changed, p };

	*p = (struct probe){ .be = be };
	net_attach(be, &client);
}

ssize_t probe_recv(struct probe *p, size_t room)
{
	size_t first = MIN(room, (size_t)40);
	struct iovec iov[2] = { { p->buf, first }, { p->buf + first, room - first } };

	return net_recv(p->be, &p->hdr, iov, 2);
}

int probe_send(struct probe *p, const struct virtio_net_hdr *h, void *frame, size_t len)
{
	size_t first = MIN(len, (size_t)30);
	struct iovec iov[2] = { { frame, first }, { (char *)frame + first, len - first } };

	return net_send(p->be, h, iov, 2);
}

size_t frame_tso(uint8_t *buf, bool v6, uint8_t tcp_flags, size_t payload, struct virtio_net_hdr *h)
{
	static const uint8_t station[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };
	struct frame_ip f = { .v6 = v6, .partial = true, .payload = payload, .seed = 5 };
	size_t len;

	f.tcp_flags = tcp_flags;
	memcpy(f.dst, station, sizeof(station));
	len = frame_ip(buf, &f, h);
	h->gso_type = v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
	if (tcp_flags & TCP_CWR)
		h->gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	h->gso_size = 1400;
	return len;
}

int iov_cut(uint8_t *p, size_t len, size_t step, struct iovec *iov)
{
	int cnt = 0;

	for (size_t off = 0; off < len; off += step) {
		size_t n = MIN(step, len - off);

		iov[cnt++] = (struct iovec){ NULL, 0 };
		iov[cnt++] = (struct iovec){ p + off, n };
	}
	return cnt;
}

void prng_fill(struct prng *r, uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)prng_next(r);
}
