/* SPDX-License-Identifier: MIT */
/*
 * backend.h: what the backends share among themselves and with net.c. NICs include
 * net.h and nothing from here.
 */
#ifndef DUET_BACKEND_H
#define DUET_BACKEND_H

#include "devices/net/net.h"

/* Most entries of the iovec that net_ops.send gets: finishing a frame in software adds
 * a private header or checksum, and may split the entry it stood in. */
#define NET_SEND_IOV_MAX (NET_IOV_MAX + 2)

/*
 * The constructors behind net_open(), one per file. NULL on failure, with the reason
 * and the remedy logged and *err set. `arg` is as net_open() says.
 */
struct net *net_tap_open(struct loop *l, const char *arg, int *err);
struct net *net_fd_open(struct loop *l, const char *arg, int *err);
struct net *net_null_open(struct loop *l, const char *arg, int *err);
struct net *net_loop_open(struct loop *l, const char *arg, int *err);
struct net *net_stream_open(struct loop *l, const char *arg, int *err);
struct net *net_listen_open(struct loop *l, const char *arg, int *err);
struct net *net_user_open(struct loop *l, const char *arg, int *err);

typedef int (*net_send_fn)(struct net *n, const struct virtio_net_hdr *h, const struct iovec *iov,
			   int cnt);

/* What a receiver of a frame with header *h must be able to take: NET_OFF_*. */
unsigned net_needs(const struct virtio_net_hdr *h);

/*
 * Finish a frame with a valid header as far as a receiver that takes `can` needs it,
 * and pass what results to `send`: the frame itself, or its segments in order. Counts
 * the work in n->stat. Returns as net_send().
 */
int net_finish(struct net *n, unsigned can, net_send_fn send, const struct virtio_net_hdr *h,
	       const struct iovec *iov, int cnt);

/* What stream_new() joins: a peer, or a place where one will come. */
struct stream_config {
	int fd;           /* connected stream socket, or -1 */
	int listen_fd;    /* or this one, non-blocking; else -1 */
	const char *name; /* of the backend, copied */
	const char *lost; /* what it means when the peer is gone, for the message; static */
};

/* The backend on it; descriptors are its own, even on failure. Returns as net_open(). */
struct net *stream_new(struct loop *l, const struct stream_config *c, int *err);

/*
 * A capture file (pcap.c), new or overwritten. NULL on failure, with the reason logged and
 * *err set. The caller owns it: pcap_close(), NULL is fine.
 */
struct pcap *pcap_open(const char *path, int *err);
void pcap_close(struct pcap *p);
/* Record the first `len` bytes of a frame. False: the file did not take it. */
bool pcap_frame(struct pcap *p, const struct iovec *iov, int cnt, size_t len);

/* Attach to the tap `name` (tap_attach.c). Returns its descriptor, non-blocking and with
 * no offload on, and *vnet_hdr; or a negative errno, with the reason logged. */
int tap_attach(const char *name, bool *vnet_hdr);

/* Take over descriptor `fd`, attached to a tap by whoever launched us: the same, and the
 * interface's name, with room for IFNAMSIZ. 0 or a negative errno, with the reason logged
 * and the descriptor left alone. */
int tap_adopt(int fd, char *name, bool *vnet_hdr);

#endif
