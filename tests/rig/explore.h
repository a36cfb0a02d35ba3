/* SPDX-License-Identifier: MIT */
/*
 * explore.h: every interleaving of a few short threads, on a machine that delays stores as
 * x86 does (TSO): each thread's stores go through a queue of its own, its loads overtake
 * them. A thread is a list of steps; what the steps stand for is the test's business.
 *
 * Such a machine is at rest when each thread has ended, sleeps, or is a watcher about to
 * look again. In whatever way it came there: has something been forgotten?
 */
#ifndef DUET_EXPLORE_H
#define DUET_EXPLORE_H

#include <stdbool.h>
#include <stdint.h>

#define EX_VARS    12
#define EX_REGS    4
#define EX_THREADS 3
#define EX_QUEUE   4 /* stores under way; a thread with that many waits */
#define EX_OPS     40

enum ex_kind {
	EX_END,    /* also what lies behind the last step */
	EX_LABEL,  /* a: its number */
	EX_STORE,  /* var a = b */
	EX_STORER, /* var a = reg b */
	EX_LOAD,   /* reg a = var b */
	EX_SET,    /* reg a = b */
	EX_FENCE,  /* goes on once its own stores are done */
	EX_SWAP,   /* reg a = var b, var b = c, in one, with a fence */
	EX_JMP,    /* to label a */
	EX_JEQ,    /* to label a when reg b == reg c */
	EX_JEQI,   /* to label a when reg b == c */
	EX_SIGNAL, /* an eventfd, var a: a system call, or KVM, which both fence */
	EX_SLEEP,  /* until var a is not 0, and make it 0 */
	EX_LOCK,   /* var a */
	EX_UNLOCK, /* var a */
	EX_REST,   /* a watcher's: at rest here, unless its next look changes something */
};

/* How a step can be broken. */
enum ex_harm {
	EX_SOUND,
	EX_GONE,   /* it is not there */
	EX_ALWAYS, /* a jump: taken whatever the registers hold */
	EX_PLAIN,  /* a swap: a load and a store */
};

struct ex_op {
	enum ex_kind kind;
	uint8_t a, b, c;
	enum ex_harm harm; /* that would lose something: the test breaks it to see that */
	const char *name;  /* of the step in the source, if it has harm */
};

struct ex_state {
	uint8_t var[EX_VARS];
	struct ex_thread {
		uint8_t pc, reg[EX_REGS], queued;
		struct ex_store {
			uint8_t var, val;
		} queue[EX_QUEUE];
	} t[EX_THREADS];
};

struct ex_model {
	const char *name;
	const struct ex_op *op[EX_THREADS]; /* NULL: no such thread; ends with EX_END */
	uint8_t var[EX_VARS];               /* at first */
	/* At rest: is there work that nobody is going to do? */
	bool (*lost)(const struct ex_state *s);
};

struct ex_result {
	bool lost;
	unsigned states;     /* that were looked at */
	unsigned rests;      /* of them, at rest */
	struct ex_state why; /* one that has lost something */
};

/* All of it; with the steps of the name `broken` (NULL: none) broken as they say. */
struct ex_result explore(const struct ex_model *m, const char *broken);

#endif
