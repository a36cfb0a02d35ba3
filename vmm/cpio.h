/* SPDX-License-Identifier: MIT */
/*
 * cpio.h: an archive in the "newc" format, as Linux unpacks one into its first root file system
 * (Documentation/driver-api/early-userspace/buffer-format.rst). Files are root's, whoever has
 * them here.
 */
#ifndef DUET_CPIO_H
#define DUET_CPIO_H

#include "vmm/util.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

#define CPIO_DEPTH_MAX 64 /* of directories in each other */

struct cpio {
	FILE *out;     /* the caller's */
	uint64_t size; /* written so far, bytes */
	uint64_t max;  /* more than this is an error */
	uint32_t ino;  /* of the last entry: each has its own */
	bool full;     /* why it failed: `max` */
	char why[PATH_MAX + 256];
};

/* All return 0, or -1 with one line in c->why: what failed, on which object. Names in the archive
 * begin without a slash. */

/* A directory; its parent has to be there already. */
int cpio_dir(struct cpio *c, const char *name);
/* A file with these bytes; `mode`: its permissions. */
int cpio_bytes(struct cpio *c, const char *name, mode_t mode, const void *data, size_t size);
/* The file of the host at `path`, which a symbolic link may lead to, with its permissions. */
int cpio_file(struct cpio *c, const char *name, const char *path);
/* What can be read from `fd` up to its end, as a file. */
int cpio_stream(struct cpio *c, const char *name, int fd);
/* Everything in the directory `path`, as `name`/...; "": at the top. Links stay links. Sockets,
 * devices and pipes are left out. The directory `name` itself is made. */
int cpio_tree(struct cpio *c, const char *name, const char *path);
/* The end of the archive. */
int cpio_end(struct cpio *c);

#endif
