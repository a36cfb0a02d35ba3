/* SPDX-License-Identifier: MIT */
/*
 * boot_unpack.h: the formats in which a bzImage may hold its kernel, and the libraries that
 * unpack them. Each may be left out of a build (HAVE_LZMA=0...): the guest then does that itself.
 */
#ifndef DUET_BOOT_UNPACK_H
#define DUET_BOOT_UNPACK_H

#include <stddef.h>
#include <stdint.h>

#ifndef HAVE_ZLIB
#define HAVE_ZLIB 1
#endif
#ifndef HAVE_LZMA
#define HAVE_LZMA 1
#endif
#ifndef HAVE_LZ4
#define HAVE_LZ4 1
#endif
#ifndef HAVE_ZSTD
#define HAVE_ZSTD 1
#endif

struct unpack_format {
	const char *name; /* as Linux calls it: CONFIG_KERNEL_NAME */
	const char *magic;
	size_t magic_len;
	unsigned trailer; /* bytes behind the stream that are Linux's, not the format's */
	/* Both lengths below 4 GiB. Exactly `cap` bytes into `dst`: 0, else -1. NULL: not in this
	 * build. */
	int (*unpack)(const uint8_t *src, size_t n, uint8_t *dst, size_t cap);
};

/* The format whose stream begins with `head`, `len` bytes long. NULL: none of Linux's. */
const struct unpack_format *unpack_identify(const uint8_t *head, size_t len);

/* For i from 0: the formats that this build unpacks. NULL: no more. */
const char *unpack_built_in(unsigned i);

#endif
