/* SPDX-License-Identifier: MIT */
/*
 * boot-watch: starts a VMM and says when its guest got to its process 1, what the VMM then held of
 * the host's memory, and when it was gone. tools/bench-boot runs it for every VMM alike, wherever
 * the guests run; the counted lab has no Python, hence C.
 *
 *   boot-watch NAME ROUND RAM_KB MARK SECONDS COMMAND [ARG...]
 *
 * The guest's console is COMMAND's stdout. Process 1 writes MARK there, and powers off. At the mark
 * the VMM is stopped, for as long as it takes to read its /proc/PID/smaps: that time is in no
 * figure. Mappings of RAM_KB or more are the guest's RAM, all others the VMM's own. Prints a line:
 *
 *   {"kind":"run", "workload":"init", "nic":NAME, "round":N, "unit":"ms",
 *    "value": ms from before fork() to MARK, "end_ms": from MARK to the VMM's end, "own_kb": PSS
 *    without the guest's RAM, "ram_kb": RSS of the guest's RAM}
 *
 * or, with exit status 1, {"kind":"error", "workload":"init", "nic":NAME, "round":N, "error":TEXT}.
 * A VMM is killed if there is no MARK after SECONDS, which is such an error, and if it has not
 * ended END_SECONDS after MARK, as one that its guest cannot power off; end_ms is null then.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NEVER       (-1.0)
#define END_SECONDS 20

struct watch {
	const char *name, *round, *mark;
	unsigned long ram_kb;   /* of the guest */
	double begin;           /* ms, as all times here */
	double deadline;        /* for the VMM's end */
	double init;            /* the mark was seen then; NEVER: not yet */
	double frozen;          /* how long it was stopped */
	unsigned long own, ram; /* KiB */
	char said[4096];        /* the end of what it said, a string */
	size_t len;
	int out, process; /* descriptors: a pipe's end, the VMM */
	bool killed;      /* it did not end by itself */
	pid_t pid;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* TEXT's end as it may stand in JSON: one line, nothing that has to be quoted. */
static void put_text(const char *text)
{
	size_t len = strlen(text);

	for (text += len > 300 ? len - 300 : 0; *text; text++)
		putchar(*text < ' ' || *text > '~' ? ' ' : strchr("\"\\", *text) ? '\'' : *text);
}

static int fail(struct watch *w, const char *why)
{
	printf("{\"kind\":\"error\",\"workload\":\"init\",\"nic\":\"%s\",\"round\":%s,\"error\":\"",
	       w->name, w->round);
	put_text(why);
	if (w->len) {
		printf("; its last words: ");
		put_text(w->said);
	}
	printf("\"}\n");
	return 1;
}

static void start(struct watch *w, char **command)
{
	int ends[2];

	w->begin = now();
	if (pipe2(ends, O_CLOEXEC) < 0 || (w->pid = fork()) < 0) {
		perror("boot-watch");
		exit(1);
	}
	if (!w->pid) {
		int null = open("/dev/null", O_RDONLY);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (dup2(null, 0) == 0 && dup2(ends[1], 1) == 1 && dup2(ends[1], 2) == 2)
			execvp(command[0], command);
		perror(command[0]);
		_exit(127);
	}
	close(ends[1]);
	w->out = ends[0];
	w->process = (int)syscall(SYS_pidfd_open, w->pid, 0);
	if (w->process < 0) {
		perror("boot-watch: pidfd_open");
		kill(w->pid, SIGKILL);
		exit(1);
	}
}

/* The sums of its mappings. */
static bool read_smaps(struct watch *w)
{
	unsigned long size = 0, value;
	char path[64], line[512];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps", (int)w->pid);
	f = fopen(path, "r");
	if (!f)
		return false;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "Size: %lu kB", &value) == 1)
			size = value;
		else if (sscanf(line, "Pss: %lu kB", &value) == 1 && size < w->ram_kb)
			w->own += value;
		else if (sscanf(line, "Rss: %lu kB", &value) == 1 && size >= w->ram_kb)
			w->ram += value;
	fclose(f);
	return true;
}

