/* SPDX-License-Identifier: MIT */
/*
 * watcher.h: a thread that looks at memory where the guest would otherwise have to ring.
 * It runs at the lowest priority there is (SCHED_IDLE): where a processor is free it looks
 * all the time, where none is it looks when the vCPUs halt, and it takes no time from
 * anybody. So whoever is watched needs a second way to be noticed in the end, a timer say.
 * While nothing is watched the thread sleeps.
 */
#ifndef DUET_WATCHER_H
#define DUET_WATCHER_H

#include "vmm/cputime.h"

#include <stdbool.h>

struct watcher;

/* Embedded in its owner, which outlives the thread. */
struct watch {
	/* Look, and wake whom it concerns; never block, take no lock: whoever held it
	 * would wait for a thread that gets no time. May run once more after the watch
	 * was turned off. Watcher's thread. */
	void (*look)(struct watch *w);
	_Atomic bool on;    /* any thread */
	struct watch *next; /* fixed */
};

/* NULL and errno when the host has no memory left. */
struct watcher *watcher_new(void);
void watcher_free(struct watcher *w); /* after watcher_stop(); NULL is fine */

/* While the thread does not run. It is off at first. Removing what was never added is fine. */
void watcher_add(struct watcher *w, struct watch *t);
void watcher_remove(struct watcher *w, struct watch *t);

/* Start the thread. 0 or -errno. */
int watcher_start(struct watcher *w);
void watcher_stop(struct watcher *w); /* also when it was not started */

/* What the thread has cost. */
struct cputime *watcher_cpu(struct watcher *w);

/* Any thread, whatever the state. */
void watch_on(struct watcher *w, struct watch *t);
void watch_off(struct watch *t);

/* One round; true when anything is watched. For the thread, and for tests. */
bool watcher_look(struct watcher *w);

#endif
