/* SPDX-License-Identifier: MIT */
/* worker.c: a thread that runs a loop, from worker_start() to worker_stop(). */
#include "vmm/worker.h"

#include "vmm/sandbox.h"

#include <errno.h>

int worker_init(struct worker *w, const char *name)
{
	*w = (struct worker){ .loop = loop_new() };
	snprintf(w->name, sizeof(w->name), "%s", name);
	return w->loop ? 0 : -errno;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;

	pthread_setname_np(pthread_self(), w->name);
	cputime_begin(&w->cpu);
	if (!sandbox_enter(SANDBOX_DISK)) /* else vCPUs do not get beyond theirs */
		loop_run(w->loop);
	cputime_end(&w->cpu);
	return NULL;
}

int worker_start(struct worker *w)
{
	int err = pthread_create(&w->thread, NULL, worker_main, w);

	w->started = !err;
	return -err;
}

void worker_stop(struct worker *w)
{
	if (!w->started)
		return;
	loop_stop(w->loop);
	pthread_join(w->thread, NULL);
	w->started = false;
}

void worker_destroy(struct worker *w)
{
	loop_free(w->loop);
	cputime_forget(&w->cpu);
}
