/* SPDX-License-Identifier: MIT */
/*
 * virtio_net.h: what virtio_net.c (frames), virtio_net_features.c (negotiation) and
 * virtio_net_ctrl.c (control queue, receive filter) share. Nobody else includes it.
 */
#ifndef DUET_VIRTIO_NET_H
#define DUET_VIRTIO_NET_H

#include "devices/nic.h"
#include "devices/virtio_pci.h"

#include <linux/if_ether.h>

#define VNET_QUEUE_SIZE 256 /* receive and transmit, at most */
#define VNET_CTRL_SIZE  64
#define VNET_BATCH      64 /* frames or commands between two looks at the rest of the world */
#define VNET_MACS       64 /* entries per filter table; more: accept all of that kind */
#define VNET_VLANS      4096

/* The header before each frame; without MRG_RXBUF it is as long, num_buffers then is 1
 * (virtio 1.2, 5.1.6). */
#define VNET_HDR_LEN sizeof(struct virtio_net_hdr_mrg_rxbuf)

enum { VNET_RX, VNET_TX, VNET_CTRL, VNET_QUEUES };

struct vnet_macs {
	uint8_t mac[VNET_MACS][ETH_ALEN];
	unsigned n;
	bool overflow; /* the driver had more than fit */
};

/* Which received frames the guest wants. At reset it is promiscuous: a driver without
 * CTRL_RX could not ask for less. */
struct vnet_filter {
	bool promisc, allmulti, alluni, nomulti, nouni, nobcast;
	bool by_vlan; /* CTRL_VLAN: tagged frames need their bit below */
	struct vnet_macs uni, multi;
	uint32_t vlan[VNET_VLANS / 32];
};

struct vnet_tx {
	bool blocked; /* the backend had no room; its writable() resumes */
	struct iovec iov[NET_IOV_MAX];
};

/*
 * The receive window: chains popped and not used yet, oldest first, enough of them for
 * the largest frame that may come, since nobody knows the next one's size before it is
 * there. Frames are read straight into it; what they do not fill stays for the next.
 */
struct vnet_rx {
	struct virtq_chain chain[VNET_QUEUE_SIZE];
	unsigned n;
	struct iovec iov[NET_IOV_MAX]; /* of all chains, in order */
	unsigned n_iov;
	size_t bytes;
	size_t need;    /* bytes of the largest frame and its header */
	bool mergeable; /* MRG_RXBUF: a frame may span chains */
	bool roomy;     /* the window has held `need` bytes since the driver came */
	bool starved;   /* reception is off until the driver posts buffers */
	unsigned small; /* frames in a row that fitted the first chain */
	struct iovec payload[NET_IOV_MAX]; /* what is read into: the window, or a part of it */
};

struct vnet {
	struct nic nic;
	struct virtio_pci vp;
	/* vp's device configuration (nic.lock): */
	struct virtio_net_config config;
	/* fixed at create: */
	struct loop_timer link_timer;
	struct vnet_vhost *vhost; /* NULL: frames are moved here, not by the host's kernel */
	/* Does the worker look at the transmit queue, or is going to? If not, it saw the
	 * driver's idx, which is at *tx_idx, at tx_seen. Then how often somebody rang in the
	 * driver's place, for the count of doorbells. */
	_Atomic bool tx_awake; /* true at first */
	const uint16_t *_Atomic tx_idx;
	_Atomic uint16_t tx_seen;
	_Atomic unsigned rung_by_watcher;
	/* nic.work: */
	bool running;                /* DRIVER_OK, and nothing fatal since */
	unsigned lent;               /* BIT(queue): the host's kernel serves it */
	unsigned poked[VNET_QUEUES]; /* signals of our own among those to come */
	uint64_t negotiated;         /* at the last DRIVER_OK; for statistics */
	uint64_t guest_offloads;     /* VIRTIO_NET_F_GUEST_* bits in force */
	bool offloads_stale;         /* the backend has not been told yet */
	struct vnet_filter filter;
	struct vnet_tx tx;
	struct vnet_rx rx;
	uint8_t bounce[NET_FRAME_MAX]; /* without the zero-copy rung; what a short read leaves */
};

