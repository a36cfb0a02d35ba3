/* SPDX-License-Identifier: MIT */
/* solution.c: three lines for MSI-X: have it, tell it of configuration writes, fire. */
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
	if (off != CARD_NUMBER)
		return;
	c->square = (uint32_t)val * (uint32_t)val;
	msix_fire(&c->msix, 0); /* last: whoever hears of it finds the square */
}

static const struct region_ops card_ops = { .read = card_read, .write = card_write, .sizes = 4 };

static void card_config_written(struct pci_dev *d, unsigned off, unsigned size)
{
	msix_config_written(&container_of(d, struct card, pci)->msix, off, size);
}

struct card *card_new(struct machine *m, struct pci_host *pci, unsigned slot)
{
	static const struct pci_id id = { .vendor = CARD_VENDOR,
					  .device = CARD_DEVICE,
					  .class_code = 0xff0000 };
	struct card *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	pci_init(&c->pci, &id);
	pci_bar_init(&c->pci, CARD_BAR, false, CARD_BAR_SIZE, "card", &card_ops, c);
	if (msix_init(&c->msix, &c->pci, CARD_BAR_MSIX, 1, m)) {
		pci_fini(&c->pci);
		free(c);
		return NULL;
	}
	c->pci.config_written = card_config_written;
	if (!pci_attach(pci, &c->pci, slot))
		return c;
	card_free(c);
	return NULL;
}

void card_free(struct card *c)
{
	msix_destroy(&c->msix);
	pci_fini(&c->pci);
	free(c);
}
