/* SPDX-License-Identifier: MIT */
/*
 * acct.h: where the time goes. A clock that is cheap enough to read around every
 * handler, and the accounts that are kept with it: accesses to a register, waits for
 * a lock. docs/stats.md has the cost.
 *
 * Times are kept in ticks of acct_now() and turned into nanoseconds only when somebody
 * asks; the rate is measured over the whole life of the process.
 */
#ifndef DUET_ACCT_H
#define DUET_ACCT_H

#include "vmm/stats.h"

#include <pthread.h>
#include <stdbool.h>
#include <time.h>
#include <x86intrin.h>

/* Does the processor count at one rate, whatever its clock and sleep states? Fixed
 * before main(). */
extern bool acct_tsc;

/* Is there any accounting? Set before the first thread starts, and never again. Without it every
 * time is 0 and no access is counted; counters count on. */
extern bool acct_on;

/* Ticks since some moment: the time stamp counter, or else CLOCK_MONOTONIC. */
static inline uint64_t acct_now(void)
{
	struct timespec t;

	if (!acct_on)
		return 0;
	if (acct_tsc)
		return __rdtsc();
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* From `since` to `now`; 0 should a migration between processors make that negative. */
static inline uint64_t acct_span(uint64_t since, uint64_t now)
{
	return now > since ? now - since : 0;
}

/* Ticks in nanoseconds. */
uint64_t acct_ns(uint64_t ticks);

/* A moment by both clocks. A report takes one and reckons everything up to it: what is read later
 * than that, because its thread had to wait for a processor, would not add up with the rest. */
struct acct_moment {
	uint64_t ticks; /* acct_now()'s */
	uint64_t ns;    /* loop_now()'s */
};

struct acct_moment acct_moment(void);

/* --- accesses --- */

/* Of one register, queue or region. Several vCPUs may write at once. */
struct access {
	_Atomic uint64_t reads, writes;
	_Atomic uint64_t ticks; /* in the handler, its waits for locks included */
};

static inline void access_count(struct access *a, bool write, uint64_t ticks)
{
	atomic_fetch_add_explicit(write ? &a->writes : &a->reads, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&a->ticks, ticks, memory_order_relaxed);
}

static inline bool access_seen(const struct access *a)
{
	return counter_get(&a->reads) || counter_get(&a->writes);
}

/* For reports: called for each account that a device keeps. */
typedef void access_fn(void *ctx, const char *name, const struct access *a);

/* An access_fn whose `ctx` is a struct json inside an array: one object for each
 * account that was touched. */
void access_json(void *ctx, const char *name, const struct access *a);
/* The same whose `ctx` is a FILE: a line under access_print_head()'s. */
void access_print(void *ctx, const char *name, const struct access *a);
void access_print_head(FILE *f, const char *what);

/* --- locks --- */

/* Ticks this thread has waited in lock_take(). */
extern _Thread_local uint64_t acct_waited;

/* A mutex that knows how much it was in the way. */
struct lock {
	pthread_mutex_t mutex;
	/* its holder: */
	counter_t contended; /* times somebody else had it */
	counter_t ticks;     /* waited for it */
};

void lock_init(struct lock *l);
void lock_destroy(struct lock *l);
/* The clock is read only when somebody else has it. */
void lock_take(struct lock *l);
void lock_drop(struct lock *l);

/* A device's two locks: an object "locks" in an open one; a line of a table. */
void locks_json(const struct lock *work, const struct lock *lock, struct json *j);
void locks_print(const struct lock *work, const struct lock *lock, FILE *f);

#endif
