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

void exam_accounts(struct nic_rig *r, unsigned posted, unsigned received)
{
	uint64_t out = rig_stat(r, tx_frames), lost = rig_stat(r, tx_drops);

	ck_assert_uint_eq(out + lost, posted);
	ck_assert_uint_eq(r->net->sent_nr, out);
	out = rig_stat(r, rx_frames);
	lost = rig_stat(r, rx_drops);
	ck_assert_uint_eq(out + lost + fake_net_waiting(r->net), received);
}
