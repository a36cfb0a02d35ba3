/* SPDX-License-Identifier: MIT */
/* e820.c: the memory map, in the form in which a BIOS would have answered INT 15h/E820. */
#include "firmware/firmware.h"

#include "vmm/layout.h"

#define E820_RAM      1
#define E820_RESERVED 2

/* What becomes of low RAM, in order. Reserved pieces have RAM behind them as well (it
 * holds the ACPI tables); between them is the hole where a PC has its video memory. */
static const struct {
	gpa_t from, to;
	uint32_t type;
} e820_low[] = {
	{ 0, RAM_EBDA, E820_RAM },
	{ RAM_EBDA, 0xa0000, E820_RESERVED },
	{ ACPI_BASE, RAM_1M, E820_RESERVED },
	{ RAM_1M, RAM_LOW_MAX, E820_RAM },
};

static void e820_add(struct e820_map *map, gpa_t from, gpa_t to, uint32_t type)
{
	if (from >= to)
		return;
	BUG_ON(map->n == E820_MAX);
	map->e[map->n].addr = from;
	map->e[map->n].size = to - from;
	map->e[map->n].type = type;
	map->n++;
}

void e820_build(const struct gmem *m, struct e820_map *map)
{
	map->n = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(e820_low); i++)
		e820_add(map, e820_low[i].from, MIN(e820_low[i].to, m->r[0].size),
			 e820_low[i].type);
	for (unsigned i = 1; i < m->n; i++)
		e820_add(map, m->r[i].gpa, m->r[i].gpa + m->r[i].size, E820_RAM);
}
