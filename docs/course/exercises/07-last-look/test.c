/* SPDX-License-Identifier: MIT */
/* test.c: guest and worker in every interleaving, with stores as late as x86 lets them be. */
#include "exercise.h"
#include "tests/check_main.h"

#define POSTS 3

enum { GUEST, WORKER };

/* A frame more in the ring; whoever finds the worker asleep wakes it, once. */
#define POST(n) STORE(TAIL, n), SWAP(DONE, AWAKE, 1), IF_IS(n, DONE, 1), SIGNAL(KICK), LABEL(n)

static const struct ex_op guest[] = { POST(1), POST(2), POST(3), END };

static bool behind(const struct ex_state *s)
{
	return s->t[WORKER].reg[DONE] != POSTS;
}

static const struct ex_model model = {
	.name = "last look",
	.op = { guest, worker, NULL },
	.lost = behind,
};

static bool worker_has(enum ex_kind kind)
{
	for (unsigned i = 0; i < EX_OPS && worker[i].kind != EX_END; i++)
		if (worker[i].kind == kind)
			return true;
	return false;
}

START_TEST(no_doorbell_is_lost)
{
	struct ex_result found = explore(&model, NULL);

	ck_assert_msg(!found.lost, "asleep with TAIL %u, done %u", found.why.var[TAIL],
		      found.why.t[WORKER].reg[DONE]);
	ck_assert_uint_gt(found.rests, 0); /* it does sleep in the end */
}
END_TEST

START_TEST(worker_says_when_it_sleeps)
{
	ck_assert(worker_has(EX_SLEEP));
	ck_assert(worker_has(EX_STORE) || worker_has(EX_SWAP));
}
END_TEST

static const struct test_entry tests[] = { T(no_doorbell_is_lost), T(worker_says_when_it_sleeps) };

CHECK_MAIN("last-look", tests)
