/* SPDX-License-Identifier: MIT */
/*
 * i8042.h: the keyboard controller's one useful function on a machine without a
 * keyboard: command RESET_VALUE at PORT_RESET pulses the CPU's reset line (STOP_RESET).
 */
#ifndef DUET_I8042_H
#define DUET_I8042_H

#include "vmm/device.h"

struct i8042;

/* Map it on the port bus. NULL and errno on failure. */
struct i8042 *i8042_new(struct machine *m);
void i8042_free(struct i8042 *k);

#endif
