/* SPDX-License-Identifier: MIT */
/*
 * fake_net.h: a backend that a test scripts. It keeps a copy of every frame the NIC
 * sends, delivers the frames the test queues, and says "no room" when told to. No
 * system call, no timing: everything happens inside loop_once() or fake_net_poll().
 *
 * Threads: as a real backend, it is called by whoever holds the NIC's work lock, on the
 * loop's thread or on a vCPU's, and calls back on the loop's. Functions here may be called
 * from any thread; what a test reads and sets directly, only while nobody else runs.
 */
#ifndef DUET_FAKE_NET_H
#define DUET_FAKE_NET_H

#include "devices/net/net.h"

#include <pthread.h>

/* A frame that was sent, or one that waits to be received. */
struct fake_frame {
	struct virtio_net_hdr hdr;
	size_t len;
	uint8_t *data; /* owned by the fake */
	/* Sent frames: where the bytes came from, to prove or disprove a copy. The
	 * addresses are for comparing only; the memory was borrowed. */
	int cnt;             /* entries of the iovec */
	struct iovec iov[8]; /* the first of them */
};

struct fake_net {
	struct net net; /* what the NIC is given; tx_offload may be set before traffic */
	struct loop *loop;
	struct loop_event wake; /* with a loop: runs fake_net_poll() */
	pthread_mutex_t lock;   /* never held while the NIC is called; of all that follows: */
	/* the test sets: */
	bool full;           /* send() returns -EAGAIN; clear it by fake_net_set_full() */
	unsigned full_after; /* > 0: that many more frames, then full sets itself */
	bool refuse;         /* send() drops the frame, counts it, returns 0 */
	bool link;           /* link_up(); true at first */
	unsigned rx_can;     /* set_rx_offload() grants want & rx_can; NET_OFF_ALL at first */
	/* send() and recv() take as long as this, on their thread, before they touch a frame's
	 * bytes. Called without the lock; NULL: no time. */
	void (*busy)(void *arg);
	void *busy_arg;
	/* the test reads: */
	bool rx_enabled;
	int lent; /* lend()'s header; 0: not called. What it returned is the fake's own wake.f.fd */
	bool blocked;            /* a send() got -EAGAIN; writable() is owed */
	unsigned sends;          /* calls of send(), whatever came of them */
	unsigned readable_calls; /* calls of client.readable(); loop thread, as the next */
	unsigned writable_calls;
	/* frames the NIC sent, oldest first: */
	struct fake_frame *sent;
	unsigned sent_nr;
	/* frames to receive: queue[queue_next .. queue_nr) still wait */
	struct fake_frame *queue;
	unsigned queue_nr, queue_next;
};

/*
 * A fake that takes `tx_offload`. Give &f->net to the NIC; net_close() (the NIC's
 * job) frees it. With `l` NULL nothing calls back but fake_net_poll(). Never NULL.
 */
struct fake_net *fake_net_new(struct loop *l, unsigned tx_offload);

/* Let `len` bytes wait to be received, with *h (NULL: a finished frame), whatever
 * was granted by set_rx_offload(). With a loop, wakes it. */
void fake_net_queue(struct fake_net *f, const struct virtio_net_hdr *h, const void *data,
		    size_t len);
unsigned fake_net_waiting(struct fake_net *f); /* frames not received yet */

/* "No room" on or off. Off: a send() that got -EAGAIN is answered with writable(). */
void fake_net_set_full(struct fake_net *f, bool full);

/* What a real backend's descriptor would do when ready: writable() if owed and there
 * is room, then readable() if frames wait and reception is on. Returns the calls made. */
int fake_net_poll(struct fake_net *f);

/* Forget the frames sent so far; returns how many there were. */
unsigned fake_net_clear(struct fake_net *f);

#endif
