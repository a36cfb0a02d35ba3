/* SPDX-License-Identifier: MIT */
/*
 * vcpu_stats.c: what a vCPU's thread did all the time. Two readings of the clock a turn,
 * each of which moves `mark`, up to which all time is in the accounts:
 *
 *     |-- KVM_RUN --|-- handler, less its waits --|
 *
 * so the pieces of a thread's life touch, and add up to it.
 */
#include "vmm/vcpu.h"

#include <inttypes.h>

#define REPORT_TRIES 8 /* then its pieces may be some turns apart */

void vcpu_time_start(struct vcpu *c)
{
	struct acct_moment now;

	cputime_begin(&c->cpu);
	now = acct_moment();
	c->start_ns = now.ns;
	c->mark = now.ticks;
}

/* Its life ends with its last turn: what comes after that is in no account. */
void vcpu_time_end(struct vcpu *c)
{
	struct acct_moment now = acct_moment();

	c->end_ns = now.ns - acct_ns(acct_span(counter_get(&c->mark), now.ticks));
	cputime_end(&c->cpu);
}

/* The account of the time since c->mark is settled up to `now`. */
static uint64_t vcpu_time_settle(struct vcpu *c, uint64_t now)
{
	uint64_t span = acct_span(counter_get(&c->mark), now);

	atomic_store_explicit(&c->mark, now, memory_order_relaxed);
	return span;
}

static struct vcpu_time *vcpu_time_of(struct vcpu *c, unsigned reason)
{
	return &c->time[reason < VCPU_EXITS ? reason : KVM_EXIT_UNKNOWN];
}

void vcpu_time_exit(struct vcpu *c, unsigned reason, uint64_t exited)
{
	counter_add(&vcpu_time_of(c, reason)->kvm, vcpu_time_settle(c, exited));
}

void vcpu_time_handled(struct vcpu *c, unsigned reason, uint64_t waited)
{
	struct vcpu_time *t = vcpu_time_of(c, reason);
	uint64_t mine = vcpu_time_settle(c, acct_now());

	waited = MIN(waited, mine);
	counter_add(&t->handler, mine - waited);
	counter_add(&t->wait, waited);
}

/* "io", or the reason's number. */
static const char *vcpu_reason(unsigned reason, char number[16])
{
	snprintf(number, 16, "%u", reason);
	return vcpu_exit_name(reason) ? vcpu_exit_name(reason) : number;
}

/* Ticks, over all reasons. */
static struct vcpu_report vcpu_pieces(const struct vcpu *c)
{
	struct vcpu_report r = { .kvm = 0 };

	for (unsigned i = 0; i < VCPU_EXITS; i++) {
		r.exits += counter_get(&c->exits[i]);
		r.kvm += counter_get(&c->time[i].kvm);
		r.handler += counter_get(&c->time[i].handler);
		r.wait += counter_get(&c->time[i].wait);
	}
	return r;
}

/* Pieces that belong together, and up to when they are: of a thread that runs meanwhile. */
static uint64_t vcpu_snapshot(const struct vcpu *c, struct vcpu_report *r)
{
	uint64_t mark;
	unsigned tries = 0;

	do {
		mark = counter_get(&c->mark);
		*r = vcpu_pieces(c);
	} while (mark != counter_get(&c->mark) && tries++ < REPORT_TRIES);
	return mark;
}

struct vcpu_report vcpu_report(const struct vcpu *c, const struct acct_moment *now)
{
	uint64_t start = counter_get(&c->start_ns), end = counter_get(&c->end_ns);
	struct acct_moment at = *now;
	struct vcpu_report r;
	uint64_t mark = vcpu_snapshot(c, &r);

	if (mark > at.ticks) /* it has gone on since: so does its report */
		at = acct_moment();
	r.kvm = acct_ns(r.kvm);
	r.handler = acct_ns(r.handler);
	r.wait = acct_ns(r.wait);
	if (start)
		r.wall = (end ? end : at.ns) - start;
	if (start && !end)
		r.pending = acct_ns(acct_span(mark, at.ticks));
	return r;
}

static void vcpu_time_json(const struct vcpu *c, const struct acct_moment *now, struct json *j)
{
	struct vcpu_report r = vcpu_report(c, now);

	json_u64(j, "wall_ns", r.wall);
	json_u64(j, "kvm_ns", r.kvm);
	json_u64(j, "handler_ns", r.handler);
	json_u64(j, "wait_ns", r.wait);
	json_u64(j, "pending_ns", r.pending);
}

static void vcpu_reason_json(const struct vcpu *c, unsigned reason, struct json *j)
{
	const struct vcpu_time *t = &c->time[reason];
	char number[16];

	json_open(j, vcpu_reason(reason, number), '{');
	json_u64(j, "kvm_ns", acct_ns(counter_get(&t->kvm)));
	json_u64(j, "handler_ns", acct_ns(counter_get(&t->handler)));
	json_u64(j, "wait_ns", acct_ns(counter_get(&t->wait)));
	json_close(j, '}');
}

void vcpu_stats_json(const struct vcpu *c, const struct acct_moment *now, struct json *j)
{
	char number[16];

	json_open(j, "exits", '{');
	for (unsigned i = 0; i < VCPU_EXITS; i++)
		if (counter_get(&c->exits[i]))
			json_u64(j, vcpu_reason(i, number), counter_get(&c->exits[i]));
	json_close(j, '}');
	vcpu_time_json(c, now, j);
	json_open(j, "time", '{');
	for (unsigned i = 0; i < VCPU_EXITS; i++)
		if (counter_get(&c->exits[i]) || counter_get(&c->time[i].kvm))
			vcpu_reason_json(c, i, j);
	json_close(j, '}');
}

static void vcpu_reason_print(const struct vcpu *c, unsigned reason, FILE *f)
{
	const struct vcpu_time *t = &c->time[reason];
	char number[16];

	fprintf(f, "  %-16s %10" PRIu64 " %13.1f %13.1f %13.1f\n", vcpu_reason(reason, number),
		counter_get(&c->exits[reason]), (double)acct_ns(counter_get(&t->kvm)) / 1e3,
		(double)acct_ns(counter_get(&t->handler)) / 1e3,
		(double)acct_ns(counter_get(&t->wait)) / 1e3);
}

void vcpu_stats_print(const struct vcpu *c, const struct acct_moment *now, FILE *f)
{
	struct vcpu_report r = vcpu_report(c, now);
	double percent = r.wall ? 100.0 / (double)r.wall : 0;

	fprintf(f,
		"vcpu%u: %.3f s: guest and KVM %.1f %%, handlers %.1f %%, locks %.1f %%, "
		"still inside %.1f %%\n",
		c->id, (double)r.wall / 1e9, (double)r.kvm * percent, (double)r.handler * percent,
		(double)r.wait * percent, (double)r.pending * percent);
	fprintf(f, "  %-16s %10s %13s %13s %13s\n", "exit", "count", "KVM_RUN us", "handler us",
		"lock us");
	for (unsigned i = 0; i < VCPU_EXITS; i++)
		if (counter_get(&c->exits[i]) || counter_get(&c->time[i].kvm))
			vcpu_reason_print(c, i, f);
}
