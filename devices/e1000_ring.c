/* SPDX-License-Identifier: MIT */
/*
 * e1000_ring.c: descriptor rings, and a received frame's way into the driver's buffers.
 * Everything here belongs to the holder of nic.work.
 */
#include "devices/e1000.h"
#include "devices/net/offload.h"

#include <errno.h>
#include <string.h>

bool e1000_ring_load(struct e1000 *e, struct e1000_ring *r, uint32_t base)
{
	uint32_t len = e1000_get(e, base + E1000_TDLEN - E1000_TDBAL);
	uint64_t gpa = e1000_get(e, base) | (uint64_t)e1000_get(e, base + E1000_TDBAH - E1000_TDBAL)
						    << 32;
	uint32_t tail;

	/* seq_cst: descriptors before the tail are visible from here on. */
	tail = e1000_tail(e, base + E1000_TDT - E1000_TDBAL);
	if (e->ram && tail != r->tail) /* else the exit was counted */
		counter_inc(base == E1000_TDBAL ? &e->nic.stat.tx_kicks : &e->nic.stat.rx_kicks);
	r->tail = tail;
	r->size = len / E1000_DESC_SIZE;
	if (r->head == r->tail)
		return true;
	r->va = gm_span(&e->nic.m->mem, gpa, len);
	if (r->va && r->head < r->size && r->tail < r->size)
		return true;
	nic_guest_fault(&e->nic,
			r->va ? "ring head or tail beyond its length" : "ring outside of memory");
	return false;
}

uint32_t e1000_ring_avail(const struct e1000_ring *r)
{
	return r->tail - r->head + (r->tail < r->head ? r->size : 0);
}

unsigned e1000_ring_fetch(const struct e1000_ring *r, struct e1000_desc *d, unsigned max)
{
	unsigned n = MIN(max, e1000_ring_avail(r));
	unsigned first = MIN(n, r->size - r->head);

	memcpy(d, r->va + r->head * E1000_DESC_SIZE, first * sizeof(*d));
	memcpy(d + first, r->va, (n - first) * sizeof(*d));
	return n;
}

uint32_t e1000_ring_advance(struct e1000_ring *r)
{
	uint32_t at = r->head++;

	if (r->head == r->size)
		r->head = 0;
	return at;
}

unsigned e1000_rx_gather(struct e1000 *e, unsigned max)
{
	struct e1000_rx *rx = &e->rx;
	unsigned n = MIN(max, e1000_ring_avail(&rx->ring));
	size_t reach;

	if (rx->fetched - rx->next >= n)
		return n;
	/* Only what a frame can reach need be RAM: without RCTL.LPE Linux has 1522 bytes where
	 * RCTL says 2048, and at the end of RAM nothing is behind them. */
	reach = MIN(BIT(rx->shift), e1000_rx_longest(e));
	rx->fetched = e1000_ring_fetch(&rx->ring, rx->desc, E1000_RX_FETCH);
	rx->next = 0;
	for (unsigned i = 0; i < rx->fetched; i++) {
		gpa_t at = rx->desc[i].addr;
		void *va = at ? gm_span(&e->nic.m->mem, at, reach) : NULL;

		/* A write that nobody claims is lost, on a real bus too. */
		rx->buf[i] = (struct iovec){ va ? va : rx->sink, reach };
	}
	return MIN(n, rx->fetched);
}

/* The frame fills the first `len` bytes of the next buffers: hand them over. */
static void e1000_rx_report(struct e1000 *e, size_t len, const struct e1000_rx_report *rep)
{
	struct e1000_rx *rx = &e->rx;
	size_t size = BIT(rx->shift);

	while (len) {
		size_t here = MIN(len, size);
		uint64_t rest = here | (uint64_t)E1000_RXD_DD << E1000_RXD_STATUS_SHIFT;
		uint32_t at = e1000_ring_advance(&rx->ring);

		if (rx->buf[rx->next++].iov_base == rx->sink)
			nic_guest_fault(&e->nic, "receive buffer outside of memory");
		len -= here;
		if (!len) /* the last one speaks for the frame [3.2.3] */
			rest |= (uint64_t)(rep->status | E1000_RXD_EOP) << E1000_RXD_STATUS_SHIFT |
				(uint64_t)rep->errors << E1000_RXD_ERRORS_SHIFT |
				(uint64_t)rep->special << E1000_RXD_SPECIAL_SHIFT |
				(uint64_t)rep->csum << E1000_RXD_CSUM_SHIFT;
		/* Release: the payload comes before DD (the driver's read barrier). */
		__atomic_store_n((uint64_t *)(void *)(rx->ring.va + at * E1000_DESC_SIZE + 8), rest,
				 __ATOMIC_RELEASE);
	}
	rx->delivered++;
}

