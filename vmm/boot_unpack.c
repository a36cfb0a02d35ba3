/* SPDX-License-Identifier: MIT */
/*
 * boot_unpack.c: from a compressed stream in memory to its content in memory. The libraries do
 * the work; all that is added is that neither side's end is passed, and that nothing is missing.
 */
#include "vmm/boot_unpack.h"

#include "vmm/boot.h"
#include "vmm/util.h"

#include <string.h>

#define UNPACK_XZ_MEMORY   (UINT64_C(160) << 20) /* for a dictionary of 128 MiB, Linux's largest */
#define UNPACK_LZ4_BLOCK   (8u << 20)            /* what a block of the old frame unpacks to */
#define UNPACK_GZIP_WINDOW (15 + 16)             /* the largest window, with gzip's header */

#if HAVE_ZLIB
#include <zlib.h>

static int unpack_gzip(const uint8_t *src, size_t n, uint8_t *dst, size_t cap)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)src, .next_out = dst };
	int end;

	/* Both came from 32 bits of the file. */
	z.avail_in = (uInt)n;
	z.avail_out = (uInt)cap;
	if (inflateInit2(&z, UNPACK_GZIP_WINDOW) != Z_OK)
		return -1;
	end = inflate(&z, Z_FINISH);
	inflateEnd(&z);
	return end == Z_STREAM_END && z.total_out == cap ? 0 : -1;
}
#else
#define unpack_gzip NULL
#endif

#if HAVE_LZMA
#include <lzma.h>

static int unpack_xz(const uint8_t *src, size_t n, uint8_t *dst, size_t cap)
{
	uint64_t memory = UNPACK_XZ_MEMORY;
	size_t in = 0, out = 0;

	return lzma_stream_buffer_decode(&memory, 0, NULL, src, &in, n, dst, &out, cap) ==
				       LZMA_OK &&
			       out == cap
		       ? 0
		       : -1;
}
#else
#define unpack_xz NULL
#endif

#if HAVE_LZ4
#include <lz4.h>

/* The old ("legacy") frame: the magic, then blocks of a length and that many bytes. */
static int unpack_lz4(const uint8_t *src, size_t n, uint8_t *dst, size_t cap)
{
	size_t at = 4, out = 0;

	while (n - at >= 4) {
		uint32_t len;
		int got;

		memcpy(&len, src + at, sizeof(len));
		at += sizeof(len);
		if (len > n - at || len > INT32_MAX)
			return -1;
		got = LZ4_decompress_safe((const char *)src + at, (char *)dst + out, (int)len,
					  (int)MIN(cap - out, (size_t)UNPACK_LZ4_BLOCK));
		if (got < 0)
			return -1;
		at += len;
		out += (size_t)got;
	}
	return at == n && out == cap ? 0 : -1;
}
#else
#define unpack_lz4 NULL
#endif

#if HAVE_ZSTD
#include <zstd.h>

static int unpack_zstd(const uint8_t *src, size_t n, uint8_t *dst, size_t cap)
{
	return ZSTD_decompress(dst, cap, src, n) == cap ? 0 : -1;
}
#else
#define unpack_zstd NULL
#endif

/* Linux, lib/decompress.c, and what scripts/Makefile.lib puts behind each. */
static const struct unpack_format formats[] = {
	{ "gzip", "\x1f\x8b", 2, 0, unpack_gzip },
	{ "xz", "\xfd\x37zXZ", 6, 4, unpack_xz },
	{ "lz4", "\x02\x21\x4c\x18", 4, 4, unpack_lz4 },
	{ "zstd", "\x28\xb5\x2f\xfd", 4, 4, unpack_zstd },
	{ "bzip2", "BZh", 3, 4, NULL },
	{ "lzma", "\x5d\0\0", 3, 4, NULL },
	{ "lzo", "\x89LZO", 4, 4, NULL },
};

const struct unpack_format *unpack_identify(const uint8_t *head, size_t len)
{
	for (unsigned i = 0; i < ARRAY_SIZE(formats); i++)
		if (len >= formats[i].magic_len &&
		    !memcmp(head, formats[i].magic, formats[i].magic_len))
			return &formats[i];
	return NULL;
}

const char *unpack_built_in(unsigned i)
{
	for (unsigned f = 0; HAVE_LIBELF && f < ARRAY_SIZE(formats); f++)
		if (formats[f].unpack && !i--)
			return formats[f].name;
	return NULL;
}
