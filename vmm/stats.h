/* SPDX-License-Identifier: MIT */
/*
 * stats.h: counters that cost next to nothing. A counter has one writer at a
 * time (its owning thread, or whoever holds its owner's lock) and any number of
 * readers, so a plain load and store suffice and no bus lock is paid.
 */
#ifndef DUET_STATS_H
#define DUET_STATS_H

#include "vmm/util.h"

#include <stdatomic.h>
#include <stdbool.h>

typedef _Atomic uint64_t counter_t;

/* Single writer at a time; see above. */
static inline void counter_add(counter_t *c, uint64_t n)
{
	uint64_t v = atomic_load_explicit(c, memory_order_relaxed);

	atomic_store_explicit(c, v + n, memory_order_relaxed);
}

static inline void counter_inc(counter_t *c)
{
	counter_add(c, 1);
}

static inline uint64_t counter_get(const counter_t *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

/* A line of a table, unless it is 0. */
void counter_print(const char *name, const char *what, const counter_t *c, FILE *f);

/*
 * A streaming JSON writer: objects and values in call order, commas and
 * indentation by itself. `key` is NULL inside arrays. Strings are escaped.
 */
struct json {
	FILE *f;
	bool one_line;  /* no line breaks but the one at the end */
	unsigned depth; /* open objects and arrays */
	uint32_t more;  /* bit d: something was written at depth d */
};

void json_open(struct json *j, const char *key, char bracket); /* '{' or '[' */
void json_close(struct json *j, char bracket);                 /* '}' or ']' */
void json_u64(struct json *j, const char *key, uint64_t v);
void json_double(struct json *j, const char *key, double v);
void json_bool(struct json *j, const char *key, int v);
void json_str(struct json *j, const char *key, const char *v);

#endif