bool e1000_rx_copy(struct e1000 *e, const struct e1000_in *in, unsigned bufs)
{
	size_t done = 0;

	if (in->len > (size_t)bufs << e->rx.shift)
		return false;
	for (int i = 0; i < in->cnt && done < in->len; i++)
		done += iov_copy_in(e->rx.buf + e->rx.next, (int)bufs, done, in->iov[i].iov_base,
				    MIN(in->iov[i].iov_len, in->len - done));
	counter_add(&e->nic.stat.bytes_copied, in->len);
	e1000_rx_report(e, in->len, &in->report);
	return true;
}

bool e1000_rx_frame(struct e1000 *e, struct e1000_in *in, unsigned bufs)
{
	size_t wire = in->len;

	if (!e1000_accept(e, in)) {
		counter_inc(&e->nic.stat.rx_drops);
		return true;
	}
	trace(NET, "%s: rx %zu bytes, status %#x", e->nic.cfg.name, wire, in->report.status);
	counter_inc(&e->nic.stat.rx_frames);
	counter_add(&e->nic.stat.rx_bytes, wire);
	if (!in->straight)
		return e1000_rx_copy(e, in, bufs);
	e1000_rx_report(e, in->len, &in->report);
	return true;
}

/* --- PHY and MAC loopback --- */

bool e1000_loopback(const struct e1000 *e)
{
	return (e1000_get(e, E1000_RCTL) & E1000_RCTL_LBM_MAC) || e1000_phy_loopback(e);
}

/* Loopback: a frame that was just sent comes in. It is not held back for want of a
 * buffer, but missed. */
static int e1000_loop_frame(struct e1000 *e, const struct virtio_net_hdr *h,
			    const struct iovec *iov, int cnt)
{
	struct e1000_rx *rx = &e->rx;
	unsigned bufs = e1000_rx_gather(e, rx->want);

	rx->bounce_iov = (struct iovec){ rx->bounce, sizeof(rx->bounce) };
	e1000_rx_forget(e); /* a frame off the wire, which is not connected now */
	rx->in.h = *h;
	rx->in.iov = &rx->bounce_iov;
	rx->in.cnt = 1;
	rx->in.straight = false;
	rx->in.len = iov_copy_out(iov, cnt, 0, rx->bounce, E1000_LONG_MAX);
	if (!(e1000_get(e, E1000_RCTL) & E1000_RCTL_EN))
		return 0;
	if (!bufs || !e1000_rx_frame(e, &rx->in, bufs)) {
		rx->tally.missed++;
		counter_inc(&e->nic.stat.rx_missed);
	}
	return 0;
}

static int e1000_loop_segment(void *ctx, const struct iovec *iov, int cnt)
{
	static const struct virtio_net_hdr finished;

	return e1000_loop_frame(ctx, &finished, iov, cnt);
}

int e1000_loop(struct e1000 *e, const struct e1000_frame *f)
{
	int nr;

	if (!offload_sendable(&f->h, f->len))
		return -EINVAL;
	if (f->h.gso_type == VIRTIO_NET_HDR_GSO_NONE)
		return e1000_loop_frame(e, &f->h, f->iov, f->cnt);
	nr = offload_segment(&f->h, f->iov, f->cnt, e1000_loop_segment, e);
	if (nr < 0)
		return nr;
	counter_inc(&e->nic.stat.rx_cut);
	counter_add(&e->nic.stat.rx_segments, (unsigned)nr);
	return 0;
}
