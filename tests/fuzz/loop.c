/* SPDX-License-Identifier: MIT */
/*
 * loop.c: vmm/loop.h for fuzz targets, linked in the place of vmm/loop.c: events are flags,
 * timers belong to a clock that only fuzz_clock_pass() moves, and only descriptors that a
 * device was given cost a system call. So an input does the same each time, and thousands
 * of them go through in a second.
 *
 * What epoll promises is kept: one round serves what was ready when it began, and a source
 * that is no longer ready when its turn comes is passed over.
 */
#include "vmm/loop.h"

#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <poll.h>

#define FUZZ_SOURCES 64
#define FUZZ_FD      1000000 /* the descriptor of source 0; no real one is as high */
#define FUZZ_EPOCH   UINT64_C(1000000000)

enum fuzz_kind { FUZZ_FREE, FUZZ_EVENT, FUZZ_TIMER, FUZZ_HOST_FD };

struct fuzz_source {
	enum fuzz_kind kind;
	struct loop_fd *f;
	uint64_t signals; /* of an event */
	uint64_t due;     /* of a timer; 0: not set */
	short events;     /* of a descriptor */
};

struct loop {
	struct fuzz_source s[FUZZ_SOURCES];
	unsigned n;     /* in use: s[0] to s[n - 1], some of them free again */
	unsigned first; /* to look at first; goes round, for the order means nothing */
};

static uint64_t fuzz_now = FUZZ_EPOCH;

uint64_t loop_now(void)
{
	return fuzz_now;
}

void fuzz_clock_pass(uint64_t ns)
{
	fuzz_now += ns;
}

void fuzz_clock_reset(void)
{
	fuzz_now = FUZZ_EPOCH;
}

struct loop *loop_new(void)
{
	return calloc(1, sizeof(struct loop));
}

void loop_free(struct loop *l)
{
	for (unsigned i = 0; i < FUZZ_SOURCES; i++)
		FUZZ_CHECK(l->s[i].kind == FUZZ_FREE, "a source outlives its loop");
	free(l);
}

static int fuzz_source_add(struct loop *l, struct loop_fd *f, enum fuzz_kind kind)
{
	for (unsigned i = 0; i < FUZZ_SOURCES; i++) {
		if (l->s[i].kind != FUZZ_FREE)
			continue;
		l->s[i] = (struct fuzz_source){ .kind = kind, .f = f };
		*f = (struct loop_fd){ .fd = FUZZ_FD + (int)i, .loop = l };
		l->n = MAX(l->n, i + 1);
		return 0;
	}
	return -EMFILE;
}

static struct fuzz_source *fuzz_source_of(const struct loop_fd *f)
{
	return &f->loop->s[f->fd - FUZZ_FD];
}

static void fuzz_source_drop(struct loop_fd *f)
{
	if (f->fd >= 0)
		*fuzz_source_of(f) = (struct fuzz_source){ .kind = FUZZ_FREE };
	f->fd = -1;
}

/* --- serving --- */

static bool fuzz_source_ready(const struct fuzz_source *s)
{
	switch (s->kind) {
	case FUZZ_EVENT:
		return s->signals;
	case FUZZ_TIMER:
		return s->due && s->due <= fuzz_now;
	case FUZZ_HOST_FD:
		return true;
	default:
		return false;
	}
}

static bool fuzz_source_serve(struct fuzz_source *s)
{
	struct loop_event *e = container_of(s->f, struct loop_event, f);
	struct pollfd p;

	switch (s->kind) {
	case FUZZ_EVENT:
		e->count = s->signals;
		s->signals = 0;
		e->fired(e);
		return true;
	case FUZZ_TIMER:
		s->due = 0;
		container_of(s->f, struct loop_timer, f)
			->expired(container_of(s->f, struct loop_timer, f));
		return true;
	default:
		p = (struct pollfd){ .fd = s->f->fd, .events = s->events };
		if (poll(&p, 1, 0) <= 0)
			return false;
		s->f->ready(s->f, (uint32_t)p.revents);
		return true;
	}
}

int loop_once(struct loop *l, int ms)
{
	unsigned n = 0, first = l->first++;
	uint8_t ready[FUZZ_SOURCES];
	int served = 0;

	(void)ms;
	for (unsigned i = 0; i < l->n; i++) {
		unsigned at = (first + i) % l->n;

		if (fuzz_source_ready(&l->s[at]))
			ready[n++] = (uint8_t)at;
	}
	for (unsigned i = 0; i < n; i++)
		if (fuzz_source_ready(&l->s[ready[i]]))
			served += fuzz_source_serve(&l->s[ready[i]]);
	return served;
}

/* --- sources --- */

int loop_event_init(struct loop *l, struct loop_event *e, void (*fired)(struct loop_event *))
{
	e->fired = fired;
	return fuzz_source_add(l, &e->f, FUZZ_EVENT);
}

void loop_event_signal(struct loop_event *e)
{
	fuzz_source_of(&e->f)->signals++;
}

void loop_event_destroy(struct loop_event *e)
{
	fuzz_source_drop(&e->f);
}

int loop_timer_init(struct loop *l, struct loop_timer *t, void (*expired)(struct loop_timer *))
{
	t->expired = expired;
	return fuzz_source_add(l, &t->f, FUZZ_TIMER);
}

void loop_timer_set(struct loop_timer *t, uint64_t ns)
{
	fuzz_source_of(&t->f)->due = ns ? fuzz_now + ns : 0;
}

void loop_timer_destroy(struct loop_timer *t)
{
	fuzz_source_drop(&t->f);
}

/* --- descriptors of the host: served by poll() each round --- */

static struct fuzz_source *fuzz_host_fd(const struct loop_fd *f)
{
	for (unsigned i = 0; i < FUZZ_SOURCES; i++)
		if (f->loop->s[i].kind == FUZZ_HOST_FD && f->loop->s[i].f == f)
			return &f->loop->s[i];
	return NULL;
}

int loop_fd_add(struct loop *l, struct loop_fd *f, int fd, uint32_t events,
		void (*ready)(struct loop_fd *, uint32_t))
{
	int err = fuzz_source_add(l, f, FUZZ_HOST_FD);

	if (err)
		return err;
	fuzz_source_of(f)->events = (short)events;
	f->fd = fd;
	f->ready = ready;
	return 0;
}

int loop_fd_mod(struct loop_fd *f, uint32_t events)
{
	fuzz_host_fd(f)->events = (short)events;
	return 0;
}

void loop_fd_del(struct loop_fd *f)
{
	if (f->fd >= 0)
		*fuzz_host_fd(f) = (struct fuzz_source){ .kind = FUZZ_FREE };
	f->fd = -1;
}
