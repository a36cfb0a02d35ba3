/* SPDX-License-Identifier: MIT */
/*
 * test_wakeup.c: can a doorbell be lost? For each way in which a driver says that there is
 * work, the steps of both sides, under the names of the functions they are from, in every
 * interleaving and with stores as late as x86 lets them be. Each step that the source calls
 * half of a pair is then broken in turn, and the loss must be found: so the models do not
 * pass for want of an eye, and say which lines the guarantee hangs on.
 *
 * A guest posts three times, thread 0. The worker is thread 1, the watcher thread 2.
 */
#include "tests/check_main.h"
#include "tests/rig/explore.h"

#include "vmm/util.h"

#include <stdio.h>
#include <string.h>

#define POSTS 3

enum { GUEST, WORKER, WATCHER };
enum { TAIL, AWAKE, KICK, SEEN, FLAGS, ON, MEM_TAIL, MEM, LOCK, QUEUED, STARVED, RX_ON };
enum { R0, R1, R2, R3 };
enum { L0, L1, L2, L3, L4, L5, L6, L7, NOBODY = 99 };

/* clang-format off: a step a line, or a few that belong together */
#define STORE(v, x)                                                                                \
	{                                                                                          \
		.kind = EX_STORE, .a = v, .b = x                                                   \
	}
#define STORER(v, r)                                                                               \
	{                                                                                          \
		.kind = EX_STORER, .a = v, .b = r                                                  \
	}
#define LOAD(r, v)                                                                                 \
	{                                                                                          \
		.kind = EX_LOAD, .a = r, .b = v                                                    \
	}
#define SET(r, x)                                                                                  \
	{                                                                                          \
		.kind = EX_SET, .a = r, .b = x                                                     \
	}
#define FENCE                                                                                      \
	{                                                                                          \
		.kind = EX_FENCE                                                                   \
	}
#define SWAP(r, v, x)                                                                              \
	{                                                                                          \
		.kind = EX_SWAP, .a = r, .b = v, .c = x                                            \
	}
#define LABEL(l)                                                                                   \
	{                                                                                          \
		.kind = EX_LABEL, .a = l                                                           \
	}
#define JMP(l)                                                                                     \
	{                                                                                          \
		.kind = EX_JMP, .a = l                                                             \
	}
#define JEQ(l, r, s)                                                                               \
	{                                                                                          \
		.kind = EX_JEQ, .a = l, .b = r, .c = s                                             \
	}
#define JEQI(l, r, x)                                                                              \
	{                                                                                          \
		.kind = EX_JEQI, .a = l, .b = r, .c = x                                            \
	}
#define SIGNAL(v)                                                                                  \
	{                                                                                          \
		.kind = EX_SIGNAL, .a = v                                                          \
	}
#define SLEEP(v)                                                                                   \
	{                                                                                          \
		.kind = EX_SLEEP, .a = v                                                           \
	}
#define TAKE(v)                                                                                    \
	{                                                                                          \
		.kind = EX_LOCK, .a = v                                                            \
	}
#define DROP(v)                                                                                    \
	{                                                                                          \
		.kind = EX_UNLOCK, .a = v                                                          \
	}
#define REST                                                                                       \
	{                                                                                          \
		.kind = EX_REST                                                                    \
	}
#define END                                                                                        \
	{                                                                                          \
		.kind = EX_END                                                                     \
	}
/* The same, and what happens without it. */
#define VITAL(k, h, what, ...)                                                                     \
	{                                                                                          \
		.kind = k, .harm = h, .name = what, __VA_ARGS__                                    \
	}

/* The worker's R0 is how far it has come. */
static bool behind(const struct ex_state *s)
{
	return s->t[WORKER].reg[R0] != POSTS;
}

/* --- e1000: TDT by an exit (kick) --- */

#define TDT_EXIT(n)                                                                                \
	STORE(TAIL, n), /* e1000_reg_store() */                                                    \
		VITAL(EX_SWAP, EX_PLAIN, "e1000_tdt_rang(): exchange", .a = R0, .b = AWAKE,        \
		      .c = 1),                                                                     \
		JEQI(n, R0, 1), SIGNAL(KICK), LABEL(n)

