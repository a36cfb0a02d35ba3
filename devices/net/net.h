/* SPDX-License-Identifier: MIT */
/*
 * net.h: the seam between a NIC and the world. Both NICs speak only this; it
 * knows no descriptor ring, no guest address and no register.
 *
 * A frame is an iovec (Ethernet header first, no FCS) plus a virtio_net_hdr that
 * says what is still undone: a checksum to fill in (NEEDS_CSUM), segments to cut
 * (gso_type). Each side states what it can take; net_send() finishes in software
 * (offload.h) what the backend cannot.
 *
 * Threads: everything here runs on the I/O thread, or, where a NIC has no worker, on the
 * thread of a vCPU that transmits; the NIC's work lock keeps them apart.
 */
#ifndef DUET_NET_H
#define DUET_NET_H

#include "vmm/loop.h"
#include "vmm/stats.h"

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

/* What a receiver of frames can take beyond finished frames (bit mask). */
#define NET_OFF_CSUM BIT(0) /* partial checksums: VIRTIO_NET_HDR_F_NEEDS_CSUM */
#define NET_OFF_TSO4 BIT(1) /* unsegmented TCP/IPv4 frames up to 64 KiB; implies CSUM */
#define NET_OFF_TSO6 BIT(2) /* the same over IPv6 */
#define NET_OFF_ECN  BIT(3) /* TSO frames with CWR set */
#define NET_OFF_ALL  (NET_OFF_CSUM | NET_OFF_TSO4 | NET_OFF_TSO6 | NET_OFF_ECN)

#define NET_IOV_MAX   300              /* most entries of a frame's iovec, either way */
#define NET_FRAME_MAX (65535 + 14 + 4) /* largest frame: a GSO packet, tagged */
#define NET_FRAME_MIN 14               /* smallest: an Ethernet header */

struct net;
struct pcap;

/* The NIC's side: called by the backend. */
struct net_client {
	/* Frames wait. Called again (level-triggered) until net_recv() has returned 0
	 * or net_rx_enable(be, false). */
	void (*readable)(void *nic);
	/* After a net_send() that returned -EAGAIN: try again. */
	void (*writable)(void *nic);
	/* net_link_up() may have changed; NULL: the NIC looks for itself. */
	void (*link_changed)(void *nic);
	void *nic;
};

struct net_ops {
	/* One frame whose needs are within n->tx_offload. 0: sent, or dropped for good
	 * and counted in n->stat. -EAGAIN: no room now, writable() will follow; the
	 * caller keeps the frame. The iovec and what it points to are only borrowed. */
	int (*send)(struct net *n, const struct virtio_net_hdr *h, const struct iovec *iov,
		    int cnt);
	/* Receive one frame into iov. > 0: its length, *h filled in. 0: none now.
	 * -EMSGSIZE: it did not fit and is gone (counted). Never blocks. */
	ssize_t (*recv)(struct net *n, struct virtio_net_hdr *h, const struct iovec *iov, int cnt);
	/* No readable() starts after rx_enable(n, false). Off at first. */
	void (*rx_enable)(struct net *n, bool on);
	/* Frames delivered from now on need only what `want` (NET_OFF_*) can take.
	 * Returns what was granted, a subset of `want`. */
	unsigned (*set_rx_offload)(struct net *n, unsigned want);
	bool (*link_up)(struct net *n);
	/* The host's kernel will move the frames, each behind a header of `hdr_len` bytes:
	 * a descriptor that it can do so by, still ours, or -errno with the reason logged.
	 * No send() and recv() from then on. At set-up time. NULL: it cannot. */
	int (*lend)(struct net *n, int hdr_len);
	void (*destroy)(struct net *n);
};

/* name, meaning. Counted by the I/O thread. What the NIC sent = tx_frames + tx_drops -
 * sw_segments + sw_frames; what it got, or threw away = rx_frames + rx_drops. */
#define NET_STATS(X)                                                                               \
	X(tx_calls, "system calls to send")                                                        \
	X(rx_calls, "system calls to receive")                                                     \
	X(tx_frames, "frames that went out, segments one by one")                                  \
	X(rx_frames, "frames that came in")                                                        \
	X(tx_drops, "frames or segments the host did not take")                                    \
	X(rx_drops, "frames too long, or not as negotiated")                                       \
	X(sw_frames, "frames cut into segments by offload.h")                                      \
	X(sw_segments, "segments that made")                                                       \
	X(sw_csum_bytes, "bytes checksummed by offload.h")                                         \
	X(pcap_lost, "frames that the capture file had no room for")

struct net_stat {
#define X(name, what) counter_t name;
	NET_STATS(X)
#undef X
};

struct net {
	const struct net_ops *ops;
	char name[128];           /* "tap:tap0", for messages */
	unsigned tx_offload;      /* NET_OFF_* that send() takes; fixed after open */
	unsigned tx_software;     /* of those, what it finishes in software itself */
	unsigned rx_offload;      /* NET_OFF_* granted last */
	unsigned mtu;             /* of the host's interface; 0 when there is none */
	struct net_client client; /* set by net_attach() before traffic */
	struct net_stat stat;
	struct pcap *pcap; /* NULL: frames are not captured */
};

/*
 * Open a backend: "tap" with `arg` the interface's name, "fd" with the number of a descriptor,
 * ours from then on, "stream" and "listen" with a socket's path, "user" with its port forwards
 * (passt's words, each behind "tcp:" or "udp:", commas between), "null" and "loop" (arg unused,
 * may be NULL). NULL on failure, with the reason and the remedy logged and *err (a negative
 * errno) set. The caller owns the result: net_close().
 */
struct net *net_open(struct loop *l, const char *kind, const char *arg, int *err);
void net_close(struct net *n); /* after the loop has stopped; NULL is fine */

/* Record every frame either way in a new capture file at `path`, before traffic. 0 or
 * -errno, with the reason logged. */
int net_capture(struct net *n, const char *path);

void net_attach(struct net *n, const struct net_client *c);

/*
 * Send a frame, in software whatever the backend cannot do. Checks *h against the
 * frame's length first: a header that lies gets the frame dropped and -EINVAL, for
 * the NIC to count as a guest fault. Otherwise as net_ops.send; once a segment of
 * a frame has gone, the rest is sent or dropped, never returned as -EAGAIN.
 */
int net_send(struct net *n, const struct virtio_net_hdr *h, const struct iovec *iov, int cnt);

ssize_t net_recv(struct net *n, struct virtio_net_hdr *h, const struct iovec *iov, int cnt);
void net_rx_enable(struct net *n, bool on);
unsigned net_set_rx_offload(struct net *n, unsigned want); /* records it in n->rx_offload */
bool net_link_up(struct net *n);
/* As net_ops.lend(); -ENOTSUP, not logged, where that is NULL. */
int net_lend(struct net *n, int hdr_len);

/* Log one line: what the NIC wants and the backend grants, each way. */
void net_log_offloads(const struct net *n, const char *nic, unsigned nic_rx, unsigned nic_tx);

#endif
