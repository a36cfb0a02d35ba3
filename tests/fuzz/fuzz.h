/* SPDX-License-Identifier: MIT */
/*
 * fuzz.h: what the fuzz targets share. A target is a file with a name and a
 * LLVMFuzzerTestOneInput(); libFuzzer calls it (make fuzz), or replay.c with the committed
 * seeds (make check-unit). An input is a program: its bytes are read front to back as
 * operations and their operands, and when it is exhausted all further bytes are 0.
 *
 * The same input does the same each time, whatever was run before: a target starts afresh,
 * the clock is the loop's (loop.c here), and nothing comes from the host.
 */
#ifndef DUET_FUZZ_H
#define DUET_FUZZ_H

#include "vmm/util.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* The target's name: of its directory under tests/fuzz/seeds. */
extern const char fuzz_name[];
/* Always 0, as libFuzzer wants it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What an input must never achieve. */
#define FUZZ_CHECK(cond, ...)                                                                      \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s: ", fuzz_name);                                        \
			fprintf(stderr, __VA_ARGS__);                                              \
			fprintf(stderr, " (%s:%d)\n", __FILE__, __LINE__);                         \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* What is left of the input. */
struct fuzz_in {
	const uint8_t *p;
	size_t left;
};

/* The next `n` bytes, zeros after the last. */
static inline void fuzz_bytes(struct fuzz_in *in, void *dst, size_t n)
{
	size_t have = MIN(n, in->left);

	memset(dst, 0, n);
	if (have)
		memcpy(dst, in->p, have);
	in->p += have;
	in->left -= have;
}

static inline uint8_t fuzz_u8(struct fuzz_in *in)
{
	uint8_t v;

	fuzz_bytes(in, &v, sizeof(v));
	return v;
}

static inline uint16_t fuzz_u16(struct fuzz_in *in)
{
	uint16_t v;

	fuzz_bytes(in, &v, sizeof(v));
	return v;
}

static inline uint32_t fuzz_u32(struct fuzz_in *in)
{
	uint32_t v;

	fuzz_bytes(in, &v, sizeof(v));
	return v;
}

static inline uint64_t fuzz_u64(struct fuzz_in *in)
{
	uint64_t v;

	fuzz_bytes(in, &v, sizeof(v));
	return v;
}

/* 0..n-1; 0 < n <= 256. */
static inline unsigned fuzz_below(struct fuzz_in *in, unsigned n)
{
	return fuzz_u8(in) % n;
}

/* One of the `n` (<= 256) bytes at `p` is another. Calls that read the input are statements
 * of their own: the order of two in one expression is the compiler's. */
static inline void fuzz_set_byte(struct fuzz_in *in, void *p, unsigned n)
{
	unsigned at = fuzz_below(in, n);

	((uint8_t *)p)[at] = fuzz_u8(in);
}

/* An access size: 1, 2, 4 or 8. */
static inline unsigned fuzz_size(struct fuzz_in *in)
{
	return 1u << fuzz_below(in, 4);
}

/* --- loop.c: the loop of vmm/loop.h without system calls, on a clock of its own --- */

/* The clock goes on by `ns`. */
void fuzz_clock_pass(uint64_t ns);
/* From a fixed moment on; and nothing may be left of the input before. */
void fuzz_clock_reset(void);

#endif
