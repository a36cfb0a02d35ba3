/* SPDX-License-Identifier: MIT */
/*
 * e1000_gso.c: how a frame is read from the backend. A host's TCP sends up to 64 KiB in
 * one frame and one system call; the driver takes one frame of the wire per descriptor.
 * So a large frame is read as if it had been cut already, by a plan of where its bytes
 * belong, given what the last one was like:
 *
 *   backend:  | headers | payload 0 | payload 1 | payload 2 |  rest  |
 *                  |          |           |           |          |
 *   slot 0    [ headers | payload 0 |]    |           |          |
 *   slot 1    [         | payload 1 |]<---'           |          |
 *   slot 2    [         | payload 2 |]<---------------'          |
 *   bounce    [                                       |  rest  ]<'
 *
 * and the headers of slots 1, 2, ... are written afterwards, in front of a payload that
 * nobody copied. A finished frame fits slot 0. If the plan was wrong, what it placed
 * goes back to its position in the bounce buffer, which then holds the whole frame, and
 * the segments are copied from there, as is a rest that met too few buffers. That copy
 * waits for them if need be, over as many turns as it takes.
 *
 * Everything here belongs to the holder of nic.work; what is in the guest's buffers is
 * handed over in the turn that read it.
 */
#include "devices/e1000.h"

#include <string.h>

bool e1000_rx_waits(const struct e1000 *e)
{
	return e->rx.held || e->rx.gso.open;
}

void e1000_rx_forget(struct e1000 *e)
{
	e->rx.held = e->rx.gso.open = false;
	e->rx.plan.mss = 0;
}

/* --- the plan --- */

/* Do all buffers of the slot lie in RAM? */
static bool e1000_slot_usable(const struct e1000_rx *rx, const struct iovec *slot, unsigned bufs)
{
	for (unsigned i = 0; i < bufs; i++)
		if (slot[i].iov_base == rx->sink)
			return false;
	return true;
}

/* How many buffers a slot has; `first`: bytes that go to slot 0. That is never more than the
 * longest frame, for the rest of the buffer may not be the driver's: without RCTL.LPE nothing
 * longer comes [13.4.22], and Linux has 1522 bytes where RCTL says 2048. */
static unsigned e1000_plan_slot(struct e1000 *e, size_t *first)
{
	const struct e1000_rx *rx = &e->rx;
	const struct e1000_plan *p = &rx->plan;
	size_t crc = e1000_get(e, E1000_RCTL) & E1000_RCTL_SECRC ? 0 : E1000_CRC_LEN;

	*first = p->mss ? p->hdr_len + p->mss
			: MIN((size_t)rx->want << rx->shift, e1000_rx_longest(e) - E1000_CRC_LEN);
	return p->mss ? (unsigned)((*first + crc + BIT(rx->shift) - 1) >> rx->shift) : rx->want;
}

/* Fill slots, as long as there are buffers and as far as a frame can reach. */
static void e1000_plan_place(struct e1000 *e)
{
	struct e1000_rx *rx = &e->rx;
	struct e1000_plan *p = &rx->plan;
	size_t most = p->mss ? (NET_FRAME_MAX / p->mss + 1) * p->bufs : p->bufs, n = p->first;
	unsigned avail = e1000_rx_gather(e, (unsigned)MIN(most, (size_t)E1000_RX_FETCH));

	for (unsigned used = 0; used + p->bufs <= avail; used += p->bufs) {
		const struct iovec *slot = rx->buf + rx->next + used;

		if (p->placed + n > NET_FRAME_MAX || !e1000_slot_usable(rx, slot, p->bufs))
			break;
		p->cnt += iov_slice(slot, (int)p->bufs, p->slots ? p->hdr_len : 0, n,
				    p->iov + p->cnt, (int)p->bufs);
		p->placed += n;
		p->slots++;
		n = p->mss;
	}
}

void e1000_plan_make(struct e1000 *e)
{
	struct e1000_plan *p = &e->rx.plan;

	p->cnt = 0;
	p->slots = 0;
	p->placed = 0;
	if (p->hdr_len + p->mss + E1000_CRC_LEN > e1000_rx_longest(e))
		p->mss = 0; /* such segments are not for the ring */
	p->bufs = e1000_plan_slot(e, &p->first);
	if (nic_has(&e->nic, RUNG_ZERO_COPY))
		e1000_plan_place(e);
	p->iov[p->cnt++] = (struct iovec){ e->rx.bounce + p->placed, NET_FRAME_MAX - p->placed };
}

