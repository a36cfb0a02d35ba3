/* SPDX-License-Identifier: MIT */
/* explore.c: depth first, with a table of what was seen. */
#include "tests/rig/explore.h"

#include "vmm/util.h"

#include <stdlib.h>
#include <string.h>

#define SEEN_SIZE (1u << 20) /* a power of two, well above what any model has */

struct explorer {
	const struct ex_model *m;
	struct ex_op op[EX_THREADS][EX_OPS]; /* one of them broken, perhaps */
	struct ex_state *seen;               /* a hash table; `used` says which */
	bool *used;
	struct ex_state *stack;
	unsigned depth;
	struct ex_result r;
};

static unsigned state_hash(const struct ex_state *s)
{
	const uint8_t *p = (const uint8_t *)s;
	uint64_t h = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < sizeof(*s); i++)
		h = (h ^ p[i]) * UINT64_C(1099511628211);
	return (unsigned)(h >> 32) & (SEEN_SIZE - 1);
}

/* Come back to it later, unless it is known. */
static void explore_push(struct explorer *x, const struct ex_state *s)
{
	unsigned i = state_hash(s);

	while (x->used[i] && memcmp(&x->seen[i], s, sizeof(*s)) != 0)
		i = (i + 1) & (SEEN_SIZE - 1);
	if (x->used[i])
		return;
	BUG_ON(x->r.states >= SEEN_SIZE / 2);
	x->used[i] = true;
	x->seen[i] = *s;
	x->stack[x->depth++] = *s;
	x->r.states++;
}

static uint8_t thread_load(const struct ex_state *s, const struct ex_thread *t, unsigned var)
{
	for (unsigned i = t->queued; i > 0; i--)
		if (t->queue[i - 1].var == var)
			return t->queue[i - 1].val;
	return s->var[var];
}

/* The oldest store of thread `n` arrives. */
static void explore_arrive(struct explorer *x, const struct ex_state *s, unsigned n)
{
	struct ex_state next = *s;
	struct ex_thread *t = &next.t[n];

	next.var[t->queue[0].var] = t->queue[0].val;
	t->queued--;
	memmove(t->queue, t->queue + 1, t->queued * sizeof(t->queue[0]));
	t->queue[t->queued] = (struct ex_store){ 0, 0 }; /* equal states look equal */
	explore_push(x, &next);
}

static uint8_t op_label(const struct ex_op *op, unsigned label)
{
	for (unsigned i = 0; i < EX_OPS; i++)
		if (op[i].kind == EX_LABEL && op[i].a == label)
			return (uint8_t)i;
	BUG_ON(true);
}

/* Can this step not be taken now? */
static bool op_waits(const struct ex_op *op, const struct ex_state *s, const struct ex_thread *t)
{
	switch (op->kind) {
	case EX_END:
		return true;
	case EX_STORE:
	case EX_STORER:
	case EX_UNLOCK:
		return t->queued == EX_QUEUE;
	case EX_FENCE:
	case EX_SIGNAL:
		return t->queued;
	case EX_SWAP:
		return op->harm == EX_PLAIN ? t->queued == EX_QUEUE : t->queued;
	case EX_SLEEP:
		return !s->var[op->a];
	case EX_LOCK:
		return t->queued || s->var[op->a];
	default:
		return false;
	}
}

static void thread_store(struct ex_thread *t, uint8_t var, uint8_t val)
{
	t->queue[t->queued++] = (struct ex_store){ var, val };
}

static void thread_swap(struct ex_state *s, struct ex_thread *t, const struct ex_op *op)
{
	t->reg[op->a] = thread_load(s, t, op->b);
	if (op->harm == EX_PLAIN)
		thread_store(t, op->b, op->c);
	else
		s->var[op->b] = op->c;
}

static bool op_jumps(const struct ex_op *op, const struct ex_thread *t)
{
	return op->kind == EX_JMP || op->harm == EX_ALWAYS ||
	       (op->kind == EX_JEQ && t->reg[op->b] == t->reg[op->c]) ||
	       (op->kind == EX_JEQI && t->reg[op->b] == op->c);
}

