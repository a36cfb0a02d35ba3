/* SPDX-License-Identifier: MIT */
/*
 * trace.h: see the data path without a debugger. Always compiled in; a class
 * that is off costs one load and one branch. One event is one line:
 *
 *   12.345678901 [io] NET e1000_tx_one: net0: tx 1514 bytes
 *   seconds since the first event, thread name, class, function, text
 *
 * All threads read one clock (CLOCK_MONOTONIC), and lines are in its order.
 * tools/trace2svg draws them.
 */
#ifndef DUET_TRACE_H
#define DUET_TRACE_H

#include "vmm/util.h"

/* symbol, name on the command line, what it shows */
#define TRACE_CLASSES(X)                                                                           \
	X(EXIT, "exits", "every exit from KVM_RUN, and every entry")                               \
	X(MMIO, "mmio", "every access the MMIO bus dispatches")                                    \
	X(PIO, "pio", "every access the port I/O bus dispatches")                                  \
	X(PCI, "pci", "configuration space: BAR moves, command register")                          \
	X(IRQ, "irq", "interrupt lines and messages")                                              \
	X(NET, "net", "frames, ring positions, doorbells")                                         \
	X(DISK, "disk", "requests to disks, and how they ended")                                   \
	X(GUEST, "guest", "guest faults: what a driver did wrong")

enum trace_class {
#define X(sym, name, what) TRACE_##sym,
	TRACE_CLASSES(X)
#undef X
		TRACE_NR
};

/* Written before threads start, read by all. */
extern unsigned trace_mask;

#define trace(cls, ...) trace_as(cls, __func__, __VA_ARGS__)

/* In the name of the function `func`, for one that traces on behalf of others. */
#define trace_as(cls, func, ...)                                                                   \
	do {                                                                                       \
		if (__builtin_expect(trace_mask & BIT(TRACE_##cls), 0))                            \
			trace_emit(#cls, func, __VA_ARGS__);                                       \
	} while (0)

void trace_emit(const char *cls, const char *func, const char *fmt, ...) PRINTF_LIKE(3, 4);

/*
 * Turn on the classes of a comma-separated list ("net,irq", or "all").
 * Returns 0, or -EINVAL with *bad (may be NULL) pointing at the unknown word.
 */
int trace_enable(const char *list, const char **bad);

/* Send the lines to `path` instead of stderr. Returns 0 or -errno. */
int trace_open(const char *path);
/* Back to stderr. 0, or -errno when lines were lost. After all threads have ended. */
int trace_close(void);

/* "exits,mmio,...": for help texts. */
const char *trace_class_name(enum trace_class c);
const char *trace_class_help(enum trace_class c);

#endif
