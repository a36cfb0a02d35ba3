/* SPDX-License-Identifier: MIT */
/*
 * Marks: a write to the VMM's mark port (duet run --marks) has it take all its counters. Two of
 * them are a window. A mark costs an exit and some 100 microseconds in the VMM, so they stand
 * around a job, outside of what the agent itself measures.
 */
#include "guest/agent.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/io.h>

#define MARK_PORT  0xf8
#define MARK_BYTES 4

static unsigned mark_last;
static bool mark_ready;

int mark_open(void)
{
	if (ioperm(MARK_PORT, MARK_BYTES, 1)) {
		fprintf(stderr, "agent: port 0x%x: %s\n", MARK_PORT, strerror(errno));
		return -1;
	}
	mark_ready = inl(MARK_PORT) != UINT32_MAX; /* else nobody is home */
	if (mark_ready)
		return 0;
	fprintf(stderr, "agent: no marks at port 0x%x: duet run --marks FILE makes one\n",
		MARK_PORT);
	return -1;
}

unsigned mark_now(void)
{
	if (!mark_ready)
		return 0;
	outl(++mark_last, MARK_PORT);
	return mark_last;
}
