/* SPDX-License-Identifier: MIT */
/*
 * vhost.h: virtqueues that the host's kernel serves in our place (/dev/vhost-net). A thread
 * of the kernel's waits for the doorbell's eventfd, walks the ring where the guest has it,
 * moves frames between guest memory and a tap, and signals an eventfd for the interrupt.
 * No device in it: which queues, when, and what the eventfds are tied to is its user's.
 *
 * Callers serialise all calls but vhost_call(), whose callers serialise per queue.
 */
#ifndef DUET_VHOST_H
#define DUET_VHOST_H

#include "devices/virtq.h"

#define VHOST_DEVICE "/dev/vhost-net"

struct vhost {
	/* fixed by vhost_open(): */
	int fd;            /* -1: not open */
	const char *name;  /* whose queues they are, for messages */
	uint64_t features; /* of rings and headers, that the kernel knows */
	/* any thread: */
	_Atomic bool moaned; /* a refusal was logged; a guest may cause the next */
};

/*
 * Open it, and have the kernel know the guest's memory, which does not change. 0 or -errno,
 * with the reason and the remedy logged. `name` outlives it. Errors in what the guest wrote
 * are signalled by the eventfd `err`.
 */
int vhost_open(struct vhost *h, const char *name, const struct gmem *m, int err, unsigned queues);
/* The kernel lets go of all queues. Harmless when it is not open. */
void vhost_close(struct vhost *h);

/* What driver and device have agreed on; of those, the kernel is told what it knows. While no
 * queue is started. 0 or -errno, logged, as below. */
int vhost_negotiated(struct vhost *h, uint64_t features);

/* From now on the kernel serves queue `q`, which is enabled at `vq`: it is rung by the eventfd
 * `kick`, and its frames go to and from the tap behind `tap`. */
int vhost_start(struct vhost *h, unsigned q, const struct virtq *vq, int kick, int tap);
/* No longer: nothing of `vq` is in the kernel's hands, and pops would go on where it ended. */
int vhost_stop(struct vhost *h, unsigned q, struct virtq *vq);
/* Where the kernel signals that queue `q` is due an interrupt, started or not. */
int vhost_call(struct vhost *h, unsigned q, int fd);

#endif
