/* SPDX-License-Identifier: MIT */
/*
 * calibrate.h: what does an exit cost on this host? `duet calibrate` makes a virtual
 * machine for each kind of event, lets a bare-metal guest (guest/payload/calibrate.S) do
 * many of them between two port writes, and reads the VMM's clock at those. Then the same
 * without the events (or with the part of them that has a kind of its own): the difference
 * is theirs. docs/calibrate.md describes the kinds, the method and the JSON.
 *
 * calibrate.c runs a kind, calibrate_kinds.c is the table of them, calibrate_print.c
 * makes figures of samples and prints them.
 */
#ifndef DUET_CALIBRATE_H
#define DUET_CALIBRATE_H

#include "vmm/irq_kvm.h"
#include "vmm/loop.h"
#include "vmm/vcpu.h"

#include <stdbool.h>
#include <stdio.h>

/* `duet calibrate`: measure, print (as JSON), return the exit status (0 or 3). */
int calibrate_run(bool json, unsigned samples);

/* --- for the three files and their tests --- */

#define CAL_WARMUP 2 /* first samples, left out: pages are touched, caches filled */

struct cal;

struct cal_kind {
	const char *name;
	const char *what; /* for people; the part of the event that is subtracted is in base */
	unsigned op;      /* CAL_OP_* of the guest */
	unsigned base;    /* CAL_OP_* whose time is subtracted; 0: CAL_OP_LOOP */
	uint32_t where;   /* port or address; 0: CAL_PORT */
	unsigned batch;   /* events a sample */
	bool seen;        /* each event's access must reach userspace; otherwise none may */
	int cap;          /* KVM_CAP_* it needs; 0: none besides kvm_open()'s */
	const char *cap_name;
	/* All may be NULL. Main thread, before the guest starts: 0 or -errno. */
	int (*setup)(struct cal *c);
	/* vCPU thread. A sample begins: do `n` events here, in the guest's place. 0 or -errno. */
	int (*host)(struct cal *c, unsigned n);
	/* The guest's access to CAL_PORT asks for an interrupt. */
	void (*raise)(struct cal *c);
	/* A sample has ended: events that the kernel says it has dealt with since the last. */
	uint64_t (*proof)(struct cal *c);
};

#define CAL_KINDS 25

extern const struct cal_kind cal_kinds[CAL_KINDS];

/* Nanoseconds an event. */
struct cal_figures {
	double min, q1, median, q3, max;
	double base; /* what was subtracted */
};

struct cal_result {
	const struct cal_kind *kind;
	bool ok;
	struct cal_figures ns;
	char why[320]; /* when not: the reason */
};

/* A second thread for those kinds that are about waking one. */
struct cal_worker {
	struct loop *loop; /* NULL: none */
	struct loop_event kick;
	void (*answer)(struct cal *c); /* worker thread, for each kick */
	pthread_t thread;
	bool started;
};

/* A machine that measures one kind. */
struct cal {
	struct machine m;
	/* fixed once built: */
	const struct cal_kind *kind;
	unsigned samples; /* besides the warm-up */
	struct kvm kvm;
	struct irq_kvm *irq;
	struct vcpu vcpu;
	struct region control, port, mmio;
	int done_fd; /* eventfd: the guest ended, one way or another */
	/* of the kinds that need them: */
	int fd, resample_fd; /* eventfds; -1: none */
	uint8_t *page;       /* shown to the guest at CAL_MMIO */
	struct msi_vec *msi;
	struct sidecar *sidecar;
	struct cal_worker worker;
	/* vCPU thread; main once it has stopped: */
	uint64_t begin;        /* of the sample under way, loop_now() */
	uint64_t seen, proved; /* events that came to userspace, that the kernel reported */
	uint64_t *ns;          /* of base and event in turn, warm-up included */
	int err;               /* -errno of a host's event */
	/* vCPU thread writes, any reads: */
	_Atomic unsigned turn; /* samples done of both sorts; an odd one is an event's */
};

/* Measure one kind; a guest that shows no progress for `patience_ms` is given up. */
void cal_measure(struct cal_result *r, const struct cal_kind *k, unsigned samples, int patience_ms);

/*
 * The figures of `n` pairs of samples of `batch` events: pairs[2 * i] is the ns of a base
 * sample, the next of an event's, which counts less the median base.
 */
struct cal_figures cal_figures(const uint64_t *pairs, unsigned n, unsigned batch);

/* Print the head, each kind as it is done, and the end. */
struct cal_report {
	FILE *f;
	bool json;
	unsigned samples;
	struct json j;
};

void cal_report_begin(struct cal_report *r);
void cal_report_kind(struct cal_report *r, const struct cal_result *res);
void cal_report_end(struct cal_report *r);

#endif