/* It stands still meanwhile: all of its threads have stopped when waitid() says so. */
static const char *look(struct watch *w)
{
	siginfo_t info;
	const char *wrong = NULL;

	kill(w->pid, SIGSTOP);
	if (waitid(P_PID, (id_t)w->pid, &info, WSTOPPED | WEXITED | WNOWAIT) < 0 ||
	    info.si_code != CLD_STOPPED)
		wrong = "it was gone before it could be looked at";
	else if (!read_smaps(w))
		wrong = strerror(errno);
	else if (!w->ram)
		wrong = "no mapping is as large as the guest's RAM";
	kill(w->pid, SIGCONT);
	w->frozen = now() - w->init;
	return wrong;
}

/* Keeps the end of what is said. False: there is no more. */
static bool hear(struct watch *w)
{
	size_t half = sizeof(w->said) / 2;
	ssize_t n;

	if (w->len >= half) {
		memmove(w->said, w->said + w->len - half / 2, half / 2);
		w->len = half / 2;
	}
	n = read(w->out, w->said + w->len, sizeof(w->said) - 1 - w->len);
	if (n <= 0)
		return n < 0 && errno == EINTR;
	for (ssize_t i = 0; i < n; i++) /* it is to be a string */
		if (!w->said[w->len + (size_t)i])
			w->said[w->len + (size_t)i] = ' ';
	w->len += (size_t)n;
	w->said[w->len] = '\0';
	return true;
}

/* Up to the VMM's end. NULL, or what went wrong. */
static const char *follow(struct watch *w)
{
	struct pollfd p[] = { { .fd = w->out, .events = POLLIN },
			      { .fd = w->process, .events = POLLIN } };
	const char *wrong = NULL;

	while (!p[1].revents || p[0].revents & POLLIN) {
		int left = (int)(w->deadline - now());

		if (left <= 0 || (poll(p, 2, left) < 0 && errno != EINTR)) {
			w->killed = true;
			return w->init < 0 ? "no mark of process 1 in time" : wrong;
		}
		if (p[0].revents && !hear(w)) {
			p[0].fd = -1;
			p[0].revents = 0;
		}
		if (w->init < 0 && strstr(w->said, w->mark)) {
			w->init = now();
			wrong = look(w);
			w->deadline = now() + END_SECONDS * 1e3;
		}
	}
	return w->init < 0 ? "it ended before process 1" : wrong;
}

static int report(const struct watch *w, double end)
{
	printf("{\"kind\":\"run\",\"workload\":\"init\",\"nic\":\"%s\",\"round\":%s,\"unit\":"
	       "\"ms\",",
	       w->name, w->round);
	printf("\"value\":%.3f,\"own_kb\":%lu,\"ram_kb\":%lu,", w->init - w->begin, w->own, w->ram);
	if (w->killed)
		printf("\"end_ms\":null}\n");
	else
		printf("\"end_ms\":%.3f}\n", end - w->init - w->frozen);
	return 0;
}

int main(int argc, char **argv)
{
	static struct watch w;
	const char *wrong;
	double end;
	int status;

	if (argc < 7) {
		fputs("usage: boot-watch NAME ROUND RAM_KB MARK SECONDS COMMAND [ARG...]\n",
		      stderr);
		return 2;
	}
	w.name = argv[1];
	w.round = argv[2];
	w.ram_kb = strtoul(argv[3], NULL, 10);
	w.mark = argv[4];
	w.init = NEVER;
	start(&w, argv + 6);
	w.deadline = w.begin + strtod(argv[5], NULL) * 1e3;
	wrong = follow(&w);
	end = now();
	if (wrong || w.killed)
		kill(w.pid, SIGKILL);
	waitpid(w.pid, &status, 0);
	if (!wrong && !w.killed && status)
		wrong = "it did not end with status 0";
	return wrong ? fail(&w, wrong) : report(&w, end);
}
