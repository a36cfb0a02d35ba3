/* SPDX-License-Identifier: MIT */
/*
 * fake_accel.h: a hypervisor of fakes behind a bus, so that a test can play the guest to
 * a device that has pages turned into memory, doorbells taken over or writes queued:
 * fake_store() and fake_load() are the guest's instructions and end where KVM would let them
 * end. The guest may have threads of its own.
 */
#ifndef DUET_FAKE_ACCEL_H
#define DUET_FAKE_ACCEL_H

#include "vmm/bus.h"

#define FAKE_PAGES 8
#define FAKE_BELLS 64
#define FAKE_ZONES 8
#define FAKE_QUEUE 170 /* as KVM's ring, of which one place stays empty */

struct fake_page {
	uint64_t addr;
	uint8_t *mem;        /* NULL: unused */
	enum page_mode mode; /* not PAGE_TRAP */
};

struct fake_bell {
	uint64_t addr;
	struct doorbell bell;
};

struct fake_zone {
	uint64_t addr;
	unsigned size;
};

struct fake_accel {
	struct bus_accel accel;
	struct bus *bus;
	pthread_mutex_t lock; /* innermost; of what follows */
	struct fake_page page[FAKE_PAGES];
	struct fake_bell bell[FAKE_BELLS];
	unsigned n_bells;
	struct fake_zone zone[FAKE_ZONES];
	unsigned n_zones;
	struct bus_queued queue[FAKE_QUEUE];
	unsigned first, last;
	int fail;       /* -errno: what is asked for is refused. The test's */
	unsigned turns; /* calls of page() that succeeded */
	/* any thread: */
	_Atomic unsigned exits; /* accesses of fake_store() and fake_load() that reached the bus */
};

/* From now on `b` has a hypervisor. Before the first bus_map(). */
void fake_accel_init(struct fake_accel *a, struct bus *b);
void fake_accel_fini(struct fake_accel *a);

/* The guest's store and load of 1, 2, 4 or 8 bytes. */
void fake_store(struct fake_accel *a, uint64_t addr, unsigned size, uint64_t val);
uint64_t fake_load(struct fake_accel *a, uint64_t addr, unsigned size);

/* Who answers for the page that holds `addr`. */
enum page_mode fake_page_mode(struct fake_accel *a, uint64_t addr);

#endif