/* Take bytes [from, len) of the frame back from where the plan has put them. */
static void e1000_plan_undo(struct e1000 *e, size_t from, size_t len)
{
	struct e1000_plan *p = &e->rx.plan;
	size_t end = MIN(len, p->placed);

	if (from < end)
		counter_add(&e->nic.stat.bytes_copied,
			    iov_copy_out(p->iov, p->cnt, from, e->rx.bounce + from, end - from));
}

/* --- large frames --- */

/* Number `cut` to the ring: its payload is in slot 0 of what is left of the plan. False
 * when the slots behind it are no longer the next ones of the ring. */
static bool e1000_gso_straight(struct e1000 *e)
{
	struct e1000_rx *rx = &e->rx;
	struct e1000_in *in = &rx->in;
	unsigned at = rx->next;

	in->h = rx->gso.h;
	in->iov = rx->buf + rx->next;
	in->cnt = (int)rx->plan.bufs;
	in->len = rx->gso.cut.hdr_len + rx->gso.cut.len;
	in->straight = true;
	iov_copy_in(in->iov, in->cnt, 0, rx->gso.cut.hdr, rx->gso.cut.hdr_len);
	counter_inc(&e->nic.stat.rx_segments);
	e1000_rx_frame(e, in, rx->plan.bufs);
	return rx->next - at == rx->plan.bufs;
}

void e1000_gso_next(struct e1000 *e, unsigned bufs)
{
	struct e1000_rx *rx = &e->rx;
	struct e1000_gso *g = &rx->gso;
	struct e1000_in *in = &rx->in;

	offload_cut_next(&g->cut);
	memcpy(g->hdr, g->cut.hdr, g->cut.hdr_len);
	g->iov[0] = (struct iovec){ g->hdr, g->cut.hdr_len };
	g->iov[1] = (struct iovec){ rx->bounce + g->cut.hdr_len + g->cut.off, g->cut.len };
	g->iov[2] = (struct iovec){ g->pad, sizeof(g->pad) };
	in->h = g->h;
	in->iov = g->iov;
	in->cnt = ARRAY_SIZE(g->iov);
	in->len = g->cut.hdr_len + g->cut.len;
	in->straight = false;
	g->open = offload_cut_more(&g->cut);
	counter_inc(&e->nic.stat.rx_segments);
	rx->held = !e1000_rx_frame(e, in, bufs);
}

static void e1000_gso_arrived(struct e1000 *e, size_t len)
{
	struct e1000_rx *rx = &e->rx;
	struct e1000_plan *p = &rx->plan;
	struct offload_cut *c = &rx->gso.cut;
	const struct virtio_net_hdr *h = &rx->in.h;
	size_t done = 0;
	bool fits;

	/* The backend is ours, but the frame may come from another guest. */
	if (!offload_hdr_valid(h, len) || offload_cut_begin(c, h, p->iov, p->cnt, len)) {
		counter_inc(&e->nic.stat.rx_filtered);
		counter_inc(&e->nic.stat.rx_drops);
		return;
	}
	rx->gso.h = (struct virtio_net_hdr){ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					     .csum_start = h->csum_start,
					     .csum_offset = h->csum_offset };
	counter_inc(&e->nic.stat.rx_cut);
	fits = c->hdr_len == p->hdr_len && h->gso_size == p->mss;
	p->hdr_len = c->hdr_len;
	p->mss = h->gso_size;
	p->finished = 0;
	for (unsigned i = 0; fits && i < p->slots && offload_cut_next(c); i++) {
		fits = e1000_gso_straight(e);
		done = c->hdr_len + c->off + c->len;
	}
	e1000_plan_undo(e, done, len);
	rx->gso.open = offload_cut_more(c);
}

/* --- the others --- */

static void e1000_finished_arrived(struct e1000 *e, size_t len)
{
	struct e1000_rx *rx = &e->rx;
	struct e1000_plan *p = &rx->plan;
	struct e1000_in *in = &rx->in;

	in->len = len;
	in->straight = p->slots && len <= p->first;
	if (++p->finished > NIC_DOUBT || (p->slots && !in->straight))
		p->mss = 0;
	if (in->straight) {
		in->iov = rx->buf + rx->next;
		in->cnt = (int)p->bufs;
		e1000_rx_frame(e, in, p->bufs);
		return;
	}
	e1000_plan_undo(e, 0, len);
	rx->bounce_iov = (struct iovec){ rx->bounce, sizeof(rx->bounce) };
	in->iov = &rx->bounce_iov;
	in->cnt = 1;
	rx->held = !e1000_rx_frame(e, in, e1000_rx_gather(e, rx->want));
}

void e1000_plan_done(struct e1000 *e, size_t len)
{
	if (e->rx.in.h.gso_type == VIRTIO_NET_HDR_GSO_NONE)
		e1000_finished_arrived(e, len);
	else
		e1000_gso_arrived(e, len);
}
