/* SPDX-License-Identifier: MIT */
/*
 * "agent run" and "agent integrity": the guest's side drives. For each round and workload the
 * NICs take turns, in an order that swaps each round, so that drift of the machine hits both
 * alike. A run that dies is one "error" line and the next one goes on.
 */
#include "guest/agent.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RUN_NICS      8
#define RUN_WORKLOADS 8

struct run_nic {
	char name[32], ifname[16], driver[32];
	struct in_addr host;
	bool ok; /* integrity: no test failed yet */
};

struct run_work {
	const struct workload *w;
	uint64_t count; /* its own; 0: --count, or by time */
};

struct run_opts {
	struct run_nic nic[RUN_NICS];
	unsigned nics;
	struct run_work workload[RUN_WORKLOADS];
	unsigned workloads;
	unsigned rounds, time_ms, warmup_ms, size, port, limit, idle_ms;
	bool marks;
	uint64_t count, bytes, datagrams;
	const char *out;
};

/* ---- options ---- */

static int run_bad_option(const char *name, const char *value, const char *want)
{
	fprintf(stderr, "agent: --%s %s: %s\n", name, value, want);
	return -1;
}

/* NAME=IF,ADDR */
static int run_add_nic(struct run_opts *o, const char *text)
{
	struct run_nic *nic = &o->nic[o->nics];
	char addr[INET_ADDRSTRLEN], version[32];

	if (o->nics == RUN_NICS ||
	    sscanf(text, "%31[A-Za-z0-9_.-]=%15[^,],%15s", nic->name, nic->ifname, addr) != 3 ||
	    inet_pton(AF_INET, addr, &nic->host) != 1)
		return run_bad_option("nic", text, "not NAME=INTERFACE,ADDRESS");
	features_driver(nic->ifname, nic->driver, version);
	nic->ok = true;
	o->nics++;
	return 0;
}

static int run_number(const char *name, const char *text, uint64_t max, uint64_t *value)
{
	char *end;

	*value = strtoull(text, &end, 0);
	if (end != text && *end && strchr("kMG", *end))
		*value *= *end == 'k' ? 1000 : *end == 'M' ? 1000000 : 1000000000, end++;
	if (end == text || *end || *text == '-' || *value > max)
		return run_bad_option(name, text, "not a number, or too large");
	return 0;
}

/* NAME[:COUNT] */
static int run_add_workload(struct run_opts *o, char *text)
{
	struct run_work work = { NULL, 0 };
	char *count = strchr(text, ':');

	if (count)
		*count++ = '\0';
	work.w = workload_find(text);
	if (!work.w || !work.w->unit || o->workloads == RUN_WORKLOADS)
		return run_bad_option("workloads", text, "there is no such workload");
	if (count && run_number("workloads", count, UINT32_MAX, &work.count))
		return -1;
	if (count && !work.count)
		return run_bad_option("workloads", count, "an amount of at least 1");
	o->workload[o->workloads++] = work;
	return 0;
}

static int run_add_workloads(struct run_opts *o, const char *list)
{
	char copy[256];

	o->workloads = 0;
	if ((size_t)snprintf(copy, sizeof(copy), "%s", list) >= sizeof(copy))
		return run_bad_option("workloads", list, "too long");
	for (char *name = strtok(copy, ","); name; name = strtok(NULL, ",")) {
		if (run_add_workload(o, name))
			return -1;
	}
	return o->workloads ? 0 : run_bad_option("workloads", list, "names none");
}

