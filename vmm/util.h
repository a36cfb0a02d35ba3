/* SPDX-License-Identifier: MIT */
/*
 * util.h: the few words every file may use. L0: includes libc only.
 *
 * Three vocabularies for three kinds of failure (docs/reading-order.md):
 *   BUG_ON()     our own mistake; never reachable from a guest value
 *   -errno       the host said no; whoever knows the object logs it, once
 *   guest fault  counted, traced, survived (devices/nic.h)
 */
#ifndef DUET_UTIL_H
#define DUET_UTIL_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define BIT(n)        (UINT32_C(1) << (n))
#define BIT64(n)      (UINT64_C(1) << (n))

#define MIN(a, b)                                                                                  \
	({                                                                                         \
		__typeof__(a) min_a = (a);                                                         \
		__typeof__(b) min_b = (b);                                                         \
		min_a < min_b ? min_a : min_b;                                                     \
	})

#define MAX(a, b)                                                                                  \
	({                                                                                         \
		__typeof__(a) max_a = (a);                                                         \
		__typeof__(b) max_b = (b);                                                         \
		max_a > max_b ? max_a : max_b;                                                     \
	})

/* The struct of type `type` whose member `member` is at `ptr`. */
#define container_of(ptr, type, member)                                                            \
	((type *)(void *)((char *)(ptr) - __builtin_offsetof(type, member)))

#define BUG_ON(cond)                                                                               \
	do {                                                                                       \
		if (__builtin_expect(!!(cond), 0)) {                                               \
			fprintf(stderr, "duet: bug: %s at %s:%d\n", #cond, __FILE__, __LINE__);    \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

#endif
