/* SPDX-License-Identifier: MIT */
/*
 * loop.h: the I/O thread. One epoll loop that watches descriptors, eventfds
 * ("kicks": also what KVM's ioeventfd signals) and timers, and calls back on
 * its own thread. All sources are embedded in their owners, which must outlive
 * the loop's run; after loop_fd_del() from another thread a call already under
 * way may still finish.
 */
#ifndef DUET_LOOP_H
#define DUET_LOOP_H

#include "vmm/util.h"

#include <stdbool.h>

struct loop;

struct loop_fd {
	int fd;                                            /* -1: not watched */
	void (*ready)(struct loop_fd *f, uint32_t events); /* loop thread; EPOLL* */
	struct loop *loop;
};

/* An eventfd. Signals that come before the callback ran are merged into one. */
struct loop_event {
	struct loop_fd f;                    /* f.fd may be given to a doorbell */
	void (*fired)(struct loop_event *e); /* loop thread */
	uint64_t count;                      /* signals merged into this firing; loop thread */
};

/* A one-shot timer on CLOCK_MONOTONIC. */
struct loop_timer {
	struct loop_fd f;
	void (*expired)(struct loop_timer *t); /* loop thread */
};

/* NULL and errno when the host has no descriptors left. */
struct loop *loop_new(void);
void loop_free(struct loop *l);

/* Serve sources on the calling thread until loop_stop(), then once more those that are
 * ready: a doorbell that rang before is not lost. */
void loop_run(struct loop *l);
/* Serve what is ready now, waiting at most `ms` (0: not at all, -1: for ever) for
 * the first. Returns the number of callbacks made. For tests, and for loop_run(). */
int loop_once(struct loop *l, int ms);
/* Make loop_run() return soon. Any thread. */
void loop_stop(struct loop *l);

/* Watch `fd` for `events` (level-triggered; 0: errors only). The caller keeps
 * ownership of fd. 0 or -errno. Any thread. */
int loop_fd_add(struct loop *l, struct loop_fd *f, int fd, uint32_t events,
		void (*ready)(struct loop_fd *, uint32_t));
int loop_fd_mod(struct loop_fd *f, uint32_t events);
void loop_fd_del(struct loop_fd *f);

/* init: 0 or -errno; the descriptor is the event's and closed by destroy. */
int loop_event_init(struct loop *l, struct loop_event *e, void (*fired)(struct loop_event *));
void loop_event_signal(struct loop_event *e); /* any thread, never blocks */
void loop_event_destroy(struct loop_event *e);

int loop_timer_init(struct loop *l, struct loop_timer *t, void (*expired)(struct loop_timer *));
void loop_timer_set(struct loop_timer *t, uint64_t ns); /* from now; 0 disarms. Any thread. */
void loop_timer_destroy(struct loop_timer *t);

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t loop_now(void);

#endif
