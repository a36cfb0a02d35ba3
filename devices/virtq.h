/* SPDX-License-Identifier: MIT */
/*
 * virtq.h: the device's side of a split virtqueue (virtio 1.2, section 2.7). No device
 * and no transport in it.
 *
 * Driver and device share three arrays in guest RAM. Each array has one writer, so no
 * lock is needed, only an order: fill in the entry, then move the index.
 *
 *      written by the driver                        written by the device
 *
 *   descriptor table    avail ring                     used ring
 *   +---------------+   +------------------+           +------------------+
 *  0| addr len F  --|-+ | flags            |           | flags            |
 *   +---------------+ | | idx = 7          |--+     +--| idx = 5          |
 *  1| addr len F    |<+ | ring[0]          |  |     |  | ring[0] id, len  |
 *   +---------------+   |  ...             |  |     |  |  ...             |
 *  2| addr len F    |   | ring[6] = 0  <---|--+     +->| ring[4] = 2, 0   |
 *   |   ...         |   |  ...             |           |  ...             |
 *   +---------------+   | used_event = 5   |           | avail_event = 7  |
 *                       +------------------+           +------------------+
 *
 * A descriptor names one buffer; NEXT links descriptors to a chain, INDIRECT lets one
 * descriptor name a table of more. To hand a chain over, the driver puts the number of
 * its first descriptor (the head) in the avail ring and increments idx; the device does
 * its work and gives the head back through the used ring, with the number of bytes it
 * wrote. idx counts for ever (modulo 2^16); the slot is idx modulo the queue's size.
 * In the picture the driver has handed over 7 chains and has 5 back; 2 are in flight.
 *
 * Both sides may ask not to be told. With EVENT_IDX each names the index at which it
 * wants to hear next: "interrupt me when used idx passes used_event", "ring the doorbell
 * when avail idx passes avail_event". Without it, a flag says "not at all". Whoever asks
 * to be told again must look at the ring once more, or it may sleep over what came
 * in between.
 *
 * The driver is not to be trusted. Each descriptor is read once, into a copy, and a
 * chain is bounded in every direction before any of its buffers is touched.
 */
#ifndef DUET_VIRTQ_H
#define DUET_VIRTQ_H

#include "vmm/gmem.h"

#include <linux/virtio_ring.h>
#include <sys/uio.h>

#define VIRTQ_SIZE_MAX  1024 /* entries of a queue, at most */
#define VIRTQ_CHAIN_MAX 1024 /* descriptors of a chain that are looked at, at most */

/* Where the driver says its queue is. */
struct virtq_layout {
	uint16_t size; /* entries: a power of two, 1..VIRTQ_SIZE_MAX */
	gpa_t desc, avail, used;
};

/* All fields belong to the queue's owner, who serialises every call below. */
struct virtq {
	/* fixed while enabled: */
	const struct gmem *mem;
	uint16_t size; /* 0: not enabled */
	bool event_idx, indirect;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	/* positions, all modulo 2^16: */
	uint16_t next_avail; /* the next chain to pop */
	uint16_t seen_avail; /* the driver's idx when last loaded */
	uint16_t next_used;  /* the next element to push */
	uint16_t signalled;  /* next_used when virtq_irq_due() was last asked */
	/* What the driver did that the specification forbids; NULL: nothing yet. The
	 * queue is dead from then on: virtq_pop() returns -EINVAL until re-enabled. */
	const char *fault;
};

/* A chain of buffers, popped. The iovec it came with holds the readable part first. */
struct virtq_chain {
	uint16_t head;            /* names it in virtq_push() */
	uint16_t n_out, n_in;     /* iovec entries the device reads, writes */
	uint32_t out_len, in_len; /* their bytes */
};

/*
 * Look the three arrays up and start at index 0. `features`: of the negotiated ones,
 * VIRTIO_RING_F_EVENT_IDX and VIRTIO_RING_F_INDIRECT_DESC matter here. 0, -EINVAL for a
 * size or alignment that section 2.7 forbids, -EFAULT when an array is not in RAM.
 */
int virtq_enable(struct virtq *q, const struct gmem *m, const struct virtq_layout *l,
		 uint64_t features);
void virtq_disable(struct virtq *q); /* harmless when it is not enabled */

static inline bool virtq_enabled(const struct virtq *q)
{
	return q->size != 0;
}

/*
 * Take the next chain and describe its buffers in `iov` (room for `max` entries; empty
 * buffers take none). 1: taken. 0: none, or not enabled. -E2BIG: it needs more than
 * `max` entries and has not been taken. -EINVAL: the driver broke the queue, see
 * q->fault.
 */
int virtq_pop(struct virtq *q, struct virtq_chain *c, struct iovec *iov, unsigned max);
/* Is there a chain to take (or a fault to find)? */
bool virtq_waits(struct virtq *q);
/* Where the driver's idx is: guest RAM, which stays mapped whatever becomes of the queue. */
static inline const uint16_t *virtq_avail_idx(const struct virtq *q)
{
	return &q->avail->idx;
}
/* Put back the chain popped last; nothing may have been popped since. */
void virtq_unpop(struct virtq *q);

/*
 * Give a chain back, `len` bytes of it written. The driver sees it after the next
 * virtq_publish(), together with whatever else was pushed since the last.
 */
void virtq_push(struct virtq *q, uint16_t head, uint32_t len);
void virtq_publish(struct virtq *q);

/* Has anything been published since virtq_irq_due() was last asked? */
static inline bool virtq_irq_open(const struct virtq *q)
{
	return q->next_used != q->signalled;
}

/* Does the driver want an interrupt for what was published since this was last asked? */
bool virtq_irq_due(struct virtq *q);

/* "Do not ring the doorbell": a hint, the driver may ring all the same. */
void virtq_kick_disable(struct virtq *q);
/* "Ring it for the next chain." True: a chain has come already, no kick may follow. */
bool virtq_kick_enable(struct virtq *q);

#endif
