/* SPDX-License-Identifier: MIT */
/* exercise.h: a worker that sleeps, and a doorbell that must not be lost. */
#ifndef DUET_COURSE_LAST_LOOK_H
#define DUET_COURSE_LAST_LOOK_H

#include "tests/rig/explore.h"

/* What guest and worker share, and the worker's registers. */
enum { TAIL, AWAKE, KICK };
enum { DONE, SEEN };

/* The words for steps; tests/rig/explore.h says what each does. */
#define LABEL(l)                                                                                   \
	{                                                                                          \
		.kind = EX_LABEL, .a = (l)                                                         \
	}
#define STORE(var, val)                                                                            \
	{                                                                                          \
		.kind = EX_STORE, .a = (var), .b = (val)                                           \
	}
#define LOAD(reg, var)                                                                             \
	{                                                                                          \
		.kind = EX_LOAD, .a = (reg), .b = (var)                                            \
	}
#define FENCE                                                                                      \
	{                                                                                          \
		.kind = EX_FENCE                                                                   \
	}
#define SWAP(reg, var, val)                                                                        \
	{                                                                                          \
		.kind = EX_SWAP, .a = (reg), .b = (var), .c = (val)                                \
	}
#define JUMP(l)                                                                                    \
	{                                                                                          \
		.kind = EX_JMP, .a = (l)                                                           \
	}
#define IF_SAME(l, r, s)                                                                           \
	{                                                                                          \
		.kind = EX_JEQ, .a = (l), .b = (r), .c = (s)                                       \
	}
#define IF_IS(l, reg, val)                                                                         \
	{                                                                                          \
		.kind = EX_JEQI, .a = (l), .b = (reg), .c = (val)                                  \
	}
#define SIGNAL(var)                                                                                \
	{                                                                                          \
		.kind = EX_SIGNAL, .a = (var)                                                      \
	}
#define SLEEP(var)                                                                                 \
	{                                                                                          \
		.kind = EX_SLEEP, .a = (var)                                                       \
	}
#define END                                                                                        \
	{                                                                                          \
		.kind = EX_END                                                                     \
	}

/*
 * The worker. It sleeps on KICK, which the guest signals only when it finds AWAKE 0. It has
 * worked when register DONE holds TAIL. The guest's steps are in test.c, and they are right.
 */
extern const struct ex_op worker[];

#endif