static int run_set(struct run_opts *o, const struct option *opt, const char *text)
{
	uint64_t value;

	if (opt->val == 'n')
		return run_add_nic(o, text);
	if (opt->val == 'w')
		return run_add_workloads(o, text);
	if (opt->val == 'o')
		return report_open(text);
	if (run_number(opt->name, text, opt->val >= 'A' && opt->val <= 'Z' ? UINT32_MAX : 3600000,
		       &value))
		return -1;
	switch (opt->val) {
	case 'C':
		o->count = value;
		o->warmup_ms = 0;
		break;
	case 'B':
		o->bytes = (value + 7) / 8 * 8; /* the pattern comes in words */
		break;
	case 'D':
		o->datagrams = value;
		break;
	case 'r':
		o->rounds = value;
		break;
	case 't':
		o->time_ms = value;
		break;
	case 'u':
		o->warmup_ms = value;
		break;
	case 's':
		o->size = value;
		break;
	case 'p':
		o->port = value;
		break;
	case 'l':
		o->limit = value;
		break;
	case 'a':
		net_stall_ms = value;
		break;
	case 'i':
		o->idle_ms = value;
		break;
	case 'm':
		o->marks = value;
		break;
	}
	return 0;
}

static int run_parse(struct run_opts *o, int argc, char **argv)
{
	static const struct option options[] = {
		/* capitals: amounts of work, up to 2^32 */
		{ "nic", 1, NULL, 'n' },    { "workloads", 1, NULL, 'w' },
		{ "out", 1, NULL, 'o' },    { "count", 1, NULL, 'C' },
		{ "bytes", 1, NULL, 'B' },  { "datagrams", 1, NULL, 'D' },
		{ "rounds", 1, NULL, 'r' }, { "time", 1, NULL, 't' },
		{ "warmup", 1, NULL, 'u' }, { "size", 1, NULL, 's' },
		{ "port", 1, NULL, 'p' },   { "limit", 1, NULL, 'l' },
		{ "stall", 1, NULL, 'a' },  { "idle", 1, NULL, 'i' },
		{ "marks", 1, NULL, 'm' },  { 0 }
	};
	int c, index;

	while ((c = getopt_long(argc, argv, "", options, &index)) != -1) {
		if (c == '?' || run_set(o, &options[index], optarg))
			return -1;
	}
	if (o->nics && optind == argc)
		return 0;
	fprintf(stderr, "agent: %s\n", o->nics ? "stray arguments" : "no --nic given");
	return -1;
}

static const struct run_opts run_defaults = {
	.rounds = 3,
	.time_ms = 2500,
	.warmup_ms = 300,
	.size = UDP_MIN,
	.port = AGENT_PORT,
	.bytes = 100000000,
	.datagrams = 100000,
};

/* ---- one run ---- */

static unsigned run_limit(const struct run_opts *o, const struct job *j)
{
	if (o->limit)
		return o->limit;
	return j->count ? 900 : (j->time_ms + j->warmup_ms) / 1000 + 15;
}

static int run_session(const struct run_opts *o, const struct run_nic *nic, struct session *s)
{
	int ret;

	watchdog_arm(run_limit(o, &s->job));
	ret = session_run_guest(s, nic->ifname, nic->host, o->port);
	watchdog_arm(0);
	return ret;
}

static void run_report_error(const struct run_nic *nic, unsigned round, const struct session *s)
{
	report("{\"kind\":\"error\",\"nic\":\"%s\",\"round\":%u,\"workload\":\"%s\",\"error\":",
	       nic->name, round, s->job.work);
	report_string(s->error);
	report("}\n");
}

static void run_report_cpu(const struct cpu_times *c)
{
	double all = c->user + c->system + c->irq + c->softirq + c->steal + c->idle;

	if (all == 0)
		all = 1;
	report("\"cpu\":{\"busy\":%.3f,\"user\":%.3f,\"system\":%.3f,\"irq\":%.3f,"
	       "\"softirq\":%.3f,\"steal\":%.3f}}\n",
	       (c->user + c->system + c->irq + c->softirq) / all, c->user / all, c->system / all,
	       c->irq / all, c->softirq / all, c->steal / all);
}

static void run_report_udp(uint64_t sent, uint64_t received)
{
	report("\"sent\":%" PRIu64 ",\"received\":%" PRIu64 ",\"drops\":%" PRIu64 ",", sent,
	       received, sent > received ? sent - received : 0);
}

static void run_report_mark_pair(unsigned begin, unsigned end)
{
	if (begin)
		report("\"marks\":[%u,%u],", begin, end);
	else
		report("\"marks\":null,");
}

