/* SPDX-License-Identifier: MIT */
/*
 * virtio_toy.h: a virtio device over PCI that does nothing but count what the transport
 * asks of it, in a fake machine, and the driver that finds it: capabilities walked,
 * features negotiated and queues placed as virtio 1.2, sections 3.1 and 4.1, have it.
 */
#ifndef DUET_VIRTIO_TOY_H
#define DUET_VIRTIO_TOY_H

#include "devices/virtio_pci.h"
#include "tests/rig/fake_machine.h"

#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>

#define TOY_SLOT 3u
#define TOY_TYPE 63u /* no device of this type exists */
#define TOY_RAM  UINT64_C(0x100000)

/* Where queues go, unless the test is about that. */
#define TOY_DESC  UINT64_C(0x10000)
#define TOY_AVAIL UINT64_C(0x11000)
#define TOY_USED  UINT64_C(0x12000)

/* Two feature bits: the first makes sense only with the second. */
#define TOY_F_NEEDY  5u
#define TOY_F_NEEDED 9u
#define TOY_OFFERED  (BIT64(VIRTIO_F_VERSION_1) | BIT64(TOY_F_NEEDY) | BIT64(TOY_F_NEEDED))

#define CFG(field) __builtin_offsetof(struct virtio_pci_common_cfg, field)

/* There is one, between toy_up() and toy_down(). */
struct virtio_toy {
	struct fake_machine *f;
	struct pci_host *host;
	/* the device: two queues of at most 8 and 64 entries */
	struct pci_dev pci;
	struct virtio_pci vp;
	struct lock work, lock;
	uint8_t config[6]; /* 1, 2, .. 6 */
	unsigned driver_oks, resets, faults, kicks[2];
	/* what the driver found: addresses of the structures, offsets of the capabilities */
	uint64_t common, notify, isr, config_at;
	uint32_t notify_mult;
	unsigned window, msix; /* 0: not there */
};
extern struct virtio_toy toy;

void toy_up(void);
void toy_down(void);
/* Another device in place of the first, in a machine without interrupt vectors. */
void toy_swap_without_msix(void);

/* Configuration space, and memory-mapped registers. */
uint32_t toy_pci_get(unsigned off, unsigned size);
void toy_pci_set(unsigned off, unsigned size, uint32_t val);
uint64_t toy_get(uint64_t addr, unsigned size);
void toy_set(uint64_t addr, unsigned size, uint64_t val);

unsigned toy_status(void);
void toy_add_status(unsigned bits);
uint64_t toy_offered(void);
void toy_accept(uint64_t features);
bool toy_negotiate(uint64_t features); /* true: FEATURES_OK stuck */
void toy_place_queue(unsigned q, uint64_t desc, uint64_t avail, uint64_t used); /* and enable */
bool toy_queue_enabled(unsigned q);
void toy_start(void); /* VERSION_1 alone, queue 0, DRIVER_OK */

void toy_enable_msix(void);     /* three entries, none masked */
unsigned toy_fires(unsigned i); /* messages sent by entry i */
bool toy_line(void);            /* INTA# */

/* What the device does on its I/O thread. */
bool toy_interrupt(unsigned q);
void toy_change_config(unsigned off, uint8_t val);
void toy_break(const char *why);

#endif
