/* SPDX-License-Identifier: MIT */
/* ladder.c: the rungs by name. */
#include "devices/ladder.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name, *help;
	bool virtio;
} ladder_rungs[RUNG_NR] = {
#define X(sym, word, also, what) { .name = word, .help = what, .virtio = also },
	LADDER_RUNGS(X)
#undef X
};

const char *ladder_name(enum ladder_rung r)
{
	return ladder_rungs[r].name;
}

const char *ladder_help(enum ladder_rung r)
{
	return ladder_rungs[r].help;
}

bool ladder_on_virtio(enum ladder_rung r)
{
	return ladder_rungs[r].virtio;
}

enum ladder_rung ladder_find(const char *name)
{
	unsigned r = 0;

	while (r < RUNG_NR && strcmp(name, ladder_rungs[r].name) != 0)
		r++;
	return (enum ladder_rung)r;
}

bool ladder_preset(const char *word, unsigned *rungs)
{
	enum ladder_rung r = ladder_find(word);

	if (!strcmp(word, "qemu"))
		*rungs = LADDER_QEMU;
	else if (!strcmp(word, "best"))
		*rungs = LADDER_BEST;
	else if (r < RUNG_NR)
		*rungs = BIT(r + 1) - 1;
	else
		return false;
	return true;
}

const char *ladder_conflict(unsigned rungs)
{
	static const unsigned polled = BIT(RUNG_COALESCED) | BIT(RUNG_RAM);

	if ((rungs & BIT(RUNG_POLL)) && !(rungs & BIT(RUNG_WORKER)))
		return "poll=on needs a worker to do it: add worker=on, or poll=off";
	if ((rungs & polled) && !(rungs & BIT(RUNG_POLL)))
		return "coalesced=on and ram=on need a worker that polls: add poll=on, or turn "
		       "them off";
	return NULL;
}

const char *ladder_string(unsigned rungs, char *buf, size_t size)
{
	size_t used = 0;

	snprintf(buf, size, "%s", rungs ? "" : "qemu");
	if (rungs == LADDER_BEST)
		snprintf(buf, size, "best");
	else
		for (unsigned r = 0; r < RUNG_NR; r++)
			if ((rungs & BIT(r)) && used < size)
				used += (size_t)snprintf(buf + used, size - used, "%s%s",
							 used ? "+" : "", ladder_rungs[r].name);
	return buf;
}
