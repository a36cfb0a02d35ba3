/* SPDX-License-Identifier: MIT */
/*
 * ladder.h: the rungs between the way QEMU 7.2 emulates an e1000 and the best we know.
 * Each is a switch, and each can be measured alone or on top of those before it. A rung
 * changes when things happen and what they cost, never what the guest is told.
 */
#ifndef DUET_LADDER_H
#define DUET_LADDER_H

#include "vmm/util.h"

#include <stdbool.h>
#include <stddef.h>

/* symbol, name on the command line, has virtio-net it too, what it does */
#define LADDER_RUNGS(X)                                                                            \
	X(OFFLOAD_TX, "offload-tx", true, "the backend cuts segments and fills in checksums")      \
	X(OFFLOAD_RX, "offload-rx", true, "receive unfinished: large frames, known checksums")     \
	X(ZERO_COPY, "zero-copy", true, "frames go between guest memory and backend uncopied")     \
	X(WORKER, "worker", true, "transmit leaves the vCPU's thread")                             \
	X(KICK, "kick", true, "a worker that is awake is not woken")                               \
	X(ITR, "itr", false, "interrupts as far apart as asked, not 128 us at least")              \
	X(IRQ, "irq", false, "the guest's EOI lowers the line, not a system call")                 \
	X(POLL, "poll", true, "the worker looks out for a while before it sleeps")                 \
	X(COALESCED, "coalesced", false, "doorbells are queued by KVM while the worker polls")     \
	X(RAM, "ram", false, "doorbells are plain memory while the worker polls")                  \
	X(IRQ_PAGE, "irq-page", false, "ICR and STATUS are read from memory (experiment)")

enum ladder_rung {
#define X(sym, name, virtio, what) RUNG_##sym,
	LADDER_RUNGS(X)
#undef X
		RUNG_NR
};

#define LADDER_QEMU 0u
#define LADDER_ALL  (BIT(RUNG_NR) - 1)
/* Raising a line by irqfd goes through a worker of the host's kernel, which costs a request
 * and its answer more than the EOI spares: measured, 8003 against 7148 a second. */
#define LADDER_BEST (LADDER_ALL & ~(BIT(RUNG_IRQ) | BIT(RUNG_IRQ_PAGE)))
/* Those that virtio-net has. */
enum {
	LADDER_VIRTIO = 0
#define X(sym, name, virtio, what) | (virtio ? 1 << RUNG_##sym : 0)
	LADDER_RUNGS(X)
#undef X
};

const char *ladder_name(enum ladder_rung r);
const char *ladder_help(enum ladder_rung r);
bool ladder_on_virtio(enum ladder_rung r);
/* RUNG_NR when there is none of that name. */
enum ladder_rung ladder_find(const char *name);

/* "qemu", "best", or a rung's name: that one and all before it. False: no such word. */
bool ladder_preset(const char *word, unsigned *rungs);

/* NULL, or why the rungs do not go together and what would help. */
const char *ladder_conflict(unsigned rungs);

/* "qemu", "best" or "offload-tx+kick", into `buf`; returns it. */
const char *ladder_string(unsigned rungs, char *buf, size_t size);

#endif
