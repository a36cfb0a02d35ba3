/* SPDX-License-Identifier: MIT */
/* exercise.h: a port that keeps what a guest prints. */
#ifndef DUET_COURSE_DEBUG_PORT_H
#define DUET_COURSE_DEBUG_PORT_H

#include "vmm/device.h"

#define DEBUG_PORT      0xe9u
#define DEBUG_PORT_KEPT 64u

struct debug_port;

/*
 * Map it at DEBUG_PORT on the port bus. It takes writes of one byte and keeps the first
 * DEBUG_PORT_KEPT; a read of one byte gives how many it keeps. It knows no other size.
 * NULL and errno: no memory, or the port is taken.
 */
struct debug_port *debug_port_new(struct machine *m);
void debug_port_free(struct debug_port *d);

/* What it keeps; `*len` bytes. */
const uint8_t *debug_port_text(const struct debug_port *d, size_t *len);

#endif
