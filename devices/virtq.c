/* SPDX-License-Identifier: MIT */
/*
 * virtq.c: pop, push and the two rules of who is told when (virtio 1.2, section 2.7).
 *
 * Barriers. The driver runs on other CPUs at the same time; each of ours has a partner
 * in it:
 *
 *   ours                                      the driver's
 *   virtq_poll     acquire on avail->idx      release of idx after the entry (2.7.13.3)
 *   virtq_publish  release of used->idx       acquire on idx before the element (2.7.14)
 *   virtq_irq_due  full: idx stored, then     full: used_event or flags stored, then
 *                  used_event, flags loaded   used->idx loaded again (2.7.7)
 *   virtq_kick_enable                         full: avail->idx stored, then avail_event
 *                  full: avail_event or flags or flags loaded (2.7.10, 2.7.13.4.1)
 *                  stored, then idx loaded
 *
 * The last two are the same bargain: store mine, then look at yours. Whatever the
 * interleaving, at least one of the two sees the other's store, so nobody sleeps while
 * work waits. On x86 only these need an instruction.
 *
 * Ring fields are little-endian, as is every host this runs on.
 */
#include "devices/virtq.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#define RING_LOAD(x)     __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define RING_STORE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELAXED)

static int virtq_fault(struct virtq *q, const char *why)
{
	q->fault = why;
	return -EINVAL;
}

/* The two event words lie behind the last ring entry, each in the other's array. */
static uint16_t *virtq_used_event(struct virtq *q)
{
	return &q->avail->ring[q->size];
}

static uint16_t *virtq_avail_event(struct virtq *q)
{
	return (uint16_t *)(void *)&q->used->ring[q->size];
}

/* --- enable, disable ---------------------------------------------------------------- */

int virtq_enable(struct virtq *q, const struct gmem *m, const struct virtq_layout *l,
		 uint64_t features)
{
	uint64_t n = l->size;

	virtq_disable(q);
	if (!n || (n & (n - 1)) || n > VIRTQ_SIZE_MAX)
		return -EINVAL;
	if (l->desc % VRING_DESC_ALIGN_SIZE || l->avail % VRING_AVAIL_ALIGN_SIZE ||
	    l->used % VRING_USED_ALIGN_SIZE)
		return -EINVAL;
	/* Extents with the event word, negotiated or not: section 2.7, table of sizes. */
	q->desc = gm_span(m, l->desc, sizeof(struct vring_desc) * n);
	q->avail = gm_span(m, l->avail, sizeof(struct vring_avail) + 2 * n + 2);
	q->used = gm_span(m, l->used, sizeof(struct vring_used) + 8 * n + 2);
	if (!q->desc || !q->avail || !q->used) {
		virtq_disable(q);
		return -EFAULT;
	}
	q->mem = m;
	q->size = l->size;
	q->event_idx = features & BIT64(VIRTIO_RING_F_EVENT_IDX);
	q->indirect = features & BIT64(VIRTIO_RING_F_INDIRECT_DESC);
	return 0;
}

void virtq_disable(struct virtq *q)
{
	*q = (struct virtq){ .size = 0 };
}

/* --- pop ---------------------------------------------------------------------------- */

/* Has the driver handed over more? Also true when its index makes no sense, for
 * virtq_pop() to report. */
static bool virtq_poll(struct virtq *q)
{
	/* Pairs with the driver's release: the ring entries below idx are filled in. */
	uint16_t idx = __atomic_load_n(&q->avail->idx, __ATOMIC_ACQUIRE);
	uint16_t held = (uint16_t)(q->next_avail - q->next_used);

	/* All chains the driver can own are `size`, and `held` of them are with us. */
	if ((uint16_t)(idx - q->next_avail) > q->size - held) {
		virtq_fault(q, "avail idx jumped by more than the queue's size");
		return true;
	}
	q->seen_avail = idx;
	return idx != q->next_avail;
}

/* A private copy of one descriptor. Indirect tables may be at any address. */
static struct vring_desc virtq_desc(const void *table, uint32_t i)
{
	struct vring_desc d;

	memcpy(&d, (const uint8_t *)table + (size_t)i * sizeof(d), sizeof(d));
	/* The compiler must not go back to guest memory for a field: decide on the copy. */
	atomic_signal_fence(memory_order_seq_cst);
	return d;
}

static int virtq_add(struct virtq *q, const struct vring_desc *d, struct virtq_chain *c,
		     struct iovec *iov, unsigned max)
{
	bool in = d->flags & VRING_DESC_F_WRITE;
	void *p;

	if (!in && c->n_in)
		return virtq_fault(q, "readable descriptor after a writable one");
	if (!d->len)
		return 0;
	if (c->n_out + c->n_in == (int)max)
		return -E2BIG;
	if (d->len > UINT32_MAX - c->out_len - c->in_len)
		return virtq_fault(q, "chain of 4 GiB or more");
	p = gm_span(q->mem, d->addr, d->len);
	if (!p)
		return virtq_fault(q, "buffer outside RAM");
	iov[c->n_out + c->n_in] = (struct iovec){ .iov_base = p, .iov_len = d->len };
	*(in ? &c->n_in : &c->n_out) += 1;
	*(in ? &c->in_len : &c->out_len) += d->len;
	return 0;
}