/* Thread `n` takes its next step, which does not wait. */
static void thread_step(const struct explorer *x, struct ex_state *s, unsigned n)
{
	struct ex_thread *t = &s->t[n];
	const struct ex_op *op = &x->op[n][t->pc++];

	switch (op->kind) {
	case EX_STORE:
		thread_store(t, op->a, op->b);
		break;
	case EX_STORER:
		thread_store(t, op->a, t->reg[op->b]);
		break;
	case EX_LOAD:
		t->reg[op->a] = thread_load(s, t, op->b);
		break;
	case EX_SET:
		t->reg[op->a] = op->b;
		break;
	case EX_SWAP:
		thread_swap(s, t, op);
		break;
	case EX_JMP:
	case EX_JEQ:
	case EX_JEQI:
		if (op_jumps(op, t))
			t->pc = op_label(x->op[n], op->a);
		break;
	case EX_SIGNAL:
	case EX_LOCK:
		s->var[op->a] = 1;
		break;
	case EX_SLEEP:
		s->var[op->a] = 0;
		break;
	case EX_UNLOCK:
		thread_store(t, op->a, 0);
		break;
	default:
		break;
	}
}

/* Would another look of watcher `n` find something to do? */
static bool watcher_idle(const struct explorer *x, const struct ex_state *s, unsigned n)
{
	struct ex_state look = *s;

	do {
		if (op_waits(&x->op[n][look.t[n].pc], &look, &look.t[n]))
			return false;
		thread_step(x, &look, n);
	} while (x->op[n][look.t[n].pc].kind != EX_REST);
	return !look.t[n].queued && !memcmp(look.var, s->var, sizeof(s->var));
}

static bool thread_resting(const struct explorer *x, const struct ex_state *s, unsigned n)
{
	const struct ex_op *op = &x->op[n][s->t[n].pc];

	if (s->t[n].queued)
		return false;
	return op->kind == EX_END || (op->kind == EX_SLEEP && !s->var[op->a]) ||
	       (op->kind == EX_REST && watcher_idle(x, s, n));
}

static bool explore_resting(const struct explorer *x, const struct ex_state *s)
{
	for (unsigned n = 0; n < EX_THREADS; n++)
		if (!thread_resting(x, s, n))
			return false;
	return true;
}

static void explore_step(struct explorer *x, const struct ex_state *s, unsigned n)
{
	struct ex_state next = *s;

	thread_step(x, &next, n);
	explore_push(x, &next);
}

static void explore_state(struct explorer *x, const struct ex_state *s)
{
	if (explore_resting(x, s)) {
		x->r.rests++;
		if (x->m->lost(s)) {
			x->r.lost = true;
			x->r.why = *s;
		}
	}
	for (unsigned n = 0; n < EX_THREADS; n++) {
		if (s->t[n].queued)
			explore_arrive(x, s, n);
		if (!op_waits(&x->op[n][s->t[n].pc], s, &s->t[n]))
			explore_step(x, s, n);
	}
}

static void op_break(struct ex_op *op)
{
	if (op->harm == EX_GONE)
		*op = (struct ex_op){ .kind = EX_LABEL, .a = UINT8_MAX };
}

static void explorer_init(struct explorer *x, const struct ex_model *m, const char *broken)
{
	*x = (struct explorer){ .m = m };
	x->seen = calloc(SEEN_SIZE, sizeof(*x->seen));
	x->used = calloc(SEEN_SIZE, sizeof(*x->used));
	x->stack = calloc(SEEN_SIZE, sizeof(*x->stack));
	BUG_ON(!x->seen || !x->used || !x->stack);
	for (unsigned n = 0; n < EX_THREADS; n++)
		for (unsigned i = 0; m->op[n] && m->op[n][i].kind != EX_END; i++) {
			struct ex_op *op = &x->op[n][i];

			BUG_ON(i == EX_OPS - 1);
			*op = m->op[n][i];
			if (broken && op->name && !strcmp(op->name, broken))
				op_break(op);
			else
				op->harm = EX_SOUND;
		}
}

struct ex_result explore(const struct ex_model *m, const char *broken)
{
	struct explorer x;
	struct ex_state first;

	explorer_init(&x, m, broken);
	memset(&first, 0, sizeof(first));
	memcpy(first.var, m->var, sizeof(first.var));
	explore_push(&x, &first);
	while (x.depth && !x.r.lost) {
		struct ex_state s = x.stack[--x.depth];

		explore_state(&x, &s);
	}
	free(x.seen);
	free(x.used);
	free(x.stack);
	return x.r;
}
