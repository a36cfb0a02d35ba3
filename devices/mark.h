/* SPDX-License-Identifier: MIT */
/*
 * mark.h: a port by which a guest says "now": a 32-bit write of N to PORT_MARK has the
 * machine take its figures, labelled N. A read tells how many were taken; where there is
 * no such device it is all ones, as of any empty port.
 */
#ifndef DUET_MARK_H
#define DUET_MARK_H

#include "vmm/device.h"

#define MARK_MAX 4096 /* a guest fills no more of the host's disk than by these */

struct mark;

/* Take the figures under this label. Called by one vCPU thread at a time. */
typedef void mark_fn(void *ctx, uint32_t label);

/* Map it on the port bus. NULL and errno on failure. */
struct mark *mark_new(struct machine *m, mark_fn *take, void *ctx);
void mark_free(struct mark *d);

/* Marks taken; those refused because MARK_MAX were. Any thread. */
unsigned mark_taken(const struct mark *d);
uint64_t mark_faults(const struct mark *d);

#endif
