/* SPDX-License-Identifier: MIT */
/* probe_try.h: run a few instructions in a VM and see whether they work. */
#ifndef DUET_PROBE_TRY_H
#define DUET_PROBE_TRY_H

#include <stdbool.h>

#define PROBE_TRIES 3

struct probe_try {
	const char *name; /* the instruction */
	const char *use;  /* what a stock kernel wants it for */
	bool ok;
	char why[320]; /* when not: what happened instead */
};

/* Fill t[]; each try takes a few milliseconds, at worst some seconds. Prints nothing. */
void probe_try_all(struct probe_try t[PROBE_TRIES]);

#endif