/* The VIRTIO_NET_F_GUEST_* bits that say what the guest can receive. */
#define VNET_GUEST_OFFLOADS                                                                        \
	(BIT64(VIRTIO_NET_F_GUEST_CSUM) | BIT64(VIRTIO_NET_F_GUEST_TSO4) |                         \
	 BIT64(VIRTIO_NET_F_GUEST_TSO6) | BIT64(VIRTIO_NET_F_GUEST_ECN))

static inline struct virtq *vnet_q(struct vnet *v, unsigned q)
{
	return &v->vp.q[q].vq;
}

/* --- virtio_net.c; work held, I/O thread --- */

/* The driver did `why`, and no queue makes sense any more, or the host did (NULL; it was
 * said): stop until the driver resets us. */
void vnet_broken(struct vnet *v, const char *why);
/* Interrupt for what queue `q` has published, if the driver wants one; or without asking. */
void vnet_irq_update(struct vnet *v, unsigned q);
void vnet_irq_raise(struct vnet *v, unsigned q);
/* Run queue `q` soon, as if its doorbell had rung. Any thread. */
void vnet_poke(struct vnet *v, unsigned q);

/* --- virtio_net_ring.c; work held --- */

/*
 * Pop chains until the largest frame fits. > 0: go on and receive, 0: wait for the driver
 * to post more, < 0: the queue is broken. Or the same, but 0 only with the doorbell on.
 */
int vnet_rx_fill(struct vnet *v);
int vnet_rx_fill_or_wait(struct vnet *v);
/* The first `n` chains of the window are with the driver again. */
void vnet_rx_forget(struct vnet_rx *rx, unsigned n);
/* Leave out the first `n` bytes of `iov`, which are there. */
const struct iovec *vnet_iov_skip(struct iovec *iov, int *cnt, size_t n);

/* A frame into the window behind the place of its header, as net_recv(); rx.payload, *cnt
 * entries of it, then begins with the frame's headers. */
ssize_t vnet_rx_read(struct vnet *v, struct virtio_net_hdr *h, int *cnt);

/* --- virtio_net_features.c; work held --- */

uint64_t vnet_offered(const struct nic_config *cfg);
bool vnet_features_ok(void *dev, uint64_t features); /* as virtio_pci_ops.features_ok */
/* What the guest takes of unfinished frames, and what it leaves to us: NET_OFF_*. */
unsigned vnet_rx_offload(const struct vnet *v);
unsigned vnet_tx_offload(const struct vnet *v);
/* Ask the backend for what guest_offloads can take. */
void vnet_rx_offload_apply(struct vnet *v);

/* --- virtio_net_ctrl.c; work held --- */

void vnet_filter_reset(struct vnet_filter *f);
/* Does the guest want the frame that starts in `iov`? */
bool vnet_filter_accepts(const struct vnet *v, const struct iovec *iov, int cnt);
/* Serve the control queue. I/O thread. */
void vnet_ctrl_kick(struct vnet *v);

/* --- virtio_net_count.c --- */

/* Add the doorbells among `n` signals of queue `q`'s kick. work held. */
void vnet_count_kicks(struct vnet *v, unsigned q, uint64_t n);
void vnet_accounts(struct nic *n, access_fn *fn, void *ctx);

/* --- virtio_net_vhost.c; work held; without vhost=on they do nothing --- */

/* Have /dev/vhost-net serve the queues, if the configuration says so. At set-up time, with MSI-X
 * there. 0 or -errno, logged. */
int vnet_vhost_new(struct vnet *v);
void vnet_vhost_free(struct vnet *v);
/* Whether a driver is there, the bus mastered or the link up may have changed: give the queues
 * to the kernel, or take them back. */
void vnet_vhost_sync(struct vnet *v);
void vnet_vhost_vector(void *dev, unsigned q); /* as virtio_pci_ops.vector */
void vnet_vhost_count(struct nic *n);          /* as nic_ops.count */

#endif
