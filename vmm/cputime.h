/* SPDX-License-Identifier: MIT */
/* cputime.h: what a thread has cost the host's processors, while it runs and after. */
#ifndef DUET_CPUTIME_H
#define DUET_CPUTIME_H

#include "vmm/stats.h"

#include <stdbool.h>

/* Written by the thread itself; any thread may ask. */
struct cputime {
	_Atomic int tid;              /* 0: it has not begun; set after the next two */
	int stat, schedstat;          /* its files in /proc; -1: there is none */
	_Atomic bool ended;           /* set after the next two */
	counter_t user_ns, system_ns; /* of its whole life */
};

/* Before the first thread begins, and after the last has: where their files are, which the
 * threads themselves may be too confined to find. Without it, others' times are all 0. */
void cputime_open(void);
void cputime_close(void);

/* The calling thread begins; is about to end. */
void cputime_begin(struct cputime *t);
void cputime_end(struct cputime *t);
/* Nobody will ask any more; also of a thread that has not begun. */
void cputime_forget(struct cputime *t);

struct cpu_usage {
	uint64_t user_ns, system_ns;
};

/* Until now, or over its life. All 0 before it has begun. Of a running thread other
 * than the caller the split is only to the kernel's clock tick (10 ms, as a rule); so is
 * the sum, where there is no /proc/PID/task/TID/schedstat. */
struct cpu_usage cputime_usage(struct cputime *t);

#endif
