/* SPDX-License-Identifier: MIT */
/*
 * vcpu.h: one virtual processor, one thread. vcpu_run_once() enters the guest until
 * it exits, lets the exit's handler deal with it and returns a verdict; the thread is
 * that in a loop. Handlers take a struct kvm_run that a test may fill by hand.
 *
 *   KVM_RUN -> vcpu_exit() -> exit table -> bus_read()/bus_write() -> device
 */
#ifndef DUET_VCPU_H
#define DUET_VCPU_H

#include "vmm/acct.h"
#include "vmm/boot.h"
#include "vmm/cputime.h"
#include "vmm/device.h"
#include "vmm/kvm.h"
#include "vmm/stats.h"

#include <linux/kvm.h>
#include <pthread.h>

enum verdict {
	VERDICT_RUN,   /* enter the guest again */
	VERDICT_STOP,  /* we were told to leave, or the guest is done */
	VERDICT_CRASH, /* the guest cannot go on: vcpu.why */
	VERDICT_HOST,  /* KVM cannot go on: vcpu.why */
};

/* Exit reasons counted one by one; KVM has fewer than this. Higher ones share 0. */
#define VCPU_EXITS 64

/* Where the thread's time went, in ticks of acct_now(). */
struct vcpu_time {
	counter_t kvm;     /* in KVM_RUN, up to an exit of this reason: the guest's, and KVM's */
	counter_t handler; /* in our handler of it, but for: */
	counter_t wait;    /* waiting there for a lock */
};

struct vcpu {
	/* fixed once vcpu_init() has returned: */
	unsigned id; /* and its APIC ID */
	struct machine *m;
	int fd;              /* -1 in tests: no KVM behind it */
	struct kvm_run *run; /* shared with KVM; immediate_exit is vcpu_kick()'s */
	size_t run_size;
	/* its starter: */
	pthread_t thread;
	bool started;
	int ended; /* eventfd: the thread has nothing left to do; while started */
	/* any thread, set once: */
	_Atomic bool stop;
	/* gate: */
	pthread_mutex_t gate;
	pthread_cond_t gate_opens; /* paused no more, or stop */
	bool paused;
	/* its own thread: */
	char why[320]; /* of a crash; others read it after the join */
	counter_t exits[VCPU_EXITS];
	struct vcpu_time time[VCPU_EXITS];
	counter_t start_ns, end_ns; /* of the thread, loop_now(); 0: not yet */
	struct cputime cpu;
	counter_t mark; /* ticks up to which its time is in `time` */
};

/* Create vCPU `id` of `count` with CPUID, MSRs and local APIC set. 0 or -errno.
 * vcpu_destroy() also after failure. */
int vcpu_init(struct vcpu *c, struct kvm *k, struct machine *m, unsigned id, unsigned count);
void vcpu_destroy(struct vcpu *c);

/* The registers the first vCPU begins with. The others wait for INIT and SIPI, in the
 * kernel. 0 or -errno. */
int vcpu_set_entry(struct vcpu *c, const struct boot_entry *e);

/* Start the thread; at its end it calls m->stop() unless that is why it ends. 0 or -errno. */
int vcpu_start(struct vcpu *c);
/* Make the thread leave the guest and end. Any thread but its own, never blocks. */
void vcpu_kick(struct vcpu *c);
/* vcpu_kick() and wait. Harmless when it was never started. */
void vcpu_stop(struct vcpu *c);

/* Keep the thread out of the guest, or let it in again. Any thread but its own; returns at once,
 * while what the guest has just asked for may still be done. */
void vcpu_pause(struct vcpu *c, bool paused);

enum verdict vcpu_run_once(struct vcpu *c);

/* --- vcpu_exit.c --- */

/* Handle the exit described by `r`. Its thread. */
enum verdict vcpu_exit(struct vcpu *c, struct kvm_run *r);
/* Put what happened, where (RIP) and on which vCPU into c->why; returns `v`. */
enum verdict vcpu_explain(struct vcpu *c, enum verdict v, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* "mmio", "io", ...: the name exits of this reason are counted under, or NULL. */
const char *vcpu_exit_name(unsigned reason);

/* --- vcpu_stats.c --- */

/* The thread's life and its pieces begin and end now. */
void vcpu_time_start(struct vcpu *c);
void vcpu_time_end(struct vcpu *c);
/* Everything since the last call was KVM_RUN, until it ended for `reason` at `exited`; was
 * the handler of `reason`, of which `waited` ticks were spent on a lock. Its thread. */
void vcpu_time_exit(struct vcpu *c, unsigned reason, uint64_t exited);
void vcpu_time_handled(struct vcpu *c, unsigned reason, uint64_t waited);
/* Nanoseconds up to `now`, over all reasons: kvm + handler + wait + pending = wall. */
struct vcpu_report {
	uint64_t exits; /* a number */
	uint64_t wall, kvm, handler, wait;
	uint64_t pending; /* while the thread lives: in KVM_RUN, or in a handler, now */
};

struct vcpu_report vcpu_report(const struct vcpu *c, const struct acct_moment *now);
/* Members of an open JSON object: every reason seen, and the time it took. Any thread. */
void vcpu_stats_json(const struct vcpu *c, const struct acct_moment *now, struct json *j);
/* The same as a table. */
void vcpu_stats_print(const struct vcpu *c, const struct acct_moment *now, FILE *f);

/* --- vcpu_x86.c --- */

int vcpu_set_cpuid(struct vcpu *c, int dev, unsigned count);
int vcpu_set_msrs(struct vcpu *c);
int vcpu_set_lapic(struct vcpu *c);

#endif
