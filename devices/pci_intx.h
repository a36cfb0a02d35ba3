/* SPDX-License-Identifier: MIT */
/* pci_intx.h: INTA#, between pci.c and pci_intx.c. Devices have what is in pci.h. */
#ifndef DUET_PCI_INTX_H
#define DUET_PCI_INTX_H

#include "devices/pci.h"

/* One interrupt line and the slots that share it: its level is the OR of their wishes. */
struct pci_line {
	/* fixed: */
	struct machine *m;
	unsigned gsi;
	struct irq_line *line;
	pthread_mutex_t lock; /* innermost */
	uint32_t asserted;    /* lock: bit per slot */
};

/* False when the machine has no such line; pci_line_destroy() also then. */
bool pci_line_init(struct pci_line *l, struct machine *m, unsigned gsi);
void pci_line_destroy(struct pci_line *l);

void pci_intx_init(struct pci_dev *d);
void pci_intx_fini(struct pci_dev *d);
/* The command register's veto, on or off. */
void pci_intx_veto(struct pci_dev *d, bool disabled);
/* For the status register: does the device wish to interrupt, let or not? */
bool pci_intx_pending(struct pci_dev *d);

#endif