/* The table a chain is walked in: the queue's own, then perhaps an indirect one. */
struct virtq_table {
	const void *base;
	uint32_t n;    /* entries */
	unsigned left; /* of them, how many may still be looked at */
};

/* Go on in the indirect table that `d` names (2.7.5.3). */
static int virtq_descend(struct virtq *q, const struct vring_desc *d, struct virtq_table *t)
{
	if (!q->indirect)
		return virtq_fault(q, "indirect descriptor, not negotiated");
	if (t->base != q->desc)
		return virtq_fault(q, "indirect descriptor inside an indirect table");
	if (d->flags & VRING_DESC_F_NEXT)
		return virtq_fault(q, "indirect descriptor with NEXT");
	if (!d->len || d->len % sizeof(struct vring_desc))
		return virtq_fault(q, "indirect table of a length that is no multiple of 16");
	t->base = gm_span(q->mem, d->addr, d->len);
	if (!t->base)
		return virtq_fault(q, "indirect table outside RAM");
	t->n = d->len / sizeof(struct vring_desc);
	t->left = MIN(t->n, (uint32_t)VIRTQ_CHAIN_MAX);
	return 0;
}

/* Follow the chain from its head. At most size + VIRTQ_CHAIN_MAX steps. */
static int virtq_walk(struct virtq *q, struct virtq_chain *c, struct iovec *iov, unsigned max)
{
	struct virtq_table t = { .base = q->desc, .n = q->size, .left = q->size };
	uint32_t i = c->head;

	for (;;) {
		struct vring_desc d;
		int err;

		if (!t.left--)
			return virtq_fault(q, "chain loops, or is too long");
		d = virtq_desc(t.base, i);
		if (d.flags & VRING_DESC_F_INDIRECT) {
			err = virtq_descend(q, &d, &t);
			i = 0;
		} else {
			err = virtq_add(q, &d, c, iov, max);
			i = d.next;
		}
		if (err)
			return err;
		if (d.flags & VRING_DESC_F_INDIRECT)
			continue;
		if (!(d.flags & VRING_DESC_F_NEXT))
			return 1;
		if (i >= t.n)
			return virtq_fault(q, "next descriptor outside its table");
	}
}

int virtq_pop(struct virtq *q, struct virtq_chain *c, struct iovec *iov, unsigned max)
{
	int got;

	if (!virtq_enabled(q))
		return 0;
	if (!q->fault && q->next_avail == q->seen_avail && !virtq_poll(q))
		return 0;
	if (q->fault)
		return -EINVAL;
	*c = (struct virtq_chain){
		.head = RING_LOAD(q->avail->ring[q->next_avail & (q->size - 1)]),
	};
	if (c->head >= q->size)
		return virtq_fault(q, "head outside the descriptor table");
	got = virtq_walk(q, c, iov, max);
	if (got > 0)
		q->next_avail++;
	return got;
}

bool virtq_waits(struct virtq *q)
{
	return virtq_enabled(q) && !q->fault && (q->next_avail != q->seen_avail || virtq_poll(q));
}

void virtq_unpop(struct virtq *q)
{
	q->next_avail--;
}

/* --- push --------------------------------------------------------------------------- */

void virtq_push(struct virtq *q, uint16_t head, uint32_t len)
{
	struct vring_used_elem *e = &q->used->ring[q->next_used & (q->size - 1)];

	RING_STORE(e->id, head);
	RING_STORE(e->len, len);
	q->next_used++;
}

void virtq_publish(struct virtq *q)
{
	/* Pairs with the driver's acquire: elements and payload are there before idx. */
	__atomic_store_n(&q->used->idx, q->next_used, __ATOMIC_RELEASE);
}

bool virtq_irq_due(struct virtq *q)
{
	uint16_t old = q->signalled;

	if (!virtq_irq_open(q))
		return false;
	q->signalled = q->next_used;
	/* Pairs with the driver's full barrier between "interrupt me" and its last look. */
	atomic_thread_fence(memory_order_seq_cst);
	if (q->event_idx)
		return vring_need_event(RING_LOAD(*virtq_used_event(q)), q->next_used, old);
	return !(RING_LOAD(q->avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);
}

/* --- doorbell ----------------------------------------------------------------------- */

void virtq_kick_disable(struct virtq *q)
{
	/* With EVENT_IDX it suffices to leave avail_event behind: idx passes it once. */
	if (!q->event_idx)
		RING_STORE(q->used->flags, VRING_USED_F_NO_NOTIFY);
}

bool virtq_kick_enable(struct virtq *q)
{
	if (q->event_idx)
		RING_STORE(*virtq_avail_event(q), q->next_avail);
	else
		RING_STORE(q->used->flags, 0);
	/* Pairs with the driver's full barrier between its idx and its look at this. */
	atomic_thread_fence(memory_order_seq_cst);
	return virtq_poll(q);
}
