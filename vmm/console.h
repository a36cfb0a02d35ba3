/* SPDX-License-Identifier: MIT */
/*
 * console.h: from a descriptor of the host into a UART: what the user types, with an
 * escape key to talk to duet itself. What the guest prints does not pass here, the
 * UART writes it out (devices/serial.h).
 *
 *   Ctrl-a x       stop the VM (STOP_USER, code 0)
 *   Ctrl-a h       say so
 *   Ctrl-a Ctrl-a  one Ctrl-a for the guest
 */
#ifndef DUET_CONSOLE_H
#define DUET_CONSOLE_H

#include "devices/serial.h"

struct console;

/*
 * Feed what can be read from `in_fd` (terminal, pipe, socket, file; stays the caller's)
 * to `s`, on the loop's thread. `escape`: look for Ctrl-a, and make a terminal raw
 * (vmm/tty.h). An in_fd that is closed or at its end just never says anything more.
 * NULL and errno when out of memory or descriptors.
 */
struct console *console_new(struct machine *m, struct serial *s, int in_fd, bool escape);

/* Stop reading and restore the terminal. The loop must have stopped. */
void console_free(struct console *c);

#endif
