/* SPDX-License-Identifier: MIT */
/* exercise.h: a PCI card that squares numbers and says so by MSI-X. */
#ifndef DUET_COURSE_MESSAGE_CARD_H
#define DUET_COURSE_MESSAGE_CARD_H

#include "devices/msix.h"

#define CARD_VENDOR 0x1b36u
#define CARD_DEVICE 0x0d0eu

#define CARD_BAR      0 /* memory, CARD_BAR_SIZE bytes, accesses of 4 bytes: */
#define CARD_BAR_SIZE 32u
#define CARD_NUMBER   0u /* write: square this number, and interrupt. Reads as 0 */
#define CARD_SQUARE   4u /* read: the square. Writes do nothing */
#define CARD_BAR_MSIX 1  /* table and PBA of one entry */

struct card;

/* Put it into `slot`. NULL: out of memory, or no place or vector to be had. */
struct card *card_new(struct machine *m, struct pci_host *pci, unsigned slot);
void card_free(struct card *c);

#endif
