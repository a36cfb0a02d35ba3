/* SPDX-License-Identifier: MIT */
/*
 * bench.h: bare-metal guests (guest/payload) on the real board and a real /dev/kvm,
 * software KVM included. What the guest sees it reports as its status; what the host must
 * see is in struct bench. For tests/kvm.
 */
#ifndef DUET_BENCH_H
#define DUET_BENCH_H

#include "guest/payload/payload.h"
#include "tests/check_main.h"
#include "vmm/board.h"

#define BENCH_LOG_MAX 64

/* The board, and the test's own device: see payload.h. */
extern struct bench {
	struct board b;
	struct opts o;
	struct region pio, mmio;
	struct msi_vec *msi;
	/* What a test does at TEST_COMMAND, answers at TEST_ASK, and makes of writes to
	 * memory instead of the log. NULL: nothing, 0, the log. vCPU threads. */
	void (*command)(uint8_t val);
	uint8_t (*ask)(void);
	void (*store)(uint64_t off, unsigned size, uint64_t val);
	unsigned n; /* vCPU 0 only */
	struct {
		uint64_t off, val;
		unsigned size;
		bool mmio;
	} log[BENCH_LOG_MAX];
} bench;

/* A board of `cpus` vCPUs with payload NAME (build/payload/NAME.bin) in RAM. */
void bench_build(const char *name, unsigned cpus, enum boot_mode mode);
/* The device onto both buses. */
void bench_map(void);
/* Run to the end; returns the exit status. */
int bench_run(void);
/* ...which must be PASS. */
void bench_pass(void);
/* All of that for one vCPU. */
void bench_simple(const char *name, enum boot_mode mode);
void bench_free(void);

/* Write `i` that reached the device. */
void expect_log(unsigned i, uint64_t off, unsigned size, uint64_t val);

/* main() of a test program: skipped, with the reason, where there is no KVM. */
int bench_main(const char *suite, const struct test_entry *tests, size_t n);

#endif
