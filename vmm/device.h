/* SPDX-License-Identifier: MIT */
/*
 * device.h: what a machine offers to its devices, and what it asks of them.
 * Everything a device can reach is in struct machine; a test fills one with
 * fakes and needs no hypervisor.
 */
#ifndef DUET_DEVICE_H
#define DUET_DEVICE_H

#include "vmm/bus.h"
#include "vmm/gmem.h"
#include "vmm/irq.h"
#include "vmm/loop.h"
#include "vmm/watcher.h"

enum stop_reason {
	STOP_POWEROFF,   /* the guest entered S5 */
	STOP_RESET,      /* the guest asked for a reset: i8042, ACPI reset register */
	STOP_DEBUG_EXIT, /* `code` is the guest's status */
	STOP_USER,       /* Ctrl-a x, SIGINT, SIGTERM, SIGHUP: `code` is 128 + signal or 0 */
	STOP_CRASH,      /* triple fault, KVM internal error */
	STOP_HOST,       /* this host cannot go on */
};

/* Fixed once the board is built; the members have locks of their own. */
struct machine {
	struct gmem mem;
	struct bus pio, mmio;
	struct loop *loop; /* the I/O thread */
	struct watcher *watcher;
	struct msi_router *msi; /* NULL: no message-signalled interrupts */
	/* GSI number to line; lines live as long as the machine. NULL when out of range. */
	struct irq_line *(*irq)(struct machine *m, unsigned gsi);
	/* A line of its own for the caller, which lives as long as the machine. NULL: none to be
	 * had, or `irq_eoi` itself: not on this host. At set-up time. */
	struct irq_eoi *(*irq_eoi)(struct machine *m, unsigned gsi);
	/* End the VM: any thread, the first caller wins, returns at once. */
	void (*stop)(struct machine *m, enum stop_reason why, int code);
};

#endif
