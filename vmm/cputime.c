/* SPDX-License-Identifier: MIT */
/*
 * cputime.c: getrusage() for oneself, /proc for others: nobody else may ask for them. A thread's
 * files are opened when it begins, since later there may be no /proc to be found (vmm/sandbox.h).
 */
#include "vmm/cputime.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static int cputime_tasks = -1; /* /proc/self/task; main thread */

void cputime_open(void)
{
	cputime_tasks = open("/proc/self/task", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

void cputime_close(void)
{
	if (cputime_tasks >= 0)
		close(cputime_tasks);
	cputime_tasks = -1;
}

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

static int cputime_file(int tid, const char *name)
{
	char path[32];

	snprintf(path, sizeof(path), "%d/%s", tid, name);
	return openat(cputime_tasks, path, O_RDONLY | O_CLOEXEC);
}

void cputime_begin(struct cputime *t)
{
	int tid = cputime_self();

	atomic_store(&t->ended, false);
	t->stat = cputime_file(tid, "stat");
	t->schedstat = cputime_file(tid, "schedstat");
	atomic_store(&t->tid, tid);
}

void cputime_forget(struct cputime *t)
{
	if (!atomic_exchange(&t->tid, 0))
		return;
	if (t->stat >= 0)
		close(t->stat);
	if (t->schedstat >= 0)
		close(t->schedstat);
}

void cputime_end(struct cputime *t)
{
	struct cpu_usage u = cputime_mine();

	atomic_store(&t->user_ns, u.user_ns);
	atomic_store(&t->system_ns, u.system_ns);
	atomic_store(&t->ended, true);
}

/* What that file says now; "" if there is none. */
static void cputime_line(int fd, char *line, size_t size)
{
	ssize_t n = pread(fd, line, size - 1, 0);

	line[MAX(n, 0)] = '\0';
}

/*
 * proc(5): in "stat", utime and stime are the 12th and 13th fields after the name's last ')', in
 * ticks. The first of "schedstat", where the kernel keeps it, is their sum in nanoseconds; what is
 * less than a tick goes to system, where the I/O thread spends most of its time.
 */
static struct cpu_usage cputime_other(const struct cputime *t)
{
	uint64_t tick = 1000000000 / (uint64_t)sysconf(_SC_CLK_TCK), user = 0, system = 0, both;
	char line[1024];
	const char *p;

	cputime_line(t->stat, line, sizeof(line));
	p = strrchr(line, ')');
	if (p)
		sscanf(p + 1, " %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %" SCNu64 " %" SCNu64,
		       &user, &system);
	user *= tick;
	system *= tick;
	cputime_line(t->schedstat, line, sizeof(line));
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
	return tid ? cputime_other(t) : (struct cpu_usage){ 0, 0 };
}
