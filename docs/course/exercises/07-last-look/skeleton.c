/* SPDX-License-Identifier: MIT */
/* skeleton.c: works, then says that it sleeps, then sleeps. When can that go wrong? */
#include "exercise.h"

const struct ex_op worker[] = {
	LABEL(0),         SLEEP(KICK),     STORE(AWAKE, 1), FENCE,
	LOAD(DONE, TAIL), STORE(AWAKE, 0), JUMP(0),         END,
};
