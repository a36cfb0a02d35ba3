/* SPDX-License-Identifier: MIT */
/*
 * virtio_server.h: a virtio device with one queue, each chain of which is a request to be
 * answered: what virtio-blk and virtio-rng have in common. The device brings serve();
 * doorbells, interrupts, reset, bounds and counters are here.
 *
 * Threads and locks are the NIC's (devices/nic.h). Requests are served on the thread of the
 * loop that the device was given, `work` held; a vCPU that resets the device waits for the
 * request under way, and nobody else does.
 */
#ifndef DUET_VIRTIO_SERVER_H
#define DUET_VIRTIO_SERVER_H

#include "devices/virtio_pci.h"

#define VSERVER_QUEUE 256 /* entries of the queue, at most */
#define VSERVER_IOV   288 /* buffers of a request, at most: more than the queue has entries */

/* name, meaning. Written with work held, but for guest_faults (vserver_fault() only). */
#define VSERVER_STATS(X)                                                                           \
	X(requests, "requests answered, well or not")                                              \
	X(kicks, "doorbells the guest rang")                                                       \
	X(wakeups, "times the thread was woken: by doorbells (several may be one), itself")        \
	X(irqs, "interrupts raised: line edges or messages")                                       \
	X(irqs_suppressed, "answers that raised none: the driver looks anyway, or one was up")     \
	X(guest_faults, "things the driver did that the specification forbids")

struct vserver_stat {
#define X(name, what) counter_t name;
	VSERVER_STATS(X)
#undef X
	counter_t busy; /* ticks in serve() */
};

struct vserver;

struct vserver_ops {
	const char *model;   /* "virtio-blk" */
	unsigned type;       /* VIRTIO_ID_* */
	uint32_t class_code; /* of PCI */
	/* Answer the request `c`, whose buffers are v->iov. Returns how many bytes were
	 * written into it. */
	uint32_t (*serve)(struct vserver *v, const struct virtq_chain *c);
	/* The device's own counters: into an open JSON object, as lines of a table. */
	void (*stats_json)(struct vserver *v, struct json *j);
	void (*stats_print)(struct vserver *v, FILE *f);
};

/* What makes one device different from the next. */
struct vserver_config {
	const char *name; /* "disk0": in messages, statistics, traces; outlives the device */
	struct loop *loop;
	uint64_t features; /* of the device itself, to be offered beside the queue's */
	void *config;      /* device configuration structure, or NULL */
	unsigned config_len;
};

struct vserver {
	/* fixed: */
	const struct vserver_ops *ops;
	const char *name;
	struct pci_dev pci;
	struct virtio_pci vp;
	struct lock work, lock;
	/* see above: */
	struct vserver_stat stat;
	counter_t negotiated; /* features, kept over a reset for the statistics */
	/* work: */
	bool running;   /* DRIVER_OK was seen, and nothing broke since */
	unsigned poked; /* signals of our own among those to come */
	struct iovec iov[VSERVER_IOV];
};

/* Put the device into `slot`. 0 or -errno, vserver_fini() in either case. */
int vserver_init(struct vserver *v, const struct vserver_ops *ops, struct machine *m,
		 struct pci_host *pci, unsigned slot, const struct vserver_config *cfg);
/* After its loop and the vCPUs have stopped. */
void vserver_fini(struct vserver *v);

/* The driver did `why`: count it, trace it. Any thread. */
void vserver_fault(struct vserver *v, const char *why);

/* Every counter, as members of an open JSON object; as a readable table. Any thread. */
void vserver_stats_json(struct vserver *v, struct json *j);
void vserver_stats_print(struct vserver *v, FILE *f);

#endif
