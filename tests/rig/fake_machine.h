/* SPDX-License-Identifier: MIT */
/*
 * fake_machine.h: a struct machine of fakes, so that devices are tested without KVM.
 * Guest RAM, buses and loop are the real ones; interrupt lines, MSI vectors and stop
 * record what was done to them. Single-threaded: run the loop by fake_machine_run().
 */
#ifndef DUET_FAKE_MACHINE_H
#define DUET_FAKE_MACHINE_H

#include "vmm/device.h"
#include "vmm/layout.h"

#define FAKE_MSI_MAX 64
#define FAKE_MSI_FD  100000
#define FAKE_EOI_MAX 16

struct fake_irq {
	struct irq_line line;
	_Atomic bool level;
	_Atomic unsigned edges; /* rising: false to true */
	_Atomic unsigned sets;  /* calls of irq_set() */
};

/* The other kind of line. What KVM's does at the guest's EOI, fake_guest_eoi() does. */
struct fake_eoi {
	struct irq_eoi line;
	unsigned gsi;
	_Atomic bool level;
	_Atomic unsigned raises; /* calls of irq_eoi_raise() */
	_Atomic unsigned eois;   /* not yet seen by irq_eoi_acked() */
	_Atomic bool up;         /* raised, and no EOI seen since */
	_Atomic bool watched;
	bool in_loop;
	struct loop_event event; /* calls line.came() */
};

struct fake_msi {
	struct msi_vec vec;
	uint64_t addr; /* of the last msi_route() */
	uint32_t data;
	_Atomic unsigned routes; /* calls of msi_route() */
	_Atomic unsigned fires;  /* messages sent: msi_fire() with a route */
	int fd;                  /* FAKE_MSI_FD + its number: no descriptor, only a name for one */
};

struct fake_machine {
	struct machine m;
	struct fake_irq irq[IOAPIC_PINS];
	struct fake_eoi eoi[FAKE_EOI_MAX]; /* m.irq_eoi() hands them out; NULL it: none */
	unsigned n_eois;
	struct msi_router router;
	struct fake_msi msi[FAKE_MSI_MAX];
	unsigned n_msi;   /* handed out */
	unsigned max_msi; /* alloc() fails beyond; FAKE_MSI_MAX unless a test lowers it */
	unsigned stops;   /* calls of stop(); the first one's arguments: */
	enum stop_reason why;
	int code;
};

/* `ram` bytes of guest memory (a multiple of 4096). Never NULL: host failures abort. */
struct fake_machine *fake_machine_new(uint64_t ram);
void fake_machine_free(struct fake_machine *f);

/* Serve the loop until nothing is ready. Returns the number of callbacks made; gives
 * up (test failure) after 100 000, which only a source that never rests can reach. */
unsigned fake_machine_run(struct fake_machine *f);

/* Is the pin up, by either kind of line? */
bool fake_gsi_level(struct fake_machine *f, unsigned gsi);
/* How often it rose, or was raised. */
unsigned fake_gsi_raised(struct fake_machine *f, unsigned gsi);
/* The guest has dealt with the interrupt of `gsi`: what falls at EOI falls. */
void fake_guest_eoi(struct fake_machine *f, unsigned gsi);

/* The user of a line is gone before the machine, as only a test's may be. */
void fake_eoi_forget(struct fake_machine *f, const void *user);

/* The fake behind a vector that a device has allocated. */
struct fake_msi *fake_msi_of(struct msi_vec *v);

/* Configuration space as a driver reaches it, through ports 0xcf8 and 0xcfc. `size` 1, 2, 4. */
uint32_t fake_pci_read(struct fake_machine *f, unsigned slot, unsigned off, unsigned size);
void fake_pci_write(struct fake_machine *f, unsigned slot, unsigned off, unsigned size,
		    uint32_t val);
/* Base address in BAR `n` (flag bits removed), as firmware or the guest set it. */
uint32_t fake_pci_bar(struct fake_machine *f, unsigned slot, unsigned n);

#endif
