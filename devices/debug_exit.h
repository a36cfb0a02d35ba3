/* SPDX-License-Identifier: MIT */
/*
 * debug_exit.h: one write-only I/O port by which a guest ends the VMM and hands it an
 * exit status: an 8-bit write of N to PORT_DEBUG_EXIT is STOP_DEBUG_EXIT with code N.
 */
#ifndef DUET_DEBUG_EXIT_H
#define DUET_DEBUG_EXIT_H

#include "vmm/device.h"

struct debug_exit;

/* Map it on the port bus. NULL and errno on failure. */
struct debug_exit *debug_exit_new(struct machine *m);
void debug_exit_free(struct debug_exit *d);

#endif