static const struct ex_op tdt_guest[] = { TDT_EXIT(1), TDT_EXIT(2), TDT_EXIT(3), END };

static const struct ex_op tdt_worker[] = {
	LABEL(L0),
	SLEEP(KICK),
	STORE(AWAKE, 1),
	FENCE,
	LOAD(R0, TAIL), /* e1000_tx_run(), e1000_ring_load() */
	STORE(AWAKE, 0),
	VITAL(EX_FENCE, EX_GONE, "e1000_tx_idle(): seq_cst store", .a = 0),
	LOAD(R1, TAIL),
	VITAL(EX_JEQ, EX_ALWAYS, "e1000_tx_idle(): second look", .a = L0, .b = R0, .c = R1),
	STORE(AWAKE, 1),
	FENCE,
	SIGNAL(KICK),
	JMP(L0),
	END
};

/* --- e1000: RDT by an exit, while frames wait in the backend --- */

#define RDT_EXIT(n)                                                                                \
	STORE(TAIL, n),                                                                            \
		VITAL(EX_SWAP, EX_PLAIN, "e1000_rdt_rang(): exchange", .a = R0, .b = STARVED,      \
		      .c = 0),                                                                     \
		JEQI(n, R0, 0), SIGNAL(KICK), LABEL(n)

static const struct ex_op rdt_guest[] = { RDT_EXIT(1), RDT_EXIT(2), RDT_EXIT(3), END };

/* The backend has frames for ever: level-triggered, it calls as long as RX_ON. */
static const struct ex_op rdt_worker[] = {
	LABEL(L0),
	LOAD(R0, TAIL), /* e1000_rx_run(): all buffers are used up */
	STORE(STARVED, 1),
	VITAL(EX_FENCE, EX_GONE, "e1000_rx_starve(): seq_cst store", .a = 0),
	LOAD(R1, TAIL),
	VITAL(EX_JEQ, EX_ALWAYS, "e1000_rx_starve(): second look", .a = L1, .b = R0, .c = R1),
	SWAP(R2, STARVED, 0),
	JEQI(L1, R2, 0),
	SIGNAL(KICK),
	LABEL(L1), /* net_rx_enable(false): only a kick helps now */
	SLEEP(KICK),
	JMP(L0),
	END
};

/* --- e1000: TDT in memory (ram), found by the watcher --- */

#define TDT_MEM(n) STORE(TAIL, n)
static const struct ex_op ram_guest[] = { TDT_MEM(1), TDT_MEM(2), TDT_MEM(3), END };

static const struct ex_op ram_worker[] = {
	LABEL(L0),
	SLEEP(KICK),
	STORE(AWAKE, 1),
	FENCE,
	LOAD(R0, TAIL),
	STORER(SEEN, R0),
	VITAL(EX_STORE, EX_GONE, "e1000_tx_idle(): flag", .a = AWAKE, .b = 0),
	FENCE,
	LOAD(R1, TAIL),
	JEQ(L0, R0, R1), /* a third chance: the watcher looks again anyway */
	STORE(AWAKE, 1),
	FENCE,
	SIGNAL(KICK),
	JMP(L0),
	END
};

static const struct ex_op
	ram_watcher[] = { /* e1000_look() */
			  LABEL(L0),
			  REST,
			  LOAD(R0, AWAKE),
			  JEQI(L0, R0, 1),
			  LOAD(R1, TAIL),
			  LOAD(R2, SEEN),
			  JEQ(L0, R1, R2),
			  SWAP(R0, AWAKE, 1),
			  JEQI(L0, R0, 1),
			  VITAL(EX_SIGNAL, EX_GONE, "e1000_look(): signal", .a = KICK),
			  JMP(L0),
			  END
	};

/* --- e1000: the page ceases to be memory while the guest writes (poll_end, hysteresis) --- */

