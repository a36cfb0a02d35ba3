/* SPDX-License-Identifier: MIT */
/*
 * The agent's instruments: clock, watchdog, the meter with its warm-up, latency histogram and
 * the guest's CPU shares. All cheap enough to use per packet: the clock is the vDSO's.
 */
#include "guest/agent.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

volatile int watchdog_fired;

uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

static void watchdog_alarm(int sig)
{
	(void)sig;
	watchdog_fired = 1;
}

/*
 * Without SA_RESTART the signal ends a blocking call with EINTR. It repeats, so that one which
 * lands between the check of watchdog_fired and the call is not the last.
 */
void watchdog_arm(unsigned seconds)
{
	struct sigaction sa = { .sa_handler = watchdog_alarm };
	struct itimerval it = { .it_value.tv_sec = seconds, .it_interval.tv_sec = seconds ? 1 : 0 };

	watchdog_fired = 0;
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &it, NULL);
}

/* A fixed amount of work is timed from here on. */
void meter_init(struct meter *m, const struct job *job)
{
	memset(m, 0, sizeof(*m));
	m->warmup_ns = job->warmup_ms * NS_PER_MS;
	if (job->count)
		m->start_ns = clock_ns();
}

/*
 * In a run by time, the arrival that opens the window sets its start and is not counted itself:
 * n arrivals after the start, over the time from the start to the last of them.
 */
void meter_add(struct meter *m, uint64_t bytes, uint64_t count)
{
	uint64_t now = clock_ns();

	if (!m->open_ns)
		m->open_ns = now + m->warmup_ns;
	if (m->start_ns) {
		m->bytes += bytes;
		m->count += count;
		m->last_ns = now;
	} else if (now >= m->open_ns) {
		m->start_ns = now;
	}
}

void meter_read(const struct meter *m, struct tally *t)
{
	t->bytes = m->bytes;
	t->count = m->count;
	t->ns = m->last_ns > m->start_ns ? m->last_ns - m->start_ns : 0;
}

/* Log-linear: values below HIST_SUB have a slot each, above, each power of two has HIST_SUB. */
void hist_add(struct hist *h, uint64_t ns)
{
	unsigned shift =
		ns < HIST_SUB ? 0 : 57 - __builtin_clzll(ns); /* 57 = 63 - log2(HIST_SUB) */
	unsigned slot = ns < HIST_SUB ? ns : shift * HIST_SUB + (ns >> shift);

	h->slot[slot < HIST_SLOTS ? slot : HIST_SLOTS - 1]++;
	h->total++;
}

uint64_t hist_quantile(const struct hist *h, double q)
{
	uint64_t rank = h->total * q, seen = 0;

	for (unsigned i = 0; i < HIST_SLOTS; i++) {
		unsigned shift = i < 2 * HIST_SUB ? 0 : i / HIST_SUB - 1;

		seen += h->slot[i];
		if (seen > rank)
			return (uint64_t)(i - shift * HIST_SUB) << shift;
	}
	return 0;
}

void cpu_times_read(struct cpu_times *c)
{
	FILE *f = fopen("/proc/stat", "re");
	unsigned long long v[8] = { 0 };

	if (f && fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2],
			&v[3], &v[4], &v[5], &v[6], &v[7]) != 8)
		memset(v, 0, sizeof(v));
	if (f)
		fclose(f);
	*c = (struct cpu_times){ .user = v[0] + v[1],
				 .system = v[2],
				 .idle = v[3] + v[4],
				 .irq = v[5],
				 .softirq = v[6],
				 .steal = v[7] };
}

void cpu_times_delta(struct cpu_times *c, const struct cpu_times *before)
{
	c->user -= before->user;
	c->system -= before->system;
	c->irq -= before->irq;
	c->softirq -= before->softirq;
	c->steal -= before->steal;
	c->idle -= before->idle;
}
