/* SPDX-License-Identifier: MIT */
/*
 * pci.h: a conventional PCI bus 0 behind ports 0xcf8/0xcfc (PCI Local Bus 3.0,
 * section 3.2.2.3.2): configuration space with write masks, BARs that are sized,
 * moved and switched on and off, INTx, and capabilities. MSI-X is msix.h.
 */
#ifndef DUET_PCI_H
#define DUET_PCI_H

#include "vmm/device.h"

#include <linux/pci_regs.h>
#include <pthread.h>

struct pci_host;
struct pci_line;

struct pci_id {
	uint16_t vendor, device, subsys_vendor, subsys;
	uint32_t class_code; /* 24 bits: base class, subclass, interface */
	uint8_t revision;
};

/* A BAR is a region that moves. */
struct pci_bar {
	struct region region; /* size 0: no such BAR */
	bool io;
};

struct pci_dev {
	/* fixed once pci_attach() has returned: */
	struct pci_host *host;
	unsigned slot;
	struct pci_line *line; /* INTA# */
	/* Before a configuration read is answered from config[], and after a configuration
	 * write has taken effect; may be NULL. Host lock held, so they must not call back
	 * into pci_*() but for pci_bus_master() and pci_intx_set(). */
	void (*config_reading)(struct pci_dev *d, unsigned off, unsigned size);
	void (*config_written)(struct pci_dev *d, unsigned off, unsigned size);
	/* Before one of its BARs leaves its place on the bus, and what pages of it are memory
	 * go back to the handlers: the last moment to save their contents. May be NULL. The
	 * same rule, but bus_page_set() and bus_coalesce() are welcome here. */
	void (*bars_moving)(struct pci_dev *d);
	struct pci_bar bar[6];
	/* host lock: */
	uint8_t config[PCI_CFG_SPACE_SIZE];
	uint8_t wmask[PCI_CFG_SPACE_SIZE];   /* bits the guest may write */
	uint8_t w1cmask[PCI_CFG_SPACE_SIZE]; /* bits a written 1 clears */
	uint8_t cap_end;                     /* first free byte for a capability */
	/* intx_lock (innermost): the device's wish, and the command register's veto */
	pthread_mutex_t intx_lock;
	bool intx_want, intx_disabled;
	/* The same for pci_intx_eoi(): the wish, kept from the line by the veto. */
	struct irq_eoi eoi, *eoi_line; /* what the device has, what it stands for */
	bool eoi_want, eoi_held;
};

/* NULL and a logged reason when the bus clashes. Owned by the caller. */
struct pci_host *pci_host_new(struct machine *m);
void pci_host_free(struct pci_host *h);

/* How often a BAR was told to decode where another region was. Any thread. */
uint64_t pci_undecoded(const struct pci_host *h);

/* Identity and default write masks. Before everything else about *d. */
void pci_init(struct pci_dev *d, const struct pci_id *id);

/* Declare BAR `n`: `size` a power of two (>= 16 memory, >= 4 I/O), 32-bit, not
 * prefetchable. Fill d->bar[n].region's doorbells and pages afterwards, before
 * pci_attach(). */
void pci_bar_init(struct pci_dev *d, unsigned n, bool io, uint64_t size, const char *name,
		  const struct region_ops *ops, void *dev);

/* Append a capability of `len` bytes (header included; body starts at byte 2 and is
 * copied from `body`, may be NULL). Returns its offset. Read-only until the caller
 * sets d->wmask. */
uint8_t pci_cap_add(struct pci_dev *d, uint8_t id, uint8_t len, const void *body);

/* Put the device in `slot` (1..31), give its BARs addresses as firmware would
 * (decoding off), wire INTA#. 0, -EEXIST, -EINVAL, -ENOSPC. */
int pci_attach(struct pci_host *h, struct pci_dev *d, unsigned slot);

/* Take the device off the bus if it is on it, and release what pci_init() made. Before
 * pci_host_free(); needed only when the machine lives on without the device. */
void pci_fini(struct pci_dev *d);

/* Drive INTA#. Honours PCI_COMMAND_INTX_DISABLE and keeps PCI_STATUS_INTERRUPT.
 * Any thread; callers serialise per device. */
void pci_intx_set(struct pci_dev *d, bool level);

/*
 * INTA# as a line that falls at the guest's EOI; the same one each time. After pci_attach();
 * NULL: not to be had here. It comes on top of pci_intx_set()'s and honours
 * PCI_COMMAND_INTX_DISABLE and PCI_STATUS_INTERRUPT as far as KVM lets it: what was raised
 * before the driver set INTX_DISABLE stays up until an EOI, and an EOI is taken for the end
 * of the device's wish, so the status bit falls with it.
 */
struct irq_eoi *pci_intx_eoi(struct pci_dev *d);

/* May the device reach memory (PCI_COMMAND_MASTER)? Any thread. */
bool pci_bus_master(const struct pci_dev *d);

#endif
