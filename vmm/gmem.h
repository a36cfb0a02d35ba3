/* SPDX-License-Identifier: MIT */
/*
 * gmem.h: guest RAM, and the only way into it. A guest-physical address is a
 * number (gpa_t), never a pointer; every access gives address *and* length and
 * is checked against wrap-around, holes and the end of RAM in one place.
 *
 * gm_*() reach RAM only, never a device's registers, so a device that is told
 * to DMA into its own BAR gets a fault instead of re-entering itself.
 *
 * The guest may change its RAM at any moment: read a structure once with
 * gm_read(), then decide on the copy. Spans are for payload, whose value
 * nobody decides on, and for rings, whose fields are loaded once each.
 */
#ifndef DUET_GMEM_H
#define DUET_GMEM_H

#include "vmm/util.h"

#include <stdbool.h>
#include <stddef.h>

typedef uint64_t gpa_t;

struct gmem_region {
	gpa_t gpa;
	uint64_t size; /* bytes */
	uint8_t *hva;
};

/* Fixed once gm_init() has returned; read by all threads without a lock. */
struct gmem {
	struct gmem_region r[2]; /* below and above the hole of vmm/layout.h */
	unsigned n;
	uint64_t size;
};

/*
 * Reserve `size` bytes of zeroed RAM (a multiple of 4096, at least one page),
 * split at the hole. Returns 0 or -errno (-EINVAL, -ENOMEM); gm_destroy() frees.
 */
int gm_init(struct gmem *m, uint64_t size);
void gm_destroy(struct gmem *m);

/* Host address of [gpa, gpa + len), or NULL unless all of it is in one region.
 * len 0 is valid where gpa is. Valid until gm_destroy(). */
void *gm_span(const struct gmem *m, gpa_t gpa, uint64_t len);

/* Copy out of or into guest RAM. 0, or -EFAULT with nothing copied. */
int gm_read(const struct gmem *m, gpa_t gpa, void *dst, size_t len);
int gm_write(const struct gmem *m, gpa_t gpa, const void *src, size_t len);

#endif