/* Everything the job did, warm-up included: what lies between its marks. */
static uint64_t run_total(const struct workload *w, const struct tally *t)
{
	return w->udp && w->host_measures ? t->sent : t->received;
}

static void run_report_marks(const struct session *s, uint64_t total)
{
	report("\"total\":%" PRIu64 ",\"quiet_ns\":%" PRIu64 ",", total, s->quiet_ns);
	run_report_mark_pair(s->begin, s->end);
}

static void run_report(const struct run_nic *nic, unsigned round, const struct session *s,
		       const struct cpu_times *cpu)
{
	const struct workload *w = workload_find(s->job.work);
	const struct tally *t = w->host_measures ? &s->peer : &s->mine;
	double seconds = (double)t->ns / NS_PER_SEC;
	double rate = w->unit[0] == 'M' ? t->bytes * 8 / 1e6 : t->count;

	report("{\"kind\":\"run\",\"nic\":\"%s\",\"interface\":\"%s\",\"driver\":\"%s\",\"round\":%"
	       "u,"
	       "\"workload\":\"%s\",\"unit\":\"%s\",\"value\":%.3f,\"bytes\":%" PRIu64
	       ",\"count\":%" PRIu64 ",\"seconds\":%.6f,\"warmup_ms\":%u,",
	       nic->name, nic->ifname, nic->driver, round, w->name, w->unit, rate / seconds,
	       t->bytes, t->count, seconds, s->job.warmup_ms);
	if (w->udp)
		run_report_udp(t->sent, t->received);
	else
		report("\"sent\":null,\"received\":null,\"drops\":null,");
	if (t->median_ns)
		report("\"median_us\":%.1f,\"p99_us\":%.1f,", t->median_ns / 1e3, t->p99_ns / 1e3);
	else
		report("\"median_us\":null,\"p99_us\":null,");
	report("\"retransmits\":%" PRIu64 ",", s->mine.retransmits + s->peer.retransmits);
	run_report_marks(s, run_total(w, t));
	run_report_cpu(cpu);
}

static int run_one(const struct run_opts *o, const struct run_nic *nic, const struct run_work *work,
		   unsigned round)
{
	struct session s = { .job = { .time_ms = o->time_ms,
				      .warmup_ms = work->count ? 0 : o->warmup_ms,
				      .count = work->count ? work->count : o->count,
				      .size = o->size } };
	struct cpu_times before, cpu;
	int ret;

	snprintf(s.job.work, sizeof(s.job.work), "%s", work->w->name);
	cpu_times_read(&before);
	ret = run_session(o, nic, &s);
	cpu_times_read(&cpu);
	cpu_times_delta(&cpu, &before);
	if (ret)
		run_report_error(nic, round, &s);
	else
		run_report(nic, round, &s, &cpu);
	report_flush();
	return ret;
}

static int run_finish(unsigned errors)
{
	report("{\"kind\":\"end\",\"errors\":%u,\"ok\":%s}\n", errors, errors ? "false" : "true");
	return report_flush() || errors ? 1 : 0;
}

static void run_report_plan(unsigned runs, double seconds)
{
	report("{\"kind\":\"plan\",\"runs\":%u,\"seconds\":%.1f}\n", runs, seconds);
	report_flush();
}

/* What the drivers do unasked: all NICs are up, and nobody sends. */
static void run_idle(unsigned ms)
{
	struct timespec left = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * NS_PER_MS };
	uint64_t start = clock_ns();
	unsigned begin = mark_now(), end;

	while (nanosleep(&left, &left) && errno == EINTR)
		;
	end = mark_now();
	report("{\"kind\":\"idle\",");
	run_report_mark_pair(begin, end);
	report("\"seconds\":%.6f}\n", (double)(clock_ns() - start) / NS_PER_SEC);
	report_flush();
}

