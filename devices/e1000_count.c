/* SPDX-License-Identifier: MIT */
/*
 * e1000_count.c: the statistics registers [13.7]. A batch is tallied by the I/O thread
 * for itself and added to the registers in one go, under the lock that the guest's
 * reads take. Counters stick at their maximum. Lengths are those on a wire: at least 64
 * bytes, CRC included.
 */
#include "devices/e1000.h"

#include <string.h>

static size_t e1000_wire_len(size_t len)
{
	return len + E1000_CRC_LEN < E1000_FRAME_MIN ? E1000_FRAME_MIN : len + E1000_CRC_LEN;
}

void e1000_tally_any(struct e1000_tally *t, size_t len)
{
	t->total++;
	t->total_octets += e1000_wire_len(len);
}

void e1000_tally_good(struct e1000_tally *t, const uint8_t *dst, size_t len)
{
	static const uint8_t broadcast[6] = { 255, 255, 255, 255, 255, 255 };
	static const uint16_t upto[5] = { 64, 127, 255, 511, 1023 };
	size_t wire = e1000_wire_len(len);
	unsigned i = 0;

	while (i < ARRAY_SIZE(upto) && wire > upto[i])
		i++;
	t->bin[i]++;
	t->good++;
	t->good_octets += wire;
	if (!memcmp(dst, broadcast, sizeof(broadcast)))
		t->bcast++;
	else if (dst[0] & 1)
		t->mcast++;
}

/* A TSO packet counts as the segments it is cut into. */
void e1000_tally_tx(struct e1000_tally *t, const struct e1000_frame *f)
{
	const uint8_t *dst = f->iov[0].iov_base;
	size_t hdr = f->h.hdr_len, left = f->len - hdr;
	uint8_t head[6] = { 0 };

	memcpy(head, dst, MIN(sizeof(head), f->iov[0].iov_len));
	if (f->h.gso_type == VIRTIO_NET_HDR_GSO_NONE) {
		e1000_tally_any(t, f->len);
		e1000_tally_good(t, head, f->len);
		return;
	}
	t->tso++;
	do { /* subtracting, not dividing, by a guest's number; at most 65535 rounds */
		size_t len = MIN(left, (size_t)f->h.gso_size);

		e1000_tally_any(t, hdr + len);
		e1000_tally_good(t, head, hdr + len);
		left -= len;
	} while (left);
}

void e1000_count_withheld(struct e1000 *e, uint32_t causes)
{
	counter_inc(&e->nic.stat.irqs_suppressed);
	/* Not masked: the line is up already, or ITR holds it back. */
	if (causes & e1000_get(e, E1000_IMS))
		counter_inc(&e->nic.stat.irqs_coalesced);
}

/* --- the registers --- */

static void e1000_stat_add(struct e1000 *e, uint32_t off, uint32_t n)
{
	uint32_t v = e1000_get(e, off);

	if (n)
		e1000_set(e, off, v + n < v ? UINT32_MAX : v + n);
}

static void e1000_stat_add64(struct e1000 *e, uint32_t low, uint64_t n)
{
	uint64_t v = e1000_get(e, low) | (uint64_t)e1000_get(e, low + 4) << 32;

	v = v + n < v ? UINT64_MAX : v + n;
	e1000_set(e, low, (uint32_t)v);
	e1000_set(e, low + 4, (uint32_t)(v >> 32));
}

uint32_t e1000_stat_high_read(struct e1000 *e, unsigned w)
{
	uint32_t high = e1000_get(e, w * 4);

	e1000_set(e, w * 4, 0);
	e1000_set(e, w * 4 - 4, 0);
	return high;
}

void e1000_fold_tx(struct e1000 *e)
{
	struct e1000_tally *t = &e->tx.tally;

	for (unsigned i = 0; i < ARRAY_SIZE(t->bin); i++)
		e1000_stat_add(e, E1000_PTC64 + 4 * i, t->bin[i]);
	e1000_stat_add(e, E1000_GPTC, t->good);
	e1000_stat_add(e, E1000_TPT, t->total);
	e1000_stat_add(e, E1000_BPTC, t->bcast);
	e1000_stat_add(e, E1000_MPTC, t->mcast);
	e1000_stat_add(e, E1000_TSCTC, t->tso);
	e1000_stat_add64(e, E1000_GOTCL, t->good_octets);
	e1000_stat_add64(e, E1000_TOTL, t->total_octets);
	*t = (struct e1000_tally){ .total = 0 };
}

void e1000_fold_rx(struct e1000 *e)
{
	struct e1000_tally *t = &e->rx.tally;

	for (unsigned i = 0; i < ARRAY_SIZE(t->bin); i++)
		e1000_stat_add(e, E1000_PRC64 + 4 * i, t->bin[i]);
	e1000_stat_add(e, E1000_GPRC, t->good);
	e1000_stat_add(e, E1000_TPR, t->total);
	e1000_stat_add(e, E1000_BPRC, t->bcast);
	e1000_stat_add(e, E1000_MPRC, t->mcast);
	e1000_stat_add(e, E1000_MPC, t->missed);
	e1000_stat_add(e, E1000_RNBC, t->no_buf);
	e1000_stat_add(e, E1000_ROC, t->oversize);
	e1000_stat_add64(e, E1000_GORCL, t->good_octets);
	e1000_stat_add64(e, E1000_TORL, t->total_octets);
	*t = (struct e1000_tally){ .total = 0 };
}
