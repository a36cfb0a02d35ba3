/* SPDX-License-Identifier: MIT */
/*
 * frames.h: what goes over the wire, built and checked without the code under
 * test: checksums and segmentation here are a second, slower opinion.
 */
#ifndef DUET_TEST_FRAMES_H
#define DUET_TEST_FRAMES_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_BUF 70000 /* room for any frame, GSO ones included */

/* xorshift64*: the tests' only source of variety, the same on every run. */
struct prng {
	uint64_t s;
};
uint64_t prng_next(struct prng *p);
unsigned prng_below(struct prng *p, unsigned n); /* 0..n-1; n > 0 */

/* `len` bytes (>= 14) of Ethernet to `dst`, whose payload is a pattern of `seed`. */
void frame_plain(uint8_t *buf, size_t len, const uint8_t dst[6], uint32_t seed);
/* The same with an 802.1Q tag; len >= 18. */
void frame_tagged(uint8_t *buf, size_t len, const uint8_t dst[6], uint16_t tci, uint32_t seed);

struct frame_ip {
	uint8_t dst[6];
	bool v6;
	bool udp;       /* or TCP */
	bool partial;   /* checksum field holds the pseudo-header's sum only */
	size_t payload; /* bytes after the TCP or UDP header */
	uint8_t tcp_flags;
	uint32_t seed;
};

#define TCP_FIN 0x01
#define TCP_PSH 0x08
#define TCP_ACK 0x10
#define TCP_CWR 0x80

/*
 * Build it; returns its length. *h says what is left to do: with `partial`
 * NEEDS_CSUM, csum_start and csum_offset; hdr_len always; the caller adds gso.
 */
size_t frame_ip(uint8_t *buf, const struct frame_ip *f, struct virtio_net_hdr *h);

/* NULL when every length and checksum of an IP frame is right, or what is wrong. */
const char *frame_ip_wrong(const uint8_t *f, size_t len);

/*
 * Is `seg` the i-th segment of the TSO frame `whole`, to the last bit? NULL, or
 * what is wrong. *h as the driver gave it.
 */
const char *frame_segment_wrong(const uint8_t *whole, size_t len, const struct virtio_net_hdr *h,
				unsigned i, const uint8_t *seg, size_t seg_len);
/* How many there must be. */
unsigned frame_segments(size_t len, const struct virtio_net_hdr *h);

/* One's complement sum as a host-order number, folded, not inverted. */
uint16_t frame_sum(const uint8_t *p, size_t len, uint32_t start);
uint16_t frame_get16(const uint8_t *p);
uint32_t frame_get32(const uint8_t *p);
void frame_put16(uint8_t *p, unsigned v);
/* Sum of a frame's pseudo header with `l4_len` as its length. */
uint16_t frame_pseudo_sum(const uint8_t *frame, unsigned l4_len);

#endif
