/* SPDX-License-Identifier: MIT */
/* solution.c: "I sleep" is seen by all (the fence) before the ring is looked at a last time. */
#include "exercise.h"

const struct ex_op worker[] = {
	LABEL(0),
	SLEEP(KICK),
	LABEL(1),
	STORE(AWAKE, 1),
	FENCE,
	LOAD(DONE, TAIL),
	STORE(AWAKE, 0),
	FENCE,
	LOAD(SEEN, TAIL),
	IF_SAME(0, DONE, SEEN),
	JUMP(1),
	END,
};
