/* SPDX-License-Identifier: MIT */
/* grab.c: stderr into memory and back. */
#include "tests/rig/grab.h"
#include "vmm/util.h"

#include <sys/mman.h>
#include <unistd.h>

void grab_start(struct grab *g)
{
	g->saved = dup(STDERR_FILENO);
	g->file = memfd_create("grab", MFD_CLOEXEC);
	BUG_ON(g->saved < 0 || g->file < 0 || dup2(g->file, STDERR_FILENO) < 0);
}

const char *grab_stop(struct grab *g)
{
	ssize_t n = pread(g->file, g->text, sizeof(g->text) - 1, 0);

	BUG_ON(dup2(g->saved, STDERR_FILENO) < 0);
	g->text[n > 0 ? n : 0] = 0;
	close(g->saved);
	close(g->file);
	return g->text;
}
