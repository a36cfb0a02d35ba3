/* SPDX-License-Identifier: MIT */
/*
 * Marks: a write to the VMM's mark port (duet run --marks) has it take all its counters. Two of
 * them are a window. A mark costs an exit and some 100 microseconds in the VMM, so they stand
 * around a job, outside of what the agent itself measures.
 */
#include "guest/agent.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
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

/* "agent mark N": one mark with a label of the caller's. */
int mark_main(int argc, char **argv)
{
	char *end;
	unsigned long label = argc == 2 ? strtoul(argv[1], &end, 0) : 0;

	if (argc != 2 || *end || !label || label > UINT32_MAX) {
		fprintf(stderr, "usage: agent mark N    (1 to 4294967295: the mark's label)\n");
		return 2;
	}
	if (mark_open())
		return 1;
	outl((uint32_t)label, MARK_PORT);
	return 0;
}

unsigned mark_now(void)
{
	if (!mark_ready)
		return 0;
	outl(++mark_last, MARK_PORT);
	return mark_last;
}
