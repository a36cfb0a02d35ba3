/* SPDX-License-Identifier: MIT */
/*
 * fake_accel.h: a hypervisor of fakes behind a bus, so that a test can play the guest to
 * a device that has pages turned into memory or doorbells taken over: fake_store() and
 * fake_load() are the guest's instructions and end where KVM would let them end.
 */
#ifndef DUET_FAKE_ACCEL_H
#define DUET_FAKE_ACCEL_H

#include "vmm/bus.h"

#define FAKE_PAGES 8
#define FAKE_BELLS 64

struct fake_page {
	uint64_t addr;
	uint8_t *mem;        /* NULL: unused */
	enum page_mode mode; /* not PAGE_TRAP */
};

struct fake_bell {
	uint64_t addr;
	struct doorbell bell;
};

struct fake_accel {
	struct bus_accel accel;
	struct bus *bus;
	struct fake_page page[FAKE_PAGES];
	struct fake_bell bell[FAKE_BELLS];
	unsigned n_bells;
	int fail; /* -errno: what is asked for is refused */
	/* counted: */
	unsigned turns; /* calls of page() that succeeded */
	unsigned exits; /* accesses of fake_store() and fake_load() that reached the bus */
};

/* From now on `b` has a hypervisor. Before the first bus_map(). */
void fake_accel_init(struct fake_accel *a, struct bus *b);

/* The guest's store and load of 1, 2, 4 or 8 bytes. */
void fake_store(struct fake_accel *a, uint64_t addr, unsigned size, uint64_t val);
uint64_t fake_load(struct fake_accel *a, uint64_t addr, unsigned size);

/* Who answers for the page that holds `addr`. */
enum page_mode fake_page_mode(struct fake_accel *a, uint64_t addr);

#endif
