/* SPDX-License-Identifier: MIT */
/* test_loop.c: descriptors, kicks and timers, served in one thread. */
#include "tests/check_main.h"
#include "vmm/loop.h"

#include <errno.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <unistd.h>

static unsigned calls;
static uint32_t last_events;

static void on_ready(struct loop_fd *f, uint32_t events)
{
	(void)f;
	calls++;
	last_events = events;
}

static void on_fired(struct loop_event *e)
{
	(void)e;
	calls++;
}

static void on_expired(struct loop_timer *t)
{
	calls++;
	loop_stop(t->f.loop);
}

START_TEST(signals_merge_until_served)
{
	struct loop *l = loop_new();
	struct loop_event e;

	calls = 0;
	ck_assert_int_eq(loop_event_init(l, &e, on_fired), 0);
	ck_assert_int_eq(loop_once(l, 0), 0);
	loop_event_signal(&e);
	loop_event_signal(&e);
	ck_assert_int_eq(loop_once(l, 0), 1);
	ck_assert_int_eq(loop_once(l, 0), 0);
	ck_assert_uint_eq(calls, 1);
	loop_event_destroy(&e);
	loop_free(l);
}
END_TEST

START_TEST(descriptor_is_level_triggered_until_masked)
{
	struct loop *l = loop_new();
	struct loop_fd f;
	int p[2];

	calls = 0;
	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_eq(loop_fd_add(l, &f, p[0], EPOLLIN, on_ready), 0);
	ck_assert_int_eq(write(p[1], "x", 1), 1);
	ck_assert_int_eq(loop_once(l, 0), 1);
	ck_assert_int_eq(loop_once(l, 0), 1);
	ck_assert_int_eq(loop_fd_mod(&f, 0), 0);
	ck_assert_int_eq(loop_once(l, 0), 0);
	ck_assert_int_eq(loop_fd_mod(&f, EPOLLIN), 0);
	ck_assert_int_eq(loop_once(l, 0), 1);
	ck_assert_uint_eq(last_events & EPOLLIN, EPOLLIN);
	loop_fd_del(&f);
	ck_assert_int_eq(loop_once(l, 0), 0);
	ck_assert_uint_eq(calls, 3);
	close(p[0]);
	close(p[1]);
	loop_free(l);
}
END_TEST

START_TEST(descriptor_that_cannot_be_watched_is_refused)
{
	struct loop *l = loop_new();
	struct loop_fd f;

	ck_assert_int_eq(loop_fd_add(l, &f, -1, EPOLLIN, on_ready), -EBADF);
	ck_assert_int_eq(f.fd, -1);
	loop_free(l);
}
END_TEST

START_TEST(timer_fires_once_and_stop_ends_the_run)
{
	struct loop *l = loop_new();
	struct loop_timer t;

	calls = 0;
	ck_assert_int_eq(loop_timer_init(l, &t, on_expired), 0);
	loop_timer_set(&t, 1000);
	loop_run(l);
	loop_once(l, 0);
	ck_assert_uint_eq(calls, 1);
	loop_timer_destroy(&t);
	loop_free(l);
}
END_TEST

START_TEST(timer_set_to_zero_is_disarmed)
{
	struct loop *l = loop_new();
	struct loop_timer t;

	calls = 0;
	ck_assert_int_eq(loop_timer_init(l, &t, on_expired), 0);
	loop_timer_set(&t, 1);
	loop_timer_set(&t, 0);
	ck_assert_int_eq(loop_once(l, 0), 0);
	ck_assert_uint_eq(calls, 0);
	loop_timer_destroy(&t);
	loop_free(l);
}
END_TEST

static void *loop_thread(void *l)
{
	loop_run(l);
	return NULL;
}

START_TEST(stop_from_another_thread_ends_the_run)
{
	struct loop *l = loop_new();
	pthread_t t;

	ck_assert_int_eq(pthread_create(&t, NULL, loop_thread, l), 0);
	loop_stop(l);
	ck_assert_int_eq(pthread_join(t, NULL), 0);
	loop_free(l);
}
END_TEST

static void on_last(struct loop_event *e)
{
	ck_assert_uint_eq(e->count, 3);
	calls++;
}

START_TEST(signals_before_the_stop_are_served)
{
	struct loop *l = loop_new();
	struct loop_event e;

	calls = 0;
	ck_assert_int_eq(loop_event_init(l, &e, on_last), 0);
	for (unsigned i = 0; i < 3; i++)
		loop_event_signal(&e);
	loop_stop(l);
	loop_run(l);
	ck_assert_uint_eq(calls, 1);
	loop_event_destroy(&e);
	loop_free(l);
}
END_TEST

static const struct test_entry tests[] = {
	T(signals_merge_until_served),
	T(descriptor_is_level_triggered_until_masked),
	T(descriptor_that_cannot_be_watched_is_refused),
	T(timer_fires_once_and_stop_ends_the_run),
	T(timer_set_to_zero_is_disarmed),
	T(stop_from_another_thread_ends_the_run),
	T(signals_before_the_stop_are_served),
};

CHECK_MAIN("loop", tests)
