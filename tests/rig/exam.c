/* SPDX-License-Identifier: MIT */
/* exam.c: see exam.h. */
#include "tests/rig/exam.h"

#include <linux/if_ether.h>
#include <string.h>

static void exam_same(const uint8_t *got, size_t got_len, const uint8_t *want, size_t len)
{
	size_t padded = len < ETH_ZLEN ? (size_t)ETH_ZLEN : len;

	RIG_CHECK(got_len == len || got_len == padded, "%zu bytes, not %zu", got_len, len);
	for (size_t i = 0; i < got_len; i++)
		RIG_CHECK(got[i] == (i < len ? want[i] : 0), "byte %zu of %zu is wrong", i, len);
}

void exam_sent(const struct nic_rig *r, unsigned i, const void *frame, size_t len)
{
	RIG_CHECK(i < r->net->sent_nr, "only %u frames were sent", r->net->sent_nr);
	exam_same(r->net->sent[i].data, r->net->sent[i].len, frame, len);
}

bool exam_passed_on(const struct nic_rig *r, const struct virtio_net_hdr *h)
{
	unsigned takes = rig_has(r, OFFLOAD_TX) ? r->opts.backend_offload : 0, needs = 0;

	if (h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		needs |= NET_OFF_CSUM;
	if (h->gso_type & VIRTIO_NET_HDR_GSO_ECN)
		needs |= NET_OFF_ECN;
	if ((h->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) == VIRTIO_NET_HDR_GSO_TCPV4)
		needs |= NET_OFF_TSO4;
	if ((h->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) == VIRTIO_NET_HDR_GSO_TCPV6)
		needs |= NET_OFF_TSO6;
	return !(needs & ~takes);
}

static void exam_sent_whole(const struct nic_rig *r, const void *frame, size_t len,
			    const struct virtio_net_hdr *h)
{
	const struct virtio_net_hdr *got;

	ck_assert_uint_eq(r->net->sent_nr, 1);
	exam_sent(r, 0, frame, len);
	got = &r->net->sent[0].hdr;
	ck_assert_uint_eq(got->flags, h->flags);
	ck_assert_uint_eq(got->csum_start, h->csum_start);
	ck_assert_uint_eq(got->csum_offset, h->csum_offset);
	ck_assert_uint_eq(got->gso_type, h->gso_type);
	ck_assert_uint_eq(got->gso_size, h->gso_size);
	if (h->gso_type != VIRTIO_NET_HDR_GSO_NONE)
		ck_assert_uint_eq(got->hdr_len, h->hdr_len);
}

/* Nothing is left to do for the i-th frame at the backend. */
static void exam_sent_finished(const struct nic_rig *r, unsigned i)
{
	const struct virtio_net_hdr *got = &r->net->sent[i].hdr;

	ck_assert_uint_eq(got->flags, 0);
	ck_assert_uint_eq(got->gso_type, VIRTIO_NET_HDR_GSO_NONE);
	ck_assert_uint_eq(got->gso_size, 0);
}

static void exam_sent_checksummed(const struct nic_rig *r, const void *frame, size_t len,
				  const struct virtio_net_hdr *h)
{
	static uint8_t want[FRAME_BUF];
	uint16_t sum;

	memcpy(want, frame, len);
	if (h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		sum = (uint16_t)~frame_sum(want + h->csum_start, len - h->csum_start, 0);
		frame_put16(want + h->csum_start + h->csum_offset, sum);
	}
	ck_assert_uint_eq(r->net->sent_nr, 1);
	exam_sent(r, 0, want, len);
	exam_sent_finished(r, 0);
}

static void exam_sent_segments(const struct nic_rig *r, const void *frame, size_t len,
			       const struct virtio_net_hdr *h)
{
	ck_assert_uint_eq(r->net->sent_nr, frame_segments(len, h));
	for (unsigned i = 0; i < r->net->sent_nr; i++) {
		const struct fake_frame *s = &r->net->sent[i];
		const char *wrong = frame_segment_wrong(frame, len, h, i, s->data, s->len);

		ck_assert_msg(!wrong, "segment %u of %u: %s", i, r->net->sent_nr, wrong);
		exam_sent_finished(r, i);
	}
}

void exam_sent_unfinished(const struct nic_rig *r, const void *frame, size_t len,
			  const struct virtio_net_hdr *h)
{
	if (exam_passed_on(r, h))
		exam_sent_whole(r, frame, len, h);
	else if (h->gso_type == VIRTIO_NET_HDR_GSO_NONE)
		exam_sent_checksummed(r, frame, len, h);
	else
		exam_sent_segments(r, frame, len, h);
}

static bool exam_in_guest(const struct nic_rig *r, const struct iovec *iov)
{
	const struct gmem *m = &r->m->f->m.mem;
	const uint8_t *p = iov->iov_base, *ram;

	for (unsigned i = 0; i < m->n; i++) {
		ram = gm_span(m, m->r[i].gpa, m->r[i].size);
		if (p >= ram && p + iov->iov_len <= ram + m->r[i].size)
			return true;
	}
	return false;
}

void exam_sent_from(const struct nic_rig *r, unsigned i)
{
	const struct fake_frame *s = &r->net->sent[i];

	ck_assert(s->cnt > 0 && s->cnt <= (int)ARRAY_SIZE(s->iov));
	ck_assert_int_eq(exam_in_guest(r, &s->iov[s->cnt - 1]), rig_has(r, ZERO_COPY) != 0);
}

void exam_received(struct nic_rig *r, const void *frame, size_t len)
{
	static struct rig_rx x;

	RIG_CHECK(rig_rx_next(r, &x), "no frame was received");
	exam_same(x.data, x.len, frame, len);
}

void exam_received_none(struct nic_rig *r)
{
	static struct rig_rx x;

	RIG_CHECK(!rig_rx_next(r, &x), "a frame of %zu bytes was received", x.len);
}

void exam_works(struct nic_rig *r)
{
	static const uint8_t peer[6] = { 2, 0, 0, 0, 0, 1 };
	uint8_t out[777], in[888];

	fake_net_clear(r->net);
	frame_plain(out, sizeof(out), peer, 4711);
	frame_plain(in, sizeof(in), r->mac, 4712);
	ck_assert(rig_post_tx(r, out, sizeof(out)));
	rig_kick(r);
	rig_post_rx(r, 4);
	rig_receive(r, in, sizeof(in), NULL);
	rig_run(r);
	ck_assert_uint_eq(r->net->sent_nr, 1);
	exam_sent(r, 0, out, sizeof(out));
	exam_received(r, in, sizeof(in));
	exam_received_none(r);
	ck_assert_uint_eq(rig_tx_done(r), r->tx_posted);
	fake_net_clear(r->net);
}

void exam_burst(struct nic_rig *r, unsigned n, uint32_t seed)
{
	static const uint8_t peer[6] = { 2, 0, 0, 0, 0, 1 };
	uint8_t out[100];

	for (unsigned i = 0; i < n; i++) {
		frame_plain(out, sizeof(out), peer, seed + i);
		ck_assert(rig_post_tx(r, out, sizeof(out)));
	}
	rig_kick(r);
	rig_run(r);
}

void exam_receive_burst(struct nic_rig *r, unsigned n)
{
	uint8_t in[200];

	for (unsigned i = 0; i < n; i++) {
		frame_plain(in, sizeof(in), r->mac, i);
		rig_receive(r, in, sizeof(in), NULL);
	}
	rig_run(r);
}

unsigned exam_drain(struct nic_rig *r)
{
	static struct rig_rx rx;
	unsigned n = 0;

	while (rig_rx_next(r, &rx))
		n++;
	return n;
}

void exam_accounts(struct nic_rig *r, unsigned posted, unsigned received)
{
	uint64_t out = rig_stat(r, tx_frames), lost = rig_stat(r, tx_drops);

	ck_assert_uint_eq(out + lost, posted);
	ck_assert_uint_eq(r->net->sent_nr, out);
	out = rig_stat(r, rx_frames);
	lost = rig_stat(r, rx_drops);
	ck_assert_uint_eq(out + lost + fake_net_waiting(r->net), received);
}
