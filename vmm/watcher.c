/* SPDX-License-Identifier: MIT */
/*
 * watcher.c: a list and a thread that is never in a hurry. Nobody ever waits for it: a
 * lock that it held while a busy guest has the processor would be held for long.
 */
#include "vmm/watcher.h"

#include "vmm/sandbox.h"
#include "vmm/util.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>

struct watcher {
	/* fixed once started: */
	struct watch *first;
	pthread_t thread;
	bool started;
	/* any thread: */
	sem_t wake; /* posted when a watch goes on, and at the end */
	_Atomic bool ending;
	struct cputime cpu;
};

struct watcher *watcher_new(void)
{
	struct watcher *w = calloc(1, sizeof(*w));

	if (w)
		sem_init(&w->wake, 0, 0);
	return w;
}

void watcher_free(struct watcher *w)
{
	if (!w)
		return;
	sem_destroy(&w->wake);
	cputime_forget(&w->cpu);
	free(w);
}

void watcher_add(struct watcher *w, struct watch *t)
{
	t->on = false;
	t->next = w->first;
	w->first = t;
}

void watcher_remove(struct watcher *w, struct watch *t)
{
	for (struct watch **at = &w->first; *at; at = &(*at)->next)
		if (*at == t) {
			*at = t->next;
			return;
		}
}

bool watcher_look(struct watcher *w)
{
	bool any = false;

	for (struct watch *t = w->first; t; t = t->next)
		if (t->on) {
			any = true;
			t->look(t);
		}
	return any;
}

static void *watcher_main(void *arg)
{
	static const struct sched_param lowest;
	struct watcher *w = arg;
	bool confined; /* else vCPUs do not get beyond sandbox_enter() */

	pthread_setname_np(pthread_self(), "watcher");
	cputime_begin(&w->cpu);
	/* Always permitted; without it we would only be less polite. */
	pthread_setschedparam(pthread_self(), SCHED_IDLE, &lowest);
	confined = sandbox_enter(SANDBOX_WATCHER) == 0;
	while (confined && !w->ending) {
		if (watcher_look(w))
			sched_yield();
		else /* a post for a watch that went on since is not lost */
			while (sem_wait(&w->wake) < 0 && errno == EINTR)
				;
	}
	cputime_end(&w->cpu);
	return NULL;
}

int watcher_start(struct watcher *w)
{
	int err = pthread_create(&w->thread, NULL, watcher_main, w);

	w->started = !err;
	return -err;
}

void watcher_stop(struct watcher *w)
{
	if (!w->started)
		return;
	w->ending = true;
	sem_post(&w->wake);
	pthread_join(w->thread, NULL);
	w->started = false;
}

struct cputime *watcher_cpu(struct watcher *w)
{
	return &w->cpu;
}

void watch_on(struct watcher *w, struct watch *t)
{
	/* First the flag, then the post: pairs with the thread's look after sem_wait(). */
	if (!atomic_exchange(&t->on, true))
		sem_post(&w->wake);
}

void watch_off(struct watch *t)
{
	t->on = false;
}
