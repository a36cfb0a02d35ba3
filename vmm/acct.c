/* SPDX-License-Identifier: MIT */
/* acct.c: the accounts' clock, and what is too rare to be inline. */
#include "vmm/acct.h"

#include <cpuid.h>
#include <inttypes.h>
#include <string.h>

#define CPUID_POWER         0x80000007u /* advanced power management */
#define CPUID_INVARIANT_TSC BIT(8)      /* in EDX */
#define MOMENT_TRIES        3
#define CLOCKSOURCE         "/sys/devices/system/clocksource/clocksource0/current_clocksource"

bool acct_tsc;
bool acct_on = true;
_Thread_local uint64_t acct_waited;

/* Two clocks read together, at the start. */
static struct acct_moment acct_birth;

static uint64_t acct_monotonic(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static bool acct_tsc_is_invariant(void)
{
	unsigned a, b, c, d = 0;

	return __get_cpuid(CPUID_POWER, &a, &b, &c, &d) && (d & CPUID_INVARIANT_TSC);
}

/* What is good enough for the kernel's own clock, whatever CPUID says, is for ours. */
static bool acct_tsc_is_the_kernels(void)
{
	char name[16] = "";
	FILE *f = fopen(CLOCKSOURCE, "re");

	if (!f)
		return false;
	if (!fgets(name, sizeof(name), f))
		name[0] = '\0';
	fclose(f);
	return !strcmp(name, "tsc\n");
}

/* Before main(), so that the clock is the same one for everybody. */
static void __attribute__((constructor)) acct_init(void)
{
	acct_tsc = acct_tsc_is_invariant() || acct_tsc_is_the_kernels();
	acct_birth = acct_moment();
}

/* The closest of some pairs of readings: this thread may lose its processor between two. */
struct acct_moment acct_moment(void)
{
	struct acct_moment m = { 0, 0 };
	uint64_t closest = UINT64_MAX;

	for (unsigned i = 0; i < MOMENT_TRIES; i++) {
		uint64_t before = acct_now(), ns = acct_monotonic();
		uint64_t apart = acct_span(before, acct_now());

		if (apart < closest)
			m = (struct acct_moment){ .ticks = before + apart / 2, .ns = ns };
		closest = MIN(closest, apart);
	}
	return m;
}

uint64_t acct_ns(uint64_t ticks)
{
	struct acct_moment now = acct_moment();
	uint64_t span = acct_span(acct_birth.ticks, now.ticks);

	if (!acct_tsc || !span)
		return ticks;
	return (uint64_t)((double)ticks * ((double)(now.ns - acct_birth.ns) / (double)span));
}

void access_json(void *ctx, const char *name, const struct access *a)
{
	struct json *j = ctx;

	if (!access_seen(a))
		return;
	json_open(j, NULL, '{');
	json_str(j, "name", name);
	json_u64(j, "reads", counter_get(&a->reads));
	json_u64(j, "writes", counter_get(&a->writes));
	json_u64(j, "ns", acct_ns(counter_get(&a->ticks)));
	json_close(j, '}');
}

void access_print_head(FILE *f, const char *what)
{
	fprintf(f, "  %-16s %10s %10s %10s %12s\n", what, "reads", "writes", "ns each", "total us");
}

void access_print(void *ctx, const char *name, const struct access *a)
{
	uint64_t reads = counter_get(&a->reads), writes = counter_get(&a->writes);
	uint64_t ns = acct_ns(counter_get(&a->ticks));

	if (reads + writes)
		fprintf(ctx, "  %-16s %10" PRIu64 " %10" PRIu64 " %10" PRIu64 " %12.1f\n", name,
			reads, writes, ns / (reads + writes), (double)ns / 1e3);
}

/* --- locks --- */

void lock_init(struct lock *l)
{
	pthread_mutex_init(&l->mutex, NULL);
}

void lock_destroy(struct lock *l)
{
	pthread_mutex_destroy(&l->mutex);
}

void lock_take(struct lock *l)
{
	uint64_t start, waited;

	if (!pthread_mutex_trylock(&l->mutex))
		return;
	start = acct_now();
	pthread_mutex_lock(&l->mutex);
	waited = acct_span(start, acct_now());
	counter_inc(&l->contended);
	counter_add(&l->ticks, waited);
	acct_waited += waited;
}

void lock_drop(struct lock *l)
{
	pthread_mutex_unlock(&l->mutex);
}

static void lock_json(const char *name, const struct lock *l, struct json *j)
{
	json_open(j, name, '{');
	json_u64(j, "contended", counter_get(&l->contended));
	json_u64(j, "wait_ns", acct_ns(counter_get(&l->ticks)));
	json_close(j, '}');
}

void locks_json(const struct lock *work, const struct lock *lock, struct json *j)
{
	json_open(j, "locks", '{');
	lock_json("work", work, j);
	lock_json("lock", lock, j);
	json_close(j, '}');
}

void locks_print(const struct lock *work, const struct lock *lock, FILE *f)
{
	fprintf(f, "  %-16s %12" PRIu64 "  times contended, %.1f us in all\n", "work and lock",
		counter_get(&work->contended) + counter_get(&lock->contended),
		(double)acct_ns(counter_get(&work->ticks) + counter_get(&lock->ticks)) / 1e3);
}
