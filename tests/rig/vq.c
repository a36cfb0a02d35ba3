/* SPDX-License-Identifier: MIT */
/* vq.c: the driver's half of a split virtqueue (virtio 1.2, section 2.7). */
#include "tests/rig/ring_virtio.h"

#include <string.h>

/* Offsets: flags and idx are the first two 16-bit words of both rings. */
#define RING_FLAGS          0
#define RING_IDX            2
#define AVAIL_RING(i)       (4 + 2 * (gpa_t)(i))
#define AVAIL_USED_EVENT(q) AVAIL_RING((q)->size)
#define USED_RING(i)        (4 + 8 * (gpa_t)(i))
#define USED_AVAIL_EVENT(q) USED_RING((q)->size)

static uint16_t ring_vq_get16(const struct nic_rig *r, gpa_t at)
{
	uint16_t v;

	rig_peek(r, at, &v, sizeof(v));
	return v;
}

static void ring_vq_put16(const struct nic_rig *r, gpa_t at, uint16_t v)
{
	rig_poke(r, at, &v, sizeof(v));
}

static bool ring_vq_event_idx(const struct nic_rig *r)
{
	return r->v.features & BIT64(VIRTIO_RING_F_EVENT_IDX);
}

void ring_vq_init(struct nic_rig *r, struct rig_vq *q)
{
	q->avail_idx = q->kicked_idx = q->last_used = q->free_head = 0;
	q->n_free = q->size;
	memset(q->chain, 0, sizeof(q->chain));
	for (unsigned i = 0; i < q->size; i++)
		q->next[i] = (uint16_t)(i + 1);
	if (r->opts.ring_outside)
		return;
	rig_fill(r, q->desc, 0, 16 * q->size);
	rig_fill(r, q->avail, 0, 6 + 2 * q->size);
	rig_fill(r, q->used, 0, 6 + 8 * q->size);
}

void ring_vq_put_desc(struct nic_rig *r, struct rig_vq *q, unsigned i, const struct vring_desc *d)
{
	rig_poke(r, q->desc + 16 * i, d, sizeof(*d));
}

void ring_vq_set_avail_idx(struct nic_rig *r, struct rig_vq *q, uint16_t idx)
{
	ring_vq_put16(r, q->avail + RING_IDX, idx);
}

void ring_vq_put_avail(struct nic_rig *r, struct rig_vq *q, uint16_t i)
{
	ring_vq_put16(r, q->avail + AVAIL_RING(q->avail_idx % q->size), i);
	ring_vq_set_avail_idx(r, q, ++q->avail_idx);
}

/* b[0..n) as a chain in the table at `table`, whose entries follow `next`. */
static void ring_vq_put_chain(struct nic_rig *r, gpa_t table, const struct ring_buf *b, unsigned n,
			      const uint16_t *next, uint16_t i)
{
	for (unsigned k = 0; k < n; k++) {
		uint16_t after = next ? next[i] : (uint16_t)(i + 1);
		struct vring_desc d = { .addr = b[k].at, .len = b[k].len };

		d.flags = b[k].device_writes ? VRING_DESC_F_WRITE : 0;
		if (k + 1 < n) {
			d.flags |= VRING_DESC_F_NEXT;
			d.next = after;
		}
		rig_poke(r, table + 16 * i, &d, sizeof(d));
		i = after;
	}
}

static void ring_vq_put_indirect(struct nic_rig *r, struct rig_vq *q, const struct ring_buf *b,
				 unsigned n)
{
	gpa_t table = q->indirect + (gpa_t)q->free_head * RING_INDIRECT * 16;
	struct vring_desc d = { .addr = table, .len = 16 * n, .flags = VRING_DESC_F_INDIRECT };

	RIG_CHECK(n <= RING_INDIRECT, "too many pieces");
	ring_vq_put_chain(r, table, b, n, NULL, 0);
	ring_vq_put_desc(r, q, q->free_head, &d);
}

bool ring_vq_post(struct nic_rig *r, struct rig_vq *q, const struct ring_buf *b, unsigned n,
		  bool indirect, uint16_t *head)
{
	unsigned used = indirect ? 1 : n;
	uint16_t first = q->free_head;

	if (used > q->n_free)
		return false;
	if (indirect)
		ring_vq_put_indirect(r, q, b, n);
	else
		ring_vq_put_chain(r, q->desc, b, n, q->next, first);
	for (unsigned i = 0; i < used; i++)
		q->free_head = q->next[q->free_head];
	q->n_free -= used;
	q->chain[first] = (uint16_t)used;
	q->buf[first] = b[0].at;
	if (head)
		*head = first;
	ring_vq_put_avail(r, q, first);
	return true;
}

static void ring_vq_free(struct rig_vq *q, unsigned head)
{
	uint16_t last = (uint16_t)head;

	for (unsigned i = 1; i < q->chain[head]; i++)
		last = q->next[last];
	q->next[last] = q->free_head;
	q->free_head = (uint16_t)head;
	q->n_free += q->chain[head];
	q->chain[head] = 0;
}

bool ring_vq_used(struct nic_rig *r, struct rig_vq *q, struct vring_used_elem *e)
{
	uint16_t idx = ring_vq_get16(r, q->used + RING_IDX);

	RIG_CHECK((uint16_t)(idx - q->last_used) <= q->size, "used.idx runs away");
	if (idx == q->last_used)
		return false;
	rig_peek(r, q->used + USED_RING(q->last_used % q->size), e, sizeof(*e));
	RIG_CHECK(e->id < q->size && q->chain[e->id], "chain %u was not posted", e->id);
	ring_vq_free(q, e->id);
	q->last_used++;
	return true;
}

void ring_vq_ring_bell(struct nic_rig *r, unsigned index)
{
	fake_store(&r->m->accel, r->v.q[index].notify, 2, index);
}

void ring_vq_kick(struct nic_rig *r, unsigned index)
{
	struct rig_vq *q = &r->v.q[index];
	uint16_t old = q->kicked_idx;

	q->kicked_idx = q->avail_idx;
	/* The index is there before the wish is read, or both sides fall asleep (2.7.13.4). */
	rig_full_barrier();
	if (ring_vq_event_idx(r)) {
		uint16_t event = ring_vq_get16(r, q->used + USED_AVAIL_EVENT(q));

		if (vring_need_event(event, q->avail_idx, old))
			ring_vq_ring_bell(r, index);
	} else if (!(ring_vq_get16(r, q->used + RING_FLAGS) & VRING_USED_F_NO_NOTIFY)) {
		ring_vq_ring_bell(r, index);
	}
}

void ring_vq_interrupts(struct nic_rig *r, struct rig_vq *q, bool on)
{
	/* Off with EVENT_IDX: an index that will not be reached soon. */
	uint16_t event = (uint16_t)(q->last_used + (on ? 0 : 0x8000));

	if (ring_vq_event_idx(r))
		ring_vq_put16(r, q->avail + AVAIL_USED_EVENT(q), event);
	else
		ring_vq_put16(r, q->avail + RING_FLAGS, on ? 0 : VRING_AVAIL_F_NO_INTERRUPT);
}
