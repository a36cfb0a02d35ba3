/* SPDX-License-Identifier: MIT */
/* large.c: see large.h. */
#include "tests/rig/large.h"
#include "tests/rig/exam.h"

#include <linux/if_ether.h>
#include <string.h>

uint8_t large_frame[FRAME_BUF];
struct rig_rx large_rx;

struct nic_rig *large_rig(const struct rig_opts *o)
{
	char rungs[16];

	snprintf(rungs, sizeof(rungs), "%#x",
		 rig_rungs(RIG_E1000) | BIT(RUNG_OFFLOAD_RX) | BIT(RUNG_ZERO_COPY));
	ck_assert_int_eq(setenv("DUET_RUNGS", rungs, 1), 0);
	return nic_rig_new(RIG_E1000, o);
}

struct nic_rig *large_rig_ready(const struct rig_opts *o)
{
	struct nic_rig *r = large_rig(o);

	rig_post_rx(r, RIG_RING_MAX);
	return r;
}

size_t large_make(struct nic_rig *r, const struct large *l, struct virtio_net_hdr *h)
{
	struct frame_ip f = { .v6 = l->v6, .partial = true, .payload = l->payload + l->options };
	size_t len, tcp;

	memcpy(f.dst, r->mac, 6);
	f.tcp_flags = TCP_ACK | l->flags;
	f.seed = l->seed + 1;
	len = frame_ip(large_frame, &f, h);
	tcp = h->csum_start;
	large_frame[tcp + 12] = (uint8_t)(large_frame[tcp + 12] + (l->options / 4 << 4));
	memset(large_frame + h->hdr_len, 1, l->options); /* no-operations */
	h->hdr_len = (uint16_t)(h->hdr_len + l->options);
	h->gso_type = l->v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
	if (l->flags & TCP_CWR)
		h->gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	h->gso_size = l->mss ? l->mss : (uint16_t)(ETH_HLEN + 1500 - h->hdr_len);
	return len;
}

void large_arrives(struct nic_rig *r, const struct virtio_net_hdr *h, size_t len)
{
	rig_receive(r, large_frame, len, h);
	rig_run(r);
}

void large_segments(struct nic_rig *r, const struct virtio_net_hdr *h, size_t len, unsigned from,
		    unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		const char *wrong;

		RIG_CHECK(rig_rx_next(r, &large_rx), "segment %u of %u is missing", i, to);
		wrong = frame_segment_wrong(large_frame, len, h, i, large_rx.data, large_rx.len);
		RIG_CHECK(!wrong, "segment %u of %u: %s", i, to, wrong);
		RIG_CHECK(large_rx.hdr.flags & VIRTIO_NET_HDR_F_DATA_VALID, "no verdict");
	}
}

void large_received(struct nic_rig *r, const struct virtio_net_hdr *h, size_t len)
{
	unsigned n = frame_segments(len, h);

	large_segments(r, h, len, 0, n ? n : 1);
	exam_received_none(r);
}

void large_pass(struct nic_rig *r, const struct large *l)
{
	struct virtio_net_hdr h;
	size_t len = large_make(r, l, &h);

	large_arrives(r, &h, len);
	large_received(r, &h, len);
	rig_post_rx(r, RIG_RING_MAX);
}

uint64_t large_copied(struct nic_rig *r, const struct large *l)
{
	uint64_t before = rig_stat(r, bytes_copied);

	large_pass(r, l);
	return rig_stat(r, bytes_copied) - before;
}
