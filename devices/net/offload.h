/* SPDX-License-Identifier: MIT */
/*
 * offload.h: checksums and TCP segmentation in software, for a backend or a NIC
 * that cannot take an unfinished frame. Pure functions over iovecs: no device,
 * no backend, no guest memory known here.
 */
#ifndef DUET_OFFLOAD_H
#define DUET_OFFLOAD_H

#include "vmm/util.h"

#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

/* Bytes in all entries. Entries may be empty. */
size_t iov_length(const struct iovec *iov, int cnt);
/* Copy up to `len` bytes starting at byte `off` out of / into an iovec; returns
 * how many there were. */
size_t iov_copy_out(const struct iovec *iov, int cnt, size_t off, void *dst, size_t len);
size_t iov_copy_in(const struct iovec *iov, int cnt, size_t off, const void *src, size_t len);
/* Describe bytes [off, off + len) of `iov` in `out` (room for `max` entries).
 * Returns the entries used, or -1 when they do not fit or the bytes are not there. */
int iov_slice(const struct iovec *iov, int cnt, size_t off, size_t len, struct iovec *out, int max);

/* RFC 1071 one's complement sum of bytes [off, off + len), 16 bits, not inverted,
 * in network order as stored; len is clipped to what is there. */
uint16_t offload_sum(const struct iovec *iov, int cnt, size_t off, size_t len);

/*
 * Is *h possible for a frame of `len` bytes? csum_start + csum_offset + 2 within it;
 * a known gso_type with gso_size > 0 and NEEDS_CSUM; hdr_len, a mere hint, within it;
 * everything else 0.
 */
bool offload_hdr_valid(const struct virtio_net_hdr *h, size_t len);

/*
 * The same of a frame that a guest sends, whose segments must besides have OFFLOAD_MSS_MIN
 * bytes: Linux's least (net.ipv4.tcp_min_snd_mss, 48, without 40 bytes of options). That
 * bounds what one frame can ask for to 8192 segments; with MSS 1 it is a fifth of a second.
 */
#define OFFLOAD_MSS_MIN 8
bool offload_sendable(const struct virtio_net_hdr *h, size_t len);

/*
 * Fill in the checksum that a NEEDS_CSUM header asks for (the field holds the
 * pseudo-header sum), writing it into the iovec's memory, which the caller must
 * own. A UDP checksum of 0 becomes 0xffff. *h must be valid. Returns the number
 * of bytes summed.
 */
size_t offload_csum(const struct virtio_net_hdr *h, const struct iovec *iov, int cnt);

#define OFFLOAD_HDR_MAX 256 /* Ethernet, tags, IP with options or extensions, TCP */

/*
 * A TSO frame (gso_type TCPV4 or TCPV6, optionally ECN) that is being cut into segments
 * with gso_size bytes of payload: IP lengths and ids, TCP sequence numbers and flags as
 * hardware would have them (FIN and PSH on the last, CWR on the first). Knows the
 * frame's headers by a private copy and nothing of its payload.
 *
 *	offload_cut_begin(&c, h, iov, cnt, len);
 *	while (offload_cut_next(&c))
 *		c.hdr, payload [c.off, c.off + c.len) and a checksum make a segment
 */
struct offload_cut {
	/* of the segment offload_cut_next() made last: */
	uint8_t hdr[OFFLOAD_HDR_MAX]; /* its TCP checksum field holds the pseudo-header sum */
	size_t hdr_len;               /* the same for all */
	size_t off, len;              /* its payload, counted from the frame's first */
	unsigned nr;                  /* segments made, this one included */
	/* private: */
	size_t mss, payload; /* bytes in a full segment, in the frame */
	size_t l3, l4;       /* offsets of IP and TCP */
	bool v6;
	struct iphdr ip; /* as in the frame; IPv4 only */
	struct tcphdr tcp;
};

/* Begin with the frame in the first `len` bytes of `iov`; *h is valid for it. 0, or
 * -EINVAL when its headers are not what gso_type says. */
int offload_cut_begin(struct offload_cut *c, const struct virtio_net_hdr *h,
		      const struct iovec *iov, int cnt, size_t len);
/* Are there segments left? At first always: a frame without payload makes one. */
bool offload_cut_more(const struct offload_cut *c);
/* Make the headers of the next one. False: there was none left. */
bool offload_cut_next(struct offload_cut *c);

/* Takes one finished frame (no header needed). 0, or a negative errno that ends
 * the segmentation. */
typedef int (*offload_emit)(void *ctx, const struct iovec *iov, int cnt);

/*
 * Cut a valid TSO frame, fill in the checksums and emit what results. Nothing in `iov`
 * is written. Returns the number of segments emitted (>= 0; stops at the first emit
 * error), or -EINVAL as offload_cut_begin().
 */
int offload_segment(const struct virtio_net_hdr *h, const struct iovec *iov, int cnt,
		    offload_emit emit, void *ctx);

#endif
