/* SPDX-License-Identifier: MIT */
/*
 * console.h: from a descriptor of the host into a UART: what the user types, with an
 * escape key to talk to duet itself. What the guest prints does not pass here, the
 * UART writes it out (devices/serial.h).
 *
 *   Ctrl-a x       stop the VM (STOP_USER, code 0)
 *   Ctrl-a p       pause the guest's processors, or let them go on
 *   Ctrl-a s       statistics, as SIGUSR1 does
 *   Ctrl-a b       a break on the line, which Linux takes for the begin of a SysRq
 *   Ctrl-a w       type the terminal's size for the guest, as an stty command
 *   Ctrl-a h       say so
 *   Ctrl-a Ctrl-a  one Ctrl-a for the guest
 */
#ifndef DUET_CONSOLE_H
#define DUET_CONSOLE_H

#include "devices/serial.h"

struct console;

/* What the keys need of the board; called on the loop's thread. */
struct console_keys {
	void *board;
	void (*stats)(void *board);
	bool (*pause)(void *board); /* or resume; returns which: true, paused now */
};

/*
 * Feed what can be read from `in_fd` (terminal, pipe, socket, file; stays the caller's)
 * to `s`, on the loop's thread. `keys` (copied): look for Ctrl-a, and make a terminal raw
 * (vmm/tty.h); NULL: every byte is the guest's. An in_fd that is closed or at its end just never
 * says anything more. NULL and errno when out of memory or descriptors.
 */
struct console *console_new(struct machine *m, struct serial *s, int in_fd,
			    const struct console_keys *keys);

/* Stop reading and restore the terminal. The loop must have stopped. */
void console_free(struct console *c);

#endif
