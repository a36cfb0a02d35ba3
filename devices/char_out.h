/* SPDX-License-Identifier: MIT */
/*
 * char_out.h: bytes on their way to a descriptor of the host whose reader may be slow,
 * stalled or gone, without ever blocking the thread that has them.
 */
#ifndef DUET_CHAR_OUT_H
#define DUET_CHAR_OUT_H

#include "vmm/loop.h"
#include "vmm/stats.h"

#include <pthread.h>
#include <sys/types.h>

#define CHAR_OUT_SIZE     65536      /* bytes that may wait; a power of two */
#define CHAR_OUT_DELAY_NS 1000000    /* gather for this long, then write in one go */
#define CHAR_OUT_STALL_NS 1000000000 /* full for this long: lose bytes, not the guest */

struct char_out {
	/* fixed: */
	const char *name;
	struct loop *loop;
	void (*room)(struct char_out *o);
	int fd;                  /* ours; -1: nowhere */
	bool sock;               /* a socket: non-blocking per call */
	bool patient;            /* never stalled; its user's to set before the first byte */
	bool polls;              /* could not be made non-blocking: ask before each write */
	struct loop_timer flush; /* CHAR_OUT_DELAY_NS after the first byte */
	struct loop_timer stall; /* CHAR_OUT_STALL_NS after the buffer got full */
	pthread_mutex_t lock;
	/* lock: */
	uint8_t buf[CHAR_OUT_SIZE];
	size_t head, len; /* oldest byte, bytes */
	bool armed;       /* flush is set, or `writable` watches */
	bool stalled;     /* nobody reads: drop what does not fit */
	bool dead;        /* nobody will ever read */
	counter_t dropped;
	/* loop thread: */
	struct loop_fd writable; /* watched while fd takes no more */
};

/*
 * Write to (a duplicate of) `fd`; -1 or a closed descriptor: bytes vanish uncounted.
 * room(): called on the loop's thread when char_out_room() has become true again.
 * SIGPIPE must be ignored. 0 or -errno.
 */
int char_out_init(struct char_out *o, struct loop *l, int fd, const char *name,
		  void (*room)(struct char_out *o));

/* Wait at most `ms` in all for what is left to be written, then release. The loop and
 * all that put have stopped. */
void char_out_destroy(struct char_out *o, unsigned ms);

/* Is there room for a byte, or no point in waiting for it? Any thread, as all below. */
bool char_out_room(struct char_out *o);

/* Send one byte. Without room it is dropped and counted. */
void char_out_put(struct char_out *o, uint8_t c);

#endif
