/* SPDX-License-Identifier: MIT */
/*
 * disk_rig.h: a host whose disk fails, or is lazy, when a test wants it to. The program's
 * pwritev(), preadv() and fdatasync() go through here.
 */
#ifndef DUET_DISK_RIG_H
#define DUET_DISK_RIG_H

#include <stddef.h>
#include <sys/types.h>

struct disk_host {
	int error;     /* errno that transfers and flushes fail with; 0: none does */
	size_t most;   /* bytes a transfer moves at most; 0: all */
	int interrupt; /* so many calls first end with EINTR */
	/* what was asked of it: */
	unsigned transfers, flushes;
};
extern struct disk_host disk_host;

/* Make a scratch file of `size` bytes, byte i of which is disk_byte(i); the host is whole
 * again. Returns its path; gone at disk_file_remove(). */
const char *disk_file_make(size_t size);
void disk_file_remove(void);
unsigned char disk_byte(size_t i);
/* Byte `i` of the file as it is now. */
unsigned char disk_file_at(size_t i);

#endif
