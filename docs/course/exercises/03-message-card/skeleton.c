/* SPDX-License-Identifier: MIT */
/* skeleton.c: a card that can be found, and squares; but nobody hears of it. */
#include "exercise.h"

struct card {
	struct pci_dev pci;
	struct msix msix;
	/* any thread: */
	_Atomic uint32_t square;
};

static uint64_t card_read(void *dev, uint64_t off, unsigned size)
{
	struct card *c = dev;

	(void)size;
	return off == CARD_SQUARE ? c->square : 0;
}

static void card_write(void *dev, uint64_t off, unsigned size, uint64_t val)
{
	struct card *c = dev;

	(void)size;
	if (off == CARD_NUMBER)
		c->square = (uint32_t)val * (uint32_t)val;
}

static const struct region_ops card_ops = { .read = card_read, .write = card_write, .sizes = 4 };

struct card *card_new(struct machine *m, struct pci_host *pci, unsigned slot)
{
	static const struct pci_id id = { .vendor = CARD_VENDOR,
					  .device = CARD_DEVICE,
					  .class_code = 0xff0000 };
	struct card *c = calloc(1, sizeof(*c));

	(void)m;
	if (!c)
		return NULL;
	pci_init(&c->pci, &id);
	pci_bar_init(&c->pci, CARD_BAR, false, CARD_BAR_SIZE, "card", &card_ops, c);
	if (!pci_attach(pci, &c->pci, slot))
		return c;
	card_free(c);
	return NULL;
}

void card_free(struct card *c)
{
	pci_fini(&c->pci);
	free(c);
}