/* A store goes to memory while MEM, which is what KVM's slot does; after that it exits, and
 * its handler waits for nic.lock. */
#define TDT_EITHER(n)                                                                              \
	TAKE(QUEUED), LOAD(R1, MEM), JEQI((n) + 3, R1, 0), STORE(MEM_TAIL, n), DROP(QUEUED),       \
		JMP(n), LABEL((n) + 3), DROP(QUEUED), TAKE(LOCK), STORE(TAIL, n), DROP(LOCK),      \
		SWAP(R0, AWAKE, 1), JEQI(n, R0, 1), SIGNAL(KICK), LABEL(n)

static const struct ex_op turn_guest[] = { TDT_EITHER(1), TDT_EITHER(2), END };

/* QUEUED stands for the moment in which KVM takes the slot from a vCPU that is storing. */
static const struct ex_op turn_worker[] = {
	TAKE(LOCK), TAKE(QUEUED), STORE(MEM, 0), DROP(QUEUED), /* bus_page_set(PAGE_TRAP) */
	LOAD(R1, MEM_TAIL),
	VITAL(EX_STORER, EX_GONE, "e1000_ram_take_back(): tail", .a = TAIL, .b = R1), DROP(LOCK),
	/* e1000_poll_end(): e1000_catch_up() */
	VITAL(EX_JMP, EX_GONE, "e1000_poll_end(): catch up", .a = L1), LABEL(L0), SLEEP(KICK),
	LABEL(L1), STORE(AWAKE, 1), FENCE, LOAD(R0, TAIL), STORE(AWAKE, 0), FENCE, LOAD(R1, TAIL),
	JEQ(L0, R0, R1), STORE(AWAKE, 1), FENCE, SIGNAL(KICK), JMP(L0), END
};

static bool behind_by_two(const struct ex_state *s)
{
	return s->t[WORKER].reg[R0] != 2;
}

/* --- e1000: TDT queued by KVM (coalesced), which only the watcher and the worker look at --- */

/* QUEUED counts entries that KVM has put in, DRAINED those that are out; entry n says n. */
#define DRAINED FLAGS
static const struct ex_op queue_guest[] = { STORE(QUEUED, 1), STORE(QUEUED, 2), STORE(QUEUED, 3),
					    END };

/* bus_drain(): e1000_tdt_rang() for what is queued, which leaves the queue after that. */
#define DRAIN(l)                                                                                   \
	LOAD(R1, QUEUED), LOAD(R2, DRAINED), JEQ(l, R1, R2), STORER(TAIL, R1), SWAP(R3, AWAKE, 1), \
		JEQI((l) + 1, R3, 1), SIGNAL(KICK), LABEL((l) + 1), STORER(DRAINED, R1), LABEL(l)

static const struct ex_op queue_worker[] = { LABEL(L0),
					     SLEEP(KICK),
					     DRAIN(L2),
					     STORE(AWAKE, 1),
					     FENCE,
					     LOAD(R0, TAIL),
					     STORER(SEEN, R0),
					     VITAL(EX_STORE, EX_GONE, "e1000_tx_idle(): flag",
						   .a = AWAKE, .b = 0),
					     FENCE,
					     LOAD(R1, QUEUED),
					     LOAD(R2, DRAINED),
					     JEQ(L0, R1, R2),
					     STORE(AWAKE, 1),
					     FENCE,
					     SIGNAL(KICK),
					     JMP(L0),
					     END };

static const struct ex_op queue_watcher[] = { /* e1000_look() */
					      LABEL(L0),
					      REST,
					      LOAD(R0, AWAKE),
					      JEQI(L0, R0, 1),
					      LOAD(R1, QUEUED),
					      LOAD(R2, DRAINED),
					      VITAL(EX_JEQ, EX_ALWAYS,
						    "e1000_look(): e1000_queued()", .a = L1,
						    .b = R1, .c = R2),
					      JMP(L2),
					      LABEL(L1),
					      LOAD(R1, TAIL),
					      LOAD(R2, SEEN),
					      JEQ(L0, R1, R2),
					      LABEL(L2),
					      SWAP(R0, AWAKE, 1),
					      JEQI(L0, R0, 1),
					      SIGNAL(KICK),
					      JMP(L0),
					      END
};

