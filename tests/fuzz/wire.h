/* SPDX-License-Identifier: MIT */
/*
 * wire.h: frames that are worth sending: what the input has to say about them is little,
 * so that a mutation of one byte makes another frame and not noise.
 */
#ifndef DUET_FUZZ_WIRE_H
#define DUET_FUZZ_WIRE_H

#include "tests/fuzz/fuzz.h"

#include <linux/virtio_net.h>

#define WIRE_MAX 66000 /* longer than any frame may be */

enum wire_kind {
	WIRE_RAW,
	WIRE_TCP4,
	WIRE_TCP6,
	WIRE_UDP4,
	WIRE_TAGGED,
	WIRE_BROADCAST,
	WIRE_MULTICAST,
	WIRE_FOREIGN,
	WIRE_KINDS
};

/* To this address unicast frames go. */
extern const uint8_t wire_mac[6];

/* The frame of that kind, WIRE_MAX bytes: any number of them make one. Fixed. *h is what
 * is left to do for it, with no segments asked for. */
const uint8_t *wire_template(enum wire_kind kind, struct virtio_net_hdr *h);

/* A frame that the input describes. Valid until the next call. */
const uint8_t *wire_frame(struct fuzz_in *in, struct virtio_net_hdr *h, size_t *len);
/* A header for the `len` bytes of such a frame: one that fits, or one of the input's. */
void wire_header(struct fuzz_in *in, enum wire_kind kind, size_t len, struct virtio_net_hdr *h);

#endif
