/* SPDX-License-Identifier: MIT */
/* virtio_blk.h: a virtio block device (virtio 1.2, section 5.2) on a raw file of the host. */
#ifndef DUET_VIRTIO_BLK_H
#define DUET_VIRTIO_BLK_H

#include "devices/disk.h"
#include "devices/virtio_server.h"

#define VBLK_SEG_MAX   254             /* buffers of data in a request, as the driver is told */
#define VBLK_RANGES    16              /* ranges of a discard or write zeroes request */
#define VBLK_RANGE_MAX UINT32_C(65536) /* sectors of each (32 MiB) */

/* name, meaning. Written by the thread of the device's loop. */
#define VBLK_STATS(X)                                                                              \
	X(reads, "requests to read, done")                                                         \
	X(read_bytes, "their bytes")                                                               \
	X(writes, "requests to write, done")                                                       \
	X(written_bytes, "their bytes")                                                            \
	X(flushes, "times the host was made to write it all to its disk")                          \
	X(discards, "ranges discarded")                                                            \
	X(discarded_bytes, "their bytes")                                                          \
	X(zeroings, "ranges made zeroes")                                                          \
	X(zeroed_bytes, "their bytes")                                                             \
	X(io_errors, "requests that the host failed")

struct virtio_blk;

/*
 * Create a disk in `slot` that serves requests on the thread of `loop`, where they may
 * block. `d` is open, and stays its owner's. NULL on failure, reason logged. `name`
 * ("disk0") outlives it. Free it after the loop and the vCPUs have stopped.
 */
struct virtio_blk *virtio_blk_new(struct machine *m, struct loop *loop, struct pci_host *pci,
				  unsigned slot, const char *name, const struct disk *d);
void virtio_blk_free(struct virtio_blk *b);
struct vserver *virtio_blk_server(struct virtio_blk *b); /* for its statistics */

#endif
