/* SPDX-License-Identifier: MIT */
/*
 * worker.h: a thread with a loop of its own, for a device that may block: a disk waits for
 * the host's disk, and neither the vCPUs nor the other devices wait with it.
 */
#ifndef DUET_WORKER_H
#define DUET_WORKER_H

#include "vmm/cputime.h"
#include "vmm/loop.h"

#include <pthread.h>

struct worker {
	/* fixed: */
	struct loop *loop; /* what the thread runs */
	char name[16];     /* the thread's, too */
	/* any thread may ask: */
	struct cputime cpu;
	/* its owner's: */
	pthread_t thread;
	bool started;
};

/* Make the loop, no thread yet. 0 or -errno; worker_destroy() in either case. */
int worker_init(struct worker *w, const char *name);
/* Start the thread: 0 or -errno. */
int worker_start(struct worker *w);
/* Return when the thread has ended; harmless when none was started. */
void worker_stop(struct worker *w);
void worker_destroy(struct worker *w); /* stopped, and the loop's sources are gone */

#endif
