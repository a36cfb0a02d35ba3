/* SPDX-License-Identifier: MIT */
/* virtio_rng.h: a virtio entropy device (virtio 1.2, section 5.4) fed by the host's kernel. */
#ifndef DUET_VIRTIO_RNG_H
#define DUET_VIRTIO_RNG_H

#include "devices/virtio_server.h"

#define VRNG_MAX 256 /* bytes a request gets at most: so many come whole and at once */

struct virtio_rng;

/* In `slot`, served on the machine's I/O thread: it never blocks. NULL on failure, reason
 * logged. Free it after the loop and the vCPUs have stopped. */
struct virtio_rng *virtio_rng_new(struct machine *m, struct pci_host *pci, unsigned slot);
void virtio_rng_free(struct virtio_rng *r);
struct vserver *virtio_rng_server(struct virtio_rng *r); /* for its statistics */

#endif
