/* SPDX-License-Identifier: MIT */
/* exercise.h: how often does the guest reach for the card? */
#ifndef DUET_COURSE_COUNT_EXITS_H
#define DUET_COURSE_COUNT_EXITS_H

/*
 * A driver sends `frames` frames and rings after each `per_bell` of them, and once more for what
 * is left over. After each ring the card interrupts, and the handler does what Linux's does:
 * reads ICR, masks by IMC, flushes by a read of STATUS; then unmasks by IMS and flushes again.
 * How many accesses of registers is that, on QEMU's design? `per_bell` is not 0.
 */
unsigned predict_accesses(unsigned frames, unsigned per_bell);

/* The exit model (docs/model.md): a card whose unit takes `base_ns`, and `extra` exits more of
 * `exit_ns` each, takes how long? */
double predict_ns(double base_ns, double extra, double exit_ns);

/* What share of the gap between `base_ns` and `measured_ns` do those exits explain, 0 to 1 and
 * beyond? 0 when there is no gap. */
double explained(double base_ns, double extra, double exit_ns, double measured_ns);

#endif
