/* SPDX-License-Identifier: MIT */
/* test_cputime.c: a thread's processor time, seen by itself, by others, and afterwards. */
#include "tests/check_main.h"
#include "vmm/cputime.h"
#include "vmm/loop.h"

#include <pthread.h>
#include <unistd.h>

static struct cputime cpu;
static _Atomic bool busy, leave;

static uint64_t usage(void)
{
	struct cpu_usage u = cputime_usage(&cpu);

	return u.user_ns + u.system_ns;
}

/* Work until this thread has used 50 ms; system calls too, so that both parts grow. */
static void *worker(void *arg)
{
	(void)arg;
	cputime_begin(&cpu);
	while (usage() < 50000000)
		;
	atomic_store(&busy, true);
	while (!atomic_load(&leave))
		usleep(100);
	cputime_end(&cpu);
	return NULL;
}

START_TEST(time_is_seen_from_inside_outside_and_afterwards)
{
	uint64_t outside;
	pthread_t t;

	ck_assert_uint_eq(usage(), 0); /* not begun */
	cputime_open();
	ck_assert_int_eq(pthread_create(&t, NULL, worker, NULL), 0);
	while (!atomic_load(&busy))
		usleep(100);
	cputime_close(); /* what the thread has found it keeps */
	/* Ticks are sampled on some kernels, so only their order of magnitude is sure. */
	outside = usage();
	atomic_store(&leave, true);
	pthread_join(t, NULL);
	ck_assert_uint_ge(usage(), 50000000);
	ck_assert_uint_lt(usage(), UINT64_C(60000000000));
	ck_assert_uint_gt(outside, 0);
	ck_assert_uint_le(outside, usage() + 20000000);
	cputime_forget(&cpu);
}
END_TEST

START_TEST(own_time_grows_with_work)
{
	uint64_t before;

	cputime_begin(&cpu);
	before = usage();
	while (usage() == before)
		;
	ck_assert_uint_gt(usage(), before);
	cputime_end(&cpu);
	before = usage();
	for (uint64_t end = loop_now() + 20000000; loop_now() < end;)
		;
	ck_assert_uint_eq(usage(), before); /* it has ended */
	cputime_forget(&cpu);
}
END_TEST

static const struct test_entry tests[] = {
	T(time_is_seen_from_inside_outside_and_afterwards),
	T(own_time_grows_with_work),
};

CHECK_MAIN("cputime", tests)
