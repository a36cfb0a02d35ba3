/* SPDX-License-Identifier: MIT */
/*
 * large.h: large TCP frames for an 82540EM, whose driver is to get them in segments.
 * Failures end the test.
 */
#ifndef DUET_TEST_LARGE_H
#define DUET_TEST_LARGE_H

#include "tests/rig/nic_rig.h"

#define LARGE_MSS 1448 /* what the usual headers leave of 1514 bytes */

struct large {
	bool v6;
	size_t payload;
	uint16_t mss; /* 0: what fills 1514 bytes */
	uint8_t flags;
	unsigned options; /* bytes of TCP options beyond the usual 12, a multiple of 4 */
	uint32_t seed;
};

extern uint8_t large_frame[FRAME_BUF]; /* the one made last */
extern struct rig_rx large_rx;         /* the segment received last */

/* An 82540EM with the rungs that this is about, and those that rig_rungs() says. */
struct nic_rig *large_rig(const struct rig_opts *o);
/* The same, with all the buffers its ring has room for. */
struct nic_rig *large_rig_ready(const struct rig_opts *o);

/* Make the frame; returns its length. */
size_t large_make(struct nic_rig *r, const struct large *l, struct virtio_net_hdr *h);
/* large_frame arrives, and what can be done is done. */
void large_arrives(struct nic_rig *r, const struct virtio_net_hdr *h, size_t len);
/* The driver gets segments [from, to) of large_frame, next. */
void large_segments(struct nic_rig *r, const struct virtio_net_hdr *h, size_t len, unsigned from,
		    unsigned to);
/* It gets all of them, and nothing else. */
void large_received(struct nic_rig *r, const struct virtio_net_hdr *h, size_t len);
/* One is made, arrives, is received, and the buffers are posted again. */
void large_pass(struct nic_rig *r, const struct large *l);
/* The same; returns the bytes that the card copied. */
uint64_t large_copied(struct nic_rig *r, const struct large *l);

#endif