/* --- virtio: doorbell by ioeventfd, suppressed by a flag --- */

#define FLAG_POST(n)                                                                               \
	STORE(TAIL, n),                                                                            \
		VITAL(EX_FENCE, EX_GONE, "driver's barrier before it looks at flags", .a = 0),     \
		LOAD(R0, FLAGS), JEQI(n, R0, 1), SIGNAL(KICK), LABEL(n)

static const struct ex_op flag_guest[] = { FLAG_POST(1), FLAG_POST(2), FLAG_POST(3), END };

static const struct ex_op flag_worker[] = {
	LABEL(L0),
	SLEEP(KICK), /* the eventfd is emptied first, so a ring in between counts */
	LABEL(L1),
	STORE(FLAGS, 1), /* virtq_kick_disable() */
	LOAD(R0, TAIL),  /* virtq_pop(), until it is empty */
	STORE(FLAGS, 0), /* virtq_kick_enable() */
	VITAL(EX_FENCE, EX_GONE, "virtq_kick_enable(): fence", .a = 0),
	LOAD(R1, TAIL),
	VITAL(EX_JEQ, EX_ALWAYS, "virtq_kick_enable(): second look", .a = L0, .b = R0, .c = R1),
	JMP(L1),
	END
};

/* The eventfd emptied last: the one thing an ioeventfd's reader must not do. */
static const struct ex_op flag_worker_late[] = {
	LABEL(L0),       LOAD(R2, KICK),  JEQI(L0, R2, 0), LABEL(L1),
	STORE(FLAGS, 1), LOAD(R0, TAIL),  STORE(FLAGS, 0), FENCE,
	LOAD(R1, TAIL),  JEQ(L2, R0, R1), JMP(L1),         LABEL(L2),
	SLEEP(KICK),     SLEEP(KICK),     JMP(L1),         END
};

/* --- virtio: by event index --- */

/* The guest's R1 is the index at which it rings: vring_need_event(event, new, old). */
#define EVENT_POST(n)                                                                              \
	STORE(TAIL, n),                                                                            \
		VITAL(EX_FENCE, EX_GONE, "driver's barrier before it looks at avail_event",        \
		      .a = 0),                                                                     \
		LOAD(R0, FLAGS), SET(R1, (n)-1), JEQ((n) + 3, R0, R1), JMP(n), LABEL((n) + 3),     \
		SIGNAL(KICK), LABEL(n)

static const struct ex_op event_guest[] = { EVENT_POST(1), EVENT_POST(2), EVENT_POST(3), END };

static const struct ex_op event_worker[] = {
	LABEL(L0),
	SLEEP(KICK),
	LABEL(L1),
	LOAD(R0, TAIL),
	VITAL(EX_STORER, EX_GONE, "virtq_kick_enable(): avail_event", .a = FLAGS, .b = R0),
	VITAL(EX_FENCE, EX_GONE, "virtq_kick_enable(): fence", .a = 0),
	LOAD(R1, TAIL),
	VITAL(EX_JEQ, EX_ALWAYS, "virtq_kick_enable(): second look", .a = L0, .b = R0, .c = R1),
	JMP(L1),
	END
};

/* --- virtio: nobody rings, the watcher looks (poll), until it does not any more --- */

static const struct ex_op watched_worker[] = { /* vnet_tx_run(), vnet_tx_idle() */
					       LABEL(L0),
					       SLEEP(KICK),
					       STORE(AWAKE, 1),
					       FENCE,
					       LABEL(L1),
					       LOAD(R0, TAIL),
					       STORER(SEEN, R0),
					       VITAL(EX_STORE, EX_GONE, "vnet_tx_idle(): flag",
						     .a = AWAKE, .b = 0),
					       FENCE,
					       LOAD(R1, TAIL),
					       JEQ(L0, R0, R1),
					       JMP(L1),
					       END
};

