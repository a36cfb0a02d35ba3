/* SPDX-License-Identifier: MIT */
/*
 * disk.h: a raw file or block device of the host, as sectors of 512 bytes. It is locked for
 * as long as it is open, so that no second guest writes what another has mounted.
 *
 * Everything goes through the host's page cache: what was written survives the guest and
 * duet itself; what was flushed survives the host.
 */
#ifndef DUET_DISK_H
#define DUET_DISK_H

#include "vmm/util.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#define DISK_SECTOR 512

/* Fixed while open. */
struct disk {
	const char *path; /* outlives it */
	int fd;           /* -1: not open */
	bool readonly;
	uint64_t sectors;
};

/* 0, or -1 with the reason and what to do in `why`. */
int disk_open(struct disk *d, const char *path, bool readonly, char *why, size_t size);
void disk_close(struct disk *d); /* harmless when it is not open */

/* Move all of iov[0..cnt), which is used up, from or to byte `off` on. 0 or -errno; -EIO
 * also when the file ends before that. May block, as all below. */
int disk_read(const struct disk *d, struct iovec *iov, int cnt, uint64_t off);
int disk_write(const struct disk *d, struct iovec *iov, int cnt, uint64_t off);
/* What was written is on stable storage when this returns 0. */
int disk_flush(const struct disk *d);
/* The contents of [off, off + len) do not matter any more: give the space back where the
 * host can. */
int disk_discard(const struct disk *d, uint64_t off, uint64_t len);
/* Make them zeroes; `unmap`: their space may be given back. */
int disk_zero(const struct disk *d, uint64_t off, uint64_t len, bool unmap);

#endif
