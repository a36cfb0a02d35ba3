/* SPDX-License-Identifier: MIT */
/* loop.c: epoll, eventfd and timerfd, and nothing on top. */
#include "vmm/loop.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

struct loop {
	int epfd;
	_Atomic bool stopping;
	struct loop_event wake; /* makes epoll_wait() see `stopping` */
};

static void loop_woken(struct loop_event *e)
{
	(void)e;
}

struct loop *loop_new(void)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epfd < 0 || loop_event_init(l, &l->wake, loop_woken) < 0) {
		if (l->epfd >= 0)
			close(l->epfd);
		free(l);
		return NULL;
	}
	return l;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	loop_event_destroy(&l->wake);
	close(l->epfd);
	free(l);
}

int loop_once(struct loop *l, int ms)
{
	struct epoll_event ev[32];
	int n = epoll_wait(l->epfd, ev, (int)ARRAY_SIZE(ev), ms);

	for (int i = 0; i < n; i++) {
		struct loop_fd *f = ev[i].data.ptr;

		f->ready(f, ev[i].events);
	}
	return n > 0 ? n : 0;
}

void loop_run(struct loop *l)
{
	while (!atomic_load(&l->stopping))
		loop_once(l, -1);
	loop_once(l, 0);
}

void loop_stop(struct loop *l)
{
	atomic_store(&l->stopping, true);
	loop_event_signal(&l->wake);
}

int loop_fd_add(struct loop *l, struct loop_fd *f, int fd, uint32_t events,
		void (*ready)(struct loop_fd *, uint32_t))
{
	struct epoll_event ev = { .events = events, .data.ptr = f };

	*f = (struct loop_fd){ .fd = fd, .ready = ready, .loop = l };
	if (epoll_ctl(l->epfd, EPOLL_CTL_ADD, fd, &ev) < 0) {
		f->fd = -1;
		return -errno;
	}
	return 0;
}

int loop_fd_mod(struct loop_fd *f, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = f };

	return epoll_ctl(f->loop->epfd, EPOLL_CTL_MOD, f->fd, &ev) < 0 ? -errno : 0;
}

void loop_fd_del(struct loop_fd *f)
{
	if (f->fd >= 0)
		epoll_ctl(f->loop->epfd, EPOLL_CTL_DEL, f->fd, NULL);
	f->fd = -1;
}

static void loop_event_ready(struct loop_fd *f, uint32_t events)
{
	struct loop_event *e = container_of(f, struct loop_event, f);

	(void)events;
	if (read(f->fd, &e->count, sizeof(e->count)) == sizeof(e->count))
		e->fired(e);
}

int loop_event_init(struct loop *l, struct loop_event *e, void (*fired)(struct loop_event *))
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), err;

	if (fd < 0)
		return -errno;
	e->fired = fired;
	err = loop_fd_add(l, &e->f, fd, EPOLLIN, loop_event_ready);
	if (err)
		close(fd);
	return err;
}

void loop_event_signal(struct loop_event *e)
{
	uint64_t one = 1;

	/* EAGAIN: the counter is full, so it is signalled already. */
	if (write(e->f.fd, &one, sizeof(one)) < 0)
		return;
}

/* Close a descriptor that its source owns (events and timers). */
static void loop_fd_close(struct loop_fd *f)
{
	int fd = f->fd;

	loop_fd_del(f);
	if (fd >= 0)
		close(fd);
}

void loop_event_destroy(struct loop_event *e)
{
	loop_fd_close(&e->f);
}

static void loop_timer_ready(struct loop_fd *f, uint32_t events)
{
	struct loop_timer *t = container_of(f, struct loop_timer, f);
	uint64_t count;

	(void)events;
	/* Re-armed or disarmed since epoll_wait() returned: nothing to read. */
	if (read(f->fd, &count, sizeof(count)) == sizeof(count))
		t->expired(t);
}

int loop_timer_init(struct loop *l, struct loop_timer *t, void (*expired)(struct loop_timer *))
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), err;

	if (fd < 0)
		return -errno;
	t->expired = expired;
	err = loop_fd_add(l, &t->f, fd, EPOLLIN, loop_timer_ready);
	if (err)
		close(fd);
	return err;
}

void loop_timer_set(struct loop_timer *t, uint64_t ns)
{
	struct itimerspec its = {
		.it_value = { .tv_sec = (time_t)(ns / 1000000000),
			      .tv_nsec = (long)(ns % 1000000000) },
	};

	timerfd_settime(t->f.fd, 0, &its, NULL);
}

void loop_timer_destroy(struct loop_timer *t)
{
	loop_fd_close(&t->f);
}

uint64_t loop_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}