/* Polling ends: the worker asks for kicks again, and looks once more. */
static const struct ex_op unwatched_worker[] = {
	LABEL(L1),
	LOAD(R0, TAIL), /* vnet_catch_up(): vnet_tx_run() */
	STORE(FLAGS, 0),
	VITAL(EX_FENCE, EX_GONE, "virtq_kick_enable() as polling ends: fence", .a = 0),
	LOAD(R1, TAIL),
	VITAL(EX_JEQ, EX_ALWAYS, "virtq_kick_enable() as polling ends: second look", .a = L0,
	      .b = R0, .c = R1),
	JMP(L1),
	LABEL(L0),
	SLEEP(KICK),
	JMP(L1),
	END
};

static const struct ex_model models[] = {
	{ "e1000: TDT by exit", { tdt_guest, tdt_worker }, { 0 }, behind },
	{ "e1000: RDT by exit, frames waiting", { rdt_guest, rdt_worker }, { 0 }, behind },
	{ "e1000: TDT in memory, watched", { ram_guest, ram_worker, ram_watcher }, { 0 }, behind },
	{ "e1000: TDT's page turns back",
	  { turn_guest, turn_worker },
	  { [MEM] = 1 },
	  behind_by_two },
	{ "e1000: TDT queued by KVM, watched",
	  { queue_guest, queue_worker, queue_watcher },
	  { 0 },
	  behind },
	{ "virtio: ioeventfd, flag", { flag_guest, flag_worker }, { 0 }, behind },
	{ "virtio: ioeventfd, event index", { event_guest, event_worker }, { 0 }, behind },
	{ "virtio: watched", { ram_guest, watched_worker, ram_watcher }, { 0 }, behind },
	{ "virtio: not watched any more",
	  { flag_guest, unwatched_worker },
	  { [FLAGS] = 1 },
	  behind },
};

/* clang-format on */

START_TEST(no_doorbell_is_lost)
{
	const struct ex_model *m = &models[_i];
	struct ex_result r = explore(m, NULL);

	printf("%-38s %6u states, %u at rest\n", m->name, r.states, r.rests);
	ck_assert_msg(!r.lost, "%s: lost", m->name);
	ck_assert_uint_gt(r.rests, 0);
	ck_assert_uint_gt(r.states, 100);
}
END_TEST

/* Has this name been met before? */
static bool vital_again(const struct ex_op *op, int i)
{
	for (int k = 0; k < i; k++)
		if (op[k].name && !strcmp(op[k].name, op[i].name))
			return true;
	return false;
}

static unsigned vital_steps(const struct ex_model *m, const struct ex_op *op)
{
	unsigned vital = 0;

	for (int i = 0; op && op[i].kind != EX_END; i++) {
		if (!op[i].name || vital_again(op, i))
			continue;
		vital++;
		ck_assert_msg(explore(m, op[i].name).lost, "%s: goes well without %s", m->name,
			      op[i].name);
	}
	return vital;
}

START_TEST(each_vital_step_is_vital)
{
	unsigned vital = 0;

	for (unsigned n = 0; n < EX_THREADS; n++)
		vital += vital_steps(&models[_i], models[_i].op[n]);
	ck_assert_uint_gt(vital, 0);
}
END_TEST

START_TEST(eventfd_emptied_after_the_work_loses)
{
	static const struct ex_model late = {
		"emptied late", { flag_guest, flag_worker_late }, { 0 }, behind
	};

	ck_assert(explore(&late, NULL).lost);
}
END_TEST

static const struct test_entry tests[] = {
	TLOOP(no_doorbell_is_lost, 0, (int)ARRAY_SIZE(models)),
	TLOOP(each_vital_step_is_vital, 0, (int)ARRAY_SIZE(models)),
	T(eventfd_emptied_after_the_work_loses),
};

CHECK_MAIN("wakeup", tests)
