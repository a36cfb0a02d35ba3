/* SPDX-License-Identifier: MIT */
/*
 * msix.h: MSI-X (PCI Local Bus 3.0, section 6.8.2): a table and a pending-bit array
 * in a BAR of their own, each entry backed by a vector of the machine's router.
 */
#ifndef DUET_MSIX_H
#define DUET_MSIX_H

#include "devices/pci.h"

#define MSIX_MAX 16

struct msix_entry {
	uint32_t addr_lo, addr_hi, data, ctrl; /* as the guest sees them */
};

/*
 * Somebody besides the device who sends an entry's message: the host's kernel, by the vector's
 * eventfd. It may while the guest lets the entry deliver; when not, it has to tell the device,
 * whose msix_fire() leaves the message pending.
 */
struct msix_sender {
	/* Signal `fd` from now on, or with -1 tell the device. When this has returned, nothing
	 * else is signalled. msix.lock held. */
	void (*use)(struct msix_sender *s, int fd);
	/* msix.lock: */
	unsigned entry; /* msix.n or above: none */
	int fd;         /* told last */
	struct msix_sender *next;
};

struct msix {
	struct pci_dev *pci;
	unsigned n;                    /* entries; fixed */
	uint8_t cap;                   /* capability's offset; fixed */
	struct msi_vec *vec[MSIX_MAX]; /* fixed */
	pthread_mutex_t lock;          /* innermost but for the router's own */
	/* lock: */
	struct msix_entry entry[MSIX_MAX];
	uint32_t pending;         /* bit per entry: fired while masked */
	uint32_t stale;           /* bit per entry: the router does not know (yet) what it says */
	bool enabled, all_masked; /* the capability's control word */
	struct msix_sender *senders;
	/* any thread: */
	struct access access; /* of table and PBA; reported by the device */
};

/* Add MSI-X with `n` (<= MSIX_MAX) entries, table and PBA in BAR `bar` (4 KiB).
 * 0, or -ENOSPC when the router has no vectors left. */
int msix_init(struct msix *x, struct pci_dev *d, unsigned bar, unsigned n, struct machine *m);
void msix_destroy(struct msix *x);

/* The device's config_written hook must pass its calls on to this. */
void msix_config_written(struct msix *x, unsigned off, unsigned size);

/* Interrupt by entry `i`: sent, or pending when masked, or nothing when MSI-X is off
 * or i is out of range (VIRTIO_MSI_NO_VECTOR is). Any thread. */
void msix_fire(struct msix *x, unsigned i);
bool msix_enabled(struct msix *x);

/* `s`, which outlives the MSI-X, may send messages: at set-up time, `use` filled in. For no entry
 * at first; msix_sender_move() says for which. Any thread. */
void msix_sender_add(struct msix *x, struct msix_sender *s);
void msix_sender_move(struct msix *x, struct msix_sender *s, unsigned entry);

#endif
