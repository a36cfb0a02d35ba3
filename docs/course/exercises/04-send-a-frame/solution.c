/* SPDX-License-Identifier: MIT */
/* solution.c: first the descriptor, then the tail: the card may look the moment it moves. */
#include "exercise.h"

#define CMD_EOP  0x01 /* the frame ends here */
#define CMD_IFCS 0x02 /* the card appends the checksum of the wire */
#define CMD_RS   0x08 /* say DD when done */

struct tx_desc {
	uint64_t addr;
	uint16_t len;
	uint8_t cso, cmd, sta, css;
	uint16_t special;
};

void driver_send(struct driver *d, gpa_t frame, uint16_t len)
{
	struct tx_desc desc = { .addr = frame, .len = len, .cmd = CMD_EOP | CMD_IFCS | CMD_RS };

	gm_write(&d->m->mem, d->ring + d->tail * sizeof(desc), &desc, sizeof(desc));
	d->tail = d->tail + 1 == d->entries ? 0 : d->tail + 1;
	bus_write(&d->m->mmio, d->regs + E1000_TDT, 4, d->tail);
}

bool driver_done(const struct driver *d, uint32_t i)
{
	struct tx_desc desc = { 0 };

	gm_read(&d->m->mem, d->ring + i * sizeof(desc), &desc, sizeof(desc));
	return desc.sta & E1000_TXD_STA_DD;
}
