/* SPDX-License-Identifier: MIT */
/*
 * net_rig.h: what the tests of devices/net share: a NIC that only counts its calls, and
 * frames cut into entries or fit to be cut into segments.
 */
#ifndef DUET_TEST_NET_RIG_H
#define DUET_TEST_NET_RIG_H

#include "devices/net/net.h"
#include "tests/rig/frames.h"

/* A NIC that counts calls and, if told to, takes frames. */
struct probe {
	struct net *be;
	unsigned readable, writable, links; /* calls */
	bool take;                          /* readable() receives one frame */
	/* of the last probe_recv(): */
	struct virtio_net_hdr hdr;
	uint8_t buf[FRAME_BUF];
};

/* Make it the client of `be`, with all counts 0. */
void probe_attach(struct probe *p, struct net *be);
/* net_recv() into buf, in two pieces. */
ssize_t probe_recv(struct probe *p, size_t room);
/* net_send() from two pieces; len > 30 or in one piece. */
int probe_send(struct probe *p, const struct virtio_net_hdr *h, void *frame, size_t len);

/* A TSO frame with `payload` bytes after the TCP header, and its header. */
size_t frame_tso(uint8_t *buf, bool v6, uint8_t tcp_flags, size_t payload,
		 struct virtio_net_hdr *h);

/* Cut `len` bytes at p into entries of `step` bytes, each behind an empty one. Returns
 * the entries used. */
int iov_cut(uint8_t *p, size_t len, size_t step, struct iovec *iov);

void prng_fill(struct prng *r, uint8_t *p, size_t len);

#endif
