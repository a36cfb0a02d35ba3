/* SPDX-License-Identifier: MIT */
/* exercise.h: the driver's side of the e1000: one descriptor, one doorbell. */
#ifndef DUET_COURSE_SEND_A_FRAME_H
#define DUET_COURSE_SEND_A_FRAME_H

#include "devices/e1000_regs.h"
#include "vmm/device.h"

struct driver {
	struct machine *m;
	uint64_t regs; /* where BAR 0 is: a register is at regs + E1000_x */
	gpa_t ring;    /* the transmit ring, in guest RAM */
	uint32_t entries, tail;
};

/*
 * Send the frame of `len` bytes that lies at `frame`: fill in the descriptor at the tail
 * (legacy format, 8254x manual 3.3.3: address, length, command EOP | IFCS | RS), move the
 * tail, tell the card. The ring has room.
 */
void driver_send(struct driver *d, gpa_t frame, uint16_t len);

/* Has the card done descriptor `i` (DD in its status)? */
bool driver_done(const struct driver *d, uint32_t i);

#endif
