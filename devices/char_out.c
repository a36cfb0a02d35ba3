/* SPDX-License-Identifier: MIT */
/*
 * char_out.c: a ring of bytes between whoever has them and a descriptor:
 *
 *   char_out_put() -> ring -> loop thread, 1 ms later -> write()
 *                                 EAGAIN: wait for EPOLLOUT, go on
 *
 * When the ring is full, the producer is told (char_out_room()) and can hold its guest
 * back, as a slow line would. A reader that takes nothing at all for a second must not
 * hold it for ever: then bytes are dropped, until it reads again.
 *
 * Non-blocking mode belongs to the open file, which for a terminal or pipe we share with
 * the shell and its other children; so those are opened anew through /proc, and the mode
 * set on our own opening alone. Files on disk never block and must keep their position.
 */
#include "devices/char_out.h"

#include "vmm/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHAR_OUT_CAREFUL 512 /* bytes that a descriptor which poll()s writable will take */

/* Our own non-blocking opening of the pipe or terminal behind `fd`, or -1. */
static int char_out_reopen(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static int char_out_open(struct char_out *o, int fd)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -1;
	o->sock = S_ISSOCK(st.st_mode);
	if (S_ISFIFO(st.st_mode) || (S_ISCHR(st.st_mode) && isatty(fd))) {
		int own = char_out_reopen(fd);

		if (own >= 0)
			return own;
		o->polls = true;
	}
	return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static ssize_t char_out_write(struct char_out *o, const uint8_t *p, size_t n)
{
	struct pollfd pfd = { .fd = o->fd, .events = POLLOUT };

	if (o->sock)
		return send(o->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (!o->polls)
		return write(o->fd, p, n);
	if (poll(&pfd, 1, 0) < 1) {
		errno = EAGAIN;
		return -1;
	}
	return write(o->fd, p, MIN(n, (size_t)CHAR_OUT_CAREFUL));
}

/* Lose all that waits, and all that comes. Lock held. */
static void char_out_die(struct char_out *o, int err)
{
	counter_add(&o->dropped, o->len);
	o->len = 0;
	o->dead = true;
	if (err != EPIPE)
		log_warn("%s: output ends here: %s", o->name, strerror(err));
}

/*
 * Write what is there until nothing is left or the descriptor takes no more. Lock held,
 * but not during write(): only one thread takes bytes out, so those at the head stay.
 * Returns true when some must wait.
 */
static bool char_out_drain(struct char_out *o)
{
	while (o->len && !o->dead) {
		size_t n = MIN(o->len, CHAR_OUT_SIZE - o->head);
		ssize_t done;

		pthread_mutex_unlock(&o->lock);
		done = char_out_write(o, &o->buf[o->head], n);
		if (done < 0)
			done = -errno;
		pthread_mutex_lock(&o->lock);
		if (done == -EAGAIN)
			return true;
		if (done < 0 && done != -EINTR)
			char_out_die(o, (int)-done);
		if (done <= 0)
			continue;
		o->head = (o->head + (size_t)done) % CHAR_OUT_SIZE;
		o->len -= (size_t)done;
		o->stalled = false;
	}
	return false;
}

static void char_out_writable(struct loop_fd *f, uint32_t events);

/* Loop thread: drain, and arrange to be called again when some is left. */
static void char_out_service(struct char_out *o)
{
	bool was_full, wait;

	pthread_mutex_lock(&o->lock);
	was_full = o->len == CHAR_OUT_SIZE;
	wait = char_out_drain(o);
	/* A descriptor that can be full but not watched would never be heard of again. */
	if (wait && o->writable.fd < 0 &&
	    loop_fd_add(o->loop, &o->writable, o->fd, EPOLLOUT, char_out_writable) < 0) {
		char_out_die(o, EIO);
		wait = false;
	}
	if (!wait)
		loop_fd_del(&o->writable);
	o->armed = wait;
	was_full = was_full && o->len < CHAR_OUT_SIZE;
	pthread_mutex_unlock(&o->lock);
	if (was_full)
		o->room(o);
}

static void char_out_writable(struct loop_fd *f, uint32_t events)
{
	(void)events; /* an error, too, is found by writing */
	char_out_service(container_of(f, struct char_out, writable));
}

static void char_out_flush(struct loop_timer *t)
{
	char_out_service(container_of(t, struct char_out, flush));
}

static void char_out_stall(struct loop_timer *t)
{
	struct char_out *o = container_of(t, struct char_out, stall);
	bool gave_up;

	pthread_mutex_lock(&o->lock);
	gave_up = o->len == CHAR_OUT_SIZE && !o->stalled;
	o->stalled = o->len == CHAR_OUT_SIZE;
	pthread_mutex_unlock(&o->lock);
	if (gave_up)
		o->room(o);
}

bool char_out_room(struct char_out *o)
{
	bool room;

	pthread_mutex_lock(&o->lock);
	room = o->len < CHAR_OUT_SIZE || o->stalled || o->dead;
	pthread_mutex_unlock(&o->lock);
	return room;
}

void char_out_put(struct char_out *o, uint8_t c)
{
	if (o->fd < 0)
		return;
	pthread_mutex_lock(&o->lock);
	if (o->dead || o->len == CHAR_OUT_SIZE) {
		counter_inc(&o->dropped);
	} else {
		o->buf[(o->head + o->len++) % CHAR_OUT_SIZE] = c;
		if (!o->armed)
			loop_timer_set(&o->flush, CHAR_OUT_DELAY_NS);
		o->armed = true;
		if (o->len == CHAR_OUT_SIZE && !o->patient)
			loop_timer_set(&o->stall, CHAR_OUT_STALL_NS);
	}
	pthread_mutex_unlock(&o->lock);
}

int char_out_init(struct char_out *o, struct loop *l, int fd, const char *name,
		  void (*room)(struct char_out *o))
{
	int err;

	memset(o, 0, sizeof(*o));
	o->name = name;
	o->loop = l;
	o->room = room;
	o->writable.fd = -1;
	pthread_mutex_init(&o->lock, NULL);
	err = loop_timer_init(l, &o->flush, char_out_flush);
	if (!err) {
		err = loop_timer_init(l, &o->stall, char_out_stall);
		if (err)
			loop_timer_destroy(&o->flush);
	}
	o->fd = err ? -1 : char_out_open(o, fd);
	return err;
}

/* Milliseconds from now until `end` on loop_now()'s clock. */
static int char_out_left(uint64_t end)
{
	uint64_t now = loop_now();

	return now < end ? (int)((end - now + 999999) / 1000000) : 0;
}

void char_out_destroy(struct char_out *o, unsigned ms)
{
	uint64_t end = loop_now() + ms * UINT64_C(1000000);
	struct pollfd pfd = { .fd = o->fd, .events = POLLOUT };

	pthread_mutex_lock(&o->lock);
	while (char_out_drain(o) && char_out_left(end))
		poll(&pfd, 1, char_out_left(end));
	pthread_mutex_unlock(&o->lock);
	loop_fd_del(&o->writable);
	loop_timer_destroy(&o->stall);
	loop_timer_destroy(&o->flush);
	pthread_mutex_destroy(&o->lock);
	if (o->fd >= 0)
		close(o->fd);
}
