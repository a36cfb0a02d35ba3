/* SPDX-License-Identifier: MIT */
/*
 * sidecar.h: exits on demand. A sidecar is a virtual machine of its own, next to the
 * guest's, whose one vCPU does nothing but `out` in a loop. Entering it once is a world
 * switch, a return to userspace and a dispatch by our bus, as a register access of the
 * guest's is, so whoever runs it N times pays for N exits without the guest having a
 * part in it. That puts the model "time = exits x their cost" to the test:
 * docs/calibrate.md.
 */
#ifndef DUET_SIDECAR_H
#define DUET_SIDECAR_H

#include <stddef.h>

struct sidecar;

/* NULL with the reason and the remedy in `why`. */
struct sidecar *sidecar_new(char *why, size_t why_size);
void sidecar_free(struct sidecar *s);

/*
 * Make `n` exits; returns how many were made, fewer only if this host's KVM gave up,
 * which is logged once. `ctx` is the struct sidecar: this is nic_config.extra. From any
 * thread, one at a time; KVM makes the first run on another thread than the last wait
 * for all processors (milliseconds), so let it be the same one.
 */
unsigned sidecar_exits(void *ctx, unsigned n);

#endif