int run_main(int argc, char **argv)
{
	struct run_opts o = run_defaults;
	unsigned errors = 0, runs;

	run_add_workloads(&o, "tcp_out,tcp_in,tcp_rr,udp_out,udp_in");
	if (run_parse(&o, argc, argv) || (o.marks && mark_open()))
		return 2;
	if (o.idle_ms)
		run_idle(o.idle_ms);
	runs = o.rounds * o.workloads * o.nics;
	run_report_plan(runs, runs * (o.time_ms + o.warmup_ms) / 1e3);
	for (unsigned round = 1; round <= o.rounds; round++) {
		for (unsigned w = 0; w < o.workloads; w++) {
			for (unsigned i = 0; i < o.nics; i++) {
				unsigned n = round % 2 ? i : o.nics - 1 - i;

				errors += run_one(&o, &o.nic[n], &o.workload[w], round) != 0;
			}
		}
	}
	return run_finish(errors);
}

/* ---- integrity ---- */

static bool integrity_report(const struct run_nic *nic, const char *test, const struct session *s)
{
	const struct workload *w = workload_find(s->job.work);
	const struct tally *t = w->host_measures ? &s->peer : &s->mine;
	uint64_t lost = s->job.count > t->received ? s->job.count - t->received : 0;
	uint64_t csum = s->mine.csum_errors + s->peer.csum_errors;
	bool ok = t->received == s->job.count && !t->bad_bytes && !t->bad_frames && !t->duplicate &&
		  !csum;

	report("{\"kind\":\"test\",\"nic\":\"%s\",\"driver\":\"%s\",\"test\":\"%s\",\"bytes\":"
	       "%" PRIu64 ",\"seconds\":%.3f,\"sent\":%" PRIu64 ",\"received\":%" PRIu64
	       ",\"lost\":%" PRIu64 ",\"duplicate\":%" PRIu64 ",\"reordered\":%" PRIu64
	       ",\"bad_bytes\":%" PRIu64,
	       nic->name, nic->driver, test, t->bytes, (double)t->ns / NS_PER_SEC, t->sent,
	       t->received, lost, t->duplicate, t->reordered, t->bad_bytes);
	report(",\"first_bad\":%" PRId64 ",\"bad_frames\":%" PRIu64 ",\"frame_sizes\":%" PRIu64
	       ",\"checksum_errors\":%" PRIu64 ",\"retransmits\":%" PRIu64 ",\"ok\":%s}\n",
	       t->first_bad, t->bad_frames, t->frame_sizes, csum,
	       s->mine.retransmits + s->peer.retransmits, ok ? "true" : "false");
	return ok;
}

static bool integrity_one(const struct run_opts *o, const struct run_nic *nic, unsigned number,
			  const char *test)
{
	struct session s = { .job = { .size = UDP_MAX, .seed = number } };
	bool ok = false;

	snprintf(s.job.work, sizeof(s.job.work), "check_%s", test);
	s.job.count = workload_find(s.job.work)->udp ? o->datagrams : o->bytes;
	if (run_session(o, nic, &s))
		run_report_error(nic, 1, &s);
	else
		ok = integrity_report(nic, test, &s);
	report_flush();
	return ok;
}

int integrity_main(int argc, char **argv)
{
	static const char *const tests[] = { "tcp_out", "tcp_in", "udp_out", "udp_in" };
	struct run_opts o = run_defaults;
	unsigned errors = 0;

	if (run_parse(&o, argc, argv))
		return 2;
	if (!o.bytes || !o.datagrams) {
		fprintf(stderr, "agent: nothing to check\n");
		return 2;
	}
	run_report_plan(4 * o.nics, 0);
	for (unsigned i = 0; i < 4 * o.nics; i++) {
		struct run_nic *nic = &o.nic[i / 4];
		bool ok = integrity_one(&o, nic, i + 1, tests[i % 4]);

		nic->ok &= ok;
		errors += !ok;
		if (i % 4 == 3)
			report("{\"kind\":\"verdict\",\"nic\":\"%s\",\"driver\":\"%s\",\"ok\":%s}"
			       "\n",
			       nic->name, nic->driver, nic->ok ? "true" : "false");
	}
	return run_finish(errors);
}
