/* SPDX-License-Identifier: MIT */
/*
 * pci.c: configuration space by ports 0xcf8 and 0xcfc (PCI 3.0, section 3.2.2.3.2), and
 * what can be done to it that no operating system does.
 */
#include "guest/hostile/hostile.h"

#include <linux/pci_regs.h>

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA    0xcfc

static void pci_select(const struct card *c, unsigned reg)
{
	out32(CONFIG_ADDRESS, 0x80000000 | c->slot << 11 | (reg & 0xfc));
}

uint32_t pci_read(const struct card *c, unsigned reg, unsigned size)
{
	uint16_t port = (uint16_t)(CONFIG_DATA + (reg & 3));

	pci_select(c, reg);
	return size == 1 ? in8(port) : size == 2 ? in16(port) : in32(port);
}

void pci_write(const struct card *c, unsigned reg, unsigned size, uint32_t val)
{
	uint16_t port = (uint16_t)(CONFIG_DATA + (reg & 3));

	pci_select(c, reg);
	if (size == 1)
		out8(port, (uint8_t)val);
	else if (size == 2)
		out16(port, (uint16_t)val);
	else
		out32(port, val);
}

static void pci_bar_set(const struct card *c, unsigned n, uint32_t val)
{
	pci_write(c, PCI_BASE_ADDRESS_0 + 4 * n, 4, val);
}

void pci_find(struct card *c)
{
	for (unsigned n = 0; n < 6; n++) {
		uint32_t was = pci_read(c, PCI_BASE_ADDRESS_0 + 4 * n, 4);
		bool io = was & PCI_BASE_ADDRESS_SPACE_IO;

		pci_bar_set(c, n, ~0u);
		c->bar_size[n] = -(pci_read(c, PCI_BASE_ADDRESS_0 + 4 * n, 4) & (io ? ~3u : ~15u));
		pci_bar_set(c, n, was);
		c->bar[n] = was & (io ? ~3u : ~15u);
	}
	c->command = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	pci_restore(c);
}

void pci_restore(struct card *c)
{
	pci_write(c, PCI_COMMAND, 2, 0);
	for (unsigned n = 0; n < 6; n++)
		pci_bar_set(c, n, c->bar[n]);
	pci_write(c, PCI_COMMAND, 2, c->command);
}

/* --- attacks --- */

/* Every size at every offset; an access over the end of a register is one, too. */
void pci_attack_config(struct card *c)
{
	unsigned k = 0;

	for (unsigned reg = 0; reg < 256; reg++)
		for (unsigned size = 1; size <= 4; size *= 2, k++) {
			pci_write(c, reg, size, odd_value(k));
			pci_read(c, reg, size);
			pci_write(c, reg, size, odd_value(k + 1));
		}
	/* The address itself in pieces, and slots and functions that are not there. */
	for (unsigned i = 0; i < 64; i++) {
		out8((uint16_t)(CONFIG_ADDRESS + i % 8), (uint8_t)odd_value(i));
		out16((uint16_t)(CONFIG_ADDRESS + i % 8), (uint16_t)odd_value(i + 1));
		out32(CONFIG_ADDRESS, 0x80000000 | i << 16 | i << 8);
		out32(CONFIG_DATA, odd_value(i));
	}
}

/* On RAM, on each other, on the interrupt controllers, over both ends of the window. */
void pci_attack_bars(struct card *c)
{
	const uint32_t where[] = {
		0,          ROM,   0x00100000, ARENA,      RAM_END,    c->other->bar[0],
		IOAPIC,     LAPIC, 0xfeb00000, 0xfebf0000, 0xfffe0000, NOWHERE,
		0xbffe0000, 0xcf8, 0x3f8,      0xf4,       0x1000
	};

	for (unsigned i = 0; i < ARRAY_SIZE(where); i++)
		for (unsigned n = 0; n < 6; n++) {
			pci_bar_set(c, n, where[i]);
			if (!c->bar_size[n] || c->bar[n] < 0x10000)
				continue;
			store32(where[i] >= 0xc0000000 && where[i] < IOAPIC ? where[i] : NOWHERE,
				1);
			store32(c->bar[n], 1); /* where it was */
		}
	pci_restore(c);
	/* The other card's memory changes its owner and comes back. */
	pci_write(c->other, PCI_COMMAND, 2, 0);
	pci_bar_set(c, 0, c->other->bar[0]);
	store32(c->other->bar[0] + 0x18, 1);
	pci_restore(c->other);
	pci_restore(c);
	pci_restore(c->other);
}

/* Decoding and bus mastering go off and on while the rings run. */
void pci_attack_decoding(struct card *c)
{
	for (unsigned i = 0; i < 48; i++) {
		pci_write(c, PCI_COMMAND, 2, i % 8);
		store32(c->bar[0] + 0x3818, i % 8); /* TDT, or a doorbell's neighbour */
		store16(c->bar[0] + 0x3004, 1);     /* a doorbell, or a FIFO's register */
		pci_write(c, PCI_COMMAND, 1, PCI_COMMAND_MEMORY | (i & PCI_COMMAND_MASTER));
	}
}

void pci_sweep(uint32_t base, uint32_t from, uint32_t to, unsigned stride)
{
	unsigned k = 0;

	for (uint32_t at = base + from; at < base + to; at += stride, k++) {
		store8(at, (uint8_t)odd_value(k));
		store16(at, (uint16_t)odd_value(k + 1));
		store32(at, odd_value(k + 2));
		store64(at, odd_value(k + 3) | (uint64_t)odd_value(k) << 32);
	}
}

/* --- attacks: two processors --- */

void pci_fight_reset(struct card *c)
{
	second_run(c->ring);
	for (unsigned i = 0; i < 80; i++)
		c->start(c);
	second_stop();
}

void pci_fight_decoding(struct card *c)
{
	second_run(c->ring);
	pci_attack_decoding(c);
	pci_attack_bars(c);
	second_stop();
}
