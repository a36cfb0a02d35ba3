/* SPDX-License-Identifier: MIT */
/* cputime.c: getrusage() for oneself, /proc for others: nobody else may ask for them. */
#include "vmm/cputime.h"

#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static int cputime_self(void)
{
	return (int)syscall(SYS_gettid);
}

static uint64_t cputime_ns(const struct timeval *t)
{
	return (uint64_t)t->tv_sec * 1000000000 + (uint64_t)t->tv_usec * 1000;
}

static struct cpu_usage cputime_mine(void)
{
	struct rusage r;

	getrusage(RUSAGE_THREAD, &r);
	return (struct cpu_usage){ cputime_ns(&r.ru_utime), cputime_ns(&r.ru_stime) };
}

void cputime_begin(struct cputime *t)
{
	atomic_store(&t->ended, false);
	atomic_store(&t->tid, cputime_self());
}

void cputime_end(struct cputime *t)
{
	struct cpu_usage u = cputime_mine();

	atomic_store(&t->user_ns, u.user_ns);
	atomic_store(&t->system_ns, u.system_ns);
	atomic_store(&t->ended, true);
}

/* The first line of a file of that thread's in /proc; "" if there is none. */
static void cputime_line(int tid, const char *name, char *line, int size)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/%s", tid, name);
	f = fopen(path, "re");
	if (!f || !fgets(line, size, f))
		line[0] = '\0';
	if (f)
		fclose(f);
}

/*
 * proc(5): in "stat", utime and stime are the 12th and 13th fields after the name's last ')', in
 * ticks. The first of "schedstat", where the kernel keeps it, is their sum in nanoseconds; what is
 * less than a tick goes to system, where the I/O thread spends most of its time.
 */
static struct cpu_usage cputime_other(int tid)
{
	uint64_t tick = 1000000000 / (uint64_t)sysconf(_SC_CLK_TCK), user = 0, system = 0, both;
	char line[1024];
	const char *p;

	cputime_line(tid, "stat", line, sizeof(line));
	p = strrchr(line, ')');
	if (p)
		sscanf(p + 1, " %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %" SCNu64 " %" SCNu64,
		       &user, &system);
	user *= tick;
	system *= tick;
	cputime_line(tid, "schedstat", line, sizeof(line));
	if (sscanf(line, "%" SCNu64, &both) == 1 && both > user + system)
		system = both - user;
	return (struct cpu_usage){ user, system };
}

struct cpu_usage cputime_usage(struct cputime *t)
{
	int tid = atomic_load(&t->tid);

	if (atomic_load(&t->ended))
		return (struct cpu_usage){ counter_get(&t->user_ns), counter_get(&t->system_ns) };
	if (tid == cputime_self())
		return cputime_mine();
	return tid ? cputime_other(tid) : (struct cpu_usage){ 0, 0 };
}
